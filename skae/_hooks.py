"""Hooks that a variant may override: its module and parameters, the initialization, and the targets."""

from typing import Any, ClassVar

from numpy.typing import ArrayLike

from skae._codes import code_variance, shown_axes
from skae._defaults import MAX_WEIGHTS_OF_RESTART, MAX_WEIGHTS_OF_RESTARTS, MAX_WORK_OF_RESTART
from skae._parameters import NEUTRAL
from skae._pca import linear_init
from skae._training.distributed import broadcast_from_main
from skae._typing import FloatArray
from skae.nn import AutoencoderModule


class HooksMixin:
    """Mixin of `AutoencoderCore` with the methods that variants override."""

    module_class: ClassVar[type[AutoencoderModule]] = AutoencoderModule  # defines the objective of the variant

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not (isinstance(cls.module_class, type) and issubclass(cls.module_class, AutoencoderModule)):
            raise TypeError(
                f"{cls.__name__}.module_class must be a subclass of AutoencoderModule, got {cls.module_class}."
            )

    @property
    def _is_supervised(self):
        """Whether the variant learns from y."""
        return self.module_class.supervision is not AutoencoderModule.supervision

    @property
    def _takes_missing(self):
        """Whether X may have missing values: the loss must be one of this package, which is a sum over values."""
        return not self._is_supervised and self.module_class.reconstruction.__module__.startswith("skae.")

    _neutral = NEUTRAL
    _categories: tuple[tuple[int, int], ...] = ()  # range of features of each categorical column of an encoded table

    def _get_param(self, name):
        """Return the value of a parameter, or the value that applies if the variant doesn't have this parameter."""
        return getattr(self, name, self._neutral.get(name))

    @property
    def _architecture(self):
        """The architecture as an object. A variant may have the parameters of an architecture instead."""
        return self._get_param("architecture")

    @property
    def _code_size(self):
        """The requested size of the code."""
        return self.n_components

    def module_params(self, statistics: Any, scale: FloatArray) -> dict[str, Any]:  # noqa: ARG002 - a variant's
        """Return additional parameters of the variant's module: a hook for variants.

        The size of the code, `n_components_`, is set before it is called.

        Parameters
        ----------
        statistics : object
            Statistics of the training data, with `mean` and `variance` of shape (n_features,).

        scale : ndarray of shape (n_features,)
            Divisor of each feature, 0 for constant features.

        Returns
        -------
        params : dict of str to object
            Plain values and NumPy arrays, which are stored with the estimator.
        """
        return {}

    def encode_y(self, y: Any) -> ArrayLike:
        """Return the targets for y, one or more numbers per sample: a hook for variants.

        It is called if the variant's module overrides `supervision`, to which these numbers are passed. `fit` then
        requires y. Attributes that are set here, such as classes, are available in `module_params`.

        Parameters
        ----------
        y : object
            The argument of `fit`, with one entry per sample.

        Returns
        -------
        target : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets. The default is y itself.
        """
        return y

    def _has_start(self, spec):
        """Return whether training starts from a solution instead of a random initialization."""
        return spec.linear

    def initial_solution(self, rows: Any, spec: Any, seed: int) -> Any:
        """Return the initialization, the linear optimum of the variant's objective: a hook for variants.

        Parameters
        ----------
        rows : object
            Scaled training data. It provides `len(rows)`, `rows.shape`, and `rows.batches()`, an iterable of arrays.

        spec : object
            Shape of the networks, such as `spec.n_components`.

        seed : int
            Seed of randomized solvers.

        Returns
        -------
        start : object
            Initialization of the type that the base class returns: a frozen dataclass with the `mean` of shape
            (n_features,) and the `components` of shape (n_components, n_features) of the decoder, and the `variance`
            and the scale factor `unit` of the codes, both of shape (n_components,). If `seen_mean` and `filters` are
            not None, the encoder uses them instead of `mean` and `components`.
        """
        return linear_init(rows, spec.n_components, seed, exact=spec.is_linear)

    def _common_start(self, rows, spec, seed):
        """Return the initialization, which is bit-identical in all processes of a group."""
        if spec.n_components == 0:
            return broadcast_from_main(linear_init(rows.clean, 0, seed))
        start = self.initial_solution(rows, spec, seed)
        if not callable(getattr(start, "weights", None)):
            raise TypeError(
                f"{type(self).__name__}.initial_solution must return an initialization like that of the base class, "
                f"got {start!r}. Set init='random' for a random initialization."
            )
        return broadcast_from_main(start)

    @property
    def _has_custom_objective(self):
        """Whether the variant overrides the objective or the initialization."""
        has_start = type(self).initial_solution is not HooksMixin.initial_solution
        return has_start or self.module_class is not AutoencoderModule

    def _is_solved(self, spec):
        """Return whether the initialization is the optimum, so that no training is needed."""
        return spec.is_pca

    def _is_plain(self, spec):
        """Return whether training starts from PCA and minimizes only the reconstruction loss."""
        return spec.linear and spec.is_plain

    def _has_free_scale(self, spec):
        """Return whether the objective is invariant to the scale of codes, so that PCA's scale can be used."""
        return self._is_plain(spec)

    def _has_random_restart(self, spec, start, n_rows, n_folds):  # noqa: ARG002 - a variant's
        """Return whether a randomly initialized network is also trained, which is the case if it takes little time."""
        most = min(MAX_WEIGHTS_OF_RESTART, MAX_WORK_OF_RESTART // n_rows)
        if n_folds != 1:
            most = MAX_WEIGHTS_OF_RESTARTS // max(n_folds, 1)
        small = spec.architecture is None and spec.n_weights <= most
        return n_folds > 0 and small and self._is_plain(spec) and not (spec.is_linear or spec.ordered)

    def _has_bounds(self, architecture):
        """Return whether reconstructions are clipped to the bounds of the data."""
        return architecture is not None and architecture.has_bounds

    def _clean_rows(self, y):  # noqa: ARG002 - a variant's
        """Return the clean samples if y contains them, else None."""
        return

    @property
    def _n_trained(self):
        """Size of the code of the networks trained on folds."""
        return self.n_components_

    _more_shaping = ()  # additional parameters that can't change between calls of `partial_fit`

    def _shown_axes(self, module, rows):
        """Return the axes of the codes that `transform` returns, and the variance of the codes."""
        if self._get_param("code_activation") == "identity":
            return shown_axes(module, rows, whiten=self._get_param("whiten"))
        return None, code_variance(module, rows)  # preserves the range of the activation function

    def _learned(self, module, rows, spec):  # noqa: ARG002 - a variant's
        """Return additional fitted attributes of the variant."""
        return {}
