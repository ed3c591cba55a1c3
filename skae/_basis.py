"""Training in principal axes of wide data: networks with fewer inputs, which are then converted to all features."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.utils.extmath import svd_flip

from skae._data.readers import RESIDENT_BYTES, Pair, ScaledReader
from skae._defaults import CLIP_AT
from skae._pca import covariance_of
from skae._solvers import neighbors_of
from skae._spec import Basis, read_weights

MIN_FEATURES = 256  # with fewer, the products with all features are fast
MAX_SHARE = 0.5  # maximum number of axes, as a fraction of the features: more would save little time
MAX_WORK = 2**38  # multiply-adds of a covariance
ROWS_PER_FEATURE = 16  # number of samples for a covariance: with more, the axes are hardly better
MAX_LEFT_OUT = 0.2  # maximum variance outside the axes, as a fraction of that outside the first n_components
MAX_LEFT_OUT_INCOMPLETE = 0.3  # the same if values are missing: the expectations that replace them widen the spectrum
NEGLIGIBLE = 1e-4  # fraction of the variance outside the axes that isn't tested for dependence on them
MIN_SHARE = 1e-10  # fraction of the largest variance, below which an axis is due to rounding
SAMPLED, N_NEIGHBORS, GROWTH = 2000, 5, 1.2


class RowsInBasis(ScaledReader):
    """Coordinates of scaled samples along axes.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    axes : ndarray of shape (r, d)
        In float32, like the coordinates.

    clip_at : ndarray of shape (d,) or None
        See `Projection`.

    Attributes
    ----------
    left_out : float
        Mean squared norm of the part of a sample that is orthogonal to the axes.

    has_far : bool
        Whether some values are beyond the limit.
    """

    def __init__(self, rows, axes, clip_at):
        (n, _), r = rows.shape, len(axes)
        near, far = np.empty((n, r), dtype=np.float32), None
        start, squares = 0, 0.0
        for batch in rows.batches():
            part = slice(start, start + len(batch))
            start += len(batch)
            limited = batch
            if clip_at is not None and (is_far := (np.abs(batch) > clip_at).any(axis=1)).any():
                limited = batch.clip(-clip_at, clip_at)
                far = np.zeros((n, r), dtype=np.float32) if far is None else far
                far[part][is_far] = (batch[is_far] - limited[is_far]).astype(np.float32) @ axes.T
            near[part] = limited.astype(np.float32) @ axes.T
            whole = near[part] if far is None else near[part] + far[part]
            squares += np.vdot(batch, batch) - np.square(whole, dtype=np.float64).sum()
        super().__init__(near if far is None else near + far, np.zeros(r), np.ones(r))
        self.rows, self.has_far, self.missing = rows, far is not None, rows.missing
        # with missing values, the loss is computed from all features, so that nothing has to be added
        self.left_out = 0.0 if rows.missing is not None else max(squares, 0.0) / n
        self.parts = near, far

    @property
    def source(self):
        """The samples with all features."""
        return self.rows

    def on_device(self, device):
        """Return all samples as a float32 tensor of shape (n, r), or a pair of the network's input and the target.

        If values are beyond the limit, the input, (n, 2 r), has the coordinates of the parts within the limit and
        beyond. If values are missing, the target has all features, (n, d), with NaN for missing values.
        """
        seen = whole = self._alone_on(device)
        if self.has_far:
            near, far = self.parts
            seen = torch.tensor(np.hstack([near, np.zeros_like(near) if far is None else far]), device=device)
        if self.missing is not None:
            return Pair(seen, self.rows.there._alone_on(device))
        return Pair(seen, whole) if self.has_far else whole

    def _alone_on(self, device):
        return torch.from_numpy(self.X) if device.type == "cpu" else super()._alone_on(device)


class Space:
    """The space of the training data: all features, or coordinates along principal axes.

    Parameters
    ----------
    spec : ModuleSpec
        Spec of networks on all features.

    rows, rows_val : ScaledReader
        Training data, and separate validation data or None.

    axes : ndarray of shape (r, d) or None
        If None, all features are used.

    Attributes
    ----------
    spec, rows, rows_val
        The parameters, converted to the axes.
    """

    def __init__(self, spec, rows, rows_val, axes=None):
        self.features, self.spec, self.rows, self.rows_val, self.axes = spec, spec, rows, rows_val, axes
        if axes is None:
            return
        clip_at = CLIP_AT * spec.spread if spec.linear else None
        self.rows = RowsInBasis(rows, axes, clip_at)
        self.rows_val = None if rows_val is None else RowsInBasis(rows_val, axes, clip_at)
        both = self.rows, self.rows_val or self.rows
        for each in both:
            each.has_far = any(of_one.has_far for of_one in both)
        basis = Basis(axes, clip_at if self.rows.has_far else None, (both[1].left_out, self.rows.left_out))
        self.spec = replace(spec, sizes=(len(axes), *spec.sizes[1:]), basis=basis)

    def whole(self, module):
        """Return a module on all features that is equivalent to a trained module."""
        if self.axes is None:
            return module
        weights = self.whole_weights(type(module), read_weights(module))
        found = self.features.build(type(module), weights)
        found.axes = module.axes
        return found.to(next(module.parameters()).device)

    def whole_weights(self, module_class, weights):
        """Return the weights on all features that are equivalent to weights in the axes."""
        if self.axes is None:
            return weights
        features = self.features.build(module_class).state_dict()
        return {name: self._along_features(value, features[name].shape) for name, value in weights.items()}

    def _along_features(self, value, shape):
        """Convert the dimensions of a weight that belong to the axes to dimensions of features."""
        for place, (length, wanted) in enumerate(zip(value.shape, shape, strict=True)):
            if length != wanted:
                value = np.moveaxis(np.tensordot(value, self.axes, (place, 0)), -1, place)
        return np.ascontiguousarray(value)


def axes_for(rows, n_components):
    """Return the axes in which networks are trained, or None to train on all features.

    If there are at most half as many samples as features, these are all principal axes, which leave no variance out.
    Otherwise the number of axes is chosen such that the variance that they leave out is a small fraction of that which
    `n_components` components leave out, and can't be predicted from the axes, so that no network could learn it.

    Parameters
    ----------
    rows : ScaledReader of shape (n, d)

    n_components : int

    Returns
    -------
    axes : ndarray of shape (r, d) or None
        In float32.
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
        most_left = MAX_LEFT_OUT if rows.missing is None else MAX_LEFT_OUT_INCOMPLETE
        enough = max(most_left * left[min(n_components, len(left)) - 1], MIN_SHARE)
        r = max(n_components, 1 + int(np.argmax(left <= enough)))
        scores = rows.read(np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(int))) @ axes.T
        while r <= min(most, len(left)) and left[r - 1] > NEGLIGIBLE and _is_predictable(scores, r):
            r = max(r + 1, int(r * GROWTH))
        if r > most:
            return None
        axes = axes[:r]
    _, axes = svd_flip(None, axes, u_based_decision=False)  # the signs don't depend on the machine
    return axes.astype(np.float32)


