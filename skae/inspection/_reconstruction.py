"""Rows above their reconstructions."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import check_is_fitted

from skae._data.readers import FLOATS, Rows
from skae._data.statistics import Moments
from skae._typing import Axes, Colormap, Figure, MatrixLike
from skae.inspection._plotting import (
    GREY,
    OURS,
    axes_for,
    decode,
    dense,
    draw_features,
    draw_images,
    feature_panels,
    import_pyplot,
    names_of_features,
    pictures,
    shape_of_images,
    size_of_images,
    spread_evenly,
)

MOST_UNEQUAL = 10  # standard deviations of features that still share an axis: the greatest over the least


class ReconstructionDisplay:
    """Rows above their reconstructions: as images, or as bars of the features.

    It is made by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    X, X_hat : ndarray of shape (n_samples, n_features)
        Data and their reconstructions. They are drawn as they are.

    image_shape : (height, width) or (height, width, 3), default=None
        Of a row, with channels last. None draws bars, or lines if there are more than 40 features.

    feature_names : list of str, default=None
        Names below the bars.

    unit : str, default=None
        What the bars measure, if not the features as they are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.

    axes_ : ndarray of matplotlib Axes of shape (n_axes,)
        One for all images, or one for the bars of each row.

    figure_ : matplotlib Figure
        The figure they are in.

    See Also
    --------
    ComponentsDisplay : What each component of the code does to the features.
    LatentGridDisplay : What codes that no row has are decoded to.

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
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        unit: str | None = None,
    ) -> None:
        self.X = X
        self.X_hat = X_hat
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
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Reconstruct some rows and draw them.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform` and `inverse_transform`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        n_samples : int, default=10
            How many rows to show, spread evenly over X.

        image_shape : (height, width) or (height, width, 3), default=None
            Of a row, with channels last. None is the estimator's own `image_shape` if it has one, or else a grey
            square if the number of features is the square of 8 or more. `()` is no image.

        cmap : str or matplotlib Colormap, default="gray"
            Of grey images. Each has the range of the original, and so has its reconstruction.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure. Bars divide them up.

        Returns
        -------
        display : ReconstructionDisplay
            What is drawn, and where.

        Raises
        ------
        ValueError
            If `n_samples` is below 1, or `image_shape` does not fit the features.

        TypeError
            If the estimator can't transform back.
        """
        check_is_fitted(estimator)
        index = spread_evenly(X, n_samples)
        X_hat = decode(estimator, estimator.transform(_safe_indexing(X, index)))
        shape = shape_of_images(X_hat.shape[1], image_shape, estimator)
        names = names_of_features(estimator, X)
        return cls._of(X, index, X_hat, shape, names).plot(ax, cmap=cmap)

    @classmethod
    def from_predictions(
        cls,
        X: MatrixLike,
        X_hat: MatrixLike,
        *,
        n_samples: int = 10,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Draw some rows and their reconstructions.

        Parameters
        ----------
        X, X_hat : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data and their reconstructions.

        n_samples : int, default=10
            How many rows to show, spread evenly over X.

        image_shape : (height, width) or (height, width, 3), default=None
            Of a row, with channels last. None is a grey square if the number of features is the square of 8 or more.
            `()` is no image.

        cmap : str or matplotlib Colormap, default="gray"
            Of grey images.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure. Bars divide them up.

        Returns
        -------
        display : ReconstructionDisplay
            What is drawn, and where.

        Raises
        ------
        ValueError
            If X and X_hat differ in shape, `n_samples` is below 1, or `image_shape` does not fit the features.
        """
        if np.shape(X) != np.shape(X_hat):
            raise ValueError(
                f"X_hat has shape {np.shape(X_hat)}, but X has {np.shape(X)}. Give the reconstruction of each row."
            )
        index = spread_evenly(X, n_samples)
        shape, names = shape_of_images(np.shape(X)[1], image_shape), names_of_features(None, X)
        return cls._of(X, index, dense(_safe_indexing(X_hat, index)), shape, names).plot(ax, cmap=cmap)

    @classmethod
    def _of(cls, X, index, X_hat, shape, names):
        rows, unit = dense(_safe_indexing(X, index)), None
        if shape is None:
            checked = X if issparse(X) else dense(X)
            checked = check_array(checked, accept_sparse="csr", dtype=FLOATS, ensure_all_finite="allow-nan")
            moments = Moments().update(Rows(checked))
            deviations = np.sqrt(np.nan_to_num(moments.variance))  # of a column that is missing altogether
            varying = deviations[deviations > 0]
            if varying.size and varying.max() > MOST_UNEQUAL * varying.min():
                unit_of_each = np.where(deviations > 0, deviations, 1.0)
                rows, X_hat = (rows - moments.mean) / unit_of_each, (X_hat - moments.mean) / unit_of_each
                unit = "standard deviations from the mean"
        return cls(rows, X_hat, image_shape=shape, feature_names=names, unit=unit)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray") -> Self:
        """Draw the rows and their reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure. Bars divide them up.

        cmap : str or matplotlib Colormap, default="gray"
            Of grey images.

        Returns
        -------
        self : ReconstructionDisplay
            The same display, drawn.
        """
        plt = import_pyplot(self)
        if self.image_shape is None:
            self.axes_ = feature_panels(self, ax, *self.X.shape, self.feature_names)
            for panel, x, x_hat in zip(self.axes_, self.X, self.X_hat, strict=True):
                draw_features(panel, {"original": (x, GREY), "reconstruction": (x_hat, OURS)})
            where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "alignment": "left"}
            look = {"fontsize": "small", "title_fontsize": "small", "frameon": False, "handlelength": 1}
            self.axes_[0].legend(title=self.unit, ncols=2, **look, **where)
        else:
            n = len(self.X)
            ax = axes_for(self, ax, size_of_images(self.image_shape, 2, n, room=1.1))
            known = np.where(np.isnan(self.X).all(axis=1, keepdims=True), self.X_hat, self.X)
            low, high = np.nanmin(known, axis=1, keepdims=True), np.nanmax(known, axis=1, keepdims=True)
            cmap = plt.get_cmap(cmap)
            images = [pictures(rows, self.image_shape, low, high, cmap) for rows in (self.X, self.X_hat)]
            draw_images(ax, np.concatenate(images), n, ["original", "reconstruction"])
            self.axes_ = np.array([ax])
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self
