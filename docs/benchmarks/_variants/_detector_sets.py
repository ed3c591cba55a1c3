"""Data sets for detectors: clusters, curved surfaces, tables with corrupted values, noisy images, one class of several.

A set is a function of a random generator that returns inliers and outliers, each of shape (n, d). `split` shuffles them
and divides them into samples to fit to and samples to score.
"""

import functools

import numpy as np
from _fashion_mnist import load
from sklearn import datasets

N_SCORED = 400  # maximum number of scored inliers, and of scored outliers


def _around(centers, n, rng, spread=1.0):
    """Return samples of isotropic clusters."""
    return centers[rng.integers(len(centers), size=n)] + spread * rng.standard_normal((n, centers.shape[1]))


def _in_box(X, n, rng):
    """Return samples that are uniform between the minimum and the maximum of each feature."""
    return rng.uniform(X.min(axis=0), X.max(axis=0), size=(n, X.shape[1]))


def five_clusters(rng):
    """Draw clusters in ten dimensions; outliers are uniform in their bounding box."""
    X = _around(rng.uniform(-6, 6, size=(5, 10)), 1400, rng)
    return X, _in_box(X, 600, rng)


def three_clusters(rng):
    """Draw few samples of clusters of different widths in two dimensions; outliers are uniform in the bounding box."""
    X = np.concatenate([_around(rng.uniform(-8, 8, size=(1, 2)), 150, rng, spread) for spread in (0.3, 0.8, 1.5)])
    return X, _in_box(X, 300, rng)


def stretched_clusters(rng):
    """Draw eight clusters in twenty dimensions, each along three directions; outliers are means of two samples."""
    X = [rng.standard_normal((250, 3)) @ rng.standard_normal((3, 20)) + 3 * rng.standard_normal(20) for _ in range(8)]
    X = np.concatenate(X) + 0.3 * rng.standard_normal((2000, 20))
    one, two = (X[rng.permutation(len(X))[:600]] for _ in range(2))
    return X, (one + two) / 2


def ring(rng):
    """Draw a ring in two dimensions; outliers are uniform in the bounding box."""
    angle, radius = rng.uniform(0, 2 * np.pi, size=900), 1 + 0.05 * rng.standard_normal(900)
    X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return X, _in_box(X, 400, rng)


def ring_in_fifty(rng):
    """Draw a ring in a plane of fifty dimensions, with noise; outliers are inside the ring."""
    plane = np.linalg.qr(rng.standard_normal((50, 2)))[0].T
    angle = rng.uniform(0, 2 * np.pi, size=1300)
    radius = np.r_[np.ones(900), np.sqrt(rng.uniform(0, 0.6, size=400))]
    X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) @ plane * 5
    X += 0.2 * rng.standard_normal(X.shape)
    return X[:900], X[900:]


def two_moons(rng):
    """Draw two half circles in two dimensions; outliers are uniform in the bounding box."""
    X = datasets.make_moons(700, noise=0.05, random_state=int(rng.integers(1000)))[0]
    return X, _in_box(X, 400, rng)


def sphere(rng):
    """Draw a sphere of three dimensions in twenty; outliers are inside it."""
    X = rng.standard_normal((3400, 3))
    X *= (np.r_[np.ones(3000), rng.uniform(0, 0.8, size=400)] / np.linalg.norm(X, axis=1))[:, None]
    X = 4 * X @ np.linalg.qr(rng.standard_normal((20, 3)))[0].T + 0.2 * rng.standard_normal((3400, 20))
    return X[:3000], X[3000:]


def curved_surface(rng):
    """Draw a surface of three dimensions in fifteen; outliers are near it."""
    X = np.tanh(2 * rng.standard_normal((2000, 3))) @ rng.standard_normal((3, 40))
    X = np.sin(X) @ rng.standard_normal((40, 15)) / 3 + 0.1 * rng.standard_normal((2000, 15))
    outliers = X[:500] + 0.7 * rng.standard_normal((500, 15))
    return X[500:], outliers


def _correlated(rng, n, d, k, noise):
    return rng.standard_normal((n, k)) @ rng.standard_normal((k, d)) + noise * rng.standard_normal((n, d))


def _corrupt(X, rng, n_values=1):
    """Return samples in which some values are replaced by shifted values of other samples."""
    corrupted = X.copy()
    for i, row in enumerate(corrupted):
        columns = rng.permutation(X.shape[1])[:n_values]
        row[columns] = X[rng.integers(len(X), size=n_values), columns]
        row[columns] += 2 * np.sign(row[columns] - X[i, columns]) * X[:, columns].std(axis=0)
    return corrupted


def corrupted_values(rng):
    """Draw a correlated table of twelve columns; each outlier has one corrupted value."""
    X = _correlated(rng, 1500, 12, 4, 0.3)
    return X[:1000], _corrupt(X[1000:], rng)


def corrupted_values_mixed_units(rng):
    """Draw the same with sixteen columns in units between .001 and 1,000."""
    X = _correlated(rng, 900, 16, 4, 0.3) * 10 ** rng.uniform(-3, 3, size=16) + 5
    return X[:500], _corrupt(X[500:], rng)


def clusters_mixed_units(rng):
    """Draw clusters with features in units between .01 and 100; outliers are uniform in the bounding box."""
    X = _around(rng.uniform(-5, 5, size=(4, 8)), 1100, rng)
    outliers = _in_box(X, 400, rng)
    units = 10 ** rng.uniform(-2, 2, size=8)
    return X * units, outliers * units


