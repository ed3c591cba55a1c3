"""What makes a row odd: a residual unlike those of the training rows, and a code far from its nearest neighbors."""

import numpy as np
from scipy.stats import norm
from sklearn import config_context
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from skae._outlier_scores import median_and_deviation

N_NEIGHBORS = 5
MOST_MEASURED = 5000  # training rows
MOST_COVARIED = 1024  # features
LEAST, LEAST_SHARE = 1e-12, 1e-3  # of a variance
LEAST_DEVIATION = 1e-2  # in units of each measure
SAME = 1e-6  # of the length of a code
HUGE = 1e150  # has a square still


class Residuals:
    """Squared lengths of residuals, in units of those of the training rows: a squared Mahalanobis distance from zero.

    A feature's unit is its mean squared residual; at least the median of the features', and a thousandth of the
    feature's variance. The covariance in these units is shrunk as Ledoit and Wolf have it. Beyond 1,024 features there
    are the units alone.

    Parameters
    ----------
    residuals : ndarray of shape (n, d)
        Finite.

    variance : ndarray of shape (d,)
        Of each feature.
    """

    def __init__(self, residuals, variance):
        squares = np.square(residuals).mean(axis=0)
        some = squares[squares > 0]
        floor = max(np.median(some) if len(some) else 0.0, LEAST * variance.mean()) or 1.0
        self.units = np.sqrt(np.maximum(np.maximum(squares, LEAST_SHARE * variance), floor))
        self.precision = None
        if len(self.units) <= MOST_COVARIED:
            covariance = LedoitWolf(store_precision=False, assume_centered=True).fit(residuals / self.units).covariance_
            least = LEAST_SHARE * np.trace(covariance) / len(covariance) or 1.0
            self.precision = np.linalg.inv(covariance + least * np.eye(len(covariance)))

    def squared_lengths(self, residuals):
        """Of each row, (n, d) -> (n,); NaN or infinite where a residual is."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = residuals / self.units
            other = scaled if self.precision is None else scaled @ self.precision
            return np.maximum(np.einsum("ij,ij->i", scaled, other), 0)


class Neighbors:
    """Squared distances of codes from their fifth nearest neighbor among those of training rows, in two metrics.

    In one the codes are white: all directions count alike. In the other, distances are those of the rows that a linear
    map makes of the codes, in units of X: directions count by what they carry.

    Parameters
    ----------
    codes : ndarray of shape (n, k)
        Finite.

    rows : ndarray of shape (n, d)
        What they are the codes of.
    """

    def __init__(self, codes, rows):
        self.mean = codes.mean(axis=0)
        white, self.whiten = _principal(codes - self.mean)
        linear = white.T @ (rows - rows.mean(axis=0)) / len(rows)  # least squares, (k, d)
        squares, directions = np.linalg.eigh(linear @ linear.T)
        self.restore = directions * np.sqrt(np.maximum(squares, 0))
        self.unit = np.trace(linear @ linear.T)  # a squared distance
        self.n_neighbors = min(N_NEIGHBORS, len(codes) - 1)
        self.nearest = [
            NearestNeighbors(n_neighbors=self.n_neighbors + 1, algorithm="brute").fit(metric)
            for metric in (white, white @ self.restore)
        ]

    def squared_distances(self, codes):
        """Of each code, (n, k) -> (n, 2); NaN where there is none, infinite where it is too far away.

        A neighbor at no distance is the row itself, and is left out; one only.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            white = (codes - self.mean) @ self.whiten
            metrics = white, white @ self.restore
            distances = [
                _of_fifth(metric, nearest, self.n_neighbors)
                for metric, nearest in zip(metrics, self.nearest, strict=True)
            ]
        distances = np.square(np.column_stack(distances))
        distances[np.isnan(codes).any(axis=1)] = np.nan
        return distances


def _principal(centered):
    """Codes of variance 1 in every direction, (n, k), and the map that makes them, (k, k)."""
    variances, directions = np.linalg.eigh(centered.T @ centered / len(centered))
    least = LEAST * variances.max() or 1.0
    whiten = directions / np.sqrt(np.maximum(variances, least))
    return centered @ whiten, whiten


def _of_fifth(metric, nearest, n_neighbors):
    distances, near = np.full(len(metric), np.inf), (np.abs(metric) < HUGE).all(axis=1)
    if near.any():
        with config_context(array_api_dispatch=False, assume_finite=False):
            found = nearest.kneighbors(metric[near])[0]
        is_itself = found[:, 0] <= SAME * np.linalg.norm(metric[near], axis=1)
        distances[near] = found[np.arange(len(found)), n_neighbors - 1 + is_itself]
    return distances


class Tail:
    """How rare values of a measure are among typical rows, by the logarithm of the share of them that is greater.

    The fourth root is taken for normal, with the median and the deviation that `anomaly_fence` has. So one row out of
    ten that is an outlier itself moves them little.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Of training rows, finite and not negative.

    unit : float
        Of the measure: deviations are a hundredth of its fourth root at least.
    """

    def __init__(self, values, unit):
        self.median, deviation = median_and_deviation(values**0.25)
        self.deviation = max(deviation, LEAST_DEVIATION * max(unit**0.25, self.median)) or 1.0

    def log_share(self, values):
        """Logarithm of the share, never above 0; minus infinity for what is infinite, NaN for NaN."""
        return norm.logsf((values**0.25 - self.median) / self.deviation)
