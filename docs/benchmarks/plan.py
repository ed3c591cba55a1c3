"""Estimate the cost of 1e9 samples of 1,000 features on k workers of one core, from rates measured here.

    python docs/benchmarks/plan.py [--rounds 3]

Measured on synthetic float32 samples, 32 components, other parameters default: processor seconds per sample on one
thread, which other processes affect less than wall-clock time, for training (two more epochs of a fit, batches of 256),
for `partial_fit` and for `transform`; the size of the gradient; the rate of reading an uncached file; the peak memory
of a fit to a memory map of two million samples, of which most is their order.

Computed: seconds per step on k workers of 256 samples each. The gradient is summed by a ring all-reduce, which sends
2 (k - 1) / k times its size to and from each worker, in 2 (k - 1) messages with a latency of `latency` seconds, without
overlap of communication and computation. Also the duration of passes over the samples, and the size of samples and
codes. No network was measured.
"""

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _measure import Peak, make_curved_data

from skae import Autoencoder

N, D, K = 10**9, 1_000, 32
ROWS, BATCH = 10_000, 256
WORKERS = (1, 4, 16, 64, 256, 1024)
GIGABITS = (1, 10, 100)


@contextlib.contextmanager
def processor(times):
    """Append the processor time of a block in seconds."""
    start = time.process_time()
    yield
    times.append(time.process_time() - start)


def rates(X, rounds):
    """Return seconds per sample of training, `partial_fit` and `transform`, and bytes of the gradient."""
    few, many, stream, encode = [], [], [], []
    fit = {"early_stopping": False, "batch_size": BATCH, "random_state": 0}
    streaming = Autoencoder(K, random_state=0).partial_fit(X)
    for _ in range(rounds):
        with processor(few):
            Autoencoder(K, max_iter=1, **fit).fit(X)
        with processor(many):
            Autoencoder(K, max_iter=3, **fit).fit(X)
        with processor(stream):
            streaming.partial_fit(X)
        with processor(encode):
            streaming.transform(X)
    n_trained = 0.9 * len(X)  # a tenth is the validation set
    n_bytes = 4 * sum(weight.numel() for weight in streaming._modules["float32"].parameters())
    epoch = np.median(np.subtract(many, few)) / 2
    return epoch / n_trained, np.median(stream) / len(X), np.median(encode) / len(X), n_bytes


def reading(X):
    """Return the rate of reading an uncached file from the disk, in bytes per second."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        np.save(path, X)
        with path.open("rb", buffering=0) as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            start = time.perf_counter()
            while file.read(2**22):
                pass
            return X.nbytes / (time.perf_counter() - start)


def order():
    """Return the peak memory of a fit to a memory map, in bytes per sample."""
    n, d = 2 * 10**6, 100  # too many for a copy in memory
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
        for start in range(0, n, 10**5):
            rows[start : start + 10**5] = make_curved_data(10**5, d, K)
        rows.flush()
        with Peak("RssAnon") as peak:
            fit = {"hidden_layer_sizes": 16, "max_iter": 1, "batch_size": 4096, "random_state": 0}
            Autoencoder(4, **fit).fit(np.load(path, mmap_mode="r"))
    return 1e6 * peak.above / n


def spell(seconds):
    """Format seconds in a suitable unit."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def main():
    """Measure rates, and print the computed costs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=50e-6)
    args = parser.parse_args()
    torch.set_num_threads(1)
    Autoencoder(4, max_iter=1).fit(make_curved_data(1_000, 100, K))  # warm-up: torch imports modules at the first step
    bytes_per_sample = order()  # first, since other fits leave memory allocated
    train = make_curved_data(ROWS, D, K)
    row, stream, encode, gradient = rates(train, args.rounds)
    print(
        f"measured: training {1e6 * row:.0f} us per sample ({1e3 * BATCH * row:.0f} ms per step of {BATCH} samples), ",
        end="",
    )
    print(f"partial_fit {1e6 * stream:.0f} us, transform {1e6 * encode:.1f} us; gradient {gradient / 1e6:.1f} MB")
    print(f"disk: {reading(np.tile(train, (10, 1))) / 1e6:.0f} MB/s")
    print(f"{N:.0e} samples: {4 * N * D / 1e12:.0f} TB of float32, codes {4 * N * K / 1e9:.0f} GB; a worker ")
    print(f"  reads {4 * D / row / 1e6:.0f} MB/s in training and {4 * D / encode / 1e6:.0f} MB/s in transform")
    print(f"fit takes at most {bytes_per_sample:.0f} bytes per sample, most of it for their order")
    compute = BATCH * row
    print("\none epoch, 256 samples per step and worker: time, and fraction of it that is computation")
    for k in WORKERS:
        columns = []
        for gigabits in GIGABITS:
            reduce = 2 * (k - 1) / k * gradient * 8 / (gigabits * 1e9) + 2 * (k - 1) * args.latency
            columns.append(f"{spell(N / (BATCH * k) * (compute + reduce)):>9s} {compute / (compute + reduce):4.0%}")
        print(f"  {k:5d} workers, {N // (BATCH * k):9,d} steps: " + ", ".join(columns), end="")
        print(f"; transform {spell(N * encode / k)}; reading {4 * D / row * k / 1e9:.2f} GB/s in training")
    for gigabits in GIGABITS:
        # a batch of 256 samples split among k: computation takes compute / k, communication is constant
        most = compute / (2 * gradient * 8 / (gigabits * 1e9))
        print(f"{gigabits} Gbit/s: one batch of {BATCH} split among k: communication takes half at k = {most:.1f}")
    print(f"\npartial_fit, one pass, one worker: {spell(N * stream)}")
    print(f"fit on 1e6 samples, 9 epochs: {spell(9e6 * row)}, 4 GB; transform of all samples on k workers: as above")


if __name__ == "__main__":
    main()
