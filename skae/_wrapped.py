"""What the detector and the sampler ask of the autoencoder inside them, which may be anybody's, or a Pipeline."""

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
from skae._inference import lets_overflow
from skae._training.selection import fold_networks

LONGEST_REPR = 60
MIN_RECONSTRUCTED = 2  # samples
REFUSALS = (ValueError, ArithmeticError)
WANTED = ("fit", "transform", "inverse_transform")


def check_invertible(estimator, owner):
    """Refuse what can't transform back, and name the step that can't.

    Parameters
    ----------
    estimator : object
        A class is refused elsewhere.

    owner : str
        Name of the class whose parameter it is.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError.
    """
    if estimator is None or isinstance(estimator, type):
        return
    name, culprit, missing = _not_invertible(estimator)
    if culprit is None:
        return
    if name is None:
        raise InvalidParameterError(
            f"The 'autoencoder' parameter of {owner} must be an object implementing 'fit', 'transform' and "
            f"'inverse_transform'. Got a {type(culprit).__name__} instead: autoencoder={short_repr(culprit)} has no "
            f"{missing}. Take one of skae's, PCA, or a Pipeline of such."
        )
    raise InvalidParameterError(
        f"The 'autoencoder' parameter of {owner} must be a Pipeline that can be inverted, but its step {name!r}, a "
        f"{type(culprit).__name__}, has no {missing}. Apply it to X beforehand, or take a step that has one, such as "
        "StandardScaler."
    )


