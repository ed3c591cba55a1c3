"""Chunk after chunk, sparse, and larger than memory."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import N_QUICK, SMALL
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

import skae._data.readers
from skae import Autoencoder
from skae._data.readers import ArrayReader, ScaledReader, stays_in_place
from skae._data.statistics import FeatureStatistics
from skae._pca import auto_n_components, linear_init
from skae._training.callbacks import StreamAverage

pytestmark = pytest.mark.kernels
MORE = [pytest.mark.slow, pytest.mark.more_kinds]

DIGITS = load_digits().data
CHUNKS = np.array_split(DIGITS[:1200], 4)
STREAM = Autoencoder(8, hidden_layer_sizes=64, random_state=0)


def stream(estimator, chunks=CHUNKS):
    estimator = clone(estimator)
    for chunk in chunks:
        estimator.partial_fit(chunk)
    return estimator


def pca_r2(k, train, test):
    pca = PCA(k).fit(train)
    return r2_score(test, pca.inverse_transform(pca.transform(test)), multioutput="variance_weighted")


# partial_fit ---------------------------------------------------------------------------------------------------------


def test_a_stream_learns():
    test = DIGITS[1200:]
    one, five = stream(STREAM), stream(STREAM, CHUNKS * 5)
    assert one.score(test) > pca_r2(8, CHUNKS[0], test)
    assert five.score(test) > pca_r2(8, DIGITS[:1200], test) + 0.02
    assert five.n_iter_ == len(five.loss_curve_) == 20
    assert np.mean(five.loss_curve_[-4:]) < np.mean(five.loss_curve_[:4])


def test_streams_are_reproducible_and_go_on_after_a_pickle():
    whole = stream(STREAM)
    first = pickle.loads(pickle.dumps(stream(STREAM, CHUNKS[:2])))
    rest = pickle.loads(pickle.dumps(first.partial_fit(CHUNKS[2]))).partial_fit(CHUNKS[3])
    np.testing.assert_array_equal(rest.transform(DIGITS), whole.transform(DIGITS))


def test_without_the_optimisers_state_a_stream_would_go_elsewhere():
    whole = stream(STREAM)
    first = stream(STREAM, CHUNKS[:3])
    first._stream = None
    assert not np.array_equal(first.partial_fit(CHUNKS[3]).transform(DIGITS), whole.transform(DIGITS))


def test_mean_and_count_follow_the_stream_and_the_scale_of_a_network_stays():
    estimator = clone(STREAM).set_params(random_state=3)  # whose network does not start again
    first, ours = stream(estimator, CHUNKS[:1]), stream(estimator)
    np.testing.assert_allclose(ours.mean_, DIGITS[:1200].mean(axis=0), atol=1e-12)
    assert ours.n_samples_ == 1200
    varied = first._spec.scale > 0
    np.testing.assert_array_equal(ours._spec.scale[varied], first._spec.scale[varied])
    assert ((ours._spec.scale > 0) == (DIGITS[:1200].std(axis=0) > 0)).all()


def test_the_axes_are_those_of_the_first_chunk():
    ours = stream(STREAM, CHUNKS[:1])
    rotation = ours._spec.axes[2]
    for chunk in CHUNKS[1:]:
        before = ours.transform(DIGITS)
        ours.partial_fit(chunk)
        for j in range(3):  # codes move gently
            assert np.corrcoef(before[:, j], ours.transform(DIGITS)[:, j])[0, 1] > 0.9
    np.testing.assert_array_equal(ours._spec.axes[2], rotation)


def test_codes_keep_xs_units_when_the_scale_grows():
    rng = np.random.RandomState(0)
    X = rng.randn(300, 3) @ rng.randn(3, 8)
    ours = Autoencoder(3, hidden_layer_sizes=8, learning_rate=1e-12, random_state=0).partial_fit(X)
    before = ours.transform(X)
    ours.partial_fit(10 * X)
    after = ours.transform(X) - ours.transform(X.mean(axis=0)[None])
    np.testing.assert_allclose(after, before, atol=0.02 * before.std())


def test_fit_after_partial_fit_starts_anew():
    np.testing.assert_array_equal(
        stream(STREAM).set_params(max_iter=4).fit(DIGITS[:300]).transform(DIGITS),
        clone(STREAM).set_params(max_iter=4).fit(DIGITS[:300]).transform(DIGITS),
    )


def test_partial_fit_goes_on_from_fit():
    fitted = clone(STREAM).set_params(max_iter=20).fit(CHUNKS[0])
    score = fitted.score(DIGITS[1200:])
    for _ in range(10):
        fitted.partial_fit(CHUNKS[1])
    assert fitted.score(DIGITS[1200:]) > score
    assert fitted.n_samples_ == 3300
    assert fitted.n_iter_ == 30


@pytest.mark.parametrize("hidden", [(), 16])
def test_fewer_rows_than_components_in_the_first_chunk(hidden):
    ours = Autoencoder(12, hidden_layer_sizes=hidden, random_state=0).partial_fit(DIGITS[:5])
    assert ours.transform(DIGITS).shape == (len(DIGITS), 12)
    before = ours.score(DIGITS)
    for chunk in CHUNKS:
        ours.partial_fit(chunk)
    assert ours.score(DIGITS) > before
    assert (ours.transform(DIGITS).std(axis=0) > 0).all()
    ours.partial_fit(DIGITS[:1])  # one sample is a chunk


@pytest.mark.parametrize("scale", ["global", None])
def test_a_linear_stream_is_incremental_pca(scale):
    ours, theirs = Autoencoder(6, hidden_layer_sizes=(), scale=scale), IncrementalPCA(6)
    for chunk in CHUNKS:
        ours.partial_fit(chunk)
        theirs.partial_fit(chunk)
        np.testing.assert_allclose(ours.transform(DIGITS), theirs.transform(DIGITS), atol=1e-8)
        np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_)
        np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_)
        np.testing.assert_allclose(
            ours.reconstruct(DIGITS), theirs.inverse_transform(theirs.transform(DIGITS)), atol=1e-8
        )


def test_a_linear_stream_with_standard_scale_comes_near_pca_of_standardised_data():
    ours = Autoencoder(10, hidden_layer_sizes=(), scale="standard")
    for chunk in CHUNKS:
        ours.partial_fit(chunk)
    whole = Autoencoder(10, hidden_layer_sizes=(), scale="standard").fit(DIGITS[:1200])
    np.testing.assert_allclose(ours.explained_variance_ratio_, whole.explained_variance_ratio_, rtol=0.1)


def test_a_feature_that_varies_later_is_learnt():
    first, rest = DIGITS[:600].copy(), DIGITS[600:1200]
    first[:, 20] = 3.0
    for hidden in ((), 16):
        ours = Autoencoder(8, hidden_layer_sizes=hidden, random_state=0).partial_fit(first)
        np.testing.assert_array_equal(ours.reconstruct(rest)[:, 20], 3.0)
        for _ in range(3):
            ours.partial_fit(rest)
        assert ours.reconstruct(rest)[:, 20].std() > 0.1


def test_what_shapes_the_network_may_not_change_in_a_stream():
    ours = stream(STREAM, CHUNKS[:1])
    codes = ours.transform(DIGITS)
    with pytest.raises(ValueError, match=r"partial_fit continues .* in which n_components was 8; now it is 5"):
        ours.set_params(n_components=5).partial_fit(CHUNKS[1])
    with pytest.raises(ValueError, match="X has 63 features, but Autoencoder is expecting 64"):
        ours.set_params(n_components=8).partial_fit(CHUNKS[1][:, 1:])
    np.testing.assert_array_equal(ours.transform(DIGITS), codes)
    ours.set_params(hidden_layer_sizes=[64], learning_rate=0.1).partial_fit(CHUNKS[1])


@pytest.mark.parametrize(
    "kwargs", [{"init": "random"}, {"code_activation": "tanh"}, {"ordered": True}, {"n_components": 0.8}]
)
def test_other_kinds_stream(kwargs):
    ours = stream(clone(STREAM).set_params(**kwargs), CHUNKS * 2)
    assert np.isfinite(ours.transform(DIGITS)).all()
    assert ours.score(DIGITS) > stream(clone(STREAM).set_params(**kwargs), CHUNKS[:1]).score(DIGITS)
    with pytest.raises(AttributeError, match="not partial_fit"):
        _ = ours.explained_variance_ratio_


def _spoil(average, net, **kwargs):  # noqa: ARG001 - a callback's signature
    for weight in net.ensemble_.weights[-1].values():
        weight.data.fill_(np.nan)


def test_a_chunk_that_diverges_is_forgotten(monkeypatch):
    ours = stream(STREAM, CHUNKS[:2])
    monkeypatch.setattr(StreamAverage, "on_batch_end", _spoil)
    with pytest.warns(ConvergenceWarning, match="diverged in this chunk"):
        ours.partial_fit(CHUNKS[2])
    assert ours.score(DIGITS) > 0.6


# warm_start ----------------------------------------------------------------------------------------------------------


def test_warm_start_goes_on():
    warm = Autoencoder(8, hidden_layer_sizes=32, max_iter=10, warm_start=True, random_state=0)
    X, test = DIGITS[:1200], DIGITS[1200:]
    scores = [warm.fit(X).score(test) for _ in range(3)]
    assert scores[2] > scores[1] > scores[0]
    assert warm.best_epoch_ == warm.n_iter_ == 10
    assert warm.validation_loss_curve_ == []
    np.testing.assert_allclose(warm.transform(X).mean(axis=0), 0, atol=1e-3)  # the axes are new
    assert clone(warm).fit(X).score(test) == scores[0]


def test_warm_start_wants_the_same_network():
    warm = Autoencoder(8, hidden_layer_sizes=32, max_iter=2, warm_start=True, random_state=0).fit(DIGITS[:100])
    with pytest.raises(ValueError, match=r"warm_start=True .* hidden_layer_sizes was \(32,\); now it is \(16,\)"):
        warm.set_params(hidden_layer_sizes=16).fit(DIGITS[:100])
    with pytest.raises(ValueError, match="expecting 64 features"):
        warm.set_params(hidden_layer_sizes=32).fit(DIGITS[:100, :10])


# Sparse --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def never_whole(monkeypatch):
    """Let no sparse matrix of all samples be made dense."""
    for kind in (sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.csc_matrix):

        def toarray(self, *args, real=kind.toarray, **kwargs):
            assert self.shape[0] < 400, "densified as a whole"
            return real(self, *args, **kwargs)

        monkeypatch.setattr(kind, "toarray", toarray)
    monkeypatch.setattr(skae._data.readers, "BYTES_AT_ONCE", 8 * 64 * 100)


@pytest.mark.parametrize(
    "kind",
    [
        *(sparse.csr_array, sparse.csc_array),
        *(pytest.param(kind, marks=MORE) for kind in (sparse.csr_matrix, sparse.csc_matrix)),
    ],
)
@pytest.mark.parametrize("scale", ["global", pytest.param("standard", marks=MORE)])
def test_sparse_is_as_dense(kind, scale, never_whole):  # noqa: ARG001
    X = DIGITS[:480]  # of which dense PCA is exact too
    estimator = Autoencoder(6, hidden_layer_sizes=16, max_iter=5, scale=scale, random_state=0)
    ours, dense = clone(estimator).fit(kind(X)), estimator.fit(X)
    assert ours.best_epoch_ > 0
    np.testing.assert_allclose(ours.mean_, dense.mean_)
    np.testing.assert_allclose(ours.transform(kind(X)), dense.transform(X), atol=0.05 * dense.transform(X).std())
    np.testing.assert_allclose(ours.transform(kind(X)), ours.transform(X), atol=1e-9)
    assert ours.score(kind(X)) == pytest.approx(ours.score(X))
    np.testing.assert_allclose(ours.score_samples(kind(X)), ours.score_samples(X))
    np.testing.assert_allclose(ours.reconstruct(kind(X)), ours.reconstruct(X))
    ours.partial_fit(kind(X))
    assert ours.score(X) == pytest.approx(dense.partial_fit(X).score(X), abs=0.01)


@pytest.mark.parametrize("k", [3, 64, None, 0.9])
def test_sparse_linear_is_pca(k):
    X = DIGITS[:300]
    ours, pca = Autoencoder(k, hidden_layer_sizes=()).fit(sparse.csr_array(X)), PCA(k).fit(X)
    assert ours.n_components_ == pca.n_components_
    np.testing.assert_allclose(ours.transform(X)[:, :3], pca.transform(X)[:, :3], atol=1e-6)
    np.testing.assert_allclose(ours.explained_variance_ratio_[:3], pca.explained_variance_ratio_[:3])
    assert ours.score(X) == pytest.approx(pca_r2(k, X, X))


def test_sparse_zeros_and_constants():
    X = sparse.csr_array((30, 4))
    ours = Autoencoder(2, random_state=0).fit(X)
    np.testing.assert_array_equal(ours.reconstruct(X), 0)
    assert ours.score(X) == 1.0


def test_spectrum_of_wide_sparse_data_raises(monkeypatch):
    monkeypatch.setattr("skae._pca.MAX_WIDTH_COVARIANCE", 50)
    with pytest.raises(
        ValueError, match=r"n_components=0\.9 requires the whole spectrum of X, which has n_features=64"
    ):
        Autoencoder(0.9).fit(sparse.csr_array(DIGITS))


# Larger than memory --------------------------------------------------------------------------------------------------


class Sliceable:
    """An array that is not numpy's but slices: what a dataset of h5py or zarr looks like."""

    def __init__(self, X):
        self.X, self.shape, self.dtype, self.most = X, X.shape, X.dtype, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            assert (np.diff(rows) > 0).all(), "h5py wants ascending samples, each once"
        found = self.X[rows]
        self.most = max(self.most, len(found))
        return found


