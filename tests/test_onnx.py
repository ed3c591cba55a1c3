"""ONNX models compute the same as the estimators, for any samples; exporting has no side effects.

An export takes seconds, so the cases here combine several layers. `docs/benchmarks/to_onnx.py` covers all kinds.
"""

import contextlib
import pickle
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
import strict_device
import torch
from conftest import QUICKER
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from test_contract import _global_state

import skae
from skae import (
    Autoencoder,
    ConvolutionalAutoencoder,
    LSTMAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from skae.architectures import Recurrent

pytestmark = pytest.mark.slow

METHODS = {"encoder": "transform", "decoder": "inverse_transform", "reconstruct": "reconstruct"}
TOLERANCE = 1e-5  # relative to the standard deviation of the samples or codes


@pytest.fixture
def samples(digits):
    return digits.astype(np.float32)


@pytest.fixture
def assert_no_side_effects(capfd):
    @contextlib.contextmanager
    def watch():
        before = _global_state()
        capfd.readouterr()
        yield
        assert _global_state() == before
        assert capfd.readouterr() == ("", "")

    return watch


def run(model, inputs):
    """Return the outputs of a model by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)


def spread(values):
    """Return the square root of the mean variance of the columns."""
    return np.sqrt(values.var(axis=0, dtype=np.float64).mean())


def assert_same_outputs(model, estimator, part, X):
    """Compare a model with the method in both precisions, for few samples, one sample and many."""
    method = getattr(estimator, METHODS[part])
    given = estimator.transform(X) if part == "decoder" else X
    exact = method(given.astype(np.float64))
    atol = TOLERANCE * spread(exact if part == "encoder" else X)
    assert spread(exact) > 1000 * atol  # otherwise, the comparison would be meaningless
    (found,) = run(model, {"X": given})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=0, atol=atol)
    np.testing.assert_allclose(found, method(given), rtol=0, atol=atol)
    for n_rows in (1, 5000):
        (some,) = run(model, {"X": np.resize(given, (n_rows, given.shape[1]))})
        np.testing.assert_allclose(some, np.resize(exact, (n_rows, exact.shape[1])), rtol=0, atol=atol)


def assert_valid_model(model, output):
    """Check a model and its names, and that it contains no information about this machine."""
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["X", output]
    assert b".py" not in model.SerializeToString()
    assert str(Path(skae.__file__).parent).encode() not in model.SerializeToString()


def far_from(X):
    return X.mean(axis=0) + 50 * (X - X.mean(axis=0))


# Equality with the methods -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not strict_device.AVAILABLE, reason="this torch has no backends written in Python")
def test_large_means_and_samples_outside_the_limits(samples, assert_no_side_effects):
    X = samples + 10_000
    estimator = Autoencoder(4, **QUICKER, device=strict_device.NAME).fit(X)
    assert estimator.best_epoch_ > 0  # so that samples beyond the limit are computed differently
    again = pickle.loads(pickle.dumps(estimator))
    with assert_no_side_effects():
        model = again.to_onnx()
    assert_valid_model(model, "X_new")
    for some in (X, far_from(X), np.vstack([X, far_from(X)[:1]])):
        assert_same_outputs(model, estimator, "encoder", some)


@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="torch 2.6 cannot export recurrent layers")
def test_ordered_codes_of_sequences(samples, assert_no_side_effects):
    estimator = LSTMAutoencoder(4, sequence_shape=(4, 16), hidden_size=3, ordered=True, whiten=True, **QUICKER).fit(
        samples
    )
    with assert_no_side_effects():
        model = estimator.to_onnx("decoder")
    assert_valid_model(model, "X_original")
    assert_same_outputs(model, estimator, "decoder", samples)
    assert_same_outputs(model, estimator, "decoder", far_from(samples))


def test_top_k_codes(samples):
    estimator = SparseAutoencoder(8, **QUICKER, sparsity="top_k", n_nonzero_coefs=2).fit(samples)
    model = estimator.to_onnx("reconstruct")
    assert_valid_model(model, "X_hat")
    assert_same_outputs(model, estimator, "reconstruct", samples)
    assert_same_outputs(model, estimator, "reconstruct", far_from(samples))


def test_stack_and_images_of_odd_size(samples):
    images = ConvolutionalAutoencoder(4, image_shape=(6, 5), channels=(2, 3), **QUICKER)
    layers = [("machine", BernoulliRBM(30, learning_rate=0.1, n_iter=20)), ("images", images)]
    X = samples / 16
    stack = StackedAutoencoder(layers, max_iter=2, random_state=0).fit(X)
    assert_same_outputs(stack.to_onnx("reconstruct"), stack, "reconstruct", X)


# In a Pipeline -------------------------------------------------------------------------------------------------------


def test_pipeline_ending_in_classifier(samples, assert_no_side_effects):
    X = samples
    y = X[:, 20] > 8
    encoder = VariationalAutoencoder(4, architecture=Recurrent((4, 16), hidden_size=3, cell="gru"), **QUICKER)
    pipeline = make_pipeline(MinMaxScaler(), encoder, LogisticRegression()).fit(X, y)
    with assert_no_side_effects():
        model = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    for some in (X, X[:1]):
        labels, probabilities = run(model, {"X": some})
        np.testing.assert_array_equal(labels, pipeline.predict(some))
        np.testing.assert_allclose(probabilities, pipeline.predict_proba(some), atol=TOLERANCE)


def test_float64_data_frame(samples):
    frame = pd.DataFrame(samples[:, 18:23], columns=list("abcde")).astype(np.float64)
    encoder = Autoencoder(2, hidden_layer_sizes=()).fit(frame)
    model = skl2onnx.to_onnx(make_pipeline(encoder), frame[:1])
    (codes,) = run(model, {name: frame[[name]].to_numpy() for name in frame})
    assert codes.dtype == np.float64
    wanted = encoder.transform(frame)
    np.testing.assert_allclose(codes, wanted, rtol=0, atol=TOLERANCE * spread(wanted))


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["to_onnx", "onnx_converter"])
def test_unfitted_estimator_raises(method):
    with pytest.raises(NotFittedError, match="This Autoencoder instance is not fitted yet"):
        getattr(Autoencoder(), method)()


@pytest.mark.parametrize("part", ["code", None])
def test_invalid_part_raises(part, samples):
    with pytest.raises(ValueError, match=r"The 'part' parameter of to_onnx must be a str among .* Got .* instead"):
        Autoencoder(4, hidden_layer_sizes=()).fit(samples).to_onnx(part)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_missing_dependency_raises(missing, samples, monkeypatch):
    estimator = Autoencoder(4, hidden_layer_sizes=()).fit(samples)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r'Autoencoder\.to_onnx needs .* pip install "skae\[onnx\]"'):
        estimator.to_onnx()
