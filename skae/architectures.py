"""Networks for the `architecture` parameter: convolutional, recurrent, or custom.

An architecture is the *trunk* of the networks, next to the data: an encoder from samples to features, and a decoder
from features to samples. The dense layers of `hidden_layer_sizes` are between the trunk and the code. The architecture
does not affect the objective of the estimator, or the linear maps that are added to the networks to initialize them at
PCA.

To write a custom architecture, subclass `Architecture`: a scikit-learn estimator whose parameters are set in `__init__`
and whose `build` returns two PyTorch modules.
"""

import skae._dependencies  # noqa: F401 - must be imported first

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral

import torch
from sklearn.base import BaseEstimator
from torch import nn

from skae._constraints import Interval, StrOptions
from skae._defaults import LARGEST_BATCH, LEARNING_RATE, MAX_STEPS, MAX_WIDTH_LAYER, N_HIDDEN_LAYERS
from skae._doc_link import DocLinkMixin
from skae._typing import Activation, Cell, Downsampling
from skae.nn import CELLS, SequenceDecoder, SequenceEncoder, convolution
from skae.nn._convolution import LAYERS

__all__ = ["Architecture", "Convolutional", "Recurrent"]


class Architecture(DocLinkMixin, BaseEstimator, ABC):
    """Base class of all architectures, and of custom ones.

    A subclass stores its parameters in `__init__`, as any scikit-learn estimator, and implements `build`.

    Attributes
    ----------
    dense_code : bool
        Whether there are dense layers between the trunk and the code. If not, the code is the output of the trunk.

    learning_rate : float
        Maximum learning rate if the estimator's `learning_rate` is "auto".

    widest_layer : int
        Maximum width of hidden layers if the estimator's `hidden_layer_sizes` is "auto".

    n_hidden_layers : int
        Number of hidden layers if the estimator's `hidden_layer_sizes` is "auto".

    largest_batch : int
        Maximum batch size if the estimator's `batch_size` is "auto".

    most_steps : int
        Maximum number of optimizer steps if the estimator's `max_iter` is "auto", unless nine epochs take more.

    has_bounds : bool
        Whether reconstructions are clipped to the range of a feature if many training samples have a value at a limit
        of this range, such as black pixels.

    See Also
    --------
    Convolutional : Architecture for images.
    Recurrent : Architecture for sequences.

    Examples
    --------
    An architecture that averages pairs of neighboring features:

    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.architectures import Architecture
    >>> from torch import nn
    >>> class Pairs(Architecture):
    ...     def __init__(self, slope=0.1):
    ...         self.slope = slope
    ...
    ...     def build(self, n_features, activation):
    ...         down = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.AvgPool1d(2, ceil_mode=True), nn.Flatten())
    ...         width = (n_features + 1) // 2
    ...         up = nn.Sequential(nn.LeakyReLU(self.slope), nn.Linear(width, n_features))
    ...         return down, up, width
    >>> X = load_digits().data[:200]
    >>> Autoencoder(4, architecture=Pairs(), max_iter=5, random_state=0).fit_transform(X).shape
    (200, 4)
    """

    _parameter_constraints: dict = {}  # noqa: RUF012 - as in scikit-learn

    dense_code: bool = True
    learning_rate: float = LEARNING_RATE
    widest_layer: int = MAX_WIDTH_LAYER
    n_hidden_layers: int = N_HIDDEN_LAYERS
    largest_batch: int = LARGEST_BATCH
    most_steps: int = MAX_STEPS
    has_bounds: bool = False

    @abstractmethod
    def build(self, n_features: int, activation: Activation) -> tuple[nn.Module, nn.Module, int]:
        """Make a new encoder and a new decoder.

        Parameters
        ----------
        n_features : int
            Number of features of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`.

        Returns
        -------
        encoder : torch.nn.Module
            Maps samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Maps features to samples, (n, width) -> (n, n_features). Its output must be linear in the weights of its
            last layer, which are initialized to zero. The output for a sample must not depend on other samples.

        width : int
            Number of features between encoder and decoder.
        """

    def checked_build(self, n_features: int, activation: Activation) -> tuple[nn.Module, nn.Module, int]:
        """Check the parameters, build the networks, and check the shapes of their outputs.

        Parameters
        ----------
        n_features : int
            Number of features of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`.

        Returns
        -------
        encoder : torch.nn.Module
            Maps samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Maps features to samples, (n, width) -> (n, n_features).

        width : int
            Number of features between encoder and decoder.

        Raises
        ------
        ValueError
            If a parameter is invalid, or an output has the wrong shape.
        """
        if self._parameter_constraints:
            self._validate_params()
        encoder, decoder, width = self.build(n_features, activation)
        x = torch.zeros(2, n_features)
        with torch.no_grad():
            features = encoder.eval()(x)
            if features.shape != (2, width):
                raise ValueError(
                    f"{self!r}.build(n_features={n_features}) returns width={width}, but its encoder maps shape (2, "
                    f"{n_features}) to {tuple(features.shape)}. It must return shape (n, width)."
                )
            output = decoder.eval()(features)
        if output.shape != x.shape:
            raise ValueError(
                f"The decoder of {self!r}.build(n_features={n_features}) maps shape (2, {width}) to "
                f"{tuple(output.shape)}. It must return shape (n, n_features), here (2, {n_features})."
            )
        return encoder, decoder, width


