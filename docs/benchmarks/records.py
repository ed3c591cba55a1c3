"""Reconstruction error of images after long training.

    python docs/benchmarks/records.py [--parts géron deep] [--max-iter 100] [--digits images.npy]

- "géron": Fashion-MNIST, a code of 30, the first 55,000 images for training and the last 5,000 for validation: mean
  squared error per pixel in [0, 1] of the latter. Published: .0132 (stacked dense), .0104 (best, LSTM): Géron,
  Hands-On Machine Learning, 3rd ed., chapter 17.
- "deep": 784-1000-500-250-30 on 60,000 training images: squared error per image in [0, 1], summed over its pixels, of
  10,000 test images. Published for handwritten digits (MNIST): 3.00, Hinton and Salakhutdinov, Science 313, 2006. Here
  it is computed for Fashion-MNIST, or for 70,000 images in a NumPy file, (70000, 784), in [0, 255] or [0, 1].

Images are in [0, 1] and not scaled further. Parameters are default unless stated otherwise. Each part is a single fit.
"""

import argparse
import time

import numpy as np
from _fashion_mnist import load
from sklearn.decomposition import PCA

from skae import Autoencoder

LAYERS = {"géron": "auto", "deep": (1000, 500, 250)}


def images(part, path):
    """Return training and test images."""
    if part == "géron":
        return load("train")[:55_000], load("train")[55_000:]
    if path is None:
        return load("train"), load("t10k")
    X = np.load(path).astype(np.float32)
    X /= X.max()
    return X[:60_000], X[60_000:]


def main(parts, max_iter, path):
    """Print a line for each part."""
    for part in parts:
        train, test = images(part, path)
        kept = PCA(30, random_state=0).fit(train)
        linear = np.square(test - kept.inverse_transform(kept.transform(test))).sum(axis=1).mean()
        start = time.perf_counter()
        autoencoder = Autoencoder(30, hidden_layer_sizes=LAYERS[part], max_iter=max_iter, random_state=0).fit(train)
        seconds = time.perf_counter() - start
        error = np.square(test - autoencoder.reconstruct(test)).sum(axis=1).mean()
        d = train.shape[1]
        print(
            f"{part}: {error:.3f} per image, {error / d:.5f} per pixel; PCA {linear:.3f}, {linear / d:.5f}; "
            f"{seconds:.0f} s, {autoencoder.n_iter_} epochs, best {autoencoder.best_epoch_}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="+", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--max-iter", type=int, default=100)
    parser.add_argument("--digits")
    arguments = parser.parse_args()
    main(arguments.parts, arguments.max_iter, arguments.digits)
