"""Display of the explained variance as a function of the number of components."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skae._solvers import r2_of
from skae._typing import Axes, Figure, MatrixLike
from skae.inspection._plotting import (
    PCA_COLOR,
    SKAE_COLOR,
    decode,
    dense,
    encode,
    final_estimator,
    get_axes,
    hide_spines,
)
from skae.inspection._reference import PCAReference

MAX_SIZES = 32  # points of the curve; each requires decoding all samples


class ExplainedVarianceDisplay:
    """R² of the reconstruction as a function of the number of components, compared with PCA.

    Create it with `from_estimator`, or from any curve.

    Parameters
    ----------
    sizes : array-like of int of shape (n_sizes,)
        Numbers of components.

    r2 : array-like of float of shape (n_sizes,)
        R² of the reconstruction from these numbers of components.

    pca_sizes, pca_r2 : array-like of shape (n_pca_sizes,), default=None
        Numbers of components and R² of PCA.

    pca_name : str, default="PCA"
        Label of PCA's curve in the legend.

    name : str, default=None
        Label of the curve in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    LossCurveDisplay : Loss in the course of training.
    skae.metrics.reconstruction_scorer : R² of the reconstruction from whole codes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import ExplainedVarianceDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = Autoencoder(8, ordered=True, max_iter=5, random_state=0).fit(X)
    >>> display = ExplainedVarianceDisplay.from_estimator(autoencoder, X)
    >>> display.sizes
    array([1, 2, 3, 4, 5, 6, 7, 8])
    >>> bool((display.r2 > display.pca_r2[:8] - 1e-6).all())
    True
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        sizes: ArrayLike,
        r2: ArrayLike,
        *,
        pca_sizes: ArrayLike | None = None,
        pca_r2: ArrayLike | None = None,
        pca_name: str = "PCA",
        name: str | None = None,
    ) -> None:
        self.sizes = sizes
        self.r2 = r2
        self.pca_sizes = pca_sizes
        self.pca_r2 = pca_r2
        self.pca_name = pca_name
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Any, X: MatrixLike, *, ax: Axes | None = None) -> Self:
        """Compute R² on X and plot it.

        For estimators with ordered components (PCA, or an ordered or linear autoencoder), a curve is plotted for the
        first 1, 2, ... components, with the others set to zero. For other estimators, a single point is plotted for the
        whole code.

        Parameters
        ----------
        estimator : object
            Fitted estimator with `transform` and `inverse_transform`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data. PCA is fitted to them, so its curve is the best possible for linear codes. If the estimator is a
            Pipeline, PCA is fitted after the same transformers. R² is computed in the units of X.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : ExplainedVarianceDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If X has fewer than two samples, whose variance is zero.
        """
        check_is_fitted(estimator)
        codes, rows = encode(estimator, X), dense(X)
        n_components = codes.shape[1]
        if len(rows) < 2:
            raise ValueError(f"X has {len(rows)} sample, and R² needs two or more. Pass more samples.")
        sizes = np.array([n_components])
        if hasattr(final_estimator(estimator), "explained_variance_ratio_"):
            sizes = np.unique(np.linspace(1, n_components, min(n_components, MAX_SIZES)).round().astype(int))
        r2 = []
        for size in sizes:
            X_hat = decode(estimator, np.where(np.arange(n_components) < size, codes, 0.0))
            r2.append(r2_of(rows, X_hat))
        reference, name = PCAReference(estimator, X), type(final_estimator(estimator)).__name__
        pca_sizes, pca_r2 = reference.curve(rows, 2 * n_components, MAX_SIZES)
        pca = {"pca_sizes": pca_sizes, "pca_r2": pca_r2, "pca_name": reference.name}
        return cls(sizes, np.array(r2), name=name, **pca).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        self : ExplainedVarianceDisplay
            The display.
        """
        ax = hide_spines(get_axes(self, ax, (4.6, 3.2)))
        look = {"linewidth": 1.5, "clip_on": False}
        if self.pca_sizes is not None:
            ax.plot(self.pca_sizes, self.pca_r2, color=PCA_COLOR, label=self.pca_name, **look)
        line = {"linestyle": "", "markersize": 6} if len(self.sizes) == 1 else {"markersize": 3}
        ax.plot(self.sizes, self.r2, color=SKAE_COLOR, label=self.name, marker="o", **line, **look)
        # an R² of 0 is that of the mean; lower values remain visible
        ax.set(xlabel="number of components", ylabel="R²", ylim=(min(0.0, 1.1 * np.min(self.r2)), 1))
        ax.xaxis.get_major_locator().set_params(integer=True)
        if self.name is not None or self.pca_sizes is not None:
            ax.legend(loc="lower right", frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
