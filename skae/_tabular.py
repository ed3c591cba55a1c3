"""Autoencoder for tables of numbers, categories and dates, with missing values."""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._autoencoder import Autoencoder
from skae._columns import ColumnEncoder, checked_table
from skae._constraints import Interval, StrOptions
from skae._core import AutoencoderCore
from skae._doc_link import DocLinkMixin
from skae._seeds import cloned
from skae._stacked import StackedAutoencoder
from skae._typing import FloatArray, Seed, typed
from skae._wrapped import fit_parameters, short_repr
from skae.nn.functional import LIKELIHOODS

MIN_SHARE = 1e-9  # probability of a category below which the loss is constant


def _learns_in_parts(tabular):
    autoencoder = getattr(tabular, "autoencoder_", tabular.autoencoder)
    return autoencoder is None or hasattr(autoencoder, "partial_fit")


class TabularAutoencoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, MetaEstimatorMixin, DocLinkMixin, BaseEstimator
):
    r"""Autoencoder for tables with numbers, categories, booleans, strings with few distinct values, and dates.

    It takes a data frame of pandas or polars, and its reconstruction has the same columns, types and categories.
    Numbers are standardized. Categories are encoded by scikit-learn's :class:`~sklearn.preprocessing.OneHotEncoder`.
    The loss of a row is

    .. math:: \sum_{j \text{ number}} \left(\frac{x_j - \hat x_j}{\sigma_j}\right)^2
        - \sum_{j \text{ category}} \log \hat p_j(x_j)

    with the standard deviation :math:`\sigma_j` of a column, and the probability :math:`\hat p_j(c)` that the decoder
    assigns to category c of column j. Both kinds have losses of similar size: without any information, a category with
    four equally frequent values has a loss of 1.4, and a number has a loss of 1. The network is initialized with the
    principal components of standardized numbers and of indicators divided by the square root of their frequency, which
    are those of factor analysis of mixed data [1]_. An epoch is selected only if it is a significant improvement on the
    validation set.

    Missing values (NaN, None or null) are ignored by the loss, and imputed by `impute`.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of components of the code. If None, that of `autoencoder` is used, which is 2 by default.

    autoencoder : estimator, default=None
        Any autoencoder of this package except `StackedAutoencoder`. It is cloned and fitted to the encoded columns. Its
        `scale` is ignored, and its `loss` is used for numbers. If None, `Autoencoder()` is used.

    categorical_features : "auto", callable or array-like of shape (n_chosen,) or (n_features,), default="auto"
        Categorical columns: names, indices, booleans, or a callable that takes X and returns one of these, such as
        :func:`~sklearn.compose.make_column_selector`. With "auto", all columns that contain neither numbers nor dates
        are categorical: categories, booleans and strings.

    datetime_features : callable or array-like of shape (n_chosen,) or (n_features,), default=None
        Columns of dates or durations, which are converted to seconds. Dates in other columns raise an error.

    handle_unknown : {"error", "ignore", "infrequent_if_exist", "warn"}, default="error"
        How to handle categories that the training data don't have, as in
        :class:`~sklearn.preprocessing.OneHotEncoder`. With "ignore", they count as missing.

    min_frequency : int or float, default=None
        Frequency below which categories are grouped, as in :class:`~sklearn.preprocessing.OneHotEncoder`. The group is
        decoded as its most frequent category.

    max_categories : int, default=None
        Maximum number of categories of a column, as in :class:`~sklearn.preprocessing.OneHotEncoder`.

    random_state : int, RandomState instance or None, default=None
        Seed of the autoencoder, if its own `random_state` is None.

    Attributes
    ----------
    autoencoder_ : estimator
        The autoencoder fitted to the encoded columns. The history of its `net_` has separate losses of "numbers" and
        "categories".

    kinds_ : ndarray of shape (n_features,)
        Kind of each column: "number", "category" or "date".

    categories_ : list of ndarray of shape (n_categories,)
        Categories of each categorical column, after grouping.

    n_components_ : int
        Number of components of the code.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of columns seen during fit. Defined only if X has names that are all strings.

    See Also
    --------
    Autoencoder : Default autoencoder, for numbers only.
    AutoencoderOutlierDetector : Outlier detection, also for tables.
    LatentSampler : Generation of samples, also for tables.

    References
    ----------
    .. [1] J. Pagès (2014). "Multiple Factor Analysis by Example Using R", chapter 3. CRC Press.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skae import TabularAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> size = rng.normal(size=300)
    >>> X = pd.DataFrame({
    ...     "weight": 60 + 10 * size,
    ...     "shirt": pd.Categorical(np.array(["S", "M", "L"])[np.digitize(size, [-0.5, 0.5])]),
    ...     "tall": size > 0.8,
    ... })
    >>> autoencoder = TabularAutoencoder(2, random_state=0).fit(X)
    >>> autoencoder.transform(X).shape
    (300, 2)
    >>> bool((autoencoder.reconstruct(X)["shirt"] == X["shirt"]).mean() > 0.9)
    True
    >>> X_missing = X.assign(shirt=X["shirt"].mask(X.index < 30))
    >>> bool(autoencoder.impute(X_missing)["shirt"].isna().any())
    False
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - as in scikit-learn
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "autoencoder": [AutoencoderCore, None],
        "categorical_features": [StrOptions({"auto"}), "array-like", callable],
        "datetime_features": ["array-like", callable, None],
        "handle_unknown": [StrOptions({"error", "ignore", "infrequent_if_exist", "warn"})],
        "min_frequency": [Interval(Integral, 1, None, closed="left"), Interval(Real, 0, 1, closed="neither"), None],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    autoencoder_: Any
    kinds_: NDArray[np.str_]
    categories_: list[NDArray[np.object_]]
    n_components_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        autoencoder: BaseEstimator | None = None,
        categorical_features: Literal["auto"] | Sequence[Any] | Callable[[Any], Any] = "auto",
        datetime_features: Sequence[Any] | Callable[[Any], Any] | None = None,
        handle_unknown: Literal["error", "ignore", "infrequent_if_exist", "warn"] = "error",
        min_frequency: float | None = None,
        max_categories: int | None = None,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.autoencoder = autoencoder
        self.categorical_features = categorical_features
        self.datetime_features = datetime_features
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.random_state = random_state

    @typed(_fit_context(prefer_skip_nested_validation=False))
    def fit(self, X: Any, y: ArrayLike | None = None, *, X_val: Any = None, groups: ArrayLike | None = None) -> Self:
        """Fit the autoencoder to a table.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Training data. NaN, None and null mark missing values.

        y : array-like of shape (n_samples,), default=None
            Passed to the autoencoder.

        X_val : frame or array-like of shape (n_samples_val, n_features), default=None
            Validation samples, by which the epoch is selected. They are passed to the autoencoder.

        groups : array-like of shape (n_samples,), default=None
            Group labels of the samples, such as the patient that they belong to. They are passed to the autoencoder.

        Returns
        -------
        self : TabularAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is invalid: for example, a column contains dates but is not in `datetime_features`, has
            more categories than half the number of rows, or has only missing values.
        """
        table = checked_table(X, self)
        columns = self._new_columns(table)
        autoencoder = self._new_autoencoder(columns.spans)
        if X_val is not None:
            X_val = columns.encode(checked_table(X_val, self), self)
        given = fit_parameters(autoencoder, X_val=X_val, groups=groups)
        autoencoder.fit(columns.encode(table, self), y, **given)
        return self._fitted(X, columns, autoencoder)

    @typed(available_if(_learns_in_parts))
    @typed(_fit_context(prefer_skip_nested_validation=False))
    def partial_fit(self, X: Any, y: object = None) -> Self:
        """Train incrementally on a chunk of rows. The kinds and categories of columns are those of the first chunk.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Training data.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : TabularAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is invalid, such as a category that the first chunk doesn't have, with
            `handle_unknown="error"`.
        """
        if self.__sklearn_is_fitted__():
            self.autoencoder_.partial_fit(self._as_numbers(X), y)
            return self
        table = checked_table(X, self)
        columns = self._new_columns(table)
        autoencoder = self._new_autoencoder(columns.spans).partial_fit(columns.encode(table, self), y)
        return self._fitted(X, columns, autoencoder)

    def _new_columns(self, table):
        how = {name: getattr(self, name) for name in ("handle_unknown", "min_frequency", "max_categories")}
        return ColumnEncoder(self.categorical_features, self.datetime_features, **how).fit(table)

    def _fitted(self, X, columns, autoencoder):
        validate_data(self, X, skip_check_array=True)
        self.autoencoder_, self._columns = autoencoder, columns
        self.kinds_, self.categories_ = columns.kinds, columns.values
        self.n_components_ = autoencoder.n_components_
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "autoencoder_")

    def _new_autoencoder(self, spans):
        """Return an unfitted autoencoder for encoded columns, with the spans of categorical columns."""
        autoencoder = cloned(Autoencoder() if self.autoencoder is None else self.autoencoder, self.random_state)
        if isinstance(autoencoder, StackedAutoencoder):
            raise ValueError(
                f"autoencoder={short_repr(autoencoder)} doesn't support categories. Use another one, such as "
                "Autoencoder(hidden_layer_sizes=(64, 32))."
            )
        if self.n_components is not None:
            autoencoder.set_params(n_components=self.n_components)
        if spans and autoencoder.loss in LIKELIHOODS:
            raise ValueError(
                f"autoencoder={short_repr(autoencoder)} has loss={autoencoder.loss!r}, which doesn't "
                "support standardized numbers. Set loss='squared_error', 'absolute_error' or 'huber'."
            )
        if spans and autoencoder._by_share:
            raise ValueError(
                f"n_components={autoencoder.n_components!r} is a fraction of the variance, which categories don't "
                "have. Set n_components to an int."
            )
        if autoencoder.loss not in LIKELIHOODS:
            autoencoder.set_params(scale="standard")
        autoencoder._categories = spans
        return autoencoder

    def _as_numbers(self, X):
        """Return a table encoded as an array of numbers."""
        check_is_fitted(self)
        table = checked_table(X, self)
        validate_data(self, X, skip_check_array=True, reset=False)
        return self._columns.encode(table, self)

    def transform(self, X: Any) -> FloatArray:
        """Apply dimensionality reduction to a table by encoding it.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components)
            Codes.
        """
        Z = self._as_numbers(X)
        return self.autoencoder_.transform(Z)

    def inverse_transform(self, X: ArrayLike) -> Any:
        """Decode codes: transform them back to a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : frame or ndarray of shape (n_samples, n_features)
            Table with the columns and types of the training data. Integers are rounded, and categories are the most
            probable ones.
        """
        check_is_fitted(self)
        return self._columns.decode(np.asarray(self.autoencoder_.inverse_transform(X)), X)

    def reconstruct(self, X: Any) -> Any:
        """Encode and decode a table.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        X_hat : frame or ndarray of shape (n_samples, n_features)
            The same as `inverse_transform(transform(X))`, with the index of X.
        """
        Z = self._as_numbers(X)
        return self._columns.decode(self.autoencoder_.reconstruct(Z), X)

    def impute(self, X: Any) -> Any:
        """Impute missing values, and leave observed values unchanged.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Data. NaN, None and null mark missing values.

        Returns
        -------
        X_full : frame or ndarray of shape (n_samples, n_features)
            Data without missing values.

        See Also
        --------
        reconstruct : Reconstruction of all values.
        """
        Z = self._as_numbers(X)
        return self._columns.fill(checked_table(X, self), self.autoencoder_.impute(Z))

    def score(self, X: Any, y: object = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the fraction of the loss of X that is explained by the reconstruction.

        Without categories, this is the R² of standardized numbers. The cross-entropy of categories is added, relative
        to that of their frequencies, as in :func:`~sklearn.metrics.d2_log_loss_score`.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Data.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            The best value is 1. Reconstructing the means and frequencies of the columns of X scores 0.
        """
        Z = self._as_numbers(X)
        there = ~np.isnan(Z)
        n_each = np.maximum(there.sum(axis=0), 1)
        means = np.where(there, Z, 0.0).sum(axis=0) / n_each
        total = self._losses(Z, np.broadcast_to(means, Z.shape)).sum()
        left = self._losses(Z, self.autoencoder_.reconstruct(Z)).sum()
        return float(1 - left / total) if total > 0 else float(left == 0)

    def score_samples(self, X: Any) -> FloatArray:
        """Return the negative reconstruction loss of each row.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative sums of squared errors of standardized numbers and cross-entropies of categories over the observed
            values. The lower, the more anomalous the row.
        """
        Z = self._as_numbers(X)
        return -self._losses(Z, self.autoencoder_.reconstruct(Z)).sum(axis=1)

    def _losses(self, Z, Z_hat):
        """Return the loss of each value of the encoded columns, (n, m); 0 for missing values."""
        n, scale = len(self._columns.numbers), self.autoencoder_._spec.scale
        per_unit = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0)[:n]
        squares = np.square((Z[:, :n] - Z_hat[:, :n]) * per_unit)
        logarithms = -Z[:, n:] * np.log(np.maximum(Z_hat[:, n:], MIN_SHARE))
        return np.nan_to_num(np.hstack([squares, logarithms]), posinf=np.inf)

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        tags.input_tags.sparse = False
        return tags
