"""The modules of a sparse autoencoder: ways to a sparse code, and the start that each is trained from."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from skae._training.distributed import any_of_batch, least_of_greatest, mean_of_batch
from skae.nn import AutoencoderModule, LinearSkip

MEMORY = 30  # steps over which a threshold is averaged
DEAD_STEPS = 50  # without activity, after which a unit is revived
AUXILIARY_WEIGHT = 1 / 32  # weight of that (Gao et al., 2025)


def greatest(x, k):
    """The k greatest values of each sample, and zeros instead of the others: (n, m) -> (n, m)."""
    values, index = x.topk(k, dim=1)
    return torch.zeros_like(x).scatter(1, index, values)


class TopK(nn.Module):
    """Keep the k greatest units of each sample, if they are positive."""

    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, encoding):
        """Encodings to codes: (n, n_units) -> (n, n_units)."""
        return greatest(encoding.relu(), self.k)


class BatchTopK(nn.Module):
    """Keep k units a sample, on average over a batch in training, and else what reaches a threshold learned there.

    The threshold is the mean of the least value that was kept. No sample depends on others once it is trained.
    """

    def __init__(self, k):
        super().__init__()
        self.k = k
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, encoding):
        """Encodings to codes: (n, n_units) -> (n, n_units)."""
        code = encoding.relu()
        if not self.training:
            return code * (code >= self.threshold)
        least = least_of_greatest(code.detach(), self.k)
        self.threshold.lerp_(least.to(self.threshold.dtype), 1 / MEMORY)
        return code * (code >= least)


SELECTIONS = {
    "l1": lambda _: nn.ReLU(),
    "kl": lambda _: nn.Sigmoid(),
    "top_k": TopK,
    "batch_top_k": BatchTopK,
}


class SparseEncoder(nn.Module):
    """A network, and for a selection of k units one step of iterative thresholding with the dictionary's own atoms.

    The step looks at what the units that were selected leave unexplained (Gregor and LeCun, 2010).

    Parameters
    ----------
    network : LinearSkip

    dictionary : torch.nn.Linear
        The decoder.

    select : torch.nn.Module or None
        None takes no step.
    """

    def __init__(self, network, dictionary, select):
        super().__init__()
        self.network = network
        self.select = select
        if select is not None:
            self.dictionary = (dictionary,)  # in a tuple, for it is the decoder's
            self.step = nn.Parameter(torch.ones(()))
            self.shift = nn.Parameter(torch.zeros(dictionary.in_features))

    def forward(self, x):
        """Scaled samples to encodings: (n, d) -> (n, n_units)."""
        encoding = self.network(x)
        if self.select is None:
            return encoding
        (dictionary,) = self.dictionary
        code = self.select(encoding)
        return code + self.step * ((x - dictionary(code)) @ dictionary.weight) + self.shift


class SparseModule(AutoencoderModule):
    """An `AutoencoderModule` whose decoder is a dictionary, with one of four ways to a sparse code.

    Parameters
    ----------
    encoder, decoder : LinearSkip
        Of the decoder, the linear map alone is used.

    sparsity : {"l1", "kl", "top_k", "batch_top_k"}

    alpha : float
        Weight of the penalty of "l1" and "kl".

    target : float
        Mean activation that "kl" asks for.

    k : int
        Units that "top_k" and "batch_top_k" keep.

    length : float
        Of each atom.
    """

    linear_weights = ("encoder.network.linear.*", "encoder.step", "encoder.shift", "decoder.linear.*")
    linear_rate = 1.0
    supports_batching = False  # a selection and the auxiliary loss have a state of their own

    def __init__(self, encoder, decoder, *args, sparsity, alpha, target, k, length, **kwargs):
        select = SELECTIONS[sparsity]
        first = select(k) if sparsity in ("top_k", "batch_top_k") else None
        dictionary = LinearSkip(decoder.linear, None, None)
        super().__init__(SparseEncoder(encoder, decoder.linear, first), dictionary, *args, **kwargs)
        self.select = select(k)
        self.sparsity, self.alpha, self.target, self.length = sparsity, alpha, target, length
        # steps since a unit was active
        self.register_buffer(
            "steps_since_active", torch.zeros(decoder.linear.in_features, dtype=torch.int), persistent=False
        )

    def code(self, encoding):
        """Activities of the units, none of them negative."""
        return self.select(encoding)

    def penalty(self, seen, encoding, code):
        """Return what makes the code sparse, and in training what revives units."""
        terms, n_features = {}, seen.shape[1]
        if self.sparsity == "l1":
            terms["l1"] = self.alpha * math.sqrt(n_features) * code.sum(dim=1)
        elif self.sparsity == "kl":
            terms["kl"] = self.alpha * n_features * _kl_of_bernoullis(self.target, mean_of_batch(code)).mean()
        if self.training and self.sparsity != "kl":
            terms["auxiliary"] = AUXILIARY_WEIGHT * self.auxiliary_loss(seen, encoding, code)
        return terms

    def auxiliary_loss(self, x, encoding, code):
        """Squared error of what the dead units, without the selection, make of what the others leave: (n,)."""
        self.steps_since_active = torch.where(any_of_batch(code > 0), 0, self.steps_since_active + 1)
        dead = (self.steps_since_active > DEAD_STEPS).nonzero().flatten()
        if not len(dead):
            return torch.zeros_like(x[:, 0])
        k = min(getattr(self.select, "k", len(dead)), len(dead))
        revived, rest = greatest(encoding[:, dead], k), (x - self.decoder(code)).detach()
        return (rest - revived @ self.decoder.linear.weight[:, dead].T).square().sum(dim=1)

    def after_step(self, progress):  # noqa: ARG002
        """Give all atoms the same length, so that a penalty can't be cheated by short codes and long atoms."""
        weight = self.decoder.linear.weight  # (d, n_units)
        with torch.no_grad():
            weight.mul_((self.scaler.per_unit > 0)[:, None])  # nothing is spent on constant features
            weight.mul_(self.length / weight.norm(dim=0).clamp(min=1e-12))


