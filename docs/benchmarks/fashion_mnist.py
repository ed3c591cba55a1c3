"""Compare Autoencoder on Fashion-MNIST, with default parameters, with PCA and a hand-written loop.

    python docs/benchmarks/fashion_mnist.py [--repeats 3]

1. 20,000 training samples, 32 components: test R², and time relative to a hand-written PyTorch loop (784-512-256-32,
   ReLU, Adam, batches of 128, 10 epochs). The two alternate, and medians are printed.
2. 64 components, where usual autoencoders are worse than PCA.
3. Code of 30, the first 55,000 images for training and the last 5,000 for validation: mean squared error on [0, 1].
   Published: .0132 (stacked dense), .0104 (best, LSTM): Géron, Hands-On Machine Learning, 3rd ed., chapter 17.
"""

import argparse
import time

import numpy as np
import torch
from _fashion_mnist import load
from _measure import r2
from _systems import HandWritten
from sklearn.decomposition import PCA

from skae import Autoencoder


def hand_written(train, test, k, seed):
    """Fit the hand-written loop; return its test R² and seconds."""
    start = time.perf_counter()
    loop = HandWritten(k, seed=seed).fit(train)
    seconds = time.perf_counter() - start
    return r2(test, loop.reconstruct(test)), seconds


def ours(train, test, k, seed):
    """Fit Autoencoder; return its test R² and seconds."""
    start = time.perf_counter()
    autoencoder = Autoencoder(k, random_state=seed).fit(train)
    return autoencoder.score(test), time.perf_counter() - start


def pca(train, test, k, seed):
    """Fit PCA; return its test R² and seconds."""
    start = time.perf_counter()
    fitted = PCA(k, random_state=seed).fit(train)
    seconds = time.perf_counter() - start
    return r2(test, fitted.inverse_transform(fitted.transform(test))), seconds


def main():
    """Run the three parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    images, test = load("train"), load("t10k")
    for system in (hand_written, ours):  # warm-up: torch imports modules at the first step
        system(images[:2000], test[:100], 2, 0)
    print(f"{torch.get_num_threads()} threads, medians of {repeats}, alternating")

    for k in (32, 64):
        systems = {"PCA": pca, "hand-written": hand_written, "Autoencoder": ours}
        runs = {name: [] for name in systems}
        for seed in range(repeats):
            for name, system in systems.items():
                runs[name].append(system(images[:20_000], test, k, seed))
        print(f"20,000 samples, {k} components")
        for name, results in runs.items():
            scores, seconds = np.array(results).T
            print(
                f"  {name:12s} test R² {np.median(scores):.4f} ({scores.min():.4f} to {scores.max():.4f})   "
                f"{np.median(seconds):6.2f} s"
            )
        ratio = np.median([a[1] / b[1] for a, b in zip(runs["Autoencoder"], runs["hand-written"], strict=True)])
        print(f"  time of Autoencoder / hand-written, median of the pairs: {ratio:.2f}")

    train, validation = images[:55_000], images[55_000:]
    start = time.perf_counter()
    autoencoder = Autoencoder(30, random_state=0).fit(train)
    seconds = time.perf_counter() - start
    fitted = PCA(30, random_state=0).fit(train)
    for name, X_hat in (
        ("PCA", fitted.inverse_transform(fitted.transform(validation))),
        ("Autoencoder", autoencoder.reconstruct(validation)),
    ):
        print(f"55,000 samples, code 30, {name}: validation MSE {np.square(X_hat - validation).mean():.5f}")
    print(f"  {autoencoder.n_iter_} epochs, {seconds:.1f} s")


if __name__ == "__main__":
    main()
