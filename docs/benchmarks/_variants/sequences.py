"""Windows of long series, standardized, with several sensors: R² of windows of another stretch, medians over seeds.

The rival has the seconds of `LSTMAutoencoder`, and holds out the last fifth of the windows. `Autoencoder` is dense.
"""

import functools
import time

import numpy as np
import torch
from _measure import r2
from _practitioner import Recurrent, train
from sklearn.decomposition import PCA

from skae import Autoencoder, LSTMAutoencoder

from ._series import SERIES, train_and_test


def main(seeds):
    """Print the table."""
    torch.set_num_threads(1)
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
            held = len(X) // 5
            make = functools.partial(Recurrent, n_steps, n_sensors, k)
            rival = train(make, X[:-held], X[-held:], seconds=seconds, seed=seed)
            with torch.no_grad():
                X_hat = rival.module(torch.as_tensor(test)).numpy()
            found.setdefault("LSTM by hand", []).append((r2(test, X_hat), rival.seconds))
        print(f"  {name}, {len(X)} windows of {n_steps} steps of {n_sensors}, {k} components", flush=True)
        for model_name, results in found.items():
            scores, seconds = np.array(results).T
            print(
                f"    {model_name:16s} R² {np.median(scores):6.3f} ({scores.min():.3f} to {scores.max():.3f})   "
                f"{np.median(seconds):5.1f} s",
                flush=True,
            )
