"""Compare features selected by SelectFromModel(Autoencoder()) with the features of largest variance.

    python docs/benchmarks/selection.py [--repeats 5]

Selected features are evaluated by the R² of a ridge regression from them to all features, and by the accuracy of a
logistic regression from them to the labels, both on test samples. Features are scaled to [0, 1].
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

KEPT = {"wine": (4, 4), "breast_cancer": (6, 6), "digits": (16, 8)}  # number of selected features, components


def evaluate(train, test, y_train, y_test, selected):
    """Return R² of all features predicted from the selected ones, and accuracy of the labels."""
    ridge = Ridge(1e-3).fit(train[:, selected], train)
    r2 = r2_score(test, ridge.predict(test[:, selected]), multioutput="variance_weighted")
    return r2, LogisticRegression(max_iter=5000).fit(train[:, selected], y_train).score(test[:, selected], y_test)


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
            figures.append([evaluate(train, test, y_train, y_test, selected) for selected in (ours, widest)])
        (r2, accuracy), (r2_widest, accuracy_widest) = np.mean(figures, axis=0)
        print(
            f"{name}, {n_columns} of {X.shape[1]} features: R² {r2:.3f}, largest variance {r2_widest:.3f}; "
            f"accuracy {accuracy:.3f}, {accuracy_widest:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
