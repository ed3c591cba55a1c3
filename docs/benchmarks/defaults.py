"""How the defaults were chosen: test R² and time of Autoencoder with each default changed, on seven data sets.

    python docs/benchmarks/defaults.py [--repeats 3] [--only WORD ...] [--data NAME ...]

The data sets have 150 to 100,000 samples and 4 to 784 features; a quarter is the test set, and the small tables are
standardized. The row "default" is test R² and seconds. The rows below are the difference of R² from the default, in
thousandths, and the ratio of fit times; each fit is compared with a default fit of the same samples and seed that ran
just before. The last columns are the means over the data sets, geometric for the times.
"""

import argparse
import contextlib
import inspect
import time
from unittest import mock

import numpy as np
from _fashion_mnist import load
from sklearn import datasets
from sklearn.feature_extraction.image import PatchExtractor
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae._defaults import auto_batch_size, auto_hidden_layer_sizes, auto_max_iter
from skae._training.callbacks import OneCycle

N_COMPONENTS = {"iris": 2, "wine": 4, "diabetes": 4, "breast_cancer": 4, "digits": 8, "patches": 8, "fashion": 32}


def read(name):
    """Return a data set; "patches" are 4 x 4 pixels of scikit-learn's two photographs."""
    if name == "patches":
        images = [image / 255 for image in datasets.load_sample_images().images]
        patches = [
            PatchExtractor(patch_size=(4, 4), max_patches=50_000, random_state=0).transform(i[None]) for i in images
        ]
        return np.concatenate(patches).reshape(100_000, -1).astype(np.float32)
    if name == "fashion":
        return load("train")[:13_334]
    X = getattr(datasets, f"load_{name}")().data
    return X if name == "digits" else StandardScaler().fit_transform(X)


def steps(factor):
    """Return a change of the number of epochs."""
    return lambda shape: {"max_iter": max(1, round(factor * auto_max_iter(shape[0], auto_batch_size(shape[0]))))}


def batches(factor, keep_steps=True):
    """Return a change of the batch size, with the same number of steps or of epochs."""

    def change(shape):
        n = shape[0]
        size = max(1, round(factor * auto_batch_size(n)))
        epochs = factor if keep_steps else 1
        return {"batch_size": size, "max_iter": max(1, round(epochs * auto_max_iter(n, auto_batch_size(n))))}

    return change


def widths(factor, *shares):
    """Return a change of the first width, and of the others as fractions of it."""

    def change(shape):
        first = factor * auto_hidden_layer_sizes(*shape)[0]
        return {"hidden_layer_sizes": tuple(max(2, int(first * share)) for share in (1, *shares))}

    return change


def always(**params):
    """Return a change that sets parameters."""
    return lambda _: params


CHANGES = {
    "steps x 1/2": steps(1 / 2),
    "steps x 2": steps(2),
    "batch x 2, epochs kept": batches(2, keep_steps=False),
    "batch x 2, steps kept": batches(2),
    "batch x 1/2, epochs kept": batches(1 / 2, keep_steps=False),
    "one layer": widths(1),
    "three layers": widths(1, 1 / 2, 1 / 4),
    "half as wide": widths(1 / 2, 1 / 2),
    "twice as wide": widths(2, 1 / 2),
    "rate .005": always(learning_rate=0.005),
    "rate .02": always(learning_rate=0.02),
    "schedule: constant": mock.patch.object(OneCycle, "rate_at", return_value=0.3),
    "schedule: linear to zero": mock.patch.object(OneCycle, "rate_at", lambda _, step, n_steps: 1 - step / n_steps),
    "ReLU": always(activation="relu"),
    "SiLU": always(activation="silu"),
    "tanh": always(activation="tanh"),
    "decay 0": always(weight_decay=0.0),
    "decay 1": always(weight_decay=1.0),
    "patience of 5 epochs": always(n_iter_no_change=5),
    "no early stopping": always(early_stopping=False),
    "no random restart": mock.patch.object(Autoencoder, "_has_random_restart", return_value=False),
}


def run(X, k, change, seed):
    """Return test R² and seconds of a fit."""
    train, test = train_test_split(X, random_state=seed)
    params = change(train.shape) if inspect.isfunction(change) else {}
    with contextlib.nullcontext() if inspect.isfunction(change) or change is None else change:
        start = time.perf_counter()
        fitted = Autoencoder(k, random_state=seed, **params).fit(train)
        return fitted.score(test), time.perf_counter() - start


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="only changes whose name contains one of these words")
    parser.add_argument("--data", nargs="*", default=list(N_COMPONENTS))
    args = parser.parse_args()
    data = {name: read(name) for name in args.data}
    run(data[args.data[0]], 1, None, 0)
    seeds = {name: range(args.repeats if len(X) < 10_000 else 1) for name, X in data.items()}
    print(f"{'':28s}" + "".join(f"{name:>17s}" for name in data))
    before = {name: np.array([run(X, N_COMPONENTS[name], None, s) for s in seeds[name]]) for name, X in data.items()}
    print(f"{'default':28s}" + "".join(f"{r[:, 0].mean():9.4f} {r[:, 1].mean():5.1f} s" for r in before.values()))
    for name, change in CHANGES.items():
        if args.only and not any(word in name for word in args.only):
            continue
        gains, times = [], []
        for of, X in data.items():
            pairs = [[run(X, N_COMPONENTS[of], c, seed) for c in (None, change)] for seed in seeds[of]]
            (scores, seconds), (new_scores, new_seconds) = np.transpose(pairs, (1, 2, 0))
            gains.append(1000 * (new_scores - scores).mean())
            times.append(np.exp(np.log(new_seconds / seconds).mean()))
        columns = "".join(f"{gain:+9.1f}  x{seconds:4.2f}" for gain, seconds in zip(gains, times, strict=True))
        print(f"{name:28s}{columns}   {np.mean(gains):+6.1f}  x{np.exp(np.mean(np.log(times))):4.2f}", flush=True)


if __name__ == "__main__":
    main()