class Convolutional(Architecture):
    """Convolutional networks for images, with strides or pooling.

    Each layer of the encoder halves the size of the feature maps, and each layer of the decoder restores it exactly.
    Reconstructions are clipped to the range of a pixel if many training samples have a value at a limit of this range,
    such as black: see the notes of `skae.ConvolutionalAutoencoder`.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, n_channels), default=None
        Shape of one sample, with channels last, as flattened by `image.ravel()`. Any size is supported. If None, a
        square number of features is interpreted as a square gray image, and any other number as a single line of
        pixels. A warning is issued if the samples look different: like a series, or like images with channels.

    channels : sequence of int, default=(32, 64)
        Number of channels of each layer. Each layer halves height and width, rounded up.

    kernel_size : int, default=3
        Height and width of the convolution kernels in pixels. It is an odd number, and at least 3 with strides, since
        a kernel of one pixel with stride 2 skips pixels.

    dense_code : bool, default=True
        Whether there are dense layers between the last feature maps and the code. If False, the flattened feature maps
        are the code, as in the classic denoising network: `n_components=None` is then their size, and there are no
        hidden layers.

    downsampling : {"stride", "max_pool"}, default="stride"
        How height and width are halved. "stride" uses convolutions with stride 2, and transposed convolutions in the
        decoder. "max_pool" uses 2 x 2 max pooling after each convolution, and upsampling before each convolution in the
        decoder; it is about three times as slow.

    See Also
    --------
    Recurrent : Architecture for sequences.
    Architecture : Base class, also of custom architectures.
    skae.ConvolutionalAutoencoder : Autoencoder with these parameters in its constructor.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> from skae.architectures import Convolutional
    >>> X = load_digits().data[:200]
    >>> denoiser = DenoisingAutoencoder(8, architecture=Convolutional(channels=(8,)), max_iter=5, random_state=0)
    >>> denoiser.fit(X).reconstruct(X).shape
    (200, 64)
    """

    learning_rate: float = 3e-3  # with 1e-2, the PSNR of a denoiser of Fashion-MNIST is 1 dB lower
    # feature maps have thousands of values: with 256 units, an epoch takes 1.2 times as long, and R² increases by .002
    widest_layer: int = 160
    n_hidden_layers: int = 1  # with a second layer, R² is .001 to .005 lower
    # images with moving content need many steps: test R² for 2,500 strokes is .939 after 620 and .943 after 1,240
    largest_batch: int = 64
    most_steps: int = 1600
    has_bounds: bool = True  # the loss of pixels that are black in many images becomes zero

    _parameter_constraints: dict = {  # noqa: RUF012
        "image_shape": ["array-like", None],
        "channels": ["array-like"],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "dense_code": ["boolean"],
        "downsampling": [StrOptions(set(LAYERS))],
    }

    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        channels: Sequence[int] = (32, 64),
        kernel_size: int = 3,
        dense_code: bool = True,
        downsampling: Downsampling = "stride",
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.kernel_size = kernel_size
        self.dense_code = dense_code
        self.downsampling = downsampling

    def build(self, n_features: int, activation: Activation) -> tuple[nn.Module, nn.Module, int]:
        """Make a new encoder and a new decoder.

        Parameters
        ----------
        n_features : int
            Number of features of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`.

        Returns
        -------
        encoder : torch.nn.Module
            Maps samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Maps features to samples, (n, width) -> (n, n_features).

        width : int
            Number of features between encoder and decoder.

        Raises
        ------
        ValueError
            If `kernel_size` is even, `channels` or `image_shape` contain other values than positive ints, or
            `image_shape` does not fit `n_features`.
        """
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size={self.kernel_size} must be an odd number, so that convolutions preserve the size."
            )
        if not len(self.channels):
            raise ValueError("channels=() must contain at least one positive int.")
        channels = _sizes("channels", self.channels)
        shape = (*self.shape_of_row(n_features), 1)[:3]
        return convolution(shape, channels, self.kernel_size, activation, self.downsampling)

    def shape_of_row(self, n_features: int) -> tuple[int, ...]:
        """Return `image_shape`, or the shape that is used if it is None.

        Parameters
        ----------
        n_features : int
            Number of features of the data.

        Returns
        -------
        shape : (height, width) or (height, width, n_channels)
            Shape of one sample.

        Raises
        ------
        ValueError
            If `image_shape` does not fit `n_features`.
        """
        return _shape("image_shape", self.image_shape, n_features, (2, 3)) or _square(n_features)


