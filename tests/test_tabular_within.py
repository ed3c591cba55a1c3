"""Tables in the detector and the sampler: errors are per column of the frame, and generated samples are a frame."""

import pickle

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from test_tabular import draw, draw_polars, quick, types, with_missing_values

from skae import AutoencoderOutlierDetector, LatentSampler, TabularAutoencoder

COLUMNS = ["bool", "float", "object", "int16", "category", "boolean"]


@pytest.fixture(scope="module")
def X():  # noqa: N802
    return draw(n=400)[COLUMNS]


@pytest.fixture(scope="module")
def detector(X):
    return AutoencoderOutlierDetector(TabularAutoencoder(2), random_state=0).fit(X)


def wrong(X, name, n=30):
    """Return samples in which one column has the different value of another sample."""
    others = X.assign(**{name: X[name].to_numpy()[::-1]})
    differs = (others[name].astype(object) != X[name].astype(object)).to_numpy()
    return others[differs][:n]


@pytest.mark.parametrize("name", ["object", "category", "float"])
def test_wrong_column_is_found(detector, X, name):
    outliers = wrong(X, name)
    assert detector.score_samples(outliers).mean() < detector.score_samples(X).mean() - 5
    errors = detector.feature_errors(outliers)
    assert list(errors.columns) == COLUMNS
    assert errors.index.equals(outliers.index)
    assert (errors.to_numpy() >= 0).all()
    assert errors.mean().idxmax() == name


def test_feature_error_is_improvement_by_best_replacement(detector):
    outliers = wrong(draw(1)[COLUMNS], "category", 5)  # not training samples
    errors, now = detector.feature_errors(outliers), detector.score_samples(outliers)
    others = [detector.score_samples(outliers.assign(category=[c] * len(outliers))) for c in ("a", "b", "c")]
    np.testing.assert_allclose(errors["category"], np.maximum(np.max(others, axis=0) - now, 0), rtol=1e-6, atol=1e-6)


def test_training_samples_are_scored_out_of_fold(detector, X):
    assert len(detector._autoencoders) > 2
    np.testing.assert_allclose(detector.score_samples(X[:40]), detector.score_samples(X)[:40], rtol=1e-9)
    assert (detector._held_out.folds_of(detector.autoencoder_._as_numbers(X)) > 0).all()


def test_missing_values_pickle_and_frozen_estimator(detector, X):
    incomplete, missing = with_missing_values(X)
    scores = detector.score_samples(incomplete)
    assert np.isfinite(scores).all()
    assert (detector.feature_errors(incomplete[:20]).to_numpy()[missing[:20]] == 0).all()
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.score_samples(incomplete), scores)
    frozen = AutoencoderOutlierDetector(FrozenEstimator(detector.autoencoder_)).fit(X)
    assert np.isfinite(frozen.score_samples(X)).all()


def test_polars_and_arrays():
    X = draw_polars(n=200)[["float", "str", "bool", "enum"]]
    detector = AutoencoderOutlierDetector(quick()).fit(X)
    errors = detector.feature_errors(X[:5])
    assert type(errors) is type(X)
    assert errors.columns == X.columns
    array = draw()[["float", "object"]].astype(object).to_numpy()
    detector = AutoencoderOutlierDetector(quick()).fit(array)
    assert detector.feature_errors(array[:5]).shape == (5, 2)


def test_partial_fit_of_detector(X):
    detector = AutoencoderOutlierDetector(quick(), random_state=0)
    for start in range(0, 400, 200):
        detector.partial_fit(X.iloc[start : start + 200])
    assert detector.feature_errors(X[:3]).shape == (3, len(COLUMNS))
    assert set(detector.predict(X)) <= {-1, 1}


@pytest.mark.parametrize("make", [draw, draw_polars])
def test_generated_samples_are_a_frame(make):
    X = make(n=300)
    X = X[[name for name in X.columns if name not in ("date", "aware", "span", "day", "time")]]
    sampler = LatentSampler(quick(), random_state=0).fit(X)
    drawn = sampler.sample(50, random_state=0)
    assert types(drawn) == types(X)
    assert len(drawn) == 50
    assert np.isfinite(sampler.score_samples(X)).all()
    again = pickle.loads(pickle.dumps(sampler)).sample(50, random_state=0)
    assert again.equals(drawn)


def test_columns_of_generated_samples_are_consistent(X):
    drawn = LatentSampler(TabularAutoencoder(2), random_state=0).fit(X).sample(500, random_state=0)
    assert ((drawn["float"] > 3) == drawn["bool"]).mean() > 0.95  # the same holds for the training data
    assert (drawn["object"] == drawn["category"].astype(object)).mean() > 0.95
    assert abs((drawn["object"] == "b").mean() - (X["object"] == "b").mean()) < 0.1
