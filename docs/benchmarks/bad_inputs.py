"""Outcomes of `fit` and `transform` for invalid and unusual tables, for skae and other libraries.

    python docs/benchmarks/bad_inputs.py [--systems PCA ...] [--limit 60]

The kinds of table and the expected outcomes are those of the tests, `tests/unusual_inputs.py`: a ValueError or
TypeError, or a finite result that equals that for the same samples as a float64 array, if there are such samples. For
systems that replace PCA, reconstructions must also be about as good as PCA's. Other outcomes are incorrect: another
error, "WRONG", "NON-FINITE" (a result or an attribute), "HALF-FITTED" (an error that leaves attributes behind), "HANG"
or "CRASH".

MLPRegressor is fitted to X and X, and predicts; PyOD's AutoEncoder, if it is installed, returns scores. Each system
runs in a separate process, which is restarted after a hang.
"""

import argparse
import multiprocessing
import sys
import warnings
from collections import Counter
from pathlib import Path

import torch
from _systems import PyOD
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor

from skae import Autoencoder, DenoisingAutoencoder, SparseAutoencoder, VariationalAutoencoder

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from unusual_inputs import KINDS, METHODS, TABLE, K, System, outcome

RIGHT = ("ok", "ValueError", "TypeError")
TRAINING = {"max_iter": 4, "batch_size": 15, "learning_rate": 0.03, "validation_fraction": 0.5, "random_state": 0}
SMALL = {"hidden_layer_sizes": (8,), **TRAINING}


class Regressor(System):
    """A regressor fitted to X and X."""

    def fit(self, estimator, X):
        """Fit the estimator."""
        return estimator.fit(X, X)

    def answer(self, fitted, X):
        """Return predictions, which are also the reconstruction."""
        return fitted.predict(X)

    reconstruct = answer


class Detector(System):
    """A detector of PyOD."""

    def answer(self, fitted, X):
        """Return scores."""
        return fitted.decision_function(X)

    def reconstruct(self, fitted, rows):
        """Return reconstructions of samples in an ordinary array."""
        system = PyOD(K)
        system.fitted = fitted
        return system.reconstruct(rows)


def _pyod():
    from pyod.models.auto_encoder import AutoEncoder

    return Detector(
        AutoEncoder(hidden_neuron_list=[8, K], epoch_num=20, batch_size=15, random_state=0, verbose=0), like_pca=False
    )


SYSTEMS = {
    "Autoencoder": lambda: System(Autoencoder(K, **SMALL)),
    "linear": lambda: System(Autoencoder(K, hidden_layer_sizes=())),
    "ordered": lambda: System(Autoencoder(K, ordered=True, whiten=True, **SMALL)),
    "standard": lambda: System(Autoencoder(K, scale="standard", **SMALL), like_pca=False),
    "random": lambda: System(Autoencoder(K, init="random", **SMALL), like_pca=False),
    "Variational": lambda: System(VariationalAutoencoder(K, **SMALL), like_pca=False),
    "Denoising": lambda: System(DenoisingAutoencoder(K, **SMALL), like_pca=False),
    "Sparse": lambda: System(SparseAutoencoder(8, sparsity="top_k", n_nonzero_coefs=K, **TRAINING), like_pca=False),
    "PCA": lambda: System(PCA(K)),
    "MLPRegressor": lambda: Regressor(
        MLPRegressor(hidden_layer_sizes=(8, K, 8), max_iter=50, random_state=0), like_pca=False
    ),
    "PyOD": _pyod,
}


def serve(connection, name):
    """Send the outcomes that are requested."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    system = SYSTEMS[name]()
    system.reconstruct(system.fitted_to(TABLE), TABLE)  # warm up lazy imports
    connection.send(None)
    while True:
        place, method = connection.recv()
        connection.send(outcome(system, KINDS[place], method))


def outcomes(name, limit):
    """Yield (kind, method, label, message) for each table."""
    context, process = multiprocessing.get_context("spawn"), None
    for place, kind in enumerate(KINDS):
        for method in METHODS:
            if process is None:
                here, there = context.Pipe()
                process = context.Process(target=serve, args=(there, name), daemon=True)
                process.start()
                there.close()
                here.recv()
            here.send((place, method))
            try:
                label, what = here.recv() if here.poll(limit) else ("HANG", f"{limit} seconds")
            except EOFError:
                label, what = "CRASH", "the process ended"
            if label in ("HANG", "CRASH"):
                process.kill()
                process = None
            yield kind.name, method, label, what
    if process is not None:
        process.kill()


def main():
    """Print totals for each system, then a table of outcomes."""
    parser = argparse.ArgumentParser()
    installed = [name for name in SYSTEMS if name != "PyOD" or PyOD.installed()]
    parser.add_argument("--systems", nargs="*", default=installed, choices=SYSTEMS)
    parser.add_argument("--limit", type=float, default=60, help="seconds after which a case counts as a hang")
    args = parser.parse_args()
    table, messages = {}, []
    for name in args.systems:
        for kind, method, label, what in outcomes(name, args.limit):
            table.setdefault((kind, method), {})[name] = label
            if label not in RIGHT:
                messages.append(f"{name}, {method}, {kind}: {label} {' '.join(what.split())[:100]}")
        counts = Counter(labels[name] for labels in table.values())
        right = sum(counts[label] for label in RIGHT)
        print(f"{name:13} correct {right} of {len(table)}: {dict(counts.most_common())}", flush=True)
    width = max(len(kind) for kind, _ in table) + 1
    print(f"\n{len(KINDS)} kinds of table\n{'':{width}}{'':10}" + "".join(f"{name:13}" for name in args.systems))
    for (kind, method), labels in table.items():
        print(f"{kind:{width}}{method:10}" + "".join(f"{labels[name]:13}" for name in args.systems))
    print("\nIncorrect outcomes")
    print(*messages, sep="\n")


if __name__ == "__main__":
    main()
