"""Which epoch is kept: the best of those that are a significant improvement over the start on held-out samples."""

import math
from contextvars import ContextVar

import numpy as np
from scipy.special import ndtr, stdtrit

STANDARD_ERRORS = 2.0
MIN_EPOCHS_TO_TELL = 8
LAST = 0.9  # the best epoch is one of the last if it is not before this share of them
STILL_GAINS = 0.15, 0.05  # of the loss that is left, and of the start's: a rate that falls gains less by itself

# Who wants the networks of the folds sets a WeakKeyDictionary around a fit, which puts (n_rows, folds, weights of each
# fold's network) there by the autoencoder that was fitted. Otherwise these networks are dropped.
fold_networks: ContextVar = ContextVar("fold_networks", default=None)


def significant_improvement(start, losses, *, by_rival=False, clusters=None):
    """Mean gain of `losses` over `start`, both of the same samples, if it surely is one.

    The best epoch on few held-out samples is often good by luck. So luck is ruled out first, and the best is chosen of
    what is left.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        One column, or for ordered codes one for each size of prefix.

    by_rival : bool
        Whether the losses are a rival's, which is one more to be lucky.

    clusters : ndarray of int of shape (n,), default=None
        Samples of one cluster are not independent. None: all samples are.

    Returns
    -------
    gain : float
        At the size where it is least; 0 for the start itself, minus infinity where the gain is not sure.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        gain = start - losses  # paired
        sure = lower_confidence_bound(gain, clusters, by_rival=by_rival).min() >= 0  # not if it is not a number
    return float(gain.mean(axis=0).min()) if sure else -math.inf


def lower_confidence_bound(gain, clusters=None, *, by_rival=False):
    """Mean over the first axis, minus two standard errors of it, or three where there are several to be right.

    A single sample proves nothing, and no more does a single cluster. The standard error of clusters is that of the
    sums of their residuals (Liang and Zeger, 1986), and of few of them it is Student's t that says how many it takes.
    """
    n_errors = STANDARD_ERRORS + (gain.shape[1] > 1 or by_rival)
    mean, n = gain.mean(axis=0), len(gain)
    if clusters is None:
        sums = gain - mean  # (n, n_sizes)
    else:
        sums = np.stack([np.bincount(clusters, column) for column in (gain - mean).T], axis=1)  # (n_clusters, n_sizes)
        if len(sums) > 1:
            n_errors = -stdtrit(len(sums) - 1, ndtr(-n_errors))
    if len(sums) == 1:
        return mean - n_errors * np.abs(mean)
    return mean - n_errors * np.sqrt(np.square(sums).sum(axis=0) * len(sums) / (len(sums) - 1)) / n


def least_size(start, losses, sizes, most, clusters=None):
    """The smallest prefix of an ordered code that loses no more than `most` and surely no more than the whole start.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        Of the same held-out samples.

    sizes : sequence of int
        Of the columns; in between, a straight line is above the curve of losses.

    most : float
        Greatest mean loss.

    clusters : ndarray of int of shape (n,), default=None
        As for `significant_improvement`.

    Returns
    -------
    size : int
        The last of `sizes` if no other will do.
    """
    every = np.arange(1, sizes[-1] + 1)
    right = np.searchsorted(sizes, every).clip(min=1, max=max(len(sizes) - 1, 1))
    if len(sizes) == 1:
        return sizes[0]
    share = (every - np.take(sizes, right - 1)) / (np.take(sizes, right) - np.take(sizes, right - 1))
    between = losses[:, right - 1] * (1 - share) + losses[:, right] * share  # (n, sizes[-1])
    enough = (between.mean(axis=0) <= most) & (lower_confidence_bound(start[:, -1:] - between, clusters) >= 0)
    return int(every[enough.argmax()]) if enough.any() else sizes[-1]


def still_improves(start, curve):
    """Whether a training gained much over the second half of its epochs, and the best is one of the last.

    The rate falls to zero, so the last epochs alone gain little in any training.

    Parameters
    ----------
    start : float
        Mean held-out loss at epoch 0.

    curve : ndarray of shape (n_epochs,)
        Mean held-out loss after each epoch.

    Returns
    -------
    improves : bool
    """
    n_epochs, left = len(curve), curve.min()
    if n_epochs < MIN_EPOCHS_TO_TELL or curve.argmin() + 1 < LAST * n_epochs or left <= 0:
        return False
    gain, (of_left, of_start) = curve[: n_epochs // 2].min() - left, STILL_GAINS
    return bool(np.isfinite(start) and gain > of_left * left and gain > of_start * start)
