"""Batches by index: which samples a step of each network sees."""

import math

import numpy as np
import torch
from skorch.dataset import Dataset

from skae._data.readers import ArrayReader, Pair, ScaledReader, rows_at_once
from skae.nn._module import placed

JUDGED_AT_ONCE = 1024  # held-out samples, or fewer if they are wide


class IndexedDataset(Dataset):
    """Which samples each of some networks is shown, of a tensor or of whatever gives a tensor for a tensor of indices.

    Parameters
    ----------
    rows : torch.Tensor of shape (n, d), or the like, or a Pair of them
        Scaled samples on the net's device.

    indices : list of ndarray of int
        The samples of each network. One that has fewer than another is shown some of them twice in a pass.

    source : ScaledReader, default=None
        The same samples where they come from, for scores of callbacks.

    held_out : IndexedDataset, default=None
        Samples by which the first of the networks are judged.

    Attributes
    ----------
    X, y : ndarray of shape (n_shown, d)
        For skorch's scores: the samples of the last network, or all held-out ones, in units of the data, and what
        they are to become, or what is learned of y.
    """

    def __init__(self, rows, indices, source=None, held_out=None):  # what skorch's does with X and y is done when read
        self.rows, self.target = (rows.rows, rows.target) if isinstance(rows, Pair) else (rows, None)
        self.indices = [torch.as_tensor(index) for index in indices]
        self.source, self.held_out = source, held_out
        self.shown = np.concatenate(indices) if held_out is None else indices[-1]

    def __len__(self):
        return max(map(len, self.indices))

    def __getitem__(self, i):
        return self.X[i], self.y[i]

    @property
    def X(self):  # noqa: N802 - skorch's name
        """Samples in units of the data."""
        return self._unscaled(self.source)

    @property
    def y(self):
        """What they are to become, or what is learned of y."""
        if self.source.target is not None:
            return self.source.target[self.shown]
        return self._unscaled(self.source.clean)

    def _unscaled(self, source):
        return ArrayReader(source.X, source.index).read(self.shown)


def dataset_of(X, y, module, device):
    """Return all samples of X, in units of the data, as a network scales them; `y` is what they are to become."""
    scaler = module.scaler
    mean, scale = (tensor.detach().cpu().double().numpy() for tensor in (scaler.mean, scaler.scale))
    source = ScaledReader(X, mean, scale, **{"target" if module.is_supervised else "clean": y})
    return IndexedDataset(source.on_device(device), [np.arange(len(source))], source)


class BatchLoader:
    """Batches of samples that are indexed whole: no sample is touched alone, as a `DataLoader` would.

    Parameters
    ----------
    dataset : IndexedDataset

    batch_size : int
        Batches have about this many samples for each network, and differ by one at most.

    generators : list of torch.Generator or None
        They shuffle the samples of each network anew at each pass. None keeps their order.

    Yields
    ------
    rows : torch.Tensor of shape (m, n, d)
        For each of the m networks.

    target : torch.Tensor of shape (m, n, d) or (m, n, n_targets), or None
        What they are to become, or what is learned of y; None is the samples.
    """

    def __init__(self, dataset, batch_size, generators=None):
        self.dataset = dataset
        self.n_batches = self.count(len(dataset), batch_size)
        self.generators = generators

    @staticmethod
    def count(n_rows, batch_size):
        """Batches in one pass over `n_rows` samples."""
        return max(1, round(n_rows / batch_size))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        n = len(self.dataset)
        indices = self.dataset.indices  # of fewer networks, once a rival is dropped
        each = zip(indices, self.generators or [None] * len(indices), strict=True)
        chosen = torch.stack([_ordered(index, n, generator) for index, generator in each])  # (m, n)
        rows, target = (self._batches_of(rows, chosen) for rows in (self.dataset.rows, self.dataset.target))
        yield from zip(rows, target, strict=True)  # the pairs that skorch expects

    def _batches_of(self, rows, chosen):
        if isinstance(rows, torch.Tensor):
            chosen = placed(chosen, rows.device)
        for index in chosen.tensor_split(self.n_batches, dim=1):
            yield None if rows is None else rows[index]


class HeldOutLoader(BatchLoader):
    """Larger batches of held-out samples, in their order: the same wherever they are, for noise is drawn for each."""

    def __init__(self, dataset, batch_size):
        super().__init__(dataset, max(batch_size, min(JUDGED_AT_ONCE, rows_at_once(dataset.rows.shape[1]))))


def _ordered(index, n, generator):
    """So many of the indices, shuffled if there is a generator, and again from the first one if they are fewer."""
    passes = math.ceil(n / len(index))
    if generator is None:
        return index.repeat(passes)[:n]
    # drawn on the CPU, so that a seed means the same order on every device
    drawn = [index[torch.randperm(len(index), generator=generator)] for _ in range(passes)]
    return (torch.cat(drawn) if passes > 1 else drawn[0])[:n]


def parts_of(rows, target, n_parts):
    """Yield about so many parts of a batch, (m, n, d): (samples, targets, share of the batch)."""
    n = rows.shape[1]
    n_parts = min(n, n_parts)
    targets = [None] * n_parts if target is None else target.tensor_split(n_parts, dim=1)
    for part, of_part in zip(rows.tensor_split(n_parts, dim=1), targets, strict=True):
        yield part, of_part, part.shape[1] / n


def by_member(term):
    """A term of any shape (m, ...) in two dimensions."""
    return term.reshape(len(term), -1)


def by_row(term, m, n):
    """A term of shape (m, n, n_sizes), (m, n) or (m,) in three dimensions."""
    return term if term.dim() == 3 else term.reshape(m, -1).expand(m, n)[:, :, None]
