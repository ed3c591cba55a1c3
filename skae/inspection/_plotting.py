"""What the displays share: axes, images side by side, panels of features, and what is asked of an estimator."""

import math

import numpy as np
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from skae._data.readers import with_nan

OURS, PCAS, GRAY = "#2a63b0", "#d1662a", "#a0a0a0"
# ten colors that readers with any color vision tell apart: M. A. Petroff, arXiv:2107.02270
TEN_COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
CHANNELS = ((), (1,), (3,))  # what may come after height and width
MIN_SIDE = 8  # of a square number of features that is taken for an image
MAX_BARS = 40  # more features are a line, and have no names
IMAGE_INCHES = 0.7
PANEL_INCHES = 0.75


# Estimators and data -------------------------------------------------------------------------------------------------


def taken_apart(estimator):
    """Return the transformers before the estimator that makes the code, and this; in pipelines, searches, or frozen."""
    before = []
    while True:
        if isinstance(estimator, Pipeline):
            before += [step for _, step in estimator.steps[:-1] if step not in (None, "passthrough")]
            estimator = estimator[-1]
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return before, estimator


def innermost(estimator):
    """Return the estimator that makes the code: the last step of a pipeline, the best one of a search."""
    return taken_apart(estimator)[1]


def dense(X):
    """Return samples as a dense array of floats, whatever they come in; NaN where a cell is missing."""
    if hasattr(X, "columns"):  # a frame has numbers that NumPy has not, or none
        return check_array(with_nan(X), dtype=float, ensure_all_finite=False, ensure_min_samples=0)
    return X.toarray().astype(float) if issparse(X) else np.asarray(with_nan(X), dtype=float)


def encode(estimator, X):
    """Return the codes of X, (n, k)."""
    return dense(estimator.transform(X))


def decode(estimator, codes):
    """Return what codes are decoded to, (n, d).

    Raises
    ------
    TypeError
        If the estimator can't transform back.
    """
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            f"{type(estimator).__name__} has no inverse_transform, so there is nothing to show beside the data. Use an "
            "estimator that transforms back, such as PCA or an autoencoder."
        )
    return dense(estimator.inverse_transform(codes))


def spread_evenly(X, n_samples):
    """Return indices of so many samples of X, or of all, the first and the last among them."""
    n = _num_samples(X)
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples!r} must be 1 or more: it is the number of samples to show.")
    return np.linspace(0, n - 1, min(n, n_samples)).round().astype(int)


def names_of_features(estimator, X):
    """Return the names of the features that the estimator or the frame X knows, or None."""
    names = getattr(estimator, "feature_names_in_", getattr(X, "columns", None))
    return None if names is None or not all(isinstance(name, str) for name in names) else list(names)


def shape_of_images(n_features, image_shape=None, estimator=None):
    """Shape of the images that samples are, or None if they are no images.

    Parameters
    ----------
    n_features : int

    image_shape : sequence of int or None
        What the user says. `()` is no image. None is the estimator's own shape, or a gray square.

    estimator : object
        Which may have an `image_shape`, or an architecture that has one.

    Returns
    -------
    shape : (height, width) or (height, width, 3), or None

    Raises
    ------
    ValueError
        If what the user says doesn't fit the number of features.
    """
    if image_shape is None:
        inner = innermost(estimator)
        own = getattr(inner, "image_shape", getattr(getattr(inner, "architecture", None), "image_shape", None))
        if own is not None and math.prod(own) == n_features and tuple(own[2:]) in CHANNELS:
            return _without_one_channel(own)
        side = math.isqrt(n_features)
        return (side, side) if side**2 == n_features and side >= MIN_SIDE else None
    if len(image_shape) == 0:
        return None
    fits = len(image_shape) >= 2 and math.prod(image_shape) == n_features
    if not fits or tuple(image_shape[2:]) not in CHANNELS:
        raise ValueError(
            f"image_shape={image_shape!r} does not fit samples of {n_features} features. Give (height, width) or (height, "
            "width, 3) whose product is that number, or () if samples are no images."
        )
    return _without_one_channel(image_shape)


def _without_one_channel(shape):
    return tuple(shape[:2]) if tuple(shape[2:]) == (1,) else tuple(shape)


def check_components(components, n_components):
    """Return two columns of a code, counted from zero.

    Raises
    ------
    ValueError
        If they are not two different columns that exist.
    """
    if n_components < 2:
        raise ValueError(
            f"The code has n_components={n_components}, and a plane needs two. Fit an estimator with n_components=2 or "
            "more."
        )
    components = tuple(components)
    if len(set(components)) != 2 or len(components) != 2 or not set(components) <= set(range(n_components)):
        raise ValueError(
            f"components={components!r} must be two different columns of the code, from 0 to {n_components - 1}. "
            "(0, 1) are its first."
        )
    return components


