"""Threshold of outlier scores, and lookup of the folds of training samples."""

import hashlib

import numpy as np
from scipy.stats import norm

FRACTION = 0.02  # fraction of typical samples beyond the fence
QUANTILES = 0.75, 0.875
MIN_WIDTH = 1e-3  # minimum width of the fence, relative to the median on the same scale
MAX_TIED = 0.05
POWER = 1 / 8


def anomaly_fence(anomaly, read_digests):
    """Return the largest anomaly of a typical sample.

    The negative logarithm of a fraction is approximately exponential, and its eighth root approximately normal. On this
    scale, the standard deviation is estimated from the upper quartile and from the upper octile [1]_. The larger
    estimate is used, which is that from the octile for heavy tails. A fraction of 0.02 of a normal distribution lies
    beyond the fence. If ties leave more than 0.05 of the samples beyond it, each distinct sample is counted once.

    Parameters
    ----------
    anomaly : ndarray of shape (n,)
        Finite, non-negative anomalies.

    read_digests : callable
        Function that returns the `digests` of the samples, of shape (n,). It is called only if there may be ties.

    Returns
    -------
    fence : float

    References
    ----------
    .. [1] D. C. Hoaglin, F. Mosteller, J. W. Tukey (1983). "Understanding Robust and Exploratory Data Analysis". Wiley.
    """
    fence = _fence(anomaly)
    if (anomaly > fence).mean() > MAX_TIED:
        fence = max(fence, _fence(anomaly[np.unique(read_digests(), return_index=True)[1]]))
    return fence


def _fence(anomaly):
    median, deviation = median_and_deviation(anomaly**POWER)
    return float((median + max(norm.ppf(1 - FRACTION) * deviation, MIN_WIDTH * median)) ** (1 / POWER))


def median_and_deviation(values):
    """Return the median, and the larger standard deviation estimated from the upper quartile and the upper octile."""
    median, *upper = np.quantile(values, [0.5, *QUANTILES])
    return median, max((value - median) / norm.ppf(share) for value, share in zip(upper, QUANTILES, strict=True))


def digests(x):
    """Return a hash of each sample, (n,), the same for float32 and float64, for both zeros, and for any NaN."""
    x = np.where(np.isnan(x), np.nan, np.ascontiguousarray(x, dtype=np.float64) + 0.0)
    each = (hashlib.blake2b(row.data, digest_size=8).digest() for row in x)
    return np.frombuffer(b"".join(each), dtype=np.uint64)


class HeldOut:
    """Lookup of the fold in which a training sample was held out, by the sample's values.

    Parameters
    ----------
    rows : ndarray of shape (n,), or None without folds
        Digests of the training samples.

    folds : list of ndarray of int
        Indices of the samples that each fold held out. Folds may differ in size, and need not contain all samples. For
        equal samples, the fold of the first one is used.
    """

    def __init__(self, rows, folds):
        self.known = self.fold_of_known = np.zeros(0, dtype=int)
        if not folds:
            return
        fold = np.zeros(len(rows), dtype=int)
        for i, held_out in enumerate(folds):
            fold[held_out] = i + 1
        held_out = np.flatnonzero(fold)
        self.known, first = np.unique(rows[held_out], return_index=True)
        self.fold_of_known = fold[held_out[first]]

    def folds_of(self, x):
        """Return the fold of each sample of x, (n,), or 0 if it was not held out or is not a training sample."""
        if not len(self.known):
            return np.zeros(len(x), dtype=int)
        wanted = digests(x)
        place = np.searchsorted(self.known, wanted).clip(max=len(self.known) - 1)
        return np.where(self.known[place] == wanted, self.fold_of_known[place], 0)
