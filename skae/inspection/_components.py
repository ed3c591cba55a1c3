"""Display of the effect of each component of the code on the features."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skae._typing import Axes, Colormap, Figure, MatrixLike
from skae.inspection._plotting import (
    SKAE_COLOR,
    draw_features,
    draw_images,
    feature_panels,
    get_axes,
    get_feature_names,
    get_image_shape,
    image_figsize,
    import_pyplot,
    split_pipeline,
    to_rgba,
)

MAX_IMAGES, IMAGES_PER_LINE = 50, 10
MAX_PANELS = 8


class ComponentsDisplay:
    """Atoms or loadings of each component of the code, as images or as bars for the features.

    Create it with `from_estimator`.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        Change of a sample per unit of each component.

    image_shape : (height, width) or (height, width, 3), default=None
        Shape of one image, with channels last. If None, bars are drawn, or lines if there are more than 40 features.

    feature_names : list of str, default=None
        Names of the features, shown next to the bars.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first axes of `axes_`.

    axes_ : ndarray of matplotlib Axes of shape (n_axes,)
        One axes for all images, or one for the bars of each component.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    ReconstructionDisplay : Samples and their reconstructions.
    LatentGridDisplay : Joint effect of two components on an image.
    skae.Autoencoder.loadings : The values that are plotted for an autoencoder without atoms.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import ComponentsDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = Autoencoder(2, max_iter=5, random_state=0).fit(X)
    >>> ComponentsDisplay.from_estimator(autoencoder, X).components.shape
    (2, 64)
    """

    ax_: Axes
    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        components: np.ndarray,
        *,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.components = components
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike | None = None,
        *,
        n_components: int | None = None,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "RdBu_r",
        ax: Axes | None = None,
    ) -> Self:
        """Plot the atoms of an estimator, or its mean local loadings on X.

        Parameters
        ----------
        estimator : object
            Fitted estimator with `loadings` or `components_`. For a pipeline, the components of its last step are
            plotted, for the features that this step sees.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Input data. They are passed to `estimator.loadings`. If None, or without this method, `components_` is
            plotted.

        n_components : int, default=None
            Number of components to plot. If None, all of them, up to 50 images or 8 panels of bars.

        image_shape : (height, width) or (height, width, 3), default=None
            Shape of one image, with channels last. If None, the `image_shape` of the estimator, or else that of a
            square gray image if the number of features is the square of 8 or more. If `()`, samples are not drawn as
            images.

        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colormap of gray images. It is centered at zero.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        Returns
        -------
        display : ComponentsDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If X is required, `n_components` exceeds the number of components, or `image_shape` does not fit the number
            of features.
        """
        check_is_fitted(estimator)
        before, inner = split_pipeline(estimator)
        names = get_feature_names(estimator, X)
        for step in before:
            names = (
                step.get_feature_names_out(names)
                if names is not None and hasattr(step, "get_feature_names_out")
                else None
            )
        if X is not None and hasattr(inner, "loadings"):
            for step in before:
                X = step.transform(X)
            components = inner.loadings(X).T
        elif hasattr(inner, "components_"):
            components = np.asarray(inner.components_)
        else:
            advice = (
                "Pass X to plot its local loadings." if hasattr(inner, "loadings") else "It has no loadings either."
            )
            raise ValueError(f"X=None, and {type(inner).__name__} has no components_. {advice}")
        shape = get_image_shape(components.shape[1], image_shape, inner)
        if n_components is None:
            n_components = min(len(components), MAX_PANELS if shape is None else MAX_IMAGES)
        if not 1 <= n_components <= len(components):
            raise ValueError(
                f"n_components={n_components!r} must be between 1 and {len(components)}, the number of components."
            )
        return cls(components[:n_components], image_shape=shape, feature_names=names).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "RdBu_r") -> Self:
        """Plot the components on a common scale.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colormap of gray images. It is centered at zero. In images with three channels, zero is gray.

        Returns
        -------
        self : ComponentsDisplay
            The display.
        """
        plt = import_pyplot(self)
        n, n_features = self.components.shape
        most = np.abs(self.components).max() or 1.0
        if self.image_shape is None:
            self.axes_ = feature_panels(self, ax, n, n_features, self.feature_names)
            for i, (panel, row) in enumerate(zip(self.axes_, self.components, strict=True)):
                draw_features(panel, [(f"component {i + 1}", row, SKAE_COLOR)])
                panel.set_ylim(-1.05 * most, 1.05 * most)
                panel.set_ylabel(f"{i + 1}", rotation=0, ha="right", va="center")
            self.axes_[0].set_title("component", loc="left", fontsize="small")
        else:
            is_gray = len(self.image_shape) == 2
            n_columns = min(n, IMAGES_PER_LINE)
            n_lines = math.ceil(n / n_columns)
            ax = get_axes(self, ax, image_figsize(self.image_shape, n_lines, n_columns, room=1.9 if is_gray else 0.9))
            images = to_rgba(self.components, self.image_shape, -most, most, plt.get_cmap(cmap))
            ends = [(i * n_columns + 1, min((i + 1) * n_columns, n)) for i in range(n_lines)]
            labels = [f"{first} to {last}" if last > first else str(first) for first, last in ends]
            draw_images(ax, images, n_columns, labels)
            if is_gray:
                scale = plt.cm.ScalarMappable(plt.Normalize(-most, most), cmap)
                # placed next to the images, for any width of the axes
                bar = ax.figure.colorbar(scale, cax=ax.inset_axes((1 + 0.1 / n_columns, 0, 0.15 / n_columns, 1)))
                bar.outline.set_visible(False)
                bar.ax.tick_params(labelsize="small")
            self.axes_ = np.array([ax])
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self
