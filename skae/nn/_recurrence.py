"""Recurrent encoder and decoder: from sequences to a summary, and back."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


@functools.cache
def lstm_takes_bfloat16() -> bool:
    """Return whether PyTorch has a kernel for an LSTM in bfloat16 autocast on this CPU, by trying it."""
    cell = nn.LSTM(1, 1, device="meta").to_empty(device="cpu")  # uses no random numbers
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", torch.bfloat16):
            output, _ = cell(torch.zeros(1, 1, 1))
            output.float().sum().backward()
    except RuntimeError:
        return False
    return True


def apply_cell(cell: nn.LSTM | nn.GRU, steps: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Apply a recurrent cell to sequences, (n, n_steps, d), in float32 where autocast is not supported on the CPU."""
    if steps.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or lstm_takes_bfloat16():
        return cell(steps)
    with torch.autocast("cpu", enabled=False):
        return cell(steps.float())


class SequenceEncoder(nn.Module):
    """Recurrent encoder: the summary of a sequence is the final hidden state, in both directions.

    The width of a summary, `width`, is the number of units times the number of directions.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features)
        Shape of one sample.

    hidden_size : int
        Number of units. A bidirectional encoder has this number in each direction.

    bidirectional : bool
        Whether sequences are read in both directions.

    cell : str
        A key of `CELLS`.

    See Also
    --------
    SequenceDecoder : The corresponding decoder.
    skae.architectures.Recurrent : Both networks, for the `architecture` parameter.

    Examples
    --------
    >>> import torch
    >>> from skae.nn import SequenceEncoder
    >>> encoder = SequenceEncoder((5, 2), hidden_size=3, bidirectional=True, cell="gru")
    >>> encoder(torch.zeros(4, 10)).shape, encoder.width
    (torch.Size([4, 6]), 6)
    """

    cell: nn.LSTM | nn.GRU
    width: int

    def __init__(self, sequence_shape: Sequence[int], hidden_size: int, bidirectional: bool, cell: str) -> None:
        super().__init__()
        self.sequence_shape = sequence_shape
        self.cell = CELLS[cell](sequence_shape[1], hidden_size, batch_first=True, bidirectional=bidirectional)
        self.width = hidden_size * (1 + bidirectional)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode sequences.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Flattened sequences: the features of the first step, then those of the second, and so on.

        Returns
        -------
        summary : torch.Tensor of shape (n, width)
            Final hidden state of each sequence.
        """
        _, state = apply_cell(self.cell, x.unflatten(1, self.sequence_shape))
        hidden = state[0] if isinstance(state, tuple) else state  # (n_directions, n, hidden_size)
        return hidden.transpose(0, 1).flatten(1)


class SequenceDecoder(nn.Module):
    """Recurrent decoder, whose input is a draft of the sequence: a linear map of the summary.

    The draft provides each step with its own projection of the summary. A recurrent cell whose input at each step is
    the whole summary has to learn to count the steps first: its error on Fashion-MNIST was a third larger.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features)
        Shape of one sample.

    width : int
        Width of the summary.

    hidden_size : int
        Number of units.

    cell : str
        A key of `CELLS`.

    See Also
    --------
    SequenceEncoder : The corresponding encoder.
    skae.architectures.Recurrent : Both networks, for the `architecture` parameter.

    Examples
    --------
    >>> import torch
    >>> from skae.nn import SequenceDecoder
    >>> decoder = SequenceDecoder((5, 2), width=6, hidden_size=3, cell="gru")
    >>> decoder(torch.zeros(4, 6)).shape
    torch.Size([4, 10])
    """

    sequence_shape: Sequence[int]
    draft: nn.Linear
    cell: nn.LSTM | nn.GRU
    output: nn.Linear

    def __init__(self, sequence_shape: Sequence[int], width: int, hidden_size: int, cell: str) -> None:
        super().__init__()
        n_steps, n_step_features = self.sequence_shape = sequence_shape
        self.draft = nn.Linear(width, n_steps * n_step_features)
        self.cell = CELLS[cell](n_step_features, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, n_step_features)

    def forward(self, summary: torch.Tensor) -> torch.Tensor:
        """Decode summaries.

        Parameters
        ----------
        summary : torch.Tensor of shape (n, width)
            Summary of each sequence.

        Returns
        -------
        x : torch.Tensor of shape (n, d)
            Flattened sequences: the features of the first step, then those of the second, and so on.
        """
        draft = self.draft(summary).unflatten(1, self.sequence_shape)  # (n, n_steps, n_step_features)
        hidden, _ = apply_cell(self.cell, draft)  # (n, n_steps, hidden_size)
        return self.output(hidden).flatten(1)
