"""Missing values and checkpoints, files of streams, ONNX, pairs of samples, and layers of a stack."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone

from skae import Autoencoder, AutoencoderOutlierDetector, DenoisingAutoencoder, LatentSampler, StackedAutoencoder
from skae._training.checkpoint import Checkpoint
from tests.conftest import QUICK, QUICKER
from tests.test_checkpoint import InterruptedFitError, assert_equal_fits, interrupt_after  # noqa: F401 - a fixture
from tests.test_missing import FEW, with_missing_values


@pytest.mark.parametrize("n_writes", [2, 3])
def test_interrupted_fit_resumes_bit_identically(small, n_writes, digits, tmp_path, interrupt_after):  # noqa: F811
    X, _ = with_missing_values(digits)
    small.set_params(max_iter=3)
    whole = clone(small).fit(X)
    broken = clone(small).set_params(callbacks=[Checkpoint(tmp_path)])
    interrupt_after(n_writes)
    try:
        broken.fit(X)
    except InterruptedFitError:
        assert not broken.__sklearn_is_fitted__()
        broken.fit(X)
    assert_equal_fits(broken, whole, X)
    np.testing.assert_array_equal(broken.impute(X), whole.impute(X))
    np.testing.assert_array_equal(broken._network_weights, whole._network_weights)


def test_checkpoint_of_other_missing_values_raises(digits, tmp_path, interrupt_after):  # noqa: F811
    one, other = (with_missing_values(digits, seed=seed)[0] for seed in (0, 1))
    kind = Autoencoder(4, **FEW).set_params(callbacks=[Checkpoint(tmp_path)])
    interrupt_after(2)
    with pytest.raises(InterruptedFitError):
        clone(kind).fit(one)
    with pytest.raises(ValueError, match="contains another run: the digest of X"):
        clone(kind).fit(other)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_errors_leave_the_estimator_unchanged(small, method, digits):
    X, _ = with_missing_values(digits)
    X[:, 10] = np.nan
    with pytest.raises(ValueError, match="Column 10 of X has no observed values"):
        getattr(small, method)(X)
    assert set(vars(small)) == set(small.get_params(deep=False))
    sparse = csr_array(digits)
    sparse.data[5] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN.*sparse.*toarray\(\)"):
        getattr(small, method)(sparse)
    assert set(vars(small)) == set(small.get_params(deep=False))


def test_onnx_models_require_complete_samples(digits):
    onnx = pytest.importorskip("onnx.reference")
    X, _ = with_missing_values(digits)
    fitted = Autoencoder(4, **QUICK).fit(X)
    graph = onnx.ReferenceEvaluator(fitted.to_onnx("encoder"))
    (name,) = graph.input_names
    whole = fitted.impute(X).astype(np.float32)
    np.testing.assert_allclose(graph.run(None, {name: whole})[0], fitted.transform(whole), atol=1e-3)
    assert np.isnan(graph.run(None, {name: X.astype(np.float32)})[0]).all(axis=1)[np.isnan(X).any(axis=1)].all()


def test_missing_values_in_clean_samples_raise(digits):
    X, _ = with_missing_values(digits)
    denoiser = DenoisingAutoencoder(4, **QUICKER)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        denoiser.fit(digits, X)
    assert vars(denoiser) == clone(denoiser).get_params()
    fitted = denoiser.fit(X, digits)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        fitted.score(digits, X)
    assert np.isfinite(fitted.score(X, digits))


def test_layers_are_trained_on_codes_of_samples_with_missing_values(digits):
    X, missing = with_missing_values(digits)
    layers = [("below", Autoencoder(16, **QUICKER)), ("above", Autoencoder(4, **QUICKER))]
    stack = StackedAutoencoder(layers, max_iter=2, random_state=0).fit(X)
    assert np.isfinite(stack.impute(X)).all()
    assert stack.layers_[0]._statistics.is_incomplete
    assert not stack.layers_[1]._statistics.is_incomplete
    np.testing.assert_array_equal(stack.impute(X)[~missing], X[~missing])


@pytest.mark.parametrize("estimator", [AutoencoderOutlierDetector, LatentSampler])
def test_validation_samples_of_nested_estimators_may_have_missing_values(estimator, digits):
    X, _ = with_missing_values(digits)
    fitted = estimator(Autoencoder(4, **FEW)).fit(X[:150], X_val=X[150:])
    assert fitted.autoencoder_.validation_["strategy"] == "X_val"
    assert np.isfinite(fitted.score_samples(X)).all()