@pytest.fixture
def mapped(tmp_path):
    def make(X):
        path = Path(tmp_path) / f"{X.dtype}.dat"
        memmap = np.memmap(path, X.dtype, "w+", shape=X.shape)
        memmap[:] = X
        memmap.flush()
        return np.memmap(path, X.dtype, "r", shape=X.shape)

    return make


def test_what_stays_in_place(mapped):
    X = mapped(DIGITS)
    assert stays_in_place(X)
    assert stays_in_place(X[10:])
    assert stays_in_place(np.asarray(X))
    assert stays_in_place(Sliceable(DIGITS))
    for other in (DIGITS, X[[1, 2]], DIGITS.tolist(), sparse.csr_array(DIGITS), DIGITS[0], np.float64(3), None):
        assert not stays_in_place(other)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, *(pytest.param(dtype, marks=MORE) for dtype in (np.float16, np.uint8))]
)
def test_a_memory_map_is_as_an_array(mapped, dtype, resident, monkeypatch):
    if not resident:
        monkeypatch.setattr(skae._data.readers, "RESIDENT_BYTES", 1000)
    X = DIGITS.astype(dtype)
    estimator = Autoencoder(5, hidden_layer_sizes=16, max_iter=3, random_state=0)
    ours, theirs = clone(estimator).fit(mapped(X)), estimator.fit(X)
    assert ours.best_epoch_ > 0
    assert ours.transform(mapped(X)).dtype == (np.float32 if dtype == np.float32 else np.float64)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        np.testing.assert_array_equal(getattr(ours, method)(mapped(X)), getattr(theirs, method)(X))
    np.testing.assert_array_equal(ours.partial_fit(mapped(X)).transform(X), theirs.partial_fit(X).transform(X))


