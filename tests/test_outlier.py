"""The outlier detector: its interface, comparison with PCA, far outliers, and wrong features."""

import inspect
import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import norm
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import Autoencoder, AutoencoderOutlierDetector, VariationalAutoencoder
from skae._data.readers import ArrayReader
from skae._outlier_measures import Reservoir

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
BENIGN, MALIGNANT = (load_breast_cancer().data[load_breast_cancer().target == i] for i in (1, 0))


@pytest.mark.slow
@parametrize_with_checks(
    [
        AutoencoderOutlierDetector(Autoencoder(1, hidden_layer_sizes=(8,), max_iter=2)),
        AutoencoderOutlierDetector(PCA(1), code_distance=False, contamination=0.05),
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", ["check_param_validation", "check_dataframe_column_names_consistency"])
def test_checks_outside_check_estimator(check):
    getattr(estimator_checks, check)("AutoencoderOutlierDetector", AutoencoderOutlierDetector(PCA(1)))


def test_interface_is_that_of_isolation_forest(digits):
    detector = AutoencoderOutlierDetector(Autoencoder(4, **QUICK), contamination=0.1).fit(digits)
    for name, method in inspect.getmembers(IsolationForest, inspect.isfunction):
        if not name.startswith("_") and "metadata" not in name and "request" not in name:
            assert (
                list(inspect.signature(method).parameters)[:2]
                == list(inspect.signature(getattr(AutoencoderOutlierDetector, name)).parameters)[:2]
            ), name
    scores = detector.score_samples(digits)
    assert scores.shape == (240,)
    assert (scores <= 0).all()
    np.testing.assert_allclose(detector.decision_function(digits), scores - detector.offset_)
    np.testing.assert_array_equal(detector.predict(digits), np.where(scores < detector.offset_, -1, 1))
    assert (detector.predict(digits) == -1).mean() == pytest.approx(0.1, abs=0.01)
    np.testing.assert_array_equal(clone(detector).fit_predict(digits), detector.predict(digits))


# Scores --------------------------------------------------------------------------------------------------------------


def _log_tail_fraction(values, typical, power):
    """Return the log fraction of typical samples above each value, by the median and upper quantiles of a power."""
    median, *upper = np.quantile(typical**power, [0.5, 0.75, 0.875])
    deviation = max((upper[0] - median) / 0.6744898, (upper[1] - median) / 1.1503494)
    return norm.logsf((values**power - median) / deviation)


def test_score_combines_the_tail_fractions_of_four_measures():
    """Check against a direct computation with PCA: residuals, and neighbor distances of whitened and unscaled codes."""
    pca, new = PCA(5).fit(BENIGN), MALIGNANT[:50]
    codes, codes_of_new = pca.transform(BENIGN), pca.transform(new)
    residuals = BENIGN - pca.inverse_transform(codes)
    units = np.sqrt(np.square(residuals).mean(axis=0))
    units = np.maximum(units, np.sqrt(np.median(units**2)))
    units = np.maximum(units, np.sqrt(1e-3) * BENIGN.std(axis=0))
    covariance = LedoitWolf(assume_centered=True).fit(residuals / units).covariance_
    precision = np.linalg.inv(covariance + 1e-3 * np.trace(covariance) / 30 * np.eye(30))

    def lengths(rows, precision):
        scaled = (rows - pca.inverse_transform(pca.transform(rows))) / units
        return np.einsum("ij,jk,ik->i", scaled, precision, scaled)

    whole, of_units = (
        _log_tail_fraction(lengths(new, each), lengths(BENIGN, each), 1 / 4) for each in (precision, np.eye(30))
    )
    expected = [whole + of_units / 4]
    for unit in (codes.std(axis=0), 1.0):
        neighbors = NearestNeighbors(n_neighbors=10).fit(codes / unit)
        typical, found = (
            distances[:, 4] * distances[:, 9]
            for distances in (neighbors.kneighbors()[0], neighbors.kneighbors(codes_of_new / unit)[0])
        )  # a sample is not its own neighbor
        expected.append(_log_tail_fraction(found, typical, 1 / 16))
    detector = AutoencoderOutlierDetector(PCA(5)).fit(BENIGN)
    np.testing.assert_allclose(detector.score_samples(new), expected[0] + np.minimum(*expected[1:]), rtol=1e-6)
    of_error = AutoencoderOutlierDetector(PCA(5), code_distance=False).fit(BENIGN)
    np.testing.assert_allclose(of_error.score_samples(new), expected[0], rtol=1e-6)


@pytest.mark.parametrize("autoencoder", [PCA(4), Autoencoder(4, **QUICK), VariationalAutoencoder(4, **QUICK)])
def test_far_outliers(digits, autoencoder):
    """Check outliers in the plane of the components, which only the distance of codes detects."""
    plane = PCA(4).fit(digits)
    far = plane.inverse_transform(4 * plane.transform(digits[:100]))
    with_distance, without = (
        AutoencoderOutlierDetector(autoencoder, code_distance=distance).fit(digits) for distance in (True, False)
    )
    is_far = np.repeat([0, 1], [len(digits), len(far)])

    def area(detector):
        return roc_auc_score(is_far, -detector.score_samples(np.concatenate([digits, far])))

    assert area(with_distance) > 0.9
    assert area(with_distance) > area(without)


def test_malignant_samples_are_outliers_of_benign_ones():
    detector = AutoencoderOutlierDetector(random_state=0).fit(BENIGN[:250])
    is_malignant = np.repeat([0, 1], [len(BENIGN) - 250, len(MALIGNANT)])
    scores = detector.score_samples(np.concatenate([BENIGN[250:], MALIGNANT]))
    assert roc_auc_score(is_malignant, -scores) > 0.95
    assert (detector.predict(BENIGN[250:]) == -1).mean() < 0.15
    assert (detector.predict(MALIGNANT) == -1).mean() > 0.7


@pytest.mark.parametrize("contamination", [0.02, 0.25, 0.5])
def test_contamination_is_the_fraction_of_training_outliers(digits, contamination):
    detector = AutoencoderOutlierDetector(PCA(4), contamination=contamination).fit(digits)
    assert (detector.predict(digits) == -1).mean() == pytest.approx(contamination, abs=0.01)


def test_auto_contamination_is_tukey_fence_on_eighth_root():
    rng = np.random.RandomState(0)
    X = rng.randn(2000, 6)
    X[:40] *= 30
    detector = AutoencoderOutlierDetector(PCA(2)).fit(X)
    assert (detector.predict(X[:40]) == -1).mean() > 0.9
    assert 0 < (detector.predict(X[40:]) == -1).mean() < 0.06
    roots = (-detector.score_samples(X)) ** (1 / 8)
    median, *upper = np.quantile(roots, [0.5, 0.75, 0.875])
    deviation = max((upper[0] - median) / 0.6744898, (upper[1] - median) / 1.1503494)
    assert detector.offset_ == pytest.approx(-((median + 2.0537489 * deviation) ** 8))


# Clusters and gaps ---------------------------------------------------------------------------------------------------


def _between(kind, rng):
    """Return samples with an empty region in their middle, and outliers in it."""
    if kind == "clusters":
        centers = rng.uniform(-6, 6, size=(5, 10))
        X = centers[rng.randint(5, size=500)] + rng.randn(500, 10)
        return X, rng.uniform(X.min(axis=0), X.max(axis=0), size=(200, 10))
    n_features = {"ring": 2, "ring in fifty dimensions": 50, "sphere": 3}[kind]
    inner = 3 if kind == "sphere" else 2
    rows = rng.randn(700, inner)
    rows *= (
        5 * (np.r_[np.ones(500), 0.6 * rng.uniform(size=200) ** (1 / inner)] / np.linalg.norm(rows, axis=1))[:, None]
    )
    rows = rows @ np.linalg.qr(rng.randn(n_features, inner))[0].T + 0.2 * rng.randn(700, n_features)
    return rows[:500], rows[500:]


@pytest.mark.parametrize("fraction", [0, 0.1])
@pytest.mark.parametrize("kind", ["clusters", "ring", "ring in fifty dimensions", "sphere"])
def test_samples_between_clusters_are_outliers(kind, fraction):
    """Check outliers whose codes are near the mean, where a single Gaussian has its maximum density."""
    X, outliers = _between(kind, np.random.RandomState(0))
    trained = np.concatenate([X[:400], outliers[: int(fraction * 400)]])
    detector = AutoencoderOutlierDetector(PCA(min(8, X.shape[1]))).fit(trained)
    is_odd = np.repeat([0, 1], [100, 150])
    scores = detector.score_samples(np.concatenate([X[400:], outliers[50:]]))
    assert roc_auc_score(is_odd, -scores) > 0.75


@pytest.mark.parametrize("exponent", [0, 3])
def test_units_of_features_do_not_matter(exponent):
    """Check that a wrong value of a column of small numbers is found even if other columns have large ones."""
    rng = np.random.RandomState(0)
    X = rng.randn(600, 3) @ rng.randn(3, 12) + 0.2 * rng.randn(600, 12)
    wrong = X[400:500].copy()
    wrong[:, :2] = wrong[::-1, :2]
    units = 10.0 ** np.linspace(-exponent, exponent, 12)
    detector = AutoencoderOutlierDetector(PCA(6)).fit(X[:400] * units)
    scores = detector.score_samples(np.concatenate([X[500:], wrong]) * units)
    assert roc_auc_score(np.repeat([0, 1], 100), -scores) > 0.85


# Streams -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [IncrementalPCA(3), Autoencoder(3, **QUICK)])
def test_partial_fit_updates_threshold(inner):
    rng = np.random.RandomState(0)
    X = rng.randn(2400, 3) @ rng.randn(3, 8) + 0.3 * rng.randn(2400, 8)
    detector, offsets = AutoencoderOutlierDetector(inner, contamination=0.05, random_state=0), []
    for chunk in np.array_split(X, 4):
        assert detector.partial_fit(chunk) is detector
        offsets.append(detector.offset_)
    assert len(set(offsets)) == 4
    assert 0.02 < (detector.predict(X) == -1).mean() < 0.1
    assert (detector.predict(X + 10) == -1).all()
    again = clone(detector)
    for chunk in np.array_split(X, 4):
        again.partial_fit(chunk)
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    other = pickle.loads(pickle.dumps(detector)).partial_fit(X[:100])
    np.testing.assert_array_equal(other.score_samples(X), detector.partial_fit(X[:100]).score_samples(X))


def test_partial_fit_after_fit_and_estimators_without_partial_fit(digits):
    detector = AutoencoderOutlierDetector(IncrementalPCA(4)).fit(digits).partial_fit(digits[:50])
    assert detector.autoencoder_.n_samples_seen_ == len(digits) + 50
    with pytest.raises(ValueError, match="63 features"):
        detector.partial_fit(digits[:, 1:])
    assert not hasattr(AutoencoderOutlierDetector(PCA(2)), "partial_fit")
    assert hasattr(AutoencoderOutlierDetector(), "partial_fit")


def test_reservoir_samples_uniformly():
    kept = np.zeros(60)
    for seed in range(400):
        reservoir = Reservoir(20, np.random.RandomState(seed))
        for chunk in np.array_split(np.arange(60.0)[:, None], 7):
            reservoir.update(ArrayReader(chunk))
        kept[reservoir.rows.astype(int).ravel()] += 1
    assert kept.sum() == 400 * 20
    assert np.abs(kept / 400 - 1 / 3).max() < 0.1  # four standard errors


# Feature errors ------------------------------------------------------------------------------------------------------


def test_feature_errors_are_improvements_by_replacement_values():
    X = StandardScaler().fit_transform(load_wine().data)
    detector = AutoencoderOutlierDetector(PCA(4)).fit(X)
    now, found = detector.score_samples(X[:7]), detector.feature_errors(X[:7])
    for j in (0, 5, 12):
        best = np.full(7, -np.inf)
        for value in np.quantile(X[:, j], np.linspace(0, 1, 9)):
            others = X[:7].copy()
            others[:, j] = value
            best = np.maximum(best, detector.score_samples(others))
        np.testing.assert_allclose(found[:, j], np.maximum(best - now, 0), atol=1e-9)


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_shifted_feature_is_found(name):
    X = {"breast_cancer": load_breast_cancer, "wine": load_wine}[name]().data
    X = StandardScaler().fit_transform(X)
    rng = np.random.RandomState(0)
    wrong = rng.permutation(len(X))[: max(20, len(X) // 20)]
    columns = rng.randint(X.shape[1], size=len(wrong))
    broken = X.copy()
    broken[wrong, columns] += 5
    detector = AutoencoderOutlierDetector(Autoencoder(4, max_iter=20, random_state=0)).fit(X)
    errors = detector.feature_errors(broken[wrong])
    assert errors.shape == (len(wrong), X.shape[1])
    assert (errors >= 0).all()
    assert (errors.argmax(axis=1) == columns).mean() > 0.9


@pytest.mark.slow
def test_feature_errors_do_not_depend_on_other_samples(monkeypatch):
    X = load_wine().data
    detector = AutoencoderOutlierDetector(PCA(3)).fit(X)
    whole = detector.feature_errors(X)
    monkeypatch.setattr("skae._feature_errors.BYTES_AT_ONCE", 1)  # sample by sample
    np.testing.assert_allclose(detector.feature_errors(X), whole, rtol=1e-6, atol=1e-6)


# Input ---------------------------------------------------------------------------------------------------------------


def test_pipelines_data_frames_and_sparse_samples(digits):
    pandas = pytest.importorskip("pandas")
    detector = AutoencoderOutlierDetector(make_pipeline(StandardScaler(), Autoencoder(4, **QUICK)))
    plain = clone(detector).fit(digits)
    frame = pandas.DataFrame(digits).add_prefix("pixel_")
    named = clone(detector).fit(frame)
    assert list(named.feature_names_in_) == list(frame)
    np.testing.assert_allclose(named.score_samples(frame), plain.score_samples(digits), rtol=1e-3)
    detector = AutoencoderOutlierDetector(Autoencoder(4, **QUICK))
    dense, thin = (clone(detector).fit(rows).score_samples(rows) for rows in (digits, sparse.csr_matrix(digits)))
    np.testing.assert_allclose(dense, thin, rtol=1e-3)


@pytest.mark.parametrize("autoencoder", [None, make_pipeline(StandardScaler(), Autoencoder(4, max_iter=3))])
@pytest.mark.slow
def test_same_random_state_gives_same_detector(digits, autoencoder):
    """Check this also if the autoencoder has no random state; one that is set is not changed."""
    detector = AutoencoderOutlierDetector(autoencoder, random_state=0)
    one, two = (clone(detector).fit(digits[:80]).score_samples(digits) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    other = clone(detector).set_params(random_state=1).fit(digits[:80])
    assert not np.array_equal(one, other.score_samples(digits))
    detector = AutoencoderOutlierDetector(Autoencoder(4, **QUICK), random_state=7).fit(digits[:80])
    assert detector.autoencoder_.random_state == 0


@pytest.mark.parametrize("X", [np.ones((30, 3)), np.arange(30.0)[:, None], load_digits().data[:10]])
def test_constant_samples_single_column_and_few_samples(X):
    detector = AutoencoderOutlierDetector(Autoencoder(1, **QUICK)).fit(X)
    assert np.isfinite(detector.decision_function(X)).all()
    assert np.isfinite(detector.feature_errors(X)).all()
    assert (detector.predict(X + 1e3) == -1).all()


@pytest.mark.parametrize("contamination", [0, -0.1, 0.51, 1, "none", None])
def test_invalid_contamination_raises(contamination, digits):
    with pytest.raises(ValueError, match="'contamination' parameter of AutoencoderOutlierDetector must be"):
        AutoencoderOutlierDetector(contamination=contamination).fit(digits)


def test_invalid_arguments_raise(digits):
    with pytest.raises(TypeError, match=r"got estimator class instead|unbound method"):  # the latter with 1.6
        AutoencoderOutlierDetector(StandardScaler).fit(digits)
    with pytest.raises(ValueError, match="must be an object implementing"):
        AutoencoderOutlierDetector(IsolationForest()).fit(digits)
    for method in ("predict", "score_samples", "decision_function", "feature_errors"):
        with pytest.raises(NotFittedError):
            getattr(AutoencoderOutlierDetector(), method)(digits)
    detector = AutoencoderOutlierDetector(PCA(2)).fit(digits)
    with pytest.raises(ValueError, match="X has 63 features, but AutoencoderOutlierDetector is expecting 64"):
        detector.predict(digits[:, 1:])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        detector.predict(np.full((2, 64), np.nan))
