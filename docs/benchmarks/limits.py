"""Against what the machine can do: the matrix product's rate, the bare module, and two processes instead of one.

    python docs/benchmarks/limits.py [--rounds 7] [--threads 2]

1. Training 784-512-256-32 at the default batch size of large data: the share that its matrix products, six operations
   for each weight and sample, reach of the rate of a plain float32 product of 128 x 784 by 784 x 512. They alternate,
   in one process; so does the hand-written loop, at the same batch size, plain and with a fused optimizer.
2. `transform` against the bare module's forward on the same samples, made a tensor and read back; its memory on
   a million samples.
3. GridSearchCV, 12 fits, `n_jobs=2` against 1, one thread a fit in both, workers warm.
4. Seconds of a fit by default, on scikit-learn's sets.
"""

import argparse
import functools
import time

import numpy as np
import torch
from _measure import Peak, made_up, stopwatch
from _systems import ByHandOfTheSameNet, Net
from sklearn import datasets
from sklearn.model_selection import GridSearchCV

from skae import Autoencoder

SIZES = (784, 512, 256, 32)
ROWS = 10_000
BATCH = 256


class FusedByHand(ByHandOfTheSameNet):
    """The loop with a fused optimizer."""

    optimizer = staticmethod(functools.partial(torch.optim.AdamW, fused=True))


def matrix_rate():
    """Floating-point operations a second of the plain product."""
    a, b, times = torch.randn(128, 784), torch.randn(784, 512), []
    for _ in range(20):
        with stopwatch(times):
            for _ in range(20):
                a @ b
    return 20 * 2 * 128 * 784 * 512 / np.median(times)


class InTurns:
    """scikit-learn's callback: before each epoch of an estimator, another has one, and the product's rate is taken."""

    max_propagation_depth = None

    def __init__(self, others):
        self.others = {name: system.epochs(X) for name, (system, X) in others.items()}
        self.rates, self.seconds = [], {name: [] for name in ("Autoencoder", *others)}

    def setup(self, estimator, context):
        """Nothing to set up."""

    def teardown(self, estimator, context):
        """Nor to tear down."""

    def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
        """Let the others have their epochs."""
        if context.task_name != "epoch":
            return
        before = matrix_rate()
        for name, epochs in self.others.items():
            with stopwatch(self.seconds[name]):
                next(epochs)
        self.rates.append((before + matrix_rate()) / 2)
        self.start = time.perf_counter()

    def on_fit_task_end(self, estimator, context):  # noqa: ARG002
        """Stop the watch."""
        if context.task_name == "epoch":
            self.seconds["Autoencoder"].append(time.perf_counter() - self.start)


def training(rounds):
    """Part 1."""
    n_weights = sum(p.numel() for p in Net(SIZES, linear=True).parameters() if p.dim() == 2)
    X = made_up(ROWS + 1_000, 784, 32)  # of which Autoencoder holds out 1,000
    others = {"hand-written, Adam": ByHandOfTheSameNet, "hand-written, fused AdamW": FusedByHand}
    turns = InTurns({name: (system(32, SIZES, rounds, BATCH), X[:ROWS]) for name, system in others.items()})
    Autoencoder(
        32, hidden_layer_sizes=SIZES[1:-1], max_iter=rounds, early_stopping=False, random_state=0
    ).set_callbacks(turns).fit(X)
    for name, seconds in turns.seconds.items():
        share = 6 * n_weights * ROWS / np.multiply(turns.rates, seconds)
        print(f"  {name:24s} {np.median(share):.1%} ({min(share):.1%} to {max(share):.1%})")


def transform(rounds):
    """Part 2."""
    for sizes, n in ((SIZES, 50_000), ((30, 64, 16), 1_000_000)):
        X = made_up(n, sizes[0], sizes[-1])
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
            print(f"  {'-'.join(map(str, sizes)):16s} {n:9,d} samples, {rows.dtype}: {ratio:.2f} of the bare module")
            del codes
            with Peak("RssAnon") as peak:
                codes = fitted.transform(rows)
            print(f"    memory beyond samples and codes: {max(0, peak.above - codes.nbytes / 1e6):.0f} MB")


def search(rounds):
    """Part 3."""
    X = datasets.load_digits().data
    grid = {"n_components": [2, 4, 8, 16]}
    estimator = Autoencoder(max_iter=15, random_state=0)
    times = {1: [], 2: []}
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # loky's two workers have one thread each by themselves
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
    """Part 4."""
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
    Autoencoder(max_iter=1).fit(made_up(100, 4, 2))  # what torch loads at the first step is nobody's time
    print(f"{args.threads} threads, medians of {args.rounds}")
    print(f"fraction of the matrix product's rate in training, batches of {BATCH}")
    training(args.rounds)
    print("transform")
    transform(args.rounds)
    print("GridSearchCV of 12 fits, one process and two")
    search(min(args.rounds, 5))
    print("fits by default")
    default_fits(min(args.rounds, 5))


if __name__ == "__main__":
    main()
