"""New samples from a density of the codes."""

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
    blank_rows,
    check_invertible,
    decode,
    encode,
    finite_rows,
    first_row,
    fit_parameters,
    framed,
    is_tabular,
    of_numbers,
    refuse_empty,
    short_repr,
    takes_missing,
)

N_COMPONENTS = 8
MAX_GAUSSIANS = 32
MAX_DRAWS = 10  # times as many codes as samples are wanted, if some can't be decoded
WANTED = ("fit", "sample", "score_samples")


class LatentSampler(DensityMixin, MetaEstimatorMixin, DocLinkMixin, BaseEstimator):
    r"""Draw new samples: codes from a density that was fitted to the codes of the training data, decoded.

    An autoencoder does not say how its codes are spread. A density :math:`q` that is fitted to them afterwards does,
    and makes a generator of any autoencoder, without a prior for its training to keep to [1]_:

    .. math:: z \sim q, \qquad x = g(z)

    The codes are standardized first, so that a density's defaults suit them.

    Parameters
    ----------
    autoencoder : estimator, default=None
        With `transform` and `inverse_transform`: one of this package's, PCA, or a Pipeline of them. It is cloned and
        fitted; wrap one that is fitted in scikit-learn's `FrozenEstimator` to use it as it is. None is
        `Autoencoder(8)`, or `Autoencoder(d)` for d < 8 features.

    density : estimator, default=None
        With `sample` and `score_samples`, such as `KernelDensity`; cloned and fitted to the codes. None is a
        `GaussianMixture`, whose number of components is doubled, up to 32, while the Bayesian information criterion
        falls.

    random_state : int, RandomState instance or None, default=None
        Seeds the autoencoder and the density where their own is None.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.

    scaler_ : StandardScaler
        What standardizes its codes.

    density_ : estimator
        The density, fitted to the standardized codes.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during fit. Defined only if X has feature names that are all strings.

    See Also
    --------
    AutoencoderOutlierDetector : Says which samples are odd.
    VariationalAutoencoder : Its `sample` draws codes from the prior.
    skae.metrics.sample_precision_recall : How plausible drawn samples are.

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

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's own way
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
            Passed on to the autoencoder.

        X_val : {array-like, sparse matrix} of shape (n_samples_val, n_features), default=None
            Samples by which the epoch is chosen. They are passed on to the autoencoder.

        groups : array-like of shape (n_samples,), default=None
            Labels of samples that belong together, such as those of one patient. They are passed on to the autoencoder,
            or to the last step of a Pipeline.

        Returns
        -------
        self : LatentSampler
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            A ValueError and a TypeError: if the autoencoder can't transform back, or the density can't be sampled.

        ValueError
            If X is not as it should be, or its codes hold NaN or infinity.
        """
        n_features = np.shape(X)[1] if len(np.shape(X)) == 2 else N_COMPONENTS  # what is no table, fit will refuse
        default = Autoencoder(max(1, min(N_COMPONENTS, n_features)))
        autoencoder = cloned(default if self.autoencoder is None else self.autoencoder, self.random_state)
        autoencoder.fit(X, y, **fit_parameters(autoencoder, X_val=X_val, groups=groups))
        codes = encode(autoencoder, X)
        refuse_empty(codes, autoencoder)
        n_bad = int((~finite_rows(codes)).sum())
        if n_bad:
            raise ValueError(
                f"The codes of {n_bad} of {len(codes)} samples of X hold NaN or infinity, and have no density: "
                f"autoencoder={short_repr(autoencoder)} can't encode them. Look at its transform(X), and leave these "
                "samples out, or change the step that has no number for them."
            )
        codes = codes[~blank_rows(X)]  # whose codes are all the same
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
        """Draw new samples.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        random_state : int, RandomState instance or None, default=None
            Pass an int for the same result at each call. The estimator's own is for `fit` alone.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Decoded codes, in no order: means, to which no noise of a likelihood is added, and of categories the
            likeliest. They stay in the range that the decoder has, such as [0, 1] with `loss="binary_cross_entropy"`. A
            code that has no finite reconstruction is drawn anew. Those of a `TabularAutoencoder` are a frame, if it was
            fitted to one.

        Raises
        ------
        ValueError
            If most codes have none.
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
            f"autoencoder={short_repr(self.autoencoder_)}, and n_samples={n_samples} are wanted: the others lie where "
            "it has no number. Choose another density, or a step whose inverse_transform has a number for every code."
        )

    def _draw(self, n_samples, rng):
        """Codes in no order."""
        density = self.density_
        if "random_state" in inspect.signature(density.sample).parameters:
            drawn = density.sample(n_samples, random_state=rng)
        else:  # it draws with a generator of its own
            drawn = copy.copy(density).set_params(random_state=rng).sample(n_samples)
        codes = drawn[0] if isinstance(drawn, tuple) else drawn  # a mixture's come with their components, and sorted
        return self.scaler_.inverse_transform(rng.permutation(codes))

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the logarithm of the density at the code of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In the space of the codes, not of the samples: to compare samples, not autoencoders. Minus infinity for
            samples that have no code: it is NaN or too large, or all cells are missing.
        """
        check_is_fitted(self)
        row, known = self._known_row, None
        if row is not None and np.shape(X)[1:] == row.shape[1:]:  # else there is an error to come
            known = framed(X, row)
        codes = encode(self.autoencoder_, X, self, known)
        scores, finite = np.full(len(codes), -np.inf), finite_rows(codes) & ~blank_rows(X)
        if finite.any():
            with np.errstate(over="ignore", invalid="ignore"):
                of_finite = self.density_.score_samples(self.scaler_.transform(codes[finite]))
            scores[finite] = np.where(np.isnan(of_finite), -np.inf, of_finite)
        return scores - np.log(self.scaler_.scale_).sum()

    def score(self, X: MatrixLike, y: object = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the mean of `score_samples`.

        It is not PCA's `score`, the log-likelihood of samples, but that of codes. It does not compare samplers of
        different `n_components`: with their number it changes whatever the samples are.

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
                f"no {missing[0]}. Take GaussianMixture, KernelDensity, or the like."
            )
        super()._validate_params()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = None if self.autoencoder is None else get_tags(self.autoencoder).input_tags
        tags.input_tags.sparse = inner is None or inner.sparse
        tags.input_tags.allow_nan = inner is None or takes_missing(self.autoencoder)
        return tags


def _gaussians(codes, random_state):
    """A mixture with as many components as the Bayesian information criterion likes best, of 1, 2, 4, ..."""
    best, n, rng = None, 1, local_rng(random_state)
    while n <= min(MAX_GAUSSIANS, len(codes)):
        # its way of starting is for numpy alone; and the user didn't choose its number of iterations
        with config_context(array_api_dispatch=False), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture = mixture_of(codes, GaussianMixture(n, random_state=random_state), rng)
        if best is not None and (mixture is None or mixture.bic(codes) >= best.bic(codes)):
            break
        best, n = mixture, 2 * n
    return best
