"""Low-dimensional manifolds: test R² of Autoencoder by default and of a hand-written network trained for the same time.

    python docs/benchmarks/manifolds.py [baseline] [max_iter] [--sets NAME ...] [--sizes N ...] [--seeds S ...]

baseline: each set with 300, 3,000 and 10,000 samples, compared with `_practitioner.Plain` of 128 and 64 units, batches
  of 32, which is trained at each of three learning rates for as long as the default fit took, with a tenth of the
  samples as validation set.
max_iter: 10, 25, 50, 100, 200 and 400 epochs, for 3,000 samples and for scikit-learn's tables.

A set is a curve or a surface, embedded in up to 50 dimensions by a random rotation, with noise of 2 % of its standard
deviation. The number of components is its dimension. R² is that of 3,000 new samples.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from _measure import r2
from _practitioner import Plain, train
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skae import Autoencoder

EPOCHS = (10, 25, 50, 100, 200, 400)
N_NEW = 3000
TABLES = {"iris": 2, "wine": 2, "diabetes": 4, "breast_cancer": 4, "digits": 8}


def circle(t):
    """Map coordinates in [0, 1] to points of a circle: (n, k) -> (n, d), as do the functions below."""
    return np.column_stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)])


def sphere(t):
    """Map two coordinates to a sphere in three dimensions."""
    height, around = 2 * t[:, :1] - 1, circle(t[:, 1:2])
    return np.hstack([height, np.sqrt(1 - height**2) * around])


def four_sphere(t):
    """Map three coordinates to a sphere in four dimensions, by Hopf coordinates."""
    return np.hstack([np.sqrt(t[:, :1]) * circle(t[:, 1:2]), np.sqrt(1 - t[:, :1]) * circle(t[:, 2:3])])


def roll(t):
    """Map two coordinates to the Swiss roll, as in scikit-learn."""
    angle = 1.5 * np.pi * (1 + 2 * t[:, :1])
    return np.hstack([angle * np.cos(angle), 21 * t[:, 1:2], angle * np.sin(angle)])


def s_curve(t):
    """Map two coordinates to the S-curve, as in scikit-learn."""
    angle = 3 * np.pi * (t[:, :1] - 0.5)
    return np.hstack([np.sin(angle), 2 * t[:, 1:2], np.sign(angle) * (np.cos(angle) - 1)])


def helix(t):
    """Map a coordinate to a helix of three turns."""
    return np.hstack([circle(3 * t), 3 * t])


def moons(t):
    """Map a coordinate to two interleaved half circles."""
    second = t > 0.5
    angle = 2 * np.pi * (t - 0.5 * second)
    return np.hstack(
        [
            np.where(second, 1 - np.cos(angle), np.cos(angle)),
            np.where(second, 0.5, 0) + np.sin(angle) * (1 - 2 * second),
        ]
    )


def torus(t):
    """Map two coordinates to a torus with radii 1 and 1/3."""
    tube, ring = circle(t[:, :1]) / 3, circle(t[:, 1:2])
    return np.hstack([(1 + tube[:, :1]) * ring, tube[:, 1:2]])


def mobius(t):
    """Map two coordinates to a Möbius strip."""
    angle, across = 2 * np.pi * t[:, :1], t[:, 1:2] - 0.5
    return np.hstack([(1 + across * np.cos(angle / 2)) * circle(t[:, :1]), across * np.sin(angle / 2)])


def arm(t):
    """Map three joint angles to the ends of the links of a robot arm."""
    angles = np.cumsum(np.pi * (t - 0.5), axis=1)
    return np.hstack([np.cumsum(np.cos(angles), axis=1), np.cumsum(np.sin(angles), axis=1)])


def sines(t):
    """Map two coordinates to sine waves of different frequencies."""
    rng = np.random.default_rng(7)
    return np.sin(t @ rng.uniform(-6, 6, (2, 30)) + rng.uniform(0, 2 * np.pi, 30))


def harmonics(t):
    """Map a coordinate to a closed curve: a circle and its first harmonics."""
    return np.hstack([circle(j * t) / j for j in (1, 2, 3)])


SETS = {  # function, dimension of the coordinates, dimension of the space
    "circle": (circle, 1, 10),
    "harmonics": (harmonics, 1, 50),
    "helix": (helix, 1, 3),
    "moons": (moons, 1, 10),
    "sphere": (sphere, 2, 50),
    "four_sphere": (four_sphere, 3, 20),
    "roll": (roll, 2, 3),
    "s_curve": (s_curve, 2, 20),
    "torus": (torus, 2, 50),
    "mobius": (mobius, 2, 10),
    "arm": (arm, 3, 20),
    "sines": (sines, 2, 50),
}


def make_set(name, n, seed):
    """Return training samples and new samples, float32, and the dimension of the coordinates."""
    surface, k, d = SETS[name]
    rng = np.random.default_rng(seed)
    X = surface(rng.uniform(size=(n + N_NEW, k)))
    X = X @ np.linalg.qr(rng.standard_normal((d, X.shape[1])))[0].T
    X = (X + 0.02 * X.std(axis=0).max() * rng.standard_normal(X.shape)).astype(np.float32)
    return X[:n], X[n:], k


def fit(X, X_new, k, seed, **params):
    """Return the fitted Autoencoder, test R², seconds, and whether it warned."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        autoencoder = Autoencoder(k, random_state=seed, **params).fit(X)
    seconds = time.perf_counter() - start
    return autoencoder, autoencoder.score(X_new), seconds, "warns" if caught else ""


