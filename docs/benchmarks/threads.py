"""Speed of matrix products and fits with one and with several threads, on free and on busy cores.

    python docs/benchmarks/threads.py

A product is the forward and backward pass of a linear layer. A fit with the default number of threads is compared with
one with `OMP_NUM_THREADS=1`, in alternating processes; and with one without the rule that small products use one
thread. Busy cores each run another process. Fits that take longer than the limit are stopped.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time

import numpy as np
import torch
from _measure import make_curved_data
from sklearn.datasets import load_digits

from skae import Autoencoder, _threads

LIMIT = 60  # seconds per process
PRODUCTS = [(128, 64, 128), (128, 256, 256), (128, 784, 256), (128, 784, 512), (256, 784, 512), (1024, 784, 512)]
FITS = {
    "digits, 8 components, defaults": (lambda: load_digits().data, {"n_components": 8}),
    "8,000 x 784, 512-256-32, batches of 256": (
        lambda: make_curved_data(8000, 784, 20),
        {"n_components": 32, "hidden_layer_sizes": (512, 256), "batch_size": 256, "max_iter": 4},
    ),
}


def seconds(function, n):
    """Return the mean duration of a call in seconds, after a warm-up."""
    function()
    start = time.perf_counter()
    for _ in range(n):
        function()
    return (time.perf_counter() - start) / n


def products():
    """Print the duration of a layer's products with one thread and with all."""
    most = torch.get_num_threads()
    print(f"{'batch x in x out':20s}{'multiply-adds':>14s}{'one thread':>13s}{f'{most} threads':>13s}  ratio")
    for batch, width_in, width_out in PRODUCTS:
        layer, x = torch.nn.Linear(width_in, width_out), torch.randn(batch, width_in)
        work, times = batch * width_in * width_out, {1: [], most: []}

        def step(layer=layer, x=x):
            layer(x).sum().backward()

        for _ in range(7):
            for number in times:
                torch.set_num_threads(number)
                times[number].append(seconds(step, max(3, 2**29 // work)))
        one, every = (1e3 * np.median(times[number]) for number in (1, most))
        size = f"{batch} x {width_in} x {width_out}"
        rule = "one" if work < _threads.SMALL_PRODUCT else "all"
        print(
            f"{size:20s}{f'2^{np.log2(work):.1f}':>14s}{one:10.2f} ms{every:10.2f} ms  {every / one:.2f}  uses {rule}"
        )
    torch.set_num_threads(most)


@contextlib.contextmanager
def busy(n):
    """Keep n cores busy."""
    counting = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def fit_here(name, rule):
    """Print the seconds of a fit, after a warm-up."""
    if not rule:
        _threads.SMALL_PRODUCT = _threads.SMALL_DECOMPOSITION = 0
    make, parameters = FITS[name]
    X, autoencoder = make(), Autoencoder(**parameters, early_stopping=False, random_state=0)
    Autoencoder(2, hidden_layer_sizes=4, max_iter=1).fit(X[:100])
    start = time.perf_counter()
    autoencoder.fit(X)
    print(time.perf_counter() - start)


def fit_there(name, threads, rule):
    """Return the seconds of a fit in a separate process; infinity if it exceeds the limit."""
    variables = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    if threads:
        variables["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, __file__, "--fit", name, "--rule", str(int(rule))]
    try:
        return float(subprocess.run(command, env=variables, check=True, capture_output=True, timeout=LIMIT).stdout)
    except subprocess.TimeoutExpired:
        return float("inf")


def fits(rounds):
    """Print the duration of fits with one thread, by default, and without the rule for small products."""
    heads = f"{'one thread':>12s}{'default':>12s}{'ratio':>8s}{'without the rule':>18s}{'ratio':>8s}"
    print(f"\n{'fit':42s}{'cores':7s}{heads}")
    for name in FITS:
        for n_busy in (0, os.cpu_count()):
            settings, times = ((1, True), (None, True), (None, False)), []
            with busy(n_busy):
                for _ in range(rounds):
                    times.append([fit_there(name, *setting) for setting in settings])
            one, default, before = np.median(times, axis=0)
            ratios = np.median(np.array(times) / np.array(times)[:, :1], axis=0)
            cores = "busy" if n_busy else "free"
            line = f"{name:42s}{cores:7s}{one:10.2f} s{default:10.2f} s{ratios[1]:8.2f}{before:16.2f} s{ratios[2]:8.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fit", help="run only this fit, in this process")
    parser.add_argument("--rule", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.fit:
        fit_here(arguments.fit, arguments.rule)
    else:
        products()
        fits(arguments.rounds)
