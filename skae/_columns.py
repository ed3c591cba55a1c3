"""Encoding of tables (data frames and arrays) of numbers, categories and dates as numeric arrays, and decoding."""

import io
import re
import sys
from numbers import Number

import numpy as np
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import check_array

MIN_MANY = 20  # columns with at most this number of categories are always accepted
DAY = 86400.0  # in seconds
SOLUTION = "Drop it, or set max_categories or min_frequency to group rare ones"


def is_frame(X):
    """Return whether X is a data frame of pandas or polars, whose columns have names and types."""
    return all(hasattr(X, name) for name in ("columns", "dtypes", "to_numpy", "shape"))


def checked_table(X, owner):
    """Return X if it is a data frame, or else a two-dimensional array, possibly of objects."""
    if is_frame(X):
        return X
    if isinstance(X, list | tuple) and np.asarray(X).dtype.kind in "US":  # keep numbers in lists with strings
        X = np.array(X, dtype=object)
    return check_array(X, dtype=None, ensure_all_finite=False, estimator=owner, input_name="X")


def column_of(X, j):
    """Return column j of a data frame or an array."""
    return X.iloc[:, j] if hasattr(X, "iloc") else X[:, j]


def missing_in(column):
    """Return the mask of the missing values of a column, (n,)."""
    if hasattr(column, "isna"):
        return column.isna().to_numpy(dtype=bool)
    if hasattr(column, "is_null"):
        missing = column.is_null().to_numpy()
        return missing | column.is_nan().fill_null(True).to_numpy() if column.dtype.is_float() else missing
    if column.dtype.kind in "fc":
        return np.isnan(column)
    if column.dtype.kind != "O":
        return np.zeros(len(column), dtype=bool)
    pandas = sys.modules.get("pandas")  # pandas.NA exists only if pandas is imported
    return np.array([x is None or x is getattr(pandas, "NA", None) or x != x for x in column], dtype=bool)


def _objects(column):
    """Return the values of a column as objects, (n,)."""
    if hasattr(column, "is_null"):
        return np.array([*column.to_list(), None], dtype=object)[:-1]
    return np.asarray(column.astype(object))


def _kind(column, name):
    """Return the kind of a column by its type: "number", "category" or "date"."""
    dtype = column.dtype
    if str(dtype) in ("Time", "time64[us][pyarrow]", "time64[ns][pyarrow]"):
        raise ValueError(f"Column {name!r} of X contains times of day. Convert them to hours, or drop it.")
    if hasattr(dtype, "is_numeric"):  # of polars
        if dtype.is_nested():
            raise TypeError(f"Column {name!r} of X contains nested values of type {dtype}. Drop it, or flatten it.")
        return "number" if dtype.is_numeric() else "date" if dtype.is_temporal() else "category"
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported\nColumn {name!r} of X has dtype {dtype}.")
    if dtype.kind in "iuf":
        return "number"
    if dtype.kind in "Mm":
        return "date"
    if str(dtype) != "object":
        return "category"
    there = _objects(column)[~missing_in(column)]
    if all(isinstance(x, Number) and not isinstance(x, bool | np.bool_) for x in there):
        return "number"
    for x in there:
        if not isinstance(x, str | Number | np.bool_):
            raise TypeError(
                f"Column {name!r} of X contains a {type(x).__name__}: a value in a table, or a float() argument, must "
                "be a string or a real number."
            )
    return "category"


