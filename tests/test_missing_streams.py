"""Missing values in streams: chunks with some or all values missing, before and after a fit."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits

from skae import Autoencoder, AutoencoderOutlierDetector, DenoisingAutoencoder
from skae._data.missing import FactorModel
from skae._data.readers import ArrayReader
from skae._data.statistics import FeatureStatistics
from tests.conftest import QUICK
from tests.test_missing import FEW, error, factors, with_missing_values

LINEAR = Autoencoder(4, hidden_layer_sizes=(), random_state=0)


def stream(estimator, X, size=60):
    for start in range(0, len(X), size):
        estimator.partial_fit(X[start : start + size])
    return estimator


def test_every_estimator_learns_from_chunks_with_missing_values(small, digits, tmp_path):
    X, missing = with_missing_values(digits)
    fitted = stream(small, X)
    codes, full = fitted.transform(X), fitted.impute(X)
    assert np.isfinite(codes).all()
    assert np.isfinite(full).all()
    np.testing.assert_array_equal(full[~missing], X[~missing])
    np.testing.assert_allclose(fitted.mean_, np.nanmean(X, axis=0), atol=1e-9)
    again = pickle.loads(pickle.dumps(fitted))
    fitted.save(tmp_path / "kept.skops")
    loaded = type(fitted).load(tmp_path / "kept.skops")
    for other in (again, loaded):
        np.testing.assert_array_equal(other.impute(X), full)
    for one in (fitted, again, loaded):
        one.partial_fit(X[:50])
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


@pytest.mark.parametrize("kind", [LINEAR, Autoencoder(4, **FEW)], ids=["linear", "network"])
@pytest.mark.parametrize(
    "order", ["incomplete first", "incomplete later", "after a fit", "after a fit with missing values", "before a fit"]
)
def test_missing_values_may_occur_at_any_time(kind, order):
    digits = load_digits().data
    X, missing = with_missing_values(digits)
    fitted = kind.__class__(**kind.get_params())
    if order == "incomplete first":
        stream(stream(fitted, X[:600], 200), digits[600:1200], 200)
    elif order == "incomplete later":
        stream(stream(fitted, digits[:600], 200), X[600:1200], 200)
    elif order == "before a fit":
        stream(fitted, X[:300], 100).set_params(warm_start=True).fit(X[:1200])
    else:
        stream(fitted.fit(digits[:600] if order == "after a fit" else X[:600]), X[600:1200], 200)
    later, gone = X[1200:], missing[1200:]
    mean = np.broadcast_to(digits.mean(axis=0), digits.shape)[1200:]
    assert error(fitted.impute(later), digits[1200:], gone) < 0.75 * error(mean, digits[1200:], gone)
    codes, filled = fitted.transform(digits[1200:]), fitted.transform(later)
    assert np.square(filled - codes).sum() < 0.2 * np.square(codes - codes.mean(axis=0)).sum()


def test_many_small_chunks_are_nearly_as_good_as_fit():
    X = load_breast_cancer().data
    incomplete, missing = with_missing_values(X)
    unit = X.std(axis=0)
    fitted = Autoencoder(4, scale="standard", hidden_layer_sizes=16, random_state=0).fit(incomplete)
    whole = error(fitted.impute(incomplete) / unit, X / unit, missing)
    streamed = stream(Autoencoder(4, scale="standard", hidden_layer_sizes=16, random_state=0), incomplete, 50)
    assert error(streamed.impute(incomplete) / unit, X / unit, missing) < 1.25 * whole
    np.testing.assert_allclose(streamed.mean_, fitted.mean_)


def test_invalid_chunk_leaves_the_estimator_unchanged(digits):
    X, _ = with_missing_values(digits)
    fitted = stream(Autoencoder(4, **FEW), X)
    codes, full = fitted.transform(X), fitted.impute(X)
    wrong = X.copy()
    wrong[3, 3] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        fitted.partial_fit(wrong)
    np.testing.assert_array_equal(fitted.transform(X), codes)
    np.testing.assert_array_equal(fitted.impute(X), full)


def test_column_may_be_missing_in_later_chunks_but_not_in_the_first(digits):
    X, _ = with_missing_values(digits)
    X[:60, 20] = np.nan
    estimator = Autoencoder(4, **FEW)
    with pytest.raises(ValueError, match="Column 20 of X has no observed values: it is NaN in all 60 samples"):
        estimator.partial_fit(X[:60])
    assert not hasattr(estimator, "n_components_")
    estimator.partial_fit(X[60:120]).partial_fit(X[:60])
    assert np.isfinite(estimator.impute(X)).all()


@pytest.mark.parametrize("kind", [LINEAR, Autoencoder(4, **FEW)], ids=["linear", "network"])
def test_chunks_of_one_sample_and_samples_without_values(kind, digits):
    X, _ = with_missing_values(digits)
    fitted = stream(kind.__class__(**kind.get_params()), X[:100], 50)
    fitted.partial_fit(X[100:101])
    fitted.partial_fit(np.full((1, 64), np.nan))
    fitted.partial_fit(np.full((5, 64), np.nan))
    assert np.isfinite(fitted.transform(X)).all()
    np.testing.assert_allclose(fitted.mean_, np.nanmean(X[:101], axis=0))


@pytest.mark.parametrize("kind", [LINEAR, Autoencoder(4, **FEW)], ids=["linear", "network"])
def test_sparse_and_dense_chunks(kind, digits):
    X, missing = with_missing_values(digits)
    fitted = kind.__class__(**kind.get_params()).partial_fit(csr_array(digits[:100])).partial_fit(X[100:200])
    fitted.partial_fit(csr_array(digits[200:])).partial_fit(X[:100])
    mean = np.broadcast_to(digits.mean(axis=0), digits.shape)
    assert error(fitted.impute(X), digits, missing) < error(mean, digits, missing)


def test_initially_constant_column():
    X = factors(n=400, d=6, noise=0.1)
    X[:100, 2] = 7.0
    X[100:, 2] = 7.0 + 1000 * X[100:, 5]
    incomplete, missing = with_missing_values(X)
    fitted = stream(Autoencoder(3, scale="standard", **FEW), incomplete, 100)
    gone = missing[200:, 2]
    off = (fitted.impute(incomplete)[200:, 2] - X[200:, 2])[gone]
    assert np.sqrt(np.square(off).mean()) < 0.5 * X[200:, 2].std()


def test_chunks_of_pairs_raise(digits):
    X, _ = with_missing_values(digits)
    with pytest.raises(ValueError, match="partial_fit doesn't support clean samples"):
        DenoisingAutoencoder(4, **FEW).partial_fit(X, digits)


def test_factor_model_of_chunks_equals_that_of_all_samples():
    """Check that updated factor analysis agrees with that of all samples, for any chunk sizes."""
    X = factors(n=2000, d=12, rank=3, noise=0.3)
    incomplete, missing = with_missing_values(X)
    rows, unit = ArrayReader(incomplete, may_miss=True), X.std(axis=0)
    whole = FactorModel.of(rows, FeatureStatistics().update(rows), 0)
    best = error(whole.fill(incomplete) / unit, X / unit, missing)
    for size in (16, 100, 400):
        before = None
        for start in range(0, 2000, size):
            chunk = ArrayReader(incomplete[start : start + size], may_miss=True)
            now = FeatureStatistics() if before is None else pickle.loads(pickle.dumps(before))
            now.update(chunk)
            model = now.factors = FactorModel.of_stream(chunk, before, now, 0)
            before = now
        assert model.kept is None
        assert error(model.fill(incomplete) / unit, X / unit, missing) < 1.1 * best, size
        np.testing.assert_allclose(model.mean, np.nanmean(incomplete, axis=0), atol=0.1 * unit.max())


def test_detector_of_a_stream():
    X, y = load_breast_cancer(return_X_y=True)
    incomplete, _ = with_missing_values(X)
    typical, outliers = incomplete[y == 1], incomplete[y == 0]
    detector = AutoencoderOutlierDetector(Autoencoder(4, scale="standard", **QUICK), random_state=0)
    stream(detector, typical[:250], 50)
    assert (detector.predict(outliers) == -1).mean() > (detector.predict(typical[250:]) == -1).mean() + 0.3
    assert detector.predict(np.full((1, 30), np.nan)) == [-1]