@pytest.mark.parametrize(
    "estimator", [*SMALL[:N_QUICK], *(pytest.param(kind, marks=MORE) for kind in SMALL[N_QUICK:])], ids=str
)
def test_rows_that_are_read_when_asked_for_are_judged_as_those_at_hand(estimator, monkeypatch):
    """Check that random draws for validation samples don't depend on where the samples are stored."""
    X = DIGITS[:240]
    at_hand = clone(estimator).fit(X)
    monkeypatch.setattr(skae._data.readers, "_room_on", lambda device: 0)  # noqa: ARG005
    read = clone(estimator).fit(X)
    assert read.validation_loss_curve_ == at_hand.validation_loss_curve_
    np.testing.assert_array_equal(read.transform(X), at_hand.transform(X))


def test_any_array_that_slices_is_read_batch_by_batch(monkeypatch):
    monkeypatch.setattr(skae._data.readers, "BYTES_AT_ONCE", 8 * 64 * 100)
    monkeypatch.setattr(skae._data.readers, "RESIDENT_BYTES", 1000)
    X = Sliceable(DIGITS.astype(np.float32))
    estimator = Autoencoder(5, hidden_layer_sizes=16, max_iter=3, random_state=0)
    ours = clone(estimator).fit(X)
    np.testing.assert_array_equal(ours.transform(X), estimator.fit(X.X).transform(X.X))
    ours.score(X)
    assert X.most <= 256


