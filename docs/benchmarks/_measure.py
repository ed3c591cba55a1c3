"""What the benchmarks measure with: samples made up, watches, peaks of memory, and processes that take turns."""

import contextlib
import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import r2_score


def made_up(n, d, k):
    """Rows on a curved surface of k dimensions, with noise: (n, d) in float32."""
    rng = np.random.default_rng(0)
    X = np.tanh(rng.standard_normal((n, k), dtype=np.float32)) @ rng.standard_normal((k, d), dtype=np.float32)
    X += 0.1 * rng.standard_normal((n, d), dtype=np.float32)
    return X


def r2(X, X_hat):
    """Fraction of the variance that is reconstructed."""
    return r2_score(X, X_hat, multioutput="variance_weighted")


@contextlib.contextmanager
def stopwatch(times):
    """Append the seconds of a block."""
    start = time.perf_counter()
    yield
    times.append(time.perf_counter() - start)


class Peak:
    """Peak of a line of /proc/self/status, in MB above its value before, while a block runs."""

    def __init__(self, line):
        self.line = line

    def read(self):
        """Read the line, in MB."""
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(text.split()[1]) / 1000 for text in status if text.startswith(self.line + ":"))

    def __enter__(self):
        self.before = self.peak = self.read()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.start = time.perf_counter()
        self.thread.start()
        return self

    def watch(self):
        """Read again and again."""
        while not self.done.wait(0.002):
            self.peak = max(self.peak, self.read())

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.start
        self.done.set()
        self.thread.join()
        self.above = self.peak - self.before

    def __str__(self):
        return f"peak {self.line} {self.above:.0f} MB above the {self.before:.0f} MB before, {self.seconds:.0f} s"


class Process:
    """An object in a process of its own: a call names one of its methods.

    Parameters
    ----------
    worker_class : type
        Of the object, which is made there of the other parameters.
    """

    def __init__(self, worker_class, *args):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        context.Process(target=_serve, args=(other, worker_class, *args), daemon=True).start()

    def __call__(self, *call):
        """Call a method there."""
        self.connection.send(call)
        return self.connection.recv()


def _serve(connection, worker_class, *args):
    worker = worker_class(*args)
    with contextlib.suppress(EOFError):  # the other end is closed
        while True:
            method, *call = connection.recv()
            connection.send(getattr(worker, method)(*call))
