"""Typical user code that is checked by a type checker, but not run. See `test_typing.py`.

Lines that must be rejected have an ignore comment, and the checker reports ignore comments that aren't needed.
"""

from numbers import Real
from pathlib import Path
from typing import Any, assert_type

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from onnx import ModelProto
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from torch import nn

import skae
from skae import (
    Autoencoder,
    AutoencoderOutlierDetector,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LatentSampler,
    LSTMAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from skae.architectures import Architecture, Convolutional, Recurrent
from skae.base import Interval, parameter
from skae.callbacks import Checkpoint
from skae.datasets import fetch_fashion_mnist
from skae.inspection import (
    ComponentsDisplay,
    ExplainedVarianceDisplay,
    LatentGridDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)
from skae.metrics import active_units, decoder_smoothness, reconstruction_scorer, sample_precision_recall

X = np.zeros((100, 64))

# Encoding and decoding
autoencoder = Autoencoder(n_components=2, random_state=0)
assert_type(autoencoder.fit(X), Autoencoder)
assert_type(autoencoder.partial_fit(X), Autoencoder)
assert_type(autoencoder.fit(X).transform(X), NDArray[np.floating])
assert_type(autoencoder.fit_transform(X), NDArray[np.floating])
assert_type(autoencoder.inverse_transform(autoencoder.transform(X)), NDArray[np.floating])
assert_type(autoencoder.score(X), float)
assert_type(autoencoder.loadings(X), NDArray[np.floating])
assert_type(autoencoder.set_params(loss="huber"), Autoencoder)
assert_type(autoencoder.set_output(transform="pandas"), Autoencoder)
assert_type(Autoencoder.load(Path("a.skops"), trusted=["my.Own"]), Autoencoder)
assert_type(autoencoder.to_onnx("decoder"), ModelProto)

# Fitted attributes
assert_type(autoencoder.n_components_, int)
assert_type(autoencoder.explained_variance_ratio_, NDArray[np.floating])
assert_type(autoencoder.loss_curve_, list[float])
assert_type(autoencoder.encoder_.eval().state_dict(), dict[str, Any])

# Containers of samples
for samples in (X.tolist(), X.astype(np.float32), csr_matrix(X), csr_array(X), pd.DataFrame(X), pl.DataFrame(X)):
    Autoencoder().fit(samples)

# Variants and types of parameters
random = np.random.RandomState(0)
Autoencoder(
    0.9,
    hidden_layer_sizes=(32, 16),
    activation="tanh",
    scale=None,
    callbacks=[Checkpoint(Path("a"))],
    random_state=random,
)
Autoencoder("mle", hidden_layer_sizes=8, max_iter=3, batch_size="auto", early_stopping=False, verbose=True)
Autoencoder(None, hidden_layer_sizes=np.array([32, 16]), loss="poisson", architecture=Recurrent(cell="gru"))
assert_type(ContractiveAutoencoder(alpha=1, contraction_method="exact").fit(X).contraction(X), NDArray[np.floating])
ConvolutionalAutoencoder(image_shape=X.shape[1:], channels=[8, 16]).fit(X)
DenoisingAutoencoder(corruption="swap").fit(X)
DenoisingAutoencoder(corruption=torch.abs).fit(X)
DenoisingAutoencoder(corruption=None).fit(X, X).score(X, X)
DenoisingAutoencoder(corruption="gaussian", corruption_level=(0, 0.5), clip=(0.0, 1.0)).fit(X)
DenoisingAutoencoder(clip=True).fit(X)
LSTMAutoencoder(sequence_shape=(8, 8), cell="gru").fit(X)
assert_type(SparseAutoencoder(sparsity="top_k", n_nonzero_coefs=4).fit(X).components_, NDArray[np.floating])
StackedAutoencoder([("rbm", BernoulliRBM(16)), ("top", Autoencoder(8))]).fit(X)
StackedAutoencoder((16, ("top", Autoencoder(8)))).fit(X)
variational = VariationalAutoencoder(2, loss="binary_cross_entropy").fit(X)
assert_type(variational.posterior(X), tuple[NDArray[np.floating], NDArray[np.floating]])
assert_type(variational.sample(3), NDArray[np.floating])
assert_type(variational.active_units_, NDArray[np.bool_])

# In scikit-learn's meta-estimators
pipeline = Pipeline([("scale", StandardScaler()), ("reduce", Autoencoder(2))]).fit(X)
make_pipeline(StandardScaler(), Autoencoder(2)).fit_transform(X)
clone(autoencoder)
GridSearchCV(Autoencoder(), {"n_components": [2, 4]}, scoring=reconstruction_scorer).fit(X)
cross_val_score(Autoencoder(), X)

detector = AutoencoderOutlierDetector(PCA(2), contamination=0.1).fit(X)
assert_type(detector, AutoencoderOutlierDetector)
assert_type(detector.predict(X), NDArray[np.int_])
assert_type(detector.fit_predict(X), NDArray[np.int_])
assert_type(detector.feature_errors(X), NDArray[np.floating])
assert_type(detector.offset_, float)
detector.autoencoder_.transform(X)

sampler = LatentSampler(pipeline, KernelDensity()).fit(X)
assert_type(sampler.sample(10, random_state=0), NDArray[np.floating])
assert_type(sampler.score(X), float)

assert_type(reconstruction_scorer(PCA(2).fit(X), X), float)
assert_type(decoder_smoothness(autoencoder, X), float)
assert_type(sample_precision_recall(X, X), tuple[float, float])
assert_type(active_units(X), NDArray[np.bool_])
assert_type(fetch_fashion_mnist(), Bunch)
assert_type(fetch_fashion_mnist(return_X_y=True), tuple[NDArray[np.uint8], NDArray[np.int64]])

display = ReconstructionDisplay.from_estimator(autoencoder, X, image_shape=(8, 8), ax=plt.gca())
assert_type(display, ReconstructionDisplay)
assert_type(display.plot(cmap=plt.get_cmap("gray")), ReconstructionDisplay)
assert_type(display.ax_, Axes)
display.figure_.savefig("samples.png")
assert_type(ComponentsDisplay.from_estimator(autoencoder, X), ComponentsDisplay)
assert_type(ExplainedVarianceDisplay.from_estimator(autoencoder, X), ExplainedVarianceDisplay)
assert_type(LatentGridDisplay.from_estimator(autoencoder, components=(0, 1)), LatentGridDisplay)
assert_type(LatentSpaceDisplay.from_predictions(X, ["a"] * 100), LatentSpaceDisplay)
assert_type(LossCurveDisplay({"loss": X[0]}, {}), LossCurveDisplay)


class Pairs(Architecture):
    """A custom architecture."""

    def __init__(self, slope: float = 0.1) -> None:
        self.slope = slope

    def build(self, n_features: int, activation: str) -> tuple[nn.Module, nn.Module, int]:  # noqa: ARG002
        down = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.AvgPool1d(2, ceil_mode=True), nn.Flatten())
        width = (n_features + 1) // 2
        return down, nn.Sequential(nn.LeakyReLU(self.slope), nn.Linear(width, n_features)), width


