"""Choice of validation samples that are independent of the training samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length, column_or_1d

from skae._data.dependence import copies_of, reach_of_dependence
from skae._data.readers import ArrayReader, ScaledReader

MIN_ROWS = 20  # with fewer, nothing can be learned beyond PCA
FOLDED_ROWS = 2000  # enough validation samples, over all folds, to compare epochs
MAX_HELD_OUT = 1000
ENOUGH_GROUPS = 20  # in one fold
MAX_BLOCKS = 10  # in one fold
MAX_LOST = 0.1  # maximum fraction of samples in gaps around the blocks of a fold


@dataclass(frozen=True)
class Validation:
    """Validation samples of a fit.

    Attributes
    ----------
    strategy : {"random", "copies", "blocks", "groups", "cv", "X_val"} or None
        How samples were chosen; None if there is no validation set.

    folds : sequence of (train, held_out)
        Indices of training and validation samples.

    rows : ScaledReader or None
        Samples to which `held_out` refers, if they are not the training data.

    clusters : ndarray of int or None
        Cluster of each validation sample, in the order of the folds. Losses within a cluster are dependent. None if
        all losses are independent.

    block_size, gap : int
        Number of samples of a contiguous block, and of excluded samples on either side of it; 0 without blocks.
    """

    strategy: str | None = None
    folds: Sequence[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    rows: ScaledReader | None = None
    clusters: np.ndarray | None = None
    block_size: int = 0
    gap: int = 0

    @property
    def report(self):
        """Value of the attribute `validation_`, as plain values."""
        held_out_rows = [held_out for _, held_out in self.folds]
        return {
            "strategy": self.strategy,
            "n_folds": len(self.folds),
            "block_size": self.block_size,
            "gap": self.gap,
            "n_validation": len(np.unique(np.concatenate(held_out_rows))) if held_out_rows else 0,
        }

    def cut(self, n_folds):
        """Return the same with the first `n_folds` folds; None for all."""
        folds = self.folds[:n_folds]
        n_held_out = sum(len(held_out) for _, held_out in folds)
        return replace(
            self, folds=folds, clusters=None if self.clusters is None else _numbered(self.clusters[:n_held_out])
        )

    def __str__(self):
        """Return a sentence for verbose output."""
        if self.strategy is None:
            return "There is no validation set."
        how = {
            "random": "chosen at random",
            "copies": "chosen at random, with copies of a sample in the same set",
            "blocks": f"in blocks of {self.block_size}, with gaps of {self.gap}, since neighbors are dependent",
            "groups": "in whole groups",
            "cv": "as cv splits them",
            "X_val": "from X_val",
        }[self.strategy]
        folds = "one fold" if len(self.folds) == 1 else f"{len(self.folds)} folds"
        return f"{self.report['n_validation']} validation samples, {how} ({folds})."


def choose_validation(rows, *, fraction, cv, groups, y, seed):
    """Choose the validation samples.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    fraction : float or "auto"
        Fraction of samples for validation; "auto" is 0.2, but at most 1,000 samples.

    cv : int, splitter, iterable or None
        If None, whole groups are held out if there are any. Otherwise, blocks of a series, or random samples, with
        copies of a sample in the same set.

    groups : ndarray of shape (n,) or None
        As `checked_groups` returns them.

    y : array-like or None
        For the splitter.

    seed : int

    Returns
    -------
    validation : Validation

    Raises
    ------
    ValueError
        If there would be no validation sample, or fewer than two training samples.
    """
    n = len(rows)
    if cv is not None:
        folds = _splits(cv, n, y, groups)
        held_out_rows = np.concatenate([held_out for _, held_out in folds])
        # samples that are held out repeatedly count once
        clusters = held_out_rows if groups is None else groups[held_out_rows]
        return Validation("cv", folds, clusters=_numbered(clusters))

    n_held_out = _n_held_out(n, fraction)
    n_folds = min(n // n_held_out, math.ceil(FOLDED_ROWS / n))
    if groups is not None:
        least = min(len(np.unique(groups)) // 5, ENOUGH_GROUPS)
        folds = _whole_groups(groups, n_held_out / n, n_folds, seed, largest=n / 2, least=least)
        return Validation("groups", folds, clusters=_clusters(folds, groups))
    clean = rows.clean  # several noisy samples may have the same clean sample
    reach, copies = reach_of_dependence(clean, seed), copies_of(ArrayReader(clean.X))
    if reach:
        block_size, folds = _blocks(n, n_held_out, n_folds, reach, seed)
        if copies is not None:
            folds = [(train[~np.isin(copies[train], copies[held_out])], held_out) for train, held_out in folds]
        folds = [(train, held_out) for train, held_out in folds if len(train) > 1]
        if not folds:
            return Validation()
        return Validation("blocks", folds, None, _clusters(folds, np.arange(n) // reach), block_size, reach)
    if copies is not None:
        # many copies of one sample would otherwise fill a fold
        folds = _whole_groups(copies, n_held_out / n, n_folds, seed, largest=n_held_out, least=1)
        return Validation("copies", folds, clusters=_clusters(folds, copies)) if folds else Validation()
    order = np.random.RandomState(seed).permutation(n)
    starts = range(0, n_folds * n_held_out, n_held_out)
    return Validation(
        "random", [(np.delete(order, np.s_[i : i + n_held_out]), order[i : i + n_held_out]) for i in starts]
    )


def given_validation(n_rows, rows):
    """Return a validation set that the user passed, for a network that is trained on all samples.

    Parameters
    ----------
    n_rows : int
        Number of training samples.

    rows : ScaledReader

    Returns
    -------
    validation : Validation
    """
    return Validation("X_val", [(np.arange(n_rows), np.arange(len(rows)))], rows)


def checked_groups(groups, X):
    """Check labels of groups as scikit-learn does.

    Parameters
    ----------
    groups : array-like of shape (n,) or None

    X : array-like of shape (n, d)

    Returns
    -------
    groups : ndarray of int of shape (n,) or None
        Labels of the groups, from 0.

    Raises
    ------
    ValueError
        If there is not one label per sample, or only one distinct label.
    """
    if groups is None:
        return None
    groups = column_or_1d(groups)
    check_consistent_length(X, groups)
    try:
        labels, numbers = np.unique(groups, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"groups contains labels of several types, which can't be compared: {error}.") from error
    if len(labels) < 2:
        raise ValueError(
            f"groups contains one label, {labels[0]}, for all samples: no group can be held out. Pass 2 or more "
            "groups, or groups=None."
        )
    return numbers


def _n_held_out(n_rows, fraction):
    n_held_out = min(n_rows // 5, MAX_HELD_OUT) if fraction == "auto" else int(fraction * n_rows)
    if n_held_out < 1 or n_rows - n_held_out < 2:
        raise ValueError(
            f"validation_fraction={fraction!r} of n_samples={n_rows} gives {n_held_out} validation samples and "
            f"{n_rows - n_held_out} training samples. Set it so that there are at least 1 and 2."
        )
    return n_held_out


def _splits(cv, n_rows, y, groups):
    """Return the folds of a scikit-learn splitter, or of an iterable of pairs of indices."""
    folds = []
    for train, held_out in check_cv(cv).split(np.zeros((n_rows, 1)), y, groups):
        fold = [np.arange(n_rows)[np.asarray(part)] for part in (train, held_out)]  # masks, lists, negative indices
        if len(fold[0]) < 2 or len(fold[1]) < 1:
            raise ValueError(
                f"cv={cv!r} has a split that trains on {len(fold[0])} samples and holds out {len(fold[1])}. At least 2 "
                "and 1 are needed."
            )
        if np.intersect1d(*fold).size:
            raise ValueError(
                f"cv={cv!r} has a split that has the same samples in both sets. Remove them from one of them."
            )
        folds.append(tuple(fold))
    if not folds:
        raise ValueError(f"cv={cv!r} has no splits.")
    return folds


def _whole_groups(groups, share, n_folds, seed, *, largest, least):
    """Hold out random groups, until a fold has about a fraction `share` of the samples, and `least` groups.

    Groups of more samples than `largest` are only used for training, and are not counted in the fraction.
    """
    n, sizes = len(groups), np.bincount(groups)
    rng, may_be = np.random.RandomState(seed), sizes <= min(largest, n - 2)
    n_held_out = share * sizes[may_be].sum()
    order, parts, part, n_rows = rng.permutation(n), [], [], 0
    for group in rng.permutation(np.flatnonzero(may_be)):
        part.append(group)
        n_rows += sizes[group]
        if n_rows + sizes[group] / 2 > n_held_out and len(part) >= least:
            parts, part, n_rows = [*parts, part], [], 0
    if part and not parts:
        parts.append(part)
    is_held_out = [np.isin(groups[order], part) for part in parts[:n_folds]]
    return [(order[~of_fold], order[of_fold]) for of_fold in is_held_out if of_fold.sum() <= n - 2]


def _blocks(n_rows, n_held_out, n_folds, gap, seed):
    """Hold out contiguous blocks, and exclude samples within the gap of a block from training."""
    rng = np.random.RandomState(seed)
    n_blocks = int(np.clip(min(MAX_LOST * n_rows / (2 * gap), n_held_out / gap), 1, MAX_BLOCKS))  # in a fold
    size = n_held_out // n_blocks
    starts = np.linspace(0, n_rows - size, n_folds * n_blocks).astype(int)
    if len(starts) == 1:
        starts[0] = rng.randint(n_rows - size + 1)
    starts = rng.permutation(starts).reshape(n_folds, n_blocks)
    every, folds = np.arange(n_rows), []
    for of_fold in starts:
        held_out, trained_on = np.zeros(n_rows, dtype=bool), np.ones(n_rows, dtype=bool)
        for start in of_fold:
            held_out[start : start + size] = True
            trained_on[max(0, start - gap) : start + size + gap] = False
        folds.append((every[trained_on], every[held_out]))
    return size, folds


def _clusters(folds, groups):
    """Return the group of each validation sample, in the order of the folds."""
    return _numbered(np.concatenate([groups[held_out] for _, held_out in folds]))


def _numbered(labels):
    return np.unique(labels, return_inverse=True)[1]