class ColumnEncoder:
    """Encode a table as a numeric array, and decode such an array.

    Numbers and dates, in seconds, come first, each as one column. They are followed by the indicators of categories
    from scikit-learn's `OneHotEncoder`. Missing values are encoded as NaN, as are all indicators of a category that is
    missing or unknown.

    Parameters
    ----------
    categorical_features, datetime_features : as in `TabularAutoencoder`

    **encoder_params : dict
        Parameters of `OneHotEncoder`.
    """

    def __init__(self, categorical_features, datetime_features, **encoder_params):
        self.categorical_features, self.datetime_features = categorical_features, datetime_features
        self.encoder_params = encoder_params

    def __getstate__(self):
        state = vars(self).copy()
        return state | {"empty": _plain_schema(state["empty"])} if state.get("is_frame") else state

    def __setstate__(self, state):
        vars(self).update(state)
        if state.get("is_frame"):
            self.empty = _empty_frame(state["empty"])

    def fit(self, X):
        """Determine the kinds and categories of the columns of a table.

        Parameters
        ----------
        X : ndarray or frame of shape (n, d)

        Returns
        -------
        self : ColumnEncoder
        """
        self.is_frame = is_frame(X)
        self.labels = list(X.columns) if self.is_frame else list(range(X.shape[1]))
        self.empty = X[:0]  # keeps the names and types
        columns = [column_of(X, j) for j in range(X.shape[1])]
        for name, column in zip(self.labels, columns, strict=True):
            if missing_in(column).all():
                raise ValueError(f"Column {name!r} of X has only missing values. Drop it.")
        self.kinds = self._kinds(X, columns)
        places = {kind: np.flatnonzero(self.kinds == kind).tolist() for kind in ("number", "date", "category")}
        self.numbers, self.categories = sorted(places["number"] + places["date"]), places["category"]
        self.in_days = [j for j in places["date"] if not (np.nan_to_num(_seconds(columns[j])) % DAY).any()]
        self.encoder, self.values, self.spans = None, [], ()
        if len(self.categories):
            self._fit_categories(columns, len(X))
        return self

    def _kinds(self, X, columns):
        """Return the kind of each column, (d,) of str."""
        dates = self._chosen(X, self.datetime_features, "datetime_features")
        if isinstance(self.categorical_features, str):  # "auto"
            kinds = [
                "date" if is_date else _kind(column, name)
                for column, name, is_date in zip(columns, self.labels, dates, strict=True)
            ]
        else:
            chosen = self._chosen(X, self.categorical_features, "categorical_features")
            kinds = []
            for column, name, is_category, is_date in zip(columns, self.labels, chosen, dates, strict=True):
                kinds.append("category" if is_category else "date" if is_date else _kind(column, name))
                if kinds[-1] == "category" and not is_category:
                    raise ValueError(
                        f"Column {name!r} of X doesn't contain numbers and is not in categorical_features. Add it "
                        "there, drop it, or set categorical_features='auto'."
                    )
        for column, name, kind, is_date in zip(columns, self.labels, kinds, dates, strict=True):
            if kind == "date" and not is_date:
                raise ValueError(
                    f"Column {name!r} of X contains dates or durations, of type {column.dtype}. Set "
                    f"datetime_features=[{name!r}] to convert them to seconds, drop it, or replace it by relevant "
                    "features, such as the month as a category."
                )
            if kind == "date" and _kind(column, name) != "date":
                raise ValueError(
                    f"datetime_features has column {name!r} of X, which has type {column.dtype}. Convert it to dates."
                )
        return np.array(kinds)

    def _chosen(self, X, features, parameter):
        """Return the mask of the columns selected by a parameter, (d,)."""
        chosen = np.zeros(len(self.labels), dtype=bool)
        features = features(X) if callable(features) else features
        if features is None or len(features) == 0:
            return chosen
        features = np.asarray(features, dtype=object)
        if all(isinstance(each, bool | np.bool_) for each in features):
            if len(features) != len(chosen):
                raise ValueError(f"{parameter} has {len(features)} booleans, and X has {len(chosen)} columns.")
            return features.astype(bool)
        for each in features:
            place = self.labels.index(each) if each in self.labels else each
            if isinstance(place, str) or not -len(chosen) <= place < len(chosen):
                raise ValueError(f"{parameter} has {each!r}, which is not a column of X. It has {self.labels!r}.")
            chosen[place] = True
        return chosen

    def _fit_categories(self, columns, n_rows):
        filled, counts = [], []
        for j in self.categories:
            objects, missing = _objects(columns[j]), missing_in(columns[j])
            values, n_each = np.unique(objects[~missing].astype(str), return_counts=True)
            grouped = any(self.encoder_params[name] is not None for name in ("min_frequency", "max_categories"))
            if len(values) > max(MIN_MANY, (~missing).sum() / 2) and not grouped:
                raise ValueError(
                    f"Column {self.labels[j]!r} of X has {len(values)} categories in {n_rows} rows, which is too many. "
                    f"{SOLUTION}."
                )
            counts.append(dict(zip(values, n_each, strict=True)))
            # replace missing values by the most frequent category, so that no other frequency changes
            usual = objects[~missing][objects[~missing].astype(str) == values[n_each.argmax()]][0]
            filled.append(np.where(missing, usual, objects))
        self.encoder = OneHotEncoder(sparse_output=False, **self.encoder_params).fit(np.stack(filled, axis=1))
        start, spans = len(self.numbers), []
        for i, categories in enumerate(self.encoder.categories_):
            rare = getattr(self.encoder, "infrequent_categories_", [None] * len(self.categories))[i]
            values = [value for value in categories if rare is None or value not in rare]
            if rare is not None:
                values.append(max(rare, key=lambda value, i=i: counts[i].get(str(value), 0)))
            self.values.append(np.array([*values, None], dtype=object)[:-1])
            spans.append((start, start + len(values)))
            start += len(values)
        self.spans = tuple(spans)

    @property
    def places(self):
        """First index of each column of the table in the array, (d,) of int."""
        places = np.empty(len(self.labels), dtype=int)
        places[self.numbers] = np.arange(len(self.numbers))
        places[self.categories] = [start for start, _ in self.spans]
        return places

    def encode(self, X, owner):
        """Encode a table as an array, (n, d) -> (n, m), with NaN for missing values.

        Parameters
        ----------
        X : ndarray or frame of shape (n, d)

        owner : estimator
            Estimator that is named in errors.

        Returns
        -------
        Z : ndarray of shape (n, m)
            Array of float64, or of float32 if X is an array of float32.
        """
        parts = []
        for j in self.numbers:
            column = column_of(X, j)
            try:
                parts.append(_seconds(column) if self.kinds[j] == "date" else _floats(column))
            except (ValueError, TypeError) as error:
                raise type(error)(f"Column {self.labels[j]!r} of X must contain numbers: {error}") from error
        numbers = np.stack(parts, axis=1) if parts else np.empty((len(X), 0))
        if numbers.shape[1]:
            numbers = check_array(
                numbers, dtype=np.float64, ensure_all_finite="allow-nan", estimator=owner, input_name="X"
            )
        if self.encoder is None:
            return numbers.astype(X.dtype, copy=False) if getattr(X, "dtype", None) == np.float32 else numbers
        objects, missing = [], []
        for i, j in enumerate(self.categories):
            column = column_of(X, j)
            missing.append(missing_in(column))
            objects.append(np.where(missing[-1], self.values[i][0], _objects(column)))
        shares = self._shares(np.stack(objects, axis=1))
        for (start, stop), is_missing in zip(self.spans, missing, strict=True):
            block = shares[:, start - len(self.numbers) : stop - len(self.numbers)]
            block[is_missing | ~block.any(axis=1)] = np.nan  # unknown categories count as missing
        return np.hstack([numbers, shares])

    def _shares(self, objects):
        """Return the indicators of categorical columns, given as objects, (n, number of these columns)."""
        if not len(objects):
            return np.empty((0, self.spans[-1][1] - len(self.numbers)))
        try:
            return self.encoder.transform(objects)
        except ValueError as error:
            labels = [self.labels[j] for j in self.categories]
            named = re.sub(r"in column (\d+)", lambda found: f"in column {labels[int(found[1])]!r}", str(error))
            raise ValueError(f"{named}. Set handle_unknown='ignore' to count them as missing.") from error

    def decode(self, Z, like=None):
        """Decode an array to a table, with the most probable categories.

        Parameters
        ----------
        Z : ndarray of shape (n, m)

        like : frame, default=None
            Data frame whose index is used, if it has one.

        Returns
        -------
        X : ndarray or frame of shape (n, d)
            Table of the same type as in `fit`.
        """
        cells = [None] * len(self.labels)
        for place, j in enumerate(self.numbers):
            cells[j] = Z[:, place]
        for values, (start, stop), j in zip(self.values, self.spans, self.categories, strict=True):
            cells[j] = values[Z[:, start:stop].argmax(axis=1)]
        if self.is_frame:
            return self._framed(cells, getattr(like, "index", None))
        if self.encoder is None:
            return Z
        if all(isinstance(value, Number) for values in self.values for value in values):
            return np.stack([np.asarray(each, dtype=Z.dtype) for each in cells], axis=1)
        return np.stack([each.astype(object) for each in cells], axis=1)

    def _framed(self, cells, index):
        made = []
        for j, values in enumerate(cells):
            column = column_of(self.empty, j)
            if self.kinds[j] == "date":
                seconds = np.round(values / DAY) * DAY if j in self.in_days else values
                made.append(_dates(column, seconds, index))
            else:
                made.append(typed_as(column, values, index))
        if hasattr(self.empty, "iloc"):
            frame = sys.modules["pandas"].concat(made, axis=1)
            frame.columns = self.empty.columns
            return frame
        return type(self.empty)(made)

    def fill(self, X, Z):
        """Replace the missing values of a table by those of an array, and leave observed values unchanged."""
        decoded = self.decode(Z, X)
        if not self.is_frame:
            missing = np.stack([missing_in(X[:, j]) for j in range(X.shape[1])], axis=1)
            return np.where(missing, decoded, X).astype(np.result_type(X.dtype, decoded.dtype), copy=False)
        made = []
        for j in range(X.shape[1]):
            column, missing = column_of(X, j), missing_in(column_of(X, j))
            if not missing.any():
                made.append(column)
                continue
            values = column_of(decoded, j)
            if hasattr(X, "iloc"):
                made.append(column.where(~missing, values.astype(column.dtype)))
            else:
                there = type(column)(~missing)
                made.append(column.zip_with(there, values.cast(column.dtype)))
        if hasattr(X, "iloc"):
            frame = sys.modules["pandas"].concat(made, axis=1)
            frame.columns = X.columns
            return frame
        return type(X)(made)


