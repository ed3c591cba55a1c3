"""Where typical scores end, and which samples were trained on."""

import hashlib

import numpy as np
from scipy.stats import norm

SHARE = 0.02  # of typical samples that lie beyond the fence
QUANTILES = 0.75, 0.875
MIN_WIDTH = 1e-3  # of the fence, as a share of the median on the same scale
MAX_TIED = 0.05
POWER = 1 / 8


def anomaly_fence(anomaly, read_digests):
    """The greatest anomaly of a typical sample.

    Minus a logarithm of a share is about exponential, and its eighth root about normal. There, the distance from the
    median to the upper quartile and that to the upper octile [1]_ both give a standard deviation; the greater one
    counts, which is the octile's where tails are heavy. A share of 0.02 of a normal distribution lies beyond the fence.
    Where ties leave more than 0.05 of the samples beyond it, equal samples count once.

    Parameters
    ----------
    anomaly : ndarray of shape (n,)
        Not negative, and finite.

    read_digests : callable
        Returns the `digests` of the samples, of shape (n,). It is called if there may be ties.

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
    return float((median + max(norm.ppf(1 - SHARE) * deviation, MIN_WIDTH * median)) ** (1 / POWER))


def median_and_deviation(values):
    """The median, and the standard deviation by the upper quartile or the upper octile, whichever gives more."""
    median, *upper = np.quantile(values, [0.5, *QUANTILES])
    return median, max((value - median) / norm.ppf(share) for value, share in zip(upper, QUANTILES, strict=True))


def digests(x):
    """Return a hash of the values of each sample, (n,): alike in float32 and float64, for both zeros, and for any NaN."""
    x = np.where(np.isnan(x), np.nan, np.ascontiguousarray(x, dtype=np.float64) + 0.0)
    each = (hashlib.blake2b(row.data, digest_size=8).digest() for row in x)
    return np.frombuffer(b"".join(each), dtype=np.uint64)


class HeldOut:
    """Which fold each training sample was held out in, found again by its values.

    Parameters
    ----------
    rows : ndarray of shape (n,), or None without folds
        Digests of the training samples.

    folds : list of ndarray of int
        Indices of the samples that each fold held out. They need not be as many in each, nor all samples. Of equal
        samples, the fold of the first one counts.
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
        """Fold of each sample of x, (n,), 0 for samples that were not held out or not trained on."""
        if not len(self.known):
            return np.zeros(len(x), dtype=int)
        wanted = digests(x)
        place = np.searchsorted(self.known, wanted).clip(max=len(self.known) - 1)
        return np.where(self.known[place] == wanted, self.fold_of_known[place], 0)
