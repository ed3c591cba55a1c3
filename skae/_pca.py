"""PCA as the initialization of networks, and the axes of the codes that `transform` returns."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from sklearn.utils.extmath import svd_flip
from sklearn.utils.sparsefuncs import inplace_column_scale

from skae._solvers import MAX_WIDTH_COVARIANCE, merged_pca, pca_of

RIDGE = 1e-6  # fraction of the mean variance that is added to the diagonal, which makes a matrix invertible
MIN_RIDGE = 1e-100  # for constant samples: far above the numbers that LAPACK treats as zero
MIN_UNIT = 1e-3  # minimum scale factor of a component, relative to the largest standard deviation


@dataclass(frozen=True)
class LinearInit:
    """PCA of scaled samples, or another linear optimum, as a linear encoder and decoder.

    Attributes
    ----------
    mean : ndarray of shape (d,)

    components : ndarray of shape (k, d)
        Principal axes. If there are more components than min(n, d), the others are zero.

    variance : ndarray of shape (k,)
        Variance of the scores, with n - 1 in the denominator.

    unit : ndarray of shape (k,)
        Scale factor from the internal code to the scores: their standard deviation, or a lower limit if that is
        smaller.

    filters : ndarray of shape (k, d) or None
        Matrix that maps centered samples to scores. If None, it is `components`.

    seen_mean : ndarray of shape (d,) or None
        Mean by which `filters` centers samples. If None, it is `mean`.

    rest : float or None
        Total variance along all other axes, or None if it is unknown.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    unit: np.ndarray
    filters: np.ndarray | None = None
    seen_mean: np.ndarray | None = None
    rest: float | None = None

    @property
    def is_pca(self):
        """Whether the scores are those of PCA."""
        return self.filters is None

    @classmethod
    def of(cls, mean, components, variance, n_components, unit=None, rest=None):
        """Create an initialization, padded with zero components."""
        missing = n_components - len(variance)
        variance = np.pad(variance, (0, missing))
        deviation = np.sqrt(variance)
        most = deviation.max(initial=0.0)
        if unit is None:
            unit = np.maximum(deviation, MIN_UNIT * most) if most > 0 else np.ones(n_components)
        return cls(mean, np.pad(components, ((0, missing), (0, 0))), variance, unit, rest=rest)

    @classmethod
    def of_decoder(cls, weight):
        """Create it from a linear decoder, (d, k), whose columns are principal axes times standard deviations."""
        lengths = np.linalg.norm(weight, axis=0)
        components = np.divide(weight, lengths, out=np.zeros_like(weight), where=lengths > 0).T
        return cls.of(np.zeros(len(weight)), components, np.square(lengths), len(lengths))

    @classmethod
    def of_weights(cls, weights, variance):
        """Create it from the weights that `weights` returned."""
        start = cls.of(weights["decoder.linear.bias"], weights["decoder.linear.weight"].T, variance, len(variance))
        return replace(start, components=start.components / start.unit[:, None])

    def axes(self, unit, whiten=False):
        """Return parameters of a `LatentTransform` from the internal code to PCA's scores.

        `unit` is the scale factor from scaled samples to X.
        """
        k = len(self.unit)
        return self.unit * unit, np.zeros(k), np.eye(k), deviation_of(self.variance * unit**2, whiten)

    def rotated(self, turn, unit=None):
        """Return the same map with the code multiplied by an orthogonal matrix, and optionally with other units."""
        variance = np.square(turn) @ self.variance
        return replace(
            LinearInit.of(self.mean, turn @ self.components, variance, len(variance), unit),
            filters=None if self.filters is None else turn @ self.filters,
            seen_mean=self.seen_mean,
        )

    def weights(self):
        """Return the weights of the linear branches: (x - mean) V' / unit and z unit V + mean, for components V."""
        filters = self.components if self.filters is None else self.filters
        seen_mean = self.mean if self.seen_mean is None else self.seen_mean
        encoder, decoder = filters / self.unit[:, None], (self.components * self.unit[:, None]).T
        return {
            "encoder.linear.weight": encoder,  # (k, d)
            "encoder.linear.bias": -encoder @ seen_mean,
            "encoder.extrapolation": encoder,
            "decoder.linear.weight": decoder,  # (d, k)
            "decoder.linear.bias": self.mean,
            "decoder.extrapolation": decoder,
        }


