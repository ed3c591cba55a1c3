"""ContractiveAutoencoder on Fashion-MNIST: effect of `alpha`, and cost of an epoch.

    python docs/benchmarks/contractive.py [--rows 10000]

32 components, other parameters default. The cost is the time of an epoch, including the validation set, relative to a
plain autoencoder with the same network; the two alternate, and medians are printed.
"""

import argparse
import time

import numpy as np
from _fashion_mnist import load
from sklearn.base import clone

from skae import Autoencoder, ContractiveAutoencoder


def seconds(estimator, X):
    """Return seconds per epoch, from the difference of fits of four epochs and of one."""

    def of_fit(max_iter):
        start = time.perf_counter()
        clone(estimator).set_params(max_iter=max_iter).fit(X)
        return time.perf_counter() - start

    return (of_fit(4) - of_fit(1)) / 3


def main():
    """Print the table and the costs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    X, test = load("train")[: arguments.rows], load("t10k")

    plain = Autoencoder(32, random_state=0).fit(X)
    print(f"{arguments.rows} samples, plain: test R² {plain.score(test):.4f}")
    for alpha in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0):
        contractive = ContractiveAutoencoder(32, alpha=alpha, random_state=0).fit(X)
        share = contractive.contraction(test[:1000]).mean()
        print(f"  alpha {alpha:<6g} contraction {share:9.4f}   test R² {contractive.score(test):.4f}", flush=True)

    parameters = {"batch_size": 128, "random_state": 0}
    for name, layers, activation in (("one layer", (), "logistic"), ("deep", (512, 256), "identity")):
        shared = parameters | {"hidden_layer_sizes": layers, "code_activation": activation}
        ratios = [
            seconds(ContractiveAutoencoder(32, **shared), X) / seconds(Autoencoder(32, **shared), X)
            for _ in range(arguments.repeats)
        ]
        low, high = min(ratios), max(ratios)
        print(f"time per epoch, contractive / plain, {name}: {np.median(ratios):.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