def _not_invertible(estimator):
    """Name (None for the estimator itself), object and missing method of what can't be inverted; None thrice if none.

    A Pipeline within a search or the like is looked into as well.
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
    """Whether an autoencoder takes samples in which cells are missing: each step of a Pipeline has to."""
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
        return all(takes_missing(step) for step in steps)
    inner = getattr(estimator, "best_estimator_", getattr(estimator, "estimator", None))
    if inner is not None:
        return takes_missing(inner)
    tags = get_tags(estimator)
    return tags.input_tags.allow_nan or tags.no_validation


def is_tabular(estimator):
    """Whether an autoencoder is a `TabularAutoencoder`, which encodes a table as numbers for the one within."""
    return hasattr(estimator, "_as_numbers")


def of_numbers(estimator):
    """The autoencoder of numbers within a fitted one of tables; of others, itself."""
    return estimator.autoencoder_ if is_tabular(estimator) else estimator


def short_repr(estimator):
    """Return an estimator on one line, or the name of its class where that would be a long one."""
    text = " ".join(repr(estimator).split())
    return text if len(text) <= LONGEST_REPR else f"{type(estimator).__name__}(...)"


# Networks of folds ---------------------------------------------------------------------------------------------------


def fit_parameters(autoencoder, **given):
    """Parameters of an autoencoder's `fit`, by the names that it takes them by.

    Parameters
    ----------
    autoencoder : estimator
        May be a Pipeline, whose last step they are for.

    **given : dict
        `X_val` and `groups`; what is None was not given.

    Returns
    -------
    parameters : dict

    Raises
    ------
    ValueError
        If it takes none of the kind, or `X_val` would not pass the earlier steps of a Pipeline.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(autoencoder, Pipeline):
        if get_config()["enable_metadata_routing"]:
            return given
        if "X_val" in given:
            raise ValueError(
                "X_val has to pass the earlier steps of a Pipeline, which takes metadata routing: "
                "sklearn.set_config(enable_metadata_routing=True), Pipeline(..., transform_input=['X_val']), and "
                "set_fit_request(X_val=True) of its last step."
            )
        name, last = autoencoder.steps[-1]
        return {f"{name}__{parameter}": value for parameter, value in fit_parameters(last, **given).items()}
    taken = inspect.signature(getattr(autoencoder, "fit", len)).parameters.values()  # "passthrough" has none
    for name in given:
        if not any(parameter.name == name or parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
            raise ValueError(f"autoencoder={short_repr(autoencoder)} takes no {name} in fit. Leave {name} out.")
    return given


def fit_with_folds(autoencoder, X, y, **parameters):
    """Fit an autoencoder, and return the networks of its folds, which have not seen all samples.

    Parameters
    ----------
    autoencoder : estimator
        One of skae's, or a Pipeline that ends in one, or a search that refits one in this process. Others have no
        folds.

    X, y, **parameters : as for `fit`

    Returns
    -------
    folds : list of (train, held_out, estimator)
        Indices of samples, and the fitted autoencoder with that fold's network in the place of its own. Empty if there
        are none.
    """
    kept = WeakKeyDictionary()  # of each candidate of a search, while it lives
    token = fold_networks.set(kept)
    try:
        autoencoder.fit(X, y, **parameters)
    finally:
        fold_networks.reset(token)
    path = _path_to_the_last(autoencoder)
    n_rows, folds, weights = next((found for one, found in kept.items() if one is path[-1]), (0, [], []))
    if n_rows != np.shape(X)[0]:  # a step has left some out, or made some
        return []
    return [(*fold, _replaced(path, path[-1]._with_network(w))) for fold, w in zip(folds, weights, strict=True)]


def _path_to_the_last(estimator):
    """The estimator, the best one or the last step within it, and so on."""
    path = [estimator]
    while isinstance(path[-1], Pipeline) or hasattr(path[-1], "best_estimator_"):
        outer = path[-1]
        path.append(outer.steps[-1][1] if isinstance(outer, Pipeline) else outer.best_estimator_)
    return path if of_numbers(path[-1]) is path[-1] else [*path, of_numbers(path[-1])]


def _replaced(path, last):
    """What transforms as the first of the path does, with another estimator in the place of the last."""
    for outer in reversed(path[:-1]):
        if isinstance(outer, Pipeline):
            pipeline = copy.copy(outer)  # shares the other steps
            pipeline.steps = [*outer.steps[:-1], (outer.steps[-1][0], last)]
            last = pipeline
    return last


# Codes and reconstructions -------------------------------------------------------------------------------------------


class Table:
    """Rows of X some at a time, as arrays, and as they came where X is a frame.

    Parameters
    ----------
    X : object
        As it came.

    checked : ndarray, CSR matrix or array of shape (n, d)
        The same as numbers.
    """

    def __init__(self, X, checked):
        self.frame = X if is_frame(X) else None
        self.rows = ArrayReader(checked, may_miss=True)

    def batches(self):
        """Yield (array, frame), or the array twice."""
        start = 0
        for batch in self.rows.batches():
            yield batch, batch if self.frame is None else take(self.frame, slice(start, start + len(batch)))
            start += len(batch)

    def some(self, index):
        """Yield the same of some samples, by increasing indices."""
        rows = ArrayReader(self.rows.X, index, may_miss=True)
        start = 0
        for batch in rows.batches():
            mine = index[start : start + len(batch)]
            yield batch, batch if self.frame is None else take(self.frame, mine)
            start += len(batch)


def take(X, index):
    """Rows of a frame or an array, by an array of int or a slice."""
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def first_row(X):
    """The first sample of whatever holds samples, (1, d) in float64; None if it is not of numbers."""
    if issparse(X):
        return X.tocsr()[:1].toarray().astype(np.float64)
    try:
        return np.array(take(X, slice(1)), dtype=np.float64)
    except (ValueError, TypeError):
        return None


def framed(frame, values):
    """Values, (n, d), in a frame of the kind, columns and types of another; of the other's type if that is an array."""
    if not is_frame(frame):
        return values.astype(getattr(frame, "dtype", values.dtype), copy=False)
    if hasattr(frame, "iloc"):
        types = dict(zip(frame.columns, frame.dtypes, strict=True))
        made = type(frame)(values, columns=frame.columns)
        other = {name: dtype for name, dtype in types.items() if dtype != values.dtype}
        if not other:
            return made
        return made.round({name: 0 for name in other if is_discrete(types[name])}).astype(other)
    made = type(frame)(values, schema=list(frame.columns), orient="row").fill_nan(None)  # which is no int
    return made.cast(dict(zip(frame.columns, frame.dtypes, strict=True)))


def named_alike(X, values):
    """Values, (n, d), with the names of the columns and rows of X, if that is a frame."""
    if not is_frame(X):
        return values
    if hasattr(X, "iloc"):
        return type(X)(values, columns=X.columns, index=X.index)
    return type(X)(values, schema=list(X.columns), orient="row")


def is_discrete(dtype):
    """Whether a column of that type, of numpy, pandas or polars, holds anything but floating numbers."""
    return not (dtype.is_float() if hasattr(dtype, "is_float") else getattr(dtype, "kind", "") == "f")


def finite_rows(values):
    """Which samples have nothing but finite numbers."""
    return np.isfinite(values).all(axis=1)


def refuse_empty(codes, autoencoder):
    """Refuse codes of no components, which have no density."""
    if codes.shape[1] == 0:
        raise ValueError(
            f"The codes of autoencoder={short_repr(autoencoder)} have 0 components, of which there is no density. Set "
            "its n_components to 1 or more."
        )


def refuse_few_reconstructed(autoencoder, counts):
    """Refuse an autoencoder that can reconstruct hardly any of the samples, of which an ndarray of bool says which."""
    if counts.sum() < MIN_RECONSTRUCTED:
        raise ValueError(
            f"autoencoder={short_repr(autoencoder)} can reconstruct {counts.sum()} of {len(counts)} samples of X, and "
            f"at least {MIN_RECONSTRUCTED} are required: the codes or reconstructions of the others are NaN, "
            "infinite or too large to square. Look at autoencoder.fit(X).transform(X); a step that takes a logarithm "
            "may need another range of X."
        )


def blank_rows(X):
    """Which samples have no cell, (n,) of bool: all of them are missing. None have where X is not of numbers."""
    if stays_in_place(X):
        return np.concatenate([np.isnan(batch).all(axis=1) for batch in ArrayReader(X, may_miss=True).batches()])
    try:
        checked = check_array(with_nan(as_numpy(X)), accept_sparse="csr", dtype=FLOATS, ensure_all_finite=False)
    except (ValueError, TypeError):
        checked = None
    return np.isnan(checked).all(axis=1) if isinstance(checked, np.ndarray) else np.zeros(np.shape(X)[0], dtype=bool)


def encode(autoencoder, X, owner=None, known=None):
    """Codes in float64, (n, k); NaN or infinite where there are none, if it is not X that is to blame.

    Parameters
    ----------
    autoencoder : estimator
        Fitted.

    X : object
        Whatever it takes.

    owner : estimator, default=None
        Fitted on samples of the same columns.

    known : object, default=None
        One sample that has a code.

    Returns
    -------
    codes : ndarray of shape (n, k)
    """

    def transform(rows):
        return _dense(autoencoder.transform(rows)).astype(np.float64, copy=False)

    try:
        with np.errstate(all="ignore"):
            return _quietly(transform, X)
    except REFUSALS:
        if owner is not None:
            validate_data(owner, X, reset=False, skip_check_array=True)
        finite = "allow-nan" if takes_missing(autoencoder) else True
        checked = check_array(X, accept_sparse="csr", dtype=None, ensure_all_finite=finite, input_name="X")
    with _unchecked():
        return _row_by_row(transform, X if is_frame(X) else checked, known)


def decode(autoencoder, codes):
    """Reconstructions, (n, d), of finite codes; NaN or infinite where there are none."""
    with _unchecked():
        return _row_by_row(lambda rows: _dense(autoencoder.inverse_transform(rows)), codes)


def reconstruct(autoencoder, X, n_features, known=None):
    """Codes and reconstructions of samples, both of them NaN or infinite where one can't be had.

    Neither is an error: a sample that is too far outside for one step or another is the most anomalous there is, and
    says nothing of the others.

    Parameters
    ----------
    autoencoder : estimator
        Fitted.

    X : ndarray or frame of shape (n, d)

    n_features : int
        d.

    known : ndarray or frame of shape (1, d), default=None
        A sample that can be reconstructed, unless there is more amiss than some samples.

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
    """Let NaN and infinity through every step: the other samples have numbers all the same."""
    token = lets_overflow.set(True)
    try:
        with np.errstate(all="ignore"), config_context(assume_finite=True):
            yield
    finally:
        lets_overflow.reset(token)


def _row_by_row(function, X, known=None):
    """Values of all samples, (n, m), with NaN for samples that the function refuses.

    What refuses one sample refuses them all: they are halved until it is alone. If it refuses all, its error counts,
    unless a known sample shows that it works.
    """
    n = np.shape(X)[0]
    parts, values, error, width = [(0, n)], [], None, None
    while parts:
        start, stop = parts.pop()
        try:
            rows = X if stop - start == n else take(X, slice(start, stop))
            values.append((start, _quietly(function, rows)))
            width = values[-1][1].shape[1]
        except REFUSALS as raised:
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
    """Call a function; that what it warns of comes to infinity or NaN is no error here, where warnings are errors."""
    try:
        return function(rows)
    except RuntimeWarning:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return function(rows)