def linear_init(rows, n_components, seed, *, exact=False):
    """Return PCA of `rows`, padded to `n_components`.

    scikit-learn's PCA is used for sparse data, and for data that fit into memory. Otherwise the covariance is summed
    batch by batch, or, if there are too many features for that, PCA is updated batch by batch, as in `IncrementalPCA`.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    n_components : int
        If larger than min(n, d), the remaining components are zero.

    seed : int
        Seed of PCA's randomized solver.

    exact : bool, default=False
        Whether to avoid randomized solvers.

    Returns
    -------
    start : LinearInit
    """
    k, rest = min(*rows.shape, n_components), None
    if k == 0:
        mean = sum(batch.sum(axis=0) for batch in rows.batches()) / len(rows)
        components, variance = np.zeros((0, rows.shape[1])), np.zeros(0)
    elif rows.sparse:
        mean, components, variance, rest = _pca_of_sparse(rows, k, seed)
    elif rows.fits:
        mean, components, variance, rest = _pca_of(rows.read(slice(None)), k, seed, exact=exact)
    elif rows.shape[1] <= MAX_WIDTH_COVARIANCE:
        mean, covariance = covariance_of(rows)
        components, variance = _principal(covariance, k)
        rest = max(np.trace(covariance) - variance.sum(), 0.0)
    else:
        mean, components, deviations, n = np.zeros(rows.shape[1]), None, np.empty(k), 0
        for batch in rows.batches(at_least=k):
            mean, components, deviations, n = merged_pca(mean, components, deviations, n, batch)
        variance = np.square(deviations) / (n - 1)
    return LinearInit.of(mean, components, variance, n_components, rest=rest)


def _pca_of(rows, k, *args, **options):
    """Return the mean, components and variances, and the variance along all other axes."""
    pca = pca_of(rows, k, *args, **options)
    rest = max(pca.noise_variance_, 0.0) * (min(rows.shape) - k)
    return pca.mean_, pca.components_, pca.explained_variance_, rest


def _pca_of_sparse(rows, k, seed):
    """Return PCA of sparse samples, which are scaled but not centered to preserve sparsity, and shift the mean."""
    X = csr_array(rows.X if rows.index is None else rows.X[rows.index], dtype=np.float64, copy=True)
    inplace_column_scale(X, rows.per_unit)
    X.eliminate_zeros()
    if X.nnz == 0:  # arpack fails on zeros
        return np.zeros(X.shape[1]), np.eye(k, X.shape[1]), np.zeros(k), 0.0
    if k < min(X.shape):
        mean, *found = _pca_of(X, k, seed, solver="arpack")
    elif len(rows) < X.shape[1]:  # as many components as samples: they are as large as the dense samples
        mean, *found = _pca_of(X.toarray(), k, solver="full")
    else:
        mean, *found = _pca_of(X, k, solver="covariance_eigh")
    return mean - rows.mean * rows.per_unit, *found


def covariance_of(rows):
    """Return the mean, (d,), and covariance, (d, d), summed batch by batch. Samples must be nearly centered."""
    n, d = rows.shape
    total, products = np.zeros(d), np.zeros((d, d))
    for batch in rows.batches():
        total += batch.sum(axis=0)
        products += batch.T @ batch
    mean = total / n
    return mean, (products - n * np.outer(mean, mean)) / max(n - 1, 1)


def _principal(covariance, k):
    """Return the first k principal axes of a covariance, (k, d), and the variance along each, (k,)."""
    variance, vectors = np.linalg.eigh(covariance)
    _, components = svd_flip(None, vectors[:, ::-1].T[:k], u_based_decision=False)
    return components, variance[::-1][:k].clip(min=0.0)


def auto_n_components(rows, choice, seed):
    """Return PCA's number of components for a fraction of the variance, "mle" or None.

    Raises
    ------
    ValueError
        If the required spectrum is too large to compute, or if there are more features than samples for "mle".
    """
    n, d = rows.shape
    if choice is None:
        return min(n, d)
    if (min(n, d) if rows.sparse else 0 if rows.fits else d) > MAX_WIDTH_COVARIANCE:
        raise ValueError(
            f"n_components={choice!r} requires the whole spectrum of X, which has n_features={d}: more than "
            f"{MAX_WIDTH_COVARIANCE}, the maximum for sparse or large data. Set n_components to an int."
        )
    if choice == "mle" and n < d:
        raise ValueError(
            f"n_components='mle' is only supported if n_samples >= n_features, got n_samples={n} and n_features={d}. "
            "Set n_components to an int or to a fraction of the variance."
        )
    if choice == "mle" and (rows.fits or n < 2 * d):  # these are at most as large as two covariances
        return max(1, pca_of(rows.read(slice(None)), "mle").n_components_)
    variance = linear_init(rows, min(n, d), seed).variance
    if not variance.any():
        return 1
    if choice == "mle":
        return max(1, _mle_of_spectrum(variance, n))
    reached = np.searchsorted(np.cumsum(variance / variance.sum()), choice, side="right")
    return int(min(reached + 1, len(variance)))


def _mle_of_spectrum(variance, n):
    """Return PCA's number of components by Minka's MLE, given the spectrum, (d,), and the number of samples.

    MLE depends on these only, so it is computed from n >= 2 d samples with this spectrum, most of which are zero.
    """
    d = len(variance)
    half = np.sqrt(variance * (n - 1) / 2)
    rows = csr_array((np.concatenate([half, -half]), (np.arange(2 * d), np.tile(np.arange(d), 2))), shape=(n, d))
    return pca_of(rows, "mle", solver="covariance_eigh").n_components_


def deviation_of(variance, whiten):
    """Return the divisor of codes of this variance: their standard deviation if they are whitened, else 1.

    The precision of a spectrum is limited by the rounding of its largest variance, for which the tolerance of
    `np.linalg.matrix_rank` is used. Smaller variances are replaced by it, so that noise is not amplified.
    """
    if not whiten or not variance.any():
        return np.ones(len(variance))
    return np.sqrt(variance.clip(min=len(variance) * np.finfo(np.float64).eps * variance.max()))


