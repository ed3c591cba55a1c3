"""Functions shared by the displays: estimators and data, axes, images, and bars for features."""

import math

import numpy as np
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from skae._data.readers import with_nan

SKAE_COLOR, PCA_COLOR, GRAY_COLOR = "#2a63b0", "#d1662a", "#a0a0a0"
# ten colors that can be distinguished with any type of color vision: M. A. Petroff, arXiv:2107.02270
PALETTE = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
CHANNELS = ((), (1,), (3,))  # valid shapes after height and width
MIN_SIDE = 8  # minimum side length of square images that are detected by their number of features
MAX_BARS = 40  # more features are plotted as a line, without names
IMAGE_INCHES = 0.7
PANEL_INCHES = 0.75


# Estimators and data -------------------------------------------------------------------------------------------------


def split_pipeline(estimator):
    """Return the transformers before the final estimator, and the final estimator.

    Pipelines, searches and frozen estimators are resolved.
    """
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


def final_estimator(estimator):
    """Return the final estimator: the last step of a pipeline, or the best estimator of a search."""
    return split_pipeline(estimator)[1]


def dense(X):
    """Return samples in any container as a dense array of floats, with NaN for missing values."""
    if hasattr(X, "columns"):  # data frames may have data types that NumPy lacks, or no numbers
        return check_array(with_nan(X), dtype=float, ensure_all_finite=False, ensure_min_samples=0)
    return X.toarray().astype(float) if issparse(X) else np.asarray(with_nan(X), dtype=float)


def encode(estimator, X):
    """Return the codes of X, (n, k)."""
    return dense(estimator.transform(X))


def decode(estimator, codes):
    """Return decoded codes, (n, d).

    Raises
    ------
    TypeError
        If the estimator has no `inverse_transform`.
    """
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            f"{type(estimator).__name__} has no inverse_transform, which is required to reconstruct samples. Use an "
            "estimator that has it, such as PCA or an autoencoder."
        )
    return dense(estimator.inverse_transform(codes))


def evenly_spaced_indices(X, n_samples):
    """Return evenly spaced indices of at most `n_samples` samples of X, including the first and the last."""
    n = _num_samples(X)
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples!r} must be at least 1: it is the number of samples to show.")
    return np.linspace(0, n - 1, min(n, n_samples)).round().astype(int)


def get_feature_names(estimator, X):
    """Return the feature names of the estimator or of the data frame X, or None."""
    names = getattr(estimator, "feature_names_in_", getattr(X, "columns", None))
    return None if names is None or not all(isinstance(name, str) for name in names) else list(names)


def get_image_shape(n_features, image_shape=None, estimator=None):
    """Return the shape of the images, or None if samples are not images.

    Parameters
    ----------
    n_features : int
        Number of features.

    image_shape : sequence of int or None
        The shape set by the user. If `()`, samples are not images. If None, the shape of the estimator, or that of a
        square gray image.

    estimator : object
        Estimator that may have an `image_shape`, or an architecture that has one.

    Returns
    -------
    shape : (height, width) or (height, width, 3), or None
        Shape of one image.

    Raises
    ------
    ValueError
        If `image_shape` doesn't fit the number of features.
    """
    if image_shape is None:
        inner = final_estimator(estimator)
        own = getattr(inner, "image_shape", getattr(getattr(inner, "architecture", None), "image_shape", None))
        if own is not None and math.prod(own) == n_features and tuple(own[2:]) in CHANNELS:
            return _drop_single_channel(own)
        side = math.isqrt(n_features)
        return (side, side) if side**2 == n_features and side >= MIN_SIDE else None
    if len(image_shape) == 0:
        return None
    fits = len(image_shape) >= 2 and math.prod(image_shape) == n_features
    if not fits or tuple(image_shape[2:]) not in CHANNELS:
        raise ValueError(
            f"image_shape={image_shape!r} does not fit samples with {n_features} features. Set it to (height, width) "
            "or (height, width, 3) whose product is this number, or to () if samples are not images."
        )
    return _drop_single_channel(image_shape)


def _drop_single_channel(shape):
    return tuple(shape[:2]) if tuple(shape[2:]) == (1,) else tuple(shape)


def check_components(components, n_components):
    """Return the indices of two components, starting at 0.

    Raises
    ------
    ValueError
        If they are not the indices of two different components.
    """
    if n_components < 2:
        raise ValueError(
            f"The code has n_components={n_components}, but the plot requires two. Fit an estimator with at least "
            "n_components=2."
        )
    components = tuple(components)
    if len(set(components)) != 2 or len(components) != 2 or not set(components) <= set(range(n_components)):
        raise ValueError(
            f"components={components!r} must be two different columns of the code, from 0 to {n_components - 1}. "
            "(0, 1) are the first two."
        )
    return components


