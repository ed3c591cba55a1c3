"""Convolutional halves of a network: from samples that are images to a last map of features, and back."""

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from skae.nn.functional import ACTIVATIONS

LARGE_MAPS = 2**16  # numbers in the largest maps of one image: batches of smaller ones are computed whole
# in those of the large images that are computed at once: more take longer, not only more memory
MAX_NUMBERS = 3 * 2**18
ON_ACCELERATORS = 64  # times as many samples: they want large products


def convolution(
    image_shape: Sequence[int],
    channels: Sequence[int],
    kernel_size: int,
    activation: str,
    downsampling: str = "stride",
) -> tuple[nn.Sequential, nn.Sequential, int]:
    """Make a convolutional encoder and its mirror.

    Each layer of the encoder is a convolution with an activation, and halves the size, rounded up. Each layer of the
    decoder doubles the size again, to the pixel.

    Parameters
    ----------
    image_shape : (height, width, n_channels)
        Of a sample, with channels last.

    channels : sequence of int
        Channels of each layer.

    kernel_size : int
        Height and width of the convolutions in pixels. Odd.

    activation : str
        A key of `skae.nn.functional.ACTIVATIONS`.

    downsampling : {"stride", "max_pool"}, default="stride"
        What halves the size: a stride of two, which transposed convolutions undo; or pooling after a convolution of
        stride one, which upsampling before a convolution undoes.

    Returns
    -------
    encoder, decoder : torch.nn.Sequential
        From images to the last map of features, flattened, (n, d) -> (n, width), and back.

    width : int
        Of the last map, flattened.

    See Also
    --------
    dense : Layers for samples of any kind.
    skae.architectures.Convolutional : Both halves, for the `architecture` parameter.

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
    to_rows = [_Permute(0, 2, 3, 1), nn.Flatten()]
    inward = [down(*pair, kernel_size, _OfPixels(ACTIVATIONS[activation]())) for pair in itertools.pairwise(widths)]
    outward = [
        [*up(*pair, kernel_size, size), _OfPixels(ACTIVATIONS[activation]())]
        for *pair, size in zip(widths[:0:-1], widths[-2::-1], sizes[-2::-1], strict=True)
    ]
    outward[-1].pop()  # no activation after the last convolution
    down = [*to_maps, *itertools.chain(*inward), nn.Flatten()]
    up = [nn.Unflatten(1, (widths[-1], *sizes[-1])), *itertools.chain(*outward), *to_rows]
    # kernels in the order of the images, which are channels last as well: 1.6 times as fast on a CPU
    encoder, decoder = (ImageLayers(*layers).to(memory_format=torch.channels_last) for layers in (down, up))
    largest = sizes[:-1] if downsampling == "max_pool" else sizes[1:]  # of the maps of each layer
    n_numbers = max(width * h * w for width, (h, w) in zip(widths[1:], largest, strict=True))
    if n_numbers >= LARGE_MAPS:
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
    even = [1 - length % 2 for length in size]  # what is doubled is one short of an even length
    return [nn.ConvTranspose2d(width_in, width_out, kernel_size, 2, kernel_size // 2, output_padding=even)]


LAYERS = {"stride": (_strided, _transposed), "max_pool": (_pooled, _upsampled)}  # of an encoder, and of a decoder


class ImageLayers(nn.Sequential):
    """Layers that take a few samples at a time where images are large and nothing is to be differentiated.

    Attributes
    ----------
    rows_at_once : int or None
        How many on a CPU. None is all.
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
    """How many samples the layers of a module are to be given at once, where they make large maps of each; None is all."""
    sizes = [layer.rows_at_once for layer in module.modules() if isinstance(layer, ImageLayers) and layer.rows_at_once]
    return min(sizes) * (1 if device.type == "cpu" else ON_ACCELERATORS) if sizes else None


class _OfPixels(nn.Module):
    """An activation of maps with channels last, which sees them as they lie in memory.

    So PyTorch takes a kernel of one long sample: GELU is 1.6 times as fast on a CPU.
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
