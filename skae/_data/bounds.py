"""Bounds of features: extreme values that many samples share, such as black pixels."""

import numpy as np

MIN_SHARE, MIN_ROWS = 0.05, 5  # fraction and number of samples that have the extreme value


def bounds_of(rows, low, high):
    """Return bounds of each feature: its minimum or maximum, if 5 % of the samples and at least five samples have it.

    Features without equal values, such as most measurements, have no bounds. Binary features, counts with many zeros,
    and pixels on a black background have bounds.

    Parameters
    ----------
    rows : ArrayReader of shape (n, d)

    low, high : ndarray of shape (d,)
        Minimum and maximum of each feature.

    Returns
    -------
    bounds : (low, high) of shape (d,), or None
        Infinite where a feature has no bound. None if no feature has a bound.
    """
    at_low = at_high = 0
    for batch in rows.batches():
        at_low, at_high = at_low + (batch == low).sum(axis=0), at_high + (batch == high).sum(axis=0)
    least = max(MIN_ROWS, MIN_SHARE * len(rows))
    bounds = np.where(at_low >= least, low, -np.inf), np.where(at_high >= least, high, np.inf)
    return bounds if np.isfinite(bounds).any() else None


def still_bounds(bounds, low, high):
    """Return the bounds that still hold after samples between `low` and `high` have been seen."""
    if bounds is None:
        return None
    return np.where(low >= bounds[0], bounds[0], -np.inf), np.where(high <= bounds[1], bounds[1], np.inf)
