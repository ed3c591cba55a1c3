"""The skorch net of a fitted estimator works as skorch users expect."""

import gc
import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_squared_error

from skae.nn import AutoencoderModule


def test_net_predicts_the_reconstructions(fitted, digits):
    X = digits.astype(np.float32)
    expected = fitted.reconstruct(X)
    tolerance = 1e-5 * np.ptp(expected)
    for net in (fitted.net_, pickle.loads(pickle.dumps(fitted)).net_, pickle.loads(pickle.dumps(fitted.net_))):
        found = net.predict(X)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=tolerance)
        np.testing.assert_allclose(net.predict(digits), expected, atol=tolerance)
        np.testing.assert_allclose(net.forward(X).numpy(), expected, atol=tolerance)
        with torch.no_grad():
            np.testing.assert_allclose(net.infer(torch.tensor(X[:5])).numpy(), expected[:5], atol=tolerance)
        loss = net.get_loss(net.forward(X), torch.tensor(X)).item()
        assert loss == pytest.approx(mean_squared_error(X, expected), rel=1e-4)
        assert repr(net).startswith("<class")


def test_parameters_of_the_net_can_be_saved_and_loaded(fitted, digits, tmp_path):
    net = fitted.net_
    net.save_params(f_params=tmp_path / "params.pt", f_optimizer=tmp_path / "optimizer.pt")
    before = net.predict(digits)
    with torch.no_grad():
        for weight in net.module_.parameters():
            weight.zero_()
    assert not np.array_equal(net.predict(digits), before)
    net.load_params(f_params=tmp_path / "params.pt", f_optimizer=tmp_path / "optimizer.pt")
    np.testing.assert_array_equal(net.predict(digits), before)


def test_networks_of_folds_are_released(small, digits):
    X = digits[:100]

    def networks_of(make):
        before, estimator = live_networks(), make()
        estimator.reconstruct(X)  # a network in float64 is built when it is needed
        return live_networks() - before, estimator

    n_fitted, fitted = networks_of(lambda: small.set_params(cv=3, validation_fraction="auto").fit(X))
    n_loaded, _ = networks_of(lambda: pickle.loads(pickle.dumps(fitted)))
    assert n_fitted == n_loaded


def live_networks():
    """Return the number of modules in memory."""
    gc.collect()
    return sum(issubclass(type(each), AutoencoderModule) for each in gc.get_objects())
