"""Tables of numbers and categories: compare TabularAutoencoder with PCA of one-hot columns and with imputers.

    python docs/benchmarks/mixed.py [--tables wine ...] [--sizes 2 4] [--seeds 0 1 2]
    python docs/benchmarks/mixed.py --impute

The error of numbers is the mean squared error in units of each column's variance; that of categories is the fraction of
values whose most likely category is wrong. Three quarters of the samples are training samples. "FAMD" is factor
analysis of mixed data: PCA of standardized numbers, and of indicators divided by the root of their mean.

With `--impute`, a fifth of the values is missing at random, and errors are those of these values. scikit-learn's
imputers are applied to standardized numbers and one-hot columns, and the category is the column with the largest value.
"""

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import TabularAutoencoder


def with_categories(bunch, every=3, most=5):
    """Return a scikit-learn data set with every third column cut into quintiles, and the target as a category."""
    X = pd.DataFrame(bunch.data, columns=[str(name) for name in bunch.feature_names])
    X = X.loc[:, X.std() > 0.1 * X.std().median()]
    for name in X.columns[::every]:
        X[name] = pd.qcut(X[name], most, duplicates="drop").astype(str).astype("category")
    X = X.loc[:, X.nunique() > 1]
    return X.assign(target=pd.Categorical(bunch.target)) if hasattr(bunch, "target_names") else X


def customers(n=2000, seed=0):
    """Return a synthetic table: numbers, categories and booleans that depend on three latent variables."""
    rng = np.random.default_rng(seed)
    age, wealth, taste = rng.uniform(-1, 1, (3, n))
    noise = rng.normal(size=(n, 6))
    cut = np.digitize
    return pd.DataFrame(
        {
            "age": np.round(45 + 30 * age + 2 * noise[:, 0]),
            "income": np.exp(10 + wealth + 0.5 * age + 0.1 * noise[:, 1]),
            "spent": np.exp(5 + 1.5 * wealth * (taste > 0) + 0.2 * noise[:, 2]),
            "visits": rng.poisson(np.exp(1.5 + taste)),
            "region": np.array(["north", "east", "south", "west"])[cut(taste + 0.1 * noise[:, 3], [-0.5, 0, 0.5])],
            "tariff": np.array(["basic", "plus", "family", "senior"])[2 * (age > 0) + (wealth * age > 0)],
            "member": taste * wealth + 0.1 * noise[:, 4] > 0,
            "channel": np.array(["shop", "web", "phone"])[cut(age + 0.2 * noise[:, 5], [-0.3, 0.5])],
        }
    )


