"""Compare DenoisingAutoencoder on Fashion-MNIST with PCA and ridge regression, in decibels.

    python docs/benchmarks/denoising.py [--rows 20000] [--convolutional [--max-iter 40]]

64 components, other parameters default, except that the convolutional network uses pooling. Noise is Gaussian with a
standard deviation of .5 in all pixels, clipped to [0, 1], or sets half of the pixels to zero. PCA is fitted to clean
samples and projects noisy ones, with the number of components that is best on the test images. Ridge regression from
noisy to clean samples, of full rank, is the best linear denoiser. The peak signal-to-noise ratio is
10 log10(1 / mean squared error), over all pixels of the 10,000 test images.
"""

import argparse
import time

import numpy as np
import torch
from _fashion_mnist import load
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from skae import DenoisingAutoencoder
from skae.architectures import Convolutional

NOISES = {
    "gaussian": lambda X, rng: np.clip(X + 0.5 * rng.standard_normal(X.shape, dtype=np.float32), 0, 1),
    "masking": lambda X, rng: np.where(rng.random(X.shape, dtype=np.float32) < 0.5, np.float32(0), X),
}


DRAWN = {
    "gaussian": {"corruption": lambda rows: torch.clamp(rows + 0.5 * torch.randn(rows.shape), 0, 1)},
    "masking": {"corruption": "masking", "corruption_level": 0.5},
}


def psnr(clean, denoised):
    """Return the peak signal-to-noise ratio of images in [0, 1], in decibels."""
    return -10 * np.log10(np.square(clean - denoised, dtype=np.float64).mean())


def main():
    """Print results for each kind of noise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--convolutional", action="store_true", help="also train the convolutional network")
    parser.add_argument("--noises", nargs="+", default=list(NOISES), choices=NOISES)
    parser.add_argument("--max-iter", type=int, help="epochs of the convolutional network")
    arguments = parser.parse_args()
    clean, test = load("train")[: arguments.rows], load("t10k")
    networks = {"dense": {}}
    if arguments.convolutional:
        networks["convolutional"] = {
            "architecture": Convolutional(downsampling="max_pool"),
            "max_iter": arguments.max_iter or "auto",
        }
    for name in arguments.noises:
        corrupt = NOISES[name]
        rng = np.random.default_rng(0)
        noisy = corrupt(test, rng)
        pcas = (PCA(k, random_state=0).fit(clean) for k in (8, 16, 32, 64, 128))
        by_pca = max(psnr(test, pca.inverse_transform(pca.transform(noisy))) for pca in pcas)
        ridge = Ridge(random_state=0).fit(corrupt(clean, rng), clean)
        by_ridge = psnr(test, ridge.predict(noisy))
        print(f"{name}: noisy {psnr(test, noisy):.2f}, PCA {by_pca:.2f}, ridge {by_ridge:.2f}", flush=True)
        for network, parameters in networks.items():
            start = time.perf_counter()
            denoiser = DenoisingAutoencoder(random_state=0, **DRAWN[name], **parameters).fit(clean)
            seconds = time.perf_counter() - start
            by_us = psnr(test, denoiser.reconstruct(noisy))
            print(
                f"  {network}: {by_us:.2f}, {by_us - by_ridge:+.2f} dB above ridge "
                f"(epoch {denoiser.best_epoch_} of {denoiser.n_iter_}, {seconds:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
