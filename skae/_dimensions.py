"""Errors for arrays with more than two dimensions, which explain how to flatten the array."""

import contextlib
import math

import numpy as np

MESSAGE = "Found array with dim"
CHANNELS = (1, 3, 4)


@contextlib.contextmanager
def explain_how_to_flatten(estimator, X):
    """Extend scikit-learn's error for arrays of more than two dimensions by how to flatten them.

    Parameters
    ----------
    estimator : estimator
        Estimator whose shape parameters, or those of its parts, are named.

    X : object
    """
    try:
        yield
    except ValueError as error:
        shape = tuple(map(int, np.shape(X))) if str(error).startswith(MESSAGE) else ()
        if len(shape) < 3:
            raise
        raise ValueError(f"{error} {_how_to_flatten(estimator, X, shape)}") from None


def _how_to_flatten(estimator, X, shape):
    channels_first = len(shape) == 4 and shape[1] in CHANNELS and shape[3] not in CHANNELS
    array = "X" if hasattr(X, "reshape") else "np.asarray(X)"
    flat = f"{array}.reshape(len(X), -1)"
    image, how = shape[1:], f"Pass {flat}, with one flattened sample per row"
    if channels_first:
        image = (*shape[2:], shape[1])
        flat = f"{array}.transpose(0, 2, 3, 1).reshape(len(X), -1)"
        how = f"Pass {flat}, with one flattened sample per row and channels last"
    shapes = {"sequence_shape": (shape[1], math.prod(shape[2:]))}
    if len(image) <= 3:
        shapes["image_shape"] = image
    found = {name: value for name, value in estimator.get_params().items() if name.split("__")[-1] in shapes}
    if not found:
        classes = {"image_shape": "ConvolutionalAutoencoder", "sequence_shape": "LSTMAutoencoder"}
        known = [f"{classes[name]}({name}={shapes[name]})" for name in classes if name in shapes]
        return f"{how}. Estimators that use neighborhoods are {' and '.join(known)}."
    unset = {name: shapes[name.split("__")[-1]] for name in found}
    unset = {name: value for name, value in unset.items() if found[name] is None or tuple(found[name]) != value}
    if not unset:
        return f"{how}."
    return f"{how}, and set {' and '.join(f'{name}={value}' for name, value in unset.items())}."
