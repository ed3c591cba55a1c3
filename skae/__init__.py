"""Autoencoders that a scikit-learn user drops in where PCA stands."""

from importlib.metadata import version as _version

from skae._autoencoder import Autoencoder
from skae._contractive import ContractiveAutoencoder
from skae._convolutional import ConvolutionalAutoencoder
from skae._denoising import DenoisingAutoencoder
from skae._recurrent import LSTMAutoencoder
from skae._sparse import SparseAutoencoder
from skae._stacked import StackedAutoencoder
from skae._variational import VariationalAutoencoder

__all__ = [
    "Autoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "LSTMAutoencoder",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "VariationalAutoencoder",
]
__version__ = _version("skae")
