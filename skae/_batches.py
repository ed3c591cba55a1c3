"""Batches by index: which rows a step of each network sees."""

import math

import torch
from torch.utils.data import Dataset

from skae._rows import Pair, rows_at_once
from skae.nn._module import placed

JUDGED_AT_ONCE = 1024  # rows held out, or fewer if they are wide


class RowDataset(Dataset):
    """Which rows each of some networks is shown, of a tensor or of whatever gives a tensor for a tensor of indices.

    Parameters
    ----------
    rows : torch.Tensor of shape (n, d), or the like, or a Pair of them

    indices : list of ndarray of int
        The rows of each network. One that has fewer than another is shown some of them twice in a pass.
    """

    def __init__(self, rows, indices):
        self.rows, self.clean = (rows.rows, rows.clean) if isinstance(rows, Pair) else (rows, None)
        self.indices = [torch.as_tensor(index) for index in indices]

    def __len__(self):
        return max(map(len, self.indices))


class WholeBatches:
    """Batches of rows that are indexed whole: no row is touched alone, as a `DataLoader` would.

    Parameters
    ----------
    dataset : RowDataset

    batch_size : int
        Batches have about this many rows for each network, and differ by one at most.

    generator : torch.Generator or None
        Shuffles the rows anew at each pass. None keeps their order.

    Yields
    ------
    rows : torch.Tensor of shape (m, n, d)
        For each of the m networks.

    clean : torch.Tensor of shape (m, n, d) or None
        What they are to become; None is the rows.
    """

    def __init__(self, dataset, batch_size, generator=None):
        self.dataset = dataset
        self.n_batches = self.count(len(dataset), batch_size)
        self.generator = generator

    @staticmethod
    def count(n_rows, batch_size):
        """Batches in one pass over `n_rows` rows."""
        return max(1, round(n_rows / batch_size))

    def __iter__(self):
        n = len(self.dataset)
        chosen = torch.stack([self._ordered(index, n) for index in self.dataset.indices])  # (m, n)
        rows, clean = (self._batches_of(rows, chosen) for rows in (self.dataset.rows, self.dataset.clean))
        yield from zip(rows, clean, strict=True)  # the pairs that skorch expects

    def _batches_of(self, rows, chosen):
        if isinstance(rows, torch.Tensor):
            chosen = placed(chosen, rows.device)
        for index in chosen.tensor_split(self.n_batches, dim=1):
            yield None if rows is None else rows[index]

    def _ordered(self, index, n):
        if self.generator is None:
            return index
        passes = math.ceil(n / len(index))  # drawn on the CPU, so that a seed means the same order on every device
        return torch.cat([index[torch.randperm(len(index), generator=self.generator)] for _ in range(passes)])[:n]


class HeldOutBatches(WholeBatches):
    """Larger batches of held-out rows, in their order: the same wherever the rows are, for noise is drawn for each."""

    def __init__(self, dataset, batch_size):
        super().__init__(dataset, max(batch_size, min(JUDGED_AT_ONCE, rows_at_once(dataset.rows.shape[1]))))
