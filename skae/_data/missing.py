"""Missing cells: what is to be expected of them, given the cells of a row that are there."""

import math
from dataclasses import dataclass

import numpy as np
from sklearn.utils.extmath import randomized_svd

MOST_FACTORS = 24  # with 30 features and half of their cells missing, 12 do as well
ROWS_PER_FACTOR = 5
MOST_ROWS, MOST_CELLS = 5000, 2**21  # that a model is fitted to, in some seconds: 2,675 rows of 784 features
MOST_PRODUCTS = 2**23  # features x factors x factors: 64 MiB
MOST_ROUNDS = 100
TOLERANCE = 1e-3  # relative change of the noise in a round, below which the model stays
LEAST_NOISE = 1e-3  # share of a feature's variance: EM takes ever longer towards none
FARTHEST = 20.0  # standard deviations: what is farther out counts as if it were there
RIDGE = 5.0  # samples' worth of evidence that loadings are zero


def missing_cells(rows):
    """Which cells are missing, (n, d) of bool; None if all are there.

    Parameters
    ----------
    rows : Rows of shape (n, d)
        NaN where a cell is missing.
    """
    if rows.sparse or not rows.may_miss or not any(np.isnan(batch).any() for batch in rows.batches()):
        return None
    return np.concatenate([np.isnan(batch) for batch in rows.batches()])


def check_columns(n_each, n_rows):
    """Refuse a column without any number.

    Parameters
    ----------
    n_each : ndarray of shape (d,)
        Cells of each column that are there.

    n_rows : int

    Raises
    ------
    ValueError
        If a column is missing altogether.
    """
    empty = np.flatnonzero(n_each == 0)
    if len(empty):
        raise ValueError(
            f"Column {empty[0]} of X is missing altogether: it is NaN in all {n_rows} rows"
            f"{f', and so are {len(empty) - 1} other columns' if len(empty) > 1 else ''}. Drop it, or put a number in "
            "its place, such as SimpleImputer(keep_empty_features=True).fit_transform(X)."
        )


@dataclass(frozen=True)
class FactorModel:
    r"""Factor analysis of incomplete rows: :math:`x = \mu + W z + \epsilon`, with noise of each feature's own.

    It is the same whatever the units of the features.

    Attributes
    ----------
    mean, unit : ndarray of shape (d,)
        Of each feature: its mean, and its standard deviation over the cells that are there.

    loadings : ndarray of shape (d, q)
        W, in these units.

    noise : ndarray of shape (d,)
        Variance of the noise, in these units.
    """

    mean: np.ndarray
    unit: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, rows, moments, seed):
        """Fit the model by EM (Rubin and Thayer, 1982) to the cells that are there; of many rows, to some of them.

        Parameters
        ----------
        rows : Rows of shape (n, d)
            NaN where a cell is missing. No column is missing altogether.

        moments : Moments
            Of the cells that are there.

        seed : int
            Of the choice of rows, and of the directions that EM starts at.

        Returns
        -------
        model : FactorModel
        """
        n, d = rows.shape
        most = max(2, min(MOST_ROWS, MOST_CELLS // d))
        chosen = slice(None) if n <= most else np.sort(np.random.RandomState(seed).permutation(n)[:most])
        some = rows.read(chosen).astype(np.float64)
        unit = np.sqrt(np.where(moments.variance > 0, moments.variance, 1.0))
        x, there = _standardized(some, moments.mean, unit)
        q = min(MOST_FACTORS, d - 1, len(some) // ROWS_PER_FACTOR, math.isqrt(MOST_PRODUCTS // d))
        mean, loadings, noise = _fitted(x, there, q, seed)
        return cls(moments.mean + mean * unit, unit, loadings, noise)

    def fits(self, n_features):
        """Whether its parts are of so many features."""
        d, q = self.loadings.shape if self.loadings.ndim == 2 else (-1, 0)
        shapes = {d, *(len(values) if values.ndim == 1 else -1 for values in (self.mean, self.unit, self.noise))}
        return shapes == {n_features} and q <= MOST_FACTORS

    def fill(self, rows):
        """Put what is expected in the place of missing cells: E[x | the cells that are there].

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            NaN where a cell is missing.

        Returns
        -------
        filled : ndarray of shape (n, d)
            Of the rows' own dtype, and the rows themselves where nothing is missing.
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
    """Rows in which missing cells are zero, and none is far out, and 1.0 where cells are there: both (n, d)."""
    there = ~np.isnan(rows)
    x = np.where(there, (rows - mean) / unit, 0.0)
    return x.clip(-FARTHEST, FARTHEST), there.astype(np.float64)


def _expected(x, there, loadings, noise):
    """Mean, (n, q), and covariance, (n, q, q), of the factors of rows whose missing cells are zero.

    Where all cells are there, one covariance is that of all rows: (1, q, q).
    """
    d, q = loadings.shape
    weighed = loadings / noise[:, None]
    if there.all():
        covariance = np.linalg.inv(weighed.T @ loadings + np.eye(q))
        return x @ weighed @ covariance, covariance[None]
    precision = (there @ (weighed[:, :, None] * loadings[:, None]).reshape(d, q * q)).reshape(len(x), q, q) + np.eye(q)
    covariance = np.linalg.inv(precision)
    return (covariance @ (x @ weighed)[:, :, None])[:, :, 0], covariance


def _fitted(x, there, q, seed):
    """Mean, loadings and noise of standardized rows, in which missing cells are zero."""
    n, d = x.shape
    n_each = np.maximum(there.sum(axis=0), 1.0)
    variance = np.square(x).sum(axis=0) / n_each
    if q < 1:
        return np.zeros(d), np.zeros((d, 0)), np.maximum(variance, 1.0)
    _, deviations, axes = randomized_svd(x, q, random_state=seed)
    along = np.square(deviations) / n
    rest = max((np.square(x).sum() / n - along.sum()) / (d - q), LEAST_NOISE)
    loadings = axes.T * np.sqrt(np.maximum(along - rest, LEAST_NOISE * rest))
    mean, noise = np.zeros(d), np.full(d, rest)
    least = np.where(variance > 0, LEAST_NOISE * variance, 1.0)  # a constant feature tells nothing
    ridge = np.diag([RIDGE] * q + [1e-9])  # a column may be missing in all of these rows
    for _ in range(MOST_ROUNDS):
        factors, covariance = _expected(x - mean * there, there, loadings, noise)
        # regression of each feature on the factors and a constant, over the rows where it is there
        known = np.column_stack([factors, np.ones(n)])  # (n, q + 1)
        if len(covariance) < n:  # the same rows for all features
            sums = (known.T @ known)[None]
            sums[:, :q, :q] += n * covariance
        else:
            moments = known[:, :, None] * known[:, None]
            moments[:, :q, :q] += covariance
            sums = (there.T @ moments.reshape(n, -1)).reshape(d, q + 1, q + 1)
        products = x.T @ known
        weights = np.linalg.solve(sums + noise[:, None, None] * ridge, products[:, :, None])[:, :, 0]
        loadings, mean = weights[:, :q], weights[:, q]
        error = np.square(x).sum(axis=0) - 2 * (products * weights).sum(axis=1)
        error += ((sums @ weights[:, :, None])[:, :, 0] * weights).sum(axis=1)
        before, noise = noise.sum(), np.maximum(error / n_each, least)
        if abs(noise.sum() - before) < TOLERANCE * before:
            break
    return mean, loadings, noise
