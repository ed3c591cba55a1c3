"""The denoising autoencoder: it is shown corrupted rows and must return the clean ones."""

from collections.abc import Callable
from numbers import Real
from typing import Literal, TypeAlias

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skae._base import BaseAutoencoder
from skae._pca import WIDEST_COVARIANCE, covariance_of, denoising_start
from skae._rows import BYTES_AT_ONCE, MOST_AT_ONCE
from skae._typing import Activation, Auto, CodeSize, Init, LayerSizes, Loss, Scale, Seed, StrPath
from skae.architectures import Architecture
from skae.nn import AutoencoderModule

LEAST_CORRUPTED = 20_000  # rows from which the mean and the variance of the noise are measured
WIDEST_OF_STREAM = 1024  # features for which the best denoiser is solved for at each chunk
LEAST_VARIANCE = 1e-8  # of a scaled feature


# Noise is drawn on the CPU, so that a seed means the same on every device. Rows are scaled ones, (n, d).


def _uniform(x, noise):
    return torch.rand(x.shape, generator=noise.generator).to(x.device)


def masking(x, noise):
    """Cells are set to zero, in the data's own units."""
    return torch.where(_uniform(x, noise) < noise.level, noise.zero, x)


def gaussian(x, noise):
    """Normal noise is added to cells, which stay within the range of the data."""
    added = noise.level * noise.scaler.per_unit * torch.randn(x.shape, generator=noise.generator).to(x.device)
    return torch.clamp(x + added, noise.low, noise.high)


def salt_and_pepper(x, noise):
    """Cells are set to the least or the greatest value of the data, one as often as the other."""
    u = _uniform(x, noise)
    return torch.where(u < noise.level / 2, noise.low, torch.where(u < noise.level, noise.high, x))


def swap(x, noise):
    """Cells are set to the same column's value in another row."""
    others = x.gather(-2, torch.randint(x.shape[-2], x.shape, generator=noise.generator).to(x.device))
    return torch.where(_uniform(x, noise) < noise.level, others, x)


Corruption: TypeAlias = (
    Literal["masking", "gaussian", "salt_and_pepper", "swap"] | Callable[[torch.Tensor], torch.Tensor]
)
CORRUPTIONS = {"masking": masking, "gaussian": gaussian, "salt_and_pepper": salt_and_pepper, "swap": swap}


class DenoisingModule(AutoencoderModule):
    """An `AutoencoderModule` that corrupts what the encoder sees, and weighs corrupted cells against the others.

    Parameters
    ----------
    corruption : str or callable

    level : float

    low, high : ndarray of shape (d,)
        Range of the scaled data.

    emphasis : float
    """

    def __init__(self, *args, corruption, level, low, high, emphasis, **kwargs):
        super().__init__(*args, **kwargs)
        self.corruption, self.level, self.emphasis = corruption, level, emphasis
        self.vectorized = not callable(corruption)
        for name, values in {"low": low, "high": high}.items():
            self.register_buffer(name, torch.tensor(values, dtype=self.scaler.mean.dtype), persistent=False)

    @property
    def zero(self):
        """What a scaled row is where the data are zero, (d,)."""
        return self.scaler(torch.zeros_like(self.scaler.mean))

    def corrupt(self, x):
        """Strike cells with fresh noise."""
        if not callable(self.corruption):
            return CORRUPTIONS[self.corruption](x, self)
        clean = self.scaler.inverse(x).cpu()
        corrupted = self.corruption(clean)
        if not isinstance(corrupted, torch.Tensor) or corrupted.shape != clean.shape:
            what = tuple(corrupted.shape) if hasattr(corrupted, "shape") else type(corrupted).__name__
            raise ValueError(
                f"corruption={self.corruption!r} must return a torch.Tensor of the shape that it is given, "
                f"{tuple(clean.shape)}, but returned {what}."
            )
        return self.scaler(corrupted.to(x))

    def reconstruction(self, output, x, corrupted):
        """Loss of each row against the clean one: corrupted cells have weight 2 e, the others 2 (1 - e)."""
        losses = self.cell_losses(output, x)
        if self.emphasis == 0.5:
            return losses.sum(dim=-1)
        return (2 * losses * torch.where(corrupted == x, 1 - self.emphasis, self.emphasis)).sum(dim=-1)


