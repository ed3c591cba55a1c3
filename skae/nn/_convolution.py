"""Convolutional encoder and decoder: from images to feature maps, and back."""

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from skae.nn.functional import ACTIVATIONS

# values in the largest feature maps of a part of a batch: larger parts need more memory and are slower
MAX_NUMBERS = 3 * 2**18
ON_ACCELERATORS = 64  # factor for the number of samples in a part: accelerators are efficient for large products


def convolution(
    image_shape: Sequence[int],
    channels: Sequence[int],
    kernel_size: int,
    activation: str,
    downsampling: str = "stride",
) -> tuple[nn.Sequential, nn.Sequential, int]:
    """Make a convolutional encoder and the decoder that mirrors it.

    Each layer of the encoder is a convolution followed by an activation, and halves height and width, rounded up. Each
    layer of the decoder restores the size before the corresponding layer exactly.

    Parameters
    ----------
    image_shape : (height, width, n_channels)
        Shape of one sample, with channels last.

    channels : sequence of int
        Number of channels of each layer.

    kernel_size : int
        Height and width of the convolution kernels in pixels: an odd number.

    activation : str
        A key of `skae.nn.functional.ACTIVATIONS`.

    downsampling : {"stride", "max_pool"}, default="stride"
        How height and width are halved. If "stride", by convolutions with stride 2; the decoder has transposed
        convolutions. If "max_pool", by max pooling after each convolution; the decoder upsamples before each
        convolution.

    Returns
    -------
    encoder, decoder : torch.nn.Sequential
        Map images to the last feature maps, flattened, (n, d) -> (n, width), and back.

    width : int
        Number of values in the last feature maps.

    See Also
    --------
    dense : Fully connected layers, for samples of any kind.
    skae.architectures.Convolutional : Both networks, for the `architecture` parameter.

    Examples
    --------
    >>> import torch
    >>> from skae.nn import convolution
    >>> encoder, decoder, width = convolution((7, 5, 1), channels=(4, 8), kernel_size=3, activation="gelu")
    >>> features = encoder(torch.zeros(2, 35))
    >>> features.shape, width, decoder(features).shape
    (torch.Size([2, 32]), 32, torch.Size([2, 35]))
    """
    height, width, n_channels = image_shape
    sizes = [(height, width)]
    for _ in channels:
        sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
    widths = [n_channels, *channels]

    down, up = LAYERS[downsampling]
    to_maps = [nn.Unflatten(1, image_shape), _Permute(0, 3, 1, 2)]  # (n, channels, height, width)
    to_samples = [_Permute(0, 2, 3, 1), nn.Flatten()]
    inward = [down(*pair, kernel_size, _ChannelsLast(ACTIVATIONS[activation]())) for pair in itertools.pairwise(widths)]
    outward = [
        [*up(*pair, kernel_size, size), _ChannelsLast(ACTIVATIONS[activation]())]
        for *pair, size in zip(widths[:0:-1], widths[-2::-1], sizes[-2::-1], strict=True)
    ]
    outward[-1].pop()  # no activation after the last convolution
    down = [*to_maps, *itertools.chain(*inward), *to_samples]
    up = [nn.Unflatten(1, (*sizes[-1], widths[-1])), _Permute(0, 3, 1, 2), *itertools.chain(*outward), *to_samples]
    # the memory format of the images, channels last, makes convolutions 1.6 times as fast on a CPU
    encoder, decoder = (ImageLayers(*layers).to(memory_format=torch.channels_last) for layers in (down, up))
    largest = sizes[:-1] if downsampling == "max_pool" else sizes[1:]  # size of the largest feature maps of each layer
    n_numbers = max(width * h * w for width, (h, w) in zip(widths[1:], largest, strict=True))
    encoder.rows_at_once = decoder.rows_at_once = max(2, MAX_NUMBERS // n_numbers)
    return encoder, decoder, widths[-1] * sizes[-1][0] * sizes[-1][1]


def _pooled(width_in, width_out, kernel_size, activation):
    same = nn.Conv2d(width_in, width_out, kernel_size, padding=kernel_size // 2)
    return [same, activation, nn.MaxPool2d(2, ceil_mode=True)]


def _upsampled(width_in, width_out, kernel_size, size):
    return [nn.Upsample(size), nn.Conv2d(width_in, width_out, kernel_size, padding=kernel_size // 2)]


def _strided(width_in, width_out, kernel_size, activation):
    return [nn.Conv2d(width_in, width_out, kernel_size, stride=2, padding=kernel_size // 2), activation]


def _transposed(width_in, width_out, kernel_size, size):
    even = [1 - length % 2 for length in size]  # pads outputs of even length, which would be one too short
    return [nn.ConvTranspose2d(width_in, width_out, kernel_size, 2, kernel_size // 2, output_padding=even)]


LAYERS = {"stride": (_strided, _transposed), "max_pool": (_pooled, _upsampled)}  # (encoder, decoder)


class ImageLayers(nn.Sequential):
    """Sequential layers that split batches of large images into parts when no gradients are needed.

    Attributes
    ----------
    rows_at_once : int or None
        Number of samples in a part on a CPU. If None, batches are not split.
    """

    rows_at_once: int | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers."""
        is_whole = torch.is_grad_enabled() or torch.jit.is_tracing() or torch.compiler.is_compiling()
        most = None if is_whole else rows_at_once(self, x.device)
        if most is None or len(x) <= most:
            return super().forward(x)
        return torch.cat([super(ImageLayers, self).forward(part) for part in x.split(most)])


def rows_at_once(module: nn.Module, device: torch.device) -> int | None:
    """Return the number of samples in a part of a batch, or None if the batch need not be split."""
    sizes = [layer.rows_at_once for layer in module.modules() if isinstance(layer, ImageLayers) and layer.rows_at_once]
    return min(sizes) * (1 if device.type == "cpu" else ON_ACCELERATORS) if sizes else None


class _ChannelsLast(nn.Module):
    """Activation that sees feature maps in their memory layout, with channels last.

    PyTorch then uses a kernel for contiguous memory: GELU is 1.6 times as fast on a CPU.
    """

    def __init__(self, activation):
        super().__init__()
        self.activation = activation

    def forward(self, x):
        return self.activation(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Permute(nn.Module):
    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(self.order)
