"""Autoencoder for images."""

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
from skae._typing import Downsampling
from skae.architectures import Convolutional


class ConvolutionalParameters(Parameters):
    """Parameters of the architecture."""

    image_shape: Sequence[int] | None = None
    channels: Sequence[int] = (32, 64)
    kernel_size: int = 3
    dense_code: bool = True
    downsampling: Downsampling = "stride"

    _parameter_constraints: ClassVar[Constraints] = Convolutional._parameter_constraints


class ConvolutionalAutoencoder(
    AutoencoderCore, AxesParameters, InitParameter, CodeActivationParameter, NetworkParameters, ConvolutionalParameters
):
    r"""Autoencoder for images: `Autoencoder` with convolutional networks.

    It is equivalent to `Autoencoder(architecture=Convolutional(...))`: it has the same objective, initialization with
    PCA, guarantees relative to PCA, and form of the codes. Samples are flattened images.

    Use it for thousands of images, or for images with content at varying positions [1]_. Use `Autoencoder` if training
    time matters: on small centered images, its dense layers are as accurate in a fraction of the time.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=2
        Size of the code. An int may exceed the number of features; with 0 each sample is reconstructed as the mean. A
        float between 0 and 1 is a fraction of the variance: an ordered autoencoder is fitted with as many components as
        PCA needs to explain it, and truncated to the smallest size that explains it on the validation set, with an
        error that is significantly smaller than that of PCA's components; if there is none, it is not truncated. "mle"
        is PCA's number of components by Minka's method, and None the minimum of `n_samples` and `n_features`.

    image_shape : (height, width) or (height, width, n_channels), default=None
        Shape of one sample, with channels last, as flattened by `image.ravel()`. Any size is supported. If None, a
        square number of features is interpreted as a square gray image, and any other number as a single line of
        pixels. A warning is issued if the samples look different: like a series, or like images with channels.

    channels : sequence of int, default=(32, 64)
        Number of channels of each layer. Each layer halves height and width, rounded up.

    kernel_size : int, default=3
        Height and width of the convolution kernels in pixels. It is an odd number, and at least 3 with strides, since
        a kernel of one pixel with stride 2 skips pixels.

    dense_code : bool, default=True
        Whether there are dense layers between the last feature maps and the code. If False, the flattened feature maps
        are the code, as in the classic denoising network: `n_components=None` is then their size, and there are no
        hidden layers.

    downsampling : {"stride", "max_pool"}, default="stride"
        How height and width are halved. "stride" uses convolutions with stride 2, and transposed convolutions in the
        decoder. "max_pool" uses 2 x 2 max pooling after each convolution, and upsampling before each convolution in the
        decoder; it is about three times as slow.

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

    image_shape_ : (height, width) or (height, width, n_channels)
        Shape of one sample: `image_shape`, or the shape that is used if it is None.

    See Also
    --------
    Autoencoder : Autoencoder with dense layers only.
    skae.architectures.Convolutional : The same networks for other objectives.

    Notes
    -----
    Reconstructions are clipped to bounds if the data have any, unless `loss` is a likelihood: the minimum of a pixel is
    a bound if at least a twentieth of the training samples, and at least five of them, have this value; the same holds
    for the maximum. Images with a black background have such pixels. Within the bounds, training is unchanged; beyond
    them, the networks learn only from samples that are not at the bound, so that black pixels add nothing to the loss.
    A bound is removed when `partial_fit`, or `fit` with `warm_start`, gets samples beyond it, and if no epoch is better
    than the initialization, the result is PCA without bounds. The `jacobian` is zero where a reconstruction is clipped.

    References
    ----------
    .. [1] J. Masci et al., "Stacked convolutional auto-encoders for hierarchical feature extraction", ICANN 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ConvolutionalAutoencoder
    >>> X = load_digits().data[:300]  # images of 8 x 8
    >>> autoencoder = ConvolutionalAutoencoder(8, channels=(8, 16), max_iter=5, random_state=0).fit(X)
    >>> autoencoder.inverse_transform(autoencoder.transform(X)).shape
    (300, 64)
    """

    @property
    def _architecture(self):
        return Convolutional(self.image_shape, self.channels, self.kernel_size, self.dense_code, self.downsampling)

    @property
    def image_shape_(self) -> tuple[int, ...]:
        """Shape of one sample: `image_shape`, or the shape that is used if it is None."""
        check_is_fitted(self)
        return self._architecture.shape_of_row(self.n_features_in_)
