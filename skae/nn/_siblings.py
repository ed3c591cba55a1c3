"""Autoencoders of one shape, trained side by side."""

import copy
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Self

import torch
from torch import nn

from skae.nn._layers import LinearPlus
from skae.nn._module import AutoencoderModule

FEW_WEIGHTS = 2**14  # copying as many gradients takes less time than calling an operator


class Siblings(nn.Module):
    """Autoencoders of one shape that are trained side by side, each on rows of its own.

    A step of a small network takes as long as it takes to call some hundred operators, however small they are. So one
    call does for many: where the members' hooks allow it, all of them are one module in training, whose weights and
    rows have a dimension in front. The weights of the members are views of its weights.

    Parameters
    ----------
    members : list of AutoencoderModule
        All of one shape.

    device : torch.device
        Where the weights are.

    Attributes
    ----------
    weights : dict of str to torch.nn.Parameter of shape (...) or (n_members, ...)
        What the optimizer changes, once it is gathered. The first word of a name says how it is trained: "linear",
        "undecayed" or "decayed". Weights of one module that stands for all have a dimension in front.

    at_once : bool
        Whether all members are one module in training.

    See Also
    --------
    AutoencoderModule : A member.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skae.nn import AutoencoderModule, Scaler, Siblings, dense
    >>> from skae.nn.functional import squared_error
    >>> scaler = Scaler(np.zeros(3), np.ones(3), torch.float32)
    >>> members = [
    ...     AutoencoderModule(dense([3, 2], "gelu"), dense([2, 3], "gelu"), squared_error, scaler) for _ in range(4)
    ... ]
    >>> siblings = Siblings(members, torch.device("cpu"))
    >>> {name: tuple(weight.shape) for name, weight in siblings.gather().items() if "encoder" in name}
    {'decayed 0 encoder.0.weight': (4, 2, 3), 'decayed 0 encoder.0.bias': (4, 2)}
    >>> siblings.losses(torch.zeros(4, 10, 3))["reconstruction"].shape
    torch.Size([4, 10])
    """

    members: nn.ModuleList
    at_once: bool
    weights: dict[str, nn.Parameter]

    def __init__(self, members: Sequence[AutoencoderModule], device: torch.device | str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members).to(device)
        self.at_once = len(members) > 1 and members[0].vectorized
        self._trained = list(self.members)

    @property
    def trained(self) -> list[AutoencoderModule]:
        """The modules whose hooks are called in training: one for all members where they are trained at once."""
        return self._trained

    def draw_from(self, generator: torch.Generator | None) -> None:
        """Let the hooks draw from a generator.

        Parameters
        ----------
        generator : torch.Generator or None
            What hooks draw from in training. None is torch's own.
        """
        for module in self._trained:
            module.generator = generator

    @property
    def linear_rate(self) -> float:
        """Share of the learning rate at which linear weights learn."""
        return self.members[0].linear_rate

    def gather(self) -> dict[str, nn.Parameter]:
        """Gather the weights that are trained, of the modules where they are by then.

        Returns
        -------
        weights : dict of str to torch.nn.Parameter of shape (...) or (n_members, ...)
            The attribute of this name, for the optimizer.
        """
        self._trained = [_as_one(self.members)] if self.at_once else list(self.members)
        self.weights = {
            f"{_group_of(name, module)} {i} {name}": weight
            for i, module in enumerate(self._trained)
            for name, weight in module.named_parameters()
            if weight.requires_grad
        }
        return self.weights

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is trained.

        Parameters
        ----------
        mode : bool, default=True
            Whether training begins, or ends.

        Returns
        -------
        self : Siblings
            The same object.
        """
        for module in self._trained:
            module.train(mode)
        return self

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Reconstruct data by the last member.

        Parameters
        ----------
        rows : torch.Tensor of shape (n, d)
            Rows of data.

        Returns
        -------
        x_hat : torch.Tensor of shape (n, d)
            Reconstructions, in units of the data.
        """
        return self.members[-1](rows)

    def losses(
        self, rows: torch.Tensor, sizes: Sequence[int] | None = None, clean: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Return named terms of the loss, as of `AutoencoderModule.losses`, of the first members.

        Parameters
        ----------
        rows : torch.Tensor of shape (m, n, d)
            Scaled rows for each of the first m members.

        sizes : sequence of int, default=None
            Sizes of code by which rows are judged: by the reconstruction from the first so many components. None is
            the whole code.

        clean : torch.Tensor of shape (m, n, d), default=None
            Scaled rows that these are to become. None is the rows.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Of shape (m, n), (m, n, n_sizes) or (m,).
        """
        m = len(rows)
        if self.at_once:
            missing = len(self.members) - m

            def everyone(rows):
                return torch.cat([rows, rows[:1].expand(missing, -1, -1)]) if missing else rows

            terms = self._trained[0].losses(everyone(rows), sizes, None if clean is None else everyone(clean))
            return {name: term[:m] for name, term in terms.items()}
        targets = [None] * m if clean is None else clean
        each = [member.losses(x, sizes, y) for member, x, y in zip(self.members[:m], rows, targets, strict=True)]
        if m == 1:
            return {name: term[None] for name, term in each[0].items()}
        return {name: torch.stack([terms[name] for terms in each]) for name in each[0]}

    def blank_losses(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what reconstruction loses in the mean if it is the rows' mean, which is zero, whatever the row.

        Parameters
        ----------
        rows : torch.Tensor of shape (m, n, d)
            Scaled rows for each of the members.

        Returns
        -------
        losses : torch.Tensor of shape (m,)
            Mean loss of the rows of each member.
        """
        modules = self._trained if self.at_once else self.members
        inputs = [rows] if self.at_once else rows
        with torch.no_grad():
            losses = [m.reconstruction(torch.zeros_like(x), x, x) for m, x in zip(modules, inputs, strict=True)]
        return losses[0].mean(dim=1) if self.at_once else torch.stack([of_one.mean() for of_one in losses])

    def differentiate(self, loss: torch.Tensor, adds: bool = False) -> None:
        """Set the gradients of the weights.

        Parameters
        ----------
        loss : torch.Tensor of shape ()
            The sum of the members' losses.

        adds : bool, default=False
            Whether they are added to the gradients that there are.
        """
        if not adds:
            for weight in self.weights.values():
                weight.grad = None  # makes room, after what a step computes first: small tensors would tear it
        loss.backward(inputs=list(self.weights.values()))  # not by the rows

    @property
    def gradients(self) -> list[torch.Tensor]:
        """The gradients of the weights that the loss depends on."""
        return [weight.grad for weight in self.weights.values() if weight.grad is not None]

    def clip_gradients(self, norm: float) -> None:
        """Shorten the gradient of each member that is longer.

        Parameters
        ----------
        norm : float
            Greatest length of the gradient of one member.
        """
        n = len(self.weights) // len(self._trained)  # of each module, one after the other
        weights, m = list(self.weights.values()), len(self.members) // len(self._trained)
        for start in range(0, len(weights), n):
            _clip([weight.grad for weight in weights[start : start + n] if weight.grad is not None], norm, m)

    def after_step(self, progress: float) -> None:
        """Do what is due after each step of the optimiser: what the members do.

        Parameters
        ----------
        progress : float
            Share of the training that is done, in (0, 1].
        """
        for module in self._trained:
            module.after_step(progress)


def _clip(gradients, norm, m):
    """Shorten the gradients of m members, each of shape (m, ...), or of one, as `clip_grad_norm_` would of one member.

    Small ones are copied side by side, which takes less time than to call an operator for each.
    """
    rows = [gradient.reshape(m, -1) for gradient in gradients]
    parts = [row for row in rows if row.shape[1] > FEW_WEIGHTS]
    small = [row for row in rows if row.shape[1] <= FEW_WEIGHTS]
    if small:
        parts.append(torch.cat(small, dim=1))
    length = torch.stack([torch.linalg.vector_norm(part, dim=1) for part in parts]).norm(dim=0)  # (m,)
    share = (norm / (length + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(share[0] if m == 1 else share.view(m, *[1] * (gradient.dim() - 1)))


def _as_one(members):
    """A module that stands for all, with weights of shape (m, ...), of which the members' own become views."""
    one = copy.deepcopy(members[0])
    for layer, *layers in zip(one.modules(), *(member.modules() for member in members), strict=True):
        if isinstance(layer, LinearPlus) and layer.nonlinear is not None:
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
    return one


def _replace(module, values):
    """Let parameters of a module, wherever they are in it, be new ones of these values."""
    old = dict(module.named_parameters())
    new = {id(old[name]): nn.Parameter(value) for name, value in values.items()}
    for layer in module.modules():
        for name, weight in list(layer.named_parameters(recurse=False, remove_duplicate=False)):
            if id(weight) in new:
                setattr(layer, name, new[id(weight)])


def _group_of(name, module):
    for group, patterns in (("linear", module.linear_weights), ("undecayed", module.undecayed_weights)):
        if any(fnmatch(name, pattern) for pattern in patterns):
            return group
    return "decayed"