class DenoisingAutoencoder(BaseAutoencoder):
    r"""Autoencoder that is shown corrupted rows and learns to return the clean ones.

    Fresh noise :math:`q` strikes each row at each step, and the loss is against the clean row [1]_:

    .. math:: \min_{f, g} \; \frac{1}{n} \sum_i \mathbb{E}_{{\tilde x}_i \sim q(\cdot | x_i)}
              \lVert x_i - g(f({\tilde x}_i)) \rVert^2

    `reconstruct(X_noisy)` then denoises. Codes answer to what rows have in common rather than to their noise. Training
    starts at the best linear denoiser of its rank, in closed form [2]_, and an epoch is kept as far as its gain over
    that, on corrupted held-out rows, is sure.

    Choose it to clean data, to fill masked cells, or for codes that don't mind noise. Choose `Autoencoder` to compress
    clean rows: a denoiser expects noise, and takes some of what it would have to remove away from clean rows.

    Parameters
    ----------
    n_components : int, float, "mle" or None, default=64
        Size of the code. An int may exceed the number of features. A float between 0 and 1 is a share of the variance:
        an ordered autoencoder is fitted with as many components as PCA needs for it, and cut to the smallest size that
        reaches the share on held-out rows and is surely no worse there than PCA's. "mle" is PCA's number by Minka's
        rule, and None the lesser of `n_samples` and `n_features`.

    corruption : {"masking", "gaussian", "salt_and_pepper", "swap"} or callable, default="masking"
        The noise. "masking" sets cells to zero; "gaussian" adds normal noise, within the range of the data;
        "salt_and_pepper" sets cells to the least or the greatest value; "swap" sets cells to the same feature of other
        rows in the batch, the right noise for tables. Range, least and greatest are those of the whole of X, or of each
        feature with `scale="standard"`. A callable is given a tensor of rows in their own units, on the CPU, and
        returns a tensor of the same shape; what it draws from torch's generator is determined by `random_state`.

    corruption_level : float, default=0.3
        Share of the cells that are struck, from 0 to 1; for "gaussian" the standard deviation of the noise, in units of
        X. Not used if `corruption` is a callable.

    emphasis : float, default=0.5
        Share of the loss that falls on corrupted cells, where as many are corrupted as not: 1 counts these alone, and 0
        the others alone [1]_.

    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Widths of the encoder's hidden layers, from the data to the code; the decoder mirrors them. "auto" is two
        layers: four times the number of features or half the number of rows, whichever is less, within 64 and 512;
        and half of that. With `()` there are none, and the networks are linear.

    activation : {"gelu", "relu", "silu", "tanh", "logistic", "softplus", "identity"}, default="gelu"
        Activation function of the hidden layers.

    code_activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "softplus"}, default="identity"
        Activation function of the code. Any but "identity" gives a classic autoencoder, without the linear maps: it
        starts at random and its codes are shown as they are.

    architecture : Architecture or None, default=None
        The part of the networks next to the data: `skae.architectures.Convolutional()` for images, `Recurrent()` for
        sequences, or one of your own. The hidden layers lie between it and the code. None has hidden layers only.

    init : {"pca", "random"}, default="pca"
        Where training starts: at the linear optimum, or at random. With "random" there are no linear maps, and no
        promise against PCA.

    ordered : bool, default=False
        Whether the first j components of a code are the best code of size j, as they are of PCA, for each j at once.
        In training a third of the rows keep only a random prefix of their code. The epoch that is kept is the one
        that gains most over PCA at the size where it gains least. The whole code is a little worse than without.

    whiten : bool, default=False
        Whether each component of the codes is divided by its standard deviation, as in PCA.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy", "poisson"}, default="squared_error"
        Reconstruction loss, summed over features. The first three compare scaled data, and "huber" is quadratic for
        errors below one unit of scale. "binary_cross_entropy" takes data in [0, 1] and gives back probabilities;
        "poisson" takes counts and gives back rates. With these two the start is PCA's reconstruction on the scale of
        the logit or logarithm. Whatever the loss, an epoch is only kept if its gain over the start, by that loss, is
        sure on the rows held out.

    scale : {"global", "standard"} or None, default="global"
        How features are scaled inside. "global" divides all by one number and minimises the same squared error as
        PCA. "standard" gives each feature the same weight, as `StandardScaler` before PCA; codes are then in its
        units. None only centres: for data of unit scale.

    max_iter : "auto" or int, default="auto"
        Number of epochs. "auto" is 40, and more below 320 rows; or as many as make 400 steps of the optimiser, where
        that is fewer, but 9 at least.

    batch_size : "auto" or int, default="auto"
        Rows in a batch. "auto" is an eighth of the rows, within 64 and 256; in `partial_fit` a fortieth of the chunk's.

    learning_rate : "auto" or float, default="auto"
        Highest learning rate: it rises over the first tenth of the steps and falls to zero over the others. The
        linear maps learn at a tenth of it. "auto" is 0.01, or what the architecture asks for: 0.003 with convolutions.

    weight_decay : float, default=0.3
        Decoupled weight decay of the networks, times the learning rate at each step. The linear maps have none.

    early_stopping : "auto" or bool, default="auto"
        Whether to end a training when the loss on held-out rows has not improved for `n_iter_no_change` epochs. Rows
        are held out anyway. "auto" does so where training starts at PCA and the objective is the reconstruction error
        alone: elsewhere gains come late.

    validation_fraction : "auto" or float, default="auto"
        Share of the rows that is held out to choose the epoch. "auto" is a fifth, and 1,000 rows at most. Below 2,000
        rows there are several disjoint shares, each held out from a network of its own: side by side with one that is
        trained on all rows, which is kept as it was at the epoch that was best for all of them.

    n_iter_no_change : int, default=10
        Epochs without improvement that end a training. Used with `early_stopping`.

    tol : float, default=1e-4
        Improvement that counts, as a share of the held-out loss at the start. Used with `early_stopping`.

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit, on all rows and for all epochs: rows that were trained
        on before can't be held out.

    checkpoint : str, path-like or None, default=None
        Folder in which `fit` keeps, in one file, where its training stands. Another `fit` with the same parameters,
        data and folder goes on from there, after a crash or a kill, to the same bits as if it had not been broken off;
        a finished run is recognised, and one with other parameters or data is refused. One folder is for one fit.
        `partial_fit` has no use for it.

    checkpoint_interval : int, default=1
        Epochs from one writing of the checkpoint to the next.

    device : str, default="auto"
        Where to train, as torch names it: "cpu", "cuda", "cuda:1", "mps". "auto" is cuda if there is one, then mps,
        then cpu.

    mixed_precision : bool, default=False
        Whether to train in bfloat16 where torch holds it for safe (`torch.autocast`): faster on GPUs that have it, for
        large networks. Held-out rows are judged in float32, and nothing changes after `fit`.

    compile : bool, default=False
        Whether to train with `torch.compile`, which takes a minute, needs a C++ compiler on a CPU and keeps what it
        makes in files of torch's own cache: for long trainings of large networks.

    random_state : int, RandomState instance or None, default=None
        Determines the first weights, the rows held out and the order of the rows. Pass an int for the same result in
        each fit. Global generators are neither used nor moved.

    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_components_ : int
        Size of the code.

    explained_variance_ : ndarray of shape (n_components,)
        Variance of each component of the codes of the training data (of the last chunk), before whitening.

    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance that each component explains. Where codes are ordered it is what the component adds to
        the R² of those before it, on training rows (on some thousand of them, if there are many). Otherwise only for
        `hidden_layer_sizes=()`: the components of a nonlinear autoencoder explain the variance together.

    mean_ : ndarray of shape (n_features,)
        Mean of each feature.

    feature_importances_ : ndarray of shape (n_features,)
        Mean square, over training rows, of what a component of the code answers to each feature, in units of the
        feature's standard deviation, summed over components; as shares of their sum. `SelectFromModel` reads it.

    best_epoch_ : int
        The epoch that was kept; 0 means that the result is the start. After `partial_fit`, the last one.

    n_iter_ : int
        Number of epochs that were run, 1 where nothing had to be trained.

    loss_curve_ : list of float
        Mean training loss of each epoch, in scaled units. Empty where nothing was trained.

    validation_loss_curve_ : list of float
        Mean loss of the held-out rows after each epoch. Empty where none are held out.

    encoder_, decoder_ : torch.nn.Module
        The two halves as plain modules, scaling included, in float32.

    net_ : skorch.NeuralNet
        The net behind them, with its `history`.

    n_samples_ : int
        Number of samples in the training data, over all chunks.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during fit. Defined only if X has feature names that are all strings.

    See Also
    --------
    Autoencoder : Without noise.
    ContractiveAutoencoder : Codes that don't mind noise, by a penalty.

    Notes
    -----
    `score` is the R² of the reconstruction of X as it is given. To score denoising, compare `reconstruct(X_noisy)` with
    the clean rows.

    References
    ----------
    .. [1] P. Vincent et al., "Stacked denoising autoencoders: learning useful representations in a deep network with a
       local denoising criterion", Journal of Machine Learning Research 11, 2010.
    .. [2] M. Chen et al., "Marginalized denoising autoencoders for domain adaptation", ICML 2012.

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
    """

    _module_class = DenoisingModule
    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's own way
        **BaseAutoencoder._parameter_constraints,
        "architecture": [Architecture, None],
        "corruption": [StrOptions(set(CORRUPTIONS)), Callable],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "emphasis": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        n_components: CodeSize = 64,
        *,
        corruption: Corruption = "masking",
        corruption_level: float = 0.3,
        emphasis: float = 0.5,
        hidden_layer_sizes: LayerSizes = "auto",
        activation: Activation = "gelu",
        code_activation: Activation = "identity",
        architecture: Architecture | None = None,
        init: Init = "pca",
        ordered: bool = False,
        whiten: bool = False,
        loss: Loss = "squared_error",
        scale: Scale = "global",
        max_iter: Auto | int = "auto",
        batch_size: Auto | int = "auto",
        learning_rate: Auto | float = "auto",
        weight_decay: float = 0.3,
        early_stopping: Auto | bool = "auto",
        validation_fraction: Auto | float = "auto",
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        checkpoint: StrPath | None = None,
        checkpoint_interval: int = 1,
        device: str = "auto",
        mixed_precision: bool = False,
        compile: bool = False,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            n_components,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            code_activation=code_activation,
            init=init,
            ordered=ordered,
            whiten=whiten,
            loss=loss,
            scale=scale,
            max_iter=max_iter,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            checkpoint=checkpoint,
            checkpoint_interval=checkpoint_interval,
            device=device,
            mixed_precision=mixed_precision,
            compile=compile,
            random_state=random_state,
            verbose=verbose,
        )
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.emphasis = emphasis
        self.architecture = architecture

    def _check_more_parameters(self):
        super()._check_more_parameters()
        if self.corruption_level > 1 and self.corruption != "gaussian" and not callable(self.corruption):
            raise ValueError(
                f"corruption_level={self.corruption_level!r} is the share of the cells that corruption="
                f"{self.corruption!r} strikes. Set it between 0 and 1."
            )

    def _formula(self, moments, scale):
        low, high = moments.low, moments.high
        if self.scale != "standard":  # all features have one unit
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        return {
            "corruption": self.corruption,
            "level": self.corruption_level,
            "low": (low - moments.mean) * per_unit,
            "high": (high - moments.mean) * per_unit,
            "emphasis": self.emphasis,
        }

    def _start(self, rows, blueprint, seed):
        if rows.shape[1] > WIDEST_COVARIANCE:
            return super()._start(rows, blueprint, seed)
        mean, covariance = covariance_of(rows)
        seen_mean, slope, noise = self._noise_of_cells(rows, mean, np.diag(covariance), blueprint, seed)
        return denoising_start(mean, covariance, seen_mean, slope, noise, blueprint.n_components)

    def _start_of_pca(self, pca, rows, moments, blueprint, seed):
        if len(pca.mean) > WIDEST_OF_STREAM:
            return pca
        # PCA's components, and what they leave of each feature as if it were independent of the others'
        covariance = (pca.components.T * pca.variance) @ pca.components
        own = moments.variance * np.square(rows.per_unit)
        covariance[np.diag_indices_from(covariance)] = np.maximum(np.diag(covariance), own)
        some_mean, some_covariance = covariance_of(rows)
        seen_mean, slope, noise = self._noise_of_cells(rows, some_mean, np.diag(some_covariance), blueprint, seed)
        seen_mean += slope * (pca.mean - some_mean)
        return denoising_start(pca.mean, covariance, seen_mean, slope, noise, blueprint.n_components)

    def _noise_of_cells(self, rows, mean, variance, blueprint, seed):
        """Mean of what is seen of each cell, its slope in what was there, and the variance of the rest."""
        # by cell: what is seen is slope * x + noise, but for its mean
        n, sums = 0, np.zeros((3, rows.shape[1]))
        module = blueprint.build(self._module_class)
        module.generator = torch.Generator().manual_seed(seed)
        at_once = min(MOST_AT_ONCE, BYTES_AT_ONCE // (8 * rows.shape[1]))
        repeats = max(1, at_once // len(rows))  # a few rows again and again would take long
        while n < max(LEAST_CORRUPTED, len(rows)):
            for batch in rows.batches():
                many = np.tile(batch, (repeats, 1))
                seen = module.corrupt(torch.tensor(many, dtype=torch.float32)).double().numpy()
                n += len(many)
                sums += np.stack([seen, seen**2, many * seen]).sum(axis=1)
        seen_mean, square, product = sums / n
        varies = variance > LEAST_VARIANCE  # of a cell that doesn't, no more than rounding would be seen
        slope = np.divide(product - mean * seen_mean, variance, out=np.zeros_like(mean), where=varies)
        noise = square - np.square(seen_mean) - np.square(slope) * variance
        return seen_mean, slope, noise.clip(min=0)
