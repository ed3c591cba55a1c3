"""The base of variants, and what a variant is declared with."""

from typing import Any

from skae._constraints import Interval as Interval
from skae._constraints import StrOptions as StrOptions
from skae._core import AutoencoderCore
from skae._parameters import (
    ArchitectureParameter,
    AxesParameters,
    CodeActivationParameter,
    InitParameter,
    NetworkParameters,
    parameter,
)

__all__ = ["BaseAutoencoder", "parameter"]  # `Interval` and `StrOptions`, of constraints, are scikit-learn's


class BaseAutoencoder(
    AutoencoderCore, AxesParameters, InitParameter, ArchitectureParameter, CodeActivationParameter, NetworkParameters
):
    """Base of autoencoders with an objective of their own.

    A variant is a subclass. It sets `module_class` to a subclass of :class:`skae.nn.AutoencoderModule`, whose hooks
    state the objective, and annotates its parameters, with defaults, as a dataclass does. The constructor is made of
    them and of those of :class:`skae.Autoencoder`, which the base knows how to use; a decorator isn't needed. Fitting,
    validation, streams, pickles, files and displays come with the base.

    It overrides those of these hooks that it has a use for: `module_params`, what the module takes of the parameters;
    `check_parameters`, which values don't go together; `encode_y`, what is learned of y; and `initial_solution`, where
    training starts.

    See Also
    --------
    Autoencoder : The plain one, whose documentation has the common parameters and attributes.
    skae.base.parameter : Declares a parameter and what it may be.
    skae.nn.AutoencoderModule : The torch side, with hooks of its own.
    skae.architectures.Architecture : Other layers for any variant.

    Notes
    -----
    A constraint of a parameter is declared with :func:`skae.base.parameter`, or in the metadata of a
    `dataclasses.field` as `{"constraint": [...]}`; a parameter with a plain default isn't checked. A fitted attribute
    is annotated as `field(init=False)`, or not at all. A subclass with an `__init__` of its own works as well, if that
    calls the base's: it has the parameters that are spelled out there, and no others.

    Other autoencoders of this package count as subclasses, though some lack parameters that they have no use for.

    Examples
    --------
    An autoencoder whose codes are pulled towards zero:

    >>> from numbers import Real
    >>> from sklearn.datasets import load_iris
    >>> from skae.base import BaseAutoencoder, Interval, parameter
    >>> from skae.nn import AutoencoderModule
    >>> class ShortModule(AutoencoderModule):
    ...     def __init__(self, *args, alpha, **kwargs):
    ...         super().__init__(*args, **kwargs)
    ...         self.alpha = alpha
    ...     def penalty(self, seen, encoding, code):
    ...         return {"length": self.alpha * code.square().sum(dim=-1)}
    >>> class ShortAutoencoder(BaseAutoencoder):
    ...     module_class = ShortModule
    ...     alpha: float = parameter(default=0.1, constraint=[Interval(Real, 0, None, closed="left")])
    ...     def module_params(self, statistics, scale):
    ...         return {"alpha": self.alpha}
    >>> short = ShortAutoencoder(2, alpha=0.5, max_iter=5, random_state=0).fit(load_iris().data)
    >>> short.transform(load_iris().data).shape
    (150, 2)
    """

    @classmethod
    def __subclasshook__(cls, other: Any) -> Any:
        if cls is BaseAutoencoder:
            return AutoencoderCore in other.__mro__ or NotImplemented
        return NotImplemented
