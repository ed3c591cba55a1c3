"""The estimator that every variant shares: its parameters, and how it is fitted."""

import contextlib
import itertools
import os
from abc import ABCMeta, abstractmethod
from dataclasses import replace
from numbers import Integral, Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from skae._blueprint import Blueprint, read_weights
from skae._callbacks import CallbackSupportMixin, Epochs, with_callbacks
from skae._checkpoint import Checkpoint, describe_run
from skae._codes import code_variance, importances, match_scale, r2_of_prefixes, shown_axes
from skae._defaults import (
    MOST_WEIGHTS_OF_RIVALS,
    auto_batch_size,
    auto_hidden_layer_sizes,
    auto_learning_rate,
    auto_max_iter,
    prefix_sizes,
)
from skae._distributed import agreed, is_first, of_first
from skae._doc_link import DocLinkMixin
from skae._fitted import FittedMixin
from skae._onnx import OnnxMixin
from skae._pca import auto_n_components, linear_start
from skae._rows import Rows, ScaledRows
from skae._scaling import Moments
from skae._seeds import isolated_rng, local_rng
from skae._selection import LEAST_ROWS, Outcome, hold_out, least_size, train_surely
from skae._stream import StreamMixin
from skae._threads import blas_threads, torch_threads, work_of_a_row
from skae._training import make_net, resolve_device
from skae._typing import Activation, Auto, CodeSize, Init, LayerSizes, Loss, MatrixLike, Scale, Seed, StrPath, typed
from skae.nn import Siblings
from skae.nn.functional import ACTIVATIONS, LOSSES

# what `warm_start` and `partial_fit` go on from can't have changed
SHAPING = (
    *("n_components", "hidden_layer_sizes", "activation", "code_activation", "architecture", "init", "ordered"),
    *("whiten", "loss", "scale"),
)
UNCOUNTED = ("checkpoint", "checkpoint_interval", "random_state", "verbose")  # a run is the same whatever they are
OWN = ("device", "random_state", "verbose")  # may differ among the processes of a group
HOUSES = ("builtins", "numpy", "pathlib", "skae", "sklearn")  # whose code leaves global generators alone


