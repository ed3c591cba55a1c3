"""How far a missing cell is what the network makes of it, and how far what is expected of it beforehand."""

import numpy as np

from skae._data.readers import Rows

HIDDEN = 0.2  # share of the cells that are hidden, to see which of the two is nearer to them
MOST_ROWS = 1000  # of each fold


def share_of_network(estimator, rows, validation, of_folds, seed):
    """Weight of the reconstruction, from 0 to 1, that predicts hidden cells best; the factor model has the rest.

    Of held-out rows, each by a network that was not trained on them; of all rows if none are held out, or the network
    is its start.

    Parameters
    ----------
    estimator : AutoencoderCore
        Fitted.

    rows : ScaledRows
        Training data.

    validation : Validation

    of_folds : list of dict of str to ndarray
        Weights of the networks of the folds; empty if there is one fold or none.

    seed : int
        Of the cells that are hidden.

    Returns
    -------
    share : float
    """
    factors, rng = estimator._moments.factors, np.random.RandomState(seed)
    judged, parts = rows, [(estimator, np.arange(len(rows)))]
    if estimator.best_epoch_ and validation.folds:
        judged = rows if validation.rows is None else validation.rows
        networks = [estimator._with_network(weights) for weights in of_folds] or [estimator]
        parts = [(network, index) for network, (_, index) in zip(networks, validation.folds, strict=False)]
    products = squares = 0.0
    for network, index in parts:
        some = np.sort(rng.permutation(index)[:MOST_ROWS])
        x = Rows(judged.X).read(some)
        if judged.missing is not None:
            x = np.where(judged.missing[some], np.nan, x)
        hidden = ~np.isnan(x) & (rng.rand(*x.shape) < HIDDEN)
        expected = factors.fill(np.where(hidden, np.nan, x).astype(x.dtype))
        off, step = (
            np.where(hidden, (to - expected) * rows.per_unit, 0.0) for to in (x, network._run("forward", expected))
        )
        products, squares = products + (off * step).sum(), squares + np.square(step).sum()
    return float(np.clip(products / squares, 0.0, 1.0)) if squares > 0 else 0.0
