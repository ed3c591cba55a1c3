"""Dependence between samples: exact copies, and neighbors in a time series or in its overlapping windows.

Training on samples that depend on validation samples leaks information, so that an epoch looks better than it is.
"""

import math

import numpy as np

MAX_ANCHORS = 100  # samples whose neighbors are examined
MAX_REFERENCES = 1000  # random samples to compare with
MAX_NEIGHBORS = 5  # on each side, so that up to five interleaved series are detected
MIN_SHARE = 0.5  # fraction of anchors whose nearest sample is adjacent; a third if samples are sorted by ten classes
MAX_RATIO = 0.6  # ratio of squared distances: nearest adjacent sample to nearest random sample
MAX_MISMATCH = 0.2  # ratio of the differences after the shift of overlapping windows to those before it
SILL = 0.9  # fraction of the mean squared distance of random pairs, from which samples count as independent
MAX_DIPS = 5  # number of shifts to try
MAX_REACH = 0.1  # maximum reach, as a fraction of the number of samples
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # constant of Fibonacci hashing


def copies_of(rows):
    """Group exact copies of samples.

    Samples are compared by a hash of 64 bits: the sum over features of a mixed bit pattern times an odd number for each
    feature. Zeros add nothing, so that sparse matrices stay sparse.

    Parameters
    ----------
    rows : ArrayReader of shape (n, d)

    Returns
    -------
    groups : ndarray of shape (n,) or None
        Group label of each sample, equal for copies; None if there are no copies.
    """
    factors = np.random.RandomState(0).randint(0, 2**64, rows.shape[1], dtype=np.uint64) | np.uint64(1)
    if rows.sparse:
        X = rows.X.tocsr(copy=True)
        X.sum_duplicates()
        terms = _mixed(X.data) * factors[X.indices]
        sums = np.concatenate([[np.uint64(0)], np.cumsum(terms, dtype=np.uint64)])
        hashes = sums[X.indptr[1:]] - sums[X.indptr[:-1]]
    else:
        hashes = np.concatenate([(_mixed(batch) * factors).sum(axis=1, dtype=np.uint64) for batch in rows.batches()])
    _, first, groups = np.unique(hashes, return_index=True, return_inverse=True)
    if len(first) == len(hashes):
        return None
    return first.argsort().argsort()[groups]  # numbered by first occurrence, independently of values


def _mixed(values):
    """Return bit patterns of floats in which each bit depends on higher bits, so that round numbers differ too."""
    bits = (values + 0.0).astype(np.float64).view(np.uint64)  # -0.0 is 0.0
    bits = (bits ^ (bits >> np.uint64(32))) * MULTIPLIER
    return bits ^ (bits >> np.uint64(29))


def reach_of_dependence(rows, seed):
    """Return the largest lag at which samples depend on each other: 0 if the order carries no information.

    Samples are considered a series in two cases: for most of a subsample, the nearest sample is adjacent in order and
    much nearer than the nearest of random samples; or each sample is the previous one, shifted, as in overlapping
    windows. Samples sorted by class satisfy neither: the nearest sample lies anywhere in the class.

    The reach is the lag at which the mean squared distance approaches that of random pairs, the range of a variogram
    (Matheron, 1963), or at which windows no longer overlap, whichever is larger.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    seed : int
        Seed of the subsample.

    Returns
    -------
    reach : int
        At most a tenth of the number of samples.
    """
    n = len(rows)
    n_neighbors = int(np.clip(n // 100, 1, MAX_NEIGHBORS))
    rng = np.random.RandomState(seed)
    anchors = np.sort(rng.permutation(n)[: min(MAX_ANCHORS, rows.max_rows)])
    elsewhere = np.sort(rng.permutation(n)[: min(MAX_REFERENCES, rows.max_rows)])
    x = rows.read(anchors)  # (m, d)
    to_others = _squared_distances(x, rows.read(elsewhere))
    apart = np.abs(anchors[:, None] - elsewhere) > max(2 * n_neighbors, n // 50)
    to_others[~apart] = np.nan
    if not np.isfinite(to_others).any():
        return 0

    lags = np.arange(1, n_neighbors + 1)
    near, overlap = np.full(len(anchors), np.inf), 0
    for lag in lags:
        for sign in (-1, 1):
            others = anchors + sign * lag
            there = (others >= 0) & (others < n)
            y = rows.read(others.clip(0, n - 1))
            near = np.where(there, np.fmin(near, _unless_copies(np.square(x - y).sum(axis=1))), near)
        if not overlap:  # y comes later in order
            overlap = lag * _steps_of_overlap(x[there], y[there])
    far = np.nanmin(_unless_copies(to_others), axis=1, initial=np.inf)
    with np.errstate(invalid="ignore"):
        is_near = np.mean(near < far) > MIN_SHARE and np.median(near) < MAX_RATIO * np.median(far)
    if not (is_near or overlap):
        return 0
    longest = max(1, int(MAX_REACH * n))
    sill = SILL * np.nanmean(to_others)
    lag = 1
    while lag < longest:
        there = anchors + lag < n
        distance = np.square(x[there] - rows.read(anchors[there] + lag)).sum(axis=1)
        if len(distance) and distance.mean() >= sill:
            break
        lag = max(lag + 1, int(1.3 * lag))
    return int(min(max(lag, overlap), longest))


def _squared_distances(x, y):
    products = x @ y.T
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * products
    squares[squares < 1e-12 * np.abs(products)] = 0.0  # rounding
    return squares


def _unless_copies(squares):
    """Replace squared distances of 0 by infinity, since copies are handled separately."""
    return np.where(squares > 0, squares, np.inf)


def _steps_of_overlap(x, y):
    """Return the number of steps after which windows no longer overlap, if each y is the previous x, shifted; else 0.

    Parameters
    ----------
    x, y : ndarray of shape (m, d)
        Samples and the samples that follow them.

    Returns
    -------
    n_steps : int
    """
    d = x.shape[1]
    unshifted = np.median(np.abs(y - x).mean(axis=0)) if len(x) else 0.0
    if d < 4 or unshifted == 0:
        return 0
    for before, after in ((x, y), (y, x)):  # in order, or reversed
        distances = _shifted_distances(before, after)
        dips = 1 + np.flatnonzero((distances[1:-1] < distances[:-2]) & (distances[1:-1] <= distances[2:]))
        for shift in dips[distances[dips].argsort()[:MAX_DIPS]]:
            mismatch = np.abs(before[:, shift:] - after[:, :-shift]).mean(axis=0)  # (d - shift,)
            if np.median(mismatch) <= MAX_MISMATCH * unshifted:
                # with channels one after another, each but the last has as many mismatching values as the shift
                n_channels = 1 + round((mismatch > MAX_MISMATCH * unshifted).sum() / shift)
                return math.ceil(d / (n_channels * shift))
    return 0


def _shifted_distances(x, y):
    """Return the mean square of x[:, j + s] - y[:, j] over samples and all valid j, for s = 0, ..., d // 2 + 1."""
    d = x.shape[1]
    spectrum = (np.fft.rfft(x, 2 * d) * np.fft.rfft(y, 2 * d).conj()).sum(axis=0)
    products = np.fft.irfft(spectrum, 2 * d)[:d]  # correlation at each shift
    squares = np.square(x).sum(axis=0)[::-1].cumsum()[::-1] + np.square(y).sum(axis=0).cumsum()[::-1]
    return ((squares - 2 * products) / np.arange(d, 0, -1))[: d // 2 + 2]
