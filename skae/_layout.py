"""One memory layout for all that a fitted estimator keeps.

A product's last bits depend on the strides of its factors, on some processors: other strides are another kernel. What
a fit leaves therefore has the layout that a file gives back.
"""

import copy

import numpy as np
from sklearn.base import BaseEstimator


def canonical(value):
    """Give arrays the one layout that is kept: C-contiguous, in native byte order, writable, and of their own memory.

    Parameters
    ----------
    value : object
        An array, or what holds some: a dict, list or tuple, an estimator, or another object of this package, whose
        items are treated likewise. A fitted autoencoder within it has done so by itself. Anything else stays as it is.

    Returns
    -------
    value : object
        Equal to the one given. Arrays that have the layout are not copied.
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
            object.__setattr__(other, name, canonical(item))  # frozen dataclasses refuse their own
        return other
    return value


def _is_record(value):
    """Whether it is an object of ours with attributes, or an estimator, but no fitted autoencoder."""
    ours = type(value).__module__.split(".")[0] == "skae" and hasattr(value, "__dict__")
    return (ours or isinstance(value, BaseEstimator)) and not hasattr(value, "_modules")


def _canonical_array(array):
    is_plain = type(array) is np.ndarray and array.base is None and array.dtype.isnative
    if is_plain and array.flags.carray:
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
