"""What makes a sample odd: a residual unlike those of the training samples, and a code far from its nearest neighbors."""

import numpy as np
from scipy.stats import norm
from sklearn import config_context
from sklearn.covariance import empirical_covariance, ledoit_wolf_shrinkage, shrunk_covariance
from sklearn.metrics import pairwise_distances_chunked

from skae._outlier_scores import median_and_deviation

NEAR = 5, 10  # neighbors
SHARE_OF_UNITS = 0.25  # in the score, of residuals in units alone
MAX_MEASURED = 5000  # training samples
MAX_COVARIED = 1024  # features
LEAST, MIN_SHARE = 1e-12, 1e-3  # of a variance
MIN_DEVIATION = 1e-2  # in units of each measure
POWERS = 1 / 4, 1 / 4, 1 / 16, 1 / 16  # of two lengths of a residual and of two distances, which are about normal
MAX_MIB = 64  # of distances at once
SAME = 1e-6  # of the length of a code
HUGE = 1e150  # has a square still


class Measures:
    """The four measures, as they are on training samples.

    Parameters
    ----------
    x, residuals : ndarray of shape (n, d)
        Training samples, NaN where a cell is missing, and their residuals by the network of each one's fold.

    codes : list of ndarray of shape (n, k)
        Of the same samples by every network.

    folds : ndarray of shape (n,)
        Which network is each row's.

    trained : list of ndarray of bool
        Which of the samples each network was trained on.

    refuse_too_few : callable
        Raises an error where hardly any of the samples, an ndarray of bool, count.
    """

    def __init__(self, x, residuals, codes, folds, trained, refuse_too_few):
        missing = np.isnan(x)
        within = (missing | (np.abs(x) < HUGE)).all(axis=1) & ~missing.all(axis=1)
        fine = [within & (np.abs(of_network) < HUGE).all(axis=1) for of_network in codes]
        counts = (np.abs(residuals) < HUGE).all(axis=1) & np.array(fine)[folds, np.arange(len(folds))]
        refuse_too_few(counts)
        self.neighbors = []
        for of_network, is_fine, seen in zip(codes, fine, trained, strict=True):
            refuse_too_few(is_fine & seen)
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
        """Those of the residual, one of them in part, plus the lesser of the other two, (n,); codes may be None."""
        values = self._values(fold, codes, residuals, missing).T
        shares = [tail.log_share(of) for tail, of in zip(self.tails, values, strict=False)]
        of_residual = shares[0] + SHARE_OF_UNITS * shares[1]
        return of_residual if codes is None else of_residual + np.minimum(*shares[2:])


