"""Rows that were drawn or decoded, side by side."""

import math
import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skae._typing import Axes, Colormap, Figure, Seed
from skae.inspection._plotting import (
    OURS,
    axes_for,
    decode,
    dense,
    draw_features,
    draw_images,
    encode,
    feature_panels,
    import_pyplot,
    names_of_features,
    pictures,
    shape_of_images,
    size_of_images,
)

IMAGES_A_LINE = 10
GRAYS = (1, 99)  # percentiles that are black and white: a sample may go far


class SamplesDisplay:
    """Rows side by side: drawn from a model, or on the way from one sample to another.

    It is made by `from_estimator` or `from_interpolation`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Data. They are drawn as they are.

    image_shape : (height, width) or (height, width, 3), default=None
        Of a sample, with channels last. None draws bars, or lines if there are more than 40 features.

    feature_names : list of str, default=None
        Names below the bars.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.

    axes_ : ndarray of matplotlib Axes of shape (n_axes,)
        One for all images, or one for the bars of each sample.

    figure_ : matplotlib Figure
        The figure they are in.

    See Also
    --------
    LatentGridDisplay : Codes on a plane, decoded.
    ReconstructionDisplay : Samples above their reconstructions.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder, LatentSampler
    >>> from skae.inspection import SamplesDisplay
    >>> X = load_digits().data[:200]
    >>> sampler = LatentSampler(Autoencoder(8, max_iter=5, random_state=0), random_state=0).fit(X)
    >>> SamplesDisplay.from_estimator(sampler, n_samples=20, random_state=0).X.shape
    (20, 64)
    >>> SamplesDisplay.from_interpolation(sampler.autoencoder_, X[0], X[1], n_steps=8).X.shape
    (8, 64)
    """

    ax_: Axes
    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        X: np.ndarray,
        *,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.X = X
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_samples: int = 20,
        random_state: Seed = None,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Draw samples from a model and show them.

        Parameters
        ----------
        estimator : object
            Fitted, with `sample`, such as `LatentSampler` or `VariationalAutoencoder`.

        n_samples : int, default=20
            How many samples to show, all of them drawn anew.

        random_state : int, RandomState instance or None, default=None
            Pass an int for the same samples at each call.

        image_shape : (height, width) or (height, width, 3), default=None
            Of a sample, with channels last. None is the estimator's own `image_shape` if it has one, or else a gray
            square if the number of features is the square of 8 or more. `()` is no image.

        cmap : str or matplotlib Colormap, default="gray"
            Of gray images.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure. Bars divide them up.

        Returns
        -------
        display : SamplesDisplay
            What is drawn, and where.

        Raises
        ------
        TypeError
            If the estimator can't draw samples.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "sample"):
            raise TypeError(
                f"{type(estimator).__name__} has no method sample. Fit LatentSampler({type(estimator).__name__}(...)), "
                "which draws codes and decodes them."
            )
        X = dense(estimator.sample(n_samples, random_state=random_state))
        inner = getattr(estimator, "autoencoder_", estimator)
        shape = shape_of_images(X.shape[1], image_shape, inner)
        return cls(X, image_shape=shape, feature_names=names_of_features(estimator, None)).plot(ax, cmap=cmap)

    @classmethod
    def from_interpolation(
        cls,
        estimator: Any,
        a: ArrayLike,
        b: ArrayLike,
        *,
        n_steps: int = 10,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Decode codes on the straight line between those of two samples and show them.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform` and `inverse_transform`.

        a, b : array-like of shape (n_features,)
            The two samples. The first and the last that are shown are their reconstructions.

        n_steps : int, default=10
            How many samples to show. It is 2 or more.

        image_shape : (height, width) or (height, width, 3), default=None
            Of a sample, with channels last. None is the estimator's own `image_shape` if it has one, or else a gray
            square if the number of features is the square of 8 or more. `()` is no image.

        cmap : str or matplotlib Colormap, default="gray"
            Of gray images.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure. Bars divide them up.

        Returns
        -------
        display : SamplesDisplay
            What is drawn, and where.

        Raises
        ------
        ValueError
            If `n_steps` is below 2.

        TypeError
            If the estimator can't transform back.
        """
        check_is_fitted(estimator)
        if not isinstance(n_steps, numbers.Integral) or n_steps < 2:
            raise ValueError(f"n_steps={n_steps!r} must be an int of 2 or more: the first and the last are a and b.")
        start, end = encode(estimator, np.stack([dense(a), dense(b)]))
        X = decode(estimator, np.linspace(start, end, n_steps))
        shape = shape_of_images(X.shape[1], image_shape, estimator)
        return cls(X, image_shape=shape, feature_names=names_of_features(estimator, None)).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray") -> Self:
        """Draw the samples, on one scale.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure. Bars divide them up.

        cmap : str or matplotlib Colormap, default="gray"
            Of gray images.

        Returns
        -------
        self : SamplesDisplay
            The same display, drawn.
        """
        plt = import_pyplot(self)
        if self.image_shape is None:
            self.axes_ = feature_panels(self, ax, *self.X.shape, self.feature_names)
            low, high = self.X.min(), self.X.max()
            for panel, row in zip(self.axes_, self.X, strict=True):
                draw_features(panel, [("sample", row, OURS)])
                panel.set_ylim(min(low, 0), max(high, 0) or 1)
        else:
            n_columns = min(len(self.X), IMAGES_A_LINE)
            n_lines = math.ceil(len(self.X) / n_columns)
            ax = axes_for(self, ax, size_of_images(self.image_shape, n_lines, n_columns, room=0.2))
            images = pictures(self.X, self.image_shape, *np.percentile(self.X, GRAYS), plt.get_cmap(cmap))
            draw_images(ax, images, n_columns, [])
            self.axes_ = np.array([ax])
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self