def principal_axes(batches, *, rotate=True):
    """Return axes in which codes are centered, uncorrelated, sorted by variance, and have deterministic signs.

    The signs follow `sklearn.utils.extmath.svd_flip`, applied to the loadings, which are the covariances of a component
    with the features: the largest in absolute value is positive. For PCA's scores these are PCA's signs.

    Parameters
    ----------
    batches : iterable of (codes, samples)
        Arrays of shape (n, k) and (n, d).

    rotate : bool
        If False, the order of the components is preserved: only their signs may change.

    Returns
    -------
    mean : ndarray of shape (k,)

    rotation : ndarray of shape (k, k)
        The transformed codes are (codes - mean) @ rotation.T.

    variance : ndarray of shape (k,)
        Variance of the transformed codes, with n - 1 in the denominator.
    """
    n, total, products, row_total, row_products = 0, 0.0, 0.0, 0.0, 0.0
    for codes, rows in batches:
        n += len(codes)
        total, products = total + codes.sum(axis=0), products + codes.T @ codes
        row_total, row_products = row_total + rows.sum(axis=0), row_products + codes.T @ rows
    mean = total / n
    covariance = (products - n * np.outer(mean, mean)) / (n - 1)
    loadings = row_products - np.outer(mean, row_total)  # (k, d)
    if rotate:
        variance, vectors = np.linalg.eigh(covariance)
        variance, rotation = variance[::-1], vectors[:, ::-1].T
    else:
        variance, rotation = np.diag(covariance), np.eye(len(mean))
    loadings = rotation @ loadings
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=1)[:, None], axis=1)
    return mean, rotation * np.where(largest < 0, -1.0, 1.0), variance.clip(min=0.0)


def updated_start(start, n_rows, mean, scale, rows):
    """Update PCA with more samples, as scikit-learn's `IncrementalPCA` does.

    Parameters
    ----------
    start : LinearInit
        PCA of the samples seen before, scaled by the previous mean and scale.

    n_rows : int
        Number of samples seen before.

    mean, scale : ndarray of shape (d,)
        The previous mean and scale.

    rows : ScaledReader
        The new samples, scaled by the mean and scale of all samples.

    Returns
    -------
    start : LinearInit
    """
    k = min(len(start.unit), rows.shape[1])
    components = start.components[:k] * scale * rows.per_unit  # used only multiplied by the singular values
    center = (mean + start.mean * scale - rows.mean) * rows.per_unit
    deviations, n = np.sqrt(start.variance[:k] * (n_rows - 1)), n_rows
    if not len(rows):
        return LinearInit.of(center, components, start.variance[:k], len(start.unit))
    for batch in rows.batches():
        center, components, deviations, n = merged_pca(center, components, deviations, n, batch)
    return LinearInit.of(center, components, np.square(deviations) / (n - 1), len(start.unit))


def align_axes(basis, components, kind):
    """Return the orthogonal matrix that best aligns the axes of a new PCA with those of an old one.

    Parameters
    ----------
    basis, components : ndarray of shape (k, d)
        Old and new principal axes.

    kind : {"rotation", "order", "sign"}
        Allowed transformations: a rotation (orthogonal Procrustes), a permutation with signs, or signs only.

    Returns
    -------
    turn : ndarray of shape (k, k)
        Orthogonal matrix: the new axes are `turn @ components`.
    """
    across = basis @ components.T
    if kind == "rotation":
        left, _, right = np.linalg.svd(across)
        return left @ right
    order = linear_sum_assignment(-np.abs(across))[1] if kind == "order" else np.arange(len(across))
    turn = np.zeros_like(across)
    turn[np.arange(len(order)), order] = np.where(across[np.arange(len(order)), order] < 0, -1.0, 1.0)
    return turn


def rescale_weights(weights, mean, scale, new_mean, new_scale):
    """Return equivalent weights of a linear initialization for samples that are centered and scaled differently.

    A feature whose old or new scale is zero gets zero weights.
    """
    forth = np.divide(new_scale, scale, out=np.zeros_like(scale), where=scale > 0)  # a new unit in old units
    shift = np.divide(new_mean - mean, scale, out=np.zeros_like(scale), where=scale > 0)
    back = np.divide(scale, new_scale, out=np.zeros_like(scale), where=new_scale > 0)
    new = dict(weights)
    encoder, decoder = weights["encoder.linear.weight"], weights["decoder.linear.weight"]
    new["encoder.linear.bias"] = weights["encoder.linear.bias"] + encoder @ shift
    new["encoder.linear.weight"] = new["encoder.extrapolation"] = encoder * forth
    new["decoder.linear.weight"] = new["decoder.extrapolation"] = decoder * back[:, None]
    new["decoder.linear.bias"] = (weights["decoder.linear.bias"] - shift) * back
    if "log_noise" in weights:  # a mean over features
        used = back > 0
        new["log_noise"] = weights["log_noise"] + (2 * np.log(back[used]).mean() if used.any() else 0.0)
    return new