class BaseAutoencoder(
    CallbackSupportMixin, OnnxMixin, StreamMixin, FittedMixin, DocLinkMixin, BaseEstimator, metaclass=ABCMeta
):
    """Base of all autoencoders: it owns the algorithm.

    A variant names its `_module_class`, an `AutoencoderModule` with its formula, and adds its parameters.
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's own way
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"mle"}),
            None,
        ],
        "hidden_layer_sizes": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "code_activation": [StrOptions(set(ACTIVATIONS))],
        "init": [StrOptions({"pca", "random"})],
        "ordered": ["boolean"],
        "whiten": ["boolean"],
        "loss": [StrOptions(set(LOSSES))],
        "scale": [StrOptions({"global", "standard"}), None],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_interval": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "mixed_precision": ["boolean"],
        "compile": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @property
    @abstractmethod
    def _module_class(self):
        """The `AutoencoderModule` that holds the variant's formula."""

    # Hooks of a variant ----------------------------------------------------------------------------------------------

    @property
    def _architecture(self):
        """The architecture as an object; a variant may have its parameters flat instead."""
        return self.architecture

    @property
    def _code_size(self):
        """What is asked of the size of the code."""
        return self.n_components

    def _formula(self, moments, scale):  # noqa: ARG002 - a variant's
        """What else the variant's module takes, as plain values."""
        return {}

    def _has_start(self, blueprint):
        """Whether training starts at a solution, and not at random."""
        return blueprint.linear

    def _start(self, rows, blueprint, seed):
        """Where training starts: the linear optimum of the variant's objective on scaled rows."""
        return linear_start(rows, blueprint.n_components, seed)

    def _common_start(self, rows, blueprint, seed):
        """The same in all processes of a group, to the bit."""
        return of_first(self._start(rows, blueprint, seed))

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

    _more_shaping = ()  # parameters that can't change between `partial_fit` and `partial_fit` either

    def _shown_axes(self, module, rows):
        """Axes in which codes are shown, and their variance."""
        if self.code_activation == "identity":
            return shown_axes(module, rows, whiten=self.whiten)
        return None, code_variance(module, rows)  # the user wants the activation's range

    def _learned(self, module, rows, blueprint):  # noqa: ARG002 - a variant's
        """More attributes of the trained module, of shape and meaning that are the variant's."""
        return {}

    @abstractmethod
    def __init__(
        self,
        n_components: CodeSize,
        *,
        hidden_layer_sizes: LayerSizes,
        activation: Activation,
        code_activation: Activation = "identity",  # a variant may have no use for this and the next three
        init: Init = "pca",
        ordered: bool = False,
        whiten: bool = False,
        loss: Loss,
        scale: Scale,
        max_iter: Auto | int,
        batch_size: Auto | int,
        learning_rate: Auto | float,
        weight_decay: float,
        early_stopping: Auto | bool,
        validation_fraction: Auto | float,
        n_iter_no_change: int,
        tol: float,
        warm_start: bool,
        checkpoint: StrPath | None,
        checkpoint_interval: int,
        device: str,
        mixed_precision: bool,
        compile: bool,
        random_state: Seed,
        verbose: int,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.init = init
        self.ordered = ordered
        self.whiten = whiten
        self.loss = loss
        self.scale = scale
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.checkpoint_interval = checkpoint_interval
        self.device = device
        self.mixed_precision = mixed_precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    # Fitting ---------------------------------------------------------------------------------------------------------

    @typed(_fit_context(prefer_skip_nested_validation=True))
    def fit(self, X: MatrixLike, y: object = None) -> Self:
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Sparse matrices and memory maps, and arrays that aren't NumPy's but slice like them, are read
            batch by batch.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is not as it should be, or `device` is not on this machine.
        """
        with self._or_as_before():
            warm = self.warm_start and self.__sklearn_is_fitted__()
            with agreed() as facts:
                X = self._checked(X, reset=not warm, least=2)
                self._check_more_parameters()
                if warm:
                    self._check_unchanged("warm_start=True")
                seed, checkpoint = self._draw_seed(), None
                self._state_facts(facts, X, seed, warm)
            seed = of_first(seed)
            if self.checkpoint is not None:
                checkpoint = self._open_checkpoint(X, seed, warm)
                seed = checkpoint.seed
            with self._isolated(seed), blas_threads(self._work_of_start(*X.shape)):
                self._fit(X, y, resolve_device(self.device), seed, warm, checkpoint)
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
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not as it should be, or a parameter was changed that shapes the network.
        """
        with self._or_as_before():
            first = not self.__sklearn_is_fitted__()
            with agreed() as facts:
                X = self._checked(X, reset=first, least=2 if first else 1)
                self._check_more_parameters()
                if not first:
                    self._check_unchanged("partial_fit")
                seed = self._draw_seed() if first else self._settings["seed"] + len(self.loss_curve_)
                self._state_facts(facts, X, seed, not first)
            seed = of_first(seed)
            with self._isolated(seed), blas_threads(self._work_of_start(*X.shape)):
                self._partial_fit(X, y, resolve_device(self.device), seed, first)
        return self

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

    def _open_checkpoint(self, X, seed, warm):
        parameters = self.get_params(deep=False)
        counts = {name: value for name, value in parameters.items() if name not in UNCOUNTED}
        any_seed, checkpoint = self.random_state is None, None
        with agreed():
            if is_first():  # the others need no folder
                run = describe_run(self, counts, X, self._weights if warm else None)
                checkpoint = Checkpoint(self.checkpoint, self.checkpoint_interval, run, seed, may_change_seed=any_seed)
        return of_first(checkpoint)

    def _state_facts(self, facts, X, seed, goes_on):
        """Say what has to be the same in all processes of a group."""
        if facts is None:
            return
        parameters = self.get_params(deep=False)
        counts = {name: value for name, value in parameters.items() if name not in OWN}
        facts |= describe_run(self, counts, X, self._weights if goes_on else None)
        if self.random_state is not None:
            facts["the seed of random_state"] = str(seed)

    @property
    def _is_foreign(self):
        """Whether code from elsewhere takes part in a fit, which may draw from global generators."""
        parts = [type(self), self._module_class, *self.get_params().values()]
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
        return n_rows * work_of_a_row(blueprint.build(self._module_class), blueprint.sizes[0])

    def _check_more_parameters(self):
        """Refuse what the constraints can't express."""
        if isinstance(self._code_size, bool | np.bool_):
            raise ValueError(f"n_components={self._code_size!r} must be an int of 1 or more, not a bool.")
        if self._by_share and self.loss != "squared_error":
            raise ValueError(
                f"n_components={self._code_size!r} is a share of the variance, which needs loss='squared_error', got "
                f"loss={self.loss!r}. Set n_components to an int."
            )
        if self.whiten and self.code_activation != "identity":
            raise ValueError(
                f"whiten=True needs code_activation='identity', got {self.code_activation!r}, whose codes keep its "
                "range. Set whiten=False, or put a StandardScaler behind."
            )
        if isinstance(self.hidden_layer_sizes, str):
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
        value = getattr(self, name)
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

    def _new_blueprint(self, rows, moments, seed):
        architecture, scale = self._architecture, moments.scale(self.scale)
        if architecture is not None and not architecture.dense_code:
            hidden_layers, n_components = (), self._size_of_map(architecture, rows.shape[1])
        else:
            hidden_layers, n_components = self._hidden_layers(*rows.shape), self._code_size
        if not isinstance(n_components, Integral):
            n_components = auto_n_components(rows, n_components, seed)
        return Blueprint(
            sizes=(rows.shape[1], *map(int, hidden_layers), int(n_components)),
            activation=self.activation,
            code_activation=self.code_activation,
            loss=self.loss,
            linear=self.init == "pca" and self.code_activation == "identity",
            mean=moments.mean,
            scale=scale,
            spread=np.sqrt(moments.variance) * rows.per_unit,
            link=moments.link(self.loss, scale),
            ordered=self.ordered or self._by_share,
            architecture=clone(architecture, safe=False),
            formula=self._formula(moments, scale),
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
        if not isinstance(self.hidden_layer_sizes, str) and self._hidden_layers(None, None):
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
            spread=np.sqrt(moments.variance) * rows.per_unit,
            link=moments.link(self.loss, scale),
            axes=axes,
            formula=self._formula(moments, scale),
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
            "compile": self.compile,
            "seed": seed,
            "sizes": prefix_sizes(n_components) if self.ordered or self._by_share else None,
            "isolates": self._is_foreign,
        }

    @with_callbacks
    def _fit(self, X, y, device, seed, warm, checkpoint):
        moments = Moments().update(Rows(X))
        rows = ScaledRows(X, moments.mean, moments.scale(self.scale))
        blueprint = self._rescaled(rows, moments) if warm else self._new_blueprint(rows, moments, seed)
        settings = self._new_settings(len(rows), device, seed, blueprint.n_components)
        # where training starts, unless at a solution or at random
        solved, starts = self._is_solved(blueprint), self._has_start(blueprint)
        if not solved:
            moments.check_float32(rows.scale)
        weights = self._weights if warm and not solved else None

        folds = []  # rows that the last fit was trained on can't judge this one
        if len(rows) >= LEAST_ROWS and rows.scale.any() and not solved and not warm:
            folds = hold_out(len(rows), self.validation_fraction, seed)
        trains = bool(folds) or not starts or weights is not None

        def attributes_now(module):
            return self._trained(rows, moments, blueprint, settings, Outcome(module=module), folds)

        work, n_epochs = self._work_of_step(blueprint, min(settings["batch_size"], len(rows))), settings["max_iter"]
        with torch_threads(work), Epochs(self, X, y, n_epochs if trains else 0, attributes_now) as epochs:
            if trains:
                outcome = self._train(rows, blueprint, settings, weights, folds, epochs, checkpoint)
            else:
                outcome = Outcome(epoch=0, module=blueprint.build(self._module_class))
            if outcome.epoch == 0 and starts and weights is None:
                start = self._common_start(rows, blueprint, seed)  # of all rows, the held-out ones included
                unused = read_weights(outcome.module)
                attributes = self._at_start(rows, moments, blueprint, settings, start, unused, outcome.curves)
            else:
                attributes = self._trained(rows, moments, blueprint, settings, outcome, folds)
            vars(self).update(attributes)

    def _train(self, rows, blueprint, settings, first_weights, folds, epochs, checkpoint):
        """Train on scaled rows as far as that is sure to gain something, and return the outcome."""
        seeds = itertools.count(settings["seed"])

        def new_modules(index):
            """Build, after a rival if any, a module that starts at the solution of these rows or where a fit ended."""
            weights, axes = first_weights, blueprint.axes
            if weights is None and self._has_start(blueprint):
                start = self._common_start(rows.take(np.sort(index)), blueprint, settings["seed"])
                weights, axes = start.weights(), start.axes(self._unit(rows.scale), self.whiten)
            if len(folds) > 1 and self._has_blank_rival(blueprint):
                one_unit = np.full_like(axes[0], np.sqrt(np.square(axes[0]).mean()))
                rival = replace(blueprint, axes=(one_unit, *axes[1:])).build(
                    self._module_class, weights, seed=next(seeds)
                )
                with isolated_rng(next(seeds)):
                    rival.encoder.start_blank()
                    rival.decoder.start_blank()
                yield rival
            yield replace(blueprint, axes=axes).build(self._module_class, weights, seed=next(seeds))

        def new_net(indices):
            siblings = Siblings([module for index in indices for module in new_modules(index)], settings["device"])
            return make_net(siblings, max(map(len, indices)), **settings)

        stops_early = self._is_plain(blueprint) if self.early_stopping == "auto" else self.early_stopping
        outcome = train_surely(
            new_net,
            rows.on_device(settings["device"]),
            folds,
            epochs,
            max_iter=settings["max_iter"],
            n_iter_no_change=self.n_iter_no_change if stops_early else None,
            tol=self.tol,
            checkpoint=checkpoint,
        )
        if self._is_plain(blueprint) and first_weights is None:
            match_scale(outcome.module, rows)
        return outcome

    # What a fit comes to ---------------------------------------------------------------------------------------------

    def _at_start(self, rows, moments, blueprint, settings, start, unused, curves):
        """Attributes of an estimator that is its start; `unused` weights of its network wait for `partial_fit`."""
        unit = self._unit(rows.scale)
        names = blueprint.build(self._module_class).state_dict()
        weights = unused | {name: value for name, value in start.weights().items() if name in names}
        blueprint = replace(blueprint, axes=start.axes(unit, self.whiten))
        if not start.is_pca:
            outcome = Outcome(blueprint.build(self._module_class, weights), 0, curves)
            return self._trained(rows, moments, blueprint, settings, outcome, folds=[])
        ratio = None
        if blueprint.is_pca or blueprint.ordered:
            total = (moments.variance * np.square(rows.per_unit)).sum() * moments.n_rows / (moments.n_rows - 1)
            ratio = start.variance / total if total > 0 else np.zeros_like(start.variance)
        return self._state(rows, moments, blueprint, settings, weights, start.variance * unit**2, ratio, 0, curves)

    def _trained(self, rows, moments, blueprint, settings, outcome, folds=None, axes=None):
        """Attributes of an estimator with a trained module; the axes are given in a stream, which has no folds."""
        weights = read_weights(outcome.module) | outcome.weights
        if len(rows) == 1:  # a chunk of one row has no variance
            variance = self.explained_variance_
        elif axes is None:
            axes, variance = self._shown_axes(outcome.module, rows)
        else:
            variance = code_variance(outcome.module, rows)
        blueprint = replace(blueprint, axes=axes)
        if self._by_share and outcome.losses is not None:
            variation = np.mean([np.square(rows.read(i)).sum(axis=1).mean() for _, i in folds])  # of held-out rows
            most = (1 - self._code_size) * variation
            size = least_size(outcome.start, outcome.losses, settings["sizes"], most)
            blueprint, weights = blueprint.cut(self._module_class, weights, size)
            settings, variance = settings | {"sizes": prefix_sizes(size)}, variance[:size]
        ratio = None
        if blueprint.ordered and folds is not None:
            module = blueprint.build(self._module_class, weights)
            ratio = np.diff(r2_of_prefixes(module, rows), prepend=0.0)
        more = self._learned(outcome.module, rows, blueprint)
        kept = weights, variance, ratio, outcome.epoch, outcome.curves
        return self._state(rows, moments, blueprint, settings, *kept, **more)

    def _state(self, rows, moments, blueprint, settings, weights, variance, ratio, epoch, curves, **more):
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
        kept = self._assembled(kept)
        module = kept["_modules"]["float64"]
        return kept | {"feature_importances_": importances(module, rows, moments.variance, blueprint.n_components)}
