"""Data sets that examples and benchmarks want and scikit-learn does not have."""

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
DESCRIPTION = """Fashion-MNIST: 70,000 gray images of clothes, 28 x 28 pixels of 0 to 255, 7,000 of each of 10 kinds.

The first 60,000 are for training, the last 10,000 for testing.

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
    """Load Fashion-MNIST [1]_: 70,000 gray images of clothes, of 10 kinds.

    ==============   ==============
    Classes                      10
    Samples total            70,000
    Dimensionality    784 (28 x 28)
    Features          int, 0 to 255
    ==============   ==============

    From `folder` if it is given; else from Debian's package `dataset-fashion-mnist` if it is installed; else from
    OpenML, by scikit-learn's `fetch_openml`, which keeps a copy.

    Parameters
    ----------
    folder : str or pathlib.Path, default=None
        Where the original files are: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two of `t10k`,
        packed (`.gz`) or not.

    subset : {"train", "test", "all"}, default="all"
        The first 60,000 images, the last 10,000, or all.

    data_home : str or pathlib.Path, default=None
        Where `fetch_openml` keeps its copy.

    download_if_missing : bool, default=True
        Whether OpenML is asked at all, if it has to be.

    return_X_y : bool, default=False
        Whether `(data, target)` is returned in place of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with:

        data : ndarray of shape (n_samples, 784), uint8
            A sample for each image, line by line from the upper left; 0 is the background.
        images : ndarray of shape (n_samples, 28, 28), uint8
            The same.
        target : ndarray of shape (n_samples,), int64
            Kind of each, 0 to 9.
        target_names : list of str
            Names of the kinds.
        feature_names : list of str
            "pixel_0_0" to "pixel_27_27", line and column.
        DESCR : str
            Description and source.

    (data, target) : tuple if `return_X_y` is True
        The two arrays alone.

    Raises
    ------
    FileNotFoundError
        If it is in none of these places, or a file is missing in `folder`.

    ValueError
        If a parameter is not as it should be, or a file in `folder` is damaged.

    See Also
    --------
    sklearn.datasets.fetch_openml : Fetches any data set of OpenML.
    sklearn.datasets.load_digits : Smaller images, which need no fetching.

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

    A folder may hold other images in the same format, such as those of MNIST, or here two black ones:

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
    """Read an array of bytes: 2 zeros, the type (8), the number of dimensions, each of them in 4 bytes, the values."""
    packed = path.with_name(f"{path.name}.gz")
    if packed.is_file():
        content = gzip.decompress(packed.read_bytes())
    elif path.is_file():
        content = path.read_bytes()
    else:
        raise FileNotFoundError(f"folder={str(path.parent)!r} holds neither {packed.name} nor {path.name}.")
    n_dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * n_dimensions
    shape = np.frombuffer(content[4:start], ">u4")
    if content[:3] != b"\0\0\x08" or len(content) != start + shape.prod(dtype=np.int64):
        raise ValueError(f"{path.name} in folder={str(path.parent)!r} is no whole file of bytes in the idx format.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_openml(subset, data_home, download_if_missing):
    if not download_if_missing:
        raise FileNotFoundError(_nowhere("download_if_missing=False keeps it from asking OpenML."))
    parser = "pandas" if find_spec("pandas") else "liac-arff"  # which is slow
    try:
        found = fetch_openml("Fashion-MNIST", version=1, as_frame=False, parser=parser, data_home=data_home)
    except OSError as error:  # no network, or not there
        raise FileNotFoundError(_nowhere(f"OpenML could not be asked: {error}.")) from error
    rows = {"train": slice(N_TRAIN), "test": slice(N_TRAIN, None), "all": slice(None)}[subset]
    return found.data[rows].astype(np.uint8), found.target[rows].astype(np.int64)


def _nowhere(why):
    return (
        "Fashion-MNIST is in none of three places. Give folder= where its four files are; or install Debian's package "
        f"dataset-fashion-mnist; or let scikit-learn fetch it from OpenML, which takes a network. {why}"
    )
