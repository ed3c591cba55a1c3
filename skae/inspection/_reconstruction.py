"""Display of samples and their reconstructions."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import check_is_fitted

from skae._data.readers import FLOATS, ArrayReader
from skae._data.statistics import FeatureStatistics
from skae._typing import Axes, Colormap, Figure, MatrixLike
from skae.inspection._plotting import (
    GRAY_COLOR,
    PALETTE,
    PCA_COLOR,
    SKAE_COLOR,
    decode,
    dense,
    draw_features,
    draw_images,
    evenly_spaced_indices,
    feature_panels,
    final_estimator,
    get_axes,
    get_feature_names,
    get_image_shape,
    image_figsize,
    import_pyplot,
    to_rgba,
)

MAX_SCALE_RATIO = 10  # ratio of the maximum and minimum standard deviation above which features are standardized


def _colors(labels):
    """Return a color for each reconstruction: a fixed one for PCA, and the main color for the first of the others."""
    others = iter((SKAE_COLOR, *PALETTE))
    return [PCA_COLOR if label == "PCA" else next(others) for label in labels]


class ReconstructionDisplay:
    """Samples and their reconstructions, as images or as bars for the features.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Input data.

    X_hat : ndarray of shape (n_samples, n_features) or (n_reconstructions, n_samples, n_features)
        Reconstructions of X. In three dimensions, several reconstructions of each sample.

    labels : sequence of str, default=None
        Labels of X and of the reconstructions. If None, "original" and "reconstruction".

    image_shape : (height, width) or (height, width, 3), default=None
        Shape of one image, with channels last. If None, bars are drawn, or lines if there are more than 40 features.

    feature_names : list of str, default=None
        Names of the features, shown next to the bars.

    unit : str, default=None
        Unit of the bars, if not that of the features.

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
    ComponentsDisplay : Effect of each component of the code on the features.
    LatentGridDisplay : Images decoded from a two-dimensional grid of codes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = Autoencoder(2, max_iter=5, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(autoencoder, X, n_samples=6)
    >>> display.X_hat.shape, display.image_shape
    ((6, 64), (8, 8))
    """

    ax_: Axes
    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        X: np.ndarray,
        X_hat: np.ndarray,
        *,
        labels: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        unit: str | None = None,
    ) -> None:
        self.X = X
        self.X_hat = X_hat
        self.labels = labels
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        n_samples: int = 10,
        labels: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Reconstruct some samples and plot them.

        Parameters
        ----------
        estimator : object
            Fitted estimator with `transform` and `inverse_transform`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        n_samples : int, default=10
            Number of samples to show, evenly spaced in X.

        labels : sequence of str, default=None
            Labels of X and of the reconstructions. If None, "original" and "reconstruction".

        image_shape : (height, width) or (height, width, 3), default=None
            Shape of one image, with channels last. If None, the `image_shape` of the estimator, or else that of a
            square gray image if the number of features is the square of 8 or more. If `()`, samples are not drawn as
            images.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images. Its range is that of the original samples that are shown.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        Returns
        -------
        display : ReconstructionDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If `n_samples` is below 1, the number of labels is wrong, or `image_shape` does not fit the
            number of features.

        TypeError
            If the estimator has no `inverse_transform`.
        """
        labels = ["original", "reconstruction"] if labels is None else labels
        how = {"n_samples": n_samples, "labels": labels, "image_shape": image_shape, "cmap": cmap, "ax": ax}
        return cls.from_estimators([estimator], X, **how)

    @classmethod
    def from_estimators(
        cls,
        estimators: Sequence[Any],
        X: MatrixLike,
        *,
        n_samples: int = 10,
        labels: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Reconstruct some samples by several estimators and plot all reconstructions.

        Parameters
        ----------
        estimators : sequence of object
            Fitted estimators with `transform` and `inverse_transform`, such as `[pca, autoencoder]`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        n_samples : int, default=10
            Number of samples to show, evenly spaced in X.

        labels : sequence of str, default=None
            Labels of X and of the reconstructions. If None, "original" and the class of each estimator, or of the last
            step of a pipeline.

        image_shape : (height, width) or (height, width, 3), default=None
            Shape of one image, with channels last. If None, the `image_shape` of the estimator, or else that of a
            square gray image if the number of features is the square of 8 or more. If `()`, samples are not drawn as
            images.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images. Its range is that of the original samples that are shown.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        Returns
        -------
        display : ReconstructionDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If `estimators` is empty, `n_samples` is below 1, the number of labels is wrong, or
            `image_shape` does not fit the features.

        TypeError
            If an estimator has no `inverse_transform`.
        """
        estimators = list(estimators)
        if not estimators:
            raise ValueError("estimators=[] must contain at least one estimator, such as [pca, autoencoder].")
        for estimator in estimators:
            check_is_fitted(estimator)
        index = evenly_spaced_indices(X, n_samples)
        rows = _safe_indexing(X, index)
        X_hat = [decode(estimator, estimator.transform(rows)) for estimator in estimators]
        shapes = [get_image_shape(len(X_hat[0][0]), image_shape, estimator) for estimator in estimators]
        shape = next((each for each in reversed(shapes) if each is not None), None)
        names = get_feature_names(estimators[-1], X)
        if labels is None:
            labels = ["original", *(type(final_estimator(estimator)).__name__ for estimator in estimators)]
        return cls._create(X, index, X_hat, shape, names, labels).plot(ax, cmap=cmap)

    @classmethod
    def from_predictions(
        cls,
        X: MatrixLike,
        X_hat: MatrixLike | Sequence[MatrixLike],
        *,
        n_samples: int = 10,
        labels: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Plot some samples and their reconstructions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        X_hat : {array-like, sparse matrix} of shape (n_samples, n_features), or a list of such
            Reconstructions of X. A list has several reconstructions, such as noisy and denoised samples.

        n_samples : int, default=10
            Number of samples to show, evenly spaced in X.

        labels : sequence of str, default=None
            Labels of X and of the reconstructions. If None, "original" and "reconstruction". An example is
            `["clean", "noisy", "denoised"]`.

        image_shape : (height, width) or (height, width, 3), default=None
            Shape of one image, with channels last. If None, that of a square gray image if the number of features is
            the square of 8 or more. If `()`, samples are not drawn as images.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        Returns
        -------
        display : ReconstructionDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If X and X_hat differ in shape, `n_samples` is below 1, the number of labels is wrong, or
            `image_shape` does not fit the features.
        """
        is_list = isinstance(X_hat, list | tuple) and len(X_hat) and len(np.shape(X_hat[0])) == 2
        lines = list(X_hat) if is_list else [X_hat]
        for line in lines:
            if np.shape(X) != np.shape(line):
                raise ValueError(
                    f"X_hat has shape {np.shape(line)}, but X has {np.shape(X)}. Pass a reconstruction of each sample."
                )
        index = evenly_spaced_indices(X, n_samples)
        shape, names = get_image_shape(np.shape(X)[1], image_shape), get_feature_names(None, X)
        lines = [dense(_safe_indexing(line, index)) for line in lines]
        return cls._create(X, index, lines, shape, names, labels).plot(ax, cmap=cmap)

    @classmethod
    def _create(cls, X, index, X_hat, shape, names, labels):
        if labels is None:
            labels = ["original", *["reconstruction"] * len(X_hat)]
        labels = list(labels)
        if len(labels) != 1 + len(X_hat):
            raise ValueError(
                f"labels={labels!r} must have one label for X and one for each of {len(X_hat)} reconstructions."
            )
        X_hat = X_hat[0] if len(X_hat) == 1 else np.stack(X_hat)
        rows, unit = dense(_safe_indexing(X, index)), None
        if shape is None:
            checked = X if issparse(X) else dense(X)
            checked = check_array(checked, accept_sparse="csr", dtype=FLOATS, ensure_all_finite="allow-nan")
            statistics = FeatureStatistics().update(ArrayReader(checked))
            deviations = np.sqrt(np.nan_to_num(statistics.variance))  # NaN if all values of a column are missing
            varying = deviations[deviations > 0]
            if varying.size and varying.max() > MAX_SCALE_RATIO * varying.min():
                unit_of_each = np.where(deviations > 0, deviations, 1.0)
                rows, X_hat = (rows - statistics.mean) / unit_of_each, (X_hat - statistics.mean) / unit_of_each
                unit = "standard deviations from the mean"
        return cls(rows, X_hat, labels=labels, image_shape=shape, feature_names=names, unit=unit)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray") -> Self:
        """Plot the samples and their reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. For bars, the axes are split into panels.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap of gray images.

        Returns
        -------
        self : ReconstructionDisplay
            The display.
        """
        plt = import_pyplot(self)
        made = self.X_hat[None] if self.X_hat.ndim == 2 else self.X_hat
        lines = np.concatenate([self.X[None], made])  # (n_lines, n_samples, n_features)
        labels = ["original", *["reconstruction"] * len(made)] if self.labels is None else list(self.labels)
        if self.image_shape is None:
            self.axes_ = feature_panels(self, ax, *self.X.shape, self.feature_names)
            colors = [GRAY_COLOR, SKAE_COLOR] if len(made) == 1 else [GRAY_COLOR, *_colors(labels[1:])]
            for i, panel in enumerate(self.axes_):
                draw_features(panel, list(zip(labels, lines[:, i], colors, strict=True)))
            where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "alignment": "left"}
            look = {"fontsize": "small", "title_fontsize": "small", "frameon": False, "handlelength": 1}
            self.axes_[0].legend(title=self.unit, ncols=len(lines), **look, **where)
        else:
            n = len(self.X)
            room = 0.2 + 0.09 * max(map(len, labels))
            ax = get_axes(self, ax, image_figsize(self.image_shape, len(lines), n, room=room))
            known = self.X if not np.isnan(self.X).all() else lines
            low, high = np.nanmin(known), np.nanmax(known)  # a common scale preserves differences in contrast
            draw_images(ax, to_rgba(lines, self.image_shape, low, high, plt.get_cmap(cmap)), n, labels)
            self.axes_ = np.array([ax])
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self
