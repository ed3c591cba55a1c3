"""Compare ordered codes with PCA at every size, and the number of components for a fraction of the variance.

    python docs/benchmarks/ordered.py

1. Fashion-MNIST, 20,000 samples, 32 components, and digits, 16 components, three splits: test R² of the first 1, 2,
   ... components minus PCA's, and R² of the whole code minus that of an autoencoder that isn't ordered.
2. `n_components=0.9` and `0.95` on five scikit-learn data sets, raw and standardized, three splits, and on
   Fashion-MNIST: number of components and test R², compared with PCA's for the same fraction.
"""

import numpy as np
from _fashion_mnist import load
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder

NAMES = ("digits", "breast_cancer", "wine", "diabetes", "iris")


def pca_curve(pca, X):
    """Return test R² of PCA from its first 1, 2, ... components."""
    codes = pca.transform(X)
    keep = [np.arange(codes.shape[1]) < size for size in range(1, codes.shape[1] + 1)]
    return np.array([r2_score(X, pca.inverse_transform(codes * k), multioutput="variance_weighted") for k in keep])


def curve(autoencoder, X):
    """Return test R² of an ordered autoencoder from its first 1, 2, ... components."""
    codes = autoencoder.transform(X)
    X_hats = (autoencoder.inverse_transform(codes[:, :size]) for size in range(1, codes.shape[1] + 1))
    return np.array([r2_score(X, X_hat, multioutput="variance_weighted") for X_hat in X_hats])


def compare_ordered(name, train, test, k, seed):
    """Print the gain over PCA at every size, and that of the whole code over an autoencoder that isn't ordered."""
    pca = PCA(k, random_state=seed).fit(train)
    ordered = Autoencoder(k, ordered=True, random_state=seed).fit(train)
    plain = Autoencoder(k, random_state=seed).fit(train).score(test)
    ours = curve(ordered, test)
    gain = ours - pca_curve(pca, test)
    running = ordered.explained_variance_ratio_.cumsum() - pca.explained_variance_ratio_.cumsum()
    print(
        f"{name}, {k} components, seed {seed}: gain over PCA by size: minimum {gain.min():+.4f} (size "
        f"{gain.argmin() + 1}), mean {gain.mean():+.4f}; whole code {ours[-1]:.4f}, not ordered {plain:.4f}: "
        f"{ours[-1] - plain:+.4f}; explained_variance_ratio_, running sum minus PCA's: minimum {running.min():+.4f}"
    )


def compare_share(name, train, test, share, seed):
    """Print number of components and test R² of PCA and of the autoencoder; return both differences."""
    pca = PCA(share).fit(train)
    ours = Autoencoder(share, random_state=seed).fit(train)
    of_pca, score = pca_curve(pca, test)[-1], ours.score(test)
    print(
        f"  {name:28s} {share:4.2f} seed {seed}: components {pca.n_components_:3d} -> {ours.n_components_:3d}, "
        f"test R² {of_pca:.4f} -> {score:.4f} ({score - of_pca:+.4f})",
        flush=True,
    )
    return ours.n_components_ - pca.n_components_, score - of_pca


def main():
    """Run both parts."""
    images, test_images = load("train")[:20_000], load("t10k")
    compare_ordered("Fashion-MNIST", images, test_images, 32, 0)
    for seed in range(3):
        compare_ordered("digits", *train_test_split(datasets.load_digits().data, random_state=seed), 16, seed)

    differences = [compare_share("Fashion-MNIST", images, test_images, share, 0) for share in (0.9, 0.95)]
    for name in NAMES:
        X = getattr(datasets, f"load_{name}")().data
        for standardized in (False, True):
            label = name + (", standardized" if standardized else "")
            for share in (0.9, 0.95):
                for seed in range(3):
                    train, test = train_test_split(X, random_state=seed)
                    if standardized:
                        scaler = StandardScaler().fit(train)
                        train, test = scaler.transform(train), scaler.transform(test)
                    differences.append(compare_share(label, train, test, share, seed))
    sizes, gains = np.array(differences).T
    print(
        f"{len(sizes)} fits: more components than PCA {(sizes > 0).sum()}, fewer {(sizes < 0).sum()}; test R² minus "
        f"PCA's: worst {gains.min():+.4f}, mean {gains.mean():+.4f}, below -0.002: {(gains < -0.002).sum()}"
    )


if __name__ == "__main__":
    main()
