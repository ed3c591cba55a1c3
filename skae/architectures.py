"""Networks for the `architecture` parameter: convolutional, recurrent, or of one's own.

An architecture is the part of the networks next to the data, the *trunk*: an encoder from samples to features and a
decoder back. The dense layers of `hidden_layer_sizes` lie between it and the code. The objective, whichever estimator
states it, and the linear maps beside the networks, which make training start at PCA, stay the same.

To write one, subclass `Architecture`: a scikit-learn estimator whose parameters are set in `__init__` and whose `build`
returns two torch modules.
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
from skae._defaults import LARGEST_BATCH, LEARNING_RATE, MAX_STEPS, MAX_WIDTH_LAYER
from skae._doc_link import DocLinkMixin
from skae._typing import Activation, Cell, Downsampling
from skae.nn import CELLS, SequenceDecoder, SequenceEncoder, convolution
from skae.nn._convolution import LAYERS

__all__ = ["Architecture", "Convolutional", "Recurrent"]


class Architecture(DocLinkMixin, BaseEstimator, ABC):
    """Base of all architectures: subclass it to write your own.

    A subclass stores its parameters in `__init__`, as any scikit-learn estimator, and has a method `build`.

    Attributes
    ----------
    dense_code : bool
        Whether dense layers lie between the trunk and the code. If not, the code is the trunk's output.

    learning_rate : float
        Highest learning rate of networks with this trunk, where the estimator's is "auto".

    widest_layer : int
        Most units of a hidden layer, where the estimator's `hidden_layer_sizes` is "auto".

    largest_batch : int
        Most samples in a batch, where the estimator's `batch_size` is "auto".

    most_steps : int
        Of the optimizer, where the estimator's `max_iter` is "auto", unless nine epochs take more.

    has_bounds : bool
        Whether reconstructions stay within the range of a feature where training samples often have a value at its end,
        as pixels that are black do.

    See Also
    --------
    Convolutional : For samples that are images.
    Recurrent : For samples that are sequences.

    Examples
    --------
    A trunk that averages pairs of neighboring features:

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

    _parameter_constraints: dict = {}  # noqa: RUF012 - scikit-learn's own way

    dense_code: bool = True
    learning_rate: float = LEARNING_RATE
    widest_layer: int = MAX_WIDTH_LAYER
    largest_batch: int = LARGEST_BATCH
    most_steps: int = MAX_STEPS
    has_bounds: bool = False

    @abstractmethod
    def build(self, n_features: int, activation: Activation) -> tuple[nn.Module, nn.Module, int]:
        """Make a new encoder and a new decoder.

        Parameters
        ----------
        n_features : int
            Of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`.

        Returns
        -------
        encoder : torch.nn.Module
            From samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Back, (n, width) -> (n, n_features). Its last layer that has weights must be linear in them, for training
            starts where they are zero. No sample may depend on the others in its batch.

        width : int
            Number of features.
        """

    def checked_build(self, n_features: int, activation: Activation) -> tuple[nn.Module, nn.Module, int]:
        """Check the parameters, build, and see whether both halves do what they should.

        Parameters
        ----------
        n_features : int
            Of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`.

        Returns
        -------
        encoder : torch.nn.Module
            From samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Back, (n, width) -> (n, n_features).

        width : int
            Number of features.

        Raises
        ------
        ValueError
            If a parameter is not as it should be, or the shapes of what the halves make are not.
        """
        if self._parameter_constraints:
            self._validate_params()
        encoder, decoder, width = self.build(n_features, activation)
        x = torch.zeros(2, n_features)
        with torch.no_grad():
            features = encoder.eval()(x)
            if features.shape != (2, width):
                raise ValueError(
                    f"{self!r}.build(n_features={n_features}) says that the width is {width}, but its encoder makes "
                    f"{tuple(features.shape)} of (2, {n_features}). It must return (n, width)."
                )
            output = decoder.eval()(features)
        if output.shape != x.shape:
            raise ValueError(
                f"The decoder of {self!r}.build(n_features={n_features}) makes {tuple(output.shape)} of (2, {width}). "
                f"It must return (n, n_features), here (2, {n_features})."
            )
        return encoder, decoder, width


