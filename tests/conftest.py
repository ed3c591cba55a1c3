"""Every public estimator, found from `skae.__all__`, and small versions of them that fit in a moment."""

import inspect

import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, load_iris

import skae

ESTIMATORS = {
    name: getattr(skae, name)
    for name in skae.__all__
    if inspect.isclass(getattr(skae, name)) and issubclass(getattr(skae, name), BaseEstimator)
}

# One estimator of each kind that differs in the code it runs. A public class without an entry fails a test.
SMALL = {
    "Autoencoder": [
        skae.Autoencoder(max_iter=5, learning_rate=0.02, hidden_layer_sizes=16, random_state=0),
        skae.Autoencoder(hidden_layer_sizes=(), random_state=0),
        skae.Autoencoder(max_iter=5, init="random", hidden_layer_sizes=16, random_state=0),
        skae.Autoencoder(max_iter=5, code_activation="logistic", hidden_layer_sizes=16, random_state=0),
    ],
}


def small_estimators():
    """Unfitted clones of every entry of SMALL."""
    return [clone(estimator) for estimators in SMALL.values() for estimator in estimators]


def pytest_generate_tests(metafunc):
    if "small" in metafunc.fixturenames:
        metafunc.parametrize("small", small_estimators(), ids=str)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits():
    return load_digits().data


@pytest.fixture(scope="session")
def iris():
    return load_iris().data
