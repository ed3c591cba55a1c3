"""The memory layout of the arrays of a fitted estimator.

On some processors the rounding of a matrix product depends on the strides of its factors, which determine the kernel.
The arrays of a fitted estimator therefore have the layout that they have after loading from a file.
"""

import copy

import numpy as np
from sklearn.base import BaseEstimator


def canonical(value):
    """Return arrays that are C-contiguous, in native byte order, writable, and own their memory.

    Parameters
    ----------
    value : object
        An array, or a container of arrays: a dict, list or tuple, an estimator, or another object of this package. The
        items of a container are converted recursively, except fitted autoencoders, which convert their own arrays. Any
        other object is returned unchanged.

    Returns
    -------
    value : object
        Equal to the input. Arrays that have this layout already are not copied.
    """
    if isinstance(value, np.ndarray):
        return _canonical_array(value)
    if type(value) is dict:
        return {key: canonical(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(canonical, value))
    if _is_record(value):
        other = copy.copy(value)
        for name, item in vars(value).items():
            object.__setattr__(other, name, canonical(item))  # `setattr` fails on frozen dataclasses
        return other
    return value


def _is_record(value):
    """Return whether the value is an estimator or an object of this package, other than a fitted autoencoder."""
    ours = type(value).__module__.split(".")[0] == "skae" and hasattr(value, "__dict__")
    return (ours or isinstance(value, BaseEstimator)) and not hasattr(value, "_modules")


def _canonical_array(array):
    is_plain = type(array) is np.ndarray and array.base is None and array.dtype.isnative
    if is_plain and array.flags.carray:
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
