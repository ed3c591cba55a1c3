"""Default fits: test R² and seconds of Autoencoder and of its peers, on six data sets.

    python docs/benchmarks/peers.py [--rounds 3] [--threads 2] [--data iris ...]

All rows are scaled to [0, 1] feature by feature, for some peers can't do without; a quarter is the test set. Each
system is at its defaults; a loop by hand, skorch and Keras, which have none, are d-512-256-k with ReLU, Adam, batches
of 128 and 10 epochs (100 below 10,000 rows). One process a system, taking turns, medians.
"""

import argparse
import time

import numpy as np
import torch
from _fashion_mnist import load
from _systems import SYSTEMS
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler
from speed import Process

N_COMPONENTS = {"iris": 2, "wine": 4, "diabetes": 4, "breast_cancer": 4, "digits": 8, "fashion": 32}


def split(name, seed):
    """Training and test rows, scaled."""
    X = load("train")[:26_667] if name == "fashion" else getattr(datasets, f"load_{name}")().data
    train, test = train_test_split(X, random_state=seed)
    scaler = MinMaxScaler(clip=True).fit(train)
    return scaler.transform(train).astype(np.float32), scaler.transform(test).astype(np.float32)


class Peer:
    """What runs in a system's process."""

    def __init__(self, name, threads):
        torch.set_num_threads(threads)
        self.system = SYSTEMS[name]
        self.system(2).fit(split("iris", 0)[0])  # loads what is loaded once

    def fit(self, name, seed):
        """Test R² and seconds."""
        train, test = split(name, seed)
        start = time.perf_counter()
        fitted = self.system(N_COMPONENTS[name], seed=seed).fit(train)
        seconds = time.perf_counter() - start
        return r2_score(test, fitted.reconstruct(test), multioutput="variance_weighted"), seconds


def main():
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--data", nargs="*", default=list(N_COMPONENTS))
    args = parser.parse_args()
    names = [name for name, system in SYSTEMS.items() if system.installed() and name != "by hand, same net"]
    processes = {name: Process(name, args.threads, Peer) for name in names}
    print(f"{args.threads} threads, medians of {args.rounds}: test R² and seconds")
    print(f"{'':22s}" + "".join(f"{name:>18s}" for name in args.data))
    results = {name: {} for name in names}
    of_pca = {}
    for data in args.data:
        k = N_COMPONENTS[data]
        runs = {name: [] for name in names}
        linear = []
        for seed in range(args.rounds):
            train, test = split(data, seed)
            pca = PCA(k).fit(train)
            linear.append(r2_score(test, pca.inverse_transform(pca.transform(test)), multioutput="variance_weighted"))
            for name, process in processes.items():
                runs[name].append(process("fit", data, seed))
        of_pca[data] = np.median(linear)
        for name in names:
            results[name][data] = np.median(runs[name], axis=0)
    print(f"{'PCA':22s}" + "".join(f"{score:10.4f}        " for score in of_pca.values()))
    for name in names:
        cells = (f"{score:10.4f} {seconds:5.2f} s" for score, seconds in results[name].values())
        print(f"{name:22s}" + "".join(cells))
    for data in args.data:
        ours, seconds = results["Autoencoder"][data]
        peers = {name: of_data[data] for name, of_data in results.items() if name != "Autoencoder"}
        best = max(peers, key=lambda name: peers[name][0])
        score, theirs = peers[best]
        print(f"{data}: R² {ours - score:+.4f} against the best peer, {best}, in {seconds / theirs:.2f} of its time")


if __name__ == "__main__":
    main()
