"""Display of the loss in the course of training."""

import re
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skae._typing import Axes, Figure
from skae.inspection._plotting import PALETTE, PCA_COLOR, final_estimator, get_axes, hide_spines, import_pyplot

OTHER_ENTRIES = re.compile("_(best|fold[0-9]+|random_init|batch_count)$")  # entries that are not terms of the loss
LOG_RANGE = 10  # ratio of the maximum and minimum loss above which the axis is logarithmic


class LossCurveDisplay:
    """Terms of the loss after each epoch, for training samples and validation samples.

    Create it with `from_estimator`, or from any curves.

    Parameters
    ----------
    train, valid : dict of str to array-like of shape (n_epochs,)
        Mean of each named term after each epoch, for training and validation samples. The latter may be empty.

    best_epoch : int, default=None
        The selected epoch, counted from 1; 0 is the initialization.

    start : float, default=None
        Mean loss of validation samples before the first epoch, plotted as a horizontal line.

    start_name : str, default="start"
        Name of the initialization, such as "PCA".

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.

    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    ExplainedVarianceDisplay : R² of the trained estimator.
    skae.Autoencoder : Its `loss_curve_` and `validation_loss_curve_` are plotted.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import VariationalAutoencoder
    >>> from skae.inspection import LossCurveDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = VariationalAutoencoder(2, max_iter=5, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(autoencoder)
    >>> list(display.train), len(display.train["loss"])
    (['loss', 'reconstruction', 'divergence'], 5)
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        train: Mapping[str, ArrayLike],
        valid: Mapping[str, ArrayLike],
        *,
        best_epoch: int | None = None,
        start: float | None = None,
        start_name: str = "start",
    ) -> None:
        self.train = train
        self.valid = valid
        self.best_epoch = best_epoch
        self.start = start
        self.start_name = start_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> Self:
        """Plot the loss curves of a fitted autoencoder.

        If the loss has several terms, both the loss and its terms are plotted, except for terms that are always zero.

        Parameters
        ----------
        estimator : object
            Fitted autoencoder of `skae`, or a pipeline with an autoencoder as its last step.

        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : LossCurveDisplay
            The display, which stores the plotted values.

        Raises
        ------
        ValueError
            If the estimator was not trained iteratively.
        """
        check_is_fitted(estimator)
        inner = final_estimator(estimator)
        inner = getattr(inner, "autoencoder_", inner)  # of a TabularAutoencoder
        history = getattr(getattr(inner, "net_", None), "history", ())
        if not len(history):
            raise ValueError(
                f"{type(inner).__name__} was not trained in epochs: it has no loss curve. Only autoencoders have one, "
                "unless they have a closed-form solution, as with hidden_layer_sizes=() or very few samples."
            )
        keys = [key for key in history[0] if not OTHER_ENTRIES.search(key)]
        train, valid = (
            {key.removeprefix(part): np.array(history[:, key]) for key in keys if key.startswith(part)}
            for part in ("train_", "valid_")
        )
        terms = [name for name in train if name != "loss" and np.any(train[name])]
        terms = ["loss", *terms] if len(terms) > 1 else terms or ["loss"]
        train, valid = ({name: curves[name] for name in terms if name in curves} for curves in (train, valid))
        start, name = getattr(inner, "_level_of_start", (None, "start"))
        return cls(train, valid, best_epoch=inner.best_epoch_, start=start, start_name=name).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        self : LossCurveDisplay
            The display.
        """
        import_pyplot(self)
        from matplotlib.lines import Line2D
        from matplotlib.ticker import LogLocator, NullLocator

        ax = hide_spines(get_axes(self, ax, (5.4, 3.2)))
        handles = []
        for term, color in zip(self.train, ("black", *PALETTE), strict=False):
            for curves, style in ((self.train, "-"), (self.valid, "--")):
                if term in curves:
                    epochs = np.arange(1, len(curves[term]) + 1)
                    # a line with a single point would be invisible
                    marker = "o" if len(epochs) == 1 else None
                    ax.plot(epochs, curves[term], style, color=color, linewidth=1.5, marker=marker, markersize=4)
            handles.append(Line2D([], [], color=color, label=term))
        handles = handles if len(handles) > 1 else []
        handles += [Line2D([], [], color="0.4", label="training")]
        if self.valid:
            handles += [Line2D([], [], color="0.4", linestyle="--", label="validation")]
        if self.best_epoch is not None:
            handles += [ax.axvline(self.best_epoch, color="0.6", linewidth=0.8, zorder=0, label="best epoch")]
        if self.start is not None:
            look = {"color": PCA_COLOR, "linestyle": ":", "linewidth": 1.5, "zorder": 0}
            handles += [ax.axhline(self.start, label=f"{self.start_name}, validation", **look)]
        values = [*map(np.ravel, self.train.values()), *map(np.ravel, self.valid.values())]
        values = np.concatenate([*values, [] if self.start is None else [self.start]])
        values = values[np.isfinite(values)]
        if values.size and values.min() > 0 and values.max() > LOG_RANGE * values.min():
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(NullLocator())
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(handles=handles, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        self.ax_, self.figure_ = ax, ax.figure
        return self
