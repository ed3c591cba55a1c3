"""Invalid and unusual tables, the expected result for each, and a function that checks an estimator's result.

The tests use them with estimators of skae, and `docs/benchmarks/bad_inputs.py` with others, too.
"""

import array
import functools
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import sklearn
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.fixes import parse_version

K = 2  # number of components
WORSE = 0.05  # amount by which the R² of a reconstruction may be below that of its reference
WORSE_ELSEWHERE = 0.2  # the same for samples that are unlike the training samples
NAMES = list("abcde")
METHODS = ("fit", "transform")


def _curve():
    """Return samples near a curve, on which a network outperforms PCA."""
    rng = np.random.RandomState(0)
    t = rng.uniform(-1, 1, 60)
    X = np.column_stack([t, t**2, np.sin(3 * t), np.cos(2 * t), t**3])
    return X + 0.05 * rng.randn(*X.shape)


TABLE = _curve()
N, D = TABLE.shape
SMALL_INTS = np.round(50 * TABLE)
COUNTS = SMALL_INTS - SMALL_INTS.min()
BITS = (np.median(TABLE, axis=0) < TABLE).astype(float)
FRAME = pd.DataFrame(TABLE, columns=NAMES)
POLARS = pl.DataFrame(TABLE, schema=NAMES)


@dataclass(frozen=True)
class Kind:
    """A kind of table.

    Attributes
    ----------
    name : str

    make : callable
        Makes a new copy of the table.

    rows : dict of str to ndarray or None
        For "fit" and for "transform": the samples as an ordinary array, for which the result must be the same; None if
        no result is correct.

    raises_in : tuple of str
        Methods in which skae must raise an error.

    message : str
        Pattern that the error message must match.

    before : ndarray or DataFrame
        Data that the estimator was fitted to before `transform`.

    beyond_float32 : bool
        Whether networks can't be fitted to it, although a linear autoencoder can.
    """

    name: str
    make: Callable
    rows: dict
    raises_in: tuple = ()
    message: str = ""
    before: object = None
    beyond_float32: bool = False


KINDS = []


def same(name, make, rows=TABLE, before=TABLE, beyond_float32=False):
    """Register a table that must give the same result as these samples."""
    KINDS.append(Kind(name, make, dict.fromkeys(METHODS, rows), before=before, beyond_float32=beyond_float32))


def rejected(name, make, message, before=TABLE, rows=None):
    """Register a table for which both methods must raise an error."""
    KINDS.append(Kind(name, make, dict.fromkeys(METHODS, rows), METHODS, message, before))


def only_fit(name, make, message, rows=TABLE, before=TABLE):
    """Register a table that can be fitted, but has other columns than the data fitted before `transform`."""
    KINDS.append(Kind(name, make, {"fit": rows, "transform": None}, ("transform",), message, before))


def only_transform(name, make, message, rows):
    """Register a table that can be transformed, but not fitted."""
    KINDS.append(Kind(name, make, dict.fromkeys(METHODS, rows), ("fit",), message, TABLE))


def number(name, X, message=None, beyond_float32=False):
    """Register an array of unusual numbers, for which both methods must raise an error if a message is given."""
    if message is not None:
        rejected(name, lambda: X.copy(), message, rows=X if X.size and np.isfinite(X).all() else None)
    elif X.shape[1] != D:
        only_fit(name, lambda: X.copy(), "is expecting 5 features", X)
    else:
        same(name, lambda: X.copy(), X, beyond_float32=beyond_float32)


def _with(value, at=(3, 1), table=TABLE):
    X = table.copy()
    X[at] = value
    return X


# Numbers -------------------------------------------------------------------------------------------------------------

