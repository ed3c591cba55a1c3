"""How data are scaled before the first layer and after the last one, worked out in float64."""

import copy

import numpy as np
from sklearn.preprocessing import StandardScaler

from skae._defaults import CLIP_AT
from skae._solvers import update_scaler
from skae.nn.functional import LIKELIHOODS

MIN_SPAN = np.sqrt(np.finfo(np.float64).tiny)  # the square of less has lost its digits, or is zero
LARGEST = 1e35  # which leaves room below the largest float32
FEW = 5  # samples: fewer don't say where cells usually are
TRIMMED = 0.05  # share of a chunk that may be anywhere, one sample at least
STEEPEST = 8.0  # gain of a logit for a share of the samples
ROUNDING = 1e-6  # what MinMaxScaler may be beyond its range: in float64 1e-16, in float32 1e-7


def within_unit(low, high):
    """Whether values from low to high are in [0, 1], but for a scaler's rounding: one rule wherever it is asked."""
    return low >= -ROUNDING and high <= 1 + ROUNDING


class FeatureStatistics:
    """Mean, variance and range of each feature of the samples seen so far.

    Attributes
    ----------
    noisy : FeatureStatistics or None
        Of the noisy samples, where samples come in pairs and the moments are those of the clean ones.

    n_rows : int
        Samples seen.

    factors : FactorModel or None
        What is expected of cells that are missing, if some were.

    categories : tuple of (int, int)
        Cells of each column of categories, behind all numbers: their means are shares of the samples.
    """

    noisy = None
    factors = None
    categories = ()

    def __init__(self, categories=()):
        if categories:
            self.categories = categories
        self.scaler = StandardScaler(with_mean=False)  # which counts chunk after chunk
        self.low, self.high, self.n_rows = np.inf, -np.inf, 0

    def update(self, rows, clean=None, within=None):
        """Count more samples.

        Parameters
        ----------
        rows : ArrayReader

        clean : ArrayReader, default=None
            What they are to become, which are counted in their place; None is the samples.

        within : (low, high), default=None
            Of each feature, of shape (d,): cells beyond count as if they were there.

        Returns
        -------
        self : FeatureStatistics

        Raises
        ------
        ValueError
            If the variance is too large or too small for a float64.
        """
        if clean is not None:
            self.noisy = (copy.deepcopy(self.seen) if self.n_rows else FeatureStatistics()).update(rows)
            rows = clean
        elif self.noisy is not None:
            self.noisy.update(rows)
        self.n_rows += len(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in rows.batches():
                if within is not None:
                    batch = np.clip(batch, *within)
                update_scaler(self.scaler, batch)
                self.low = np.fmin(self.low, np.fmin.reduce(batch, axis=0))  # without those that are missing
                self.high = np.fmax(self.high, np.fmax.reduce(batch, axis=0))
            squares = self.n_rows * self.variance.sum()
            span = (self.high - self.low).max()
        if not np.isfinite(self.mean).all() or not np.isfinite(squares):
            raise ValueError(
                f"The variance of X, with a range of {span:g}, is too large for float64. Divide X by a constant."
            )
        if 0 < span < MIN_SPAN:
            raise ValueError(
                f"The variance of X, with a range of {span:g}, is too small for float64. Multiply X by a constant."
            )
        return self

    @property
    def n_each(self):
        """Cells of each feature that were there, (d,)."""
        return np.zeros(len(self.low)) + self.scaler.n_samples_seen_

    @property
    def is_incomplete(self):
        """Whether cells were missing."""
        return bool((self.n_each < self.n_rows).any())

    @property
    def seen(self):
        """Moments of what encoders are given: of noisy samples, where samples come in pairs."""
        return self if self.noisy is None else self.noisy

    @property
    def spread(self):
        """Root mean square of what encoders are given, less the mean, (d,)."""
        return np.sqrt(self.seen.variance + np.square(self.seen.mean - self.mean))

    @property
    def constant(self):
        """Which features have not varied, to the last bit."""
        return self.low == self.high

    @property
    def mean(self):
        """Mean of each feature, (d,)."""
        return np.where(self.constant, self.low, self.scaler.mean_).astype(np.float64)

    @property
    def variance(self):
        """Variance of each feature, with n in the denominator, (d,)."""
        return np.where(self.constant, 0.0, self.scaler.var_)

    def scale(self, kind):
        """Scale of each feature, (d,): 0 if it is constant.

        Parameters
        ----------
        kind : {"global", "standard"} or None
            One scale for all features, the root of their mean variance; each its own standard deviation; or 1.
        """
        if self.constant.all():
            return np.zeros(len(self.constant))
        if kind == "global":
            scale = np.sqrt(self.variance[~self.constant].mean())
        else:
            scale = self.scaler.scale_ if kind == "standard" else 1.0
        scale = np.where(self.constant, 0.0, scale)
        if self.categories:  # a column of m categories has m - 1 times the variance of a number, as MCA has it
            is_category = self._are_categories
            scale[is_category] = np.where(self.constant, 0.0, np.sqrt(np.maximum(self.mean, 0.0)))[is_category]
        return scale

    @property
    def _are_categories(self):
        return np.arange(len(self.low)) >= self.categories[0][0]

    def check_float32(self, scale):
        """Refuse what networks, which are of float32, can't hold.

        Parameters
        ----------
        scale : ndarray of shape (d,)
            That samples are divided by.

        Raises
        ------
        ValueError
            If X is too large or too small, as it is or scaled.
        """
        span, largest = (self.high - self.low).max(), np.maximum(np.abs(self.low), np.abs(self.high)).max()
        if largest > LARGEST or 0 < span < 1 / LARGEST:
            raise ValueError(
                f"X has values up to {largest:g} and a range of {span:g}, which networks of float32 can't hold. "
                "Multiply X by a constant."
            )
        varying = scale > 0
        scaled = ((self.high - self.low)[varying] / scale[varying]).max(initial=0.0)
        if scaled**2 > LARGEST or 0 < scaled**2 < 1 / LARGEST:  # the loss is a square
            raise ValueError(
                f"X has a range of {span:g}, too {'large' if scaled > 1 else 'small'} to be trained on as it is. "
                "Set scale='global'."
            )

    def link(self, loss, scale):
        """Offset and gain of the `Link` of a loss that is a likelihood, or of categories; None for the others.

        The offset is the link at the mean of the feature, half a count away from where it would be infinite. The gain
        is the link's least slope: 4 for the logit, 1 / max x for the logarithm. Of categories it is the logarithm's
        slope at the mean, so that probabilities start at those of PCA, but never a steep one.

        Raises
        ------
        ValueError
            If X is not in the likelihood's range.
        """
        if self.categories:
            rate = np.clip(self.mean, 0.5 / self.n_rows, 1.0)
            return np.log(rate), np.minimum(1 / rate, STEEPEST) * scale  # those of numbers are mean and scale
        if loss not in LIKELIHOODS:
            return None
        low, high = self.low, self.high
        column = int(np.argmax(np.maximum(-low, high - 1 if loss == "binary_cross_entropy" else -low)))
        half = 0.5 / self.n_rows
        if loss == "binary_cross_entropy":
            if not within_unit(low[column], high[column]):
                value = low[column] if low[column] < 0 else high[column]
                raise ValueError(
                    f"loss='binary_cross_entropy' needs X in [0, 1], but column {column} holds {value}. "
                    "Scale X with MinMaxScaler, or set loss='squared_error'."
                )
            rate = np.clip(self.mean, half, 1 - half)
            return np.log(rate / (1 - rate)), 4 * scale
        if low[column] < -ROUNDING:
            raise ValueError(
                f"loss='poisson' needs X of 0 or more, but column {column} holds {low[column]}. "
                "Set loss='squared_error' for data with a sign."
            )
        return np.log(np.maximum(self.mean, half)), scale / np.where(high > 0, high, 1.0)


class FeatureStatisticsAbout(FeatureStatistics):
    """Moments of which another center is the mean: that of a network which was scaled before these samples came."""

    def __init__(self, statistics, mean):
        vars(self).update(vars(statistics))
        self.center = mean

    @property
    def mean(self):
        """The center, (d,)."""
        return self.center


def usual_range(rows, before, *, one_unit):
    """Where the cells of a chunk usually are: within some spreads of its middle, or of the mean of earlier samples.

    The spread of a chunk leaves out the twentieth of its cells that is farthest from the median. So one sample, however
    far out, has a bounded effect, and a chunk whose samples are all elsewhere is taken as it is.

    Parameters
    ----------
    rows : ArrayReader

    before : FeatureStatistics or None
        Of earlier samples.

    one_unit : bool
        Whether all features have the same unit, so that none of them is held to less than their common spread.

    Returns
    -------
    low, high : ndarray of shape (d,)
        Infinite where neither has a spread.
    """
    n = len(rows)
    centers, spreads = [], []
    if before is not None:
        centers.append(before.mean)
        spreads.append(np.sqrt(before.variance))
    if n >= FEW or before is None:
        some = rows.sample().astype(np.float64)
        middle = np.median(some, axis=0)
        with np.errstate(over="ignore"):
            distances = np.sort(np.abs(some - middle), axis=0)
            kept = distances[: len(some) - max(1, int(TRIMMED * len(some)))] if n >= FEW else distances[:0]
            spread = np.sqrt(np.square(kept).mean(axis=0)) if len(kept) else np.zeros(len(middle))
        centers.append(middle)
        spreads.append(spread)
    spreads = [np.nan_to_num(spread, posinf=0.0) for spread in spreads]
    if one_unit:
        spreads = [np.maximum(of_one, np.sqrt(np.square(of_one).mean())) for of_one in spreads]
    known = np.max(spreads, axis=0) > 0
    low = np.min([c - CLIP_AT * s for c, s in zip(centers, spreads, strict=True)], axis=0)
    high = np.max([c + CLIP_AT * s for c, s in zip(centers, spreads, strict=True)], axis=0)
    return np.where(known, low, -np.inf), np.where(known, high, np.inf)
