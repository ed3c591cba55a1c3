"""Reduced-rank regression of clean samples on what is seen of them: where a denoiser starts."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import torch
from sklearn.utils.extmath import svd_flip

from skae._data.readers import BYTES_AT_ONCE, MAX_AT_ONCE, RESIDENT_BYTES
from skae._pca import MAX_WIDTH_COVARIANCE, MIN_RIDGE, RIDGE, LinearInit, _principal, covariance_of

MIN_CORRUPTED = 20_000  # samples from which the mean and the variance of the noise are measured
MIN_CORRUPTED_CELLS = 2**24  # or fewer samples, if they are wide
STRUCK_AT_ONCE = 2**20  # cells: 8 MiB of float64
MIN_EXPECTED = 0.1  # noise of any feature, as a share of the deviation of all in the root mean square
MIN_NORMAL = 0.5  # the same of normal noise, as a share of its own
MIN_VARIANCE = 1e-8  # of a scaled feature
MAX_LEFT_OUT = 1000  # samples of pairs by which the ridge is chosen
PENALTIES = np.geomspace(1e-6, 1e3, 28)  # of a ridge regression, in mean sums of squares of a feature


@dataclass(frozen=True)
class Noise:
    """What noise does to each cell, in the mean over many draws: each attribute has shape (d,).

    Or (n_levels, d), of noise of several levels, at each of which there are as many samples.

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
        slope, variance : ndarray of shape (d,) or (n_levels, d)
            The a, and the variances of the noise.
        """
        varies = variance > MIN_VARIANCE  # of a cell that doesn't, no more than rounding would be seen
        slope = np.divide(self.product - mean * self.mean, variance, out=np.zeros_like(self.mean), where=varies)
        noise = self.square - np.square(self.mean) - np.square(slope) * variance
        return slope, noise.clip(min=0)

    def of_others(self, mean, variance, new_mean, new_variance):
        """The same noise on cells of other means and variances than those that it was measured on."""
        slope, own = self.as_line(mean, variance)
        seen = self.mean + slope * (new_mean - mean)
        square = own + np.square(seen) + np.square(slope) * new_variance
        return Noise(seen, square, slope * new_variance + new_mean * seen)


def measured_noise(module, rows, *, linear):
    """Measure what noise does to each cell: it may be a callable's.

    Of a range of levels it is measured at two, over which a quadratic has the mean that it has over the range: so have
    the covariances of struck samples. Where cells are replaced, the levels are those of all samples in training, of
    which some are struck less: a network goes on from there to what is best at each level. Linear maps can't, and
    theirs are the levels that were asked for.

    Parameters
    ----------
    module : DenoisingModule

    rows : ScaledReader of shape (n, d)

    linear : bool
        Whether the start is all that there is.

    Returns
    -------
    noise : Noise
    """
    middle, away = module.training_levels(evenly=linear)
    levels = np.array([middle - away, middle + away] if away else [middle])
    noise = Noise(*np.stack([_measured_at(level, module, rows, len(levels)) for level in levels], axis=1))
    # filters of features that hardly vary may be so large that noise which is alike in all features spoils every sample
    own = np.square(module.deviation.double().numpy())
    if module.corruption is None or not own.any():
        return noise
    typical = own[own > 0].mean()
    more = (MIN_EXPECTED**2 * typical - own).clip(min=0)
    if module.corruption == "gaussian":
        more = np.maximum(more, np.square(levels)[:, None] * (MIN_NORMAL**2 * typical - own))
    return replace(noise, square=noise.square + more)


def _measured_at(level, module, rows, n_levels):
    """Mean and mean square of struck cells, and mean of their products with the cells as they were: (3, d)."""
    d = rows.shape[1]
    module.levels = (level, level)
    least = min(MIN_CORRUPTED, MIN_CORRUPTED_CELLS // d) // n_levels
    # a few samples would take long by themselves
    repeats = max(1, min(MAX_AT_ONCE, STRUCK_AT_ONCE // d) // len(rows))
    n, sums = 0, np.zeros((3, d))
    while n < max(least, len(rows)):
        for batch in rows.batches():
            many = np.tile(batch, (repeats, 1))
            seen = module.corrupt(torch.tensor(many, dtype=torch.float32)).double().numpy()
            n += len(many)
            sums += [seen.sum(axis=0), np.square(seen).sum(axis=0), (many * seen).sum(axis=0)]
    return sums / n


def has_denoising_start(rows):
    """Whether a matrix of features by features, or one of samples by samples, is small enough."""
    n, d = rows.shape
    return d <= MAX_WIDTH_COVARIANCE or (n <= MAX_WIDTH_COVARIANCE and 4 * n * d <= RESIDENT_BYTES)


def denoising_start(rows, noise, n_components):
    r"""The best linear denoiser of a rank, for noise that strikes each cell by itself, and for samples that come in pairs.

    Where a struck cell is :math:`\tilde x_j = a_j x_j + \varepsilon_j` but for its mean, the covariance of samples with
    struck ones is :math:`C A`, and that of struck ones :math:`A C A + \mathrm{diag}(\mathrm{var}\, \varepsilon)`. The
    best linear map from these to those, cut to rank k by the principal axes of what it returns, is the reduced-rank
    regression (Izenman, 1975; for masking noise, marginalised denoising: Chen et al., 2012).

    Of pairs, C is in the first place the covariance of clean samples with noisy ones, and else that of noisy ones. To
    its variances a ridge is added, the one that predicts best the samples that are left out, one by one.

    Of noise of several levels, A and var are the means of those of each level, A C A is the mean of such products, and
    the covariance of the levels' means is added: cells of a sample have its level in common. All A are taken for
    multiples of one, which is so where noise is not clipped.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    noise : Noise
        That is drawn.

    n_components : int

    Returns
    -------
    start : LinearInit
        The variance is that of the scores of struck samples.
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
    """For matrices of features by features; `clean` is the mean of clean samples, and their covariance with noisy ones."""
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
    """Root of the mean square of the slopes, (d,); their mean in units of it; variance of the noise, (d,); shifts.

    These are how the levels' means differ, over the root of their number, (n_levels, d). The unit is one number: levels
    weaken all features alike, or nearly so where noise is clipped.
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
    r"""For matrices of samples by samples: what n samples give is in their span, whatever the number of features.

    With centered clean rows :math:`Z` and centered noisy ones :math:`Y`, both over the root of n - 1, with
    :math:`M = Y A` and the noise's covariance :math:`V`, the best map is :math:`Z' M (M' M + V)^{-1} = Z' (I + K)^{-1}
    M V^{-1}` for the :math:`n \times n` matrix :math:`K = M V^{-1} M'` (Woodbury). What it returns has the covariance
    :math:`Z' (I + K)^{-1} K Z`. With several levels A is the root of the mean of its square, Z is times what the mean
    is of that, and M has more samples, the levels' means.
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
    """What is added to each variance, so that a matrix has an inverse."""
    return max(RIDGE * mean_variance, MIN_RIDGE)


def _covariance_of_pairs(rows, mean):
    """Mean of clean samples, and their covariance (d, d) with noisy ones of this mean, summed batch by batch."""
    n, d = rows.shape
    total, products = np.zeros(d), np.zeros((d, d))
    for noisy, clean in zip(rows.batches(), rows.clean.batches(), strict=True):
        total += clean.sum(axis=0)
        products += clean.T @ noisy
    clean_mean = total / n
    return clean_mean, (products - n * np.outer(clean_mean, mean)) / (n - 1)


def _ridge_of_pairs(rows):
    """What is added to the variances of noisy samples, so that the regression holds for other samples than these."""
    n, d = rows.shape
    n_some = min(n, MAX_LEFT_OUT, max(2, BYTES_AT_ONCE // (8 * d)))
    index = np.linspace(0, n - 1, n_some).astype(int)
    noisy, clean = rows.read(index), rows.clean.read(index)
    noisy -= noisy.mean(axis=0)
    clean -= clean.mean(axis=0)
    squares = np.square(noisy).sum() / d
    if squares == 0:
        return 0.0
    if n_some < d:  # the same errors, turned into as many columns as there are samples
        clean = np.linalg.qr(clean.T, mode="r").T
    return min(squares * PENALTIES, key=_errors_left_out(noisy, clean)) / (n - 1)


def _errors_left_out(x, y):
    """Mean squared error of ridge regressions of y on x, both centered, of samples that are left out one by one.

    For a ridge, what is returned gives the error: that of sample i is its residual over 1 - h_i, for the diagonal h of
    the map from y to what is predicted. `RidgeCV` has it so.
    """
    left, deviations, _ = scipy.linalg.svd(x, full_matrices=False)
    projected, squares = left.T @ y, np.square(deviations)

    def error(ridge):
        kept = squares / (squares + ridge)
        residuals = y - (left * kept) @ projected
        return np.square(residuals / (1 - np.square(left) @ kept - 1 / len(x))[:, None]).mean()

    return error