def label_of(component, n_components):
    """Return the label of an axis, counted from one, that says of how many components it is one if there are more."""
    return f"component {component + 1}" + (f" of {n_components}" if n_components > 2 else "")


# Axes ----------------------------------------------------------------------------------------------------------------


def import_pyplot(display):
    """Import matplotlib where something is drawn, and not before.

    Raises
    ------
    ImportError
        If it isn't installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        name = type(display).__name__
        raise ImportError(f'{name}.plot needs matplotlib. Install it with pip install "skae[plot]".') from error
    return plt


def axes_for(display, ax, figsize):
    """Return the axes given, or those of a new figure of so many inches."""
    plt = import_pyplot(display)
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def subdivide(ax, n_rows, n_columns):
    """Switch axes off and put panels in their place: an array of axes of shape (n_rows, n_columns)."""
    ax.set_axis_off()
    spec = ax.get_subplotspec()
    wspace = None if ax.figure.get_layout_engine() else 0.4  # room for labels, unless a layout makes it
    if spec is None:  # axes that were placed by hand
        box = ax.get_position()
        edges = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid = ax.figure.add_gridspec(n_rows, n_columns, wspace=wspace, **edges)
    else:
        grid = spec.subgridspec(n_rows, n_columns, wspace=wspace)
    places = [[grid[i, j] for j in range(n_columns)] for i in range(n_rows)]
    return np.array([[ax.figure.add_subplot(place) for place in row] for row in places])


def bare(ax):
    """Hide the lines of axes that close the box."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


# Samples as images
# ------------------------------------------------------------------------------------------------------


def pictures(rows, shape, low, high, cmap):
    """Return samples as images, (n, height, width, 4): the numbers from low to high are those of the color map."""
    span = np.where(np.greater(high, low), np.subtract(high, low), 1.0)
    images = ((rows - low) / span).clip(0, 1).reshape(-1, *shape)
    if images.ndim == 4:  # they have colors of their own
        there = ~np.isnan(images).any(axis=-1, keepdims=True)  # others are clear, as a map's are
        return np.concatenate([np.where(there, images, 0.0), there], axis=-1)
    return cmap(images)


def tiles(images, n_columns, gap=0):
    """Return images of shape (n, h, w, 4) side by side as one, line after line, with clear pixels in between."""
    n, height, width, _ = images.shape
    n_lines = math.ceil(n / n_columns)
    canvas = np.ones((n_lines * (height + gap) - gap, n_columns * (width + gap) - gap, 4))
    canvas[..., 3] = 0
    for i, image in enumerate(images):
        top, left = i // n_columns * (height + gap), i % n_columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def gap_between(width):
    """Pixels between images that are so wide."""
    return max(1, round(width / 14))


def draw_images(ax, images, n_columns, labels):
    """Draw images of shape (n, h, w, 4) side by side, with a label for each line."""
    height, width = images.shape[1:3]
    gap = gap_between(width)
    ax.imshow(tiles(images, n_columns, gap))
    ax.set_yticks(np.arange(len(labels)) * (height + gap) + (height - 1) / 2, labels)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_anchor("W")  # labels are then beside the images, where a layout looks for them


def size_of_images(shape, n_lines, n_columns, room=0.0):
    """Return width and height of a figure of so many images, and room to the left of them."""
    inches, gap = min(IMAGE_INCHES, 12 / n_columns), gap_between(shape[1]) / shape[1]
    height = min(shape[0] / shape[1], 3)
    return (n_columns * (1 + gap) - gap) * inches + room, (n_lines * (height + gap) - gap) * inches + 0.1


# Samples as panels of features
# ------------------------------------------------------------------------------------------


def feature_panels(display, ax, n_panels, n_features, names):
    """Return panels below each other, with the features named at the last one's foot."""
    named = names is not None and n_features <= MAX_BARS
    room = 0.5 + (0.07 * max(map(len, names)) if named else 0)
    ax = axes_for(display, ax, (min(max(0.25 * n_features, 5), 9), n_panels * PANEL_INCHES + room))
    axes = subdivide(ax, n_panels, 1)[:, 0]
    for panel in axes:
        bare(panel).tick_params(labelbottom=panel is axes[-1], labelsize="small")
        panel.margins(x=0.01)
        panel.axhline(0, color="black", linewidth=0.5)
        if named:
            panel.set_xticks(np.arange(n_features), names, rotation=90)
        else:
            panel.xaxis.get_major_locator().set_params(integer=True)
    if not named:
        axes[-1].set_xlabel("feature")
    return axes


def draw_features(ax, series):
    """Draw samples as bars side by side, or as lines if there are many features; `series` holds (label, sample, color)."""
    width = 0.8 / len(series)
    for i, (label, row, color) in enumerate(series):
        places = np.arange(len(row))
        if len(row) <= MAX_BARS:
            ax.bar(places + (i - (len(series) - 1) / 2) * width, row, width, color=color, label=label)
        else:
            ax.plot(places, row, color=color, linewidth=1, label=label)
