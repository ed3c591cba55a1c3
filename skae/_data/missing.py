"""Factor model of missing values: their expectation, given the observed values of a sample."""

import math
from dataclasses import dataclass, replace

import numpy as np
from sklearn import config_context
from sklearn.utils.extmath import randomized_svd

from skae._data.readers import ArrayReader

MAX_FACTORS = 24  # with 30 features and half of the values missing, 12 suffice
ROWS_PER_FACTOR = 5
MAX_ROWS, MAX_VALUES = 5000, 2**21  # used to fit the model, which takes seconds: 2,675 samples of 784 features
MAX_COMPLETE = 1000  # samples, if no value is missing: this takes a small part of the time of a fit in closed form
MAX_PRODUCTS = 2**23  # features x factors x factors: 64 MiB
MAX_KEPT = 512  # samples of a stream: fewer determine the factors too poorly to update them
MAX_ROUNDS = 100
TOLERANCE = 1e-3  # relative change of the noise in a round, below which EM has converged
MIN_NOISE = 1e-3  # fraction of a feature's variance: the closer the noise is to zero, the more slowly EM converges
CLIP_AT = 20.0  # standard deviations, at which values are clipped
RIDGE, ROWS_PER_RIDGE = 5.0, 10.0  # prior weight of zero loadings, in samples: minimum, and samples per unit of weight


def missing_mask(rows):
    """Return a mask of missing values, (n, d); None if no value is missing.

    Parameters
    ----------
    rows : ArrayReader of shape (n, d)
        NaN where a value is missing.
    """
    if rows.sparse or not rows.may_miss or not any(np.isnan(batch).any() for batch in rows.batches()):
        return None
    return np.concatenate([np.isnan(batch) for batch in rows.batches()])


def check_columns(n_each, n_rows, names=None):
    """Raise an error if a column has no observed value.

    Parameters
    ----------
    n_each : ndarray of shape (d,)
        Number of observed values of each column.

    n_rows : int

    names : sequence of str, default=None
        Names of the columns.

    Raises
    ------
    ValueError
        If all values of a column are missing.
    """
    empty = np.flatnonzero(n_each == 0)
    if len(empty):
        name = empty[0] if names is None else repr(str(names[empty[0]]))
        raise ValueError(
            f"Column {name} of X has no observed values: it is NaN in all {n_rows} samples"
            f"{f', and so are {len(empty) - 1} other columns' if len(empty) > 1 else ''}. Drop it, or impute it, "
            "for example with SimpleImputer(keep_empty_features=True).fit_transform(X)."
        )


