"""Speed of Autoencoder and other systems: epochs, time to a test R², encoded samples per second, and memory.

    python docs/benchmarks/speed.py [--rounds 5] [--threads 2] [--parts 1 2 3 4] [--systems "hand-written" ...]
        [--against PATH]

Each system has a separate process; in each round they alternate. Medians are printed, and ratios are medians of the
rounds' ratios. Keras, PyOD and Pythae are skipped if they are not installed.

1. Epochs: (a fit of 1 + m epochs minus a fit of one) / m, with the same number of training samples for each; the time
   that Autoencoder spends on its validation samples is included. "hand-written, same net" has linear branches and GELU,
   as Autoencoder.
2. Fashion-MNIST, 20,000 samples, 784-512-256-32: seconds to the test R² of the hand-written loop after 10 epochs, by a
   whole fit of the smallest sufficient number of epochs; and seconds to PCA's test R², relative to a fit of PCA plus
   an epoch of skae, or of another checkout if its path is given.
3. Test samples encoded per second, and the increase of peak memory of the process by these fits.
4. Bfloat16: part 1 for the wide network in batches of 128 and 256, default, `mixed_precision="auto"` and hand-written
   in float32; and the time of an epoch with `mixed_precision=True` relative to float32, as a function of the number of
   multiply-adds of the largest matrix product in a step.
"""

import argparse
import platform
import resource
import time
from pathlib import Path

import numpy as np
import torch
from _fashion_mnist import load
from _measure import Process, make_curved_data, of_checkout, r2
from _systems import SYSTEMS
from sklearn.decomposition import PCA

from skae import Autoencoder

NETS = {  # sizes, samples, m
    "784-512-256-32": ((784, 512, 256, 32), 6_000, 4),
    "30-64-16": ((30, 64, 16), 6_000, 15),
    "10-32-2": ((10, 32, 2), 6_000, 15),
}
N_VALIDATION = 1_000  # size of Autoencoder's validation set for more than 5,000 samples
EPOCHS_TRIED = (1, 2, 4, 7, 10, 15)
BFLOAT16_NETS = (
    (64, 64, 8),
    (64, 128, 8),
    (128, 256, 16),
    (256, 256, 128, 32),
    (256, 512, 256, 32),
    (784, 512, 256, 32),
)


def scaled(X):
    """Return samples scaled to [0, 1]."""
    return (X - X.min()) / np.ptp(X)


class Worker:
    """Worker in the process of a system."""

    def __init__(self, name, threads):
        torch.set_num_threads(threads)
        self.ours, self.system = name.startswith("Autoencoder"), SYSTEMS[name]
        self.train, self.test = load("train")[:20_000], load("t10k")
        self.system(2, (784, 8, 2), 1, 100).fit(self.train[:5000])  # warm up lazy imports
        self.memory_before = self._memory()

    @staticmethod
    def _memory():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def epoch(self, net, batch_size=128):
        """Return seconds per epoch."""
        sizes, n, m = NETS[net]
        n += N_VALIDATION * self.ours
        X = self.train[:n] if sizes[0] == 784 else scaled(make_curved_data(n, sizes[0], sizes[-1]))
        seconds = []
        for n_epochs in (1, 1 + m):
            start = time.perf_counter()
            self.system(sizes[-1], sizes, n_epochs, batch_size).fit(X)
            seconds.append(time.perf_counter() - start)
        return (seconds[1] - seconds[0]) / m

    def fit(self, n_epochs, seed):
        """Return seconds of a fit on Fashion-MNIST, and its test R²."""
        sizes, batch_size = (None, None) if self.ours else ((784, 512, 256, 32), 128)  # its default widths are the same
        start = time.perf_counter()
        self.fitted = self.system(32, sizes, n_epochs, batch_size, seed).fit(self.train)
        seconds = time.perf_counter() - start
        return seconds, r2(self.test, self.fitted.reconstruct(self.test))

    def in_bfloat16(self, sizes, batch_size):
        """Return the processor time of an epoch in bfloat16, relative to float32."""
        X, seconds = scaled(make_curved_data(2_500 + 8 * batch_size, sizes[0], sizes[-1])), {}
        for mixed in (False, True):
            for n_epochs in (1, 3):
                settings = {"batch_size": batch_size, "max_iter": n_epochs, "mixed_precision": mixed}
                start = time.process_time()
                Autoencoder(sizes[-1], hidden_layer_sizes=sizes[1:-1], random_state=0, **settings).fit(X)
                seconds[mixed, n_epochs] = time.process_time() - start
        return (seconds[True, 3] - seconds[True, 1]) / (seconds[False, 3] - seconds[False, 1])

    def encoded(self):
        """Return samples encoded per second, and the increase of memory in MB."""
        start = time.perf_counter()
        if hasattr(self.fitted, "transform"):
            self.fitted.transform(self.test)
        else:
            start = np.nan
        return len(self.test) / (time.perf_counter() - start), self._memory() - self.memory_before


def pca(train, test):
    """Return seconds of PCA's fit, and its test R²."""
    start = time.perf_counter()
    fitted = PCA(32, random_state=0).fit(train)
    return time.perf_counter() - start, r2(test, fitted.inverse_transform(fitted.transform(test)))


def in_turns(processes, rounds, *call):
    """Return the results of a call for each system, one per round."""
    results = {name: [] for name in processes}
    for _ in range(rounds):
        for name, process in processes.items():
            results[name].append(process(*call))
    return {name: np.array(of_name) for name, of_name in results.items()}


