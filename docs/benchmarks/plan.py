"""What 1e9 samples of 1,000 features would cost on k workers of one core: arithmetic from rates measured here.

    python docs/benchmarks/plan.py [--rounds 3]

Measured on made-up float32 samples, 32 components, everything else by default: seconds of the processor, one thread,
that a sample takes, which other programs alter less than those of a clock, in training (two epochs more of a fit,
batches of 256), in `partial_fit` and in `transform`; the bytes of the gradient; the rate at which a file that is in no
cache is read; the peak of memory of a fit to a memory map of two million samples, of which nearly all is their order.

Computed: seconds a step on k workers of 256 samples each, the gradient being summed by a ring all-reduce, which sends
2 (k - 1) / k times its bytes to and from each worker, in 2 (k - 1) turns of `latency` seconds, and with no overlap of
sending and computing; what passes over the samples take; what samples and codes weigh. No network was measured.
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
    """Append the processor's seconds of a block."""
    start = time.process_time()
    yield
    times.append(time.process_time() - start)


def rates(X, rounds):
    """Seconds a sample of training, `partial_fit`, `transform`; bytes of the gradient."""
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
    n_trained = 0.9 * len(X)  # a tenth is held out
    n_bytes = 4 * sum(weight.numel() for weight in streaming._modules["float32"].parameters())
    epoch = np.median(np.subtract(many, few)) / 2
    return epoch / n_trained, np.median(stream) / len(X), np.median(encode) / len(X), n_bytes


def reading(X):
    """Bytes a second from the disk, by a file that the system has let go of."""
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
    """Bytes a sample that a fit to a memory map takes at its peak."""
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
    """Seconds in the unit that suits."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def main():
    """Measure, compute, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=50e-6)
    args = parser.parse_args()
    torch.set_num_threads(1)
    Autoencoder(4, max_iter=1).fit(make_curved_data(1_000, 100, K))  # what is loaded at the first step
    bytes_a_row = order()  # before anything else has left memory behind
    train = make_curved_data(ROWS, D, K)
    row, stream, encode, gradient = rates(train, args.rounds)
    print(
        f"measured: training {1e6 * row:.0f} us a sample ({1e3 * BATCH * row:.0f} ms a step of {BATCH} samples), ",
        end="",
    )
    print(f"partial_fit {1e6 * stream:.0f} us, transform {1e6 * encode:.1f} us; gradient {gradient / 1e6:.1f} MB")
    print(f"the disk: {reading(np.tile(train, (10, 1))) / 1e6:.0f} MB/s")
    print(
        f"{N:.0e} samples: {4 * N * D / 1e12:.0f} TB of float32, codes {4 * N * K / 1e9:.0f} GB; a worker in training "
    )
    print(f"  reads {4 * D / row / 1e6:.0f} MB/s, one in transform {4 * D / encode / 1e6:.0f} MB/s")
    print(f"fit takes at most {bytes_a_row:.0f} bytes a sample, nearly all for their order")
    compute = BATCH * row
    print("\nan epoch, 256 samples a step on each worker: time, and fraction of the time that is computing")
    for k in WORKERS:
        cells = []
        for gigabits in GIGABITS:
            reduce = 2 * (k - 1) / k * gradient * 8 / (gigabits * 1e9) + 2 * (k - 1) * args.latency
            cells.append(f"{spell(N / (BATCH * k) * (compute + reduce)):>9s} {compute / (compute + reduce):4.0%}")
        print(f"  {k:5d} workers, {N // (BATCH * k):9,d} steps: " + ", ".join(cells), end="")
        print(f"; transform {spell(N * encode / k)}; reading {4 * D / row * k / 1e9:.2f} GB/s in training")
    for gigabits in GIGABITS:
        # a batch of 256 samples split among k: computing is compute / k, sending stays
        most = compute / (2 * gradient * 8 / (gigabits * 1e9))
        print(f"{gigabits} Gbit/s: one batch of {BATCH} split among k: half the time is sending from k = {most:.1f}")
    print(f"\npartial_fit, one pass, one worker: {spell(N * stream)}")
    print(f"fit on 1e6 samples, 9 epochs: {spell(9e6 * row)}, 4 GB; transform of all on k workers: as above")


if __name__ == "__main__":
    main()
