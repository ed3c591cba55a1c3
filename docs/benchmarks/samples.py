"""Images drawn of Fashion-MNIST: precision and recall of five samplers, continuity of two latent spaces.

    python docs/benchmarks/samples.py [--rows 20000] [--seeds 3] [--components 16]

1. Rows drawn from a mixture on the codes of Autoencoder, VariationalAutoencoder and PCA, and from the priors of
   VariationalAutoencoder and of Autoencoder(whiten=True): precision and recall against 5,000 test images, as rows of
   pixels and as their first 64 principal components. A first line is that of 5,000 training images.
2. Continuity and completeness of codes from a standard normal, in both of them, seed by seed.
"""

import argparse

import numpy as np
from _fashion_mnist import load
from sklearn.decomposition import PCA

from skae import Autoencoder, LatentSampler, VariationalAutoencoder
from skae.metrics import completeness, continuity

N = 5000


def draws(train, k, seed):
    """Yield (name, sample) of each sampler, and the two latent spaces at the end."""
    yield "training images", train[np.random.RandomState(seed).permutation(len(train))[:N]]
    plain = LatentSampler(Autoencoder(k, whiten=True, random_state=seed), random_state=seed).fit(train)
    yield "Autoencoder + mixture", plain.sample(N, random_state=seed)
    yield "Autoencoder, N(0, I)", plain.autoencoder_.inverse_transform(normal(k, seed))
    vae = LatentSampler(VariationalAutoencoder(k, random_state=seed), random_state=seed).fit(train)
    yield "VAE + mixture", vae.sample(N, random_state=seed)
    yield "VAE, its prior", vae.autoencoder_.sample(N, random_state=seed)
    yield "PCA + mixture", LatentSampler(PCA(k), random_state=seed).fit(train).sample(N, random_state=seed)
    yield None, (plain.autoencoder_, vae.autoencoder_)


def normal(k, seed):
    """Codes from a standard normal, in float32 as the images."""
    return np.random.RandomState(seed).standard_normal((N, k)).astype(np.float32)


def main():
    """Print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--components", type=int, default=16)
    args = parser.parse_args()
    train, test = load("train")[: args.rows], load("t10k")[:N]
    pca, figures, spaces = PCA(64, random_state=0).fit(train), {}, []
    for seed in range(args.seeds):
        for name, drawn in draws(train, args.components, seed):
            if name is None:
                codes = normal(args.components, seed)
                spaces.append([continuity(model, codes, random_state=seed) for model in drawn])
                continue
            of_pixels = completeness(test, np.clip(drawn, 0, 1))
            of_components = completeness(pca.transform(test), pca.transform(np.clip(drawn, 0, 1)))
            figures.setdefault(name, []).append((*of_pixels, *of_components))
    print(f"Fashion-MNIST, {args.rows} rows, {args.components} components, {args.seeds} seeds")
    print(f"{'':24s}{'precision':>12s}{'recall':>12s}   of 64 components:{'precision':>12s}{'recall':>12s}")
    for name, of_seeds in figures.items():
        of_pixels, of_components = np.mean(of_seeds, axis=0).reshape(2, 2)
        print(
            f"{name:24s}{of_pixels[0]:12.3f}{of_pixels[1]:12.3f}{'':20s}{of_components[0]:12.3f}{of_components[1]:12.3f}"
        )
    print("\nCodes from a standard normal, Autoencoder(whiten=True) and VariationalAutoencoder, seed by seed")
    print("continuity           " + "   ".join(f"{plain:.3f} {vae:.3f}" for plain, vae in spaces))
    for i, what in enumerate(("precision", "recall")):
        pairs = zip(figures["Autoencoder, N(0, I)"], figures["VAE, its prior"], strict=True)
        print(f"{what:20s} " + "   ".join(f"{plain[i]:.3f} {vae[i]:.3f}" for plain, vae in pairs))


if __name__ == "__main__":
    main()
