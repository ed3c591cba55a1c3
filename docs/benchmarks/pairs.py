"""DenoisingAutoencoder fitted to pairs of noisy and clean digits, compared with linear regression.

    python docs/benchmarks/pairs.py [--splits 3]

Noise is drawn once: normal, with a standard deviation of 2 or 4 (pixels range from 0 to 16), or half of the pixels are
set to zero. A quarter of the samples is the test set. Prints the squared error per pixel of the denoised test samples,
averaged over splits, for: the noisy samples themselves; linear regression of clean on noisy samples, reduced to rank 32
by the principal axes of its predictions; and DenoisingAutoencoder with 32 components, other parameters default, at
initialization, fitted to pairs, fitted to pairs with additional random noise, and fitted to noisy samples only.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder

NOISES = {
    "normal, 2": lambda X, rng: X + 2 * rng.standard_normal(X.shape),
    "normal, 4": lambda X, rng: X + 4 * rng.standard_normal(X.shape),
    "half zero": lambda X, rng: np.where(rng.random(X.shape) < 0.5, 0, X),
}
DRAWN = {"corruption": "gaussian", "corruption_level": 0.25}
K = 32


def errors(noisy, clean, noisy_test, clean_test, seed):
    """Return the squared error per pixel of each method."""
    regression = LinearRegression().fit(noisy, clean)
    axes = PCA(K).fit(regression.predict(noisy))
    ours = {
        "initialization": DenoisingAutoencoder(
            K, hidden_layer_sizes=(), learning_rate=1e-30, max_iter=1, random_state=seed
        ).fit(noisy, clean),
        "pairs": DenoisingAutoencoder(K, random_state=seed).fit(noisy, clean),
        "pairs and random noise": DenoisingAutoencoder(K, **DRAWN, random_state=seed).fit(noisy, clean),
        "noisy samples only": DenoisingAutoencoder(K, random_state=seed).fit(noisy),
    }
    made = {
        "noisy": noisy_test,
        "regression": axes.inverse_transform(axes.transform(regression.predict(noisy_test))),
        **{name: denoiser.reconstruct(noisy_test) for name, denoiser in ours.items()},
    }
    return {name: np.square(rows - clean_test).mean() for name, rows in made.items()}


def main():
    """Print a line for each kind of noise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--splits", type=int, default=3)
    splits = parser.parse_args().splits
    X = load_digits().data
    for name, corrupt in NOISES.items():
        of_splits = []
        for seed in range(splits):
            noisy = corrupt(X, np.random.default_rng(seed))
            train, test, noisy_train, noisy_test = train_test_split(X, noisy, random_state=seed)
            of_splits.append(errors(noisy_train, train, noisy_test, test, seed))
        means = {system: np.mean([found[system] for found in of_splits]) for system in of_splits[0]}
        print(f"{name}: " + ", ".join(f"{system} {mean:.2f}" for system, mean in means.items()), flush=True)


if __name__ == "__main__":
    main()
