"""How often `feature_errors` identifies the corrupted feature.

    python docs/benchmarks/faults.py [--repeats 3]

A detector is fitted to three quarters of a data set. In 5 % of the other samples (20 at least) one feature, drawn for
each sample, is shifted by 5 of its standard deviations. Prints the fraction of these samples in which that feature has
the largest error, for the default detector, for the same with standardized features, and for the squared residuals of
the default's reconstruction, in units of the features' variances.
"""

import argparse

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector

TABLES = ("breast_cancer", "wine", "diabetes", "digits")


def main():
    """Print a line for each data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(f"{'fraction found':16s}{'default':>12s}{'standardized':>16s}{'plain residuals':>18s}")
    fractions = []
    for name in TABLES:
        X, figures = getattr(datasets, f"load_{name}")().data, []
        for seed in range(args.repeats):
            train, test = train_test_split(X, random_state=seed)
            train, test = (rows[:, train.std(axis=0) > 0] for rows in (train, test))
            rng, spread = np.random.RandomState(seed), train.std(axis=0)
            wrong = rng.permutation(len(test))[: max(20, len(test) // 20)]
            columns = rng.randint(train.shape[1], size=len(wrong))
            test[wrong, columns] += 5 * spread[columns]
            plain = AutoencoderOutlierDetector(random_state=seed).fit(train)
            size = min(8, train.shape[1] // 2)
            scaled = AutoencoderOutlierDetector(make_pipeline(StandardScaler(), Autoencoder(size)), random_state=seed)
            residuals = test[wrong] - plain.autoencoder_.reconstruct(test[wrong])
            errors = (
                plain.feature_errors(test[wrong]),
                scaled.fit(train).feature_errors(test[wrong]),
                np.square(residuals / spread),
            )
            figures.append([(of_one.argmax(axis=1) == columns).mean() for of_one in errors])
        fractions.append(np.mean(figures, axis=0))
        print(f"{name:16s}{fractions[-1][0]:12.3f}{fractions[-1][1]:16.3f}{fractions[-1][2]:18.3f}", flush=True)
    print(f"{'mean':16s}" + "{:12.3f}{:16.3f}{:18.3f}".format(*np.mean(fractions, axis=0)))


if __name__ == "__main__":
    main()
