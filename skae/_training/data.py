"""Data sets and loaders that index batches of samples for each network."""

import math

import numpy as np
import torch
from skorch.dataset import Dataset

from skae._data.readers import ArrayReader, Pair, ScaledReader, rows_at_once
from skae.nn._module import placed

MAX_VALIDATION_BATCH = 1024  # validation samples, fewer if they are wide
GATHERED = 2**18  # values of small batches that are gathered together: 1 MB in float32


class IndexedDataset(Dataset):
    """Samples of each network, from a tensor or an object that is indexed like a tensor.

    Parameters
    ----------
    rows : torch.Tensor of shape (n, d), or an object that is indexed like it, or a Pair of them
        Scaled samples on the device of the net.

    indices : list of ndarray of int
        Indices of the samples of each network. Networks with fewer samples than another see some of them twice in an
        epoch.

    source : ScaledReader, default=None
        Reader of the same samples, for scoring callbacks.

    held_out : IndexedDataset, default=None
        Validation samples of the first networks.

    Attributes
    ----------
    X, y : ndarray of shape (n_shown, d)
        Samples of the last network, or all validation samples, in units of the data, and their targets: clean samples
        or values of y. They are used by scoring callbacks of skorch.
    """

    def __init__(self, rows, indices, source=None, held_out=None):  # X and y are computed on access
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
        """Clean samples, or targets learned from y."""
        if self.source.target is not None:
            return self.source.target[self.shown]
        return self._unscaled(self.source.clean)

    def _unscaled(self, source):
        return ArrayReader(source.X, source.index).read(self.shown)


def make_dataset(X, y, module, device):
    """Return a data set of X and its targets y, both in units of the data."""
    scaler = module.scaler
    mean, scale = (tensor.detach().cpu().double().numpy() for tensor in (scaler.mean, scaler.scale))
    source = ScaledReader(X, mean, scale, **{"target" if module.is_supervised else "clean": y})
    return IndexedDataset(source.on_device(device), [np.arange(len(source))], source)


class BatchLoader:
    """Loader that indexes whole batches, unlike `DataLoader`, which reads each sample separately.

    Parameters
    ----------
    dataset : IndexedDataset

    batch_size : int
        Approximate number of samples of each network per batch; batch sizes differ by at most one.

    generators : list of torch.Generator or None
        Generators that shuffle the samples of each network in each epoch. If None, samples are not shuffled.

    Yields
    ------
    rows : torch.Tensor of shape (m, n, d)
        Samples of each of the m networks.

    target : torch.Tensor of shape (m, n, d) or (m, n, n_targets), or None
        Clean samples, or targets learned from y. None if the samples are the target.
    """

    def __init__(self, dataset, batch_size, generators=None):
        self.dataset = dataset
        self.n_batches = self.count(len(dataset), batch_size)
        self.generators = generators

    @staticmethod
    def count(n_rows, batch_size):
        """Return the number of batches of `n_rows` samples."""
        return max(1, round(n_rows / batch_size))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        n = len(self.dataset)
        indices = self.dataset.indices  # fewer networks after one of the two is dropped
        each = zip(indices, self.generators or [None] * len(indices), strict=True)
        chosen = torch.stack([_ordered(index, n, generator) for index, generator in each])  # (m, n)
        rows, target = (self._batches_of(rows, chosen) for rows in (self.dataset.rows, self.dataset.target))
        yield from zip(rows, target, strict=True)  # the pairs that skorch expects

    def _batches_of(self, rows, chosen):
        """Yield the chosen rows of each batch; small batches are gathered together, which saves operator calls."""
        if isinstance(rows, torch.Tensor):
            chosen = placed(chosen, rows.device)
        batches = chosen.tensor_split(self.n_batches, dim=1)  # (m, n) each
        if not isinstance(rows, torch.Tensor):
            yield from (None if rows is None else rows[index] for index in batches)
            return
        together = max(1, GATHERED // (batches[0].numel() * rows.shape[1]))
        for begin in range(0, self.n_batches, together):
            some = [index.flatten() for index in batches[begin : begin + together]]
            gathered = rows.index_select(0, torch.cat(some)).split([len(index) for index in some])
            yield from (batch.view(len(chosen), -1, rows.shape[1]) for batch in gathered)


class HeldOutLoader(BatchLoader):
    """Loader of validation samples in larger batches, which do not depend on the device: noise is drawn per batch."""

    def __init__(self, dataset, batch_size):
        super().__init__(dataset, max(batch_size, min(MAX_VALIDATION_BATCH, rows_at_once(dataset.rows.shape[1]))))


def _ordered(index, n, generator):
    """Return n indices, shuffled if there is a generator, and repeated if there are fewer."""
    passes = math.ceil(n / len(index))
    if generator is None:
        return index.repeat(passes)[:n]
    # drawn on the CPU, so that the order does not depend on the device
    drawn = [index[torch.randperm(len(index), generator=generator)] for _ in range(passes)]
    return (torch.cat(drawn) if passes > 1 else drawn[0])[:n]


def split_batch(rows, target, n_parts):
    """Split a batch, (m, n, d), into at most `n_parts` parts; yield (samples, targets, fraction of the batch)."""
    n = rows.shape[1]
    n_parts = min(n, n_parts)
    targets = [None] * n_parts if target is None else target.tensor_split(n_parts, dim=1)
    for part, of_part in zip(rows.tensor_split(n_parts, dim=1), targets, strict=True):
        yield part, of_part, part.shape[1] / n


def flatten_term(term):
    """Reshape a term of any shape (m, ...) to two dimensions."""
    return term.reshape(len(term), -1)


def expand_term(term, m, n):
    """Reshape a term of shape (m, n, n_sizes), (m, n) or (m,) to three dimensions."""
    return term if term.dim() == 3 else term.reshape(m, -1).expand(m, n)[:, :, None]
