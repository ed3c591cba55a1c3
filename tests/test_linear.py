"""Linear autoencoders have the attributes, conventions and values of PCA."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, DenoisingAutoencoder, SparseAutoencoder, VariationalAutoencoder
from skae._linear import NAMES

METHODS = ("get_covariance", "get_precision")
LINEAR = Autoencoder(3, hidden_layer_sizes=(), random_state=0)


def assert_same(ours, pca, rtol=1e-7):
    """Compare all attributes of PCA, relative to the largest value of each."""
    for name in (*NAMES, "mean_", "explained_variance_", "explained_variance_ratio_"):
        wanted = np.asarray(getattr(pca, name))
        tiny = np.abs(wanted).max() or pca.explained_variance_.max()
        np.testing.assert_allclose(getattr(ours, name), wanted, rtol=rtol, atol=rtol * tiny, err_msg=name)
    covariance = PCA.get_covariance(_unwhitened(pca))
    np.testing.assert_allclose(ours.get_covariance(), covariance, atol=rtol * np.abs(covariance).max())


def _unwhitened(pca):
    """Correct the covariance of PCA, which counts the variance of a component twice if codes are whitened."""
    pca = copy.copy(pca)
    pca.whiten = False
    return pca


def drawn(seed, n, d, rank=None, scale=1.0, offset=0.0):
    rng = np.random.RandomState(seed)
    r = min(n, d) if rank is None else rank
    return scale * (rng.randn(n, r) * np.geomspace(3, 0.3, r) @ rng.randn(r, d) + 0.1 * rng.randn(n, d) + offset)


@given(
    seed=st.integers(0, 2**31 - 1),
    shape=st.sampled_from([(30, 5), (200, 8), (8, 20), (60, 60)]),
    k=st.sampled_from([1, 2, 4, None, 0.8, "mle"]),
    scale=st.sampled_from(["global", None]),
    whiten=st.booleans(),
    unit=st.sampled_from([1e-6, 1.0, 1e5]),
    offset=st.sampled_from([0.0, 30.0]),
)
def test_values_are_pcas(seed, shape, k, scale, whiten, unit, offset):
    if k == "mle" and shape[0] < shape[1]:
        k = 2
    X = drawn(seed, *shape, scale=unit, offset=offset)
    ours = clone(LINEAR).set_params(n_components=k, scale=scale, whiten=whiten).fit(X)
    pca = PCA(ours.n_components_, whiten=whiten, svd_solver="full").fit(X)
    assert_same(ours, pca, rtol=1e-6)
    if pca.noise_variance_ > 1e-9 * pca.explained_variance_[-1]:
        precision = _unwhitened(pca).get_precision()
        np.testing.assert_allclose(ours.get_precision(), precision, rtol=1e-5, atol=1e-6 * np.abs(precision).max())


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("scale", ["global", "standard", None])
@pytest.mark.parametrize("shape", [(50, 6), (12, 30)])
def test_attributes_agree_with_the_methods(shape, scale, whiten):
    X = drawn(0, *shape) * np.geomspace(1, 20, shape[1]) + 5
    X[:, 2] = 7.0
    ours = clone(LINEAR).set_params(scale=scale, whiten=whiten).fit(X)
    codes = ours.transform(X)
    unwhitened = codes * np.sqrt(ours.explained_variance_) if whiten else codes
    np.testing.assert_allclose(unwhitened @ ours.components_ + ours.mean_, ours.inverse_transform(codes), atol=1e-9)
    np.testing.assert_allclose(np.cov(unwhitened.T), np.diag(ours.explained_variance_), atol=1e-9)
    np.testing.assert_allclose(ours.singular_values_, np.linalg.norm(unwhitened, axis=0), rtol=1e-9)
    if not whiten:
        np.testing.assert_allclose(ours.components_, ours.loadings(X).T, atol=1e-9)
    product = ours.get_covariance() @ ours.get_precision()
    np.testing.assert_allclose(product, np.eye(shape[1]), atol=1e-8)
    whole = clone(ours).set_params(n_components=None).fit(X)
    assert whole.noise_variance_ == 0
    np.testing.assert_allclose(whole.get_covariance(), np.cov(X.T), atol=1e-9 * np.cov(X.T).max())


def test_standard_scale_is_pca_of_standardized_samples_in_units_of_x():
    X = drawn(1, 80, 6) * np.geomspace(1, 50, 6)
    ours, scaler = clone(LINEAR).set_params(scale="standard").fit(X), StandardScaler().fit(X)
    pca = PCA(3).fit(scaler.transform(X))
    np.testing.assert_allclose(ours.components_, pca.components_ * scaler.scale_, rtol=1e-7)
    np.testing.assert_allclose(ours.noise_variance_, pca.noise_variance_)
    np.testing.assert_allclose(ours.singular_values_, pca.singular_values_)
    np.testing.assert_allclose(ours.get_covariance(), pca.get_covariance() * np.outer(scaler.scale_, scaler.scale_))


@pytest.mark.parametrize("kind", ["sparse", "large", "large and wide"])
def test_containers_of_samples(kind, monkeypatch):
    X = drawn(2, 60, 9)
    given_as = csr_array(X) if kind == "sparse" else X
    if kind != "sparse":
        monkeypatch.setattr("skae._data.readers.RESIDENT_BYTES", 0)
        if kind == "large and wide":
            monkeypatch.setattr("skae._pca.MAX_WIDTH_COVARIANCE", 1)
    assert_same(clone(LINEAR).fit(given_as), PCA(3, svd_solver="full").fit(X))


def test_large_tables_use_no_randomized_solver():
    X = np.random.RandomState(0).randn(520, 60)  # a flat spectrum, for which a randomized solver is inaccurate
    assert_same(clone(LINEAR).fit(X), PCA(3, svd_solver="full").fit(X))
    X = X[:, :30]
    vae = VariationalAutoencoder(3, hidden_layer_sizes=()).fit(X)
    assert vae.noise_variance_ == pytest.approx(PCA(3, svd_solver="full").fit(X).noise_variance_, rel=1e-6)


def test_more_components_than_the_rank():
    X = drawn(3, 4, 6)
    ours = clone(LINEAR).set_params(n_components=9).fit(X)
    assert ours.components_.shape == (9, 6)
    assert not ours.components_[4:].any()
    assert not ours.singular_values_[4:].any()
    assert ours.noise_variance_ == 0
    covariance = np.cov(X.T)
    np.testing.assert_allclose(ours.get_covariance(), covariance, atol=1e-9)
    np.testing.assert_allclose(ours.get_precision(), np.linalg.pinv(covariance, rcond=1e-9), atol=1e-6)


def test_attributes_after_partial_fit_and_warm_start():
    X = drawn(4, 90, 6)
    stream = clone(LINEAR).set_params(n_components=6)
    for chunk in np.split(X, 3):
        stream.partial_fit(chunk)
    assert_same(stream, PCA(6).fit(X))
    narrow = clone(LINEAR).set_params(n_components=2)
    for chunk in np.split(X, 3):
        narrow.partial_fit(chunk)
    total = np.trace(np.cov(X.T))
    assert narrow.noise_variance_ == pytest.approx((total - narrow.explained_variance_.sum()) / 4)
    warm = clone(LINEAR).set_params(warm_start=True).fit(X[:40]).fit(X)
    assert_same(warm, PCA(3).fit(X))


def test_attributes_are_copied_and_saved(tmp_path):
    X = drawn(5, 40, 6)
    fitted = clone(LINEAR).fit(X)
    fitted.save(tmp_path / "linear.skops")
    for other in (
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        Autoencoder.load(tmp_path / "linear.skops"),
    ):
        for name in NAMES:
            np.testing.assert_array_equal(getattr(other, name), getattr(fitted, name))
        for method in METHODS:
            np.testing.assert_array_equal(getattr(other, method)(), getattr(fitted, method)())


@pytest.mark.parametrize(
    "nonlinear",
    [
        Autoencoder(3, hidden_layer_sizes=8, max_iter=1),
        Autoencoder(3, max_iter=1, loss="absolute_error", hidden_layer_sizes=()),
        Autoencoder(3, max_iter=1, init="random", hidden_layer_sizes=()),
        DenoisingAutoencoder(3, max_iter=1, hidden_layer_sizes=()),
        SparseAutoencoder(3, max_iter=1),
    ],
    ids=lambda estimator: " ".join(repr(estimator).split()),
)
def test_nonlinear_autoencoders_lack_these_attributes(nonlinear):
    X = drawn(6, 60, 6)
    fitted = clone(nonlinear).fit(X)
    for name in (*NAMES, *METHODS):
        if name == "components_" and isinstance(nonlinear, SparseAutoencoder):
            continue
        assert not hasattr(fitted, name)
        assert name not in dir(fitted)
        for one in (fitted, clone(fitted)):
            with pytest.raises(AttributeError, match=rf"has no attribute '{name}': Autoencoder\(hidden_layer_sizes="):
                getattr(one, name)


def test_refit_removes_attributes_of_an_earlier_fit():
    X = drawn(7, 60, 6)
    changed = clone(LINEAR).fit(X).set_params(hidden_layer_sizes=8, max_iter=1).fit(X)
    assert not any(hasattr(changed, name) for name in (*NAMES, *METHODS))
    vae = VariationalAutoencoder(2, max_iter=1, hidden_layer_sizes=8, random_state=0).fit(X)
    assert vae.noise_variance_ > 0
    vae.set_params(loss="binary_cross_entropy").fit((X - X.min()) / np.ptp(X))
    assert not hasattr(vae, "noise_variance_")


@pytest.mark.parametrize("scale", ["global", "standard"])
def test_linear_variational_autoencoder_is_probabilistic_pca(scale):
    X = drawn(8, 300, 6) * np.geomspace(1, 5, 6)
    vae = VariationalAutoencoder(2, hidden_layer_sizes=(), scale=scale).fit(X)
    ours = clone(LINEAR).set_params(n_components=2, scale=scale).fit(X)
    np.testing.assert_allclose(vae.get_covariance(), ours.get_covariance(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vae.get_covariance() @ vae.get_precision(), np.eye(6), atol=1e-6)
    with pytest.raises(AttributeError, match="hidden_layer_sizes="):
        _ = VariationalAutoencoder(2, hidden_layer_sizes=4, max_iter=1).fit(X).get_covariance
