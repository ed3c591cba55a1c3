"""Outliers: samples that an autoencoder can't give back, or whose codes have no others near."""

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


def _learns_in_parts(detector):
    autoencoder = getattr(detector, "autoencoder_", detector.autoencoder)
    return autoencoder is None or hasattr(autoencoder, "partial_fit")


class AutoencoderOutlierDetector(MeasuringMixin, OutlierMixin, MetaEstimatorMixin, DocLinkMixin, BaseEstimator):
    r"""Outlier detection by the reconstruction of an autoencoder and by the neighbors of its codes.

    A sample is odd if it is not given back as well as the training samples were, or if few of their codes are near its
    own. Four measures say so:

    .. math::
        a_1(x) = r^T \Psi^{-1} r, \quad a_2(x) = r^T D^{-1} r, \quad
        a_3(x) = \lVert W (z - z_{(5)}) \rVert \lVert W (z - z_{(10)}) \rVert, \quad
        a_4(x) = \lVert V (z - z_{(5)}) \rVert \lVert V (z - z_{(10)}) \rVert

    with the residual :math:`r = x - \hat x`, the covariance :math:`\Psi` of residuals of the training samples, shrunk
    towards units of the features [1]_, the squares :math:`D` of these, the code :math:`z` of x, and the codes
    :math:`z_{(5)}, z_{(10)}` of its fifth and tenth nearest neighbors among the training samples [2]_, once with white
    codes (W), in which all directions count alike, and once with those that are mapped back linearly to the units of X
    (V). Neighbors see clusters, rings and missing values, which a distance
    from the mean of all codes does not, and samples far outside, which a linear map gives back well.

    Each is turned into the logarithm of the share of typical samples that are as odd or odder, and the score is that of
    the residual, with a quarter of that in units alone, plus the lesser of the other two, as Fisher combines
    tests [5]_:

    .. math::
        s(x) = l_1(x) + l_2(x) / 4 + \min(l_3(x), l_4(x)), \quad
        l_j(x) = \log \left(1 - \Phi\left(\frac{a_j(x)^{p_j} - m_j}{\sigma_j}\right)\right)

    with the normal distribution function :math:`\Phi`, and the median :math:`m_j` and the standard deviation
    :math:`\sigma_j`, from upper quantiles, of the powers :math:`p_1 = p_2 = 1/4` and :math:`p_3 = p_4 = 1/16` over
    training samples. These are about normal [3]_, and outliers among the training samples hardly move their quantiles.

    Training samples are scored by networks that have not seen them, since a network may know its own samples by heart:
    then they have no error, and no column to blame. Below 2,000 samples the autoencoder's `fit` trains a network for
    each fold of its validation anyway, and each sample that a fold holds out is scored by that fold's network, with the
    neighbors among its own codes. So are the units, `offset_`, and later what `predict` and the other methods say of
    the same values. Any other sample is scored by the network of all samples, and so are training samples where there
    is no other: from 2,000 samples on, in a stream, with PCA, a linear autoencoder, one that is frozen or not this
    package's, or after steps that change the number of samples. Such scores of training samples are too high where the
    network is large for them. No sample is its own neighbor.

    What can't be reconstructed, since its code is NaN or infinite, is the most anomalous there is: its score is minus
    infinity. So is that of a sample without any cell.

    Cells of other samples may be missing, NaN, if the autoencoder takes them. The residual is then that of the cells
    that are there, with their own covariance, times the number of all over theirs, and the code is that of the filled
    sample.

    Columns may have different units, for a residual is measured by those of its column; but an autoencoder reconstructs
    what varies most. Where small columns have a structure of their own, put a `StandardScaler` before it in a Pipeline.

    Parameters
    ----------
    autoencoder : estimator, default=None
        With `transform` and `inverse_transform`: one of this package's, PCA, or a Pipeline of them. It is cloned and
        fitted; wrap one that is fitted in scikit-learn's `FrozenEstimator` to use it as it is. None is
        `Autoencoder(8)`, or `Autoencoder(d)` for d < 8 features.

    code_distance : bool, default=True
        Whether the neighbors of the codes count, or the reconstruction alone.

    contamination : "auto" or float, default="auto"
        Share of outliers in the training data, at most 0.5, which sets `offset_`. "auto" takes the eighth root of minus
        the scores, which is about normal, and their standard deviation from the upper quartile or the upper octile
        [4]_, whichever gives more. Outliers are beyond what 2 % of a normal distribution exceed. If that is more than
        5 % of the samples, equal samples count once: otherwise all that differs from most would be an outlier.

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
    LatentSampler : Draws samples that are not odd.
    sklearn.ensemble.IsolationForest : Isolates samples by random splits.
    sklearn.neighbors.LocalOutlierFactor : Neighbors alone, in the space of the samples.

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
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the autoencoder to X, and what its errors and codes are measured by.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Most of them are inliers. A frame of pandas or polars is passed on as it is.

        y : array-like of shape (n_samples,), default=None
            Passed on to the autoencoder.

        X_val : {array-like, sparse matrix} of shape (n_samples_val, n_features), default=None
            Samples by which the epoch is chosen. They are passed on to the autoencoder.

        groups : array-like of shape (n_samples,), default=None
            Labels of samples that belong together, such as those of one patient. They are passed on to the autoencoder,
            or to the last step of a Pipeline.

        Returns
        -------
        self : AutoencoderOutlierDetector
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is not as it should be, or fewer than two samples can be reconstructed.
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
            The lower, the odder; never above 0, and minus infinity for what can't be reconstructed.
        """
        return self._scores_of(self._table_of(X))

    def feature_errors(self, X: MatrixLike) -> FloatArray:
        """Return which features make a sample odd: by how much less odd it would be if that one were another.

        Each feature in turn is given nine values, the octiles of the training data, while the others stay as they
        are. What counts is how much less odd the sample is with the best of them. Not the residual of the feature, for
        a wrong value shifts the code, and with it the reconstruction of others. Training samples are explained by a
        network that has not seen them, as they are scored.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. Each sample is encoded and decoded nine times for each of its features: give those that are odd.

        Returns
        -------
        errors : ndarray of shape (n_samples, n_features)
            Never below 0: by how much the score would rise; 0 for a missing cell. If X is a frame of pandas or polars,
            so is this, with the same columns. In a sample that can't be reconstructed, a feature has infinity if
            another value of it alone would make that possible; where no feature does, those have it that are beyond the
            training data.
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
            Negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: MatrixLike) -> NDArray[np.int_]:
        """Say which samples are outliers.

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

    @typed(available_if(_learns_in_parts))
    def partial_fit(self, X: MatrixLike, y: ArrayLike | None = None) -> Self:
        """Train the autoencoder further on a chunk of a stream, and measure anew what is typical.

        Units, neighbors and `offset_` are those of a random sample of 2,000 of the samples of all chunks since the last
        `fit` (fewer where they would take more than 256 MiB), as the autoencoder reconstructs them now. Training
        samples are scored by the one network there is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. The first chunk has two samples at least.

        y : array-like of shape (n_samples,), default=None
            Passed on to the autoencoder.

        Returns
        -------
        self : AutoencoderOutlierDetector
            The fitted estimator.
        """
        self._validate_params()
        is_main_process = not hasattr(self, "autoencoder_")
        autoencoder = getattr(self, "autoencoder_", self.autoencoder)
        checked = self._checked(X, autoencoder, reset=is_main_process, ensure_min_samples=2 if is_main_process else 1)
        if is_main_process:
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
