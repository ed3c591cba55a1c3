"""Parameters of estimators: the name, type, default and constraint of each are declared once.

A variant inherits the groups of parameters that it uses, and its signature is generated from them: first
`n_components`, then the variant's own parameters, whose group is the last base class, then those of the other bases.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, dataclass_transform

from skae._constraints import Interval, RealNotInt, StrOptions
from skae._declarations import check_declarations
from skae._typing import Activation, Auto, CodeSize, CrossValidator, Init, LayerSizes, Loss, Scale, Seed
from skae.architectures import Architecture
from skae.nn.functional import ACTIVATIONS, LOSSES

Constraints = dict[str, list[Any]]

# values that apply to a variant without the parameter
NEUTRAL = {"code_activation": "identity", "architecture": None, "init": "pca", "ordered": False, "whiten": False}
POSITIVE_INT = Interval(Integral, 1, None, closed="left")
NON_NEGATIVE = Interval(Real, 0, None, closed="left")
CODE_SIZE = [
    *(Interval(Integral, 0, None, closed="left"), Interval(RealNotInt, 0, 1, closed="neither")),
    *(StrOptions({"mle"}), None),
]


def parameter(*, default: Any, constraint: Sequence[Any], kw_only: bool = True) -> Any:
    """Declare a parameter of an estimator, with its default and its constraint.

    The result is a `dataclasses.field` with the constraint in its metadata.

    Parameters
    ----------
    default : object
        An immutable value.

    constraint : sequence
        The allowed values, as a list of alternatives: a type such as `numbers.Real`, an :class:`Interval` of numbers,
        :class:`StrOptions`, None, or one of the names "boolean", "array-like" or "random_state". `fit` raises a
        ValueError if the value satisfies none of them.

    kw_only : bool, default=True
        Whether the parameter is keyword-only.

    Returns
    -------
    field : dataclasses.Field
        The value to assign to the annotated name in the class.

    Raises
    ------
    TypeError
        If `constraint` is not a list or tuple.

    See Also
    --------
    BaseAutoencoder : Base class that turns annotations into parameters.

    Examples
    --------
    >>> from numbers import Real
    >>> from skae.base import BaseAutoencoder, Interval, parameter
    >>> class Mine(BaseAutoencoder):
    ...     alpha: float = parameter(default=0.1, constraint=[Interval(Real, 0, None, closed="left")])
    >>> Mine(3, alpha=0.5)
    Mine(alpha=0.5, n_components=3)
    """
    if not isinstance(constraint, list | tuple):
        raise TypeError(f"constraint={constraint!r} must be a list of alternatives, such as [{constraint!r}].")
    return field(default=default, kw_only=kw_only, metadata={"constraint": list(constraint)})


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field, parameter))
class Parameters:
    """Base of classes whose annotations are parameters of the constructor, as in a dataclass.

    A class that defines `__init__` keeps it.
    """

    _parameter_constraints: ClassVar[Constraints] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inherited = {each.name: each for base in cls.__mro__[:0:-1] if is_dataclass(base) for each in fields(base)}
        before = set(vars(cls)) & set(inherited)
        for name in before:
            if not inherited[name].kw_only and not isinstance(vars(cls)[name], Field):
                setattr(cls, name, field(default=vars(cls)[name], kw_only=False))  # stays positional
        owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
        is_generated = not issubclass(owner, Parameters) or hasattr(owner.__init__, "is_generated")
        doc = cls.__doc__
        dataclass(kw_only=True, eq=False, repr=False, init=is_generated)(cls)
        cls.__doc__ = doc  # `dataclass` sets a missing docstring to the signature
        if is_generated:
            cls.__init__.is_generated = True  # type: ignore[attr-defined]
        declared = {each.name: each for each in fields(cls) if each is not inherited.get(each.name)}
        check_declarations(cls, owner, is_generated, inherited, declared, before)
        every: Constraints = {}
        for base in reversed(cls.__mro__):
            every |= vars(base).get("_parameter_constraints", {})
        own = {each.name: each.metadata["constraint"] for each in fields(cls) if "constraint" in each.metadata}
        cls._parameter_constraints = every | own


class NetworkParameters(Parameters):
    """Size of the code, and the layers before and after it."""

    n_components: CodeSize = parameter(default=2, constraint=CODE_SIZE, kw_only=False)
    hidden_layer_sizes: LayerSizes = parameter(
        default="auto", constraint=[StrOptions({"auto"}), POSITIVE_INT, "array-like"]
    )
    activation: Activation = parameter(default="gelu", constraint=[StrOptions(set(ACTIVATIONS))])


class CodeActivationParameter(Parameters):
    """Activation function of the code."""

    code_activation: Activation = parameter(default="identity", constraint=[StrOptions(set(ACTIVATIONS))])


class ArchitectureParameter(Parameters):
    """Architecture of the layers next to the data, if they are not dense."""

    architecture: Architecture | None = parameter(default=None, constraint=[Architecture, None])


class InitParameter(Parameters):
    """Initialization of the networks."""

    init: Init = parameter(default="pca", constraint=[StrOptions({"pca", "random"})])


class AxesParameters(Parameters):
    """Axes and scale of the codes that `transform` returns."""

    ordered: bool = parameter(default=False, constraint=["boolean"])
    whiten: bool = parameter(default=False, constraint=["boolean"])


class TrainingParameters(Parameters):
    """Loss and scaling of the reconstruction, and the training."""

    loss: Loss = parameter(default="squared_error", constraint=[StrOptions(set(LOSSES))])
    scale: Scale = parameter(default="global", constraint=[StrOptions({"global", "standard"}), None])
    max_iter: Auto | int = parameter(default="auto", constraint=[StrOptions({"auto"}), POSITIVE_INT])
    batch_size: Auto | int = parameter(default="auto", constraint=[StrOptions({"auto"}), POSITIVE_INT])
    learning_rate: Auto | float = parameter(
        default="auto", constraint=[StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")]
    )
    weight_decay: float = parameter(default=0.3, constraint=[NON_NEGATIVE])
    early_stopping: Auto | bool = parameter(default="auto", constraint=[StrOptions({"auto"}), "boolean"])
    validation_fraction: Auto | float = parameter(
        default="auto", constraint=[StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")]
    )
    cv: CrossValidator = parameter(default=None, constraint=["cv_object"])
    n_iter_no_change: int = parameter(default=10, constraint=[POSITIVE_INT])
    tol: float = parameter(default=1e-4, constraint=[NON_NEGATIVE])
    warm_start: bool = parameter(default=False, constraint=["boolean"])
    callbacks: list[Any] | None = parameter(default=None, constraint=[list, tuple, None])
    net_params: dict[str, Any] | None = parameter(default=None, constraint=[dict, None])
    device: str = parameter(default="auto", constraint=[str])
    mixed_precision: Auto | bool = parameter(default=False, constraint=[StrOptions({"auto"}), "boolean"])
    random_state: Seed = parameter(default=None, constraint=["random_state"])
    verbose: int = parameter(default=0, constraint=["verbose"])
