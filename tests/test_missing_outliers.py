"""Missing values in the detector and the sampler: samples are scored by their observed values."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

import skae
from skae import Autoencoder, AutoencoderOutlierDetector, LatentSampler
from skae._outlier_measures import Residuals
from tests.conftest import QUICK

BENIGN, MALIGNANT = (load_breast_cancer().data[load_breast_cancer().target == i] for i in (1, 0))
BENIGN, NEW = BENIGN[:250], BENIGN[250:]
SCALED = make_pipeline(StandardScaler(), Autoencoder(4, **QUICK))
QUICKLY = Autoencoder(4, **QUICK)


def with_missing_values(X, fraction=0.3, seed=0):
    return np.where(np.random.RandomState(seed).rand(*X.shape) < fraction, np.nan, X)


INNERS = {
    "none": None,
    "plain": QUICKLY,
    "pipeline": SCALED,
    "frozen": FrozenEstimator(clone(SCALED).fit(BENIGN)),
    "search": GridSearchCV(QUICKLY, {"n_components": [2, 4]}, cv=2),
    "passthrough": make_pipeline("passthrough", QUICKLY),
}


class Sliceable:
    """Samples that are read in batches, as from a file."""

    def __init__(self, X):
        self.X, self.shape, self.dtype, self.most = X, X.shape, X.dtype, 0

    def __getitem__(self, rows):
        self.most = max(self.most, len(self.X[rows]))
        return self.X[rows]

    def __len__(self):
        return len(self.X)


def test_sampler_reads_files_in_batches(monkeypatch):
    monkeypatch.setattr(skae._data.readers, "BYTES_AT_ONCE", 8 * 30 * 100)
    X = with_missing_values(BENIGN)
    X[7] = np.nan
    rows = Sliceable(X)
    sampler = LatentSampler(QUICKLY, random_state=0).fit(X)
    np.testing.assert_array_equal(sampler.score_samples(rows), sampler.score_samples(X))
    assert rows.most <= 100
    assert np.isneginf(sampler.score_samples(rows)).sum() == 1


@pytest.mark.parametrize("estimator", [AutoencoderOutlierDetector, LatentSampler])
@pytest.mark.parametrize("name", INNERS)
def test_tags_are_those_of_the_nested_autoencoder(estimator, name):
    assert get_tags(estimator(INNERS[name])).input_tags.allow_nan
    for inner in (PCA(2), make_pipeline(StandardScaler(), PCA(2)), FrozenEstimator(PCA(2).fit(BENIGN))):
        assert not get_tags(estimator(inner)).input_tags.allow_nan
        with pytest.raises(ValueError, match="Input X contains NaN"):
            estimator(inner).fit(with_missing_values(BENIGN))
        fitted = estimator(inner).fit(BENIGN)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            fitted.score_samples(with_missing_values(NEW))


def test_replacing_the_nested_autoencoder():
    detector = AutoencoderOutlierDetector(PCA(2)).fit(BENIGN)
    assert np.isfinite(detector.set_params(autoencoder=QUICKLY).fit(with_missing_values(BENIGN)).offset_)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        detector.set_params(autoencoder=PCA(2)).fit(with_missing_values(BENIGN))
    assert np.isfinite(detector.score_samples(with_missing_values(BENIGN))).all()  # it is not refitted


@pytest.mark.parametrize("where", ["training", "new", "both"])
@pytest.mark.parametrize("name", [name for name in INNERS if name != "none"])
@pytest.mark.parametrize("code_distance", [True, False])
def test_detector_accepts_missing_values(where, name, code_distance):
    X = BENIGN if where == "new" else with_missing_values(BENIGN)
    new, outliers = (rows if where == "training" else with_missing_values(rows, seed=1) for rows in (NEW, MALIGNANT))
    detector = AutoencoderOutlierDetector(INNERS[name], code_distance=code_distance, random_state=0).fit(X)
    typical, strange = detector.score_samples(new), detector.score_samples(outliers)
    assert np.isfinite(typical).all()
    assert np.isfinite(strange).all()
    scores = np.concatenate([typical, strange])
    assert roc_auc_score(np.repeat([1, 0], [len(new), len(outliers)]), scores) > 0.85
    np.testing.assert_array_equal(detector.decision_function(outliers), strange - detector.offset_)
    assert (detector.predict(outliers) == -1).mean() > 0.4
    assert (detector.predict(new) == -1).mean() < 0.15
    errors = detector.feature_errors(outliers[:3])
    assert np.isfinite(errors).all()
    assert (errors >= 0).all()
    assert (errors[np.isnan(outliers[:3])] == 0).all()
    assert errors.any()
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.score_samples(outliers), strange)


def test_scores_do_not_depend_on_the_number_of_observed_values():
    """Check that typical samples have similar scores, whether a tenth or nearly all of the values are observed."""
    detector = AutoencoderOutlierDetector(SCALED, random_state=0).fit(BENIGN)
    whole = detector.score_samples(NEW)
    for fraction in (0.05, 0.3, 0.6):
        scores = detector.score_samples(with_missing_values(NEW, fraction))
        assert abs(np.median(scores) - np.median(whole)) < 0.5 * whole.std()
        assert (scores < detector.offset_).mean() < 0.1
        assert np.corrcoef(scores, whole)[0, 1] > 0.2


def test_scores_of_complete_samples_do_not_depend_on_other_samples():
    detector = AutoencoderOutlierDetector(SCALED, random_state=0).fit(BENIGN)
    alone, both = detector.score_samples(NEW), np.concatenate([NEW[:50], with_missing_values(NEW[:40]), NEW[50:]])
    np.testing.assert_allclose(detector.score_samples(both)[np.r_[:50, 90 : len(both)]], alone, rtol=1e-9)


@pytest.mark.parametrize("outlier", [True, False])
def test_wrong_value_is_found_despite_missing_values(outlier):
    X = with_missing_values(BENIGN, 0.2)
    detector = AutoencoderOutlierDetector(SCALED, random_state=0).fit(X)
    rows = with_missing_values(NEW[:20], 0.2, seed=5)
    place = np.array([np.flatnonzero(~np.isnan(row))[3] for row in rows])
    if outlier:
        rows[np.arange(20), place] += 15 * BENIGN.std(axis=0)[place]
    found = (detector.feature_errors(rows).argmax(axis=1) == place).mean()
    assert found > 0.9 if outlier else found < 0.4
    assert (detector.predict(rows) == -1).mean() > 0.9 if outlier else (detector.predict(rows) == -1).mean() < 0.3


def test_sample_without_values_is_an_outlier_and_ignored_in_fit():
    blank = np.full((2, 30), np.nan)
    detector = AutoencoderOutlierDetector(SCALED, random_state=0).fit(BENIGN)
    assert (detector.score_samples(blank) == -np.inf).all()
    assert (detector.predict(blank) == -1).all()
    assert (detector.feature_errors(blank) == 0).all()
    X = np.vstack([BENIGN, np.repeat(blank, 30, axis=0)])
    frozen = FrozenEstimator(clone(SCALED).fit(X))
    of_all, of_some = (AutoencoderOutlierDetector(frozen).fit(rows) for rows in (X, BENIGN))
    np.testing.assert_allclose(of_all.score_samples(NEW), of_some.score_samples(NEW), rtol=1e-6)
    assert of_all.offset_ == pytest.approx(of_some.offset_)
    few = AutoencoderOutlierDetector(SCALED, contamination=0.1, random_state=0).fit(X)
    assert np.isfinite(few.offset_)
    sampler = LatentSampler(frozen, random_state=0)
    of_all, of_some = clone(sampler).fit(X), clone(sampler).fit(BENIGN)
    np.testing.assert_allclose(of_all.score_samples(NEW), of_some.score_samples(NEW))
    assert (of_all.score_samples(X)[-60:] == -np.inf).all()


@pytest.mark.parametrize("kind", ["pandas", "nullable", "None", "polars", "memory map", "list", "float32"])
def test_containers_of_samples(kind, tmp_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X = np.round(with_missing_values(load_digits().data[:200, 20:30]))
    X[3] = np.nan
    names = [f"pixel{i}" for i in range(10)]
    frame = pd.DataFrame(X, columns=names)
    np.save(tmp_path / "X.npy", X)
    table = {
        "pandas": frame,
        "nullable": frame.astype("Int64"),
        "None": frame.astype(object).mask(np.isnan(X), None),
        "polars": pl.DataFrame({name: [None if np.isnan(x) else int(x) for x in frame[name]] for name in names}),
        "memory map": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "list": X.tolist(),
        "float32": X.astype(np.float32),
    }[kind]
    near = {"rtol": 1e-3, "atol": 2e-3} if kind == "float32" else {"rtol": 1e-9}
    detector = AutoencoderOutlierDetector(QUICKLY, random_state=0)
    expected, found = clone(detector).fit(X), clone(detector).fit(table)
    np.testing.assert_allclose(found.score_samples(table), expected.score_samples(X), **near)
    if kind != "list":
        errors = np.asarray(found.feature_errors(table[:20]))
        assert (errors[np.isnan(X[:20])] == 0).all()
        assert errors[~np.isnan(X[:20])].any()
    samplers = [LatentSampler(QUICKLY, random_state=0).fit(rows) for rows in (X, table)]
    scores = [sampler.score_samples(rows) for sampler, rows in zip(samplers, (X, table), strict=True)]
    np.testing.assert_allclose(scores[1], scores[0], **near)
    assert np.isneginf(scores[1]).sum() == 1


def test_sampler_assigns_higher_likelihood_to_its_data():
    X = load_digits().data
    sampler = LatentSampler(Autoencoder(8, **QUICK), random_state=0).fit(with_missing_values(X))
    mirrored = sampler.score_samples(with_missing_values(X[:, ::-1], seed=1))
    assert np.median(sampler.score_samples(with_missing_values(X, seed=2))) > np.median(mirrored)


def test_step_that_raises_for_some_samples_only():
    class Positive(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):  # noqa: ARG002 - scikit-learn's signature
            self.fitted_ = True
            return self

        def transform(self, X):
            if (X <= 0).any():
                raise ValueError("a value is not positive")
            return np.log(X)

        def inverse_transform(self, X):
            return np.exp(X)

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.allow_nan = True
            return tags

    X = with_missing_values(BENIGN[:, :10] + 1)
    inner = make_pipeline(Positive(), QUICKLY)
    detector, sampler = AutoencoderOutlierDetector(inner).fit(X), LatentSampler(inner).fit(X)
    rows = X[:6].copy()
    rows[2, np.flatnonzero(~np.isnan(rows[2]))[0]] = -1
    for fitted in (detector, sampler):
        np.testing.assert_array_equal(np.isneginf(fitted.score_samples(rows)), np.arange(6) == 2)


def test_nan_from_a_logarithm_is_not_a_missing_value():
    log = FunctionTransformer(
        lambda X: np.where(X > 0, np.log(np.where(X > 0, X, 1)), np.where(np.isnan(X), X, -np.inf)),
        np.exp,
        check_inverse=False,
    )
    X = with_missing_values(BENIGN[:, :10] + 1)
    detector = AutoencoderOutlierDetector(make_pipeline(log, QUICKLY)).fit(X)
    assert np.isneginf(detector.score_samples(-np.abs(X))).all()


def test_sparse_samples_with_nan_raise():
    X = csr_array(np.where(BENIGN > 1, BENIGN, 0))
    detector = AutoencoderOutlierDetector(QUICKLY).fit(X)
    X.data[5] = np.nan
    for method in (AutoencoderOutlierDetector(QUICKLY).fit, detector.score_samples, LatentSampler(QUICKLY).fit):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            method(X)


# Formulas ------------------------------------------------------------------------------------------------------------


def normal_samples(n=4000, d=6, seed=0):
    rng = np.random.RandomState(seed)
    A = rng.randn(d, d)
    return rng.multivariate_normal(np.zeros(d), A @ A.T + np.eye(d), n), A @ A.T + np.eye(d)


@pytest.mark.parametrize("fraction", [0.2, 0.7])
def test_squared_lengths_use_observed_values(fraction):
    rows, covariance = normal_samples()
    measure = Residuals(rows, rows.var(axis=0), np.zeros(rows.shape, dtype=bool))
    missing = np.random.RandomState(1).rand(200, 6) < fraction
    lengths = measure.squared_lengths(np.where(missing, 0, rows[:200]), missing)
    for row, gone, found in zip(rows[:200], missing, lengths, strict=True):
        if gone.all():
            continue
        some, n = row[~gone], (~gone).sum()
        exact = some @ np.linalg.solve(covariance[np.ix_(~gone, ~gone)], some) * 6 / n
        assert found[0] == pytest.approx(exact, rel=0.15, abs=0.05)
        assert found[1] == pytest.approx(np.square(some / measure.units[~gone]).mean() * 6)


def test_covariance_of_residuals_is_estimated_despite_missing_values():
    rows, _ = normal_samples(20_000)
    missing = np.random.RandomState(1).rand(*rows.shape) < 0.4
    whole = Residuals(rows, rows.var(axis=0), np.zeros_like(missing))
    some = Residuals(np.where(missing, 0, rows), rows.var(axis=0), missing)
    np.testing.assert_allclose(some.units, whole.units, rtol=0.03)
    np.testing.assert_allclose(some.precision, whole.precision, atol=0.1 * np.abs(whole.precision).max())
