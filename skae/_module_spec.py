"""Shape of the networks and training settings, with "auto" values resolved for the data."""

import itertools
import warnings
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skae._basis import Space, axes_for
from skae._data.bounds import bounds_of, still_bounds
from skae._data.readers import ArrayReader
from skae._defaults import (
    NARROW,
    affordable,
    auto_batch_size,
    auto_hidden_layer_sizes,
    auto_learning_rate,
    auto_max_iter,
    prefix_sizes,
)
from skae._devices import has_bfloat16
from skae._pca import auto_n_components
from skae._seeds import isolated_rng
from skae._shapes import check_no_pixels_skipped, warn_if_shape_is_unlikely
from skae._spec import ModuleSpec
from skae._threads import work_of_a_row, work_of_all
from skae._training.distributed import broadcast_from_main
from skae._training.labels import RANDOM_INIT
from skae._training.selection import still_improves
from skae._training.users import show_batches
from skae.nn.functional import LIKELIHOODS

# multiply-adds of the largest product of a step: with fewer, casting costs more than bfloat16 saves
# (docs/benchmarks/speed.py --parts 4)
WORTH_BFLOAT16 = 2**23


class ModuleSpecMixin:
    """Mixin of `AutoencoderCore` that derives the spec and settings from parameters and data."""

    n_components_: int
    _open_size = None  # value of n_components with which the architecture determines the size

    @property
    def _by_variance_fraction(self):
        return isinstance(self._code_size, Real) and not isinstance(self._code_size, Integral)

    @property
    def _given_layers(self):
        """Sizes of the hidden layers that the user set, or None."""
        sizes = self._get_param("hidden_layer_sizes")
        if isinstance(sizes, str):
            return None
        return (sizes,) if isinstance(sizes, Integral) else tuple(sizes)

    def _hidden_layers(self, n_rows, n_features):
        given = self._given_layers
        if given is not None:
            return given
        return auto_hidden_layer_sizes(n_rows, n_features, self._architecture, is_plain=not self._has_custom_objective)

    def _new_spec(self, rows, statistics, seed, X_val=None, groups=None):  # noqa: ARG002 - used by stacks
        architecture, scale = self._architecture, statistics.scale(self.scale)
        check_no_pixels_skipped(architecture)
        warn_if_shape_is_unlikely(architecture, ArrayReader(rows.X, rows.index))
        if architecture is not None and not architecture.dense_code:
            hidden_layers, n_components = (), self._size_of_map(architecture, rows.shape[1])
        else:
            hidden_layers, n_components = self._hidden_layers(*rows.shape), self._code_size
        if not isinstance(n_components, Integral):
            n_components = self._chosen_size(rows, n_components, seed)
        self.n_components_ = int(n_components)  # `module_params` may use it
        is_empty = n_components == 0  # an empty code needs no networks
        if is_empty:
            hidden_layers, architecture = (), None
        linear = self._get_param("init") == "pca" and self._get_param("code_activation") == "identity"
        link = statistics.link(self.loss, scale)
        bounds = None
        if link is None and self._has_bounds(architecture):
            bounds = bounds_of(ArrayReader(rows.clean.X, rows.clean.index), statistics.low, statistics.high)
        return ModuleSpec(
            sizes=(rows.shape[1], *map(int, hidden_layers), int(n_components)),
            activation=self.activation,
            code_activation="identity" if is_empty else self._get_param("code_activation"),
            loss=self.loss,
            linear=linear or is_empty,
            mean=statistics.mean,
            scale=scale,
            spread=statistics.spread * rows.per_unit,
            link=link,
            ordered=self._get_param("ordered") or self._by_variance_fraction,
            architecture=clone(architecture, safe=False),
            formula=self.module_params(statistics, scale),
            has_custom_objective=self._has_custom_objective,
            bounds=bounds,
            has_missing_values=rows.missing is not None,
            categories=statistics.categories,
        )

    def _chosen_size(self, rows, choice, seed):
        """Return the size of the code if `n_components` is not an int."""
        return auto_n_components(rows.clean, choice, seed)

    def _auto_batch_size(self, n_rows):
        return auto_batch_size(n_rows, self._architecture)

    def _used_batch_size(self, n_rows):
        return self._auto_batch_size(n_rows) if self.batch_size == "auto" else self.batch_size

    def _auto_max_iter(self, n_rows, batch_size, is_narrow=False):
        most = max(batch_size, self._auto_batch_size(n_rows))  # a small batch size doesn't reduce the epochs
        return auto_max_iter(n_rows, most, self._architecture, is_narrow)

    def _size_of_map(self, architecture, n_features):
        """Return the size of the code if it is the last feature map."""
        with isolated_rng(0):
            *_, size = architecture.checked_build(n_features, self.activation)
        if self._code_size not in (None, size):
            raise ValueError(
                f"n_components={self._code_size!r} doesn't match the architecture, whose last feature map is the code: "
                f"it has {size} components. Set n_components={self._open_size!r}, or dense_code=True."
            )
        if self._given_layers:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} can't be used if the last feature map is the code. "
                "Set hidden_layer_sizes='auto', or dense_code=True."
            )
        return size

    def _rescaled(self, rows, statistics):
        """Return the fitted spec with new means and scales, such that codes keep the units of X."""
        old = self._spec
        scale = statistics.scale(self.scale)
        axes = old.axes
        if axes is not None:
            growth = self._unit(scale) / self._unit(old.scale)
            axes = (axes[0] * growth, axes[1] * growth, *axes[2:])
        return replace(
            old,
            mean=statistics.mean,
            scale=scale,
            spread=statistics.spread * rows.per_unit,
            link=statistics.link(self.loss, scale),
            axes=axes,
            formula=self.module_params(statistics, scale),
            bounds=still_bounds(old.bounds, statistics.low, statistics.high),
            has_missing_values=rows.missing is not None,
        )

    def _unit(self, scale):
        """Return the scale factor of the codes, which are in the units of X if all features share one scale."""
        return float(scale.max()) if self.scale == "global" and scale.any() else 1.0

    def _new_settings(self, n_rows, device, seed, n_components):
        batch_size = self._used_batch_size(n_rows)
        rate = auto_learning_rate(self._architecture) if self.learning_rate == "auto" else self.learning_rate
        return {
            "max_iter": self._auto_max_iter(n_rows, batch_size) if self.max_iter == "auto" else self.max_iter,
            "batch_size": batch_size,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "device": device,
            "mixed_precision": self._in_bfloat16(device, 0),
            "seed": seed,
            "sizes": prefix_sizes(n_components) if self._get_param("ordered") or self._by_variance_fraction else None,
            "isolates": self._uses_user_code,
            "callbacks": self.callbacks,
            "net_params": self.net_params,
        }

    def _in_bfloat16(self, device, work):
        """Return whether bfloat16 is used for steps whose largest product has `work` multiply-adds."""
        if self.mixed_precision != "auto":
            return bool(self.mixed_precision)
        return broadcast_from_main(work >= WORTH_BFLOAT16 and has_bfloat16(device))

    def _work_of_start(self, n_rows, n_features):
        """Return samples times features times components of the PCA that initializes the networks."""
        most = min(n_rows, n_features)
        return n_rows * n_features * (min(self._code_size, most) if isinstance(self._code_size, Integral) else most)

    def _work_of_step(self, spec, n_rows):
        """Return the multiply-adds of the largest product of a step on `n_rows` samples."""
        return n_rows * work_of_a_row(spec.build(self.module_class), len(spec.mean))

    def _affordable(self, rows, spec, n_epochs):
        """Return the numbers of folds (None for all) and epochs that don't take too long."""
        if self._takes_longer(spec):
            n_epochs = self._auto_max_iter(len(rows), self._used_batch_size(len(rows)), is_narrow=True)
        if len(rows) >= rows.shape[1]:
            return None, n_epochs
        module = spec.build(self.module_class)
        n_weights = sum(weight.numel() for weight in module.parameters())
        n_folds, fewer = affordable(len(rows), n_epochs, work_of_all(module, len(spec.mean)), n_weights)
        return n_folds, fewer if self.max_iter == "auto" else n_epochs

    def _is_narrow(self, spec):
        """Return whether more steps are taken because of few features: steps are fast, and convergence is slow."""
        return len(spec.mean) <= NARROW and spec.architecture is None and self._is_plain(spec)

    def _takes_longer(self, spec):
        """Return whether more epochs are used because of few features."""
        return self.max_iter == "auto" and self._is_narrow(spec)

    def _takes_basis(self, rows, spec):
        """Return whether the objective is invariant to orthogonal transforms, and training uses no single features."""
        is_plain = spec.loss == "squared_error" and not (self._has_custom_objective or spec.is_linear)
        of_features = rows.are_pairs or spec.bounds is not None or spec.categories
        needs_features = of_features or spec.architecture is not None or show_batches(self.callbacks)
        return is_plain and rows.scale.any() and not needs_features

    def _space(self, rows, spec, rows_val):
        """Return the space to train in: principal components if there are many features."""
        axes = axes_for(rows, spec.n_components) if self._takes_basis(rows, spec) else None
        return Space(spec, rows, rows_val, broadcast_from_main(axes))

    def _warn_if_cut_short(self, result, spec, max_iter, first_cycle=None):
        """Warn if training ended at `max_iter` while the reconstruction of validation samples still improved."""
        if result.start is None or not spec.is_plain or spec.loss in LIKELIHOODS:
            return
        curve = result.curves["valid_loss"]
        is_cut_short = len(curve) in (max_iter, first_cycle)
        if result.epoch and is_cut_short and still_improves(result.start[:, -1].mean(), curve):
            max_iter = len(curve)
            given = f"max_iter={self.max_iter!r}" + (f", {max_iter} epochs," if self.max_iter == "auto" else "")
            warnings.warn(
                f"{given} ended before the fit converged: over the second half of its epochs the validation loss fell "
                f"from {curve[: max_iter // 2].min():.3g} to {curve.min():.3g}. Set max_iter={2 * max_iter}.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _new_members(self, rows, spec, settings, first_weights, validation):
        """Return the networks and the indices of their training samples: {label: (module, indices)}.

        Each starts from the solution of its samples, or from the previous fit. In cross-validation there is one network
        per fold. Each may have a random restart, a second network that is initialized at random. `train` returns the
        last one.
        """
        folds = validation.folds
        trained_on = {f"_fold{i}": index for i, (index, _) in enumerate(folds)} if len(folds) > 1 else {}
        trained_on |= {"": folds[0][0] if len(folds) == 1 else np.arange(len(rows))}
        seeds, members, has_restart = itertools.count(settings["seed"]), {}, None
        for label, index in reversed(trained_on.items()):  # the first seed is that of the returned network
            weights, axes, start = first_weights, spec.axes, None
            if weights is None and self._has_start(spec):
                start = self._common_start(rows.take(np.sort(index)), spec, settings["seed"])
                weights, axes = start.weights(), start.axes(self._unit(spec.scale), self._get_param("whiten"))
            module = replace(spec, axes=axes).build(self.module_class, weights, seed=next(seeds))
            members[label] = module, index
            if has_restart is None:  # decided once, for all folds
                has_restart = self._has_random_restart(spec, start, len(index), len(folds))
            if has_restart:
                one_unit = np.full_like(axes[0], np.sqrt(np.square(axes[0]).mean()))
                restart = replace(spec, axes=(one_unit, *axes[1:])).build(self.module_class, weights, seed=next(seeds))
                with isolated_rng(next(seeds)):
                    restart.encoder.init_random()
                    restart.decoder.init_random()
                members[f"{label}{RANDOM_INIT}"] = restart, index
        return dict(reversed(members.items()))
