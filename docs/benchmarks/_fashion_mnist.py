"""Fashion-MNIST for the benchmarks, from the files of Debian's package `dataset-fashion-mnist` or their like."""

import gzip
import os
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


def load(part):
    """Return the images of a part, "train" or "t10k", as float32 of shape (n, 784) in [0, 1]."""
    path = FOLDER / f"{part}-images-idx3-ubyte.gz"
    if not path.exists():
        raise SystemExit(
            f"{path} is missing. Install Debian's package dataset-fashion-mnist, or put the four idx files of "
            "Fashion-MNIST into a folder and name it in the environment variable FASHION_MNIST."
        )
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255
