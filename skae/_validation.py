"""Which samples judge the epochs of a training: held-out ones that do not depend on those that are trained on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length, column_or_1d

from skae._data.dependence import copies_of, reach_of_dependence
from skae._data.readers import ArrayReader, ScaledReader

MIN_ROWS = 20  # below, there is nothing to learn beyond PCA
FOLDED_ROWS = 2000  # enough held-out trials, over all folds, to tell epochs apart
MAX_HELD_OUT = 1000
ENOUGH_GROUPS = 20  # in one fold
MAX_BLOCKS = 10  # in one fold
MAX_LOST = 0.1  # share of the samples that the gaps around the blocks of a fold may take


@dataclass(frozen=True)
class Validation:
    """Rows that judge the epochs of a training.

    Attributes
    ----------
    strategy : {"random", "copies", "blocks", "groups", "cv", "X_val"} or None
        How they were chosen; None where no epoch is judged.

    folds : sequence of (train, held_out)
        Indices of samples.

    rows : ScaledReader or None
        What `held_out` counts in, where it is not the training data.

    clusters : ndarray of int or None
        Of each held-out sample, fold after fold: losses of one cluster are not independent. None where all are.

    block_size, gap : int
        Samples of a contiguous block, and samples on either side of it that are not trained on; 0 without blocks.
    """

    strategy: str | None = None
    folds: Sequence[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    rows: ScaledReader | None = None
    clusters: np.ndarray | None = None
    block_size: int = 0
    gap: int = 0

    @property
    def report(self):
        """What the attribute `validation_` says, as plain values."""
        judged = [held_out for _, held_out in self.folds]
        return {
            "strategy": self.strategy,
            "n_folds": len(self.folds),
            "block_size": self.block_size,
            "gap": self.gap,
            "n_validation": len(np.unique(np.concatenate(judged))) if judged else 0,
        }

    def cut(self, n_folds):
        """The same with the first so many folds; None is all."""
        folds = self.folds[:n_folds]
        n_judged = sum(len(held_out) for _, held_out in folds)
        return replace(
            self, folds=folds, clusters=None if self.clusters is None else _numbered(self.clusters[:n_judged])
        )

    def __str__(self):
        """A sentence for who watches."""
        if self.strategy is None:
            return "No samples are held out."
        how = {
            "random": "chosen at random",
            "copies": "chosen at random, copies of a sample together",
            "blocks": f"in blocks of {self.block_size}, with gaps of {self.gap}, since samples depend on their neighbors",
            "groups": "in whole groups",
            "cv": "as cv splits them",
            "X_val": "those of X_val",
        }[self.strategy]
        folds = "one fold" if len(self.folds) == 1 else f"{len(self.folds)} folds"
        return f"{self.report['n_validation']} samples judge the epochs, {how} ({folds})."


def choose_validation(rows, *, fraction, cv, groups, y, seed):
    """Choose which of the training samples are held out.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    fraction : float or "auto"
        Share of the samples that is held out; "auto" is a fifth, and 1,000 samples at most.

    cv : int, splitter, iterable or None
        None chooses here: whole groups if there are any, else samples at random, but copies of a sample together, and
        blocks of a series.

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
        If no sample would be held out, or fewer than two would be trained on.
    """
    n = len(rows)
    if cv is not None:
        folds = _splits(cv, n, y, groups)
        judged = np.concatenate([held_out for _, held_out in folds])
        clusters = judged if groups is None else groups[judged]  # what is held out more than once counts once
        return Validation("cv", folds, clusters=_numbered(clusters))

    n_held_out = _n_held_out(n, fraction)
    n_folds = min(n // n_held_out, math.ceil(FOLDED_ROWS / n))
    if groups is not None:
        least = min(len(np.unique(groups)) // 5, ENOUGH_GROUPS)
        folds = _whole_groups(groups, n_held_out / n, n_folds, seed, largest=n / 2, least=least)
        return Validation("groups", folds, clusters=_clusters(folds, groups))
    clean = rows.clean  # which many noisy ones may share
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
        # many copies of one sample would fill a fold by themselves
        folds = _whole_groups(copies, n_held_out / n, n_folds, seed, largest=n_held_out, least=1)
        return Validation("copies", folds, clusters=_clusters(folds, copies)) if folds else Validation()
    order = np.random.RandomState(seed).permutation(n)
    starts = range(0, n_folds * n_held_out, n_held_out)
    return Validation(
        "random", [(np.delete(order, np.s_[i : i + n_held_out]), order[i : i + n_held_out]) for i in starts]
    )


def given_validation(n_rows, rows):
    """A user's own validation set, which judges a network that is trained on all samples.

    Parameters
    ----------
    n_rows : int
        Of the training data.

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
        Numbers of the groups.

    Raises
    ------
    ValueError
        If there is not one for each sample, or only one in all.
    """
    if groups is None:
        return None
    groups = column_or_1d(groups)
    check_consistent_length(X, groups)
    try:
        labels, numbers = np.unique(groups, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"groups holds labels of several types, which can't be compared: {error}.") from error
    if len(labels) < 2:
        raise ValueError(
            f"groups holds one label, {labels[0]}, for all samples: no group can be held out from the others. Pass 2 or "
            "more groups, or groups=None."
        )
    return numbers


def _n_held_out(n_rows, fraction):
    n_held_out = min(n_rows // 5, MAX_HELD_OUT) if fraction == "auto" else int(fraction * n_rows)
    if n_held_out < 1 or n_rows - n_held_out < 2:
        raise ValueError(
            f"validation_fraction={fraction!r} of n_samples={n_rows} holds out {n_held_out} samples and leaves "
            f"{n_rows - n_held_out} to train on. Choose it so that at least 1 is held out and 2 are left."
        )
    return n_held_out


def _splits(cv, n_rows, y, groups):
    """Folds of a scikit-learn splitter, or of whatever gives pairs of indices."""
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
                f"cv={cv!r} has a split that holds out samples on which it trains. Take them out of either."
            )
        folds.append(tuple(fold))
    if not folds:
        raise ValueError(f"cv={cv!r} has no splits.")
    return folds


def _whole_groups(groups, share, n_folds, seed, *, largest, least):
    """Hold out groups, in random order, until there are about so many samples, and so many groups, in a fold.

    Groups of more samples than `largest` are always trained on, and the share is of the others.
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
    """Hold out contiguous blocks, and train on no sample within the gap of one."""
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
    """The number of the group of each held-out sample, fold after fold."""
    return _numbered(np.concatenate([groups[held_out] for _, held_out in folds]))


def _numbered(labels):
    return np.unique(labels, return_inverse=True)[1]