@pytest.mark.parametrize("bad", [-np.inf, np.inf])
def test_finiteness_is_checked_batch_by_batch(mapped, bad):
    X = DIGITS.astype(np.float32)
    fitted = Autoencoder(2, hidden_layer_sizes=()).fit(X)
    X[1234, 5] = bad
    estimator = Autoencoder(2)
    with pytest.raises(ValueError, match="Input X contains"):
        estimator.fit(mapped(X))
    assert vars(estimator) == estimator.get_params()
    for method in ("transform", "reconstruct", "score", "score_samples"):
        with pytest.raises(ValueError, match="Input X contains"):
            getattr(fitted, method)(mapped(X))


def test_bad_memory_maps(mapped):
    with pytest.raises(ValueError, match="minimum of 2 is required by Autoencoder"):
        Autoencoder().fit(mapped(DIGITS[:1]))
    with pytest.raises(ValueError, match="Expected 2D array"):
        Autoencoder().fit(mapped(DIGITS[0]))
    with pytest.raises(ValueError, match="expecting 64 features"):
        Autoencoder(hidden_layer_sizes=()).fit(DIGITS).transform(mapped(DIGITS[:, 1:]))


@pytest.mark.parametrize("batch", [100, 700])
def test_batches_cover_all_rows(monkeypatch, batch):
    monkeypatch.setattr(skae._data.readers, "BYTES_AT_ONCE", 8 * 64 * batch)
    for at_least in (1, 150):
        batches = list(ArrayReader(DIGITS).batches(at_least))
        np.testing.assert_array_equal(np.concatenate(batches), DIGITS)
        assert min(map(len, batches)) >= min(at_least, batch)


