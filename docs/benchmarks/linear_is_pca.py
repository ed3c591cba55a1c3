"""Difference of the linear autoencoder, `hidden_layer_sizes=()`, from PCA on five data sets, in float64.

    python docs/benchmarks/linear_is_pca.py

Prints the largest difference of `transform`, relative to its largest value, and the difference of R², on test samples.
"""

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from skae import Autoencoder


def main():
    """Print a line for each data set and number of components."""
    print(f"{'data':16s}{'k':>4s}{'transform':>12s}{'R²':>12s}")
    worst = np.zeros(2)
    for name in ("digits", "breast_cancer", "wine", "diabetes", "iris"):
        X = getattr(datasets, f"load_{name}")().data
        train, test = train_test_split(X, random_state=0)
        for k in (1, 2, 4, 8, 16):
            if k > X.shape[1]:
                continue
            pca = PCA(k).fit(train)
            ours = Autoencoder(k, hidden_layer_sizes=()).fit(train)
            codes = pca.transform(test)
            difference = np.abs(ours.transform(test) - codes).max() / np.abs(codes).max()
            r2 = r2_score(test, pca.inverse_transform(codes), multioutput="variance_weighted")
            figures = np.array([difference, abs(ours.score(test) - r2)])
            worst = np.maximum(worst, figures)
            print(f"{name:16s}{k:4d}{figures[0]:12.1e}{figures[1]:12.1e}")
    print(f"{'worst':20s}{worst[0]:12.1e}{worst[1]:12.1e}")


if __name__ == "__main__":
    main()
