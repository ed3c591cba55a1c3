"""Outlier detection with missing values: ROC AUC and false alarms of the detector, and of baselines after imputation.

    python docs/benchmarks/missing_outliers.py [--shares 0 .1 .3] [--seeds 0 1 2] [--where both new]

In breast_cancer benign samples are inliers; in digits each class in turn. Half of the inliers are training samples; the
others are scored together with all other samples. Values are missing at random, in all samples or in new ones only.
IsolationForest is applied after imputation by medians. PCA of 8 components, with the squared error as score, is applied
after imputation by means.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector

DATA = {"breast_cancer": (load_breast_cancer, [1]), "digits": (load_digits, range(10))}
MIN_SCORE = -1e9  # for samples without any observed value, whose score is minus infinity


def scores_of(name, train, new, seed):
    """Yield (method, scores of new samples); negative scores are detected outliers."""
    inner = Autoencoder(8, random_state=seed)
    inner = make_pipeline(StandardScaler(), inner) if name == "breast_cancer" else inner
    ours = AutoencoderOutlierDetector(inner, random_state=seed).fit(train)
    yield "skae", ours.decision_function(new)
    forest = make_pipeline(SimpleImputer(strategy="median"), IsolationForest(random_state=seed)).fit(train)
    yield "IsolationForest", forest.decision_function(new)
    steps = [SimpleImputer(keep_empty_features=True)] + [StandardScaler()] * (name == "breast_cancer")
    before = make_pipeline(*steps).fit(train)
    pca, rows = PCA(8).fit(before.transform(train)), before.transform(new)
    yield "PCA", -np.square(pca.inverse_transform(pca.transform(rows)) - rows).sum(axis=1)


def compare(shares, seeds, places):
    """Print mean AUC of each method, and the fraction of new inliers that are false alarms."""
    for name, (load, classes) in DATA.items():
        X, y = load(return_X_y=True)
        for where in places:
            for share in shares:
                found, alarms = {}, {}
                for seed in seeds:
                    for typical in classes:
                        rng = np.random.RandomState(seed)
                        mine = rng.permutation(np.flatnonzero(y == typical))
                        train, rest = X[mine[: len(mine) // 2]], mine[len(mine) // 2 :]
                        new = np.vstack([X[rest], X[y != typical]])
                        is_outlier = np.ones(len(new), dtype=bool)
                        is_outlier[: len(rest)] = False
                        incomplete = [np.where(rng.rand(*some.shape) < share, np.nan, some) for some in (train, new)]
                        if where == "new":
                            incomplete[0] = train
                        for method, scores in scores_of(name, *incomplete, seed):
                            found.setdefault(method, []).append(
                                roc_auc_score(is_outlier, -np.maximum(scores, MIN_SCORE))
                            )
                            alarms.setdefault(method, []).append((scores[~is_outlier] < 0).mean())
                of_each = "  ".join(f"{method} {np.mean(each):.3f}" for method, each in found.items())
                rates = "  ".join(f"{method} {np.mean(alarms[method]):.3f}" for method in ("skae", "IsolationForest"))
                print(f"{name:14s}{where:5s}{share:4.0%}  AUC  {of_each}   false alarms  {rates}", flush=True)


def main():
    """Print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", nargs="+", type=float, default=[0, 0.1, 0.3])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--where", nargs="+", default=["both", "new"], choices=["both", "new"])
    options = parser.parse_args()
    compare(options.shares, options.seeds, options.where)


if __name__ == "__main__":
    main()
