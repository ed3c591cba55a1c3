"""PyTorch part of skae: the autoencoder module with its hooks, its layers and its loss functions.

This subpackage does not depend on scikit-learn or skorch: it has plain `torch.nn.Module` classes and functions of
tensors.
"""

import skae._dependencies  # noqa: F401 - must be imported first

from skae.nn import functional
from skae.nn._convolution import convolution
from skae.nn._ensemble import ModuleEnsemble
from skae.nn._halves import Decoder, Encoder
from skae.nn._layers import LatentTransform, Linear, LinearSkip, Scaler, dense
from skae.nn._link import Link
from skae.nn._module import AutoencoderModule
from skae.nn._prefixes import keep_prefix
from skae.nn._recurrence import CELLS, SequenceDecoder, SequenceEncoder

__all__ = [
    "CELLS",
    "AutoencoderModule",
    "Decoder",
    "Encoder",
    "LatentTransform",
    "Linear",
    "LinearSkip",
    "Link",
    "ModuleEnsemble",
    "Scaler",
    "SequenceDecoder",
    "SequenceEncoder",
    "convolution",
    "dense",
    "functional",
    "keep_prefix",
]
