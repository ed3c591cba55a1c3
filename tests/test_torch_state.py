"""Global settings of torch do not affect results, and are not changed."""

import contextlib
import pickle
import warnings

import numpy as np
import pytest
import torch
from conftest import N_QUICK, SMALL, short_name
from sklearn.base import clone

import skae
from skae import Autoencoder


@contextlib.contextmanager
def _set(setter, value, before):
    setter(value)
    try:
        yield
    finally:
        setter(before)


STATES = {
    "float64": lambda: _set(torch.set_default_dtype, torch.float64, torch.float32),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "grad disabled": lambda: _set(torch.set_grad_enabled, False, True),
    "meta": lambda: torch.device("meta"),
    "default device meta": lambda: _set(torch.set_default_device, "meta", None),
    "default device cpu": lambda: _set(torch.set_default_device, "cpu", None),
    "bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "anomalies": lambda: _set(torch.autograd.set_detect_anomaly, True, False),
    "deterministic": lambda: _set(torch.use_deterministic_algorithms, True, False),
}
WORST = ("float64", "inference_mode", "meta", "bfloat16")


def _state_of_torch():
    return (
        *(torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.empty(0).device),
        *(torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_anomaly_enabled()),
        *(torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()),
    )


def _results(estimator, X, folder):
    """Return the results of all methods of an estimator, its copies and its continued training."""
    narrow = X.astype(np.float32)
    clone(estimator).set_params(random_state=1)
    estimator = clone(estimator).fit(X)
    estimator.save(folder / "kept.skops")
    found = []
    for one in (
        estimator,
        pickle.loads(pickle.dumps(estimator)),
        type(estimator).load(folder / "kept.skops", trusted=[type(getattr(estimator, "architecture", None))]),
        clone(estimator).partial_fit(X[:90]).partial_fit(narrow[90:]),
    ):
        codes = one.transform(X)
        found += [codes, one.transform(narrow), one.inverse_transform(codes), one.reconstruct(narrow)]
        found += [one.score(X), one.score_samples(X), one.jacobian(X[:9]), one.loadings(narrow[:9])]
        found += [one.feature_importances_, one.loss_curve_, one.explained_variance_]
        found += [one.contraction(narrow)] if hasattr(one, "contraction") else []
        if hasattr(one, "posterior"):
            found += [*one.posterior(narrow), one.log_likelihood(X, random_state=0), one.sample(3, random_state=0)]
            found += [one.vary(narrow[:3], random_state=0), one.interpolate(X[0], X[1], 3)]
    return found


@pytest.fixture(scope="module")
def expected_results(digits, tmp_path_factory):
    done = {}

    def results(estimator):
        name = repr(estimator)
        if name not in done:
            done[name] = _results(estimator, digits[:120], tmp_path_factory.mktemp("kept"))
        return done[name]

    return results


def _check(states, small, expected_results, digits, folder):
    expected = expected_results(small)
    with contextlib.ExitStack() as stack:
        for state in states:
            stack.enter_context(STATES[state]())
        before = _state_of_torch()
        found = _results(small, digits[:120], folder)
        assert _state_of_torch() == before
    for here, there in zip(expected, found, strict=True):
        assert np.asarray(here).dtype == np.asarray(there).dtype
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("kind", [SMALL[0], SMALL[4]], ids=short_name)
def test_results_in_worst_state_are_bit_identical(kind, expected_results, digits, tmp_path):
    _check(WORST, kind, expected_results, digits, tmp_path)


@pytest.mark.slow
def test_results_of_every_estimator_in_worst_state_are_bit_identical(small, expected_results, digits, tmp_path):
    _check(WORST, small, expected_results, digits, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", SMALL[:N_QUICK], ids=short_name)
def test_results_in_each_state_are_bit_identical(state, kind, expected_results, digits, tmp_path):
    _check([state], kind, expected_results, digits, tmp_path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outer_autocast_has_no_effect(dtype, digits, fits):
    fitted, X = fits(Autoencoder(4, hidden_layer_sizes=16, max_iter=2, random_state=0)), digits.astype(dtype)
    codes = fitted.transform(X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(fitted.transform(X), codes)
        assert not np.array_equal(fitted.encoder_(torch.from_numpy(digits).float()).detach().float().numpy(), codes)


def test_mixed_precision_depends_on_parameter_only(digits):
    mixed = Autoencoder(4, hidden_layer_sizes=8, max_iter=2, mixed_precision=True, random_state=0)
    plain = clone(mixed).set_params(mixed_precision=False)
    expected = [clone(one).fit(digits).transform(digits) for one in (mixed, plain)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [clone(one).fit(digits).transform(digits) for one in (mixed, plain)]
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(*expected)


class _Own(torch.nn.Module):
    """Layers and a constant with torch's default dtype and device."""

    def __init__(self, width_in, width_out):
        super().__init__()
        self.layer, self.gain = torch.nn.Linear(width_in, width_out), torch.nn.Parameter(torch.full((1,), 1.5))
        self.register_buffer("shift", torch.tensor([0.25]) + torch.arange(1.0), persistent=False)

    def forward(self, x):
        return self.gain * torch.tanh(self.layer(x)) + self.shift + torch.zeros(1) + torch.tensor(0.5)


class OwnArchitecture(skae.architectures.Architecture):
    def build(self, n_features, activation):  # noqa: ARG002
        return _Own(n_features, 6), _Own(6, n_features), 6


def test_custom_architectures_are_built_with_default_state(digits, expected_results, tmp_path):
    own = Autoencoder(3, architecture=OwnArchitecture(), hidden_layer_sizes=8, max_iter=2, random_state=0)
    _check(["float64", "meta"], own, expected_results, digits, tmp_path)


def test_unavailable_default_device_has_no_effect(digits, expected_results, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("the device is available")
    linear = Autoencoder(3, hidden_layer_sizes=())
    expected = expected_results(linear)
    with _set(torch.set_default_device, "cuda", None):
        found = _results(linear, digits[:120], tmp_path)
    for here, there in zip(expected, found, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.slow
def test_onnx_model_is_bit_identical(digits):
    pytest.importorskip("onnxscript")
    fitted = Autoencoder(3, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(digits)
    expected = fitted.to_onnx().SerializeToString()
    for state in STATES.values():
        with warnings.catch_warnings(), state():
            assert fitted.to_onnx().SerializeToString() == expected
