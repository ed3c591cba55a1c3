"""Robustness of codes: effect of small steps of test samples on codes, and of noise on a classifier of codes.

Sensitivity is the mean squared change of the codes of test samples per unit of noise, by finite differences of
`transform`. Noise is in units of the features' root mean variance, and the change is relative to the variance of the
codes. The other columns are test R² and the accuracy of a linear classifier on standardized codes, for samples without
noise and with noise of half a standard deviation and of one. The textbook network has a sigmoid layer and tied weights,
and is trained for as long as ContractiveAutoencoder with `alpha=1`.
"""

import time

import numpy as np
import torch
from _fashion_mnist import load
from _measure import r2
from _practitioner import Contractive, train
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder

ALPHAS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
BASELINE_ALPHAS = (1e-2, 1.0, 100.0)
LEVELS = (0.0, 0.5, 1.0)  # standard deviations of the noise


class HandWritten:
    """The textbook network with the methods of an estimator."""

    def __init__(self, k, alpha, *, images, seconds, seed):
        self.k, self.alpha, self.images, self.seconds, self.seed = k, alpha, images, seconds, seed

    def fit(self, X):
        """Train on four fifths of the samples, scaled as in the publication."""
        self.mean, self.scale = (0.0, X.max()) if self.images else (X.mean(axis=0), X.std(axis=0))
        rows = np.random.default_rng(self.seed).permutation(((X - self.mean) / self.scale).astype(np.float32))
        n = len(rows) // 5
        self.module = train(
            lambda: Contractive(X.shape[1], self.k, self.alpha, images=self.images),
            *(rows[n:], rows[:n]),
            seconds=self.seconds,
            seed=self.seed,
        ).module.double()
        return self

    def transform(self, X):
        """Return codes of samples."""
        with torch.no_grad():
            return self.module.encoder(torch.as_tensor((X - self.mean) / self.scale)).numpy()

    def inverse_transform(self, codes):
        """Return samples decoded from codes."""
        with torch.no_grad():
            return self.module.decode(torch.as_tensor(codes)).numpy() * self.scale + self.mean


def sensitivity(model, X, unit, seed=0):
    """Return the mean squared change of codes by small steps of samples, relative to the variance of the codes."""
    rng, codes, h = np.random.default_rng(seed), model.transform(X), 1e-4
    steps = (model.transform(X + h * unit * rng.standard_normal(X.shape)) - codes for _ in range(4))
    return np.mean([np.square(step / h).sum(axis=1).mean() for step in steps]) / codes.var(axis=0).sum()


def measure(model, X, y, X_test, y_test):
    """Return sensitivity, R² and accuracies."""
    unit, rng = np.sqrt(X.var(axis=0).mean()), np.random.default_rng(1)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(model.transform(X), y)
    noise = rng.standard_normal(X_test.shape)
    accuracies = [classifier.score(model.transform(X_test + level * unit * noise), y_test) for level in LEVELS]
    X_hat = model.inverse_transform(model.transform(X_test))
    return [sensitivity(model, X_test, unit), r2(X_test, X_hat), *accuracies]


def rolled_sheet(n, d, rng):
    """Return samples of a rolled sheet in d dimensions, with noise, and the quarter of the sheet that they are in."""
    turn = 1.5 * np.pi * (1 + 2 * rng.random(n))
    sheet = np.column_stack([turn * np.cos(turn), 10 * rng.random(n), turn * np.sin(turn)])
    X = sheet @ np.linalg.qr(rng.standard_normal((d, 3)))[0].T + 0.3 * rng.standard_normal((n, d))
    return X, np.digitize(turn, np.quantile(turn, [0.25, 0.5, 0.75]))


def sets(seed):
    """Yield names, train and test samples and labels, sizes of code, and whether samples are images."""
    rng = np.random.default_rng(seed)
    (X, y), (X_test, y_test) = load("train", labels=True), load("t10k", labels=True)
    some = rng.permutation(len(X))[:3000]
    X, X_test = X[some].astype(np.float64), X_test[:1000].astype(np.float64)
    yield "Fashion-MNIST", X, y[some], X_test, y_test[:1000], 32, True
    X, y = load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    X, y = X[order], y[order]
    yield "digits", X[:1200], y[:1200], X[1200:], y[1200:], 16, True
    X, y = rolled_sheet(4000, 50, rng)
    yield "rolled sheet in 50-D", X[:3000], y[:3000], X[3000:], y[3000:], 3, False


def main(seeds):
    """Print a table of means over seeds for each set."""
    found = {}
    for seed in seeds:
        for name, *rows, k, images in sets(seed):
            start = time.perf_counter()
            ContractiveAutoencoder(k, random_state=seed).fit(rows[0])
            seconds = time.perf_counter() - start
            models = {"PCA": PCA(k, random_state=seed), "plain": Autoencoder(k, random_state=seed)}
            models["denoising"] = DenoisingAutoencoder(k, random_state=seed)
            models |= {f"skae, alpha={a:g}": ContractiveAutoencoder(k, alpha=a, random_state=seed) for a in ALPHAS}
            shared = {"images": images, "seconds": seconds, "seed": seed}
            models |= {f"hand-written, alpha={a:g}": HandWritten(k, a, **shared) for a in BASELINE_ALPHAS}
            for label, model in models.items():
                found.setdefault(name, {}).setdefault(label, []).append(measure(model.fit(rows[0]), *rows))
    for name, of_models in found.items():
        print(f"{name:22s}{'sensitivity':>12s}{'R²':>8s}" + "".join(f"{f'noise {level:g}':>11s}" for level in LEVELS))
        for label, values in of_models.items():
            ratio, fraction, *accuracies = np.mean(values, axis=0)
            print(f"{label:22s}{ratio:12.4f}{fraction:8.3f}" + "".join(f"{a:11.3f}" for a in accuracies), flush=True)
