"""Parameters that variants share: the name, the type, the default and what is allowed, each said once.

A variant is a dataclass of the groups that it has a use for, and its signature is made of them: first `n_components`,
then the variant's own, which are the last of its bases, and then those of the bases before it.
"""

from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar, dataclass_transform

from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from skae._typing import Activation, Auto, CodeSize, CrossValidator, Init, LayerSizes, Loss, Scale, Seed
from skae.architectures import Architecture
from skae.nn.functional import ACTIVATIONS, LOSSES

Constraints = dict[str, list[Any]]

# what a variant without the parameter does
NEUTRAL = {"code_activation": "identity", "architecture": None, "init": "pca", "ordered": False, "whiten": False}


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def parameters(a_class: type) -> type:
    """Make a constructor of the annotated parameters of a class and its bases, as `dataclass` does.

    The defaults are those of the constructor alone: a class has no attribute of a parameter's name.
    """
    made: Any = dataclass(kw_only=True, eq=False, repr=False)(a_class)
    for parameter in fields(made):
        if parameter.name in vars(made):
            delattr(made, parameter.name)
    return made


class Checked:
    """What is allowed, for scikit-learn's validation: that of each class, and of its bases."""

    _parameter_constraints: ClassVar[Constraints] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        every: Constraints = {}
        for base in reversed(cls.__mro__):
            every |= vars(base).get("_parameter_constraints", {})
        cls._parameter_constraints = every


@parameters
class NetworkParameters(Checked):
    """The size of the code, and the layers before and after it."""

    n_components: CodeSize = field(default=2, kw_only=False)
    hidden_layer_sizes: LayerSizes = "auto"
    activation: Activation = "gelu"

    _parameter_constraints: ClassVar[Constraints] = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"mle"}),
            None,
        ],
        "hidden_layer_sizes": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
    }


@parameters
class CodeActivationParameter(Checked):
    """What bounds the code."""

    code_activation: Activation = "identity"

    _parameter_constraints: ClassVar[Constraints] = {"code_activation": [StrOptions(set(ACTIVATIONS))]}


@parameters
class ArchitectureParameter(Checked):
    """What the layers next to the data are, if not dense."""

    architecture: Architecture | None = None

    _parameter_constraints: ClassVar[Constraints] = {"architecture": [Architecture, None]}


@parameters
class InitParameter(Checked):
    """Where training starts."""

    init: Init = "pca"

    _parameter_constraints: ClassVar[Constraints] = {"init": [StrOptions({"pca", "random"})]}


@parameters
class AxesParameters(Checked):
    """In which axes codes are shown."""

    ordered: bool = False
    whiten: bool = False

    _parameter_constraints: ClassVar[Constraints] = {"ordered": ["boolean"], "whiten": ["boolean"]}


@parameters
class TrainingParameters(Checked):
    """What is asked of the reconstruction, and how it is trained."""

    loss: Loss = "squared_error"
    scale: Scale = "global"
    max_iter: Auto | int = "auto"
    batch_size: Auto | int = "auto"
    learning_rate: Auto | float = "auto"
    weight_decay: float = 0.3
    early_stopping: Auto | bool = "auto"
    validation_fraction: Auto | float = "auto"
    cv: CrossValidator = None
    n_iter_no_change: int = 10
    tol: float = 1e-4
    warm_start: bool = False
    callbacks: list[Any] | None = None
    net_params: dict[str, Any] | None = None
    device: str = "auto"
    mixed_precision: bool = False
    random_state: Seed = None
    verbose: int = 0

    _parameter_constraints: ClassVar[Constraints] = {
        "loss": [StrOptions(set(LOSSES))],
        "scale": [StrOptions({"global", "standard"}), None],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "cv": ["cv_object"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "net_params": [dict, None],
        "device": [str],
        "mixed_precision": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
