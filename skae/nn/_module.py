"""The picture of an autoencoder, with the hooks that make it sparse, denoising, contractive or variational."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from skae.nn._bounds import Bounds
from skae.nn._layers import LatentTransform, Scaler
from skae.nn._link import Link, MixedLink
from skae.nn._prefixes import keep_prefix, random_sizes
from skae.nn._projection import Projection


class AutoencoderModule(nn.Module):
    """An autoencoder: two networks, what surrounds them, and the hooks in between.

    ::

        x -> scale -> corrupt -> encoder -> code (bottleneck) -> sample -> decoder -> unscale -> x_hat
        loss = reconstruction(x_hat, clean x) + penalty

    A variant overrides a few of the hooks (`corrupt`, `code`, `sample`, `reconstruction`, `penalty`, `supervision`,
    `after_step`) and nothing else. The hooks see scaled samples, of shape (n, d), encodings, of shape
    (n, n_statistics * k), and inner codes, of shape (n, k). Where `supports_batching` is true they may have a dimension
    more in front, for each network of a `ModuleEnsemble` that is trained as one, and so may weights. What they draw
    comes from `generator`, and what they keep from step to step is in buffers.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
        From scaled samples to encodings, (n, d) -> (n, n_statistics * k), and from codes to outputs, (n, k) -> (n, d).

    loss : callable
        One of `skae.nn.functional.LOSSES`.

    scaler : Scaler
        Takes data to scaled samples and back.

    axes : LatentTransform or None, default=None
        Coordinates in which codes are shown. None shows them as they are inside.

    link : Link or None, default=None
        Takes outputs to means of the data. None takes outputs for scaled samples.

    ordered : bool, default=False
        Whether the first j components of a code are to be the best code of size j. A third of the samples then keep a
        random prefix of their code in training, and the rest of it is zero (nested dropout: Rippel et al., 2014).

    Attributes
    ----------
    linear_weights : tuple of str
        Patterns of the names of weights that start at their optimum. They learn at a share of the rate, and are not
        pulled to zero.

    linear_rate : float
        That share.

    undecayed_weights : tuple of str
        Patterns of the names of other weights that are not pulled to zero.

    generator : torch.Generator or None
        What hooks draw from in training. None is torch's own.

    share : slice or None
        Samples of a batch whose losses are computed, where several processes share it; all samples are corrupted. None
        is all of them.

    penalizes_rows : bool
        Whether a row's penalty depends on that sample alone. If so, or if there is none, a batch of large images is
        differentiated in parts.

    n_statistics : int
        Numbers that an encoding has for each component of the code.

    supports_batching : bool
        Whether the hooks of this very class see to a dimension in front. A subclass says so anew: if it doesn't, the
        networks of a `ModuleEnsemble` take their steps one after the other.

    bounds : torch.nn.Module or None
        What keeps reconstructions within the range of the data. None lets them be anywhere.

    has_holes : bool
        Whether cells that outputs are compared with may be missing, NaN: such a cell has no loss.

    See Also
    --------
    Encoder : Its first half alone.
    Decoder : Its second half alone.
    ModuleEnsemble : Several of them, trained side by side.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skae.nn import AutoencoderModule, Scaler, dense
    >>> from skae.nn.functional import squared_error
    >>> class Noisy(AutoencoderModule):
    ...     def corrupt(self, x):
    ...         return x + torch.randn(x.shape, generator=self.generator)
    >>> scaler = Scaler(np.zeros(3), np.ones(3), torch.float32)
    >>> module = Noisy(dense([3, 8, 2], "gelu"), dense([2, 8, 3], "gelu"), squared_error, scaler)
    >>> x = torch.zeros(5, 3)
    >>> module.encode(x).shape, module.losses(x)["reconstruction"].shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    # of the weights that start at their optimum: they learn at a share of the rate and are not pulled to zero
    linear_weights: tuple[str, ...] = ("encoder.linear.*", "decoder.linear.*")
    linear_rate: float = 0.1
    undecayed_weights: tuple[str, ...] = ()  # other weights that are not pulled to zero
    generator: torch.Generator | None = None  # that hooks draw from in training; None is torch's own
    share: slice | None = None  # of the samples of a batch, where several processes share it
    penalizes_rows: bool = False  # whether a row's penalty depends on that sample alone
    n_statistics: int = 1  # numbers that an encoding has for each component of the code
    supports_batching: bool = True  # whether the hooks see to a dimension in front
    has_holes: bool = False  # whether cells may be missing

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        scaler: Scaler,
        axes: LatentTransform | None = None,
        link: Link | None = None,
        ordered: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.scaler = scaler
        self.axes = axes
        self.link = link
        self.ordered = ordered
        self.bounds: Bounds | None = None  # within which reconstructions stay

    # The hooks -------------------------------------------------------------------------------------------------------

    def corrupt(self, x: torch.Tensor) -> torch.Tensor:
        """Make of samples what the encoder sees of them in training.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Scaled samples.

        Returns
        -------
        corrupted : torch.Tensor of shape (n, d)
            Here the samples themselves.
        """
        return x

    def code(self, encoding: torch.Tensor) -> torch.Tensor:
        """Return the code of an encoding, the same at every call.

        Parameters
        ----------
        encoding : torch.Tensor of shape (n, n_statistics * k)
            What the encoder gives.

        Returns
        -------
        code : torch.Tensor of shape (n, k)
            Here the encoding itself.
        """
        return encoding

    def sample(self, encoding: torch.Tensor) -> torch.Tensor:
        """Return the code that the decoder sees in training, maybe a random one.

        Parameters
        ----------
        encoding : torch.Tensor of shape (n, n_statistics * k)
            What the encoder gives.

        Returns
        -------
        code : torch.Tensor of shape (n, k)
            Here what `code` returns.
        """
        return self.code(encoding)

    def reconstruction(
        self,
        output: torch.Tensor,
        x: torch.Tensor,
        corrupted: torch.Tensor,  # noqa: ARG002 - denoising weighs the corrupted cells
    ) -> torch.Tensor:
        """Return the loss of each row's output against the clean sample.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            What the decoder gives.

        x : torch.Tensor of shape (n, d)
            Scaled samples.

        corrupted : torch.Tensor of shape (n, d)
            What the encoder saw of them.

        Returns
        -------
        losses : torch.Tensor of shape (n,)
            Summed over features.
        """
        losses = self.cell_losses(output, x).sum(dim=-1)
        return losses + self.scaler.left_out[self.training] if isinstance(self.scaler, Projection) else losses

    def penalty(  # what each is for is the variant's to say
        self,
        seen: torch.Tensor,  # noqa: ARG002
        encoding: torch.Tensor,  # noqa: ARG002
        code: torch.Tensor,  # noqa: ARG002
    ) -> dict[str, torch.Tensor]:
        """Return named terms that are added to the loss.

        Parameters
        ----------
        seen : torch.Tensor of shape (n, d)
            What the encoder saw of the samples.

        encoding : torch.Tensor of shape (n, n_statistics * k)
            What the encoder gives.

        code : torch.Tensor of shape (n, k)
            What `sample` made of the encoding.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Each of shape (n,) or a scalar. Here there are none.
        """
        return {}

    def supervision(self, code: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """Return named terms that are added to the loss, of what codes are to tell about y.

        Parameters
        ----------
        code : torch.Tensor of shape (n, k)
            What `sample` made of the encoding.

        target : torch.Tensor of shape (n, n_targets)
            What the estimator's `encode_y` made of y.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Each of shape (n,) or a scalar. Here there are none.
        """
        return {}

    @property
    def is_supervised(self) -> bool:
        """Whether y is learned: whether `supervision` is overridden."""
        return type(self).supervision is not AutoencoderModule.supervision

    @property
    def separable(self) -> bool:
        """Whether the loss of a batch is the mean of what its samples lose, each by itself."""
        depends = type(self).penalty is not AutoencoderModule.penalty or self.is_supervised
        return self.penalizes_rows or not depends

    def after_step(self, progress: float) -> None:
        """Do what is due after each step of the optimizer, without gradients: here nothing.

        Parameters
        ----------
        progress : float
            Share of the training that is done, in (0, 1].
        """

    # What the hooks make up ------------------------------------------------------------------------------------------

    def cell_losses(self, output: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the loss of each cell of the output against the clean samples.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            What the decoder gives.

        x : torch.Tensor of shape (n, d)
            Scaled samples.

        Returns
        -------
        losses : torch.Tensor of shape (n, d)
            Where there is a link, those of the data themselves. Zero where a cell of `x` is missing.
        """
        if self.has_holes:
            if output.shape[-1] < x.shape[-1]:  # coordinates along the axes of a `Projection`
                output = output @ self.scaler.axes
            # several times as fast as masked_fill on a CPU
            return self._losses_of_all(output, x.nan_to_num(nan=0.0)) * (x == x)
        return self._losses_of_all(output, x)

    def _losses_of_all(self, output, x):
        if self.link is None:
            return self.loss(output, x)
        return self.link.losses(self.loss, output, x, self.scaler)

    def losses(
        self, x: torch.Tensor, sizes: Sequence[int] | None = None, target: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Return named terms of the loss of scaled samples; the loss is the sum of their means.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Scaled samples.

        sizes : sequence of int, default=None
            Sizes of code by which samples are judged: by the reconstruction from the first so many components. None is
            the whole code.

        target : torch.Tensor of shape (n, d) or (n, n_targets), default=None
            Scaled samples that x is to become; or, if the module `is_supervised`, what is learned of y. None is x, and
            no y.

        Returns
        -------
        terms : dict of str to torch.Tensor
            "reconstruction", of shape (n,) or (n, n_sizes), and the penalties, each of shape (n,) or a scalar. Of mixed
            columns "numbers" and "categories" take the place of the first.
        """
        corrupted = self.corrupt(x)
        if self.share is not None:
            x, corrupted = x[..., self.share, :], corrupted[..., self.share, :]
            target = None if target is None else target[..., self.share, :]
        if target is not None and not self.is_supervised:
            x = target
        encoding = self.encoder(corrupted)
        code = self.sample(encoding)
        if sizes is not None:
            outputs = (self.decoded(keep_prefix(code, size)) for size in sizes)
            reconstruction = torch.stack([self.reconstruction(output, x, corrupted) for output in outputs], dim=-1)
        else:
            cut = self.ordered and self.training
            kept = keep_prefix(code, placed(random_sizes(code.shape, self.generator), code.device)) if cut else code
            output = self.decoded(kept)
            reconstruction = self.reconstruction(output, x, corrupted)
        terms = {"reconstruction": reconstruction}
        if isinstance(self.link, MixedLink) and not self.ordered:
            terms = self._by_kind(reconstruction, output.detach(), x)
        _add_terms(terms, "penalty", self.penalty(corrupted, encoding, code), code)
        if self.is_supervised and target is not None:
            _add_terms(terms, "supervision", self.supervision(code, target), code)
        return terms

    def _by_kind(self, reconstruction, output, x):
        """Terms for numbers and categories, which add up to the reconstruction and have its gradient."""
        losses = self.cell_losses(output, x)[..., self.link.n_numbers :]
        return {"numbers": reconstruction - losses.sum(dim=-1), "categories": losses.sum(dim=-1)}

    def decoded(self, code: torch.Tensor) -> torch.Tensor:
        """Return what the loss compares with scaled samples.

        Parameters
        ----------
        code : torch.Tensor of shape (n, k)
            Codes as they are inside.

        Returns
        -------
        output : torch.Tensor of shape (n, d)
            What the decoder gives, within bounds if there are some.
        """
        output = self.decoder(code)
        return output if self.bounds is None else self.bounds(output)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Encode data.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Samples of data.

        Returns
        -------
        codes : torch.Tensor of shape (n, k)
            Codes as they are shown.
        """
        code = self.code(self.encoder(self.scaler(x)))
        return code if self.axes is None else self.axes(code)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode codes.

        Parameters
        ----------
        codes : torch.Tensor of shape (n, k)
            Codes as they are shown.

        Returns
        -------
        x_hat : torch.Tensor of shape (n, d)
            Reconstructions, in units of the data.
        """
        output = self.decoder(codes if self.axes is None else self.axes.inverse(codes))
        x_hat = self.scaler.inverse(output) if self.link is None else self.link.mean(output)
        return x_hat if self.bounds is None else self.bounds.of_data(x_hat)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct data.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Samples of data.

        Returns
        -------
        x_hat : torch.Tensor of shape (n, d)
            Reconstructions, in units of the data.
        """
        return self.decode(self.encode(x))


def _add_terms(terms, hook, more, code):
    """Add what a hook returned to the terms of the loss of codes of shape (..., n, k)."""
    if not isinstance(more, dict):
        raise TypeError(f"{hook} must return a dict of named terms of the loss, got {more!r}.")
    *lead, n, _ = code.shape
    for name, term in more.items():
        if name in terms or name.startswith("loss"):  # records are called so
            raise ValueError(f"{hook} returns a term {name!r}, which is the name of another one. Rename it.")
        shape = tuple(term.shape) if isinstance(term, torch.Tensor) else type(term).__name__
        if shape not in ((*lead, n), tuple(lead)):
            raise ValueError(
                f"{hook} returns a term {name!r} of shape {shape}, which must be a tensor with one number for each "
                f"sample, {(*lead, n)}, or {f'for each network, {tuple(lead)}' if lead else 'a scalar, ()'}. Sum it "
                "over the last dimension, or take its mean."
            )
        terms[name] = term


def placed(drawn, device):
    """What was drawn on the CPU, on a device, which nobody waits for."""
    return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)
