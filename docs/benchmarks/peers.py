"""Default fits: test R² and seconds of Autoencoder and of other libraries, on six data sets.

    python docs/benchmarks/peers.py [--rounds 3] [--threads 2] [--data iris ...] [--systems "hand-written" ...]

Features are scaled to [0, 1], which some systems require; a quarter is the test set. Each system has its default
parameters; the hand-written loop, skorch and Keras, which have none, use d-512-256-k with ReLU, Adam, batches of 128
and 10 epochs (100 below 10,000 samples). Each system has a separate process; they alternate, and medians are printed.

    python docs/benchmarks/peers.py --against PATH [--rounds 5] [--threads 1] [--data iris ...]

Compares this checkout with another one of any commit: processor seconds of default fits, and mean test R², of raw and
of scaled samples.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from _fashion_mnist import load
from _measure import Process, of_checkout, r2
from _systems import SYSTEMS
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

N_COMPONENTS = {"iris": 2, "wine": 4, "diabetes": 4, "breast_cancer": 4, "digits": 8, "fashion": 32}


def split(name, seed, *, scales=True):
    """Return training and test samples, scaled or not."""
    X = load("train")[:26_667] if name == "fashion" else getattr(datasets, f"load_{name}")().data
    train, test = train_test_split(X, random_state=seed)
    if not scales:
        return train, test
    scaler = MinMaxScaler(clip=True).fit(train)
    return scaler.transform(train).astype(np.float32), scaler.transform(test).astype(np.float32)


class Peer:
    """Worker in the process of a system."""

    def __init__(self, name, threads):
        torch.set_num_threads(threads)
        self.system = SYSTEMS[name]
        self.system(2).fit(split("iris", 0)[0])  # warm up lazy imports

    def fit(self, name, seed, scales=True, clock=time.perf_counter):
        """Return test R² and seconds of a fit."""
        train, test = split(name, seed, scales=scales)
        start = clock()
        fitted = self.system(N_COMPONENTS[name], seed=seed).fit(train)
        seconds = clock() - start
        X_hat = fitted.reconstruct(test)
        return r2(test, X_hat) if np.isfinite(X_hat).all() else np.nan, seconds


def against(path, args):
    """Compare two checkouts; print two lines for each data set."""
    both = path, Path(__file__).resolve().parents[2]
    processes = [of_checkout(each, Peer, "Autoencoder", args.threads) for each in both]
    print(f"{args.threads} threads, {args.rounds} splits: mean test R² and median processor seconds of both")
    for data in args.data:
        for scales in (False, True):
            call = scales, time.process_time
            runs = np.array([[fit("fit", data, seed, *call) for fit in processes] for seed in range(args.rounds)])
            scores, seconds = runs.mean(axis=0)[:, 0], runs[:, :, 1]
            ratio, (before, now) = np.median(seconds[:, 1] / seconds[:, 0]), np.median(seconds, axis=0)
            print(
                f"{data + ', scaled' * scales:22s} R² {scores[0]:.4f} {scores[1]:.4f} ({scores[1] - scores[0]:+.4f})   "
                f"{before:.2f} s {now:.2f} s, x{ratio:.2f}",
                flush=True,
            )


def main():
    """Print a table for each data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--data", nargs="*", default=list(N_COMPONENTS))
    others = ("hand-written, same net", 'Autoencoder, mixed_precision="auto"')  # only in speed.py
    installed = [name for name, system in SYSTEMS.items() if system.installed() and name not in others]
    parser.add_argument("--systems", nargs="*", default=installed)
    parser.add_argument("--against", type=Path)
    args = parser.parse_args()
    if args.against:
        against(args.against.resolve(), args)
        return
    names = args.systems
    processes = {name: Process(Peer, name, args.threads) for name in names}
    print(f"{args.threads} threads, medians of {args.rounds}: test R² and seconds")
    for data in args.data:
        k, linear, runs = N_COMPONENTS[data], [], {name: [] for name in names}
        for seed in range(args.rounds):
            train, test = split(data, seed)
            pca = PCA(k).fit(train)
            linear.append(r2(test, pca.inverse_transform(pca.transform(test))))
            for name, process in processes.items():
                runs[name].append(process("fit", data, seed))
        results = {name: np.median(of_name, axis=0) for name, of_name in runs.items()}
        print(f"{data}, {k} components: PCA {np.median(linear):.4f}")
        for name, (score, seconds) in results.items():
            print(f"  {name:22s} {score:8.4f} {seconds:8.2f} s")
        ours, spent = results.pop("Autoencoder")
        best = max(results, key=lambda name: np.nan_to_num(results[name][0], nan=-np.inf))
        score, theirs = results[best]
        print(
            f"  R² {ours - score:+.4f} relative to the best other, {best}, in {spent / theirs:.2f} of its time",
            flush=True,
        )


if __name__ == "__main__":
    main()