def component_label(component, n_components):
    """Return the label of an axis, starting at 1, with the number of components if there are more than two."""
    return f"component {component + 1}" + (f" of {n_components}" if n_components > 2 else "")


# Axes ----------------------------------------------------------------------------------------------------------------


def import_pyplot(display):
    """Import matplotlib, which is optional, only for plotting.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        name = type(display).__name__
        raise ImportError(f'{name}.plot requires matplotlib. Install it with pip install "skae[plot]".') from error
    return plt


def get_axes(display, ax, figsize):
    """Return `ax`, or the axes of a new figure with a size in inches if it is None."""
    plt = import_pyplot(display)
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def subdivide(ax, n_rows, n_columns):
    """Replace axes by panels: return an array of axes of shape (n_rows, n_columns)."""
    ax.set_axis_off()
    spec = ax.get_subplotspec()
    wspace = None if ax.figure.get_layout_engine() else 0.4  # space for labels, unless a layout engine provides it
    if spec is None:  # axes that were placed manually
        box = ax.get_position()
        edges = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid = ax.figure.add_gridspec(n_rows, n_columns, wspace=wspace, **edges)
    else:
        grid = spec.subgridspec(n_rows, n_columns, wspace=wspace)
    places = [[grid[i, j] for j in range(n_columns)] for i in range(n_rows)]
    return np.array([[ax.figure.add_subplot(place) for place in row] for row in places])


def hide_spines(ax):
    """Hide the top and right spines of axes."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


# Samples as images ---------------------------------------------------------------------------------------------------


def to_rgba(rows, shape, low, high, cmap):
    """Return samples as RGBA images, (n, height, width, 4), where the colormap ranges from `low` to `high`."""
    span = np.where(np.greater(high, low), np.subtract(high, low), 1.0)
    images = ((rows - low) / span).clip(0, 1).reshape(-1, *shape)
    if images.ndim == 4:  # RGB images
        observed = ~np.isnan(images).any(axis=-1, keepdims=True)  # other pixels are transparent, as with a colormap
        return np.concatenate([np.where(observed, images, 0.0), observed], axis=-1)
    return cmap(images)


def tile_images(images, n_columns, gap=0):
    """Arrange images of shape (n, h, w, 4) in lines, as a single image with transparent gaps."""
    n, height, width, _ = images.shape
    n_lines = math.ceil(n / n_columns)
    canvas = np.ones((n_lines * (height + gap) - gap, n_columns * (width + gap) - gap, 4))
    canvas[..., 3] = 0
    for i, image in enumerate(images):
        top, left = i // n_columns * (height + gap), i % n_columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def image_gap(width):
    """Return the number of pixels between images of this width."""
    return max(1, round(width / 14))


def draw_images(ax, images, n_columns, labels):
    """Draw images of shape (n, h, w, 4) in lines, with a label for each line."""
    height, width = images.shape[1:3]
    gap = image_gap(width)
    ax.imshow(tile_images(images, n_columns, gap))
    ax.set_yticks(np.arange(len(labels)) * (height + gap) + (height - 1) / 2, labels)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_anchor("W")  # keeps the labels next to the images, where layout engines expect them


def image_figsize(shape, n_lines, n_columns, room=0.0):
    """Return width and height of a figure of images, with some room to the left of them."""
    inches, gap = min(IMAGE_INCHES, 12 / n_columns), image_gap(shape[1]) / shape[1]
    height = min(shape[0] / shape[1], 3)
    return (n_columns * (1 + gap) - gap) * inches + room, (n_lines * (height + gap) - gap) * inches + 0.1


# Samples as panels of features ---------------------------------------------------------------------------------------


def feature_panels(display, ax, n_panels, n_features, names):
    """Return vertically stacked panels, with the names of the features below the last one."""
    named = names is not None and n_features <= MAX_BARS
    room = 0.5 + (0.07 * max(map(len, names)) if named else 0)
    ax = get_axes(display, ax, (min(max(0.25 * n_features, 5), 9), n_panels * PANEL_INCHES + room))
    axes = subdivide(ax, n_panels, 1)[:, 0]
    for panel in axes:
        hide_spines(panel).tick_params(labelbottom=panel is axes[-1], labelsize="small")
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
    """Draw samples, given as `series` of (label, sample, color), as grouped bars, or as lines for many features."""
    width = 0.8 / len(series)
    for i, (label, row, color) in enumerate(series):
        places = np.arange(len(row))
        if len(row) <= MAX_BARS:
            ax.bar(places + (i - (len(series) - 1) / 2) * width, row, width, color=color, label=label)
        else:
            ax.plot(places, row, color=color, linewidth=1, label=label)
