"""Windows of long series, standardized, with one or more sensors: R² of windows of another segment, medians over seeds.

The textbook network is trained for as long as `LSTMAutoencoder`, with the last fifth of the windows as validation set.
`Autoencoder` is dense.

Then waves of 12 to 40 steps, padded with NaN and with zeros: R² of the observed steps of other waves.
"""

import functools
import time

import numpy as np
import torch
from _measure import r2
from _practitioner import Recurrent, train
from sklearn.decomposition import PCA

from skae import Autoencoder, LSTMAutoencoder

from ._series import SERIES, train_and_test, waves


def main(seeds):
    """Print the tables."""
    torch.set_num_threads(1)
    compare_windows(seeds)
    compare_padding(seeds)


def compare_padding(seeds):
    """Compare padding with NaN and with zeros, for sequences of different lengths."""
    n_steps, n_train = 40, 1200
    print("  waves of 12 to 40 steps of 2 sensors, 4 components", flush=True)
    for name, model in {
        "PCA": Autoencoder(4, hidden_layer_sizes=()),
        "Autoencoder": Autoencoder(4),
        "LSTMAutoencoder": LSTMAutoencoder(4, sequence_shape=(n_steps, 2)),
    }.items():
        found = {"NaN": [], "zeros": []}
        for seed in seeds:
            X = waves(1500, n_steps, np.random.default_rng(seed))
            mean, test = np.nanmean(X[:n_train], axis=0), X[n_train:]
            for padding, rows in {"NaN": X, "zeros": np.nan_to_num(X)}.items():
                fitted = model.set_params(random_state=seed).fit(rows[:n_train])
                error = np.nansum(np.square(test - fitted.reconstruct(rows[n_train:])))
                found[padding].append(1 - error / np.nansum(np.square(test - mean)))
        medians = ", ".join(f"{padding} {np.median(scores):.3f}" for padding, scores in found.items())
        print(f"    {name:16s} R² {medians}", flush=True)


def compare_windows(seeds):
    """Compare the variants with the textbook network on windows of one length."""
    for name, (_, n_sensors, n_steps, _, k) in SERIES.items():
        found = {}
        for seed in seeds:
            X, test = train_and_test(name, seed)
            models = {
                "PCA": PCA(k),
                "Autoencoder": Autoencoder(k, random_state=seed),
                "LSTMAutoencoder": LSTMAutoencoder(k, sequence_shape=(n_steps, n_sensors), random_state=seed),
            }
            for model_name, model in models.items():
                start = time.perf_counter()
                model.fit(X)
                seconds = time.perf_counter() - start
                X_hat = model.inverse_transform(model.transform(test))
                found.setdefault(model_name, []).append((r2(test, X_hat), seconds))
            n_validation = len(X) // 5
            make = functools.partial(Recurrent, n_steps, n_sensors, k)
            baseline = train(make, X[:-n_validation], X[-n_validation:], seconds=seconds, seed=seed)
            with torch.no_grad():
                X_hat = baseline.module(torch.as_tensor(test)).numpy()
            found.setdefault("LSTM hand-written", []).append((r2(test, X_hat), baseline.seconds))
        print(f"  {name}, {len(X)} windows of {n_steps} steps of {n_sensors}, {k} components", flush=True)
        for model_name, results in found.items():
            scores, seconds = np.array(results).T
            print(
                f"    {model_name:16s} R² {np.median(scores):6.3f} ({scores.min():.3f} to {scores.max():.3f})   "
                f"{np.median(seconds):5.1f} s",
                flush=True,
            )
