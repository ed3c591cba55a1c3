"""Chunks of a stream, and the validation samples that are held out of them."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import LARGEST, FeatureStatistics

HELD_OUT_FRACTION = 0.2
MAX_HELD_OUT = 256
HELD_OUT_BYTES = 2**22
HASHES = 2**32
MIN_VALIDATION = 20  # samples: with fewer, networks can't be compared


@dataclass(frozen=True)
class Chunk:
    """Samples of a chunk, and the statistics of all samples seen so far.

    Attributes
    ----------
    X : ndarray, CSR matrix or array of shape (n_samples, n_features)
        Samples with missing values replaced by their expectations.

    statistics : FeatureStatistics
        Statistics of all samples.

    usual : FeatureStatistics
        Statistics of all samples, with outlying values clipped to the usual range.

    rows : ScaledReader
        Samples scaled by the statistics in `usual`.

    held_out : dict
        "rows": validation samples of all chunks, (n, d), unscaled; "hashes": the hashes that selected them, (n,).

    trained_on : ndarray of int
        Indices of the samples of this chunk that networks are trained on.

    near : ndarray of int
        Indices of the samples of this chunk that are not outlying.

    seed : int

    first : bool
        Whether this is the first chunk.
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
    def validation(self):
        """Validation samples, in the units of X; None if there are too few."""
        rows = self.held_out["rows"]
        return rows if len(rows) >= MIN_VALIDATION else None

    @property
    def missing(self):
        """Mask of the missing values of X, (n_samples, n_features); None if there are none."""
        return self.rows.missing

    def scaled(self, mean, scale, index=None, clip_at=None):
        """Return the scaled samples, or those of given indices: see `ScaledReader`."""
        return ScaledReader(self.X, mean, scale, index, clip_at=clip_at, missing=self.missing)

    def part(self, index, mean, scale):
        """Return a reader of only the samples of given indices."""
        missing = None if self.missing is None else self.missing[index]
        return ScaledReader(self.X[index], mean, scale, missing=missing)

    def compared(self, mean, scale):
        """Return the scaled validation samples, or the first samples of the chunk if there are too few."""
        rows = self.validation
        if rows is None:
            missing = None if self.missing is None else self.missing[:MIN_VALIDATION]
            rows = ArrayReader(self.X).read(slice(0, MIN_VALIDATION)).astype(np.float64)
            return ScaledReader(rows, mean, scale, missing=missing)
        missing = np.isnan(rows)
        if not missing.any():
            return ScaledReader(rows, mean, scale)
        return ScaledReader(self.statistics.factors.fill(rows), mean, scale, missing=missing)


def hold_out(rows, before, farthest, seed):
    """Select validation samples by their hashes, so that copies of a selected sample are selected too.

    The samples with the smallest hashes of all samples seen are held out, at most a fifth. Samples more than ten times
    farther from the mean than usual are neither held out nor trained on: only PCA of all samples uses them.

    Parameters
    ----------
    rows : ScaledReader
        Samples of the chunk.

    before : dict or None
        The `held_out` returned for earlier chunks.

    farthest : float
        Squared scaled distance from the mean beyond which a sample is outlying.

    seed : int

    Returns
    -------
    held_out : dict
        "rows" and "hashes" of all chunks, and the "mean" and "per_unit" by which samples are scaled before hashing.

    trained_on : ndarray of int
        Indices of the remaining samples of this chunk; all samples if no more than one remains.

    near : ndarray of int
        Indices of the samples that are not outlying.
    """
    d, unit = rows.shape[1], rows.per_unit
    if before is None:  # all chunks are hashed in the units of the first, so that hashes don't depend on the units of X
        before = {"rows": np.empty((0, d)), "hashes": np.empty(0, dtype=np.int64)}
        before |= {"mean": rows.mean, "per_unit": np.where(unit > 0, unit, unit.max()) if unit.any() else np.ones(d)}
    most = int(np.clip(HELD_OUT_BYTES // (8 * d), MIN_VALIDATION, MAX_HELD_OUT))
    found = [before]
    hashes, distances = [], []
    for batch in ArrayReader(rows.X).batches():
        raw = batch
        if rows.missing is not None:
            start = sum(map(len, hashes))
            raw = np.where(rows.missing[start : start + len(batch)], np.nan, batch)
        with np.errstate(over="ignore"):
            single = ((raw - before["mean"]) * before["per_unit"] + 0.0).astype(np.float32)  # -0.0 becomes 0.0
        hashes.append(np.array([zlib.crc32(row.tobytes(), seed) for row in single], dtype=np.int64))
        distances.append(np.square((batch - rows.mean) * rows.per_unit).sum(axis=1))
        new = (hashes[-1] < HELD_OUT_FRACTION * HASHES) & (distances[-1] <= farthest)
        found.append({"rows": raw[new].astype(np.float64), "hashes": hashes[-1][new]})
    hashes, near = np.concatenate(hashes), np.concatenate(distances) <= farthest
    chosen, place = np.unique(np.concatenate([some["hashes"] for some in found]), return_index=True)
    kept = np.concatenate([some["rows"] for some in found])[place[:most]]
    held_out = before | {"rows": kept, "hashes": chosen[:most]}
    trained_on = np.flatnonzero(near & ~np.isin(hashes, held_out["hashes"]))
    return held_out, trained_on if len(trained_on) > 1 else np.arange(len(hashes)), np.flatnonzero(near)


def check_values(rows):
    """Check that float32 networks can represent all values.

    Outlying samples are not trained on, but they are encoded, and the noise variance is estimated from them too.

    Parameters
    ----------
    rows : ScaledReader
        Samples of the chunk, scaled by the usual statistics.

    Raises
    ------
    ValueError
        If a value is too large.
    """
    for batch in rows.batches():
        i, j = np.unravel_index(np.abs(batch).argmax(), batch.shape)
        if np.abs(batch[i, j]) > np.sqrt(LARGEST):  # the loss is a square
            value = batch[i, j] * rows.scale[j] + rows.mean[j]
            raise ValueError(
                f"X has a value of {value:g}, so far from the others that float32 networks can't represent it. Clip X, "
                "or drop that sample."
            )
