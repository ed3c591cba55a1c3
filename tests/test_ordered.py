"""Ordered codes; the number of components as a fraction of the variance, "mle" or None; whitening."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics
from skae._defaults import prefix_sizes
from skae._pca import auto_n_components
from skae._training.selection import significant_improvement, smallest_size
from skae.nn import keep_prefix
from skae.nn._prefixes import random_sizes

ORDERED = Autoencoder(8, ordered=True, random_state=0)


def r2(X, X_hat):
    return r2_score(X, X_hat, multioutput="variance_weighted")


def curve(estimator, X):
    codes = estimator.transform(X)
    keep = [np.arange(codes.shape[1]) < size for size in range(1, codes.shape[1] + 1)]
    return np.array([r2(X, estimator.inverse_transform(codes * k)) for k in keep])


@pytest.fixture(scope="module")
def images():
    X = load_digits().data[:700]
    return X[:500], X[500:]


@pytest.fixture(scope="module")
def ordered(images):
    return ORDERED.fit(images[0])


# Ordered codes -------------------------------------------------------------------------------------------------------


def test_every_prefix_beats_pca_of_its_size(ordered, images):
    train, test = images
    assert ordered.best_epoch_ > 0
    gain = curve(ordered, test) - curve(PCA(8).fit(train), test)
    assert gain.min() > 0
    assert gain.mean() > 0.02


def test_prefixes_of_unordered_code_reconstruct_poorly(images):
    train, test = images
    plain = Autoencoder(8, max_iter=10, random_state=0).fit(train)
    assert (curve(plain, test) - curve(PCA(8).fit(train), test))[:4].min() < -0.03


@pytest.mark.slow
def test_explained_variance_ratio_matches_reconstruction_curve(ordered, images):
    train, _ = images
    np.testing.assert_allclose(ordered.explained_variance_ratio_.cumsum(), curve(ordered, train), atol=1e-4)
    pca = PCA(8).fit(train)
    assert (ordered.explained_variance_ratio_.cumsum() > pca.explained_variance_ratio_.cumsum()).all()


def test_narrower_codes_are_padded_with_zeros(ordered, images):
    codes = ordered.transform(images[1])
    narrow = ordered.inverse_transform(codes[:, :3])
    np.testing.assert_array_equal(narrow, ordered.inverse_transform(codes * (np.arange(8) < 3)))
    with pytest.raises(ValueError, match="expecting n_components_=8 of them, or fewer"):
        ordered.inverse_transform(np.zeros((2, 9)))


def test_narrower_codes_of_unordered_autoencoders_raise(images):
    linear = Autoencoder(8, hidden_layer_sizes=()).fit(images[0])
    with pytest.raises(ValueError, match="Codes may have fewer columns only with ordered=True"):
        linear.inverse_transform(np.zeros((2, 7)))


@pytest.mark.slow
def test_ordered_codes_have_fixed_signs_and_no_rotation(ordered, images):
    train, _ = images
    codes = ordered.transform(train)
    loadings = codes.T @ (train - train.mean(axis=0))
    assert (loadings[np.arange(8), np.abs(loadings).argmax(axis=1)] > 0).all()
    np.testing.assert_array_equal(np.abs(ordered._spec.axes[2]), np.eye(8))
    np.testing.assert_allclose(ordered.explained_variance_, codes.var(axis=0, ddof=1), rtol=1e-4)


def test_ordered_and_linear_is_pca(images):
    train, test = images
    ours, pca = Autoencoder(5, ordered=True, hidden_layer_sizes=()).fit(train), PCA(5).fit(train)
    np.testing.assert_allclose(ours.transform(test), pca.transform(test), atol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_ratio_, pca.explained_variance_ratio_)
    np.testing.assert_allclose(curve(ours, test), curve(pca, test))


def test_ordered_falls_back_to_pca_at_every_size():
    X = np.random.RandomState(0).randn(60, 5)
    ours = Autoencoder(3, ordered=True, max_iter=20, random_state=0).fit(X)
    assert ours.best_epoch_ == 0
    np.testing.assert_allclose(ours.explained_variance_ratio_, PCA(3).fit(X).explained_variance_ratio_)
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(X)[:, :2]), pca_of(X, 2), atol=1e-9)


def pca_of(X, k):
    pca = PCA(k).fit(X)
    return pca.inverse_transform(pca.transform(X))


def test_epoch_must_be_significantly_better_at_every_size():
    start = np.full((40, 3), [9.0, 5.0, 2.0])
    better = start - [1.0, 1.0, 0.5]
    worse_at_one_size = start - [3.0, -0.1, 0.5]
    assert significant_improvement(start, better) > 0 > significant_improvement(start, worse_at_one_size)


def test_prefixes_in_training():
    code = torch.arange(1.0, 13).reshape(2, 6)
    assert keep_prefix(code, 2).tolist() == [[1, 2, 0, 0, 0, 0], [7, 8, 0, 0, 0, 0]]
    assert keep_prefix(code, torch.tensor([[1], [6]])).tolist() == [[1, 0, 0, 0, 0, 0], [7, 8, 9, 10, 11, 12]]
    torch.manual_seed(0)
    sizes = random_sizes((30_000, 6)).flatten().bincount(minlength=7)[1:] / 30_000
    expected = 1 / 36 + np.diff(np.log(np.arange(1, 8))) / np.log(7) / 6  # half uniform, half logarithmic
    np.testing.assert_allclose(sizes, expected + 2 / 3 * (np.arange(6) == 5), atol=0.01)


def test_sizes_used_in_validation():
    assert prefix_sizes(1) == (1,)
    assert prefix_sizes(5) == (1, 2, 3, 4, 5)
    assert prefix_sizes(300)[0] == 1
    assert prefix_sizes(300)[-1] == 300
    assert len(prefix_sizes(300)) <= 16


# Fraction of the variance --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_fraction_needs_fewer_components_than_pca(images):
    train, test = images
    ours, pca = Autoencoder(0.8, random_state=0).fit(train), PCA(0.8).fit(train)
    assert ours.n_components_ < pca.n_components_
    assert ours.transform(test).shape == (200, ours.n_components_)
    assert ours.score(test) > r2(test, pca.inverse_transform(pca.transform(test))) - 0.002
    # the code is ordered, and a prefix of a larger one
    assert ours.inverse_transform(ours.transform(test)[:, :2]).shape == test.shape
    np.testing.assert_allclose(ours.explained_variance_ratio_.sum(), ours.score(train), atol=1e-4)


@pytest.mark.parametrize("fraction", [0.5, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("scale", ["global", "standard"])
def test_fraction_without_training_selects_as_many_components_as_pca(fraction, scale):
    X = load_breast_cancer().data
    ours = Autoencoder(fraction, hidden_layer_sizes=(), scale=scale).fit(X)
    pca = PCA(fraction).fit(X if scale == "global" else StandardScaler().fit_transform(X))
    assert ours.n_components_ == pca.n_components_


def test_none_and_mle_select_as_many_components_as_pca(iris, digits):
    for X in (iris, digits, iris[:3], digits[:10]):
        assert Autoencoder(None, hidden_layer_sizes=()).fit(X).n_components_ == min(X.shape)
        if len(X) >= X.shape[1]:
            assert Autoencoder("mle", hidden_layer_sizes=()).fit(X).n_components_ == PCA("mle").fit(X).n_components_
    assert Autoencoder(None, max_iter=1, hidden_layer_sizes=8).fit(iris).n_components_ == 4
    with pytest.raises(ValueError, match="'mle' is only supported if n_samples >= n_features"):
        Autoencoder("mle").fit(digits[:10])


@pytest.mark.parametrize("how", ["in memory", "sparse", "in batches"])
@pytest.mark.parametrize("scale", ["global", "standard"])
def test_mle_equals_pca_for_every_container(monkeypatch, how, scale):
    if how == "in batches":
        monkeypatch.setattr("skae._data.readers.RESIDENT_BYTES", 0)
    rng = np.random.default_rng(0)
    for n, d in [(4, 1), (5, 4), (9, 9), (15, 8), (16, 8), (17, 8), (40, 30), (300, 12), (3000, 6)]:
        X = rng.normal(size=(n, d // 2 + 1)) @ rng.normal(size=(d // 2 + 1, d)) + 0.1 * rng.normal(size=(n, d)) + 1
        X *= rng.random((n, d)) < 0.9
        statistics = FeatureStatistics().update(ArrayReader(X))
        rows = ScaledReader(csr_array(X) if how == "sparse" else X, statistics.mean, statistics.scale(scale))
        pca = PCA("mle").fit(X if scale == "global" else StandardScaler().fit_transform(X))
        assert auto_n_components(rows, "mle", seed=0) == max(1, pca.n_components_), (n, d)
        with pytest.raises(ValueError, match="'mle' is only supported if n_samples >= n_features"):
            auto_n_components(rows.take(np.arange(d - 1)), "mle", seed=0)


def test_minimum_size():
    start = np.full((50, 3), [8.0, 4.0, 2.0])
    losses = np.full((50, 3), [6.0, 2.0, 1.0])
    sizes = (1, 3, 5)
    assert smallest_size(start, losses, sizes, most=2.0) == 3
    assert smallest_size(start, losses, sizes, most=1.5) == 4  # by linear interpolation
    assert smallest_size(start, losses, sizes, most=5.0) == 3  # 2 explain the fraction, but are worse than the 5 of PCA
    assert smallest_size(start, losses, sizes, most=0.1) == 5  # the fraction is not reached
    assert smallest_size(start[:, :1], losses[:, :1], (1,), most=9.0) == 1


# Whitening -----------------------------------------------------------------------------------------------------------


def test_whiten_equals_pca(images):
    train, test = images
    ours, pca = Autoencoder(5, whiten=True, hidden_layer_sizes=()).fit(train), PCA(5, whiten=True).fit(train)
    np.testing.assert_allclose(ours.transform(test), pca.transform(test), atol=1e-9)
    codes = pca.transform(test)
    np.testing.assert_allclose(ours.inverse_transform(codes), pca.inverse_transform(codes), atol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_, pca.explained_variance_)


@pytest.mark.slow
@pytest.mark.parametrize("ordered", [False, True])
def test_whitened_codes_have_unit_variance_and_the_same_reconstruction(images, ordered):
    train, _ = images
    settings = {"max_iter": 24 if ordered else 5, "ordered": ordered, "random_state": 0}
    plain, ours = (Autoencoder(5, whiten=w, **settings).fit(train) for w in (False, True))
    assert ours.best_epoch_ > 0
    np.testing.assert_allclose(ours.transform(train).var(axis=0, ddof=1), 1, rtol=1e-4)
    np.testing.assert_allclose(ours.reconstruct(train), plain.reconstruct(train), atol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_, plain.explained_variance_)


def test_whitening_of_constant_components():
    X = np.random.RandomState(0).rand(30, 3)
    ours = Autoencoder(5, whiten=True, hidden_layer_sizes=()).fit(X)
    assert np.isfinite(ours.transform(X)).all()
    np.testing.assert_allclose(ours.reconstruct(X), X)
