"""One class against the rest: ROC AUC of AutoencoderOutlierDetector and of other detectors on the same splits.

    python docs/benchmarks/one_class.py [--data breast_cancer wine digits fashion] [--classes 10] [--detectors ...]

Detectors are fitted to one class, and score other samples of it and those of the other classes: each class of
Fashion-MNIST, with its test images; each class of digits and of wine, fitted to two thirds of it; benign and malignant
samples of breast_cancer, five splits. The others are the reconstruction error of PCA with the same number of
components, IsolationForest, OneClassSVM (also with standardized features) and, if it is installed, PyOD's AutoEncoder,
all with default parameters. The table shows mean AUC and seconds per fit. Last come outliers far from the data in the
plane of PCA's components: other samples of the class, projected onto it and moved four times as far from the mean.
"""

import argparse
import importlib.util
import time

import numpy as np
from _fashion_mnist import load
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector


class OfPCA:
    """Minus the squared error of PCA's reconstruction."""

    def fit(self, X):
        """Fit PCA with the detector's default number of components."""
        self.pca = PCA(max(1, min(8, X.shape[1] // 2)), random_state=0).fit(X)
        return self

    def score_samples(self, X):
        """Return scores; lower is more anomalous."""
        return -np.square(X - self.pca.inverse_transform(self.pca.transform(X))).sum(axis=1)


class OfPyOD:
    """PyOD's AutoEncoder, whose scores are higher for anomalous samples."""

    def fit(self, X):
        """Fit to non-constant features: PyOD's scaling would divide by zero for others."""
        from pyod.models.auto_encoder import AutoEncoder

        self.varies = X.std(axis=0) > 0
        self.fitted = AutoEncoder(random_state=0, verbose=0).fit(X[:, self.varies])
        return self

    def score_samples(self, X):
        """Return scores; lower is more anomalous."""
        return -self.fitted.decision_function(X[:, self.varies])


DETECTORS = {
    "AutoencoderOutlierDetector": lambda: AutoencoderOutlierDetector(random_state=0),
    "... without the distance": lambda: AutoencoderOutlierDetector(code_distance=False, random_state=0),
    "PCA's error": OfPCA,
    "IsolationForest": lambda: IsolationForest(random_state=0),
    "OneClassSVM": OneClassSVM,
    "OneClassSVM, standardized": lambda: make_pipeline(StandardScaler(), OneClassSVM()),
    "PyOD AutoEncoder": OfPyOD,
}


def tasks(name, n_classes, n_rows):
    """Yield training samples, test samples, and whether each of these is of another class."""
    if name == "fashion":
        (X, y), (X_test, y_test) = (load(part, labels=True) for part in ("train", "t10k"))
        for kind in range(n_classes):
            yield X[y == kind][:n_rows], X_test, y_test != kind
        return
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    splits = [(1, seed) for seed in range(5)] if name == "breast_cancer" else [(kind, 0) for kind in np.unique(y)]
    for kind, seed in splits:
        own = np.random.RandomState(seed).permutation(np.flatnonzero(y == kind))
        trained, left = np.split(own, [2 * len(own) // 3])
        tested = np.concatenate([left, np.flatnonzero(y != kind)])
        yield X[trained], X[tested], y[tested] != kind


def outliers_in_plane(train, own):
    """Return outliers in the plane of PCA's components, which a linear map reconstructs exactly."""
    plane = OfPCA().fit(train).pca
    return plane.inverse_transform(4 * plane.transform(own))


def main():
    """Print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="*", default=["breast_cancer", "wine", "digits", "fashion"])
    parser.add_argument("--classes", type=int, default=10, help="number of classes of Fashion-MNIST")
    parser.add_argument("--rows", type=int, default=6000, help="training samples per class of Fashion-MNIST")
    installed = [name for name in DETECTORS if importlib.util.find_spec("pyod") or "PyOD" not in name]
    parser.add_argument("--detectors", nargs="*", default=installed)
    args = parser.parse_args()
    names = args.detectors
    far = {name: [] for name in names if name in list(DETECTORS)[:2]}
    print("mean ROC AUC (seconds per fit)")
    for data in args.data:
        figures = {name: [] for name in names}
        for train, test, is_outlier in tasks(data, args.classes, args.rows):
            own = test[~is_outlier]
            with_outliers = np.concatenate([own, outliers_in_plane(train, own)])
            for name in names:
                start = time.perf_counter()
                fitted = DETECTORS[name]().fit(train)
                seconds = time.perf_counter() - start
                figures[name].append((roc_auc_score(is_outlier, -fitted.score_samples(test)), seconds))
                if name in far:
                    is_outlier_in_plane = np.repeat([0, 1], len(own))
                    far[name].append(roc_auc_score(is_outlier_in_plane, -fitted.score_samples(with_outliers)))
        print(f"{data}, {len(figures[names[0]])} tasks")
        for name, of_tasks in figures.items():
            print("  {:28s}{:9.4f} ({:4.1f})".format(name, *np.mean(of_tasks, axis=0)), flush=True)
    print("\noutliers in the plane of PCA's components: mean and minimum ROC AUC")
    for name, areas in far.items():
        print(f"{name:30s}{np.mean(areas):11.4f}{np.min(areas):11.4f}")


if __name__ == "__main__":
    main()