def _kl_of_bernoullis(p, q):
    q = q.clamp(1e-6, 1 - 1e-6)
    return p * torch.log(p / q) + (1 - p) * torch.log((1 - p) / (1 - q))


@dataclass(frozen=True)
class SparseStart:
    """The atoms training starts with, and the encoder that is tied to them, as tensors."""

    encoder_weight: torch.Tensor  # (n_units, d)
    encoder_bias: torch.Tensor
    decoder_weight: torch.Tensor  # (d, n_units)
    decoder_bias: torch.Tensor
    threshold: float | None
    shown_as_is: bool

    is_pca = False

    def weights(self):
        """Weights of the module, by name."""
        weights = {
            "encoder.network.linear.weight": self.encoder_weight.numpy(),
            "encoder.network.linear.bias": self.encoder_bias.numpy(),
            "encoder.network.far": self.encoder_weight.numpy(),
            "decoder.linear.weight": self.decoder_weight.numpy(),
            "decoder.linear.bias": self.decoder_bias.numpy(),
            "encoder.step": np.float32(
                0.0
            ),  # where there is one: between samples that are alike a whole one is too long
        }
        if self.threshold is not None:
            weights |= {f"{place}select.threshold": np.float32(self.threshold) for place in ("", "encoder.")}
        return weights

    def axes(self, unit, whiten):  # noqa: ARG002 - the signature of `LinearInit`
        """Axes that show codes as they are."""
        return None if self.shown_as_is else axes_in_units(len(self.encoder_weight), unit)


def axes_in_units(n_units, unit):
    """Axes that show each unit's activity where it is, but in units of X."""
    return np.full(n_units, unit), np.zeros(n_units), None, np.ones(n_units)


def atoms_of(rows, n_units, generator):
    """Return unit vectors along samples, and along mixtures if there are too few samples: (m, d) -> (n_units, d)."""
    some = rows[torch.randperm(len(rows), generator=generator)[:n_units]]
    mixtures = torch.randn(n_units - len(some), len(rows), generator=generator) @ rows
    atoms = nn.functional.normalize(torch.cat([some, mixtures]))
    return nn.functional.normalize(atoms + 1e-6 * torch.randn(atoms.shape, generator=generator))
