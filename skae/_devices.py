"""Devices by name, and side effects of PyTorch's first optimizer."""

import contextlib
import os
import warnings

import torch

from skae._seeds import isolated_rng
from skae._training.distributed import in_group, own_cuda


def resolve_device(name):
    """Return the device of a `device` parameter: "auto" is cuda, then mps, then cpu; in a group, cuda or cpu.

    Raises
    ------
    ValueError
        If PyTorch has no device of this name, or it is not available on this machine.
    """
    found = name
    if name == "auto":
        mps = torch.backends.mps.is_available() and not in_group()
        found = own_cuda() if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        device = torch.device(found)
        torch.ones(1).to(device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        is_fork = "forked subprocess" in str(error)
        start = (
            "start processes with 'spawn' or joblib's loky"
            if is_fork
            else "set device='auto' to use the best available"
        )
        if name == "gpu":
            raise ValueError(
                "device='gpu' is not a PyTorch device. Set device='cuda' for an NVIDIA or AMD GPU, 'mps' for an Apple "
                "GPU, or 'auto' to use the best available."
            ) from error
        raise ValueError(
            f"device={name!r} can't be used {'in this process' if is_fork else 'on this machine'}: "
            f"{str(error).splitlines()[0].rstrip('.')}. Set device='cpu', or {start}."
        ) from error
    return device


def has_bfloat16(device):
    """Return whether a device has hardware instructions for bfloat16 products that PyTorch uses."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    uses_avx512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512") and torch.backends.mkldnn.is_available()
    if device.type != "cpu" or not uses_avx512:
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # earlier versions have no public name; later ones may lack this one
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@contextlib.contextmanager
def without_torch_side_effects():
    """Restore warnings filters and the environment, which modules loaded by the first optimizer of a process change."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    with isolated_rng(0):  # for its lock
        was_set = name in os.environ
        with warnings.catch_warnings():
            yield
        if not was_set:
            os.environ.pop(name, None)  # PyTorch sets it again when needed