class Residuals:
    """Squared lengths of residuals, in units of those of the training samples, with their covariance and without.

    With it, it is a squared Mahalanobis distance from zero, which sees what is unlike the typical residuals of a table;
    without, what is large: of images, whose residuals are of a kind with those of others.

    A feature's unit is its mean squared residual; at least the median of the features', and a thousandth of the
    feature's variance. The covariance in these units is shrunk as Ledoit and Wolf have it. Beyond 1,024 features there
    are the units alone.

    Parameters
    ----------
    residuals : ndarray of shape (n, d)
        Finite, and zero where a cell is missing.

    variance : ndarray of shape (d,)
        Of each feature.

    missing : ndarray of bool of shape (n, d)
    """

    def __init__(self, residuals, variance, missing):
        squares, there = np.square(residuals).mean(axis=0), ~missing
        if not there.all():
            squares *= len(residuals) / np.maximum(there.sum(axis=0), 1)
        some = squares[squares > 0]
        floor = max(np.median(some) if len(some) else 0.0, LEAST * variance.mean()) or 1.0
        self.units = np.sqrt(np.maximum(np.maximum(squares, MIN_SHARE * variance), floor))
        self.precision = None
        if len(self.units) <= MAX_COVARIED:
            scaled = residuals / self.units
            shrinkage = ledoit_wolf_shrinkage(scaled, assume_centered=True)
            covariance = empirical_covariance(scaled, assume_centered=True)
            if not there.all():  # of two features, over the samples that have both
                covariance *= len(scaled) / np.maximum(there.T.astype(float) @ there, 1)
                variances, directions = np.linalg.eigh(covariance)
                covariance = (directions * np.maximum(variances, 0)) @ directions.T
            covariance = shrunk_covariance(covariance, shrinkage)
            least = MIN_SHARE * np.trace(covariance) / len(covariance) or 1.0
            self.precision = np.linalg.inv(covariance + least * np.eye(len(covariance)))

    def squared_lengths(self, residuals, missing=None):
        """Of each sample, with the covariance and without, (n, d) -> (n, 2); NaN or infinite where a residual is.

        Of the cells that are there, with their own covariance, times d over their number.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = residuals / self.units
            other = scaled if self.precision is None else scaled @ self.precision
            lengths = [np.einsum("ij,ij->i", scaled, each) for each in (other, scaled)]
            lengths = np.maximum(np.column_stack(lengths), 0)
            complete = missing is None or not missing.any()
            return lengths if complete else self._of_cells_there(lengths, scaled, other, missing)

    def _of_cells_there(self, lengths, scaled, other, missing):
        holes = np.flatnonzero(missing.any(axis=1) & np.isfinite(lengths).all(axis=1))
        if self.precision is not None and len(holes):
            covariance = np.linalg.inv(self.precision)
            patterns, of_row = np.unique(missing[holes], axis=0, return_inverse=True)
            for i, gone in enumerate(patterns):
                rows = holes[of_row.ravel() == i]
                if gone.mean() < 0.5:  # less what residuals of missing cells, at their likeliest, would take away
                    some = other[np.ix_(rows, gone)]
                    away = some @ np.linalg.solve(self.precision[np.ix_(gone, gone)], some.T)
                    lengths[rows, 0] = np.maximum(lengths[rows, 0] - np.diagonal(away), 0)
                else:
                    some = scaled[np.ix_(rows, ~gone)]
                    lengths[rows, 0] = np.diagonal(some @ np.linalg.solve(covariance[np.ix_(~gone, ~gone)], some.T))
        return lengths * (missing.shape[1] / np.maximum((~missing).sum(axis=1), 1))[:, None]


class Neighbors:
    """Squared distances of codes from neighbors among those of training samples, in two metrics.

    They are the geometric means of those of the fifth and of the tenth nearest.

    In one the codes are white: all directions count alike. In the other, distances are those of the samples that a
    linear map makes of the codes, in units of X: directions count by what they carry.

    Parameters
    ----------
    codes : ndarray of shape (n, k)
        Finite.

    rows : ndarray of shape (n, d)
        What they are the codes of; NaN where a cell is missing.
    """

    def __init__(self, codes, rows):
        self.mean = codes.mean(axis=0)
        white, self.whiten = _principal(codes - self.mean)
        centered, n_each = _about_mean(rows)
        linear = white.T @ centered / n_each  # least squares, (k, d)
        squares, directions = np.linalg.eigh(linear @ linear.T)
        self.restore = directions * np.sqrt(np.maximum(squares, 0))
        self.unit = np.trace(linear @ linear.T)  # a squared distance
        self.near = [min(each, len(codes) - 1) for each in NEAR]
        self.metrics = white, white @ self.restore  # (n, k) each

    def squared_distances(self, codes):
        """Of each code, (n, k) -> (n, 2); NaN where there is none, infinite where it is too far away.

        A neighbor at no distance is the sample itself, and is left out; one only.
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
    """What reconstructions leave of samples, (n, d): zero where a cell is missing, NaN in samples without any cell."""
    with np.errstate(over="ignore", invalid="ignore"):
        missing = np.isnan(x)
        found = np.where(missing, 0.0 * x_hat, x - x_hat)
    found[missing.all(axis=1)] = np.nan
    return found


def _about_mean(x):
    """Cells less the mean of their column, zero where they are missing, and how many there are: (n, d), and (d,)."""
    there = ~np.isnan(x)
    if there.all():
        return x - x.mean(axis=0), len(x)
    n_each = np.maximum(there.sum(axis=0), 1)
    return np.where(there, x - np.where(there, x, 0.0).sum(axis=0) / n_each, 0.0), n_each


def _principal(centered):
    """Codes of variance 1 in every direction, (n, k), and the map that makes them, (k, k)."""
    variances, directions = np.linalg.eigh(centered.T @ centered / len(centered))
    least = LEAST * variances.max() or 1.0
    whiten = directions / np.sqrt(np.maximum(variances, least))
    return centered @ whiten, whiten


def _of_neighbors(metric, trained, near):
    """Squared distance of each sample, (n, k) -> (n,), from its nearest of these ranks among samples that were trained on.

    SciPy's distances need no threads, with which a forked child would wait for ever.
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
    """How rare values of a measure are among typical samples, by the logarithm of the share of them that is greater.

    A power of them is taken for normal, with the median and the deviation that `anomaly_fence` has, which one outlier
    in ten samples moves little: of sums of squares the fourth root, of distances of neighbors, whose logarithm is about
    normal, the sixteenth root, which is near the logarithm and finite at zero.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Of training samples, finite and not negative.

    unit : float
        Of the measure: deviations are a hundredth of its power at least.

    power : float
    """

    def __init__(self, values, unit, power):
        self.power = power
        self.median, deviation = median_and_deviation(values**power)
        self.deviation = max(deviation, MIN_DEVIATION * max(unit**power, self.median)) or 1.0

    def log_share(self, values):
        """Logarithm of the share, never above 0; minus infinity for what is infinite, NaN for NaN."""
        return norm.logsf((values**self.power - self.median) / self.deviation)


class Reservoir:
    """A random sample of the samples of a stream, each of which is in it by the same chance.

    Parameters
    ----------
    most : int

    rng : RandomState
    """

    def __init__(self, most, rng):
        self.most, self.rng = most, rng
        self.rows, self.n_seen = None, 0

    def update(self, chunk):
        """Count the samples of a chunk, `ArrayReader` of shape (n, d)."""
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
