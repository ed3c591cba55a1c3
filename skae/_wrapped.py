"""Helpers of meta-estimators for their autoencoder, which may be any estimator with an inverse, or a Pipeline."""

import contextlib
import copy
import inspect
import warnings
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import issparse
from sklearn import config_context, get_config
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, get_tags
from sklearn.utils.validation import validate_data

from skae._array_api import as_numpy
from skae._columns import is_frame
from skae._constraints import InvalidParameterError
from skae._data.readers import FLOATS, ArrayReader, stays_in_place, with_nan
from skae._inference import allow_overflow
from skae._training.selection import fold_networks

LONGEST_REPR = 60
MIN_RECONSTRUCTED = 2  # samples
DATA_ERRORS = (ValueError, ArithmeticError)
WANTED = ("fit", "transform", "inverse_transform")


def check_invertible(estimator, owner):
    """Raise an error if an estimator has no inverse transform, with the name of the step that has none.

    Parameters
    ----------
    estimator : object
        Estimator. Classes are ignored, since they are rejected by the parameter validation.

    owner : str
        Name of the class of the meta-estimator.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError.
    """
    if estimator is None or isinstance(estimator, type):
        return
    name, part, missing = _not_invertible(estimator)
    if part is None:
        return
    if name is None:
        raise InvalidParameterError(
            f"The 'autoencoder' parameter of {owner} must be an object implementing 'fit', 'transform' and "
            f"'inverse_transform'. Got a {type(part).__name__} instead: autoencoder={short_repr(part)} has no "
            f"{missing}. Use an autoencoder of skae, PCA, or a Pipeline of these."
        )
    raise InvalidParameterError(
        f"The 'autoencoder' parameter of {owner} must be a Pipeline that can be inverted, but its step {name!r}, a "
        f"{type(part).__name__}, has no {missing}. Apply it to X beforehand, or use a step that has one, such as "
        "StandardScaler."
    )


def _not_invertible(estimator):
    """Return (name, object, missing method) of a part without inverse; the name is None for the estimator itself.

    If there is none, return three None. A Pipeline within a meta-estimator, such as a search, is inspected as well.
    """
    missing = next((method for method in WANTED if not hasattr(estimator, method)), None)
    if missing is None:
        return None, None, None
    inner = getattr(estimator, "estimator", None)
    steps = estimator.steps if isinstance(estimator, Pipeline) else []
    parts = [(None, inner)] if isinstance(inner, Pipeline) else steps
    for name, part in parts:
        if part is None or isinstance(part, str):  # "passthrough"
            continue
        found = _not_invertible(part)
        if found[1] is not None:
            return (found[0] or name, *found[1:])
    return None, estimator, missing


def takes_missing(estimator):
    """Return whether an autoencoder supports missing values: for a Pipeline, whether each step does."""
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
        return all(takes_missing(step) for step in steps)
    inner = getattr(estimator, "best_estimator_", getattr(estimator, "estimator", None))
    if inner is not None:
        return takes_missing(inner)
    tags = get_tags(estimator)
    return tags.input_tags.allow_nan or tags.no_validation


def is_tabular(estimator):
    """Return whether an autoencoder is a `TabularAutoencoder`."""
    return hasattr(estimator, "_as_numbers")


def of_numbers(estimator):
    """Return the numeric autoencoder of a fitted `TabularAutoencoder`, or any other autoencoder itself."""
    return estimator.autoencoder_ if is_tabular(estimator) else estimator


def short_repr(estimator):
    """Return the representation of an estimator on one line, or the name of its class if that is too long."""
    text = " ".join(repr(estimator).split())
    return text if len(text) <= LONGEST_REPR else f"{type(estimator).__name__}(...)"


# Networks of folds ---------------------------------------------------------------------------------------------------


