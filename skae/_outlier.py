"""Outliers: rows that an autoencoder can't give back, or whose codes lie far from the others."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, _fit_context
from sklearn.covariance import EmpiricalCovariance
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skae._autoencoder import Autoencoder
from skae._doc_link import DocLinkMixin
from skae._rows import BYTES_AT_ONCE, Rows, validated
from skae._scaling import Moments
from skae._seeds import cloned
from skae._typing import Auto, FloatArray, MatrixLike, Seed, typed

N_COMPONENTS = 8
LEAST, LEAST_SHARE = 1e-12, 1e-3  # of a variance
FENCE = 1.5
MOST_ROWS = 10_000  # for quantiles


class AutoencoderOutlierDetector(OutlierMixin, MetaEstimatorMixin, DocLinkMixin, BaseEstimator):
    r"""Outlier detection by the reconstruction of an autoencoder and by its codes.

    A row is odd if it is not given back as well as the training rows were, or if its code lies far from theirs:

    .. math::
        s(x) = -\frac{e(x)}{\sigma_e} - \frac{m(x)}{\sigma_m},
        \quad e(x) = \lVert x - \hat x \rVert^2, \quad m(x) = (z - \mu)^T \Sigma^{-1} (z - \mu)

    with the code :math:`z` of x, the mean :math:`\mu` and the covariance :math:`\Sigma` of the training codes, and the
    standard deviations :math:`\sigma_e, \sigma_m` of both terms over the training rows. The second, the squared
    Mahalanobis distance of the code, is there for rows far outside: what a linear map carries over is given back well
    however far away it lies. Of a PCA the two are what process monitoring calls Q and T² [1]_.

    The error is in units of X. Where columns have different units, put a `StandardScaler` before the autoencoder in a
    Pipeline, as one would before PCA.

    Parameters
    ----------
    autoencoder : estimator, default=None
        With `transform` and `inverse_transform`: one of this package's, PCA, or a Pipeline of them. It is cloned and
        fitted; wrap one that is fitted in scikit-learn's `FrozenEstimator` to use it as it is. None is an `Autoencoder`
        of 8 components, or of half as many as there are features if that is less.

    code_distance : bool, default=True
        Whether the distance of the codes counts, or the reconstruction alone.

    contamination : "auto" or float, default="auto"
        Share of outliers in the training data, at most 0.5, which sets `offset_`. "auto" takes for outliers what lies
        beyond Tukey's fence [2]_: one and a half interquartile ranges below the lower quartile of the scores.

    random_state : int, RandomState instance or None, default=None
        Seeds the autoencoder where its own is None.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.

    offset_ : float
        Scores below are outliers': `decision_function` is `score_samples` minus it.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during fit. Defined only if X has feature names that are all strings.

    See Also
    --------
    Autoencoder : What is inside by default.
    LatentSampler : Draws rows that are not odd.
    sklearn.ensemble.IsolationForest : Isolates rows by random splits.
    sklearn.covariance.EllipticEnvelope : The distance alone, in the space of the rows.

    References
    ----------
    .. [1] J. E. Jackson, G. S. Mudholkar (1979). "Control Procedures for Residuals Associated with Principal Component
       Analysis". Technometrics 21.

    .. [2] J. W. Tukey (1977). "Exploratory Data Analysis". Addison-Wesley.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skae import AutoencoderOutlierDetector
    >>> X, benign = load_breast_cancer(return_X_y=True)
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X[benign == 1][:250])
    >>> bool(np.mean(detector.predict(X[benign == 0]) == -1) > 0.7)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's own way
        "autoencoder": [HasMethods(["fit", "transform", "inverse_transform"]), None],
        "code_distance": ["boolean"],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "random_state": ["random_state"],
    }

    autoencoder_: Any
    offset_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    if TYPE_CHECKING:  # scikit-learn's has no types

        def fit_predict(self, X: MatrixLike, y: ArrayLike | None = None, **kwargs: Any) -> NDArray[np.int_]:
            """Fit the detector to X and predict X."""

    def __init__(
        self,
        autoencoder: BaseEstimator | None = None,
        *,
        code_distance: bool = True,
        contamination: Auto | float = "auto",
        random_state: Seed = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.code_distance = code_distance
        self.contamination = contamination
        self.random_state = random_state

    @typed(_fit_context(prefer_skip_nested_validation=False))
    def fit(self, X: MatrixLike, y: ArrayLike | None = None) -> Self:
        """Fit the autoencoder to X, and what its errors and codes are measured by.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Most of them are inliers.

        y : array-like of shape (n_samples,), default=None
            Passed on to the autoencoder.

        Returns
        -------
        self : AutoencoderOutlierDetector
            The fitted estimator.
        """
        X = validated(self, X, ensure_min_samples=2)
        rows = Rows(X)
        default = Autoencoder(max(1, min(N_COMPONENTS, X.shape[1] // 2)))
        autoencoder = default if self.autoencoder is None else self.autoencoder
        self.autoencoder_ = cloned(autoencoder, self.random_state).fit(X, y)
        codes, errors, squares = [], [], np.zeros(X.shape[1])
        for batch in rows.batches():
            code, residuals = self._apart(batch)
            codes.append(code)
            errors.append(_squared_lengths(residuals))
            squares += np.square(residuals).sum(axis=0)
        codes, errors = np.concatenate(codes), np.concatenate(errors)
        variance = Moments().update(rows).variance
        self._code_distribution = EmpiricalCovariance().fit(codes)
        distances = self._code_distribution.mahalanobis(codes)
        # what is given back exactly, or always alike, has a unit all the same
        self._error_unit = max(errors.std(), LEAST * variance.sum()) or 1.0
        self._distance_unit = max(distances.std(), LEAST)
        least = LEAST * variance.mean() or 1.0
        self._feature_units = np.maximum(squares / len(rows), np.maximum(LEAST_SHARE * variance, least))
        self._candidates = _octiles(rows)
        scores = self._scores(errors, distances)
        if self.contamination == "auto":
            low, high = np.quantile(scores, [0.25, 0.75])
            self.offset_ = float(low - FENCE * (high - low))
        else:
            self.offset_ = float(np.quantile(scores, self.contamination))
        return self

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the score of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The lower, the odder; never above 0.
        """
        scores = []
        for batch in self._rows_of(X).batches():
            codes, residuals = self._apart(batch)
            scores.append(self._scores(_squared_lengths(residuals), self._code_distribution.mahalanobis(codes)))
        return np.concatenate(scores)

    def feature_errors(self, X: MatrixLike) -> FloatArray:
        """Return which features make a row odd: by how much less odd it would be if that one were another.

        Each feature in turn is given nine values, the octiles of the training data, while the others stay as they
        are. What counts is how much less odd the row is with the best of them. Not the residual of the feature, for a
        wrong value shifts the code, and with it the reconstruction of others.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. Each row is encoded and decoded nine times for each of its features: give those that are odd.

        Returns
        -------
        errors : ndarray of shape (n_samples, n_features)
            Never below 0. In units of each feature's mean squared residual on the training data, plus the distance of
            the codes, if it counts.
        """
        rows = self._rows_of(X)
        d = rows.shape[1]
        errors = np.zeros(rows.shape)
        n_at_once = max(1, BYTES_AT_ONCE // (8 * d * d))
        for start in range(0, len(rows), n_at_once):
            x = rows.read(slice(start, start + n_at_once)).astype(np.float64)  # (n, d)
            now = self._oddness(x)[:, None]
            for values in self._candidates:  # (d,)
                others = np.repeat(x[:, None, :], d, axis=1)  # (n, d, d)
                others[:, np.arange(d), np.arange(d)] = values
                gain = now - self._oddness(others.reshape(-1, d)).reshape(x.shape)
                np.maximum(errors[start : start + len(x)], gain, out=errors[start : start + len(x)])
        return errors

    def decision_function(self, X: MatrixLike) -> FloatArray:
        """Return the score of each row minus `offset_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: MatrixLike) -> NDArray[np.int_]:
        """Say which rows are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers, 1 for the others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _rows_of(self, X):
        check_is_fitted(self)
        return Rows(validated(self, X, reset=False))

    def _apart(self, x):
        """Codes and residuals of some rows."""
        codes = np.asarray(self.autoencoder_.transform(x))
        return codes.astype(np.float64), x - np.asarray(self.autoencoder_.inverse_transform(codes))

    def _scores(self, errors, distances):
        return -errors / self._error_unit - self.code_distance * distances / self._distance_unit

    def _oddness(self, x):
        """What a row's score is made of, but with each feature's residual in units of its own."""
        codes, residuals = self._apart(x)
        errors = (np.square(residuals) / self._feature_units).sum(axis=1)
        return errors + self.code_distance * self._code_distribution.mahalanobis(codes)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.autoencoder is None or get_tags(self.autoencoder).input_tags.sparse
        return tags


def _squared_lengths(rows):
    return np.square(rows).sum(axis=1, dtype=np.float64)


def _octiles(rows):
    """Nine values of each feature, (9, d), from the least to the greatest; of evenly spread rows if there are many."""
    sample = rows.read(np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int))
    return np.quantile(sample, np.linspace(0, 1, 9), axis=0)
