"""Probabilistic PCA as numbers: where a variational network starts."""

from dataclasses import dataclass, replace

import numpy as np

from skae._pca import linear_init

MIN_POSTERIOR = 1e-12  # variance of a posterior, in units of the prior's
MIN_SIGNAL = 1.0  # variance of a component beyond the noise's, in units of it, that leads somewhere


@dataclass(frozen=True)
class ProbabilisticStart:
    """Probabilistic PCA as the weights of a variational autoencoder whose two networks are linear.

    Attributes
    ----------
    mean : ndarray of shape (d,)

    components : ndarray of shape (k, d)

    gain : ndarray of shape (k,)
        Length of each column of the decoder, 0 for a component with no more variance than the noise.

    shrinkage : ndarray of shape (k,)
        What the posterior mean is of a row's score.

    posterior_variance : ndarray of shape (k,)
        1 for a component that carries nothing.

    noise : float
        Variance of the noise.
    """

    mean: np.ndarray
    components: np.ndarray
    gain: np.ndarray
    shrinkage: np.ndarray
    posterior_variance: np.ndarray
    noise: float

    is_pca = False
    unit = None  # the prior's

    def is_weak(self, n_rows):
        """Which components stand out of the noise by less than it, or than chance would make them, (k,)."""
        return np.square(self.gain) <= least_signal(n_rows, len(self.mean)) * self.noise

    def axes(self, unit, whiten):  # noqa: ARG002 - the signature of `LinearInit`
        """Axes that show codes as they are, in units of the prior."""
        k = len(self.gain)
        return np.ones(k), np.zeros(k), np.eye(k), np.ones(k)

    def turned(self, turn, unit=None):  # noqa: ARG002 - the prior gives the unit
        """The same map with the components in another order, and other signs: a matrix with one entry a sample."""
        order, sign = np.abs(turn).argmax(axis=1), turn.sum(axis=1)
        return replace(
            self,
            components=self.components[order] * sign[:, None],
            gain=self.gain[order],
            shrinkage=self.shrinkage[order],
            posterior_variance=self.posterior_variance[order],
        )

    def weights(self):
        """Weights of the linear branches: an encoding is the posterior's means and the logarithms of its variances."""
        means = self.components * self.shrinkage[:, None]
        encoder = np.concatenate([means, np.zeros_like(means)])
        decoder = (self.components * self.gain[:, None]).T
        return {
            "encoder.linear.weight": encoder,  # (2 k, d)
            "encoder.linear.bias": np.concatenate([-means @ self.mean, np.log(self.posterior_variance)]),
            "encoder.far": encoder,
            "decoder.linear.weight": decoder,  # (d, k)
            "decoder.linear.bias": self.mean,
            "decoder.far": decoder,
            "log_noise": np.log(self.noise),
        }


def least_signal(n_rows, n_features):
    """Variance of a component beyond the noise's, in units of it, below which it is too weak to start a training from.

    A spectrum that is flat seems not to be: of independent normal samples its ends are at a ratio that Marchenko and
    Pastur (1967) give.
    """
    share = np.sqrt(n_features / n_rows)
    return max(MIN_SIGNAL, np.square((1 + share) / max(1 - share, 0.5)) - 1)


def probabilistic_start(rows, n_components, seed, *, beta=1.0, least_noise, exact=False):
    r"""The linear optimum of the variational objective: probabilistic PCA (Tipping and Bishop, 1999) if beta is 1.

    The objective is :math:`-\mathbb{E}_q \log p(x | z) + \beta \, \mathrm{KL}(q \Vert p)`. For a noise of variance
    :math:`\sigma^2` let :math:`s = \beta \sigma^2`. The decoder's columns are then principal axes of length
    :math:`\sqrt{\lambda_j - s}`, those with :math:`\lambda_j > s`; the posterior has the variance :math:`s / \lambda_j`
    along each, and the mean :math:`\sqrt{\lambda_j - s} / \lambda_j` times the score. With m such axes the best noise
    is :math:`\sigma^2 = R / (d - \beta m)`, for R the variance along all others.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    n_components : int

    seed : int

    beta : float

    least_noise : float
        The noise isn't less: it would be nothing where the components reach the rank.

    exact : bool, default=False
        Whether to take no randomized solver.

    Returns
    -------
    start : ProbabilisticStart
    """
    pca = linear_init(rows, n_components, seed, exact=exact)
    total = sum(np.square(batch - pca.mean).sum() for batch in rows.batches()) / max(len(rows) - 1, 1)
    return probabilistic_of(pca, total, len(rows), beta=beta, least_noise=least_noise)


def probabilistic_of(pca, total, n_rows, *, beta, least_noise):
    """The same of PCA, a `LinearInit`, and the total variance of its samples."""
    spectrum, n_components, d = pca.variance, len(pca.variance), len(pca.mean)  # (k,)
    rest = np.maximum(total - np.append(0, np.cumsum(spectrum)), 0)  # beyond the first 0, ..., k axes
    left = d - beta * np.arange(n_components + 1)
    candidates = np.divide(rest, left, out=np.zeros_like(rest), where=left > 0)
    few = max(0, (n_rows - 1) // 2)  # components beyond that leave too little of so few samples to tell the noise from
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
