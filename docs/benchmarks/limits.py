"""Against what the machine can do: the matrix product's rate, the bare module, and two processes instead of one.

    python docs/benchmarks/limits.py [--rounds 7] [--threads 2]

1. Training 784-512-256-32 at the default batch size of large data: the share that its matrix products, six operations
   for each weight and row, reach of the rate of a plain float32 product of 128 x 784 by 784 x 512. They alternate, in
   one process; so does the loop by hand, at the same batch size, plain and with a fused optimiser.
2. `transform` against the bare module's forward on the same rows, made a tensor and read back; its memory on a million.
3. GridSearchCV, 12 fits, `n_jobs=2` against 1, one thread a fit in both, workers warm.
"""

import argparse
import contextlib
import time

import numpy as np
import torch
from _systems import Net
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import Autoencoder

SIZES = (784, 512, 256, 32)
ROWS, EPOCHS = 10_000, 3
BATCH = 256


@contextlib.contextmanager
def stopwatch(times):
    """Append the seconds of a block."""
    start = time.perf_counter()
    yield
    times.append(time.perf_counter() - start)


def made_up(n, d, k=32):
    """Rows on a curved surface, with noise: (n, d) in float32."""
    rng = np.random.default_rng(0)
    X = np.tanh(rng.standard_normal((n, k), dtype=np.float32)) @ rng.standard_normal((k, d), dtype=np.float32)
    return X + 0.1 * rng.standard_normal((n, d), dtype=np.float32)


def matrix_rate():
    """Floating-point operations a second of the plain product."""
    a, b, times = torch.randn(128, 784), torch.randn(784, 512), []
    for _ in range(20):
        with stopwatch(times):
            for _ in range(20):
                a @ b
    return 20 * 2 * 128 * 784 * 512 / np.median(times)


def by_hand(X, optimizer, **kwargs):
    """Seconds of an epoch of the loop that one would write, for the net that Autoencoder trains."""
    rows, net = torch.tensor(X), Net(SIZES, linear=True, activation=nn.GELU)
    optimizer, times = optimizer(net.parameters(), lr=1e-3, **kwargs), []
    for _ in range(EPOCHS):
        with stopwatch(times):
            for index in torch.randperm(len(rows)).split(BATCH):
                loss = nn.functional.mse_loss(net(rows[index]), rows[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return np.median(times)


def ours(X):
    """Seconds of an epoch of Autoencoder, the held-out rows included."""
    times = []
    for n_epochs in (1, 1 + EPOCHS):
        with stopwatch(times):
            Autoencoder(32, hidden_layer_sizes=SIZES[1:-1], max_iter=n_epochs, random_state=0).fit(X)
    return (times[1] - times[0]) / EPOCHS


def training(rounds):
    """Part 1."""
    n_weights = sum(p.numel() for p in Net(SIZES, linear=True).parameters() if p.dim() == 2)
    X = made_up(ROWS + 1_000, 784)  # of which Autoencoder holds out 1,000
    systems = {
        "Autoencoder": lambda: ours(X),
        "by hand, Adam": lambda: by_hand(X[:ROWS], torch.optim.Adam),
        "by hand, fused AdamW": lambda: by_hand(X[:ROWS], torch.optim.AdamW, fused=True),
    }
    shares = {name: [] for name in systems}
    for _ in range(rounds):
        for name, seconds in systems.items():
            before = matrix_rate()
            spent = seconds()
            rate = 6 * n_weights * ROWS / spent
            shares[name].append(rate / np.mean([before, matrix_rate()]))
    for name, share in shares.items():
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
            print(f"  {'-'.join(map(str, sizes)):16s} {n:9,d} rows, {rows.dtype}: {ratio:.2f} of the bare module")
            del codes
            print(f"    memory beyond rows and codes: {extra_memory(fitted, rows):.0f} MB")


def extra_memory(fitted, rows):
    """Growth of anonymous memory while rows are encoded, beyond the codes: MB at the peak."""
    import threading

    def anonymous():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024

    peak, done = anonymous(), threading.Event()
    before = peak

    def watch():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    codes = fitted.transform(rows)
    done.set()
    thread.join()
    return max(0, peak - before - codes.nbytes / 2**20)


def search(rounds):
    """Part 3."""
    X = load_digits().data
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


def main():
    """Run the three parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours(made_up(5_000, 784))  # what torch loads at the first step is nobody's time
    print(f"{args.threads} threads, medians of {args.rounds}")
    print(f"share of the matrix product's rate in training, batches of {BATCH}")
    training(args.rounds)
    print("transform")
    transform(args.rounds)
    print("GridSearchCV of 12 fits, one process and two")
    search(min(args.rounds, 5))


if __name__ == "__main__":
    main()