def hand_written(X, X_new, k, seed, seconds):
    """Return test R² and number of epochs of the hand-written network."""
    mean, scale = X.mean(axis=0), X.std()
    Z, Z_new = (X - mean) / scale, (X_new - mean) / scale
    fold, held_out = train_test_split(Z, test_size=0.1, random_state=seed)
    trained = train(lambda: Plain(X.shape[1], k, (128, 64)), fold, held_out, seconds=seconds, batch_size=32, seed=seed)
    with torch.inference_mode():
        return r2(Z_new, trained.module(torch.as_tensor(Z_new)).numpy()), trained.n_epochs


def compare_with_baseline(name, n, seed):
    """Print the results of one fit, and return the difference of R²."""
    X, X_new, k = make_set(name, n, seed)
    pca = PCA(k).fit(X)
    of_pca = r2(X_new, pca.inverse_transform(pca.transform(X_new)))
    ours, score, seconds, warns = fit(X, X_new, k, seed)
    baseline, n_epochs = hand_written(X, X_new, k, seed, seconds)
    print(
        f"{name:12s} n={n:6d} seed {seed} PCA {of_pca:.4f} skae {score:.4f} (epoch {ours.best_epoch_} of "
        f"{ours.n_iter_}) hand-written {baseline:.4f} ({n_epochs} epochs) {score - baseline:+.4f} "
        f"{seconds:5.2f} s {warns}",
        flush=True,
    )
    return score - baseline


def by_epochs(name, n, seeds):
    """Print mean R² by number of epochs, and return its largest decrease."""
    scores = []
    for seed in seeds:
        if name in TABLES:
            k, X = TABLES[name], getattr(datasets, f"load_{name}")().data
            X, X_new = train_test_split(X, random_state=seed)
        else:
            X, X_new, k = make_set(name, n, seed)
        fits = [fit(X, X_new, k, seed, max_iter=n_epochs) for n_epochs in EPOCHS]
        scores.append([score for _, score, _, _ in fits])
        how = " ".join(f"{each.best_epoch_}/{each.n_iter_}" for each, *_ in fits)
    means = np.mean(scores, axis=0)
    fall = max(0.0, *-np.diff(means))
    print(
        f"{name:14s} {' '.join(f'{mean:.4f}' for mean in means)} largest decrease {fall:.4f}; last seed {how}",
        flush=True,
    )
    return fall


def main():
    """Run the parts that are named, or both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["baseline", "max_iter"])
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--sizes", nargs="*", type=int, default=[300, 3000, 10_000])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    fit(*make_set("circle", 100, 0), 0, max_iter=1)  # warm up lazy imports
    if "baseline" in args.parts:
        cases = [(name, n, seed) for n in args.sizes for name in args.sets for seed in args.seeds]
        ahead = np.array([compare_with_baseline(*case) for case in cases])
        n_below = (ahead < -0.02).sum()
        print(f"{len(cases)} fits: mean {ahead.mean():+.4f}, minimum {ahead.min():+.4f}, below -.02: {n_below}")
    if "max_iter" in args.parts:
        falls = [by_epochs(name, 3000, args.seeds) for name in [*args.sets, *args.tables]]
        print(f"largest decrease {max(falls):.4f}; above .003: {sum(fall > 0.003 for fall in falls)} of {len(falls)}")


if __name__ == "__main__":
    main()
