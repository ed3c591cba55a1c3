"""Stacked autoencoder: its layers are trained one after the other, then unrolled and trained as one network."""

from collections.abc import Sequence
from dataclasses import field, replace
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neural_network import BernoulliRBM
from sklearn.utils.metaestimators import _BaseComposition

from skae._codes import code_variance
from skae._constraints import StrOptions
from skae._core import AutoencoderCore
from skae._parameters import NEUTRAL, CodeActivationParameter, Parameters, parameter
from skae._pretraining import drop_modules, pretrained, restore_modules
from skae._typing import Activation
from skae._unrolled import Layer, Stack, StackedModule, StackedStart
from skae.nn import AutoencoderModule
from skae.nn.functional import ACTIVATIONS


class StackedParameters(Parameters):
    """Activation function of the layers that are given as numbers."""

    activation: Activation = parameter(default="gelu", constraint=[StrOptions(set(ACTIVATIONS))])


class PretrainParameter(Parameters):
    """Whether the layers are first trained one by one."""

    pretrain: bool = parameter(default=True, constraint=["boolean"])


class StackedAutoencoder(
    AutoencoderCore, PretrainParameter, CodeActivationParameter, StackedParameters, _BaseComposition
):
    r"""Deep autoencoder whose layers are trained one after the other, then together.

    Each layer is an autoencoder that is trained on the codes of the layer below; the first is trained on the data. The
    stack is then unrolled into a chain of all encoders, followed by all decoders in reverse order, and trained as one
    network :math:`f = f_m \circ \cdots \circ f_1`, :math:`g = g_1 \circ \cdots \circ g_m`:

    .. math:: \min_{f, g} \; \frac{1}{n} \sum_i \lVert x_i - g(f(x_i)) \rVert^2

    Layers may be restricted Boltzmann machines [1]_ or denoising autoencoders [2]_. Scikit-learn's `BernoulliRBM` is
    trained by persistent contrastive divergence [3]_. An epoch of the training as one network is selected only if it
    significantly improves on the layers as they were before, on the validation set.

    Use it for deep networks that do not converge from a random initialization, such as those with logistic units; to
    train layers with different methods; or for a classic network. Use `Autoencoder` otherwise: its linear maps make
    deep networks converge, and training takes less time.

    Parameters
    ----------
    layers : sequence of int or (str, estimator), default=(256, 64, 10)
        Layers, from the data to the code. A named estimator is an autoencoder or scikit-learn's `BernoulliRBM`. Its
        parameters can be set as `<name>__<parameter>`. Its objective is used while it is trained alone; afterwards,
        only its networks are used. Below a `BernoulliRBM`, codes must be in [0, 1]: `code_activation="logistic"`. Do
        not whiten codes that are the input of another layer: whitening gives all components the same weight. A number
        of units is equivalent to `Autoencoder(n, hidden_layer_sizes=(), code_activation=activation)` with the other
        parameters of the stack; with the activation "identity", this is PCA.

    activation : {"gelu", "relu", "silu", "tanh", "logistic", "softplus", "identity"}, default="gelu"
        Activation function of the layers that are given as numbers, except for the last.

    code_activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "softplus"}, default="identity"
        Activation function of the last layer if it is given as a number.

    pretrain : bool, default=True
        Whether the layers are first trained one by one. If False, all layers must be numbers, and the network is
        initialized at random.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy", "poisson"}, default="squared_error"
        Reconstruction loss of the stack, and of its first layer if that is a number, summed over features. The first
        three compare scaled data; "huber" is quadratic for errors below one unit of scale. "binary_cross_entropy"
        expects data in [0, 1] and reconstructs probabilities; "poisson" expects counts and reconstructs rates.

    scale : {"global", "standard"} or None, default="global"
        How features are scaled internally. "global" divides all by one number and minimizes the same squared error as
        PCA. "standard" gives each feature the same weight, like `StandardScaler` before PCA; codes are then in its
        units. With None, features are only centered, for data of unit scale.

    max_iter : "auto" or int, default="auto"
        Number of epochs. "auto" is 40, or 12,800 / n_samples (up to 200) with fewer than 320 samples. There are at most
        400 steps of the optimizer (1600 with convolutions), but at least 9 epochs.

    batch_size : "auto" or int, default="auto"
        Number of samples in a batch. "auto" is an eighth of the samples, between 64 and 256 (64 with convolutions; from
        32 on if up to 50 features are only reconstructed); in `partial_fit`, 1/40 of the chunk.

    learning_rate : "auto" or float, default="auto"
        Maximum learning rate. The rate increases to it over the first tenth of the steps, and then decreases to zero.
        "auto" is 0.01, or 0.003 if a layer has convolutions. If the layers were trained one by one, this value is
        multiplied by 1000 / n_features, but by at most 3, or by at most 1 if a layer has hidden layers itself.

    weight_decay : float, default=0.3
        Decoupled weight decay of the networks, multiplied by the learning rate at each step. The linear maps have none.
        Without corruption, and with a loss that is no likelihood, it is multiplied by (2 r)**2 while the validation
        loss is a fraction r < 0.5 of the initial loss: data with little noise need large weights.

    early_stopping : "auto" or bool, default="auto"
        Whether to stop training when the validation loss has not improved for `n_iter_no_change` epochs. A validation
        set selects the epoch in either case. "auto" enables it if training starts at PCA and minimizes the
        reconstruction loss alone; with other objectives, the loss may improve late.

    validation_fraction : "auto" or float, default="auto"
        Fraction of the samples in the validation set, which selects the epoch. "auto" is a fifth, and at most 1,000
        samples. With fewer than 2,000 samples, cross-validation is used: one network is trained per fold, plus one on
        all samples. The epoch with the best validation loss over all folds is selected, and the network trained on all
        samples is returned with its weights after that epoch.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation strategy, instead of `validation_fraction`: the number of folds of a `KFold`, a splitter such
        as `GroupKFold` or `TimeSeriesSplit(gap=10)`, or pairs of indices (train, validation). With None, validation
        samples are drawn at random, with duplicates of a sample in the same set; in contiguous blocks with gaps, if
        samples depend on those before them, as in a series or overlapping windows; or in whole groups, given `groups`.

    n_iter_no_change : int, default=10
        Number of epochs without improvement after which training stops. Five more epochs are then trained from the best
        one, while the learning rate decreases to zero. For `max_iter` over 100, this number grows in proportion.

    tol : float, default=1e-4
        Minimum improvement of the mean validation loss for `early_stopping`, as a fraction of the initial loss.

    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous fit. It then trains on all samples for all epochs,
        since samples that may have been used for training before cannot be validation samples. The layers are not
        trained one by one again, and `layers` must not have changed.

    callbacks : list or None, default=None
        Callbacks of skorch that are called in training, or custom ones that are derived from
        `skorch.callbacks.Callback`: instances, classes or pairs (name, callback). Each fit uses copies, which are
        stored in `net_.callbacks_`. A learning rate scheduler or a callback that clips gradients replaces the default
        one. :class:`skae.callbacks.Checkpoint` allows an interrupted fit to resume.

    net_params : dict or None, default=None
        Additional parameters of the skorch net, such as `{"compile": True}` to compile the loss with `torch.compile`,
        or `{"optimizer": torch.optim.RAdam, "optimizer__betas": (0.9, 0.99)}`. `weight_decay` applies to the default
        optimizer, AdamW; for others, set `optimizer__weight_decay`.

    device : str, default="auto"
        Device used for training, as named by PyTorch: "cpu", "cuda", "cuda:1" or "mps". "auto" is "cuda" if available,
        otherwise "mps" if available, otherwise "cpu".

    mixed_precision : "auto" or bool, default=False
        Whether to train in bfloat16 with `torch.autocast`. "auto" does so if the hardware supports it and the largest
        matrix product of a step has at least 2**23 multiply-adds, such as 128 samples times 256 x 256 weights, and is
        otherwise the same as False. Validation losses and methods of a fitted estimator do not use bfloat16.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the validation samples and the order of the samples. Pass an int for
        reproducible results across multiple fits. The global random generators are neither used nor changed.

    verbose : int, default=0
        Whether to show a progress bar with the R² or the loss on the validation set, and to print the selected epoch.

    Attributes
    ----------
    n_components_ : int
        Size of the code.

    explained_variance_ : ndarray of shape (n_components,)
        Variance of each component of the codes of the training data (or of its last chunk), as returned by `transform`.

    layers_ : list of estimators
        Layers as they were after they were trained one by one. Not defined with `pretrain=False`.

    mean_ : ndarray of shape (n_features,)
        Mean of each feature.

    feature_importances_ : ndarray of shape (n_features,)
        Importance of each feature, for `SelectFromModel`: the squared derivative of the code with respect to the
        feature, times the feature's variance, averaged over samples, summed over components and normalized to sum to 1.

    best_epoch_ : int
        Selected epoch; 0 is the initialization. After `partial_fit`, the last epoch.

    n_iter_ : int
        Number of epochs run; 1 if nothing had to be trained.

    loss_curve_ : list of float
        Mean training loss of each epoch, in scaled units. Empty if nothing was trained.

    validation_loss_curve_ : list of float
        Mean loss of the validation samples after each epoch. Empty if there are none.

    validation_ : dict
        Description of the validation set: its `strategy`, which is "random", "copies", "blocks", "groups", "cv",
        "X_val", or None if there is none; `n_folds`; `block_size` and `gap` of blocks, in samples; and `n_validation`,
        the number of validation samples over all folds.

    encoder_, decoder_ : torch.nn.Module
        Encoder and decoder as plain modules, with the scaling, in float32.

    net_ : skorch.NeuralNet
        Underlying skorch net, with its `history`. Its `predict` reconstructs samples in float32.

    n_samples_ : int
        Number of samples in the training data, over all chunks.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during fit. Defined only if X has feature names that are all strings.

    See Also
    --------
    Autoencoder : Autoencoder with deep networks that are added to linear maps.
    sklearn.neural_network.BernoulliRBM : Layer that is trained by persistent contrastive divergence.

    Notes
    -----
    The layers are trained on all samples, including those of the validation set that later selects the epoch of the
    training as one network: this makes the selection more conservative. If the `random_state` of a layer is None, its
    seed is drawn from the `random_state` of the stack.

    `partial_fit` trains the layers one by one on its first chunk, which should therefore be large.

    In the unrolled decoder, the output of each layer is clipped to the range of the code below (at zero for "relu"),
    which mirrors the encoder: the decoders of single layers are linear, and a chain of them would be linear, too.

    Codes are returned in the form that the last layer returns. If it is a number and `code_activation` is "identity",
    they are centered, uncorrelated and sorted by variance, as those of `Autoencoder`.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science
       313(5786), 2006.
    .. [2] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked denoising autoencoders: learning
       useful representations in a deep network with a local denoising criterion", JMLR 11, 2010.
    .. [3] T. Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient", ICML
       2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import BernoulliRBM
    >>> from skae import Autoencoder, StackedAutoencoder
    >>> X = load_digits().data / 16
    >>> layers = [("rbm", BernoulliRBM(64, n_iter=5)), ("top", Autoencoder(8, hidden_layer_sizes=()))]
    >>> stack = StackedAutoencoder(layers, max_iter=5, random_state=0).fit(X)
    >>> stack.transform(X).shape
    (1797, 8)
    >>> stack.set_params(rbm__n_components=32, top__n_components=4).fit_transform(X).shape
    (1797, 4)

    The classic deep network of ReLUs with a logistic code, without layer-wise training:

    >>> classic = StackedAutoencoder((200, 50, 50, 10), activation="relu", code_activation="logistic", pretrain=False)
    """

    module_class: ClassVar[type[AutoencoderModule]] = StackedModule
    _more_shaping = ("layers", "pretrain")
    _neutral = NEUTRAL | {"init": "random", "hidden_layer_sizes": "auto"}  # the layers contain all linear maps
    layers: Sequence[int | tuple[str, BaseEstimator]] = parameter(
        default=(256, 64, 10), constraint=[list, tuple], kw_only=False
    )

    layers_: list[Any] = field(init=False)

    _absent = {"n_components": "it is set by the last of layers, and n_components_ is its value after fit."}  # noqa: RUF012

    # Nested parameters -----------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of the stack, and those of its layers.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of named layers.

        Returns
        -------
        params : dict
            Values of the parameters, by name.
        """
        return self._get_params("_named_layers", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the stack, of a layer as `<name>__<parameter>`, or a layer itself by its name.

        Parameters
        ----------
        **params : dict
            Values of the parameters, by name.

        Returns
        -------
        self : object
            The same estimator.
        """
        if "layers" in params:
            self.layers = params.pop("layers")
        self._set_params("_named_layers", **params)
        return self

    @property
    def _named_layers(self):
        layers = self.layers if isinstance(self.layers, list | tuple) else ()  # otherwise `fit` raises an error
        return [layer for layer in layers if isinstance(layer, tuple)]

    @_named_layers.setter
    def _named_layers(self, named):
        named = iter(named)
        self.layers = [next(named) if isinstance(layer, tuple) else layer for layer in self.layers]

    # Fitting ---------------------------------------------------------------------------------------------------------

    def check_parameters(self) -> None:
        super().check_parameters()
        if not len(self.layers):
            raise ValueError(f"layers={self.layers!r} must contain at least one layer.")
        for layer in self.layers:
            if isinstance(layer, tuple) and len(layer) == 2 and isinstance(layer[0], str):
                self._check_named_layer(*layer)
            elif isinstance(layer, bool) or not isinstance(layer, Integral) or layer < 1:
                raise ValueError(
                    f"layers={self.layers!r} must contain numbers of units of 1 or more, or pairs (name, estimator), "
                    f"got {layer!r}."
                )
        self._validate_names([name for name, _ in self._named_layers])

    def _check_named_layer(self, name, estimator):
        if not isinstance(estimator, AutoencoderCore | BernoulliRBM):
            lack = "" if hasattr(estimator, "inverse_transform") else ", and has no inverse_transform"
            raise TypeError(
                f"Layer {name!r} of layers is {estimator!r}, which is not a network{lack}. Use an autoencoder "
                "(Autoencoder(n, hidden_layer_sizes=()) is PCA) or BernoulliRBM."
            )
        if getattr(estimator, "n_components", None) == 0:
            raise ValueError(
                f"Layer {name!r} of layers, {estimator!r}, has no units: set its 'n_components' parameter to 1 or more."
            )
        if getattr(estimator, "_is_supervised", False):
            raise ValueError(
                f"Layer {name!r} of layers is a {type(estimator).__name__}, which learns from y, but layers are "
                "trained without it. Use an unsupervised autoencoder."
            )
        if not self.pretrain:
            raise ValueError(
                f"pretrain=False initializes all layers at random, but layer {name!r} is an estimator, which is "
                "trained on its own. Replace it by a number of units, or set pretrain=True."
            )

    @property
    def _architecture(self):
        return self._stack.without_weights() if self.pretrain else None

    @property
    def _code_size(self):
        return None if self.pretrain else self.layers[-1]

    def _hidden_layers(self, n_rows, n_features):  # noqa: ARG002 - the base's signature
        return tuple(self.layers[:-1])

    def _new_spec(self, rows, statistics, seed, X_val=None, groups=None):
        vars(self).pop("layers_", None)
        if self.pretrain:
            scale = statistics.scale(self.scale)
            link = statistics.link(self.loss, scale)
            X = rows.X if rows.missing is None else np.where(rows.missing, np.nan, rows.X)
            self.layers_ = pretrained(self, X, seed, X_val, groups)
            layers = [Layer.of(layer) for layer in self.layers_]
            self._stack = Stack.of(layers, statistics.mean, scale, self.loss, link)
            for layer in self.layers_:
                drop_modules(layer)  # saves memory during training
        spec = super()._new_spec(rows, statistics, seed)
        return replace(spec, code_activation="identity") if self.pretrain else spec  # the last layer applies it

    def _has_start(self, spec):  # noqa: ARG002 - the base's signature
        return self.pretrain

    def initial_solution(self, rows: Any, spec: Any, seed: int) -> Any:  # noqa: ARG002 - the base's signature
        return StackedStart(self._stack)

    def _learned(self, module, rows, spec):  # noqa: ARG002 - the base's signature
        if not self.pretrain:
            return {}
        for layer in self.layers_:
            restore_modules(layer)
        return {"layers_": self.layers_, "_stack": self._stack.without_weights()}  # `layers_` has the weights

    def _shown_axes(self, module, rows):
        if isinstance(self.layers[-1], Integral):
            return super()._shown_axes(module, rows)
        return None, code_variance(module, rows)

    def _shaping_parameter(self, name):
        if name in ("architecture", "n_components"):
            return None  # determined by the layers
        return _structure(self.layers) if name == "layers" else super()._shaping_parameter(name)


def _structure(layers):
    """Return the layers as plain values that can be compared."""

    def plain(name, value):
        if name == "layers":
            return _structure(value)
        if isinstance(value, np.ndarray):
            return value.tolist()
        return repr(value) if hasattr(value, "get_params") else value

    def parameters(layer):
        values = layer.get_params(deep=False)
        counts = {name: values[name] for name in values if name not in ("random_state", "callbacks", "net_params")}
        if counts.get("cv") is None:  # earlier releases did not have it
            counts.pop("cv", None)
        return {name: plain(name, value) for name, value in counts.items()}

    return [
        int(layer) if isinstance(layer, Integral) else (layer[0], type(layer[1]).__name__, parameters(layer[1]))
        for layer in layers
    ]
