"""Module of a variational autoencoder: encodings are posteriors, and the loss bounds the negative log-likelihood."""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name PyTorch users know
from torch import nn

from skae.nn import AutoencoderModule
from skae.nn._bounds import Bounds
from skae.nn._link import MixedLink
from skae.nn._module import placed
from skae.nn.functional import kl_from_prior

MIN_NOISE = 1e-6  # minimum variance of the noise, as a fraction of the features' mean variance
LOWEST, HIGHEST = -35.0, 10.0  # bounds of the logarithm of a posterior's variance


class VariationalModule(AutoencoderModule):
    """An `AutoencoderModule` whose encodings are the mean and the log-variance of a normal posterior.

    Parameters
    ----------
    beta : float
        Weight of the divergence from the prior.

    variance : float
        Mean variance of the scaled features: the initial variance of the noise, with a random initialization.

    warm_up : float
        Fraction of training during which the weight of the divergence increases from 0.

    bounds : (low, high) or None, default=None
        Bounds of each feature in units of the data, of shape (d,). After training, means of samples are within them.
    """

    penalizes_rows = True
    supports_batching = True
    n_statistics = 2
    undecayed_weights = ("log_noise",)

    def __init__(self, *args, beta, variance, warm_up, bounds=None, **kwargs):
        super().__init__(*args, **kwargs)
        if bounds is not None:
            self.bounds = Bounds(self.scaler, *bounds)
        self.beta, self.warm_up = beta, warm_up
        self.register_buffer("kl_weight", torch.tensor(0.0 if warm_up else 1.0), persistent=False)
        self.least_log_noise = math.log(MIN_NOISE * variance)
        self.is_normal = self.link is None or isinstance(self.link, MixedLink)
        if self.is_normal:
            self.log_noise = nn.Parameter(torch.tensor(math.log(variance), dtype=self.scaler.mean.dtype))

    def code(self, encoding):
        """Return the posterior mean: (n, 2 k) -> (n, k)."""
        return encoding.chunk(2, dim=-1)[0]

    def posterior(self, encoding):
        """Return the mean and the softly bounded log-variance of the posterior: (n, 2 k) -> (n, k), (n, k)."""
        mean, raw = encoding.chunk(2, dim=-1)
        return mean, HIGHEST - F.softplus(HIGHEST - LOWEST - F.softplus(raw - LOWEST))

    def sample(self, encoding):
        """Draw from the posterior, with the reparameterization trick: (n, 2 k) -> (n, k)."""
        mean, log_variance = self.posterior(encoding)
        noise = placed(torch.randn(mean.shape, generator=self.generator), mean.device)
        return mean + (0.5 * log_variance).exp() * noise.to(mean)

    def reconstruction(self, output, x, corrupted):
        """Return the negative log-likelihood of each sample: (n,)."""
        if not self.is_normal:
            return super().reconstruction(output, x, corrupted)
        losses = self.elementwise_losses(output, x)
        n_numbers = x.shape[-1] if self.link is None else self.link.n_numbers
        numbers, log_noise = x[..., :n_numbers], self.log_noise[..., None]  # the same for all samples
        n_observed = numbers.isfinite().sum(dim=-1) if self.has_missing_values else n_numbers
        squares = losses[..., :n_numbers].sum(dim=-1)
        normal = 0.5 * (squares * (-log_noise).exp() + n_observed * (log_noise + math.log(2 * math.pi)))
        return normal if self.link is None else normal + losses[..., n_numbers:].sum(dim=-1)

    def penalty(self, seen, encoding, code):  # noqa: ARG002
        """Return the divergence of the posterior from the prior, times beta."""
        divergence = kl_from_prior(*self.posterior(encoding)).sum(dim=-1)
        return {"divergence": self.beta * (self.kl_weight if self.training else 1.0) * divergence}

    def after_step(self, progress):
        """Clip the noise at its minimum, and increase the weight of the divergence during warm-up."""
        if self.warm_up:
            self.kl_weight.fill_(min(1.0, progress / self.warm_up))
        if self.is_normal:
            with torch.no_grad():
                self.log_noise.clamp_(min=self.least_log_noise)

    def shown_posterior(self, x):
        """Return posterior means and standard deviations in final coordinates, concatenated: (n, d) -> (n, 2 k)."""
        mean, log_variance = self.posterior(self.encoder(self.scaler(x)))
        deviation = (0.5 * log_variance).exp()
        if self.axes is None:
            return torch.cat([mean, deviation], dim=1)
        return torch.cat([self.axes(mean), deviation @ self.axes.rotation.abs().T], dim=1)

    def log_weights(self, x, mean, log_variance, noise):
        """Return log p(x, z) / q(z | x) of scaled samples, for the z that standard normal noise determines: (n,)."""
        z = mean + (0.5 * log_variance).exp() * noise
        log_ratio = 0.5 * (noise.square() + log_variance - z.square()).sum(dim=1)  # of prior to posterior
        return log_ratio - self.reconstruction(self.decoded(z), x, x)
