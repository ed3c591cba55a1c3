"""PyTorch tensors as input and output, without a copy through the CPU, if scikit-learn's `array_api_dispatch` is set.

The network is applied to the tensor directly, in batches of the same size as those of NumPy arrays. Unusual input, such
as NaN or a wrong number of columns, is converted to NumPy, whose validation raises the errors.
"""

import functools

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._array_api import is_dispatched, preserve_array_type
from skae._data.readers import rows_at_once

DTYPES = {torch.float32: "float32", torch.float64: "float64"}


def on_device(part):
    """Let a method of an autoencoder process a tensor X on the network's device, and return a tensor on X's device.

    Arrays of other libraries are converted as by `preserve_array_type`.

    Parameters
    ----------
    part : {"encode", "decode", "forward", "score_samples"}
        Computation on each sample: a method of the module, or the score of the reconstruction.

    Returns
    -------
    decorator : callable
    """

    def decorator(method):
        by_numpy = preserve_array_type(method)

        @functools.wraps(method)
        def wrapped(self, X, *args, **kwargs):
            answer = None if args or kwargs or not is_dispatched(X) else _answer(self, part, X)
            return by_numpy(self, X, *args, **kwargs) if answer is None else answer

        return wrapped

    return decorator


def _is_plain(X):
    """Return whether X is a dense, non-empty matrix that PyTorch's operators accept without conversion."""
    dense = X.layout == torch.strided and not X.is_nested and X.device.type != "meta"
    return dense and X.dim() == 2 and len(X) > 0 and X.dtype in DTYPES and not X.requires_grad


def _answer(estimator, part, X):
    """Return the output of a part of the network on X's device, or None if X has to be validated as a NumPy array."""
    check_is_fitted(estimator)
    # other subclasses of Tensor may redefine the operators, as masked tensors do
    classes = {torch.Tensor, torch.nn.Parameter, type(estimator._modules["float32"].scaler.mean)}
    if type(X) not in classes or not _is_plain(X):
        return None
    width = estimator.n_components_ if part == "decode" else estimator.n_features_in_
    missing = width - X.shape[1]
    may_be_narrower = part == "decode" and estimator._spec.ordered and X.shape[1] > 0
    if missing < 0 or (missing and not may_be_narrower):
        return None
    module = estimator._modules[DTYPES[X.dtype]]
    # NumPy sums in another order, and a CPU tensor converts to NumPy without a copy; mps has no float64
    if part == "score_samples" and (X.device.type == "cpu" or module.scaler.mean.device.type == "mps"):
        return None
    size = rows_at_once(width)
    with estimator._own_torch(min(size, len(X))):
        batches = X.split(size)
        if not torch.stack([torch.isfinite(batch).all() for batch in batches]).all():
            return None
        if part == "score_samples":
            answer = torch.empty(len(X), dtype=torch.float64, device=X.device)
        else:
            n_columns = estimator.n_components_ if part == "encode" else estimator.n_features_in_
            answer = torch.empty((len(X), n_columns), dtype=X.dtype, device=X.device)
        finite = []
        for place, batch in zip(answer.split(size), batches, strict=True):
            with estimator._own_torch(len(batch)), torch.inference_mode():
                y = _run(module, part, F.pad(batch, (0, missing)) if missing else batch)
                finite.append(torch.isfinite(y).all())
                place.copy_(y)
        if not torch.stack(finite).all():
            return None
    if part != "decode":  # warns if the training data had feature names, which X doesn't
        validate_data(estimator, X, skip_check_array=True, reset=False)
    return answer


def _run(module, part, rows):
    """Return the output of a part of the network for a batch, on the network's device."""
    # copied because the rounding of some kernels depends on the memory alignment of a sample
    x = rows.to(module.scaler.mean.device, copy=True, memory_format=torch.contiguous_format)
    if part != "score_samples":
        return getattr(module, part)(x)
    return -(x - module(x)).double().square().sum(dim=1)  # float32 overflows above 1e38
