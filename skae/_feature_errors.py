"""Which features make a row odd: what is gained by other values of each."""

import numpy as np

from skae._data.readers import BYTES_AT_ONCE

MOST_ROWS = 10_000  # for quantiles
MOST_TRIALS = 2**17  # of other values of features, at once
TEMPORARIES = 4  # that are as large as the rows that go through an autoencoder


def octiles(rows, discrete):
    """Nine values of each feature, (9, d), from the least to the greatest; of evenly spread rows if there are many.

    Of columns of integers and the like they are values that occur.
    """
    sample = rows.read(np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int))
    quantile = np.quantile
    if np.isnan(sample).any():
        quantile = np.nanquantile
        sample[:, np.isnan(sample).all(axis=0)] = 0.0  # that it is in none of these rows
    values = quantile(sample, np.linspace(0, 1, 9), axis=0)
    if discrete.any():
        values[:, discrete] = quantile(sample[:, discrete], np.linspace(0, 1, 9), axis=0, method="nearest")
    return values


def gains(oddness, x, candidates):
    """Largest decrease of the oddness of rows by another value of each feature.

    Parameters
    ----------
    oddness : callable
        Of rows, (m, d) -> (m,): infinite for those that can't be reconstructed.

    x : ndarray of shape (n, d)
        NaN is a missing cell, of which nothing can be gained.

    candidates : ndarray of shape (9, d)
        Values of each feature, sorted.

    Returns
    -------
    gains : ndarray of shape (n, d)
    """
    n_parts = min(len(x), np.ceil(len(x) * candidates.size / MOST_TRIALS))
    return np.concatenate([_gains(oddness, some, candidates) for some in np.array_split(x, n_parts)])


def _gains(oddness, x, candidates):
    """For as many rows as there may be trials at once."""
    now, gains = oddness(x), np.zeros(x.shape)
    differs = (candidates != x[:, None]) & ~np.isnan(x)[:, None]  # (n, 9, d)
    differs[:, 1:] &= candidates[1:] != candidates[:-1]  # sorted, so that equal ones are neighbours
    trials = np.stack(np.nonzero(differs))
    n_at_once = max(1, BYTES_AT_ONCE // (TEMPORARIES * 8 * x.shape[1]))
    for first in range(0, trials.shape[1], n_at_once):
        row, value, feature = trials[:, first : first + n_at_once]
        others = x[row]
        others[np.arange(len(row)), feature] = candidates[value, feature]
        with np.errstate(invalid="ignore"):
            gain = now[row] - oddness(others)
        np.maximum.at(gains, (row, feature), np.where(np.isnan(gain), 0, gain))  # of two infinite ones
    # that no single feature mends: those outside have a part in it
    hopeless = np.isinf(now) & np.isfinite(gains).all(axis=1)
    outside = (x < candidates[0]) | (x > candidates[-1])
    gains[hopeless[:, None] & outside] = np.inf
    return gains
