"""Measures of the anomaly of samples: lengths of residuals, and distances of codes to their nearest neighbors."""

import numpy as np
from scipy.stats import norm
from sklearn import config_context
from sklearn.covariance import empirical_covariance, ledoit_wolf_shrinkage, shrunk_covariance
from sklearn.metrics import pairwise_distances_chunked

from skae._outlier_scores import median_and_deviation

NEAR = 5, 10  # ranks of neighbors
WEIGHT_OF_UNITS = 0.25  # in the score, of residuals without their covariance
MAX_MEASURED = 5000  # training samples
MAX_COVARIED = 1024  # features
MIN_RELATIVE_VARIANCE, MIN_SHARE = 1e-12, 1e-3  # minima, as fractions of a variance
MIN_DEVIATION = 1e-2  # in units of each measure
POWERS = 1 / 4, 1 / 4, 1 / 16, 1 / 16  # make two lengths of residuals and two distances approximately normal
MAX_MIB = 64  # size of a block of distances
SAME = 1e-6  # distance between equal codes, relative to their length
HUGE = 1e150  # its square doesn't overflow


class Measures:
    """The four measures, fitted to training samples.

    Parameters
    ----------
    x, residuals : ndarray of shape (n, d)
        Training samples, with NaN for missing values, and their residuals by the network of each sample's fold.

    codes : list of ndarray of shape (n, k)
        Codes of the samples by each network.

    folds : ndarray of shape (n,)
        Index of each sample's network.

    trained : list of ndarray of bool
        Masks of the samples that each network was trained on.

    raise_if_too_few : callable
        Function of a mask of usable samples that raises an error if there are too few.
    """

    def __init__(self, x, residuals, codes, folds, trained, raise_if_too_few):
        missing = np.isnan(x)
        within = (missing | (np.abs(x) < HUGE)).all(axis=1) & ~missing.all(axis=1)
        fine = [within & (np.abs(of_network) < HUGE).all(axis=1) for of_network in codes]
        counts = (np.abs(residuals) < HUGE).all(axis=1) & np.array(fine)[folds, np.arange(len(folds))]
        raise_if_too_few(counts)
        self.neighbors = []
        for of_network, is_fine, seen in zip(codes, fine, trained, strict=True):
            raise_if_too_few(is_fine & seen)
            self.neighbors.append(Neighbors(of_network[is_fine & seen], x[is_fine & seen]))
        centered, n_each = _about_mean(x[counts])
        variance = np.square(centered).sum(axis=0) / n_each
        self.residuals = Residuals(residuals[counts], variance, missing[counts])
        values = np.empty((len(x), 4))
        for fold in np.unique(folds):
            mine = folds == fold
            values[mine] = self._values(fold, codes[fold][mine], residuals[mine], missing[mine])
        values = values[counts & np.isfinite(values).all(axis=1)]
        units = x.shape[1], x.shape[1], codes[0].shape[1], self.neighbors[0].unit
        self.tails = [Tail(*each) for each in zip(values.T, units, POWERS, strict=True)]

    def _values(self, fold, codes, residuals, missing):
        values = self.residuals.squared_lengths(residuals, missing)
        return values if codes is None else np.hstack([values, self.neighbors[fold].squared_distances(codes)])

    def log_share(self, fold, codes, residuals, missing):
        """Return the score, (n,): the weighted sum for the residual, plus the minimum for codes if there are any."""
        values = self._values(fold, codes, residuals, missing).T
        shares = [tail.log_share(of) for tail, of in zip(self.tails, values, strict=False)]
        of_residual = shares[0] + WEIGHT_OF_UNITS * shares[1]
        return of_residual if codes is None else of_residual + np.minimum(*shares[2:])