def fit_parameters(autoencoder, **given):
    """Return the parameters for an autoencoder's `fit`, with the prefix of a Pipeline's step if needed.

    Parameters
    ----------
    autoencoder : estimator
        Autoencoder, or a Pipeline, whose last step takes the parameters.

    **given : dict
        `X_val` and `groups`; None is omitted.

    Returns
    -------
    parameters : dict

    Raises
    ------
    ValueError
        If `fit` doesn't take a parameter, or `X_val` would not be transformed by the earlier steps of a Pipeline.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(autoencoder, Pipeline):
        if get_config()["enable_metadata_routing"]:
            return given
        if "X_val" in given:
            raise ValueError(
                "X_val must be transformed by the earlier steps of a Pipeline, which requires metadata routing: "
                "sklearn.set_config(enable_metadata_routing=True), Pipeline(..., transform_input=['X_val']), and "
                "set_fit_request(X_val=True) of its last step."
            )
        name, last = autoencoder.steps[-1]
        return {f"{name}__{parameter}": value for parameter, value in fit_parameters(last, **given).items()}
    taken = inspect.signature(getattr(autoencoder, "fit", len)).parameters.values()  # "passthrough" has no fit
    for name in given:
        if not any(parameter.name == name or parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
            raise ValueError(f"autoencoder={short_repr(autoencoder)} takes no {name} in fit. Omit {name}.")
    return given


def fit_with_folds(autoencoder, X, y, **parameters):
    """Fit an autoencoder, and return the networks of its folds, which were trained on a part of the samples.

    Parameters
    ----------
    autoencoder : estimator
        Autoencoder of skae, a Pipeline that ends with one, or a search that refits one in this process. Others have no
        folds.

    X, y, **parameters : as in `fit`

    Returns
    -------
    folds : list of (train, held_out, estimator)
        Indices of training and validation samples, and the fitted autoencoder with the network of that fold. Empty if
        there are no folds.
    """
    kept = WeakKeyDictionary()  # folds of each candidate of a search, as long as it exists
    token = fold_networks.set(kept)
    try:
        autoencoder.fit(X, y, **parameters)
    finally:
        fold_networks.reset(token)
    path = _path_to_the_last(autoencoder)
    n_rows, folds, weights = next((found for one, found in kept.items() if one is path[-1]), (0, [], []))
    if n_rows != np.shape(X)[0]:  # a step has removed or added samples
        return []
    return [(*fold, _replaced(path, path[-1]._with_network(w))) for fold, w in zip(folds, weights, strict=True)]


def _path_to_the_last(estimator):
    """Return the estimator, its best estimator or last step, and so on to the innermost one."""
    path = [estimator]
    while isinstance(path[-1], Pipeline) or hasattr(path[-1], "best_estimator_"):
        outer = path[-1]
        path.append(outer.steps[-1][1] if isinstance(outer, Pipeline) else outer.best_estimator_)
    return path if of_numbers(path[-1]) is path[-1] else [*path, of_numbers(path[-1])]


def _replaced(path, last):
    """Return the first estimator of a path, with the last one replaced."""
    for outer in reversed(path[:-1]):
        if isinstance(outer, Pipeline):
            pipeline = copy.copy(outer)  # shares the other steps
            pipeline.steps = [*outer.steps[:-1], (outer.steps[-1][0], last)]
            last = pipeline
    return last


# Codes and reconstructions -------------------------------------------------------------------------------------------


class Table:
    """Reader of batches of X, as arrays, and as data frames if X is one.

    Parameters
    ----------
    X : object
        Unconverted samples.

    checked : ndarray, CSR matrix or array of shape (n, d)
        Validated numeric samples.
    """

    def __init__(self, X, checked):
        self.frame = X if is_frame(X) else None
        self.rows = ArrayReader(checked, may_miss=True)

    def batches(self):
        """Yield batches of (array, data frame), or of the array twice."""
        start = 0
        for batch in self.rows.batches():
            yield batch, batch if self.frame is None else take(self.frame, slice(start, start + len(batch)))
            start += len(batch)

    def some(self, index):
        """Yield batches like `batches`, of samples given by increasing indices."""
        rows = ArrayReader(self.rows.X, index, may_miss=True)
        start = 0
        for batch in rows.batches():
            mine = index[start : start + len(batch)]
            yield batch, batch if self.frame is None else take(self.frame, mine)
            start += len(batch)


def take(X, index):
    """Return rows of a data frame or an array, given by an array of int or a slice."""
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def first_row(X):
    """Return the first sample of X in float64, (1, d), or None if it is not numeric."""
    if issparse(X):
        return X.tocsr()[:1].toarray().astype(np.float64)
    try:
        return np.array(take(X, slice(1)), dtype=np.float64)
    except (ValueError, TypeError):
        return None


def framed(frame, values):
    """Return values, (n, d), as a data frame like another one, or as an array of its dtype."""
    if not is_frame(frame):
        return values.astype(getattr(frame, "dtype", values.dtype), copy=False)
    if hasattr(frame, "iloc"):
        types = dict(zip(frame.columns, frame.dtypes, strict=True))
        made = type(frame)(values, columns=frame.columns)
        other = {name: dtype for name, dtype in types.items() if dtype != values.dtype}
        if not other:
            return made
        return made.round({name: 0 for name in other if is_discrete(types[name])}).astype(other)
    made = type(frame)(values, schema=list(frame.columns), orient="row").fill_nan(None)  # NaN can't be cast to int
    return made.cast(dict(zip(frame.columns, frame.dtypes, strict=True)))


def named_alike(X, values):
    """Return values, (n, d), as a data frame with the columns and the index of X, if that is one."""
    if not is_frame(X):
        return values
    if hasattr(X, "iloc"):
        return type(X)(values, columns=X.columns, index=X.index)
    return type(X)(values, schema=list(X.columns), orient="row")


def is_discrete(dtype):
    """Return whether a dtype of numpy, pandas or polars is not a floating-point one."""
    return not (dtype.is_float() if hasattr(dtype, "is_float") else getattr(dtype, "kind", "") == "f")


def finite_rows(values):
    """Return the mask of the samples with only finite values."""
    return np.isfinite(values).all(axis=1)


def raise_if_no_components(codes, autoencoder):
    """Raise an error if codes have no components."""
    if codes.shape[1] == 0:
        raise ValueError(
            f"The codes of autoencoder={short_repr(autoencoder)} have 0 components, and thus no density. Set its "
            "n_components to 1 or more."
        )


def raise_if_few_reconstructed(autoencoder, counts):
    """Raise an error if an autoencoder can reconstruct too few samples, given the mask of those that it can."""
    if counts.sum() < MIN_RECONSTRUCTED:
        raise ValueError(
            f"autoencoder={short_repr(autoencoder)} can reconstruct {counts.sum()} of {len(counts)} samples of X, and "
            f"at least {MIN_RECONSTRUCTED} are required: the codes or reconstructions of the others are NaN, "
            "infinite or too large to square. Check autoencoder.fit(X).transform(X); a step that takes a logarithm "
            "may need another range of X."
        )


def all_missing(X):
    """Return the mask of the samples whose values are all missing, (n,); all False if X is not numeric."""
    if stays_in_place(X):
        return np.concatenate([np.isnan(batch).all(axis=1) for batch in ArrayReader(X, may_miss=True).batches()])
    try:
        checked = check_array(with_nan(as_numpy(X)), accept_sparse="csr", dtype=FLOATS, ensure_all_finite=False)
    except (ValueError, TypeError):
        checked = None
    return np.isnan(checked).all(axis=1) if isinstance(checked, np.ndarray) else np.zeros(np.shape(X)[0], dtype=bool)


def encode(autoencoder, X, owner=None, known=None):
    """Return codes in float64, (n, k), with NaN or infinity for samples that can't be encoded; raise if X is invalid.

    Parameters
    ----------
    autoencoder : estimator
        Fitted autoencoder.

    X : object
        Samples, in any form that the autoencoder accepts.

    owner : estimator, default=None
        Estimator fitted on samples with the same columns.

    known : object, default=None
        One sample that can be encoded.

    Returns
    -------
    codes : ndarray of shape (n, k)
    """

    def transform(rows):
        return _dense(autoencoder.transform(rows)).astype(np.float64, copy=False)

    try:
        with np.errstate(all="ignore"):
            return _quietly(transform, X)
    except DATA_ERRORS:
        if owner is not None:
            validate_data(owner, X, reset=False, skip_check_array=True)
        finite = "allow-nan" if takes_missing(autoencoder) else True
        checked = check_array(X, accept_sparse="csr", dtype=None, ensure_all_finite=finite, input_name="X")
    with _unchecked():
        return _row_by_row(transform, X if is_frame(X) else checked, known)


def decode(autoencoder, codes):
    """Return reconstructions, (n, d), of finite codes, with NaN or infinity for codes that can't be decoded."""
    with _unchecked():
        return _row_by_row(lambda rows: _dense(autoencoder.inverse_transform(rows)), codes)


