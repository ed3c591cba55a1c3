"""Variational autoencoder: codes are distributions, and the decoder is a generative model."""

import math
import warnings
from dataclasses import field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skae._codes import inner_codes
from skae._constraints import StrOptions
from skae._core import AutoencoderCore
from skae._data.bounds import bounds_of, still_bounds
from skae._data.readers import ArrayReader
from skae._defaults import MAX_EPOCHS
from skae._generation import GenerationMixin
from skae._parameters import (
    NON_NEGATIVE,
    POSITIVE_INT,
    ArchitectureParameter,
    InitParameter,
    NetworkParameters,
    Parameters,
    parameter,
)
from skae._pca import principal_axes
from skae._probabilistic_pca import MIN_SIGNAL, min_signal, probabilistic_of, probabilistic_start
from skae._training.labels import RANDOM_INIT
from skae._typing import FloatArray
from skae._variational_module import MIN_NOISE, VariationalModule
from skae.nn import AutoencoderModule

ACTIVE = 0.01  # a unit is active if the variance of its posterior mean is larger (Burda et al., 2016)
FEATURES_OF_FULL_RATE = 64  # with more features, whose losses are summed, the rate decreases with their square root
MORE_EPOCHS, FEATURES_OF_MORE = 5, 256  # factor of epochs if a second network is trained, and for how many features
WARM_UP = 0.5  # fraction of training during which the weight of the divergence increases


class VariationalParameters(Parameters):
    """Parameters of the objective."""

    beta: float = parameter(default=1.0, constraint=[NON_NEGATIVE])


