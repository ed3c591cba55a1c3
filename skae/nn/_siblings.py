"""Autoencoders of one shape, trained side by side."""

from fnmatch import fnmatch

import torch
from torch import nn
from torch.func import functional_call, vmap

MOST_PACKED = 2**14  # a larger weight lies in a vector of its own: copying its gradient would cost more than a call


class Siblings(nn.Module):
    """Autoencoders of one shape that are trained side by side, each on rows of its own.

    A step of a small network takes as long as it takes to call some hundred operators, however small they are. So one
    call is made to do for many: where the members' formula allows it, all of them go through the operators at once
    (`torch.func.vmap`), and the weights of each lie in a few long vectors, of which its parameters are views, so that
    clipping and the optimiser's step are a few operations whatever the number of layers.

    Parameters
    ----------
    members : list of AutoencoderModule

    device : torch.device

    Attributes
    ----------
    vectors : dict of str to torch.nn.Parameter of shape (n_members, n_weights)
        The weights, once they are packed. The first word of a name says how they are trained: "linear", "undecayed" or
        "decayed".
    """

    def __init__(self, members, device):
        super().__init__()
        self.members = nn.ModuleList(members).to(device)
        self.at_once = len(members) > 1 and members[0].vectorized

    def pack(self):
        """Move the weights into vectors, where the members are by then, and return those by name."""
        first, names = self.members[0], {}
        for name, weight in first.named_parameters():
            if weight.requires_grad:
                group = _group_of(name, first)
                small = weight.numel() <= MOST_PACKED
                names.setdefault(group if small else f"{group} {name}", []).append(name)
        packed = {vector: self._packed(of_vector) for vector, of_vector in names.items()}
        self.vectors = {name: vector for name, (vector, _) in packed.items()}
        self._leaves = {name: blocks for name, (_, blocks) in packed.items()}
        if self.at_once:
            buffers = [dict(member.named_buffers()) for member in self.members]
            self._buffers_at_once = {f"of.{name}": torch.stack([b[name] for b in buffers]) for name in buffers[0]}
            self._names_at_once = [f"of.{name}" for of_vector in names.values() for name in of_vector]
            self._formula = (_Losses(first),)  # in a tuple, for it is no part of its own
        return self.vectors

    def _packed(self, names):
        """Move these weights of all members into one vector each, and make views of it their parameters.

        Returns the vectors, and what to differentiate by, in blocks: the tensors of all members in one, or those of
        each in its own.
        """
        each = [dict(member.named_parameters()) for member in self.members]
        vectors = torch.stack([torch.cat([of_one[name].detach().flatten() for name in names]) for of_one in each])
        stacked, start = [], 0
        for name in names:
            shape = each[0][name].shape
            stacked.append(vectors[:, start : start + shape.numel()].view(len(each), *shape))
            start += shape.numel()
        blocks = [[nn.Parameter(part) for part in stacked]]
        if not self.at_once:
            blocks = [[nn.Parameter(part[i]) for part in stacked] for i in range(len(each))]
        for i, (member, of_one) in enumerate(zip(self.members, each, strict=True)):
            views = blocks[i] if not self.at_once else [nn.Parameter(part[i]) for part in stacked]
            new = {id(of_one[name]): view for name, view in zip(names, views, strict=True)}
            for module in member.modules():
                for name, weight in list(module.named_parameters(recurse=False, remove_duplicate=False)):
                    if id(weight) in new:
                        setattr(module, name, new[id(weight)])
        return nn.Parameter(vectors), blocks

    @property
    def linear_rate(self):
        """Share of the learning rate at which linear weights learn."""
        return self.members[0].linear_rate

    def forward(self, rows):
        """Reconstruct data by the last member: (n, d) -> (n, d)."""
        return self.members[-1](rows)

    def losses(self, rows, sizes=None):
        """Named terms of the loss, as of `AutoencoderModule.losses`, of the first members.

        Parameters
        ----------
        rows : torch.Tensor of shape (m, n, d)
            Scaled rows for each of the first m members.

        sizes : sequence of int, default=None
            Of code, by which rows are judged.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Of shape (m, n), (m, n, n_sizes) or (m,).
        """
        m = len(rows)
        if not self.at_once:
            each = [member.losses(x, sizes) for member, x in zip(self.members[:m], rows, strict=True)]
            if m == 1:
                return {name: term[None] for name, term in each[0].items()}
            return {name: torch.stack([terms[name] for terms in each]) for name in each[0]}
        leaves = [leaf for (block,) in self._leaves.values() for leaf in block]
        state = dict(zip(self._names_at_once, leaves, strict=True)) | self._buffers_at_once
        if m < len(self.members):
            state = {name: values[:m] for name, values in state.items()}

        (formula,) = self._formula

        def of_one(state, x):
            return functional_call(formula, state, (x, sizes))

        return vmap(of_one, randomness="different")(state, rows)

    def differentiate(self, loss):
        """Set the gradients of the vectors."""
        leaves = [leaf for blocks in self._leaves.values() for block in blocks for leaf in block]
        gradients = iter(torch.autograd.grad(loss, leaves, materialize_grads=True))  # not by the rows
        for name, blocks in self._leaves.items():
            n = len(self.members) // len(blocks)
            rows = [_joined([next(gradients).reshape(n, -1) for _ in block], dim=1) for block in blocks]
            self.vectors[name].grad = _joined(rows, dim=0)

    def clip_gradients(self, norm):
        """Shorten the gradient of each member that is longer."""
        gradients = [vector.grad for vector in self.vectors.values()]
        length = torch.stack([torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients]).norm(dim=0)  # (m,)
        share = (norm / (length + 1e-6)).clamp(max=1.0)[:, None]
        for gradient in gradients:
            gradient.mul_(share)

    def after_step(self, progress):
        """Called after each step of the optimiser, with the share of the training that is done, in (0, 1]."""
        for member in self.members:
            member.after_step(progress)


def _joined(tensors, dim):
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=dim)


class _Losses(nn.Module):
    """A module whose call gives the losses of another."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self, x, sizes):
        return self.of.losses(x, sizes)


def _group_of(name, module):
    for group, patterns in (("linear", module.linear_weights), ("undecayed", module.undecayed_weights)):
        if any(fnmatch(name, pattern) for pattern in patterns):
            return group
    return "decayed"
