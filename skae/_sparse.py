"""Sparse autoencoder: each sample is encoded by few active units of many, and decoded by a dictionary of atoms."""

import math
from dataclasses import field, replace
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from skae._codes import code_variance, inner_codes
from skae._constraints import Interval, StrOptions
from skae._core import AutoencoderCore
from skae._parameters import NON_NEGATIVE, POSITIVE_INT, ArchitectureParameter, NetworkParameters, Parameters, parameter
from skae._pca import linear_init
from skae._sparse_module import SELECTIONS, SparseModule, SparseStart, atoms_of, axes_in_units
from skae._spec import read_weights
from skae._training.distributed import broadcast_from_main
from skae._typing import Auto, FloatArray, LayerSizes
from skae.nn import AutoencoderModule

# values of "auto"
MAX_ALPHA, ALPHA_OF_ONE = 0.2, 1.6  # for "l1": ALPHA_OF_ONE is divided by the square root of the number of units
ALPHA_OF_KL = 10.0
UNITS_PER_COMPONENT = 4  # for each of the principal components that explain this fraction of the variance:
EXPLAINED = 0.99
ROWS_PER_UNIT = 4  # minimum
MAX_UNITS = 512
MIN_EPOCHS, MAX_EPOCHS, STEPS = 9, 100, 1000
MIN_BATCH, MAX_BATCH, BATCHES = 64, 256, 80  # large batches find fewer atoms
NONZERO_SHARE = 0.1  # fraction of units that are active if `n_nonzero_coefs` is None
ROWS_FOR_ATOMS = 5  # samples per unit
MIN_RANGE = 0.05  # of a unit of "kl" that is not dead, since these units are never zero
MIN_USE = 1 / 200  # fraction of samples in which a unit must be active to be kept by "auto"
MIN_ROWS, ENOUGH_ROWS = 2, 10  # limits of that number: a unit that is active in one sample memorizes it


class SparseParameters(Parameters):
    """Parameters that control the sparsity."""

    sparsity: Literal["l1", "kl", "top_k", "batch_top_k"] = parameter(
        default="l1", constraint=[StrOptions(set(SELECTIONS))]
    )
    alpha: Auto | float = parameter(default="auto", constraint=[StrOptions({"auto"}), NON_NEGATIVE])
    sparsity_target: float = parameter(default=0.1, constraint=[Interval(Real, 0, 1, closed="neither")])
    n_nonzero_coefs: int | None = parameter(default=None, constraint=[POSITIVE_INT, None])