def reconstruct(autoencoder, X, n_features, known=None):
    """Return codes and reconstructions, NaN or infinite for samples that can't be encoded or decoded.

    This is not an error: a sample that is too far outside for a step is the most anomalous one, and other samples are
    not affected.

    Parameters
    ----------
    autoencoder : estimator
        Fitted autoencoder.

    X : ndarray or frame of shape (n, d)

    n_features : int
        d.

    known : ndarray or frame of shape (1, d), default=None
        A sample that can be reconstructed; if it can't, the error is not specific to samples and is raised.

    Returns
    -------
    codes : ndarray of shape (n, k)

    reconstruction : ndarray of shape (n, d)
    """

    def both(rows):
        codes = _dense(autoencoder.transform(rows))
        x_hat, fine = np.full((len(codes), n_features), np.nan), finite_rows(codes)
        if fine.any():
            x_hat[fine] = _dense(autoencoder.inverse_transform(codes[fine]))
        return np.hstack([x_hat, codes], dtype=np.float64)

    with _unchecked():
        found = _row_by_row(both, X, known)
    return found[:, n_features:], found[:, :n_features]


def _dense(values):
    return values.toarray() if issparse(values) else np.asarray(values)


@contextlib.contextmanager
def _unchecked():
    """Allow NaN and infinity in all steps, so that the other samples are processed."""
    token = allow_overflow.set(True)
    try:
        with np.errstate(all="ignore"), config_context(assume_finite=True):
            yield
    finally:
        allow_overflow.reset(token)


def _row_by_row(function, X, known=None):
    """Return the values of all samples, (n, m), with NaN for samples for which the function raises an error.

    An error for one sample makes its batch fail, so batches are halved until that sample is isolated. If all
    samples fail, the error is raised, unless the function works for a known sample.
    """
    n = np.shape(X)[0]
    parts, values, error, width = [(0, n)], [], None, None
    while parts:
        start, stop = parts.pop()
        try:
            rows = X if stop - start == n else take(X, slice(start, stop))
            values.append((start, _quietly(function, rows)))
            width = values[-1][1].shape[1]
        except DATA_ERRORS as raised:
            if error is None and known is not None:
                width = function(known).shape[1]
            error = raised
            if stop - start > 1:
                middle = (start + stop) // 2
                parts += [(middle, stop), (start, middle)]
    if width is None:
        raise error
    found = np.full((n, width), np.nan)
    for start, part in values:
        found[start : start + len(part)] = part
    return found


def _quietly(function, rows):
    """Call a function, ignoring RuntimeWarning (of infinity or NaN) where warnings are errors."""
    try:
        return function(rows)
    except RuntimeWarning:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return function(rows)
