"""Base class of all autoencoders: training parameters and fitting."""

import warnings
from abc import ABCMeta
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils.metaestimators import available_if

from skae._basis import Space
from skae._checks import SHAPE_PARAMETERS, ChecksMixin, has_partial_fit
from skae._codes import code_variance, importances, match_scale, r2_of_prefixes
from skae._cudnn import repeatable
from skae._data.missing import FactorModel, check_columns, missing_mask
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics
from skae._defaults import EPOCHS_OF_PATIENCE, LONGER, auto_batch_size, auto_learning_rate, prefix_sizes
from skae._devices import resolve_device
from skae._doc_link import DocLinkMixin
from skae._hooks import HooksMixin
from skae._imputation import network_weights
from skae._inference import InferenceMixin
from skae._linear import NAMES, LinearMixin, attributes_of_pca
from skae._module_spec import ModuleSpecMixin
from skae._onnx import OnnxMixin
from skae._parameters import TrainingParameters
from skae._persistence import PersistenceMixin
from skae._spec import read_weights, without_bounds
from skae._stream import StreamMixin
from skae._threads import blas_threads, torch_threads
from skae._torch_state import default_torch_state
from skae._training.checkpoint import find_checkpoint
from skae._training.distributed import broadcast_from_main, consistent_across_ranks
from skae._training.progress import CallbackSupportMixin, FitProgress, with_callbacks
from skae._training.selection import fold_networks, smallest_size
from skae._training.train import TrainingResult, train
from skae._training.users import copy_callbacks
from skae._typing import MatrixLike, typed
from skae._validation import FOLDED_ROWS, MIN_ROWS, Validation, choose_validation, given_validation

MANY_WEIGHTS = 2**22  # 32 MiB in float64