class SparseAutoencoder(AutoencoderCore, ArchitectureParameter, NetworkParameters, SparseParameters):
    r"""Autoencoder with a wide code that has few active units per sample: a dictionary with a learned encoder.

    The decoder is a dictionary :math:`D` of atoms of the same norm, and an offset :math:`c`. A sample is reconstructed
    as the sum of the atoms whose units are active, weighted by their activations :math:`z_i = f(x_i) \geq 0`:

    .. math:: \min_{f, D} \; \frac{1}{n} \sum_i \lVert x_i - z_i D - c \rVert^2 + \Omega(z)

    - "l1": :math:`\Omega = \alpha \sqrt{d} \sum_j z_j`, for :math:`d` features: a unit is active only if it
      decreases the error sufficiently [1]_;
    - "kl": :math:`\Omega = \alpha \frac{d}{k} \sum_j \mathrm{KL}(\rho \Vert \bar z_j)`, for units between 0 and 1: each
      is active with a mean of :math:`\rho` [2]_ [6]_;
    - "top_k": no penalty; the `n_nonzero_coefs` largest units of each sample are active [3]_;
    - "batch_top_k": the same on average over a batch; after training, a threshold is used instead [4]_.

    Use it for parts that can be interpreted individually (`components_`), or for wide features of a linear model. Use
    "top_k" if the number of parts of a sample is limited, and "l1" if samples differ in complexity. Use `Autoencoder`
    for short codes, and scikit-learn's `MiniBatchDictionaryLearning` for small data, for which optimizing the code of
    each sample is affordable.

    Parameters
    ----------
    n_components : "auto" or int, default="auto"
        Number of units, and of atoms. It may exceed the number of features. With "auto", `fit` trains four times as
        many units as there are principal components that explain 99 % of the variance of the scaled samples, but at
        most 512 or a quarter of the number of samples. It then removes units that are active in fewer than one in 200
        training samples; this limit is at least two and at most ten samples. At least `n_nonzero_coefs` units are kept.
        `partial_fit` and a warm start remove no units, since later samples may use them.

    sparsity : {"l1", "kl", "top_k", "batch_top_k"}, default="l1"
        How the code is made sparse.

    alpha : "auto" or float, default="auto"
        Weight of the penalty of "l1" and "kl". Its effect depends neither on the number of features nor on their scale.
        For "l1", an atom is active only if it explains a part of the sample whose norm, as a fraction of the typical
        norm of a centered sample, exceeds half of the weight; activations are too small by about the same amount, and
        all codes are zero with a weight of about 2. "auto" is 10 for "kl". For "l1" it is 1.6 divided by the square
        root of the number of units, including removed ones, and at most 0.2: 0.1 for 256 units.

    sparsity_target : float, default=0.1
        Target of "kl" for the mean activation of each unit, between 0 and 1.

    n_nonzero_coefs : int or None, default=None
        Number of active units per sample for "top_k", and on average for "batch_top_k". None is a tenth of the units,
        including those that "auto" removes.

    hidden_layer_sizes : "auto", int or array-like of int, default=()
        Widths of the encoder's hidden layers, from the data to the code; the decoder has none. "auto" is two layers:
        the first has four times the number of features or half the number of samples, whichever is smaller, between 64
        and 512 units, and the second has half as many; with convolutions, there is only the first, with at most 160.
        With `()` there are none.

    activation : {"gelu", "relu", "silu", "tanh", "logistic", "softplus", "identity"}, default="gelu"
        Activation function of the hidden layers.

    architecture : Architecture or None, default=None
        Layers between the data and the hidden layers: `skae.architectures.Convolutional()` for images, `Recurrent()`
        for sequences, or a custom one. The hidden layers are between these and the code; None means only those.

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
        Number of epochs. "auto" is as many as take 1,000 steps of the optimizer, but at least 9 and at most 100.

    batch_size : "auto" or int, default="auto"
        Number of samples in a batch. "auto" is an 80th of the samples, between 64 and 256; in `partial_fit`, 1/40 of
        the chunk.

    learning_rate : "auto" or float, default="auto"
        Maximum learning rate. The rate increases to it over the first tenth of the steps, and then decreases to zero.
        The linear maps, including the dictionary, use the same rate. "auto" is 0.01, or the architecture's value: 0.003
        with convolutions.

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
        Size of the code: the number of units, without those that `n_components="auto"` removes.

    explained_variance_ : ndarray of shape (n_components,)
        Variance of each component of the codes of the training data (or of its last chunk), before whitening.

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

    components_ : ndarray of shape (n_components, n_features)
        Atoms, in units of X: a reconstruction is `codes @ components_` plus the reconstruction of a code of zeros. With
        `scale="global"` and any `sparsity` except "kl" they have unit norm. With `loss="binary_cross_entropy"` or
        "poisson", the sum of atoms is on the scale of the logit or logarithm, whose inverse `inverse_transform`
        applies.

    active_ratio_ : float
        Fraction of units that are active, on average over the training samples (or over the last chunk). For "kl",
        whose units are never zero, it is the mean activation.

    dead_ratio_ : float
        Fraction of units that are active in no training sample. For "kl", fraction of units whose activation is almost
        constant.

    See Also
    --------
    Autoencoder : Autoencoder with short, dense codes.
    sklearn.decomposition.MiniBatchDictionaryLearning : Dictionary learning that optimizes the code of each sample.

    Notes
    -----
    The dictionary is initialized with randomly drawn samples, and the encoder with its transpose. Units of "l1",
    "top_k" and "batch_top_k" that have been inactive for 50 steps are trained to reconstruct the residual of the others
    [3]_. The encoder of "top_k" and "batch_top_k" ends with a step of iterative thresholding [5]_. Codes are not
    rotated.

    References
    ----------
    .. [1] B. A. Olshausen and D. J. Field, "Sparse coding with an overcomplete basis set: a strategy employed by V1?",
       Vision Research 37(23), 1997.
    .. [2] V. Nair and G. E. Hinton, "3D object recognition with deep belief nets", NeurIPS 2009.
    .. [3] L. Gao et al., "Scaling and evaluating sparse autoencoders", ICLR 2025.
    .. [4] B. Bussmann, P. Leask and N. Nanda, "BatchTopK sparse autoencoders", 2024. arXiv:2412.06410
    .. [5] K. Gregor and Y. LeCun, "Learning fast approximations of sparse coding", ICML 2010.
    .. [6] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford University, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> X = load_digits().data
    >>> sparse = SparseAutoencoder(100, sparsity="top_k", n_nonzero_coefs=8, max_iter=10, random_state=0).fit(X)
    >>> codes = sparse.transform(X)
    >>> int((codes > 0).sum(axis=1).max())
    8
    >>> sparse.components_.shape
    (100, 64)
    """

    module_class: ClassVar[type[AutoencoderModule]] = SparseModule
    _more_shaping = ("sparsity", "n_nonzero_coefs")
    n_components: Auto | int = parameter(default="auto", constraint=[StrOptions({"auto"}), POSITIVE_INT], kw_only=False)
    hidden_layer_sizes: LayerSizes = ()

    components_: FloatArray = field(init=False)
    _absent = {"components_": "it is set by fit."}  # noqa: RUF012
    active_ratio_: float = field(init=False)
    dead_ratio_: float = field(init=False)

    _open_size = "auto"
    _follows_pca = False  # atoms are not principal axes

    @property
    def _n_trained(self):
        """Number of units in the first fit, before "auto" removes some; it determines the penalty."""
        return getattr(self, "_n_at_first", self.n_components_)

    @property
    def _n_nonzero(self):
        if self.n_nonzero_coefs is None:
            return max(1, round(NONZERO_SHARE * self._n_trained))
        return self.n_nonzero_coefs

    @property
    def _code_size(self):
        return None if self.n_components == "auto" else self.n_components

    def _chosen_size(self, rows, choice, seed):  # noqa: ARG002 - the base's signature
        """Return a multiple of the number of principal components that explain almost all of the variance."""
        n, d = rows.shape
        variance = linear_init(rows, min(n, d, MAX_UNITS // UNITS_PER_COMPONENT), seed).variance
        total = sum(np.square(batch, dtype=np.float64).sum() for batch in rows.batches()) / max(n - 1, 1)
        n_axes = np.searchsorted(np.cumsum(variance), EXPLAINED * total) + 1
        most = max(1, min(n // ROWS_PER_UNIT, MAX_UNITS))
        return int(max(min(UNITS_PER_COMPONENT * n_axes, most), self.n_nonzero_coefs or 1))

    def _auto_alpha(self):
        """Return a smaller weight for more units: samples are then sums of more atoms, each a smaller part of them."""
        if self.sparsity == "kl":
            return ALPHA_OF_KL
        return min(MAX_ALPHA, ALPHA_OF_ONE / math.sqrt(self._n_trained))

    def _auto_batch_size(self, n_rows):
        return int(np.clip(n_rows // BATCHES, MIN_BATCH, MAX_BATCH))

    def _auto_max_iter(self, n_rows, batch_size, is_narrow=False):  # noqa: ARG002 - the base's signature
        return int(np.clip(math.ceil(STEPS * batch_size / n_rows), MIN_EPOCHS, MAX_EPOCHS))

    def check_parameters(self) -> None:
        super().check_parameters()
        if self.n_components != "auto" and (self.n_nonzero_coefs or 1) > self.n_components:
            raise ValueError(
                f"n_nonzero_coefs={self.n_nonzero_coefs!r} must not be above n_components={self.n_components!r}, the "
                "number of units."
            )

    def module_params(self, statistics: Any, scale: FloatArray) -> dict[str, Any]:  # noqa: ARG002 - the base's signature
        # for "kl", so that the sum of the active atoms of a sample, if they are orthogonal, has the norm of a sample
        length = math.sqrt(len(scale) / (self.sparsity_target * self._n_trained)) if self.sparsity == "kl" else 1.0
        return {
            "sparsity": self.sparsity,
            "alpha": self._auto_alpha() if self.alpha == "auto" else self.alpha,
            "target": self.sparsity_target,
            "k": self._n_nonzero,
            "length": length,
        }

    def initial_solution(self, rows: Any, spec: Any, seed: int) -> Any:
        n_units, target = self.n_components_, self.sparsity_target
        generator = torch.Generator().manual_seed(seed)
        some = torch.randperm(len(rows), generator=generator)[: ROWS_FOR_ATOMS * max(n_units, 200)].sort().values
        x = torch.tensor(rows.read(some.numpy()), dtype=torch.float32)
        atoms = atoms_of(x, n_units, generator)
        length = spec.formula["length"]
        projection = x @ atoms.T
        bias, offset, threshold = 0.0, torch.zeros(x.shape[1]), None
        if self.sparsity == "kl":
            bias, offset = math.log(target / (1 - target)), -target * length * atoms.sum(dim=0)
            code = target * (1 - target) * projection  # with the slope of the sigmoid
        else:
            code = SELECTIONS[self.sparsity](self._n_nonzero)(projection)
        x_hat = length * code @ atoms
        size = float((x * x_hat).sum() / x_hat.square().sum().clamp(min=1e-12)) or 1.0  # least-squares scale factor
        if self.sparsity == "batch_top_k":
            # between active and inactive units, so that no unit is exactly at the threshold
            active, rest = code[code > 0], projection[code <= 0].clamp(min=0)
            threshold = size * (float(active.min()) + float(rest.max() if len(rest) else 0)) / 2 if len(active) else 0.0
        return SparseStart(
            encoder_weight=size * atoms,
            encoder_bias=torch.full((n_units,), bias),
            decoder_weight=length * atoms.T,
            decoder_bias=offset,
            threshold=threshold,
            shown_as_is=self.sparsity == "kl",
        )

    def _new_spec(self, *args, **kwargs):
        vars(self).pop("_n_at_first", None)  # from a previous fit
        return super()._new_spec(*args, **kwargs)

    def _trained(self, rows, statistics, spec, settings, outcome, validation=None, axes=None, **options):
        """Remove unused units in a new fit with "auto". `partial_fit` and a warm start keep all units."""
        continues = validation is None or (self.warm_start and self.__sklearn_is_fitted__())
        is_fixed = spec.architecture is not None and not spec.architecture.dense_code
        if continues or is_fixed or self.n_components != "auto":
            return super()._trained(rows, statistics, spec, settings, outcome, validation, axes, **options)
        n_at_first, used = spec.n_components, broadcast_from_main(self._used(outcome.module, rows))
        if len(used) == n_at_first:
            return super()._trained(rows, statistics, spec, settings, outcome, validation, axes, **options)
        spec, weights = replace(spec, axes=None).cut(self.module_class, read_weights(outcome.module), used)
        spec = replace(spec, axes=self._axes(len(used), rows))
        module = spec.build(self.module_class, weights).to(settings["device"])
        outcome = replace(outcome, module=module)
        kept = super()._trained(rows, statistics, spec, settings, outcome, validation, axes, **options)
        return kept | {"_n_at_first": n_at_first}

    def _used(self, module, rows):
        """Return sorted indices of units that are active in enough samples, or of the `_n_nonzero` most active ones."""
        n_rows = sum((codes > 0).sum(axis=0) for codes, _ in inner_codes(module, rows))
        minimum = np.clip(MIN_USE * len(rows), MIN_ROWS, ENOUGH_ROWS)
        n_used = max(np.count_nonzero(n_rows >= minimum), self._n_nonzero if "top_k" in self.sparsity else 1)
        return np.sort(np.argsort(-n_rows, kind="stable")[:n_used])

    def _axes(self, n_units, rows):
        return None if self.sparsity == "kl" else axes_in_units(n_units, self._unit(rows.scale))

    def _shown_axes(self, module, rows):
        return self._axes(module.decoder.linear.in_features, rows), code_variance(module, rows)

    def _learned(self, module, rows, spec):
        low, high, total, n = np.inf, -np.inf, 0.0, 0
        for codes, _ in inner_codes(module, rows):
            total += (codes if self.sparsity == "kl" else codes > 0).mean(axis=1).sum()
            low, high = np.minimum(low, codes.min(axis=0)), np.maximum(high, codes.max(axis=0))
            n += len(codes)
        dead = high - low < MIN_RANGE if self.sparsity == "kl" else high <= 0
        atoms = module.decoder.linear.weight.detach().cpu().double().numpy().T * spec.scale
        return {
            "components_": atoms if spec.axes is None else atoms / spec.axes[0][:, None],
            "active_ratio_": float(total / n),
            "dead_ratio_": float(dead.mean()),
        }
