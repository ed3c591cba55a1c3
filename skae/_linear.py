"""Attributes and methods of PCA for a linear autoencoder: its axes, and the normal distribution of samples."""

import numpy as np
import scipy.linalg
from sklearn.utils.metaestimators import available_if

from skae._typing import FloatArray, typed

NAMES = ("components_", "singular_values_", "noise_variance_")


def attributes_of_pca(start, n_rows, total, unit, dtype, scale=None):
    """Return the attributes of PCA that are listed in `NAMES`.

    Parameters
    ----------
    start : LinearInit

    n_rows : int

    total : float
        Variance of the scaled samples, summed over features.

    unit : float
        Scale factor of the scores.

    dtype : dtype
        Data type of X and, as in PCA, of the axes.

    scale : ndarray of shape (d,), default=None
        Scale factor of each feature, if features are scaled separately.

    Returns
    -------
    attributes : dict
    """
    k, d = start.components.shape
    n_left = min(n_rows, d) - k
    rest = max(total - start.variance.sum(), 0.0) if start.rest is None else start.rest
    components = start.components if scale is None else start.components * scale
    return {
        "components_": components.astype(dtype),
        "singular_values_": np.sqrt(start.variance * (n_rows - 1)) * unit,
        "noise_variance_": float(rest / n_left * unit**2) if n_left > 0 else 0.0,
    }


def is_normal(estimator):
    """Return whether the estimator defines a normal distribution, as probabilistic PCA does: for `available_if`."""
    return estimator.__sklearn_is_fitted__() and estimator._normal() is not None


class LinearMixin:
    """Mixin of `AutoencoderCore` for linear autoencoders."""

    def _normal(self):
        """Return the parameters of the normal distribution of samples, or None if the estimator doesn't define one.

        These are the axes, of shape (k, d), the variance along each in excess of the noise, (k,), and the noise
        variance of each feature, (d,).
        """
        if not (self._spec.is_pca and hasattr(self, "noise_variance_")):
            return None
        beyond = np.maximum(self.explained_variance_ - self.noise_variance_, 0.0)
        return self.components_.astype(np.float64), beyond, self._noise_of_features()

    def _noise_of_features(self):
        scale = self._spec.scale
        own = np.where(scale > 0, scale, 1.0) if self.scale == "standard" else np.ones(len(scale))
        return self.noise_variance_ * np.square(own)

    @typed(available_if(is_normal))
    def get_covariance(self) -> FloatArray:
        """Return the covariance of the probabilistic PCA model: that of the components plus the noise.

        Only available for a linear autoencoder that was computed in closed form.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
            Estimated covariance, in squared units of X for any `scale` and `whiten`.
        """
        axes, beyond, noise = self._normal()
        covariance = (axes.T * beyond) @ axes
        covariance[np.diag_indices_from(covariance)] += noise
        return covariance

    @typed(available_if(is_normal))
    def get_precision(self) -> FloatArray:
        """Return the inverse of `get_covariance()`.

        Only available for a linear autoencoder that was computed in closed form.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
            Estimated precision, or the pseudoinverse if the covariance is singular.
        """
        axes, beyond, noise = self._normal()
        axes, beyond = axes[beyond > 0], beyond[beyond > 0]
        if not noise.all():
            return scipy.linalg.pinvh(self.get_covariance())
        if not len(axes):
            return np.diag(1 / noise)
        seen = axes / noise  # by the Woodbury identity, which inverts a matrix of shape (k, k)
        inner = seen @ axes.T
        inner[np.diag_indices_from(inner)] += 1 / beyond
        precision = -seen.T @ scipy.linalg.solve(inner, seen, assume_a="pos")
        precision[np.diag_indices_from(precision)] += 1 / noise
        return precision