class VariationalAutoencoder(
    GenerationMixin, AutoencoderCore, InitParameter, ArchitectureParameter, NetworkParameters, VariationalParameters
):
    r"""Autoencoder whose codes are distributions: probabilistic PCA with neural networks, and a generative model.

    Codes have a standard normal prior. The encoder returns the mean and variance of a normal posterior
    :math:`q(z | x)`, and the decoder the mean of a sample. Both minimize [1]_ [2]_

    .. math:: \frac{1}{n} \sum_i \mathbb{E}_{q(z | x_i)} \left[ -\log p(x_i | z) \right]
              + \beta \, \mathrm{KL}\left( q(z | x_i) \Vert \mathcal{N}(0, I) \right)

    in nats, summed over features. With :math:`\beta = 1` it is the negative of a lower bound on the log-likelihood.
    Noise is normal with a learned variance; with "binary_cross_entropy" samples are Bernoulli. If both networks are
    linear, the optimum is probabilistic PCA [3]_ [4]_. Training starts there, with PCA's log-likelihood as the bound,
    and an epoch is selected only if it is a significant improvement on the validation set. If the data vary similarly
    in all directions, PCA has no dominant component, and a second, randomly initialized network is trained as well.

    Use it to draw new samples, to vary given ones, or for their likelihood. With a larger `beta`, codes are closer to
    the prior and reconstructions worse. Use `Autoencoder` if only the error matters: noise in codes increases it.

    Parameters
    ----------
    n_components : int, default=10
        Size of the code. It may exceed the number of features, but components that the data do not need collapse onto
        the prior: `active_units_` indicates the others, and `fit` issues a `ConvergenceWarning`.

    beta : float, default=1.0
        Weight of the divergence from the prior [5]_, 0 or more.

    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Widths of the encoder's hidden layers, from the data to the code; the decoder mirrors them. "auto" is two
        layers: the first has four times the number of features or half the number of samples, whichever is smaller,
        between 64 and 512 units, and the second has half as many; with convolutions, there is only the first, with at
        most 160. With `()` there are none, and the networks are linear.

    activation : {"gelu", "relu", "silu", "tanh", "logistic", "softplus", "identity"}, default="gelu"
        Activation function of the hidden layers.

    architecture : Architecture or None, default=None
        Layers between the data and the hidden layers: `skae.architectures.Convolutional()` for images, `Recurrent()`
        for sequences, or a custom one. The hidden layers are between these and the code; None means only those.

    init : {"pca", "random"}, default="pca"
        Initialization: at the linear optimum, or at random. With "random" there are no linear maps, and PCA may be
        better. The weight of the divergence then increases over the first half of training.

    loss : {"squared_error", "binary_cross_entropy"}, default="squared_error"
        Likelihood. "squared_error" is normal noise with one variance for all scaled features, `noise_variance_`.
        "binary_cross_entropy" is Bernoulli, for data in [0, 1], preferably 0 or 1, and reconstructs probabilities.

    scale : {"global", "standard"} or None, default="global"
        How features are scaled internally. "global" divides all by one number and minimizes the same squared error as
        PCA. "standard" gives each feature the same weight, like `StandardScaler` before PCA; codes are then in its
        units. With None, features are only centered, for data of unit scale.

    max_iter : "auto" or int, default="auto"
        Number of epochs. "auto" is 40, or 12,800 / n_samples (up to 200) with fewer than 320 samples. There are at most
        400 steps of the optimizer (1600 with convolutions), but at least 9 epochs. For up to 256 features it is five
        times as many, and at most 200, if PCA provides no useful initialization (see Notes).

    batch_size : "auto" or int, default="auto"
        Number of samples in a batch. "auto" is an eighth of the samples, between 64 and 256 (64 with convolutions; from
        32 on if up to 50 features are only reconstructed); in `partial_fit`, 1/40 of the chunk.

    learning_rate : "auto" or float, default="auto"
        Maximum learning rate. The rate increases to it over the first tenth of the steps, and then decreases to zero.
        The linear maps use a tenth of it. "auto" is 0.01, times the square root of 64 / n_features for more than 64
        features; or the architecture's value: 0.003 with convolutions.

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
        Variance of each component of the posterior means of the training data (or of its last chunk). It is about 1 for
        an informative component, and 0 for one that has collapsed.

    active_units_ : ndarray of shape (n_components,)
        Mask of informative components: those with an `explained_variance_` above 0.01 [6]_.

    noise_variance_ : float
        Learned variance of the noise in squared units of X (with `scale="standard"`, of standardized features), as in
        PCA. Not defined with "binary_cross_entropy".

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
        Mean training loss of each epoch, in nats of scaled samples. Empty if nothing was trained.

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
    sklearn.decomposition.PCA : Its `score` is the log-likelihood of the linear special case.
    Autoencoder : Autoencoder whose codes are not distributions.
    LatentSampler : Generation of samples with any autoencoder.

    Notes
    -----
    With `hidden_layer_sizes=()` the autoencoder is solved in closed form, for any `beta`, if `loss` is "squared_error"
    and neither `init` nor `architecture` was changed. With `beta=1` it is probabilistic PCA. `noise_variance_` is then
    PCA's if there are at least as many samples as features and more than twice as many as components. With fewer, PCA's
    noise variance is too small for new samples: at least that left by n_samples / 2 components is used.

    With "squared_error", the means that `reconstruct` and `sample` return have bounds if the data have: the minimum or
    maximum of a feature is a bound if at least a twentieth of the training samples, and at least five, are equal to it.
    This is common for pixels of images on black, counts and binary columns, but not for measurements. A bound is
    removed when `partial_fit` gets samples beyond it. A linear autoencoder has no bounds.

    A component of probabilistic PCA is too weak to start from if its variance in excess of the noise is less than the
    variance of the noise, or than independent normal samples have by chance [7]_. If there is one, and features that no
    component explains, a second, randomly initialized network is trained as well, and the weight of the divergence
    increases over the first half of training, because it would keep both in their initial state. `fit` issues a
    `ConvergenceWarning` if no epoch is an improvement, unless fewer than 34 samples per feature make this uncertain.

    The variance of the noise is at least 1e-6 of the mean variance of the features: with as many components as the rank
    of the data it would be zero, and the likelihood infinite. Posterior log-variances are softly bounded to [-35, 10].

    Codes are on the scale of the prior: `inverse_transform(rng.standard_normal((n, k)))` draws samples as `sample`
    does. They are sorted by variance, with PCA's rule for signs. They are not rotated, as the posterior's components
    are independent, and not centered.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014. arXiv:1312.6114
    .. [2] D. J. Rezende, S. Mohamed and D. Wierstra, "Stochastic backpropagation and approximate inference in deep
       generative models", ICML 2014.
    .. [3] M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis", Journal of the Royal
       Statistical Society B 61(3), 1999.
    .. [4] J. Lucas, G. Tucker, R. Grosse and M. Norouzi, "Don't blame the ELBO! A linear VAE perspective on posterior
       collapse", NeurIPS 2019.
    .. [5] I. Higgins et al., "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR
       2017.
    .. [6] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
    .. [7] V. A. Marchenko and L. A. Pastur, "Distribution of eigenvalues for some sets of random matrices", Mathematics
       of the USSR-Sbornik 1(4), 1967.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import VariationalAutoencoder
    >>> X = load_digits().data
    >>> vae = VariationalAutoencoder(8, max_iter=10, random_state=0).fit(X)
    >>> bool(vae.log_likelihood(X, random_state=0).mean() > PCA(8).fit(X).score(X) + 10)
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 64)
    >>> vae.vary(X[:2], n_variations=5, random_state=0).shape
    (2, 5, 64)
    """

    module_class: ClassVar[type[AutoencoderModule]] = VariationalModule
    _more_shaping = ("beta",)
    n_components: int = parameter(default=10, constraint=[POSITIVE_INT], kw_only=False)
    loss: Literal["squared_error", "binary_cross_entropy"] = parameter(
        default="squared_error", constraint=[StrOptions({"squared_error", "binary_cross_entropy"})]
    )

    noise_variance_: float = field(init=False)

    _absent = {  # noqa: RUF012
        "noise_variance_": "it is set by fit with loss='squared_error'.",
        "get_covariance": "it is only defined with hidden_layer_sizes=() and loss='squared_error'. "
        "np.cov(sample(n).T) estimates the covariance of samples.",
        "get_precision": "it is only defined with hidden_layer_sizes=() and loss='squared_error'.",
    }

    def check_parameters(self) -> None:
        super().check_parameters()
        if self.architecture is not None and not self.architecture.dense_code:
            raise ValueError(
                f"architecture={self.architecture!r} uses its last feature map as the code, without outputs "
                "for the variances of codes. Set dense_code=True."
            )

    def module_params(self, statistics: Any, scale: FloatArray) -> dict[str, Any]:
        before = getattr(self, "_spec", None)  # for partial_fit or warm_start; a new fit determines new bounds
        continues = before is not None and before.sizes[0] == len(scale)
        bounds = before.formula.get("bounds") if continues else None
        per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        variance = statistics.variance * np.square(per_unit)
        return {
            "beta": float(self.beta),
            "variance": float(variance[scale > 0].mean()) if scale.any() else 1.0,
            "warm_up": WARM_UP if self.init == "random" else 0.0,
            "bounds": still_bounds(bounds, statistics.low, statistics.high),
        }

    def _new_spec(self, rows, statistics, seed, X_val=None, groups=None):
        spec = super()._new_spec(rows, statistics, seed, X_val, groups)
        has_bounds = spec.link is None and not spec.is_linear
        bounds = bounds_of(ArrayReader(rows.X, rows.index), statistics.low, statistics.high) if has_bounds else None
        return replace(spec, formula=spec.formula | {"bounds": bounds})

    def initial_solution(self, rows: Any, spec: Any, seed: int) -> Any:
        formula = spec.formula
        given = {"beta": formula["beta"], "least_noise": MIN_NOISE * formula["variance"], "exact": spec.is_linear}
        return probabilistic_start(rows, spec.n_components, seed, **given)

    def _start_of_pca(self, pca, rows, statistics, spec, seed):  # noqa: ARG002 - the base's signature
        formula, n = spec.formula, statistics.n_rows
        total = (statistics.variance * np.square(rows.per_unit)).sum() * n / (n - 1)
        least_noise = MIN_NOISE * formula["variance"]
        return probabilistic_of(pca, total, n, beta=formula["beta"], least_noise=least_noise)

    def _freedom(self, spec):  # noqa: ARG002 - the base's signature
        return "order"  # the posterior's components are independent

    def _is_solved(self, spec):
        return spec.is_linear and self.loss == "squared_error" and not spec.categories

    def _normal(self):
        if not self._is_solved(self._spec):
            return None
        k = self.n_components_
        axes = self.inverse_transform(np.eye(k)) - self.inverse_transform(np.zeros((1, k)))
        return axes, np.ones(k), self._noise_of_features()

    def _fit(self, *args):
        super()._fit(*args)
        collapsed, n_active = np.flatnonzero(~self.active_units_), self.active_units_.sum()
        if len(collapsed):
            warnings.warn(
                f"{len(collapsed)} of {self.n_components_} components have collapsed onto the prior and are unused: "
                f"{', '.join(map(str, collapsed))}. Set n_components={max(1, n_active)}, or lower beta to "
                "use more of them.",
                ConvergenceWarning,
                stacklevel=2,
            )
        weak = np.flatnonzero(self.active_units_ & self._is_weak)
        if self.best_epoch_ == 0 and self.loss_curve_ and len(weak) and self.n_components_ < self.n_features_in_:
            warnings.warn(
                f"No epoch improved on probabilistic PCA, and {len(weak)} of {self.n_components_} of its components "
                f"add less variance than the noise: {', '.join(map(str, weak))}. The data vary similarly in many "
                "directions, and the networks found no other structure. Raise max_iter or n_components, or lower beta.",
                ConvergenceWarning,
                stacklevel=2,
            )

    @property
    def _is_weak(self):
        """Mask of initial components whose variance in excess of the noise, beta v / (1 - v) of it, is less than it.

        With few samples it contains none, because components may exceed the noise by chance.
        """
        if min_signal(self.n_samples_, self.n_features_in_) > MIN_SIGNAL:
            return np.zeros(self.n_components_, dtype=bool)
        variance = self.explained_variance_.clip(max=1 - 1e-9)
        return self.beta * variance / (1 - variance) <= MIN_SIGNAL

    def _has_bounds(self, architecture):  # noqa: ARG002 - the base's signature
        return False  # its module has its own

    def _has_random_restart(self, spec, start, n_rows, n_folds):
        """Return whether PCA has a useless component that the data could use, which training can't change from there.

        Once a component has collapsed, neither the encoder nor the decoder has a gradient towards using it.
        """
        if start is None or spec.is_linear or spec.architecture is not None or not n_folds:
            return False
        has_rest = start.noise > 2 * MIN_NOISE * spec.formula["variance"]
        n_of_use = (spec.scale > 0).sum() - 1  # the last of as many components as features is useless
        return bool(has_rest and start.is_weak(n_rows)[:n_of_use].any())

    def _affordable(self, rows, spec, n_epochs):
        """Return the numbers of folds and epochs: more epochs if there is no useful initialization."""
        n_folds, n_epochs = super()._affordable(rows, spec, n_epochs)
        if self.max_iter == "auto" and rows.shape[1] <= FEATURES_OF_MORE and self._has_start(spec):
            start = self._common_start(rows, spec, 0)
            if self._has_random_restart(spec, start, len(rows), 1):
                n_epochs = max(n_epochs, min(MORE_EPOCHS * n_epochs, MAX_EPOCHS))
        return n_folds, n_epochs

    def _new_members(self, *args):
        members = super()._new_members(*args)
        if any(label.endswith(RANDOM_INIT) for label in members):  # the divergence would keep both at their start
            for module, _ in members.values():
                module.warm_up = WARM_UP
                module.kl_weight.zero_()
        return members

    def _new_settings(self, n_rows, device, seed, n_components):
        settings = super()._new_settings(n_rows, device, seed, n_components)
        if self.learning_rate == "auto" and self.architecture is None:
            settings["learning_rate"] *= min(1.0, math.sqrt(FEATURES_OF_FULL_RATE / self.n_features_in_))
        return settings

    def _shown_axes(self, module, rows):
        """Sort components by the variance of their means, and determine their signs; the prior is unchanged."""
        k = self.n_components
        _, signs, variance = principal_axes(inner_codes(module, rows), rotate=False)
        order = np.argsort(-variance, kind="stable")
        return (np.ones(k), np.zeros(k), signs[order], np.ones(k)), variance[order]

    def _learned(self, module, rows, spec):  # noqa: ARG002 - the base's signature
        if self.loss != "squared_error":
            return {"_log_volume": 0.0}
        scale, unit = spec.scale, self._unit(spec.scale)
        return {
            "noise_variance_": math.exp(module.log_noise.item()) * unit**2,
            # volume of a unit cube of scaled samples, in units of X; a constant feature has the scale of the others
            "_log_volume": float(np.log(np.where(scale > 0, scale, unit))[: spec.n_numbers].sum()),
        }

    @property
    def active_units_(self) -> NDArray[np.bool_]:
        """Mask of informative components, whose posterior means have a variance above 0.01: (n_components,)."""
        check_is_fitted(self)
        return self.explained_variance_ > ACTIVE
