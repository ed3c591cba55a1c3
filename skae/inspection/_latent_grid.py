"""A plane of codes, decoded."""

import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from skae._typing import Axes, Colormap, Figure, MatrixLike
from skae.inspection._plotting import (
    axes_for,
    check_components,
    decode,
    dense,
    encode,
    import_pyplot,
    innermost,
    label_of,
    pictures,
    shape_of_images,
    spread_evenly,
    tiles,
)

INCHES, MIN_INCHES = 5.0, 1.8
GRAYS = (1, 99)  # percentiles that are black and white: a corner may go far
MAX_ROWS = 1000  # whose percentiles are taken


class LatentGridDisplay:
    """A plane of codes, decoded to images.

    It is made by `from_estimator`.

    Parameters
    ----------
    images : ndarray of shape (n_steps, n_steps, n_features)
        Decoded codes; the first axis is that of the second component.

    x, y : ndarray of shape (n_steps,)
        Values of the two components.

    image_shape : (height, width) or (height, width, 3)
        Of a sample, with channels last.

    limits : (float, float), default=None
        Values that are black and white. None takes the 1st and the 99th percentile of the images.

    xlabel, ylabel : str, default=None
        What the axes are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images.

    figure_ : matplotlib Figure
        The figure they are in.

    See Also
    --------
    LatentSpaceDisplay : Where the codes of samples lie in such a plane.

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
        """Decode a plane of codes and draw the images.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform` and `inverse_transform`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Data. Their codes say where the plane lies, and their 1st and 99th percentiles are black and white. None
            takes a mean of zero and the variance the estimator knows, if its codes are centered.

        components : (int, int), default=(0, 1)
            Columns of the codes, counted from zero. The labels of the axes count from one. Other components stay at
            their mean.

        n_steps : int, default=15
            Number of values of each.

        spread : float, default=2.0
            How far from the mean they go, in standard deviations.

        image_shape : (height, width) or (height, width, 3), default=None
            Of a sample, with channels last. None is the estimator's own `image_shape` if it has one, or else a gray
            square if the number of features is the square of 8 or more.

        cmap : str or matplotlib Colormap, default="gray"
            Of gray images.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : LatentGridDisplay
            What is drawn, and where.

        Raises
        ------
        ValueError
            If samples are no images, or X is needed to know where codes lie, or a parameter is not as it should be.
        """
        check_is_fitted(estimator)
        if not isinstance(n_steps, numbers.Integral) or n_steps < 2:
            raise ValueError(f"n_steps={n_steps!r} must be an int of 2 or more: it is the number of images a side.")
        if not spread > 0:
            raise ValueError(f"spread={spread!r} must be above 0: it is a number of standard deviations.")
        mean, deviation = _where_codes_lie(estimator, X)
        first, second = check_components(components, len(mean))
        steps = np.linspace(-spread, spread, n_steps)
        x, y = mean[first] + steps * deviation[first], mean[second] + steps * deviation[second]
        codes = np.tile(mean, (n_steps, n_steps, 1))
        codes[..., first], codes[..., second] = x[None, :], y[:, None]
        images = decode(estimator, codes.reshape(-1, len(mean)))
        shape = shape_of_images(images.shape[1], image_shape, estimator)
        if shape is None:
            raise ValueError(
                f"image_shape={image_shape!r}: samples of {images.shape[1]} features are no images. If they are, give "
                "image_shape=(height, width); if not, see ComponentsDisplay."
            )
        labels = {name: label_of(i, len(mean)) for name, i in (("xlabel", first), ("ylabel", second))}
        images = images.reshape(n_steps, n_steps, -1)
        limits = None
        if X is not None:
            limits = np.nanpercentile(dense(_safe_indexing(X, spread_evenly(X, MAX_ROWS))), GRAYS)
        return cls(images, x, y, image_shape=shape, limits=limits, **labels).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray") -> Self:
        """Draw the images side by side, on one scale.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        cmap : str or matplotlib Colormap, default="gray"
            Of gray images.

        Returns
        -------
        self : LatentGridDisplay
            The same display, drawn.
        """
        plt = import_pyplot(self)
        height, width = self.image_shape[:2]
        gap = max(1, round(width / 28))
        rows = self.images[::-1].reshape(-1, self.images.shape[2])  # the first line is the highest
        limits = np.percentile(rows, GRAYS) if self.limits is None else self.limits
        images = pictures(rows, self.image_shape, *limits, plt.get_cmap(cmap))
        canvas = tiles(images, self.images.shape[1], gap)
        side = canvas.shape[0] / canvas.shape[1]  # the height of the whole, of width 1
        inches = min(INCHES, INCHES / side)
        ax = axes_for(self, ax, (max(inches + 0.2, MIN_INCHES), max(inches * side, MIN_INCHES)))
        extent = (*_edges(self.x, width / (width + gap)), *_edges(self.y, height / (height + gap)))
        ax.imshow(canvas, extent=extent, aspect="auto")
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel, box_aspect=side, anchor="SW")
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _where_codes_lie(estimator, X):
    """Mean and standard deviation of each component, (k,): of the codes of X, or those that the estimator knows."""
    if X is not None:
        codes = encode(estimator, X)
        return codes.mean(axis=0), codes.std(axis=0)
    inner = innermost(estimator)
    # TruncatedSVD has no mean; those of ours that have one of these don't center their codes
    centered = hasattr(inner, "mean_") and not hasattr(inner, "sparsity") and not hasattr(inner, "layers")
    centered = centered and getattr(inner, "code_activation", "identity") == "identity"
    if not centered or not hasattr(inner, "explained_variance_"):
        name = type(inner).__name__
        raise ValueError(f"X=None, and {name} does not say where its codes lie. Give X, such as the training data.")
    variance = np.asarray(inner.explained_variance_, dtype=float)
    return np.zeros_like(variance), np.ones_like(variance) if getattr(inner, "whiten", False) else np.sqrt(variance)


def _edges(values, share):
    """Outer edges of images that are centered at these values and fill a share of the way from one to the next."""
    step = (values[-1] - values[0]) / (len(values) - 1) or 1.0  # a component that never moves has some width too
    half = share * step / 2
    return values[0] - half, values[-1] + half
