"""Learning rates that are far too high: what comes of them, against PCA and against the default rate.

    python docs/benchmarks/divergence.py [--lower-rate 0.1]

R² on test samples, the epoch that was kept, and whether training went back to an epoch before, or gave up.
`--lower-rate` is what a rate is multiplied by when training goes back: with 0.5 rates of 1 and 10 don't come back
within three steps, with 0.1 most do.
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
    """Print a sample for each estimator and table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lower-rate", type=float, default=callbacks.LOWER_RATE)
    callbacks.LOWER_RATE = parser.parse_args().lower_rate
    print(("{:40s}{:>8s}" + len(RATES) * "{:>22}").format("test R² (epoch kept)", "PCA", *RATES))
    for of_class, k in KINDS.items():
        for name, X in DATA.items():
            X_train, X_test = train_test_split(X, random_state=0)
            print(f"{of_class.__name__ + '(' + str(k) + ') ' + name:40s}", end="")
            print(f"{reconstruction_scorer(PCA(4).fit(X_train), X_test):8.3f}", end="", flush=True)
            for rate in RATES:
                with warnings.catch_warnings(record=True) as warned:
                    warnings.simplefilter("always")
                    fitted = of_class(k, learning_rate=rate, max_iter=40, random_state=0).fit(X_train)
                said = " ".join(str(warning.message) for warning in warned)
                went = "gave up" if "given up" in said else "went back" if "diverged" in said else ""
                what = f"{fitted.score(X_test):.3f} ({fitted.best_epoch_}) {went}"
                print(f"{what:>22s}", end="", flush=True)
            print()


if __name__ == "__main__":
    main()
