"""Ensembles of autoencoders of the same architecture, trained in parallel."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from skae.nn._layers import LinearSkip
from skae.nn._module import AutoencoderModule

OWN_BUFFERS = (".extrapolation",)  # buffers that differ between members
FEW_WEIGHTS = 2**14  # copying this many values is faster than calling an operator


class ModuleEnsemble:
    """Autoencoders of the same architecture that are trained in parallel, each on its own samples.

    The time of a training step of a small network is dominated by the overhead of about a hundred operator calls.
    Therefore, if the hooks of the members support it, a single batched module is trained for all members. Its weights
    and samples have an additional leading dimension. The weights of the members are views of its weights, and they
    share its buffers.

    Parameters
    ----------
    members : sequence of AutoencoderModule
        Autoencoders of the same architecture on the same device.

    is_batched : bool, default=True
        Whether to train several members as one batched module, if they support it.

    Attributes
    ----------
    members : list of AutoencoderModule
        The autoencoders.

    is_batched : bool
        Whether all members are trained as one batched module.

    trained : list of AutoencoderModule
        The modules that are trained: the members, or the batched module.

    weights : list of dict of str to torch.nn.Parameter of shape (...) or (n_members, ...)
        The trainable weights of each trained module by name. Those of a batched module have a leading dimension.

    See Also
    --------
    AutoencoderModule : Class of the members.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skae.nn import AutoencoderModule, ModuleEnsemble, Scaler, dense
    >>> from skae.nn.functional import squared_error
    >>> scaler = Scaler(np.zeros(3), np.ones(3), torch.float32)
    >>> members = [
    ...     AutoencoderModule(dense([3, 2], "gelu"), dense([2, 3], "gelu"), squared_error, scaler) for _ in range(4)
    ... ]
    >>> ensemble = ModuleEnsemble(members)
    >>> {name: tuple(weight.shape) for name, weight in ensemble.weights[0].items() if "encoder" in name}
    {'encoder.0.weight': (4, 2, 3), 'encoder.0.bias': (4, 2)}
    >>> ensemble.losses(torch.zeros(4, 10, 3))["reconstruction"].shape
    torch.Size([4, 10])
    """

    def __init__(self, members: Sequence[AutoencoderModule], is_batched: bool = True) -> None:
        self.members: list[AutoencoderModule] = list(members)
        first = self.members[0]
        declared = "supports_batching" in vars(type(first)) and first.supports_batching  # not inherited
        self.is_batched: bool = is_batched and len(self.members) > 1 and declared
        self.trained: list[AutoencoderModule] = [_batched(self.members)] if self.is_batched else self.members
        self.share_buffers()
        self.weights: list[dict[str, nn.Parameter]] = [
            {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
            for module in self.trained
        ]

    def train(self, mode: bool = True) -> None:
        """Set the trained modules to training or evaluation mode.

        Parameters
        ----------
        mode : bool, default=True
            Whether to set training mode.
        """
        for module in self.trained:
            module.train(mode)

    def share_buffers(self) -> None:
        """Let the members share the buffers of the batched module."""
        for name, buffer in self.trained[0].named_buffers() if self.is_batched else ():
            if name.endswith(OWN_BUFFERS) or self.members[-1].get_buffer(name) is buffer:
                continue  # differs between members, or is shared already
            path, _, attribute = name.rpartition(".")
            for member in self.members:
                setattr(member.get_submodule(path), attribute, buffer)

    def draw_from(self, generators: Iterable[torch.Generator | None]) -> None:
        """Set the random number generator of the hooks of each trained module.

        Parameters
        ----------
        generators : iterable of torch.Generator or None
            One generator for each trained module. None is PyTorch's default generator.
        """
        for module, generator in zip(self.trained, generators, strict=True):
            module.generator = generator

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Tensors that training modifies, by name: weights and buffers."""
        return {
            f"{i} {name}": tensor
            for i, (module, weights) in enumerate(zip(self.trained, self.weights, strict=True))
            for name, tensor in (*weights.items(), *module.named_buffers())
        }

    def losses(
        self, rows: torch.Tensor, sizes: Sequence[int] | None = None, target: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Return the named terms of the loss, see `AutoencoderModule.losses`, of the first members.

        Parameters
        ----------
        rows : torch.Tensor of shape (m, n, d)
            Scaled samples for each of the first m members.

        sizes : sequence of int, default=None
            Code sizes: for each size k, samples are reconstructed from the first k components of their codes. If None,
            from whole codes.

        target : torch.Tensor of shape (m, n, d) or (m, n, n_targets), default=None
            Scaled samples to be reconstructed, or encoded values of y.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Terms of shape (m, n), (m, n, n_sizes) or (m,).
        """
        m = len(rows)
        if self.is_batched:
            missing = len(self.members) - m

            def padded(rows):
                return torch.cat([rows, rows[:1].expand(missing, -1, -1)]) if missing else rows

            terms = self.trained[0].losses(padded(rows), sizes, None if target is None else padded(target))
            return {name: term[:m] for name, term in terms.items()}
        targets = [None] * m if target is None else target
        each = [member.losses(x, sizes, y) for member, x, y in zip(self.members[:m], rows, targets, strict=True)]
        return {name: torch.stack([terms[name] for terms in each]) for name in each[0]}

    def baseline_losses(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the mean reconstruction loss of a constant model, which predicts the mean of the samples, 0.

        Parameters
        ----------
        rows : torch.Tensor of shape (m, n, d)
            Scaled samples for each of the members.

        Returns
        -------
        losses : torch.Tensor of shape (m,)
            Mean over the samples of each member.
        """
        pairs = zip(self.trained, [rows] if self.is_batched else rows, strict=True)
        with torch.no_grad():
            means = [module.reconstruction(torch.zeros_like(x), x, x).mean(dim=-1) for module, x in pairs]
        return torch.stack(means).flatten()


def clip_gradients(gradients: Sequence[torch.Tensor], norm: float, n_members: int = 1) -> None:
    """Clip the norm of the gradient of each member, as `torch.nn.utils.clip_grad_norm_` does for one network.

    Small gradients are concatenated, which is faster than calling an operator for each of them.

    Parameters
    ----------
    gradients : sequence of torch.Tensor
        Gradients of one network, or of several, of shape (n_members, ...).

    norm : float
        Maximum norm of the gradient of one member.

    n_members : int, default=1
        Number of members.
    """
    if n_members == 1:
        length = torch.stack(torch._foreach_norm(gradients)).norm()
    else:
        rows = [gradient.reshape(n_members, -1) for gradient in gradients]
        parts = [row for row in rows if row.shape[1] > FEW_WEIGHTS]
        small = [row for row in rows if row.shape[1] <= FEW_WEIGHTS]
        if small:
            parts.append(torch.cat(small, dim=1))
        lengths = [torch.linalg.vector_norm(part, dim=1) for part in parts]  # (m,) each
        length = torch.stack(lengths).norm(dim=0) if lengths[1:] else lengths[0]
    factor = norm / (length + 1e-6)
    if factor.device.type == "cpu" and bool((factor >= 1.0).all()):
        return  # this check needs no synchronization
    factor = factor.clamp(max=1.0)
    if n_members == 1:
        torch._foreach_mul_(gradients, factor)
        return
    shaped = {n: factor.view(-1, *[1] * (n - 1)) for n in {gradient.dim() for gradient in gradients}}
    torch._foreach_mul_(gradients, [shaped[gradient.dim()] for gradient in gradients])


def keep_members(ensemble: ModuleEnsemble, places: Sequence[int], sources: Sequence[int]) -> None:
    """Keep some members of a batched ensemble, and set their weights to those of the same or other members.

    Parameters
    ----------
    ensemble : ModuleEnsemble
        A batched ensemble. The weights of its batched module remain the same objects.

    places : sequence of int
        Indices of the members to keep.

    sources : sequence of int
        Index of the member whose weights each kept member gets.
    """
    (one,), (weights,) = ensemble.trained, ensemble.weights
    for weight in weights.values():
        weight.data, weight.grad = weight.data[sources], None  # (m, ...) -> (len(sources), ...)
    for layer in one.modules():
        if isinstance(layer, LinearSkip) and layer.nonlinear is not None:
            layer.extrapolation = layer.extrapolation[sources]
    ensemble.members = [ensemble.members[place] for place in places]
    for i, member in enumerate(ensemble.members):
        _replace(member, {name: weight.detach()[i] for name, weight in weights.items()})


def _batched(members):
    """Return a batched module, with weights of shape (m, ...). The weights of the members become views of them."""
    one = copy.deepcopy(members[0])
    for layer, *layers in zip(one.modules(), *(member.modules() for member in members), strict=True):
        if isinstance(layer, LinearSkip) and layer.nonlinear is not None:
            layer.extrapolation = torch.stack([each.extrapolation for each in layers])  # (m, d_out, d_in)
    each = [dict(member.named_parameters()) for member in members]
    stacked = {
        name: torch.stack([parameters[name].detach() for parameters in each])
        for name, weight in each[0].items()
        if weight.requires_grad
    }
    _replace(one, stacked)
    for i, member in enumerate(members):
        _replace(member, {name: weights[i] for name, weights in stacked.items()})
    one.axes = None  # differ between members
    return one


def _replace(module, values):
    """Replace named parameters of a module, in all layers that share them, by new ones with the given values."""
    old = dict(module.named_parameters())
    new = {id(old[name]): nn.Parameter(value) for name, value in values.items()}
    for layer in module.modules():
        for name, weight in list(layer.named_parameters(recurse=False, remove_duplicate=False)):
            if id(weight) in new:
                setattr(layer, name, new[id(weight)])
