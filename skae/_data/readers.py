"""Readers that read samples of X in batches: from an array, a memory map, a sparse matrix, or a dataset in a file."""

import contextlib
import mmap
import sys
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skae._array_api import as_numpy
from skae._dimensions import explain_how_to_flatten

FLOATS = (np.float64, np.float32)
MAX_AT_ONCE = 4096  # samples of a batch
BYTES_AT_ONCE = 2**25  # upper bound for wide samples: 32 MiB of float64
RESIDENT_BYTES = 2**28  # largest float32 tensor of all samples: 256 MiB


def stays_in_place(X):
    """Whether X is checked and read in batches: a memory map, or an array of another library that supports slices.

    Datasets of h5py and zarr are such arrays. Arrays of dask are not: each slice would recompute the graph.
    """
    if isinstance(X, np.ndarray):
        base = X
        while isinstance(base, np.ndarray):
            base = base.base
        return isinstance(base, mmap.mmap)
    slices = hasattr(X, "__getitem__") and isinstance(getattr(X, "dtype", None), np.dtype)
    return slices and len(X.shape) == 2 and not issparse(X) and not hasattr(X, "__dask_graph__")


def check_numeric(X, name="X"):
    """Raise an error for input that numpy would convert to wrong numbers, or to none.

    Parameters
    ----------
    X : object

    name : str
        Name of X in errors.

    Raises
    ------
    ValueError
        If X, or an array in a list, has masked values, dates or durations, or if X is lazy.
    """
    if hasattr(X, "collect"):
        raise ValueError(f"{name} is a {type(X).__name__}, which is lazy. Pass {name}.collect().")
    rows = [row for row in X if isinstance(row, np.ndarray)] if isinstance(X, list | tuple) else [X]
    n_masked = sum(np.ma.count_masked(row) for row in rows if isinstance(row, np.ma.MaskedArray))
    if n_masked:
        raise ValueError(
            f"{name} has {n_masked} masked values, which numpy would replace by the numbers below the mask. Fill them: "
            f"{name}.filled(value), or SimpleImputer().fit_transform({name}.filled(np.nan))."
        )
    for dtype in (dtype for row in rows for dtype in _dtypes(row)):
        # numbers depend on the unit, and NaT becomes a number; dtypes of polars have no kind
        if getattr(dtype, "kind", "") in ("M", "m") or getattr(dtype, "is_temporal", bool)():
            raise ValueError(
                f"{name} has dates or durations, of dtype {dtype}, which aren't numbers before a unit is chosen. "
                f"Convert them, such as ({name} - {name}.min()) / np.timedelta64(1, 'D') for days."
            )


def _dtypes(X):
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return list(X.dtypes)
    if hasattr(X, "dtype"):
        return [X.dtype]
    return [np.asarray(X).dtype] if hasattr(X, "__array__") else []  # a Table of pyarrow


def with_nan(X):
    """Replace pandas.NA by NaN in arrays or data frames of objects."""
    pandas = sys.modules.get("pandas")  # if it is not imported, there is no pandas.NA
    if pandas is None or not isinstance(X, np.ndarray | pandas.DataFrame) or object not in _dtypes(X):
        return X
    missing = pandas.isna(X)
    return X.mask(missing, np.nan) if isinstance(X, pandas.DataFrame) else np.where(missing, np.nan, X)


