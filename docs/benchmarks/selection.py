"""Columns kept by SelectFromModel(Autoencoder()) against the columns of largest variance.

    python docs/benchmarks/selection.py [--repeats 5]

What is kept is judged by the R² of a ridge regression from it to all columns, and by the accuracy of a logistic
regression from it to the labels, both on test samples. Columns are scaled to [0, 1].
"""

import argparse

import numpy as np
from sklearn import datasets
from sklearn.base import clone
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

from skae import Autoencoder

KEPT = {"wine": (4, 4), "breast_cancer": (6, 6), "digits": (16, 8)}  # columns, components


def judge(train, test, y_train, y_test, kept):
    """R² of all columns from some, and accuracy of the labels."""
    ridge = Ridge(1e-3).fit(train[:, kept], train)
    r2 = r2_score(test, ridge.predict(test[:, kept]), multioutput="variance_weighted")
    return r2, LogisticRegression(max_iter=5000).fit(train[:, kept], y_train).score(test[:, kept], y_test)


def main():
    """Print a line for each data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    for name, (n_columns, k) in KEPT.items():
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        figures = []
        for seed in range(args.repeats):
            train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
            scaler = MinMaxScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
            select = SelectFromModel(Autoencoder(k, random_state=seed), max_features=n_columns, threshold=-np.inf)
            ours = clone(select).fit(train).get_support(indices=True)
            widest = np.argsort(-train.var(axis=0))[:n_columns]
            figures.append([judge(train, test, y_train, y_test, kept) for kept in (ours, widest)])
        (r2, accuracy), (r2_widest, accuracy_widest) = np.mean(figures, axis=0)
        print(
            f"{name}, {n_columns} of {X.shape[1]} columns: R² {r2:.3f}, of largest variance {r2_widest:.3f}; "
            f"accuracy {accuracy:.3f}, {accuracy_widest:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
