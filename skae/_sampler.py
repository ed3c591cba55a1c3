"""Sampling from a density of the codes."""

import copy
import inspect
import warnings
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, DensityMixin, MetaEstimatorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_scalar, get_tags
from sklearn.utils.validation import check_is_fitted

from skae._autoencoder import Autoencoder
from skae._constraints import HasMethods, InvalidParameterError
from skae._doc_link import DocLinkMixin
from skae._seeds import cloned, local_rng
from skae._solvers import mixture_of, scaler_of
from skae._typing import FloatArray, MatrixLike, Seed, typed
from skae._wrapped import (
    all_missing,
    check_invertible,
    decode,
    encode,
    finite_rows,
    first_row,
    fit_parameters,
    framed,
    is_tabular,
    of_numbers,
    raise_if_no_components,
    short_repr,
    takes_missing,
)

N_COMPONENTS = 8
MAX_GAUSSIANS = 32
MAX_DRAWS = 10  # maximum number of codes drawn per sample, if some can't be decoded
WANTED = ("fit", "sample", "score_samples")


class LatentSampler(DensityMixin, MetaEstimatorMixin, DocLinkMixin, BaseEstimator):
    r"""Generate samples by decoding codes drawn from a density that is fitted to the codes of the training data.

    The distribution of an autoencoder's codes is unknown. A density :math:`q` fitted to them after training turns any
    autoencoder into a generative model, without a prior during training [1]_:

    .. math:: z \sim q, \qquad x = g(z)

    The codes are standardized first, so that the default parameters of a density are suitable.

    Parameters
    ----------
    autoencoder : estimator, default=None
        Estimator with `transform` and `inverse_transform`: one of this package, PCA, or a Pipeline of them. It is
        cloned and fitted. To use a fitted one unchanged, wrap it in scikit-learn's `FrozenEstimator`. If None,
        `Autoencoder(8)` is used, or `Autoencoder(d)` for d < 8 features.

    density : estimator, default=None
        Estimator with `sample` and `score_samples`, such as `KernelDensity`. It is cloned and fitted to the codes. If
        None, a `GaussianMixture` is used, whose number of components is doubled, up to 32, while the Bayesian
        information criterion decreases.

    random_state : int, RandomState instance or None, default=None
        Seed of the autoencoder and the density, if their own `random_state` is None.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.

    scaler_ : StandardScaler
        Scaler that standardizes the codes.

    density_ : estimator
        The density, fitted to the standardized codes.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during fit. Defined only if X has feature names that are all strings.

    See Also
    --------
    AutoencoderOutlierDetector : Outlier detection with an autoencoder.
    VariationalAutoencoder : Autoencoder with a prior, from which `sample` draws codes.
    skae.metrics.sample_precision_recall : Precision and recall of generated samples.

    References
    ----------
    .. [1] P. Ghosh, M. S. M. Sajjadi, A. Vergari, M. Black, B. Schölkopf (2020). "From Variational to Deterministic
       Autoencoders". International Conference on Learning Representations.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder, LatentSampler
    >>> X, _ = load_digits(return_X_y=True)
    >>> sampler = LatentSampler(Autoencoder(8, max_iter=5, random_state=0), random_state=0).fit(X)
    >>> sampler.sample(100).shape
    (100, 64)
    >>> bool(sampler.score(X) > sampler.score(X[:, ::-1]))  # mirrored digits are less likely
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - as in scikit-learn
        "autoencoder": [HasMethods(["fit", "transform", "inverse_transform"]), None],
        "density": [HasMethods(list(WANTED)), None],
        "random_state": ["random_state"],
    }

    autoencoder_: Any
    scaler_: StandardScaler
    density_: Any
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        autoencoder: BaseEstimator | None = None,
        density: BaseEstimator | None = None,
        *,
        random_state: Seed = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.density = density
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
        """Fit the autoencoder to X, and the density to its codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : array-like of shape (n_samples,), default=None
            Passed to the autoencoder.

        X_val : {array-like, sparse matrix} of shape (n_samples_val, n_features), default=None
            Validation samples, by which the epoch is selected. They are passed to the autoencoder.

        groups : array-like of shape (n_samples,), default=None
            Group labels of the samples, such as the patient that they belong to. They are passed to the autoencoder,
            or to the last step of a Pipeline.

        Returns
        -------
        self : LatentSampler
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            A ValueError and a TypeError: if the autoencoder has no inverse transform, or the density has no `sample`.

        ValueError
            If X is invalid, or its codes contain NaN or infinity.
        """
        n_features = np.shape(X)[1] if len(np.shape(X)) == 2 else N_COMPONENTS  # otherwise, fit raises an error
        default = Autoencoder(max(1, min(N_COMPONENTS, n_features)))
        autoencoder = cloned(default if self.autoencoder is None else self.autoencoder, self.random_state)
        autoencoder.fit(X, y, **fit_parameters(autoencoder, X_val=X_val, groups=groups))
        codes = encode(autoencoder, X)
        raise_if_no_components(codes, autoencoder)
        n_bad = int((~finite_rows(codes)).sum())
        if n_bad:
            raise ValueError(
                f"The codes of {n_bad} of {len(codes)} samples of X contain NaN or infinity, and have no density: "
                f"autoencoder={short_repr(autoencoder)} can't encode them. Check its transform(X), and drop these "
                "samples, or change the step that doesn't return finite values for them."
            )
        codes = codes[~all_missing(X)]  # samples without observed values all have the same code
        scaler = scaler_of(codes)
        codes = scaler.transform(codes)
        if self.density is None:
            density = _gaussians(codes, self.random_state)
        else:
            density = cloned(self.density, self.random_state).fit(codes)
        self.autoencoder_, self.scaler_, self.density_ = autoencoder, scaler, density
        self._known_row = first_row(X)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(autoencoder, name):
                setattr(self, name, getattr(autoencoder, name))
        return self

    def sample(self, n_samples: int = 1, random_state: Seed = None) -> FloatArray:
        """Generate new samples.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples to draw.

        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible results across multiple function calls. The estimator's `random_state` is used
            only in `fit`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Decoded codes, in random order. They are conditional means, without the noise of a likelihood, and the most
            probable categories. Their range is that of the decoder, such as [0, 1] with `loss="binary_cross_entropy"`.
            Codes without a finite reconstruction are drawn again. With a `TabularAutoencoder` that was fitted to a data
            frame, the result is a data frame.

        Raises
        ------
        ValueError
            If most codes have no finite reconstruction.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        rng, drawn, n_drawn = local_rng(random_state), [], 0
        for _ in range(MAX_DRAWS):
            rows = decode(of_numbers(self.autoencoder_), self._draw(n_samples, rng))
            drawn.append(rows[finite_rows(rows)][: n_samples - n_drawn])
            n_drawn += len(drawn[-1])
            if n_drawn == n_samples:
                rows = np.concatenate(drawn)
                return self.autoencoder_._columns.decode(rows) if is_tabular(self.autoencoder_) else rows
        raise ValueError(
            f"{n_drawn} of {MAX_DRAWS * n_samples} codes that were drawn have a finite reconstruction by "
            f"autoencoder={short_repr(self.autoencoder_)}, but n_samples={n_samples} are required. Use another "
            "density, or a step whose inverse_transform is finite for every code."
        )

    def _draw(self, n_samples, rng):
        """Return codes in random order."""
        density = self.density_
        if "random_state" in inspect.signature(density.sample).parameters:
            drawn = density.sample(n_samples, random_state=rng)
        else:
            drawn = copy.copy(density).set_params(random_state=rng).sample(n_samples)
        codes = drawn[0] if isinstance(drawn, tuple) else drawn  # a mixture also returns components, and sorts by them
        return self.scaler_.inverse_transform(rng.permutation(codes))

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the log-density of the code of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Log-densities in the space of the codes, which are comparable between samples, but not between autoencoders.
            Minus infinity if the code of a sample is NaN or too large, or if all its values are missing.
        """
        check_is_fitted(self)
        row, known = self._known_row, None
        if row is not None and np.shape(X)[1:] == row.shape[1:]:  # otherwise, encode raises an error
            known = framed(X, row)
        codes = encode(self.autoencoder_, X, self, known)
        scores, finite = np.full(len(codes), -np.inf), finite_rows(codes) & ~all_missing(X)
        if finite.any():
            with np.errstate(over="ignore", invalid="ignore"):
                of_finite = self.density_.score_samples(self.scaler_.transform(codes[finite]))
            scores[finite] = np.where(np.isnan(of_finite), -np.inf, of_finite)
        return scores - np.log(self.scaler_.scale_).sum()

    def score(self, X: MatrixLike, y: object = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the mean of `score_samples`.

        This is the mean log-density of codes, unlike PCA's `score`, the mean log-likelihood of samples. It is not
        comparable between different `n_components`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            Mean log-density of the codes.
        """
        return float(np.mean(self.score_samples(X)))

    def _validate_params(self):
        check_invertible(self.autoencoder, type(self).__name__)
        missing = [method for method in WANTED if not hasattr(self.density, method)]
        if self.density is not None and missing:
            raise InvalidParameterError(
                f"The 'density' parameter of {type(self).__name__} must be an object implementing 'fit', 'sample' and "
                f"'score_samples'. Got a {type(self.density).__name__} instead: density={short_repr(self.density)} has "
                f"no {missing[0]}. Use GaussianMixture or KernelDensity, for example."
            )
        super()._validate_params()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = None if self.autoencoder is None else get_tags(self.autoencoder).input_tags
        tags.input_tags.sparse = inner is None or inner.sparse
        tags.input_tags.allow_nan = inner is None or takes_missing(self.autoencoder)
        return tags


def _gaussians(codes, random_state):
    """Return the mixture whose number of components, 1, 2, 4, ..., has the best Bayesian information criterion."""
    best, n, rng = None, 1, local_rng(random_state)
    while n <= min(MAX_GAUSSIANS, len(codes)):
        # its initialization supports only numpy; warnings are ignored, since max_iter is not the user's choice
        with config_context(array_api_dispatch=False), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture = mixture_of(codes, GaussianMixture(n, random_state=random_state), rng)
        if best is not None and (mixture is None or mixture.bic(codes) >= best.bic(codes)):
            break
        best, n = mixture, 2 * n
    return best
