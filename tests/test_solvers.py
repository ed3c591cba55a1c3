"""Internal algorithms agree with the corresponding estimators of scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.linear_model import RidgeCV
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skae._regression import _errors_left_out
from skae._solvers import merged_pca, mixture_of, neighbors_of, pca_of, scaler_of, update_scaler


@pytest.fixture(scope="module")
def table():
    return np.random.RandomState(0).randn(300, 12) @ np.random.RandomState(1).randn(12, 12) + 100


def assert_same_attributes(ours, theirs):
    names = {name for name in vars(theirs) if name.endswith("_")}
    assert {name for name in vars(ours) if name.endswith("_")} == names
    for name in names:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


def test_scaler_is_bit_identical_to_standard_scaler(table):
    X = table.copy()
    X[:, 3], X[:, 4] = 7.1, 1e9 + 1e-9 * X[:, 4]
    for rows in (X, X.astype(np.float32)):
        ours, theirs = scaler_of(rows[:100]), StandardScaler().fit(rows[:100])
        assert_same_attributes(ours, theirs)
        for chunk in (rows[100:101], rows[101:]):
            update_scaler(ours, chunk)
            theirs.partial_fit(chunk)
            assert_same_attributes(ours, theirs)
        np.testing.assert_array_equal(ours.transform(rows), theirs.transform(rows))


def test_merged_chunks_equal_incremental_pca(table):
    X = table
    k, pca = 5, IncrementalPCA(5)
    mean, components, deviations, n = np.zeros(12), None, np.empty(k), 0
    for chunk in (X[:40], X[40:46], X[46:300]):
        mean, components, deviations, n = merged_pca(mean, components, deviations, n, chunk)
        pca.partial_fit(chunk)
    np.testing.assert_allclose(mean, pca.mean_, rtol=1e-12)
    np.testing.assert_allclose(components, pca.components_, atol=1e-10)
    np.testing.assert_allclose(deviations, pca.singular_values_, rtol=1e-10)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (300, 12)])
def test_ridge_equals_ridge_cv(shape):
    rng = np.random.RandomState(0)
    x = rng.randn(*shape)
    y = x @ rng.randn(shape[1], 4) + 3 * rng.randn(shape[0], 4)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    ridges = np.geomspace(1e-3, 1e3, 20)
    assert min(ridges, key=_errors_left_out(x, y)) == RidgeCV(ridges).fit(x, y).alpha_


@pytest.mark.parametrize("n_clusters", [1, 2, 4, 8])
def test_mixture_is_as_good_as_gaussian_mixture(n_clusters):
    X, _ = make_blobs(400, 3, centers=8, random_state=0)
    mixture = GaussianMixture(n_clusters, random_state=0)
    ours = mixture_of(X, mixture, np.random.RandomState(0))
    theirs = GaussianMixture(n_clusters, random_state=0).fit(X)
    assert ours.get_params() == theirs.get_params()
    assert vars(ours).keys() == vars(theirs).keys() - {"n_features_in_"} | {"n_features_in_"}
    assert ours.score(X) > theirs.score(X) - 0.15
    assert ours.sample(3)[0].shape == (3, 3)


def test_mixture_has_no_more_clusters_than_points():
    X = np.repeat([[0.0, 1.0], [2.0, 3.0]], 10, axis=0)
    assert mixture_of(X, GaussianMixture(4), np.random.RandomState(0)) is None


def test_neighbors(table):
    X = table
    distances, index = neighbors_of(X, 3).kneighbors()
    expected = NearestNeighbors(n_neighbors=3).fit(X).kneighbors()
    np.testing.assert_array_equal(index, expected[1])
    np.testing.assert_array_equal(distances, expected[0])


@pytest.mark.parametrize("most", [2**27, 0])
@pytest.mark.parametrize("shape", [(520, 60), (70, 520), (40, 520), (510, 120)])
def test_exact_pca_equals_full_svd(shape, most, monkeypatch):
    # randomized solvers are inaccurate for this flat spectrum
    X = np.random.RandomState(0).randn(*shape)[:, : shape[1]]
    monkeypatch.setattr("skae._solvers.MAX_FULL", most)
    exact, full = pca_of(X, 5, seed=0, exact=True), PCA(5, svd_solver="full").fit(X)
    assert exact.svd_solver in (("full",) if most or shape == (40, 520) else ("arpack", "covariance_eigh"))
    for name in ("components_", "explained_variance_", "noise_variance_", "mean_"):
        np.testing.assert_allclose(getattr(exact, name), getattr(full, name), atol=1e-8, err_msg=name)
