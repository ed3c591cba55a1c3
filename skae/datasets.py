"""Data sets for examples and benchmarks that are not in scikit-learn."""

import skae._dependencies  # noqa: F401 - must be imported first

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

from skae._constraints import StrOptions, validate_params

__all__ = ["fetch_fashion_mnist"]

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
Subset: TypeAlias = Literal["train", "test", "all"]
PARTS = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}
N_TRAIN = 60_000
NAMES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
DESCRIPTION = """Fashion-MNIST: 70,000 gray images of clothes, 28 x 28 pixels (0 to 255), 7,000 in each of 10 classes.

The first 60,000 images are for training, the last 10,000 for testing.

Source: H. Xiao, K. Rasul, R. Vollgraf (2017). "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms". arXiv:1708.07747. MIT license.
"""


@overload
def fetch_fashion_mnist(
    folder: str | Path | None = ...,
    *,
    subset: Subset = ...,
    data_home: str | Path | None = ...,
    download_if_missing: bool = ...,
    return_X_y: Literal[False] = ...,
) -> Bunch: ...
@overload
def fetch_fashion_mnist(
    folder: str | Path | None = ...,
    *,
    subset: Subset = ...,
    data_home: str | Path | None = ...,
    download_if_missing: bool = ...,
    return_X_y: Literal[True],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
@validate_params(
    {
        "folder": [str, Path, None],
        "subset": [StrOptions(set(PARTS))],
        "data_home": [str, Path, None],
        "download_if_missing": ["boolean"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_fashion_mnist(
    folder: str | Path | None = None,
    *,
    subset: Subset = "all",
    data_home: str | Path | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load Fashion-MNIST [1]_: 70,000 gray images of clothes in 10 classes.

    ==============   ==============
    Classes                      10
    Samples total            70,000
    Dimensionality    784 (28 x 28)
    Features          int, 0 to 255
    ==============   ==============

    The images are loaded from `folder` if it is given; else from Debian's package `dataset-fashion-mnist` if it is
    installed; else from OpenML, with scikit-learn's `fetch_openml`, which caches them.

    Parameters
    ----------
    folder : str or pathlib.Path, default=None
        Folder with the original files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two `t10k` files,
        compressed (`.gz`) or not.

    subset : {"train", "test", "all"}, default="all"
        The first 60,000 images, the last 10,000, or all.

    data_home : str or pathlib.Path, default=None
        Cache folder of `fetch_openml`.

    download_if_missing : bool, default=True
        If False, raise an error instead of downloading the images from OpenML.

    return_X_y : bool, default=False
        If True, return `(data, target)` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with:

        data : ndarray of shape (n_samples, 784), uint8
            Flattened images, in row-major order; 0 is the background.
        images : ndarray of shape (n_samples, 28, 28), uint8
            The images.
        target : ndarray of shape (n_samples,), int64
            Class of each image, 0 to 9.
        target_names : list of str
            Names of the classes.
        feature_names : list of str
            "pixel_0_0" to "pixel_27_27": row and column.
        DESCR : str
            Description and source.

    (data, target) : tuple if `return_X_y` is True
        The two arrays.

    Raises
    ------
    FileNotFoundError
        If the data set is not found, or a file is missing in `folder`.

    ValueError
        If a parameter is invalid, or a file in `folder` is damaged.

    See Also
    --------
    sklearn.datasets.fetch_openml : Fetch any data set of OpenML.
    sklearn.datasets.load_digits : Load smaller images that are part of scikit-learn.

    References
    ----------
    .. [1] H. Xiao, K. Rasul, R. Vollgraf (2017). "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
       Learning Algorithms". arXiv:1708.07747.

    Examples
    --------
    >>> from skae.datasets import fetch_fashion_mnist
    >>> X, y = fetch_fashion_mnist(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (10000, 784)

    The folder may contain other images in the same format, such as those of MNIST, or here two black images:

    >>> import tempfile
    >>> from pathlib import Path
    >>> images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(2 * 28 * 28)
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 2]) + bytes([9, 0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "t10k-images-idx3-ubyte").write_bytes(images)
    ...     _ = Path(folder, "t10k-labels-idx1-ubyte").write_bytes(labels)
    ...     dataset = fetch_fashion_mnist(folder, subset="test")
    >>> dataset.data.shape, dataset.target
    ((2, 784), array([9, 0]))
    """
    if folder is not None or DEBIAN.is_dir():
        data, target = _read_folder(Path(folder or DEBIAN), PARTS[subset])
    else:
        data, target = _read_openml(subset, data_home, download_if_missing)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        images=data.reshape(-1, 28, 28),
        target=target,
        target_names=list(NAMES),
        feature_names=[f"pixel_{i}_{j}" for i in range(28) for j in range(28)],
        DESCR=DESCRIPTION,
    )


def _read_folder(folder, parts):
    images = [_read_idx(folder / f"{part}-images-idx3-ubyte").reshape(-1, 28 * 28) for part in parts]
    labels = [_read_idx(folder / f"{part}-labels-idx1-ubyte") for part in parts]
    return np.concatenate(images), np.concatenate(labels).astype(np.int64)


def _read_idx(path):
    """Read an idx file: 2 zeros, the type (8), the number of dimensions, each dimension in 4 bytes, the values."""
    packed = path.with_name(f"{path.name}.gz")
    if packed.is_file():
        content = gzip.decompress(packed.read_bytes())
    elif path.is_file():
        content = path.read_bytes()
    else:
        raise FileNotFoundError(f"folder={str(path.parent)!r} contains neither {packed.name} nor {path.name}.")
    n_dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * n_dimensions
    shape = np.frombuffer(content[4:start], ">u4")
    if content[:3] != b"\0\0\x08" or len(content) != start + shape.prod(dtype=np.int64):
        raise ValueError(f"{path.name} in folder={str(path.parent)!r} is not a complete file of bytes in idx format.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_openml(subset, data_home, download_if_missing):
    if not download_if_missing:
        raise FileNotFoundError(_not_found("OpenML is not accessed since download_if_missing=False."))
    parser = "pandas" if find_spec("pandas") else "liac-arff"  # the latter is slow
    try:
        found = fetch_openml("Fashion-MNIST", version=1, as_frame=False, parser=parser, data_home=data_home)
    except OSError as error:  # no network, or not on OpenML
        raise FileNotFoundError(_not_found(f"OpenML could not be accessed: {error}.")) from error
    rows = {"train": slice(N_TRAIN), "test": slice(N_TRAIN, None), "all": slice(None)}[subset]
    return found.data[rows].astype(np.uint8), found.target[rows].astype(np.int64)


def _not_found(why):
    return (
        "Fashion-MNIST was not found. Set folder= to the folder with its four files, or install Debian's package "
        f"dataset-fashion-mnist, or let scikit-learn download it from OpenML. {why}"
    )
