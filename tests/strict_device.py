"""A simulated accelerator, "strict", on the CPU: as with a GPU, mixing its tensors with CPU tensors is an error.

Importing this module registers the device in torch, so that tensors that are left on the CPU by mistake are
detected without a GPU. It uses torch's experimental registration of backends written in Python. Fused recurrent cells,
generators on the device and pinned memory are not simulated.
"""

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map_only

NAME = "strict"
CROSSINGS = ("aten::_to_copy", "aten::copy_")  # operators that may copy a tensor from one device to the other
READS = ("aten::_local_scalar_dense", "aten::equal")  # operators that return Python numbers

AVAILABLE = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")  # not available in torch 2.6

if AVAILABLE:
    backend_registration._setup_privateuseone_for_python_backend(NAME)
    torch.__future__.set_overwrite_module_params_on_conversion(True)


class StrictTensor(torch.Tensor):
    """A tensor on the simulated device, which wraps a CPU tensor with the values."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=torch.device(NAME, 0),
            requires_grad=values.requires_grad,
        )

    def __init__(self, values):
        self.values_on_cpu = values

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        return dispatch(operator, *args, **(kwargs or {}))


def dispatch(operator, *args, **kwargs):
    """Run an operator on the CPU, if its tensors are on the right device."""
    name = operator._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    on_cpu = [t for t in tensors if not isinstance(t, StrictTensor) and t.dim()]
    if on_cpu and name not in CROSSINGS:
        raise RuntimeError(f"{name} mixes {NAME} with a CPU tensor of shape {tuple(on_cpu[0].shape)}")

    target = kwargs.get("device") or torch.device(NAME)
    args, kwargs = tree_map_only(StrictTensor, lambda t: t.values_on_cpu, (args, kwargs))
    if any(argument.name == "device" for argument in operator._schema.arguments):
        kwargs["device"] = torch.device("cpu")
    result = operator(*args, **kwargs)
    if name in READS or target.type != NAME:
        return result
    # in-place operators return their argument
    wrapper_of = {id(t.values_on_cpu): t for t in tensors if isinstance(t, StrictTensor)}
    return tree_map_only(torch.Tensor, lambda t: wrapper_of[id(t)] if id(t) in wrapper_of else StrictTensor(t), result)


if AVAILABLE:
    _library = torch.library.Library("_", "IMPL")
    _library.fallback(dispatch, "PrivateUse1")