def _plain_schema(empty):
    """Return an empty frame as plain values, which skops can save: (kind of frame, names, types)."""
    if not hasattr(empty, "iloc"):
        file = io.BytesIO()
        empty.write_ipc(file)  # Arrow's format
        return ["polars", file.getvalue()]
    pandas = sys.modules["pandas"]
    types = []
    for dtype in empty.dtypes:
        if isinstance(dtype, pandas.CategoricalDtype):
            types.append([dtype.categories.to_numpy(), str(dtype.categories.dtype), dtype.ordered])
        else:
            types.append(str(dtype) if pandas.api.types.pandas_dtype(str(dtype)) == dtype else dtype)
    return ["pandas", list(empty.columns), types, list(empty.columns.names)]


def _empty_frame(schema):
    """Return the empty frame with a plain schema."""
    if schema[0] == "polars":
        import polars

        return polars.read_ipc(io.BytesIO(schema[1]))
    import pandas

    columns = []
    for dtype in schema[2]:
        if isinstance(dtype, list):
            categories, dtype_of_categories, ordered = dtype
            dtype = pandas.CategoricalDtype(pandas.Index(categories, dtype=dtype_of_categories), ordered)
        columns.append(pandas.Series([], dtype=dtype))
    frame = pandas.concat(columns, axis=1)
    frame.columns = schema[1]
    frame.columns.names = schema[3]
    return frame


