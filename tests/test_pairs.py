"""Pairs of noisy and clean samples: training on them, and estimators that ignore them with a warning."""

import copy
import pickle
import warnings

import hypothesis
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from conftest import SMALL, short_name
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import Autoencoder, AutoencoderOutlierDetector, DenoisingAutoencoder
from skae._corruption import CORRUPTIONS
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics
from skae._pca import covariance_of
from skae._regression import Noise, _covariance_of_pairs, _in_the_span, denoising_start_of
from skae.callbacks import Checkpoint

QUICK = {"hidden_layer_sizes": 8, "max_iter": 2, "validation_fraction": 0.4, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), "learning_rate": 1e-30, "max_iter": 1, "random_state": 0}


@pytest.fixture(scope="module")
def pairs(digits):
    """Return noisy and clean digits."""
    return digits + np.random.RandomState(0).normal(scale=3, size=digits.shape), digits


def test_training_on_pairs_outperforms_training_on_noisy_samples(pairs):
    noisy, clean = pairs
    ours = DenoisingAutoencoder(16, max_iter=5, random_state=0)
    error = np.square(ours.fit(noisy[:180], clean[:180]).reconstruct(noisy[180:]) - clean[180:]).mean()
    alone = np.square(ours.fit(noisy[:180]).reconstruct(noisy[180:]) - clean[180:]).mean()
    assert error < 0.75 * np.square(noisy[180:] - clean[180:]).mean()
    assert error < 0.75 * alone


def test_initialization_is_reduced_rank_regression():
    rng = np.random.RandomState(0)
    clean = rng.randn(5000, 3) @ rng.randn(3, 8) + 5
    noisy = 2 * clean + rng.randn(5000, 8) - 1
    ours = DenoisingAutoencoder(3, **LINEAR).fit(noisy, clean)
    regression = LinearRegression().fit(noisy, clean)
    predicted = regression.predict(noisy)
    _, _, axes = np.linalg.svd(predicted - clean.mean(axis=0), full_matrices=False)
    expected = (predicted - clean.mean(axis=0)) @ axes[:3].T @ axes[:3] + clean.mean(axis=0)
    assert np.abs(ours.reconstruct(noisy) - expected).max() < 0.01 * clean.std()
    np.testing.assert_allclose(ours.mean_, clean.mean(axis=0))


@pytest.mark.parametrize("shape", [(60, 50), (40, 120)])
def test_initialization_generalizes_with_few_samples(shape):
    rng = np.random.RandomState(0)
    n, d = shape
    clean = rng.randn(2 * n, 4) @ rng.randn(4, d)
    noisy = clean + 2 * rng.randn(2 * n, d)
    ours = DenoisingAutoencoder(4, **LINEAR).fit(noisy[:n], clean[:n])
    assert ours.score(noisy[n:], clean[n:]) > 0.6


@hypothesis.given(
    n=st.integers(3, 40),
    d=st.integers(2, 60),
    k=st.integers(1, 8),
    level=st.sampled_from([0.0, 0.3]),
    ridge=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 1000),
)
@hypothesis.settings(max_examples=25)
def test_pairs_start_in_the_span_of_rows_where_features_would_have_it(n, d, k, level, ridge, seed):
    rng = np.random.default_rng(seed)
    clean = rng.standard_normal((n, 4)) @ rng.standard_normal((4, d)) + 1
    noisy = clean + rng.standard_normal((n, d))
    clean[:, 0] = 3.0
    statistics = FeatureStatistics().update(ArrayReader(noisy), ArrayReader(clean))
    rows = ScaledReader(noisy, statistics.mean, statistics.scale("global"), clean=clean)
    x = rows.read(slice(None))
    corrupted = np.where(rng.random((50 * n, d)) < level, 0, np.tile(x, (50, 1)))
    noise = Noise(
        corrupted.mean(axis=0), np.square(corrupted).mean(axis=0), (corrupted * np.tile(x, (50, 1))).mean(axis=0)
    )
    mean, covariance = covariance_of(rows)
    expected = denoising_start_of(mean, covariance, noise, k, _covariance_of_pairs(rows, mean), ridge)
    start = _in_the_span(x, noise, k, rows.clean.read(slice(None)), ridge)
    np.testing.assert_allclose(start.mean, expected.mean, atol=1e-12)
    denoiser, wanted = (each.components.T @ each.filters for each in (start, expected))
    np.testing.assert_allclose(denoiser, wanted, atol=1e-6 * np.abs(wanted).max())


def test_auto_adds_noise_unless_pairs_are_given(pairs):
    noisy, clean = (rows[:60] for rows in pairs)

    def drawn(*data, **parameters):
        return DenoisingAutoencoder(2, **QUICK, **parameters).fit(*data).net_.module_.corruption

    assert drawn(clean) == "masking"
    assert drawn(clean, clean) == drawn(clean, clean.copy()) == "masking"  # Keras users pass X as the target
    assert drawn(clean, np.arange(len(clean))) == "masking"
    assert drawn(noisy, clean) is drawn(noisy, clean, corruption=None) is None
    assert drawn(noisy, clean, corruption="swap") == "swap"


