"""Images generated from Fashion-MNIST: precision and recall of five samplers, decoder smoothness of two latent spaces.

    python docs/benchmarks/samples.py [--rows 10000] [--seeds 3] [--components 8]

1. Samples are drawn from a mixture on the codes of Autoencoder, VariationalAutoencoder and PCA, and by decoding
   standard normal codes with VariationalAutoencoder, whose prior it is, and with Autoencoder(whiten=True). Precision
   and recall are computed relative to 5,000 test images, embedded by the hidden layers of a classifier of other
   training images, as in the metric's publication; and also for raw pixels, where images that are smoother than real
   ones count as plausible. The first line is that of 5,000 training images.
2. Smoothness, precision and recall of standard normal codes in both latent spaces, for each seed.
"""

import argparse
import warnings

import numpy as np
from _fashion_mnist import load
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skae import Autoencoder, LatentSampler, VariationalAutoencoder
from skae.metrics import decoder_smoothness, sample_precision_recall

N = 5000


def draws(train, k, seed):
    """Yield (name, samples) of each sampler, and finally the models of the two latent spaces."""
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
    """Return standard normal codes in float32, the dtype of the images."""
    return np.random.RandomState(seed).standard_normal((N, k)).astype(np.float32)


def embedding(X, y):
    """Return a function that computes the second hidden layer of a classifier."""
    classifier = MLPClassifier((128, 64), max_iter=12, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(X, y)

    def embed(rows):
        for weights, bias in zip(classifier.coefs_[:2], classifier.intercepts_[:2], strict=True):
            rows = np.maximum(rows @ weights + bias, 0)
        return rows

    return embed


def main():
    """Print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--components", type=int, default=8)
    args = parser.parse_args()
    X, y = load("train", labels=True)
    train, test, embed = X[: args.rows], load("t10k")[:N], embedding(X[-20_000:], y[-20_000:])
    figures, spaces = {}, []
    for seed in range(args.seeds):
        for name, drawn in draws(train, args.components, seed):
            if name is None:
                codes = normal(args.components, seed)
                spaces.append([decoder_smoothness(model, codes, random_state=seed) for model in drawn])
                continue
            drawn = np.clip(drawn, 0, 1)
            embedded = sample_precision_recall(embed(test), embed(drawn))
            figures.setdefault(name, []).append((*embedded, *sample_precision_recall(test, drawn)))
    print(f"Fashion-MNIST, {args.rows} samples, {args.components} components, {args.seeds} seeds")
    print(f"{'':24s}{'precision':>12s}{'recall':>12s}{'raw pixels: precision':>24s}{'recall':>12s}")
    for name, of_seeds in figures.items():
        print("{:24s}{:12.3f}{:12.3f}{:24.3f}{:12.3f}".format(name, *np.mean(of_seeds, axis=0)))
    print("\nStandard normal codes: Autoencoder(whiten=True) and VariationalAutoencoder, for each seed")
    print(f"{'smoothness':12s}" + "   ".join(f"{plain:.3f} {vae:.3f}" for plain, vae in spaces))
    for i, what in enumerate(("precision", "recall")):
        pairs = zip(figures["Autoencoder, N(0, I)"], figures["VAE, its prior"], strict=True)
        print(f"{what:12s}" + "   ".join(f"{plain[i]:.3f} {vae[i]:.3f}" for plain, vae in pairs))


if __name__ == "__main__":
    main()
