"""From what a decoder gives to the means of data, where a loss is a likelihood of the data themselves."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from skae.nn._layers import Scaler


class Link(nn.Module):
    """From the decoder's output to the natural parameter of a likelihood, and on to the mean of the data.

    The natural parameter is offset + gain * output. At the mean of the data it is the link of that mean, and its
    slope is the least slope that the link has over the data's range, so a linear start is never overconfident.

    Parameters
    ----------
    inverse : callable
        The inverse link, from natural parameters to means: `torch.sigmoid` (Bernoulli) or `torch.exp` (Poisson).

    offset, gain : ndarray of shape (n_features,)
        Natural parameter of each feature where the output is zero, and what a unit of the output adds.

    dtype : torch.dtype
        Precision of the arithmetic.

    See Also
    --------
    Scaler : What surrounds the networks of any loss.
    skae.nn.functional.binary_cross_entropy : The likelihood of what is 0 or 1.
    skae.nn.functional.poisson : The likelihood of counts.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skae.nn import Link
    >>> link = Link(torch.sigmoid, offset=np.zeros(2), gain=np.ones(2), dtype=torch.float32)
    >>> link.mean(torch.tensor([[0.0, 100.0]]))
    tensor([[0.5000, 1.0000]])
    """

    offset: torch.Tensor
    gain: torch.Tensor

    def __init__(
        self,
        inverse: Callable[[torch.Tensor], torch.Tensor],
        offset: np.ndarray,
        gain: np.ndarray,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.inverse_link = inverse
        self.register_buffer("offset", torch.tensor(offset, dtype=dtype), persistent=False)  # (d,)
        self.register_buffer("gain", torch.tensor(gain, dtype=dtype), persistent=False)  # (d,)

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        """Turn outputs of the decoder into natural parameters.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            What the decoder gives.

        Returns
        -------
        parameters : torch.Tensor of shape (n, d)
            Natural parameters of the likelihood.
        """
        return self.offset + self.gain * output

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """Turn outputs of the decoder into means of the data.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            What the decoder gives.

        Returns
        -------
        means : torch.Tensor of shape (n, d)
            In units of the data.
        """
        return self.inverse_link(self(output))

    def losses(
        self,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        output: torch.Tensor,
        x: torch.Tensor,
        scaler: Scaler,
    ) -> torch.Tensor:
        """Return the loss of each cell.

        Parameters
        ----------
        loss : callable
            One of `skae.nn.functional.LOSSES`.

        output : torch.Tensor of shape (n, d)
            What the decoder gives.

        x : torch.Tensor of shape (n, d)
            Scaled samples.

        scaler : Scaler
            Takes data to scaled samples and back.

        Returns
        -------
        losses : torch.Tensor of shape (n, d)
            Of the data themselves.
        """
        return loss(self(output), scaler.inverse(x))


class MixedLink(Link):
    r"""Link of tables with columns of numbers and of categories, each of which is several cells that sum to one.

    A number is scaled back. The natural parameters of the cells of a category are logits, and their means are
    probabilities: their softmax. The loss of these cells sums up to the cross-entropy, :math:`-\sum_j x_j \log p_j`.

    Parameters
    ----------
    categories : sequence of (int, int)
        First cell of each column of categories, and the one behind its last. They follow each other to the end of the
        sample, behind all numbers.

    offset, gain : ndarray of shape (n_features,)
        As of `Link`: of numbers they are mean and scale.

    dtype : torch.dtype
        Precision of the arithmetic.
    """

    def __init__(self, categories, offset, gain, dtype):
        super().__init__(nn.Identity(), offset, gain, dtype)
        self.n_numbers = categories[0][0]
        lengths = np.array([stop - start for start, stop in categories])
        starts = np.array([start for start, _ in categories]) - self.n_numbers
        place = np.arange(lengths.max())
        # logits of a column side by side, of columns with fewer categories with minus infinity behind: (columns, most)
        padded = np.where(place < lengths[:, None], starts[:, None] + place, lengths.sum())
        self.register_buffer("padded", torch.tensor(padded), persistent=False)
        self.register_buffer("of_cell", torch.tensor(np.flatnonzero(place < lengths[:, None])), persistent=False)

    def _log_probability(self, natural):
        """Of the cells of categories, (..., d) -> (..., d - n_numbers)."""
        logits = nn.functional.pad(natural[..., self.n_numbers :], (0, 1), value=-torch.inf)
        return logits[..., self.padded].log_softmax(dim=-1).flatten(-2)[..., self.of_cell]

    def mean(self, output):
        """Numbers in units of the data, and probabilities of each column of categories, (n, d)."""
        natural = self(output)
        return torch.cat([natural[..., : self.n_numbers], self._log_probability(natural).exp()], dim=-1)

    def losses(self, loss, output, x, scaler):
        """Loss of each cell, (n, d): of a number as it is scaled, of a category the cross-entropy."""
        n, share = self.n_numbers, scaler.inverse(x)[..., self.n_numbers :]
        cross_entropy = -share * self._log_probability(self(output))
        return torch.cat([loss(output[..., :n], x[..., :n]), cross_entropy], dim=-1)
