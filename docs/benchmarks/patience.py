"""Time saved and R² lost by early stopping, on small tables, subsets of them, Swiss rolls, and for every variant.

    python docs/benchmarks/patience.py [--repeats 2] [--patience 10]

Prints test R² without early stopping, the difference with a patience of ten epochs, in thousandths, and the ratio of
fit times; means of a few splits. Features are scaled to [0, 1].
"""

import argparse
import time

import numpy as np
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LSTMAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)

N_COMPONENTS = {"iris": 2, "wine": 4, "diabetes": 4, "breast_cancer": 4, "digits": 8, "swiss_roll": 2}
TABLES = ["iris", "wine", "diabetes", "breast_cancer", "digits", "swiss_roll", "swiss_roll 300", "swiss_roll 3000"]
SUBSETS = ["wine 80", "diabetes 100", "diabetes 200", "breast_cancer 150", "digits 400"]
VARIANTS = {
    "Autoencoder": (lambda k: Autoencoder(k), TABLES + SUBSETS),
    "ordered": (lambda k: Autoencoder(k, ordered=True), TABLES + SUBSETS),
    "random init": (lambda k: Autoencoder(k, init="random"), TABLES + SUBSETS),
    "convolutional": (lambda k: ConvolutionalAutoencoder(k, image_shape=(8, 8)), ["digits 400"]),
    "LSTM": (lambda k: LSTMAutoencoder(k, sequence_shape=(8, 8)), ["digits 400"]),
    "sparse": (lambda k: SparseAutoencoder(2 * k), TABLES[:4]),
    "denoising": (lambda k: DenoisingAutoencoder(k), TABLES[:4]),
    "contractive": (lambda k: ContractiveAutoencoder(k), TABLES[:4]),
    "variational": (lambda k: VariationalAutoencoder(k), TABLES[:4]),
    "stacked": (lambda k: StackedAutoencoder((16, k)), TABLES[:4]),
}


def split(name, seed):
    """Return training and test samples; "wine 80" has 80 training samples."""
    of, *size = name.split()
    n_rows = int(size[0]) if size else None
    X = (
        datasets.make_swiss_roll(4000, random_state=0)[0]
        if of == "swiss_roll"
        else getattr(datasets, f"load_{of}")().data
    )
    train, test = train_test_split(X, train_size=n_rows or min(1000, int(0.75 * len(X))), random_state=seed)
    scaler = MinMaxScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def main():
    """Print a line for each variant and table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--patience", type=int, default=10)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    Autoencoder(1, max_iter=1).fit(split("iris", 0)[0])  # warm up lazy imports
    for variant in args.variants:
        make, tables = VARIANTS[variant]
        for name in tables:
            runs = []
            for seed in range(args.repeats):
                train, test = split(name, seed)
                for stops in (False, True):
                    estimator = make(N_COMPONENTS[name.split()[0]])
                    estimator.set_params(early_stopping=stops, n_iter_no_change=args.patience, random_state=seed)
                    start = time.perf_counter()
                    estimator.fit(train)
                    runs.append((time.perf_counter() - start, estimator.score(test)))
            seconds, scores = np.reshape(runs, (args.repeats, 2, 2)).transpose(2, 1, 0)  # (2, repeats) each
            gain, ratio = 1000 * (scores[1] - scores[0]).mean(), np.exp(np.log(seconds[1] / seconds[0]).mean())
            print(f"{variant:14s} {name:18s} {scores[0].mean():7.4f} {gain:+6.1f}  x{ratio:4.2f}", flush=True)


if __name__ == "__main__":
    main()
