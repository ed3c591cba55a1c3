"""Architectures: shapes, initialization, and custom architectures."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import Autoencoder, ConvolutionalAutoencoder, LSTMAutoencoder
from skae.architectures import Architecture, Convolutional, Recurrent

QUICK = {"hidden_layer_sizes": 8, "max_iter": 2, "validation_fraction": 0.3, "random_state": 0}


@pytest.mark.parametrize("architecture", [Convolutional(channels=(2, 3)), Recurrent(hidden_size=3)], ids=str)
@pytest.mark.parametrize("n_features", [1, 2, 4, 7, 30, 49])
def test_number_of_features_is_arbitrary(architecture, n_features):
    X = np.random.RandomState(0).randn(60, n_features)
    fitted = Autoencoder(2, architecture=architecture, **QUICK).fit(X)
    assert fitted.reconstruct(X).shape == X.shape


@pytest.mark.parametrize("shape", [(5, 7), (7, 5, 3), (1, 12), (9, 1, 2), (8, 8, 1), (6, 4, 3)])
@pytest.mark.parametrize("channels", [(2,), (2, 3, 4), [3, 2]])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("downsampling", ["stride", "max_pool"])
def test_images_may_have_any_shape(shape, channels, kernel_size, downsampling):
    architecture = Convolutional(shape, channels, kernel_size, downsampling=downsampling)
    n_features = int(np.prod(shape))
    encoder, decoder, width = architecture.checked_build(n_features, "relu")
    height, breadth = (-(-size // 2 ** len(channels)) for size in shape[:2])
    assert width == channels[-1] * height * breadth
    x = torch.randn(3, n_features)
    assert encoder(x).shape == (3, width)
    assert decoder(encoder(x)).shape == x.shape


@pytest.mark.parametrize("shape", [(5, 7, 1), (7, 6, 3), (1, 12, 1)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_strided_convolutions_use_every_pixel(shape, kernel_size):
    n_features = int(np.prod(shape))
    encoder, decoder, width = Convolutional(shape, (2, 3), kernel_size).checked_build(n_features, "identity")
    read = torch.func.jacrev(lambda x: encoder(x[None]).sum())(torch.zeros(n_features))
    written = torch.func.jacrev(lambda features: decoder(features[None])[0])(torch.zeros(width))
    assert read.abs().min() > 0
    assert written.abs().amax(dim=1).min() > 0


@pytest.mark.parametrize("estimator", [ConvolutionalAutoencoder(2), Autoencoder(2, architecture=Convolutional())])
@pytest.mark.parametrize("shape", [None, (4, 8, 2)])
def test_convolutions_that_skip_pixels_raise(estimator, shape):
    name = "" if isinstance(estimator, ConvolutionalAutoencoder) else "architecture__"
    own = {"image_shape": shape, "channels": (2,), "kernel_size": 1}
    estimator = clone(estimator).set_params(**QUICK, **{f"{name}{key}": value for key, value in own.items()})
    X = np.random.RandomState(0).randn(40, 64)
    for fit in (estimator.fit, clone(estimator).partial_fit):
        with pytest.raises(ValueError, match=r"kernel_size=1 must be 3 or more with downsampling='stride'.*max_pool"):
            fit(X)
    for valid in ({"kernel_size": 3}, {"downsampling": "max_pool"}):
        clone(estimator).set_params(**{f"{name}{key}": value for key, value in valid.items()}).fit(X)


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3)])
def test_strided_convolution_equals_a_subsampled_convolution(shape):
    """Compare with every other pixel of a convolution with stride 1, and with its transpose."""
    n_features = int(np.prod(shape))
    encoder, decoder, width = Convolutional(shape, (4,)).checked_build(n_features, "identity")
    (down,) = (layer for layer in encoder if isinstance(layer, nn.Conv2d))
    (up,) = (layer for layer in decoder if isinstance(layer, nn.ConvTranspose2d))
    x = torch.randn(2, n_features)
    maps = x.reshape(2, *shape).permute(0, 3, 1, 2)
    kept = nn.functional.conv2d(maps, down.weight, down.bias, padding=1)[:, :, ::2, ::2]
    torch.testing.assert_close(encoder(x), kept.permute(0, 2, 3, 1).flatten(1))  # channels are last
    with torch.no_grad():
        up.weight.copy_(down.weight)
        up.bias.zero_()
        down.bias.zero_()
    features = torch.randn(2, width)
    torch.testing.assert_close((encoder(x) * features).sum(), (x * decoder(features)).sum(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3)])
def test_pooling_takes_the_maximum_of_four_pixels(shape):
    n_features = int(np.prod(shape))
    architecture = Convolutional(shape, (4,), downsampling="max_pool")
    encoder, decoder, width = architecture.checked_build(n_features, "identity")
    down, up = (next(each for each in half if isinstance(each, nn.Conv2d)) for half in (encoder, decoder))
    x = torch.randn(2, n_features)
    maps = down(x.reshape(2, *shape).permute(0, 3, 1, 2))
    rows, columns = (range(0, size, 2) for size in shape[:2])
    maxima = [maps[:, :, i : i + 2, j : j + 2].amax(dim=(2, 3)) for i in rows for j in columns]
    torch.testing.assert_close(encoder(x), torch.stack(maxima, dim=1).flatten(1))  # channels are last
    features = torch.randn(2, width)
    small = features.reshape(2, len(rows), len(columns), 4).permute(0, 3, 1, 2)
    large = nn.functional.interpolate(small, shape[:2])
    torch.testing.assert_close(decoder(features), up(large).permute(0, 2, 3, 1).flatten(1))


def test_channels_are_the_last_dimension():
    encoder, decoder, _ = Convolutional((4, 6, 3), channels=(5,)).checked_build(72, "identity")
    image = torch.zeros(4, 6, 3)
    image[..., 1] = 1.0  # the second channel only
    seen = encoder[:2](image.reshape(1, -1))
    assert seen.shape == (1, 3, 4, 6)
    assert (seen[0, 1] == 1).all()
    assert (seen[0, [0, 2]] == 0).all()
    back = decoder[-2:](seen).reshape(4, 6, 3)
    torch.testing.assert_close(back, image)


def test_recurrent_networks_read_sequences_step_by_step():
    encoder, decoder, width = Recurrent((5, 2), hidden_size=4, bidirectional=False).checked_build(10, "gelu")
    x = torch.randn(3, 10)
    expected, _ = encoder.cell(x.reshape(3, 5, 2))
    torch.testing.assert_close(encoder(x), expected[:, -1])
    assert width == 4
    assert decoder(encoder(x)).shape == (3, 10)


@pytest.mark.parametrize(
    "architecture",
    [Convolutional(channels=(3,)), Convolutional(channels=(3,), downsampling="max_pool"), Recurrent(hidden_size=3)],
    ids=str,
)
@pytest.mark.parametrize("ordered", [False, True])
def test_training_starts_at_pca_for_each_architecture(architecture, ordered, digits):
    fitted = Autoencoder(4, architecture=architecture, learning_rate=1e-30, ordered=ordered, **QUICK).fit(digits)
    np.testing.assert_allclose(fitted.transform(digits), PCA(4).fit_transform(digits), atol=1e-4)
    trained = Autoencoder(4, architecture=architecture, warm_start=True, **QUICK).fit(digits).fit(digits)
    nonlinear = trained.net_.module_.decoder.nonlinear
    assert nonlinear(torch.randn(5, 4)).abs().min() > 0  # training changes the nonlinear part


def test_estimator_parameters_are_passed_to_the_architecture(digits):
    own = {"channels": (2,), "kernel_size": 5, "downsampling": "max_pool"}
    flat = ConvolutionalAutoencoder(3, **own, **QUICK).fit(digits)
    nested = Autoencoder(3, architecture=Convolutional(**own), **QUICK).fit(digits)
    np.testing.assert_array_equal(flat.transform(digits), nested.transform(digits))
    flat = LSTMAutoencoder(3, hidden_size=2, cell="gru", **QUICK).fit(digits)
    nested = Autoencoder(3, architecture=Recurrent(hidden_size=2, cell="gru"), **QUICK).fit(digits)
    np.testing.assert_array_equal(flat.transform(digits), nested.transform(digits))


def test_grid_search_over_architecture_parameters(digits):
    estimator = Autoencoder(2, architecture=Convolutional(), **QUICK)
    search = GridSearchCV(estimator, {"architecture__channels": [(2,), (2, 3)]}, cv=2).fit(digits)
    assert search.best_params_["architecture__channels"] in [(2,), (2, 3)]
    assert estimator.architecture.channels == (32, 64)
    other = clone(estimator.set_params(architecture__kernel_size=5))
    assert other.architecture.kernel_size == 5
    assert other.architecture is not estimator.architecture


def test_modifying_the_architecture_after_fit_has_no_effect(digits):
    architecture = Convolutional(channels=(2,))
    fitted = Autoencoder(2, architecture=architecture, **QUICK).fit(digits)
    codes = fitted.transform(digits)
    architecture.channels = (5, 5)
    np.testing.assert_array_equal(fitted.transform(digits), codes)
    with pytest.raises(ValueError, match="architecture was"):
        fitted.partial_fit(digits)


@pytest.mark.parametrize("downsampling", ["stride", "max_pool"])
def test_code_may_be_a_feature_map(downsampling, digits):
    small = {"channels": (2, 4), "dense_code": False, "downsampling": downsampling, "max_iter": 2, "random_state": 0}
    fitted = ConvolutionalAutoencoder(None, **small).fit(digits)
    assert fitted.n_components_ == fitted.transform(digits).shape[1] == 2 * 2 * 4
    assert not [m for m in fitted.net_.module_.encoder.nonlinear.modules() if isinstance(m, nn.Linear)]
    assert ConvolutionalAutoencoder(16, channels=(2, 4), dense_code=False, max_iter=2).fit(digits).n_components_ == 16
    with pytest.raises(ValueError, match=r"n_components=5 doesn't match .* 16 components"):
        ConvolutionalAutoencoder(5, channels=(2, 4), dense_code=False).fit(digits)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=8 can't be used"):
        ConvolutionalAutoencoder(None, hidden_layer_sizes=8, dense_code=False).fit(digits)


class Halves(Architecture):
    """An architecture that adds both halves of a sample; its decoder is not a `Sequential`."""

    def __init__(self, wrong=None):
        self.wrong = wrong

    def build(self, n_features, activation):  # noqa: ARG002
        width = n_features // 2
        decoder = nn.Linear(width, n_features + (self.wrong == "decoder"))
        return _Added(), decoder, width + (self.wrong == "width")


class _Added(nn.Module):
    def forward(self, x):
        first, second = x.chunk(2, dim=1)
        return first + second


def test_custom_architecture_starts_at_pca(digits):
    fitted = Autoencoder(4, architecture=Halves(), learning_rate=1e-30, **QUICK).fit(digits)
    np.testing.assert_allclose(fitted.transform(digits), PCA(4).fit_transform(digits), atol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Halves("width"), r"width=33, but its encoder maps shape \(2, 64\) to \(2, 32\)"),
        (Halves("decoder"), r"maps shape \(2, 32\) to \(2, 65\)"),
        (Convolutional((8, 9)), r"image_shape=\(8, 9\) has 72 values, but X has 64 features"),
        (Convolutional((64,)), r"image_shape=\(64,\) must have 2 or 3 numbers, got 1"),
        (Convolutional((8, 8.0)), r"must contain positive ints, got 8.0"),
        (Convolutional(kernel_size=4), r"kernel_size=4 must be an odd number"),
        (Convolutional(kernel_size=0), r"'kernel_size' parameter"),
        (Convolutional(downsampling="pool"), r"'downsampling' parameter of Convolutional must be a str among"),
        (Convolutional(channels=()), r"channels=\(\) must contain at least one"),
        (Convolutional(channels=(4, True)), r"channels=\(4, True\) must contain positive ints"),
        (Recurrent((7, 9)), r"sequence_shape=\(7, 9\) has 63 values, but X has 64 features"),
        (Recurrent(cell="rnn"), r"'cell' parameter"),
        (Recurrent(hidden_size=0), r"'hidden_size' parameter"),
    ],
    ids=str,
)
def test_invalid_architecture_parameters_raise(architecture, message, digits):
    with pytest.raises(ValueError, match=message):
        Autoencoder(architecture=architecture).fit(digits)


def test_objects_without_build_raise(digits):
    with pytest.raises(ValueError, match="'architecture' parameter"):
        Autoencoder(architecture=nn.Linear(64, 8)).fit(digits)
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) has 9 values"):
        ConvolutionalAutoencoder(image_shape=(3, 3)).fit(digits)
