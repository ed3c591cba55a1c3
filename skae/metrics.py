"""Metrics and scorers for anything that has `transform` and `inverse_transform`."""

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


def reconstruction_scorer(estimator: Any, X: ArrayLike, y: object = None) -> float:  # noqa: ARG001 - scikit-learn's signature
    """R² of the reconstruction of X: a scorer for any estimator that transforms there and back.

    It is given as `scoring` to `GridSearchCV`, `cross_val_score` and the like, so that one search compares PCA, NMF,
    KernelPCA with its inverse, a Pipeline of them and autoencoders.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform` and `inverse_transform`.

    X : array-like of shape (n_samples, n_features)
        Data.

    y : Ignored
        Not used, present for API consistency by convention.

    Returns
    -------
    score : float
        `r2_score(X, X_hat, multioutput="variance_weighted")` of `X_hat = inverse_transform(transform(X))`: 1 minus
        the squared error of the reconstruction over the variance of X, summed over features. 1 at best, 0 for the
        mean of X. Where X has missing cells, which the estimator takes, it is that of the others.

    Raises
    ------
    TypeError
        If the estimator can't transform back.

    See Also
    --------
    decoder_smoothness : Whether close codes are decoded to close samples.
    sample_precision_recall : Whether drawn samples are plausible.
    sklearn.metrics.r2_score : The score itself.

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
            f"reconstruction_scorer needs an estimator with inverse_transform, and {estimator!r} has none. "
            "For KernelPCA set fit_inverse_transform=True."
        )
    X_hat = estimator.inverse_transform(estimator.transform(X))
    if is_dispatched(X):
        return float(r2_score(X, X_hat, multioutput="variance_weighted"))
    X = check_array(with_nan(X), dtype=FLOATS, ensure_all_finite="allow-nan", input_name="X")
    return float(r2_of(X, np.asarray(X_hat)))


def decoder_smoothness(estimator: Any, codes: ArrayLike, *, step: float = 0.1, random_state: Seed = None) -> float:
    r"""Whether close codes are decoded to close samples: the variance of decoded samples over what the decoder stretches.

    Each code :math:`z` is decoded beside a neighbor, which is a small step away along a random diagonal:

    .. math::
        c = \frac{\operatorname{tr} \operatorname{Var} g(z)}
                 {\operatorname{E} \lVert g(z + h \Sigma^{1/2} u) - g(z) \rVert^2 / h^2},
        \quad u_j = \pm 1,

    with the decoder :math:`g` (`inverse_transform`) and the diagonal matrix :math:`\Sigma` of the codes' variances. The
    denominator is the squared local stretch of the decoder, in units of the data over units of the codes' own
    spread. By Poincaré's inequality [1]_ it is no less than the variance if the codes are drawn from a normal
    distribution: c is 1 for a linear decoder, and near 0 for one that jumps between samples that have little to do with
    each other. Values near 1 indicate a smooth decoder, suited to interpolation.

    Parameters
    ----------
    estimator : object
        Fitted, with `inverse_transform`.

    codes : array-like of shape (n_samples, n_components)
        Codes. They say where to look: draws from a standard normal if codes are drawn from it, as a variational
        autoencoder's are.

    step : float, default=0.1
        Length h of a step, in standard deviations of each component.

    random_state : int, RandomState instance or None, default=None
        Pass an int for the same result at each call. It draws the diagonals.

    Returns
    -------
    smoothness : float
        Above 0; 1 at best where codes are normal. 1 also of a decoder whose samples are all the same.

    See Also
    --------
    sample_precision_recall : Whether codes are decoded to plausible samples.
    active_units : Which components of a code carry something.
    sklearn.manifold.trustworthiness : Whether close codes are of close samples, for given samples and their codes.

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
    r"""Whether drawn samples are plausible, and whether all that is plausible is drawn: precision and recall [1]_.

    A sample is plausible by a sample if it lies in the ball around one of the sample's samples that reaches to that
    row's `n_neighbors`-th nearest neighbor within the sample. Precision is the share of the drawn samples that are
    plausible by X; recall is the share of the samples of X that are plausible by those drawn.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Data. Nothing was fitted to them. Distances are Euclidean: give samples for which they mean something, or embed
        both samples before.

    X_drawn : array-like of shape (n_drawn, n_features)
        What was drawn. Take as many as there are samples of X: the balls are the smaller the larger a sample is.

    n_neighbors : int, default=3
        Size of the neighbourhoods.

    Returns
    -------
    precision, recall : float
        Between 0 and 1; of two samples of one distribution they are alike, and below 1.

    Raises
    ------
    ValueError
        If the samples differ in their number of features, or cells are missing, or the smaller has no more than
        `n_neighbors` samples.

    See Also
    --------
    decoder_smoothness : Whether close codes are decoded to close samples.
    skae.LatentSampler : Draws samples.

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
    >>> zeros = X_drawn[y[800:] == 0]  # plausible, but not all there is
    >>> precision, recall = sample_precision_recall(X[:800], zeros)
    >>> precision > 0.6 and recall < 0.1
    True
    """
    X, X_drawn = _checked_rows(X, "X"), _checked_rows(X_drawn, "X_drawn")
    if X.shape[1] != X_drawn.shape[1]:
        raise ValueError(f"X_drawn has {X_drawn.shape[1]} features, but X has {X.shape[1]}.")
    most = min(len(X), len(X_drawn)) - 1
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    if n_neighbors > most:
        raise ValueError(
            f"n_neighbors={n_neighbors} needs more than {n_neighbors} samples in each sample, and the smaller has "
            f"{most + 1}. Draw more, or lower n_neighbors."
        )
    return _share_within(X, X_drawn, n_neighbors), _share_within(X_drawn, X, n_neighbors)


def _checked_rows(X, name):
    X = check_array(with_nan(X), ensure_all_finite="allow-nan", input_name=name)
    if np.isnan(X).any():
        raise ValueError(
            f"{name} has missing cells (NaN), and distances are between whole samples. Fill them, such as by "
            f"impute({name}) of an autoencoder."
        )
    return X


def _share_within(X, others, n_neighbors):
    """Share of the other samples that lie in the neighbourhood of one of X."""
    radii = neighbors_of(X, n_neighbors).kneighbors()[0][:, -1]  # a sample is no neighbor of its own
    distances = pairwise_distances_chunked(others, X)
    return float(np.mean(np.concatenate([(some <= radii).any(axis=1) for some in distances])))


def active_units(codes: ArrayLike, *, threshold: float = 0.01) -> NDArray[np.bool_]:
    r"""Which components of a code carry something: those that vary by more than a threshold [1]_.

    .. math:: \operatorname{Var}_x \operatorname{E}[z_c \mid x] > \text{threshold}

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Codes. They are posterior means of samples, as a variational autoencoder's `transform` gives them: in units of
        its prior's standard deviation.

    threshold : float, default=0.01
        Least variance.

    Returns
    -------
    active : ndarray of bool of shape (n_components,)
        True for a component that varies by more.

    See Also
    --------
    decoder_smoothness : Whether close codes are decoded to close samples.
    skae.VariationalAutoencoder : Its `active_units_` are those of the training data.

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
