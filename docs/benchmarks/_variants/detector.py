"""Area under the ROC curve of AutoencoderOutlierDetector and of usual detectors, all with default parameters.

Each set of `_detector_sets.py` is used three times: fitted to inliers only, and to samples of which 5 and 10 % are
outliers. Other samples are scored. The last lines are the mean and the minimum over sets, and the mean for each
fraction of outliers. The other detectors are the reconstruction error of PCA with the same number of components as the
detector (eight, or half the number of features), IsolationForest, LocalOutlierFactor, the distance to the fifth
neighbor and, if PyOD is installed, its AutoEncoder and ECOD. PCA, LocalOutlierFactor and the neighbor distance are also
applied to standardized features. All detectors get the same data.
"""

import importlib.util
import json
import os
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector

from ._detector_sets import SETS, split

SHARES = 0.0, 0.05, 0.1
OURS = "AutoencoderOutlierDetector"


class OfPCA:
    """Minus the squared error of PCA's reconstruction."""

    def fit(self, X):
        """Fit PCA."""
        self.pca = PCA(max(1, min(8, X.shape[1] // 2)), random_state=0).fit(X)
        return self

    def score_samples(self, X):
        """Return scores; lower is more anomalous."""
        return -np.square(X - self.pca.inverse_transform(self.pca.transform(X))).sum(axis=1)


class OfNeighbors:
    """Minus the distance to the fifth neighbor."""

    def fit(self, X):
        """Store the samples."""
        self.neighbors = NearestNeighbors(n_neighbors=5).fit(X)
        return self

    def score_samples(self, X):
        """Return scores; lower is more anomalous."""
        return -self.neighbors.kneighbors(X)[0][:, -1]


class OfPyOD:
    """A detector of PyOD, whose scores are higher for anomalous samples."""

    def __init__(self, make):
        self.make = make

    def fit(self, X):
        """Fit to non-constant features: PyOD's scaling would divide by zero for others."""
        self.varies = X.std(axis=0) > 0
        self.fitted = self.make().fit(X[:, self.varies])
        return self

    def score_samples(self, X):
        """Return scores; lower is more anomalous."""
        return -self.fitted.decision_function(X[:, self.varies])


def _pyod_autoencoder():
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(random_state=0, verbose=0)


def _ecod():
    from pyod.models.ecod import ECOD

    return ECOD()


class _Standardized:
    """A detector fitted to standardized features."""

    def __init__(self, make):
        self.make = make

    def fit(self, X):
        """Fit to standardized samples."""
        self.scaler = StandardScaler().fit(X)
        self.fitted = self.make().fit(self.scaler.transform(X))
        return self

    def score_samples(self, X):
        """Return scores; lower is more anomalous."""
        return self.fitted.score_samples(self.scaler.transform(X))


def _lof():
    return LocalOutlierFactor(novelty=True)


DETECTORS = {
    OURS: lambda: AutoencoderOutlierDetector(random_state=0),
    "PCA's error": OfPCA,
    "PCA's, standardized": lambda: _Standardized(OfPCA),
    "IsolationForest": lambda: IsolationForest(random_state=0),
    "LOF": _lof,
    "LOF, standardized": lambda: _Standardized(_lof),
    "kNN": OfNeighbors,
    "kNN, standardized": lambda: _Standardized(OfNeighbors),
    "PyOD AutoEncoder": lambda: OfPyOD(_pyod_autoencoder),
    "PyOD ECOD": lambda: OfPyOD(_ecod),
}


def areas(name, seed, known):
    """Return the area for each set and fraction, (n_sets, n_shares), and the seconds of all fits.

    Parameters
    ----------
    name : str
        Name of the detector.

    seed : int

    known : dict
        Areas of earlier runs by detector, set, fraction and seed, which are not computed again; new ones are added.
    """
    found, seconds = np.empty((len(SETS), len(SHARES))), 0.0
    for i, make in enumerate(SETS):
        for j, share in enumerate(SHARES):
            key = f"{name}|{make.__name__}|{share}|{seed}"
            if key not in known:
                X, scored, is_outlier = split(make(np.random.default_rng(seed)), share, np.random.default_rng(seed))
                start = time.perf_counter()
                fitted = DETECTORS[name]().fit(X)
                seconds += time.perf_counter() - start
                known[key] = roc_auc_score(is_outlier, -fitted.score_samples(scored))
            found[i, j] = known[key]
    return found, seconds


def main(seeds):
    """Print a table of sets, and one of fractions.

    If the environment variable DETECTOR_AREAS is set, the areas of other detectors are cached in the file that it
    names, so that PyOD, which may need another environment, has to run only once.
    """
    path = Path(os.environ.get("DETECTOR_AREAS", os.devnull))
    known = json.loads(path.read_text()) if path.is_file() else {}
    names, table = [], []
    for name in DETECTORS:
        is_cached = f"{name}|{SETS[-1].__name__}|{SHARES[-1]}|{seeds[-1]}" in known
        if name.startswith("PyOD") and not is_cached and not importlib.util.find_spec("pyod"):
            print(f"{name} is skipped: PyOD is not installed")
            continue
        of_name = {} if name == OURS else known
        of_seeds, seconds = zip(*(areas(name, seed, of_name) for seed in seeds), strict=True)
        print(f"  {name}: {sum(seconds):.0f} s of fits", flush=True)
        names.append(name)
        table.append(np.mean(of_seeds, axis=0))
        if os.environ.get("DETECTOR_AREAS"):
            path.write_text(json.dumps(known, indent=0))
    _print(names, np.array(table))


def _print(names, table):
    """Print areas of shape (n_detectors, n_sets, n_shares)."""
    letters = "abcdefghijklmn"[: len(names)]
    for letter, name in zip(letters, names, strict=True):
        print(f"  {letter}: {name}")
    head = "".join(f"{letter:>7s}" for letter in letters)
    print(f"mean ROC AUC over 0, 5 and 10 % of outliers\n{'':28s}{head}")
    of_sets = table.mean(axis=2)
    lines = [(make.__name__, row) for make, row in zip(SETS, of_sets.T, strict=True)]
    lines += [("mean", of_sets.mean(axis=1)), ("worst set", of_sets.min(axis=1))]
    lines += [("worst set and fraction", table.min(axis=(1, 2)))]
    lines += [(f"mean, {share:.0%} outliers", table[:, :, j].mean(axis=1)) for j, share in enumerate(SHARES)]
    for name, row in lines:
        print(f"{name:28s}" + "".join(f"{value:7.3f}" for value in row))
