"""scikit-learn's algorithms, without calls of an estimator's `fit`.

Tools that record fits, such as `mlflow.sklearn.autolog`, wrap the methods `fit`, `fit_transform` and `fit_predict` of
each of scikit-learn's estimators. They should record the fits that a user calls, but not those nested in them.
Therefore this module calls only functions, private methods, and methods of base classes that aren't wrapped.
"""

import numpy as np
import scipy.linalg
from scipy.cluster import vq
from sklearn.cluster import kmeans_plusplus
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.utils.extmath import _incremental_mean_and_var, svd_flip

MAX_FULL = 2**27  # n_samples * n_features * min(n_samples, n_features) of a full singular value decomposition
MAX_WIDTH_COVARIANCE = 4096  # features: the matrix takes 128 MiB


def pca_of(X, n_components, seed=None, *, solver="auto", exact=False):
    """Fit PCA.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n, d)

    n_components : int or "mle"

    seed : int, default=None
        Seed of randomized solvers.

    solver : str, default="auto"
        PCA's `svd_solver`.

    exact : bool, default=False
        Whether to replace "auto" by a solver that isn't randomized.

    Returns
    -------
    pca : PCA
        Fitted.
    """
    if exact and solver == "auto":
        solver = _exact_solver(*X.shape, n_components)
    pca = PCA(n_components, svd_solver=solver, random_state=seed)
    with np.errstate(divide="ignore", invalid="ignore"):  # the variance ratio of constant samples, which is unused
        pca._fit(X)
    return pca


def _exact_solver(n, d, n_components):
    """Return a deterministic solver if PCA's "auto" may be randomized, else "auto"."""
    if max(n, d) <= 500 or (d <= 1000 and n >= 10 * d) or not 1 <= n_components < 0.8 * min(n, d):
        return "auto"
    if n * d * min(n, d) <= MAX_FULL or (n <= MAX_WIDTH_COVARIANCE and d >= 8 * n):
        return "full"
    return "covariance_eigh" if d <= min(n, MAX_WIDTH_COVARIANCE) else "arpack"


def merged_pca(mean, components, singular_values, n_rows, batch):
    """Update PCA with a batch of samples, as `IncrementalPCA` does (Ross et al., 2008).

    Parameters
    ----------
    mean : ndarray of shape (d,)

    components : ndarray of shape (k, d)

    singular_values : ndarray of shape (k,)

    n_rows : int
        Number of samples seen before. If 0, k is the number of components to compute.

    batch : ndarray of shape (n, d)

    Returns
    -------
    mean, components, singular_values, n_rows
        The updated values. With fewer than k samples in all, there are fewer components.
    """
    k, n = len(singular_values), n_rows + len(batch)
    own_mean = batch.mean(axis=0)
    rows = batch - own_mean
    if n_rows:
        correction = np.sqrt(n_rows / n * len(batch)) * (mean - own_mean)
        rows = np.vstack([singular_values[:, None] * components, rows, correction])
    if k:
        left, singular_values, components = scipy.linalg.svd(rows, full_matrices=False, check_finite=False)
        _, components = svd_flip(left, components, u_based_decision=False)
    return mean + (own_mean - mean) * (len(batch) / n), components[:k], singular_values[:k], n


def scaler_of(X):
    """Return a `StandardScaler` fitted to X of shape (n, d)."""
    scaler = StandardScaler()
    update_scaler(scaler, X)
    return scaler


def update_scaler(scaler, X):
    """Update a `StandardScaler` with X of shape (n, d), ignoring NaN, as its `partial_fit` does."""
    n_before = getattr(scaler, "n_samples_seen_", 0)
    before = (scaler.mean_, scaler.var_) if np.any(n_before) else (0.0, 0.0)
    counts = np.zeros(X.shape[1], dtype=np.int64) + n_before
    missing = np.isnan(X)
    if missing.any() and (empty := missing.all(axis=0)).any():  # features without an observed value are unchanged
        mean, variance, _ = _incremental_mean_and_var(np.where(empty, 0.0, X), *before, counts)
        old = [np.zeros(X.shape[1]) + value for value in before]
        mean, variance = np.where(empty, old[0], mean), np.where(empty, old[1], variance)
        counts = counts + (~missing).sum(axis=0)
    else:
        mean, variance, counts = _incremental_mean_and_var(X, *before, counts)
    n, eps = counts[0] if np.ptp(counts) == 0 else counts, np.finfo(np.float64).eps
    rounding = n * eps * variance + np.square(n * mean * eps)
    scaler.mean_, scaler.var_, scaler.n_samples_seen_ = mean, variance, n
    scaler.scale_ = np.where(variance <= rounding, 1.0, np.sqrt(variance))
    scaler.n_features_in_ = X.shape[1]


def mixture_of(X, mixture, rng):
    """Fit a `GaussianMixture` to X of shape (n, d), starting from k-means clusters, as its `fit` does.

    Parameters
    ----------
    X : ndarray of shape (n, d)

    mixture : GaussianMixture
        The `covariance_type` must be "full".

    rng : RandomState
        Used by k-means.

    Returns
    -------
    mixture : GaussianMixture or None
        None if a cluster is empty.
    """
    n_clusters = mixture.n_components
    centers, _ = kmeans_plusplus(X, n_clusters, random_state=rng)
    if n_clusters > 1:
        centers, _ = vq.kmeans(X, centers)
    clusters, _ = vq.vq(X, centers)
    counts = np.bincount(clusters, minlength=n_clusters)
    if not counts.all():
        return None
    means, precisions = [], []
    for cluster in range(n_clusters):
        members = X[clusters == cluster]
        means.append(members.mean(axis=0))
        centered = members - means[-1]
        covariance = centered.T @ centered / len(members) + mixture.reg_covar * np.eye(X.shape[1])
        precisions.append(scipy.linalg.pinvh(covariance))
    start = {"weights_init": counts / len(X), "means_init": np.array(means), "precisions_init": np.array(precisions)}
    super(GaussianMixture, mixture.set_params(**start)).fit_predict(X)
    return mixture.set_params(**dict.fromkeys(start))


def r2_of(X, X_hat):
    """Return R² of reconstructions of shape (n, d) over the observed values of X, weighting features by variance."""
    there = ~np.isnan(X)
    if there.all():
        return r2_score(X, X_hat, multioutput="variance_weighted")
    mean = np.where(there, X, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    error, total = (np.square(np.where(there, X - other, 0.0)).sum(axis=0) for other in (X_hat, mean))
    varying = total > 0
    return 1 - error[varying].sum() / total.sum() if varying.any() else float((error == 0).mean())  # as `r2_score` does


def neighbors_of(X, n_neighbors):
    """Return a `NearestNeighbors` fitted to X of shape (n, d)."""
    neighbors = NearestNeighbors(n_neighbors=n_neighbors)
    neighbors._fit(X)
    return neighbors
