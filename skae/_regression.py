"""Reduced-rank regression of clean samples on corrupted ones: the initialization of a denoiser."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import torch
from sklearn.utils.extmath import svd_flip

from skae._data.readers import BYTES_AT_ONCE, MAX_AT_ONCE, RESIDENT_BYTES
from skae._pca import MAX_WIDTH_COVARIANCE, MIN_RIDGE, RIDGE, LinearInit, _principal, covariance_of

MIN_CORRUPTED = 20_000  # samples used to measure the mean and the variance of the noise
MIN_CORRUPTED_VALUES = 2**24  # fewer samples are used if they have many features
CORRUPTED_AT_ONCE = 2**20  # values: 8 MiB of float64
MIN_EXPECTED = 0.1  # minimum noise of a feature, relative to the root mean square of all standard deviations
MIN_NORMAL = 0.5  # minimum for normal noise, also relative to its level
MIN_VARIANCE = 1e-8  # of a scaled feature
MAX_LEFT_OUT = 1000  # pairs used to select the ridge
PENALTIES = np.geomspace(1e-6, 1e3, 28)  # of a ridge regression, relative to the mean sum of squares of a feature


@dataclass(frozen=True)
class Noise:
    """Statistics of the corrupted features, averaged over many draws: each attribute has shape (d,).

    With noise of several levels, each with the same number of samples, the shape is (n_levels, d).

    Attributes
    ----------
    mean, square : ndarray
        Mean and mean square of the corrupted values.

    product : ndarray
        Mean product of clean and corrupted values.
    """

    mean: np.ndarray
    square: np.ndarray
    product: np.ndarray

    def as_line(self, mean, variance):
        r"""Return the linear model of corrupted values, :math:`\tilde x_j = a_j x_j + \varepsilon_j` up to the mean.

        Parameters
        ----------
        mean, variance : ndarray of shape (d,)
            Mean and variance of the clean values.

        Returns
        -------
        slope, variance : ndarray of shape (d,) or (n_levels, d)
            The slopes a, and the variances of the noise.
        """
        varies = variance > MIN_VARIANCE  # otherwise the slope would be rounding error
        slope = np.divide(self.product - mean * self.mean, variance, out=np.zeros_like(self.mean), where=varies)
        noise = self.square - np.square(self.mean) - np.square(slope) * variance
        return slope, noise.clip(min=0)

    def of_others(self, mean, variance, new_mean, new_variance):
        """Return the same noise for features with other means and variances than it was measured with."""
        slope, own = self.as_line(mean, variance)
        seen = self.mean + slope * (new_mean - mean)
        square = own + np.square(seen) + np.square(slope) * new_variance
        return Noise(seen, square, slope * new_variance + new_mean * seen)


def measured_noise(module, rows, *, linear):
    """Measure the effect of noise, which may be a callable, on each feature.

    With a range of levels, it is measured at the two levels over which a quadratic function, such as the covariance of
    corrupted samples, has the same mean as over the range. If values are replaced, the levels are those of all samples
    in training, including the less noisy ones: networks then learn what is best at each level. Linear maps can't, and
    the levels given by the user are used for them.

    Parameters
    ----------
    module : DenoisingModule

    rows : ScaledReader of shape (n, d)

    linear : bool
        Whether the model is linear, so that training does not improve on the initialization.

    Returns
    -------
    noise : Noise
    """
    middle, away = module.training_levels(evenly=linear)
    levels = np.array([middle - away, middle + away] if away else [middle])
    noise = Noise(*np.stack([_measured_at(level, module, rows, len(levels)) for level in levels], axis=1))
    # otherwise filters of nearly constant features could be so large that equal noise in all features dominates
    own = np.square(module.deviation.double().numpy())
    if module.corruption is None or not own.any():
        return noise
    typical = own[own > 0].mean()
    more = (MIN_EXPECTED**2 * typical - own).clip(min=0)
    if module.corruption == "gaussian":
        more = np.maximum(more, np.square(levels)[:, None] * (MIN_NORMAL**2 * typical - own))
    return replace(noise, square=noise.square + more)


def _measured_at(level, module, rows, n_levels):
    """Return the mean, the mean square, and the mean product with clean values, of corrupted values: (3, d)."""
    d = rows.shape[1]
    module.levels = (level, level)
    least = min(MIN_CORRUPTED, MIN_CORRUPTED_VALUES // d) // n_levels
    # small batches are repeated, because they would be slow
    repeats = max(1, min(MAX_AT_ONCE, CORRUPTED_AT_ONCE // d) // len(rows))
    n, sums = 0, np.zeros((3, d))
    while n < max(least, len(rows)):
        for batch in rows.batches():
            many = np.tile(batch, (repeats, 1))
            seen = module.corrupt(torch.tensor(many, dtype=torch.float32)).double().numpy()
            n += len(many)
            sums += [seen.sum(axis=0), np.square(seen).sum(axis=0), (many * seen).sum(axis=0)]
    return sums / n


def has_denoising_start(rows):
    """Return whether the features x features or the samples x samples matrix is small enough to solve for the start."""
    n, d = rows.shape
    return d <= MAX_WIDTH_COVARIANCE or (n <= MAX_WIDTH_COVARIANCE and 4 * n * d <= RESIDENT_BYTES)


def denoising_start(rows, noise, n_components):
    r"""Return the best linear denoiser of a given rank, for noise that is independent in each feature.

    If a corrupted value is :math:`\tilde x_j = a_j x_j + \varepsilon_j` up to the mean, and C is the covariance of
    clean samples, the covariance of clean and corrupted samples is :math:`C A`, for the diagonal matrix A of the
    :math:`a_j`, and that of corrupted ones is :math:`A C A + \mathrm{diag}(\mathrm{var}\, \varepsilon)`. The best
    linear map from corrupted to clean samples, projected on the first k principal axes of its output, is the
    reduced-rank regression (Izenman, 1975; for masking noise, marginalized denoising: Chen et al., 2012).

    With pairs of clean and noisy samples, to which the noise is added, C is their covariance in C A, and the covariance
    of noisy samples in A C A. The ridge with the smallest leave-one-out error is added to the variances.

    With several levels of noise, A and var are means over levels, A C A is the mean of these products, and the
    covariance of the levels' means is added, because all values of a sample have the same level. The matrices A of the
    levels are assumed to be proportional, as they are if the noise is not clipped.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    noise : Noise
        Noise that is added.

    n_components : int

    Returns
    -------
    start : LinearInit
        Its variance is that of the scores of corrupted samples.
    """
    n, d = rows.shape
    ridge = _ridge_of_pairs(rows) if rows.are_pairs else 0.0
    if n < d:
        clean = rows.clean.read(slice(None)) if rows.are_pairs else None
        return _in_the_span(rows.read(slice(None)), noise, n_components, clean, ridge)
    mean, covariance = covariance_of(rows)
    clean = _covariance_of_pairs(rows, mean) if rows.are_pairs else None
    return denoising_start_of(mean, covariance, noise, n_components, clean, ridge)


def denoising_start_of(mean, covariance, noise, n_components, clean=None, ridge=0.0):
    """Return the solution in feature space; for pairs, `clean` is (mean, covariance with noisy samples)."""
    slope, of_mean, variance, shifts = _over_levels(noise, mean, np.diag(covariance))
    seen = covariance * np.outer(slope, slope) + shifts.T @ shifts  # A C A + V, (d, d)
    seen[np.diag_indices_from(seen)] += variance
    seen[np.diag_indices_from(seen)] += ridge + _least_ridge(np.trace(seen) / len(seen))
    mean, covariance = (mean, covariance) if clean is None else clean
    across = covariance * (of_mean * slope)  # C A, (d, d)
    best = scipy.linalg.solve(seen, across.T, assume_a="pos").T  # (d, d)
    components, variance = _principal(best @ across.T, min(n_components, len(mean)))
    start = LinearInit.of(mean, components, variance, n_components)
    return replace(start, filters=start.components @ best, seen_mean=_mean_of_levels(noise))


def _over_levels(noise, mean, variance):
    """Return the root mean square of slopes, (d,); their mean relative to it; the variance of noise, (d,); and shifts.

    The shifts are the deviations of the levels' means, over the root of their number, (n_levels, d). The relative mean
    is one number: levels affect all features equally, or approximately so if noise is clipped.
    """
    slopes, variances = map(np.atleast_2d, noise.as_line(mean, variance))
    slope = np.sqrt(np.square(slopes).mean(axis=0))
    weight = slope * variance
    of_mean = weight @ slopes.mean(axis=0) / (weight @ slope) if len(slopes) > 1 and weight.any() else 1.0
    shifts = (np.atleast_2d(noise.mean) - _mean_of_levels(noise)) / np.sqrt(len(slopes))
    return slope, of_mean, variances.mean(axis=0), shifts


def _mean_of_levels(noise):
    return np.atleast_2d(noise.mean).mean(axis=0)


def _in_the_span(x, noise, n_components, clean=None, ridge=0.0):
    r"""Return the solution in sample space: the solution for n samples is in their span, for any number of features.

    With centered clean samples :math:`Z` and centered noisy ones :math:`Y`, both over the root of n - 1, with
    :math:`M = Y A` and the noise's covariance :math:`V`, the best map is :math:`Z' M (M' M + V)^{-1} = Z' (I + K)^{-1}
    M V^{-1}` for the :math:`n \times n` matrix :math:`K = M V^{-1} M'` (Woodbury). Its output has the covariance
    :math:`Z' (I + K)^{-1} K Z`. With several levels, A is the root mean square of the slopes, Z is multiplied by their
    mean relative to it, and the levels' means are appended to the rows of M.
    """
    n, d = x.shape
    mean = x.mean(axis=0)
    x -= mean
    slope, of_mean, variance, shifts = _over_levels(noise, mean, np.square(x).sum(axis=0) / (n - 1))
    if clean is None:
        clean = x
    else:
        mean = clean.mean(axis=0)
        clean -= mean
    seen = np.concatenate([x * (slope / np.sqrt(n - 1)), shifts])  # M, (n + n_levels, d)
    variance += ridge + _least_ridge((np.square(seen).sum() + variance.sum()) / d)
    per_noise, vectors = scipy.linalg.eigh((seen / variance) @ seen.T)  # of K
    per_noise = per_noise.clip(min=0)
    clean /= np.sqrt(n - 1)  # Z, (n, d)
    of_rows = of_mean * vectors[:n]
    kept = (of_rows * np.sqrt(per_noise / (1 + per_noise))).T @ clean
    _, deviation, components = scipy.linalg.svd(kept, full_matrices=False, overwrite_a=True)
    k = min(n_components, n)
    _, components = svd_flip(None, components[:k], u_based_decision=False)
    start = LinearInit.of(mean, components, np.square(deviation[:k]), n_components)
    filters = (start.components @ clean.T @ of_rows / (1 + per_noise) @ vectors.T @ seen) / variance
    return replace(start, filters=filters, seen_mean=_mean_of_levels(noise))


def _least_ridge(mean_variance):
    """Return the ridge that makes a covariance matrix invertible."""
    return max(RIDGE * mean_variance, MIN_RIDGE)


def _covariance_of_pairs(rows, mean):
    """Return the mean of clean samples, and their covariance (d, d) with noisy ones of this mean, batch by batch."""
    n, d = rows.shape
    total, products = np.zeros(d), np.zeros((d, d))
    for noisy, clean in zip(rows.batches(), rows.clean.batches(), strict=True):
        total += clean.sum(axis=0)
        products += clean.T @ noisy
    clean_mean = total / n
    return clean_mean, (products - n * np.outer(clean_mean, mean)) / (n - 1)


def _ridge_of_pairs(rows):
    """Return the ridge for the variances of noisy samples, so that the regression generalizes to new samples."""
    n, d = rows.shape
    n_some = min(n, MAX_LEFT_OUT, max(2, BYTES_AT_ONCE // (8 * d)))
    index = np.linspace(0, n - 1, n_some).astype(int)
    noisy, clean = rows.read(index), rows.clean.read(index)
    noisy -= noisy.mean(axis=0)
    clean -= clean.mean(axis=0)
    squares = np.square(noisy).sum() / d
    if squares == 0:
        return 0.0
    if n_some < d:  # a rotation to as many columns as samples, with the same errors
        clean = np.linalg.qr(clean.T, mode="r").T
    return min(squares * PENALTIES, key=_errors_left_out(noisy, clean)) / (n - 1)


def _errors_left_out(x, y):
    """Return the leave-one-out mean squared error of ridge regression of centered y on centered x, for a ridge.

    The returned function maps a ridge to the error. The error of sample i is its residual over 1 - h_i, where h is the
    diagonal of the map from y to the predictions, as in `RidgeCV`.
    """
    left, deviations, _ = scipy.linalg.svd(x, full_matrices=False)
    projected, squares = left.T @ y, np.square(deviations)

    def error(ridge):
        kept = squares / (squares + ridge)
        residuals = y - (left * kept) @ projected
        return np.square(residuals / (1 - np.square(left) @ kept - 1 / len(x))[:, None]).mean()

    return error
