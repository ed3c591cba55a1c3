"""How data are scaled before the first layer and after the last one, worked out in float64."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from skae.nn.functional import LIKELIHOODS

LEAST_SCALE, MOST_SCALE = 1e-35, 1e35  # a float32 holds 1e-38 to 3e38
MOST_UNSCALED = 1e17  # whose square is summed in float32
ROUNDING = 1e-6  # what MinMaxScaler may be beyond its range: in float64 1e-16, in float32 1e-7


class Moments:
    """Mean, variance and range of each feature of the rows seen so far."""

    def __init__(self):
        self.scaler = StandardScaler(with_mean=False)  # which counts chunk after chunk
        self.low, self.high = np.inf, -np.inf

    def update(self, rows):
        """Count more rows.

        Parameters
        ----------
        rows : Rows

        Returns
        -------
        self : Moments

        Raises
        ------
        ValueError
            If the variance is too large for a float64.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in rows.batches():
                self.scaler.partial_fit(batch)
                self.low = np.minimum(self.low, batch.min(axis=0))
                self.high = np.maximum(self.high, batch.max(axis=0))
        if not np.isfinite(self.mean).all() or not np.isfinite(self.variance).all():
            raise ValueError("The variance of X is too large for float64. Divide X by a constant.")
        return self

    @property
    def n_rows(self):
        """Rows seen."""
        return int(self.scaler.n_samples_seen_)

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

        Raises
        ------
        ValueError
            If X varies by more or less than networks in float32 can be told.
        """
        if self.constant.all():
            return np.zeros(len(self.constant))
        if kind == "global":
            scale = np.sqrt(self.variance[~self.constant].mean())
        else:
            scale = self.scaler.scale_ if kind == "standard" else 1.0
        scale = np.where(self.constant, 0.0, scale)
        told, most = (scale[~self.constant], MOST_SCALE) if kind else (np.sqrt(self.variance.max()), MOST_UNSCALED)
        for value, wrong, cure in (
            (np.max(told), np.max(told) > most, "large for float32. Divide"),
            (np.min(told), np.min(told) < LEAST_SCALE, "small for float32. Multiply"),
        ):
            if wrong:
                raise ValueError(f"X has a standard deviation of {value:.2g}, too {cure} X by a constant.")
        return scale

    def link(self, loss, scale):
        """Offset and gain of the `Link` of a loss that is a likelihood; None for the others.

        The offset is the link at the mean of the feature, half a count away from where it would be infinite. The gain
        is the link's least slope: 4 for the logit, 1 / max x for the logarithm.

        Raises
        ------
        ValueError
            If X is not in the likelihood's range.
        """
        if loss not in LIKELIHOODS:
            return None
        low, high = self.low, self.high
        column = int(np.argmax(np.maximum(-low, high - 1 if loss == "binary_cross_entropy" else -low)))
        half = 0.5 / self.n_rows
        if loss == "binary_cross_entropy":
            if low[column] < -ROUNDING or high[column] > 1 + ROUNDING:
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
