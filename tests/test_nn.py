"""Layers and formulas, compared with independent implementations."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from skae.nn import (
    AutoencoderModule,
    Decoder,
    Encoder,
    LatentTransform,
    Linear,
    LinearSkip,
    Link,
    Scaler,
    dense,
    functional,
)

GENERATOR = torch.Generator().manual_seed(0)
OUTPUT = torch.randn(7, 5, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.rand(7, 5, generator=GENERATOR, dtype=torch.float64)
COUNTS = torch.randint(0, 9, (7, 5), generator=GENERATOR).double()


def test_squared_and_absolute_error():
    difference = (OUTPUT - TARGET).numpy()
    np.testing.assert_allclose(functional.squared_error(OUTPUT, TARGET), difference**2)
    np.testing.assert_allclose(functional.absolute_error(OUTPUT, TARGET), abs(difference))


def test_huber():
    size = abs(OUTPUT - TARGET).numpy()
    np.testing.assert_allclose(functional.huber(OUTPUT, TARGET), np.where(size < 1, size**2 / 2, size - 0.5))


def test_binary_cross_entropy_is_the_bernoulli_likelihood():
    bits = (TARGET > 0.5).double()
    expected = -torch.distributions.Bernoulli(logits=OUTPUT).log_prob(bits)
    np.testing.assert_allclose(functional.binary_cross_entropy(OUTPUT, bits), expected)


def test_poisson_loss_agrees_with_scipy_up_to_a_constant():
    ours = functional.poisson(OUTPUT, COUNTS) - functional.poisson(torch.zeros_like(OUTPUT), COUNTS)
    log_likelihood = stats.poisson.logpmf(COUNTS.numpy(), OUTPUT.exp().numpy()) - stats.poisson.logpmf(
        COUNTS.numpy(), 1
    )
    np.testing.assert_allclose(ours, -log_likelihood)


@pytest.mark.parametrize("name", functional.LOSSES)
def test_losses_are_elementwise(name):
    loss = functional.LOSSES[name]
    whole = loss(OUTPUT, COUNTS)
    assert whole.shape == OUTPUT.shape
    np.testing.assert_array_equal(loss(OUTPUT[:3, 1:2], COUNTS[:3, 1:2]), whole[:3, 1:2])


def test_dense():
    layers = dense((5, 8, 6, 2), "tanh")
    assert [type(layer) for layer in layers] == [Linear, nn.Tanh, Linear, nn.Tanh, Linear]
    assert layers(OUTPUT.float()).shape == (7, 2)


def test_linear_skip_is_linear_initially():
    linear = nn.Linear(5, 2)
    layer = LinearSkip(linear, dense((5, 8, 2), "gelu"), torch.full((5,), 100.0))
    torch.testing.assert_close(layer(OUTPUT.float()), linear(OUTPUT.float()), rtol=0, atol=0)
    layer(OUTPUT.float()).sum().backward()
    assert layer.nonlinear[-1].weight.grad.abs().sum() > 0  # but not after training


def test_nonlinear_part_is_bounded_far_from_the_data():
    layer = LinearSkip(nn.Linear(5, 2), dense((5, 8, 2), "gelu"), torch.full((5,), 3.0))
    with torch.no_grad():
        for weight in [*layer.parameters(), layer.extrapolation]:
            weight.normal_(generator=GENERATOR)
        out = torch.tensor([[1e6, -1e5, 0.5, 1.0, -2.0]])
        near = torch.tensor([[3.0, -3.0, 0.5, 1.0, -2.0]])
        torch.testing.assert_close(layer(out) - (out - near) @ layer.extrapolation.T, layer(near), rtol=0, atol=0.2)
        torch.testing.assert_close(layer(near), layer.linear(near) + layer.nonlinear(near))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scaler_round_trip(dtype):
    mean, scale = np.array([1e6 + 0.123456, 0.0, -3.0]), np.array([1.0, 1e-12, 5.0])
    scaler = Scaler(mean, scale, dtype)
    X = mean + scale * np.random.RandomState(0).randn(50, 3)
    x = torch.tensor(X, dtype=dtype)
    expected = (x.double().numpy() - mean) / scale  # of X rounded to the dtype
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    np.testing.assert_allclose(scaler(x), expected, atol=tolerance)
    np.testing.assert_allclose(scaler.inverse(scaler(x)), x, rtol=1e-6, atol=0)


def test_scaler_ignores_and_restores_constants():
    scaler = Scaler(np.array([3.0]), np.array([0.0]), torch.float64)
    assert scaler(torch.tensor([[99.0]])) == 0
    assert scaler.inverse(torch.tensor([[99.0]])) == 3


def test_latent_transform_round_trip():
    rotation, _ = np.linalg.qr(np.random.RandomState(0).randn(3, 3))
    scale, mean, deviation = np.array([2.0, 1.0, 0.1]), np.array([5.0, 0.0, 1.0]), np.array([3.0, 2.0, 1e-3])
    axes = LatentTransform(scale, mean, rotation, np.ones(3), torch.float64)
    whitened = LatentTransform(scale, mean, rotation, deviation, torch.float64)
    np.testing.assert_allclose(whitened.inverse(whitened(OUTPUT[:, :3])), OUTPUT[:, :3])
    np.testing.assert_allclose(whitened(OUTPUT[:, :3]).numpy() * deviation, axes(OUTPUT[:, :3]))
    code = OUTPUT[:, :3]
    np.testing.assert_allclose(axes.inverse(axes(code)), code)
    # the transform is an isometry of the scaled code
    np.testing.assert_allclose(
        torch.cdist(axes(code), axes(code)), torch.cdist(code * axes.scale, code * axes.scale), atol=1e-6
    )


def test_link():
    link = Link(torch.sigmoid, np.zeros(5), np.full(5, 4.0), torch.float64)
    np.testing.assert_allclose(link.mean(OUTPUT), torch.sigmoid(4 * OUTPUT))


class Everything(AutoencoderModule):
    """A variant that overrides every hook."""

    def corrupt(self, x):
        return x + 1

    def code(self, encoding):
        return encoding * 2

    def sample(self, encoding):
        return self.code(encoding) + 1

    def reconstruction(self, output, x, corrupted):
        return super().reconstruction(output, x, corrupted) * 3

    def penalty(self, seen, encoding, code):
        torch.testing.assert_close(seen, TARGET + 1)
        torch.testing.assert_close(code, 2 * encoding + 1)
        return {"size": encoding.square().sum(dim=1), "rent": torch.tensor(5.0)}


def test_hooks():
    scaler = Scaler(np.ones(5), np.ones(5), torch.float64)
    encoder, decoder = nn.Linear(5, 2).double(), nn.Linear(2, 5).double()
    module = Everything(encoder, decoder, functional.squared_error, scaler)
    encoding = encoder(TARGET + 1)
    terms = module.losses(TARGET)
    assert set(terms) == {"reconstruction", "size", "rent"}
    torch.testing.assert_close(terms["reconstruction"], 3 * (decoder(2 * encoding + 1) - TARGET).square().sum(1))
    torch.testing.assert_close(terms["size"], encoding.square().sum(1))
    torch.testing.assert_close(module.encode(TARGET), 2 * encoder(TARGET - 1))  # encode neither corrupts nor samples
    torch.testing.assert_close(module(TARGET), decoder(2 * encoder(TARGET - 1)) + 1)
    torch.testing.assert_close(Decoder(module)(Encoder(module)(TARGET)), module(TARGET))
