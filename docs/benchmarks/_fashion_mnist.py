"""Fashion-MNIST for the benchmarks, from the folder that FASHION_MNIST names or from where skae.datasets finds it."""

import os

import numpy as np

from skae.datasets import fetch_fashion_mnist


def load(part, *, labels=False):
    """Return the images of a part, "train" or "t10k", as float32 of shape (n, 784) in [0, 1], and maybe their kinds."""
    subset = "test" if part == "t10k" else part
    X, y = fetch_fashion_mnist(os.environ.get("FASHION_MNIST"), subset=subset, return_X_y=True)
    X = X.astype(np.float32) / 255
    return (X, y) if labels else X
