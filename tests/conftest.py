"""Every public estimator, found from `skae.__all__`, and small versions of them that fit in a moment."""

import copy
import inspect
import os
import tempfile

import hypothesis
import hypothesis.configuration
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.neural_network import BernoulliRBM

import skae
from skae.architectures import Convolutional, Recurrent

collect_ignore = ["typed_usage.py"]  # for a type checker: not to be imported, not even for doctests

os.environ.setdefault("MPLBACKEND", "Agg")  # plots need no screen, in doctests neither

# drawn the same in each run; what hypothesis keeps for later runs is not left in the working directory
hypothesis.configuration.set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "skae-hypothesis"))
hypothesis.settings.register_profile("suite", max_examples=6, derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("thorough", hypothesis.settings.get_profile("suite"), max_examples=200)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "validation_fraction": 0.4, "random_state": 0}  # in two folds
QUICKER = {"hidden_layer_sizes": (8,), "max_iter": 2, "batch_size": 60, "validation_fraction": 0.6, "random_state": 0}

# One estimator of each kind that runs code of its own; a test fails if a public class has none.
SMALL = [
    skae.Autoencoder(4, **QUICK),
    skae.Autoencoder(4, hidden_layer_sizes=(), random_state=0),
    skae.Autoencoder(4, **QUICKER, init="random"),
    skae.Autoencoder(4, **QUICKER, code_activation="logistic"),
    skae.Autoencoder(4, **QUICKER, loss="absolute_error", scale="standard"),
    skae.Autoencoder(4, **QUICKER, ordered=True, whiten=True),
    skae.ConvolutionalAutoencoder(4, channels=(2, 3), **QUICKER),
    skae.LSTMAutoencoder(4, hidden_size=3, **QUICKER),
    *(
        objective(4, architecture=architecture, **QUICKER)
        for objective in (
            *(skae.DenoisingAutoencoder, skae.ContractiveAutoencoder),
            *(skae.SparseAutoencoder, skae.VariationalAutoencoder),
        )
        for architecture in (None, Convolutional(channels=(2,)), Recurrent(hidden_size=3))
    ),
    *(
        skae.SparseAutoencoder(4, sparsity=sparsity, n_nonzero_coefs=2, **QUICKER)
        for sparsity in ("kl", "top_k", "batch_top_k")
    ),
    skae.StackedAutoencoder((8, 4), max_iter=2, batch_size=60, validation_fraction=0.6, random_state=0),
    skae.StackedAutoencoder(
        [("below", skae.Autoencoder(8, code_activation="logistic", **QUICKER)), ("rbm", BernoulliRBM(4, n_iter=2))],
        **{name: value for name, value in QUICKER.items() if name != "hidden_layer_sizes"},
    ),
]


def public_estimators():
    """Return the classes in `skae.__all__` that are autoencoders."""
    return [c for c in _public() if hasattr(c, "transform")]


def public_metas():
    """Return the classes in `skae.__all__` that make something else of an autoencoder."""
    return [c for c in _public() if not hasattr(c, "transform")]


def _public():
    public = [getattr(skae, name) for name in skae.__all__]
    return [c for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator)]


def short_name(estimator):
    """Return the parameters that differ from the defaults, on one line."""
    return " ".join(repr(estimator).split())


def pytest_generate_tests(metafunc):
    if "small" in metafunc.fixturenames:
        metafunc.parametrize("small", SMALL, ids=short_name, indirect=True)


@pytest.fixture
def small(request):
    """Unfitted small estimator, anew for each test."""
    return clone(request.param)


@pytest.fixture(scope="session")
def fits(digits):
    """Fit an estimator to the digits, once a session; what is returned is shared, and not to be altered."""
    done = {}

    def fit(estimator):
        name = short_name(estimator)
        if name not in done:
            done[name] = clone(estimator).fit(digits)
        return done[name]

    return fit


@pytest.fixture
def fitted(small, fits):
    """Small estimator fitted to the digits: a copy, which a test may alter."""
    return copy.deepcopy(fits(small))


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits():
    """Rows of 64 pixels, on which a network soon beats PCA."""
    return load_digits().data[:240]


@pytest.fixture(scope="session")
def iris():
    """150 rows of 4 features."""
    return load_iris().data