def _floats(column):
    """Return a column of numbers in float64, with NaN for missing values."""
    if hasattr(column, "is_null"):
        return np.asarray(column.cast(sys.modules["polars"].Float64).to_numpy(), dtype=np.float64)
    missing = missing_in(column)
    if missing.any() and column.dtype.kind != "f":
        filled = np.full(len(column), np.nan)
        filled[~missing] = _objects(column)[~missing].astype(np.float64)
        return filled
    return np.asarray(column, dtype=np.float64)


def _seconds(column):
    """Return a column of dates or durations in seconds, with NaN for missing values."""
    if hasattr(column, "isna"):
        column = column.to_numpy(dtype="timedelta64[ns]" if column.dtype.kind == "m" else "datetime64[ns]")
    values = np.asarray(column)
    if values.dtype.kind not in "Mm":
        raise ValueError(f"it has type {column.dtype}, which is not a date.")
    unit = np.timedelta64(1, "ns")
    ns = (values - np.datetime64(0, "ns")) / unit if values.dtype.kind == "M" else values / unit
    return ns / 1e9


def typed_as(column, values, index=None):
    """Return values, (n,), as a column with the type and the name of another."""
    name = str(column.dtype).lower().partition("[")[0]  # "Int64", or "int64[pyarrow]"
    if values.dtype.kind == "f" and name.startswith(("int", "uint")):
        whole = np.iinfo(name)
        most = np.nextafter(float(whole.max), 0) if whole.bits == 64 else whole.max  # 2**63 - 1 is not a float
        values = np.round(values).clip(whole.min, most).astype(whole.dtype)
    if hasattr(column, "iloc"):
        return type(column)(values, index=index, name=column.name).astype(column.dtype)
    return type(column)(column.name, values.tolist(), strict=False).cast(column.dtype)


def _dates(column, seconds, index):
    """Return seconds as a column of dates or durations with the type and the name of another."""
    ns = np.round(seconds * 1e9).astype(np.int64)
    of_polars, dtype = not hasattr(column, "iloc"), column.dtype
    is_span = str(dtype).startswith(("timedelta", "Duration"))
    values = ns.view("timedelta64[ns]" if is_span else "datetime64[ns]")
    if of_polars:
        made = type(column)(column.name, values)
        zone = getattr(dtype, "time_zone", None)
        return (made.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else made).cast(dtype)
    made = type(column)(values, index=index, name=column.name)
    zone = getattr(dtype, "tz", None)
    return (made.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else made).astype(dtype)
