"""Outlier detection by reconstruction errors and by distances between codes."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, _fit_context
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if

from skae._autoencoder import Autoencoder
from skae._constraints import HasMethods, Interval, StrOptions
from skae._doc_link import DocLinkMixin
from skae._measuring import MAX_BYTES, MIN_MEASURED, MeasuringMixin
from skae._outlier_measures import Reservoir
from skae._seeds import cloned, local_rng
from skae._typing import Auto, FloatArray, MatrixLike, Seed, typed
from skae._wrapped import (
    Table,
    check_invertible,
    fit_parameters,
    fit_with_folds,
    framed,
    is_frame,
    named_alike,
    takes_missing,
)

N_COMPONENTS = 8
MAX_KEPT = 2000  # samples of a stream


def _has_partial_fit(detector):
    autoencoder = getattr(detector, "autoencoder_", detector.autoencoder)
    return autoencoder is None or hasattr(autoencoder, "partial_fit")


class AutoencoderOutlierDetector(MeasuringMixin, OutlierMixin, MetaEstimatorMixin, DocLinkMixin, BaseEstimator):
    r"""Outlier detection with an autoencoder, by reconstruction errors and by nearest neighbors of the codes.

    A sample is anomalous if its reconstruction error is larger than those of the training samples, or if its code is
    far from theirs. This is measured in four ways:

    .. math::
        a_1(x) = r^T \Psi^{-1} r, \quad a_2(x) = r^T D^{-1} r, \quad
        a_3(x) = \lVert W (z - z_{(5)}) \rVert \lVert W (z - z_{(10)}) \rVert, \quad
        a_4(x) = \lVert V (z - z_{(5)}) \rVert \lVert V (z - z_{(10)}) \rVert

    with the residual :math:`r = x - \hat x`, the covariance :math:`\Psi` of residuals of the training samples, shrunk
    towards units of the features [1]_, the squares :math:`D` of these units, the code :math:`z` of x, and the codes
    :math:`z_{(5)}, z_{(10)}` of its fifth and tenth nearest neighbors among the training samples [2]_. The codes are
    whitened in the third measure (W), and mapped linearly to the units of X in the fourth (V). Distances to neighbors
    take account of clusters, rings and gaps in the distribution of codes, unlike the distance from the mean of all
    codes, and they detect samples far outside, which a linear map reconstructs well.

    Each measure is transformed to the logarithm of the fraction of typical samples with the same or a larger value. The
    score is the sum of that of the first, a quarter of that of the second, and the smaller one of the other two, as
    Fisher combines tests [5]_:

    .. math::
        s(x) = l_1(x) + l_2(x) / 4 + \min(l_3(x), l_4(x)), \quad
        l_j(x) = \log \left(1 - \Phi\left(\frac{a_j(x)^{p_j} - m_j}{\sigma_j}\right)\right)

    with the normal distribution function :math:`\Phi`, and the median :math:`m_j` and the standard deviation
    :math:`\sigma_j`, from upper quantiles, of the powers :math:`p_1 = p_2 = 1/4` and :math:`p_3 = p_4 = 1/16` over
    training samples. These powers are approximately normal [3]_, and outliers among the training samples hardly affect
    their quantiles.

    Training samples are scored by networks that were not trained on them, since a network may memorize its training
    samples, which then have no error. With fewer than 2,000 samples, the autoencoder's `fit` trains a network for each
    fold of its cross-validation, and each validation sample is scored by its fold's network, with neighbors among the
    codes of that network. Units, `offset_`, and later results of `predict` and other methods for the same values are
    computed in the same way. Any other sample is scored by the network trained on all samples. So are training samples
    if there are no folds: with 2,000 samples or more, after `partial_fit`, with PCA, a linear autoencoder, a frozen
    autoencoder or one of another package, or after steps that change the number of samples. Such scores of training
    samples are too high if the network is large relative to their number. A sample is never its own neighbor.

    Samples that can't be reconstructed, since their codes are NaN or infinite, are the most anomalous: their score is
    minus infinity, as is that of samples without any observed value.

    Samples may have missing values, NaN, if the autoencoder supports them. The residual is then that of the observed
    features, with their own covariance, multiplied by the number of all features and divided by that of the observed
    ones. The code is that of the imputed sample.

    Features may have different units, since residuals are scaled by feature. However, an autoencoder reconstructs
    mainly the features with the largest variance. If features with a small variance have structure, use a
    `StandardScaler` before the autoencoder in a Pipeline.

    Parameters
    ----------
    autoencoder : estimator, default=None
        Estimator with `transform` and `inverse_transform`: one of this package, PCA, or a Pipeline of them. It is
        cloned and fitted. To use a fitted one unchanged, wrap it in scikit-learn's `FrozenEstimator`. If None,
        `Autoencoder(8)` is used, or `Autoencoder(d)` for d < 8 features.

    code_distance : bool, default=True
        Whether the score includes the distances between codes. If False, only the reconstruction error is used.

    contamination : "auto" or float, default="auto"
        Fraction of outliers in the training data, at most 0.5, which determines `offset_`. With "auto", the eighth root
        of the negative scores is used, which is approximately normal, with the larger one of the standard deviations
        estimated from the upper quartile and the upper octile [4]_. The threshold is exceeded by 2 % of a normal
        distribution. If more than 5 % of the samples exceed it, each distinct sample is counted once, since otherwise
        all samples that differ from the majority would be outliers.

    random_state : int, RandomState instance or None, default=None
        Seed of the autoencoder, if its own `random_state` is None.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.

    offset_ : float
        Threshold of the scores: `decision_function` is `score_samples` minus `offset_`.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during fit. Defined only if X has feature names that are all strings.

    See Also
    --------
    Autoencoder : Default autoencoder.
    LatentSampler : Sampling from the density of the codes.
    sklearn.ensemble.IsolationForest : Outlier detection by random splits.
    sklearn.neighbors.LocalOutlierFactor : Outlier detection by neighbors in the original space.

    References
    ----------
    .. [1] O. Ledoit, M. Wolf (2004). "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices". Journal
       of Multivariate Analysis 88.

    .. [2] S. Ramaswamy, R. Rastogi, K. Shim (2000). "Efficient Algorithms for Mining Outliers from Large Data Sets".
       ACM SIGMOD.

    .. [3] D. M. Hawkins, R. A. J. Wixley (1986). "A Note on the Transformation of Chi-Squared Variables to Normality".
       The American Statistician 40.

    .. [4] D. C. Hoaglin, F. Mosteller, J. W. Tukey (1983). "Understanding Robust and Exploratory Data Analysis". Wiley.

    .. [5] R. A. Fisher (1932). "Statistical Methods for Research Workers", 4th edition. Oliver and Boyd.

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

    _parameter_constraints: dict = {  # noqa: RUF012 - as in scikit-learn
        "autoencoder": [HasMethods(["fit", "transform", "inverse_transform"]), None],
        "code_distance": ["boolean"],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "random_state": ["random_state"],
    }

    autoencoder_: Any
    offset_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    if TYPE_CHECKING:  # scikit-learn's method has no type annotations

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
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the autoencoder and the distribution of its errors and codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, mostly inliers. A data frame of pandas or polars is passed to the autoencoder unchanged.

        y : array-like of shape (n_samples,), default=None
            Passed to the autoencoder.

        X_val : {array-like, sparse matrix} of shape (n_samples_val, n_features), default=None
            Validation samples, by which the epoch is selected. They are passed to the autoencoder.

        groups : array-like of shape (n_samples,), default=None
            Group labels of the samples, such as the patient that they belong to. They are passed to the autoencoder,
            or to the last step of a Pipeline.

        Returns
        -------
        self : AutoencoderOutlierDetector
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is invalid, or fewer than two samples can be reconstructed.
        """
        checked = self._checked(X, self.autoencoder, reset=True, ensure_min_samples=2)
        self.autoencoder_ = self._new_autoencoder(checked.shape[1])
        given = fit_parameters(self.autoencoder_, X_val=X_val, groups=groups)
        folds = fit_with_folds(self.autoencoder_, X if is_frame(X) else checked, y, **given)
        self._kept = None
        return self._measured(*self._as_numbers(X, checked), folds)

    def _new_autoencoder(self, n_features):
        default = Autoencoder(min(N_COMPONENTS, n_features))
        return cloned(default if self.autoencoder is None else self.autoencoder, self.random_state)

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the score of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Scores, at most 0. The lower, the more anomalous; minus infinity for samples that can't be reconstructed.
        """
        return self._scores_of(self._table_of(X))

    def feature_errors(self, X: MatrixLike) -> FloatArray:
        """Return the contribution of each feature to a sample's anomaly.

        Each feature in turn is replaced by the nine octiles of the training data, from the minimum to the maximum,
        while the other features are unchanged. Its contribution is the largest increase of the score. Residuals of
        features are not used, since a wrong value changes the code, and thereby the reconstruction of other features.
        As in `score_samples`, networks that were not trained on a training sample are used if there are any.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. Each sample is encoded and decoded nine times per feature, so pass only anomalous ones.

        Returns
        -------
        errors : ndarray of shape (n_samples, n_features)
            Largest increase of the score, at least 0; 0 for missing values. If X is a data frame of pandas or polars,
            so is the result, with the same columns. For a sample that can't be reconstructed, the contribution of a
            feature is infinite if another value of it would make reconstruction possible. If there is no such feature,
            it is infinite for the features outside the range of the training data.
        """
        return named_alike(X, self._errors_of(self._table_of(X)))

    def decision_function(self, X: MatrixLike) -> FloatArray:
        """Return the score of each sample minus `offset_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Shifted scores, negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: MatrixLike) -> NDArray[np.int_]:
        """Predict whether samples are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers, 1 for inliers.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    @typed(available_if(_has_partial_fit))
    def partial_fit(self, X: MatrixLike, y: ArrayLike | None = None) -> Self:
        """Train the autoencoder incrementally on a chunk, and update the distribution of errors and codes.

        Units, neighbors and `offset_` are computed from a random subset of 2,000 samples of all chunks since the last
        `fit` (fewer if they would take more than 256 MiB), reconstructed by the updated autoencoder. All samples are
        scored by the same network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. The first chunk must have at least two samples.

        y : array-like of shape (n_samples,), default=None
            Passed to the autoencoder.

        Returns
        -------
        self : AutoencoderOutlierDetector
            The fitted estimator.
        """
        self._validate_params()
        is_first_chunk = not hasattr(self, "autoencoder_")
        autoencoder = getattr(self, "autoencoder_", self.autoencoder)
        checked = self._checked(X, autoencoder, reset=is_first_chunk, ensure_min_samples=2 if is_first_chunk else 1)
        if is_first_chunk:
            self.autoencoder_ = self._new_autoencoder(checked.shape[1])
        self.autoencoder_.partial_fit(X if is_frame(X) else checked, y)
        X, table = self._as_numbers(X, checked)
        if getattr(self, "_kept", None) is None:
            most = min(MAX_KEPT, max(MIN_MEASURED, MAX_BYTES // (8 * table.rows.shape[1])))
            self._kept = Reservoir(most, local_rng(self.random_state))
        self._kept.update(table.rows)
        kept = framed(X, self._kept.rows)
        return self._measured(kept, Table(kept, self._kept.rows), [])

    def _validate_params(self):
        check_invertible(self.autoencoder, type(self).__name__)
        super()._validate_params()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.autoencoder is None or get_tags(self.autoencoder).input_tags.sparse
        tags.input_tags.allow_nan = self.autoencoder is None or takes_missing(self.autoencoder)
        return tags
