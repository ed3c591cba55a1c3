"""Systems whose speed is compared with that of `Autoencoder`, with methods `fit`, `transform` and `reconstruct`.

A system takes samples scaled to [0, 1]. `sizes` are the widths from the data to the code, as in (784, 512, 256, 32).
A parameter that is None takes the default of the system or, if it has none: 512-256-k with ReLU, batches of 128 and 10
epochs (100 below 10,000 samples). Keras (on torch), PyOD and Pythae are skipped if they are not installed.
"""

import contextlib
import importlib.util
import itertools
import os
import tempfile
from typing import ClassVar

import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    """Dense encoder and decoder, with a parallel linear branch each if `linear`."""

    def __init__(self, sizes, linear=False, activation=nn.ReLU):
        super().__init__()
        self.encoder, self.decoder = self._dense(sizes, activation), self._dense(sizes[::-1], activation)
        self.linear = linear
        if linear:
            self.into, self.back = nn.Linear(sizes[0], sizes[-1]), nn.Linear(sizes[-1], sizes[0])

    @staticmethod
    def _dense(sizes, activation):
        layers = []
        for width_in, width_out in itertools.pairwise(sizes):
            layers += [nn.Linear(width_in, width_out), activation()]
        return nn.Sequential(*layers[:-1])

    def encode(self, x):
        return self.encoder(x) + self.into(x) if self.linear else self.encoder(x)

    def forward(self, x):
        code = self.encode(x)
        return self.decoder(code) + self.back(code) if self.linear else self.decoder(code)


class System:
    """Base class of the systems."""

    package = None

    def __init__(self, k, sizes=None, n_epochs=None, batch_size=None, seed=0):
        self.k, self.sizes, self.n_epochs, self.batch_size, self.seed = k, sizes, n_epochs, batch_size, seed

    @classmethod
    def installed(cls):
        return cls.package is None or importlib.util.find_spec(cls.package) is not None

    def _loop(self, X):
        """Return sizes, number of epochs and batch size of a loop that has no defaults."""
        sizes = self.sizes or (X.shape[1], 512, 256, self.k)
        return sizes, self.n_epochs or (10 if len(X) >= 10_000 else 100), self.batch_size or 128

    def _given(self, **names):
        """Return those of sizes, n_epochs and batch_size that are not None, under the system's names for them."""
        return {name: getattr(self, ours) for name, ours in names.items() if getattr(self, ours) is not None}


class Ours(System):
    """Autoencoder of skae."""

    more: ClassVar = {}

    def fit(self, X):
        from skae import Autoencoder

        params = self._given(max_iter="n_epochs", batch_size="batch_size")
        if self.sizes:
            params["hidden_layer_sizes"] = self.sizes[1:-1]
        if self.n_epochs:
            params["early_stopping"] = False
        self.fitted = Autoencoder(self.k, random_state=self.seed, **params, **self.more).fit(X)
        self.transform, self.reconstruct = self.fitted.transform, self.fitted.reconstruct
        return self


class OursInBfloat16(Ours):
    """Autoencoder in bfloat16 where that is faster."""

    more: ClassVar = {"mixed_precision": "auto"}


