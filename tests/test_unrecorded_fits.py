"""Tools that record fits of estimators, such as `mlflow.sklearn.autolog`, record only those by the user."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

from skae import (
    Autoencoder,
    AutoencoderOutlierDetector,
    DenoisingAutoencoder,
    LatentSampler,
    VariationalAutoencoder,
)
from skae.inspection import ExplainedVarianceDisplay, LatentSpaceDisplay, ReconstructionDisplay
from skae.metrics import sample_precision_recall

RECORDED = ("fit", "fit_transform", "fit_predict", "partial_fit")
LINEAR = Autoencoder(3, hidden_layer_sizes=(), random_state=0)


@pytest.fixture
def recorded(monkeypatch):
    """Return a list of the methods of scikit-learn estimators that are called, recorded as mlflow does."""
    calls = []

    def patch(cls, name):
        original = getattr(cls, name)

        def called(self, *args, **kwargs):
            calls.append(f"{cls.__name__}.{name}")
            return original(self, *args, **kwargs)

        monkeypatch.setattr(cls, name, called)

    for _, cls in all_estimators():
        for name in RECORDED:
            if callable(getattr(cls, name, None)):
                patch(cls, name)
    return calls


def test_fits_by_user_are_recorded(recorded, digits):
    GaussianMixture(1).fit(digits[:20, :2])
    assert "GaussianMixture.fit" in recorded


def test_estimators_record_no_internal_fits(recorded, small, digits):
    X = digits[:120]
    small.fit(X)
    small.inverse_transform(small.transform(X))
    small.score(X)
    small.fit_transform(X)
    if hasattr(small, "partial_fit"):
        clone(small).partial_fit(X[:70]).partial_fit(X[70:])
    assert [call for call in recorded if not call.startswith("BernoulliRBM")] == []  # a layer that the user chose


@pytest.mark.parametrize(
    "estimator",
    [
        LINEAR,
        clone(LINEAR).set_params(scale="standard"),
        clone(LINEAR).set_params(n_components=0.7),
        clone(LINEAR).set_params(n_components="mle"),
        clone(LINEAR).set_params(n_components=None, whiten=True),
        VariationalAutoencoder(3, hidden_layer_sizes=()),
        AutoencoderOutlierDetector(LINEAR),
        AutoencoderOutlierDetector(Autoencoder(2, hidden_layer_sizes=8, max_iter=2, random_state=0)),
        LatentSampler(LINEAR, random_state=0),
    ],
    ids=lambda estimator: " ".join(repr(estimator).split()),
)
@pytest.mark.filterwarnings("ignore:.* have collapsed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("shape", ["tall", "wide", "sparse", "memory map"])
def test_no_internal_fits_for_any_shape_of_data(recorded, estimator, shape, digits, tmp_path):
    X = np.random.RandomState(0).permutation(digits[:200].T).T
    if shape == "wide":
        X = X[:30, :20] if getattr(estimator, "n_components", None) == "mle" else X[:30]
    elif shape == "sparse":
        X = csr_array(X)
    elif shape == "memory map":
        np.save(tmp_path / "rows.npy", X)
        X = np.load(tmp_path / "rows.npy", mmap_mode="r")
    fitted = clone(estimator).fit(X)
    fitted.score_samples(X)
    if hasattr(fitted, "sample") and isinstance(fitted, LatentSampler):
        fitted.sample(3)
    if hasattr(fitted, "predict"):
        fitted.predict(X)
    assert recorded == []


def test_pairs_record_no_internal_fits(recorded, digits):
    noisy = digits + np.random.RandomState(0).randn(*digits.shape)
    DenoisingAutoencoder(3, hidden_layer_sizes=8, max_iter=1, random_state=0).fit(noisy, digits)
    assert recorded == []


def test_nested_estimators_of_user_are_recorded(recorded, digits):
    LatentSampler(make_pipeline(StandardScaler(), LINEAR), GaussianMixture(2, random_state=0), random_state=0).fit(
        digits
    )
    assert {"Pipeline.fit", "GaussianMixture.fit"} <= set(recorded)
    assert not any(call.startswith(("PCA", "EmpiricalCovariance", "IncrementalPCA")) for call in recorded)


def test_metrics_and_displays_record_no_internal_fits(recorded, digits):
    linear = clone(LINEAR).set_params(scale="standard").fit(digits)
    sample_precision_recall(digits[:100], digits[100:])
    for display in (ExplainedVarianceDisplay, LatentSpaceDisplay, ReconstructionDisplay):
        display.from_estimator(linear, digits)
    plt.close("all")
    assert recorded == []
