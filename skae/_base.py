"""The estimator that every variant shares: its parameters, and how it is fitted."""

import contextlib
import itertools
import warnings
from abc import ABCMeta
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context, clone

from skae._blueprint import Blueprint, read_weights
from skae._codes import code_variance, importances, match_scale, r2_of_prefixes, shown_axes
from skae._cudnn import repeatable
from skae._defaults import (
    MOST_WEIGHTS_OF_RIVALS,
    affordable,
    auto_batch_size,
    auto_hidden_layer_sizes,
    auto_learning_rate,
    auto_max_iter,
    prefix_sizes,
)
from skae._devices import resolve_device
from skae._doc_link import DocLinkMixin
from skae._fitted import FittedMixin
from skae._onnx import OnnxMixin
from skae._parameters import NEUTRAL, TrainingParameters
from skae._pca import auto_n_components, linear_start
from skae._rows import Rows, ScaledRows, are_same, shape_of
from skae._scaling import Moments
from skae._seeds import isolated_rng, local_rng
from skae._shapes import warn_of_doubtful_shape
from skae._stream import StreamMixin
from skae._threads import blas_threads, torch_threads, work_of_a_row, work_of_all
from skae._torch_state import usual_torch
from skae._training.checkpoint import Checkpoint, describe_run, find_checkpoint
from skae._training.distributed import agreed, is_first, of_first
from skae._training.labels import RIVAL
from skae._training.progress import CallbackSupportMixin, FitProgress, with_callbacks
from skae._training.selection import fold_networks, least_size
from skae._training.train import TrainingResult, train
from skae._training.users import check_callbacks, copy_callbacks, named_callbacks
from skae._typing import FloatArray, MatrixLike, typed
from skae._validation import FOLDED_ROWS, LEAST_ROWS, Validation, checked_groups, choose_validation, given_validation
from skae.nn import AutoencoderModule

# what `warm_start` and `partial_fit` go on from can't have changed
SHAPING = (
    *("n_components", "hidden_layer_sizes", "activation", "code_activation", "architecture", "init", "ordered"),
    *("whiten", "loss", "scale"),
)
UNCOUNTED = ("callbacks", "random_state", "verbose")  # a run is the same whatever they are
OWN = ("device", "random_state", "verbose")  # may differ among the processes of a group
HOUSES = (
    "builtins",
    "numpy",
    "pathlib",
    "skae",
    "sklearn",
    "skorch",
    "torch",
)  # whose code leaves global generators alone


