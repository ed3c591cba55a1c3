"""Display of codes as a scatter plot, compared with PCA."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_array, check_is_fitted

from skae._typing import Axes, Figure, MatrixLike
from skae.inspection._plotting import (
    PALETTE,
    SKAE_COLOR,
    check_components,
    component_label,
    encode,
    final_estimator,
    get_axes,
    hide_spines,
    import_pyplot,
    subdivide,
)
from skae.inspection._reference import PCAReference

MAX_CLASSES = 20
FEW_POINTS = 1000  # more points are rasterized in vector formats


class LatentSpaceDisplay:
    """Scatter plot of codes, colored by labels, next to PCA's.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_components)
        Codes of the samples.

    y : array-like of shape (n_samples,), default=None
        Labels: up to 20 classes, shown in a legend, or numbers, shown in a color bar.

    components : (int, int), default=(0, 1)
        Indices of the components to plot, starting at 0. The labels of the axes start at 1.

    pca_codes : ndarray of shape (n_samples, n_pca_components), default=None
        Codes of PCA, plotted in a second panel.

    pca_name : str, default="PCA"
        Title of the panel with PCA's codes.

    name : str, default=None
        Title of the panel with the codes.

    y_name : str, default=None
        Title of the legend or the color bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`, with the codes.

    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        The panels.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    LatentGridDisplay : Images decoded from a two-dimensional grid of codes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import LatentSpaceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> autoencoder = Autoencoder(2, max_iter=5, random_state=0).fit(X[:200])
    >>> display = LatentSpaceDisplay.from_estimator(autoencoder, X[:200], y[:200])
    >>> [ax.get_title() for ax in display.axes_]
    ['Autoencoder', 'PCA']
    """

    ax_: Axes
    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        codes: np.ndarray,
        y: ArrayLike | None = None,
        *,
        components: Sequence[int] = (0, 1),
        pca_codes: np.ndarray | None = None,
        pca_name: str = "PCA",
        name: str | None = None,
        y_name: str | None = None,
    ) -> None:
        self.codes = codes
        self.y = y
        self.components = components
        self.pca_codes = pca_codes
        self.pca_name = pca_name
        self.name = name
        self.y_name = y_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        components: Sequence[int] = (0, 1),
        with_pca: bool = True,
        ax: Axes | None = None,
    ) -> Self:
        """Encode samples and plot their codes.

        Parameters
        ----------
        estimator : object
            Fitted estimator with `transform`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        y : array-like of shape (n_samples,), default=None
            Labels: up to 20 classes, shown in a legend, or numbers, shown in a color bar. Numbers are classes if they
            are integers with at most 20 distinct values.

        components : (int, int), default=(0, 1)
            Indices of the components to plot, starting at 0. The labels of the axes start at 1.

        with_pca : bool, default=True
            Whether to plot PCA's codes of X as well, after the same transformers if the estimator is a Pipeline. PCA
            is fitted to X. Its codes are not plotted if there are too few samples or features, or if the estimator is
            a PCA.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. They are split if there are two panels.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If `components` does not fit the codes, the number of labels is not the number of samples, or y has more
            than 20 classes that are not numbers.
        """
        check_is_fitted(estimator)
        codes, inner, pca = encode(estimator, X), final_estimator(estimator), {}
        n_shown = max(check_components(components, codes.shape[1])) + 1
        if with_pca and not isinstance(inner, PCA):
            reference = PCAReference(estimator, X)
            if min(reference.rows.shape) >= n_shown:
                pca = {"pca_codes": reference.codes(n_shown), "pca_name": reference.name}
        return cls._create(codes, y, components, type(inner).__name__, **pca).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        codes: ArrayLike,
        y: ArrayLike | None = None,
        *,
        components: Sequence[int] = (0, 1),
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot given codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
            Codes of the samples.

        y : array-like of shape (n_samples,), default=None
            Labels: up to 20 classes, shown in a legend, or numbers, shown in a color bar. Numbers are classes if they
            are integers with at most 20 distinct values.

        components : (int, int), default=(0, 1)
            Indices of the components to plot, starting at 0. The labels of the axes start at 1.

        name : str, default=None
            Title of the panel with the codes.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If `components` does not fit the codes, the number of labels is not the number of samples, or y has more
            than 20 classes that are not numbers.
        """
        return cls._create(codes, y, components, name).plot(ax)

    @classmethod
    def _create(cls, codes, y, components, name, **pca):
        codes, y_name = check_array(codes, dtype=float, input_name="codes"), getattr(y, "name", None)
        components = check_components(components, codes.shape[1])
        if y is not None:
            y = column_or_1d(y)
            if len(y) != len(codes):
                raise ValueError(
                    f"y has {len(y)} labels, but there are {len(codes)} samples. Pass one label for each sample."
                )
        return cls(codes, y, components=components, name=name, y_name=y_name, **pca)

    def plot(self, ax: Axes | None = None) -> Self:
        """Plot the codes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created. They are split if there are two panels.

        Returns
        -------
        self : LatentSpaceDisplay
            The display.

        Raises
        ------
        ValueError
            If y has more than 20 classes that are not numbers.
        """
        plt = import_pyplot(self)
        panels = [(self.name, self.codes)] + ([] if self.pca_codes is None else [(self.pca_name, self.pca_codes)])
        colors, handles = self._colors(plt)
        n_columns = 1 if not handles or len(handles) <= len(PALETTE) else 2
        longest = max((len(handle.get_label()) for handle in handles or ()), default=5)
        room = 0 if self.y is None else (0.4 + 0.08 * longest) * n_columns  # for the legend, or the color bar
        ax = get_axes(self, ax, (3.3 * len(panels) + room, 3.3))
        self.axes_ = subdivide(ax, 1, len(panels))[0] if len(panels) > 1 else np.array([ax])
        n = len(self.codes)
        # in random order, so that no class hides the others
        order = np.random.default_rng(0).permutation(n)
        look = {"s": np.clip(400 / np.sqrt(n), 3, 30), "alpha": np.clip(30 / np.sqrt(n), 0.4, 0.9), "linewidths": 0}
        for panel, (name, codes) in zip(self.axes_, panels, strict=True):
            color = colors if isinstance(colors, str) else colors[order]
            points = hide_spines(panel).scatter(
                *codes[order][:, self.components].T, c=color, rasterized=n > FEW_POINTS, **look
            )
            labels = [component_label(component, self.codes.shape[1]) for component in self.components]
            panel.set(title=name, xlabel=labels[0], ylabel=labels[1])
        self.ax_, self.figure_ = self.axes_[0], ax.figure
        if handles:
            where = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False, "handlelength": 1}
            self.axes_[-1].legend(handles=handles, title=self.y_name, ncols=n_columns, **where)
        elif self.y is not None:
            bar = self.figure_.colorbar(points, ax=list(self.axes_), label=self.y_name, shrink=0.8)
            bar.solids.set_alpha(1)
            bar.outline.set_visible(False)
        return self

    def _colors(self, plt):
        """Return colors of the points, or numbers for a color bar, and the handles of a legend or None."""
        from matplotlib.lines import Line2D

        if self.y is None:
            return SKAE_COLOR, None
        y = np.asarray(self.y)
        classes, which = np.unique(y, return_inverse=True)
        numeric = y.dtype.kind in "iuf"
        if numeric and (len(classes) > MAX_CLASSES or (classes != np.round(classes)).any()):
            return y.astype(float), None
        if len(classes) > MAX_CLASSES:
            raise ValueError(
                f"y has {len(classes)} classes, but at most {MAX_CLASSES} colors can be distinguished. Group the "
                "classes, or pass numbers, which are shown in a color bar."
            )
        few = len(classes) <= len(PALETTE)
        palette = PALETTE if few else [plt.get_cmap("tab20")(i) for i in range(MAX_CLASSES)]
        look = {"marker": "o", "linestyle": "", "markersize": 5}
        handles = [
            Line2D([], [], color=color, label=f"{label:g}" if numeric else str(label), **look)
            for label, color in zip(classes, palette, strict=False)
        ]
        return np.array(palette)[which], handles
