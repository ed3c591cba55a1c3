"""Every parameter of every estimator has an effect."""

import inspect

import numpy as np
import pytest
from conftest import public_estimators
from sklearn.base import clone

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LSTMAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from skae.architectures import Convolutional

# (value in the reference fit, another value); None for both if the effect is tested elsewhere
ALTERNATIVES = {
    "n_components": (4, 3),
    "hidden_layer_sizes": (16, (16, 8)),
    "activation": ("gelu", "tanh"),
    "code_activation": ("identity", "tanh"),
    "architecture": (None, Convolutional(channels=(2,))),
    "init": ("pca", "random"),
    "ordered": (False, True),
    "whiten": (False, True),
    "loss": ("squared_error", "huber"),
    "scale": ("global", "standard"),
    "max_iter": (30, 20),
    "batch_size": ("auto", 20),
    "learning_rate": (0.01, 0.02),
    "weight_decay": (0.3, 10.0),
    "early_stopping": ("auto", False),
    "validation_fraction": ("auto", 0.1),
    "cv": (None, 3),
    "n_iter_no_change": (2, 30),
    "tol": (0.01, 0.5),
    "warm_start": (False, None),
    "callbacks": (None, None),
    "net_params": (None, None),
    "device": ("cpu", None),
    "mixed_precision": (False, True),
    "random_state": (0, 1),
    "verbose": (0, None),
}
# parameters of a single estimator
OWN = {
    ConvolutionalAutoencoder: {
        "image_shape": (None, (4, 16)),
        "channels": ((2,), (2, 3)),
        "kernel_size": (3, 5),
        "dense_code": (True, None),
        "downsampling": ("stride", "max_pool"),
    },
    LSTMAutoencoder: {
        "sequence_shape": (None, (16, 4)),
        "hidden_size": (3, 4),
        "bidirectional": (True, False),
        "cell": ("lstm", "gru"),
    },
    DenoisingAutoencoder: {
        "corruption": ("gaussian", "swap"),
        "corruption_level": (0.3, (0.2, 0.4)),
        "clip": (False, True),
        "emphasis": (0.5, 0.9),
    },
    ContractiveAutoencoder: {
        "alpha": (0.1, 0.2),
        "contraction_method": ("auto", "exact"),
    },
    SparseAutoencoder: {
        "sparsity": ("kl", "top_k"),
        "alpha": (10.0, 20.0),
        "sparsity_target": (0.1, 0.2),
        "n_nonzero_coefs": (None, None),
    },
    VariationalAutoencoder: {"beta": (1.0, 2.0)},
    StackedAutoencoder: {"layers": ((8, 4), (8, 3)), "pretrain": (True, False)},
}


@pytest.mark.parametrize("estimator", public_estimators())
def test_every_parameter_has_an_alternative(estimator):
    assert set(inspect.signature(estimator).parameters) <= set(ALTERNATIVES) | set(OWN.get(estimator, {}))


@pytest.fixture(scope="module")
def reference(digits):
    values = {name: value for name, (value, _) in ALTERNATIVES.items()}
    # with this learning rate and tol training stops early, so that the parameters of early stopping have an effect
    return Autoencoder(**values | {"learning_rate": 0.05}).fit(digits[:120])


@pytest.mark.filterwarnings("ignore:max_iter=30 ended before:sklearn.exceptions.ConvergenceWarning")  # a random start
@pytest.mark.parametrize("name", [name for name, (_, other) in ALTERNATIVES.items() if other is not None])
def test_every_parameter_alters_the_fit(name, reference, digits):
    other = clone(reference).set_params(**{name: ALTERNATIVES[name][1]}).fit(digits[:120])
    same_shape = other.transform(digits).shape == reference.transform(digits).shape
    assert not same_shape or not np.array_equal(other.transform(digits), reference.transform(digits))


@pytest.mark.parametrize(
    ("estimator", "name"),
    [(estimator, name) for estimator, own in OWN.items() for name, (_, other) in own.items() if other is not None],
)
@pytest.mark.slow
def test_every_parameter_of_every_estimator_alters_the_fit(estimator, name, digits):
    values = {own: value for own, (value, _) in OWN[estimator].items()}
    if estimator is not StackedAutoencoder:
        values |= {"n_components": 4, "hidden_layer_sizes": 8}
    first = estimator(max_iter=4, validation_fraction=0.6, random_state=0, **values).fit(digits)
    other = clone(first).set_params(**{name: OWN[estimator][name][1]}).fit(digits)
    assert other.loss_curve_ != first.loss_curve_


@pytest.mark.parametrize("estimator", public_estimators())
def test_removed_parameters_are_not_attributes(estimator):
    """Check that parameters of other estimators are not attributes."""
    own = set(inspect.signature(estimator).parameters)
    every = {name for other in public_estimators() for name in inspect.signature(other).parameters}
    assert not [name for name in sorted(every - own) if hasattr(estimator(), name)]
    assert set(estimator._parameter_constraints) == own


def test_error_lists_options_in_sorted_order(digits):
    with pytest.raises(
        ValueError, match=r"among \{'gelu', 'identity', 'logistic', 'relu', 'silu', 'softplus', 'tanh'\}"
    ):
        Autoencoder(activation="Relu").fit(digits)
