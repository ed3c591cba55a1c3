"""Display of decoded codes on a grid in the latent space."""

import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from skae._typing import Axes, Colormap, Figure, MatrixLike
from skae.inspection._plotting import (
    check_components,
    component_label,
    decode,
    dense,
    encode,
    evenly_spaced_indices,
    final_estimator,
    get_axes,
    get_image_shape,
    import_pyplot,
    tile_images,
    to_rgba,
)

INCHES, MIN_INCHES = 5.0, 1.8
GRAYS = (1, 99)  # percentiles shown as black and white, since the corners may have extreme values
MAX_SAMPLES = 1000  # samples used for percentiles


class LatentGridDisplay:
    """Images decoded from a two-dimensional grid of codes.

    Create it with `from_estimator`.

    Parameters
    ----------
    images : ndarray of shape (n_steps, n_steps, n_features)
        Decoded codes. The first axis corresponds to the second component.

    x, y : ndarray of shape (n_steps,)
        Values of the first and of the second component.

    image_shape : (height, width) or (height, width, 3)
        Shape of one image, with channels last.

    limits : (float, float), default=None
        Values shown as black and white. If None, the 1st and the 99th percentile of the images.

    xlabel, ylabel : str, default=None
        Labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    LatentSpaceDisplay : Scatter plot of the codes of samples.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import LatentGridDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = Autoencoder(2, max_iter=5, random_state=0).fit(X)
    >>> display = LatentGridDisplay.from_estimator(autoencoder, X, n_steps=5)
    >>> display.images.shape
    (5, 5, 64)
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        images: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        *,
        image_shape: Sequence[int],
        limits: Sequence[float] | np.ndarray | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
    ) -> None:
        self.images = images
        self.x = x
        self.y = y
        self.image_shape = image_shape
        self.limits = limits
        self.xlabel = xlabel
        self.ylabel = ylabel

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike | None = None,
        *,
        components: Sequence[int] = (0, 1),
        n_steps: int = 15,
        spread: float = 2.0,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Decode a grid of codes and plot the images.

        Parameters
        ----------
        estimator : object
            Fitted estimator with `transform` and `inverse_transform`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Input data. The grid is centered and scaled by the mean and the standard deviation of their codes, and their
            1st and 99th percentiles are shown as black and white. If None, codes have mean 0 and the variance that the
            estimator stores, which requires an estimator with centered codes.

        components : (int, int), default=(0, 1)
            Indices of the components to plot, starting at 0. The labels of the axes start at 1. Other components are
            set to their mean.

        n_steps : int, default=15
            Number of values of each component.

        spread : float, default=2.0
            Maximum distance of the values from the mean, in standard deviations.

        image_shape : (height, width) or (height, width, 3), default=None
            Shape of one image, with channels last. If None, the `image_shape` of the estimator, or else that of a
            square gray image if the number of features is the square of 8 or more.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : LatentGridDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If samples are not images, X is required to determine the range of codes, or a parameter is invalid.
        """
        check_is_fitted(estimator)
        if not isinstance(n_steps, numbers.Integral) or n_steps < 2:
            raise ValueError(f"n_steps={n_steps!r} must be an int of at least 2: it is the number of images per axis.")
        if not spread > 0:
            raise ValueError(f"spread={spread!r} must be above 0: it is a number of standard deviations.")
        mean, deviation = _code_distribution(estimator, X)
        first, second = check_components(components, len(mean))
        steps = np.linspace(-spread, spread, n_steps)
        x, y = mean[first] + steps * deviation[first], mean[second] + steps * deviation[second]
        codes = np.tile(mean, (n_steps, n_steps, 1))
        codes[..., first], codes[..., second] = x[None, :], y[:, None]
        images = decode(estimator, codes.reshape(-1, len(mean)))
        shape = get_image_shape(images.shape[1], image_shape, estimator)
        if shape is None:
            raise ValueError(
                f"image_shape={image_shape!r}: samples with {images.shape[1]} features are not drawn as images. If "
                "they are images, set image_shape=(height, width); if not, use ComponentsDisplay."
            )
        labels = {name: component_label(i, len(mean)) for name, i in (("xlabel", first), ("ylabel", second))}
        images = images.reshape(n_steps, n_steps, -1)
        limits = None
        if X is not None:
            limits = np.nanpercentile(dense(_safe_indexing(X, evenly_spaced_indices(X, MAX_SAMPLES))), GRAYS)
        return cls(images, x, y, image_shape=shape, limits=limits, **labels).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray") -> Self:
        """Plot the images next to each other, on a common scale.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images.

        Returns
        -------
        self : LatentGridDisplay
            The display.
        """
        plt = import_pyplot(self)
        height, width = self.image_shape[:2]
        gap = max(1, round(width / 28))
        rows = self.images[::-1].reshape(-1, self.images.shape[2])  # images are drawn from top to bottom
        limits = np.percentile(rows, GRAYS) if self.limits is None else self.limits
        images = to_rgba(rows, self.image_shape, *limits, plt.get_cmap(cmap))
        canvas = tile_images(images, self.images.shape[1], gap)
        side = canvas.shape[0] / canvas.shape[1]  # aspect ratio
        inches = min(INCHES, INCHES / side)
        ax = get_axes(self, ax, (max(inches + 0.2, MIN_INCHES), max(inches * side, MIN_INCHES)))
        extent = (*_edges(self.x, width / (width + gap)), *_edges(self.y, height / (height + gap)))
        ax.imshow(canvas, extent=extent, aspect="auto")
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel, box_aspect=side, anchor="SW")
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _code_distribution(estimator, X):
    """Return mean and standard deviation of each component, (k,), from the codes of X or from attributes."""
    if X is not None:
        codes = encode(estimator, X)
        return codes.mean(axis=0), codes.std(axis=0)
    inner = final_estimator(estimator)
    # TruncatedSVD has no mean, and estimators of skae with these attributes have codes that are not centered
    centered = hasattr(inner, "mean_") and not hasattr(inner, "sparsity") and not hasattr(inner, "layers")
    centered = centered and getattr(inner, "code_activation", "identity") == "identity"
    if not centered or not hasattr(inner, "explained_variance_"):
        name = type(inner).__name__
        raise ValueError(
            f"X=None, and {name} has no attributes for the range of its codes. Pass X, such as the training data."
        )
    variance = np.asarray(inner.explained_variance_, dtype=float)
    return np.zeros_like(variance), np.ones_like(variance) if getattr(inner, "whiten", False) else np.sqrt(variance)


def _edges(values, fraction):
    """Return the outer edges of images centered at the values, whose size is a fraction of the step between them."""
    step = (values[-1] - values[0]) / (len(values) - 1) or 1.0  # avoids a width of zero for constant components
    half = fraction * step / 2
    return values[0] - half, values[-1] + half
