"""Networks that are trained together give the same results as networks that are trained separately."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae import Autoencoder, DenoisingAutoencoder, SparseAutoencoder, VariationalAutoencoder
from skae.architectures import Convolutional
from skae.nn import ModuleEnsemble
from skae.nn._ensemble import clip_gradients

QUICK = {"max_iter": 1, "validation_fraction": 0.3, "random_state": 0}
KINDS = [
    Autoencoder(3, hidden_layer_sizes=(8,), **QUICK),
    Autoencoder(3, hidden_layer_sizes=(150,), code_activation="tanh", loss="huber", **QUICK),
    Autoencoder(3, hidden_layer_sizes=(8,), architecture=Convolutional((8, 8), channels=(2,)), **QUICK),
    SparseAutoencoder(20, sparsity="l1", **QUICK),
]


@pytest.fixture(scope="module", params=KINDS, ids=["dense", "classic", "convolutional", "sparse"])
def modules(request, digits):
    """Return three modules of the same shape with different weights, which tests must not modify."""
    return [clone(request.param).set_params(random_state=seed).fit(digits).net_.module_ for seed in range(3)]


@pytest.fixture
def members(modules):
    """Return three modules of the same shape with different weights, which a test may modify."""
    return [copy.deepcopy(module).train() for module in modules]


@pytest.fixture
def rows():
    return torch.randn(3, 20, 64, generator=torch.Generator().manual_seed(0))


def separate_gradients(member, x):
    """Return the gradients of a member's loss, clipped at 1."""
    sum(term.mean() for term in member.losses(x).values()).backward()
    weights = [weight for weight in member.parameters() if weight.grad is not None]
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    return {name: weight.grad for name, weight in member.named_parameters() if weight.grad is not None}


def test_buffers_are_shared_with_the_members(members):
    together = ModuleEnsemble(members)
    for module in together.trained:
        module.register_buffer("seen", torch.zeros(2))
    for member in members:
        member.register_buffer("seen", torch.zeros(2))
    together.share_buffers()
    together.trained[-1].seen += 3.0
    assert members[-1].seen.tolist() == [3.0, 3.0]
    together.trained[-1].seen = torch.ones(2)
    together.share_buffers()
    assert members[-1].seen.tolist() == [1.0, 1.0]
    far = [member.encoder.extrapolation for member in members if hasattr(member.encoder, "extrapolation")]
    assert len({each.data_ptr() for each in far}) == len(far)  # each member has its own


def test_step_equals_separate_steps(members, rows):
    alone = [separate_gradients(copy.deepcopy(member), x) for member, x in zip(members, rows, strict=True)]
    expected = [copy.deepcopy(member).losses(x) for member, x in zip(members, rows, strict=True)]
    before = [{name: weight.detach().clone() for name, weight in m.named_parameters()} for m in members]

    together = ModuleEnsemble(members)
    terms = together.losses(rows)
    for name, term in terms.items():
        torch.testing.assert_close(term, torch.stack([each[name] for each in expected]), rtol=1e-5, atol=1e-5)
    (3 * sum(term.mean() for term in terms.values())).backward()
    for weights in together.weights:
        gradients = [weight.grad for weight in weights.values() if weight.grad is not None]
        clip_gradients(gradients, 1.0, 3 if together.is_batched else 1)
        torch.optim.SGD(weights.values(), lr=0.5).step()
    for member, was, gradients in zip(members, before, alone, strict=True):
        for name, weight in member.named_parameters():
            torch.testing.assert_close(weight, was[name] - 0.5 * gradients.get(name, 0.0), rtol=1e-4, atol=1e-5)


def test_dense_networks_are_batched(members):
    is_batched = ModuleEnsemble(members).is_batched
    dense = not any(isinstance(module, torch.nn.Conv2d) for module in members[0].modules())
    assert is_batched == (dense and members[0].supports_batching)
    assert not ModuleEnsemble(members[:1]).is_batched
    assert not ModuleEnsemble(members, is_batched=False).is_batched


def test_losses_of_the_first_members_equal_those_of_all(members, rows):
    together = ModuleEnsemble(members)
    together.train(False)
    with torch.no_grad():
        some, all_of_them = together.losses(rows[:2], [1, 3]), together.losses(rows, [1, 3])
    assert some["reconstruction"].shape == (2, 20, 2)
    torch.testing.assert_close(some["reconstruction"], all_of_them["reconstruction"][:2])


@pytest.mark.parametrize("n", [1, 3])
def test_weights_are_shared_with_the_members(members, n):
    together = ModuleEnsemble(members[:n])
    assert all(set(weights) == set(dict(members[0].named_parameters())) for weights in together.weights)
    every = [weight for weights in together.weights for weight in weights.values()]
    n_weights = sum(weight.numel() for member in members[:n] for weight in member.parameters())
    assert sum(weight.numel() for weight in every) == n_weights
    with torch.no_grad():
        for weight in every:
            weight.fill_(2.0)
    assert all(bool((weight == 2.0).all()) for member in members[:n] for weight in member.parameters())


@pytest.mark.parametrize("n", [1, 2])
def test_tied_and_frozen_weights_are_preserved(digits, monkeypatch, n):
    monkeypatch.setattr(
        torch.__future__, "get_overwrite_module_params_on_conversion", lambda: False
    )  # True would untie them
    module = Autoencoder(3, hidden_layer_sizes=(8,), **QUICK).fit(digits).net_.module_
    module.decoder.nonlinear[0].bias = module.encoder.nonlinear[0].bias
    module.decoder.linear.bias.requires_grad_(False)
    frozen = module.decoder.linear.bias
    together = ModuleEnsemble([module, copy.deepcopy(module)][:n])
    assert module.decoder.nonlinear[0].bias is module.encoder.nonlinear[0].bias
    assert module.decoder.linear.bias is frozen
    n_weights = sum(weight.numel() for weight in module.parameters()) - 64
    assert sum(weight.numel() for weights in together.weights for weight in weights.values()) == n * n_weights


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(3, ordered=True),
        DenoisingAutoencoder(3, corruption="swap"),
        DenoisingAutoencoder(3, corruption=lambda x: x * (torch.rand(x.shape) < 0.9)),
        VariationalAutoencoder(3),
    ],
    ids=["ordered", "denoising", "callable", "variational"],
)
def test_random_noise_is_reproducible(estimator, digits):
    estimator.set_params(hidden_layer_sizes=(16,), max_iter=8, random_state=2, learning_rate=0.02)
    codes = estimator.fit(digits).transform(digits)
    assert estimator.best_epoch_ > 0
    np.testing.assert_array_equal(estimator.fit(digits).transform(digits), codes)
