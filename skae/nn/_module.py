"""The picture of an autoencoder, with the hooks that make it sparse, denoising, contractive or variational."""

import torch
from torch import nn

WHOLE = 2 / 3  # share of the rows that keep all of an ordered code in training


class AutoencoderModule(nn.Module):
    """An autoencoder: two networks, what surrounds them, and the hooks in between.

    ::

        x -> scale -> corrupt -> encoder -> code (bottleneck) -> sample -> decoder -> unscale -> x_hat
        loss = reconstruction(x_hat, clean x) + penalty

    A variant overrides a few of the hooks (`corrupt`, `code`, `sample`, `reconstruction`, `penalty`, `after_step`) and
    nothing else. The hooks see scaled rows, of shape (n, d), encodings, of shape (n, n_statistics * k), and
    inner codes, of shape (n, k). Where `vectorized` is true they may have a dimension more in front, for each of the
    `Siblings` that are trained at once, and so may weights. What they draw comes from `generator`, and what they keep
    from step to step is in buffers.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
        From scaled rows to encodings, (n, d) -> (n, n_statistics * k), and from codes to outputs, (n, k) -> (n, d).

    loss : callable
        One of `skae.nn.functional.LOSSES`.

    scaler : Scaler

    axes : CodeAxes or None
        None shows codes as they are inside.

    link : Link or None
        None takes outputs for scaled rows.

    ordered : bool
        Whether the first j components of a code are to be the best code of size j. A third of the rows then keep a
        random prefix of their code in training, and the rest of it is zero (nested dropout: Rippel et al., 2014).
    """

    # of the weights that start at their optimum: they learn at a share of the rate and are not pulled to zero
    linear_weights = ("encoder.linear.*", "decoder.linear.*")
    linear_rate = 0.1
    undecayed_weights = ()  # other weights that are not pulled to zero
    generator = None  # a `torch.Generator` that hooks draw from in training; None is torch's own
    n_statistics = 1  # numbers that an encoding has for each component of the code
    vectorized = True  # whether the hooks see to a dimension in front

    def __init__(self, encoder, decoder, loss, scaler, axes=None, link=None, ordered=False):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.scaler = scaler
        self.axes = axes
        self.link = link
        self.ordered = ordered

    # The hooks -------------------------------------------------------------------------------------------------------

    def corrupt(self, x):
        """Rows that the encoder sees in training: (n, d) -> (n, d)."""
        return x

    def code(self, encoding):
        """Code of an encoding, the same at every call: (n, n_statistics * k) -> (n, k)."""
        return encoding

    def sample(self, encoding):
        """Code that the decoder sees in training, maybe a random one: (n, n_statistics * k) -> (n, k)."""
        return self.code(encoding)

    def reconstruction(self, output, x, corrupted):  # noqa: ARG002 - denoising weighs the corrupted cells
        """Loss of each row's output against the clean row: (n,)."""
        return self.cell_losses(output, x).sum(dim=-1)

    def penalty(self, seen, encoding, code):  # noqa: ARG002 - what each is for is the variant's to say
        """Named terms that are added to the loss, each of shape (n,) or a scalar.

        `seen` are the rows that the encoder saw, and `code` is what `sample` made of the encoding.
        """
        return {}

    def after_step(self, progress):
        """Called after each step of the optimiser, with the share of the training that is done, in (0, 1]."""

    # What the hooks make up ------------------------------------------------------------------------------------------

    def cell_losses(self, output, x):
        """Loss of each cell of the output against the clean rows: (n, d)."""
        if self.link is None:
            return self.loss(output, x)
        return self.loss(self.link(output), self.scaler.inverse(x))

    def losses(self, x, sizes=None):
        """Named terms of the loss of scaled rows; the loss is the sum of their means.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)

        sizes : sequence of int, default=None
            Judges the reconstruction from the first so many components of the code, for each of the sizes.

        Returns
        -------
        terms : dict of str to torch.Tensor
            "reconstruction", of shape (n,) or (n, n_sizes), and the penalties, each of shape (n,) or a scalar.
        """
        corrupted = self.corrupt(x)
        encoding = self.encoder(corrupted)
        code = self.sample(encoding)
        if sizes is not None:
            outputs = (self.decoder(keep_prefix(code, size)) for size in sizes)
            reconstruction = torch.stack([self.reconstruction(output, x, corrupted) for output in outputs], dim=-1)
        else:
            cut = self.ordered and self.training
            kept = keep_prefix(code, random_sizes(code.shape, self.generator).to(code.device)) if cut else code
            reconstruction = self.reconstruction(self.decoder(kept), x, corrupted)
        return {"reconstruction": reconstruction, **self.penalty(corrupted, encoding, code)}

    def encode(self, x):
        """Data to shown codes: (n, d) -> (n, k)."""
        code = self.code(self.encoder(self.scaler(x)))
        return code if self.axes is None else self.axes(code)

    def decode(self, codes):
        """Shown codes to data: (n, k) -> (n, d)."""
        output = self.decoder(codes if self.axes is None else self.axes.inverse(codes))
        return self.scaler.inverse(output) if self.link is None else self.link.mean(output)

    def forward(self, x):
        """Reconstruct data: (n, d) -> (n, d)."""
        return self.decode(self.encode(x))


def keep_prefix(code, size):
    """Set all but the first `size` components to zero; `size` is an int, or a tensor of shape (n, 1) for each row."""
    return code * (torch.arange(code.shape[-1], device=code.device) < size)


def random_sizes(shape, generator=None):
    """Sizes of prefixes for codes of shape (..., n, k), (..., n, 1): k for about two thirds of the rows.

    For half of the others they are uniform in 1 to k, for the other half their logarithm is: a code of one component
    would else be seen once in 3 k rows. Drawn on the CPU, so that a seed means the same on every device.
    """
    *n, k = shape
    whole, uniform, size = torch.rand(3, *n, 1, generator=generator)
    logarithmic = (k + 1) ** size
    sizes = torch.where(uniform < 0.5, 1 + k * size, logarithmic).long().clamp(max=k)
    return torch.where(whole < WHOLE, k, sizes)


class Encoder(nn.Module):
    """The first half of an autoencoder as a module of its own, scaling included: data to codes."""

    def __init__(self, module):
        super().__init__()
        self.axes = module.axes  # None is no child
        for name, child in module.named_children():  # `code` may need more than the encoder
            if name not in ("decoder", "link"):
                self.add_module(name, child)
        self.code = module.code

    forward = AutoencoderModule.encode


class Decoder(nn.Module):
    """The second half of an autoencoder as a module of its own, scaling included: codes to data."""

    def __init__(self, module):
        super().__init__()
        self.axes, self.decoder, self.scaler, self.link = module.axes, module.decoder, module.scaler, module.link

    forward = AutoencoderModule.decode
