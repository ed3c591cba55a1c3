"""ONNX models in onnxruntime against the estimators that they were made of, for every kind, on digits.

    python docs/benchmarks/to_onnx.py

Deviations are the greatest of any number, from what the methods give in float64, in units of the spread of that (the
root of its columns' mean variance). What the methods themselves give in float32 stands beside them. Far rows are 50
times as far from the mean. Kinds are those of the tests, which take seconds to fit.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from conftest import SMALL, short_name

METHODS = {"encoder": "transform", "decoder": "inverse_transform", "reconstruct": "reconstruct"}


def run(model, X):
    """Outputs of a model for rows of float32."""
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": X})


def deviation(found, wanted):
    """Greatest deviation of any number, in units of the spread."""
    return np.abs(found - wanted).max() / np.sqrt(wanted.var(axis=0).mean())


def deviations(estimator, X, far):
    """Of each part: of the model, of the model on far rows, and of the method in float32."""
    for part, method in METHODS.items():
        apply, model = getattr(estimator, method), estimator.to_onnx(part)
        found = []
        for rows in (X, far):
            given = estimator.transform(rows) if part == "decoder" else rows
            wanted = apply(given.astype(float))
            found += [deviation(run(model, given)[0], wanted), deviation(apply(given), wanted)]
        yield found[:3]


def main():
    """Print a line for each kind, and one for each Pipeline."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    far = X.mean(axis=0) + 50 * (X - X.mean(axis=0))
    print("             encoder                    decoder                  reconstruct")
    print("    ONNX     far  method      ONNX     far  method      ONNX     far  method")
    greatest = []
    for kind in SMALL:
        lines = list(deviations(clone(kind).fit(X), X, far))
        greatest.append(np.max(lines, axis=0))
        print(
            "   ".join(" ".join(f"{value:7.1e}" for value in values) for values in lines), short_name(kind), flush=True
        )
    model, far, method = np.max(greatest, axis=0)
    print(f"greatest: ONNX {model:.1e}, on far rows {far:.1e}, the methods in float32 {method:.1e}")

    transformer = make_pipeline(StandardScaler(), Autoencoder(10, random_state=0)).fit(X)
    (codes,) = run(to_onnx(transformer, X[:1]), X)
    print(f"Pipeline of StandardScaler and Autoencoder: {deviation(codes, transformer.transform(X.astype(float))):.1e}")
    classifier = make_pipeline(*transformer, LogisticRegression(max_iter=1000)).fit(X, y)
    labels, _ = run(to_onnx(classifier, X[:1], options={"zipmap": False}), X)
    same = (labels == classifier.predict(X.astype(float))).sum()
    print(f"... and LogisticRegression: the same label for {same} of {len(X)} rows")


if __name__ == "__main__":
    main()
