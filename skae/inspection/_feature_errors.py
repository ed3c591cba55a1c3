"""Display of the contribution of each feature to the anomaly score of samples."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skae._typing import Axes, Colormap, Figure, MatrixLike
from skae.inspection._plotting import (
    SKAE_COLOR,
    dense,
    draw_images,
    get_axes,
    get_feature_names,
    get_image_shape,
    hide_spines,
    image_figsize,
    import_pyplot,
    subdivide,
    to_rgba,
)

PANEL = 2.6, 0.24  # inches: width of a panel, and height of a bar


class FeatureErrorsDisplay:
    """Contributions of the features to the anomaly score of samples, as images below the samples or as bars.

    The errors of an image are shown relative to its largest error. Bars show the largest errors. Create it with
    `from_estimator`.

    Parameters
    ----------
    errors : ndarray of shape (n_samples, n_features)
        Largest decrease of the anomaly score of each sample when a single feature is replaced by another value.

    X : ndarray of shape (n_samples, n_features), default=None
        Input data. They are shown above the errors if they are images.

    image_shape : (height, width) or (height, width, 3), default=None
        Shape of one image, with channels last. If None, bars are drawn.

    feature_names : list of str, default=None
        Names of the features, shown next to the bars.

    n_features : int, default=8
        Number of bars to draw, for the features with the largest errors.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first axes of `axes_`.

    axes_ : ndarray of matplotlib Axes of shape (n_axes,)
        One axes for all images, or one for the bars of each sample.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    ReconstructionDisplay : Samples and their reconstructions.
    skae.AutoencoderOutlierDetector : Its `feature_errors` are plotted.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import Autoencoder, AutoencoderOutlierDetector
    >>> from skae.inspection import FeatureErrorsDisplay
    >>> X = load_wine(as_frame=True).data
    >>> inner = Autoencoder(2, scale="standard", max_iter=10)
    >>> detector = AutoencoderOutlierDetector(inner, random_state=0).fit(X)
    >>> anomalous = X.iloc[detector.score_samples(X).argsort()[:2]]
    >>> FeatureErrorsDisplay.from_estimator(detector, anomalous).errors.shape
    (2, 13)
    """

    ax_: Axes
    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        errors: np.ndarray,
        X: np.ndarray | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        n_features: int = 8,
    ) -> None:
        self.errors = errors
        self.X = X
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.n_features = n_features

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        n_features: int = 8,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Compute the feature errors of samples and plot them.

        Parameters
        ----------
        estimator : object
            Fitted estimator with `feature_errors`, such as `AutoencoderOutlierDetector`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data. Pass only the few samples to be explained.

        n_features : int, default=8
            Number of bars to draw, for the features with the largest errors.

        image_shape : (height, width) or (height, width, 3), default=None
            Shape of one image, with channels last. If None, the `image_shape` of the estimator, or else that of a
            square gray image if the number of features is the square of 8 or more. If `()`, samples are not drawn as
            images.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        Returns
        -------
        display : FeatureErrorsDisplay
            The display, which stores the plotted values.

        Raises
        ------
        TypeError
            If the estimator has no `feature_errors`.

        ValueError
            If `n_features` is below 1, or `image_shape` does not fit the number of features.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "feature_errors"):
            raise TypeError(
                f"{type(estimator).__name__} has no method feature_errors. Fit "
                f"AutoencoderOutlierDetector({type(estimator).__name__}(...)), which has one."
            )
        if n_features < 1:
            raise ValueError(f"n_features={n_features!r} must be at least 1: it is the number of bars per sample.")
        errors = dense(estimator.feature_errors(X))
        shape = get_image_shape(errors.shape[1], image_shape, getattr(estimator, "autoencoder_", None))
        rows, names = None if shape is None else dense(X), get_feature_names(estimator, X)
        made = cls(errors, rows, image_shape=shape, feature_names=names, n_features=n_features)
        return made.plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray") -> Self:
        """Plot the errors.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images.

        Returns
        -------
        self : FeatureErrorsDisplay
            The display.
        """
        plt = import_pyplot(self)
        finite = self.errors[np.isfinite(self.errors)]
        most = finite.max(initial=0.0) or 1.0
        errors = np.where(np.isfinite(self.errors), self.errors, most)  # infinite if a sample can't be reconstructed
        if self.image_shape is None:
            self.axes_ = self._draw_bars(ax, errors, most)
        else:
            n = len(errors)
            ax = get_axes(self, ax, image_figsize(self.image_shape, 2, n, room=1.3))
            low, high = np.nanmin(self.X), np.nanmax(self.X)
            rows = to_rgba(self.X, self.image_shape, low, high, plt.get_cmap(cmap))
            parts = errors.reshape(n, *self.image_shape[:2], -1).mean(axis=-1)  # over channels
            parts = parts.reshape(n, -1)
            highest = parts.max(axis=1, keepdims=True)  # errors are relative to those of the same sample
            of_errors = to_rgba(parts, self.image_shape[:2], 0.0, highest, plt.get_cmap("magma"))
            draw_images(ax, np.concatenate([rows, of_errors]), n, ["samples", "feature errors"])
            self.axes_ = np.array([ax])
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _draw_bars(self, ax, errors, most):
        """Draw a panel of bars for each sample, with the largest error on top."""
        n, n_bars = len(errors), min(self.n_features, errors.shape[1])
        names = np.arange(errors.shape[1]).astype(str) if self.feature_names is None else np.array(self.feature_names)
        room = 0.4 + 0.08 * max(map(len, names))  # for the names
        ax = get_axes(self, ax, (n * (PANEL[0] + room), n_bars * PANEL[1] + 0.8))
        axes = subdivide(ax, 1, n)[0]
        for panel, row in zip(axes, errors, strict=True):
            largest = np.argsort(-row, kind="stable")[:n_bars][::-1]
            hide_spines(panel).barh(names[largest], row[largest], color=SKAE_COLOR)
            panel.set(xlim=(0, 1.05 * most), xlabel="feature error")
            panel.tick_params(labelsize="small")
        return axes
