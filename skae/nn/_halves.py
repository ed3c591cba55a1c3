"""The encoder and the decoder of an autoencoder as separate modules."""

from collections.abc import Callable

import torch
from torch import nn

from skae.nn._bounds import Bounds
from skae.nn._layers import LatentTransform, Scaler
from skae.nn._link import Link
from skae.nn._module import AutoencoderModule


class Encoder(nn.Module):
    """The encoder of an autoencoder as a separate module, including the scaling: data to codes.

    It shares its weights with the autoencoder. `Autoencoder.encoder_` is an instance.

    Parameters
    ----------
    module : AutoencoderModule
        The autoencoder.

    See Also
    --------
    Decoder : The decoder.
    AutoencoderModule : The autoencoder.

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
        self.axes = module.axes  # set here as well since `named_children` does not yield None
        for name, child in module.named_children():  # `code` may use other children than the encoder
            if name not in ("decoder", "link", "bounds"):
                self.add_module(name, child)
        self.code = module.code

    forward: Callable[..., torch.Tensor] = AutoencoderModule.encode


class Decoder(nn.Module):
    """The decoder of an autoencoder as a separate module, including the scaling: codes to data.

    It shares its weights with the autoencoder. `Autoencoder.decoder_` is an instance.

    Parameters
    ----------
    module : AutoencoderModule
        The autoencoder.

    See Also
    --------
    Encoder : The encoder.
    AutoencoderModule : The autoencoder.

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