class AutoencoderCore(
    CallbackSupportMixin,
    OnnxMixin,
    HooksMixin,
    StreamMixin,
    ChecksMixin,
    ModuleSpecMixin,
    LinearMixin,
    InferenceMixin,
    PersistenceMixin,
    DocLinkMixin,
    TrainingParameters,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base class of all autoencoders: the algorithm and the training parameters.

    A variant sets `module_class`, an `AutoencoderModule` that defines its objective, and adds its parameters.
    """

    def _prepare_data(self, X, y, X_val, seed):
        """Return the statistics of X, the scaled samples, and the scaled samples of X_val (or None).

        Missing values are replaced by their conditional expectations. The model for these is fitted even if no values
        are missing, since samples passed later may have missing values.
        """
        clean, target = self._clean_rows(y), self._encoded(X, y)
        given = [ArrayReader(each, may_miss=self._takes_missing) for each in (X, X_val) if each is not None]
        statistics = FeatureStatistics(self._categories).update(
            given[0], None if clean is None else ArrayReader(clean, name="y")
        )
        check_columns(statistics.seen.n_each, statistics.n_rows, getattr(self, "feature_names_in_", None))
        may_miss = [statistics.seen.is_incomplete, True]
        missing = [missing_mask(rows) if may else None for rows, may in zip(given, may_miss, strict=False)]
        if (self._takes_missing and not given[0].sparse) or any(mask is not None for mask in missing):
            statistics.factors = broadcast_from_main(FactorModel.of(given[0], statistics.seen, seed))
        if any(mask is not None for mask in missing):
            given = [
                ArrayReader(np.concatenate([statistics.factors.fill(x) for x in rows.batches()])) for rows in given
            ]
            missing = [
                np.zeros(rows.shape, dtype=bool) if mask is None else mask
                for rows, mask in zip(given, missing, strict=True)
            ]
        if clean is not None:
            missing = [None]  # reconstructions are compared with the clean samples
        units = statistics.mean, statistics.scale(self.scale)
        rows = ScaledReader(given[0].X, *units, clean=clean, target=target, missing=missing[0])
        return statistics, rows, None if X_val is None else ScaledReader(given[1].X, *units, missing=missing[1])

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
            Training data. Sparse matrices, memory maps, and other array types that support slicing are read batch by
            batch. NaN are missing values, which the loss ignores and `impute` replaces.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Clean samples that correspond to noisy samples X, for `DenoisingAutoencoder`. A custom variant may use y as
            targets. Other autoencoders ignore it, with a warning if it has the shape of X and other values. Labels
            (one-dimensional y) are ignored, except by custom variants.

        X_val : {array-like, sparse matrix} of shape (n_samples_val, n_features), default=None
            Validation samples, by which the epoch is selected. The networks are then trained on all of X, and these
            samples must be independent of those of X. In a Pipeline they have to be transformed by the earlier steps as
            well: see `transform_input` of :class:`~sklearn.pipeline.Pipeline`.

        groups : array-like of shape (n_samples,), default=None
            Group labels of the samples, such as the patient that they belong to. The samples of a group are either all
            used for validation or all used for training. The labels are passed to `cv` if it is set.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y, `X_val` or `groups` is invalid, if `X_val` is combined with `groups`, `cv` or
            `validation_fraction`, or `cv` with `validation_fraction`, or if `device` is not available.
        """
        with self._restored_on_error(), default_torch_state(), repeatable(self.random_state is not None):
            warm = self.warm_start and self.__sklearn_is_fitted__()
            with consistent_across_ranks() as facts:
                X = self._checked(X, reset=not warm, least=2)
                y = self._checked_target(X, y)
                self.check_parameters()
                X_val, groups = self._checked_validation(X, y, X_val, groups)
                if warm:
                    self._check_unchanged("warm_start=True")
                seed, callbacks = self._draw_seed(), copy_callbacks(self.callbacks)
                self._state_facts(facts, X, y, seed, warm, X_val=X_val, groups=groups)
            seed = broadcast_from_main(seed)
            checkpoint = find_checkpoint(callbacks)
            if checkpoint is not None:
                seed = self._open_checkpoint(checkpoint, X, y, seed, warm, X_val, groups)
            with self._isolated(seed), blas_threads(self._work_of_start(*X.shape)):
                self._fit(X, y, X_val, groups, resolve_device(self.device), seed, warm, callbacks)
        return self

    @typed(available_if(has_partial_fit))
    @typed(_fit_context(prefer_skip_nested_validation=True))
    def partial_fit(self, X: MatrixLike, y: object = None) -> Self:
        """Continue training with a chunk of samples: one pass over it, in batches of `batch_size`.

        Chunks may have any size and order. A network that starts from PCA is trained, and `IncrementalPCA` is updated
        with all samples. Some samples are used for validation: after each chunk, the estimator uses the network if it
        is significantly better than PCA on them, and PCA otherwise. The scaling is that of the initialization of the
        network, while `mean_` is the mean of all samples seen. If the number of components is not an int, it is
        determined by the first chunk. The axes of the codes are determined by the first 64 samples and don't change
        until the next `fit`. If training diverges, the estimator is unchanged. There may be missing values (NaN), but
        each feature must have an observed value in the first chunk.

        A linear autoencoder is updated in closed form, like `IncrementalPCA`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : Ignored
            Not used, present for API consistency by convention. Clean samples, as in `DenoisingAutoencoder.fit`, raise
            an error.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or y is invalid, or if a parameter that determines the shape of the network was changed.
        """
        with self._restored_on_error(), default_torch_state(), repeatable(self.random_state is not None):
            first = not self.__sklearn_is_fitted__()
            with consistent_across_ranks() as facts:
                X = self._checked(X, reset=first, least=2 if first else 1)
                y = self._checked_target(X, y)
                if self._clean_rows(y) is not None:
                    raise ValueError(
                        "partial_fit doesn't support clean samples as y: it adds noise to X itself. Pass all pairs to "
                        "fit(X_noisy, X_clean), or clean samples as X."
                    )
                self.check_parameters()
                if not first:
                    self._check_unchanged("partial_fit")
                seed = self._draw_seed() if first else self._settings["seed"] + len(self.loss_curve_)
                self._state_facts(facts, X, y, seed, not first)
            seed = broadcast_from_main(seed)
            with self._isolated(seed), blas_threads(self._work_of_start(*X.shape)):
                self._partial_fit(X, y, resolve_device(self.device), seed, first)
        return self

    @with_callbacks
    def _fit(self, X, y, X_val, groups, device, seed, warm, callbacks):
        for name in {*NAMES, "_network_weights"} & set(vars(self)):  # attributes of an earlier fit
            delattr(self, name)
        statistics, rows, rows_val = self._prepare_data(X, y, X_val, seed)
        spec = self._rescaled(rows, statistics) if warm else self._new_spec(rows, statistics, seed, X_val, groups)
        settings = self._new_settings(len(rows), device, seed, spec.n_components)
        solved, starts = self._is_solved(spec), self._has_start(spec)
        if solved and find_checkpoint(callbacks) is None and callbacks:
            warnings.warn(
                f"callbacks={self.callbacks!r} have no effect: this {type(self).__name__} is computed in closed form, "
                "without epochs.",
                stacklevel=5,
            )
        if not solved:
            statistics.check_float32(rows.scale)
        weights = self._weights if warm and not solved else None

        validation = Validation()
        if rows.scale.any() and not solved:
            validation = broadcast_from_main(self._validation(rows, y, rows_val, groups, seed, warm))
        space = Space(spec, rows, validation.rows)
        if weights is None and (validation.folds or not starts) and not solved:
            space = self._space(rows, spec, validation.rows)
        if validation.folds:
            n_folds, settings["max_iter"] = self._affordable(space.rows, space.spec, settings["max_iter"])
            if self.batch_size == "auto" and self._is_narrow(space.spec):
                settings["batch_size"] = auto_batch_size(len(rows), is_narrow=True)
            if self.learning_rate == "auto" and self._is_plain(spec):
                width = rows.shape[1] if rows.shape[1] > len(rows) else space.rows.shape[1]
                settings["learning_rate"] = auto_learning_rate(spec.architecture, len(rows), width)
            validation = validation.cut(n_folds) if self.cv is None else validation
        stopping = self._stopping(spec, callbacks, settings["max_iter"])
        if validation.folds and stopping["n_iter_no_change"] and self._takes_longer(space.spec):
            stopping["first_cycle"] = settings["max_iter"]
            settings["max_iter"] *= 1 + LONGER
        trains = bool(validation.folds) or not starts or weights is not None

        common = rows, statistics, spec, settings
        n_epochs = settings["max_iter"]
        work = self._work_of_step(space.spec, min(settings["batch_size"], len(rows)))
        settings["mixed_precision"] = self._in_bfloat16(device, work)

        def attributes_now(module):
            return self._trained(*common, TrainingResult(module=space.whole(module)), validation)

        with torch_threads(work), FitProgress(self, X, y, n_epochs if trains else 0, attributes_now) as progress:
            level = None, "start"
            progress.write(validation if trains else "computed in closed form, without epochs.")
            if progress.is_shown and validation.folds and spec.loss == "squared_error" and self._is_plain(spec):
                progress.set_r2_reference(self._mean_square(rows, validation))
            of_folds = []
            if not trains:  # in closed form, or with too few samples to validate a trained network
                start = self._common_start(rows, spec, seed)
                attributes = self._at_start(*common, start, read_weights(spec.build(self.module_class)))
            else:
                members = self._new_members(space.rows, space.spec, settings, weights, validation)
                validation_rows = replace(validation, rows=space.rows_val)
                result = train(members, space.rows, validation_rows, progress, **settings | stopping)
                del members  # frees memory
                of_folds = [space.whole_weights(self.module_class, each) for each in result.fold_weights]
                result = replace(result, module=space.whole(result.module))
                self._warn_if_cut_short(result, spec, settings["max_iter"], stopping.get("first_cycle"))
                if result.start is not None:
                    name = "PCA" if self._is_plain(spec) else "the start"
                    losses = result.losses[:, -1].mean(), result.start[:, -1].mean()
                    progress.selected(result.epoch, len(result.curves["train_loss"]), *losses, name)
                    level = float(losses[1]), "PCA" if self._is_plain(spec) else "start"
                if (
                    starts
                    and weights is None
                    and self._falls_back_to_initialization(result, rows, spec, validation, seed)
                ):
                    unused, curves, net = read_weights(result.module), result.curves, result.net
                    del result  # frees memory
                    start = self._common_start(rows, spec, seed)  # from all samples, including validation samples
                    attributes = self._at_start(*common, start, unused, curves, net)
                else:
                    matches = self._has_free_scale(spec) and weights is None
                    attributes = self._trained(*common, result, validation, matches_scale=matches)
            vars(self).update(attributes, validation_=validation.report, _level_of_start=level)
            if statistics.factors is not None and not rows.are_pairs:
                self._network_weights = network_weights(self, rows, validation, of_folds, seed)
        if of_folds and fold_networks.get() is not None:
            fold_networks.get()[self] = len(rows), validation.folds, of_folds

    def _stopping(self, spec, callbacks, max_iter):
        """Return the parameters of early stopping. The patience increases with `max_iter`: epochs improve less."""
        stops_early = self._is_plain(spec) if self.early_stopping == "auto" else self.early_stopping
        patience = round(self.n_iter_no_change * max(1, max_iter / EPOCHS_OF_PATIENCE)) if stops_early else None
        return {"n_iter_no_change": patience, "tol": self.tol, "callbacks": callbacks}

    def _falls_back_to_initialization(self, outcome, rows, spec, validation, seed):
        """Return whether the result of training is replaced by the initialization on all samples.

        This is the case if no epoch is a significant improvement. With clusters and a single fold, it is also the case
        if the initialization on all samples, including the validation samples, has a smaller loss than the network.
        """
        is_of_few = validation.clusters is not None and len(validation.folds) == 1 and len(rows) < FOLDED_ROWS
        if not outcome.epoch or not (is_of_few and self._is_plain(spec)):
            return outcome.epoch == 0
        module = spec.build(self.module_class, self._common_start(rows, spec, seed).weights())
        held_out, wanted = (
            torch.tensor(some.read(validation.folds[0][1]), dtype=torch.float32) for some in (rows, rows.there)
        )
        with torch.inference_mode():
            terms = module.losses(held_out, target=wanted)
            loss = sum(term.double().mean().item() for term in terms.values())
        return loss < outcome.losses[:, -1].mean()

    def _validation(self, rows, y, rows_val, groups, seed, warm):
        """Return the split into training and validation samples."""
        if rows_val is not None:
            return given_validation(len(rows), rows_val)
        if warm or (len(rows) < MIN_ROWS and self.cv is None):
            return Validation()  # the training samples of the previous fit can't be used for validation
        return choose_validation(rows, fraction=self.validation_fraction, cv=self.cv, groups=groups, y=y, seed=seed)

    # Fitted attributes -----------------------------------------------------------------------------------------------

    def _at_start(self, rows, statistics, spec, settings, start, unused, curves=None, net=None):
        """Return the attributes of an estimator that is its initialization, with `unused` weights for `partial_fit`."""
        unit, curves = self._unit(rows.scale), curves or {}
        names = spec.build(self.module_class).state_dict()
        weights = without_bounds(unused) | {name: value for name, value in start.weights().items() if name in names}
        spec = replace(spec, axes=start.axes(unit, self._get_param("whiten")))
        if not start.is_pca:
            outcome = TrainingResult(spec.build(self.module_class, weights), 0, curves, net=net)
            del start, weights  # frees memory
            return self._trained(rows, statistics, spec, settings, outcome, Validation())
        ratio = None
        if spec.is_pca or spec.ordered:
            total = (statistics.variance * np.square(rows.per_unit)).sum() * statistics.n_rows / (statistics.n_rows - 1)
            ratio = start.variance / total if total > 0 else np.zeros_like(start.variance)
        more = {}
        if spec.is_pca:
            own = rows.scale if self.scale == "standard" else None
            more = attributes_of_pca(start, statistics.n_rows, total, unit, rows.dtype, own)
        kept = weights, start.variance * unit**2, ratio, 0, curves, net
        return self._state(rows, statistics, spec, settings, *kept, **more)

    def _trained(self, rows, statistics, spec, settings, outcome, validation=None, axes=None, *, matches_scale=False):
        """Return the attributes of an estimator with a trained module; `partial_fit` passes axes, but no validation.

        If `matches_scale`, the codes are rescaled to the total variance of PCA's scores.
        """
        weights = read_weights(outcome.module) | outcome.weights
        if len(rows) == 1:  # a chunk of one sample has no variance
            variance = self.explained_variance_
        elif axes is None:
            axes, variance = self._shown_axes(outcome.module, rows)
            if matches_scale and axes is not None:
                axes, variance = match_scale(axes, variance, whiten=self._get_param("whiten"))
        else:
            variance = code_variance(outcome.module, rows)
        spec = replace(spec, axes=axes)
        if self._by_variance_fraction and outcome.losses is not None:
            most = (1 - self._code_size) * self._mean_square(rows, validation)
            size = smallest_size(outcome.start, outcome.losses, settings["sizes"], most, validation.clusters)
            spec, weights = spec.cut(self.module_class, weights, np.arange(size))
            settings, variance = settings | {"sizes": prefix_sizes(size)}, variance[:size]
        ratio = None
        if spec.ordered and validation is not None:
            module = spec.build(self.module_class, weights)
            ratio = np.diff(r2_of_prefixes(module, rows), prepend=0.0)
        more = self._learned(outcome.module, rows, spec)
        kept = weights, variance, ratio, outcome.epoch, outcome.curves, outcome.net
        return self._state(rows, statistics, spec, settings, *kept, **more)

    def _mean_square(self, rows, validation):
        """Return the mean over validation samples of their squares, summed over observed values."""
        compared = rows.clean if validation.rows is None else validation.rows
        squares = [np.nansum(np.square(compared.there.read(index)), axis=1) for _, index in validation.folds]
        return np.concatenate(squares).mean()

    def _state(self, rows, statistics, spec, settings, weights, variance, ratio, epoch, curves, net, **more):
        """Return all attributes of a fitted estimator."""
        settings = settings | {"device": str(settings["device"])}
        losses = {name: curves.get(name, np.empty(0)).tolist() for name in ("train_loss", "valid_loss")}
        kept = {
            **more,
            "_spec": spec,
            "_weights": weights,
            "_curves": curves,
            "_settings": settings,
            "_statistics": statistics,
            "_stream": None,
            "validation_": Validation().report,
            "_shaping": {name: self._shaping_parameter(name) for name in (*SHAPE_PARAMETERS, *self._more_shaping)},
            "_explained_variance_ratio": ratio,
            "n_components_": spec.n_components,
            "n_samples_": statistics.n_rows,
            "mean_": statistics.mean,
            "explained_variance_": variance,
            "best_epoch_": epoch,
            "loss_curve_": losses["train_loss"],
            "validation_loss_curve_": losses["valid_loss"],
            "n_iter_": max(1, len(losses["train_loss"])),
        }
        kept = self._assembled(kept, net)
        # importances don't need float64, in which convolutions are many times slower, and wide layers take more memory
        is_small = spec.architecture is None and spec.n_weights < MANY_WEIGHTS
        module = kept["_modules"]["float64" if is_small else "float32"]
        return kept | {"feature_importances_": importances(module, rows, statistics.seen.variance, spec.n_components)}
