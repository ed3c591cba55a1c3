"""Networks next to the data: their shapes, their start, and what a user may write."""

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
def test_any_number_of_features(architecture, n_features):
    X = np.random.RandomState(0).randn(60, n_features)
    fitted = Autoencoder(2, architecture=architecture, **QUICK).fit(X)
    assert fitted.reconstruct(X).shape == X.shape


@pytest.mark.parametrize("shape", [(5, 7), (7, 5, 3), (1, 12), (9, 1, 2), (8, 8, 1)])
@pytest.mark.parametrize("channels", [(2,), (2, 3, 4), [3, 2]])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_images_of_any_shape(shape, channels, kernel_size):
    architecture = Convolutional(shape, channels=channels, kernel_size=kernel_size)
    n_features = int(np.prod(shape))
    encoder, decoder, width = architecture.checked_build(n_features, "relu")
    x = torch.randn(3, n_features)
    assert encoder(x).shape == (3, width)
    assert decoder(encoder(x)).shape == x.shape


def test_channels_come_last():
    encoder, decoder, _ = Convolutional((4, 6, 3), channels=(5,)).checked_build(72, "identity")
    image = torch.zeros(4, 6, 3)
    image[..., 1] = 1.0  # the second channel alone
    seen = encoder[:2](image.reshape(1, -1))
    assert seen.shape == (1, 3, 4, 6)
    assert (seen[0, 1] == 1).all()
    assert (seen[0, [0, 2]] == 0).all()
    back = decoder[-2:](seen).reshape(4, 6, 3)
    torch.testing.assert_close(back, image)


def test_sequences_are_read_step_by_step():
    encoder, decoder, width = Recurrent((5, 2), hidden_size=4, bidirectional=False).checked_build(10, "gelu")
    x = torch.randn(3, 10)
    expected, _ = encoder.cell(x.reshape(3, 5, 2))
    torch.testing.assert_close(encoder(x), expected[:, -1])
    assert width == 4
    assert decoder(encoder(x)).shape == (3, 10)


@pytest.mark.parametrize("architecture", [Convolutional(channels=(3,)), Recurrent(hidden_size=3)], ids=str)
@pytest.mark.parametrize("ordered", [False, True])
def test_training_starts_at_pca(architecture, ordered, digits):
    fitted = Autoencoder(4, architecture=architecture, learning_rate=1e-30, ordered=ordered, **QUICK).fit(digits)
    np.testing.assert_allclose(fitted.transform(digits), PCA(4).fit_transform(digits), atol=1e-4)
    trained = Autoencoder(4, architecture=architecture, warm_start=True, **QUICK).fit(digits).fit(digits)
    nonlinear = trained.net_.module_.decoder.nonlinear
    assert nonlinear(torch.randn(5, 4)).abs().min() > 0  # and leaves it


def test_flat_parameters_are_those_of_the_architecture(digits):
    flat = ConvolutionalAutoencoder(3, channels=(2,), kernel_size=5, **QUICK).fit(digits)
    nested = Autoencoder(3, architecture=Convolutional(channels=(2,), kernel_size=5), **QUICK).fit(digits)
    np.testing.assert_array_equal(flat.transform(digits), nested.transform(digits))
    flat = LSTMAutoencoder(3, hidden_size=2, cell="gru", **QUICK).fit(digits)
    nested = Autoencoder(3, architecture=Recurrent(hidden_size=2, cell="gru"), **QUICK).fit(digits)
    np.testing.assert_array_equal(flat.transform(digits), nested.transform(digits))


def test_grid_search_reaches_its_parameters(digits):
    estimator = Autoencoder(2, architecture=Convolutional(), **QUICK)
    search = GridSearchCV(estimator, {"architecture__channels": [(2,), (2, 3)]}, cv=2).fit(digits)
    assert search.best_params_["architecture__channels"] in [(2,), (2, 3)]
    assert estimator.architecture.channels == (32, 64)
    other = clone(estimator.set_params(architecture__kernel_size=5))
    assert other.architecture.kernel_size == 5
    assert other.architecture is not estimator.architecture


