"""Codes without components, as PCA allows: each sample is reconstructed as the mean."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from skae import (
    Autoencoder,
    AutoencoderOutlierDetector,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LatentSampler,
    LSTMAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)

X = np.random.RandomState(0).rand(60, 9)
KINDS = [
    Autoencoder(0),
    Autoencoder(0, hidden_layer_sizes=()),
    Autoencoder(0, scale="standard"),
    Autoencoder(0, ordered=True, whiten=True),
    Autoencoder(0, init="random"),
    Autoencoder(0, code_activation="logistic"),
    Autoencoder(0, loss="binary_cross_entropy"),
    Autoencoder(0, loss="poisson"),
    Autoencoder(0, loss="absolute_error", scale=None),
    ContractiveAutoencoder(0),
    ConvolutionalAutoencoder(0),
    DenoisingAutoencoder(0),
    LSTMAutoencoder(0),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: " ".join(repr(kind).split()))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_sample_is_reconstructed_as_the_mean(kind, dtype, tmp_path):
    rows = X.astype(dtype)
    fitted = clone(kind).fit(rows)
    codes = fitted.transform(rows)
    assert (codes.shape, codes.dtype) == ((60, 0), dtype)
    assert fitted.n_components_ == 0
    close = {"rtol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12}
    for x_hat in (fitted.inverse_transform(codes), fitted.reconstruct(rows)):
        np.testing.assert_allclose(x_hat, np.tile(rows.mean(axis=0), (60, 1)), **close)
        assert x_hat.dtype == dtype
    assert fitted.score(rows) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(fitted.score_samples(rows), -np.square(rows - rows.mean(axis=0)).sum(axis=1), rtol=1e-4)
    assert fitted.loadings(rows).shape == (9, 0)
    assert fitted.explained_variance_.shape == (0,)
    assert not fitted.feature_importances_.any()
    assert list(fitted.get_feature_names_out()) == []
    assert (fitted.n_iter_, fitted.best_epoch_, fitted.loss_curve_) == (1, 0, [])
    fitted.save(tmp_path / "empty.skops")
    for again in (pickle.loads(pickle.dumps(fitted)), type(fitted).load(tmp_path / "empty.skops")):
        np.testing.assert_array_equal(again.inverse_transform(codes), fitted.inverse_transform(codes))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.loss != "binary_cross_entropy"], ids=str)
def test_stream_updates_the_mean(kind):
    stream = clone(kind)
    for chunk in np.split(X, [20, 21]):
        stream.partial_fit(chunk)
    np.testing.assert_allclose(stream.inverse_transform(np.empty((2, 0))), np.tile(X.mean(axis=0), (2, 1)), rtol=1e-6)


def test_attributes_equal_those_of_pca_without_components():
    ours, pca = Autoencoder(0, hidden_layer_sizes=()).fit(X), PCA(0).fit(X)
    assert ours.components_.shape == pca.components_.shape == (0, 9)
    assert ours.noise_variance_ == pytest.approx(pca.noise_variance_)
    np.testing.assert_allclose(ours.get_covariance(), pca.get_covariance())
    np.testing.assert_allclose(ours.get_precision(), pca.get_precision())
    assert ours.explained_variance_ratio_.shape == (0,)


def test_search_over_n_components_may_include_zero():
    search = GridSearchCV(Autoencoder(hidden_layer_sizes=()), {"n_components": [0, 1, 2]}, cv=3).fit(X)
    first = search.cv_results_["split0_test_score"][0]
    train, test = X[20:], X[:20]
    assert first == pytest.approx(
        r2_score(test, np.tile(train.mean(axis=0), (20, 1)), multioutput="variance_weighted"), abs=1e-9
    )


def test_mean_of_samples_that_are_read_in_batches_is_correct(monkeypatch):
    monkeypatch.setattr("skae._data.readers.RESIDENT_BYTES", 0)
    np.testing.assert_allclose(Autoencoder(0).fit(X).inverse_transform(np.empty((1, 0)))[0], X.mean(axis=0))


@pytest.mark.parametrize("kind", [SparseAutoencoder(0), VariationalAutoencoder(0)])
def test_variants_that_need_components_raise(kind):
    with pytest.raises(ValueError, match=r"'n_components' parameter of .* must be .*an int in the range \[1, inf\)"):
        kind.fit(X)


def test_empty_layer_of_a_stack_raises():
    with pytest.raises(ValueError, match="numbers of units of 1 or more"):
        StackedAutoencoder((4, 0)).fit(X)


@pytest.mark.parametrize(
    "meta", [LatentSampler(Autoencoder(0)), LatentSampler(PCA(0)), AutoencoderOutlierDetector(Autoencoder(0))], ids=str
)
def test_meta_estimators_of_empty_codes_raise(meta):
    with pytest.raises(ValueError, match=r"have 0 components, .* Set its n_components to 1 or more"):
        meta.fit(X)


def test_table_without_features_raises_the_error_of_scikit_learn():
    for meta in (LatentSampler(), AutoencoderOutlierDetector(), LatentSampler(PCA(1)), Autoencoder()):
        with pytest.raises(ValueError, match=r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required"):
            meta.fit(np.empty((12, 0)))