class Residuals:
    """Squared lengths of residuals scaled by feature, with and without the covariance of those of training samples.

    With the covariance, it is a squared Mahalanobis distance from zero, which is large for residuals unlike those of
    typical samples. Without it, it is large for large residuals, such as those of images.

    The squared unit of a feature is its mean squared residual; at least the median over features, and a thousandth of
    the feature's variance. The covariance in these units is shrunk by the Ledoit-Wolf method. With more than 1,024
    features, no covariance is used.

    Parameters
    ----------
    residuals : ndarray of shape (n, d)
        Finite residuals, zero for missing values.

    variance : ndarray of shape (d,)
        Variance of each feature.

    missing : ndarray of bool of shape (n, d)
    """

    def __init__(self, residuals, variance, missing):
        squares, there = np.square(residuals).mean(axis=0), ~missing
        if not there.all():
            squares *= len(residuals) / np.maximum(there.sum(axis=0), 1)
        some = squares[squares > 0]
        floor = max(np.median(some) if len(some) else 0.0, MIN_RELATIVE_VARIANCE * variance.mean()) or 1.0
        self.units = np.sqrt(np.maximum(np.maximum(squares, MIN_SHARE * variance), floor))
        self.precision = None
        if len(self.units) <= MAX_COVARIED:
            scaled = residuals / self.units
            shrinkage = ledoit_wolf_shrinkage(scaled, assume_centered=True)
            covariance = empirical_covariance(scaled, assume_centered=True)
            if not there.all():  # mean over the samples in which both features are observed
                covariance *= len(scaled) / np.maximum(there.T.astype(float) @ there, 1)
                variances, directions = np.linalg.eigh(covariance)
                covariance = (directions * np.maximum(variances, 0)) @ directions.T
            covariance = shrunk_covariance(covariance, shrinkage)
            least = MIN_SHARE * np.trace(covariance) / len(covariance) or 1.0
            self.precision = np.linalg.inv(covariance + least * np.eye(len(covariance)))

    def squared_lengths(self, residuals, missing=None):
        """Return squared lengths with and without the covariance, (n, d) -> (n, 2); NaN or infinite if a residual is.

        Observed features are used with their own covariance; the result is multiplied by d and divided by their number.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = residuals / self.units
            other = scaled if self.precision is None else scaled @ self.precision
            lengths = [np.einsum("ij,ij->i", scaled, each) for each in (other, scaled)]
            lengths = np.maximum(np.column_stack(lengths), 0)
            complete = missing is None or not missing.any()
            return lengths if complete else self._of_observed(lengths, scaled, other, missing)

    def _of_observed(self, lengths, scaled, other, missing):
        incomplete = np.flatnonzero(missing.any(axis=1) & np.isfinite(lengths).all(axis=1))
        if self.precision is not None and len(incomplete):
            covariance = np.linalg.inv(self.precision)
            patterns, of_row = np.unique(missing[incomplete], axis=0, return_inverse=True)
            for i, gone in enumerate(patterns):
                rows = incomplete[of_row.ravel() == i]
                if gone.mean() < 0.5:  # minus the decrease by the most likely residuals of missing values
                    some = other[np.ix_(rows, gone)]
                    away = some @ np.linalg.solve(self.precision[np.ix_(gone, gone)], some.T)
                    lengths[rows, 0] = np.maximum(lengths[rows, 0] - np.diagonal(away), 0)
                else:
                    some = scaled[np.ix_(rows, ~gone)]
                    lengths[rows, 0] = np.diagonal(some @ np.linalg.solve(covariance[np.ix_(~gone, ~gone)], some.T))
        return lengths * (missing.shape[1] / np.maximum((~missing).sum(axis=1), 1))[:, None]


class Neighbors:
    """Squared distances of codes to neighbors among the codes of training samples, in two metrics.

    They are the geometric means of the squared distances to the fifth and the tenth nearest neighbor.

    In the first metric, codes are whitened, so that all directions have equal weight. In the second one, codes are
    mapped linearly to the units of X, so that directions are weighted by their contribution to X.

    Parameters
    ----------
    codes : ndarray of shape (n, k)
        Finite codes.

    rows : ndarray of shape (n, d)
        Encoded samples; NaN marks missing values.
    """

    def __init__(self, codes, rows):
        self.mean = codes.mean(axis=0)
        white, self.whiten = _principal(codes - self.mean)
        centered, n_each = _about_mean(rows)
        linear = white.T @ centered / n_each  # map by least squares, (k, d)
        squares, directions = np.linalg.eigh(linear @ linear.T)
        self.restore = directions * np.sqrt(np.maximum(squares, 0))
        self.unit = np.trace(linear @ linear.T)  # a squared distance
        self.near = [min(each, len(codes) - 1) for each in NEAR]
        self.metrics = white, white @ self.restore  # (n, k) each

    def squared_distances(self, codes):
        """Return the squared distances, (n, k) -> (n, 2); NaN for codes with NaN, infinite for codes too far away.

        One neighbor at distance zero is ignored, since it is the sample itself.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            white = (codes - self.mean) @ self.whiten
            metrics = white, white @ self.restore
            distances = [
                _of_neighbors(metric, trained, self.near) for metric, trained in zip(metrics, self.metrics, strict=True)
            ]
        distances = np.column_stack(distances)
        distances[np.isnan(codes).any(axis=1)] = np.nan
        return distances


