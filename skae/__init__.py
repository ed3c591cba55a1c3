"""Autoencoders that a scikit-learn user drops in where PCA stands."""

from importlib.metadata import version as _version

from skae._autoencoder import Autoencoder

__all__ = ["Autoencoder"]
__version__ = _version("skae")
