"""Compare `Autoencoder` and `StackedAutoencoder` with the textbook network: R² of test samples, medians over seeds.

Tables and manifolds are standardized; images are in [0, 1]. The textbook network is trained for as long as
`Autoencoder`, with a fifth of the samples as validation set.
"""

import functools
import time

import numpy as np
import torch
from _fashion_mnist import load
from _measure import r2
from _practitioner import Plain, train
from sklearn.datasets import load_breast_cancer, load_digits, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, StackedAutoencoder


def sphere(rng, n=3000, d=50):
    """Return points of a sphere in d dimensions, randomly rotated, with noise."""
    points = rng.standard_normal((n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return points @ turn[:3] + 0.01 * rng.standard_normal((n, d))


def circle(rng, n=3000, d=20):
    """Return points of a closed curve in d dimensions, with three harmonics."""
    angle = rng.uniform(0, 2 * np.pi, n)
    waves = np.stack([f(j * angle) / j for j in (1, 2, 3) for f in (np.sin, np.cos)], axis=1)
    return waves @ rng.standard_normal((6, d)) + 0.02 * rng.standard_normal((n, d))


def robot_arm(rng, n=2000, n_joints=4):
    """Return positions of the joints of an arm, from their angles."""
    angles = np.cumsum(rng.uniform(-1.2, 1.2, (n, n_joints)), axis=1)
    at = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=2), axis=1)
    return at.reshape(n, -1) + 0.01 * rng.standard_normal((n, 2 * n_joints))


def table(rng, n=3000, d=30, k=5):
    """Return a table whose columns are nonlinear functions of k latent variables, in different units."""
    hidden = rng.standard_normal((n, k))
    X = np.tanh(hidden @ rng.standard_normal((k, d))) + 0.3 * np.square(hidden @ rng.standard_normal((k, d)) / 2)
    return (X + 0.1 * rng.standard_normal((n, d))) * np.exp(rng.standard_normal(d))


def roll(rng, n=2000):
    """Return points of the Swiss roll."""
    return make_swiss_roll(n, noise=0.1, random_state=int(rng.integers(1000)))[0]


# name: function, number of components
SYNTHETIC = {
    "sphere": (sphere, 2),
    "circle": (circle, 2),
    "robot arm": (robot_arm, 3),
    "table": (table, 5),
    "roll": (roll, 2),
}
SETS = [*SYNTHETIC, "digits", "breast cancer", "images"]


def make_set(name, seed):
    """Return training samples, test samples and the number of components."""
    rng = np.random.default_rng(seed)
    if name == "images":
        order = rng.permutation(60_000)[:5000]
        return load("train")[order], load("t10k")[:3000], 32
    if name in SYNTHETIC:
        make, k = SYNTHETIC[name]
        X = make(rng)
    else:
        X, k = (load_digits().data / 16, 8) if name == "digits" else (load_breast_cancer().data, 3)
    order = rng.permutation(len(X))
    X, test = X[order[len(X) // 4 :]], X[order[: len(X) // 4]]
    if name != "digits":
        scaler = StandardScaler().fit(X)
        X, test = scaler.transform(X), scaler.transform(test)
    return X.astype(np.float32), test.astype(np.float32), k


def main(seeds):
    """Print a line for each set."""
    torch.set_num_threads(1)
    for name in SETS:
        found = {}
        for seed in seeds:
            X, test, k = make_set(name, seed)
            models = {
                "PCA": PCA(k),
                "stacked": StackedAutoencoder((128, k), random_state=seed),
                "skae": Autoencoder(k, random_state=seed),
            }
            for model_name, model in models.items():
                start = time.perf_counter()
                model.fit(X)
                seconds = time.perf_counter() - start
                X_hat = model.inverse_transform(model.transform(test))
                found.setdefault(model_name, []).append((r2(test, X_hat), seconds))
            n_validation = len(X) // 5
            make = functools.partial(Plain, X.shape[1], k, images=name in ("digits", "images"))
            baseline = train(make, X[:-n_validation], X[-n_validation:], seconds=seconds, seed=seed)
            with torch.no_grad():
                X_hat = baseline.module(torch.as_tensor(test)).numpy()
            found.setdefault("hand-written", []).append((r2(test, X_hat), baseline.seconds))
        print(f"  {name}, {X.shape[0]} x {X.shape[1]}, {k} components")
        for model_name, results in found.items():
            scores, seconds = np.array(results).T
            print(
                f"    {model_name:12s} R² {np.median(scores):6.3f} ({scores.min():.3f} to {scores.max():.3f})   "
                f"{np.median(seconds):5.1f} s",
                flush=True,
            )
