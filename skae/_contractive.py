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
FEW_FEATURES, MIN_WIDTH, STEPS = 50, 256, 800  # data of few features may be a folded surface: more units and steps
MIN_SHARE = 1e-3  # of the initial variance; avoids division by a tiny variance if a few samples are similar


class ContractiveModule(AutoencoderModule):
    """An `AutoencoderModule` whose penalty is the variance that noise adds to the code, relative to its own.

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
            self.encoder, self.activation = self.encoder  # the code is differentiated by what is between them

    def code(self, encoding):
        """Return the code of an encoding; with one layer, the encoding is the input of its activation."""
        return self.activation(encoding)

    def losses(self, x, sizes=None, target=None):
        """Return the terms of the loss; the penalty is differentiated by the samples, and then by the weights."""
        is_recurrent = any(isinstance(module, nn.RNNBase) for module in self.modules())
        with differentiable(is_recurrent):
            return super().losses(x, sizes, target)

    @property
    def lengths(self):
        """Scale of the internal code, (k,): the penalty is that of codes in final coordinates."""
        return 1.0 if self.axes is None else self.axes.scale / self.unit

    def corrupt(self, x):
        """Return the same samples, as a tensor that the code can be differentiated by."""
        return x.detach().requires_grad_(self.method != "layer" and torch.is_grad_enabled())

    def penalty(self, seen, encoding, code):
        """Return the contraction over the code's variance in the batch: shrinking the code does not reduce it."""
        if not self.noise:
            return {}
        norm = self._of_code(seen, encoding, code, self.method) if encoding.requires_grad else self.contraction(seen)
        return {"contraction": self.noise * self.spread / self._variance(code) * norm}

    def _variance(self, code):
        """Return the total variance of the codes of a batch, (n, k) -> (); of one sample, the initial one."""
        precise = torch.promote_types(code.dtype, torch.float32)  # autocast may have reduced it
        code = code.to(precise) * self.lengths
        usual = (torch.ones_like(code[0]) * self.lengths).square().sum()
        variance = mean_of_batch((code - mean_of_batch(code)).square()).sum()
        return torch.where(variance > 0, variance + MIN_SHARE * usual, usual)

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
        """Shrink the scores as noise of this variance requires, but none below the smallest accurate scale."""
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
    """The variant's own parameters."""

    alpha: float = parameter(default=1.0, constraint=[NON_NEGATIVE])
    contraction_method: Literal["auto", "exact", "estimate"] = parameter(
        default="auto", constraint=[StrOptions({"auto", "exact", "estimate"})]
    )


