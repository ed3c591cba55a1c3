"""Arrays of other libraries, such as torch's tensors, where scikit-learn's `array_api_dispatch` is set: in and out.

All is computed as of NumPy arrays, but for what `_tensors` leaves where it is. Without that setting such an array is
one of the many things that NumPy can read.
"""

import functools

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils._array_api import _convert_to_numpy, device, get_namespace


def is_dispatched(X):
    """Whether X is an array of another library, and scikit-learn is told to answer in kind."""
    if not get_config()["array_api_dispatch"] or isinstance(X, np.ndarray | np.generic):
        return False
    return isinstance(X, torch.Tensor) or hasattr(X, "__array_namespace__")


def as_numpy(X):
    """X as a NumPy array if it is such an array, else X as it is."""
    return _convert_to_numpy(X, get_namespace(X)[0]) if is_dispatched(X) else X


def in_kind(method):
    """Let a method that takes X, and returns an array or several, return them in X's library and on X's device."""

    @functools.wraps(method)
    def wrapped(self, X, *args, **kwargs):
        result = method(self, X, *args, **kwargs)
        if not is_dispatched(X):
            return result
        xp, place = get_namespace(X)[0], device(X)
        several = isinstance(result, tuple)
        found = [xp.asarray(array, device=place) for array in (result if several else (result,))]
        return tuple(found) if several else found[0]

    return wrapped
