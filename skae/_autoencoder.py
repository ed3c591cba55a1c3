"""The standard autoencoder: a nonlinear PCA."""

from skae.base import BaseAutoencoder


class Autoencoder(BaseAutoencoder):
    r"""Nonlinear dimensionality reduction by an autoencoder that is initialized with PCA.

    An encoder :math:`f` maps a sample to a code of `n_components` numbers, and a decoder :math:`g` reconstructs the
    sample from its code. Both are trained to minimize the reconstruction error:

    .. math:: \min_{f, g} \; \frac{1}{n} \sum_i \lVert x_i - g(f(x_i)) \rVert^2

    If :math:`f` and :math:`g` are linear, the minimum is PCA [1]_. Here each of them is the sum of a linear map and a
    neural network. The linear maps start at PCA's solution and the networks at zero, so before its first step the
    autoencoder *is* PCA. The selected epoch is the best of those that significantly improve on PCA on a validation set;
    if none does, the result is PCA. Codes resemble those of PCA: they are centered, uncorrelated, sorted by variance,
    on the scale of PCA's scores, and have its signs. Data of any scale can be passed without preprocessing.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=2
        Size of the code. An int may exceed the number of features; with 0 each sample is reconstructed as the mean. A
        float between 0 and 1 is a fraction of the variance: an ordered autoencoder is fitted with as many components as
        PCA needs to explain it, and cut to the smallest size that explains it on the validation set, with an error that
        is significantly no larger than PCA's. "mle" is PCA's number by Minka's method, and None the minimum of
        `n_samples` and `n_features`.

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

    architecture : Architecture or None, default=None
        Part of the networks next to the data: `skae.architectures.Convolutional()` for images, `Recurrent()` for
        sequences, or a custom one. The hidden layers are between it and the code. With None there are hidden layers
        only.

    init : {"pca", "random"}, default="pca"
        Initialization: at the linear optimum, or at random. With "random" there are no linear maps, and the result may
        be worse than PCA.

    ordered : bool, default=False
        Whether the first j components of a code are the best code of size j, for each j, as for PCA. In training, a
        third of the samples keep only a random prefix of their code [4]_. The selected epoch has the largest
        improvement over PCA at the size where it is smallest. The error of the whole code increases a little.

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
        with convolutions), if that is fewer, but at least 9. Dense layers that start at PCA are trained for 60 epochs
        and 1600 steps with up to 50 features, and for four times as many epochs if early stopping is enabled and the
        second half of the first ones still improved the loss considerably. A smaller `batch_size` does not change it.
        `fit` issues a `ConvergenceWarning` if the reconstruction of validation samples still improved considerably when
        training ended.

    batch_size : "auto" or int, default="auto"
        Number of samples in a batch. "auto" is an eighth of the samples, between 64 and 256 (64 with convolutions); in
        `partial_fit`, a fortieth of the chunk.

    learning_rate : "auto" or float, default="auto"
        Maximum learning rate: it increases over the first tenth of the steps and decreases to zero over the others
        [2]_. The linear maps learn at a tenth of it. "auto" is 0.01, or the architecture's value: 0.003 with
        convolutions. For dense layers that start at PCA it is lower with fewer than 10,000 samples of more than 64
        features, unless there are more features than samples: it is multiplied by the square root of 64 / n_features or
        n_samples / 10,000, whichever is larger, but is at least 0.003. If training uses the principal components of
        the samples, n_features is the number of these.

    weight_decay : float, default=0.3
        Decoupled weight decay of the networks [3]_, times the learning rate at each step. The linear maps have none.

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

    The part of a feature's value that is more than ten standard deviations from the mean does not enter the networks,
    but only PCA's linear maps: on samples far outside the training data, the autoencoder differs from PCA by a bounded
    amount.

    Sparse matrices, memory maps of more than 256 MB and other arrays that can be sliced (h5py, zarr) are read batch by
    batch, and never made dense or copied as a whole. Training then starts at PCA from the covariance, summed batch by
    batch, for up to 4,096 features, and at `IncrementalPCA` for more; for sparse data it starts at scikit-learn's PCA.

    `partial_fit` trains at a constant rate, a fifth of `learning_rate`. The result has the average of the weights over
    approximately the last hundred steps.

    If the loss has not improved for `n_iter_no_change` epochs, training returns to the best epoch and continues from
    there for five more epochs, in which the learning rate decreases to zero: stopping while the rate is high would give
    a worse result.

    The improvement of an epoch is the mean of the paired differences between PCA's loss and its own over the validation
    samples, and it is significant if it exceeds two standard errors. With few features (up to 81,920 weights in the
    networks of all folds; with one fold, up to 65,536 weights and 1.07e9 samples times weights), unless codes are
    ordered, a second network is trained alongside the first, with linear maps that start at zero and networks that
    start at random. It may find a code that training cannot reach from PCA's, and it is selected if its improvement is
    larger and exceeds three standard errors. With 1,000 samples or more, the network with the higher loss after a sixth
    of the epochs is dropped, unless it is the second and the first has not improved yet.

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
