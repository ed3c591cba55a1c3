"""Validation of the parameters that a class declares."""

import inspect
from dataclasses import MISSING


def check_declarations(a_class, owner, is_generated, inherited, declared, assigned):
    """Raise an error if a class declares a name that would not be a parameter, or a parameter without effect.

    Parameters
    ----------
    a_class : type

    owner : type
        The class that defines its `__init__`.

    is_generated : bool
        Whether this `__init__` is generated from annotations.

    inherited, declared : dict of str to Field
        Parameters of the base classes, and those that the class annotates.

    assigned : set of str
        Parameters of the base classes that the class sets to a value.

    Raises
    ------
    TypeError
    """
    name_of_class = a_class.__name__
    if owner is a_class and not is_generated:
        kinds = {each.kind for each in inspect.signature(owner.__init__).parameters.values()}
        if inspect.Parameter.VAR_KEYWORD in kinds or inspect.Parameter.VAR_POSITIONAL in kinds:
            raise TypeError(
                f"{name_of_class}.__init__ takes *args or **kwargs, whose parameters clone and searches would lose. "
                "List all parameters explicitly, or annotate the new ones in the class, without an __init__."
            )
    elif is_generated and assigned - set(declared):
        name = min(assigned - set(declared))
        raise TypeError(
            f"{name_of_class}.{name} is set to a value without an annotation, which doesn't set a default. Write "
            f"`{name}: ... = {vars(a_class)[name]!r}`, with its type."
        )
    for name, parameter in declared.items():
        if not parameter.init:
            continue
        if name.endswith("_"):
            raise TypeError(
                f"{name_of_class}.{name} is annotated, which declares a parameter, but its name is that of a fitted "
                f"attribute. Annotate it as `{name}: ... = field(init=False)`, with `field` of `dataclasses`."
            )
        if name not in inherited and any(hasattr(base, name) for base in a_class.__bases__):
            raise TypeError(
                f"{name_of_class}.{name} is annotated, which declares a parameter, but its name is that of a method or "
                "an attribute. Choose another name, or annotate it as a ClassVar."
            )
        if parameter.default_factory is not MISSING:
            raise TypeError(
                f"{name_of_class}.{name} has a default_factory, whose value is unknown to scikit-learn. Set the "
                "default to an immutable value, such as a tuple or None."
            )
        if not is_generated and owner is not a_class:
            raise TypeError(
                f"{name_of_class}.{name} is annotated, which declares a parameter, but {owner.__name__} defines an "
                f"__init__ that doesn't have it. Define {name_of_class}.__init__ as well, or let {owner.__name__} "
                "annotate its parameters instead of defining __init__."
            )
