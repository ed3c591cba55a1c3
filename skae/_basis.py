"""Training in the principal axes of wide samples: networks of fewer inputs, which become those of all features."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.utils.extmath import svd_flip

from skae._data.readers import RESIDENT_BYTES, Pair, ScaledReader
from skae._defaults import CLIP_AT
from skae._pca import covariance_of
from skae._solvers import neighbors_of
from skae._spec import Basis, read_weights

MIN_FEATURES = 256  # fewer are soon multiplied by
MAX_SHARE = 0.5  # of the features: more axes save little
MAX_WORK = 2**38  # multiply-adds of a covariance
MAX_LEFT_OUT = 0.2  # of the variance, as a share of what the components of the code leave out
NOTHING = 1e-4  # of the variance
MIN_SHARE = 1e-10  # of the largest variance, below which an axis is rounding
SAMPLED, N_NEIGHBORS, GROWTH = 2000, 5, 1.2


class RowsInBasis(ScaledReader):
    """Scaled samples as their coordinates along axes.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    axes : ndarray of shape (r, d)
        In float32, as the coordinates.

    clip_at : ndarray of shape (d,) or None

    Attributes
    ----------
    left_out : float
        Mean squared length of what the axes leave out of a sample.

    has_far : bool
        Whether cells of some samples lie beyond the limit.
    """

    def __init__(self, rows, axes, clip_at):
        (n, _), r = rows.shape, len(axes)
        near, far = np.empty((n, r), dtype=np.float32), np.zeros((n, r), dtype=np.float32)
        start, squares = 0, 0.0
        for batch in rows.batches():
            within = batch if clip_at is None else batch.clip(-clip_at, clip_at)
            is_far = (within != batch).any(axis=1)
            part = slice(start, start + len(batch))
            near[part] = within.astype(np.float32) @ axes.T
            far[part][is_far] = (batch[is_far] - within[is_far]).astype(np.float32) @ axes.T
            squares += np.square(batch).sum() - np.square(near[part] + far[part], dtype=np.float64).sum()
            start += len(batch)
        super().__init__(near + far, np.zeros(r), np.ones(r))
        self.rows, self.has_far, self.missing = rows, bool(far.any()), rows.missing
        # where values are missing, the loss is computed in all features: there is nothing to add
        self.left_out = 0.0 if rows.missing is not None else max(squares, 0.0) / n
        self.parts = near, far if self.has_far else None

    @property
    def source(self):
        """The same samples with all their features."""
        return self.rows

    def on_device(self, device):
        """All samples as a tensor of float32, (n, r), or a pair of what is encoded and what it is compared with.

        With values beyond the limit, what lies within it and beyond is encoded, (n, 2 r). Where values are missing,
        reconstructions are compared with all features of the samples, (n, d), which are NaN there.
        """
        seen = whole = self._alone_on(device)
        if self.has_far:
            near, far = self.parts
            seen = torch.tensor(np.hstack([near, np.zeros_like(near) if far is None else far]), device=device)
        if self.missing is not None:
            return Pair(seen, self.rows.there._alone_on(device))
        return Pair(seen, whole) if self.has_far else whole


class Space:
    """What is trained on: samples as they are, or their coordinates along principal axes.

    Parameters
    ----------
    spec : ModuleSpec
        Of networks of all features.

    samples, judged : ScaledReader
        Training data, and the samples that judge if they are others, or None.

    axes : ndarray of shape (r, d) or None
        None leaves all as it is.

    Attributes
    ----------
    spec, samples, judged
        The same for networks in these axes.
    """

    def __init__(self, spec, rows, judged, axes=None):
        self.features, self.spec, self.rows, self.judged, self.axes = spec, spec, rows, judged, axes
        if axes is None:
            return
        clip_at = CLIP_AT * spec.spread if spec.linear else None
        self.rows = RowsInBasis(rows, axes, clip_at)
        self.judged = None if judged is None else RowsInBasis(judged, axes, clip_at)
        both = self.rows, self.judged or self.rows
        for each in both:
            each.has_far = any(of_one.has_far for of_one in both)
        basis = Basis(axes, clip_at if self.rows.has_far else None, (both[1].left_out, self.rows.left_out))
        self.spec = replace(spec, sizes=(len(axes), *spec.sizes[1:]), basis=basis)

    def whole(self, module):
        """The module of all features that computes the same as one that was trained."""
        if self.axes is None:
            return module
        weights = self.whole_weights(type(module), read_weights(module))
        found = self.features.build(type(module), weights)
        found.axes = module.axes
        return found.to(next(module.parameters()).device)

    def whole_weights(self, module_class, weights):
        """Weights of the module of all features that computes the same as one of these, in the axes."""
        if self.axes is None:
            return weights
        features = self.features.build(module_class).state_dict()
        return {name: self._along_features(value, features[name].shape) for name, value in weights.items()}

    def _along_features(self, value, shape):
        """Turn what counts along the axes, which are fewer, into what counts along features."""
        for place, (length, wanted) in enumerate(zip(value.shape, shape, strict=True)):
            if length != wanted:
                value = np.moveaxis(np.tensordot(value, self.axes, (place, 0)), -1, place)
        return np.ascontiguousarray(value)


def axes_for(rows, n_components):
    """The axes in which networks are trained, (r, d) in float32, or None where all features are as good.

    Of fewer samples than half of the features, all principal axes: nothing is left out. Of others so many that what
    they leave out is a small share of what `n_components` would, and that samples which are alike in these axes are not
    alike in what is left out: no network could tell it.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    n_components : int
    """
    n, d = rows.shape
    most = int(MAX_SHARE * d)
    few, many = sorted((n, d))
    too_large = few * few * many > MAX_WORK or 4 * n * min(n, most) > RESIDENT_BYTES
    if d < MIN_FEATURES or n_components >= most or too_large:
        return None
    if n <= d and 4 * n * d > RESIDENT_BYTES:
        return None
    variance, axes = _of_rows(rows) if n <= d else _of_features(rows)
    if n > most:
        left = 1 - np.cumsum(variance) / variance.sum()
        enough = max(MAX_LEFT_OUT * left[min(n_components, len(left)) - 1], MIN_SHARE)
        r = max(n_components, 1 + int(np.argmax(left <= enough)))
        scores = rows.read(np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(int))) @ axes.T
        while r <= min(most, len(left)) and left[r - 1] > NOTHING and _is_told(scores, r):
            r = max(r + 1, int(r * GROWTH))
        if r > most:
            return None
        axes = axes[:r]
    _, axes = svd_flip(None, axes, u_based_decision=False)  # the same on any machine
    return axes.astype(np.float32)


def _of_rows(rows):
    """Squares of singular values and principal axes, of the largest first, by the products of samples with each other."""
    X = np.concatenate(list(rows.batches()))
    X -= X.mean(axis=0)
    squares, scores = np.linalg.eigh(X @ X.T)
    squares, scores = squares[::-1], scores[:, ::-1]
    n_real = np.count_nonzero(squares > MIN_SHARE * squares[0])
    return squares[:n_real], (scores[:, :n_real] / np.sqrt(squares[:n_real])).T @ X


def _of_features(rows):
    """Variances and principal axes, of the largest first, by the covariance of the features."""
    variance, axes = np.linalg.eigh(covariance_of(rows)[1])
    return variance[::-1].clip(min=0.0), axes.T[::-1]


def _is_told(scores, r):
    """Whether what lies along later axes can be told from the first r, better than by the mean: (n, d) -> bool.

    By the mean of the nearest samples along those; samples of either half lie between those of the other, if they have
    an order.
    """
    (seen, asked), (told, wanted) = ((part[::2], part[1::2]) for part in (scores[:, :r], scores[:, r:]))
    _, nearest = neighbors_of(seen, N_NEIGHBORS).kneighbors(asked)
    missed = np.square(wanted - told[nearest].mean(axis=1)).sum()
    return missed < np.square(wanted - told.mean(axis=0)).sum()
