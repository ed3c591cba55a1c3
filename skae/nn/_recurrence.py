"""Recurrent halves of a network: from samples that are sequences to a summary, and back."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


@functools.cache
def lstm_takes_bfloat16() -> bool:
    """Whether the CPU has a kernel for what autocast makes of an LSTM, which is found out by trying."""
    cell = nn.LSTM(1, 1, device="meta").to_empty(device="cpu")  # nothing is drawn
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", torch.bfloat16):
            output, _ = cell(torch.zeros(1, 1, 1))
            output.float().sum().backward()
    except RuntimeError:
        return False
    return True


def read(cell: nn.LSTM | nn.GRU, steps: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Let a cell read steps, (n, n_steps, d): in float32 where autocast asks a CPU for what it has not."""
    if steps.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or lstm_takes_bfloat16():
        return cell(steps)
    with torch.autocast("cpu", enabled=False):
        return cell(steps.float())


class SequenceEncoder(nn.Module):
    """Read a sample step by step; what is remembered at the end, in both directions, is its summary.

    The width of a summary, `width`, is that of a direction times their number.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features)
        Of a sample.

    hidden_size : int
        Units. In each direction, if there are two.

    bidirectional : bool
        Whether a sample is read in both directions.

    cell : str
        A key of `CELLS`.

    See Also
    --------
    SequenceDecoder : The way back.
    skae.architectures.Recurrent : Both, for the `architecture` parameter.

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
        """Read samples.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Samples, the features of one step after those of another.

        Returns
        -------
        summary : torch.Tensor of shape (n, width)
            What is remembered at the end.
        """
        _, state = read(self.cell, x.unflatten(1, self.sequence_shape))
        hidden = state[0] if isinstance(state, tuple) else state  # (n_directions, n, hidden_size)
        return hidden.transpose(0, 1).flatten(1)


class SequenceDecoder(nn.Module):
    """Write a sample step by step, while reading a linear draft of it.

    The draft gives each step its own view of the summary. A cell that reads the whole summary at each step instead has
    to learn to count the steps first: on Fashion-MNIST its error was a third greater.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features)
        Of a sample.

    width : int
        Of the summary.

    hidden_size : int
        Units.

    cell : str
        A key of `CELLS`.

    See Also
    --------
    SequenceEncoder : The way there.
    skae.architectures.Recurrent : Both, for the `architecture` parameter.

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
        """Write samples.

        Parameters
        ----------
        summary : torch.Tensor of shape (n, width)
            Of each sample.

        Returns
        -------
        rows : torch.Tensor of shape (n, d)
            The features of one step after those of another.
        """
        draft = self.draft(summary).unflatten(1, self.sequence_shape)  # (n, n_steps, n_step_features)
        hidden, _ = read(self.cell, draft)  # (n, n_steps, hidden_size)
        return self.output(hidden).flatten(1)
