"""Shared fixtures: every public estimator, found from `skae.__all__`, and small estimators that are quickly fitted."""

import copy
import inspect
import os
import tempfile

import hypothesis
import hypothesis.configuration
import numpy as np
import pytest
import scipy.linalg
import torch
import torch._dynamo  # takes a second, which would otherwise count for the first test that makes an optimizer
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.neural_network import BernoulliRBM

import skae
from skae._core import AutoencoderCore
from skae.architectures import Convolutional, Recurrent

collect_ignore = ["project/typed_usage.py"]  # for a type checker: must not be imported, not even for doctests

os.environ.setdefault("MPLBACKEND", "Agg")  # no display is needed, also for doctests

# The same examples are drawn in each run; hypothesis's files are kept out of the working directory.
hypothesis.configuration.set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "skae-hypothesis"))
hypothesis.settings.register_profile("suite", max_examples=6, derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("thorough", hypothesis.settings.get_profile("suite"), max_examples=200)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "validation_fraction": 0.4, "random_state": 0}  # two folds
QUICKER = {"hidden_layer_sizes": (8,), "max_iter": 2, "batch_size": 60, "validation_fraction": 0.6, "random_state": 0}

# One estimator for each separate code path; a test fails if a public class is missing. The first N_QUICK are the
# eight classes and three special cases; tests of the others are marked slow, because there are many.
N_QUICK = 11
SMALL = [
    skae.Autoencoder(4, **QUICK),
    *(
        objective(4, **QUICKER)
        for objective in (
            *(skae.DenoisingAutoencoder, skae.ContractiveAutoencoder),
            *(skae.SparseAutoencoder, skae.VariationalAutoencoder),
        )
    ),
    skae.ConvolutionalAutoencoder(4, channels=(2, 3), **QUICKER),
    skae.LSTMAutoencoder(4, hidden_size=3, **QUICKER),
    skae.StackedAutoencoder((8, 4), max_iter=2, batch_size=60, validation_fraction=0.6, random_state=0),
    skae.Autoencoder(4, hidden_layer_sizes=(), random_state=0),
    skae.Autoencoder(4, **QUICKER, ordered=True, whiten=True),
    skae.Autoencoder(4, **QUICKER, init="random"),
    skae.StackedAutoencoder(
        [("below", skae.Autoencoder(8, code_activation="logistic", **QUICKER)), ("rbm", BernoulliRBM(4, n_iter=2))],
        **{name: value for name, value in QUICKER.items() if name != "hidden_layer_sizes"},
    ),
    skae.Autoencoder(4, **QUICKER, code_activation="logistic"),
    skae.Autoencoder(4, **QUICKER, loss="absolute_error", scale="standard"),
    *(
        objective(4, architecture=architecture, **QUICKER)
        for objective in (
            *(skae.DenoisingAutoencoder, skae.ContractiveAutoencoder),
            *(skae.SparseAutoencoder, skae.VariationalAutoencoder),
        )
        for architecture in (Convolutional(channels=(2,)), Recurrent(hidden_size=3))
    ),
    *(
        skae.SparseAutoencoder(4, sparsity=sparsity, n_nonzero_coefs=2, **QUICKER)
        for sparsity in ("kl", "top_k", "batch_top_k")
    ),
]


def public_estimators():
    """Return the classes in `skae.__all__` that are autoencoders."""
    return [c for c in _public() if issubclass(c, AutoencoderCore)]


def public_metas():
    """Return the meta-estimators in `skae.__all__`: those with an autoencoder as a parameter."""
    return [c for c in _public() if not issubclass(c, AutoencoderCore)]


def _public():
    public = [getattr(skae, name) for name in skae.__all__ if name != "BaseAutoencoder"]
    return [c for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator)]


def short_name(estimator):
    """Return the repr of an estimator on one line."""
    return " ".join(repr(estimator).split())


def pytest_generate_tests(metafunc):
    if "small" in metafunc.fixturenames:
        kinds = [
            pytest.param(kind, marks=[] if i < N_QUICK else [pytest.mark.slow, pytest.mark.more_kinds])
            for i, kind in enumerate(SMALL)
        ]
        metafunc.parametrize("small", kinds, ids=short_name, indirect=True)


@pytest.fixture
def small(request):
    """Return a new unfitted small estimator."""
    return clone(request.param)


@pytest.fixture(scope="session")
def fits(digits):
    """Return a function that fits an estimator to the digits, once per session; tests must not modify its result.

    The first kinds are fitted before any test runs, so that no test's monkeypatching affects the shared estimators.
    """
    done = {}

    def fit(estimator):
        name = short_name(estimator)
        if name not in done:
            done[name] = clone(estimator).fit(digits)
        return done[name]

    for kind in SMALL[:N_QUICK]:
        fit(kind)
    return fit


@pytest.fixture
def fitted(small, fits):
    """Return a copy of a small estimator fitted to the digits, which a test may modify."""
    return copy.deepcopy(fits(small))


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(int(os.environ.get("SKAE_TEST_THREADS", "1")))


@pytest.fixture(autouse=True)
def _seed_torch():
    """Seed torch's global generator, so that tests that draw from it don't depend on the order of the tests."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _kernel_settings():
    """Apply the settings of `kernels.py` that can't be set by a library's environment variable."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("SKAE_TEST_SIGNS"):  # the sign of an eigenvector or singular vector is arbitrary
            for module, name in ((np.linalg, "eigh"), (scipy.linalg, "eigh"), (scipy.linalg, "svd")):
                patch.setattr(module, name, _with_other_signs(getattr(module, name)))
        if os.environ.get("SKAE_TEST_FLUSH"):
            torch.set_flush_denormal(True)
        yield
        torch.set_flush_denormal(False)


def _with_other_signs(decompose):
    """Return a decomposition that flips the sign of every second vector, as another LAPACK may do."""

    def decomposed(*args, **kwargs):
        found = decompose(*args, **kwargs)
        if not isinstance(found, tuple):
            return found  # eigenvalues only
        if len(found) == 2:
            values, vectors = found
            flipped = vectors * _signs(values)
            return (values, flipped) if type(found) is tuple else found._replace(eigenvectors=flipped)
        left, values, right = found
        if left.shape[1] != len(values) or len(right) != len(values):
            return found
        return left * _signs(values), values, right * _signs(values)[:, None]

    return decomposed


def _signs(values):
    return np.where(np.arange(len(values)) % 2, -1.0, 1.0).astype(values.dtype)


@pytest.fixture(scope="session")
def digits():
    """Return 240 images of 64 pixels, on which a network outperforms PCA after a few epochs."""
    return load_digits().data[:240]


@pytest.fixture(scope="session")
def iris():
    """Return 150 samples of 4 features."""
    return load_iris().data