@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
def test_noise_is_added_to_pairs_on_request(pairs, corruption):
    noisy, clean = pairs
    ours = DenoisingAutoencoder(8, corruption=corruption, **QUICK).fit(noisy, clean)
    module = ours.net_.module_
    x = module.scaler(torch.tensor(noisy, dtype=torch.float32))
    assert not torch.equal(module.corrupt(x), x)
    if corruption == "gaussian":  # values in the range of the noisy samples are not clipped
        module.levels = (0.0, 0.0)
        torch.testing.assert_close(module.corrupt(x), x)
    assert ours.score(noisy, clean) > 0.3


def test_validation_loss_uses_clean_samples(pairs):
    noisy, clean = pairs
    frozen = DenoisingAutoencoder(4, learning_rate=1e-30, max_iter=2, random_state=0, scale=None, hidden_layer_sizes=8)
    loss = frozen.fit(noisy, clean).validation_loss_curve_[-1]
    assert loss == pytest.approx(np.square(frozen.reconstruct(noisy) - clean).sum(axis=1).mean(), rel=0.15)


def test_score(pairs):
    noisy, clean = pairs
    ours = DenoisingAutoencoder(8, **QUICK).fit(noisy, clean)
    expected = r2_score(clean, ours.reconstruct(noisy), multioutput="variance_weighted")
    assert ours.score(noisy, clean) == pytest.approx(expected)
    assert ours.score(noisy, scipy.sparse.csr_array(clean)) == pytest.approx(expected)
    own = r2_score(noisy, ours.reconstruct(noisy), multioutput="variance_weighted")
    assert ours.score(noisy) == ours.score(noisy, np.arange(240)) == pytest.approx(own)
    with pytest.raises(ValueError, match="shape"):
        ours.score(noisy, clean[:, 1:])


@pytest.mark.parametrize("of_noisy", [np.asarray, scipy.sparse.csr_array, pd.DataFrame])
@pytest.mark.parametrize("of_clean", [np.asarray, scipy.sparse.csc_array, pd.DataFrame, np.ndarray.tolist])
def test_containers_of_pairs(pairs, of_noisy, of_clean):
    noisy, clean = pairs
    expected = DenoisingAutoencoder(4, **QUICK).fit(noisy, clean).score(noisy, clean)
    ours = DenoisingAutoencoder(4, **QUICK).fit(of_noisy(noisy), of_clean(clean))
    assert ours.score(of_noisy(noisy), of_clean(clean)) == pytest.approx(expected, rel=1e-3)