@contextlib.contextmanager
def reading(X, name="X"):
    """Convert errors from reading X: a tensor that requires a gradient raises a bare RuntimeError.

    Warnings of overflow are suppressed, since numbers that are too large raise an error later.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (ValueError, TypeError, MemoryError, OSError, Warning):
        raise
    except Exception as error:
        raise ValueError(f"{name}, a {type(X).__name__}, can't be read as a table of numbers: {error}") from error


def validated(estimator, X, *, may_miss=False, **how):
    """Check X as scikit-learn's `validate_data` does, and raise an error for input that it would misread.

    Parameters
    ----------
    estimator : estimator

    X : object

    may_miss : bool, default=False
        Whether values may be missing (NaN), unless X is sparse.

    **how : dict
        As for `validate_data`.

    Returns
    -------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Samples in float64 or float32.
    """
    with reading(X), explain_how_to_flatten(estimator, X):
        X = as_numpy(X)
        check_numeric(X)
        X = with_nan(X)
        finite = "allow-nan" if may_miss and not issparse(X) else True
        if may_miss and issparse(X) and X.dtype.kind == "f" and np.isnan(X.tocsr().data).any():
            raise ValueError(
                f"Input X contains NaN. {type(estimator).__name__} accepts missing values in dense samples, not in "
                "sparse ones. Pass X.toarray(), or impute them."
            )
        try:
            return validate_data(estimator, X, dtype=FLOATS, accept_sparse="csr", ensure_all_finite=finite, **how)
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            solution = "X contains text: use TabularAutoencoder, or encode it, for example with OneHotEncoder"
            raise ValueError(f"{error}. {solution}.") from error


def shape_of(y):
    """Return the shape of a target of any type: () if it has none."""
    try:
        return tuple(np.shape(y))
    except Exception:  # lists of different lengths, or lazy arrays
        return ()


def are_same(X, y):
    """Whether a target is X itself, or has equal values."""
    if X is y or stays_in_place(X) or stays_in_place(y):  # these are not read as a whole
        return X is y
    try:
        if issparse(X) or issparse(y):
            return issparse(X) and issparse(y) and (y != X).nnz == 0
        return bool(np.array_equal(X, y))
    except Exception:  # not numbers
        return False


def rows_at_once(n_columns):
    """Return the number of samples of a batch, which bounds the memory."""
    return max(1, min(MAX_AT_ONCE, BYTES_AT_ONCE // (8 * max(n_columns, 1))))


class ArrayReader:
    """Reader of samples of X as dense arrays of floats, in batches.

    Parameters
    ----------
    X : ndarray, CSR matrix or array of shape (n_samples, n_features)
        Arrays for which `stays_in_place` holds are checked when they are read; others have been checked.

    index : ndarray of int, default=None
        Indices of the samples to read; None for all.

    name : str, default="X"
        Name of X in errors.

    may_miss : bool, default=False
        Whether values may be missing (NaN).

    fill : callable, default=None
        Function that imputes missing values, (m, d) -> (m, d). If None, they stay missing.
    """

    def __init__(self, X, index=None, name="X", *, may_miss=False, fill=None):
        self.X, self.name = X, name
        self.index, self.may_miss, self.fill = index, may_miss, fill
        self.sparse = issparse(X)
        self.unchecked = stays_in_place(X)
        self.dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
        self.shape = (X.shape[0] if index is None else len(index), X.shape[1])

    def __len__(self):
        return self.shape[0]

    def read(self, rows):
        """Read samples, given as a slice or an array of int, in the order given.

        Raises
        ------
        ValueError
            If an array that is checked here contains NaN or infinity, or can't be read.
        """
        found = self._as_they_are(rows)
        return found if self.fill is None or not np.isnan(found).any() else self.fill(found)

    def _as_they_are(self, rows):
        if self.index is not None:
            rows = self.index[rows]
        if self.sparse:
            return self.X[rows].toarray()
        if not self.unchecked:
            return np.ascontiguousarray(self.X[rows])  # torch does not support negative strides
        with reading(self.X, self.name):
            if isinstance(rows, slice):
                found = self.X[rows]
            else:  # files require unique, ascending indices
                rows, place = np.unique(rows, return_inverse=True)
                found = np.asanyarray(self.X[rows])[place]
            check_numeric(found, self.name)  # some return a masked array
            finite = "allow-nan" if self.may_miss else True
            return check_array(found, dtype=FLOATS, input_name=self.name, ensure_all_finite=finite)

    @property
    def max_rows(self):
        """Maximum number of samples of a batch, which bounds the memory."""
        return rows_at_once(self.shape[1])

    def sample(self):
        """Read evenly spaced samples: at most one batch."""
        return self.read(np.unique(np.linspace(0, len(self) - 1, min(len(self), self.max_rows)).astype(int)))

    def batches(self, at_least=1):
        """Yield all samples in order, in batches that bound the memory but have `at_least` samples if possible."""
        size = max(at_least, self.max_rows)
        starts = range(0, max(len(self) - at_least, 0) + 1, size)
        for start, stop in zip(starts, [*starts[1:], len(self)], strict=True):
            yield self.read(slice(start, stop))


class ScaledReader(ArrayReader):
    """Reader of samples in float64, centered and scaled; constant features, which have scale 0, are zero.

    Parameters
    ----------
    X, index
        As for `ArrayReader`.

    mean, scale : ndarray of shape (n_features,)

    clean : input of `ArrayReader`, default=None
        Clean samples to reconstruct from those of X, scaled in the same way. If None, X is reconstructed.

    clip_at : ndarray of shape (n_features,), default=None
        Scaled values are clipped at this absolute value. If None, they are not clipped.

    target : ndarray of shape (n_samples, n_targets), default=None
        Target learned from y, if there are no clean samples.

    missing : ndarray of bool of shape (n_samples, n_features), default=None
        Mask of missing values, which are imputed in X and do not count in the loss. None if no value is missing.

    Attributes
    ----------
    clean : ScaledReader
        The clean samples, or the samples themselves.
    """

    def __init__(self, X, mean, scale, index=None, clean=None, clip_at=None, target=None, missing=None):
        super().__init__(X, index)
        self.mean, self.scale, self.clip_at, self.target, self.missing = mean, scale, clip_at, target, missing
        self.clean = self if clean is None else ScaledReader(clean, mean, scale, index)
        self.per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)

    def read(self, rows):
        """Read samples, given as a slice or an array of int, in the order given."""
        scaled = super().read(rows) - self.mean
        scaled *= self.per_unit
        return scaled if self.clip_at is None else np.clip(scaled, -self.clip_at, self.clip_at, out=scaled)

    def take(self, index):
        """Return a reader of the samples with these indices."""
        clean = self.clean.X if self.are_pairs else None
        return ScaledReader(self.X, self.mean, self.scale, index, clean, self.clip_at, self.target, self.missing)

    @property
    def there(self):
        """Reader of the same samples, with NaN for missing values."""
        return self if self.missing is None else _ReaderWithNaN(self)

    @property
    def source(self):
        """Reader of the same samples with all their features."""
        return self

    @property
    def are_pairs(self):
        """Whether there are clean samples."""
        return self.clean is not self

    @property
    def fits(self):
        """Whether all samples fit into memory at once."""
        return self._fit_into(RESIDENT_BYTES)

    def _fit_into(self, n_bytes):
        return not self.sparse and 4 * len(self) * self.shape[1] <= n_bytes

    def on_device(self, device):
        """Return all samples as a float32 tensor, or as an object that is indexed like a tensor.

        With clean samples or a target, return a `Pair`. With missing values, the target of the pair is the samples
        with NaN for missing values.
        """
        if self.missing is not None:
            return Pair(self._alone_on(device), self.there._alone_on(device))
        if self.are_pairs:
            return Pair(self._alone_on(device), self.clean.on_device(device))
        if self.target is not None:
            target = self.target if self.index is None else self.target[self.index]
            return Pair(self._alone_on(device), torch.tensor(target, dtype=torch.float32, device=device))
        return self._alone_on(device)

    def _alone_on(self, device):
        if not self._fit_into(_room_on(device)):
            return _TensorOfRows(self, device)
        tensor, start = torch.empty(self.shape, device=device), 0
        for batch in self.batches():
            tensor[start : start + len(batch)].copy_(torch.from_numpy(batch).float())
            start += len(batch)
        return tensor


class _ReaderWithNaN(ScaledReader):
    """Reader of scaled samples in which missing values are NaN."""

    def __init__(self, rows):
        vars(self).update(vars(rows))
        self.clean = self

    def read(self, rows):
        """Read samples, given as a slice or an array of int, in the order given."""
        missing = self.missing if self.index is None else self.missing[self.index]
        return np.where(missing[rows], np.nan, super().read(rows))


@dataclass(frozen=True)
class Pair:
    """Samples and their targets, clean samples or values of y, on a device."""

    rows: object
    target: object

    def __len__(self):
        return len(self.rows)


def _room_on(device):
    """Return the number of bytes available for samples: on a GPU, half of the free memory."""
    if device.type != "cuda":
        return RESIDENT_BYTES
    return max(RESIDENT_BYTES, torch.cuda.mem_get_info(device)[0] // 2)


class _TensorOfRows:
    """Object that is indexed like a tensor of samples, and reads them on access."""

    def __init__(self, rows, device):
        self.rows, self.device, self.shape = rows, device, rows.shape

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        found = torch.stack([torch.from_numpy(self.rows.read(of_one.numpy())).float() for of_one in index])
        if self.device.type == "cuda":
            found = found.pin_memory()  # the next samples are read while these are copied
        return found.to(self.device, non_blocking=True)
