"""The reference in displays is the same Pipeline with PCA instead of the autoencoder."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, RobustScaler, StandardScaler

from skae import Autoencoder
from skae.inspection import ExplainedVarianceDisplay, LatentSpaceDisplay

X = load_digits().data[:200]
RAW, KINDS = load_wine(return_X_y=True)  # columns of very different units
PCA_KINDS = {
    "Pipeline": (lambda inner: make_pipeline(StandardScaler(), inner), [StandardScaler()], "StandardScaler + PCA"),
    "nested": (
        lambda inner: make_pipeline(
            make_pipeline(PowerTransformer(), MinMaxScaler()), "passthrough", make_pipeline(inner)
        ),
        [PowerTransformer(), MinMaxScaler()],
        "PowerTransformer + MinMaxScaler + PCA",
    ),
    "pandas": (
        lambda inner: make_pipeline(
            StandardScaler().set_output(transform="pandas"), inner.set_output(transform="pandas")
        ),
        [StandardScaler()],
        "StandardScaler + PCA",
    ),
    "search": (
        lambda inner: GridSearchCV(
            make_pipeline(RobustScaler(), inner), {"robustscaler__with_centering": [True]}, cv=2
        ),
        [RobustScaler()],
        "RobustScaler + PCA",
    ),
    "in a Pipeline": (
        lambda inner: make_pipeline(StandardScaler(), GridSearchCV(inner, {"n_components": [3]}, cv=2)),
        [StandardScaler()],
        "StandardScaler + PCA",
    ),
    "scale": (lambda inner: inner.set_params(scale="standard"), [StandardScaler()], "StandardScaler + PCA"),
    "plain": (lambda inner: inner, [], "PCA"),
}


@pytest.mark.parametrize("freeze", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["fitted", "frozen"])
@pytest.mark.parametrize("kind", PCA_KINDS)
@pytest.mark.filterwarnings("ignore:X has feature names")  # from GridSearchCV, which scores arrays
def test_reference_is_the_same_pipeline_with_pca(kind, freeze):
    make, before, name = PCA_KINDS[kind]
    linear = Autoencoder(3, hidden_layer_sizes=())  # it is PCA, so that the two agree
    estimator = make(linear).fit(RAW)
    if freeze:
        estimator = FrozenEstimator(estimator)
    expected = make_pipeline(*map(clone, before), PCA(3)).fit(RAW)

    display = LatentSpaceDisplay.from_estimator(estimator, RAW, KINDS)
    codes = expected.transform(RAW)
    np.testing.assert_allclose(display.pca_codes, codes[:, :2], atol=1e-6 * np.abs(codes).max())
    np.testing.assert_allclose(display.codes[:, :2], display.pca_codes, atol=1e-6 * np.abs(codes).max())
    assert [ax.get_title() for ax in display.axes_] == ["Autoencoder", name]

    display = ExplainedVarianceDisplay.from_estimator(estimator, RAW)
    X_hat = expected.inverse_transform(codes)
    r2 = r2_score(RAW, X_hat, multioutput="variance_weighted")
    assert display.pca_sizes.tolist() == [1, 2, 3, 4, 5, 6]
    assert display.pca_r2[2] == pytest.approx(r2)
    np.testing.assert_allclose(display.r2, display.pca_r2[:3], atol=1e-6)
    assert [text.get_text() for text in display.ax_.get_legend().texts] == [name, "Autoencoder"]
    plt.close("all")


def test_reference_of_frozen_pipeline():
    pipe = FrozenEstimator(make_pipeline(StandardScaler(), Autoencoder(2, hidden_layer_sizes=())).fit(RAW))
    display = ExplainedVarianceDisplay.from_estimator(pipe, RAW)
    assert (display.name, display.pca_name) == ("Autoencoder", "StandardScaler + PCA")
    np.testing.assert_allclose(display.r2, display.pca_r2[:2], atol=1e-6)


def test_reference_for_new_samples():
    # the transformers are those of the estimator, so that both codes belong to the same samples
    pipe = make_pipeline(StandardScaler(), Autoencoder(2, hidden_layer_sizes=())).fit(RAW[::2])
    display = LatentSpaceDisplay.from_estimator(pipe, RAW[1::2])
    np.testing.assert_allclose(display.pca_codes, PCA(2).fit_transform(pipe[0].transform(RAW[1::2])))


def test_reference_with_steps_that_change_the_number_of_features():
    pipe = make_pipeline(TruncatedSVD(5), Autoencoder(2, hidden_layer_sizes=())).fit(csr_array(X))
    display = ExplainedVarianceDisplay.from_estimator(pipe, csr_array(X))
    assert display.pca_sizes.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(display.r2, display.pca_r2[:2], atol=1e-6)
    assert display.pca_name == "TruncatedSVD + PCA"


def test_pipeline_ending_in_pca_has_no_reference():
    pipe = make_pipeline(StandardScaler(), PCA(2)).fit(RAW)
    assert LatentSpaceDisplay.from_estimator(pipe, RAW).pca_codes is None
