"""Autoencoders of one shape, trained side by side."""

import copy
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Self

import torch
from torch import nn

from skae.nn._layers import LinearPlus
from skae.nn._module import AutoencoderModule

MOST_PACKED = 2**14  # a larger weight lies in a vector of its own: copying its gradient would cost more than a call


class Siblings(nn.Module):
    """Autoencoders of one shape that are trained side by side, each on rows of its own.

    A step of a small network takes as long as it takes to call some hundred operators, however small they are. So one
    call does for many. Where the members' hooks allow it, all of them are one module whose weights and rows have a
    dimension in front. And the weights lie in a few long vectors, of which the modules' parameters are views, so that
    clipping and the optimiser's step are a few operations whatever the number of layers.

    Parameters
    ----------
    members : list of AutoencoderModule
        All of one shape.

    device : torch.device
        Where the weights are.

    Attributes
    ----------
    vectors : dict of str to torch.nn.Parameter of shape (n_members, n_weights)
        The weights, once they are packed. The first word of a name says how they are trained: "linear", "undecayed" or
        "decayed".

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
    >>> {name: vector.shape for name, vector in siblings.pack().items()}
    {'decayed': torch.Size([4, 17])}
    >>> siblings.losses(torch.zeros(4, 10, 3))["reconstruction"].shape
    torch.Size([4, 10])
    """

    members: nn.ModuleList
    at_once: bool
    vectors: dict[str, nn.Parameter]

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

    def pack(self) -> dict[str, nn.Parameter]:
        """Move the weights into vectors, where the members are by then, and return those by name.

        Returns
        -------
        vectors : dict of str to torch.nn.Parameter of shape (n_members, n_weights)
            The attribute of this name, for the optimiser.
        """
        first, names = self.members[0], {}
        for name, weight in first.named_parameters():
            if weight.requires_grad:
                group = _group_of(name, first)
                small = weight.numel() <= MOST_PACKED
                names.setdefault(group if small else f"{group} {name}", []).append(name)
        self._trained = [_as_one(self.members)] if self.at_once else list(self.members)
        packed = {vector: self._packed(of_vector) for vector, of_vector in names.items()}
        self.vectors = {name: vector for name, (vector, _) in packed.items()}
        self._leaves = {name: leaves for name, (_, leaves) in packed.items()}
        return self.vectors

    def _packed(self, names):
        """Move these weights of all members into a vector each, and make views of it their parameters.

        Returns the vectors, and for each module that is trained the weights to differentiate by.
        """
        each = [dict(member.named_parameters()) for member in self.members]
        vectors = torch.stack([torch.cat([of_one[name].detach().flatten() for name in names]) for of_one in each])
        shapes = [each[0][name].shape for name in names]
        parts = vectors.split([shape.numel() for shape in shapes], dim=1)
        stacked = [part.view(len(each), *shape) for part, shape in zip(parts, shapes, strict=True)]
        of_members = [_replaced(m, names, [part[i] for part in stacked]) for i, m in enumerate(self.members)]
        leaves = [_replaced(self._trained[0], names, stacked)] if self.at_once else of_members
        return nn.Parameter(vectors), leaves

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

    def differentiate(self, loss: torch.Tensor) -> None:
        """Set the gradients of the vectors.

        Parameters
        ----------
        loss : torch.Tensor of shape ()
            The sum of the members' losses.
        """
        for vector in self.vectors.values():
            vector.grad = None  # makes room
        leaves = [leaf for of_modules in self._leaves.values() for of_one in of_modules for leaf in of_one]
        gradients = iter(torch.autograd.grad(loss, leaves, materialize_grads=True))  # not by the rows
        for name, of_modules in self._leaves.items():
            n = len(self.members) // len(of_modules)
            rows = [_joined([next(gradients).reshape(n, -1) for _ in of_one], dim=1) for of_one in of_modules]
            self.vectors[name].grad = _joined(rows, dim=0)

    def clip_gradients(self, norm: float) -> None:
        """Shorten the gradient of each member that is longer.

        Parameters
        ----------
        norm : float
            Greatest length of the gradient of one member.
        """
        gradients = [vector.grad for vector in self.vectors.values()]
        length = torch.stack([torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients]).norm(dim=0)  # (m,)
        share = (norm / (length + 1e-6)).clamp(max=1.0)[:, None]
        for gradient in gradients:
            gradient.mul_(share)

    def after_step(self, progress: float) -> None:
        """Do what is due after each step of the optimiser: what the members do.

        Parameters
        ----------
        progress : float
            Share of the training that is done, in (0, 1].
        """
        for module in self._trained:
            module.after_step(progress)


def _as_one(members):
    """A module that stands for all: what is trained of it is yet to be replaced."""
    one = copy.deepcopy(members[0])
    for layer, *layers in zip(one.modules(), *(member.modules() for member in members), strict=True):
        if isinstance(layer, LinearPlus) and layer.nonlinear is not None:
            layer.far = torch.stack([each.far for each in layers])  # (m, d_out, d_in)
    return one


def _replaced(module, names, values):
    """Replace parameters of a module, wherever they are in it, by new ones of these values, and return those."""
    old, new = dict(module.named_parameters()), [nn.Parameter(value) for value in values]
    replacement = {id(old[name]): parameter for name, parameter in zip(names, new, strict=True)}
    for layer in module.modules():
        for name, weight in list(layer.named_parameters(recurse=False, remove_duplicate=False)):
            if id(weight) in replacement:
                setattr(layer, name, replacement[id(weight)])
    return new


def _joined(tensors, dim):
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=dim)


def _group_of(name, module):
    for group, patterns in (("linear", module.linear_weights), ("undecayed", module.undecayed_weights)):
        if any(fnmatch(name, pattern) for pattern in patterns):
            return group
    return "decayed"