class HandWritten(System):
    """Training loop as a PyTorch user would write it."""

    linear, activation, optimizer = False, nn.ReLU, torch.optim.Adam

    def fit(self, X):
        for _ in self.epochs(X):
            pass
        return self

    def epochs(self, X):
        """Train, yielding after each epoch."""
        sizes, n_epochs, batch_size = self._loop(X)
        torch.manual_seed(self.seed)
        rows, self.net = torch.tensor(X), Net(sizes, self.linear, self.activation)
        optimizer = self.optimizer(self.net.parameters(), lr=1e-3)
        for _ in range(n_epochs):
            for index in torch.randperm(len(rows)).split(batch_size):
                batch = rows[index]
                loss = nn.functional.mse_loss(self.net(batch), batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            yield

    def transform(self, X):
        with torch.no_grad():
            return self.net.encode(torch.tensor(X)).numpy()

    def reconstruct(self, X):
        with torch.no_grad():
            return self.net(torch.tensor(X)).numpy()


class HandWrittenSameNet(HandWritten):
    """The same loop for the network of `Autoencoder`, with GELU and linear branches."""

    linear, activation = True, nn.GELU


class Skorch(System):
    """skorch as in its documentation: a regressor fitted to X and X."""

    def fit(self, X):
        from skorch import NeuralNetRegressor

        sizes, n_epochs, batch_size = self._loop(X)
        torch.manual_seed(self.seed)
        self.net = NeuralNetRegressor(
            Net(sizes), optimizer=torch.optim.Adam, lr=1e-3, max_epochs=n_epochs, batch_size=batch_size,
            iterator_train__shuffle=True, verbose=0,
        )  # fmt: skip
        self.net.fit(X, X)
        return self

    def transform(self, X):
        with torch.no_grad():
            return self.net.module_.encode(torch.tensor(X)).numpy()

    def reconstruct(self, X):
        return self.net.predict(X)


class MLP(System):
    """MLPRegressor fitted to X and X."""

    def fit(self, X):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor
        from sklearn.utils._testing import ignore_warnings

        # MLPRegressor's default is one layer of 100 units: use one on each side of the code
        params = {"hidden_layer_sizes": (100, self.k, 100), **self._given(max_iter="n_epochs", batch_size="batch_size")}
        if self.sizes:
            params["hidden_layer_sizes"] = (*self.sizes[1:], *self.sizes[-2:0:-1])
        if "max_iter" in params:
            params |= {"n_iter_no_change": params["max_iter"], "tol": 0.0}
        self.fitted = ignore_warnings(category=ConvergenceWarning)(MLPRegressor(random_state=self.seed, **params).fit)(
            X, X
        )
        self.reconstruct = self.fitted.predict
        return self


class Keras(System):
    """Keras on torch."""

    package = "keras"

    def fit(self, X):
        os.environ["KERAS_BACKEND"] = "torch"
        import keras

        sizes, n_epochs, batch_size = self._loop(X)
        keras.utils.set_random_seed(self.seed)
        inputs = x = keras.Input(sizes[:1])
        for width in sizes[1:-1]:
            x = keras.layers.Dense(width, activation="relu")(x)
        code = x = keras.layers.Dense(sizes[-1])(x)
        for width in sizes[-2:0:-1]:
            x = keras.layers.Dense(width, activation="relu")(x)
        self.net = keras.Model(inputs, keras.layers.Dense(sizes[0])(x))
        self.encoder = keras.Model(inputs, code)
        self.net.compile(optimizer="adam", loss="mse")
        self.net.fit(X, X, epochs=n_epochs, batch_size=batch_size, verbose=0)
        return self

    def transform(self, X):
        return self.encoder.predict(X, verbose=0)

    def reconstruct(self, X):
        return self.net.predict(X, verbose=0)


class PyOD(System):
    """PyOD's AutoEncoder, an outlier detector; the reconstruction is taken from its module."""

    package = "pyod"

    def fit(self, X):
        from pyod.models.auto_encoder import AutoEncoder

        params = {"hidden_neuron_list": [64, self.k], **self._given(epoch_num="n_epochs", batch_size="batch_size")}
        if self.sizes:
            params["hidden_neuron_list"] = list(self.sizes[1:])
        self.fitted = AutoEncoder(random_state=self.seed, verbose=0, **params).fit(X)
        return self

    def _run(self, module, X):
        scaled = (X - self.fitted.X_mean) / self.fitted.X_std
        with torch.no_grad():
            return module(torch.tensor(scaled, dtype=torch.float32)).numpy()

    def transform(self, X):
        return self._run(self.fitted.model.eval().encoder, X)

    def reconstruct(self, X):
        return self._run(self.fitted.model.eval(), X) * self.fitted.X_std + self.fitted.X_mean


class Pythae(System):
    """Pythae's AE."""

    package = "pythae"

    def fit(self, X):
        import logging

        logging.disable(logging.INFO)
        from pythae.models import AE, AEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.pipelines import TrainingPipeline
        from pythae.trainers import BaseTrainerConfig

        class Half(nn.Module):
            def __init__(self, layers, name):
                super().__init__()
                self.layers, self.name = layers, name

            def forward(self, x):
                return ModelOutput(**{self.name: self.layers(x)})

        torch.manual_seed(self.seed)
        halves = {}
        if self.sizes:
            net = Net(self.sizes)
            encoder = type("Encoder", (Half, BaseEncoder), {})(net.encoder, "embedding")
            decoder = type("Decoder", (Half, BaseDecoder), {})(net.decoder, "reconstruction")
            halves = {"encoder": encoder, "decoder": decoder}
        model = AE(AEConfig(input_dim=(X.shape[1],), latent_dim=self.k), **halves)
        config = self._given(num_epochs="n_epochs", per_device_train_batch_size="batch_size")
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
            config = BaseTrainerConfig(output_dir=folder, no_cuda=True, **config)
            TrainingPipeline(model=model, training_config=config)(train_data=X.astype(np.float32))
        self.model = model.eval()
        return self

    def transform(self, X):
        with torch.no_grad():
            return self.model.encoder(torch.tensor(X)).embedding.numpy()

    def reconstruct(self, X):
        with torch.no_grad():
            codes = self.model.encoder(torch.tensor(X)).embedding
            return self.model.decoder(codes).reconstruction.numpy().reshape(len(X), -1)


SYSTEMS = {
    "Autoencoder": Ours,
    'Autoencoder, mixed_precision="auto"': OursInBfloat16,
    "hand-written": HandWritten,
    "hand-written, same net": HandWrittenSameNet,
    "skorch as documented": Skorch,
    "MLPRegressor": MLP,
    "Keras on torch": Keras,
    "PyOD": PyOD,
    "Pythae": Pythae,
}
