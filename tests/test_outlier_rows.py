"""Rows the detector was trained on, rows that can't be reconstructed, ties, frames, and wide tables."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.decomposition import NMF, PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, PowerTransformer, StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector, LatentSampler, StackedAutoencoder, VariationalAutoencoder
from skae._selection import fold_networks

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
WINE = StandardScaler().fit_transform(load_wine().data)
POSITIVE = np.exp(np.random.RandomState(0).randn(150, 4))


# Networks that have not seen a row -----------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["alone", "pipeline", pytest.param("search", marks=pytest.mark.slow)])
def test_a_training_row_is_scored_by_the_network_that_has_not_seen_it(inner):
    """Checked against copies of the networks of the folds, taken where they are trained."""
    autoencoder = Autoencoder(3, **QUICK)
    if inner == "pipeline":
        autoencoder = make_pipeline(StandardScaler(), autoencoder)
    if inner == "search":
        pipeline = make_pipeline(StandardScaler(), autoencoder)
        autoencoder = GridSearchCV(pipeline, {"autoencoder__max_iter": [3]}, cv=2)
    detector = AutoencoderOutlierDetector(autoencoder, contamination=0.1).fit(WINE)
    kept = {}
    token = fold_networks.set(kept)
    try:
        alone = Autoencoder(3, **QUICK).fit(WINE)  # scaling once more changes nothing
    finally:
        fold_networks.reset(token)
    n_rows, folds, weights = kept[alone]
    assert n_rows == len(WINE)
    assert len(folds) == 5
    errors, distances, squares = np.empty(len(WINE)), np.empty(len(WINE)), 0
    seen_by_all = alone.reconstruct(WINE)
    never = np.setdiff1d(np.arange(len(WINE)), np.concatenate([held_out for _, held_out in folds]))
    networks = [alone._with_network(of_fold) for of_fold in weights]
    for network, (trained_on, held_out) in zip(
        [alone, *networks], [(np.arange(len(WINE)), never), *folds], strict=True
    ):
        codes, x_hat = network.transform(WINE), network.reconstruct(WINE)
        assert network is alone or not np.allclose(x_hat, seen_by_all)
        errors[held_out] = np.square(WINE - x_hat).sum(axis=1)[held_out]
        squares = squares + np.square(WINE - x_hat)[held_out].sum(axis=0)
        centred = codes - codes[trained_on].mean(axis=0)
        precision = np.linalg.inv(np.cov(codes[trained_on].T, ddof=0))
        distances[held_out] = np.einsum("ij,jk,ik->i", centred, precision, centred)[held_out]
    expected = -errors / errors.std() - distances / distances.std()
    scores = detector.score_samples(WINE)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    assert detector.offset_ == pytest.approx(np.quantile(scores, 0.1))
    assert (detector.predict(WINE) == -1).sum() == 18
    np.testing.assert_allclose(detector._feature_units, squares / len(WINE), rtol=1e-4)
    # each row's score is its own
    np.testing.assert_allclose([detector.score_samples(row[None])[0] for row in WINE[::20]], scores[::20])
    np.testing.assert_allclose(detector.score_samples(WINE[::-1]), scores[::-1])
    np.testing.assert_array_equal(clone(detector).fit_predict(WINE), detector.predict(WINE))
    # another row is scored by the network that was trained on all of them
    new = WINE[:20] + 1e-9
    codes = alone.transform(WINE)
    centred = alone.transform(new) - codes.mean(axis=0)
    distances_new = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(np.cov(codes.T, ddof=0)), centred)
    errors_new = np.square(new - alone.reconstruct(new)).sum(axis=1)
    of_new = -errors_new / errors.std() - distances_new / distances.std()
    np.testing.assert_allclose(detector.score_samples(new), of_new, rtol=1e-4)


@pytest.mark.slow
def test_a_column_is_named_in_a_row_that_was_learned_by_heart():
    detector = AutoencoderOutlierDetector(Autoencoder(4, random_state=0)).fit(WINE)
    assert load_wine().feature_names[4] == "magnesium"
    errors = detector.feature_errors(WINE[95:96])[0]
    assert errors.argmax() == 4
    assert errors[4] > 10


def test_every_kind_of_autoencoder(small, digits):
    detector = AutoencoderOutlierDetector(clone(small).set_params(validation_fraction=0.4), contamination=0.1)
    detector.fit(digits)
    n_folds = 0 if small.get_params().get("hidden_layer_sizes", "auto") == () else 2
    assert len(detector._autoencoders) == 1 + n_folds
    scores = detector.score_samples(digits)
    assert np.isfinite(scores).all()
    assert (detector.predict(digits) == -1).sum() == 24
    again = [pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)]
    for other in again:
        np.testing.assert_array_equal(other.score_samples(digits), scores)
        np.testing.assert_array_equal(other.feature_errors(digits[:1]), detector.feature_errors(digits[:1]))


def test_a_code_that_is_cut():
    autoencoder = Autoencoder(0.7, **(QUICK | {"max_iter": 40}))
    detector = AutoencoderOutlierDetector(autoencoder, contamination=0.1).fit(WINE)
    sizes = {each.transform(WINE).shape[1] for each in detector._autoencoders}
    assert sizes == {detector.autoencoder_.n_components_}
    assert (detector.predict(WINE) == -1).sum() == 18


@pytest.mark.slow
def test_a_checkpoint_holds_the_networks_of_folds(tmp_path):
    autoencoder = Autoencoder(3, **QUICK, checkpoint=tmp_path / "inside")
    detector = AutoencoderOutlierDetector(autoencoder)
    one, two = (clone(detector).fit(WINE) for _ in range(2))  # the second one finds a finished run
    assert len(two._autoencoders) == 6
    np.testing.assert_array_equal(one.score_samples(WINE), two.score_samples(WINE))
    outside = Autoencoder(3, **QUICK, checkpoint=tmp_path / "outside").fit(WINE)
    with pytest.raises(ValueError, match=r"the networks that are kept was None, and is 'those of folds too'"):
        AutoencoderOutlierDetector(clone(outside)).fit(WINE)


def test_nothing_is_kept_where_nobody_asks():
    alone = Autoencoder(3, **QUICK).fit(WINE)
    inside = AutoencoderOutlierDetector(Autoencoder(3, **QUICK)).fit(WINE).autoencoder_
    assert pickle.dumps(alone) == pickle.dumps(inside)
    assert vars(alone).keys() == vars(inside).keys()
    assert fold_networks.get() is None


@pytest.mark.parametrize("autoencoder", [PCA(3), Autoencoder(3, hidden_layer_sizes=())])
def test_without_folds_the_one_there_is(autoencoder):
    detector = AutoencoderOutlierDetector(autoencoder).fit(WINE)
    assert len(detector._autoencoders) == 1
    np.testing.assert_allclose(detector.score_samples(WINE), detector.score_samples(WINE + 1e-12), rtol=1e-6)


def test_rows_are_recognised_in_either_precision_and_container():
    X = WINE.astype(np.float32)
    detector = AutoencoderOutlierDetector(Autoencoder(3, **QUICK)).fit(X)
    scores = detector.score_samples(X)
    for other in (X.astype(np.float64), sparse.csr_matrix(X), X.tolist()):
        np.testing.assert_allclose(detector.score_samples(other), scores, rtol=1e-3)
    assert not np.allclose(detector.score_samples(X + 1e-6), scores, rtol=1e-3)


def test_folds_of_any_size():
    """Rows that no fold holds out are scored by the network of all rows."""
    folds = [(np.arange(30, 178), np.arange(30)), (np.r_[0:30, 70:178], np.arange(30, 50))]
    inner = Autoencoder(3, **QUICK).set_params(validation_fraction="auto", cv=folds)
    detector = AutoencoderOutlierDetector(inner, contamination=0.1).fit(WINE)
    np.testing.assert_array_equal(detector._held_out.folds_of(WINE), np.repeat([1, 2, 0], [30, 20, 128]))
    assert (detector.predict(WINE) == -1).sum() == 18


# What can't be reconstructed -----------------------------------------------------------------------------------------

LOG = FunctionTransformer(np.log, np.exp, check_inverse=False)
INNERS = {
    "power": make_pipeline(PowerTransformer(), Autoencoder(2, **QUICK)),
    "power, PCA": make_pipeline(PowerTransformer(), PCA(2)),
    "box-cox": make_pipeline(PowerTransformer("box-cox"), Autoencoder(2, **QUICK)),
    "logarithm": make_pipeline(LOG, Autoencoder(2, **QUICK)),
    "logarithm, PCA": make_pipeline(LOG, PCA(2)),
    "logarithm alone": LOG,
    "plain": Autoencoder(2, **QUICK),
    "variational": VariationalAutoencoder(2, **QUICK),
    "standardized": make_pipeline(StandardScaler(), Autoencoder(2, **QUICK)),
    "PCA": PCA(2),
    "NMF": NMF(2, max_iter=2000),
}


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", INNERS)
def test_what_can_not_be_reconstructed_is_an_outlier(name, dtype):
    X = POSITIVE.astype(dtype)
    detector = AutoencoderOutlierDetector(INNERS[name]).fit(X)
    assert np.isfinite(detector.offset_)
    huge = dtype(1e30 if dtype == np.float32 else 1e200)
    not_reconstructed = name in ("box-cox", "logarithm", "logarithm, PCA", "logarithm alone")
    tables = [1000 * X, huge * X, -huge * X] + [-X] * not_reconstructed
    for far in tables if name != "NMF" else [1000 * X, -X]:
        scores = detector.score_samples(far)
        assert not np.isnan(scores).any()
        assert (detector.predict(far) == -1).all()
        assert (detector.decision_function(far) < 0).all()
        assert not np.isnan(detector.feature_errors(far[:1])).any()
        assert (detector.feature_errors(far[:1]) >= 0).all()
        assert detector.predict(far[:1]) == [-1]
        both = np.concatenate([X[:20], far[:5], X[20:40]])  # one row's fate is not the others'
        np.testing.assert_allclose(detector.score_samples(both)[:20], detector.score_samples(X[:20]), rtol=1e-3)
        assert detector.score_samples(both)[20:25].max() < detector.score_samples(X).max()
    if not_reconstructed:
        assert (detector.score_samples(-X) == -np.inf).all()


def test_the_feature_that_alone_prevents_it_is_named():
    detector = AutoencoderOutlierDetector(INNERS["logarithm"]).fit(POSITIVE)
    rows = POSITIVE[:3].copy()
    rows[0, 2] = rows[1, 0] = rows[2, 1] = rows[2, 3] = -1
    expected = np.zeros((3, 4))
    expected[0, 2] = expected[1, 0] = expected[2, 1] = expected[2, 3] = np.inf
    np.testing.assert_array_equal(np.where(np.isinf(detector.feature_errors(rows)), np.inf, 0), expected)


@pytest.mark.parametrize(
    ("contamination", "code_distance"), [("auto", True), ("auto", False), (0.05, True), (0.2, True), (0.2, False)]
)
def test_training_rows_that_can_not_be_reconstructed(contamination, code_distance):
    """Frozen, so that the autoencoder is not fitted to them."""
    for inner in ("power", "logarithm", "plain"):
        fitted = clone(INNERS[inner]).fit(POSITIVE)
        X = POSITIVE.copy()
        X[:15] *= -1e200
        detector = AutoencoderOutlierDetector(
            FrozenEstimator(fitted), contamination=contamination, code_distance=code_distance
        ).fit(X)
        assert np.isfinite(detector.offset_)
        assert (detector.predict(X[:15]) == -1).all()
        n_outliers = (detector.predict(X) == -1).sum()
        assert n_outliers == (30 if contamination == 0.2 else 15) or contamination == "auto"
        assert n_outliers < 30 or contamination == 0.2
        assert np.isfinite(detector._feature_units).all()
        assert np.isfinite(detector.score_samples(X[15:])).all()


def test_too_few_training_rows_can_be_reconstructed():
    fitted = clone(INNERS["logarithm"]).fit(POSITIVE)
    with pytest.raises(ValueError, match=r"can reconstruct 0 of 150 samples of X, and at least 2 are required"):
        AutoencoderOutlierDetector(FrozenEstimator(fitted)).fit(-POSITIVE)


def test_an_error_that_is_not_of_some_rows_is_raised():
    class Broken(TransformerMixin, BaseEstimator):
        broken = False

        def fit(self, X, y=None):  # noqa: ARG002 - scikit-learn's signature
            self.fitted_ = True
            return self

        def transform(self, X):
            if self.broken:
                raise ValueError("the file is gone")
            return X

        inverse_transform = transform

    step = Broken().fit(POSITIVE)
    detector = AutoencoderOutlierDetector(FrozenEstimator(step)).fit(POSITIVE)
    detector.autoencoder_.estimator.broken = True
    for method in ("predict", "score_samples", "feature_errors"):
        with pytest.raises(ValueError, match="the file is gone"):
            getattr(detector, method)(POSITIVE)


@pytest.mark.parametrize("X", [np.zeros((40, 3)), np.full((40, 3), 1e9), np.tile([[0.0, 1.0, 5.0]], (40, 1))])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tables_without_variance(X, dtype):
    X = X.astype(dtype)
    for inner in (None, make_pipeline(StandardScaler(), Autoencoder(1, **QUICK)), PCA(1)):
        with np.errstate(invalid="ignore"):  # PCA's own
            detector = AutoencoderOutlierDetector(inner).fit(X)
        assert (detector.predict(X) == 1).all()
        assert (detector.predict(X + dtype(1e12)) == -1).all()


def test_a_sampler_and_what_has_no_code():
    sampler = LatentSampler(INNERS["logarithm"], random_state=0).fit(POSITIVE)
    rows = POSITIVE[:4].copy()
    rows[1, 2] = -1
    scores = sampler.score_samples(rows)
    np.testing.assert_array_equal(np.isneginf(scores), [False, True, False, False])
    np.testing.assert_allclose(scores[[0, 2, 3]], sampler.score_samples(POSITIVE[[0, 2, 3]]))
    assert sampler.score_samples(rows[1:2]) == [-np.inf]
    for huge in (1e300, -1e300):
        assert LatentSampler(PCA(2)).fit(POSITIVE).score_samples(huge * POSITIVE[:1]) == [-np.inf]
        assert LatentSampler(Autoencoder(2, **QUICK)).fit(POSITIVE).score_samples(huge * POSITIVE[:1]) == [-np.inf]
    with pytest.raises(ValueError, match="NaN"):
        sampler.score_samples(np.full((1, 4), np.nan))
    with pytest.raises(ValueError, match="3 features"):
        sampler.score_samples(POSITIVE[:, :3])


def test_a_sampler_is_not_fitted_to_codes_without_numbers():
    inner = make_pipeline(PCA(2), FunctionTransformer(np.log, np.exp, check_inverse=False))
    with pytest.raises(ValueError, match=r"codes of \d+ of 150 samples of X hold NaN or infinity"):
        LatentSampler(inner).fit(POSITIVE)


def test_drawn_rows_are_finite():
    steep = FunctionTransformer(np.sqrt, np.square, check_inverse=False)

    def half(codes):
        with np.errstate(invalid="ignore"):
            return np.where(codes[:, :1] > 0, codes, np.nan)

    sampler = LatentSampler(make_pipeline(steep, PCA(2), FunctionTransformer(None, half, check_inverse=False)))
    sampler.set_params(random_state=0).fit(POSITIVE)
    drawn = sampler.sample(300, random_state=0)
    assert drawn.shape == (300, 4)
    assert np.isfinite(drawn).all()
    nowhere = FunctionTransformer(None, lambda codes: codes * np.nan, check_inverse=False)
    sampler = LatentSampler(make_pipeline(PCA(2), nowhere), random_state=0).fit(POSITIVE)
    with pytest.raises(ValueError, match=r"0 of 50 codes that were drawn have a finite reconstruction"):
        sampler.sample(5)


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
    "each row five times": lambda r: np.repeat(r.randn(200, 6), 5, axis=0),
    "three kinds of row": lambda r: np.repeat(r.randn(3, 6), [500, 300, 200], axis=0),
    "one-hot": lambda r: np.eye(8)[r.choice(8, 1000, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.01, 0.01])],
    "zero-inflated": lambda r: np.where(r.rand(1000, 1) < 0.7, 0, r.gamma(2, size=(1000, 8))),
}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TIED)
def test_auto_flags_few_of_equal_rows(name, seed):
    X = TIED[name](np.random.RandomState(seed))
    assert _flagged(X) <= 0.055
    if name in ("mostly zero", "binary, 2 %"):
        assert _flagged(X, Autoencoder(3, **QUICK)) <= 0.055


@pytest.mark.parametrize("n_features", [2, 12, 50])
def test_auto_flags_a_few_of_ordinary_rows(n_features):
    shares = [_flagged(np.random.RandomState(seed).randn(1000, n_features)) for seed in range(5)]
    assert 0.005 <= np.mean(shares) <= 0.03


@pytest.mark.parametrize("n", [300, 3000])
def test_auto_bears_skewed_and_heavy_tails(n):
    rng = np.random.RandomState(0)
    for X in (rng.standard_t(3, size=(n, 12)), np.exp(rng.randn(n, 12)), rng.exponential(size=(n, 12))):
        assert _flagged(X) < 0.06


@pytest.mark.parametrize("share", [0.001, 0.05, 0.1])
@pytest.mark.parametrize("factor", [4, 30])
def test_auto_finds_outliers(share, factor):
    rng = np.random.RandomState(0)
    X = rng.randn(2000, 12)
    n_outliers = int(share * len(X))
    X[:n_outliers] *= factor
    found = AutoencoderOutlierDetector(PCA(4)).fit(X).predict(X) == -1
    assert found[:n_outliers].mean() > 0.9
    assert found[n_outliers:].mean() < 0.03


def test_auto_finds_one_row_among_equal_ones():
    X = np.zeros((500, 5))
    X[0] = 1
    assert (np.flatnonzero(AutoencoderOutlierDetector(PCA(2)).fit(X).predict(X) == -1) == [0]).all()


# Frames --------------------------------------------------------------------------------------------------------------


class _Ratio(TransformerMixin, BaseEstimator):
    """A step that asks for columns by their names."""

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
def test_a_step_may_ask_for_columns(kind):
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
def test_frames_and_arrays_have_the_same_scores(kind):
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
def test_no_warning_of_names(kind, inner):
    """Warnings are errors here."""
    frame = _frame(kind)
    detector = AutoencoderOutlierDetector(FrozenEstimator(clone(inner).fit(frame))).fit(frame)
    for method in ("predict", "score_samples", "decision_function", "feature_errors"):
        getattr(detector, method)(frame[:4])
    LatentSampler(FrozenEstimator(clone(inner).fit(frame)), random_state=0).fit(frame).score_samples(frame)


def test_columns_of_integers_stay_so():
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


# What can't be inverted ----------------------------------------------------------------------------------------------

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
def test_the_step_that_can_not_be_inverted_is_named(meta, inner):
    with pytest.raises((TypeError, ValueError), match=r"step 'columntransformer', a ColumnTransformer, has no") as got:
        meta(inner).fit(POSITIVE)
    message = str(got.value)
    assert "\n" not in message
    assert len(message) < 300
    assert "inverse_transform" in message


@pytest.mark.parametrize("meta", [AutoencoderOutlierDetector, LatentSampler])
@pytest.mark.parametrize("what", ["PCA", 3, make_pipeline(PCA(2), LogisticRegression())])
def test_what_is_no_transformer(meta, what):
    with pytest.raises((TypeError, ValueError), match=rf"'autoencoder' parameter of {meta.__name__} must be") as got:
        meta(what).fit(POSITIVE)
    assert "\n" not in str(got.value)


def test_codes_may_be_sparse():
    bins = KBinsDiscretizer(3, strategy="uniform")
    detector = AutoencoderOutlierDetector(bins).fit(POSITIVE)
    assert np.isfinite(detector.score_samples(POSITIVE)).all()


@pytest.mark.parametrize("meta", [AutoencoderOutlierDetector, LatentSampler])
def test_a_pipeline_may_have_steps_that_do_nothing(meta):
    pipeline = make_pipeline("passthrough", StandardScaler(), Autoencoder(2, **QUICK))
    assert meta(pipeline).fit(POSITIVE).score_samples(POSITIVE).shape == (150,)


# Wide tables ---------------------------------------------------------------------------------------------------------


def test_feature_errors_of_wide_rows_take_little_memory():
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
def test_feature_errors_do_not_depend_on_the_number_of_trials_at_once(monkeypatch):
    detector = AutoencoderOutlierDetector(Autoencoder(3, **QUICK)).fit(WINE)
    whole = detector.feature_errors(WINE[:6])
    monkeypatch.setattr("skae._outlier.MOST_TRIALS", 1)
    monkeypatch.setattr("skae._outlier.BYTES_AT_ONCE", 5000)
    np.testing.assert_allclose(detector.feature_errors(WINE[:6]), whole, rtol=1e-6, atol=1e-6)


def test_a_stacks_layers_keep_nothing():
    stack = StackedAutoencoder((6, 3), max_iter=2, random_state=0)
    detector = AutoencoderOutlierDetector(stack).fit(WINE)
    assert len(detector._autoencoders) == 6
    assert pickle.dumps(detector.autoencoder_) == pickle.dumps(clone(stack).fit(WINE))
