"""The estimator that every variant shares: validation, fit, transform, inverse_transform and score."""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from skae._blueprint import Blueprint, read_weights
from skae._defaults import auto_batch_size, auto_hidden_layer_sizes, auto_max_iter
from skae._pca import linear_start, principal_axes
from skae._scaling import link_of, mean_and_scale, scaled_rows
from skae._selection import LEAST_ROWS, Outcome, hold_out, train_surely
from skae._training import isolated_rng, make_net, resolve_device, write_curves
from skae.nn import Decoder, Encoder
from skae.nn.functional import ACTIVATIONS, LOSSES

FLOATS = (np.float64, np.float32)
ROWS_AT_ONCE = 4096  # in transform and the like: bounds the memory of the layers in between


class BaseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of all autoencoders: it owns the algorithm.

    A variant names its `_module_class`, an `AutoencoderModule` with its formula, and adds its parameters.
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's own way
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "code_activation": [StrOptions(set(ACTIVATIONS))],
        "init": [StrOptions({"pca", "random"})],
        "loss": [StrOptions(set(LOSSES))],
        "scale": [StrOptions({"global", "standard"}), None],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @property
    @abstractmethod
    def _module_class(self):
        """The `AutoencoderModule` that holds the variant's formula."""

    @abstractmethod
    def __init__(
        self,
        n_components,
        *,
        hidden_layer_sizes,
        activation,
        code_activation,
        init,
        loss,
        scale,
        max_iter,
        batch_size,
        learning_rate,
        weight_decay,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        device,
        random_state,
        verbose,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.init = init
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
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # Fitting ---------------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):  # noqa: ARG002 - scikit-learn's signature
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
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
            If a parameter or X is not as it should be, or `device` is not on this machine.
        """
        before = dict(vars(self))
        try:
            X = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
            self._check_more_parameters()
            # None draws fresh entropy: unlike scikit-learn's, it leaves numpy's global generator alone
            rng = np.random.RandomState() if self.random_state is None else check_random_state(self.random_state)
            seed = int(rng.randint(2**31 - 1))
            with isolated_rng(seed):
                self._fit(X, resolve_device(self.device), seed)
        except BaseException:  # an estimator is fitted, or as it was: Ctrl-C too leaves nothing half done
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _check_more_parameters(self):
        """Refuse what the constraints can't express."""
        if isinstance(self.n_components, bool | np.bool_):
            raise ValueError(f"n_components={self.n_components!r} must be an int of 1 or more, not a bool.")
        if isinstance(self.hidden_layer_sizes, str):
            return
        for size in self._hidden_layers(None, None):
            if isinstance(size, bool | np.bool_) or not isinstance(size, Integral) or size < 1:
                raise ValueError(
                    f"hidden_layer_sizes={self.hidden_layer_sizes!r} must hold ints of 1 or more, got {size!r}. "
                    "Use () for a linear autoencoder."
                )

    def _hidden_layers(self, n_rows, n_features):
        sizes = self.hidden_layer_sizes
        if isinstance(sizes, str):
            return auto_hidden_layer_sizes(n_rows, n_features)
        return (sizes,) if isinstance(sizes, Integral) else tuple(sizes)

    def _fit(self, X, device, seed):
        mean, scale = mean_and_scale(X, self.scale)
        rows = scaled_rows(X, mean, scale)  # (n, d), in float64
        blueprint = Blueprint(
            sizes=(X.shape[1], *map(int, self._hidden_layers(*X.shape)), int(self.n_components)),
            activation=self.activation,
            code_activation=self.code_activation,
            loss=self.loss,
            linear=self.init == "pca" and self.code_activation == "identity",
            mean=mean,
            scale=scale,
            spread=rows.std(axis=0),
            link=link_of(X, mean, scale, self.loss),
        )
        batch_size = auto_batch_size(len(X)) if self.batch_size == "auto" else self.batch_size
        settings = {
            "max_iter": auto_max_iter(len(X), batch_size) if self.max_iter == "auto" else self.max_iter,
            "batch_size": batch_size,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "device": device,
            "seed": seed,
        }
        # codes are shown in X's own units where all features share one scale
        unit = float(scale.max()) if self.scale == "global" and scale.any() else 1.0

        outcome = self._train(rows, blueprint, settings, unit)
        weights = read_weights(outcome.module)
        if outcome.epoch == 0 and blueprint.linear:  # PCA of all rows, the held-out ones included
            start = linear_start(rows, self.n_components, seed)
            weights |= {name: value for name, value in start.weights().items() if name in weights}
            axes, variance = start.axes(unit), start.variance * unit**2
        else:
            axes, variance = self._axes(outcome.module, rows)

        self._blueprint = replace(blueprint, axes=axes)
        self._weights, self._curves, self._settings = weights, outcome.curves, settings | {"device": str(device)}
        self._explained_variance_ratio = None
        if blueprint.is_pca:
            total = rows.var(axis=0, ddof=1).sum() * unit**2
            self._explained_variance_ratio = variance / total if total > 0 else variance
        self.n_components_ = blueprint.sizes[-1]
        self.n_samples_ = len(X)
        self.mean_ = mean
        self.explained_variance_ = variance
        self.best_epoch_ = outcome.epoch
        self.loss_curve_ = outcome.curves.get("train_loss", np.empty(0)).tolist()
        self.validation_loss_curve_ = outcome.curves.get("valid_loss", np.empty(0)).tolist()
        self.n_iter_ = max(1, len(self.loss_curve_))
        self._assemble()

    def _train(self, rows, blueprint, settings, unit):
        """Train on scaled rows as far as that is sure to gain something, and return the outcome."""
        folds = []
        if len(rows) >= LEAST_ROWS and not blueprint.is_pca:
            folds = hold_out(len(rows), self.validation_fraction, settings["seed"])
        if blueprint.linear and not folds:
            return Outcome(0, blueprint.build(self._module_class), {})

        def new_net(index, fold):
            """Make a net that starts at PCA of these rows, or at random."""
            if blueprint.linear:
                start = linear_start(rows[index], self.n_components, settings["seed"])
                module = replace(blueprint, axes=start.axes(unit)).build(self._module_class, start.weights())
            else:
                module = blueprint.build(self._module_class)
            return make_net(module, len(index), **settings | {"seed": settings["seed"] + fold})

        n_trainings = 1 if len(folds) == 1 else len(folds) + 1
        with tqdm(
            total=settings["max_iter"] * n_trainings, desc=type(self).__name__, unit="epoch", disable=not self.verbose
        ) as bar:
            return train_surely(
                new_net,
                torch.tensor(rows, dtype=torch.float32, device=settings["device"]),
                folds,
                max_iter=settings["max_iter"],
                n_iter_no_change=self.n_iter_no_change if self.early_stopping else None,
                tol=self.tol,
                on_epoch=bar.update,
            )

    def _axes(self, module, rows):
        """Axes in which a trained module's codes are shown, and the variance of the shown codes."""
        device = next(module.parameters()).device
        module.eval()
        with torch.inference_mode():
            batches = torch.tensor(rows, dtype=torch.float32).split(ROWS_AT_ONCE)
            codes = [module.code(module.encoder(batch.to(device))).cpu().double().numpy() for batch in batches]
        codes = np.concatenate(codes)  # (n, k)
        if self.code_activation != "identity":  # the user wants the activation's range
            return None, codes.var(axis=0, ddof=1)
        scale = np.ones(codes.shape[1]) if module.axes is None else module.axes.scale.cpu().double().numpy()
        mean, rotation, variance = principal_axes(codes * scale, rows)
        return (scale, mean, rotation), variance

    # What is kept is arrays and plain values; torch's objects are made of them ----------------------------------------

    def _assemble(self):
        """Build the modules and the net from the blueprint, the weights and the curves."""
        try:
            device = resolve_device(self._settings["device"])
        except ValueError:  # fitted on a device that this machine doesn't have
            device = torch.device("cpu")
        double_device = torch.device("cpu") if device.type == "mps" else device  # which has no float64
        with isolated_rng(0):  # building a layer draws weights, though they are replaced
            single = self._blueprint.build(self._module_class, self._weights).to(device)
            double = self._blueprint.build(self._module_class, self._weights, torch.float64).to(double_device)
            net = make_net(single, self.n_samples_, **self._settings | {"device": device})
        single.eval()
        write_curves(net, self._curves)
        self._modules = {"float32": single, "float64": double}
        self.net_, self.encoder_, self.decoder_ = net, Encoder(single), Decoder(single)

    def __getstate__(self):
        state = super().__getstate__().copy()
        for name in ("_modules", "net_", "encoder_", "decoder_"):
            state.pop(name, None)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_blueprint" in state:
            self._assemble()

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_modules")

    # Using a fitted autoencoder --------------------------------------------------------------------------------------

    def transform(self, X):
        """Encode X: the dimensionality reduction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            New data. Its dtype decides the precision: float32 in, float32 out; anything else is float64.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components_)
            Codes.
        """
        return self._apply("encode", self._validated(X), self.n_components_)

    def inverse_transform(self, X):
        """Decode codes: transform them back to the original space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructions, in the units of the training data.

        Raises
        ------
        ValueError
            If X has not `n_components_` columns.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=FLOATS, input_name="X")
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__}.inverse_transform is expecting "
                f"n_components_={self.n_components_} of them, as transform returns."
            )
        return self._apply("decode", X, self.n_features_in_)

    def reconstruct(self, X):
        """Encode and decode X in one go.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features)
            The same as `inverse_transform(transform(X))`.
        """
        X = self._validated(X)
        return self._apply("forward", X, X.shape[1])

    def score(self, X, y=None):  # noqa: ARG002 - scikit-learn's signature
        """Return the R² of the reconstruction: the share of the variance of X that the codes carry.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            `r2_score(X, reconstruct(X), multioutput="variance_weighted")`: 1 at best, 0 for the mean of X.
        """
        X = self._validated(X)
        return r2_score(X, self._apply("forward", X, X.shape[1]), multioutput="variance_weighted")

    def score_samples(self, X):
        """Return minus the squared error of the reconstruction of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In squared units of X, summed over features; the lower, the odder the row.
        """
        X = self._validated(X)
        return -np.square(X - self._apply("forward", X, X.shape[1])).sum(axis=1)

    @property
    def explained_variance_ratio_(self):
        """Share of the variance that each component explains: only of an autoencoder that is PCA."""
        check_is_fitted(self)
        if self._explained_variance_ratio is None:
            raise AttributeError(
                "explained_variance_ratio_ is only defined for a linear autoencoder with loss='squared_error': the "
                "components of a nonlinear autoencoder explain the variance together, not one by one. "
                "See score(X), or set hidden_layer_sizes=()."
            )
        return self._explained_variance_ratio

    def _validated(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=FLOATS, reset=False)

    def _apply(self, method, X, n_columns):
        """Run a method of the module of X's own precision over X, some thousand rows at a time."""
        module = self._modules[X.dtype.name]
        device = module.scaler.mean.device
        out = np.empty((len(X), n_columns), dtype=X.dtype)
        with torch.inference_mode():
            for start in range(0, len(X), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                out[rows] = getattr(module, method)(torch.tensor(X[rows]).to(device)).cpu().numpy()
        return out

    @property
    def _n_features_out(self):
        """Number of transformed output features."""
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
