"""Codes as features: a linear classifier on 64 components, from 12,000 images of Fashion-MNIST, three seeds.

    python docs/benchmarks/probe.py

Codes are standardized, the classifier is logistic regression, and accuracy is that on the 10,000 test images.
"""

import numpy as np
from _fashion_mnist import load
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder


def main():
    """Print mean and standard deviation of the accuracies."""
    (images, y), (test, y_test) = (load(part, labels=True) for part in ("train", "t10k"))
    estimators = {
        "PCA": PCA(64),
        "Autoencoder": Autoencoder(64),
        "DenoisingAutoencoder": DenoisingAutoencoder(64),
        "ContractiveAutoencoder": ContractiveAutoencoder(64),
    }
    for name, estimator in estimators.items():
        accuracies = []
        for seed in range(3):
            rows = np.random.RandomState(seed).permutation(len(images))[:12_000]
            reduced = estimator.set_params(random_state=seed)
            probe = make_pipeline(reduced, StandardScaler(), LogisticRegression(max_iter=1000)).fit(
                images[rows], y[rows]
            )
            accuracies.append(probe.score(test, y_test))
        print(f"{name:24s} {np.mean(accuracies):.4f} ± {np.std(accuracies, ddof=1):.4f}", flush=True)


if __name__ == "__main__":
    main()
