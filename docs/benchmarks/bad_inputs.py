"""Bad and unusual tables in `fit` and `transform`: what comes of them, here and elsewhere.

    python docs/benchmarks/bad_inputs.py [--systems PCA ...] [--limit 60]

The kinds of table are those of the tests, `tests/unusual_inputs.py`, which define what is right: a ValueError or
TypeError, and an answer that is finite and the same as for the same samples as an array of float64, if there are such
samples. Of systems that do as PCA does, reconstructions have to be about as good as PCA's, too. What isn't right is
another error, "WRONG", "NON-FINITE" (an answer or an attribute), "HALF-FITTED" (an error that leaves attributes
behind), "HANG" or "CRASH".

MLPRegressor is fitted to X and X, and predicts; PyOD's AutoEncoder, if it is installed, gives scores. Each system has a
process of its own, which starts anew after a hang.
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
    """Of X on X."""

    def fit(self, estimator, X):
        """Fit it."""
        return estimator.fit(X, X)

    def answer(self, fitted, X):
        """What is asked of a fitted one, and its reconstruction."""
        return fitted.predict(X)

    reconstruct = answer


class Detector(System):
    """Of PyOD."""

    def answer(self, fitted, X):
        """What is asked of a fitted one."""
        return fitted.decision_function(X)

    def reconstruct(self, fitted, rows):
        """Reconstructions of plain samples."""
        by_hand = PyOD(K)
        by_hand.fitted = fitted
        return by_hand.reconstruct(rows)


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
    """Send the outcomes that are asked for."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    system = SYSTEMS[name]()
    system.reconstruct(system.fitted_to(TABLE), TABLE)  # loads what is loaded once
    connection.send(None)
    while True:
        place, method = connection.recv()
        connection.send(outcome(system, KINDS[place], method))


def outcomes(name, limit):
    """Yield (kind, method, label, what) for each table."""
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
    """Print totals, system after system, then a table of outcomes."""
    parser = argparse.ArgumentParser()
    installed = [name for name in SYSTEMS if name != "PyOD" or PyOD.installed()]
    parser.add_argument("--systems", nargs="*", default=installed, choices=SYSTEMS)
    parser.add_argument("--limit", type=float, default=60, help="seconds until a case counts as hanging")
    args = parser.parse_args()
    table, messages = {}, []
    for name in args.systems:
        for kind, method, label, what in outcomes(name, args.limit):
            table.setdefault((kind, method), {})[name] = label
            if label not in RIGHT:
                messages.append(f"{name}, {method}, {kind}: {label} {' '.join(what.split())[:100]}")
        counts = Counter(labels[name] for labels in table.values())
        right = sum(counts[label] for label in RIGHT)
        print(f"{name:13} right {right} of {len(table)}: {dict(counts.most_common())}", flush=True)
    width = max(len(kind) for kind, _ in table) + 1
    print(f"\n{len(KINDS)} kinds of table\n{'':{width}}{'':10}" + "".join(f"{name:13}" for name in args.systems))
    for (kind, method), labels in table.items():
        print(f"{kind:{width}}{method:10}" + "".join(f"{labels[name]:13}" for name in args.systems))
    print("\nWhat isn't right")
    print(*messages, sep="\n")


if __name__ == "__main__":
    main()
