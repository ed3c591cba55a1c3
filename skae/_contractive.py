"""Contractive autoencoder: its codes change little, relative to their variance, when samples change a little."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from skae._array_api import preserve_array_type
from skae._constraints import StrOptions
from skae._cudnn import differentiable
from skae._defaults import MAX_EPOCHS
from skae._parameters import NON_NEGATIVE, Parameters, parameter
from skae._pca import MIN_UNIT, LinearInit, deviation_of
from skae._training.distributed import mean_of_batch
from skae._typing import CodeSize, FloatArray, MatrixLike, typed
from skae.base import BaseAutoencoder
from skae.nn import AutoencoderModule
from skae.nn._module import placed

NOISE = 0.1  # noise variance of each scaled feature that alpha=1 corresponds to
FEW_FEATURES, MIN_WIDTH, STEPS = 50, 256, 800  # for few features, which may contain a folded surface
MIN_SHARE = 1e-3  # fraction of the initial variance; avoids division by a tiny variance if a few samples are similar


class ContractiveModule(AutoencoderModule):
    """An `AutoencoderModule` whose penalty is the variance that noise adds to the code, relative to that of the code.

    Parameters
    ----------
    noise : float
        Variance of the noise in each feature.

    method : {"layer", "exact", "estimate"}
        "layer" is exact as well, for an encoder with one layer.

    unit : float
        Size of one unit of the scaled samples, in the units of `axes`.

    spread : float
        Total variance of the scaled samples.
    """

    supports_batching = False  # because it differentiates

    def __init__(self, *args, noise, method, unit, spread, **kwargs):
        super().__init__(*args, **kwargs)
        self.noise, self.method, self.unit, self.spread = noise, method, unit, spread
        self.activation = nn.Identity()
        if method == "layer" and isinstance(self.encoder, nn.Sequential) and len(self.encoder) == 2:
            self.encoder, self.activation = self.encoder  # the code is differentiated with respect to the encoding

    def code(self, encoding):
        """Return the code of an encoding; with one layer, the encoding is the input of its activation."""
        return self.activation(encoding)

    def losses(self, x, sizes=None, target=None):
        """Return the terms of the loss; the penalty is differentiated with respect to samples, and then to weights."""
        is_recurrent = any(isinstance(module, nn.RNNBase) for module in self.modules())
        with differentiable(is_recurrent):
            return super().losses(x, sizes, target)

    @property
    def lengths(self):
        """Scale of the internal code, (k,): the penalty is that of codes in final coordinates."""
        return 1.0 if self.axes is None else self.axes.scale / self.unit

    def corrupt(self, x):
        """Return the same samples, as a tensor that requires a gradient if the penalty does."""
        return x.detach().requires_grad_(self.method != "layer" and torch.is_grad_enabled())

    def penalty(self, seen, encoding, code):
        """Return the contraction relative to the variance of the batch's codes, which doesn't depend on their scale."""
        if not self.noise:
            return {}
        norm = self._of_code(seen, encoding, code, self.method) if encoding.requires_grad else self.contraction(seen)
        return {"contraction": self.noise * self.spread / self._variance(code) * norm}

    def _variance(self, code):
        """Return the total variance of the codes of a batch, (n, k) -> (); for one sample, the initial variance."""
        code = code.to(torch.promote_types(code.dtype, torch.float32)) * self.lengths  # autocast may have reduced it
        initial = (torch.ones_like(code[0]) * self.lengths).square().sum()
        variance = mean_of_batch((code - mean_of_batch(code)).square()).sum()
        return torch.where(variance > 0, variance + MIN_SHARE * initial, initial)

    def contraction(self, x, method=None):
        """Return the squared Frobenius norm of the Jacobian of the code at scaled samples, (n, d) -> (n,)."""
        trains = torch.is_grad_enabled()
        with torch.enable_grad(), differentiable():
            x = x.detach().requires_grad_()
            encoding = self.encoder(x)
            return self._of_code(x, encoding, self.code(encoding), method or self.method, trains)

    def _of_code(self, x, encoding, code, method, trains=True):
        """Return the contraction of a code that was computed from x through the encoding."""
        if method == "layer":  # for a code s(Wx + b): sum_j s'_j^2 |w_j|^2
            layer = next(module for module in self.encoder.modules() if isinstance(module, nn.Linear))
            slope = _gradient(code, encoding, torch.ones_like(code), trains)  # (n, k)
            return (slope * self.lengths).square() @ layer.weight.square().sum(dim=1)
        code = code * self.lengths
        if method == "estimate":  # E |v'J|^2 = |J|^2 for independent signs v (Hutchinson, 1990)
            signs = placed(torch.randint(2, code.shape, generator=self.generator), code.device).to(code) * 2 - 1
            return _gradient(code, x, signs, trains).square().sum(dim=1)
        units = torch.eye(code.shape[1], dtype=code.dtype, device=code.device)
        return sum(_gradient(code, x, unit.expand_as(code), trains).square().sum(dim=1) for unit in units)


def _gradient(output, x, weights, trains):
    """Return the vector-Jacobian product; without `trains` it builds no graph, to save memory."""
    return torch.autograd.grad(output, x, weights, retain_graph=True, create_graph=trains)[0]


@dataclass(frozen=True)
class ShrunkenStart(LinearInit):
    """PCA with shrunken scores, proportional to their best linear prediction from a sample with noise.

    Attributes
    ----------
    shrunk : ndarray of shape (n_components,)
        Factor of each score. The total variance is unchanged, and the decoder inverts the factors.
    """

    shrunk: np.ndarray = field(kw_only=True)

    is_pca = False  # type: ignore[assignment]

    @classmethod
    def of_pca(cls, pca, noise):
        """Shrink the scores for noise of this variance, but none below the smallest accurate scale."""
        if not noise:
            return pca
        variance = np.square(pca.unit)
        length = pca.unit * (variance / (variance + noise))
        length = np.maximum(length, MIN_UNIT * length.max())
        return cls(**vars(pca), shrunk=length / pca.unit * np.sqrt(variance.sum() / np.square(length).sum()))

    def axes(self, unit, whiten=False):
        """Return the transform of internal codes to shrunken scores; scaled samples are in multiples of `unit`."""
        scale, mean, rotation, _ = super().axes(unit)
        return scale * self.shrunk, mean, rotation, deviation_of(self.variance * np.square(self.shrunk * unit), whiten)


class ContractiveParameters(Parameters):
    """Parameters of the penalty."""

    alpha: float = parameter(default=1.0, constraint=[NON_NEGATIVE])
    contraction_method: Literal["auto", "exact", "estimate"] = parameter(
        default="auto", constraint=[StrOptions({"auto", "exact", "estimate"})]
    )


class ContractiveAutoencoder(BaseAutoencoder, ContractiveParameters):
    r"""Autoencoder whose codes change little, relative to their variance, when samples change a little.

    The penalty is the squared Frobenius norm of the encoder's Jacobian at each sample [1]_ over the variance of codes:

    .. math:: \min_{f, g} \; \frac{1}{n} \sum_i \lVert x_i - g(f(x_i)) \rVert^2
              + \frac{\alpha}{10} \, \frac{\operatorname{Var}(x)}{\operatorname{Var}(f(x))}
              {\left\lVert \frac{\partial f}{\partial x}(x_i) \right\rVert}_F^2

    Variances are summed over features or components, the variance of codes is that of a batch, and samples are scaled.
    To first order, the ratio is the variance that Gaussian noise in the samples adds to codes, relative to theirs.
    Without the division, shrinking the code would reduce the penalty, since the decoder, whose weights are not tied to
    the encoder's as in [1]_, can compensate for it. The size of codes does not matter, but the distribution of their
    variance does: with a larger `alpha`, more of it is in the components that are robust to noise.

    Training starts at PCA with its scores multiplied by :math:`\lambda / (\lambda + \alpha / 10)`, for a variance of
    :math:`\lambda`: their best linear prediction from samples with noise of variance :math:`\alpha / 10`. The decoder
    inverts the factors, so R² is PCA's. `alpha=0` gives the plain autoencoder. With a large `alpha`, the components
    most affected by noise vanish and the reconstruction is lost; the ratio of linear networks approaches that of the
    first principal component.

    Use it for codes that are stable when samples are slightly noisy, such as the inputs of a classifier, and to measure
    their sensitivity with `contraction`. Use `DenoisingAutoencoder` to reconstruct clean samples.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=32
        Size of the code. An int may exceed the number of features; with 0 each sample is reconstructed as the mean. A
        float between 0 and 1 is a fraction of the variance: an ordered autoencoder is fitted with as many components as
        PCA needs to explain it, and truncated to the smallest size that explains it on the validation set, with an
        error that is significantly smaller than that of PCA's components; if there is none, it is not truncated. "mle"
        is PCA's number of components by Minka's method, and None the minimum of `n_samples` and `n_features`.

    alpha : float, default=1.0
        Weight of the penalty: ten times the variance of the noise that codes resist, for features of unit variance.

    contraction_method : {"auto", "exact", "estimate"}, default="auto"
        How the penalty is computed in training. "exact" uses a closed form if the encoder has one layer, and otherwise
        one backward pass for each component of the code. "estimate" uses one pass with random signs, and is unbiased
        [2]_. "auto" is exact for one layer and an estimate otherwise.

    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Widths of the encoder's hidden layers, from the data to the code; the decoder mirrors them. "auto" is two
        layers: the first has four times the number of features (at least 256 for up to 50 features) or half the number
        of samples, whichever is smaller, between 64 and 512 units, and the second has half as many; with convolutions,
        there is only the first, with at most 160. With `()` there are none, and the networks are linear.

    activation : {"gelu", "relu", "silu", "tanh", "logistic", "softplus", "identity"}, default="gelu"
        Activation function of the hidden layers.

    code_activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "softplus"}, default="identity"
        Activation function of the code. Any value but "identity" gives a classic autoencoder without linear maps: it is
        initialized at random, and codes are returned as computed.

    architecture : Architecture or None, default=None
        Layers between the data and the hidden layers: `skae.architectures.Convolutional()` for images, `Recurrent()`
        for sequences, or a custom one. The hidden layers are between these and the code; None means only those.

    init : {"pca", "random"}, default="pca"
        Initialization: at the linear optimum, or at random. With "random" there are no linear maps, and PCA may be
        better.

    ordered : bool, default=False
        Whether the first j components of a code are the best code of size j, for each j, as in PCA. In training, only
        the first j components are kept for a third of the samples, with j drawn at random. An epoch is selected by its
        improvement over PCA at the size where this is smallest. The error of the whole code increases a little.

    whiten : bool, default=False
        Whether to divide each component of the codes by its standard deviation, as in PCA.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy", "poisson"}, default="squared_error"
        Reconstruction loss, summed over features. The first three compare scaled data; "huber" is quadratic for errors
        below one unit of scale. "binary_cross_entropy" expects data in [0, 1] and reconstructs probabilities; "poisson"
        expects counts and reconstructs rates. With these two, training starts at PCA's reconstruction on the scale of
        the logit or logarithm. An epoch is selected only if it significantly improves this loss on the validation set.

    scale : {"global", "standard"} or None, default="global"
        How features are scaled internally. "global" divides all by one number and minimizes the same squared error as
        PCA. "standard" gives each feature the same weight, like `StandardScaler` before PCA; codes are then in its
        units. With None, features are only centered, for data of unit scale.

    max_iter : "auto" or int, default="auto"
        Number of epochs. With up to 50 features, "auto" is as many as take 800 steps of the optimizer, up to 200: a
        surface folded in few features unfolds late. Otherwise, or with `alpha=0`, it is 40, or 12,800 / n_samples (up
        to 200) below 320 samples, in at most 400 steps (1600 with convolutions), but at least 9 epochs.

    batch_size : "auto" or int, default="auto"
        Number of samples in a batch. "auto" is an eighth of the samples, between 64 and 256 (64 with convolutions; from
        32 on if up to 50 features are only reconstructed); in `partial_fit`, 1/40 of the chunk.

    learning_rate : "auto" or float, default="auto"
        Maximum learning rate. The rate increases to it over the first tenth of the steps, and then decreases to zero.
        The linear maps use a tenth of it. "auto" is 0.01, or the architecture's value: 0.003 with convolutions.

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
        since samples that may have been used for training before cannot be validation samples.

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
        Variance of each component of the codes of the training data (or of its last chunk), before whitening.

    explained_variance_ratio_ : ndarray of shape (n_components,)
        Fraction of the variance explained by each component. With `ordered=True`, it is the increase of the R² by the
        component, on training samples (on a subset, if there are many). Otherwise it is defined only for
        `hidden_layer_sizes=()`, as the components of a nonlinear autoencoder explain the variance jointly.

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
    Autoencoder : Autoencoder without the penalty.
    DenoisingAutoencoder : Reconstructs clean samples from noisy ones.

    Notes
    -----
    The total variance of codes is that of PCA's scores. With a large `alpha`, most of it is in few components. As the
    decoder also needs the others, `whiten=True` or a `StandardScaler` gives all components the same weight.

    References
    ----------
    .. [1] S. Rifai et al., "Contractive auto-encoders: explicit invariance during feature extraction", ICML 2011.
    .. [2] M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
       splines", Communications in Statistics 19(2), 1990.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAutoencoder
    >>> X = load_digits().data[:300]
    >>> loose, tight = (ContractiveAutoencoder(8, alpha=a, max_iter=5, random_state=0).fit(X) for a in (0.01, 10.0))
    >>> bool(tight.contraction(X).mean() < loose.contraction(X).mean())
    True
    """

    module_class: ClassVar[type[AutoencoderModule]] = ContractiveModule
    n_components: CodeSize = field(default=32, kw_only=False)

    @typed(preserve_array_type)
    def contraction(self, X: MatrixLike) -> FloatArray:
        """Return the variance that noise adds to the code of each sample, relative to the variance of codes.

        This is the squared Frobenius norm of the encoder's Jacobian, divided by the total variance of the codes of the
        training data. It is exact for any `contraction_method`. For PCA it is `n_components` over the sum of variances.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        contraction : ndarray of shape (n_samples,)
            Relative variance, for noise of variance one in each scaled feature and codes before whitening.
        """
        rows = self._rows_of(X)
        module = self._modules[rows.dtype.name]
        device, method = module.scaler.mean.device, "layer" if module.method == "layer" else "exact"
        norms = []
        for batch in rows.batches():
            with self._own_torch(len(batch)), torch.no_grad():
                x = module.scaler(torch.tensor(batch).to(device))
                norms.append(module.contraction(x, method).detach().cpu().numpy())
        total, unit = self.explained_variance_.sum(), 1.0 if module.axes is None else module.unit
        return np.concatenate(norms) * (unit**2 / total if total > 0 else 0.0)

    def module_params(self, statistics: Any, scale: FloatArray) -> dict[str, Any]:
        one_layer = self._architecture is None and self._given_layers == ()
        method = "exact" if self.contraction_method == "exact" else "estimate"
        per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        return {
            "noise": NOISE * self.alpha,
            "method": "layer" if one_layer else method,
            "unit": self._unit(scale),
            "spread": float(statistics.variance @ np.square(per_unit)),
        }

    def initial_solution(self, rows: Any, spec: Any, seed: int) -> Any:
        return ShrunkenStart.of_pca(super().initial_solution(rows, spec, seed), NOISE * self.alpha)

    def _unfolds(self, n_features):
        return bool(self.alpha) and self._architecture is None and n_features <= FEW_FEATURES

    def _hidden_layers(self, n_rows, n_features):
        sizes = super()._hidden_layers(n_rows, n_features)
        if self._given_layers is not None or not self._unfolds(n_features):
            return sizes
        width = max(sizes[0], min(MIN_WIDTH, n_rows // 2))
        return (width, width // 2)

    def _auto_max_iter(self, n_rows, batch_size, is_narrow=False):
        n_epochs = super()._auto_max_iter(n_rows, batch_size, is_narrow)
        if not self._unfolds(self.n_features_in_):
            return n_epochs
        return max(n_epochs, min(round(STEPS * batch_size / n_rows), MAX_EPOCHS))

    def _has_free_scale(self, spec):
        return spec.linear

    def _start_of_pca(self, pca, rows, statistics, spec, seed):  # noqa: ARG002 - the base's signature
        return ShrunkenStart.of_pca(pca, NOISE * self.alpha)
