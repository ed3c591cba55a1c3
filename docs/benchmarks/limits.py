"""Compare fits with the limits of the machine: the matrix product's rate, the bare module, and two processes.

    python docs/benchmarks/limits.py [--rounds 7] [--threads 2]

1. Training 784-512-256-32 at the default batch size of large data: the rate of its matrix products, six operations for
   each weight and sample, as a fraction of the rate of a float32 product of 128 x 784 by 784 x 512. The two alternate,
   in one process, and so does a hand-written loop of the same batch size, with and without a fused optimizer.
2. `transform` compared with the forward pass of the bare module on the same samples, including conversion to a tensor
   and back; and its memory for a million samples.
3. GridSearchCV, 12 fits, `n_jobs=2` compared with 1, one thread per fit in both, after a warm-up.
4. Seconds of a default fit on scikit-learn's data sets.
"""

import argparse
import functools
import time

import numpy as np
import torch
from _measure import Peak, make_curved_data, stopwatch
from _systems import HandWrittenSameNet, Net
from sklearn import datasets
from sklearn.model_selection import GridSearchCV

from skae import Autoencoder

SIZES = (784, 512, 256, 32)
ROWS = 10_000
BATCH = 256


class FusedHandWritten(HandWrittenSameNet):
    """The hand-written loop with a fused optimizer."""

    optimizer = staticmethod(functools.partial(torch.optim.AdamW, fused=True))


def matrix_rate():
    """Return the rate of the matrix product, in floating-point operations per second."""
    a, b, times = torch.randn(128, 784), torch.randn(784, 512), []
    for _ in range(20):
        with stopwatch(times):
            for _ in range(20):
                a @ b
    return 20 * 2 * 128 * 784 * 512 / np.median(times)


class InTurns:
    """scikit-learn callback that, before each epoch, runs an epoch of other systems and measures the product's rate."""

    max_propagation_depth = None

    def __init__(self, others):
        self.others = {name: system.epochs(X) for name, (system, X) in others.items()}
        self.rates, self.seconds = [], {name: [] for name in ("Autoencoder", *others)}

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
        """Run an epoch of each other system."""
        if context.task_name != "epoch":
            return
        before = matrix_rate()
        for name, epochs in self.others.items():
            with stopwatch(self.seconds[name]):
                next(epochs)
        self.rates.append((before + matrix_rate()) / 2)
        self.start = time.perf_counter()

    def on_fit_task_end(self, estimator, context):  # noqa: ARG002
        """Record the duration of the epoch."""
        if context.task_name == "epoch":
            self.seconds["Autoencoder"].append(time.perf_counter() - self.start)


def training(rounds):
    """Run part 1."""
    n_weights = sum(p.numel() for p in Net(SIZES, linear=True).parameters() if p.dim() == 2)
    X = make_curved_data(ROWS + 1_000, 784, 32)  # Autoencoder uses 1,000 as validation set
    others = {"hand-written, Adam": HandWrittenSameNet, "hand-written, fused AdamW": FusedHandWritten}
    turns = InTurns({name: (system(32, SIZES, rounds, BATCH), X[:ROWS]) for name, system in others.items()})
    Autoencoder(
        32, hidden_layer_sizes=SIZES[1:-1], max_iter=rounds, early_stopping=False, random_state=0
    ).set_callbacks(turns).fit(X)
    for name, seconds in turns.seconds.items():
        share = 6 * n_weights * ROWS / np.multiply(turns.rates, seconds)
        print(f"  {name:24s} {np.median(share):.1%} ({min(share):.1%} to {max(share):.1%})")


def transform(rounds):
    """Run part 2."""
    for sizes, n in ((SIZES, 50_000), ((30, 64, 16), 1_000_000)):
        X = make_curved_data(n, sizes[0], sizes[-1])
        fitted = Autoencoder(sizes[-1], hidden_layer_sizes=sizes[1:-1], max_iter=1, random_state=0).fit(X[:5_000])
        for dtype in (np.float32, np.float64):
            rows, module = X.astype(dtype), fitted._modules[np.dtype(dtype).name]
            ours, bare = [], []
            for _ in range(rounds):
                with stopwatch(ours):
                    codes = fitted.transform(rows)
                with stopwatch(bare), torch.inference_mode():
                    module.encode(torch.tensor(rows)).numpy()
            ratio = np.median(np.divide(ours, bare))
            print(f"  {'-'.join(map(str, sizes)):16s} {n:9,d} samples, {rows.dtype}: {ratio:.2f} times the bare module")
            del codes
            with Peak("RssAnon") as peak:
                codes = fitted.transform(rows)
            print(f"    memory in addition to samples and codes: {max(0, peak.above - codes.nbytes / 1e6):.0f} MB")


def search(rounds):
    """Run part 3."""
    X = datasets.load_digits().data
    grid = {"n_components": [2, 4, 8, 16]}
    estimator = Autoencoder(max_iter=15, random_state=0)
    times = {1: [], 2: []}
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # loky's two workers have one thread each by default
    for n_jobs in times:
        GridSearchCV(estimator, grid, cv=3, n_jobs=n_jobs, refit=False).fit(X[:300])
    for _ in range(rounds):
        for n_jobs, of_jobs in times.items():
            with stopwatch(of_jobs):
                GridSearchCV(estimator, grid, cv=3, n_jobs=n_jobs, refit=False).fit(X)
    torch.set_num_threads(before)
    print(
        f"  {np.median(times[1]):.1f} s and {np.median(times[2]):.1f} s: {np.median(np.divide(times[2], times[1])):.2f}"
    )


def default_fits(rounds):
    """Run part 4."""
    for name, k in {"digits": 8, "breast_cancer": 4, "wine": 4, "diabetes": 4, "iris": 2}.items():
        X, times = getattr(datasets, f"load_{name}")().data, []
        for seed in range(rounds):
            with stopwatch(times):
                Autoencoder(k, random_state=seed).fit(X)
        print(f"  {name:16s} {len(X):5d} x {X.shape[1]:2d}, {k} components: {np.median(times):.1f} s")


def main():
    """Run the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    Autoencoder(max_iter=1).fit(make_curved_data(100, 4, 2))  # warm-up: torch imports modules at the first step
    print(f"{args.threads} threads, medians of {args.rounds}")
    print(f"fraction of the matrix product's rate in training, batches of {BATCH}")
    training(args.rounds)
    print("transform")
    transform(args.rounds)
    print("GridSearchCV of 12 fits, one process and two")
    search(min(args.rounds, 5))
    print("default fits")
    default_fits(min(args.rounds, 5))


if __name__ == "__main__":
    main()
