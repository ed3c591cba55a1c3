"""What a variational autoencoder is as a model of samples: posteriors, new and varied samples, and the likelihood of samples."""

import copy
import math
from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skae._array_api import in_kind
from skae._data.readers import ArrayReader
from skae._data.statistics import within_unit
from skae._seeds import local_rng
from skae._typing import FloatArray, MatrixLike, Seed, typed


class GenerationMixin:
    """The part of `VariationalAutoencoder` that draws from the model, and measures samples by it."""

    @typed(in_kind)
    def posterior(self, X: MatrixLike) -> tuple[FloatArray, FloatArray]:
        """Return the posterior of each row's code: independent normal components.

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
        """Draw new samples: codes from the prior, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible results across multiple function calls. The estimator's own is for `fit` alone.

        noise : bool, default=False
            Whether to add the noise of the likelihood. False gives the mean of each sample given its code, which is
            smoother than the data. True draws the sample from the likelihood: with "squared_error" from a normal
            distribution of variance `noise_variance_`, with "binary_cross_entropy" from a Bernoulli distribution, so
            that each value is 0 or 1. The codes are the same either way.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            With "binary_cross_entropy" in [0, 1]. A normal likelihood knows no range, and neither do its samples.

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
        """Samples from the likelihood, given their means: (n, d) -> (n, d)."""
        if self.loss == "binary_cross_entropy":
            return (rng.random_sample(means.shape) < means).astype(means.dtype)
        scale, unit = self._spec.scale, self._unit(self._spec.scale)
        # of each feature; a constant one has as much as the others, as in `log_likelihood`
        deviation = math.sqrt(self.noise_variance_) * np.where(scale > 0, scale / unit, 1.0)
        drawn = means + deviation * rng.standard_normal(means.shape)
        for start, stop in self._spec.categories:
            beyond = rng.random_sample((len(means), 1)) > means[:, start:stop].cumsum(axis=1)
            drawn[:, start:stop] = np.eye(stop - start)[beyond[:, :-1].sum(axis=1)]
        return drawn

    @typed(in_kind)
    def vary(self, X: MatrixLike, scale: float = 1.0, n_variations: int = 1, random_state: Seed = None) -> FloatArray:
        """Draw samples that are like given ones: codes from the posterior of each, decoded.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        scale : float, default=1.0
            Times the posterior's standard deviation. 1 draws from the posterior: what the model can't tell from the
            sample. More varies it more, and 0 gives `reconstruct(X)`.

        n_variations : int, default=1
            Draws from the posterior of each sample.

        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible results across multiple function calls. The estimator's own is for `fit` alone.

        Returns
        -------
        X_varied : ndarray of shape (n_samples, n_variations, n_features)
            Without noise, as in `sample`.

        Raises
        ------
        ValueError
            If `scale` or `n_variations` is not as it should be.
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
        """Go from one sample to another: along the straight line between their codes.

        Parameters
        ----------
        a, b : array-like of shape (n_features,) or (n_samples, n_features)
            A sample, or as many samples in b as in a.

        n_steps : int, default=10
            At least 2: the first is `reconstruct(a)`, the last `reconstruct(b)`.

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
                f"a has {len(start)} samples and b has {len(end)}: each sample of a needs one of b to go to."
            )
        between = self._decoded(np.linspace(start, end, n_steps, axis=1))
        return between[0] if single else between

    @typed(in_kind)
    def log_likelihood(self, X: MatrixLike, n_draws: int = 10, random_state: Seed = None) -> FloatArray:
        r"""Estimate the log-likelihood of each sample, from below.

        It is the importance-weighted bound (Burda et al., 2016)
        :math:`\log \frac{1}{m} \sum_{j=1}^m p(x, z_j) / q(z_j | x)`, for m draws from the posterior. With one draw its
        mean is the evidence lower bound; more draws raise it, in the mean, towards the log-likelihood. Of linear
        networks with `beta=1` the posterior is exact, and one draw gives the log-likelihood.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        n_draws : int, default=10
            Draws from the posterior of each sample.

        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible results across multiple function calls. The estimator's own is for `fit` alone.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats, of a density in the units of X, as `PCA.score_samples`; of "binary_cross_entropy", of a
            probability. Where cells are missing, it is that of the others.
        """
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        rows, rng = self._rows_of(X, filled=False), local_rng(random_state)
        module = self._modules[rows.dtype.name]
        bounds = [self._log_likelihood(module, batch, n_draws, rng) for batch in rows.batches()]
        return (np.concatenate(bounds) - self._log_volume).astype(rows.dtype)

    def _log_likelihood(self, module, batch, n_draws, rng):
        """Of some samples, as they are scaled."""
        filled, missing = self._filled(batch), np.isnan(batch)
        if self.loss == "binary_cross_entropy":
            low, high = np.where(missing, 0, batch).min(), np.where(missing, 0, batch).max()
            if not within_unit(low, high):
                raise ValueError(
                    f"X must be in [0, 1] for the likelihood of loss='binary_cross_entropy', but holds values from "
                    f"{low:.8g} to {high:.8g}. Scale it as the training data."
                )
            batch = batch.clip(0, 1)
        if missing.any():
            module = copy.copy(module)
            module.has_holes = True
        with self._own_torch(len(batch)), torch.inference_mode():
            x, seen = (module.scaler(torch.tensor(some).to(module.scaler.mean.device)) for some in (batch, filled))
            mean, log_variance = module.posterior(module.encoder(seen))
            total = torch.full_like(x[:, 0], -math.inf)
            for _ in range(n_draws):
                noise = torch.from_numpy(rng.standard_normal(mean.shape)).to(mean)
                total = torch.logaddexp(total, module.log_weights(x, mean, log_variance, noise))
            return (total - math.log(n_draws)).cpu().numpy() - self._lost(batch)

    def _lost(self, batch):
        """What samples lose by features that were constant in training, and by the units of those that are missing."""
        scale = self._spec.scale
        missing = np.isnan(batch)
        off = np.where(missing, 0.0, batch - self.mean_)[:, scale == 0]
        if self.loss == "binary_cross_entropy":
            return -off @ self._spec.link[0][scale == 0]
        units = np.log(np.where(scale > 0, scale, self._unit(scale)))
        units[self._spec.n_numbers :] = 0.0  # a probability has none
        return 0.5 * np.square(off).sum(axis=1) / self.noise_variance_ - missing @ units

    def _decoded(self, codes):
        """Rows of codes of shape (n, m, k): (n, m, d)."""
        rows = self._apply("decode", ArrayReader(codes.reshape(-1, codes.shape[-1])), self.n_features_in_)
        return rows.reshape(*codes.shape[:2], -1)


def _as_frame(row):
    """One sample as a table, with the names that it has."""
    return row.to_frame().T if hasattr(row, "to_frame") and hasattr(row, "index") else np.asarray(row)[None]
