"""Which features make a sample odd: what is gained by other values of each."""

import numpy as np

from skae._data.readers import BYTES_AT_ONCE

MAX_ROWS = 10_000  # for quantiles
MAX_TRIALS = 2**17  # of other values of features, at once
TEMPORARIES = 4  # that are as large as the samples that go through an autoencoder


def octiles(rows, discrete):
    """Nine values of each feature, (9, d), from the least to the greatest; of evenly spread samples if there are many.

    Of columns of integers and the like they are values that occur.
    """
    sample = rows.read(np.linspace(0, len(rows) - 1, min(len(rows), MAX_ROWS)).astype(int))
    quantile = np.quantile
    if np.isnan(sample).any():
        quantile = np.nanquantile
        sample[:, np.isnan(sample).all(axis=0)] = 0.0  # that it is in none of these samples
    values = quantile(sample, np.linspace(0, 1, 9), axis=0)
    if discrete.any():
        values[:, discrete] = quantile(sample[:, discrete], np.linspace(0, 1, 9), axis=0, method="nearest")
    return values


def blocks_of(spans, shares):
    """For columns of categories: first cell, cell behind the last, and the cells of the nine most frequent categories.

    Parameters
    ----------
    spans : sequence of (int, int)

    shares : ndarray of shape (d,)
        Of the samples.
    """
    return [(start, stop, start + np.argsort(-shares[start:stop], kind="stable")[:9]) for start, stop in spans]


def gains(oddness, x, candidates, blocks=()):
    """Largest decrease of the oddness of samples by another value of each feature.

    Parameters
    ----------
    oddness : callable
        Of samples, (m, d) -> (m,): infinite for those that can't be reconstructed.

    x : ndarray of shape (n, d)
        NaN is a missing cell, of which nothing can be gained.

    candidates : ndarray of shape (9, d)
        Values of each feature, sorted.

    blocks : sequence of (int, int, ndarray of int)
        As of `blocks_of`. What is gained by another category stands at its column's first cell.

    Returns
    -------
    gains : ndarray of shape (n, d)
    """
    n_parts = min(len(x), np.ceil(len(x) * candidates.size / MAX_TRIALS))
    return np.concatenate([_gains(oddness, some, candidates, blocks) for some in np.array_split(x, n_parts)])


def _gains(oddness, x, candidates, blocks):
    """For as many samples as there may be trials at once."""
    now, gains = oddness(x), np.zeros(x.shape)
    n_at_once = max(1, BYTES_AT_ONCE // (TEMPORARIES * 8 * x.shape[1]))
    n_numbers = blocks[0][0] if blocks else x.shape[1]
    for row, feature, others in _trials(x, candidates, n_numbers, blocks, n_at_once):
        with np.errstate(invalid="ignore"):
            gain = now[row] - oddness(others)
        np.maximum.at(gains, (row, feature), np.where(np.isnan(gain), 0, gain))  # of two infinite ones
    # that no single feature mends: those outside have a part in it
    hopeless = np.isinf(now) & np.isfinite(gains).all(axis=1)
    outside = (x < candidates[0]) | (x > candidates[-1])
    outside[:, n_numbers:] = False
    gains[hopeless[:, None] & outside] = np.inf
    return gains


def _trials(x, candidates, n_numbers, blocks, n_at_once):
    """Yield (index of the sample, index of the feature, sample with another value of it)."""
    differs = (candidates != x[:, None]) & ~np.isnan(x)[:, None]  # (n, 9, d)
    differs[:, 1:] &= candidates[1:] != candidates[:-1]  # sorted, so that equal ones are neighbors
    trials = np.stack(np.nonzero(differs[..., :n_numbers]))
    for first in range(0, trials.shape[1], n_at_once):
        row, value, feature = trials[:, first : first + n_at_once]
        others = x[row]
        others[np.arange(len(row)), feature] = candidates[value, feature]
        yield row, feature, others
    for start, stop, cells in blocks:
        for cell in cells:
            rows = np.flatnonzero(x[:, cell] == 0)  # neither this one nor missing
            for row in np.array_split(rows, np.ceil(len(rows) / n_at_once)) if len(rows) else ():
                others = x[row]
                others[:, start:stop] = 0.0
                others[:, cell] = 1.0
                yield row, np.full(len(row), start), others