class Recurrent(Architecture):
    """Recurrent networks for sequences.

    All samples have the same length: pad shorter sequences with NaN, which is treated as missing values. The input of
    the decoder is a linear draft of the sequence, computed from the code.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features), default=None
        Shape of one sample. If None, a square number of features is interpreted as equal numbers of steps and of
        features per step, so that images are read line by line, with a warning if samples look like series. Any other
        number is interpreted as steps of one feature.

    hidden_size : int, default=64
        Number of units of the encoder, in each direction, and of the decoder.

    bidirectional : bool, default=True
        Whether the encoder reads sequences in both directions.

    cell : {"lstm", "gru"}, default="lstm"
        Long short-term memory [1]_ or gated recurrent unit [2]_.

    See Also
    --------
    Convolutional : Architecture for images.
    Architecture : Base class, also of custom architectures.
    skae.LSTMAutoencoder : Autoencoder with these parameters in its constructor.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997.
    .. [2] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
       translation", EMNLP 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.architectures import Recurrent
    >>> X = load_digits().data[:200]
    >>> Autoencoder(4, architecture=Recurrent(hidden_size=8), max_iter=5, random_state=0).fit_transform(X).shape
    (200, 4)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "sequence_shape": ["array-like", None],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "cell": [StrOptions(set(CELLS))],
    }

    def __init__(
        self,
        sequence_shape: Sequence[int] | None = None,
        hidden_size: int = 64,
        bidirectional: bool = True,
        cell: Cell = "lstm",
    ) -> None:
        self.sequence_shape = sequence_shape
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.cell = cell

    def build(self, n_features: int, activation: Activation) -> tuple[nn.Module, nn.Module, int]:  # noqa: ARG002
        """Make a new encoder and a new decoder.

        Parameters
        ----------
        n_features : int
            Number of features of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`. It is ignored:
            recurrent cells have fixed activations.

        Returns
        -------
        encoder : torch.nn.Module
            Maps samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Maps features to samples, (n, width) -> (n, n_features).

        width : int
            Number of features between encoder and decoder.

        Raises
        ------
        ValueError
            If `sequence_shape` does not fit `n_features`.
        """
        shape = self.shape_of_row(n_features)
        encoder = SequenceEncoder(shape, self.hidden_size, bool(self.bidirectional), self.cell)
        return encoder, SequenceDecoder(shape, encoder.width, self.hidden_size, self.cell), encoder.width

    def shape_of_row(self, n_features: int) -> tuple[int, ...]:
        """Return `sequence_shape`, or the shape that is used if it is None.

        Parameters
        ----------
        n_features : int
            Number of features of the data.

        Returns
        -------
        shape : (n_steps, n_step_features)
            Shape of one sample.

        Raises
        ------
        ValueError
            If `sequence_shape` does not fit `n_features`.
        """
        return _shape("sequence_shape", self.sequence_shape, n_features, (2,)) or _square(n_features)[::-1]


def _square(n_features):
    """Return (side, side) for a square number of features, else (1, n_features)."""
    side = math.isqrt(n_features)
    return (side, side) if side * side == n_features else (1, n_features)


def _sizes(name, sizes):
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name}={sizes!r} must contain positive ints, got {size!r}.")
    return tuple(map(int, sizes))


def _shape(name, shape, n_features, lengths):
    if shape is None:
        return None
    sizes = _sizes(name, shape)
    if len(sizes) not in lengths:
        raise ValueError(f"{name}={shape!r} must have {' or '.join(map(str, lengths))} numbers, got {len(sizes)}.")
    if math.prod(sizes) != n_features:
        raise ValueError(
            f"{name}={shape!r} has {math.prod(sizes)} values, but X has {n_features} features. Set {name} to the shape "
            "of one sample of X, or to None."
        )
    return sizes
