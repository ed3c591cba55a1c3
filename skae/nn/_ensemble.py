"""Autoencoders of one shape, trained side by side."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from skae.nn._layers import LinearSkip
from skae.nn._module import AutoencoderModule

OWN_BUFFERS = (".far",)  # of which each member has another
FEW_WEIGHTS = 2**14  # copying as many gradients takes less time than calling an operator


class ModuleEnsemble:
    """Autoencoders of one shape that are trained side by side, each on samples of its own.

    A step of a small network takes as long as it takes to call some hundred operators, however small they are. So one
    call does for many: where the members' hooks allow it, all of them are one module in training, whose weights and
    samples have a dimension in front. The weights of the members are views of its weights, and its buffers are theirs.

    Parameters
    ----------
    members : sequence of AutoencoderModule
        All of one shape, and on one device.

    is_batched : bool, default=True
        Whether all members become one module in training, if they are several and support it.

    Attributes
    ----------
    members : list of AutoencoderModule
        The networks.

    is_batched : bool
        Whether all members are one module in training.

    trained : list of AutoencoderModule
        The modules that are trained: the members, or the one that stands for all of them.

    weights : list of dict of str to torch.nn.Parameter of shape (...) or (n_members, ...)
        The trainable weights of each of these by name; those of the module that stands for all have a dimension in
        front.

    See Also
    --------
    AutoencoderModule : A member.

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
        declared = "supports_batching" in vars(type(first)) and first.supports_batching  # hooks of a subclass may not
        self.is_batched: bool = is_batched and len(self.members) > 1 and declared
        self.trained: list[AutoencoderModule] = [_as_one(self.members)] if self.is_batched else self.members
        self.share_buffers()
        self.weights: list[dict[str, nn.Parameter]] = [
            {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
            for module in self.trained
        ]

    def train(self, mode: bool = True) -> None:
        """Set the mode of what is trained.

        Parameters
        ----------
        mode : bool, default=True
            Whether training begins, or ends.
        """
        for module in self.trained:
            module.train(mode)

    def share_buffers(self) -> None:
        """Give each member what the module that stands for all remembers in buffers."""
        for name, buffer in self.trained[0].named_buffers() if self.is_batched else ():
            if name.endswith(OWN_BUFFERS) or self.members[-1].get_buffer(name) is buffer:
                continue  # what is altered in place is the members' own
            path, _, attribute = name.rpartition(".")
            for member in self.members:
                setattr(member.get_submodule(path), attribute, buffer)

    def draw_from(self, generators: Iterable[torch.Generator | None]) -> None:
        """Let the hooks of each trained module draw from a generator.

        Parameters
        ----------
        generators : iterable of torch.Generator or None
            One for each trained module. None is torch's own.
        """
        for module, generator in zip(self.trained, generators, strict=True):
            module.generator = generator

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors that training alters, by name: weights and buffers."""
        return {
            f"{i} {name}": tensor
            for i, (module, weights) in enumerate(zip(self.trained, self.weights, strict=True))
            for name, tensor in (*weights.items(), *module.named_buffers())
        }

    def losses(
        self, rows: torch.Tensor, sizes: Sequence[int] | None = None, target: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Return named terms of the loss, as of `AutoencoderModule.losses`, of the first members.

        Parameters
        ----------
        rows : torch.Tensor of shape (m, n, d)
            Scaled samples for each of the first m members.

        sizes : sequence of int, default=None
            Sizes of code by which samples are judged: by the reconstruction from the first so many components. None is
            the whole code.

        target : torch.Tensor of shape (m, n, d) or (m, n, n_targets), default=None
            Scaled samples that these are to become, or what is learned of y.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Of shape (m, n), (m, n, n_sizes) or (m,).
        """
        m = len(rows)
        if self.is_batched:
            missing = len(self.members) - m

            def everyone(rows):
                return torch.cat([rows, rows[:1].expand(missing, -1, -1)]) if missing else rows

            terms = self.trained[0].losses(everyone(rows), sizes, None if target is None else everyone(target))
            return {name: term[:m] for name, term in terms.items()}
        targets = [None] * m if target is None else target
        each = [member.losses(x, sizes, y) for member, x, y in zip(self.members[:m], rows, targets, strict=True)]
        return {name: torch.stack([terms[name] for terms in each]) for name in each[0]}

    def blank_losses(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what reconstruction loses in the mean if it is the rows' mean, which is zero, whatever the sample.

        Parameters
        ----------
        rows : torch.Tensor of shape (m, n, d)
            Scaled samples for each of the members.

        Returns
        -------
        losses : torch.Tensor of shape (m,)
            Mean loss of the samples of each member.
        """
        pairs = zip(self.trained, [rows] if self.is_batched else rows, strict=True)
        with torch.no_grad():
            means = [module.reconstruction(torch.zeros_like(x), x, x).mean(dim=-1) for module, x in pairs]
        return torch.stack(means).flatten()


def clip_gradients(gradients: Sequence[torch.Tensor], norm: float, n_members: int = 1) -> None:
    """Shorten the gradient of each member that is longer, as `torch.nn.utils.clip_grad_norm_` would of one network.

    Small ones are copied side by side, which takes less time than to call an operator for each.

    Parameters
    ----------
    gradients : sequence of torch.Tensor
        Of one network, or of several, of shape (n_members, ...).

    norm : float
        Greatest length of the gradient of one member.

    n_members : int, default=1
        How many networks they are of.
    """
    if n_members == 1:
        length = torch.stack(torch._foreach_norm(gradients)).norm()
        torch._foreach_mul_(gradients, (norm / (length + 1e-6)).clamp(max=1.0))
        return
    rows = [gradient.reshape(n_members, -1) for gradient in gradients]
    parts = [row for row in rows if row.shape[1] > FEW_WEIGHTS]
    small = [row for row in rows if row.shape[1] <= FEW_WEIGHTS]
    if small:
        parts.append(torch.cat(small, dim=1))
    lengths = [torch.linalg.vector_norm(part, dim=1) for part in parts]  # (m,) each
    length = torch.stack(lengths).norm(dim=0) if lengths[1:] else lengths[0]
    share = (norm / (length + 1e-6)).clamp(max=1.0)
    shaped = {n: share.view(-1, *[1] * (n - 1)) for n in {gradient.dim() for gradient in gradients}}
    torch._foreach_mul_(gradients, [shaped[gradient.dim()] for gradient in gradients])


def keep_members(ensemble: ModuleEnsemble, places: Sequence[int], sources: Sequence[int]) -> None:
    """Let some members of a batched ensemble train on, with the weights of the same or of other ones.

    Parameters
    ----------
    ensemble : ModuleEnsemble
        All members are one module in training, whose weights stay the same objects.

    places : sequence of int
        The members that stay.

    sources : sequence of int
        Whose weights each of them has from now on.
    """
    (one,), (weights,) = ensemble.trained, ensemble.weights
    for weight in weights.values():
        weight.data, weight.grad = weight.data[sources], None  # (m, ...) -> (len(sources), ...)
    for layer in one.modules():
        if isinstance(layer, LinearSkip) and layer.nonlinear is not None:
            layer.far = layer.far[sources]
    ensemble.members = [ensemble.members[place] for place in places]
    for i, member in enumerate(ensemble.members):
        _replace(member, {name: weight.detach()[i] for name, weight in weights.items()})


def _as_one(members):
    """A module that stands for all, with weights of shape (m, ...), of which the members' own become views."""
    one = copy.deepcopy(members[0])
    for layer, *layers in zip(one.modules(), *(member.modules() for member in members), strict=True):
        if isinstance(layer, LinearSkip) and layer.nonlinear is not None:
            layer.far = torch.stack([each.far for each in layers])  # (m, d_out, d_in)
    each = [dict(member.named_parameters()) for member in members]
    stacked = {
        name: torch.stack([of_one[name].detach() for of_one in each])
        for name, weight in each[0].items()
        if weight.requires_grad
    }
    _replace(one, stacked)
    for i, member in enumerate(members):
        _replace(member, {name: weights[i] for name, weights in stacked.items()})
    one.axes = None  # each member has its own
    return one


def _replace(module, values):
    """Let parameters of a module, wherever they are in it, be new ones of these values."""
    old = dict(module.named_parameters())
    new = {id(old[name]): nn.Parameter(value) for name, value in values.items()}
    for layer in module.modules():
        for name, weight in list(layer.named_parameters(recurse=False, remove_duplicate=False)):
            if id(weight) in new:
                setattr(layer, name, new[id(weight)])
