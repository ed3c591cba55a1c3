"""Modules of a sparse autoencoder: selections of active units, and the initialization."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from skae._training.distributed import any_of_batch, kth_largest_of_batch, mean_of_batch
from skae.nn import AutoencoderModule, LinearSkip

MEMORY = 30  # steps over which a threshold is averaged
DEAD_STEPS = 50  # after this number of steps without activity, a unit is trained to be active again
AUXILIARY_WEIGHT = 1 / 32  # weight of the auxiliary loss, which does this (Gao et al., 2025)


def keep_largest(x, k):
    """Return the k largest values of each sample, and zeros instead of the others: (n, m) -> (n, m)."""
    values, index = x.topk(k, dim=1)
    return torch.zeros_like(x).scatter(1, index, values)


class TopK(nn.Module):
    """Keep the k largest units of each sample, if they are positive."""

    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, encoding):
        """Return the codes of encodings: (n, n_units) -> (n, n_units)."""
        return keep_largest(encoding.relu(), self.k)


class BatchTopK(nn.Module):
    """Keep k units per sample, on average over a batch; after training, keep those that reach a learned threshold.

    The threshold is the moving average of the smallest value kept. After training, the code of a sample does not depend
    on other samples.
    """

    def __init__(self, k):
        super().__init__()
        self.k = k
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, encoding):
        """Return the codes of encodings: (n, n_units) -> (n, n_units)."""
        code = encoding.relu()
        if not self.training:
            return code * (code >= self.threshold)
        least = kth_largest_of_batch(code.detach(), self.k)
        self.threshold.lerp_(least.to(self.threshold.dtype), 1 / MEMORY)
        return code * (code >= least)


SELECTIONS = {
    "l1": lambda _: nn.ReLU(),
    "kl": lambda _: nn.Sigmoid(),
    "top_k": TopK,
    "batch_top_k": BatchTopK,
}


class SparseEncoder(nn.Module):
    """A network, followed by one step of iterative thresholding with the dictionary's atoms if k units are selected.

    The step adds the projection of the residual of the selected units (Gregor and LeCun, 2010).

    Parameters
    ----------
    network : LinearSkip

    dictionary : torch.nn.Linear
        The decoder.

    select : torch.nn.Module or None
        Selection of k units. If None, the step is omitted.
    """

    def __init__(self, network, dictionary, select):
        super().__init__()
        self.network = network
        self.select = select
        if select is not None:
            self.dictionary = (dictionary,)  # in a tuple, since its weights belong to the decoder
            self.step = nn.Parameter(torch.ones(()))
            self.shift = nn.Parameter(torch.zeros(dictionary.in_features))

    def forward(self, x):
        """Return the encodings of scaled samples: (n, d) -> (n, n_units)."""
        encoding = self.network(x)
        if self.select is None:
            return encoding
        (dictionary,) = self.dictionary
        code = self.select(encoding)
        return code + self.step * ((x - dictionary(code)) @ dictionary.weight) + self.shift


class SparseModule(AutoencoderModule):
    """An `AutoencoderModule` whose decoder is a dictionary, with one of four kinds of sparse codes.

    Parameters
    ----------
    encoder, decoder : LinearSkip
        Only the linear map of the decoder is used.

    sparsity : {"l1", "kl", "top_k", "batch_top_k"}

    alpha : float
        Weight of the penalty of "l1" and "kl".

    target : float
        Target of "kl" for the mean activation.

    k : int
        Number of units that "top_k" and "batch_top_k" keep.

    length : float
        Norm of each atom.
    """

    linear_weights = ("encoder.network.linear.*", "encoder.step", "encoder.shift", "decoder.linear.*")
    linear_rate = 1.0
    supports_batching = False  # the selection and the auxiliary loss have a state

    def __init__(self, encoder, decoder, *args, sparsity, alpha, target, k, length, **kwargs):
        select = SELECTIONS[sparsity]
        first = select(k) if sparsity in ("top_k", "batch_top_k") else None
        dictionary = LinearSkip(decoder.linear, None, None)
        super().__init__(SparseEncoder(encoder, decoder.linear, first), dictionary, *args, **kwargs)
        self.select = select(k)
        self.sparsity, self.alpha, self.target, self.length = sparsity, alpha, target, length
        # number of steps of each unit
        self.register_buffer(
            "steps_since_active", torch.zeros(decoder.linear.in_features, dtype=torch.int), persistent=False
        )

    def code(self, encoding):
        """Return the activations of the units, which are not negative."""
        return self.select(encoding)

    def penalty(self, seen, encoding, code):
        """Return the sparsity penalty, and in training the auxiliary loss, which reactivates units."""
        terms, n_features = {}, seen.shape[1]
        if self.sparsity == "l1":
            terms["l1"] = self.alpha * math.sqrt(n_features) * code.sum(dim=1)
        elif self.sparsity == "kl":
            terms["kl"] = self.alpha * n_features * _kl_of_bernoullis(self.target, mean_of_batch(code)).mean()
        if self.training and self.sparsity != "kl":
            terms["auxiliary"] = AUXILIARY_WEIGHT * self.auxiliary_loss(seen, encoding, code)
        return terms

    def auxiliary_loss(self, x, encoding, code):
        """Return the squared error of the residual's reconstruction by dead units, before the selection: (n,)."""
        self.steps_since_active = torch.where(any_of_batch(code > 0), 0, self.steps_since_active + 1)
        dead = (self.steps_since_active > DEAD_STEPS).nonzero().flatten()
        if not len(dead):
            return torch.zeros_like(x[:, 0])
        k = min(getattr(self.select, "k", len(dead)), len(dead))
        encoded, rest = keep_largest(encoding[:, dead], k), (x - self.decoder(code)).detach()
        return (rest - encoded @ self.decoder.linear.weight[:, dead].T).square().sum(dim=1)

    def after_step(self, progress):  # noqa: ARG002
        """Give all atoms the same norm, since small codes with large atoms would avoid the penalty."""
        weight = self.decoder.linear.weight  # (d, n_units)
        with torch.no_grad():
            weight.mul_((self.scaler.per_unit > 0)[:, None])  # atoms are zero for constant features
            weight.mul_(self.length / weight.norm(dim=0).clamp(min=1e-12))


