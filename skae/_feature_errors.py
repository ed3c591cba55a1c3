"""Contributions of features to anomaly scores, by replacing their values."""

import numpy as np

from skae._data.readers import BYTES_AT_ONCE

MAX_ROWS = 10_000  # for quantiles
MAX_TRIALS = 2**17  # replaced values per batch
TEMPORARIES = 4  # arrays of the size of a batch during encoding and decoding


def octiles(rows, discrete):
    """Return the octiles of each feature from minimum to maximum, (9, d), of a subset of evenly spaced samples.

    Octiles of discrete columns are values that occur in them.
    """
    sample = rows.read(np.linspace(0, len(rows) - 1, min(len(rows), MAX_ROWS)).astype(int))
    quantile = np.quantile
    if np.isnan(sample).any():
        quantile = np.nanquantile
        sample[:, np.isnan(sample).all(axis=0)] = 0.0  # features that are missing in all these samples
    values = quantile(sample, np.linspace(0, 1, 9), axis=0)
    if discrete.any():
        values[:, discrete] = quantile(sample[:, discrete], np.linspace(0, 1, 9), axis=0, method="nearest")
    return values


def blocks_of(spans, shares):
    """Return (start, stop, indices of the nine most frequent categories) for the indicators of categorical columns.

    Parameters
    ----------
    spans : sequence of (int, int)

    shares : ndarray of shape (d,)
        Frequencies of the categories.
    """
    return [(start, stop, start + np.argsort(-shares[start:stop], kind="stable")[:9]) for start, stop in spans]


def gains(anomaly, x, candidates, blocks=()):
    """Return the largest decrease of the anomaly of samples by another value of each feature.

    Parameters
    ----------
    anomaly : callable
        Function of samples, (m, d) -> (m,), infinite for those that can't be reconstructed.

    x : ndarray of shape (n, d)
        Samples. The gain of missing values, NaN, is 0.

    candidates : ndarray of shape (9, d)
        Sorted values of each feature.

    blocks : sequence of (int, int, ndarray of int)
        Result of `blocks_of`. The gain of a categorical column is that of its first indicator.

    Returns
    -------
    gains : ndarray of shape (n, d)
    """
    n_parts = min(len(x), np.ceil(len(x) * candidates.size / MAX_TRIALS))
    return np.concatenate([_gains(anomaly, some, candidates, blocks) for some in np.array_split(x, n_parts)])


def _gains(anomaly, x, candidates, blocks):
    """Return the gains of a batch of samples."""
    now, gains = anomaly(x), np.zeros(x.shape)
    n_at_once = max(1, BYTES_AT_ONCE // (TEMPORARIES * 8 * x.shape[1]))
    n_numbers = blocks[0][0] if blocks else x.shape[1]
    for row, feature, others in _trials(x, candidates, n_numbers, blocks, n_at_once):
        with np.errstate(invalid="ignore"):
            gain = now[row] - anomaly(others)
        np.maximum.at(gains, (row, feature), np.where(np.isnan(gain), 0, gain))  # NaN if both are infinite
    # if no single feature makes the anomaly finite, those outside the range of the training data contribute
    is_infinite = np.isinf(now) & np.isfinite(gains).all(axis=1)
    outside = (x < candidates[0]) | (x > candidates[-1])
    outside[:, n_numbers:] = False
    gains[is_infinite[:, None] & outside] = np.inf
    return gains


def _trials(x, candidates, n_numbers, blocks, n_at_once):
    """Yield (index of the sample, index of the feature, sample with another value of it)."""
    differs = (candidates != x[:, None]) & ~np.isnan(x)[:, None]  # (n, 9, d)
    differs[:, 1:] &= candidates[1:] != candidates[:-1]  # candidates are sorted: skip duplicates
    trials = np.stack(np.nonzero(differs[..., :n_numbers]))
    for first in range(0, trials.shape[1], n_at_once):
        row, value, feature = trials[:, first : first + n_at_once]
        others = x[row]
        others[np.arange(len(row)), feature] = candidates[value, feature]
        yield row, feature, others
    for start, stop, columns in blocks:
        for column in columns:
            rows = np.flatnonzero(x[:, column] == 0)  # another category, not missing
            for row in np.array_split(rows, np.ceil(len(rows) / n_at_once)) if len(rows) else ():
                others = x[row]
                others[:, start:stop] = 0.0
                others[:, column] = 1.0
                yield row, np.full(len(row), start), others
