"""Whitened codes have unit variance, and constant components are not amplified."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, make_low_rank_matrix
from sklearn.decomposition import PCA

from skae import Autoencoder

LINEAR = {"hidden_layer_sizes": (), "whiten": True}
NETWORK = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0, "whiten": True}


def _check(estimator, X, n_varying=None):
    """Check that standard deviations of codes are 1, or smaller if they do not vary, and that codes can be decoded."""
    codes = estimator.fit_transform(X)
    assert codes.shape[1] == estimator.n_components_
    deviation = codes.std(axis=0, ddof=1, dtype=np.float64)
    most = 1.05 if X.dtype == np.float64 else 3  # rounding errors of float32 sums are as large as the floor
    assert (deviation <= most).all(), deviation
    if n_varying is not None:
        np.testing.assert_allclose(deviation[:n_varying], 1, atol=0.02)
    size = np.abs(X).max() or 1.0
    close = 1e-9 if X.dtype == np.float64 else 1e-4
    np.testing.assert_allclose(estimator.inverse_transform(codes), estimator.reconstruct(X), atol=close * size)
    return codes


def _of_rank(rng, n, d, rank, scale, offset):
    if rank == 0:
        return np.tile(scale * (offset + rng.randn(d)), (n, 1))
    return scale * (rng.randn(n, rank) @ rng.randn(rank, d) + offset * rng.randn(d))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_spectrum_that_ends_in_rounding_errors(scale):
    X = scale * make_low_rank_matrix(1000, 10, effective_rank=2, tail_strength=0, random_state=0)
    linear = Autoencoder(None, **LINEAR)
    _check(linear, X, n_varying=8)
    assert linear.score(X) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(linear.inverse_transform(linear.transform(X)), X, atol=1e-9 * scale)


@given(
    seed=st.integers(0, 2**31 - 1),
    n=st.integers(30, 80),
    d=st.integers(2, 9),
    data=st.data(),
    scale=st.sampled_from([1e-8, 1e-3, 1.0, 1e4, 1e8]),
    offset=st.sampled_from([0.0, 1.0, 100.0]),
    narrow=st.booleans(),
)
def test_tables_of_low_rank(seed, n, d, data, scale, offset, narrow):
    rank, k = data.draw(st.integers(0, d)), data.draw(st.integers(1, d + 3))
    X = _of_rank(np.random.RandomState(seed), n, d, rank, scale, offset)
    X = X.astype(np.float32) if narrow else X
    linear = Autoencoder(k, **LINEAR)
    codes = _check(linear, X)
    again = X.astype(np.float64)
    wide = Autoencoder(k, **LINEAR).fit(again * 2.0**40).transform(again * 2.0**40)
    np.testing.assert_allclose(wide, Autoencoder(k, **LINEAR).fit_transform(again), atol=1e-4)  # in any unit
    if k >= rank > 0:
        assert linear.score(X) > 1 - 1e-4
    assert np.isfinite(codes).all()


@pytest.mark.parametrize("settings", [NETWORK, NETWORK | {"ordered": True}], ids=["network", "ordered"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, *(pytest.param(scale, marks=pytest.mark.slow) for scale in (1e-8, 1e8))])
def test_networks_with_data_of_low_rank(settings, dtype, scale):
    rng = np.random.RandomState(0)
    for rank in (1, 3):
        _check(Autoencoder(8, **settings), _of_rank(rng, 60, 6, rank, scale, 1.0).astype(dtype), n_varying=1)


@pytest.mark.parametrize("settings", [LINEAR, NETWORK], ids=["linear", "network"])
def test_constant_data(settings):
    X = np.full((40, 5), 3.7)
    codes = _check(Autoencoder(3, **settings), X)
    assert not codes.any()


def test_stream_of_low_rank():
    X = _of_rank(np.random.RandomState(0), 300, 6, 2, 1e8, 0.0)
    linear = Autoencoder(6, **LINEAR)
    for chunk in np.split(X, 3):
        linear.partial_fit(chunk)
    assert (linear.transform(X).std(axis=0) < 1.2).all()


def test_ill_conditioned_data_of_full_rank_equal_pca():
    X = load_breast_cancer().data  # variances from 4e5 to 7e-7
    pca = PCA(whiten=True).fit(X)
    assert pca.explained_variance_[-1] < 1e-11 * pca.explained_variance_[0]
    np.testing.assert_allclose(Autoencoder(None, **LINEAR).fit_transform(X), pca.transform(X), atol=1e-4)
