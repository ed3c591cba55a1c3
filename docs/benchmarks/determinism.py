"""Whether a fit with an int seed is bit-identical under various circumstances.

    python docs/benchmarks/determinism.py

A digest of codes, reconstructions and loss curves is compared with that of a fit in this process: in another process,
in loky workers, in threads, after pickling the unfitted estimator, after other random numbers and after other fits.
Then the number of torch threads is varied, for networks of several widths, each in a separate process.
"""

import concurrent.futures
import hashlib
import multiprocessing
import pickle
import random

import joblib
import numpy as np
import torch
from _measure import make_curved_data
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import Autoencoder, DenoisingAutoencoder, LSTMAutoencoder, SparseAutoencoder, VariationalAutoencoder

QUICK = {"hidden_layer_sizes": 32, "max_iter": 5, "random_state": 0}
KINDS = [
    Autoencoder(8, **QUICK),
    DenoisingAutoencoder(8, **QUICK),
    SparseAutoencoder(64, **QUICK),
    VariationalAutoencoder(8, **QUICK),
    LSTMAutoencoder(8, hidden_size=8, **QUICK),
]
X = load_digits().data[:300]
THREADS = (1, 2, 4)
WIDTHS = [(16,), (64,), (128,), (256,), (512, 256), (1024, 512)]


def digest(estimator, X, threads=1):
    """Return a digest of the results of a fit."""
    torch.set_num_threads(threads)
    fitted = clone(estimator).fit(X)
    what = fitted.transform(X).tobytes(), fitted.reconstruct(X).tobytes(), repr(fitted.loss_curve_).encode()
    return hashlib.sha256(b"".join(what)).hexdigest()


def alone(*arguments):
    """Return the digest computed in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(digest, arguments)


def circumstances(estimator, here):
    """Yield (circumstance, whether the digest is the same)."""
    yield "another process", alone(estimator, X) == here
    jobs = joblib.Parallel(n_jobs=2)(joblib.delayed(digest)(estimator, X) for _ in range(2))
    yield "n_jobs=2", set(jobs) == {here}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        others = [pool.submit(digest, other, X) for other in (estimator, *KINDS)]
        yield "threads", others[0].result() == here
    yield "a pickle", digest(pickle.loads(pickle.dumps(estimator)), X) == here
    np.random.seed(random.randrange(1000))  # noqa: NPY002
    torch.rand(random.randrange(1000))
    yield "other random numbers", digest(estimator, X) == here
    for other in KINDS[::-1]:
        digest(other, X[::-1])
    yield "other fits before", digest(estimator, X) == here


def main():
    """Print both tables."""
    for estimator in KINDS:
        of_one = dict(circumstances(estimator, digest(estimator, X)))
        same = [name for name, equal in of_one.items() if equal]
        other = [name for name, equal in of_one.items() if not equal]
        name = type(estimator).__name__
        print(
            f"{name:24s}equal in: {', '.join(same)}" + f"; NOT equal in: {', '.join(other)}" * bool(other), flush=True
        )
    print("\nthreads " + " ".join(f"{threads:>9d}" for threads in THREADS) + "  features, hidden layers")
    for n_features in (64, 784):
        table = make_curved_data(2500, n_features, 8)
        for widths in WIDTHS:
            estimator = Autoencoder(8, hidden_layer_sizes=widths, max_iter=2, random_state=0)
            digests = [alone(estimator, table, threads) for threads in THREADS]
            print(
                "        " + " ".join(f"{of_one[:9]:>9s}" for of_one in digests) + f"  {n_features}, {widths}",
                flush=True,
            )


if __name__ == "__main__":
    main()