def test_the_fit_does_not_change_with_the_object(digits):
    architecture = Convolutional(channels=(2,))
    fitted = Autoencoder(2, architecture=architecture, **QUICK).fit(digits)
    codes = fitted.transform(digits)
    architecture.channels = (5, 5)
    np.testing.assert_array_equal(fitted.transform(digits), codes)
    with pytest.raises(ValueError, match="architecture was"):
        fitted.partial_fit(digits)


def test_a_map_as_the_code(digits):
    fitted = ConvolutionalAutoencoder(None, channels=(2, 4), dense_code=False, max_iter=2, random_state=0).fit(digits)
    assert fitted.n_components_ == fitted.transform(digits).shape[1] == 2 * 2 * 4
    assert not [m for m in fitted.net_.module_.encoder.nonlinear.modules() if isinstance(m, nn.Linear)]
    assert ConvolutionalAutoencoder(16, channels=(2, 4), dense_code=False, max_iter=2).fit(digits).n_components_ == 16
    with pytest.raises(ValueError, match=r"n_components=5 does not agree .* 16 numbers"):
        ConvolutionalAutoencoder(5, channels=(2, 4), dense_code=False).fit(digits)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=8 has no place"):
        ConvolutionalAutoencoder(None, hidden_layer_sizes=8, dense_code=False).fit(digits)


class Halves(Architecture):
    """Both halves of a row, added; a decoder that is no `Sequential`."""

    def __init__(self, wrong=None):
        self.wrong = wrong

    def build(self, n_features, activation):  # noqa: ARG002
        """Build."""
        width = n_features // 2
        decoder = nn.Linear(width, n_features + (self.wrong == "decoder"))
        return _Added(), decoder, width + (self.wrong == "width")


class _Added(nn.Module):
    def forward(self, x):
        first, second = x.chunk(2, dim=1)
        return first + second


def test_ones_own(digits):
    fitted = Autoencoder(4, architecture=Halves(), learning_rate=1e-30, **QUICK).fit(digits)
    np.testing.assert_allclose(fitted.transform(digits), PCA(4).fit_transform(digits), atol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Halves("width"), r"the width is 33, but its encoder makes \(2, 32\)"),
        (Halves("decoder"), r"makes \(2, 65\) of \(2, 32\)"),
        (Convolutional((8, 9)), r"image_shape=\(8, 9\) has 72 cells, but X has 64 features"),
        (Convolutional((64,)), r"image_shape=\(64,\) must have 2 or 3 numbers, got 1"),
        (Convolutional((8, 8.0)), r"must hold ints of 1 or more, got 8.0"),
        (Convolutional(kernel_size=4), r"kernel_size=4 must be odd"),
        (Convolutional(kernel_size=0), r"'kernel_size' parameter"),
        (Convolutional(channels=()), r"channels=\(\) must hold at least one"),
        (Convolutional(channels=(4, True)), r"channels=\(4, True\) must hold ints"),
        (Recurrent((7, 9)), r"sequence_shape=\(7, 9\) has 63 cells, but X has 64 features"),
        (Recurrent(cell="rnn"), r"'cell' parameter"),
        (Recurrent(hidden_size=0), r"'hidden_size' parameter"),
    ],
    ids=str,
)
def test_bad_architectures(architecture, message, digits):
    with pytest.raises(ValueError, match=message):
        Autoencoder(architecture=architecture).fit(digits)


def test_not_an_architecture(digits):
    with pytest.raises(ValueError, match="'architecture' parameter"):
        Autoencoder(architecture=nn.Linear(64, 8)).fit(digits)
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) has 9 cells"):
        ConvolutionalAutoencoder(image_shape=(3, 3)).fit(digits)