def _kl_of_bernoullis(p, q):
    q = q.clamp(1e-6, 1 - 1e-6)
    return p * torch.log(p / q) + (1 - p) * torch.log((1 - p) / (1 - q))


@dataclass(frozen=True)
class SparseStart:
    """Initial atoms, and the encoder that is tied to them, as tensors."""

    encoder_weight: torch.Tensor  # (n_units, d)
    encoder_bias: torch.Tensor
    decoder_weight: torch.Tensor  # (d, n_units)
    decoder_bias: torch.Tensor
    threshold: float | None
    shown_as_is: bool

    is_pca = False

    def weights(self):
        """Return the weights of the module, by name."""
        weights = {
            "encoder.network.linear.weight": self.encoder_weight.numpy(),
            "encoder.network.linear.bias": self.encoder_bias.numpy(),
            "encoder.network.extrapolation": self.encoder_weight.numpy(),
            "decoder.linear.weight": self.decoder_weight.numpy(),
            "decoder.linear.bias": self.decoder_bias.numpy(),
            # ignored if the encoder has no step; with similar samples, a step of 1 is too long
            "encoder.step": np.float32(0.0),
        }
        if self.threshold is not None:
            weights |= {f"{place}select.threshold": np.float32(self.threshold) for place in ("", "encoder.")}
        return weights

    def axes(self, unit, whiten):  # noqa: ARG002 - the signature of `LinearInit`
        """Return the transform of codes, without a rotation."""
        return None if self.shown_as_is else axes_in_units(len(self.encoder_weight), unit)


def axes_in_units(n_units, unit):
    """Return the transform of codes that only converts the activation of each unit to units of X."""
    return np.full(n_units, unit), np.zeros(n_units), None, np.ones(n_units)


def atoms_of(rows, n_units, generator):
    """Return normalized samples, and random mixtures of samples if there are too few: (m, d) -> (n_units, d)."""
    some = rows[torch.randperm(len(rows), generator=generator)[:n_units]]
    mixtures = torch.randn(n_units - len(some), len(rows), generator=generator) @ rows
    atoms = nn.functional.normalize(torch.cat([some, mixtures]))
    return nn.functional.normalize(atoms + 1e-6 * torch.randn(atoms.shape, generator=generator))
