"""What a fitted autoencoder does, whatever fitted it: encode, decode and score."""

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
from skae._array_api import as_numpy, in_kind
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
from skae._dimensions import saying_how_to_flatten
from skae._tensors import on_device
from skae._threads import torch_threads
from skae._torch_state import usual_torch
from skae._training.net import NeuralNet
from skae._typing import FloatArray, MatrixLike, typed
from skae.nn import Decoder, Encoder

ROUNDS_OF_FILLING = 10
lets_overflow: ContextVar = ContextVar("lets_overflow", default=False)  # whether infinite answers are no error


class InferenceMixin(AbsentNamesMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The part of `AutoencoderCore` that uses a module and doesn't train it."""

    _share_of_network = 1.0
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

    if TYPE_CHECKING:  # scikit-learn's have no types

        def fit_transform(self, X: MatrixLike, y: object = None, **fit_params: Any) -> FloatArray:
            """Fit the autoencoder to X and transform X."""

        def set_fit_request(self, *, X_val: bool | str | None = None, groups: bool | str | None = None) -> Self:
            """Say whether metadata routing passes these on to `fit`."""

        def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
            """Set what `transform` and `fit_transform` return."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_modules")

    @typed(on_device("encode"))
    def transform(self, X: MatrixLike) -> FloatArray:
        """Encode X: the dimensionality reduction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. Its dtype decides the precision: float32 in, float32 out; anything else is float64.

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
            Codes. Those of an autoencoder fitted with `ordered=True` may be narrower: the rest counts as zero.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructions, in the units of the training data.

        Raises
        ------
        ValueError
            If X has not `n_components_` columns, or more than that where codes are ordered.
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
                + (" Only with ordered=True may codes be narrower." if may_be and not ordered else "")
            )
        return self._apply("decode", ArrayReader(np.pad(X, ((0, 0), (0, missing)))), self.n_features_in_)

    @typed(on_device("forward"))
    def reconstruct(self, X: MatrixLike) -> FloatArray:
        """Encode and decode X in one go.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features)
            The same as `inverse_transform(transform(X))`.
        """
        return self._apply("forward", self._rows_of(X), self.n_features_in_)

    @typed(in_kind)
    def impute(self, X: MatrixLike) -> FloatArray:
        """Fill missing cells, and leave all others as they are.

        A missing cell lies between what factor analysis expects of it, given the other cells of its sample, and what
        the network makes of it: where hidden cells of held-out samples were predicted best. If the training data were
        sparse, it is the reconstruction, to which cells at the mean converge.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data. NaN is a missing cell.

        Returns
        -------
        X_full : ndarray of shape (n_samples, n_features)
            Data without NaN, in the units of X.

        See Also
        --------
        reconstruct : What the network makes of all cells.
        """
        full = []
        for x in self._rows_of(X, filled=False).batches():
            expected = self._filled(x)
            step = self._share_of_network * (self._run("forward", expected) - expected)
            full.append(np.where(np.isnan(x), expected + step, x).astype(x.dtype))
        return np.concatenate(full)

    def score(self, X: MatrixLike, y: object = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the R² of the reconstruction: the share of the variance of X that the codes carry.

        It grows with `n_components`, as PCA's share of the variance does, and it is not PCA's `score`, which is a
        log-likelihood. A search that is to find a size needs a `refit` that takes the smallest code which is good
        enough: see the guide on the number of components.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            `r2_score(X, reconstruct(X), multioutput="variance_weighted")`: 1 at best, 0 for the mean of X. It is summed
            batch by batch.
        """
        return self._r2(self._rows_of(X, filled=False))

    def _r2(self, rows, clean=None):
        """R² of the reconstruction of samples: against clean ones, if there are any."""
        wanted, pairs = rows, self._reconstructed(rows)
        if clean is not None:
            wanted, pairs = clean, zip(clean.batches(), (x_hat for _, x_hat in pairs), strict=True)
        if len(rows) < 2:
            ((x, x_hat),) = pairs
            x = np.where(np.isnan(x), x_hat, x)
            return r2_score(x, x_hat, multioutput="variance_weighted")  # not a number, and says why
        statistics = FeatureStatistics().update(wanted)
        variance = np.nan_to_num(statistics.variance)  # of a column that is missing altogether
        error = sum(_squares(x, x_hat).sum(axis=0) for x, x_hat in pairs)
        varying = variance > 0
        if not varying.any():  # r2_score's answer too: each feature counts as right or wrong
            return float((error == 0).mean())
        return float(1 - error[varying].sum() / (statistics.n_each * variance).sum())

    @typed(on_device("score_samples"))
    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return minus the squared error of the reconstruction of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In squared units of X, summed over the features that are there; the lower, the odder the sample.
        """
        scores = []
        for x, x_hat in self._reconstructed(self._rows_of(X, filled=False)):
            with np.errstate(over="ignore"):
                scores.append(-_squares(x, x_hat).sum(axis=1))
            _check_finite(scores[-1], x)
        return np.concatenate(scores)

    @typed(in_kind)
    def jacobian(self, X: MatrixLike) -> FloatArray:
        r"""Return the local loadings: how each feature of the reconstruction answers to each component of the code.

        They are the derivative of the decoder :math:`g` at the code of each sample,
        :math:`J_{ijc} = \partial g_j(z_i) / \partial z_c`. Of a linear autoencoder all samples have the same, and they
        are the transpose of PCA's `components_` (times the components' standard deviations with `whiten=True`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        J : ndarray of shape (n_samples, n_features, n_components)
            Units of X per unit of the code.

        See Also
        --------
        loadings : Their mean over the samples.
        """
        return np.concatenate(list(self._jacobians(self._rows_of(X))))

    @typed(in_kind)
    def loadings(self, X: MatrixLike) -> FloatArray:
        """Return the mean of the local loadings over the samples of X: a table of features by components, for plots.

        Where a component acts on a feature one way on some samples and the other way on others, the two cancel: see
        `jacobian` for each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        L : ndarray of shape (n_features, n_components)
            `jacobian(X).mean(axis=0)`; of a linear autoencoder, the transpose of PCA's `components_`.
        """
        rows = self._rows_of(X)
        return sum(J.sum(axis=0) for J in self._jacobians(rows)) / len(rows)

    @property
    def explained_variance_ratio_(self) -> FloatArray:
        """Share of the variance that each component explains: of a linear or an ordered autoencoder.

        Raises
        ------
        AttributeError
            If the components of the autoencoder explain the variance together, not one by one.
        """
        check_is_fitted(self)
        if self._explained_variance_ratio is None:
            raise AttributeError(
                "explained_variance_ratio_ is only defined for a linear autoencoder with loss='squared_error', and "
                "after fit (not partial_fit) for an ordered one: the components of another nonlinear autoencoder "
                "explain the variance together, not one by one. See score(X), or set ordered=True."
            )
        return self._explained_variance_ratio

    def _rows_of(self, X, *, filled=True):
        """Rows of X, in which missing cells are filled, or NaN."""
        check_is_fitted(self)
        checked = self._checked(X, reset=False)
        return ArrayReader(checked, may_miss=self._takes_missing, fill=self._filled if filled else None)

    def _checked(self, X, *, reset, least=1, may_miss=None):
        """Check X as scikit-learn does; what stays in place is checked for NaN and infinity when it is read."""
        may_miss = self._takes_missing if may_miss is None else may_miss
        if not stays_in_place(X):
            return validated(self, X, ensure_min_samples=least, reset=reset, may_miss=may_miss)
        with reading(X), saying_how_to_flatten(self, X):
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
        """Run a method of the module of the rows' own precision over them, some thousand at a time."""
        out, start = np.empty((len(rows), n_columns), dtype=rows.dtype), 0
        for batch in rows.batches():
            out[start : start + len(batch)] = self._run(method, batch)
            start += len(batch)
        return out

    def _reconstructed(self, rows):
        """Yield (samples as they are, reconstructions), batch by batch."""
        return ((batch, self._run("forward", self._filled(batch))) for batch in rows.batches())

    def _filled(self, batch):
        """Rows in which missing cells hold what is expected of them, given the others.

        Where the training data were sparse, that is what the network itself makes of them, from the mean on.
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
        """Within, torch is as in a fresh process, with as many threads as products of so many samples are worth."""
        with usual_torch(), torch_threads(n_rows * self._work):
            yield

    def _run(self, method, batch):
        module = self._modules[batch.dtype.name]
        with self._own_torch(len(batch)), torch.inference_mode():
            x = torch.tensor(batch)  # a copy, since some kernels' last bits depend on where in memory a sample begins
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
    """Squared errors in float64, for float32 ends at 1e38; zero where a cell is missing."""
    squares = np.square(x - x_hat, dtype=np.float64)
    return np.where(np.isnan(x), 0.0, squares) if np.isnan(x).any() else squares


def _check_finite(y, x):
    """Refuse to return what has overflowed."""
    finite = np.isfinite(y)
    if not finite.all() and not lets_overflow.get():
        value = np.abs(x[~finite.reshape(len(y), -1).all(axis=1)]).max()
        raise ValueError(
            f"X has a sample with a value of {value:g}, which is too large: the answer overflows {y.dtype}. Clip X to the "
            f"range of the training data{', or pass it as float64' if y.dtype == np.float32 else ''}."
        )


def _jacobian(function, x):
    """Derivative of a function of each sample, (n, k) -> (n, d): of shape (n, d, k).

    The vector-Jacobian product u'J is linear in u, and its derivative along e_c is column c of J. Two backward passes
    thus take the place of a forward-mode one, which not every layer has.
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
