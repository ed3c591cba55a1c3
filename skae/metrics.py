"""Metrics and scorers for estimators with `transform` and `inverse_transform`."""

import skae._dependencies  # noqa: F401 - must be imported first

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import pairwise_distances_chunked, r2_score
from sklearn.utils import check_array, check_random_state, check_scalar

from skae._array_api import is_dispatched
from skae._data.readers import FLOATS, with_nan
from skae._solvers import neighbors_of, r2_of
from skae._typing import Seed

__all__ = ["active_units", "decoder_smoothness", "reconstruction_scorer", "sample_precision_recall"]


def reconstruction_scorer(estimator: Any, X: ArrayLike, y: object = None) -> float:  # noqa: ARG001 - scorer API
    """Compute R² of the reconstruction of X: a scorer for any estimator with `inverse_transform`.

    Pass it as `scoring` to `GridSearchCV`, `cross_val_score` and similar functions, to compare PCA, NMF, KernelPCA with
    its inverse, pipelines of them and autoencoders in a single search.

    Parameters
    ----------
    estimator : object
        Fitted estimator with `transform` and `inverse_transform`.

    X : array-like of shape (n_samples, n_features)
        Data.

    y : Ignored
        Not used, present for API consistency by convention.

    Returns
    -------
    score : float
        `r2_score(X, X_hat, multioutput="variance_weighted")` of `X_hat = inverse_transform(transform(X))`: 1 minus
        the ratio of the squared error of the reconstruction to the variance of X, both summed over features. The best
        value is 1; the mean of X scores 0. Missing values of X, if the estimator supports them, are ignored.

    Raises
    ------
    TypeError
        If the estimator has no `inverse_transform`.

    See Also
    --------
    decoder_smoothness : Compute whether similar codes are decoded to similar samples.
    sample_precision_recall : Compute precision and recall of generated samples.
    sklearn.metrics.r2_score : Compute R² from samples and reconstructions.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import NMF, PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import Pipeline
    >>> from skae.metrics import reconstruction_scorer
    >>> X, _ = load_digits(return_X_y=True)
    >>> pipe = Pipeline([("reduce", PCA())])
    >>> candidates = {"reduce": [PCA(8), NMF(8, max_iter=1000, random_state=0)]}
    >>> search = GridSearchCV(pipe, candidates, scoring=reconstruction_scorer).fit(X)
    >>> search.best_params_["reduce"]
    PCA(n_components=8)
    >>> bool(search.best_score_ > 0.6)
    True
    """
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            f"reconstruction_scorer requires an estimator with inverse_transform, but {estimator!r} has none. "
            "For KernelPCA set fit_inverse_transform=True."
        )
    X_hat = estimator.inverse_transform(estimator.transform(X))
    if is_dispatched(X):
        return float(r2_score(X, X_hat, multioutput="variance_weighted"))
    X = check_array(with_nan(X), dtype=FLOATS, ensure_all_finite="allow-nan", input_name="X")
    return float(r2_of(X, np.asarray(X_hat)))


def decoder_smoothness(estimator: Any, codes: ArrayLike, *, step: float = 0.1, random_state: Seed = None) -> float:
    r"""Compute the smoothness of a decoder: the variance of decoded samples over the squared stretch of the decoder.

    It measures whether similar codes are decoded to similar samples. Each code :math:`z` is compared with a neighbor at
    a small distance along a random diagonal:

    .. math::
        c = \frac{\operatorname{tr} \operatorname{Var} g(z)}
                 {\operatorname{E} \lVert g(z + h \Sigma^{1/2} u) - g(z) \rVert^2 / h^2},
        \quad u_j = \pm 1,

    with the decoder :math:`g` (`inverse_transform`) and the diagonal matrix :math:`\Sigma` of the variances of the
    codes. The denominator is the squared local stretch of the decoder, in units of the data per standard deviation of
    the codes. If the codes are drawn from a normal distribution, it is at least as large as the variance, by Poincaré's
    inequality [1]_: c is 1 for a linear decoder, and near 0 for a decoder that jumps between unrelated samples. Values
    near 1 indicate a smooth decoder, suited to interpolation.

    Parameters
    ----------
    estimator : object
        Fitted estimator with `inverse_transform`.

    codes : array-like of shape (n_samples, n_components)
        Codes. For models whose codes are drawn from a standard normal distribution, such as variational autoencoders,
        pass draws from it.

    step : float, default=0.1
        Step size h, in standard deviations of each component.

    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible results across multiple function calls. It determines the random diagonals.

    Returns
    -------
    smoothness : float
        A positive number, at most 1 for normally distributed codes. It is also 1 if all decoded samples are equal.

    See Also
    --------
    sample_precision_recall : Compute precision and recall of generated samples.
    active_units : Find the components of a code that vary.
    sklearn.manifold.trustworthiness : Compute to what extent codes preserve the neighborhoods of samples.

    References
    ----------
    .. [1] H. Chernoff (1981). "A Note on an Inequality Involving the Normal Distribution". Annals of Probability 9.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import decoder_smoothness
    >>> X, _ = load_digits(return_X_y=True)
    >>> pca = PCA(8, whiten=True).fit(X)
    >>> codes = np.random.RandomState(0).randn(5000, 8)
    >>> round(decoder_smoothness(pca, codes, random_state=0), 1)
    1.0
    """
    codes = check_array(codes, ensure_min_samples=2, input_name="codes")
    check_scalar(step, "step", Real, min_val=0, include_boundaries="neither")
    directions = check_random_state(random_state).choice([-1.0, 1.0], size=codes.shape) * codes.std(axis=0)
    decoded = np.asarray(estimator.inverse_transform(codes))
    moved = np.asarray(estimator.inverse_transform(codes + step * directions))
    stretch = np.square((moved - decoded) / step).sum(axis=1).mean()
    return float(decoded.var(axis=0).sum() / stretch) if stretch > 0 else 1.0