@pytest.mark.parametrize("widest", [4096, 10])
def test_the_start_of_rows_that_do_not_fit(monkeypatch, widest):
    """Summed batch by batch, the covariance's PCA is PCA; wider data are left to IncrementalPCA."""
    statistics = FeatureStatistics().update(ArrayReader(DIGITS))
    rows = ScaledReader(DIGITS, statistics.mean, statistics.scale("global"))
    exact = linear_init(rows, 5, seed=0)
    monkeypatch.setattr(skae._data.readers, "RESIDENT_BYTES", 1000)
    monkeypatch.setattr(skae._data.readers, "BYTES_AT_ONCE", 8 * 64 * 200)
    monkeypatch.setattr("skae._pca.MAX_WIDTH_COVARIANCE", widest)
    start = linear_init(rows, 5, seed=0)
    tolerance = 1e-9 if widest == 4096 else 0.15
    np.testing.assert_allclose(start.variance, exact.variance, rtol=tolerance)
    np.testing.assert_allclose(np.abs((start.components * exact.components).sum(axis=1)), 1, atol=tolerance)
    if widest == 4096:
        np.testing.assert_allclose(start.components, exact.components, atol=1e-6)
        assert auto_n_components(rows, 0.9, seed=0) == PCA(0.9).fit(DIGITS).n_components_


@pytest.mark.parametrize("batch", [7, 1000])
def test_statistics_of_chunks_are_those_of_all(monkeypatch, batch):
    monkeypatch.setattr(skae._data.readers, "BYTES_AT_ONCE", 8 * 64 * batch)
    X = DIGITS + 1e5
    statistics = FeatureStatistics().update(ArrayReader(X[:500])).update(ArrayReader(sparse.csr_array(X[500:])))
    np.testing.assert_allclose(statistics.mean, X.mean(axis=0))
    np.testing.assert_allclose(statistics.variance, X.var(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(statistics.high, X.max(axis=0))
    assert statistics.n_rows == len(X)
