"""Objects as JSON and arrays, and back: only values and classes that are known here are made again, nothing is run."""

import math
from pathlib import PurePath

import numpy as np
from sklearn.base import BaseEstimator

KINDS = "biuf"  # of arrays: bools, integers and floats


def pack(value, classes):
    """Make JSON and arrays of an object.

    What JSON has no form for is a dict with a single key that says what it is.

    Parameters
    ----------
    value : object
        Values, arrays and containers of them, and objects of known classes.

    classes : dict of str to type
        Those that `unpack` will know, by `name_of`.

    Returns
    -------
    plain : object
        What `json.dumps` takes.

    arrays : dict of str to ndarray
        By the names that `plain` has for them.

    Raises
    ------
    TypeError
        If there is something in it that only a pickle could hold.
    """
    arrays = {}
    return _Packer(arrays, classes).plain(value), arrays


class _Packer:
    def __init__(self, arrays, classes):
        self.arrays, self.classes = arrays, classes

    def plain(self, value):
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if isinstance(value, tuple):
            return {"tuple": [self.plain(item) for item in value]}
        if isinstance(value, dict):
            return {"dict": [[self.plain(key), self.plain(item)] for key, item in value.items()]}
        if isinstance(value, np.ndarray | np.generic):
            return self.array(value)
        if isinstance(value, PurePath):
            return {"path": str(value)}
        if isinstance(value, np.random.RandomState):
            return {"random_state": self.plain(value.get_state())}
        a_class = value if isinstance(value, type) else type(value)
        if self.classes.get(name_of(a_class)) is a_class:
            return self.known(value, name_of(a_class))
        raise TypeError(f"{value!r} can't be kept without a pickle")

    def known(self, value, name):
        """A known class, or an object of one."""
        if isinstance(value, type):
            return {"class": name}
        if isinstance(value, BaseEstimator):
            return {"estimator": name, **self.halves(value)}
        return {"object": name, "state": self.plain(vars(value))}

    def array(self, value):
        """Numbers, or one of numpy's; or strings, such as the names of features."""
        if (
            isinstance(value, np.ndarray)
            and value.dtype == object
            and all(isinstance(item, str) for item in value.flat)
        ):
            return {"strings": value.tolist()}
        if value.dtype.kind not in KINDS or value.dtype.itemsize > 8:
            raise TypeError(f"an array of dtype={value.dtype} can't be kept without a pickle")
        name = str(len(self.arrays))
        self.arrays[name] = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(value.shape)
        return {"array" if isinstance(value, np.ndarray) else "number": name}

    def halves(self, estimator):
        """What an estimator was made with, and what it came to."""
        parameters = estimator.get_params(deep=False)
        state = estimator.__getstate__()
        attributes = {name: value for name, value in state.items() if name not in parameters and _counts(name)}
        return {"parameters": self.plain(parameters), "attributes": self.plain(attributes)}


def _counts(attribute):
    """Whether it is not scikit-learn's own about this process: versions, and callbacks that watched."""
    return attribute == "_sklearn_output_config" or not attribute.startswith(("_sklearn", "_skl_"))


def name_of(a_class):
    """Name of a class in a file: its own for one of this package, which may move in it, else with its module."""
    ours = a_class.__module__.split(".")[0] == "skae"
    return a_class.__name__ if ours else f"{a_class.__module__}.{a_class.__qualname__}"


def unpack(plain, arrays, classes):
    """Make the object again that `pack` made JSON and arrays of.

    Parameters
    ----------
    plain, arrays : object, dict of str to ndarray

    classes : dict of str to type
        The classes that may be made, by `name_of`.

    Returns
    -------
    value : object

    Raises
    ------
    LookupError, TypeError, ValueError
        If they are not what `pack` makes, or of a class that isn't known.
    """
    if isinstance(plain, list):
        return [unpack(item, arrays, classes) for item in plain]
    if not isinstance(plain, dict):
        return plain

    def inside(key):
        return unpack(plain[key], arrays, classes)

    def known():
        if plain[kind] not in classes:
            raise ValueError(f"it holds a {plain[kind]!r}, which is not known here: define or import that class first")
        return classes[plain[kind]]

    kind = next(iter(plain))
    match kind:
        case "float":
            return float(plain[kind])
        case "tuple":
            return tuple(unpack(item, arrays, classes) for item in plain[kind])
        case "dict":
            return {unpack(key, arrays, classes): unpack(item, arrays, classes) for key, item in plain[kind]}
        case "array":
            return arrays[plain[kind]]
        case "number":
            return arrays[plain[kind]][()]
        case "strings":
            return np.array([str(item) for item in plain[kind]], dtype=object)
        case "path":
            return str(plain[kind])
        case "random_state":
            value = np.random.RandomState()
            value.set_state(inside(kind))
            return value
        case "class":
            return known()
        case "estimator":
            return remade(known(), inside("parameters"), inside("attributes"))
        case "object":
            value = known().__new__(known())
            vars(value).update(inside("state"))
            return value
    raise ValueError(f"it holds a {kind!r}")


def remade(a_class, parameters, attributes):
    """Make an estimator again of its parameters and its attributes."""
    estimator = a_class(**parameters)
    if hasattr(estimator, "_check_attributes"):
        estimator._check_attributes(attributes)
    estimator.__setstate__(estimator.__getstate__() | attributes)
    return estimator
