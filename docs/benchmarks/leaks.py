"""Memory that is not released after fits, and memory that grows with epochs.

    python docs/benchmarks/leaks.py [--fits 200]

The same estimator is fitted repeatedly, used and pickled, and the private memory of the process (RssAnon) is read after
a tenth of the fits, when caches are full, and at the end. Then fits of many epochs are compared with one of few.
"""

import argparse
import gc
import pickle

from _measure import Peak
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import Autoencoder, DenoisingAutoencoder, LSTMAutoencoder, SparseAutoencoder, VariationalAutoencoder

QUICK = {"hidden_layer_sizes": 32, "max_iter": 2, "random_state": 0}
KINDS = [
    Autoencoder(8, **QUICK),
    Autoencoder(8, hidden_layer_sizes=()),
    DenoisingAutoencoder(8, **QUICK),
    SparseAutoencoder(64, **QUICK),
    VariationalAutoencoder(8, **QUICK),
    LSTMAutoencoder(8, hidden_size=8, **QUICK),
]


def memory():
    """Return the private memory of this process in MB."""
    gc.collect()
    return Peak("RssAnon").read()


def growth_of_fits(estimator, X, n_fits):
    """Return the memory after all fits minus that after a tenth of them, in MB."""
    for i in range(n_fits):
        estimator.fit(X).inverse_transform(estimator.transform(X))
        pickle.loads(pickle.dumps(estimator)).score(X)
        if i + 1 == max(1, n_fits // 10):
            before = memory()
    return memory() - before


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fits", type=int, default=200)
    arguments = parser.parse_args()
    X = load_digits().data[:400]
    print(f"{'MB after ' + str(arguments.fits) + ' fits minus MB after a tenth':60s}")
    for kind in KINDS:
        print(
            f"{' '.join(repr(kind).split())[:78]:80s}{growth_of_fits(clone(kind), X, arguments.fits):8.1f}", flush=True
        )
    print("peak MB during a fit, by number of epochs")
    for n_epochs in (50, 200, 800):
        many = Autoencoder(8, hidden_layer_sizes=32, max_iter=n_epochs, early_stopping=False, random_state=0)
        with Peak("RssAnon") as peak:
            many.fit(X)
        print(f"{n_epochs:80d}{peak.peak - peak.before:8.1f}", flush=True)


if __name__ == "__main__":
    main()
