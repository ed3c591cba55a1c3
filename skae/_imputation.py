"""What is put in the place of missing cells: what is expected of them, or what the network makes of them."""

import numpy as np

from skae._data.missing import FactorModel, check_columns, missing_mask
from skae._data.readers import ArrayReader
from skae._inference import lets_overflow
from skae._training.distributed import broadcast_from_main

HIDDEN = 0.2  # share of the cells that are hidden, to see which of the two is nearer to them
MAX_ROWS, MAX_COMPLETE = 1000, 200  # of each fold, if cells were missing and if none was


def share_of_network(estimator, rows, validation, of_folds, seed):
    """Weight of the reconstruction, from 0 to 1, that predicts hidden cells best; the factor model has the rest.

    Of held-out samples, each by a network that was not trained on them; of all samples if none are held out, or the
    network is its start.

    Parameters
    ----------
    estimator : AutoencoderCore
        Fitted.

    rows : ScaledReader
        Training data.

    validation : Validation or None
        None holds out no samples.

    of_folds : list of dict of str to ndarray
        Weights of the networks of the folds; empty if there is one fold or none.

    seed : int
        Of the cells that are hidden.

    Returns
    -------
    share : float
    """
    factors, rng = estimator._statistics.factors, np.random.RandomState(seed)
    judged, parts = rows, [(estimator, np.arange(len(rows)))]
    if validation is not None and estimator.best_epoch_ and validation.folds:
        judged = rows if validation.rows is None else validation.rows
        networks = [estimator._with_network(weights) for weights in of_folds] or [estimator]
        parts = [(network, index) for network, (_, index) in zip(networks, validation.folds, strict=False)]
    products = squares = share = 0.0
    for network, index in parts:
        some = np.sort(rng.permutation(index)[: MAX_COMPLETE if judged.missing is None else MAX_ROWS])
        x = np.concatenate(list(ArrayReader(judged.X, some).batches()))
        if judged.missing is not None:
            x = np.where(judged.missing[some], np.nan, x)
        hidden = ~np.isnan(x) & (rng.rand(*x.shape) < HIDDEN)
        expected = factors.fill(np.where(hidden, np.nan, x).astype(x.dtype))
        token = lets_overflow.set(True)
        try:
            made = network._run("forward", expected)
        finally:
            lets_overflow.reset(token)
        with np.errstate(over="ignore", invalid="ignore"):  # of a network that overflows nothing is taken
            off, step = (np.where(hidden, (to - expected) * rows.per_unit, 0.0) for to in (x, made))
            products, squares = products + (off * step).sum(), squares + np.square(step).sum()
            share = products / squares if squares > 0 else 0.0
    return float(np.clip(share, 0.0, 1.0)) if np.isfinite(share) else 0.0


def filled_chunk(estimator, rows, statistics, seed):
    """Fill missing cells of a chunk of a stream, by what was learned of those before and of this one.

    Parameters
    ----------
    estimator : AutoencoderCore
        As it was before the chunk, if there was one.

    rows : ArrayReader
        NaN where a cell is missing.

    statistics : FeatureStatistics
        Of all samples. They get the `factors`.

    seed : int

    Returns
    -------
    X : ndarray, CSR matrix or array of shape (n, d)

    missing : ndarray of bool of shape (n, d)
        None if all cells are there.
    """
    check_columns(statistics.n_each, statistics.n_rows)
    if estimator._takes_missing and not rows.sparse:
        before = None if statistics.n_rows == len(rows) else estimator._statistics
        statistics.factors = broadcast_from_main(FactorModel.of_stream(rows, before, statistics, seed))
    missing = missing_mask(rows)
    if missing is None:
        return rows.X, None
    return np.concatenate([statistics.factors.fill(x) for x in rows.batches()]), missing


def weigh_network(estimator, rows, seed):
    """Set the share of the network of a stream, by such samples: those that are held out, if there are some."""
    if estimator._statistics.factors is not None:
        estimator._share_of_network = share_of_network(estimator, rows, None, [], seed)
