"""What a variant may override: its module, its parameters, where training starts, what is learned of y."""

from typing import Any, ClassVar

from numpy.typing import ArrayLike

from skae._codes import code_variance, shown_axes
from skae._defaults import MAX_WEIGHTS_OF_RIVAL, MAX_WEIGHTS_OF_RIVALS, MAX_WORK_OF_RIVAL
from skae._parameters import NEUTRAL
from skae._pca import linear_init
from skae._training.distributed import broadcast_from_main
from skae._typing import FloatArray
from skae.nn import AutoencoderModule


class HooksMixin:
    """The part of `AutoencoderCore` that variants replace."""

    module_class: ClassVar[type[AutoencoderModule]] = AutoencoderModule  # it holds the variant's formula

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not (isinstance(cls.module_class, type) and issubclass(cls.module_class, AutoencoderModule)):
            raise TypeError(
                f"{cls.__name__}.module_class must be a subclass of AutoencoderModule, got {cls.module_class}."
            )

    @property
    def _is_supervised(self):
        """Whether y is learned."""
        return self.module_class.supervision is not AutoencoderModule.supervision

    @property
    def _takes_missing(self):
        """Whether cells of X may be missing: where the loss of each cell is known to be one of ours."""
        return not self._is_supervised and self.module_class.reconstruction.__module__.startswith("skae.")

    _neutral = NEUTRAL
    _categories: tuple[tuple[int, int], ...] = ()  # cells of each column of categories, of who encodes a table

    def _asked(self, name):
        """The value of a parameter, or what it comes to where the variant has no such parameter."""
        return getattr(self, name, self._neutral.get(name))

    @property
    def _architecture(self):
        """The architecture as an object; a variant may have its parameters flat instead."""
        return self._asked("architecture")

    @property
    def _code_size(self):
        """What is asked of the size of the code."""
        return self.n_components

    def module_params(self, statistics: Any, scale: FloatArray) -> dict[str, Any]:  # noqa: ARG002 - a variant's
        """Return what the variant's module takes besides what each takes: a hook of a variant.

        `n_components_`, the size of the code, is there when it is called.

        Parameters
        ----------
        statistics : object
            Statistics of the training data, with `mean` and `variance` of shape (n_features,).

        scale : ndarray of shape (n_features,)
            What each feature is divided by; 0 for constant ones.

        Returns
        -------
        params : dict of str to object
            Plain values and arrays of NumPy, which are kept with the estimator.
        """
        return {}

    def encode_y(self, y: Any) -> ArrayLike:
        """Return what is learned of y, one or more numbers a sample: a hook of a variant.

        It is called where the variant's module overrides `supervision`, which gets these numbers. `fit` then requires
        y. Attributes that are set here, such as classes, are there when `module_params` is called.

        Parameters
        ----------
        y : object
            As it was given to `fit`, with one entry for each sample.

        Returns
        -------
        target : array-like of shape (n_samples,) or (n_samples, n_targets)
            Here y itself.
        """
        return y

    def _has_start(self, spec):
        """Whether training starts at a solution, and not at random."""
        return spec.linear

    def initial_solution(self, rows: Any, spec: Any, seed: int) -> Any:
        """Return where training starts, the linear optimum of the variant's objective: a hook of a variant.

        Parameters
        ----------
        rows : object
            Scaled training data: `len(rows)`, `rows.shape`, and `rows.batches()`, which are arrays of some samples
            each.

        spec : object
            The networks' shape, such as `spec.n_components`.

        seed : int
            Of randomized solvers.

        Returns
        -------
        start : object
            As the method of the base class gives it: a frozen dataclass with the `mean` of shape (n_features,) and the
            `components` of shape (n_components, n_features) of the decoder, the `variance` of the codes and the `unit`
            in which the networks count them, both of shape (n_components,), and with what the encoder has in their
            place, if it is not None: `seen_mean` and `filters`.
        """
        return linear_init(rows, spec.n_components, seed, exact=spec.is_linear)

    def _common_start(self, rows, spec, seed):
        """The same in all processes of a group, to the bit."""
        if spec.n_components == 0:
            return broadcast_from_main(linear_init(rows.clean, 0, seed))
        start = self.initial_solution(rows, spec, seed)
        if not callable(getattr(start, "weights", None)):
            raise TypeError(
                f"{type(self).__name__}.initial_solution must return a start, such as that of the base class, got "
                f"{start!r}. Training starts at random with init='random'."
            )
        return broadcast_from_main(start)

    @property
    def _asks_more(self):
        """Whether the variant has an objective or a start of its own."""
        has_start = type(self).initial_solution is not HooksMixin.initial_solution
        return has_start or self.module_class is not AutoencoderModule

    def _is_solved(self, spec):
        """Whether the start is the optimum, so that there is nothing to train."""
        return spec.is_pca

    def _is_plain(self, spec):
        """Whether training starts at PCA and asks for the reconstruction alone."""
        return spec.linear and spec.is_plain

    def _has_free_scale(self, spec):
        """Whether the objective is the same however large codes are, so that they can be shown as large as PCA's."""
        return self._is_plain(spec)

    def _has_blank_rival(self, spec, start, n_rows, n_folds):  # noqa: ARG002 - a variant's
        """Whether a network that starts blank trains beside the one that starts at PCA: where it costs little."""
        most = min(MAX_WEIGHTS_OF_RIVAL, MAX_WORK_OF_RIVAL // n_rows)
        if n_folds != 1:
            most = MAX_WEIGHTS_OF_RIVALS // max(n_folds, 1)
        small = spec.architecture is None and spec.n_weights <= most
        return n_folds > 0 and small and self._is_plain(spec) and not (spec.is_linear or spec.ordered)

    def _has_bounds(self, architecture):
        """Whether reconstructions stay within the bounds of the data."""
        return architecture is not None and architecture.has_bounds

    def _clean_rows(self, y):  # noqa: ARG002 - a variant's
        """The samples that those of X are to become, if y holds some; None is X."""
        return

    @property
    def _n_trained(self):
        """Size of the code that the networks of the folds have."""
        return self.n_components_

    _more_shaping = ()  # parameters that can't change between `partial_fit` and `partial_fit` either

    def _shown_axes(self, module, rows):
        """Axes in which codes are shown, and their variance."""
        if self._asked("code_activation") == "identity":
            return shown_axes(module, rows, whiten=self._asked("whiten"))
        return None, code_variance(module, rows)  # the user wants the activation's range

    def _learned(self, module, rows, spec):  # noqa: ARG002 - a variant's
        """More attributes of the trained module, of shape and meaning that are the variant's."""
        return {}
