"""Learning rates that are far too high: test R² compared with PCA and with the default rate.

    python docs/benchmarks/divergence.py [--lower-rate 0.1]

Prints R² on test samples, the selected epoch, and whether training was rolled back to an earlier epoch or given up.
`--lower-rate` is the factor by which the rate is multiplied when training is rolled back: with 0.5, rates of 1 and 10
are not low enough after three such steps; with 0.1, most are.
"""

import argparse
import warnings

from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from skae import Autoencoder, SparseAutoencoder, VariationalAutoencoder
from skae._training import callbacks
from skae.metrics import reconstruction_scorer

DATA = {
    "digits": load_digits().data,
    "breast_cancer": scale(load_breast_cancer().data),
    "wine": scale(load_wine().data),
}
KINDS = {Autoencoder: 4, VariationalAutoencoder: 4, SparseAutoencoder: 32}
RATES = ("auto", 0.1, 1.0, 10.0, 1e3)


def main():
    """Print a line for each estimator and data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lower-rate", type=float, default=callbacks.LOWER_RATE)
    callbacks.LOWER_RATE = parser.parse_args().lower_rate
    print(("{:40s}{:>8s}" + len(RATES) * "{:>22}").format("test R² (selected epoch)", "PCA", *RATES))
    for of_class, k in KINDS.items():
        for name, X in DATA.items():
            X_train, X_test = train_test_split(X, random_state=0)
            print(f"{of_class.__name__ + '(' + str(k) + ') ' + name:40s}", end="")
            print(f"{reconstruction_scorer(PCA(4).fit(X_train), X_test):8.3f}", end="", flush=True)
            for rate in RATES:
                with warnings.catch_warnings(record=True) as warned:
                    warnings.simplefilter("always")
                    fitted = of_class(k, learning_rate=rate, max_iter=40, random_state=0).fit(X_train)
                messages = " ".join(str(warning.message) for warning in warned)
                status = "given up" if "given up" in messages else "rolled back" if "diverged" in messages else ""
                what = f"{fitted.score(X_test):.3f} ({fitted.best_epoch_}) {status}"
                print(f"{what:>22s}", end="", flush=True)
            print()


if __name__ == "__main__":
    main()
