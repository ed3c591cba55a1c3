"""Isolation from the global state of PyTorch that the user may have set, which is restored afterwards."""

import contextlib

import torch
from torch.overrides import TorchFunctionMode

from skae._forks import is_forked
from skae._threads import torch_threads

DEVICE_TYPES = ("cpu", "cuda", "mps")
OF_DEFAULT_DTYPE = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye, torch.linspace})
OF_DTYPE_OF_DATA = frozenset({torch.tensor, torch.full, torch.as_tensor, torch.arange})


@contextlib.contextmanager
def default_torch_state():
    """Context manager that resets PyTorch to its defaults, so that results don't depend on the user's settings.

    Gradients are recorded, autocasting is off, and new tensors are of float32 and on the CPU. A forked child process is
    limited to one thread, since it has no others. The settings apply only to the calling Python thread, and the cost is
    negligible if they are the defaults already.
    """
    with contextlib.ExitStack() as stack:
        if is_forked():
            stack.enter_context(torch_threads(0))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for kind in DEVICE_TYPES:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if not _new_tensors_are_on_cpu():
            stack.enter_context(torch.device("cpu"))
        if torch.empty(0).dtype != torch.float32:
            stack.enter_context(_NewInFloat32())
        yield


def _new_tensors_are_on_cpu():
    try:
        return torch.empty(0).device.type == "cpu"
    except (RuntimeError, AssertionError, NotImplementedError):  # the default device is not available
        return False


class _NewInFloat32(TorchFunctionMode):
    """Mode that creates tensors in float32 by default: `torch.set_default_dtype` would affect all threads."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if kwargs.get("dtype") is None and kwargs.get("out") is None:
            if function in OF_DEFAULT_DTYPE:
                return function(*args, **kwargs | {"dtype": torch.float32})
            if function in OF_DTYPE_OF_DATA and not any(hasattr(value, "dtype") for value in (*args, *kwargs.values())):
                made = function(*args, **kwargs)
                return made.to(torch.float32) if made.dtype == torch.float64 else made
        return function(*args, **kwargs)
