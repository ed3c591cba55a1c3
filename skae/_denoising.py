"""Denoising autoencoder: it learns to reconstruct clean samples from corrupted or noisy ones."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from sklearn.utils import check_array

from skae._constraints import Interval, StrOptions
from skae._corruption import CORRUPTIONS, DenoisingModule
from skae._data.readers import FLOATS, ArrayReader, are_same, check_numeric, reading, shape_of, stays_in_place
from skae._data.statistics import FeatureStatistics
from skae._parameters import CODE_SIZE, NON_NEGATIVE, Parameters, parameter
from skae._regression import denoising_start, denoising_start_of, has_denoising_start, measured_noise
from skae._typing import CodeSize, FloatArray, MatrixLike
from skae.base import BaseAutoencoder
from skae.nn import AutoencoderModule

MAX_WIDTH_OF_STREAM = 1024  # maximum number of features for which the best denoiser is computed at each chunk

Corruption: TypeAlias = (
    Literal["auto", "masking", "gaussian", "salt_and_pepper", "swap"] | Callable[[torch.Tensor], torch.Tensor] | None
)
PAIR = [tuple, list, np.ndarray]


class DenoisingParameters(Parameters):
    """Parameters of the noise."""

    corruption: Corruption = parameter(default="auto", constraint=[StrOptions({"auto", *CORRUPTIONS}), Callable, None])
    corruption_level: float | tuple[float, float] = parameter(default=0.3, constraint=[NON_NEGATIVE, *PAIR])
    clip: bool | tuple[float, float] = parameter(default=False, constraint=["boolean", *PAIR])
    emphasis: float = parameter(default=0.5, constraint=[Interval(Real, 0, 1, closed="both")])


class DenoisingAutoencoder(BaseAutoencoder, DenoisingParameters):
    r"""Autoencoder that learns to reconstruct clean samples from corrupted ones.

    New noise :math:`q` corrupts each sample at each step, and the loss compares the output with the clean sample [1]_:

    .. math:: \min_{f, g} \; \frac{1}{n} \sum_i \mathbb{E}_{{\tilde x}_i \sim q(\cdot | x_i)}
              \lVert x_i - g(f({\tilde x}_i)) \rVert^2

    If there is a clean sample for each noisy one, `fit(X_noisy, X_clean)` learns from these pairs, and noise is added
    only on request. `reconstruct(X_noisy)` then denoises. Codes depend on what samples have in common rather than on
    their noise. Training starts at the best linear denoiser of its rank, in closed form [2]_, and an epoch is selected
    only if it significantly improves the loss on corrupted validation samples.

    Use it to denoise data, to fill masked values, or for codes that are robust to noise. Use `Autoencoder` to compress
    clean samples: a denoiser expects noise, and also removes some of the signal of clean samples.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=64
        Size of the code. An int may exceed the number of features; with 0 each sample is reconstructed as the mean. A
        float between 0 and 1 is a fraction of the variance: an ordered autoencoder is fitted with as many components as
        PCA needs to explain it, and truncated to the smallest size that explains it on the validation set, with an
        error that is significantly smaller than that of PCA's components; if there is none, it is not truncated. "mle"
        is PCA's number of components by Minka's method, and None the minimum of `n_samples` and `n_features`.

    corruption : {"auto", "masking", "gaussian", "salt_and_pepper", "swap"}, callable or None, default="auto"
        Noise that is added in training. "auto" is "masking" if only X is passed to `fit`, and None for pairs of
        samples; any other noise is added to the noisy samples of pairs. With None there is no noise. "masking" sets
        values to zero; "gaussian" adds normal noise; "salt_and_pepper" sets values to the minimum or maximum of X, or
        of each feature with `scale="standard"`; "swap" sets values to the same feature of other samples in the batch,
        and is suitable for tabular data. A callable takes a tensor of samples in units of X, on the CPU, and returns a
        tensor of the same shape; its draws from torch's global generator are determined by `random_state`.

    corruption_level : float or tuple of (float, float), default=0.3
        Fraction of the values that are corrupted, from 0 to 1; for "gaussian", standard deviation of the noise,
        relative to that of each feature. With a range (low, high), the level of each sample is drawn uniformly from it,
        for one denoiser of all these levels. In training, 80 % of the samples (25 % with "gaussian") have a level drawn
        uniformly between 0 and the level, or `low` of a range, so that less noisy samples are denoised as well. With a
        callable, the level is ignored, and 25 % of the training samples remain clean.

    clip : bool or tuple of (float, float), default=False
        Whether samples with "gaussian" noise are clipped to the range of the training data: of X, or of each feature
        with `scale="standard"`. A tuple (low, high) is another range, in units of X, such as a sensor's. Use it if the
        noisy samples were clipped; clean samples are then denoised a little worse.

    emphasis : float, default=0.5
        Relative weight of corrupted values in the loss; that of the others is `1 - emphasis`. With 0.5 all values have
        the same weight, with 1 only corrupted values are used, and with 0 only the others [1]_. Values that the noise
        selected are corrupted (all of them with "gaussian"), even if it did not change them; with pairs or a callable,
        the values that differ from the clean ones.

    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Widths of the encoder's hidden layers, from the data to the code; the decoder mirrors them. "auto" is two
        layers: the first has four times the number of features or half the number of samples, whichever is smaller,
        between 64 and 512 units, and the second has half as many; with convolutions, there is only the first, with at
        most 160. With `()` there are none, and the networks are linear.

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
        Number of epochs. "auto" is 40, or 12,800 / n_samples (up to 200) with fewer than 320 samples. There are at most
        400 steps of the optimizer (1600 with convolutions), but at least 9 epochs.

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
        Mean of each feature, of the clean samples if there are pairs. These also determine the scale: noisy samples are
        centered and scaled like clean ones, and a feature that is constant in clean samples is ignored.

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
    Autoencoder : Without noise.
    ContractiveAutoencoder : Codes that a penalty makes robust to noise.

    Notes
    -----
    `score(X)` is the R² of the reconstruction of X itself. To score denoising, pass the clean samples, as in
    `score(X_noisy, X_clean)`; a parameter search that is fitted to pairs does so.

    With pairs, training starts at the reduced-rank regression of the clean samples on the noisy ones [3]_, with the
    best ridge in leave-one-out cross-validation. With more than 4,096 features and many samples, it starts at PCA of
    the clean samples.

    References
    ----------
    .. [1] P. Vincent et al., "Stacked denoising autoencoders: learning useful representations in a deep network with a
       local denoising criterion", Journal of Machine Learning Research 11, 2010.
    .. [2] M. Chen et al., "Marginalized denoising autoencoders for domain adaptation", ICML 2012.
    .. [3] A. J. Izenman, "Reduced-rank regression for the multivariate linear model", Journal of Multivariate Analysis
       5(2), 1975.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> X = load_digits().data
    >>> noisy = np.where(np.random.default_rng(0).random(X.shape) < 0.3, 0, X)
    >>> denoiser = DenoisingAutoencoder(32, max_iter=5, random_state=0).fit(X[:1000])
    >>> error = np.square(denoiser.reconstruct(noisy[1000:]) - X[1000:]).mean()
    >>> bool(error < 0.5 * np.square(noisy[1000:] - X[1000:]).mean())
    True

    With pairs of samples, the noise may be unknown:

    >>> paired = DenoisingAutoencoder(32, max_iter=5, random_state=0).fit(noisy[:1000], X[:1000])
    >>> paired.score(noisy[1000:], X[1000:]) > 0.6
    True
    """

    module_class: ClassVar[type[AutoencoderModule]] = DenoisingModule
    n_components: CodeSize = parameter(default=64, constraint=CODE_SIZE, kw_only=False)

    def score(self, X: MatrixLike, y: object = None) -> float:
        """Return the R² of the reconstruction of X, or of clean samples from noisy ones.

        It increases with `n_components`, as PCA's explained variance does. Unlike PCA's `score`, it is not a
        log-likelihood. To select a size, a search needs a `refit` function that selects the smallest code that is good
        enough: see the guide on the number of components.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Clean samples, if X contains noisy ones. One-dimensional arrays, such as labels, are ignored.

        Returns
        -------
        score : float
            `r2_score(y, reconstruct(X), multioutput="variance_weighted")`, with X as y if there are no clean samples.
        """
        if len(shape_of(y)) < 2:
            return super().score(X)
        rows = self._rows_of(X)
        return self._r2(rows, ArrayReader(self._checked_clean(rows, y), name="y"))

    @property
    def _levels(self):
        """Range of the corruption levels."""
        level = self.corruption_level
        return (level, level) if isinstance(level, Real) else tuple(level)

    def check_parameters(self) -> None:
        super().check_parameters()
        if not _is_range(self._levels) or self._levels[0] < 0:
            raise ValueError(
                f"corruption_level={self.corruption_level!r} must be one number, or a range (low, high) with "
                "0 <= low <= high. Set it to a tuple such as (0, 0.5)."
            )
        if not (isinstance(self.clip, bool | np.bool_) or (_is_range(self.clip) and self.clip[0] < self.clip[1])):
            raise ValueError(
                f"clip={self.clip!r} must be True, False or a range (low, high) with low < high, in units of X. Set it "
                "to a tuple such as (0, 1)."
            )
        replaces_values = isinstance(self.corruption, str) and self.corruption != "gaussian"
        if self._levels[1] > 1 and replaces_values:
            raise ValueError(
                f"corruption_level={self.corruption_level!r} is the fraction of the values that corruption="
                f"{self.corruption!r} changes. Set it between 0 and 1."
            )
        corrupts_all = self.corruption == "gaussian" and self._levels[0] > 0
        corrupts_none = replaces_values and self._levels[1] == 0
        if (self.emphasis == 0 and corrupts_all) or (self.emphasis == 1 and corrupts_none):
            raise ValueError(
                f"emphasis={self.emphasis!r} leaves nothing to minimize: corruption={self.corruption!r} with "
                f"corruption_level={self.corruption_level!r} changes {'all' if corrupts_all else 'no'} values. Set it "
                "to 0.5."
            )

    def _checked_target(self, X, y):
        """Return y, which is validated if it contains clean samples; None if y is X."""
        shape = shape_of(y)
        if len(shape) < 2:
            if self.corruption is None:
                raise ValueError(
                    "corruption=None adds no noise, and there are no clean samples to learn. Pass them as y, as in "
                    "fit(X_noisy, X_clean), or set corruption to the noise to add, such as 'masking'."
                )
            return y
        y = self._checked_clean(X, y)
        return None if self.corruption == "auto" and are_same(X, y) else y

    def _checked_clean(self, X, y):
        """Validate clean samples, which must have the shape of X."""
        shape = shape_of(y)
        if shape != X.shape:
            raise ValueError(
                f"y has shape {shape} and X has shape {X.shape}: clean samples must have the shape of the noisy ones. "
                "One-dimensional labels are ignored."
            )
        if stays_in_place(y):
            return y
        with reading(y, "y"):
            check_numeric(y, "y")
            return check_array(y, dtype=FLOATS, accept_sparse="csr", input_name="y")

    def _clean_rows(self, y):
        return y if len(shape_of(y)) == 2 else None

    def module_params(self, statistics: Any, scale: FloatArray) -> dict[str, Any]:
        low, high = statistics.seen.low, statistics.seen.high
        if self.scale != "standard":  # all features have the same unit
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)

        def scaled(limit):
            return (limit - statistics.mean) * per_unit

        clip = None
        is_range = not isinstance(self.clip, bool | np.bool_)
        if is_range or self.clip:
            lower, upper = self.clip if is_range else (low, high)
            clip = scaled(lower), scaled(upper)
        corruption = self.corruption
        if corruption == "auto":
            corruption = "masking" if statistics.noisy is None else None
        return {
            "corruption": corruption,
            "levels": tuple(map(float, self._levels)),
            "deviation": np.sqrt(statistics.seen.variance) * per_unit,
            "low": scaled(low),
            "high": scaled(high),
            "clip": clip,
            "emphasis": self.emphasis,
        }

    def initial_solution(self, rows: Any, spec: Any, seed: int) -> Any:
        if not has_denoising_start(rows):
            start = super().initial_solution(rows.clean, spec, seed)
            if not rows.are_pairs:
                return start
            seen_mean = sum(batch.sum(axis=0) for batch in rows.batches()) / len(rows)
            return replace(start, filters=start.components, seen_mean=seen_mean)
        return denoising_start(rows, self._measured_noise(rows, spec, seed), spec.n_components)

    def _start_of_pca(self, pca, rows, statistics, spec, seed):
        if len(pca.mean) > MAX_WIDTH_OF_STREAM:
            return pca
        # covariance of PCA's components, plus the remaining variance of each feature, as if that were independent
        covariance = (pca.components.T * pca.variance) @ pca.components
        own = statistics.variance * np.square(rows.per_unit)
        covariance[np.diag_indices_from(covariance)] = np.maximum(np.diag(covariance), own)
        chunk = FeatureStatistics().update(ArrayReader(rows.read(slice(None))))
        noise = self._measured_noise(rows, spec, seed)
        noise = noise.of_others(chunk.mean, chunk.variance, pca.mean, np.diag(covariance))
        return denoising_start_of(pca.mean, covariance, noise, spec.n_components)

    def _measured_noise(self, rows, spec, seed):
        module = spec.build(self.module_class)
        module.generator = torch.Generator().manual_seed(seed)
        return measured_noise(module, rows, linear=spec.is_linear)


def _is_range(pair):
    """Return whether `pair` contains two finite numbers in ascending order."""
    return np.shape(pair) == (2,) and all(isinstance(x, Real) for x in pair) and -np.inf < pair[0] <= pair[1] < np.inf