def circle(n=1000, seed=0):
    """Return points of a circle, described by two numbers and their sector."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    x, y = np.cos(angle), np.sin(angle)
    return pd.DataFrame(
        {
            "x": x + 0.05 * rng.normal(size=n),
            "y": y + 0.05 * rng.normal(size=n),
            "sector": np.array(list("ABCDEFGH"))[(angle / (2 * np.pi) * 8).astype(int)],
            "upper": y > 0,
        }
    )


TABLES = {
    "breast_cancer": lambda: with_categories(load_breast_cancer()),
    "wine": lambda: with_categories(load_wine()),
    "diabetes": lambda: with_categories(load_diabetes()),
    "digits": lambda: with_categories(load_digits()),
    "customers": customers,
    "circle": circle,
}


SHARE_MISSING = 0.2
IMPUTERS = {"mean": SimpleImputer, "KNNImputer": KNNImputer, "IterativeImputer": IterativeImputer}


class EncodedPCA:
    """PCA of encoded columns, scaled to unit variance or as in factor analysis of mixed data."""

    def __init__(self, k, kind):
        self.k, self.kind = k, kind

    def fit(self, X):
        """Fit the scalers and PCA."""
        self.numbers, self.others = kinds_of(X)
        self.scaler = StandardScaler().fit(X[self.numbers])
        self.encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(X[self.others].astype(str))
        shares = self.encoder.transform(X[self.others].astype(str))
        self.mean = shares.mean(axis=0)
        self.unit = np.sqrt(self.mean) if self.kind == "FAMD" else shares.std(axis=0)
        self.pca = PCA(self.k).fit(self._encoded(X))
        return self

    def _encoded(self, X):
        shares = self.encoder.transform(X[self.others].astype(str))
        return np.hstack([self.scaler.transform(X[self.numbers]), (shares - self.mean) / self.unit])

    def reconstruct(self, X):
        """Return reconstructions of samples."""
        Z = self.pca.inverse_transform(self.pca.transform(self._encoded(X)))
        n, made = len(self.numbers), {}
        made |= dict(zip(self.numbers, self.scaler.inverse_transform(Z[:, :n]).T, strict=True))
        shares = Z[:, n:] * self.unit + self.mean
        for name, values in zip(self.others, self.encoder.categories_, strict=True):
            block, shares = shares[:, : len(values)], shares[:, len(values) :]
            made[name] = values[block.argmax(axis=1)]
        return pd.DataFrame(made)


def kinds_of(X):
    """Return the names of numeric columns, and of the others."""
    numbers = list(X.select_dtypes("number").columns)
    return numbers, [name for name in X.columns if name not in numbers]


def errors(X, X_hat, mask=None):
    """Return the errors of numbers and of categories, over all values or those of a boolean mask."""
    numbers, others = kinds_of(X)
    mask = pd.DataFrame(np.ones(X.shape, dtype=bool) if mask is None else mask, columns=X.columns)
    a, b = X[numbers].to_numpy(float), X_hat[numbers].to_numpy(float)
    off = X[others].astype(str).to_numpy() != X_hat[others].astype(str).to_numpy()
    squares = np.square(a - b) / a.var(axis=0)
    of_numbers = np.mean(
        [each[which].mean() for each, which in zip(squares.T, mask[numbers].to_numpy().T, strict=False)]
    )
    return of_numbers, np.mean(
        [each[which].mean() for each, which in zip(off.T, mask[others].to_numpy().T, strict=False)]
    )


def imputed(imputer, incomplete, X):
    """Impute standardized numbers and one-hot columns, and decode the result."""
    numbers, others = kinds_of(X)
    scaler = StandardScaler().fit(incomplete[numbers].astype(float))
    encoder = OneHotEncoder(sparse_output=False).fit(X[others].astype(str))
    shares = encoder.transform(X[others].astype(str))
    lengths = [len(values) for values in encoder.categories_]
    shares[np.repeat(incomplete[others].isna().to_numpy(), lengths, axis=1)] = np.nan
    Z = imputer.fit_transform(np.hstack([scaler.transform(incomplete[numbers].astype(float)), shares]))
    made = dict(zip(numbers, scaler.inverse_transform(Z[:, : len(numbers)]).T, strict=True))
    blocks = np.split(Z[:, len(numbers) :], np.cumsum(lengths)[:-1], axis=1)
    made |= {c: v[block.argmax(axis=1)] for c, v, block in zip(others, encoder.categories_, blocks, strict=True)}
    return pd.DataFrame(made)


def format_line(label, found, seconds):
    """Return a line of the table: mean errors over seeds, and median seconds."""
    columns = [f"{a:>10.3f} {b:>11.3f}" for a, b in (np.mean(each, axis=0) for each in found.values())]
    return f"{label:>18} " + " ".join(columns) + f"  {np.median(seconds):.1f}"


def compare_imputers(names, sizes, seeds):
    """Print errors of missing values."""
    print(f"{'table':>18} " + " ".join(f"{name:>22}" for name in (*IMPUTERS, *(f"skae, {k}" for k in sizes))) + "  s")
    for name in names:
        X, found, seconds = TABLES[name](), {}, []
        for seed in seeds:
            mask = np.random.default_rng(seed).random(X.shape) < SHARE_MISSING
            incomplete = X.astype(dict.fromkeys(kinds_of(X)[0], float) | dict.fromkeys(kinds_of(X)[1], object)).mask(
                mask
            )
            for baseline, kind in IMPUTERS.items():
                imputer = kind(random_state=seed) if kind is IterativeImputer else kind()
                found.setdefault(baseline, []).append(errors(X, imputed(imputer, incomplete, X), mask))
            for k in sizes:
                start = time.process_time()
                ours = TabularAutoencoder(k, random_state=seed).fit(incomplete).impute(incomplete)
                seconds.append(time.process_time() - start)
                found.setdefault(k, []).append(errors(X, ours, mask))
        print(format_line(name, found, seconds), flush=True)


def compare_reductions(names, sizes, seeds):
    """Print errors of validation samples."""
    print(f"{'table':>15} {'k':>2} " + " ".join(f"{name:>22}" for name in ("one-hot, PCA", "FAMD", "skae")) + "  s")
    for name in names:
        X = TABLES[name]()
        for k in sizes:
            found, seconds = {}, []
            for seed in seeds:
                train, test = (part.reset_index(drop=True) for part in train_test_split(X, random_state=seed))
                test = test[np.all([test[c].isin(train[c]) for c in kinds_of(X)[1]], axis=0)].reset_index(drop=True)
                for baseline in ("one-hot", "FAMD"):
                    found.setdefault(baseline, []).append(
                        errors(test, EncodedPCA(k, baseline).fit(train).reconstruct(test))
                    )
                start = time.process_time()
                ours = TabularAutoencoder(k, random_state=seed).fit(train)
                seconds.append(time.process_time() - start)
                found.setdefault("skae", []).append(errors(test, ours.reconstruct(test)))
            print(format_line(f"{name} {k:>2}", found, seconds), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--sizes", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--impute", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    compare = compare_imputers if options.impute else compare_reductions
    compare(options.tables, options.sizes, options.seeds)
