"""Variational autoencoder as a generative model: posteriors, new and varied samples, and likelihoods."""

import copy
import math
from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skae._array_api import preserve_array_type
from skae._data.readers import ArrayReader
from skae._data.statistics import within_unit
from skae._seeds import local_rng
from skae._typing import FloatArray, MatrixLike, Seed, typed


class GenerationMixin:
    """Mixin of `VariationalAutoencoder` that draws samples from the model, and computes posteriors and likelihoods."""

    @typed(preserve_array_type)
    def posterior(self, X: MatrixLike) -> tuple[FloatArray, FloatArray]:
        """Return the posterior of each sample's code: independent normal components.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        mean, standard_deviation : ndarray of shape (n_samples, n_components)
            The mean is what `transform` returns.
        """
        return self._posterior(X)

    def _posterior(self, X):
        both = self._apply("shown_posterior", self._rows_of(X), 2 * self.n_components_)
        return both[:, : self.n_components_], both[:, self.n_components_ :]

    def sample(self, n_samples: int = 1, random_state: Seed = None, *, noise: bool = False) -> FloatArray:
        """Draw new samples by decoding codes from the prior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples to draw.

        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible results across multiple function calls. The estimator's own is used by `fit`
            only.

        noise : bool, default=False
            Whether to add the noise of the likelihood. False gives the mean of each sample given its code, which is
            smoother than the data. True draws the sample from the likelihood: with "squared_error" from a normal
            distribution of variance `noise_variance_`, with "binary_cross_entropy" from a Bernoulli distribution, so
            that each value is 0 or 1. The codes are the same either way.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In [0, 1] with "binary_cross_entropy". A normal likelihood has no range, and neither do its samples.

        Raises
        ------
        ValueError
            If `n_samples` is below 1.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        check_scalar(noise, "noise", (bool, np.bool_))
        rng = local_rng(random_state)
        codes = rng.standard_normal((n_samples, self.n_components_))
        means = self._apply("decode", ArrayReader(codes), self.n_features_in_)
        return self._drawn(means, rng) if noise else means

    def _drawn(self, means, rng):
        """Draw samples from the likelihood, given their means: (n, d) -> (n, d)."""
        if self.loss == "binary_cross_entropy":
            return (rng.random_sample(means.shape) < means).astype(means.dtype)
        scale, unit = self._spec.scale, self._unit(self._spec.scale)
        # a constant feature has as much noise as the others, as in `log_likelihood`
        deviation = math.sqrt(self.noise_variance_) * np.where(scale > 0, scale / unit, 1.0)
        drawn = means + deviation * rng.standard_normal(means.shape)
        for start, stop in self._spec.categories:
            beyond = rng.random_sample((len(means), 1)) > means[:, start:stop].cumsum(axis=1)
            drawn[:, start:stop] = np.eye(stop - start)[beyond[:, :-1].sum(axis=1)]
        return drawn

    @typed(preserve_array_type)
    def vary(self, X: MatrixLike, scale: float = 1.0, n_variations: int = 1, random_state: Seed = None) -> FloatArray:
        """Draw samples that are similar to given ones, by decoding codes from the posterior of each.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        scale : float, default=1.0
            Factor of the posterior's standard deviation. 1 draws from the posterior: variations that the model does not
            distinguish from the sample. Larger values vary it more, and 0 gives `reconstruct(X)`.

        n_variations : int, default=1
            Number of draws from the posterior of each sample.

        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible results across multiple function calls. The estimator's own is used by `fit`
            only.

        Returns
        -------
        X_varied : ndarray of shape (n_samples, n_variations, n_features)
            Without noise, as in `sample`.

        Raises
        ------
        ValueError
            If `scale` is negative or not finite, or `n_variations` is below 1.
        """
        mean, deviation = self._posterior(X)
        check_scalar(scale, "scale", Real, min_val=0)
        if not np.isfinite(scale):
            raise ValueError(f"scale={scale!r} must be finite.")
        check_scalar(n_variations, "n_variations", Integral, min_val=1)
        normal = local_rng(random_state).standard_normal((len(mean), n_variations, self.n_components_))
        codes = mean[:, None] + scale * deviation[:, None] * normal.astype(mean.dtype)
        return self._decoded(codes)

    def interpolate(self, a: ArrayLike, b: ArrayLike, n_steps: int = 10) -> FloatArray:
        """Interpolate between samples, along the straight line between their codes.

        Parameters
        ----------
        a, b : array-like of shape (n_features,) or (n_samples, n_features)
            One sample each, or the same number of samples.

        n_steps : int, default=10
            Number of points, at least 2: the first is `reconstruct(a)`, the last `reconstruct(b)`.

        Returns
        -------
        X_between : ndarray of shape (n_steps, n_features) or (n_samples, n_steps, n_features)
            Means of the samples given the codes on the line.

        Raises
        ------
        ValueError
            If a and b differ in their number of samples, or `n_steps` is below 2.
        """
        check_is_fitted(self)
        check_scalar(n_steps, "n_steps", Integral, min_val=2)
        single = np.ndim(a) == 1 and np.ndim(b) == 1
        start, end = (self._posterior(_as_frame(rows) if single else rows)[0] for rows in (a, b))
        if len(start) != len(end):
            raise ValueError(
                f"a has {len(start)} samples and b has {len(end)}: pass one sample in b for each sample in a."
            )
        between = self._decoded(np.linspace(start, end, n_steps, axis=1))
        return between[0] if single else between

    @typed(preserve_array_type)
    def log_likelihood(self, X: MatrixLike, n_draws: int = 10, random_state: Seed = None) -> FloatArray:
        r"""Estimate a lower bound on the log-likelihood of each sample.

        This is the importance-weighted bound (Burda et al., 2016)
        :math:`\log \frac{1}{m} \sum_{j=1}^m p(x, z_j) / q(z_j | x)`, for m draws from the posterior. With one draw its
        expectation is the evidence lower bound; with more draws it approaches the log-likelihood. For linear networks
        with `beta=1` the posterior is exact, and one draw gives the log-likelihood.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        n_draws : int, default=10
            Number of draws from the posterior of each sample.

        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible results across multiple function calls. The estimator's own is used by `fit`
            only.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats, of a density in the units of X, as in `PCA.score_samples`, or of a probability with
            "binary_cross_entropy". If values are missing, it is that of the observed ones.

        Raises
        ------
        ValueError
            If `n_draws` is below 1, or X is not in [0, 1] with `loss="binary_cross_entropy"`.
        """
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        rows, rng = self._rows_of(X, filled=False), local_rng(random_state)
        module = self._modules[rows.dtype.name]
        bounds = [self._log_likelihood(module, batch, n_draws, rng) for batch in rows.batches()]
        return (np.concatenate(bounds) - self._log_volume).astype(rows.dtype)

    def _log_likelihood(self, module, batch, n_draws, rng):
        """Return the bound for a batch of samples, up to the scaling of the features."""
        filled, missing = self._filled(batch), np.isnan(batch)
        if self.loss == "binary_cross_entropy":
            low, high = np.where(missing, 0, batch).min(), np.where(missing, 0, batch).max()
            if not within_unit(low, high):
                raise ValueError(
                    f"X must be in [0, 1] for the likelihood of loss='binary_cross_entropy', but contains values from "
                    f"{low:.8g} to {high:.8g}. Scale it like the training data."
                )
            batch = batch.clip(0, 1)
        if missing.any():
            module = copy.copy(module)
            module.has_missing_values = True
        with self._own_torch(len(batch)), torch.inference_mode():
            x, seen = (module.scaler(torch.tensor(some).to(module.scaler.mean.device)) for some in (batch, filled))
            mean, log_variance = module.posterior(module.encoder(seen))
            total = torch.full_like(x[:, 0], -math.inf)
            for _ in range(n_draws):
                noise = torch.from_numpy(rng.standard_normal(mean.shape)).to(mean)
                total = torch.logaddexp(total, module.log_weights(x, mean, log_variance, noise))
            return (total - math.log(n_draws)).cpu().numpy() - self._log_likelihood_offset(batch)

    def _log_likelihood_offset(self, batch):
        """Return what to subtract from the bound, for features that were constant in training, and for units."""
        scale = self._spec.scale
        missing = np.isnan(batch)
        off = np.where(missing, 0.0, batch - self.mean_)[:, scale == 0]
        if self.loss == "binary_cross_entropy":
            return -off @ self._spec.link[0][scale == 0]
        units = np.log(np.where(scale > 0, scale, self._unit(scale)))
        units[self._spec.n_numbers :] = 0.0  # probabilities have no unit
        return 0.5 * np.square(off).sum(axis=1) / self.noise_variance_ - missing @ units

    def _decoded(self, codes):
        """Return the samples of codes of shape (n, m, k): (n, m, d)."""
        rows = self._apply("decode", ArrayReader(codes.reshape(-1, codes.shape[-1])), self.n_features_in_)
        return rows.reshape(*codes.shape[:2], -1)


def _as_frame(row):
    """Return one sample as a table, with its feature names, if any."""
    return row.to_frame().T if hasattr(row, "to_frame") and hasattr(row, "index") else np.asarray(row)[None]
