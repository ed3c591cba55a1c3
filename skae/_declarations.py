"""What is refused when a class declares parameters: what would be no parameter, or one that does nothing."""

import inspect
from dataclasses import MISSING


def refuse_doubtful(a_class, owner, is_generated, inherited, declared, assigned):
    """Refuse a class whose parameters are not what it says.

    Parameters
    ----------
    a_class : type

    owner : type
        The class whose `__init__` it has.

    is_generated : bool
        Whether that is made of annotations.

    inherited, declared : dict of str to Field
        Parameters of its bases, and those that it annotates itself.

    assigned : set of str
        Parameters of its bases that it sets to a value.

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
                "Spell out all parameters, or annotate those of your own in the class, without an __init__."
            )
    elif is_generated and assigned - set(declared):
        name = min(assigned - set(declared))
        raise TypeError(
            f"{name_of_class}.{name} is set to a value, but its annotation is what sets a default. Write "
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
                f"{name_of_class}.{name} has a default_factory, of which scikit-learn can't know the value. Set the "
                "default to an immutable value, such as a tuple or None."
            )
        if not is_generated and owner is not a_class:
            raise TypeError(
                f"{name_of_class}.{name} is annotated, which declares a parameter, but {owner.__name__} has an "
                f"__init__ of its own, which lacks it. Write {name_of_class}.__init__ too, or let "
                f"{owner.__name__} annotate its parameters in place of an __init__."
            )
