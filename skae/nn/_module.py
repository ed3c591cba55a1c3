"""The autoencoder module, with the hooks that make it sparse, denoising, contractive or variational."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from skae.nn._bounds import Bounds
from skae.nn._layers import LatentTransform, Scaler
from skae.nn._link import Link, MixedLink
from skae.nn._prefixes import keep_prefix, random_sizes
from skae.nn._projection import Projection


class AutoencoderModule(nn.Module):
    """An autoencoder: an encoder, a decoder, scaling, and hooks for variants.

    ::

        x -> scale -> corrupt -> encoder -> code (bottleneck) -> sample -> decoder -> unscale -> x_hat
        loss = reconstruction(x_hat, clean x) + penalty

    A variant overrides a few of the hooks (`corrupt`, `code`, `sample`, `reconstruction`, `penalty`, `supervision`,
    `after_step`) and nothing else. The hooks see scaled samples, of shape (n, d), encodings, of shape
    (n, n_statistics * k), and internal codes, of shape (n, k). If `supports_batching` is True, all of them and the
    weights may have an additional leading dimension: the members of a batched `ModuleEnsemble`. Hooks must draw random
    numbers from `generator`, and store their state between steps in buffers.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
        Map scaled samples to encodings, (n, d) -> (n, n_statistics * k), and codes to outputs, (n, k) -> (n, d).

    loss : callable
        One of `skae.nn.functional.LOSSES`.

    scaler : Scaler
        Maps data to scaled samples and back.

    axes : LatentTransform or None, default=None
        Transforms internal codes to the codes that `encode` returns. If None, it returns internal codes.

    link : Link or None, default=None
        Maps outputs to means of the data. If None, outputs are scaled samples.

    ordered : bool, default=False
        Whether to train the first j components of a code to be the best code of size j. In training, a third of the
        samples then keep a random prefix of their code, and its other components are set to zero (nested dropout:
        Rippel et al., 2014).

    Attributes
    ----------
    linear_weights : tuple of str
        Patterns of the names of weights that are initialized at their optimum. Their learning rate is reduced, and they
        have no weight decay.

    linear_rate : float
        Factor of the learning rate of these weights.

    undecayed_weights : tuple of str
        Patterns of the names of other weights without weight decay.

    generator : torch.Generator or None
        Random number generator of the hooks in training. If None, PyTorch's default generator.

    share : slice or None
        Samples of a batch whose losses are computed by this process in distributed training; all samples are corrupted.
        If None, all samples.

    penalizes_rows : bool
        Whether the penalty of a sample depends on that sample alone. If so, or if there is no penalty, gradients of
        batches of large images are accumulated over parts.

    n_statistics : int
        Number of values in an encoding for each component of the code.

    supports_batching : bool
        Whether the hooks of this class support a leading dimension. This is not inherited: if a subclass does not set
        it, the members of a `ModuleEnsemble` are trained one after the other.

    bounds : torch.nn.Module or None
        Clips reconstructions to the range of the data. If None, they are not clipped.

    has_missing_values : bool
        Whether the values to reconstruct may be missing, NaN. The loss of a missing value is 0.

    See Also
    --------
    Encoder : The encoder as a separate module.
    Decoder : The decoder as a separate module.
    ModuleEnsemble : Several autoencoders, trained in parallel.

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

    # weights that are initialized at their optimum: they have a reduced learning rate and no weight decay
    linear_weights: tuple[str, ...] = ("encoder.linear.*", "decoder.linear.*")
    linear_rate: float = 0.1
    undecayed_weights: tuple[str, ...] = ()
    generator: torch.Generator | None = None
    share: slice | None = None
    penalizes_rows: bool = False
    n_statistics: int = 1
    supports_batching: bool = True
    has_missing_values: bool = False

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
        self.bounds: Bounds | None = None

    # Hooks -----------------------------------------------------------------------------------------------------------

    def corrupt(self, x: torch.Tensor) -> torch.Tensor:
        """Corrupt the samples that the encoder sees in training.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Scaled samples.

        Returns
        -------
        corrupted : torch.Tensor of shape (n, d)
            By default, the samples themselves.
        """
        return x

    def code(self, encoding: torch.Tensor) -> torch.Tensor:
        """Return the code of an encoding, without randomness.

        Parameters
        ----------
        encoding : torch.Tensor of shape (n, n_statistics * k)
            Output of the encoder.

        Returns
        -------
        code : torch.Tensor of shape (n, k)
            By default, the encoding itself.
        """
        return encoding

    def sample(self, encoding: torch.Tensor) -> torch.Tensor:
        """Return the code that the decoder sees in training, which may be random.

        Parameters
        ----------
        encoding : torch.Tensor of shape (n, n_statistics * k)
            Output of the encoder.

        Returns
        -------
        code : torch.Tensor of shape (n, k)
            By default, the result of `code`.
        """
        return self.code(encoding)

    def reconstruction(
        self,
        output: torch.Tensor,
        x: torch.Tensor,
        corrupted: torch.Tensor,  # noqa: ARG002 - denoising assigns a weight to corrupted values
    ) -> torch.Tensor:
        """Return the reconstruction loss of each sample, compared with the clean sample.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            Output of the decoder.

        x : torch.Tensor of shape (n, d)
            Scaled samples.

        corrupted : torch.Tensor of shape (n, d)
            Corrupted samples, the input of the encoder.

        Returns
        -------
        losses : torch.Tensor of shape (n,)
            Losses, summed over features.
        """
        losses = self.elementwise_losses(output, x).sum(dim=-1)
        return losses + self.scaler.left_out[self.training] if isinstance(self.scaler, Projection) else losses

    def penalty(
        self,
        seen: torch.Tensor,  # noqa: ARG002
        encoding: torch.Tensor,  # noqa: ARG002
        code: torch.Tensor,  # noqa: ARG002
    ) -> dict[str, torch.Tensor]:
        """Return named terms that are added to the loss.

        Parameters
        ----------
        seen : torch.Tensor of shape (n, d)
            Corrupted samples, the input of the encoder.

        encoding : torch.Tensor of shape (n, n_statistics * k)
            Output of the encoder.

        code : torch.Tensor of shape (n, k)
            The result of `sample`, the input of the decoder.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Terms, each of shape (n,) or a scalar. By default, none.
        """
        return {}

    def supervision(self, code: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """Return named terms that are added to the loss, for predictions of y from codes.

        Parameters
        ----------
        code : torch.Tensor of shape (n, k)
            The result of `sample`, the input of the decoder.

        target : torch.Tensor of shape (n, n_targets)
            Values of y, encoded by the estimator's `encode_y`.

        Returns
        -------
        terms : dict of str to torch.Tensor
            Terms, each of shape (n,) or a scalar. By default, none.
        """
        return {}

    @property
    def is_supervised(self) -> bool:
        """Whether y is used in training: whether `supervision` is overridden."""
        return type(self).supervision is not AutoencoderModule.supervision

    @property
    def separable(self) -> bool:
        """Whether the loss of a batch is the mean of losses of single samples, independent of each other."""
        depends = type(self).penalty is not AutoencoderModule.penalty or self.is_supervised
        return self.penalizes_rows or not depends

    def after_step(self, progress: float) -> None:
        """Update the module after each step of the optimizer, without gradients. By default, does nothing.

        Parameters
        ----------
        progress : float
            Completed fraction of the training, in (0, 1].
        """

    # Training and prediction -----------------------------------------------------------------------------------------

    def elementwise_losses(self, output: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the loss of each value of the output, compared with clean samples.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            Output of the decoder.

        x : torch.Tensor of shape (n, d)
            Scaled samples.

        Returns
        -------
        losses : torch.Tensor of shape (n, d)
            Losses of scaled samples, or of unscaled data if there is a link. Zero where a value of `x` is missing.
        """
        if self.has_missing_values:
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
        """Return the named terms of the loss of scaled samples; the loss is the sum of their means.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Scaled samples.

        sizes : sequence of int, default=None
            Code sizes: for each size k, samples are reconstructed from the first k components of their codes. If None,
            from whole codes.

        target : torch.Tensor of shape (n, d) or (n, n_targets), default=None
            Scaled samples to be reconstructed; or, if the module `is_supervised`, encoded values of y. If None, x is
            reconstructed, without y.

        Returns
        -------
        terms : dict of str to torch.Tensor
            "reconstruction", of shape (n,) or (n, n_sizes), and the penalties, each of shape (n,) or a scalar. For
            numeric and categorical columns, "reconstruction" is replaced by "numbers" and "categories".
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
        """Return terms for numbers and categories, which add up to the reconstruction loss, with its gradient."""
        losses = self.elementwise_losses(output, x)[..., self.link.n_numbers :]
        return {"numbers": reconstruction - losses.sum(dim=-1), "categories": losses.sum(dim=-1)}

    def decoded(self, code: torch.Tensor) -> torch.Tensor:
        """Return the output that the loss compares with scaled samples.

        Parameters
        ----------
        code : torch.Tensor of shape (n, k)
            Internal codes.

        Returns
        -------
        output : torch.Tensor of shape (n, d)
            Output of the decoder, clipped to the bounds, if any.
        """
        output = self.decoder(code)
        return output if self.bounds is None else self.bounds(output)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Encode data.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Samples in units of the data.

        Returns
        -------
        codes : torch.Tensor of shape (n, k)
            Codes, transformed by `axes`.
        """
        code = self.code(self.encoder(self.scaler(x)))
        return code if self.axes is None else self.axes(code)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode codes.

        Parameters
        ----------
        codes : torch.Tensor of shape (n, k)
            Codes, transformed by `axes`.

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
            Samples in units of the data.

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
        if name in terms or name.startswith("loss"):  # these names are reserved for the history
            raise ValueError(f"{hook} returns a term {name!r}, but this name is already in use. Rename it.")
        shape = tuple(term.shape) if isinstance(term, torch.Tensor) else type(term).__name__
        if shape not in ((*lead, n), tuple(lead)):
            raise ValueError(
                f"{hook} returns a term {name!r} of shape {shape}, which must be a tensor with one number for each "
                f"sample, {(*lead, n)}, or {f'for each network, {tuple(lead)}' if lead else 'a scalar, ()'}. Compute "
                "its sum over the last dimension, or its mean."
            )
        terms[name] = term


def placed(drawn, device):
    """Copy random numbers, drawn on the CPU, to a device, without synchronization."""
    return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)