def test_samples_of_memory_maps(pairs, tmp_path):
    noisy, clean = pairs
    files = []
    for name, rows in zip("ab", pairs, strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
        files.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    ours, expected = (DenoisingAutoencoder(4, **QUICK).fit(*data) for data in (files, pairs))
    np.testing.assert_array_equal(ours.transform(noisy), expected.transform(noisy))
    bad = clean.copy()
    bad[7, 3] = np.nan
    np.save(tmp_path / "c.npy", bad)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        ours.fit(files[0], np.load(tmp_path / "c.npy", mmap_mode="r"))


def test_memory_layout_and_random_state(pairs):
    ours, again = (DenoisingAutoencoder(4, **QUICK).fit(*pairs) for _ in range(2))
    np.testing.assert_array_equal(ours.transform(pairs[0]), again.transform(pairs[0]))
    for copied in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        np.testing.assert_array_equal(ours.transform(pairs[0]), copied.transform(pairs[0]))


def test_pairs_in_partial_fit_raise_and_in_warm_start_are_used(pairs):
    noisy, clean = pairs
    stream = DenoisingAutoencoder(8, **QUICK).partial_fit(clean)  # without pairs, so that noise is added
    before = stream.transform(noisy)
    with pytest.raises(ValueError, match=r"partial_fit doesn't support clean samples as y.*fit\(X_noisy, X_clean\)"):
        stream.partial_fit(noisy, clean)
    np.testing.assert_array_equal(stream.transform(noisy), before)
    warm = DenoisingAutoencoder(8, **QUICK, warm_start=True).fit(noisy, clean)
    assert warm.fit(noisy, clean).score(noisy, clean) > 0.4


def test_fraction_of_variance_is_measured_on_clean_samples(pairs):
    ours = DenoisingAutoencoder(0.5, **QUICK).fit(*pairs)
    assert 1 <= ours.n_components_ < 20
    assert ours.explained_variance_ratio_.sum() == pytest.approx(ours.score(*pairs), abs=0.02)


@pytest.mark.parametrize("parameters", [{"scale": "standard"}, {"loss": "absolute_error"}, {"init": "random"}])
def test_common_parameters_with_pairs(pairs, parameters):
    assert np.isfinite(DenoisingAutoencoder(4, **QUICK, **parameters).fit(*pairs).score(*pairs))


def test_grid_search(pairs):
    search = GridSearchCV(DenoisingAutoencoder(**LINEAR), {"n_components": [1, 12]}, cv=2).fit(*pairs)
    assert search.best_params_ == {"n_components": 12}
    assert cross_val_score(DenoisingAutoencoder(8, **LINEAR), *pairs, cv=2).min() > 0.3


def test_last_step_of_pipeline(pairs):
    noisy, clean = pairs
    alone = DenoisingAutoencoder(8, **QUICK).fit(noisy, clean)
    pipeline = make_pipeline(FunctionTransformer(), clone(alone)).fit(noisy, clean)
    assert pipeline.score(noisy, clean) == alone.score(noisy, clean)


def test_checkpoint_of_other_clean_samples_raises(pairs, tmp_path):
    noisy, clean = pairs
    ours = DenoisingAutoencoder(4, **QUICK, callbacks=[Checkpoint(tmp_path)])
    first = ours.fit(noisy, clean).transform(noisy)
    np.testing.assert_array_equal(ours.fit(noisy, clean).transform(noisy), first)
    with pytest.raises(ValueError, match="the digest of the clean samples was"):
        ours.fit(noisy, clean + 1)
    with pytest.raises(ValueError, match="the digest of the clean samples was"):
        ours.fit(noisy)


def test_invalid_pairs_raise(pairs):
    noisy, clean = pairs
    with pytest.raises(ValueError, match=r"y has shape \(240, 63\) and X has shape \(240, 64\)"):
        DenoisingAutoencoder().fit(noisy, clean[:, 1:])
    with pytest.raises(ValueError, match=r"y has shape \(239, 64\) and X has shape \(240, 64\)"):
        DenoisingAutoencoder().fit(noisy, clean[1:])
    for value, message in ((np.nan, "Input y contains NaN"), (np.inf, "Input y contains infinity")):
        bad = clean.copy()
        bad[3, 3] = value
        with pytest.raises(ValueError, match=message):
            DenoisingAutoencoder().fit(noisy, bad)
        with pytest.raises(ValueError, match=message):
            DenoisingAutoencoder().partial_fit(noisy, bad)
    with pytest.raises(ValueError, match="y has 1 masked values"):
        DenoisingAutoencoder().fit(noisy, _masked(clean))
    for labels in (None, np.arange(240), ["a"] * 240):
        with pytest.raises(ValueError, match=r"corruption=None adds no noise.*fit\(X_noisy, X_clean\)"):
            DenoisingAutoencoder(corruption=None).fit(noisy, labels)


def _masked(rows):
    mask = np.zeros(rows.shape, dtype=bool)
    mask[0, 0] = True
    return np.ma.masked_array(rows, mask)


def test_each_process_uses_its_fraction_of_pairs(pairs):
    noisy, clean = pairs
    module = DenoisingAutoencoder(4, emphasis=0.7, **QUICK).fit(noisy, clean).net_.module_
    x, y = (module.scaler(torch.tensor(rows, dtype=torch.float32)) for rows in pairs)
    whole = module.losses(x, None, y)["reconstruction"]
    module.share = slice(10, 30)
    torch.testing.assert_close(module.losses(x, None, y)["reconstruction"], whole[10:30])


OTHERS = [kind for kind in SMALL[:11] if not isinstance(kind, DenoisingAutoencoder)]


@pytest.mark.parametrize("estimator", [OTHERS[0], pytest.param(OTHERS[4], marks=pytest.mark.slow)], ids=short_name)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_other_estimators_warn_about_pairs(pairs, estimator, method):
    noisy, clean = pairs
    with pytest.warns(UserWarning, match=r"y has X's shape.*ignores y.*DenoisingAutoencoder\.fit\(X_noisy, X_clean\)"):
        getattr(clone(estimator), method)(noisy, clean)


@pytest.mark.parametrize("estimator", [Autoencoder(2, hidden_layer_sizes=())])
def test_labels_and_x_itself_are_ignored_silently(pairs, estimator):
    noisy, clean = pairs
    labels = [None, np.arange(240), ["a"] * 240, noisy, noisy.copy(), pd.DataFrame(noisy), clean[:, :3], object()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in labels:
            estimator.fit(noisy, y)
        Autoencoder(1, hidden_layer_sizes=()).fit(noisy[:, :1], clean[:, 1:2])  # a single column is treated as labels


def test_detector_propagates_the_warning(pairs):
    noisy, clean = pairs
    with pytest.warns(UserWarning, match="ignores y"):
        AutoencoderOutlierDetector(Autoencoder(2, hidden_layer_sizes=())).fit(noisy, clean)
