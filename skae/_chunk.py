"""A chunk of a stream, and which of its samples networks don't train on."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import LARGEST, FeatureStatistics

HELD_OUT_SHARE = 0.2
MAX_HELD_OUT = 256
HELD_OUT_BYTES = 2**22
HASHES = 2**32
MIN_JUDGES = 20  # held-out samples that can tell one network from another


@dataclass(frozen=True)
class Chunk:
    """Rows of a chunk and what is known of all samples by then.

    Attributes
    ----------
    X : ndarray, CSR matrix or array of shape (n_samples, n_features)
        In which what is expected is in the place of missing cells.

    statistics : FeatureStatistics
        Of all samples.

    usual : FeatureStatistics
        Of all samples, whose cells count as if they were no farther out than is usual.

    rows : ScaledReader
        Scaled by the usual moments.

    held_out : dict
        "rows" of all chunks that networks don't train on, (n, d), as they came, and the "hashes" that chose them, (n,).

    trained_on : ndarray of int
        The samples of this chunk that networks train on.

    near : ndarray of int
        Those that are not far out.

    seed : int

    first : bool
        Whether there was none before.
    """

    X: Any
    statistics: FeatureStatistics
    usual: FeatureStatistics
    rows: ScaledReader
    held_out: dict[str, np.ndarray]
    trained_on: np.ndarray
    near: np.ndarray
    seed: int
    first: bool

    @property
    def judges(self):
        """Rows by which networks are compared, in X's units: None if there are too few."""
        rows = self.held_out["rows"]
        return rows if len(rows) >= MIN_JUDGES else None

    @property
    def missing(self):
        """Which cells of X are missing, (n_samples, n_features); None if all are there."""
        return self.rows.missing

    def scaled(self, mean, scale, index=None, clip_at=None):
        """The samples, or those of some indices, that are scaled so: see `ScaledReader`."""
        return ScaledReader(self.X, mean, scale, index, clip_at=clip_at, missing=self.missing)

    def part(self, index, mean, scale):
        """The samples of some indices by themselves, as if there were no others."""
        missing = None if self.missing is None else self.missing[index]
        return ScaledReader(self.X[index], mean, scale, missing=missing)

    def judged(self, mean, scale):
        """Rows by which networks are compared, which are scaled so: some of the chunk if there are no others."""
        rows = self.judges
        if rows is None:
            missing = None if self.missing is None else self.missing[:MIN_JUDGES]
            rows = ArrayReader(self.X).read(slice(0, MIN_JUDGES)).astype(np.float64)
            return ScaledReader(rows, mean, scale, missing=missing)
        missing = np.isnan(rows)
        if not missing.any():
            return ScaledReader(rows, mean, scale)
        return ScaledReader(self.statistics.factors.fill(rows), mean, scale, missing=missing)


def hold_out_of(rows, before, farthest, seed):
    """Choose samples that networks don't train on: by hashes, so that a sample that comes again is chosen again.

    Of all samples seen, those with the least hashes are held out, a fifth at most. Samples that are farther from the
    mean than ten times what is usual are not among them, nor are they trained on: PCA of all samples alone sees them.

    Parameters
    ----------
    rows : ScaledReader
        Of the chunk.

    before : dict or None
        What was returned for earlier chunks.

    farthest : float
        Squared distance from the mean, scaled, of what is not too far out.

    seed : int

    Returns
    -------
    held_out : dict
        "rows" and "hashes" of all chunks, and the "mean" and "per_unit" by which samples are scaled for their hashes.

    trained_on : ndarray of int
        The samples of this chunk that are left; all, where that is no more than one.

    near : ndarray of int
        Those that are not too far out.
    """
    d, unit = rows.shape[1], rows.per_unit
    if before is None:  # hashes are of samples in these units from now on, and so the same whatever the units of X
        before = {"rows": np.empty((0, d)), "hashes": np.empty(0, dtype=np.int64)}
        before |= {"mean": rows.mean, "per_unit": np.where(unit > 0, unit, unit.max()) if unit.any() else np.ones(d)}
    most = int(np.clip(HELD_OUT_BYTES // (8 * d), MIN_JUDGES, MAX_HELD_OUT))
    found = [before]
    hashes, distances = [], []
    for batch in ArrayReader(rows.X).batches():
        as_it_came = batch
        if rows.missing is not None:
            start = sum(map(len, hashes))
            as_it_came = np.where(rows.missing[start : start + len(batch)], np.nan, batch)
        with np.errstate(over="ignore"):
            single = ((as_it_came - before["mean"]) * before["per_unit"] + 0.0).astype(np.float32)  # -0.0 is 0.0
        hashes.append(np.array([zlib.crc32(row.tobytes(), seed) for row in single], dtype=np.int64))
        distances.append(np.square((batch - rows.mean) * rows.per_unit).sum(axis=1))
        new = (hashes[-1] < HELD_OUT_SHARE * HASHES) & (distances[-1] <= farthest)
        found.append({"rows": as_it_came[new].astype(np.float64), "hashes": hashes[-1][new]})
    hashes, near = np.concatenate(hashes), np.concatenate(distances) <= farthest
    chosen, place = np.unique(np.concatenate([some["hashes"] for some in found]), return_index=True)
    kept = np.concatenate([some["rows"] for some in found])[place[:most]]
    held_out = before | {"rows": kept, "hashes": chosen[:most]}
    trained_on = np.flatnonzero(near & ~np.isin(hashes, held_out["hashes"]))
    return held_out, trained_on if len(trained_on) > 1 else np.arange(len(hashes)), np.flatnonzero(near)


def check_cells(rows):
    """Refuse cells that networks, which are of float32, can't hold.

    Samples that are far out are not trained on, but they have codes, and noise is measured on them.

    Parameters
    ----------
    rows : ScaledReader
        Of the chunk, in the units of what is usual.

    Raises
    ------
    ValueError
        If a cell is too far out.
    """
    for batch in rows.batches():
        i, j = np.unravel_index(np.abs(batch).argmax(), batch.shape)
        if np.abs(batch[i, j]) > np.sqrt(LARGEST):  # the loss is a square
            value = batch[i, j] * rows.scale[j] + rows.mean[j]
            raise ValueError(
                f"X has a value of {value:g}, so far from the others that networks of float32 can't hold it. Clip X, "
                "or leave that sample out."
            )