class Convolutional(Architecture):
    """Convolutions for samples that are images, of strides or with pooling, and their mirror.

    Maps of the encoder shrink by half from layer to layer, and those of the decoder grow to the same sizes, to the
    pixel. Reconstructions keep within values that a pixel takes again and again at an end of its range, such as black:
    see the notes of `skae.ConvolutionalAutoencoder`.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, n_channels), default=None
        Of a sample, with channels last, as `image.ravel()` leaves them. None takes a square number of features for a
        gray image and any other for one sample of pixels, and warns where samples look otherwise: like a series, or
        images with channels. Any size will do.

    channels : sequence of int, default=(32, 64)
        Channels of each layer. Each halves height and width, rounded up.

    kernel_size : int, default=3
        Height and width of the convolutions in pixels. Odd, and 3 or more with strides: a kernel of one pixel that
        moves by two skips pixels.

    dense_code : bool, default=True
        Whether dense layers lie between the last map of features and the code. If not, the code is that map, flattened,
        as in the classic denoising net: `n_components=None` is then its size and there are no hidden layers.

    downsampling : {"stride", "max_pool"}, default="stride"
        What halves height and width. "stride" is a convolution that moves by two pixels, and back a transposed one.
        "max_pool" is pooling of 2 x 2 after each convolution, and back upsampling before it: some three times as slow.

    See Also
    --------
    Recurrent : For samples that are sequences.
    Architecture : The base, to write your own.
    skae.ConvolutionalAutoencoder : Has these parameters flat.

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

    learning_rate: float = 3e-3  # at 1e-2 a denoiser of Fashion-MNIST loses 1 dB
    widest_layer: int = 256  # next to thousands of features of maps; with 512, half of a step's time is theirs
    # images whose content moves take many steps: test R² of 2,500 strokes is .939 after 620 and .943 after 1,240
    largest_batch: int = 64
    most_steps: int = 1600
    has_bounds: bool = True  # what is black in many images costs nothing

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
            Of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`.

        Returns
        -------
        encoder : torch.nn.Module
            From samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Back, (n, width) -> (n, n_features).

        width : int
            Number of features.

        Raises
        ------
        ValueError
            If `kernel_size` is even, or `channels` or `image_shape` hold other than ints of 1 or more, or samples of
            `image_shape` have not `n_features`.
        """
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={self.kernel_size} must be odd, so that a convolution keeps the size.")
        if not len(self.channels):
            raise ValueError("channels=() must hold at least one int of 1 or more.")
        channels = _sizes("channels", self.channels)
        shape = (*self.shape_of_row(n_features), 1)[:3]
        return convolution(shape, channels, self.kernel_size, activation, self.downsampling)

    def shape_of_row(self, n_features: int) -> tuple[int, ...]:
        """Return `image_shape`, or what it is taken for if it is None.

        Parameters
        ----------
        n_features : int
            Of the data.

        Returns
        -------
        shape : (height, width) or (height, width, n_channels)
            Of a sample.

        Raises
        ------
        ValueError
            If samples of `image_shape` have not `n_features`.
        """
        return _shape("image_shape", self.image_shape, n_features, (2, 3)) or _square(n_features)


class Recurrent(Architecture):
    """A recurrent net for samples that are sequences, which reads them step by step and writes them step by step.

    Samples are of one length: shorter sequences are padded with NaN, which counts as missing. The decoder reads a
    linear draft of the sample, made of the code, while it writes.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features), default=None
        Of a sample. None takes a square number of features for as many steps as each has features, so that an image is
        read line by line, and warns where samples look like series; any other is steps of one feature.

    hidden_size : int, default=64
        Units of the encoder, in each direction, and of the decoder.

    bidirectional : bool, default=True
        Whether the encoder reads in both directions.

    cell : {"lstm", "gru"}, default="lstm"
        Long short-term memory [1]_ or gated recurrent unit [2]_.

    See Also
    --------
    Convolutional : For samples that are images.
    Architecture : The base, to write your own.
    skae.LSTMAutoencoder : Has these parameters flat.

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

    def build(
        self,
        n_features: int,
        activation: Activation,  # noqa: ARG002 - a recurrent cell has its own
    ) -> tuple[nn.Module, nn.Module, int]:
        """Make a new encoder and a new decoder.

        Parameters
        ----------
        n_features : int
            Of the data.

        activation : str
            The estimator's `activation`: a key of `skae.nn.functional.ACTIVATIONS`. A recurrent
            cell has its own and takes no notice.

        Returns
        -------
        encoder : torch.nn.Module
            From samples to features, (n, n_features) -> (n, width).

        decoder : torch.nn.Module
            Back, (n, width) -> (n, n_features).

        width : int
            Number of features.

        Raises
        ------
        ValueError
            If samples of `sequence_shape` have not `n_features`.
        """
        shape = self.shape_of_row(n_features)
        encoder = SequenceEncoder(shape, self.hidden_size, bool(self.bidirectional), self.cell)
        return encoder, SequenceDecoder(shape, encoder.width, self.hidden_size, self.cell), encoder.width

    def shape_of_row(self, n_features: int) -> tuple[int, ...]:
        """Return `sequence_shape`, or what it is taken for if it is None.

        Parameters
        ----------
        n_features : int
            Of the data.

        Returns
        -------
        shape : (n_steps, n_step_features)
            Of a sample.

        Raises
        ------
        ValueError
            If samples of `sequence_shape` have not `n_features`.
        """
        return _shape("sequence_shape", self.sequence_shape, n_features, (2,)) or _square(n_features)[::-1]


def _square(n_features):
    """(side, side) of a square number, else one sample: (1, n_features)."""
    side = math.isqrt(n_features)
    return (side, side) if side * side == n_features else (1, n_features)


def _sizes(name, sizes):
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name}={sizes!r} must hold ints of 1 or more, got {size!r}.")
    return tuple(map(int, sizes))


def _shape(name, shape, n_features, lengths):
    if shape is None:
        return None
    sizes = _sizes(name, shape)
    if len(sizes) not in lengths:
        raise ValueError(f"{name}={shape!r} must have {' or '.join(map(str, lengths))} numbers, got {len(sizes)}.")
    if math.prod(sizes) != n_features:
        raise ValueError(
            f"{name}={shape!r} has {math.prod(sizes)} cells, but X has {n_features} features. Set {name} to the shape "
            "of a sample of X, or to None."
        )
    return sizes
