"""Denoising: R² of denoised test samples relative to the clean ones, for no noise to more noise than in training.

Both networks are trained at noise level .3. DenoisingAutoencoder has default parameters except the noise; the textbook
network is trained on the same samples except its validation set, with the same noise, for the same time. The sets are
10,000 images of Fashion-MNIST, 3,000 synthetic images of spots on black, and 3,000 samples of a synthetic table,
standardized. Normal noise is in units of each feature's standard deviation. "clipped" samples are clipped to the range
of the data after adding noise, as in a camera; neither network was trained with these. Medians over seeds.
"""

import time
from functools import partial

import numpy as np
import torch
from _fashion_mnist import load
from _measure import r2
from _practitioner import Denoising, train

from skae import DenoisingAutoencoder

N_FASHION = 10_000  # samples of Fashion-MNIST
LEVELS = (0, 0.1, 0.3, 0.5)
TRAINED_AT = 0.3
K = 64


def spots(n, side=20):
    """Return images of one to three spots on black, (n, side * side), in [0, 1]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    images = np.zeros((n, side, side), dtype=np.float32)
    for image in images:
        for _ in range(rng.integers(1, 4)):
            (line, column), width = rng.uniform(4, side - 4, 2), rng.uniform(1, 3)
            image += rng.uniform(0.4, 1) * np.exp(-((y - line) ** 2 + (x - column) ** 2) / (2 * width**2))
    return np.where(images < 0.02, 0, images.clip(max=1)).reshape(n, -1)


def table(n, d=30):
    """Return samples that depend on four latent variables, with noise, standardized, (n, d)."""
    rng = np.random.default_rng(0)
    latent = np.tanh(rng.standard_normal((n, 4)) @ rng.standard_normal((4, 40)))
    X = latent @ rng.standard_normal((40, d)) + 0.5 * rng.standard_normal((n, d))
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


def sets():
    """Yield (name, training samples, test samples, whether they are images)."""
    yield "Fashion-MNIST", load("train")[:N_FASHION], load("t10k")[:2000], True
    for name, X in {"spots": spots(4000), "table": table(4000)}.items():
        yield name, X[:3000], X[3000:], name == "spots"


def add_noise(X, noise, level, deviation, generator=None):
    """Return samples with noise; tensors of shape (n, d)."""
    if noise == "masking":
        return torch.where(torch.rand(X.shape, generator=generator) < level, 0, X)
    return X + level * deviation * torch.randn(X.shape, generator=generator)


def curves(reconstruct, noise, test, deviation, limits):
    """Return R² at each noise level, and for normal noise also with clipped samples."""
    found = {"noisy": [], "clipped": []}
    for level in LEVELS:
        noisy = add_noise(torch.tensor(test), noise, level, deviation, torch.Generator().manual_seed(0)).numpy()
        found["noisy"].append(r2(test, reconstruct(noisy)))
        if noise == "gaussian":
            found["clipped"].append(r2(test, reconstruct(noisy.clip(*limits))))
    return {name: values for name, values in found.items() if values}


def denoise(module, rows):
    """Return samples denoised by the textbook network."""
    with torch.no_grad():
        return module(torch.tensor(rows)).numpy()


def main(seeds):
    """Print a line for each set, kind of noise, network, and clipped or not."""
    print(f"R² at levels {LEVELS}")
    for name, X, test, images in sets():
        deviation, limits = torch.tensor(X.std(axis=0)), (X.min(), X.max())
        for noise in ("gaussian", "masking"):
            found = {}
            for seed in seeds:
                start = time.perf_counter()
                ours = DenoisingAutoencoder(K, corruption=noise, corruption_level=TRAINED_AT, random_state=seed).fit(X)
                seconds = time.perf_counter() - start
                order = np.random.default_rng(seed).permutation(len(X))
                validation = order[: min(1000, len(X) // 5)]
                corrupt = partial(add_noise, noise=noise, level=TRAINED_AT, deviation=deviation)
                baseline = train(
                    partial(Denoising, X.shape[1], K, images=images, corrupt=corrupt),
                    X[order[len(validation) :]],
                    X[validation],
                    seconds=seconds,
                    seed=seed,
                )
                methods = {
                    "skae": (ours.reconstruct, seconds),
                    "textbook": (partial(denoise, baseline.module), baseline.seconds),
                }
                for method, (reconstruct, took) in methods.items():
                    for rows, values in curves(reconstruct, noise, test, deviation, limits).items():
                        found.setdefault((rows, method), []).append([*values, took])
            for (rows, method), values in sorted(found.items(), reverse=True):
                *scores, took = np.median(values, axis=0)
                text = " ".join(f"{score:.3f}" for score in scores)
                print(f"{name:14s}{noise:10s}{rows:9s}{method:10s}{text}  {took:.0f} s", flush=True)


if __name__ == "__main__":
    main([0])
