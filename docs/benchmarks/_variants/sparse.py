"""Planted dictionaries: fraction of atoms recovered, of active units, and of dead units.

Samples are sums of a few atoms and noise. An atom, of unit length, counts as recovered if the absolute cosine between
it and the nearest unit is above .9. With signed coefficients, a nonnegative code needs two units per atom, and one of
them suffices to count. Noise is a fraction of the root mean square of the features. The baselines have the number of
units that `SparseAutoencoder()` chooses: the textbook network, with the best of three weights of its penalty, selected
by the number of recovered atoms, and scikit-learn's `MiniBatchDictionaryLearning` with default parameters. R² is that
of new samples.
"""

import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from _practitioner import Sparse, train
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from skae import SparseAutoencoder

FOUND = 0.9
ALPHAS = (0.1, 0.2, 0.4)  # weights of the textbook penalty, relative to the root mean square norm of a sample
MAX_UNITS = 256  # dictionary learning takes minutes for more units


@dataclass(frozen=True)
class Planted:
    """Parameters of a data set: samples are sums of `n_nonzero` of `n_atoms` atoms."""

    n_rows: int
    n_features: int
    n_atoms: int
    n_nonzero: int
    noise: float = 0.05
    signed: bool = False
    unit: float = 1.0

    def draw(self, seed, n_more=1000):
        """Return training samples, `n_more` new samples, and the atoms."""
        rng = np.random.default_rng(seed)
        atoms = rng.normal(size=(self.n_atoms, self.n_features))
        atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
        n = self.n_rows + n_more
        places = rng.random((n, self.n_atoms)).argsort(axis=1)[:, : self.n_nonzero]
        values = rng.uniform(0.5, 1.5, places.shape)
        if self.signed:
            values *= rng.choice((-1, 1), places.shape)
        codes = np.zeros((n, self.n_atoms))
        np.put_along_axis(codes, places, values, axis=1)
        X = codes @ atoms
        X += self.noise * X.std() * rng.normal(size=X.shape)
        return self.unit * X[: self.n_rows], self.unit * X[self.n_rows :], atoms


SETS = {
    "100 atoms of 64 features, 5 per sample": Planted(5000, 64, 100, 5),
    "the same, times 1000": Planted(5000, 64, 100, 5, unit=1000.0),
    "12 of 10, 3 per sample": Planted(5000, 10, 12, 3),
    "20 of 100, 3 per sample, 1,000 samples": Planted(1000, 100, 20, 3, noise=0.1),
    "60 of 60, 10 per sample, 20,000 samples": Planted(20_000, 60, 60, 10, noise=0.0),
    "150 of 784, 6 per sample": Planted(5000, 784, 150, 6, noise=0.1),
    "80 of 64, 4 per sample, signed": Planted(10_000, 64, 80, 4, signed=True),
}


def fraction_found(atoms, units):
    """Return the fraction of atoms that have a matching unit; both have shape (., n_features)."""
    lengths = np.linalg.norm(units, axis=1, keepdims=True)
    return (np.abs(atoms @ (units / np.maximum(lengths, 1e-12)).T).max(axis=1) > FOUND).mean()


def r2(X, X_hat):
    """Return R² over all features."""
    return 1 - np.square(X - X_hat).sum() / np.square(X - X.mean(axis=0)).sum()


def ours(X, X_test, seed):
    """Fit SparseAutoencoder; return its units, codes of new samples, and their reconstructions."""
    sparse = SparseAutoencoder(random_state=seed).fit(X)
    codes = sparse.transform(X_test)
    return sparse.components_, codes, sparse.inverse_transform(codes)


def hand_written(X, X_test, seed, k, alpha, seconds):
    """Return the same for the textbook network, on centered samples scaled by their standard deviation."""
    mean, unit = X.mean(axis=0), X.std()
    rows = ((X - mean) / unit).astype(np.float32)
    n = len(rows) // 5
    weight = alpha * np.sqrt(np.square(rows).sum(axis=1).mean())
    module = train(lambda: Sparse(X.shape[1], k, weight), rows[n:], rows[:n], seconds=seconds, seed=seed).module
    with torch.no_grad():
        codes = module.encoder(torch.as_tensor((X_test - mean) / unit, dtype=torch.float32))
        return module.atoms.numpy(), codes.numpy(), module.decode(codes).numpy() * unit + mean


def dictionary_learning(X, X_test, seed, k):
    """Return the same for MiniBatchDictionaryLearning."""
    mean, unit = X.mean(axis=0), X.std()
    learning = MiniBatchDictionaryLearning(k, random_state=seed).fit((X - mean) / unit)
    codes = learning.transform((X_test - mean) / unit)
    return learning.components_, codes, codes @ learning.components_ * unit + mean


def main(seeds):
    """Print a line for each set and method: means over seeds, and the minimum fraction of atoms found."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, planted in SETS.items():
        print(f"  {name}", flush=True)
        lines = {}
        for seed in seeds:
            X, X_test, atoms = planted.draw(seed)

            def evaluate(label, method, *args, data=(X, X_test, seed), atoms=atoms):
                start = time.perf_counter()
                units, codes, X_hat = method(*data, *args)
                seconds, used = time.perf_counter() - start, codes != 0
                line = (
                    fraction_found(atoms, units),
                    used.mean(),
                    (~used.any(axis=0)).mean(),
                    r2(data[1], X_hat),
                    seconds,
                )
                return label, len(units), line

            label, k, line = evaluate("skae", ours)
            lines.setdefault((label, k), []).append(line)
            of_alphas = [evaluate(f"hand-written, {alpha:g}", hand_written, k, alpha, line[-1]) for alpha in ALPHAS]
            _, _, best = max(of_alphas, key=lambda found: found[2][0])
            lines.setdefault(("hand-written", k), []).append((*best[:-1], line[-1]))
            if k <= MAX_UNITS:
                _, _, line = evaluate("MiniBatchDictionaryLearning", dictionary_learning, k)
                lines.setdefault(("dictionary learning", k), []).append(line)
        for (label, k), of_seeds in lines.items():
            found, active, dead, score, seconds = np.mean(of_seeds, axis=0)
            print(
                f"    {label:20s} {k:4d} units: found {found:.2f} (minimum {min(of_seeds)[0]:.2f}), "
                f"active {active:.3f}, dead {dead:.3f}, R² {score:.3f}, {seconds:.1f} s",
                flush=True,
            )