class BaseAutoencoder(
    CallbackSupportMixin,
    OnnxMixin,
    StreamMixin,
    FittedMixin,
    DocLinkMixin,
    TrainingParameters,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of all autoencoders: it owns the algorithm.

    A variant names its `module_class`, an `AutoencoderModule` with its formula, and adds its parameters.
    """

    module_class: ClassVar[type[AutoencoderModule]]  # it holds the variant's formula

    _neutral = NEUTRAL

    def _asked(self, name):
        """The value of a parameter, or what it comes to where the variant has no such parameter."""
        return getattr(self, name, self._neutral.get(name))

    # Hooks of a variant ----------------------------------------------------------------------------------------------

    @property
    def _architecture(self):
        """The architecture as an object; a variant may have its parameters flat instead."""
        return self._asked("architecture")

    @property
    def _code_size(self):
        """What is asked of the size of the code."""
        return self.n_components

    def module_params(self, moments: Any, scale: FloatArray) -> dict[str, Any]:  # noqa: ARG002 - a variant's
        """Return what the variant's module takes besides what each takes: a hook of a variant.

        Parameters
        ----------
        moments : object
            Statistics of the training data, with `mean` and `variance` of shape (n_features,).

        scale : ndarray of shape (n_features,)
            What each feature is divided by; 0 for constant ones.

        Returns
        -------
        params : dict of str to object
            Plain values and arrays, which are kept with the estimator.
        """
        return {}

    def _has_start(self, blueprint):
        """Whether training starts at a solution, and not at random."""
        return blueprint.linear

    def initial_solution(self, rows: Any, blueprint: Any, seed: int) -> Any:
        """Return where training starts, the linear optimum of the variant's objective: a hook of a variant.

        Parameters
        ----------
        rows : object
            Scaled training data: `len(rows)`, `rows.shape`, and `rows.batches()`, which are arrays of some rows each.

        blueprint : object
            The networks' shape, such as `blueprint.n_components`.

        seed : int
            Of randomized solvers.

        Returns
        -------
        start : object
            An optimum, as the method of the base class gives it.
        """
        return linear_start(rows, blueprint.n_components, seed)

    def _common_start(self, rows, blueprint, seed):
        """The same in all processes of a group, to the bit."""
        return of_first(self.initial_solution(rows, blueprint, seed))

    def _is_solved(self, blueprint):
        """Whether the start is the optimum, so that there is nothing to train."""
        return blueprint.is_pca

    def _is_plain(self, blueprint):
        """Whether training starts at PCA and asks for the reconstruction alone."""
        return blueprint.linear and not blueprint.formula

    def _has_blank_rival(self, blueprint):
        """Whether a network that starts blank trains beside the one that starts at PCA: where it costs little."""
        small = blueprint.architecture is None and blueprint.n_weights <= MOST_WEIGHTS_OF_RIVALS
        return small and self._is_plain(blueprint) and not (blueprint.is_linear or blueprint.ordered)

    def _checked_target(self, X, y):
        """Let y pass, which is ignored, and say so if it looks like clean rows; X has been checked."""
        if shape_of(y) == X.shape and X.shape[1] > 1 and not are_same(X, y):
            warnings.warn(
                f"y has X's shape, {X.shape}, but {type(self).__name__}.fit ignores y. To learn clean rows from noisy "
                "ones, use DenoisingAutoencoder.fit(X_noisy, X_clean).",
                stacklevel=4,
            )
        return y

    def _clean_rows(self, y):  # noqa: ARG002 - a variant's
        """The rows that those of X are to become, if y holds some; None is X."""
        return

    def _counted(self, moments, X, y):
        """Moments of more rows, and the rows scaled by them."""
        clean = self._clean_rows(y)
        moments.update(Rows(X), None if clean is None else Rows(clean, name="y"))
        return moments, ScaledRows(X, moments.mean, moments.scale(self.scale), clean=clean)

    _more_shaping = ()  # parameters that can't change between `partial_fit` and `partial_fit` either

    def _shown_axes(self, module, rows):
        """Axes in which codes are shown, and their variance."""
        if self._asked("code_activation") == "identity":
            return shown_axes(module, rows, whiten=self._asked("whiten"))
        return None, code_variance(module, rows)  # the user wants the activation's range

    def _learned(self, module, rows, blueprint):  # noqa: ARG002 - a variant's
        """More attributes of the trained module, of shape and meaning that are the variant's."""
        return {}

    # Fitting ---------------------------------------------------------------------------------------------------------

    @typed(_fit_context(prefer_skip_nested_validation=True))
    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        *,
        X_val: MatrixLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Sparse matrices and memory maps, and arrays that aren't NumPy's but slice like them, are read
            batch by batch.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Of `DenoisingAutoencoder`, the clean rows that noisy ones, X, are to become. All other autoencoders ignore
            it, with a warning if it has X's shape and other values; and all ignore labels, of one dimension.

        X_val : {array-like, sparse matrix} of shape (n_samples_val, n_features), default=None
            Rows by which the epoch is chosen. All of X is then trained on, and they must not depend on rows of X. In a
            Pipeline they have to pass the earlier steps as well: see `transform_input` of
            :class:`~sklearn.pipeline.Pipeline`.

        groups : array-like of shape (n_samples,), default=None
            Labels of rows that belong together, such as those of one patient. They are held out as a whole, or passed
            on to `cv`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y, `X_val` or `groups` is not as it should be, two of `X_val`, `groups` or `cv`, and
            `validation_fraction` exclude each other, or `device` is not on this machine.
        """
        with self._or_as_before(), usual_torch(), repeatable(self.random_state is not None):
            warm = self.warm_start and self.__sklearn_is_fitted__()
            with agreed() as facts:
                X = self._checked(X, reset=not warm, least=2)
                y = self._checked_target(X, y)
                self._check_more_parameters()
                X_val, groups = self._checked_validation(X, y, X_val, groups)
                if warm:
                    self._check_unchanged("warm_start=True")
                seed, callbacks = self._draw_seed(), copy_callbacks(self.callbacks)
                self._state_facts(facts, X, y, seed, warm, X_val=X_val, groups=groups)
            seed = of_first(seed)
            checkpoint = find_checkpoint(callbacks)
            if checkpoint is not None:
                seed = self._open_checkpoint(checkpoint, X, y, seed, warm, X_val, groups)
            with self._isolated(seed), blas_threads(self._work_of_start(*X.shape)):
                self._fit(X, y, X_val, groups, resolve_device(self.device), seed, warm, callbacks)
        return self

    @typed(_fit_context(prefer_skip_nested_validation=True))
    def partial_fit(self, X: MatrixLike, y: object = None) -> Self:
        """Go on training with a chunk of rows: one pass over it, in batches of `batch_size`.

        Chunks may have any size and order. `IncrementalPCA` of all rows stands beside a network that starts at PCA, and
        some rows are held out from the network: they decide with each chunk whether it is surely better than PCA, which
        is what the estimator computes otherwise. A network keeps the scale that it started with, while `mean_` follows
        all rows seen. The first chunk decides the number of components if that is not an int, and the first 64 rows the
        axes of the codes, which stay until the next `fit`. If training diverges, the estimator is left as it was.

        A linear autoencoder is updated in closed form, by scikit-learn's `IncrementalPCA`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : Ignored
            Not used, present for API consistency by convention. Clean rows, which `DenoisingAutoencoder.fit` takes, are
            refused.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or y is not as it should be, or a parameter was changed that shapes the network.
        """
        with self._or_as_before(), usual_torch(), repeatable(self.random_state is not None):
            first = not self.__sklearn_is_fitted__()
            with agreed() as facts:
                X = self._checked(X, reset=first, least=2 if first else 1)
                y = self._checked_target(X, y)
                if self._clean_rows(y) is not None:
                    raise ValueError(
                        "partial_fit takes no clean rows as y: a stream draws its noise. Pass all pairs to "
                        "fit(X_noisy, X_clean), or clean rows as X."
                    )
                self._check_more_parameters()
                if not first:
                    self._check_unchanged("partial_fit")
                seed = self._draw_seed() if first else self._settings["seed"] + len(self.loss_curve_)
                self._state_facts(facts, X, y, seed, not first)
            seed = of_first(seed)
            with self._isolated(seed), blas_threads(self._work_of_start(*X.shape)):
                self._partial_fit(X, y, resolve_device(self.device), seed, first)
        return self

    def _checked_validation(self, X, y, X_val, groups):
        """Check what judges the epochs."""
        if self.validation_fraction != "auto" and (X_val is not None or self.cv is not None):
            other = "X_val" if X_val is not None else f"cv={self.cv!r}"
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} and {other} exclude each other: both say which rows "
                "judge the epochs. Set validation_fraction='auto', or leave the other out."
            )
        if X_val is not None and (groups is not None or self.cv is not None):
            other = "groups" if groups is not None else f"cv={self.cv!r}"
            raise ValueError(
                f"X_val and {other} exclude each other: with X_val all of X is trained on. Leave one of them out."
            )
        if X_val is not None and self._clean_rows(y) is not None:
            raise ValueError(
                "X_val has no clean rows beside it, which pairs are judged by. Leave X_val out, or set cv."
            )
        if X_val is not None:
            try:
                X_val = self._checked(X_val, reset=False)
            except ValueError as error:
                raise ValueError(f"X_val can't be used: {error}") from error
        return X_val, checked_groups(groups, X)

    @contextlib.contextmanager
    def _or_as_before(self):
        """An estimator is fitted, or as it was: an error or Ctrl-C leaves nothing half done."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__ = before  # in one go, which Ctrl-C can't divide
            raise

    def _draw_seed(self):
        return int(local_rng(self.random_state).randint(2**31 - 1))

    def _open_checkpoint(self, checkpoint, X, y, seed, warm, X_val, groups):
        """Let a checkpoint read where the fit of the same run stands, and return the run's seed."""
        counts = {name: value for name, value in self.get_params(deep=False).items() if name not in UNCOUNTED}
        with agreed():
            if is_first():  # the others need no folder
                others = [pair for pair in named_callbacks(self.callbacks) if not isinstance(pair[1], Checkpoint)]
                if others:
                    counts["callbacks"] = [
                        (name, {} if isinstance(each, type) else each.get_params()) for name, each in others
                    ]
                if fold_networks.get() is not None:  # which another run's file lacks
                    counts["the networks that are kept"] = "those of folds too"
                more = {"clean": self._clean_rows(y), "X_val": X_val, "groups": groups}
                run = describe_run(self, counts, X, self._weights if warm else None, **more)
                checkpoint._open(run, seed, may_change_seed=self.random_state is None)
        found = vars(checkpoint) if is_first() else None
        vars(checkpoint).update(of_first(found))
        return checkpoint.seed_

    def _state_facts(self, facts, X, y, seed, goes_on, **more):
        """Say what has to be the same in all processes of a group."""
        if facts is None:
            return
        parameters = self.get_params(deep=False)
        counts = {name: value for name, value in parameters.items() if name not in OWN}
        more["clean"] = self._clean_rows(y)
        facts |= describe_run(self, counts, X, self._weights if goes_on else None, **more)
        if self.random_state is not None:
            facts["the seed of random_state"] = str(seed)

    @property
    def _is_foreign(self):
        """Whether code from elsewhere takes part in a fit, which may draw from global generators."""
        parts = [type(self), self.module_class, *self.get_params().values(), *(self.net_params or {}).values()]
        parts += [callback for _, callback in named_callbacks(self.callbacks)]
        owners = [part if callable(part) else type(part) for part in parts]
        # what `exec` made may have no module
        return any((owner.__module__ or "").split(".")[0] not in HOUSES for owner in owners)

    def _isolated(self, seed):
        return isolated_rng(seed) if self._is_foreign else contextlib.nullcontext()

    def _work_of_start(self, n_rows, n_features):
        """Rows x features x components of the PCA that training starts at."""
        most = min(n_rows, n_features)
        return n_rows * n_features * (min(self._code_size, most) if isinstance(self._code_size, Integral) else most)

    def _work_of_step(self, blueprint, n_rows):
        """Multiply-adds of the largest product of a step on so many rows."""
        return n_rows * work_of_a_row(blueprint.build(self.module_class), blueprint.sizes[0])

    def _affordable(self, rows, blueprint, n_epochs):
        """As many folds, None for all, and epochs as don't take too long."""
        if len(rows) >= rows.shape[1]:
            return None, n_epochs
        work = work_of_all(blueprint.build(self.module_class), rows.shape[1])
        n_folds, fewer = affordable(len(rows), n_epochs, work)
        return n_folds, fewer if self.max_iter == "auto" else n_epochs

    def _check_more_parameters(self):
        """Refuse what the constraints can't express."""
        check_callbacks(self.callbacks)
        if isinstance(self._code_size, bool | np.bool_):
            raise ValueError(f"n_components={self._code_size!r} must be an int of 1 or more, not a bool.")
        if self._by_share and self.loss != "squared_error":
            raise ValueError(
                f"n_components={self._code_size!r} is a share of the variance, which needs loss='squared_error', got "
                f"loss={self.loss!r}. Set n_components to an int."
            )
        if self._asked("whiten") and self._asked("code_activation") != "identity":
            raise ValueError(
                f"whiten=True needs code_activation='identity', got {self.code_activation!r}, whose codes keep its "
                "range. Set whiten=False, or put a StandardScaler behind."
            )
        if isinstance(self._asked("hidden_layer_sizes"), str):
            return
        for size in self._hidden_layers(None, None):
            if isinstance(size, bool | np.bool_) or not isinstance(size, Integral) or size < 1:
                raise ValueError(
                    f"hidden_layer_sizes={self.hidden_layer_sizes!r} must hold ints of 1 or more, got {size!r}. "
                    "Use () for a linear autoencoder."
                )

    def _check_unchanged(self, who):
        for name, value in self._shaping.items():
            now = self._shaping_parameter(name)
            if now != value:
                raise ValueError(
                    f"{who} goes on from the last fit, in which {name} was {value!r}; now it is {now!r}. "
                    f"Set {name} back, or call fit with warm_start=False to start anew."
                )

    def _shaping_parameter(self, name):
        if name == "architecture":
            return repr(self._architecture)
        value = self._asked(name)
        layers = name == "hidden_layer_sizes" and not isinstance(value, str)
        return self._hidden_layers(None, None) if layers else value

    @property
    def _by_share(self):
        return isinstance(self._code_size, Real) and not isinstance(self._code_size, Integral)

    def _hidden_layers(self, n_rows, n_features):
        sizes = self.hidden_layer_sizes
        if isinstance(sizes, str):
            return auto_hidden_layer_sizes(n_rows, n_features)
        return (sizes,) if isinstance(sizes, Integral) else tuple(sizes)

    def _new_blueprint(self, rows, moments, seed, X_val=None, groups=None):  # noqa: ARG002 - of layers below
        architecture, scale = self._architecture, moments.scale(self.scale)
        warn_of_doubtful_shape(architecture, Rows(rows.X, rows.index))
        if architecture is not None and not architecture.dense_code:
            hidden_layers, n_components = (), self._size_of_map(architecture, rows.shape[1])
        else:
            hidden_layers, n_components = self._hidden_layers(*rows.shape), self._code_size
        if not isinstance(n_components, Integral):
            n_components = auto_n_components(rows.clean, n_components, seed)
        return Blueprint(
            sizes=(rows.shape[1], *map(int, hidden_layers), int(n_components)),
            activation=self.activation,
            code_activation=self._asked("code_activation"),
            loss=self.loss,
            linear=self._asked("init") == "pca" and self._asked("code_activation") == "identity",
            mean=moments.mean,
            scale=scale,
            spread=moments.spread * rows.per_unit,
            link=moments.link(self.loss, scale),
            ordered=self._asked("ordered") or self._by_share,
            architecture=clone(architecture, safe=False),
            formula=self.module_params(moments, scale),
        )

    def _size_of_map(self, architecture, n_features):
        """Size of a code that is the last map of features."""
        with isolated_rng(0):
            *_, size = architecture.checked_build(n_features, self.activation)
        if self._code_size not in (None, size):
            raise ValueError(
                f"n_components={self._code_size!r} does not agree with the architecture, whose last map of features "
                f"is the code: it has {size} numbers. Set n_components=None, or dense_code=True."
            )
        if not isinstance(self._asked("hidden_layer_sizes"), str) and self._hidden_layers(None, None):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} has no place where the last map of features is the "
                "code. Set hidden_layer_sizes='auto', or dense_code=True."
            )
        return size

    def _rescaled(self, rows, moments):
        """The blueprint that goes on with other means and scales: codes stay in X's units."""
        old = self._blueprint
        scale = moments.scale(self.scale)
        axes = old.axes
        if axes is not None:
            growth = self._unit(scale) / self._unit(old.scale)
            axes = (axes[0] * growth, axes[1] * growth, *axes[2:])
        return replace(
            old,
            mean=moments.mean,
            scale=scale,
            spread=moments.spread * rows.per_unit,
            link=moments.link(self.loss, scale),
            axes=axes,
            formula=self.module_params(moments, scale),
        )

    def _unit(self, scale):
        """What a unit of a scaled row is worth: codes are in X's own units where all features share one scale."""
        return float(scale.max()) if self.scale == "global" and scale.any() else 1.0

    def _new_settings(self, n_rows, device, seed, n_components):
        batch_size = auto_batch_size(n_rows) if self.batch_size == "auto" else self.batch_size
        rate = auto_learning_rate(self._architecture) if self.learning_rate == "auto" else self.learning_rate
        return {
            "max_iter": auto_max_iter(n_rows, batch_size) if self.max_iter == "auto" else self.max_iter,
            "batch_size": batch_size,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "device": device,
            "mixed_precision": self.mixed_precision,
            "seed": seed,
            "sizes": prefix_sizes(n_components) if self._asked("ordered") or self._by_share else None,
            "isolates": self._is_foreign,
            "callbacks": self.callbacks,
            "net_params": self.net_params,
        }

    @with_callbacks
    def _fit(self, X, y, X_val, groups, device, seed, warm, callbacks):
        moments, rows = self._counted(Moments(), X, y)
        blueprint = self._rescaled(rows, moments) if warm else self._new_blueprint(rows, moments, seed, X_val, groups)
        settings = self._new_settings(len(rows), device, seed, blueprint.n_components)
        solved, starts = self._is_solved(blueprint), self._has_start(blueprint)
        if solved and find_checkpoint(callbacks) is None and callbacks:
            warnings.warn(
                f"callbacks={self.callbacks!r} have nothing to act on: this {type(self).__name__} is computed in "
                "closed form, without epochs.",
                stacklevel=5,
            )
        if not solved:
            moments.check_float32(rows.scale)
        weights = self._weights if warm and not solved else None

        validation = Validation()
        if rows.scale.any() and not solved:
            validation = of_first(self._validation(rows, y, X_val, groups, seed, warm))
        if validation.folds:
            n_folds, settings["max_iter"] = self._affordable(rows, blueprint, settings["max_iter"])
            validation = validation.cut(n_folds) if self.cv is None else validation
        trains = bool(validation.folds) or not starts or weights is not None

        common = rows, moments, blueprint, settings
        work, n_epochs = self._work_of_step(blueprint, min(settings["batch_size"], len(rows))), settings["max_iter"]

        def attributes_now(module):
            return self._trained(*common, TrainingResult(module=module), validation)

        with torch_threads(work), FitProgress(self, X, y, n_epochs if trains else 0, attributes_now) as progress:
            progress.say(validation)
            of_folds = []
            if not trains:  # in closed form, or of too few samples to judge a training
                start = self._common_start(rows, blueprint, seed)
                attributes = self._at_start(*common, start, read_weights(blueprint.build(self.module_class)))
            else:
                members = self._new_members(rows, blueprint, settings, weights, validation)
                result = train(members, rows, validation, progress, **settings | self._stopping(blueprint, callbacks))
                del members  # makes room
                of_folds = result.fold_weights
                if self._is_plain(blueprint) and weights is None:
                    match_scale(result.module, rows)
                if starts and weights is None and self._comes_to_start(result, rows, blueprint, validation, seed):
                    unused, curves, net = read_weights(result.module), result.curves, result.net
                    del result  # makes room
                    start = self._common_start(rows, blueprint, seed)  # of all rows, the held-out ones included
                    attributes = self._at_start(*common, start, unused, curves, net)
                else:
                    attributes = self._trained(*common, result, validation)
            vars(self).update(attributes, validation_=validation.report)
        if of_folds and fold_networks.get() is not None:
            fold_networks.get()[self] = len(rows), validation.folds, of_folds

    def _stopping(self, blueprint, callbacks):
        """What may end a training early."""
        stops_early = self._is_plain(blueprint) if self.early_stopping == "auto" else self.early_stopping
        patience = self.n_iter_no_change if stops_early else None
        return {"n_iter_no_change": patience, "tol": self.tol, "callbacks": callbacks}

    def _comes_to_start(self, outcome, rows, blueprint, validation, seed):
        """Whether a training comes to the start of all rows, the held-out ones included.

        That is so where no epoch surely gains, and where a network that has seen few of the clusters, of a single fold,
        gains over the start of these rows, but not over that of all.
        """
        is_of_few = validation.clusters is not None and len(validation.folds) == 1 and len(rows) < FOLDED_ROWS
        if not outcome.epoch or not (is_of_few and self._is_plain(blueprint)):
            return outcome.epoch == 0
        module = blueprint.build(self.module_class, self._common_start(rows, blueprint, seed).weights())
        held_out = torch.tensor(rows.read(validation.folds[0][1]), dtype=torch.float32)
        with torch.inference_mode():
            loss = module.losses(held_out)["reconstruction"].double().mean().item()
        return loss < outcome.losses[:, -1].mean()

    def _validation(self, rows, y, X_val, groups, seed, warm):
        """The rows that judge the epochs."""
        if X_val is not None:
            return given_validation(len(rows), ScaledRows(X_val, rows.mean, rows.scale))
        if warm or (len(rows) < LEAST_ROWS and self.cv is None):
            return Validation()  # rows that the last fit was trained on can't judge this one
        return choose_validation(rows, fraction=self.validation_fraction, cv=self.cv, groups=groups, y=y, seed=seed)

    def _new_members(self, rows, blueprint, settings, first_weights, validation):
        """Networks by label, and the samples that each is trained on, (module, indices); the last is kept.

        Each starts at the solution of its samples, or where a fit ended. In cross-validation there is one for each
        fold, and a rival of each may start at random.
        """
        folds = validation.folds
        trained_on = {f"_fold{i}": index for i, (index, _) in enumerate(folds)} if len(folds) > 1 else {}
        trained_on |= {"": folds[0][0] if len(folds) == 1 else np.arange(len(rows))}
        seeds, members = itertools.count(settings["seed"]), {}
        for label, index in reversed(trained_on.items()):  # the network that is kept begins as it would alone
            weights, axes = first_weights, blueprint.axes
            if weights is None and self._has_start(blueprint):
                start = self._common_start(rows.take(np.sort(index)), blueprint, settings["seed"])
                weights, axes = start.weights(), start.axes(self._unit(rows.scale), self._asked("whiten"))
            module = replace(blueprint, axes=axes).build(self.module_class, weights, seed=next(seeds))
            members[label] = module, index
            if len(folds) > 1 and self._has_blank_rival(blueprint):
                one_unit = np.full_like(axes[0], np.sqrt(np.square(axes[0]).mean()))
                rival = replace(blueprint, axes=(one_unit, *axes[1:])).build(
                    self.module_class, weights, seed=next(seeds)
                )
                with isolated_rng(next(seeds)):
                    rival.encoder.start_blank()
                    rival.decoder.start_blank()
                members[f"{label}{RIVAL}"] = rival, index
        return dict(reversed(members.items()))

    # What a fit comes to ---------------------------------------------------------------------------------------------

    def _at_start(self, rows, moments, blueprint, settings, start, unused, curves=None, net=None):
        """Attributes of an estimator that is its start; `unused` weights of its network wait for `partial_fit`."""
        unit, curves = self._unit(rows.scale), curves or {}
        names = blueprint.build(self.module_class).state_dict()
        weights = unused | {name: value for name, value in start.weights().items() if name in names}
        blueprint = replace(blueprint, axes=start.axes(unit, self._asked("whiten")))
        if not start.is_pca:
            outcome = TrainingResult(blueprint.build(self.module_class, weights), 0, curves, net=net)
            del start, weights  # makes room
            return self._trained(rows, moments, blueprint, settings, outcome, Validation())
        ratio = None
        if blueprint.is_pca or blueprint.ordered:
            total = (moments.variance * np.square(rows.per_unit)).sum() * moments.n_rows / (moments.n_rows - 1)
            ratio = start.variance / total if total > 0 else np.zeros_like(start.variance)
        kept = weights, start.variance * unit**2, ratio, 0, curves, net
        return self._state(rows, moments, blueprint, settings, *kept)

    def _trained(self, rows, moments, blueprint, settings, outcome, validation=None, axes=None):
        """Attributes of an estimator with a trained module; the axes are given in a stream, which is not validated."""
        weights = read_weights(outcome.module) | outcome.weights
        if len(rows) == 1:  # a chunk of one row has no variance
            variance = self.explained_variance_
        elif axes is None:
            axes, variance = self._shown_axes(outcome.module, rows)
        else:
            variance = code_variance(outcome.module, rows)
        blueprint = replace(blueprint, axes=axes)
        if self._by_share and outcome.losses is not None:
            judged = rows.clean if validation.rows is None else validation.rows
            squares = [np.square(judged.read(index)).sum(axis=1) for _, index in validation.folds]
            most = (1 - self._code_size) * np.concatenate(squares).mean()
            size = least_size(outcome.start, outcome.losses, settings["sizes"], most, validation.clusters)
            blueprint, weights = blueprint.cut(self.module_class, weights, size)
            settings, variance = settings | {"sizes": prefix_sizes(size)}, variance[:size]
        ratio = None
        if blueprint.ordered and validation is not None:
            module = blueprint.build(self.module_class, weights)
            ratio = np.diff(r2_of_prefixes(module, rows), prepend=0.0)
        more = self._learned(outcome.module, rows, blueprint)
        kept = weights, variance, ratio, outcome.epoch, outcome.curves, outcome.net
        return self._state(rows, moments, blueprint, settings, *kept, **more)

    def _state(self, rows, moments, blueprint, settings, weights, variance, ratio, epoch, curves, net, **more):
        """All attributes of a fitted estimator."""
        settings = settings | {"device": str(settings["device"])}
        losses = {name: curves.get(name, np.empty(0)).tolist() for name in ("train_loss", "valid_loss")}
        kept = {
            **more,
            "_blueprint": blueprint,
            "_weights": weights,
            "_curves": curves,
            "_settings": settings,
            "_moments": moments,
            "_stream": None,
            "validation_": Validation().report,
            "_shaping": {name: self._shaping_parameter(name) for name in (*SHAPING, *self._more_shaping)},
            "_explained_variance_ratio": ratio,
            "n_components_": blueprint.n_components,
            "n_samples_": moments.n_rows,
            "mean_": moments.mean,
            "explained_variance_": variance,
            "best_epoch_": epoch,
            "loss_curve_": losses["train_loss"],
            "validation_loss_curve_": losses["valid_loss"],
            "n_iter_": max(1, len(losses["train_loss"])),
        }
        kept = self._assembled(kept, net)
        module = kept["_modules"]["float64"]
        return kept | {"feature_importances_": importances(module, rows, moments.seen.variance, blueprint.n_components)}
