"""Devices by name, and what torch does to a process when it first trains."""

import contextlib
import os
import warnings

import torch

from skae._seeds import isolated_rng
from skae._training.distributed import in_group, own_cuda


def resolve_device(name):
    """Device that a `device` parameter means: "auto" is cuda, then mps, then cpu; in a group, cuda or cpu.

    Raises
    ------
    ValueError
        If torch knows no such device, or this machine has none.
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
            "start processes anew ('spawn', or joblib's loky)"
            if is_fork
            else "set device='auto' to take the best there is"
        )
        if name == "gpu":
            raise ValueError(
                "device='gpu' is none of PyTorch's names. Set device='cuda' for a GPU of NVIDIA or AMD, 'mps' for one "
                "of Apple, or 'auto' to take the best there is."
            ) from error
        raise ValueError(
            f"device={name!r} can't be used {'in this process' if is_fork else 'on this machine'}: "
            f"{str(error).splitlines()[0].rstrip('.')}. Set device='cpu', or {start}."
        ) from error
    return device


def has_bfloat16(device):
    """Whether a device multiplies numbers of bfloat16 in hardware, by instructions that torch uses."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    uses_avx512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512") and torch.backends.mkldnn.is_available()
    if device.type != "cpu" or not uses_avx512:
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # an earlier torch has no public name; later ones may lack this one
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@contextlib.contextmanager
def what_torch_sets_undone():
    """Leave warnings filters and the environment alone: the first optimizer of a process loads parts that set some."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    with isolated_rng(0):  # threads take turns
        was_set = name in os.environ
        with warnings.catch_warnings():
            yield
        if not was_set:
            os.environ.pop(name, None)  # torch finds it again where it needs it