def residuals_of(x, x_hat):
    """Return residuals, (n, d): zero for missing values, NaN for samples without observed values."""
    with np.errstate(over="ignore", invalid="ignore"):
        missing = np.isnan(x)
        found = np.where(missing, 0.0 * x_hat, x - x_hat)
    found[missing.all(axis=1)] = np.nan
    return found


def _about_mean(x):
    """Return centered values, (n, d), with zero for missing ones, and the number of observed values, (d,)."""
    there = ~np.isnan(x)
    if there.all():
        return x - x.mean(axis=0), len(x)
    n_each = np.maximum(there.sum(axis=0), 1)
    return np.where(there, x - np.where(there, x, 0.0).sum(axis=0) / n_each, 0.0), n_each


def _principal(centered):
    """Return whitened codes, (n, k), and the whitening map, (k, k)."""
    variances, directions = np.linalg.eigh(centered.T @ centered / len(centered))
    least = MIN_RELATIVE_VARIANCE * variances.max() or 1.0
    whiten = directions / np.sqrt(np.maximum(variances, least))
    return centered @ whiten, whiten


def _of_neighbors(metric, trained, near):
    """Return squared distances, (n, k) -> (n,), to the neighbors of given ranks among training samples.

    SciPy computes distances without threads, with which a forked child could deadlock.
    """

    def nearest(squares, _):
        return np.sqrt(np.sort(np.partition(squares, near[-1], axis=1)[:, : near[-1] + 1], axis=1))

    distances, is_near = np.full(len(metric), np.inf), (np.abs(metric) < HUGE).all(axis=1)
    if is_near.any():
        with config_context(array_api_dispatch=False, assume_finite=False, working_memory=MAX_MIB):
            parts = pairwise_distances_chunked(metric[is_near], trained, metric="sqeuclidean", reduce_func=nearest)
            found = np.concatenate(list(parts))
        is_itself = found[:, 0] <= SAME * np.linalg.norm(metric[is_near], axis=1)
        first, second = (found[np.arange(len(found)), each - 1 + is_itself] for each in near)
        distances[is_near] = first * second
    return distances


class Tail:
    """Log-survival function of a measure: the logarithm of the fraction of typical samples with a larger value.

    A power of the values is assumed to be normal, with the median and the standard deviation as in `anomaly_fence`,
    which a fraction of 0.1 of outliers hardly affects. For sums of squares, it is the fourth root. For distances of
    neighbors, whose logarithm is about normal, it is the sixteenth root, which is close to the logarithm and finite at
    zero.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite, non-negative values of training samples.

    unit : float
        Unit of the measure: standard deviations are at least a hundredth of its power.

    power : float
    """

    def __init__(self, values, unit, power):
        self.power = power
        self.median, deviation = median_and_deviation(values**power)
        self.deviation = max(deviation, MIN_DEVIATION * max(unit**power, self.median)) or 1.0

    def log_share(self, values):
        """Return the logarithm of the fraction, at most 0; minus infinity for infinite values, NaN for NaN."""
        return norm.logsf((values**self.power - self.median) / self.deviation)


class Reservoir:
    """Reservoir sampling: a random subset of a stream that includes each sample with the same probability.

    Parameters
    ----------
    most : int

    rng : RandomState
    """

    def __init__(self, most, rng):
        self.most, self.rng = most, rng
        self.rows, self.n_seen = None, 0

    def update(self, chunk):
        """Update the subset with the samples of a chunk, an `ArrayReader` of shape (n, d)."""
        if self.rows is None:
            self.rows = np.empty((0, chunk.shape[1]))
        for batch in chunk.batches():
            free = self.most - len(self.rows)
            self.rows = np.concatenate([self.rows, batch[:free]])
            self.n_seen += min(free, len(batch))
            for row in batch[free:]:
                self.n_seen += 1
                place = self.rng.randint(self.n_seen)
                if place < self.most:
                    self.rows[place] = row
