"""Inference with a fitted autoencoder: encoding, decoding and scoring."""

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._absent import AbsentNamesMixin
from skae._array_api import as_numpy, preserve_array_type
from skae._cudnn import differentiable
from skae._data.readers import (
    BYTES_AT_ONCE,
    FLOATS,
    ArrayReader,
    check_numeric,
    reading,
    stays_in_place,
    validated,
)
from skae._data.statistics import FeatureStatistics
from skae._dimensions import explain_how_to_flatten
from skae._tensors import on_device
from skae._threads import torch_threads
from skae._torch_state import default_torch_state
from skae._training.net import NeuralNet
from skae._typing import FloatArray, MatrixLike, typed
from skae.nn import Decoder, Encoder

ROUNDS_OF_FILLING = 10
allow_overflow: ContextVar = ContextVar("allow_overflow", default=False)  # whether infinite results are allowed


class InferenceMixin(AbsentNamesMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of `AutoencoderCore` for inference with a trained module."""

    _network_weights = 1.0
    n_components_: int
    explained_variance_: FloatArray
    mean_: FloatArray
    feature_importances_: FloatArray
    best_epoch_: int
    n_iter_: int
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    encoder_: Encoder
    decoder_: Decoder
    net_: NeuralNet
    n_samples_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    if TYPE_CHECKING:  # scikit-learn's methods have no type annotations

        def fit_transform(self, X: MatrixLike, y: object = None, **fit_params: Any) -> FloatArray:
            """Fit the autoencoder to X and transform X."""

        def set_fit_request(self, *, X_val: bool | str | None = None, groups: bool | str | None = None) -> Self:
            """Set whether metadata routing passes these to `fit`."""

        def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
            """Set the output container of `transform` and `fit_transform`."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_modules")

    @typed(on_device("encode"))
    def transform(self, X: MatrixLike) -> FloatArray:
        """Apply dimensionality reduction to X by encoding it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. For float32 data, computations and results are in float32; for any other dtype, in float64.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components)
            Codes.
        """
        return self._apply("encode", self._rows_of(X), self.n_components_)

    @typed(on_device("decode"))
    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Decode codes: transform them back to the original space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes. If the autoencoder was fitted with `ordered=True`, the last components may be omitted: they count as
            zero.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructions, in the units of the training data.

        Raises
        ------
        ValueError
            If X doesn't have `n_components_` columns, or, for ordered codes, if it has more.
        """
        check_is_fitted(self)
        with reading(X):
            X = as_numpy(X)
            check_numeric(X)
            X = check_array(X, dtype=FLOATS, input_name="X", ensure_min_features=min(1, self.n_components_))
        missing = self.n_components_ - X.shape[1]
        ordered, may_be = self._spec.ordered, "ordered" in self.get_params(deep=False)
        if missing < 0 or (missing and not ordered):
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__}.inverse_transform is expecting "
                f"n_components_={self.n_components_} of them{', or fewer' if ordered else ''}, as transform returns."
                + (" Codes may have fewer columns only with ordered=True." if may_be and not ordered else "")
            )
        return self._apply("decode", ArrayReader(np.pad(X, ((0, 0), (0, missing)))), self.n_features_in_)

    @typed(on_device("forward"))
    def reconstruct(self, X: MatrixLike) -> FloatArray:
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features)
            Reconstructions, the same as `inverse_transform(transform(X))`.
        """
        return self._apply("forward", self._rows_of(X), self.n_features_in_)

    @typed(preserve_array_type)
    def impute(self, X: MatrixLike) -> FloatArray:
        """Impute missing values, and leave observed values unchanged.

        An imputed value is a weighted mean of its expectation by factor analysis, given the observed values of its
        sample, and of the network's reconstruction. The weight is the one that best predicted hidden values of the
        validation samples; features that it would predict clearly worse than factor analysis have another. If the
        training data were sparse, missing values are initialized with the mean and replaced by their reconstruction
        repeatedly.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data. NaN marks missing values.

        Returns
        -------
        X_full : ndarray of shape (n_samples, n_features)
            Data without NaN, in the units of X. The result is an array for a data frame as well.

        See Also
        --------
        reconstruct : Reconstruction of all values.
        """
        full = []
        for x in self._rows_of(X, filled=False).batches():
            expected = self._filled(x)
            step = self._network_weights * (self._run("forward", expected) - expected)
            full.append(np.where(np.isnan(x), expected + step, x).astype(x.dtype))
        return np.concatenate(full)

    def score(self, X: MatrixLike, y: object = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the R² of the reconstruction: the fraction of the variance of X that it explains.

        It increases with `n_components`, like the fraction of variance that PCA explains. It is not comparable to PCA's
        `score`, which is a log-likelihood. To search for `n_components`, use a `refit` that selects the smallest code
        that is good enough: see the guide on the number of components.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            `r2_score(X, reconstruct(X), multioutput="variance_weighted")`, computed in batches. The best value is 1;
            reconstructing each sample as the mean of X scores 0.
        """
        return self._r2(self._rows_of(X, filled=False))

    def _r2(self, rows, clean=None):
        """Return the R² of the reconstruction, with respect to the clean samples if they are given."""
        wanted, pairs = rows, self._reconstructed(rows)
        if clean is not None:
            wanted, pairs = clean, zip(clean.batches(), (x_hat for _, x_hat in pairs), strict=True)
        if len(rows) < 2:
            ((x, x_hat),) = pairs
            x = np.where(np.isnan(x), x_hat, x)
            return r2_score(x, x_hat, multioutput="variance_weighted")  # NaN, with a warning that explains it
        statistics = FeatureStatistics().update(wanted)
        variance = np.nan_to_num(statistics.variance)  # NaN if all values of a column are missing
        error = sum(_squares(x, x_hat).sum(axis=0) for x, x_hat in pairs)
        varying = variance > 0
        if not varying.any():  # as in r2_score: 1 for each feature without error, 0 for the others
            return float((error == 0).mean())
        return float(1 - error[varying].sum() / (statistics.n_each * variance).sum())

    @typed(on_device("score_samples"))
    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the negative squared reconstruction error of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative squared errors, in squared units of X, summed over the observed features. The lower, the more
            anomalous the sample.
        """
        scores = []
        for x, x_hat in self._reconstructed(self._rows_of(X, filled=False)):
            with np.errstate(over="ignore"):
                scores.append(-_squares(x, x_hat).sum(axis=1))
            _check_finite(scores[-1], x)
        return np.concatenate(scores)

    @typed(preserve_array_type)
    def jacobian(self, X: MatrixLike) -> FloatArray:
        r"""Return the local loadings: the derivative of the reconstruction with respect to the code.

        They are the Jacobian of the decoder :math:`g` at the code of each sample,
        :math:`J_{ijc} = \partial g_j(z_i) / \partial z_c`. For a linear autoencoder, they are the same for all samples:
        the transpose of PCA's `components_` (times the components' standard deviations with `whiten=True`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        J : ndarray of shape (n_samples, n_features, n_components)
            Jacobians, in units of X per unit of the code.

        See Also
        --------
        loadings : Mean of the local loadings over the samples.
        """
        return np.concatenate(list(self._jacobians(self._rows_of(X))))

    @typed(preserve_array_type)
    def loadings(self, X: MatrixLike) -> FloatArray:
        """Return the mean of the local loadings over the samples of X, for example for plots.

        Local loadings of opposite signs cancel: see `jacobian` for those of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        L : ndarray of shape (n_features, n_components)
            `jacobian(X).mean(axis=0)`; for a linear autoencoder, the transpose of PCA's `components_`.
        """
        rows = self._rows_of(X)
        return sum(J.sum(axis=0) for J in self._jacobians(rows)) / len(rows)

    @property
    def explained_variance_ratio_(self) -> FloatArray:
        """Fraction of the variance explained by each component of a linear or an ordered autoencoder.

        Raises
        ------
        AttributeError
            If the explained variance can't be attributed to single components.
        """
        check_is_fitted(self)
        if self._explained_variance_ratio is None:
            raise AttributeError(
                "explained_variance_ratio_ is not defined: the components of a nonlinear autoencoder explain the "
                "variance jointly. Use score(X) for the fraction that all explain, or fit (not partial_fit) with "
                "ordered=True for that of each component. It is also defined for a linear autoencoder with "
                "loss='squared_error'."
            )
        return self._explained_variance_ratio

    def _rows_of(self, X, *, filled=True):
        """Return a reader of the samples of X, with missing values imputed, or left as NaN."""
        check_is_fitted(self)
        checked = self._checked(X, reset=False)
        return ArrayReader(checked, may_miss=self._takes_missing, fill=self._filled if filled else None)

    def _checked(self, X, *, reset, least=1, may_miss=None):
        """Validate X like scikit-learn; data that are not copied are checked for NaN and infinity when read."""
        may_miss = self._takes_missing if may_miss is None else may_miss
        if not stays_in_place(X):
            return validated(self, X, ensure_min_samples=least, reset=reset, may_miss=may_miss)
        with reading(X), explain_how_to_flatten(self, X):
            check_numeric(X)
            finite = "allow-nan" if may_miss else True
            check_array(
                X[:least],
                dtype=FLOATS,
                ensure_min_samples=least,
                estimator=self,
                input_name="X",
                ensure_all_finite=finite,
            )
            validate_data(self, X, skip_check_array=True, reset=reset)
            return X

    def _apply(self, method, rows, n_columns):
        """Apply a method of the module of matching precision to the samples, in batches of some thousands."""
        out, start = np.empty((len(rows), n_columns), dtype=rows.dtype), 0
        for batch in rows.batches():
            out[start : start + len(batch)] = self._run(method, batch)
            start += len(batch)
        return out

    def _reconstructed(self, rows):
        """Yield batches of (samples, reconstructions)."""
        return ((batch, self._run("forward", self._filled(batch))) for batch in rows.batches())

    def _filled(self, batch):
        """Return the samples with missing values replaced by their expectations, given the observed values.

        If the training data were sparse, missing values are reconstructed repeatedly, starting with the mean.
        """
        missing = np.isnan(batch)
        if not missing.any():
            return batch
        if self._statistics.factors is not None:
            return self._statistics.factors.fill(batch)
        filled = np.where(missing, self.mean_, batch).astype(batch.dtype)
        for _ in range(ROUNDS_OF_FILLING):
            filled[missing] = self._run("forward", filled)[missing]
        return filled

    @contextlib.contextmanager
    def _own_torch(self, n_rows):
        """Use PyTorch's default state, with a number of threads that suits the number of samples."""
        with default_torch_state(), torch_threads(n_rows * self._work):
            yield

    def _run(self, method, batch):
        module = self._modules[batch.dtype.name]
        with self._own_torch(len(batch)), torch.inference_mode():
            x = torch.tensor(batch)  # a copy, since rounding in some kernels depends on the alignment in memory
            y = getattr(module, method)(x.to(module.scaler.mean.device)).cpu().numpy()
        _check_finite(y, batch)
        return y

    def _jacobians(self, rows):
        module = self._modules[rows.dtype.name]
        size = max(1, BYTES_AT_ONCE // (8 * self.n_features_in_ * max(self.n_components_, 1)))
        for batch in rows.batches():
            codes = self._run("encode", batch)
            for start in range(0, len(codes), size):
                with self._own_torch(min(size, len(codes))):
                    some = torch.tensor(codes[start : start + size], device=module.scaler.mean.device)
                    jacobian = _jacobian(module.decode, some).cpu().numpy()
                yield jacobian

    @property
    def _n_features_out(self):
        """Number of transformed output features."""
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._takes_missing
        tags.target_tags.required = self._is_supervised
        return tags


def _squares(x, x_hat):
    """Return squared errors in float64, since float32 overflows above 1e38; zero for missing values."""
    squares = np.square(x - x_hat, dtype=np.float64)
    return np.where(np.isnan(x), 0.0, squares) if np.isnan(x).any() else squares


def _check_finite(y, x):
    """Raise an error if a result has overflowed."""
    finite = np.isfinite(y)
    if not finite.all() and not allow_overflow.get():
        value = np.abs(x[~finite.reshape(len(y), -1).all(axis=1)]).max()
        raise ValueError(
            f"X has a sample with a value of {value:g}, which is too large: the result overflows {y.dtype}. Clip X to "
            f"the range of the training data{', or pass it as float64' if y.dtype == np.float32 else ''}."
        )


def _jacobian(function, x):
    """Return the Jacobian, of shape (n, d, k), of a function that maps each sample independently, (n, k) -> (n, d).

    The vector-Jacobian product u'J is linear in u, and its derivative along e_c is column c of J. Two backward passes
    thus replace forward-mode differentiation, which not every layer supports.
    """
    if x.shape[1] == 0:
        return x.new_zeros((*function(x).shape, 0))
    x = x.clone().requires_grad_()
    with differentiable():
        y = function(x)
    u = torch.zeros_like(y, requires_grad=True)
    (product,) = torch.autograd.grad(y, x, u, create_graph=True)  # (n, k)
    units = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    columns = [torch.autograd.grad(product, u, unit.expand_as(x), retain_graph=True)[0] for unit in units]
    return torch.stack(columns, dim=2)