WITH_NAN, WITH_LAST_NAN, ALL_NAN = _with(np.nan), _with(np.nan, (-1, -1)), np.full((N, D), np.nan)
same("one NaN", lambda: WITH_NAN.copy(), WITH_NAN)
only_transform("NaN everywhere", lambda: ALL_NAN.copy(), "Column 0 of X is missing altogether", ALL_NAN)
number("one infinity", _with(np.inf), "Input X contains infinity")
number("one minus infinity", _with(-np.inf), "Input X contains infinity")
number("values of 1e12", TABLE * 2.0**40)
number("values of 1e-12", TABLE * 2.0**-40)
number("values of 1e150", TABLE * 2.0**498, beyond_float32=True)
number("values of 1e-150", TABLE * 2.0**-498, beyond_float32=True)
only_transform("values of 1e200", lambda: TABLE * 1e200, "too large for float64", TABLE * 1e200)
number("values of 1e308", TABLE / np.abs(TABLE).max() * 1.7e308, "too large")
only_transform("values of 1e-200", lambda: TABLE * 1e-200, "too small for float64", TABLE * 1e-200)
only_transform("values of 1e-300", lambda: TABLE * 1e-300, "too small for float64", TABLE * 1e-300)
only_transform("subnormal values", lambda: TABLE * 1e-315, "too small for float64", TABLE * 1e-315)
number("columns of 1e12 and 1e-12", TABLE * [1e12, 1e-12, 1, 1, 1])
number("columns of 1e150 and 1e-150", TABLE * [1e150, 1e-150, 1, 1, 1], beyond_float32=True)
number("columns of 1e-200 and others", TABLE * [1, 1e-200, 1, 1e-200, 1])
number("a constant column", _with(7.0, np.s_[:, 2]))
number("a constant column of 1e300", _with(1e300, np.s_[:, 2]), beyond_float32=True)
number("all columns constant", np.full((N, D), 7.0))
number("all columns constant, of 1e300", np.full((N, D), 1e300), beyond_float32=True)
number("all zeros", np.zeros((N, D)))
number("all zeros, some negative", np.where(TABLE > 0, 0.0, -0.0))
number("some zeros negative", np.where(TABLE < 0.1, -0.0, TABLE))
number("one sample repeated", np.tile(TABLE[:1], (N, 1)))
number("two samples repeated", np.tile(TABLE[:2], (N // 2, 1)))
number(
    "columns that are sums of others", np.column_stack([TABLE[:, :2], TABLE[:, :3] @ [[1, 2, 0], [1, 0, 3], [1, 1, 1]]])
)
number("columns that are copies", TABLE[:, [0, 0, 0, 1, 1]])
number("one value of 1e10", _with(1e10))
number("one value of 1e150", _with(1e150), beyond_float32=True)
number("an offset of 1e8", TABLE + 1e8)
number("an offset of 1e8, a standard deviation of 1e-4", TABLE * 1e-4 + 1e8)
number("an offset of 1e15", TABLE + 1e15)
number("an offset of 1e300", TABLE + 1e300, beyond_float32=True)
number("one column", TABLE[:, :1])
number("two columns, as many as components", TABLE[:, :2])
number("more features than samples", np.tile(TABLE[:5], (1, 4)))
number("two rows", TABLE[:2])
number("three rows", TABLE[:3])
only_transform("one row", lambda: TABLE[:1], "minimum of 2 is required", TABLE[:1])
number("no rows", TABLE[:0], "Found array with 0 sample")
number("no columns", TABLE[:, :0], "0 feature")
number("no rows and no columns", TABLE[:0, :0], "0 sample")

# Types of number -----------------------------------------------------------------------------------------------------

FLOAT16 = TABLE.astype(np.float16)
FLOAT16_MAXIMUM = 65504 * (2 * BITS - 1)
same("float16", lambda: FLOAT16, FLOAT16.astype(float))
same("float16 at its maximum", lambda: FLOAT16_MAXIMUM.astype(np.float16), FLOAT16_MAXIMUM)
rejected("float16 that overflowed", lambda: _with(np.inf, table=FLOAT16), "infinity")
FLOAT32 = TABLE.astype(np.float32)
same("float32", lambda: FLOAT32, FLOAT32.astype(float))
same("float32 of 1e30", lambda: FLOAT32 * np.float32(2.0**100), FLOAT32 * 2.0**100)
same("float32 of 1e-30", lambda: FLOAT32 * np.float32(2.0**-100), FLOAT32 * 2.0**-100)
same("longdouble", lambda: TABLE.astype(np.longdouble))
rejected("longdouble beyond float64", lambda: TABLE.astype(np.longdouble) * np.longdouble("1e1000"), "infinity")
same("bool", lambda: BITS.astype(bool), BITS)
same("int8", lambda: SMALL_INTS.astype(np.int8), SMALL_INTS)
same("uint8", lambda: COUNTS.astype(np.uint8), COUNTS)
LARGE = 2**63 - 1 - (2**20 * COUNTS).astype(np.int64)
same("int64 near its maximum", lambda: LARGE, LARGE.astype(float))
same(
    "uint64 near its maximum",
    lambda: LARGE.astype(np.uint64) + np.uint64(2**63),
    (LARGE.astype(np.uint64) + np.uint64(2**63)).astype(float),
)
rejected("complex", lambda: TABLE + 0j, "Complex data not supported")
same("objects that are numbers", lambda: TABLE.astype(object))
same(
    "objects of several types",
    lambda: SMALL_INTS.astype(int).astype(object) / np.array([1, 1.0, np.float32(1), Fraction(1), 1], object),
    SMALL_INTS,
)
same("Decimals", lambda: np.vectorize(Decimal, otypes=[object])(TABLE))
rejected("objects, one a string", lambda: _with("seven", table=TABLE.astype(object)), "could not convert string")
same("objects, one None", lambda: _with(None, table=TABLE.astype(object)), WITH_NAN)
same("objects, one pd.NA", lambda: _with(pd.NA, table=TABLE.astype(object)), WITH_NAN)
rejected("objects, one a complex number", lambda: _with(1j, table=TABLE.astype(object)), "complex")
rejected("objects, one an int beyond float64", lambda: _with(10**400, table=TABLE.astype(object)), "too large")
same("strings of numbers", lambda: TABLE.astype("U32"))
same("bytes of numbers", lambda: TABLE.astype("S32"))
rejected("strings", lambda: np.full((N, D), "a"), "could not convert string to float")
DATES = np.datetime64("2024-01-01") + SMALL_INTS.astype("timedelta64[D]")
rejected("datetime64", lambda: DATES, "datetime64", rows=DATES.astype(float))
rejected("datetime64 with NaT", lambda: _with(np.datetime64("NaT"), table=DATES), "datetime64")
rejected("timedelta64", lambda: DATES - DATES[0], "timedelta64", rows=(DATES - DATES[0]).astype(float))
rejected(
    "a structured array, 1-D",
    lambda: np.rec.fromarrays(TABLE.T.copy(), names=NAMES),
    "Expected 2D array|void|struct|cast",
)
rejected(
    "a structured array, 2-D", lambda: np.rec.fromarrays(TABLE.T.copy(), names=NAMES).reshape(-1, 1), "void|struct|cast"
)
same("big-endian float64", lambda: TABLE.astype(">f8"))
same("big-endian float32", lambda: FLOAT32.astype(">f4"), FLOAT32.astype(float))
same("big-endian int16", lambda: SMALL_INTS.astype(">i2"), SMALL_INTS)

# Shapes and layouts of arrays ----------------------------------------------------------------------------------------

rejected("0-d", lambda: np.array(3.0), "Expected 2D array, got scalar")
rejected("1-D", lambda: TABLE[:, 0].copy(), "Expected 2D array, got 1D")
rejected("3-D", lambda: TABLE.reshape(5, 12, 5), "dim 3")
rejected("ragged lists", lambda: [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0]], "inhomogeneous|sequence")
same("list of masked samples, nothing masked", lambda: list(np.ma.masked_array(TABLE, np.zeros(TABLE.shape, bool))))
rejected("list of masked samples, one value masked", lambda: list(np.ma.masked_greater(TABLE, 0.9)), "masked")
only_fit("transposed", lambda: TABLE.T, "60 features", TABLE.T.copy())
same("Fortran order", lambda: np.asfortranarray(TABLE))
same("negative strides", lambda: TABLE[::-1, ::-1], TABLE[::-1, ::-1].copy())
same("every other sample and column", lambda: np.repeat(np.repeat(TABLE, 2, 0), 2, 1)[::2, ::2])
same("rows of stride 0", lambda: np.broadcast_to(TABLE[0], (N, D)), np.tile(TABLE[:1], (N, 1)))
same("columns of stride 0", lambda: np.broadcast_to(TABLE[:, :1], (N, D)), np.tile(TABLE[:, :1], (1, D)))


def _read_only():
    X = TABLE.copy()
    X.flags.writeable = False
    return X


def _unaligned():
    X = np.frombuffer(b"0" + TABLE.tobytes(), np.uint8)[1:].view("V8").view(float)
    assert not X.flags.aligned
    return X.reshape(N, D)


same("read-only", _read_only)
same("unaligned", _unaligned)

# Containers ----------------------------------------------------------------------------------------------------------


def _list_that_contains_itself():
    rows = []
    rows.append(rows)
    return rows


same("list of lists", lambda: TABLE.tolist())
same("tuple of tuples", lambda: tuple(map(tuple, TABLE)))
same("list of arrays", lambda: list(TABLE))
same("list of Series", lambda: [row for _, row in FRAME.iterrows()])
rejected("empty list", list, "Expected 2D array")
rejected("list of empty lists", lambda: [[], []], "0 feature")
only_transform("list of lists of None", lambda: [[None] * D] * N, "Column 0 of X is missing altogether", ALL_NAN)
rejected("list of dicts", lambda: [dict(zip(NAMES, row, strict=True)) for row in TABLE], "dict")
rejected("list that contains itself", _list_that_contains_itself, "array|dim|sequence|list")
rejected("list with an int beyond float64", lambda: [[10**400] * D] * N, "too large")
rejected("generator", lambda: (row for row in TABLE), "generator")
rejected("endless iterator", lambda: itertools.count(), "count")
rejected("map", lambda: map(list, TABLE), "map")
rejected("dict", lambda: dict(zip(NAMES, TABLE.T, strict=True)), "dict")
rejected("set", lambda: set(TABLE[:, 0]), "set")
rejected("string", lambda: "table.csv", "could not convert string|2D")
rejected("bytes", lambda: b"table.csv", "could not convert string|2D")
rejected("None", lambda: None, "2D array|NoneType")
rejected("range", lambda: range(N), "Expected 2D array, got 1D")
rejected("a class", lambda: np.ndarray, "type|dim")
rejected("array.array", lambda: array.array("d", TABLE[:, 0]), "Expected 2D array, got 1D")
same("memoryview", lambda: memoryview(TABLE))
rejected("numpy.matrix", lambda: np.asmatrix(TABLE), "np.matrix is not supported")
same("masked array, nothing masked", lambda: np.ma.masked_array(TABLE, mask=np.zeros(TABLE.shape, bool)))
same("masked array without a mask", lambda: np.ma.masked_array(TABLE))
rejected("masked array", lambda: np.ma.masked_greater(TABLE, 0.9), "masked")
rejected("masked array, all values masked", lambda: np.ma.masked_all((N, D)), "masked")


def _mapped(X):
    """Return a memory map of a file that is deleted with the map."""
    with tempfile.TemporaryFile() as file:
        memmap = np.memmap(file, X.dtype, "w+", shape=X.shape)
    memmap[:] = X
    return memmap


same("memory map", lambda: _mapped(TABLE))
same("memory map of int8", lambda: _mapped(SMALL_INTS.astype(np.int8)), SMALL_INTS)
same("memory map in Fortran order", lambda: _mapped(TABLE.T.copy()).T)
same("memory map with NaN in its last row", lambda: _mapped(WITH_LAST_NAN), WITH_LAST_NAN)
rejected("memory map, complex", lambda: _mapped(TABLE + 0j), "Complex data")
rejected("memory map of dates", lambda: _mapped(DATES), "datetime64")
rejected("memory map, masked", lambda: np.ma.masked_array(_mapped(TABLE), TABLE > 0.9), "masked")
rejected("memory map, 1-D", lambda: _mapped(TABLE[:, 0]), "Expected 2D array, got 1D")
rejected("memory map, 3-D", lambda: _mapped(TABLE.reshape(5, 12, 5)), "dim 3")

# Sparse matrices -----------------------------------------------------------------------------------------------------

SPARSE = np.where(TABLE > 0.3, TABLE, 0.0)
for layout in ("csr", "csc", "coo", "bsr", "lil", "dia", "dok"):
    for what in ("array", "matrix"):
        same(f"{layout}_{what}", functools.partial(getattr(sparse, f"{layout}_{what}"), SPARSE), SPARSE)


def _int64_indices():
    X = sparse.csr_array(SPARSE)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def _explicit_zeros():
    X = sparse.csr_array(np.ones((N, D)))
    X.data = SPARSE.ravel().copy()
    return X


def _unsorted_indices():
    X = sparse.csr_array(np.ones((N, D)))
    X.indices, X.data = X.indices.reshape(N, D)[:, ::-1].ravel().copy(), SPARSE[:, ::-1].ravel().copy()
    X.has_sorted_indices = False
    return X


def _duplicate_entries():
    row, column = np.nonzero(SPARSE)
    halves = np.tile(SPARSE[row, column] / 2, 2)
    return sparse.coo_array((halves, (np.tile(row, 2), np.tile(column, 2))), shape=(N, D))


same("CSR with int64 indices", _int64_indices, SPARSE)
same("CSR with explicit zeros", _explicit_zeros, SPARSE)
same("CSR with unsorted indices", _unsorted_indices, SPARSE)
same("COO with duplicate entries", _duplicate_entries, SPARSE)
same(
    "CSR of int8",
    lambda: sparse.csr_array(np.where(SPARSE, SMALL_INTS, 0).astype(np.int8)),
    np.where(SPARSE, SMALL_INTS, 0),
)
same("CSR of bool", lambda: sparse.csr_array(BITS.astype(bool)), BITS)
same("CSR of float32", lambda: sparse.csr_array(SPARSE.astype(np.float32)), SPARSE.astype(np.float32).astype(float))
same("CSR of values of 1e150", lambda: sparse.csr_array(SPARSE * 2.0**498), SPARSE * 2.0**498, beyond_float32=True)
same("CSR, all zero", lambda: sparse.csr_array((N, D)), np.zeros((N, D)))
rejected("CSR with NaN", lambda: sparse.csr_array(_with(np.nan, table=SPARSE)), "NaN")
rejected("CSR with infinity", lambda: sparse.csr_array(_with(np.inf, table=SPARSE)), "infinity")
rejected("COO with infinity", lambda: sparse.coo_array(_with(np.inf, table=SPARSE)), "infinity")
rejected("CSR, complex", lambda: sparse.csr_array(SPARSE + 0j), "Complex data not supported")
rejected("CSR without samples", lambda: sparse.csr_array((0, D)), "0 sample")
rejected("CSR without columns", lambda: sparse.csr_array((N, 0)), "0 feature")
rejected("COO, 1-D", lambda: sparse.coo_array(SPARSE[:, 0]), "1D|2D|dim")
only_fit("CSR with another number of features", lambda: sparse.csr_array(SPARSE[:, 1:]), "5 features", SPARSE[:, 1:])

# Frames --------------------------------------------------------------------------------------------------------------


def frame(name, make, rows=TABLE):
    """Register a frame with the same columns as the frame fitted before."""
    same(name, make, rows, FRAME)


def other_frame(name, make, message, rows=TABLE):
    """Register a frame that can be fitted, but doesn't match the frame fitted before."""
    only_fit(name, make, message, rows, FRAME)


def bad_frame(name, make, message):
    """Register a frame for which both methods must raise an error."""
    rejected(name, make, message, FRAME)


def _with_int_column(value, dtype):
    column = pd.Series(SMALL_INTS[:, 1], dtype=dtype)
    column[3] = value
    return FRAME.assign(b=column)


INT_COLUMN = np.column_stack([TABLE[:, 0], SMALL_INTS[:, 1], TABLE[:, 2:]])
frame("frame", lambda: FRAME.copy())
frame("frame with an index of dates", lambda: FRAME.set_axis(pd.date_range("2024", periods=N)))
other_frame(
    "frame with other column names", lambda: FRAME.set_axis(list("vwxyz"), axis=1), "feature names should match"
)
other_frame("frame with its columns reordered", lambda: FRAME[NAMES[::-1]], "same order", TABLE[:, ::-1].copy())
other_frame(
    "frame without a column", lambda: FRAME.drop(columns="c"), "feature names should match", TABLE[:, [0, 1, 3, 4]]
)
other_frame(
    "frame with an extra column",
    lambda: FRAME.assign(f=TABLE[:, 0]),
    "feature names should match",
    np.column_stack([TABLE, TABLE[:, 0]]),
)
if parse_version(sklearn.__version__) >= parse_version("1.9"):  # scikit-learn 1.6 accepts it
    bad_frame("frame with duplicate column names", lambda: FRAME.set_axis(list("abcdd"), axis=1), "unique")
bad_frame(
    "frame with column names of several types",
    lambda: FRAME.set_axis(["a", 1, "c", 2.0, "e"], axis=1),
    "all input features have string names",
)
frame("frame with ints as column names", lambda: FRAME.set_axis(range(D), axis=1))
frame("frame with MultiIndex columns", lambda: FRAME.set_axis(pd.MultiIndex.from_product([["x"], NAMES]), axis=1))
bad_frame("empty frame", pd.DataFrame, "0 sample|0 feature|at least one array")
bad_frame("frame without rows", lambda: FRAME[:0], "0 sample")
bad_frame("Series", lambda: FRAME["a"], "Expected a 2-dim|Expected 2D array")
WITH_NAN_ABOVE = np.where(TABLE > 0.9, np.nan, TABLE)
frame("frame with NaN", lambda: FRAME.mask(FRAME > 0.9), WITH_NAN_ABOVE)
frame("frame with None among objects", lambda: FRAME.astype(object).mask(FRAME > 0.9, None), WITH_NAN_ABOVE)
frame("frame of objects that are numbers", lambda: FRAME.astype(object))
frame("frame of float16", lambda: FRAME.astype(np.float16), FLOAT16.astype(float))
frame("frame with int and float columns", lambda: FRAME.assign(b=SMALL_INTS[:, 1].astype(int)), INT_COLUMN)
frame(
    "frame with a bool column",
    lambda: FRAME.assign(b=BITS[:, 1].astype(bool)),
    np.column_stack([TABLE[:, 0], BITS[:, 1], TABLE[:, 2:]]),
)
frame("frame with nullable Int64", lambda: FRAME.assign(b=pd.Series(SMALL_INTS[:, 1], dtype="Int64")), INT_COLUMN)
frame("frame of nullable Float64", lambda: FRAME.astype("Float64"))
frame("frame of nullable boolean", lambda: pd.DataFrame(BITS.astype(bool), columns=NAMES).astype("boolean"), BITS)
INT_WITH_NAN = _with(np.nan, table=INT_COLUMN)
frame("frame with pd.NA in Int64", lambda: _with_int_column(pd.NA, "Int64"), INT_WITH_NAN)
frame("frame with pd.NA in Float64", lambda: _with_int_column(pd.NA, "Float64"), INT_WITH_NAN)
frame(
    "frame with pd.NA in boolean",
    lambda: FRAME.assign(b=pd.Series([True, None] * (N // 2), dtype="boolean")),
    np.column_stack([TABLE[:, 0], np.tile([1, np.nan], N // 2), TABLE[:, 2:]]),
)
frame("frame of Arrow floats", lambda: FRAME.astype("float64[pyarrow]"))
frame("frame with a null among Arrow floats", lambda: _with_int_column(None, "float64[pyarrow]"), INT_WITH_NAN)
frame(
    "frame with a categorical column of numbers", lambda: FRAME.assign(b=pd.Categorical(SMALL_INTS[:, 1])), INT_COLUMN
)
bad_frame(
    "frame with a categorical column of strings",
    lambda: FRAME.assign(b=pd.Categorical(["x", "y"] * (N // 2))),
    "could not convert string",
)
bad_frame("frame with strings", lambda: FRAME.assign(b="x"), "could not convert string")
frame("frame with strings of numbers", lambda: FRAME.assign(b=SMALL_INTS[:, 1].astype(str)), INT_COLUMN)
bad_frame("frame with a column of dates", lambda: FRAME.assign(b=DATES[:, 1]), "dates or durations")
bad_frame("frame of dates", lambda: pd.DataFrame(DATES, columns=NAMES), "dates or durations")
bad_frame(
    "frame of dates with a time zone",
    lambda: pd.DataFrame(DATES, columns=NAMES).apply(lambda c: c.dt.tz_localize("UTC")),
    "dates or durations",
)
bad_frame("frame with a column of times", lambda: FRAME.assign(b=DATES[:, 1] - DATES[0, 1]), "dates or durations")
bad_frame("frame with a column of periods", lambda: FRAME.assign(b=pd.period_range("2024", periods=N)), "Period")
bad_frame("frame with a column of complex numbers", lambda: FRAME.assign(b=1j), "[Cc]omplex")
bad_frame("frame with a column of lists", lambda: FRAME.assign(b=[[1.0]] * N), "sequence|list|array")
frame(
    "frame with sparse columns", lambda: pd.DataFrame(SPARSE, columns=NAMES).astype(pd.SparseDtype(float, 0.0)), SPARSE
)
frame("polars frame", lambda: POLARS.clone())
WITH_FIRST_NAN = _with(np.nan, (0, 1))
frame("polars frame with a null", lambda: POLARS.with_columns(b=pl.Series([None, *TABLE[1:, 1]])), WITH_FIRST_NAN)
bad_frame("polars frame with strings", lambda: POLARS.with_columns(b=pl.lit("x")), "could not convert string")
bad_frame(
    "polars frame of dates", lambda: pl.DataFrame(DATES.astype("datetime64[us]"), schema=NAMES), "dates or durations"
)
bad_frame("polars LazyFrame", lambda: POLARS.lazy(), r"LazyFrame.*X\.collect\(\)")
bad_frame("polars Series", lambda: POLARS["a"], "Expected a 2-dim|Expected 2D array")
other_frame("polars frame with its columns reordered", lambda: POLARS[NAMES[::-1]], "same order", TABLE[:, ::-1].copy())
frame("pyarrow Table", lambda: pa.table({name: TABLE[:, i] for i, name in enumerate(NAMES)}))
bad_frame(
    "pyarrow Table of dates",
    lambda: pa.table({name: DATES[:, i] for i, name in enumerate(NAMES)}),
    "dates or durations",
)
frame(
    "pyarrow Table with a null",
    lambda: pa.table({name: [None, *TABLE[1:, i]] for i, name in enumerate(NAMES)}),
    _with(np.nan, (0, slice(None))),
)

# Array-likes ----------------------------------------------------------------------------------------------------------


class Lookalike:
    """An object that isn't a NumPy array, but can be converted to one."""

    def __init__(self, X, error=None):
        self.X, self.shape, self.dtype, self.ndim, self.error = X, X.shape, X.dtype, X.ndim, error

    def __array__(self, dtype=None, copy=None):
        if self.error is not None:
            raise self.error
        return np.array(self.X, dtype=dtype)

    def __len__(self):
        return len(self.X)


class DaskLike(Lookalike):
    """An array that can be sliced, but where each slice would be computed again."""

    __dask_graph__ = None

    def __getitem__(self, rows):
        raise AssertionError("each slice computes the graph again")


class NamespaceArray(Lookalike):
    """An array of an array API namespace."""

    device = "cpu"

    def __array_namespace__(self, api_version=None):
        return np


class Sliceable(Lookalike):
    """An array that can be sliced, like a dataset of a file."""

    def __getitem__(self, rows):
        return self.X[rows]


class Unreadable(Sliceable):
    """An array of which only the first samples can be read."""

    def __getitem__(self, rows):
        if isinstance(rows, slice) and rows.stop is not None and rows.stop <= 2:
            return self.X[rows]
        raise RuntimeError("the file is damaged")


same("torch tensor", lambda: torch.tensor(TABLE))
same("torch tensor of float16", lambda: torch.tensor(FLOAT16), FLOAT16.astype(float))
same("torch tensor, transposed view", lambda: torch.tensor(TABLE.T.copy()).T)
same("torch tensor with NaN", lambda: torch.tensor(WITH_NAN), WITH_NAN)
rejected("torch tensor, requires_grad", lambda: torch.tensor(TABLE, requires_grad=True), "detach")
rejected("torch tensor of bfloat16", lambda: torch.tensor(TABLE, dtype=torch.bfloat16), "BFloat16")
rejected("torch tensor on meta", lambda: torch.tensor(TABLE, device="meta"), "meta")
rejected("torch tensor, sparse", lambda: torch.tensor(SPARSE).to_sparse(), "[Ss]parse")
rejected("torch tensor, complex", lambda: torch.tensor(TABLE + 0j), "[Cc]omplex")
same("an object with __array__", lambda: Lookalike(TABLE))
rejected(
    "an object whose __array__ raises",
    lambda: Lookalike(TABLE, RuntimeError("no memory on the device")),
    "no memory on the device",
)
rejected(
    "an object whose __array__ raises a TypeError",
    lambda: Lookalike(TABLE, TypeError("not on this device")),
    "not on this device",
)
same("an object whose __array__ contains NaN", lambda: Lookalike(WITH_NAN), WITH_NAN)
same("an array of an array API namespace", lambda: NamespaceArray(TABLE))
same("an array like a dask array", lambda: DaskLike(TABLE))
same("a dataset that can be sliced", lambda: Sliceable(TABLE))
same("a dataset of int8", lambda: Sliceable(SMALL_INTS.astype(np.int8)), SMALL_INTS)
same("a dataset with NaN in its last row", lambda: Sliceable(WITH_LAST_NAN), WITH_LAST_NAN)
rejected(
    "a dataset with one value masked in its last row",
    lambda: Sliceable(np.ma.masked_array(TABLE, np.arange(N * D).reshape(N, D) == N * D - 1)),
    "masked",
)
rejected("a dataset of dates", lambda: Sliceable(DATES), "datetime64")
rejected("a dataset, complex", lambda: Sliceable(TABLE + 0j), "Complex data")
rejected("a dataset, 3-D", lambda: Lookalike(TABLE.reshape(5, 12, 5)), "dim 3")
rejected("a dataset without samples", lambda: Sliceable(TABLE[:0]), "0 sample")
rejected("a dataset that can't be read to its end", lambda: Unreadable(TABLE), "damaged", rows=TABLE)
only_fit("a dataset with another number of features", lambda: Sliceable(TABLE[:, :4]), "5 features", TABLE[:, :4])


# Results of a system --------------------------------------------------------------------------------------------------


class System:
    """An estimator that encodes and decodes; subclasses adapt other kinds of estimators.

    Parameters
    ----------
    estimator : object
        Unfitted.

    like_pca : bool
        Whether its reconstructions must be as good as PCA's, and nearly so for samples unlike the training samples.
    """

    def __init__(self, estimator, like_pca=True):
        self.estimator, self.like_pca = estimator, like_pca
        self.fitted, self.answers = {}, {}

    def fit(self, estimator, X):
        """Fit it."""
        return estimator.fit(X)

    def answer(self, fitted, X):
        """Return the result of a fitted estimator that is checked."""
        return fitted.transform(X)

    def reconstruct(self, fitted, rows):
        """Return reconstructions of samples in an ordinary array."""
        return fitted.inverse_transform(fitted.transform(rows))

    def fitted_to(self, X):
        """Return an estimator that was fitted to this table, an array or a frame that is never modified."""
        if id(X) not in self.fitted:
            self.fitted[id(X)] = self.fit(clone(self.estimator), X)
        return self.fitted[id(X)]

    @functools.cached_property
    def reference_r2(self):
        """R² of its reconstruction of an ordinary table."""
        return r2(TABLE, self.reconstruct(self.fitted_to(TABLE), TABLE), TABLE.mean(axis=0))

    def answer_before(self, X):
        """Return its result for the table that it was fitted to, computed once."""
        if id(X) not in self.answers:
            self.answers[id(X)] = self.answer(self.fitted_to(X), X)
        return self.answers[id(X)]


def outcome(system, kind, method):
    """Fit or transform, and check the result.

    Returns
    -------
    label : str
        "ok", the class of the error that was raised, "NON-FINITE", "WRONG" or "HALF-FITTED".

    what : str
        The message of the error, or a description of what is wrong.
    """
    rows = kind.rows[method]
    try:
        return (_fitted_right if method == "fit" else _transformed_right)(system, kind, rows)
    except Wrong as error:
        return error.label, str(error)


class Wrong(Exception):  # noqa: N818 - a result of the check, not an error
    """A result that is not correct."""

    def __init__(self, label, what):
        super().__init__(what)
        self.label = label


def _fitted_right(system, kind, rows):
    estimator = clone(system.estimator)
    before = repr(vars(estimator))
    try:
        fitted = system.fit(estimator, kind.make())
    except Exception as error:
        if repr(vars(estimator)) != before:
            return "HALF-FITTED", repr(error)
        return _class_of(error), str(error)
    if rows is None:
        return "WRONG", "no result is correct"
    for name in dir(fitted):
        if name.endswith("_") and not name.startswith("_") and hasattr(fitted, name):
            values = getattr(fitted, name)
            for part in values if isinstance(values, list) else [values]:
                if isinstance(part, np.ndarray | float):
                    _check_finite(name, np.asarray(part))
    X_hat = system.reconstruct(fitted, rows)
    _check_finite("reconstruction", X_hat)
    _check_same(kind, X_hat, system.reconstruct(system.fitted_to(rows), rows))
    if system.like_pca and not np.isnan(rows).any():
        mean = _mean(rows)
        minimum = min(system.reference_r2, r2(rows, _by_pca(rows, rows), mean)) - WORSE
        _check_r2(r2(rows, X_hat, mean), minimum)
    return "ok", ""


def _class_of(error):
    classes = (c.__name__ for c in (ValueError, TypeError) if isinstance(error, c))
    return next(classes, type(error).__name__)


def _transformed_right(system, kind, rows):
    fitted, before = system.fitted_to(kind.before), system.answer_before(kind.before)
    try:
        answer = np.asarray(system.answer(fitted, kind.make()))
    except Exception as error:
        if not np.array_equal(system.answer(fitted, kind.before), before):
            return "HALF-FITTED", repr(error)
        return _class_of(error), str(error)
    if rows is None:
        return "WRONG", "no result is correct"
    _check_finite("result", answer)
    plain = system.fitted_to(TABLE)
    _check_same(kind, answer, system.answer(plain, rows))
    if system.like_pca and not np.isnan(rows).any():
        X_hat, mean = system.reconstruct(plain, rows), TABLE.mean(axis=0)
        _check_finite("reconstruction", X_hat)
        _check_r2(r2(rows, X_hat, mean), r2(rows, _by_pca(TABLE, rows), mean) - WORSE_ELSEWHERE)
    return "ok", ""


def _check_r2(value, minimum):
    if not value >= minimum:
        raise Wrong("WRONG", f"R² {value:.3f}, below {minimum:.3f}")


def _check_finite(name, values):
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Wrong("NON-FINITE", name)


def _check_same(kind, answer, expected):
    """Check that a result agrees with that for an ordinary array."""
    tolerance = 1e-2 if "float32" in kind.name else 1e-6
    largest = np.abs(expected).max()
    if not np.allclose(answer, expected, rtol=0, atol=tolerance * largest):
        difference = np.abs(answer - expected).max() / largest
        raise Wrong("WRONG", f"differs by {difference:.2g} of the largest value from the result for an ordinary array")


def _exponent(X):
    return np.frexp(np.abs(X).max())[1]


def _mean(X):
    """Return the mean of samples whose sum may overflow; the mean of constant samples is exact."""
    return X[0] + ((X - X[0]) / len(X)).sum(axis=0)


def r2(X, X_hat, mean):
    """Return the fraction of the squared deviations from a mean that a reconstruction explains, in any units."""
    exponent = _exponent(X - mean)
    error, total = (np.square(np.ldexp(a, -exponent)).sum() for a in (X - X_hat, X - mean))
    if total == 0:
        return float(np.allclose(X, X_hat, rtol=1e-9, atol=0))
    return 1 - error / total


def _by_pca(fitted_to, rows):
    """Return PCA's reconstruction, in any units."""
    mean = _mean(fitted_to)
    exponents = _exponent(fitted_to - mean), _exponent(rows - mean)
    pca = PCA(min(K, *fitted_to.shape), svd_solver="full")
    with np.errstate(all="ignore"):  # the explained variance ratio of constant samples
        axes = pca.fit(np.ldexp(fitted_to - mean, -exponents[0])).components_
    return np.ldexp(np.ldexp(rows - mean, -exponents[1]) @ axes.T @ axes, exponents[1]) + mean
