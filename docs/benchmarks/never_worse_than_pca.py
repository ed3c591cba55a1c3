"""Whether Autoencoder is ever worse than PCA on small data: test R² of both in 120 experiments, default parameters.

    python docs/benchmarks/never_worse_than_pca.py [--n-jobs 2]

An experiment is a scikit-learn data set, raw or standardized, a number of components and a split (a quarter is the test
set).
"""

import argparse
import time

import numpy as np
from joblib import Parallel, delayed
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder

NAMES = ("digits", "breast_cancer", "wine", "diabetes", "iris")
DATA = {name: getattr(datasets, f"load_{name}")().data for name in NAMES}


def experiments():
    """Yield (name, standardized, n_components, split)."""
    for name, X in DATA.items():
        for standardized in (False, True):
            for k in (1, 2, 5, 8, 16):
                if k < X.shape[1]:
                    for split in range(3):
                        yield name, standardized, k, split


def run(name, standardized, k, split):
    """Return test R² of PCA and of Autoencoder, and the seconds of the latter's fit."""
    train, test = train_test_split(DATA[name], random_state=split)
    if standardized:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    pca = PCA(k, random_state=split).fit(train)
    of_pca = r2_score(test, pca.inverse_transform(pca.transform(test)), multioutput="variance_weighted")
    start = time.perf_counter()
    autoencoder = Autoencoder(k, random_state=split).fit(train)
    seconds = time.perf_counter() - start
    return of_pca, autoencoder.score(test), seconds


def main():
    """Print a line for each data set and the summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-jobs", type=int, default=1)
    n_jobs = parser.parse_args().n_jobs
    keys = list(experiments())
    results = np.array(Parallel(n_jobs=n_jobs)(delayed(run)(*key) for key in keys))
    of_pca, ours, seconds = results.T
    gain = ours - of_pca
    print(f"{'data':24s} {'fits':>5s} {'PCA R²':>8s} {'minimum gain':>13s} {'mean gain':>10s} {'longest fit':>12s}")
    for name in DATA:
        for standardized in (False, True):
            chosen = np.array([key[0] == name and key[1] == standardized for key in keys])
            label = name + (", standardized" if standardized else "")
            print(
                f"{label:24s} {chosen.sum():5d} {of_pca[chosen].mean():8.3f} {gain[chosen].min():+13.4f} "
                f"{gain[chosen].mean():+10.4f} {seconds[chosen].max():10.1f} s"
            )
    room = of_pca < 0.99
    worst = keys[int(gain.argmin())]
    print(f"minimum gain {gain.min():+.4f} {worst}; below -0.002: {(gain < -0.002).sum()} of {len(gain)}")
    print(
        f"better by 0.001 or more where PCA is below .99: {(gain[room] >= 0.001).mean():.1%} of {room.sum()}; "
        f"mean gain {gain.mean():+.4f}; longest fit on digits {seconds[[k[0] == 'digits' for k in keys]].max():.1f} s"
    )


if __name__ == "__main__":
    main()
