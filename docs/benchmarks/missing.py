"""Compare the imputation of missing values with scikit-learn's imputers, and time a fit to incomplete samples.

    python docs/benchmarks/missing.py [--data breast_cancer ...] [--fractions .1 .3 .5] [--seeds 0 1 2] [--sizes 2 8]
    python docs/benchmarks/missing.py --miwae [--seeds 0 1 2] [--sizes 2 4 6 8 10]
    python docs/benchmarks/missing.py --classify [--data digits breast_cancer wine] [--seeds 0 1 2] [--sizes 2 4 8]
    python docs/benchmarks/missing.py --seconds

Values are missing at random, or in blocks: in some samples a run of adjacent columns, where the last column is followed
by the first. The error is the root mean square in standard deviations of the column; for images, in one standard
deviation of all pixels. Each imputer is fitted to the samples that it imputes: KNNImputer and IterativeImputer to
standardized columns, Autoencoder with default parameters, and with `scale="standard"` for tables. Fashion-MNIST has
2,000 samples here, and IterativeImputer uses 20 features and five iterations.

With `--miwae` the protocol is that of MIWAE (Mattei and Frellsen, 2019) for breast_cancer: columns are standardized,
half of the values are missing at random, and the error is the mean squared error of the missing values.

With `--classify` the script prints the accuracy of LogisticRegression on standardized codes in five folds, with 30 % of
the values missing at random: codes of an autoencoder, and of PCA of the same size after an imputer. All are fitted to
the training part of a fold.
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


def samples_of(name):
    """Return the samples of a data set without constant columns: (n, d)."""
    if name == "fashion":
        from _fashion_mnist import load

        X = load("train")[:2000].astype(np.float64)
    else:
        X = TABLES[name]().data
    return X[:, X.std(axis=0) > 0]


def missing_mask(shape, fraction, pattern, seed):
    """Return which values are missing; each column keeps at least two: (n, d)."""
    rng = np.random.RandomState(seed)
    n, d = shape
    if pattern == "random":
        missing = rng.rand(n, d) < fraction
    else:
        some = rng.rand(n) < min(1, 2 * fraction)
        length = round(fraction / min(1, 2 * fraction) * d)
        start = rng.randint(d, size=n)
        missing = some[:, None] & ((np.arange(d) - start[:, None]) % d < length)
    missing[:2] = False
    return missing


def imputers(name, d, sizes):
    """Return unfitted imputers by name."""
    iterative = {"random_state": 0, **({"n_nearest_features": 20, "max_iter": 5} if d > 64 else {})}
    scale = "global" if name in IMAGES else "standard"
    ours = {f"ours, {k}": Autoencoder(k, scale=scale, random_state=0) for k in sizes if k < d}
    return {
        "mean": SimpleImputer(),
        "KNN": KNNImputer(),
        "iterative": IterativeImputer(**iterative),
        **ours,
    }


def impute(imputer, X):
    """Fit an imputer to samples with missing values, and return them imputed."""
    if isinstance(imputer, Autoencoder):
        return imputer.fit(X).impute(X)
    scaler = StandardScaler().fit(X)
    return scaler.inverse_transform(imputer.fit_transform(scaler.transform(X)))


def compare(names, fractions, seeds, sizes):
    """Print the errors, and in how many combinations the autoencoder has the smallest."""
    won = {}
    for name in names:
        X = samples_of(name)
        unit = X.std() if name in IMAGES else X.std(axis=0)
        for pattern in PATTERNS:
            for fraction in fractions:
                errors, seconds = {}, {}
                for seed in seeds:
                    missing = missing_mask(X.shape, fraction, pattern, seed)
                    incomplete = np.where(missing, np.nan, X)
                    for which, imputer in imputers(name, X.shape[1], sizes).items():
                        start = time.process_time()
                        with warnings.catch_warnings():
                            warnings.simplefilter("ignore")
                            off = ((impute(imputer, incomplete) - X) / unit)[missing]
                        errors.setdefault(which, []).append(np.sqrt(np.square(off).mean()))
                        seconds.setdefault(which, []).append(time.process_time() - start)
                mean = {which: np.mean(each) for which, each in errors.items()}
                print(
                    f"{name:14s}{pattern:7s}{fraction:4.0%}  ",
                    "  ".join(f"{which} {mean[which]:.3f} ({np.mean(seconds[which]):.1f} s)" for which in mean),
                    flush=True,
                )
                best = min(mean["KNN"], mean["iterative"])
                for which in mean:
                    if which.startswith("ours"):
                        won.setdefault(which, []).append((mean[which] < best, mean[which] < mean["mean"]))
    for which, each in won.items():
        below, below_mean = np.sum(each, axis=0)
        print(f"{which}: below both in {below} of {len(each)}, below the mean in {below_mean}")


def compare_with_miwae(seeds, sizes):
    """Print the mean squared error of the missing half of breast_cancer, by imputer."""
    X = StandardScaler().fit_transform(samples_of("breast_cancer"))
    errors = {}
    for seed in seeds:
        missing = np.random.RandomState(seed).rand(*X.shape) < 0.5
        incomplete = np.where(missing, np.nan, X)
        for which, imputer in imputers("breast_cancer", X.shape[1], sizes).items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                off = (impute(imputer, incomplete) - X)[missing]
            errors.setdefault(which, []).append(np.square(off).mean())
    for which, each in errors.items():
        print(f"{which:12s} {np.mean(each):.3f} (seeds {' '.join(format(error, '.3f') for error in each)})")
    print("MIWAE        0.287 (published)")


def classify(names, seeds, sizes):
    """Print the accuracy on codes of incomplete samples by code size, and its difference from the best baseline."""
    for name in names:
        X, y = TABLES[name](return_X_y=True)
        X = X[:, X.std(axis=0) > 0]
        for k in sizes:
            scores = {}
            for seed in seeds:
                incomplete = np.where(missing_mask(X.shape, 0.3, "random", seed), np.nan, X)
                folds = StratifiedKFold(5, shuffle=True, random_state=seed)
                for which, encoder in encoders(name, X.shape[1], k, seed).items():
                    pipe = make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=1000))
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        scores.setdefault(which, []).append(cross_val_score(pipe, incomplete, y, cv=folds).mean())
            mean = {which: np.mean(each) for which, each in scores.items()}
            best = max(value for which, value in mean.items() if which != "ours")
            line = "  ".join(f"{which} {value:.3f}" for which, value in mean.items())
            print(f"{name:14s} k={k}  {line}  ours less the best {mean['ours'] - best:+.3f}", flush=True)


def encoders(name, d, k, seed):
    """Return unfitted transformers of samples with missing values to k numbers, by name."""
    scale = "global" if name in IMAGES else "standard"
    found = {"ours": Autoencoder(k, scale=scale, random_state=seed)}
    before = [] if name in IMAGES else [StandardScaler()]
    for which, imputer in imputers(name, d, []).items():
        found[which] = make_pipeline(*before, imputer, PCA(k, random_state=0))
    return found


def measure_seconds():
    """Print the seconds of a default fit to 20,000 images, complete and with 30 % of the values missing."""
    from _fashion_mnist import load

    X = load("train")[:20_000].astype(np.float32)
    incomplete = np.where(missing_mask(X.shape, 0.3, "random", 0), np.nan, X).astype(np.float32)
    found = {}
    for which, table in {"complete": X, "incomplete": incomplete}.items():
        start = time.process_time()
        fitted = Autoencoder(32, random_state=0).fit(table)
        found[which] = time.process_time() - start
        print(f"{which}: {found[which]:.1f} CPU seconds, {fitted.n_iter_} epochs, R² {fitted.score(X):.4f}", flush=True)
    print(f"ratio {found['incomplete'] / found['complete']:.2f}")


def main():
    """Print one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[*TABLES, "fashion"], choices=[*TABLES, "fashion"])
    parser.add_argument("--fractions", nargs="+", type=float, default=[0.1, 0.3, 0.5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--sizes", nargs="+", type=int, help="of the code; 2 8, with --miwae 2 4 6 8 10"
    )
    parser.add_argument("--miwae", action="store_true", help="print errors in MIWAE's protocol instead")
    parser.add_argument("--classify", action="store_true", help="print accuracies on codes instead")
    parser.add_argument("--seconds", action="store_true", help="print what missing values cost instead")
    options = parser.parse_args()
    if options.seconds:
        measure_seconds()
    elif options.miwae:
        compare_with_miwae(options.seeds, options.sizes or [2, 4, 6, 8, 10])
    elif options.classify:
        classify([name for name in options.data if name in CLASSIFIED], options.seeds, options.sizes or [2, 8])
    else:
        compare(options.data, options.fractions, options.seeds, options.sizes or [2, 8])


if __name__ == "__main__":
    main()
