"""Compare VariationalAutoencoder with PCA's likelihood on Fashion-MNIST; effect of `beta` and of the number of draws.

    python docs/benchmarks/variational.py [--rows 20000] [--components 10]

Log-likelihoods are in nats per sample, on test samples. The quality of samples is measured by density and coverage
(Naeem et al., 2020) of 2,000 generated images relative to 2,000 test images, with balls up to the fifth neighbor: both
are near 1 for images of the same distribution, as the line of training images shows.
"""

import argparse
import time
import warnings

import numpy as np
from _fashion_mnist import load
from sklearn.datasets import load_digits, make_low_rank_matrix
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from skae import VariationalAutoencoder

NEIGHBORS, N_COMPARED = 5, 2000


def density_and_coverage(real, drawn):
    """Return density and coverage of generated samples relative to real ones."""
    radius = NearestNeighbors(n_neighbors=NEIGHBORS).fit(real).kneighbors()[0][:, -1]
    inside = pairwise_distances(real, drawn) < radius[:, None]  # (n_real, n_drawn)
    return inside.sum() / (NEIGHBORS * len(drawn)), inside.any(axis=1).mean()


def linear_against_pca():
    """Print how closely the linear variational autoencoder agrees with `PCA`."""
    print("linear, against PCA: largest difference in the log-likelihood of a test sample, and in the noise variance")
    gaussian = 30 * make_low_rank_matrix(2000, 20, effective_rank=6, random_state=0)
    gaussian += 0.5 * np.random.RandomState(0).standard_normal(gaussian.shape)
    for name, X in (("digits", load_digits().data), ("Gaussian", gaussian)):
        train, test = X[::2], X[1::2]
        for k in (1, 4, 16):
            pca = PCA(k, svd_solver="full").fit(train)
            vae = VariationalAutoencoder(k, hidden_layer_sizes=(), random_state=0).fit(train)
            difference = np.abs(vae.log_likelihood(test, 1, random_state=0) - pca.score_samples(test)).max()
            noise = abs(vae.noise_variance_ / pca.noise_variance_ - 1)
            print(f"  {name:8s} k {k:2d}  PCA {pca.score(test):9.3f} nats  {difference:.1e} nats  {100 * noise:.1e} %")


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--max-iter", type=int, default=10)
    arguments = parser.parse_args()
    k = arguments.components
    linear_against_pca()

    train, test = load("train")[: arguments.rows], load("t10k")
    some = test[:N_COMPARED]
    pca = PCA(k, random_state=0).fit(train)
    print(f"Fashion-MNIST, {arguments.rows} samples, k = {k}, {arguments.max_iter} epochs")
    print(f"  PCA.score {pca.score(test):.2f} nats")
    density, coverage = density_and_coverage(some, train[:N_COMPARED])
    print(f"  training images: density {density:.3f}, coverage {coverage:.3f}")

    def show(name, vae, seconds):
        bound = vae.log_likelihood(test, 1, random_state=0).mean()
        mean, deviation = vae.posterior(test)
        divergence = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation)).sum(axis=1).mean()
        quality = density_and_coverage(some, vae.sample(N_COMPARED, random_state=0).astype(np.float32))
        print(
            f"  {name:12s} bound {bound:8.2f}   KL {divergence:6.2f}   active {vae.active_units_.sum():2d} of {k}   "
            f"R² {vae.score(test):.4f}  samples: density {quality[0]:.2f}, coverage {quality[1]:.2f}   {seconds:.0f} s",
            flush=True,
        )

    fits = {
        "linear": {"hidden_layer_sizes": ()},
        "random init": {"init": "random"},
        **{f"beta {beta:g}": {"beta": beta} for beta in (0.01, 0.1, 1.0, 10.0, 100.0)},
    }
    for name, parameters in fits.items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a large beta makes units collapse
            vae = VariationalAutoencoder(k, max_iter=arguments.max_iter, random_state=0, **parameters).fit(train)
        show(name, vae, time.perf_counter() - start)
        if name in ("linear", "beta 1"):
            draws = {m: vae.log_likelihood(test[:1000], m, random_state=0) for m in (1, 10, 100)}
            for (fewer, low), (more, high) in zip(list(draws.items()), list(draws.items())[1:], strict=False):
                gain = high - low
                print(
                    f"    {fewer} -> {more} draws: {low.mean():.3f} -> {high.mean():.3f}, gain {gain.mean():.3f} "
                    f"± {gain.std() / np.sqrt(len(gain)):.3f}"
                )


if __name__ == "__main__":
    main()
