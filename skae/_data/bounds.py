"""Values that a feature takes again and again at an end of its range, as pixels that are black do."""

import numpy as np

MIN_SHARE, MIN_ROWS = 0.05, 5  # of the samples, that have the value


def bounds_of(rows, low, high):
    """Bounds of each feature: its least and greatest values, where a twentieth of the samples and at least five have them.

    A feature of which no two values are equal has none, and so have most that are measured. Those that are 0 or 1,
    counts with many zeros, and pixels on black do have them.

    Parameters
    ----------
    rows : ArrayReader of shape (n, d)

    low, high : ndarray of shape (d,)
        Least and greatest value of each feature.

    Returns
    -------
    bounds : (low, high) of shape (d,), or None
        Infinite where there is none. None if no feature has any.
    """
    at_low = at_high = 0
    for batch in rows.batches():
        at_low, at_high = at_low + (batch == low).sum(axis=0), at_high + (batch == high).sum(axis=0)
    least = max(MIN_ROWS, MIN_SHARE * len(rows))
    bounds = np.where(at_low >= least, low, -np.inf), np.where(at_high >= least, high, np.inf)
    return bounds if np.isfinite(bounds).any() else None


def still_bounds(bounds, low, high):
    """The bounds that are none the less some once samples from `low` to `high` have been seen."""
    if bounds is None:
        return None
    return np.where(low >= bounds[0], bounds[0], -np.inf), np.where(high <= bounds[1], bounds[1], np.inf)
