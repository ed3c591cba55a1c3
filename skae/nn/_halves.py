"""The two halves of an autoencoder, each as a module of its own."""

from collections.abc import Callable

import torch
from torch import nn

from skae.nn._bounds import Bounds
from skae.nn._layers import LatentTransform, Scaler
from skae.nn._link import Link
from skae.nn._module import AutoencoderModule


class Encoder(nn.Module):
    """The first half of an autoencoder as a module of its own, scaling included: data to codes.

    It shares the weights of the whole. `Autoencoder.encoder_` is one.

    Parameters
    ----------
    module : AutoencoderModule
        The whole.

    See Also
    --------
    Decoder : The second half.
    AutoencoderModule : The whole.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skae import Autoencoder
    >>> autoencoder = Autoencoder(2, hidden_layer_sizes=()).fit(load_iris().data)
    >>> autoencoder.encoder_(torch.zeros(5, 4)).shape
    torch.Size([5, 2])
    """

    axes: LatentTransform | None
    code: Callable[[torch.Tensor], torch.Tensor]

    def __init__(self, module: AutoencoderModule) -> None:
        super().__init__()
        self.axes = module.axes  # None is no child
        for name, child in module.named_children():  # `code` may need more than the encoder
            if name not in ("decoder", "link", "bounds"):
                self.add_module(name, child)
        self.code = module.code

    forward: Callable[..., torch.Tensor] = AutoencoderModule.encode


class Decoder(nn.Module):
    """The second half of an autoencoder as a module of its own, scaling included: codes to data.

    It shares the weights of the whole. `Autoencoder.decoder_` is one.

    Parameters
    ----------
    module : AutoencoderModule
        The whole.

    See Also
    --------
    Encoder : The first half.
    AutoencoderModule : The whole.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skae import Autoencoder
    >>> autoencoder = Autoencoder(2, hidden_layer_sizes=()).fit(load_iris().data)
    >>> autoencoder.decoder_(torch.zeros(5, 2)).shape
    torch.Size([5, 4])
    """

    axes: LatentTransform | None
    decoder: nn.Module
    scaler: Scaler
    link: Link | None
    bounds: Bounds | None

    def __init__(self, module: AutoencoderModule) -> None:
        super().__init__()
        self.axes, self.decoder, self.scaler, self.link = module.axes, module.decoder, module.scaler, module.link
        self.bounds = module.bounds

    forward: Callable[..., torch.Tensor] = AutoencoderModule.decode
