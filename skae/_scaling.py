"""How data are scaled before the first layer and after the last one, worked out in float64."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from skae.nn.functional import LIKELIHOODS


def mean_and_scale(X, scale):
    """Mean and scale of each feature; a constant feature has scale 0.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    scale : {"global", "standard"} or None
        One scale for all features, the root of their mean variance; each its own standard deviation; or 1.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,)
        In float64.

    Raises
    ------
    ValueError
        If the variance is too large for a float64.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaler = StandardScaler().fit(X)
    constant = X.max(axis=0) == X.min(axis=0)  # to the last bit
    mean = np.where(constant, X[0], scaler.mean_).astype(np.float64)
    varying = scaler.var_[~constant]
    if not np.isfinite(mean).all() or not np.isfinite(varying).all():
        raise ValueError("The variance of X is too large for float64. Divide X by a constant.")
    if scale == "global":
        scales = np.sqrt(varying.mean()) if varying.size else 0.0
    else:
        scales = scaler.scale_ if scale == "standard" else 1.0
    return mean, np.where(constant, 0.0, scales)


def scaled_rows(X, mean, scale):
    """Rows in float64, centred and scaled; constant features are zero."""
    return (X - mean) * np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)


def link_of(X, mean, scale, loss):
    """Offset and gain of the `Link` of a loss that is a likelihood; None for the others.

    The offset is the link at the mean of the feature, half a count away from where it would be infinite. The gain is
    the link's least slope: 4 for the logit, 1 / max x for the logarithm.

    Raises
    ------
    ValueError
        If X is not in the likelihood's range.
    """
    if loss not in LIKELIHOODS:
        return None
    low, high = X.min(axis=0), X.max(axis=0)
    column = int(np.argmax(np.maximum(-low, high - 1 if loss == "binary_cross_entropy" else -low)))
    half = 0.5 / len(X)
    if loss == "binary_cross_entropy":
        if low[column] < 0 or high[column] > 1:
            value = low[column] if low[column] < 0 else high[column]
            raise ValueError(
                f"loss='binary_cross_entropy' needs X in [0, 1], but column {column} holds {value}. "
                "Scale X with MinMaxScaler, or set loss='squared_error'."
            )
        rate = np.clip(mean, half, 1 - half)
        return np.log(rate / (1 - rate)), 4 * scale
    if low[column] < 0:
        raise ValueError(
            f"loss='poisson' needs X of 0 or more, but column {column} holds {low[column]}. "
            "Set loss='squared_error' for data with a sign."
        )
    return np.log(np.maximum(mean, half)), scale / np.where(high > 0, high, 1.0)
