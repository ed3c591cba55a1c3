"""Recurrent halves of a network: from rows that are sequences to a summary, and back."""

from torch import nn

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class SequenceEncoder(nn.Module):
    """Read a row step by step; what is remembered at the end, in both directions, is its summary.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features)

    hidden_size : int

    bidirectional : bool

    cell : str
        A key of `CELLS`.
    """

    def __init__(self, sequence_shape, hidden_size, bidirectional, cell):
        super().__init__()
        self.sequence_shape = sequence_shape
        self.cell = CELLS[cell](sequence_shape[1], hidden_size, batch_first=True, bidirectional=bidirectional)
        self.width = hidden_size * (1 + bidirectional)

    def forward(self, x):
        """Rows to summaries: (n, d) -> (n, width)."""
        _, state = self.cell(x.unflatten(1, self.sequence_shape))
        hidden = state[0] if isinstance(state, tuple) else state  # (n_directions, n, hidden_size)
        return hidden.transpose(0, 1).flatten(1)


class SequenceDecoder(nn.Module):
    """Write a row step by step from its summary, which is read anew at each step.

    Parameters
    ----------
    sequence_shape : (n_steps, n_step_features)

    width : int
        Of the summary.

    hidden_size : int

    cell : str
        A key of `CELLS`.
    """

    def __init__(self, sequence_shape, width, hidden_size, cell):
        super().__init__()
        self.n_steps = sequence_shape[0]
        self.cell = CELLS[cell](width, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, sequence_shape[1])

    def forward(self, summary):
        """Summaries to rows: (n, width) -> (n, d)."""
        hidden, _ = self.cell(summary[:, None].expand(-1, self.n_steps, -1))  # (n, n_steps, hidden_size)
        return self.output(hidden).flatten(1)
