"""Scores of training samples, and samples that the detector or the sampler can't reconstruct."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_wine
from sklearn.decomposition import NMF, PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector, LatentSampler, StackedAutoencoder, VariationalAutoencoder
from skae._training.selection import fold_networks
from skae.callbacks import Checkpoint

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
WINE = StandardScaler().fit_transform(load_wine().data)
POSITIVE = np.exp(np.random.RandomState(0).randn(150, 4))


# Networks that were not trained on a sample --------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["alone", "pipeline", pytest.param("search", marks=pytest.mark.slow)])
def test_training_samples_are_scored_out_of_fold(inner):
    """Compare with copies of the networks of the folds, taken during training."""
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
        alone = Autoencoder(3, **QUICK).fit(WINE)  # scaling again has no effect
    finally:
        fold_networks.reset(token)
    n_rows, folds, weights = kept[alone]
    assert n_rows == len(WINE)
    assert len(folds) == 5
    measures, seen_by_all = detector._measures, alone.reconstruct(WINE)

    def scores_by(network, rows, trained_on):
        white = PCA(whiten=True).fit(network.transform(WINE[trained_on]))
        codes, of_rows = (white.transform(network.transform(some)) for some in (WINE[trained_on], rows))
        near = np.sort(np.linalg.norm(of_rows[:, None] - codes, axis=2), axis=1)
        near = near[:, 4] * near[:, 9] * len(codes) / (len(codes) - 1)  # corrects for a variance divided by n
        lengths = measures.residuals.squared_lengths(rows - network.reconstruct(rows))
        whole, of_units = (tail.log_share(each) for tail, each in zip(measures.tails, lengths.T, strict=False))
        return whole + of_units / 4, measures.tails[2].log_share(near)

    expected = np.empty((len(WINE), 2))
    networks = [alone._with_network(of_fold) for of_fold in weights]
    for network, (trained_on, held_out) in zip(networks, folds, strict=True):
        assert not np.allclose(network.reconstruct(WINE), seen_by_all)
        expected[held_out] = np.column_stack(scores_by(network, WINE[held_out], trained_on))
    scores, known = detector.score_samples(WINE), np.concatenate([held_out for _, held_out in folds])
    by_residual = AutoencoderOutlierDetector(autoencoder, code_distance=False).fit(WINE).score_samples(WINE)
    np.testing.assert_allclose(by_residual[known], expected[known, 0], rtol=1e-3)
    assert (scores[known] <= expected[known].sum(axis=1) + 1e-3).all()
    # in some samples the third measure has no effect
    assert (np.abs(scores - expected.sum(axis=1)) < 1e-3)[known].mean() > 0.2
    assert detector.offset_ == pytest.approx(np.quantile(scores, 0.1))
    assert (detector.predict(WINE) == -1).sum() == 18
    # the score of a sample does not depend on others
    np.testing.assert_allclose([detector.score_samples(row[None])[0] for row in WINE[::20]], scores[::20])
    np.testing.assert_allclose(detector.score_samples(WINE[::-1]), scores[::-1])
    np.testing.assert_array_equal(clone(detector).fit_predict(WINE), detector.predict(WINE))
    # new samples are scored by the network that was trained on all samples
    new = WINE[:20] + 1e-9
    of_new = np.sum(scores_by(alone, new, np.arange(len(WINE))), axis=0)
    assert (detector.score_samples(new) <= of_new + 1e-3).all() or inner == "search"


@pytest.mark.slow
def test_extreme_features_of_memorized_samples_are_found():
    detector = AutoencoderOutlierDetector(Autoencoder(4, random_state=0)).fit(WINE)
    rows = WINE[(np.abs(WINE) > 3).any(axis=1)]
    extreme = np.abs(rows).argmax(axis=1)
    errors = detector.feature_errors(rows)
    assert (errors.argmax(axis=1) == extreme).mean() > 0.4
    of_extreme = errors[np.arange(len(rows)), extreme]
    assert np.median(of_extreme) > 3
    memorized = detector.feature_errors(rows + 1e-9)  # scored by the network that was trained on these samples
    assert np.median(of_extreme) > 1.2 * np.median(memorized[np.arange(len(rows)), extreme])


def test_every_autoencoder(small, digits):
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


def test_truncated_code():
    autoencoder = Autoencoder(0.7, **(QUICK | {"max_iter": 40}))
    detector = AutoencoderOutlierDetector(autoencoder, contamination=0.1).fit(WINE)
    sizes = {each.transform(WINE).shape[1] for each in detector._autoencoders}
    assert sizes == {detector.autoencoder_.n_components_}
    assert (detector.predict(WINE) == -1).sum() == 18


@pytest.mark.slow
def test_checkpoint_contains_networks_of_folds(tmp_path):
    autoencoder = Autoencoder(3, **QUICK, callbacks=[Checkpoint(tmp_path / "inside")])
    detector = AutoencoderOutlierDetector(autoencoder)
    one, two = (clone(detector).fit(WINE) for _ in range(2))  # the second one loads a finished run
    assert len(two._autoencoders) == 6
    np.testing.assert_array_equal(one.score_samples(WINE), two.score_samples(WINE))
    outside = Autoencoder(3, **QUICK, callbacks=[Checkpoint(tmp_path / "outside")]).fit(WINE)
    with pytest.raises(ValueError, match=r"the networks that are kept was None, and is 'those of folds too'"):
        AutoencoderOutlierDetector(clone(outside)).fit(WINE)


def test_networks_of_folds_are_kept_only_on_request():
    alone = Autoencoder(3, **QUICK).fit(WINE)
    inside = AutoencoderOutlierDetector(Autoencoder(3, **QUICK)).fit(WINE).autoencoder_
    assert pickle.dumps(alone) == pickle.dumps(inside)
    assert vars(alone).keys() == vars(inside).keys()
    assert fold_networks.get() is None


@pytest.mark.parametrize("autoencoder", [PCA(3), Autoencoder(3, hidden_layer_sizes=())])
def test_without_folds_the_single_network_is_used(autoencoder):
    detector = AutoencoderOutlierDetector(autoencoder).fit(WINE)
    assert len(detector._autoencoders) == 1
    np.testing.assert_allclose(detector.score_samples(WINE), detector.score_samples(WINE + 1e-12), rtol=1e-6)


def test_training_samples_are_recognized_in_any_dtype_and_container():
    X = WINE.astype(np.float32)
    detector = AutoencoderOutlierDetector(Autoencoder(3, **QUICK)).fit(X)
    scores = detector.score_samples(X)
    for other in (X.astype(np.float64), sparse.csr_matrix(X), X.tolist()):
        np.testing.assert_allclose(detector.score_samples(other), scores, rtol=1e-3)
    assert not np.allclose(detector.score_samples(X + 1e-6), scores, rtol=1e-3)


def test_custom_folds():
    """Samples in no validation set are scored by the network trained on all samples."""
    folds = [(np.arange(30, 178), np.arange(30)), (np.r_[0:30, 70:178], np.arange(30, 50))]
    inner = Autoencoder(3, **QUICK).set_params(validation_fraction="auto", cv=folds)
    detector = AutoencoderOutlierDetector(inner, contamination=0.1).fit(WINE)
    np.testing.assert_array_equal(detector._held_out.folds_of(WINE), np.repeat([1, 2, 0], [30, 20, 128]))
    assert (detector.predict(WINE) == -1).sum() == 18


def test_layers_of_a_stack_keep_no_networks_of_folds():
    stack = StackedAutoencoder((6, 3), max_iter=2, random_state=0)
    detector = AutoencoderOutlierDetector(stack).fit(WINE)
    assert len(detector._autoencoders) == 6
    assert pickle.dumps(detector.autoencoder_) == pickle.dumps(clone(stack).fit(WINE))


# Samples that can't be reconstructed ---------------------------------------------------------------------------------


def _log(X):
    """Return logarithms, or -inf instead of NaN, which autoencoders would treat as a missing value."""
    return np.where(X > 0, np.log(np.where(X > 0, X, 1)), -np.inf)


LOG = FunctionTransformer(_log, np.exp, check_inverse=False)
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
@pytest.mark.filterwarnings("ignore:No epoch improved:sklearn.exceptions.ConvergenceWarning")  # similar columns
@pytest.mark.parametrize("name", INNERS)
def test_samples_that_cannot_be_reconstructed_are_outliers(name, dtype):
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
        both = np.concatenate([X[:20], far[:5], X[20:40]])  # one sample does not affect the others
        np.testing.assert_allclose(detector.score_samples(both)[:20], detector.score_samples(X[:20]), rtol=1e-3)
        assert detector.score_samples(both)[20:25].max() < detector.score_samples(X).max()
    if not_reconstructed:
        assert (detector.score_samples(-X) == -np.inf).all()


def test_feature_that_prevents_the_reconstruction_is_found():
    detector = AutoencoderOutlierDetector(INNERS["logarithm"]).fit(POSITIVE)
    rows = POSITIVE[:3].copy()
    rows[0, 2] = rows[1, 0] = rows[2, 1] = rows[2, 3] = -1
    expected = np.zeros((3, 4))
    expected[0, 2] = expected[1, 0] = expected[2, 1] = expected[2, 3] = np.inf
    np.testing.assert_array_equal(np.where(np.isinf(detector.feature_errors(rows)), np.inf, 0), expected)


@pytest.mark.parametrize(
    ("contamination", "code_distance"), [("auto", True), ("auto", False), (0.05, True), (0.2, True), (0.2, False)]
)
def test_training_samples_that_cannot_be_reconstructed(contamination, code_distance):
    """The pipeline is frozen, so that it is not fitted to these samples."""
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
        assert np.isfinite(detector._measures.residuals.units).all()
        assert np.isfinite(detector.score_samples(X[15:])).all()


def test_too_few_reconstructible_training_samples_raise():
    fitted = clone(INNERS["logarithm"]).fit(POSITIVE)
    with pytest.raises(ValueError, match=r"can reconstruct 0 of 150 samples of X, and at least 2 are required"):
        AutoencoderOutlierDetector(FrozenEstimator(fitted)).fit(-POSITIVE)


def test_errors_that_concern_all_samples_are_raised():
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
def test_constant_data(X, dtype):
    X = X.astype(dtype)
    for inner in (None, make_pipeline(StandardScaler(), Autoencoder(1, **QUICK)), PCA(1)):
        with np.errstate(invalid="ignore"):  # PCA divides by zero
            detector = AutoencoderOutlierDetector(inner).fit(X)
        assert (detector.predict(X) == 1).all()
        assert (detector.predict(X + dtype(1e12)) == -1).all()


def test_sampler_scores_samples_without_codes():
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
        LatentSampler(PCA(2)).fit(POSITIVE).score_samples(np.full((1, 4), np.nan))
    with pytest.raises(ValueError, match="3 features"):
        sampler.score_samples(POSITIVE[:, :3])


def test_sampler_raises_for_nonfinite_codes():
    inner = make_pipeline(PCA(2), FunctionTransformer(np.log, np.exp, check_inverse=False))
    with pytest.raises(ValueError, match=r"codes of \d+ of 150 samples of X contain NaN or infinity"):
        LatentSampler(inner).fit(POSITIVE)


def test_drawn_samples_are_finite():
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
