"""Base class of custom autoencoders, and declaration of their parameters."""

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

__all__ = ["BaseAutoencoder", "parameter"]  # `Interval` and `StrOptions` are scikit-learn's


class BaseAutoencoder(
    AutoencoderCore, AxesParameters, InitParameter, ArchitectureParameter, CodeActivationParameter, NetworkParameters
):
    """Base class of autoencoders with a custom objective.

    A subclass sets `module_class` to a subclass of :class:`skae.nn.AutoencoderModule`, whose hooks define the
    objective, and annotates its parameters, with defaults, like a dataclass. The constructor has these parameters and
    those of :class:`skae.Autoencoder`, which the base class uses; a decorator is not needed. The base class implements
    fitting, validation, `partial_fit`, pickling, files and displays.

    A subclass may override these hooks: `module_params` returns the parameters of the module; `check_parameters` raises
    errors for invalid combinations of values; `encode_y` converts y for training; and `initial_solution` returns the
    initialization.

    See Also
    --------
    Autoencoder : Standard autoencoder, which documents the common parameters and attributes.
    skae.base.parameter : Declares a parameter and its constraints.
    skae.nn.AutoencoderModule : PyTorch module, with more hooks.
    skae.architectures.Architecture : Custom layers for any autoencoder.

    Notes
    -----
    A constraint of a parameter is declared with :func:`skae.base.parameter`, or in the metadata of a
    `dataclasses.field` as `{"constraint": [...]}`; a parameter with a plain default is not checked. A fitted attribute
    is annotated as `field(init=False)`, or not at all. A subclass may define `__init__` if that calls the `__init__` of
    the base class: it then has only the parameters in its signature.

    Other autoencoders of this package are virtual subclasses, though some of them do not have all of the parameters.

    Examples
    --------
    An autoencoder with a penalty on the norm of its codes:

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
