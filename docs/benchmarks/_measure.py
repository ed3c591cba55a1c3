"""Utilities of the benchmarks: synthetic data, timers, peak memory, and worker processes."""

import contextlib
import multiprocessing
import sys
import threading
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import r2_score


def make_curved_data(n, d, k):
    """Return samples near a curved surface of k dimensions, as float32 array of shape (n, d)."""
    rng = np.random.default_rng(0)
    X = np.tanh(rng.standard_normal((n, k), dtype=np.float32)) @ rng.standard_normal((k, d), dtype=np.float32)
    X += 0.1 * rng.standard_normal((n, d), dtype=np.float32)
    return X


def r2(X, X_hat):
    """Return the fraction of the variance that is reconstructed."""
    return r2_score(X, X_hat, multioutput="variance_weighted")


@contextlib.contextmanager
def stopwatch(times):
    """Append the duration of a block in seconds."""
    start = time.perf_counter()
    yield
    times.append(time.perf_counter() - start)


class Peak:
    """Peak of a memory counter of /proc/self/status while a block runs, in MB above its initial value."""

    def __init__(self, line):
        self.line = line

    def read(self):
        """Return the current value in MB."""
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
        """Update the peak until the block ends."""
        while not self.done.wait(0.002):
            self.peak = max(self.peak, self.read())

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.start
        self.done.set()
        self.thread.join()
        self.above = self.peak - self.before

    def __str__(self):
        return f"peak {self.line} {self.above:.0f} MB above the initial {self.before:.0f} MB, {self.seconds:.0f} s"


class Process:
    """Proxy of an object in a separate process; a call takes the name of a method and its arguments.

    Parameters
    ----------
    worker_class : type
        Class of the object. The other arguments are passed to its constructor.
    """

    def __init__(self, worker_class, *args):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        context.Process(target=_serve, args=(other, worker_class, *args), daemon=True).start()

    def __call__(self, *call):
        """Call a method in the other process."""
        self.connection.send(call)
        return self.connection.recv()


def of_checkout(path, worker_class, *args):
    """Return a `Process` that imports skae from a checkout of any commit."""
    sys.path.insert(0, str(path))
    try:
        return Process(worker_class, *args)
    finally:
        sys.path.remove(str(path))


def _serve(connection, worker_class, *args):
    worker = worker_class(*args)
    with contextlib.suppress(EOFError):  # the parent has closed the connection
        while True:
            method, *call = connection.recv()
            connection.send(getattr(worker, method)(*call))