def far_in_plane(rng):
    """Draw a table of thirty correlated columns; outliers have factors three times as large."""
    factors = rng.standard_normal((1300, 5)) * np.r_[np.ones(900), 3 * np.ones(400)][:, None]
    X = factors @ rng.standard_normal((5, 30)) + 0.5 * rng.standard_normal((1300, 30))
    return X[:900], X[900:]


def low_variance_directions(rng):
    """Draw a small set; outliers are shifted in the directions of lowest variance."""
    X = _correlated(rng, 600, 20, 20, 0.1) * np.linspace(0.2, 3, 20)
    outliers = X[:250] + np.linalg.svd(X)[2][-4:].T[:, rng.integers(4, size=250)].T * 3
    return X[250:], outliers


def heavy_tails(rng):
    """Draw correlated features with Student's t distribution, df = 3; outliers are permuted by column."""
    X = (rng.standard_t(3, size=(1700, 4)) @ rng.standard_normal((4, 15))) + 0.3 * rng.standard_t(3, size=(1700, 15))
    return X[:1300], rng.permuted(X[1300:], axis=0)


def skewed(rng):
    """Draw lognormal features in two groups; outliers combine the groups of two samples."""
    X = np.exp(0.7 * _correlated(rng, 1600, 12, 3, 0.3))
    outliers = np.column_stack([X[1200:, :6], rng.permutation(X[1200:, 6:])])
    return X[:1200], outliers


def _digits(rng):
    X, y = datasets.load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    return X[order] / 16, y[order]


def dense_noise(rng):
    """Draw all digits; outliers have Gaussian noise in all pixels."""
    X, _ = _digits(rng)
    return X[400:], X[:400] + 0.15 * rng.standard_normal((400, 64))


def sparse_noise(rng):
    """Draw all digits; three pixels of outliers are set to black or white."""
    X, _ = _digits(rng)
    outliers = X[:400].copy()
    for row in outliers:
        row[rng.permutation(64)[:3]] = rng.integers(2, size=3)
    return X[400:], outliers


def _one_class(X, y, kind):
    return X[y == kind], X[y != kind]


def digits_1(rng):
    """Draw ones against the rest of the bundled digits."""
    return _one_class(*_digits(rng), 1)


def digits_8(rng):
    """Draw eights against the rest of the bundled digits."""
    return _one_class(*_digits(rng), 8)


def digits_on_black(rng):
    """Draw threes against the rest, enlarged to 20 x 20 pixels, at random positions in black 28 x 28 images."""
    X, y = _digits(rng)
    large = np.kron(X.reshape(-1, 8, 8), np.ones((3, 3)))[:, 2:22, 2:22]  # enlarged by three, edges cropped
    large = (large + np.roll(large, 1, axis=1) + np.roll(large, 1, axis=2)) / 3
    images = np.zeros((len(X), 28, 28))
    for image, digit, (top, left) in zip(images, large, rng.integers(2, 7, size=(len(X), 2)), strict=True):
        image[top : top + 20, left : left + 20] = digit
    return _one_class(images.reshape(len(X), -1), y, 3)


def breast_cancer(rng):
    """Draw benign against malignant samples."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    order = rng.permutation(len(X))
    return _one_class(X[order], y[order], 1)


def wine(rng):
    """Draw the second class of wine against the others."""
    X, y = datasets.load_wine(return_X_y=True)
    order = rng.permutation(len(X))
    return _one_class(X[order], y[order], 1)


_load = functools.cache(load)


def _fashion(rng, kind):
    X, y = _load("t10k", labels=True)
    X_train, y_train = _load("train", labels=True)
    order, order_train = rng.permutation(len(X))[:4000], rng.permutation(np.flatnonzero(y_train == kind))[:2000]
    return np.concatenate([X_train[order_train], X[order][y[order] == kind]]), X[order][y[order] != kind]


def fashion_shirts(rng):
    """Draw shirts against the rest of Fashion-MNIST."""
    return _fashion(rng, 6)


def fashion_sandals(rng):
    """Draw sandals against the rest of Fashion-MNIST."""
    return _fashion(rng, 5)


SETS = (
    *(five_clusters, three_clusters, stretched_clusters, ring, ring_in_fifty, two_moons, sphere, curved_surface),
    *(corrupted_values, corrupted_values_mixed_units, clusters_mixed_units, far_in_plane, low_variance_directions),
    *(heavy_tails, skewed),
    *(dense_noise, sparse_noise, digits_1, digits_8, digits_on_black, breast_cancer, wine),
    *(fashion_shirts, fashion_sandals),
)


def split(data, contamination, rng):
    """Return samples to fit to, with a fraction of outliers, samples to score, and which of these are outliers.

    Parameters
    ----------
    data : tuple of ndarray
        Inliers and outliers.

    contamination : float

    rng : Generator

    Returns
    -------
    X, X_scored, is_outlier : ndarray
    """
    inliers, outliers = (rows[rng.permutation(len(rows))] for rows in data)
    n_inliers = min(N_SCORED, len(inliers) // 3)
    scored, fitted = inliers[:n_inliers], inliers[n_inliers:]
    n_outliers = int(contamination * len(fitted) / (1 - contamination))
    fitted_outliers, scored_outliers = outliers[:n_outliers], outliers[n_outliers:][:N_SCORED]
    X = np.concatenate([fitted, fitted_outliers])
    is_outlier = np.repeat([False, True], [len(scored), len(scored_outliers)])
    return X[rng.permutation(len(X))], np.concatenate([scored, scored_outliers]), is_outlier