def sample_precision_recall(X: ArrayLike, X_drawn: ArrayLike, *, n_neighbors: int = 3) -> tuple[float, float]:
    r"""Compute precision and recall of generated samples [1]_: whether they are plausible and cover the data.

    The support of a data set is estimated by the union of balls around its samples, with a radius of the distance to
    the `n_neighbors`-th nearest neighbor in the data set. Precision is the fraction of the generated samples in the
    support of X; recall is the fraction of the samples of X in the support of the generated samples.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Data. They should not have been used to fit the model. Distances are Euclidean: if they are not meaningful for
        the data, embed both X and X_drawn.

    X_drawn : array-like of shape (n_drawn, n_features)
        Generated samples. Their number should be that of X, since the radius depends on the number of samples.

    n_neighbors : int, default=3
        Number of neighbors that determines the radius.

    Returns
    -------
    precision, recall : float
        Between 0 and 1. For two data sets from the same distribution, they are similar, and below 1.

    Raises
    ------
    ValueError
        If X and X_drawn differ in the number of features, or have missing values, or one of them has at most
        `n_neighbors` samples.

    See Also
    --------
    decoder_smoothness : Compute whether similar codes are decoded to similar samples.
    skae.LatentSampler : Generate samples.

    References
    ----------
    .. [1] T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila (2019). "Improved Precision and Recall Metric for
       Assessing Generative Models". Advances in Neural Information Processing Systems 32.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.metrics import sample_precision_recall
    >>> X, y = load_digits(return_X_y=True)
    >>> sample_precision_recall(X[:800], X[:800])
    (1.0, 1.0)
    >>> X_drawn = X[800:]
    >>> precision, recall = sample_precision_recall(X[:800], X_drawn)
    >>> precision > 0.6 and recall > 0.6
    True
    >>> zeros = X_drawn[y[800:] == 0]  # plausible, but a single class
    >>> precision, recall = sample_precision_recall(X[:800], zeros)
    >>> precision > 0.6 and recall < 0.1
    True
    """
    X, X_drawn = _check_samples(X, "X"), _check_samples(X_drawn, "X_drawn")
    if X.shape[1] != X_drawn.shape[1]:
        raise ValueError(f"X_drawn has {X_drawn.shape[1]} features, but X has {X.shape[1]}.")
    most = min(len(X), len(X_drawn)) - 1
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    if n_neighbors > most:
        raise ValueError(
            f"n_neighbors={n_neighbors} requires more than {n_neighbors} samples, but X or X_drawn has {most + 1}. "
            "Pass more samples, or decrease n_neighbors."
        )
    return _fraction_within(X, X_drawn, n_neighbors), _fraction_within(X_drawn, X, n_neighbors)


def _check_samples(X, name):
    X = check_array(with_nan(X), ensure_all_finite="allow-nan", input_name=name)
    if np.isnan(X).any():
        raise ValueError(
            f"{name} has missing values (NaN), which distances do not support. Impute them, for example with "
            f"the method impute({name}) of an autoencoder."
        )
    return X


def _fraction_within(X, others, n_neighbors):
    """Return the fraction of the other samples in the union of the balls around the samples of X."""
    radii = neighbors_of(X, n_neighbors).kneighbors()[0][:, -1]  # samples are not their own neighbors
    distances = pairwise_distances_chunked(others, X)
    return float(np.mean(np.concatenate([(some <= radii).any(axis=1) for some in distances])))


def active_units(codes: ArrayLike, *, threshold: float = 0.01) -> NDArray[np.bool_]:
    r"""Find the active components of a code: those whose variance exceeds a threshold [1]_.

    .. math:: \operatorname{Var}_x \operatorname{E}[z_c \mid x] > \text{threshold}

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Codes. For a variational autoencoder, they are the posterior means that `transform` returns, in units of the
        standard deviation of the prior.

    threshold : float, default=0.01
        Minimum variance.

    Returns
    -------
    active : ndarray of bool of shape (n_components,)
        True for components whose variance exceeds the threshold.

    See Also
    --------
    decoder_smoothness : Compute whether similar codes are decoded to similar samples.
    skae.VariationalAutoencoder : Its `active_units_` are the active components for the training data.

    References
    ----------
    .. [1] Y. Burda, R. Grosse, R. Salakhutdinov (2016). "Importance Weighted Autoencoders". International Conference on
       Learning Representations.

    Examples
    --------
    >>> from skae.metrics import active_units
    >>> active_units([[0.9, 0.01], [-1.1, 0.02], [0.2, 0.0]])
    array([ True, False])
    """
    codes = check_array(codes, ensure_min_samples=2, input_name="codes")
    check_scalar(threshold, "threshold", Real, min_val=0)
    return codes.var(axis=0, ddof=1) > threshold
