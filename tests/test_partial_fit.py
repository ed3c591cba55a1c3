"""`partial_fit`, compared with `IncrementalPCA` for chunks of any size, order and scale, and with outliers."""

import copy
import re
import warnings
from unittest import mock

import hypothesis
import numpy as np
import pytest
from conftest import N_QUICK, SMALL
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits, make_low_rank_matrix
from sklearn.decomposition import IncrementalPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from skae import Autoencoder, SparseAutoencoder, StackedAutoencoder
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics, usual_range
from skae._training.callbacks import StreamAverage

RNG = np.random.RandomState(0)
T = 6 * RNG.rand(900)
CURVE = np.c_[np.cos(T), np.sin(T), 0.3 * T]
DIGITS = load_digits().data
LOW_RANK = 10 * make_low_rank_matrix(600, 12, effective_rank=3, random_state=0) + 0.1 * RNG.randn(600, 12)
SCALES = ["global", "standard", None]
NETWORK = Autoencoder(2, hidden_layer_sizes=32, random_state=0)


def streamed(estimator, chunks):
    estimator = clone(estimator)
    for chunk in chunks:
        estimator.partial_fit(chunk)
    return estimator


def r2(estimator, X):
    return r2_score(X, estimator.inverse_transform(estimator.transform(X)), multioutput="variance_weighted")


def parts(estimator):
    """Return the state of a fitted estimator, without torch objects."""
    return repr(estimator.__getstate__())


# Chunks --------------------------------------------------------------------------------------------------------------


def chunkings(X):
    first = X[:150].copy()
    first[:, :2] = first[0, :2]
    return {
        "5 first": [X[:5], *np.array_split(X[5:], 4)],
        "sorted": np.array_split(X[np.argsort(X[:, 0])], 5),
        "constant features": [first, *np.array_split(X[150:], 3)],
        "small": np.array_split(X, 25),
    }


@pytest.mark.parametrize("how", ["5 first", "sorted", "constant features"])
def test_one_pass_is_no_worse_than_incremental_pca(how):
    k, train, test = 3, LOW_RANK[:450], LOW_RANK[450:]
    chunks = chunkings(train)[how]
    ours = streamed(clone(NETWORK).set_params(n_components=k), chunks)
    assert r2(ours, test) > r2(streamed(IncrementalPCA(k), chunks), test) - 0.005


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "X"),
    [
        (SMALL[0], DIGITS[:800]),
        (SMALL[0], LOW_RANK),
        *((kind, CURVE) for kind in (SMALL[0], SMALL[5], SMALL[6], SMALL[9])),
    ],
)
@pytest.mark.parametrize("how", chunkings(DIGITS))
def test_networks_initialized_at_pca_are_no_worse(estimator, how, X):
    X = np.random.RandomState(1).permutation(X)
    k, n = min(4, X.shape[1] - 1), len(X) * 3 // 4
    chunks = chunkings(X[:n])[how]
    ours = streamed(clone(estimator).set_params(n_components=k), chunks)
    assert r2(ours, X[n:]) > r2(streamed(IncrementalPCA(k), chunks), X[n:]) - 0.005


def test_better_network_is_kept():
    chunks = np.array_split(CURVE, 5)
    ours = streamed(NETWORK, 4 * chunks)
    assert r2(ours, CURVE) > r2(streamed(IncrementalPCA(2), chunks), CURVE) + 0.02


def test_validation_samples_are_never_trained_on():
    ours = streamed(NETWORK, np.array_split(CURVE, 5))
    held_out = ours._stream["held_out"]["rows"]
    assert 0.1 * len(CURVE) < len(held_out) < 0.3 * len(CURVE)
    again = streamed(ours, [])
    for chunk in np.array_split(CURVE[::-1], 3):
        again = copy.deepcopy(ours).partial_fit(chunk)
        np.testing.assert_array_equal(again._stream["held_out"]["rows"], held_out)
    many = streamed(NETWORK, [np.random.RandomState(0).randn(3000, 3)])
    assert len(many._stream["held_out"]["rows"]) == 256


# Outliers ------------------------------------------------------------------------------------------------------------


def cost_of_an_outlier(fitted, size, place, X):
    """Return by how much an outlier decreases R², immediately and after another pass without it."""
    chunks = np.array_split(X, 4)
    bad = chunks[0].copy()
    bad[place] = size
    with_one, without = copy.deepcopy(fitted).partial_fit(bad), copy.deepcopy(fitted).partial_fit(chunks[0])
    immediate = r2(without, X) - r2(with_one, X)
    for chunk in chunks:
        with_one.partial_fit(chunk)
        without.partial_fit(chunk)
    return immediate, r2(without, X) - r2(with_one, X)


