"""Autoencoders for scikit-learn: a nonlinear drop-in replacement for PCA."""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

from skae import _forks as _forks  # registers a hook for forks

if TYPE_CHECKING:
    from skae import architectures as architectures
    from skae import base as base
    from skae import callbacks as callbacks
    from skae import datasets as datasets
    from skae import inspection as inspection
    from skae import metrics as metrics
    from skae import nn as nn
    from skae._autoencoder import Autoencoder
    from skae._contractive import ContractiveAutoencoder
    from skae._convolutional import ConvolutionalAutoencoder
    from skae._denoising import DenoisingAutoencoder
    from skae._outlier import AutoencoderOutlierDetector
    from skae._recurrent import LSTMAutoencoder
    from skae._sampler import LatentSampler
    from skae._sparse import SparseAutoencoder
    from skae._stacked import StackedAutoencoder
    from skae._tabular import TabularAutoencoder
    from skae._variational import VariationalAutoencoder
    from skae.base import BaseAutoencoder

__all__ = [
    "Autoencoder",
    "AutoencoderOutlierDetector",
    "BaseAutoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "LSTMAutoencoder",
    "LatentSampler",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TabularAutoencoder",
    "VariationalAutoencoder",
]
__version__ = _version("skae")

# torch takes seconds to import, so modules are imported on first access
_MODULES = {
    "Autoencoder": "_autoencoder",
    "AutoencoderOutlierDetector": "_outlier",
    "BaseAutoencoder": "base",
    "ContractiveAutoencoder": "_contractive",
    "ConvolutionalAutoencoder": "_convolutional",
    "DenoisingAutoencoder": "_denoising",
    "LSTMAutoencoder": "_recurrent",
    "LatentSampler": "_sampler",
    "SparseAutoencoder": "_sparse",
    "StackedAutoencoder": "_stacked",
    "TabularAutoencoder": "_tabular",
    "VariationalAutoencoder": "_variational",
}
_SUBMODULES = ("architectures", "base", "callbacks", "datasets", "inspection", "metrics", "nn")


if not TYPE_CHECKING:  # with it, type checkers would accept any name

    def __getattr__(name):
        if name not in _MODULES and name not in _SUBMODULES:
            raise AttributeError(f"module 'skae' has no attribute {name!r}")
        _import_module("skae._dependencies")
        module = _import_module(f"skae.{_MODULES.get(name, name)}")
        value = getattr(module, name) if name in _MODULES else module
        globals()[name] = value  # later accesses do not call this function
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES} - {"TYPE_CHECKING"})
