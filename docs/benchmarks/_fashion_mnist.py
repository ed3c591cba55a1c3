"""Load Fashion-MNIST from the folder named by FASHION_MNIST, or by skae.datasets."""

import os

import numpy as np

from skae.datasets import fetch_fashion_mnist


def load(part, *, labels=False):
    """Return images of part "train" or "t10k" as float32 array of shape (n, 784) in [0, 1], and optionally labels."""
    subset = "test" if part == "t10k" else part
    X, y = fetch_fashion_mnist(os.environ.get("FASHION_MNIST"), subset=subset, return_X_y=True)
    X = X.astype(np.float32) / 255
    return (X, y) if labels else X
