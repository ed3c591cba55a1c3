"""Missing cells and what is around a fit: checkpoints, files of streams, ONNX, pairs of samples, layers of a stack."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone

from skae import Autoencoder, AutoencoderOutlierDetector, DenoisingAutoencoder, LatentSampler, StackedAutoencoder
from skae._training.checkpoint import Checkpoint
from tests.conftest import QUICK, QUICKER
from tests.test_checkpoint import BrokenOffError, assert_equal_fits, breaking  # noqa: F401 - a fixture
from tests.test_missing import FEW, with_holes


@pytest.mark.parametrize("n_writes", [2, 3])
def test_a_fit_goes_on_to_the_same_bits(small, n_writes, digits, tmp_path, breaking):  # noqa: F811
    X, _ = with_holes(digits)
    small.set_params(max_iter=3)
    whole = clone(small).fit(X)
    broken = clone(small).set_params(callbacks=[Checkpoint(tmp_path)])
    breaking(n_writes)
    try:
        broken.fit(X)
    except BrokenOffError:
        assert not broken.__sklearn_is_fitted__()
        broken.fit(X)
    assert_equal_fits(broken, whole, X)
    np.testing.assert_array_equal(broken.impute(X), whole.impute(X))
    assert broken._share_of_network == whole._share_of_network


def test_a_checkpoint_is_not_that_of_other_holes(digits, tmp_path, breaking):  # noqa: F811
    one, other = (with_holes(digits, seed=seed)[0] for seed in (0, 1))
    kind = Autoencoder(4, **FEW).set_params(callbacks=[Checkpoint(tmp_path)])
    breaking(2)
    with pytest.raises(BrokenOffError):
        clone(kind).fit(one)
    with pytest.raises(ValueError, match="holds another run: the digest of X"):
        clone(kind).fit(other)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_is_refused_leaves_nothing_half_fitted(small, method, digits):
    X, _ = with_holes(digits)
    X[:, 10] = np.nan
    with pytest.raises(ValueError, match="Column 10 of X is missing altogether"):
        getattr(small, method)(X)
    assert set(vars(small)) == set(small.get_params(deep=False))
    sparse = csr_array(digits)
    sparse.data[5] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN.*sparse.*toarray\(\)"):
        getattr(small, method)(sparse)
    assert set(vars(small)) == set(small.get_params(deep=False))


def test_graphs_take_whole_rows(digits):
    onnx = pytest.importorskip("onnx.reference")
    X, _ = with_holes(digits)
    fitted = Autoencoder(4, **QUICK).fit(X)
    graph = onnx.ReferenceEvaluator(fitted.to_onnx("encoder"))
    (name,) = graph.input_names
    whole = fitted.impute(X).astype(np.float32)
    np.testing.assert_allclose(graph.run(None, {name: whole})[0], fitted.transform(whole), atol=1e-3)
    assert np.isnan(graph.run(None, {name: X.astype(np.float32)})[0]).all(axis=1)[np.isnan(X).any(axis=1)].all()


def test_clean_rows_have_no_holes(digits):
    X, _ = with_holes(digits)
    denoiser = DenoisingAutoencoder(4, **QUICKER)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        denoiser.fit(digits, X)
    assert vars(denoiser) == clone(denoiser).get_params()
    fitted = denoiser.fit(X, digits)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        fitted.score(digits, X)
    assert np.isfinite(fitted.score(X, digits))


def test_layers_learn_of_codes_of_rows_with_holes(digits):
    X, missing = with_holes(digits)
    layers = [("below", Autoencoder(16, **QUICKER)), ("above", Autoencoder(4, **QUICKER))]
    stack = StackedAutoencoder(layers, max_iter=2, random_state=0).fit(X)
    assert np.isfinite(stack.impute(X)).all()
    assert stack.layers_[0]._statistics.is_incomplete
    assert not stack.layers_[1]._statistics.is_incomplete
    np.testing.assert_array_equal(stack.impute(X)[~missing], X[~missing])


@pytest.mark.parametrize("estimator", [AutoencoderOutlierDetector, LatentSampler])
def test_what_judges_the_epochs_inside_another_may_have_holes(estimator, digits):
    X, _ = with_holes(digits)
    fitted = estimator(Autoencoder(4, **FEW)).fit(X[:150], X_val=X[150:])
    assert fitted.autoencoder_.validation_["strategy"] == "X_val"
    assert np.isfinite(fitted.score_samples(X)).all()