class ContractiveAutoencoder(BaseAutoencoder, ContractiveParameters):
    r"""Autoencoder whose codes change little, relative to their variance, when samples change a little.

    The penalty is the squared Frobenius norm of the encoder's Jacobian at each sample [1]_, over the codes' variance:

    .. math:: \min_{f, g} \; \frac{1}{n} \sum_i \lVert x_i - g(f(x_i)) \rVert^2
              + \frac{\alpha}{10} \, \frac{\operatorname{Var}(x)}{\operatorname{Var}(f(x))}
              {\left\lVert \frac{\partial f}{\partial x}(x_i) \right\rVert}_F^2

    Variances are summed over features or components, the variance of codes is that of a batch, and samples are scaled.
    To first order, the ratio is the variance that Gaussian noise in the samples adds to codes, relative to theirs.
    Without the division, shrinking the code would reduce the penalty, since the decoder, whose weights are not tied to
    the encoder's as in [1]_, can compensate for it. The size of codes does not matter, but the distribution of their
    variance does: with a larger `alpha`, more of it is in the components that noise affects least.

    Training starts at PCA with its scores multiplied by :math:`\lambda / (\lambda + \alpha / 10)`, for a variance of
    :math:`\lambda`: their best linear prediction from samples with noise of variance :math:`\alpha / 10`. The decoder
    inverts the factors, so R² is PCA's. `alpha=0` gives the plain autoencoder. In the limit of large `alpha`, the
    components that noise affects most vanish and the reconstruction is lost. For linear networks the ratio then
    approaches that of the first principal component alone.

    Use it for codes that are stable when samples are slightly noisy, such as the inputs of a classifier, and to
    measure their sensitivity at each sample: `contraction(X)`. Use `DenoisingAutoencoder` to reconstruct clean samples.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=32
        Size of the code. An int may exceed the number of features; with 0 each sample is reconstructed as the mean. A
        float between 0 and 1 is a fraction of the variance: an ordered autoencoder is fitted with as many components as
        PCA needs to explain it, and cut to the smallest size that explains it on the validation set, with an error that
        is significantly no larger than PCA's. "mle" is PCA's number by Minka's method, and None the minimum of
        `n_samples` and `n_features`.

    alpha : float, default=1.0
        Weight of the penalty: ten times the variance of the noise to be robust to, for features of unit variance.

    contraction_method : {"auto", "exact", "estimate"}, default="auto"
        How the penalty is computed in training. "exact" uses a closed form if the encoder has one layer, and otherwise
        one backward pass for each component of the code. "estimate" uses one pass with random signs, and is unbiased
        [2]_. "auto" is exact for one layer and an estimate otherwise.

    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Widths of the encoder's hidden layers, from the data to the code; the decoder mirrors them. "auto" is two
        layers: the first has four times the number of features (at least 256 for up to 50 features) or half the number
        of samples, whichever is smaller, between 64 and 512 units (256 with convolutions), and the second has half as
        many. With `()` there are none, and the networks are linear.

    activation : {"gelu", "relu", "silu", "tanh", "logistic", "softplus", "identity"}, default="gelu"
        Activation function of the hidden layers.

    code_activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "softplus"}, default="identity"
        Activation function of the code. Any value but "identity" gives a classic autoencoder without linear maps: it is
        initialized at random, and codes are returned as computed.

    architecture : Architecture or None, default=None
        Part of the networks next to the data: `skae.architectures.Convolutional()` for images, `Recurrent()` for
        sequences, or a custom one. The hidden layers are between it and the code. With None there are hidden layers
        only.

    init : {"pca", "random"}, default="pca"
        Initialization: at the linear optimum, or at random. With "random" there are no linear maps, and the result may
        be worse than PCA.

    ordered : bool, default=False
        Whether the first j components of a code are the best code of size j, for each j, as for PCA. In training, a
        third of the samples keep only a random prefix of their code. The selected epoch has the largest improvement
        over PCA at the size where it is smallest. The error of the whole code increases a little.

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
        units. None only centers, for data of unit scale.

    max_iter : "auto" or int, default="auto"
        Number of epochs. For up to 50 features "auto" is as many as make 800 steps of the optimizer, and at most 200,
        because a surface folded in few features unfolds late. Otherwise, or with `alpha=0`, it is 40, and more below
        320 samples; or as many as make 400 steps (1600 with convolutions), if that is fewer, but at least 9.

    batch_size : "auto" or int, default="auto"
        Number of samples in a batch. "auto" is an eighth of the samples, between 64 and 256 (64 with convolutions); in
        `partial_fit`, a fortieth of the chunk.

    learning_rate : "auto" or float, default="auto"
        Maximum learning rate: it increases over the first tenth of the steps and decreases to zero over the others. The
        linear maps learn at a tenth of it. "auto" is 0.01, or the architecture's value: 0.003 with convolutions.

    weight_decay : float, default=0.3
        Decoupled weight decay of the networks, times the learning rate at each step. The linear maps have none.

    early_stopping : "auto" or bool, default="auto"
        Whether to stop training when the validation loss has not improved for `n_iter_no_change` epochs. There is a
        validation set in either case. "auto" enables it if training starts at PCA and the objective is the
        reconstruction error alone: other objectives improve late.

    validation_fraction : "auto" or float, default="auto"
        Fraction of the samples in the validation set, which selects the epoch. "auto" is a fifth, and at most 1,000
        samples. With fewer than 2,000 samples, cross-validation is used: one network is trained per fold, plus one on
        all samples. The epoch with the best validation loss over all folds is selected, and the network trained on all
        samples is returned as it was after that epoch.

    cv : int, cross-validation generator, iterable or None, default=None
        Which samples are held out, instead of `validation_fraction`: the number of folds of a `KFold`, a splitter
        such as `GroupKFold` or `TimeSeriesSplit(gap=10)`, or pairs of indices (train, held out). None holds out samples
        at random, but copies of a sample together; contiguous blocks with gaps, where samples depend on those before
        them, as in a series or its overlapping windows; or whole groups, if `fit` is given `groups`.

    n_iter_no_change : int, default=10
        Epochs without improvement that end a training: five more cool it down. In proportion if `max_iter` is over 100.

    tol : float, default=1e-4
        Improvement that counts, as a fraction of the held-out loss at the start. Used with `early_stopping`.

    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, on all samples and for all epochs: samples that were
        trained on before cannot be validation samples.

    callbacks : list or None, default=None
        Callbacks that act on the training: those of skorch, or your own, which are derived from
        `skorch.callbacks.Callback`. The list holds instances, classes or pairs (name, callback), and each fit uses
        copies, which `net_.callbacks_` holds. A learning rate schedule or a clipping of gradients replaces the default
        one. :class:`skae.callbacks.Checkpoint` lets a fit resume that was interrupted.

    net_params : dict or None, default=None
        More parameters of the skorch net, such as `{"optimizer": torch.optim.RAdam, "optimizer__betas": (0.9, 0.99)}`
        or, to compile the loss with `torch.compile`, `{"compile": True}`. An optimizer of your own has its own weight
        decay: `weight_decay` is that of the default one, AdamW.

    device : str, default="auto"
        Where to train, as torch names it: "cpu", "cuda", "cuda:1", "mps". "auto" is cuda if there is one, then mps,
        then cpu.

    mixed_precision : "auto" or bool, default=False
        Whether to train in bfloat16 where torch holds it for safe (`torch.autocast`). "auto" does so where the hardware
        has bfloat16 and the largest product of a step has 2**23 multiply-adds, as 128 samples times 256 x 256 weights;
        it is False bit for bit elsewhere. Validation samples are judged in float32, and nothing changes after `fit`.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the validation samples and the order of the samples. Pass an int for
        reproducible results across multiple fits. The global random generators are neither used nor changed.

    verbose : int, default=0
        Whether to show a progress bar with the R² or the loss of the validation set, and say which epoch was selected.

    Attributes
    ----------
    n_components_ : int
        Size of the code.

    explained_variance_ : ndarray of shape (n_components,)
        Variance of each component of the codes of the training data (of the last chunk), before whitening.

    explained_variance_ratio_ : ndarray of shape (n_components,)
        Fraction of the variance that each component explains. Where codes are ordered it is what the component adds to
        the R² of those before it, on training samples (on some thousand of them, if there are many). Otherwise only for
        `hidden_layer_sizes=()`: the components of a nonlinear autoencoder explain the variance together.

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
        Which samples chose the epoch: `strategy`, which is "random", "copies", "blocks", "groups", "cv", "X_val" or
        None where no epoch is judged; `n_folds`; `block_size` and `gap` of blocks; and `n_validation`, the number of
        samples.

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
    Autoencoder : Without the penalty.
    DenoisingAutoencoder : Reconstructs clean samples from noisy ones.

    Notes
    -----
    The total variance of codes is that of PCA's scores. With a large `alpha` most of it is in few components. The
    others still hold what the decoder needs, and `whiten=True` or a `StandardScaler` gives all the same weight.

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
        shares : ndarray of shape (n_samples,)
            For noise of variance one in each scaled feature, and codes before whitening.
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
        usual = super()._hidden_layers(n_rows, n_features)
        if self._given_layers is not None or not self._unfolds(n_features):
            return usual
        width = max(usual[0], min(MIN_WIDTH, n_rows // 2))
        return (width, width // 2)

    def _auto_max_iter(self, n_rows, batch_size, is_narrow=False):
        usual = super()._auto_max_iter(n_rows, batch_size, is_narrow)
        if not self._unfolds(self.n_features_in_):
            return usual
        return max(usual, min(round(STEPS * batch_size / n_rows), MAX_EPOCHS))

    def _has_free_scale(self, spec):
        return spec.linear

    def _start_of_pca(self, pca, rows, statistics, spec, seed):  # noqa: ARG002 - the base's signature
        return ShrunkenStart.of_pca(pca, NOISE * self.alpha)
