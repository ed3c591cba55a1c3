"""PCA's answer as numbers: where every network starts, and the axes in which codes are shown."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

LEAST_UNIT = 1e-3  # a component that varies less than this share of the first isn't blown up to unit variance


@dataclass(frozen=True)
class LinearStart:
    """PCA of scaled rows, as the weights of a linear encoder and decoder.

    Attributes
    ----------
    mean : ndarray of shape (d,)

    components : ndarray of shape (k, d)
        Zero beyond the number of components that the rows have.

    variance : ndarray of shape (k,)
        Of the scores, with n - 1 in the denominator.

    unit : ndarray of shape (k,)
        What one unit of the inner code is worth in PCA's scores: their standard deviation, or a little for those that
        hardly vary.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    unit: np.ndarray

    def axes(self, unit):
        """`CodeAxes` that show the inner code as PCA's scores, when a scaled row is worth `unit` of X's."""
        k = len(self.unit)
        return self.unit * unit, np.zeros(k), np.eye(k)

    def weights(self):
        """Weights of the linear branches: the encoder's (x - mean) V' / unit and the decoder's unit V + mean."""
        encoder, decoder = self.components / self.unit[:, None], (self.components * self.unit[:, None]).T
        return {
            "encoder.linear.weight": encoder,  # (k, d)
            "encoder.linear.bias": -encoder @ self.mean,
            "encoder.far": encoder,
            "decoder.linear.weight": decoder,  # (d, k)
            "decoder.linear.bias": self.mean,
            "decoder.far": decoder,
        }


def linear_start(rows, n_components, seed):
    """PCA of `rows`, by scikit-learn's own, with as many components as asked for.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Scaled, in float64.

    n_components : int
        May be above min(n, d): the rest is zero.

    seed : int
        For PCA's randomized solver.

    Returns
    -------
    start : LinearStart
    """
    (n, d), k = rows.shape, n_components
    with np.errstate(divide="ignore", invalid="ignore"):  # the variance ratio of constant rows, which isn't used
        pca = PCA(n_components=min(n, d, k), random_state=seed).fit(rows)
    missing = k - pca.n_components_
    variance = np.pad(pca.explained_variance_, (0, missing))
    deviation = np.sqrt(variance)
    return LinearStart(
        mean=pca.mean_,
        components=np.pad(pca.components_, ((0, missing), (0, 0))),
        variance=variance,
        unit=np.maximum(deviation, LEAST_UNIT * deviation[0]) if deviation[0] > 0 else np.ones(k),
    )


def principal_axes(codes, rows):
    """Axes in which codes are centred, uncorrelated, sorted by variance and of a fixed sign.

    The sign is `sklearn.utils.extmath.svd_flip`'s rule on the loadings, the covariances of a component with the
    features: the largest in absolute value is positive. On PCA's scores these are PCA's own signs.

    Parameters
    ----------
    codes : ndarray of shape (n, k)

    rows : ndarray of shape (n, d)

    Returns
    -------
    mean : ndarray of shape (k,)

    rotation : ndarray of shape (k, k)
        The shown codes are (codes - mean) @ rotation.T.

    variance : ndarray of shape (k,)
        Of the shown codes, with n - 1 in the denominator.
    """
    mean = codes.mean(axis=0)
    centred = codes - mean
    variance, vectors = np.linalg.eigh(centred.T @ centred / (len(codes) - 1))
    variance, rotation = variance[::-1].clip(min=0.0), vectors[:, ::-1].T
    loadings = rotation @ (centred.T @ rows)  # (k, d)
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=1)[:, None], axis=1)
    return mean, rotation * np.where(largest < 0, -1.0, 1.0), variance
