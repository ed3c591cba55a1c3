"""Probabilistic PCA, the initialization of variational networks."""

from dataclasses import dataclass, replace

import numpy as np

from skae._pca import linear_init

MIN_POSTERIOR = 1e-12  # variance of a posterior, relative to the prior's
MIN_SIGNAL = 1.0  # minimum variance of a component in excess of the noise, relative to the noise


@dataclass(frozen=True)
class ProbabilisticStart:
    """Probabilistic PCA, as weights of a variational autoencoder whose encoder and decoder are linear.

    Attributes
    ----------
    mean : ndarray of shape (d,)

    components : ndarray of shape (k, d)

    gain : ndarray of shape (k,)
        Norm of each column of the decoder, 0 for a component with no more variance than the noise.

    shrinkage : ndarray of shape (k,)
        Ratio of the posterior mean to the score of a sample.

    posterior_variance : ndarray of shape (k,)
        Variance of the posterior, 1 for a component without information.

    noise : float
        Noise variance.
    """

    mean: np.ndarray
    components: np.ndarray
    gain: np.ndarray
    shrinkage: np.ndarray
    posterior_variance: np.ndarray
    noise: float

    is_pca = False
    unit = None  # given by the prior

    def is_weak(self, n_rows):
        """Return a mask of shape (k,): the components whose variance in excess of the noise may be due to chance."""
        return np.square(self.gain) <= min_signal(n_rows, len(self.mean)) * self.noise

    def axes(self, unit, whiten):  # noqa: ARG002 - the signature of `LinearInit`
        """Return the parameters of an identity transform: codes have the units of the prior."""
        k = len(self.gain)
        return np.ones(k), np.zeros(k), np.eye(k), np.ones(k)

    def rotated(self, turn, unit=None):  # noqa: ARG002 - the prior gives the unit
        """Return the same map with permuted and flipped components, by a matrix with one nonzero entry per row."""
        order, sign = np.abs(turn).argmax(axis=1), turn.sum(axis=1)
        return replace(
            self,
            components=self.components[order] * sign[:, None],
            gain=self.gain[order],
            shrinkage=self.shrinkage[order],
            posterior_variance=self.posterior_variance[order],
        )

    def weights(self):
        """Return the weights of the linear branches: the encoder returns the posterior's means and log variances."""
        means = self.components * self.shrinkage[:, None]
        encoder = np.concatenate([means, np.zeros_like(means)])
        decoder = (self.components * self.gain[:, None]).T
        return {
            "encoder.linear.weight": encoder,  # (2 k, d)
            "encoder.linear.bias": np.concatenate([-means @ self.mean, np.log(self.posterior_variance)]),
            "encoder.extrapolation": encoder,
            "decoder.linear.weight": decoder,  # (d, k)
            "decoder.linear.bias": self.mean,
            "decoder.extrapolation": decoder,
            "log_noise": np.log(self.noise),
        }


def min_signal(n_rows, n_features):
    """Return the minimum variance of a component in excess of the noise, relative to it, to start training from.

    The sample covariance of independent normal features doesn't have a flat spectrum: the ratio of its largest to its
    smallest eigenvalue is given by Marchenko and Pastur (1967).
    """
    share = np.sqrt(n_features / n_rows)
    return max(MIN_SIGNAL, np.square((1 + share) / max(1 - share, 0.5)) - 1)


def probabilistic_start(rows, n_components, seed, *, beta=1.0, least_noise, exact=False):
    r"""Return the linear optimum of the variational objective.

    For beta=1 it is probabilistic PCA (Tipping and Bishop, 1999).

    The objective is :math:`-\mathbb{E}_q \log p(x | z) + \beta \, \mathrm{KL}(q \Vert p)`. Let :math:`\sigma^2` be the
    noise variance and :math:`s = \beta \sigma^2`. The columns of the decoder are the principal axes with
    :math:`\lambda_j > s`, scaled by :math:`\sqrt{\lambda_j - s}`. Along each, the posterior has the variance
    :math:`s / \lambda_j`, and its mean is :math:`\sqrt{\lambda_j - s} / \lambda_j` times the score. With m such axes
    the optimal noise variance is :math:`\sigma^2 = R / (d - \beta m)`, where R is the variance along all other axes.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    n_components : int

    seed : int

    beta : float

    least_noise : float
        Minimum noise variance: it would be 0 if the number of components were the rank.

    exact : bool, default=False
        Whether to avoid randomized solvers.

    Returns
    -------
    start : ProbabilisticStart
    """
    pca = linear_init(rows, n_components, seed, exact=exact)
    total = sum(np.square(batch - pca.mean).sum() for batch in rows.batches()) / max(len(rows) - 1, 1)
    return probabilistic_of(pca, total, len(rows), beta=beta, least_noise=least_noise)


def probabilistic_of(pca, total, n_rows, *, beta, least_noise):
    """Return the optimum of `probabilistic_start`, given PCA as a `LinearInit` and the total variance of samples."""
    spectrum, n_components, d = pca.variance, len(pca.variance), len(pca.mean)  # (k,)
    rest = np.maximum(total - np.append(0, np.cumsum(spectrum)), 0)  # beyond the first 0, ..., k axes
    left = d - beta * np.arange(n_components + 1)
    candidates = np.divide(rest, left, out=np.zeros_like(rest), where=left > 0)
    few = max(0, (n_rows - 1) // 2)  # more components leave too few degrees of freedom to estimate the noise
    if few < n_components:
        least_noise = max(least_noise, candidates[few])
    candidates = candidates.clip(min=least_noise)

    def objective(noise):
        s = np.maximum(beta * noise, np.finfo(float).tiny)
        active = spectrum > s
        m = active.sum()
        return d * np.log(noise) + (m * s + rest[m]) / noise + beta * (np.log(spectrum[active]) - np.log(s)).sum()

    noise = min(candidates, key=objective)
    s = np.minimum(beta * noise, spectrum)
    positive = np.maximum(spectrum, np.finfo(float).tiny)
    gain = np.sqrt(spectrum - s)
    return ProbabilisticStart(
        mean=pca.mean,
        components=pca.components,
        gain=gain,
        shrinkage=gain / positive,
        posterior_variance=np.where(spectrum > 0, s / positive, 1.0).clip(min=MIN_POSTERIOR),
        noise=float(noise),
    )