@dataclass(frozen=True)
class FactorModel:
    r"""Factor analysis of incomplete samples: :math:`x = \mu + W z + \epsilon`, with a noise variance per feature.

    The model does not depend on the units of the features.

    Attributes
    ----------
    mean, unit : ndarray of shape (d,)
        Mean and standard deviation of the observed values of each feature.

    loadings : ndarray of shape (d, q)
        Matrix W, in these units.

    noise : ndarray of shape (d,)
        Variance of the noise, in these units.

    kept : ndarray of shape (n, d), or None
        All samples of a stream, as long as there are few.
    """

    mean: np.ndarray
    unit: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    kept: np.ndarray | None = None

    @classmethod
    def of(cls, rows, statistics, seed):
        """Fit the model by EM (Rubin and Thayer, 1982) to the observed values of at most `MAX_ROWS` samples.

        Parameters
        ----------
        rows : ArrayReader of shape (n, d)
            NaN where a value is missing. Each column has an observed value.

        statistics : FeatureStatistics
            Statistics of the observed values.

        seed : int
            Seed of the choice of samples and of the initial directions of EM.

        Returns
        -------
        model : FactorModel
        """
        n, d = rows.shape
        most = max(2, min(MAX_ROWS if statistics.is_incomplete else MAX_COMPLETE, MAX_VALUES // d))
        chosen = None if n <= most else np.sort(np.random.RandomState(seed).permutation(n)[:most])
        some = np.concatenate(list(ArrayReader(rows.X, chosen, may_miss=True).batches())).astype(np.float64)
        unit = np.sqrt(np.where(statistics.variance > 0, statistics.variance, 1.0))
        x, there = _standardized(some, statistics.mean, unit)
        q = min(MAX_FACTORS, d - 1, len(some) // ROWS_PER_FACTOR, math.isqrt(MAX_PRODUCTS // d))
        mean, loadings, noise = _fitted(x, there, q, seed)
        return cls(statistics.mean + mean * unit, unit, loadings, noise)

    @classmethod
    def of_stream(cls, rows, before, statistics, seed):
        """Fit the model to a chunk of a stream; the last model represents the samples seen before.

        Until there are enough samples to update the model, they are stored, and the model is refitted to all of them.

        Parameters
        ----------
        rows : ArrayReader of shape (n, d)
            NaN where a value is missing.

        before : FeatureStatistics or None
            Statistics of the samples seen before, with the last model, if there is one.

        statistics : FeatureStatistics
            Statistics of all samples.

        seed : int
            As for `of`.

        Returns
        -------
        model : FactorModel
        """
        n_before, last = (0, None) if before is None else (before.n_rows, before.factors)
        kept = np.empty((0, rows.shape[1])) if last is None or last.kept is None else last.kept
        if len(kept) == n_before:
            together = rows
            if n_before:
                together = ArrayReader(np.concatenate([kept, *rows.batches()]), may_miss=True)
            model = cls.of(together, statistics, seed)
            most = min(MAX_KEPT, MAX_VALUES // rows.shape[1])
            return replace(model, kept=together.read(slice(None))) if len(together) < most else model
        return cls.of(rows, statistics, seed) if last is None else last._updated(rows, before, statistics, seed)

    def _updated(self, rows, before, statistics, seed):
        n_each = np.where(before.variance > 0, before.n_each, 0)  # constant features carry no information
        mean = np.where(n_each > 0, self.mean, statistics.mean)
        unit = np.where(n_each > 0, self.unit, np.sqrt(np.where(statistics.variance > 0, statistics.variance, 1.0)))
        x, there = _standardized(rows.sample().astype(np.float64), mean, unit)
        q = self.loadings.shape[1]
        off, loadings, noise = _fitted(x, there, q, seed, (n_each, self.loadings, self.noise))
        return FactorModel(mean + off * unit, unit, loadings, noise)

    def fits(self, n_features):
        """Whether the arrays have `n_features` features."""
        d, q = self.loadings.shape if self.loadings.ndim == 2 else (-1, 0)
        shapes = {d, *(len(values) if values.ndim == 1 else -1 for values in (self.mean, self.unit, self.noise))}
        kept = () if self.kept is None else self.kept.shape
        return shapes == {n_features} and q <= MAX_FACTORS and kept[1:] in ((), (n_features,))

    def fill(self, rows):
        """Replace missing values by their expectation given the observed values of the sample.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            NaN where a value is missing.

        Returns
        -------
        filled : ndarray of shape (n, d)
            Samples of the same dtype; the same array if no value is missing.
        """
        which = np.isnan(rows).any(axis=1)
        if not which.any():
            return rows
        x, there = _standardized(rows[which], self.mean, self.unit)
        factors, _ = _expected(x, there, self.loadings, self.noise)
        filled = rows.copy()
        filled[which] = np.where(there, rows[which], factors @ self.loadings.T * self.unit + self.mean)
        return filled


def _standardized(rows, mean, unit):
    """Return clipped, standardized samples, 0 where missing, and a float mask of observed values: (n, d) each."""
    there = ~np.isnan(rows)
    x = np.where(there, (rows - mean) / unit, 0.0)
    return x.clip(-CLIP_AT, CLIP_AT), there.astype(np.float64)


def _expected(x, there, loadings, noise):
    """Return the mean, (n, q), and covariance, (n, q, q), of the factors of samples whose missing values are zero.

    If no value is missing, all samples have the same covariance: (1, q, q).
    """
    q = loadings.shape[1]
    weighed = loadings / noise[:, None]
    if there.all():
        covariance = np.linalg.inv(weighed.T @ loadings + np.eye(q))
        return x @ weighed @ covariance, covariance[None]
    i, j = np.triu_indices(q)  # products of symmetric matrices take half the time with one triangle
    covariance = np.linalg.inv(_symmetric(there @ (weighed[:, i] * loadings[:, j]), q) + np.eye(q))
    return (covariance @ (x @ weighed)[:, :, None])[:, :, 0], covariance


def _symmetric(upper, q):
    """Return symmetric matrices, (n, q, q), with these upper triangles, (n, q * (q + 1) / 2)."""
    i, j = np.triu_indices(q)
    whole = np.empty((len(upper), q, q))
    whole[:, i, j] = whole[:, j, i] = upper
    return whole


def _fitted(x, there, q, seed, before=None):
    """Return mean, loadings and noise of standardized samples, in which missing values are zero.

    `before` is the number of earlier observed values of each feature, with their loadings and noise.
    """
    n, d = x.shape
    squares, n_each = np.square(x).sum(axis=0), there.sum(axis=0)
    if before is not None:
        n_before, loadings, noise = before
        squares, n_each = squares + n_before * (np.square(loadings).sum(axis=1) + noise), n_each + n_before
    n_each = np.maximum(n_each, 1.0)
    variance = squares / n_each
    if q < 1:
        return np.zeros(d), np.zeros((d, 0)), np.maximum(variance, 1.0)
    mean, of_before = np.zeros(d), 0.0
    if before is None:
        with config_context(array_api_dispatch=False):
            _, deviations, axes = randomized_svd(x, q, random_state=seed)
        along = np.square(deviations) / n
        rest = max((np.square(x).sum() / n - along.sum()) / (d - q), MIN_NOISE)
        loadings, noise = axes.T * np.sqrt(np.maximum(along - rest, MIN_NOISE * rest)), np.full(d, rest)
    else:
        of_before = n_before[:, None] * np.column_stack([loadings, mean])
    least = np.where(variance > 0, MIN_NOISE * variance, 1.0)  # constant features carry no information
    ridge = np.diag([max(RIDGE, n / ROWS_PER_RIDGE)] * q + [1e-9])  # a column may be missing in all of these samples
    i, j = np.triu_indices(q + 1)
    of_factors = j < q
    for _ in range(MAX_ROUNDS):
        factors, covariance = _expected(x - mean * there, there, loadings, noise)
        # regression of each feature on the factors and a constant, over the samples where it is observed
        known = np.column_stack([factors, np.ones(n)])  # (n, q + 1)
        if len(covariance) < n:  # the same samples for all features
            sums = (known.T @ known)[None]
            sums[:, :q, :q] += n * covariance
        else:
            moments = known[:, i] * known[:, j]
            moments[:, of_factors] += covariance[:, i[of_factors], j[of_factors]]
            sums = _symmetric(there.T @ moments, q + 1)
        if before is not None:
            sums = sums + n_before[:, None, None] * np.eye(q + 1)
        products = x.T @ known + of_before
        weights = np.linalg.solve(sums + noise[:, None, None] * ridge, products[:, :, None])[:, :, 0]
        loadings, mean = weights[:, :q], weights[:, q]
        error = squares - 2 * (products * weights).sum(axis=1)
        error += ((sums @ weights[:, :, None])[:, :, 0] * weights).sum(axis=1)
        last, noise = noise.sum(), np.maximum(error / n_each, least)
        if abs(noise.sum() - last) < TOLERANCE * last:
            break
    return mean, loadings, noise