def epochs(processes, rounds):
    """Run part 1."""
    print(f"\n{'milliseconds per epoch of 6,000 samples':40s}" + "".join(f"{net:>24s}" for net in NETS))
    seconds = {net: in_turns(processes, rounds, "epoch", net) for net in NETS}
    for name in processes:
        columns = [(np.median(of[name]), np.median(of[name] / of["hand-written, same net"])) for of in seconds.values()]
        print(f"{name:40s}" + "".join(f"{1e3 * median:15.0f}   x{ratio:5.2f}" for median, ratio in columns))


def until(processes, rounds, target, seconds_of_reference):
    """Print the seconds of each system to reach a test R², with the smallest sufficient number of epochs."""
    n_epochs = {
        name: next((n for n in EPOCHS_TRIED if process("fit", n, 0)[1] >= target), None)
        for name, process in processes.items()
    }
    runs, reference = {name: [] for name, n in n_epochs.items() if n}, []
    for seed in range(rounds):
        reference.append(seconds_of_reference(seed))
        for name, of_name in runs.items():
            of_name.append(processes[name]("fit", n_epochs[name], seed))
    for name, n in n_epochs.items():
        if n is None:
            print(f"  {name:24s} not in {EPOCHS_TRIED[-1]} epochs")
            continue
        seconds, scores = np.array(runs[name]).T
        share = np.median(seconds / reference)
        print(f"  {name:24s} {np.median(seconds):7.2f} s, {n:2d} epochs, R² {np.median(scores):.4f}, x{share:.3f}")


def race(processes, rounds, threads, other):
    """Run part 2; epochs of the process `other` are compared with PCA."""
    torch.set_num_threads(threads)
    train, test = load("train")[:20_000], load("t10k")
    hand_written, ours = processes["hand-written"], processes["Autoencoder"]
    target = hand_written("fit", 10, 0)[1]
    print(f"\nSeconds to the test R² of the hand-written loop after 10 epochs, {target:.4f}, relative to the loop's")
    others = {name: process for name, process in processes.items() if process is not hand_written}
    until(others, rounds, target, lambda seed: hand_written("fit", 10, seed)[0])

    def pca_and_an_epoch(seed):
        epoch = (other("fit", 4, seed)[0] - other("fit", 1, seed)[0]) / 3
        return pca(train, test)[0] + epoch

    seconds, target = np.median([pca(train, test) for _ in range(rounds)], axis=0)
    print(f"\nSeconds to PCA's test R², {target:.4f}, relative to PCA's fit ({seconds:.2f} s) plus an epoch")
    until({"Autoencoder": ours}, rounds, target, pca_and_an_epoch)


def bfloat16(processes, rounds):
    """Run part 4."""
    print(f"\n{'milliseconds per epoch, 784-512-256-32':40s}{'batches of 128':>24s}{'batches of 256':>24s}")
    names = ("Autoencoder", 'Autoencoder, mixed_precision="auto"', "hand-written, same net", "hand-written")
    some = {name: processes[name] for name in names}
    seconds = {size: in_turns(some, rounds, "epoch", "784-512-256-32", size) for size in (128, 256)}
    for name in names:
        columns = [(np.median(of[name]), np.median(of[name] / of["hand-written, same net"])) for of in seconds.values()]
        print(f"{name:40s}" + "".join(f"{1e3 * median:15.0f}   x{ratio:5.2f}" for median, ratio in columns))
    print(f"\n{'batch x net':32s}{'largest product':>16s}{'bfloat16 / float32':>20s}")
    for sizes in BFLOAT16_NETS:
        for batch in (32, 128, 512):
            ratio = np.median([processes["Autoencoder"]("in_bfloat16", sizes, batch) for _ in range(rounds)])
            largest = np.log2(batch * max(np.multiply(sizes[1:], sizes[:-1])))
            print(f"{f'{batch} x ' + '-'.join(map(str, sizes)):32s}{f'2**{largest:.1f}':>16s}{ratio:20.2f}")


def main():
    """Run the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--parts", nargs="*", type=int, default=[1, 2, 3, 4])
    parser.add_argument("--systems", nargs="*", default=[name for name, of in SYSTEMS.items() if of.installed()])
    parser.add_argument("--against", type=Path)
    args = parser.parse_args()
    processes = {name: Process(Worker, name, args.threads) for name in args.systems}
    print(f"{args.threads} threads, medians of {args.rounds}, {platform.machine()}, torch {torch.__version__}")
    if 1 in args.parts:
        epochs(processes, args.rounds)
    if 2 in args.parts:
        other = processes["Autoencoder"]
        if args.against:
            other = of_checkout(args.against.resolve(), Worker, "Autoencoder", args.threads)
        race(processes, args.rounds, args.threads, other)
    if 4 in args.parts:
        bfloat16(processes, args.rounds)
    if 3 in args.parts:
        print(f"\n{'':24s}{'samples per second':>24s}{'memory of fits, MB':>24s}")
        for process in processes.values():
            process("fit", 1, 0)
        for name, of_name in in_turns(processes, args.rounds, "encoded").items():
            print(f"{name:24s}" + "".join(f"{value:24,.0f}" for value in np.median(of_name, axis=0)))


if __name__ == "__main__":
    main()
