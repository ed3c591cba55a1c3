"""Statistics for scaling data before the first layer and after the last one, in float64."""

import copy

import numpy as np
from sklearn.preprocessing import StandardScaler

from skae._defaults import CLIP_AT
from skae._solvers import update_scaler
from skae.nn.functional import LIKELIHOODS

MIN_SPAN = np.sqrt(np.finfo(np.float64).tiny)  # the square of a smaller number underflows
LARGEST = 1e35  # leaves a margin below the largest float32
FEW = 5  # samples: fewer do not determine the usual range
TRIMMED = 0.05  # fraction of a chunk that may be outlying, at least one sample
MAX_GAIN = 8.0  # largest gain of a logit of a category
ROUNDING = 1e-6  # tolerance for MinMaxScaler: its rounding is 1e-16 in float64, 1e-7 in float32


def within_unit(low, high):
    """Whether the range from low to high is within [0, 1], up to a scaler's rounding."""
    return low >= -ROUNDING and high <= 1 + ROUNDING


class FeatureStatistics:
    """Mean, variance and range of each feature over the samples seen so far.

    Attributes
    ----------
    noisy : FeatureStatistics or None
        Statistics of the noisy samples, if there are clean samples, which the other statistics describe.

    n_rows : int
        Number of samples seen.

    factors : FactorModel or None
        Model of missing values, if there were any.

    categories : tuple of (int, int)
        Range of features of each categorical column, after all numeric features: their means are frequencies.
    """

    noisy = None
    factors = None
    categories = ()

    def __init__(self, categories=()):
        if categories:
            self.categories = categories
        self.scaler = StandardScaler(with_mean=False)  # supports `partial_fit`
        self.low, self.high, self.n_rows = np.inf, -np.inf, 0

    def update(self, rows, clean=None, within=None):
        """Update the statistics with more samples.

        Parameters
        ----------
        rows : ArrayReader

        clean : ArrayReader, default=None
            Clean samples, which are counted instead. If None, the samples are counted.

        within : (low, high), default=None
            Bounds of each feature, of shape (d,), at which values are clipped.

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
                self.low = np.fmin(self.low, np.fmin.reduce(batch, axis=0))  # ignores missing values
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
        """Number of observed values of each feature, (d,)."""
        return np.zeros(len(self.low)) + self.scaler.n_samples_seen_

    @property
    def is_incomplete(self):
        """Whether values were missing."""
        return bool((self.n_each < self.n_rows).any())

    @property
    def seen(self):
        """Statistics of the input of encoders: of noisy samples, if there are clean ones."""
        return self if self.noisy is None else self.noisy

    @property
    def spread(self):
        """Root mean square of the input of encoders minus the mean, (d,)."""
        return np.sqrt(self.seen.variance + np.square(self.seen.mean - self.mean))

    @property
    def constant(self):
        """Which features are exactly constant."""
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
        """Return the scale of each feature, (d,): 0 if it is constant.

        Parameters
        ----------
        kind : {"global", "standard"} or None
            The root of the mean variance for all features, the standard deviation of each feature, or 1.
        """
        if self.constant.all():
            return np.zeros(len(self.constant))
        if kind == "global":
            scale = np.sqrt(self.variance[~self.constant].mean())
        else:
            scale = self.scaler.scale_ if kind == "standard" else 1.0
        scale = np.where(self.constant, 0.0, scale)
        # as in multiple correspondence analysis, a column of m categories has m - 1 times the variance of a number
        if self.categories:
            is_category = self._are_categories
            scale[is_category] = np.where(self.constant, 0.0, np.sqrt(np.maximum(self.mean, 0.0)))[is_category]
        return scale

    @property
    def _are_categories(self):
        return np.arange(len(self.low)) >= self.categories[0][0]

    def check_float32(self, scale):
        """Raise an error if values are out of the range of float32, which networks use.

        Parameters
        ----------
        scale : ndarray of shape (d,)
            Scale by which samples are divided.

        Raises
        ------
        ValueError
            If values of X are too large or too small, with or without scaling.
        """
        span, largest = (self.high - self.low).max(), np.maximum(np.abs(self.low), np.abs(self.high)).max()
        if largest > LARGEST or 0 < span < 1 / LARGEST:
            raise ValueError(
                f"X has values up to {largest:g} and a range of {span:g}, which is outside the range of float32. "
                "Multiply X by a constant."
            )
        varying = scale > 0
        scaled = ((self.high - self.low)[varying] / scale[varying]).max(initial=0.0)
        if scaled**2 > LARGEST or 0 < scaled**2 < 1 / LARGEST:  # the loss is quadratic
            raise ValueError(
                f"X has a range of {span:g}, too {'large' if scaled > 1 else 'small'} for training without scaling. "
                "Set scale='global'."
            )

    def link(self, loss, scale):
        """Return offset and gain of the `Link` of a likelihood or of categories; None for other losses.

        The offset is the link at the mean of the feature, at least half a count away from where it would be infinite.
        The gain is the minimum slope of the link: 4 for the logit, 1 / max x for the logarithm. For categories it is
        the slope of the logarithm at the mean, bounded, so that probabilities start at those of PCA.

        Raises
        ------
        ValueError
            If X is out of the range of the likelihood.
        """
        if self.categories:
            rate = np.clip(self.mean, 0.5 / self.n_rows, 1.0)
            return np.log(rate), np.minimum(1 / rate, MAX_GAIN) * scale  # for numbers: mean and scale
        if loss not in LIKELIHOODS:
            return None
        low, high = self.low, self.high
        column = int(np.argmax(np.maximum(-low, high - 1 if loss == "binary_cross_entropy" else -low)))
        half = 0.5 / self.n_rows
        if loss == "binary_cross_entropy":
            if not within_unit(low[column], high[column]):
                value = low[column] if low[column] < 0 else high[column]
                raise ValueError(
                    f"loss='binary_cross_entropy' requires X in [0, 1], but column {column} contains {value}. "
                    "Scale X with MinMaxScaler, or set loss='squared_error'."
                )
            rate = np.clip(self.mean, half, 1 - half)
            return np.log(rate / (1 - rate)), 4 * scale
        if low[column] < -ROUNDING:
            raise ValueError(
                f"loss='poisson' requires X of 0 or more, but column {column} contains {low[column]}. "
                "Set loss='squared_error' for data with a sign."
            )
        return np.log(np.maximum(self.mean, half)), scale / np.where(high > 0, high, 1.0)


class FeatureStatisticsAbout(FeatureStatistics):
    """Statistics with another mean: that of a network that was scaled before these samples were seen."""

    def __init__(self, statistics, mean):
        vars(self).update(vars(statistics))
        self.center = mean

    @property
    def mean(self):
        """The center, (d,)."""
        return self.center


def usual_range(rows, before, *, one_unit):
    """Return the usual range: `CLIP_AT` spreads around the median of a chunk or the mean of earlier samples.

    The spread of a chunk ignores the 5 % of values that are farthest from the median. So a single outlier has a bounded
    effect, and a chunk whose samples all lie elsewhere is not clipped.

    Parameters
    ----------
    rows : ArrayReader

    before : FeatureStatistics or None
        Statistics of earlier samples.

    one_unit : bool
        Whether all features have the same unit, so that the spread of each is at least the common spread.

    Returns
    -------
    low, high : ndarray of shape (d,)
        Infinite where both spreads are zero.
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
