"""Reduced-rank regression of clean rows on what is seen of them: where a denoiser starts."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
from sklearn.utils.extmath import svd_flip

from skae._pca import LEAST_RIDGE, RIDGE, WIDEST_COVARIANCE, LinearStart, _principal, covariance_of
from skae._rows import RESIDENT_BYTES

LEAST_VARIANCE = 1e-8  # of a scaled feature


@dataclass(frozen=True)
class Noise:
    """What noise does to each cell, in the mean over many draws: each attribute has shape (d,).

    Attributes
    ----------
    mean, square : ndarray
        Of struck cells.

    product : ndarray
        Of the cell with the struck one.
    """

    mean: np.ndarray
    square: np.ndarray
    product: np.ndarray

    def as_line(self, mean, variance):
        r"""A struck cell as a line plus noise, :math:`\tilde x_j = a_j x_j + \varepsilon_j` but for its mean.

        Parameters
        ----------
        mean, variance : ndarray of shape (d,)
            Of the cells before they are struck.

        Returns
        -------
        slope, variance : ndarray of shape (d,)
            The a, and the variances of the noise.
        """
        varies = variance > LEAST_VARIANCE  # of a cell that doesn't, no more than rounding would be seen
        slope = np.divide(self.product - mean * self.mean, variance, out=np.zeros_like(mean), where=varies)
        noise = self.square - np.square(self.mean) - np.square(slope) * variance
        return slope, noise.clip(min=0)


def has_denoising_start(rows):
    """Whether a matrix of features by features, or one of rows by rows, is small enough."""
    n, d = rows.shape
    return d <= WIDEST_COVARIANCE or (n <= WIDEST_COVARIANCE and 4 * n * d <= RESIDENT_BYTES)


def denoising_start(rows, noise, n_components):
    r"""The best linear denoiser of a rank, for noise that strikes each cell by itself.

    Where a struck cell is :math:`\tilde x_j = a_j x_j + \varepsilon_j` but for its mean, the covariance of rows with
    struck ones is :math:`C A`, and that of struck ones :math:`A C A + \mathrm{diag}(\mathrm{var}\, \varepsilon)`. The
    best linear map from these to those, cut to rank k by the principal axes of what it returns, is the reduced-rank
    regression (Izenman, 1975; for masking noise, marginalised denoising: Chen et al., 2012).

    Parameters
    ----------
    rows : ScaledRows of shape (n, d)

    noise : Noise

    n_components : int

    Returns
    -------
    start : LinearStart
        The variance is that of the scores of struck rows.
    """
    n, d = rows.shape
    if n < d:
        return _in_the_span(rows.read(slice(None)), noise, n_components)
    return _by_covariance(*covariance_of(rows), noise, n_components)


def _by_covariance(mean, covariance, noise, n_components):
    """For matrices of features by features."""
    slope, variance = noise.as_line(mean, np.diag(covariance))
    across = covariance * slope  # C A, (d, d)
    seen = slope[:, None] * across + np.diag(variance)
    seen[np.diag_indices_from(seen)] += _ridge(np.trace(seen) / len(seen))
    best = scipy.linalg.solve(seen, across.T, assume_a="pos").T  # (d, d)
    components, variance = _principal(best @ across.T, min(n_components, len(mean)))
    start = LinearStart.of(mean, components, variance, n_components)
    return replace(start, filters=start.components @ best, seen_mean=noise.mean)


def _in_the_span(x, noise, n_components):
    r"""For matrices of rows by rows: what n rows give is in their span, whatever the number of features.

    With centred rows :math:`Z` such that :math:`C = Z' Z`, :math:`M = Z A` and the noise's covariance :math:`V`, the
    best map is :math:`C A (M' M + V)^{-1} = Z' (I + K)^{-1} M V^{-1}` for the :math:`n \times n` matrix
    :math:`K = M V^{-1} M'` (Woodbury). What it returns has the covariance :math:`Z' (I + K)^{-1} K Z`.
    """
    n, d = x.shape
    mean = x.mean(axis=0)
    x -= mean
    slope, variance = noise.as_line(mean, np.square(x).sum(axis=0) / (n - 1))
    x /= np.sqrt(n - 1)  # Z, (n, d)
    seen = x * slope  # M, (n, d)
    variance += _ridge((np.square(seen).sum() + variance.sum()) / d)
    per_noise, vectors = scipy.linalg.eigh((seen / variance) @ seen.T)  # of K
    per_noise = per_noise.clip(min=0)
    kept = (vectors * np.sqrt(per_noise / (1 + per_noise))).T @ x
    _, deviation, components = scipy.linalg.svd(kept, full_matrices=False, overwrite_a=True)
    k = min(n_components, n)
    _, components = svd_flip(None, components[:k], u_based_decision=False)
    start = LinearStart.of(mean, components, np.square(deviation[:k]), n_components)
    filters = (start.components @ x.T @ vectors / (1 + per_noise) @ vectors.T @ seen) / variance
    return replace(start, filters=filters, seen_mean=noise.mean)


def _ridge(mean_variance):
    """What is added to each variance, so that a matrix has an inverse."""
    return max(RIDGE * mean_variance, LEAST_RIDGE)
