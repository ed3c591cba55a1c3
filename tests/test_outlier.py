"""The outlier detector: its interface, PCA as an oracle, rows far outside, columns that are wrong."""

import inspect

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import Autoencoder, AutoencoderOutlierDetector, VariationalAutoencoder

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
BENIGN, MALIGNANT = (load_breast_cancer().data[load_breast_cancer().target == i] for i in (1, 0))


@pytest.mark.slow
@parametrize_with_checks(
    [
        AutoencoderOutlierDetector(Autoencoder(1, hidden_layer_sizes=(8,), max_iter=2)),
        AutoencoderOutlierDetector(PCA(1), code_distance=False),
    ]
)
def test_sklearns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", ["check_param_validation", "check_dataframe_column_names_consistency"])
def test_checks_that_check_estimator_leaves_out(check):
    getattr(estimator_checks, check)("AutoencoderOutlierDetector", AutoencoderOutlierDetector(PCA(1)))


def test_the_interface_is_isolation_forests(digits):
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


def test_of_pca_the_score_is_that_of_process_monitoring():
    detector = AutoencoderOutlierDetector(PCA(5)).fit(BENIGN)
    pca = PCA(5).fit(BENIGN)
    codes = pca.transform(BENIGN)
    q = np.square(BENIGN - pca.inverse_transform(codes)).sum(axis=1)
    t2 = np.square(codes / codes.std(axis=0)).sum(axis=1)
    np.testing.assert_allclose(detector.score_samples(BENIGN), -q / q.std() - t2 / t2.std())


def test_without_the_distance_it_is_the_error(digits):
    fitted = Autoencoder(4, **QUICK).fit(digits)
    detector = AutoencoderOutlierDetector(FrozenEstimator(fitted), code_distance=False).fit(digits)
    errors = -fitted.score_samples(digits)
    np.testing.assert_allclose(detector.score_samples(digits), -errors / errors.std())


@pytest.mark.parametrize("autoencoder", [PCA(4), Autoencoder(4, **QUICK), VariationalAutoencoder(4, **QUICK)])
def test_rows_far_outside(digits, autoencoder):
    """They lie on the plane that is given back: without the distance they are missed, with it they are not."""
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


def test_malignant_is_odd_to_benign():
    detector = AutoencoderOutlierDetector(random_state=0).fit(BENIGN[:250])
    is_malignant = np.repeat([0, 1], [len(BENIGN) - 250, len(MALIGNANT)])
    scores = detector.score_samples(np.concatenate([BENIGN[250:], MALIGNANT]))
    assert roc_auc_score(is_malignant, -scores) > 0.95
    assert (detector.predict(BENIGN[250:]) == -1).mean() < 0.15
    assert (detector.predict(MALIGNANT) == -1).mean() > 0.7


@pytest.mark.parametrize("contamination", [0.02, 0.25, 0.5])
def test_contamination_is_the_share_of_the_training_rows(digits, contamination):
    detector = AutoencoderOutlierDetector(PCA(4), contamination=contamination).fit(digits)
    assert (detector.predict(digits) == -1).mean() == pytest.approx(contamination, abs=0.01)


def test_auto_is_a_fence_on_the_fourth_root():
    rng = np.random.RandomState(0)
    X = rng.randn(2000, 6)
    X[:40] *= 30
    detector = AutoencoderOutlierDetector(PCA(2)).fit(X)
    assert (detector.predict(X[:40]) == -1).mean() > 0.9
    assert 0 < (detector.predict(X[40:]) == -1).mean() < 0.06
    roots = np.sqrt(np.sqrt(-detector.score_samples(X)))
    median, *upper = np.quantile(roots, [0.5, 0.75, 0.875])
    deviation = max((upper[0] - median) / 0.6744898, (upper[1] - median) / 1.1503494)
    assert detector.offset_ == pytest.approx(-((median + 2.0537489 * deviation) ** 4))


# Columns -------------------------------------------------------------------------------------------------------------


def test_errors_are_what_another_value_would_mend():
    X = StandardScaler().fit_transform(load_wine().data)
    detector, pca = AutoencoderOutlierDetector(PCA(4)).fit(X), PCA(4).fit(X)
    residuals = X - pca.inverse_transform(pca.transform(X))

    def oddness(rows):
        codes = pca.transform(rows)
        off = np.square(rows - pca.inverse_transform(codes)) / np.square(residuals).mean(axis=0)
        return off.sum(axis=1) + np.square(codes / pca.transform(X).std(axis=0)).sum(axis=1)

    found = detector.feature_errors(X[:7])
    for j in (0, 5, 12):
        best = np.full(7, np.inf)
        for value in np.quantile(X[:, j], np.linspace(0, 1, 9)):
            others = X[:7].copy()
            others[:, j] = value
            best = np.minimum(best, oddness(others))
        np.testing.assert_allclose(found[:, j], np.maximum(oddness(X[:7]) - best, 0), atol=1e-9)


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_a_shifted_column_is_named(name):
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
def test_columns_do_not_depend_on_the_other_rows(monkeypatch):
    X = load_wine().data
    detector = AutoencoderOutlierDetector(PCA(3)).fit(X)
    whole = detector.feature_errors(X)
    monkeypatch.setattr("skae._feature_errors.BYTES_AT_ONCE", 1)  # row by row
    np.testing.assert_allclose(detector.feature_errors(X), whole, rtol=1e-6, atol=1e-6)


# What it takes -------------------------------------------------------------------------------------------------------


def test_pipelines_frames_and_sparse_rows(digits):
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
def test_same_seed_same_detector(digits, autoencoder):
    """Also where the seed within is not set; one that is, is kept."""
    detector = AutoencoderOutlierDetector(autoencoder, random_state=0)
    one, two = (clone(detector).fit(digits[:80]).score_samples(digits) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    other = clone(detector).set_params(random_state=1).fit(digits[:80])
    assert not np.array_equal(one, other.score_samples(digits))
    detector = AutoencoderOutlierDetector(Autoencoder(4, **QUICK), random_state=7).fit(digits[:80])
    assert detector.autoencoder_.random_state == 0


@pytest.mark.parametrize("X", [np.ones((30, 3)), np.arange(30.0)[:, None], load_digits().data[:10]])
def test_constant_rows_one_column_and_few_rows(X):
    detector = AutoencoderOutlierDetector(Autoencoder(1, **QUICK)).fit(X)
    assert np.isfinite(detector.decision_function(X)).all()
    assert np.isfinite(detector.feature_errors(X)).all()
    assert (detector.predict(X + 1e3) == -1).all()


@pytest.mark.parametrize("contamination", [0, -0.1, 0.51, 1, "none", None])
def test_bad_contamination(contamination, digits):
    with pytest.raises(ValueError, match="'contamination' parameter of AutoencoderOutlierDetector must be"):
        AutoencoderOutlierDetector(contamination=contamination).fit(digits)


def test_bad_calls(digits):
    with pytest.raises(TypeError, match=r"got estimator class instead|unbound method"):  # the latter is what 1.6 says
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
