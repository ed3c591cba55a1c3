"""Selection of the best epoch of those that significantly improve the validation loss of the initial network."""

import math
from contextvars import ContextVar

import numpy as np
from scipy.special import ndtr, stdtrit

STANDARD_ERRORS = 2.0
LONG_TAIL = 7.0  # gains are clipped at this multiple of their median absolute value
ENOUGH = 200  # samples, of which outlying ones can be distinguished from the others
MIN_CURVE_LENGTH = 8
LAST = 0.9  # fraction of the epochs, after which epochs count as the last
STILL_GAINS = 0.15, 0.05  # fractions of the final and the initial loss: the decay of the learning rate alone gains less

# Code that needs the networks of the folds sets a WeakKeyDictionary around a fit, which stores (n_rows, folds, weights
# of each fold's network) with the fitted autoencoder as key. Otherwise these networks are released.
fold_networks: ContextVar = ContextVar("fold_networks", default=None)


def significant_improvement(start, losses, *, is_restart=False, clusters=None):
    """Return the mean improvement from `start` to `losses` of the same samples, if it is statistically significant.

    With few validation samples, the best epoch is often best by chance. Epochs without a significant improvement are
    therefore excluded before the best is selected. A few outlying samples may have most of the standard error: of many
    samples, the improvement is also significant if that with clipped tails exceeds one standard error more.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        One column, or for ordered codes one column per prefix size.

    is_restart : bool
        Whether the losses are those of the random restart, which requires a multiple comparison.

    clusters : ndarray of int of shape (n,), default=None
        Labels of clusters, within which samples are dependent. If None, all samples are independent.

    Returns
    -------
    gain : float
        Improvement at the prefix size where it is smallest; 0 for the initial network, minus infinity if it is not
        significant.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        gain = start - losses  # paired differences
        mean = float(gain.mean(axis=0).min())
        if not gain.any():
            return mean
        is_significant = lower_confidence_bound(gain, clusters, is_restart=is_restart).min() > 0  # False for NaN
        if not is_significant and mean >= 0 and len(gain) >= ENOUGH:
            gain = clip_tails(gain)
            bound = lower_confidence_bound(gain, clusters, is_restart=is_restart, is_second=True)
            is_significant = bound.min() > 0
    return mean if is_significant else -math.inf


def clip_tails(gain):
    """Clip gains, (n, n_sizes), at a multiple of their median absolute value, as M-estimators do (Huber, 1964)."""
    most = LONG_TAIL * np.median(np.abs(gain), axis=0)
    return gain.clip(-most, most)


def lower_confidence_bound(gain, clusters=None, *, is_restart=False, is_second=False):
    """Return the mean over the first axis minus two standard errors, or three for multiple comparisons.

    A second test of the same hypothesis takes one standard error more.

    A single sample or a single cluster is never significant. The standard error of clusters is that of the sums of
    their residuals (Liang and Zeger, 1986); the number of standard errors follows from Student's t-distribution.
    """
    n_errors = STANDARD_ERRORS + (gain.shape[1] > 1 or is_restart) + is_second
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


def smallest_size(start, losses, sizes, most, clusters=None):
    """Return the smallest prefix of a code whose loss is at most `most`, and significantly no larger than at the start.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        Losses of the same validation samples.

    sizes : sequence of int
        Prefix sizes of the columns. In between, linear interpolation is an upper bound of the convex loss curve.

    most : float
        Maximum mean loss.

    clusters : ndarray of int of shape (n,), default=None
        As for `significant_improvement`.

    Returns
    -------
    size : int
        Prefix size; the last of `sizes` if no smaller one is sufficient.
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
    """Whether the loss decreased clearly in the second half of the epochs, and the best epoch is one of the last.

    The learning rate decays to zero, so the last epochs alone gain little in any training.

    Parameters
    ----------
    start : float
        Mean validation loss at epoch 0.

    curve : ndarray of shape (n_epochs,)
        Mean validation loss after each epoch.

    Returns
    -------
    improves : bool
    """
    n_epochs, left = len(curve), curve.min()
    if n_epochs < MIN_CURVE_LENGTH or curve.argmin() + 1 < LAST * n_epochs or left <= 0:
        return False
    gain, (of_left, of_start) = curve[: n_epochs // 2].min() - left, STILL_GAINS
    return bool(np.isfinite(start) and gain > of_left * left and gain > of_start * start)