def _of_rows(rows):
    """Return squared singular values, in descending order, and principal axes, from the Gram matrix of the samples."""
    X = np.concatenate(list(rows.batches()))
    X -= X.mean(axis=0)
    squares, scores = np.linalg.eigh(X @ X.T)
    squares, scores = squares[::-1], scores[:, ::-1]
    n_real = np.count_nonzero(squares > MIN_SHARE * squares[0])
    return squares[:n_real], (scores[:, :n_real] / np.sqrt(squares[:n_real])).T @ X


def _of_features(rows):
    """Return variances, in descending order, and principal axes, from the covariance of features in some samples."""
    n, d = rows.shape
    if n > ROWS_PER_FEATURE * d:
        rows = rows.take(np.sort(np.random.default_rng(0).choice(n, ROWS_PER_FEATURE * d, replace=False)))
    variance, axes = np.linalg.eigh(covariance_of(rows)[1])
    return variance[::-1].clip(min=0.0), axes.T[::-1]


def _is_predictable(scores, r):
    """Return whether nearest neighbors predict the later scores from the first r better than the mean does.

    `scores` has the shape (n, d). Every other sample is predicted from those in between, so that both halves have the
    same distribution if the samples are ordered.
    """
    (train_x, test_x), (train_y, test_y) = ((part[::2], part[1::2]) for part in (scores[:, :r], scores[:, r:]))
    _, nearest = neighbors_of(train_x, N_NEIGHBORS).kneighbors(test_x)
    error = np.square(test_y - train_y[nearest].mean(axis=1)).sum()
    return error < np.square(test_y - train_y.mean(axis=0)).sum()
