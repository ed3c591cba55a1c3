"""Standard autoencoder: a nonlinear PCA."""

from skae.base import BaseAutoencoder


class Autoencoder(BaseAutoencoder):
    r"""Nonlinear dimensionality reduction by an autoencoder that is initialized with PCA.

    An encoder :math:`f` maps a sample to a code of `n_components` numbers, and a decoder :math:`g` reconstructs the
    sample from its code. Both are trained to minimize the reconstruction error:

    .. math:: \min_{f, g} \; \frac{1}{n} \sum_i \lVert x_i - g(f(x_i)) \rVert^2

    If :math:`f` and :math:`g` are linear, the minimum is PCA [1]_. Here each of them is the sum of a linear map and a
    neural network. The linear maps start at PCA's solution and the networks at zero, so before its first step the
    autoencoder *is* PCA. The selected epoch has the lowest validation loss of those that significantly improve on PCA;
    if none does, the result is PCA. Codes resemble those of PCA: they are centered, uncorrelated, sorted by variance,
    on the scale of PCA's scores, and follow its sign convention. Data of any magnitude can be passed; as with PCA,
    features in different units need `scale="standard"`.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=2
        Size of the code. An int may exceed the number of features; with 0 each sample is reconstructed as the mean. A
        float between 0 and 1 is a fraction of the variance: an ordered autoencoder is fitted with as many components as
        PCA needs to explain it, and truncated to the smallest size that explains it on the validation set, with an
        error that is significantly smaller than that of PCA's components; if there is none, it is not truncated. "mle"
        is PCA's number of components by Minka's method, and None the minimum of `n_samples` and `n_features`.

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
        the first j components are kept for a third of the samples, with j drawn at random [4]_. An epoch is selected by
        its improvement over PCA at the size where this is smallest. The error of the whole code increases a little.

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
        400 steps of the optimizer (1600 with convolutions), but at least 9 epochs. With up to 50 features, dense layers
        that start at PCA are trained for 60 epochs instead of 40, and at most 1600 steps; if early stopping is enabled
        and the loss still decreased considerably in the second half of these epochs, three times as many epochs follow.
        A `batch_size` below that of "auto" does not change the number of epochs. `fit` issues a `ConvergenceWarning` if
        the loss on the validation set still decreased considerably when training ended.

    batch_size : "auto" or int, default="auto"
        Number of samples in a batch. "auto" is an eighth of the samples, between 64 and 256 (64 with convolutions; from
        32 on if up to 50 features are only reconstructed); in `partial_fit`, 1/40 of the chunk.

    learning_rate : "auto" or float, default="auto"
        Maximum learning rate. The rate increases to it over the first tenth of the steps, and then decreases to zero
        [2]_. The linear maps use a tenth of it. "auto" is 0.01, or the architecture's value: 0.003 with convolutions.
        For dense layers that start at PCA it is lower with fewer than 10,000 samples of more than 64 features, unless
        there are more features than samples: it is multiplied by the square root of 64 / n_features or n_samples /
        10,000, whichever is larger, but is at least 0.003. If training uses the principal components of the samples,
        n_features is the number of these.

    weight_decay : float, default=0.3
        Decoupled weight decay of the networks [3]_, multiplied by the learning rate at each step. The linear maps have
        none. Without corruption, and with a loss that is no likelihood, it is multiplied by (2 r)**2 while the
        validation loss is a fraction r < 0.5 of the initial loss: data with little noise need large weights.

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

    components_ : ndarray of shape (n_components, n_features)
        Principal axes in units of X, as in PCA: without whitening, `codes @ components_ + mean_` is the reconstruction.
        Defined only for `hidden_layer_sizes=()`, as are the next two attributes: see the notes. With `scale="standard"`
        they are the axes of standardized features, multiplied by the features' standard deviations.

    singular_values_ : ndarray of shape (n_components,)
        Norm of each component of the codes of the training data, before whitening.

    noise_variance_ : float
        Mean variance along the discarded axes, as in PCA. With `scale="standard"` it refers to standardized features.

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
    DenoisingAutoencoder : Reconstructs clean samples from noisy ones.
    SparseAutoencoder : Wide codes with few nonzero values.
    VariationalAutoencoder : Codes with a prior distribution, from which new samples are drawn.
    sklearn.decomposition.PCA : The linear special case.
    sklearn.decomposition.IncrementalPCA : The linear special case of `partial_fit`.

    Notes
    -----
    With `hidden_layer_sizes=()` the autoencoder is PCA, with an exact closed-form solution, if `loss` is
    "squared_error" and `init`, `code_activation` and `architecture` have their default values. It then has PCA's
    `components_`, `singular_values_`, `noise_variance_`, `get_covariance` and `get_precision`; other autoencoders have
    none of these, and the error message names an alternative.

    The part of a feature's value that is more than ten standard deviations from the mean is not an input of the
    networks, but only of PCA's linear maps: on samples far outside the training data, the autoencoder differs from PCA
    by a bounded amount.

    Sparse matrices, memory maps of more than 256 MB and other arrays that can be sliced (h5py, zarr) are read batch by
    batch, and never made dense or copied as a whole. Training then starts at PCA computed from the covariance, which is
    accumulated over batches, for up to 4,096 features, and at `IncrementalPCA` for more; for sparse data it starts at
    scikit-learn's PCA.

    `partial_fit` trains at a constant rate, a fifth of `learning_rate`. The result has the average of the weights over
    approximately the last hundred steps.

    If the loss has not improved for `n_iter_no_change` epochs, training returns to the best epoch and continues from
    there for five more epochs, in which the learning rate decreases to zero: stopping while the rate is high would give
    a worse result. If the loss is below a fifth of PCA's, it fluctuates more: the median of the epochs must not have
    improved either, and the final epochs are a fifth of `max_iter`.

    The improvement of an epoch is the mean of the paired differences between PCA's loss and its own over the validation
    samples, and it is significant if it exceeds two standard errors. A few outlying samples may have most of the
    standard error: of 200 samples or more, the improvement is also significant if it exceeds three standard errors
    after differences larger than seven times their median have been clipped.

    With few features (up to 81,920 weights in the networks of all folds; with one fold, up to 65,536 weights and 1.07e9
    samples times weights), unless codes are ordered, a second network is trained alongside the first, with linear maps
    that start at zero and networks that start at random. It may find a code that training cannot reach from PCA's, and
    it is selected if its improvement is larger and exceeds three standard errors. With 1,000 samples or more, the
    network with the higher loss after a sixth of the epochs is dropped; if it is the second and the first has not
    improved yet, only if its loss is ten times PCA's, or from the middle of the epochs on 1.1 times.

    References
    ----------
    .. [1] P. Baldi and K. Hornik, "Neural networks and principal component analysis: learning from examples without
       local minima", Neural Networks 2(1), 1989.
    .. [2] L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large learning
       rates", 2017. arXiv:1708.07120
    .. [3] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    .. [4] O. Rippel, M. Gelbart and R. Adams, "Learning ordered representations with nested dropout", ICML 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import Autoencoder
    >>> train, test = train_test_split(load_digits().data, random_state=0)
    >>> autoencoder = Autoencoder(n_components=8, max_iter=40, random_state=0).fit(train)
    >>> autoencoder.transform(test).shape
    (450, 8)
    >>> pca = PCA(n_components=8).fit(train)
    >>> bool(autoencoder.score(test) > pca.explained_variance_ratio_.sum() + 0.1)
    True

    Ordered codes can be truncated:

    >>> ordered = Autoencoder(n_components=8, ordered=True, max_iter=5, random_state=0).fit(train)
    >>> ordered.inverse_transform(ordered.transform(test)[:, :3]).shape
    (450, 64)
    """
