"""Simulated differences between GPUs and CPUs: moved recurrent weights, flags of cuDNN, and synchronization."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import QUICKER
from sklearn.base import clone
from test_devices import DEVICE, IS_REAL
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    LSTMAutoencoder,
    VariationalAutoencoder,
)
from skae._cudnn import differentiable, repeatable
from skae.architectures import Architecture, Recurrent

if not IS_REAL:
    import strict_device

RECURRENT = Recurrent(hidden_size=3, sequence_shape=(8, 8))


class OwnGRU(Architecture):
    """A user-defined recurrent architecture."""

    def build(self, n_features, activation):  # noqa: ARG002 - signature of the base class
        gru = nn.GRU(n_features, 6, batch_first=True)
        return _Last(gru), nn.Linear(6, n_features), 6


class _Last(nn.Module):
    def __init__(self, gru):
        super().__init__()
        self.gru = gru

    def forward(self, x):
        return self.gru(x[:, None])[0][:, 0]


@pytest.mark.parametrize(
    "estimator",
    [
        LSTMAutoencoder(4, hidden_size=3, **QUICKER),
        LSTMAutoencoder(4, hidden_size=3, cell="gru", **QUICKER),
        DenoisingAutoencoder(4, architecture=RECURRENT, **QUICKER),
        Autoencoder(4, architecture=OwnGRU(), **QUICKER),
    ],
    ids=["LSTM", "GRU", "denoising", "own"],
)
def test_flattened_recurrent_weights_are_trained(estimator, digits, monkeypatch):
    expected = clone(estimator).fit(digits)
    moved = []

    def flatten_parameters(layer):
        for weight in layer._flat_weights:
            weight.data = weight.data.clone()  # cuDNN moves the weights to other memory
        moved.append(layer)

    monkeypatch.setattr(nn.RNNBase, "flatten_parameters", flatten_parameters)
    found = clone(estimator).fit(digits)
    assert moved
    assert found.loss_curve_ == expected.loss_curve_
    for name, weight in expected.net_.module_.state_dict().items():
        torch.testing.assert_close(found.net_.module_.state_dict()[name], weight, rtol=0, atol=0, msg=name)


@pytest.fixture
def with_cudnn(monkeypatch):
    """Simulate a build of torch with cuDNN; the flags exist without it."""
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic
    yield
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic) == before


@pytest.mark.usefixtures("with_cudnn")
@pytest.mark.parametrize("random_state", [0, None])
def test_seed_enables_deterministic_convolutions(digits, monkeypatch, random_state):
    seen = set()
    monkeypatch.setattr(nn.GELU, "forward", lambda _, x: (seen.add(torch.backends.cudnn.deterministic), x.tanh())[1])
    estimator = Autoencoder(3, **QUICKER).set_params(random_state=random_state, max_iter=1)
    estimator.fit(digits)
    assert seen == {random_state is not None}
    estimator.partial_fit(digits)
    assert seen == {random_state is not None}


@pytest.mark.usefixtures("with_cudnn")
def test_recurrent_layers_are_differentiated_without_cudnn(digits, monkeypatch):
    """Check that cuDNN is not used for derivatives that it doesn't support: second ones, and in evaluation mode."""
    enabled, real = [], nn.LSTM.forward

    def forward(layer, x, state=None):
        if x.requires_grad and not (layer.training and not x.is_leaf):
            enabled.append(torch.backends.cudnn.enabled)
        return real(layer, x, state)

    monkeypatch.setattr(nn.LSTM, "forward", forward)
    estimator = ContractiveAutoencoder(3, architecture=RECURRENT, **QUICKER).fit(digits)
    estimator.contraction(digits[:5])
    estimator.jacobian(digits[:5])
    estimator.loadings(digits[:5])
    assert enabled
    assert not any(enabled)


@pytest.mark.usefixtures("with_cudnn")
@pytest.mark.parametrize("flag", [repeatable, differentiable], ids=["repeatable", "differentiable"])
def test_last_thread_restores_the_flag(flag):
    before = getattr(torch.backends.cudnn, flag.name)
    assert before != flag.value

    def use(_):
        with flag(), flag():
            return getattr(torch.backends.cudnn, flag.name)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(use, range(200))) == {flag.value}
    assert getattr(torch.backends.cudnn, flag.name) == before
    with contextlib.suppress(ZeroDivisionError), flag():
        _ = 1 / 0
    assert getattr(torch.backends.cudnn, flag.name) == before


@pytest.mark.usefixtures("with_cudnn")
def test_flag_that_was_set_before_is_not_reset():
    torch.backends.cudnn.deterministic = True
    try:
        with repeatable():
            assert torch.backends.cudnn.deterministic
        assert torch.backends.cudnn.deterministic
    finally:
        torch.backends.cudnn.deterministic = False


class CountReads(TorchDispatchMode):
    """Counter of reads from another device, for which the CPU must wait."""

    n = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if any(tensor.device.type != "cpu" for tensor in tensors):
            is_read = "_local_scalar_dense" in operator.name() or "nonzero" in operator.name()
            is_copy = isinstance(result, torch.Tensor) and result.device.type == "cpu"
            self.n += is_read or is_copy
        return result


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(3, **QUICKER),
        Autoencoder(3, **QUICKER, ordered=True),
        DenoisingAutoencoder(3, **QUICKER),
        ContractiveAutoencoder(3, **QUICKER),
        VariationalAutoencoder(3, **QUICKER),
    ],
    ids=["plain", "ordered", "denoising", "contractive", "variational"],
)
@pytest.mark.skipif(not IS_REAL and not strict_device.AVAILABLE, reason="this torch has no backends written in Python")
def test_one_synchronization_per_epoch(estimator, digits):
    estimator.set_params(device=DEVICE, early_stopping=False)
    numbers = []
    for n_epochs in (2, 5):
        with CountReads() as reads:
            estimator.set_params(max_iter=n_epochs).fit(digits)
        numbers.append(reads.n)
    assert 3 <= numbers[1] - numbers[0] <= 6  # two per epoch with an improvement
