"""Checks of guessed shapes of samples, and for convolutions that skip pixels."""

import math
import warnings

import numpy as np

from skae.architectures import Convolutional, Recurrent

MIN_SIDE = 4  # smaller images have too few neighbors to decide
MIN_ROWS, MAX_ROWS = 10, 256
SERIES_RATIO = 3.0  # ratio of vertical to horizontal differences, above which samples are not images
ALIKE = 2.0  # differences within this factor count as equal
CORRELATED = 0.5  # maximum difference of correlated values, relative to unrelated ones


def warn_if_shape_is_unlikely(architecture, rows):
    """Warn if neighbors in a guessed shape are less similar than neighbors in another shape.

    Parameters
    ----------
    architecture : Architecture or None

    rows : ArrayReader of shape (n, d)
        Samples in units of the data.
    """
    name = {Convolutional: "image_shape", Recurrent: "sequence_shape"}.get(type(architecture))
    if name is None or getattr(architecture, name) is not None or len(rows) < MIN_ROWS:
        return
    some = np.linspace(0, len(rows) - 1, min(len(rows), MAX_ROWS)).astype(int)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = _likely_shape(rows.read(some).astype(np.float64), name)
    if found:
        taken, looks, shape = found
        guess = architecture.shape_of_row(rows.shape[1])
        warnings.warn(
            f"{name}=None interprets samples of {rows.shape[1]} features as {taken}, but they look like {looks}. Set "
            f"{name}={shape} if they are, or {name}={guess} if the guess is right.",
            UserWarning,
            stacklevel=2,
        )


def check_no_pixels_skipped(architecture):
    """Raise an error for convolutions that skip pixels, whose gradients also write out of bounds in PyTorch's kernels.

    Parameters
    ----------
    architecture : Architecture or None

    Raises
    ------
    ValueError
        If a kernel of one pixel has a stride of two.
    """
    if isinstance(architecture, Convolutional) and (architecture.kernel_size, architecture.downsampling) == (
        1,
        "stride",
    ):
        raise ValueError(
            "kernel_size=1 must be 3 or more with downsampling='stride': convolutions of one pixel with a stride of "
            "two skip pixels. Set kernel_size=3, or downsampling='max_pool'."
        )


def _likely_shape(X, name):
    """Return the assumed kind of samples, the likely kind, and its shape; None if the guess is plausible."""
    d = X.shape[1]
    side, is_image = math.isqrt(d), name == "image_shape"
    if side**2 == d and side >= MIN_SIDE:
        taken = f"gray images of {side} x {side}" if is_image else f"{side} steps of {side} features"
        if _is_series(X, side):
            return taken, f"series of {d} steps", (1, d) if is_image else (d, 1)
        half = side // 2
        if is_image and side % 2 == 0 and half >= MIN_SIDE and _has_channels(X, half, 4):
            return taken, f"images of {half} x {half} with 4 channels", (half, half, 4)
    side = math.isqrt(d // 3)
    if is_image and 3 * side**2 == d and side >= MIN_SIDE and _has_channels(X, side, 3):
        return f"one sample of {d} pixels", f"color images of {side} x {side}", (side, side, 3)
    return None


def _is_series(X, side):
    """Return whether adjacent values are much more similar than those a line apart, also across ends of lines."""
    across, within = _at_ends(X, 1, side)
    below = _difference(X, side)
    return below > SERIES_RATIO * _difference(X, 1) and within < ALIKE * across < ALIKE**2 * within


def _has_channels(X, side, n_channels):
    """Return whether pixels have channels: values of a channel are similar in adjacent pixels and lines.

    Values about half a line apart, which would be a line apart without channels, must not be similar, nor those across
    the end of a line, which would be similar in a periodic series.
    """
    line = side * n_channels
    across, within = _at_ends(X, n_channels, line)
    other = 2 * side if n_channels == 4 else side
    mixed = n_channels == 3 or within < _difference(X, 1) / ALIKE  # colors of a pixel may be more similar than pixels
    below = _difference(X, line)
    return mixed and below < _difference(X, other) / ALIKE and below < CORRELATED and across > ALIKE * within


def _difference(X, lag):
    """Return the mean squared difference of values at a lag, relative to that of unrelated values."""
    return np.square(X[:, lag:] - X[:, :-lag]).mean() / (2 * X.var())


def _at_ends(X, lag, line):
    """Return `_difference` for pairs across the end of a line, and for the other pairs."""
    by_place = np.square(X[:, lag:] - X[:, :-lag]).mean(axis=0) / (2 * X.var())
    ends = np.arange(len(by_place)) % line >= line - lag
    return by_place[ends].mean(), by_place[~ends].mean()
