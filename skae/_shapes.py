"""Shapes of samples that were guessed, where the samples look as if the guess were wrong, and pixels that nobody sees."""

import math
import warnings

import numpy as np

from skae.architectures import Convolutional, Recurrent

MIN_SIDE = 4  # below that there are too few neighbors to tell by
MIN_ROWS, MAX_ROWS = 10, 256
FAR = 3.0  # a cell below differs by so many times as much as the next one: no image
ALIKE = 2.0  # ratios of differences within that factor count as equal
CORRELATED = 0.5  # differences below that share of those of unrelated cells


def warn_of_doubtful_shape(architecture, rows):
    """Warn if a guessed shape is doubtful: if neighbors in it are less alike than neighbors in another shape.

    Parameters
    ----------
    architecture : Architecture or None

    rows : ArrayReader of shape (n, d)
        As they are given.
    """
    name = {Convolutional: "image_shape", Recurrent: "sequence_shape"}.get(type(architecture))
    if name is None or getattr(architecture, name) is not None or len(rows) < MIN_ROWS:
        return
    some = np.linspace(0, len(rows) - 1, min(len(rows), MAX_ROWS)).astype(int)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        doubt = _doubt(rows.read(some).astype(np.float64), name)
    if doubt:
        taken, looks, shape = doubt
        guess = architecture.shape_of_row(rows.shape[1])
        warnings.warn(
            f"{name}=None takes samples of {rows.shape[1]} features for {taken}, but they look like {looks}. Set "
            f"{name}={shape} if they are, or {name}={guess} if the guess is right.",
            UserWarning,
            stacklevel=2,
        )


def check_that_pixels_are_seen(architecture):
    """Refuse convolutions that skip pixels: their gradients write beyond their memory in PyTorch's kernels, besides.

    Parameters
    ----------
    architecture : Architecture or None

    Raises
    ------
    ValueError
        If a kernel of one pixel moves by two.
    """
    if isinstance(architecture, Convolutional) and (architecture.kernel_size, architecture.downsampling) == (
        1,
        "stride",
    ):
        raise ValueError(
            "kernel_size=1 must be 3 or more with downsampling='stride': convolutions of one pixel that move by two "
            "skip pixels. Set kernel_size=3, or downsampling='max_pool'."
        )


def _doubt(X, name):
    """What samples are taken for, what they look like, and the shape of that; None if there is no doubt."""
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
    """Whether cells along a sample are much more alike than cells below each other, across the ends of lines as well."""
    across, within = _at_ends(X, 1, side)
    below = _difference(X, side)
    return below > FAR * _difference(X, 1) and within < ALIKE * across < ALIKE**2 * within


def _has_channels(X, side, n_channels):
    """Whether pixels have channels: cells of one channel, of neighbors and of lines below, are alike.

    Cells half a line or so away, which would be a line below if there were no channels, are not; and neither are those
    where a line ends and the next one begins, as they would be in a series with a period.
    """
    line = side * n_channels
    across, within = _at_ends(X, n_channels, line)
    other = 2 * side if n_channels == 4 else side
    mixed = n_channels == 3 or within < _difference(X, 1) / ALIKE  # colors of a pixel may be more alike than pixels
    below = _difference(X, line)
    return mixed and below < _difference(X, other) / ALIKE and below < CORRELATED and across > ALIKE * within


def _difference(X, lag):
    """Mean square of the difference of cells so far apart, as a share of that of unrelated cells."""
    return np.square(X[:, lag:] - X[:, :-lag]).mean() / (2 * X.var())


def _at_ends(X, lag, line):
    """The same, of pairs of which one is in the next line, and of the others."""
    by_place = np.square(X[:, lag:] - X[:, :-lag]).mean(axis=0) / (2 * X.var())
    ends = np.arange(len(by_place)) % line >= line - lag
    return by_place[ends].mean(), by_place[~ends].mean()
