"""Arrays of other libraries as input and output, such as PyTorch tensors, if `array_api_dispatch` is set.

They are converted to NumPy arrays for all computations, except those that `_tensors` does on the device. Without this
setting of scikit-learn such an array is an array-like that NumPy can convert.
"""

import functools

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils._array_api import _convert_to_numpy, device, get_namespace


def is_dispatched(X):
    """Return whether X is an array of another library, and scikit-learn is configured to return arrays of its kind."""
    if not get_config()["array_api_dispatch"] or isinstance(X, np.ndarray | np.generic):
        return False
    return isinstance(X, torch.Tensor) or hasattr(X, "__array_namespace__")


def as_numpy(X):
    """Return X, converted to a NumPy array if it is an array of another library that is dispatched."""
    return _convert_to_numpy(X, get_namespace(X)[0]) if is_dispatched(X) else X


def preserve_array_type(method):
    """Decorate a method of X such that the arrays that it returns are of X's library and on X's device."""

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
