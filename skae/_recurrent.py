"""Autoencoder for sequences."""

from collections.abc import Sequence
from typing import ClassVar

from sklearn.utils.validation import check_is_fitted

from skae._core import AutoencoderCore
from skae._parameters import (
    AxesParameters,
    CodeActivationParameter,
    Constraints,
    InitParameter,
    NetworkParameters,
    Parameters,
)
from skae._typing import Cell
from skae.architectures import Recurrent


class LSTMParameters(Parameters):
    """Parameters of the architecture."""

    sequence_shape: Sequence[int] | None = None
    hidden_size: int = 64
    bidirectional: bool = True
    cell: Cell = "lstm"

    _parameter_constraints: ClassVar[Constraints] = Recurrent._parameter_constraints


class LSTMAutoencoder(
    AutoencoderCore, AxesParameters, InitParameter, CodeActivationParameter, NetworkParameters, LSTMParameters
):
    r"""Autoencoder for sequences: `Autoencoder` with recurrent networks.

    It is equivalent to `Autoencoder(architecture=Recurrent(...))`: it has the same objective, initialization with PCA,
    guarantees relative to PCA, and form of the codes. Samples are flattened sequences. The encoder reads them step by
    step, in both directions, and the decoder generates them step by step [1]_; its input is a linear draft of the
    sequence, computed from the code.

    Use it for sequences, and for images that are read line by line. Use `Autoencoder` if training time matters: reading
    step by step is slow.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=2
        Size of the code. An int may exceed the number of features; with 0 each sample is reconstructed as the mean. A
        float between 0 and 1 is a fraction of the variance: an ordered autoencoder is fitted with as many components as
        PCA needs to explain it, and truncated to the smallest size that explains it on the validation set, with an
        error that is significantly smaller than that of PCA's components; if there is none, it is not truncated. "mle"
        is PCA's number of components by Minka's method, and None the minimum of `n_samples` and `n_features`.

    sequence_shape : (n_steps, n_step_features), default=None
        Shape of one sample. If None, a square number of features is interpreted as equal numbers of steps and of
        features per step, so that images are read line by line, with a warning if samples look like series. Any other
        number is interpreted as steps of one feature.

    hidden_size : int, default=64
        Number of units of the encoder, in each direction, and of the decoder.

    bidirectional : bool, default=True
        Whether the encoder reads sequences in both directions.

    cell : {"lstm", "gru"}, default="lstm"
        Long short-term memory or gated recurrent unit.

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

    sequence_shape_ : (n_steps, n_step_features)
        Shape of one sample: `sequence_shape`, or the shape that is used if it is None.

    See Also
    --------
    Autoencoder : Autoencoder with dense layers only.
    skae.architectures.Recurrent : The same networks for other objectives.

    References
    ----------
    .. [1] N. Srivastava, E. Mansimov and R. Salakhutdinov, "Unsupervised learning of video representations using
       LSTMs", ICML 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import LSTMAutoencoder
    >>> X = load_digits().data[:300]  # images of 8 x 8, read line by line
    >>> autoencoder = LSTMAutoencoder(8, hidden_size=16, max_iter=5, random_state=0).fit(X)
    >>> autoencoder.inverse_transform(autoencoder.transform(X)).shape
    (300, 64)
    """

    @property
    def _architecture(self):
        return Recurrent(self.sequence_shape, self.hidden_size, self.bidirectional, self.cell)

    @property
    def sequence_shape_(self) -> tuple[int, ...]:
        """Shape of one sample: `sequence_shape`, or the shape that is used if it is None."""
        check_is_fitted(self)
        return self._architecture.shape_of_row(self.n_features_in_)
