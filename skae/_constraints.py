"""Constraints of parameters: the only module that imports scikit-learn's private module of them."""

from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils._param_validation import StrOptions as UnsortedOptions

__all__ = [
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "StrOptions",
    "validate_parameter_constraints",
    "validate_params",
]


class StrOptions(UnsortedOptions):
    """Constraint of a parameter to a set of strings, which errors list in alphabetical order."""

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"