assert_type(Autoencoder(4, architecture=Pairs()).fit(X), Autoencoder)


class Noisy(skae.nn.AutoencoderModule):
    """A custom module."""

    def corrupt(self, x: torch.Tensor) -> torch.Tensor:
        return self.scaler(x) + torch.randn(x.shape, generator=self.generator)


class NoisyAutoencoder(skae.BaseAutoencoder):
    """A custom variant: its annotations are parameters."""

    module_class = Noisy
    level: float = parameter(default=0.1, constraint=[Interval(Real, 0, None, closed="left")])


assert_type(NoisyAutoencoder(3, level=0.2, learning_rate=0.01).fit(X), NoisyAutoencoder)
assert_type(NoisyAutoencoder().level, float)

# Errors
NoisyAutoencoder(level="a")  # pyright: ignore[reportArgumentType]
NoisyAutoencoder(lvl=0.1)  # pyright: ignore[reportCallIssue]
Autoencoder(loss="squred_error")  # pyright: ignore[reportArgumentType]
Autoencoder(hidden_layer_sizes="large")  # pyright: ignore[reportArgumentType]
Autoencoder(max_iter=None)  # pyright: ignore[reportArgumentType]
Autoencoder(2, (32, 16))  # pyright: ignore[reportCallIssue]
Autoencoder(n_component=2)  # pyright: ignore[reportCallIssue]
Autoencoder(architecture=nn.Linear(2, 2))  # pyright: ignore[reportArgumentType]
VariationalAutoencoder(loss="poisson")  # pyright: ignore[reportArgumentType]
VariationalAutoencoder(whiten=True)  # pyright: ignore[reportCallIssue]
Convolutional(channels=32)  # pyright: ignore[reportArgumentType]
DenoisingAutoencoder(corruption=len)  # pyright: ignore[reportArgumentType]
StackedAutoencoder(["256"])  # pyright: ignore[reportArgumentType]
autoencoder.fit(None)  # pyright: ignore[reportArgumentType]
autoencoder.to_onnx("coder")  # pyright: ignore[reportArgumentType]
autoencoder.sample()  # pyright: ignore[reportAttributeAccessIssue]
skae.Autoencodre  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
