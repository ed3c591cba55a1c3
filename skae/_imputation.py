"""Imputation of missing values: weighting of factor analysis and of the network's reconstruction."""

import numpy as np

from skae._data.missing import FactorModel, check_columns, missing_mask
from skae._data.readers import ArrayReader
from skae._inference import allow_overflow
from skae._training.distributed import broadcast_from_main

HIDDEN = 0.2  # fraction of the values that are hidden to compare the two
WORSE = 0.1  # fraction of a feature's variance, by which its mean squared error may increase
MAX_ROWS, MAX_COMPLETE = 1000, 200  # samples per fold, with and without missing values


def network_weights(estimator, rows, validation, of_folds, seed):
    """Return the weights of the reconstruction, from 0 to 1, relative to the factor model, that best predict values.

    It is the same for all features, except for those that would be predicted clearly worse than by the factor model:
    networks don't reconstruct features whose variance is tiny in the units of the others. It is determined by hiding
    values of validation samples, with networks that were not trained on them. All samples are used if there is no
    validation set or if the network equals its initialization.

    Parameters
    ----------
    estimator : AutoencoderCore
        Fitted autoencoder.

    rows : ScaledReader
        Training data.

    validation : Validation or None
        Validation samples, if any.

    of_folds : list of dict of str to ndarray
        Weights of the networks of the folds; empty with fewer than two folds.

    seed : int
        Seed of the choice of hidden values.

    Returns
    -------
    weights : ndarray of shape (d,)
    """
    factors, rng = estimator._statistics.factors, np.random.RandomState(seed)
    compared, parts = rows, [(estimator, np.arange(len(rows)))]
    if validation is not None and estimator.best_epoch_ and validation.folds:
        compared = rows if validation.rows is None else validation.rows
        networks = [estimator._with_network(weights) for weights in of_folds] or [estimator]
        parts = [(network, index) for network, (_, index) in zip(networks, validation.folds, strict=False)]
    sums = np.zeros((3, len(rows.per_unit)))
    for network, index in parts:
        some = np.sort(rng.permutation(index)[: MAX_COMPLETE if compared.missing is None else MAX_ROWS])
        x = np.concatenate(list(ArrayReader(compared.X, some).batches()))
        if compared.missing is not None:
            x = np.where(compared.missing[some], np.nan, x)
        hidden = ~np.isnan(x) & (rng.rand(*x.shape) < HIDDEN)
        expected = factors.fill(np.where(hidden, np.nan, x).astype(x.dtype))
        token = allow_overflow.set(True)
        try:
            made = network._run("forward", expected)
        finally:
            allow_overflow.reset(token)
        with np.errstate(over="ignore", invalid="ignore"):  # if the network overflows, its weight is 0
            x, off, step = (
                np.where(hidden, each * rows.per_unit, 0.0) for each in (x - rows.mean, x - expected, made - expected)
            )
            sums += [(a * b).sum(axis=0) for a, b in ((off, step), (step, step), (x, x))]
    starts = [*range(estimator._spec.n_numbers), *(start for start, _ in estimator._spec.categories)]
    with np.errstate(over="ignore", invalid="ignore"):
        products, squares, variance = np.add.reduceat(sums, starts, axis=1)  # per categorical column
        common, own = _ratio(products.sum(keepdims=True), squares.sum(keepdims=True)), _ratio(products, squares)
        is_worse = common**2 * squares - 2 * common * products > WORSE * variance
    return np.repeat(np.where(is_worse, own, common), np.diff([*starts, len(rows.per_unit)]))


def _ratio(products, squares):
    """Return the least-squares weights from 0 to 1; 0 if they are not finite."""
    is_known = np.isfinite(products) & np.isfinite(squares) & (squares > 0)
    return np.divide(products, squares, out=np.zeros_like(squares), where=is_known).clip(0.0, 1.0)


def filled_chunk(estimator, rows, statistics, seed):
    """Impute missing values of a chunk by a factor model of this and earlier chunks.

    Parameters
    ----------
    estimator : AutoencoderCore
        Estimator before the chunk.

    rows : ArrayReader
        Samples, with NaN for missing values.

    statistics : FeatureStatistics
        Statistics of all samples. Their `factors` are set.

    seed : int

    Returns
    -------
    X : ndarray, CSR matrix or array of shape (n, d)

    missing : ndarray of bool of shape (n, d)
        Mask of missing values; None if there are none.
    """
    check_columns(statistics.n_each, statistics.n_rows, getattr(estimator, "feature_names_in_", None))
    if estimator._takes_missing and not rows.sparse:
        before = None if statistics.n_rows == len(rows) else estimator._statistics
        statistics.factors = broadcast_from_main(FactorModel.of_stream(rows, before, statistics, seed))
    missing = missing_mask(rows)
    if missing is None:
        return rows.X, None
    return np.concatenate([statistics.factors.fill(x) for x in rows.batches()]), missing


def weigh_network(estimator, rows, seed):
    """Determine the weights of the network's reconstruction in imputed values on the given samples, and set them."""
    if estimator._statistics.factors is not None:
        estimator._network_weights = network_weights(estimator, rows, None, [], seed)