@pytest.mark.parametrize(("size", "place"), [(1e2, 0), (1e4, 100), (1e8, -1)])
def test_outlier_costs_no_more_than_with_incremental_pca(size, place):
    X = CURVE[:600]
    ours, theirs = (streamed(e, 2 * np.array_split(X, 4)) for e in (NETWORK, IncrementalPCA(2)))
    costs, of_pca = (cost_of_an_outlier(e, size, place, X) for e in (ours, theirs))
    assert (np.array(costs) < np.maximum(of_pca, 0) + 0.02).all()


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("estimator", SMALL[:8] + SMALL[9:13])
def test_outlier_costs_no_more_than_with_incremental_pca_in_any_estimator(estimator, scale):
    X = CURVE[:600] @ np.random.RandomState(0).randn(3, 8)
    estimator = clone(estimator).set_params(scale=scale)
    if not isinstance(estimator, StackedAutoencoder):
        estimator.set_params(n_components=2)
    ours, theirs = (streamed(e, 2 * np.array_split(X, 4)) for e in (estimator, IncrementalPCA(2)))
    size, place = ((1e2, 0), (1e4, 100), (1e8, -1))[SCALES.index(scale)]
    costs, of_pca = (cost_of_an_outlier(e, size, place, X) for e in (ours, theirs))
    assert (np.array(costs) < np.maximum(of_pca, 0) + 0.02).all()


@pytest.mark.slow
@pytest.mark.parametrize("shift", [5, 50, 1e4])
def test_shifted_chunk_costs_no_more_than_with_incremental_pca(shift):
    chunks = np.array_split(CURVE, 8)
    ours, theirs = (
        streamed(e, 5 * chunks) for e in (clone(NETWORK).set_params(hidden_layer_sizes=64), IncrementalPCA(2))
    )
    before = r2(ours, CURVE), r2(theirs, CURVE)
    for e in (ours, theirs):
        for chunk in (CURVE[:80] + np.array([shift, 0, 0]), *chunks):
            e.partial_fit(chunk)
    assert before[0] - r2(ours, CURVE) < max(0, before[1] - r2(theirs, CURVE)) + 0.02


def test_outlier_in_first_chunk():
    X = CURVE[:600]
    bad = X[:200].copy()
    bad[7] = 1e6
    ours = streamed(NETWORK, [bad, *3 * np.array_split(X, 4)])
    assert ours._spec.scale.max() < 10
    assert r2(ours, X) > r2(streamed(IncrementalPCA(2), [bad, *3 * np.array_split(X, 4)]), X)


@pytest.mark.parametrize(
    "estimator", [*SMALL[:N_QUICK], *(pytest.param(kind, marks=pytest.mark.slow) for kind in SMALL[N_QUICK:])], ids=str
)
@pytest.mark.parametrize("scale", [SCALES[0], *(pytest.param(scale, marks=pytest.mark.slow) for scale in SCALES[1:])])
def test_value_too_large_for_float32_raises(estimator, scale):
    X = CURVE[:60] @ np.random.RandomState(0).randn(3, 8)
    for size, place, is_main_process in ((1e15, 5, True), (1e15, 5, False), (1e20, 0, True), (-1e150, -1, False)):
        ours, bad = clone(estimator).set_params(scale=scale), X.copy()
        bad[place, 3] = size
        if not is_main_process:
            ours.partial_fit(X)
        if abs(size) > 1e15 and estimator.get_params().get("hidden_layer_sizes") != ():
            before = parts(ours)
            with pytest.raises(ValueError, match=re.escape(f"X has a value of {size:g}, so far")):
                ours.partial_fit(bad)
            assert parts(ours) == before
            continue
        ours.partial_fit(bad)
        for name in ("explained_variance_", "feature_importances_", "mean_", "loss_curve_"):
            assert np.isfinite(getattr(ours, name)).all()


# Scale ---------------------------------------------------------------------------------------------------------------


@st.composite
def two_tables(draw):
    rng = np.random.RandomState(draw(st.integers(0, 1000)))
    d = draw(st.integers(2, 8))
    X = rng.randn(draw(st.integers(70, 120)), d) * 10.0 ** rng.randint(-3, 4, d)
    other = X * draw(st.sampled_from([1e-3, 1.0, 30.0])) + draw(st.sampled_from([0.0, 1e3])) * X.std(axis=0)
    if draw(st.booleans()):
        X[:, 0] = 3.0
    return X, other


@pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning")  # scale=None
@pytest.mark.parametrize("scale", SCALES)
@hypothesis.settings(max_examples=3)
@given(tables=two_tables(), bounded=st.booleans())
def test_a_change_of_scale_does_not_change_what_a_network_computes(scale, tables, bounded):
    X, other = tables
    kind = Autoencoder(2, code_activation="logistic") if bounded else Autoencoder(2, init="random")
    ours = kind.set_params(hidden_layer_sizes=8, scale=scale, random_state=0, weight_decay=0.0, learning_rate=1e-30)
    codes, rows = ours.partial_fit(X).transform(X), ours.reconstruct(X)
    own = ours._spec.scale
    # else a bad network would start again, or one that has not seen much of the variance
    with mock.patch("skae._stream._significantly_less", return_value=False), mock.patch("skae._stream.NEW_FRACTION", 2):
        ours.partial_fit(other)
    np.testing.assert_array_equal(ours._spec.scale[own > 0], own[own > 0])
    np.testing.assert_allclose(ours.transform(X), codes, rtol=1e-6, atol=1e-9 * np.abs(codes).max())
    np.testing.assert_allclose(ours.reconstruct(X), rows, rtol=1e-6, atol=1e-9 * np.abs(X).max())


@pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning")  # scale=None
@pytest.mark.parametrize("scale", SCALES)
@hypothesis.settings(max_examples=3)
@given(tables=two_tables())
def test_features_that_wake_do_not_change_it_either(scale, tables):
    X, other = tables
    ours = Autoencoder(2, hidden_layer_sizes=8, scale=scale, max_iter=2, random_state=0).fit(X)
    spec = ours._with_new_scales(copy.deepcopy(ours._statistics).update(ArrayReader(other)))
    module = spec.build(ours.module_class, ours._weights, ours._modules["float64"].scaler.mean.dtype)
    x = np.clip(X, X.mean(axis=0) - 3 * X.std(axis=0), X.mean(axis=0) + 3 * X.std(axis=0))
    got = module.encode(ours._modules["float64"].scaler.mean.new_tensor(x)).detach().numpy()
    np.testing.assert_allclose(got, ours.transform(x), rtol=1e-9, atol=1e-12)


def test_scale_is_robust_to_outliers():
    X = np.random.RandomState(0).randn(300, 4)
    bad = X.copy()
    bad[3, 1] = 1e8
    for one_unit in (True, False):
        statistics = FeatureStatistics().update(
            ArrayReader(bad), within=usual_range(ArrayReader(bad), None, one_unit=one_unit)
        )
        np.testing.assert_allclose(np.sqrt(statistics.variance), X.std(axis=0), rtol=0.3)
        one = bad[3:4]
        statistics.update(ArrayReader(one), within=usual_range(ArrayReader(one), statistics, one_unit=one_unit))
        np.testing.assert_allclose(np.sqrt(statistics.variance), X.std(axis=0), rtol=0.5)
    elsewhere = 100 * X + 7
    statistics.update(ArrayReader(elsewhere), within=usual_range(ArrayReader(elsewhere), statistics, one_unit=True))
    assert statistics.variance.min() > 1000


# Divergence ----------------------------------------------------------------------------------------------------------


def _spoil(average, net, **kwargs):  # noqa: ARG001 - a callback's signature
    for weight in net.ensemble_.weights[-1].values():
        weight.data.fill_(np.nan)


@pytest.mark.parametrize("estimator", [NETWORK, SparseAutoencoder(6, random_state=0)])
def test_state_is_restored_when_chunk_is_skipped(estimator, monkeypatch):
    ours = streamed(estimator, np.array_split(CURVE, 4))
    before, codes = parts(ours), ours.transform(CURVE)
    monkeypatch.setattr(StreamAverage, "on_batch_end", _spoil)
    with pytest.warns(ConvergenceWarning, match=r"in this chunk: .* The estimator is as before the chunk\."):
        ours.partial_fit(5 * CURVE[:200] + 1)
    assert parts(ours) == before
    np.testing.assert_array_equal(ours.transform(CURVE), codes)
    with pytest.warns(ConvergenceWarning, match="The network stays at its initialization"):
        first = clone(estimator).partial_fit(CURVE[:200])
    assert np.isfinite(first.transform(CURVE)).all()
    monkeypatch.undo()
    assert np.isfinite(first.partial_fit(CURVE[200:400]).transform(CURVE)).all()


@pytest.mark.parametrize("estimator", [NETWORK, SparseAutoencoder(6, random_state=0)])
def test_diverging_stream_warns(estimator):
    ours = clone(estimator).set_params(learning_rate=1e3)
    with pytest.warns(ConvergenceWarning, match="diverged in this chunk"):
        streamed(ours, np.array_split(CURVE, 2))


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_few_outlying_samples_do_not_cause_divergence(init, seed):
    rng = np.random.RandomState(seed)
    X = rng.randn(1500, 4) @ rng.randn(4, 4)
    X[rng.choice(len(X), 3, replace=False)] = 10.0 ** rng.uniform(2, 6)
    ours = Autoencoder(2, init=init, hidden_layer_sizes=8, max_iter=2, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.fit(X)
        clone(ours).partial_fit(X[:200]).partial_fit(X[200:])


def test_scaled_reader_clips_values():
    rows = ScaledReader(np.array([[1.0, 9.0], [-7.0, 2.0]]), np.ones(2), np.full(2, 2.0), clip_at=np.array([1.0, 3.0]))
    np.testing.assert_array_equal(rows.read(slice(None)), [[0, 3], [-1, 0.5]])
    np.testing.assert_array_equal(rows.take(np.array([1])).read(slice(None)), [[-1, 0.5]])
