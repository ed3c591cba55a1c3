"""Compare dense, convolutional and recurrent autoencoders on Fashion-MNIST with a code of 30.

    python docs/benchmarks/architectures.py [--rows 55000] [--networks dense convolutional lstm]

Networks are trained on the first images of the training set and evaluated on its last 5,000: mean squared error on
[0, 1]. Published for 55,000 samples: .0132 (dense), .0121 (convolutional), .0104 (LSTM on samples): Géron, Hands-On
Machine Learning, 3rd ed., chapter 17. The dense network is also trained for as long as each of the others took.
"""

import argparse
import time

import numpy as np
from _fashion_mnist import load

from skae import Autoencoder, ConvolutionalAutoencoder, LSTMAutoencoder

NETWORKS = {"dense": Autoencoder, "convolutional": ConvolutionalAutoencoder, "lstm": LSTMAutoencoder}


def fit(name, train, validation, **parameters):
    """Fit a network, print its validation error, and return the number of epochs and seconds."""
    start = time.perf_counter()
    autoencoder = NETWORKS[name](30, random_state=0, **parameters).fit(train)
    seconds = time.perf_counter() - start
    error = np.square(autoencoder.reconstruct(validation) - validation, dtype=np.float64).mean()
    print(
        f"{name:14s} MSE {error:.5f}   epoch {autoencoder.best_epoch_} of {autoencoder.n_iter_}, {seconds:.0f} s",
        flush=True,
    )
    return autoencoder.n_iter_, seconds


def main():
    """Print one line per fit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=55_000)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--max-iter", type=int, default=None)
    arguments = parser.parse_args()
    images = load("train")
    train, validation = images[: arguments.rows], images[55_000:]
    budget = {} if arguments.max_iter is None else {"max_iter": arguments.max_iter}
    n_epochs, dense_seconds = fit("dense", train, validation)
    for name in arguments.networks:
        if name != "dense":
            _, seconds = fit(name, train, validation, **budget)
            fit("dense", train, validation, max_iter=max(1, round(n_epochs * seconds / dense_seconds)))


if __name__ == "__main__":
    main()
