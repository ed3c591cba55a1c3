"""Leakage into the validation set: R² on new samples minus PCA's, and the cost of detecting dependent samples.

    python docs/benchmarks/validation.py [dependence] [cost] [--n-jobs 2]

dependence: windows of autoregressive series (30 and 50 long, 1 to 10 steps apart, 1 to 5 series, concatenated along
  samples or along features), samples repeated 2 to 10 times, and groups of near-copies, which are passed to `fit` as
  `groups`. 40 tables.
cost: seconds for detecting copies and serial dependence, as a fraction of the whole fit, for 1,000 to 1,000,000
  samples.
"""

import argparse
import time

import numpy as np
from joblib import Parallel, delayed
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import lfilter
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae._data.dependence import copies_of, reach_of_dependence
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics

WINDOWS = [
    *((0.95, 30, 1, 3, "samples", 500), (0.9, 30, 1, 1, "samples", 500), (0.8, 30, 1, 2, "samples", 500)),
    *((0.5, 30, 1, 3, "samples", 500), (0.8, 50, 1, 1, "samples", 500), (0.5, 50, 1, 3, "samples", 500)),
    *((0.95, 50, 1, 5, "samples", 400), (0.9, 50, 1, 3, "samples", 2000), (0.9, 30, 2, 1, "samples", 1000)),
    *((0.8, 50, 2, 3, "samples", 800), (0.95, 50, 3, 2, "samples", 1500), (0.9, 30, 5, 3, "samples", 1500)),
    *((0.8, 50, 5, 5, "samples", 1000), (0.9, 50, 10, 3, "samples", 3000), (0.95, 30, 10, 1, "samples", 3000)),
    *((0.95, 30, 1, 3, "features", 500), (0.8, 30, 1, 3, "features", 500), (0.9, 50, 1, 2, "features", 500)),
    *((0.9, 30, 2, 5, "features", 1000), (0.8, 50, 3, 3, "features", 1500), (0.95, 50, 5, 2, "features", 2000)),
    *((0.9, 30, 10, 3, "features", 3000),),
]
COPIES = [(name, n) for name in ("breast_cancer", "digits", "wine") for n in (2, 5, 10)]
GROUPS = [(name, n) for name in ("breast_cancer", "digits", "wine") for n in (3, 6, 10)]


def series(phi, n_steps, n_series, rng):
    """Return autoregressive series of unit variance, (n_steps, n_series)."""
    noise = rng.standard_normal((n_steps + 500, n_series)) * np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise, axis=0)[500:]


def windows(phi, length, step, n_series, layout, n_steps, rng):
    """Return windows of series as samples."""
    cut = sliding_window_view(series(phi, n_steps, n_series, rng), length, axis=0)[::step]  # (n, n_series, length)
    return cut.reshape(len(cut), -1) if layout == "features" else cut.swapaxes(0, 1).reshape(-1, length)


def table(name, seed):
    """Return at most 400 training samples, and test samples, standardized."""
    train, test = train_test_split(getattr(datasets, f"load_{name}")().data, random_state=seed)
    scaler = StandardScaler().fit(train)
    return scaler.transform(train)[:400], scaler.transform(test)


def tables():
    """Yield (name, training samples, groups or None, new samples)."""
    for i, (phi, length, step, n_series, layout, n_steps) in enumerate(WINDOWS):
        rng = np.random.default_rng(i)
        train = windows(phi, length, step, n_series, layout, n_steps, rng)
        test = windows(phi, length, step, n_series, layout, 3000, rng)
        yield f"windows phi={phi} {length} long step {step} {n_series} series {layout}", train, None, test
    for i, (name, n) in enumerate(COPIES):
        train, test = table(name, i)
        order = np.random.default_rng(i).permutation(n * len(train))
        yield f"copies of {name} x {n}", np.repeat(train, n, axis=0)[order], None, test
    for i, (name, n) in enumerate(GROUPS):
        train, test = table(name, i)
        rng = np.random.default_rng(i)
        order, groups = rng.permutation(n * len(train)), np.repeat(np.arange(len(train)), n)
        train = np.repeat(train, n, axis=0)
        train += 0.05 * rng.standard_normal(train.shape)
        yield f"groups of near-copies of {name} x {n}", train[order], groups[order], test


def run(name, train, groups, test):
    """Fit PCA and Autoencoder, print R² of PCA and the difference, and return the difference."""
    n_components = 5
    pca = PCA(n_components, random_state=0).fit(train)
    of_pca = r2_score(test, pca.inverse_transform(pca.transform(test)), multioutput="variance_weighted")
    start = time.perf_counter()
    ours = Autoencoder(n_components, random_state=0).fit(train, groups=groups)
    seconds = time.perf_counter() - start
    gain = ours.score(test) - of_pca
    how = ours.validation_
    print(
        f"{name:60s} n={len(train):5d} PCA {of_pca:.3f} skae {gain:+.4f} epoch {ours.best_epoch_:2d} {seconds:5.1f} s  "
        f"{how['strategy']} {how['block_size']}/{how['gap']}",
        flush=True,
    )
    return gain


def dependence(n_jobs):
    """Run all tables and print a summary."""
    gains = np.array(Parallel(n_jobs=n_jobs)(delayed(run)(*each) for each in tables()))
    print(
        f"{len(gains)} tables: minimum {gains.min():+.4f}, below -.02: {(gains < -0.02).sum()}, above -.005: "
        f"{(gains > -0.005).mean():.1%}, above +.005: {(gains > 0.005).mean():.1%}"
    )


def cost():
    """Print the cost of detecting dependence."""
    rng = np.random.default_rng(0)
    for n, d in ((1000, 20), (1000, 200), (10_000, 50), (100_000, 50), (1_000_000, 20)):
        X = rng.standard_normal((n, 4)) @ rng.standard_normal((4, d)) + 0.3 * rng.standard_normal((n, d))
        statistics = FeatureStatistics().update(ArrayReader(X))
        rows = ScaledReader(X, statistics.mean, statistics.scale("global"))
        times = []
        for seed in range(5):
            start = time.perf_counter()
            reach_of_dependence(rows, seed)
            copies_of(rows)
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        Autoencoder(2, random_state=0).fit(X)
        fit = time.perf_counter() - start
        look = np.median(times)
        print(f"{n:9,d} x {d:3d}: {1000 * look:7.1f} ms of a fit of {fit:7.2f} s: {look / fit:.2%}", flush=True)


def main():
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["dependence", "cost"])
    parser.add_argument("--n-jobs", type=int, default=1)
    arguments = parser.parse_args()
    if "dependence" in arguments.parts:
        dependence(arguments.n_jobs)
    if "cost" in arguments.parts:
        cost()


if __name__ == "__main__":
    main()
