"""The autoencoder for images."""

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
        PCA needs to explain it, and cut to the smallest size that explains it on the validation set, with an error that
        is significantly no larger than PCA's. "mle" is PCA's number by Minka's method, and None the minimum of
        `n_samples` and `n_features`.

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
        between 64 and 512 units (256 with convolutions), and the second has half as many. With `()` there are none, and
        the networks are linear.

    activation : {"gelu", "relu", "silu", "tanh", "logistic", "softplus", "identity"}, default="gelu"
        Activation function of the hidden layers.

    code_activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "softplus"}, default="identity"
        Activation function of the code. Any value but "identity" gives a classic autoencoder without linear maps: it is
        initialized at random, and codes are returned as computed.

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
        Number of epochs. "auto" is 40, and more below 320 samples; or as many as make 400 steps of the optimizer (1600
        with convolutions), if that is fewer, but at least 9.

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
