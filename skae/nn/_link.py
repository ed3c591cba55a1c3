"""Link functions: from outputs of the decoder to means of the data, for losses that are likelihoods of the data."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from skae.nn._layers import Scaler


class Link(nn.Module):
    """Maps the output of the decoder to the natural parameter of a likelihood, and to the mean of the data.

    The natural parameter is offset + gain * output. At the mean of the data it is the link function of that mean. Its
    slope is the minimum slope of the link function over the range of the data, so that a linear initialization is never
    overconfident.

    Parameters
    ----------
    inverse : callable
        The inverse link function, from natural parameters to means: `torch.sigmoid` (Bernoulli) or `torch.exp`
        (Poisson).

    offset, gain : ndarray of shape (n_features,)
        Natural parameter of each feature for an output of zero, and its change per unit of the output.

    dtype : torch.dtype
        Data type of the buffers.

    See Also
    --------
    Scaler : Scales data for any loss.
    skae.nn.functional.binary_cross_entropy : Negative log-likelihood of binary data.
    skae.nn.functional.poisson : Negative log-likelihood of counts.

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
        """Convert outputs of the decoder to natural parameters.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            Output of the decoder.

        Returns
        -------
        parameters : torch.Tensor of shape (n, d)
            Natural parameters of the likelihood.
        """
        return self.offset + self.gain * output

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """Convert outputs of the decoder to means of the data.

        Parameters
        ----------
        output : torch.Tensor of shape (n, d)
            Output of the decoder.

        Returns
        -------
        means : torch.Tensor of shape (n, d)
            Means in units of the data.
        """
        return self.inverse_link(self(output))

    def losses(
        self,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        output: torch.Tensor,
        x: torch.Tensor,
        scaler: Scaler,
    ) -> torch.Tensor:
        """Return the loss of each value.

        Parameters
        ----------
        loss : callable
            One of `skae.nn.functional.LOSSES`.

        output : torch.Tensor of shape (n, d)
            Output of the decoder.

        x : torch.Tensor of shape (n, d)
            Scaled samples.

        scaler : Scaler
            Maps data to scaled samples and back.

        Returns
        -------
        losses : torch.Tensor of shape (n, d)
            Losses of the data in their own units.
        """
        return loss(self(output), scaler.inverse(x))


class MixedLink(Link):
    r"""Link for tables with numeric and categorical columns.

    A categorical column is encoded as several features that sum to 1. Their natural parameters are logits, and their
    means are probabilities, the softmax of the logits. Their losses add up to the cross-entropy,
    :math:`-\sum_j x_j \log p_j`. The scaling of numbers is undone.

    Parameters
    ----------
    categories : sequence of (int, int)
        Start and stop (exclusive) of the features of each categorical column. The columns are contiguous, after all
        numbers, and extend to the end of the sample.

    offset, gain : ndarray of shape (n_features,)
        As in `Link`. For numbers they are mean and scale.

    dtype : torch.dtype
        Data type of the buffers.
    """

    def __init__(self, categories, offset, gain, dtype):
        super().__init__(nn.Identity(), offset, gain, dtype)
        self.n_numbers = categories[0][0]
        lengths = np.array([stop - start for start, stop in categories])
        starts = np.array([start for start, _ in categories]) - self.n_numbers
        place = np.arange(lengths.max())
        # indices of the logits of each column, padded by the index of minus infinity: (n_columns, max_categories)
        padded = np.where(place < lengths[:, None], starts[:, None] + place, lengths.sum())
        self.register_buffer("padded", torch.tensor(padded), persistent=False)
        self.register_buffer("of_cell", torch.tensor(np.flatnonzero(place < lengths[:, None])), persistent=False)

    def _log_probability(self, natural):
        """Return the log-probability of each category, (..., d) -> (..., d - n_numbers)."""
        logits = nn.functional.pad(natural[..., self.n_numbers :], (0, 1), value=-torch.inf)
        return logits[..., self.padded].log_softmax(dim=-1).flatten(-2)[..., self.of_cell]

    def mean(self, output):
        """Return numbers in units of the data, and probabilities of the categories, (n, d)."""
        natural = self(output)
        return torch.cat([natural[..., : self.n_numbers], self._log_probability(natural).exp()], dim=-1)

    def losses(self, loss, output, x, scaler):
        """Return the loss of each value, (n, d): for scaled numbers `loss`, for categories the cross-entropy."""
        n, probability = self.n_numbers, scaler.inverse(x)[..., self.n_numbers :]
        cross_entropy = -probability * self._log_probability(self(output))
        return torch.cat([loss(output[..., :n], x[..., :n]), cross_entropy], dim=-1)
