"""Methods return tensors for tensors if `array_api_dispatch` of scikit-learn is set, and NumPy arrays otherwise."""

import os

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector
from skae._array_api import is_dispatched

pytestmark = pytest.mark.skipif(
    os.environ.get("SCIPY_ARRAY_API") != "1", reason="scipy was imported without SCIPY_ARRAY_API=1"
)


def _namespaces():
    yield "torch", torch.asarray, torch.Tensor
    try:
        import array_api_strict
    except ImportError:
        return
    yield "array_api_strict", array_api_strict.asarray, type(array_api_strict.asarray(0))


NAMESPACES = [pytest.param(make, kind, id=name) for name, make, kind in _namespaces()]
METHODS = ["transform", "reconstruct", "score_samples", "jacobian", "loadings", "posterior", "contraction"]


def _assert_same(found, expected, kind):
    for there, here in zip(*((one if isinstance(one, tuple) else (one,)) for one in (found, expected)), strict=True):
        assert isinstance(there, kind)
        assert np.asarray(there).dtype == here.dtype
        np.testing.assert_array_equal(np.asarray(there), here)


@pytest.mark.parametrize(("make", "kind"), NAMESPACES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.slow
def test_results_for_tensors_equal_those_for_arrays(make, kind, dtype, small, digits):
    X = digits[:120].astype(dtype)
    here = clone(small).fit(X)
    expected = {name: getattr(here, name)(X) for name in METHODS if hasattr(here, name)}
    codes, score = here.transform(X), here.score(X)
    original, streamed = (
        here.inverse_transform(codes),
        clone(small).partial_fit(X[:80]).partial_fit(X[80:]).transform(X),
    )
    with config_context(array_api_dispatch=True):
        there = clone(small).fit(make(X))
        for name, values in expected.items():
            _assert_same(getattr(there, name)(make(X)), values, kind)
        _assert_same(there.transform(X=make(X)), codes, kind)
        _assert_same(there.inverse_transform(make(codes)), original, kind)
        _assert_same(clone(small).fit_transform(make(X)), codes, kind)
        assert there.score(make(X)) == score
        _assert_same(
            clone(small).partial_fit(make(X[:80])).partial_fit(make(X[80:])).transform(make(X)), streamed, kind
        )
        _assert_same(here.transform(X), codes, np.ndarray)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_of_autoencoder_for_tensors_equal_those_for_arrays(dtype, digits, fits):
    here, X = fits(Autoencoder(3, hidden_layer_sizes=8, max_iter=2, random_state=0)), digits.astype(dtype)
    codes, original, score = here.transform(X), here.reconstruct(X), here.score(X)
    with config_context(array_api_dispatch=True):
        _assert_same(here.transform(torch.asarray(X)), codes, torch.Tensor)
        _assert_same(here.inverse_transform(torch.asarray(codes)), original, torch.Tensor)
        _assert_same(clone(here).fit(torch.asarray(digits)).transform(torch.asarray(X)), codes, torch.Tensor)
        assert here.score(torch.asarray(X)) == score


@pytest.mark.parametrize(("make", "kind"), NAMESPACES)
def test_pipeline_returns_tensors_as_with_pca(make, kind, digits):
    linear = make_pipeline(StandardScaler(), Autoencoder(3, hidden_layer_sizes=()))
    X = digits + np.random.RandomState(0).rand(*digits.shape)
    with config_context(array_api_dispatch=True):
        codes = linear.fit_transform(make(X))
        pca = make_pipeline(StandardScaler(), PCA(3, svd_solver="full")).fit_transform(make(X))
        assert type(codes) is type(pca) is kind
        assert str(codes.device) == str(pca.device)
        original = linear.inverse_transform(codes)
        assert isinstance(original, kind)
    np.testing.assert_allclose(np.asarray(codes), np.asarray(pca), atol=1e-9)


def test_tensors_are_converted_to_numpy_without_dispatch(digits):
    linear = Autoencoder(3, hidden_layer_sizes=()).fit(digits)
    codes, X = linear.transform(digits), torch.asarray(digits)
    _assert_same(clone(linear).fit(X).transform(X), codes, np.ndarray)
    _assert_same(linear.inverse_transform(torch.asarray(codes)), linear.reconstruct(digits), np.ndarray)


def test_dispatch_does_not_affect_other_inputs(digits):
    frame = pytest.importorskip("pandas").DataFrame(digits, columns=[f"pixel{i}" for i in range(64)])
    linear = Autoencoder(3, hidden_layer_sizes=()).fit(digits)
    expected = linear.transform(digits)
    with config_context(array_api_dispatch=True):
        for X in (digits, digits.tolist()):
            np.testing.assert_array_equal(linear.transform(X), expected)
            assert isinstance(linear.transform(X), np.ndarray)
        named = Autoencoder(3, hidden_layer_sizes=()).fit(frame)
        np.testing.assert_array_equal(named.transform(frame), expected)
        assert not any(map(is_dispatched, (digits, digits.tolist(), frame, digits[0, 0])))
        named = clone(linear).set_output(transform="pandas").fit(torch.asarray(digits))
        np.testing.assert_array_equal(named.transform(torch.asarray(digits)), expected)


def test_invalid_tensors_raise_the_same_errors_as_arrays(digits):
    linear = Autoencoder(3, hidden_layer_sizes=()).fit(digits)
    X = torch.asarray(digits)
    with config_context(array_api_dispatch=True):
        for wrong, words in (
            (torch.full_like(X, torch.inf), "infinity"),
            (X[:, :3], "X has 3 features, but Autoencoder is expecting 64"),
            (X[0], "Expected 2D array, got 1D array instead"),
            (X.clone().requires_grad_(), "can't be read as a table of numbers"),
        ):
            with pytest.raises(ValueError, match=words):
                linear.transform(wrong)
        with pytest.raises(ValueError, match="X has 2 columns"):
            linear.inverse_transform(X[:, :2])


def test_outlier_detector_accepts_tensors(digits):
    detector = AutoencoderOutlierDetector(Autoencoder(3, hidden_layer_sizes=())).fit(digits)
    with config_context(array_api_dispatch=True):
        again = clone(detector).fit(torch.asarray(digits))
        np.testing.assert_allclose(again.score_samples(torch.asarray(digits)), detector.score_samples(digits))
