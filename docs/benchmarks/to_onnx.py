"""Compare ONNX models in onnxruntime with the estimators that they were exported from, for every variant, on digits.

    python docs/benchmarks/to_onnx.py

Prints the largest absolute deviation from the methods in float64, in units of the scale (the root of the columns' mean
variance) of the codes or, for decoder and reconstruct, of the samples. The deviation of the methods in float32 is
printed next to it. "far" samples are 50 times as far from the mean, and reconstructed. The estimators are those of the
tests, which take seconds to fit.
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
    """Return the outputs of a model for samples of float32."""
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": X})


def deviation(found, wanted, like):
    """Return the largest absolute deviation, in units of the scale of `like`."""
    return np.abs(found - wanted).max() / np.sqrt(like.var(axis=0, dtype=float).mean())


def deviations(estimator, part, X):
    """Return the deviation of the model, and that of the method in float32."""
    apply = getattr(estimator, METHODS[part])
    given = estimator.transform(X) if part == "decoder" else X
    wanted = apply(given.astype(float))
    like = wanted if part == "encoder" else X
    return deviation(run(estimator.to_onnx(part), given)[0], wanted, like), deviation(apply(given), wanted, like)


def main():
    """Print a line for each estimator and each Pipeline."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    far = X.mean(axis=0) + 50 * (X - X.mean(axis=0))
    cases = [*((part, X) for part in METHODS), ("reconstruct", far)]
    print("".join(f"{name:^18}" for name in (*METHODS, "far samples")))
    print("    ONNX  method  " * len(cases))
    lines = []
    for kind in SMALL:
        estimator = clone(kind).fit(X)
        lines.append([deviations(estimator, *case) for case in cases])
        print("  ".join(f"{model:8.1e}{method:8.1e}" for model, method in lines[-1]), short_name(kind), flush=True)
    largest = np.max(lines, axis=0)
    print("  ".join(f"{model:8.1e}{method:8.1e}" for model, method in largest), "largest")

    transformer = make_pipeline(StandardScaler(), Autoencoder(10, random_state=0)).fit(X)
    (codes,) = run(to_onnx(transformer, X[:1]), X)
    wanted = transformer.transform(X.astype(float))
    print(f"Pipeline of StandardScaler and Autoencoder: {deviation(codes, wanted, wanted):.1e}")
    classifier = make_pipeline(*transformer, LogisticRegression(max_iter=1000)).fit(X, y)
    labels, _ = run(to_onnx(classifier, X[:1], options={"zipmap": False}), X)
    same = (labels == classifier.predict(X.astype(float))).sum()
    print(f"... and LogisticRegression: the same label for {same} of {len(X)} samples")


if __name__ == "__main__":
    main()
