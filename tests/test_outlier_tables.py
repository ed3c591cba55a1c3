"""The detector with ties, skewed features, data frames, wide samples, and steps that can't be inverted."""

import tracemalloc

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector, LatentSampler

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
WINE = StandardScaler().fit_transform(load_wine().data)
POSITIVE = np.exp(np.random.RandomState(0).randn(150, 4))


# contamination="auto" ------------------------------------------------------------------------------------------------


def _flagged(X, inner=None):
    inner = PCA(max(1, min(4, X.shape[1] // 2))) if inner is None else inner
    return (AutoencoderOutlierDetector(inner).fit(X).predict(X) == -1).mean()


TIED = {
    "mostly zero": lambda r: np.r_[r.randn(200, 10), np.zeros((800, 10))],
    "mostly nearly zero": lambda r: np.r_[r.randn(200, 10), 1e-9 * r.randn(800, 10)],
    "nine tenths zero": lambda r: np.r_[r.randn(100, 10), np.zeros((900, 10))],
    "binary, 1 %": lambda r: (r.rand(1000, 40) < 0.01) * 1.0,
    "binary, 2 %": lambda r: (r.rand(1000, 12) < 0.02) * 1.0,
    "binary, 20 %": lambda r: (r.rand(1000, 12) < 0.2) * 1.0,
    "counts": lambda r: r.poisson(0.3, (1000, 12)) * 1.0,
    "every sample five times": lambda r: np.repeat(r.randn(200, 6), 5, axis=0),
    "three distinct samples": lambda r: np.repeat(r.randn(3, 6), [500, 300, 200], axis=0),
    "one-hot": lambda r: np.eye(8)[r.choice(8, 1000, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.01, 0.01])],
    "zero-inflated": lambda r: np.where(r.rand(1000, 1) < 0.7, 0, r.gamma(2, size=(1000, 8))),
}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TIED)
def test_auto_flags_few_of_equal_samples(name, seed):
    X = TIED[name](np.random.RandomState(seed))
    assert _flagged(X) <= 0.055
    if name in ("mostly zero", "binary, 2 %"):
        assert _flagged(X, Autoencoder(3, **QUICK)) <= 0.055


@pytest.mark.parametrize("n_features", [2, 12, 50])
def test_auto_flags_few_of_normal_samples(n_features):
    shares = [_flagged(np.random.RandomState(seed).randn(1000, n_features)) for seed in range(5)]
    assert 0.005 <= np.mean(shares) <= 0.035


@pytest.mark.parametrize("n", [300, 3000])
def test_auto_handles_skewed_and_heavy_tails(n):
    rng = np.random.RandomState(0)
    for X in (rng.standard_t(3, size=(n, 12)), np.exp(rng.randn(n, 12)), rng.exponential(size=(n, 12))):
        assert _flagged(X) < 0.06


@pytest.mark.parametrize("fraction", [0.001, 0.05, 0.1])
@pytest.mark.parametrize("factor", [4, 30])
def test_auto_finds_outliers(fraction, factor):
    rng = np.random.RandomState(0)
    X = rng.randn(2000, 12)
    n_outliers = int(fraction * len(X))
    X[:n_outliers] *= factor
    found = AutoencoderOutlierDetector(PCA(4)).fit(X).predict(X) == -1
    assert found[:n_outliers].mean() > 0.9
    assert found[n_outliers:].mean() < 0.03


def test_auto_finds_one_sample_among_equal_ones():
    X = np.zeros((500, 5))
    X[0] = 1
    assert (np.flatnonzero(AutoencoderOutlierDetector(PCA(2)).fit(X).predict(X) == -1) == [0]).all()


# Data frames ---------------------------------------------------------------------------------------------------------


class _Ratio(TransformerMixin, BaseEstimator):
    """A transformer that selects columns by name."""

    def fit(self, X, y=None):  # noqa: ARG002 - scikit-learn's signature
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.column_stack([X["a"], X["b"], X["c"]])

    def inverse_transform(self, X):
        return np.asarray(X)


def _frame(kind):
    X = np.random.RandomState(0).randn(60, 3)
    if kind == "pandas":
        return (
            pytest.importorskip("pandas")
            .DataFrame(X, columns=list("abc"), index=range(100, 160))
            .astype({"b": np.float32})
        )
    return pytest.importorskip("polars").DataFrame(X, schema=list("abc"))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_pipeline_step_may_select_columns_by_name(kind):
    frame = _frame(kind)
    for inner in (make_pipeline(_Ratio(), PCA(2)), make_pipeline(_Ratio(), Autoencoder(2, **QUICK))):
        detector = AutoencoderOutlierDetector(inner).fit(frame)
        scores = detector.score_samples(frame)
        np.testing.assert_array_equal(detector.predict(frame), np.where(scores < detector.offset_, -1, 1))
        errors = detector.feature_errors(frame[:5])
        assert type(errors) is type(frame)
        assert list(errors.columns) == list("abc")
        if kind == "pandas":
            assert list(errors.index) == list(range(100, 105))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_data_frames_and_arrays_have_the_same_scores(kind):
    frame = _frame(kind)
    X = frame.to_numpy().astype(np.float64)
    for inner in (PCA(2), Autoencoder(2, **QUICK)):
        named, plain = (AutoencoderOutlierDetector(inner).fit(rows) for rows in (frame, X))
        np.testing.assert_allclose(named.score_samples(frame), plain.score_samples(X), rtol=1e-4)
        errors = plain.feature_errors(X[:5])
        assert type(errors) is np.ndarray
        np.testing.assert_allclose(named.feature_errors(frame[:5]).to_numpy(), errors, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("inner", [PCA(2), Autoencoder(2, **QUICK), make_pipeline(StandardScaler(), PCA(2))])
def test_no_warning_about_feature_names(kind, inner):
    """Check that there is no warning: pytest turns warnings into errors."""
    frame = _frame(kind)
    detector = AutoencoderOutlierDetector(FrozenEstimator(clone(inner).fit(frame))).fit(frame)
    for method in ("predict", "score_samples", "decision_function", "feature_errors"):
        getattr(detector, method)(frame[:4])
    LatentSampler(FrozenEstimator(clone(inner).fit(frame)), random_state=0).fit(frame).score_samples(frame)


def test_integer_columns_keep_their_dtype():
    pandas = pytest.importorskip("pandas")
    rng = np.random.RandomState(0)
    frame = pandas.DataFrame({"n": rng.randint(9, size=80), "flag": rng.rand(80) < 0.3, "x": rng.randn(80)})
    types = []

    class Watch(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):  # noqa: ARG002 - scikit-learn's signature
            return self

        def transform(self, X):
            types.append(list(X.dtypes))
            assert set(np.unique(X["n"])) <= set(range(9))
            return X.astype(float).to_numpy()

        def inverse_transform(self, X):
            return X

    detector = AutoencoderOutlierDetector(make_pipeline(Watch(), PCA(2))).fit(frame)
    detector.feature_errors(frame[:3])
    assert all(each == list(frame.dtypes) for each in types)


# Steps that can't be inverted ----------------------------------------------------------------------------------------

COLUMNS = ColumnTransformer([("scale", StandardScaler(), [0, 1])], remainder="passthrough")


@pytest.mark.parametrize("meta", [AutoencoderOutlierDetector, LatentSampler])
@pytest.mark.parametrize(
    "inner",
    [
        make_pipeline(COLUMNS, Autoencoder(2)),
        make_pipeline(make_pipeline(COLUMNS, StandardScaler()), Autoencoder(2)),
        GridSearchCV(make_pipeline(COLUMNS, Autoencoder(2)), {"autoencoder__n_components": [1, 2]}),
    ],
)
def test_error_names_the_step_that_cannot_be_inverted(meta, inner):
    with pytest.raises((TypeError, ValueError), match=r"step 'columntransformer', a ColumnTransformer, has no") as got:
        meta(inner).fit(POSITIVE)
    message = str(got.value)
    assert "\n" not in message
    assert len(message) < 300
    assert "inverse_transform" in message


@pytest.mark.parametrize("meta", [AutoencoderOutlierDetector, LatentSampler])
@pytest.mark.parametrize("what", ["PCA", 3, make_pipeline(PCA(2), LogisticRegression())])
def test_estimators_without_transform_raise(meta, what):
    with pytest.raises((TypeError, ValueError), match=rf"'autoencoder' parameter of {meta.__name__} must be") as got:
        meta(what).fit(POSITIVE)
    assert "\n" not in str(got.value)


def test_sparse_codes():
    bins = KBinsDiscretizer(3, strategy="uniform")
    detector = AutoencoderOutlierDetector(bins).fit(POSITIVE)
    assert np.isfinite(detector.score_samples(POSITIVE)).all()


@pytest.mark.parametrize("meta", [AutoencoderOutlierDetector, LatentSampler])
def test_pipelines_with_passthrough_steps(meta):
    for steps in (["passthrough", StandardScaler(), Autoencoder(2, **QUICK)], [PCA(2), "passthrough"]):
        assert meta(make_pipeline(*steps)).fit(POSITIVE).score_samples(POSITIVE).shape == (150,)


# Wide tables ---------------------------------------------------------------------------------------------------------


def test_feature_errors_of_wide_samples_use_little_memory():
    X = np.random.RandomState(0).randn(30, 2000)
    detector = AutoencoderOutlierDetector(PCA(2)).fit(X)
    tracemalloc.start()
    try:
        detector.feature_errors(X[:1])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80e6


@pytest.mark.slow
def test_feature_errors_do_not_depend_on_batch_size(monkeypatch):
    detector = AutoencoderOutlierDetector(Autoencoder(3, **QUICK)).fit(WINE)
    whole = detector.feature_errors(WINE[:6])
    monkeypatch.setattr("skae._feature_errors.MAX_TRIALS", 1)
    monkeypatch.setattr("skae._feature_errors.BYTES_AT_ONCE", 5000)
    np.testing.assert_allclose(detector.feature_errors(WINE[:6]), whole, rtol=1e-6, atol=1e-6)
