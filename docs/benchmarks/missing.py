"""Imputation: error of missing values, beside scikit-learn's imputers, and what missing values cost a fit in seconds.

    python docs/benchmarks/missing.py [--data breast_cancer ...] [--shares .1 .3 .5] [--seeds 0 1 2] [--sizes 2 8]
    python docs/benchmarks/missing.py --classify [--data digits breast_cancer wine] [--seeds 0 1 2] [--sizes 2 4 8]
    python docs/benchmarks/missing.py --seconds

Cells are missing at random, or in blocks: a run of columns, the last beside the first, in some of the samples. The
error is the root mean square, in standard deviations of the column; of images in one standard deviation of all pixels.
Each imputer is fitted to the samples that it fills: KNNImputer and IterativeImputer to standardized columns, ours with
default parameters, of tables with `scale="standard"`. Of Fashion-MNIST there are 2,000 samples, and IterativeImputer
looks at 20 features, five times.

With `--classify` it is the accuracy of LogisticRegression on standardized codes of samples of which 30 % of the cells
are missing at random, in five folds: of an autoencoder, and of PCA of the same size of samples that an imputer has
filled. All are fitted to the training part of a fold.
"""

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder

TABLES = {"breast_cancer": load_breast_cancer, "wine": load_wine, "diabetes": load_diabetes, "digits": load_digits}
CLASSIFIED = "breast_cancer", "wine", "digits"
IMAGES = "digits", "fashion"
PATTERNS = "random", "blocks"


def rows_of(name):
    """Rows without constant columns."""
    if name == "fashion":
        from _fashion_mnist import load

        X = load("train")[:2000].astype(np.float64)
    else:
        X = TABLES[name]().data
    return X[:, X.std(axis=0) > 0]


def holes_of(shape, share, pattern, seed):
    """Which cells are missing; each column keeps two at least."""
    rng = np.random.RandomState(seed)
    n, d = shape
    if pattern == "random":
        missing = rng.rand(n, d) < share
    else:
        some = rng.rand(n) < min(1, 2 * share)
        length = round(share / min(1, 2 * share) * d)
        start = rng.randint(d, size=n)
        missing = some[:, None] & ((np.arange(d) - start[:, None]) % d < length)
    missing[:2] = False
    return missing


def imputers(name, d, sizes):
    """Unfitted ones by name."""
    iterative = {"random_state": 0, **({"n_nearest_features": 20, "max_iter": 5} if d > 64 else {})}
    scale = "global" if name in IMAGES else "standard"
    ours = {f"ours, {k}": Autoencoder(k, scale=scale, random_state=0) for k in sizes if k < d}
    return {
        "mean": SimpleImputer(),
        "KNN": KNNImputer(),
        "iterative": IterativeImputer(**iterative),
        **ours,
    }


def filled(imputer, X):
    """What an imputer makes of samples with missing values."""
    if isinstance(imputer, Autoencoder):
        return imputer.fit(X).impute(X)
    scaler = StandardScaler().fit(X)
    return scaler.inverse_transform(imputer.fit_transform(scaler.transform(X)))


def compare(names, shares, seeds, sizes):
    """Print the errors, and in how many combinations ours are the least."""
    won = {}
    for name in names:
        X = rows_of(name)
        unit = X.std() if name in IMAGES else X.std(axis=0)
        for pattern in PATTERNS:
            for share in shares:
                errors, seconds = {}, {}
                for seed in seeds:
                    missing = holes_of(X.shape, share, pattern, seed)
                    holes = np.where(missing, np.nan, X)
                    for which, imputer in imputers(name, X.shape[1], sizes).items():
                        start = time.process_time()
                        with warnings.catch_warnings():
                            warnings.simplefilter("ignore")
                            off = ((filled(imputer, holes) - X) / unit)[missing]
                        errors.setdefault(which, []).append(np.sqrt(np.square(off).mean()))
                        seconds.setdefault(which, []).append(time.process_time() - start)
                mean = {which: np.mean(each) for which, each in errors.items()}
                print(
                    f"{name:14s}{pattern:7s}{share:4.0%}  ",
                    "  ".join(f"{which} {mean[which]:.3f} ({np.mean(seconds[which]):.1f} s)" for which in mean),
                    flush=True,
                )
                rival = min(mean["KNN"], mean["iterative"])
                for which in mean:
                    if which.startswith("ours"):
                        won.setdefault(which, []).append((mean[which] < rival, mean[which] < mean["mean"]))
    for which, each in won.items():
        below, below_mean = np.sum(each, axis=0)
        print(f"{which}: below both in {below} of {len(each)}, below the mean in {below_mean}")


def classify(names, seeds, sizes):
    """Print the accuracy on codes of incomplete samples by code size, and ours less the best of the others."""
    for name in names:
        X, y = TABLES[name](return_X_y=True)
        X = X[:, X.std(axis=0) > 0]
        for k in sizes:
            scores = {}
            for seed in seeds:
                holes = np.where(holes_of(X.shape, 0.3, "random", seed), np.nan, X)
                folds = StratifiedKFold(5, shuffle=True, random_state=seed)
                for which, encoder in encoders(name, X.shape[1], k, seed).items():
                    pipe = make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=1000))
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        scores.setdefault(which, []).append(cross_val_score(pipe, holes, y, cv=folds).mean())
            mean = {which: np.mean(each) for which, each in scores.items()}
            best = max(value for which, value in mean.items() if which != "ours")
            line = "  ".join(f"{which} {value:.3f}" for which, value in mean.items())
            print(f"{name:14s} k={k}  {line}  ours less the best {mean['ours'] - best:+.3f}", flush=True)


def encoders(name, d, k, seed):
    """Unfitted ones by name: of samples with missing values to k numbers."""
    scale = "global" if name in IMAGES else "standard"
    found = {"ours": Autoencoder(k, scale=scale, random_state=seed)}
    before = [] if name in IMAGES else [StandardScaler()]
    for which, imputer in imputers(name, d, []).items():
        found[which] = make_pipeline(*before, imputer, PCA(k, random_state=0))
    return found


def measure_seconds():
    """Print the seconds of a default fit of 20,000 images, whole and with 30 % of the cells missing."""
    from _fashion_mnist import load

    X = load("train")[:20_000].astype(np.float32)
    holes = np.where(holes_of(X.shape, 0.3, "random", 0), np.nan, X).astype(np.float32)
    found = {}
    for which, table in {"whole": X, "incomplete": holes}.items():
        start = time.process_time()
        fitted = Autoencoder(32, random_state=0).fit(table)
        found[which] = time.process_time() - start
        print(f"{which}: {found[which]:.1f} CPU seconds, {fitted.n_iter_} epochs, R² {fitted.score(X):.4f}", flush=True)
    print(f"ratio {found['incomplete'] / found['whole']:.2f}")


def main():
    """Print the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[*TABLES, "fashion"], choices=[*TABLES, "fashion"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.3, 0.5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sizes", nargs="+", type=int, default=[2, 8], help="of the code")
    parser.add_argument("--classify", action="store_true", help="print accuracies on codes instead")
    parser.add_argument("--seconds", action="store_true", help="print what missing values cost instead")
    options = parser.parse_args()
    if options.seconds:
        measure_seconds()
    elif options.classify:
        classify([name for name in options.data if name in CLASSIFIED], options.seeds, options.sizes)
    else:
        compare(options.data, options.shares, options.seeds, options.sizes)


if __name__ == "__main__":
    main()
