"""Validation samples: no fold is trained on samples that its validation samples depend on."""

import copy
import re

import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from scipy import sparse
from scipy.signal import lfilter
from sklearn.base import clone
from sklearn.datasets import load_wine, make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit, TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector, DenoisingAutoencoder, LatentSampler
from skae._data.dependence import copies_of, reach_of_dependence
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics
from skae._validation import choose_validation
from skae.callbacks import Checkpoint

QUICK = {"hidden_layer_sizes": 8, "max_iter": 2, "batch_size": 60, "random_state": 0}
NONE = {"strategy": None, "n_folds": 0, "block_size": 0, "gap": 0, "n_validation": 0}


def scaled(X):
    """Return a reader of scaled samples, as in `fit`."""
    statistics = FeatureStatistics().update(ArrayReader(X))
    return ScaledReader(X, statistics.mean, statistics.scale("global"))


def chosen(X, fraction="auto", cv=None, groups=None, y=None):
    """Return the validation of a table."""
    return choose_validation(scaled(X), fraction=fraction, cv=cv, groups=groups, y=y, seed=0)


def series(phi, n_steps, n_series, seed=0):
    """Return autoregressive series of unit variance, of shape (n_steps, n_series)."""
    noise = np.random.default_rng(seed).standard_normal((n_steps + 500, n_series)) * np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise, axis=0)[500:]


def cut(X, length, step=1, layout="below"):
    """Return windows of series as samples: concatenated along samples or along features, or sorted by time step."""
    windows = sliding_window_view(X, length, axis=0)[::step]  # (n, n_series, length)
    if layout == "below":
        return windows.swapaxes(0, 1).reshape(-1, length)
    if layout == "interleaved":
        return windows.reshape(-1, length)
    return (windows if layout == "beside" else windows.swapaxes(1, 2)).reshape(len(windows), -1)


# Dependent samples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array, np.asfortranarray])
def test_copies_are_found_for_all_kinds_of_values(layout, dtype):
    rng = np.random.RandomState(0)
    for X in (
        rng.standard_normal((50, 6)),
        rng.randint(0, 3, (50, 6)),  # round numbers
        (rng.random_sample((50, 12)) < 0.2) * 1.0,
        np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [2.0**60, 1], [2.0**61, 1], [1, 2.0**60]]),
    ):
        X = X.astype(dtype)[rng.randint(len(X), size=len(X))]
        expected = np.unique(X + 0.0, axis=0, return_inverse=True)[1].ravel()
        groups = copies_of(ArrayReader(layout(X)))
        assert len(np.unique(groups)) == len(np.unique(expected)) == len({*zip(groups, expected, strict=True)})
    assert copies_of(ArrayReader(rng.standard_normal((500, 3)))) is None


@pytest.mark.parametrize("phi", [0.3, 0.8, 0.99])
@pytest.mark.parametrize("layout", ["below", "beside", "steps", "interleaved"])
@pytest.mark.parametrize(("length", "step"), [(30, 1), (30, 5), (50, 3)])
def test_overlapping_windows_are_detected(phi, layout, length, step):
    X = cut(series(phi, 300 + 100 * step, 3), length, step, layout)
    for table in (X, StandardScaler().fit_transform(X), 1e5 + 1e-3 * X, X[:, ::-1], X[::-1]):
        reach = reach_of_dependence(scaled(table), 0)
        overlap = -(-length // step) * (3 if layout == "interleaved" else 1)
        assert min(overlap, len(X) // 10) <= reach <= len(X) // 10


@pytest.mark.parametrize("n_columns", [5, 8, 40])
def test_autocorrelated_series_are_detected(n_columns):
    rng = np.random.RandomState(0)
    factors = lfilter([1], [1, -0.99], rng.standard_normal((1500, 5)), axis=0)
    X = np.tanh(factors / 7) @ rng.standard_normal((5, n_columns)) + 0.01 * rng.standard_normal((1500, n_columns))
    assert reach_of_dependence(scaled(X), 0) > 5
    assert reach_of_dependence(scaled(X[rng.permutation(1500)]), 0) == 0


@pytest.mark.parametrize("n_classes", [2, 3, 5, 10])
@pytest.mark.parametrize("n_rows", [60, 300, 2000])
def test_tables_sorted_by_class_are_not_series(n_classes, n_rows):
    if n_rows < 20 * n_classes:
        pytest.skip("a class of few samples can't be distinguished from a group of neighbors")
    for seed in range(3):
        X, y = make_blobs(n_rows, 5, centers=n_classes, random_state=seed)
        assert reach_of_dependence(scaled(X[np.argsort(y, kind="stable")]), seed) == 0


def test_folds_of_tables_sorted_by_class_are_random(iris):
    unique = iris[np.sort(np.unique(iris, axis=0, return_index=True)[1])]
    for X in (load_wine().data, StandardScaler().fit_transform(load_wine().data), unique):
        assert chosen(X).strategy == "random"
    assert chosen(iris).strategy == "copies"  # one sample has a copy


# The folds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_rows", "fraction", "n_folds", "n_held_out"),
    [
        (20, "auto", 5, 4),
        (100, "auto", 5, 20),
        (1000, "auto", 2, 200),
        (1999, "auto", 2, 399),
        (2000, "auto", 1, 400),
        (100_000, "auto", 1, 1000),
        (100, 0.5, 2, 50),
        (100, 0.7, 1, 70),
        (10_000, 0.3, 1, 3000),
    ],
)
def test_random_folds(n_rows, fraction, n_folds, n_held_out):
    validation = chosen(np.random.RandomState(0).standard_normal((n_rows, 2)), fraction)
    assert validation.strategy == "random"
    assert len(validation.folds) == n_folds
    for train, held_out in validation.folds:
        assert len(held_out) == n_held_out
        assert sorted([*train, *held_out]) == list(range(n_rows))
    everything = np.concatenate([held_out for _, held_out in validation.folds])
    assert len(set(everything)) == len(everything) == validation.report["n_validation"]


@given(
    st.integers(20, 400),
    st.sampled_from(["copies", "many copies", "one row", "windows", "repeated windows", "groups", "two groups"]),
    st.sampled_from(["auto", 0.1, 0.5]),
    st.integers(0, 9),
)
def test_dependent_samples_are_never_split(n_rows, kind, fraction, seed):
    rng = np.random.RandomState(seed)
    X, groups = rng.standard_normal((n_rows, 4)), None
    if kind == "copies":
        X = X[rng.randint(n_rows, size=n_rows)]
    elif kind == "many copies":
        X = X[rng.randint(max(2, n_rows // 10), size=n_rows)]
    elif kind == "one row":
        X[rng.random_sample(n_rows) < 0.8] = 0
    elif "windows" in kind:
        X = cut(series(0.8, n_rows + 11, 1, seed), 12).copy()
    elif kind == "groups":
        groups = np.unique(rng.randint(1 + n_rows // 7, size=n_rows), return_inverse=True)[1]
    else:
        groups = np.arange(n_rows) % 2
    if kind == "repeated windows":
        X[: n_rows // 4] = X[-(n_rows // 4) :]
    validation = chosen(X, fraction, groups=groups)
    together = np.unique(X, axis=0, return_inverse=True)[1].ravel() if groups is None else groups
    seen = []
    for train, held_out in validation.folds:
        assert len(train) >= 2
        assert len(held_out) >= 1
        assert not np.intersect1d(train, held_out).size
        assert not np.intersect1d(together[train], together[held_out]).size
        distance = np.abs(train[:, None] - held_out)
        assert distance.min() > validation.gap
        seen.extend(held_out)
    assert len(set(seen)) == len(seen)
    assert validation.clusters is None or len(validation.clusters) == len(seen)
    expected = {"windows": {"blocks"}, "repeated windows": {"blocks"}, "groups": {"groups"}, "two groups": {"groups"}}
    assert validation.strategy in expected.get(kind, {"copies", None})


def test_folds_do_not_depend_on_the_layout():
    X = np.random.RandomState(0).randint(0, 2, (60, 5)) * np.arange(5.0)
    expected = chosen(X).folds
    for table in (sparse.csr_array(X), sparse.csc_array(X).tocsr(), np.asfortranarray(X), X.astype(np.float32)):
        assert all(np.array_equal(a, b) for a, b in zip(sum(expected, ()), sum(chosen(table).folds, ()), strict=True))


def test_noisy_copies_of_clean_sample_are_not_split(digits):
    clean = np.repeat(digits[:40], 4, axis=0)
    noisy = clean + np.random.RandomState(0).standard_normal(clean.shape)
    fitted = DenoisingAutoencoder(2, corruption=None, **QUICK).fit(noisy, clean)
    assert fitted.validation_["strategy"] == "copies"
    with pytest.raises(ValueError, match="X_val has no y, which the validation loss needs"):
        DenoisingAutoencoder(2, corruption=None, **QUICK).fit(noisy, clean, X_val=noisy)


def test_large_groups_are_in_training_set():
    zeros = np.r_[np.zeros((800, 3)), np.random.RandomState(0).standard_normal((200, 3))]
    (_, first), (_, second) = chosen(zeros).folds
    assert len(first) == len(second) == 40  # a fifth of the others
    assert not np.isin(np.r_[first, second], np.arange(800)).any()
    assert chosen(np.repeat(np.eye(2), 50, axis=0)).report == NONE  # two distinct samples, each half of the data


# Use in fit ----------------------------------------------------------------------------------------------------------


def test_every_estimator_uses_the_given_validation_samples(small, digits):
    solved = small.get_params().get("hidden_layer_sizes") == ()
    small, X = small.set_params(validation_fraction="auto"), digits[:60]
    fitted = clone(small).fit(X, groups=np.arange(60) // 3)
    assert fitted.validation_ == (NONE if solved else fitted.validation_ | {"strategy": "groups", "n_folds": 5})
    fitted = clone(small).fit(X, X_val=X[:30] + 1)
    assert fitted.validation_ == (NONE if solved else NONE | {"strategy": "X_val", "n_folds": 1, "n_validation": 30})
    assert fitted.n_samples_ == 60
    assert np.allclose(fitted.mean_, X.mean(axis=0))
    fitted = clone(small).set_params(cv=GroupKFold(2)).fit(X, groups=np.arange(60) // 3)
    assert fitted.validation_ == (NONE if solved else NONE | {"strategy": "cv", "n_folds": 2, "n_validation": 60})
    again = copy.deepcopy(fitted)
    assert again.validation_ == fitted.validation_
    assert np.array_equal(again.transform(X), fitted.transform(X))


@pytest.mark.parametrize(
    "cv",
    [
        *(3, KFold(4), TimeSeriesSplit(3, gap=5), ShuffleSplit(1, random_state=0), ShuffleSplit(3, random_state=0)),
        [(np.arange(200), np.arange(200, 240))],
        [(np.arange(240) < 200, np.arange(240) >= 230)],
        [([*range(100)], [-1]), ([*range(5, 7)], [0])],
    ],
)
def test_splitters(cv, digits):
    fitted = Autoencoder(2, cv=cv, **QUICK).fit(digits)
    assert fitted.validation_["strategy"] == "cv"
    assert fitted.validation_["n_folds"] == (
        len(cv) if isinstance(cv, list) else getattr(cv, "get_n_splits", lambda: cv)()
    )
    assert len(fitted.validation_loss_curve_) == fitted.n_iter_


def test_folds_are_weighted_by_number_of_samples(digits):
    groups = np.repeat([0, 1, 2], [180, 50, 10])
    fitted = Autoencoder(2, cv=LeaveOneGroupOut(), **QUICK).fit(digits, groups=groups)
    assert fitted.validation_["n_validation"] == 240


def test_x_val_selects_epoch_of_network_trained_on_all_samples(digits):
    noise = np.random.RandomState(0).uniform(0, 16, (100, 64))
    long = {"max_iter": 30, "hidden_layer_sizes": 32, "random_state": 0}
    assert Autoencoder(4, **long).fit(digits, X_val=noise).best_epoch_ == 0  # noise, which can't be learned
    assert Autoencoder(4, **long).fit(digits, X_val=digits).best_epoch_ > 5  # training samples, which are memorized
    again = Autoencoder(4, **long, warm_start=True).fit(digits, X_val=noise)
    before = again.transform(digits)
    assert again.fit(digits, X_val=noise).best_epoch_ == 0
    assert np.allclose(again.transform(digits), before, atol=1e-3)


def test_x_val_may_be_any_container(digits):
    expected = Autoencoder(2, **QUICK).fit(digits, X_val=digits[:40]).transform(digits)
    for X_val in (digits[:40].tolist(), sparse.csr_array(digits[:40]), digits[:40].astype(np.float32)):
        assert np.allclose(Autoencoder(2, **QUICK).fit(digits, X_val=X_val).transform(digits), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        ({"cv": 3, "validation_fraction": 0.2}, {}, "validation_fraction=0.2 and cv=3 exclude each other"),
        ({"validation_fraction": 0.2}, {"X_val": 1}, "validation_fraction=0.2 and X_val exclude each other"),
        ({"cv": 3}, {"X_val": 1}, "X_val and cv=3 exclude each other"),
        ({}, {"X_val": 1, "groups": 1}, "X_val and groups exclude each other"),
        ({}, {"X_val": np.ones((5, 3))}, "X_val can't be used: X has 3 features, but Autoencoder is expecting 64"),
        ({}, {"X_val": np.full((5, 64), np.inf)}, "X_val can't be used: Input X contains infinity"),
        ({}, {"X_val": np.ones((0, 64))}, "X_val can't be used: Found array with 0 sample"),
        ({}, {"groups": [0, 1]}, "inconsistent numbers of samples"),
        ({}, {"groups": np.zeros(240)}, "groups contains one label, 0.0, for all samples"),
        ({}, {"groups": np.ones((240, 2))}, "y should be a 1d array"),
        ({"cv": GroupKFold(3)}, {}, "The 'groups' parameter should not be None"),
        ({"cv": []}, {}, r"cv=\[\] has no splits"),
        ({"cv": [([0], [1])]}, {}, "trains on 1 samples and holds out 1"),
        ({"cv": [([0, 1, 2], [1])]}, {}, "has the same samples in both sets"),
        ({"cv": 1}, {}, "cv"),
        ({"cv": 1000}, {}, "n_splits=1000 greater than the number of samples"),
    ],
)
def test_invalid_validation_arguments_raise(parameters, arguments, message, digits):
    table = {"X_val": digits[:20], "groups": np.arange(240)}
    arguments = {name: table[name] if isinstance(value, int) else value for name, value in arguments.items()}
    with pytest.raises(ValueError, match=message):
        Autoencoder(2, **QUICK, **parameters).fit(digits, **arguments)


def test_groups_and_x_val_in_pipelines_and_grid_searches(digits):
    groups = np.arange(240) // 4
    pipeline = make_pipeline(StandardScaler(), Autoencoder(2, **QUICK)).fit(digits, autoencoder__groups=groups)
    assert pipeline[-1].validation_["strategy"] == "groups"
    with sklearn.config_context(enable_metadata_routing=True):
        routed = Autoencoder(2, **QUICK).set_fit_request(X_val=True, groups=True)
        steps = [("scaler", StandardScaler()), ("autoencoder", routed)]
        X_val = digits[:30]
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(digits, X_val=X_val)
        assert pipeline[-1].validation_["strategy"] == "X_val"
        expected = clone(routed).fit(pipeline[0].transform(digits), X_val=pipeline[0].transform(X_val))
        assert np.array_equal(pipeline.transform(digits), expected.transform(pipeline[0].transform(digits)))
        search = GridSearchCV(routed, {"n_components": [2]}, cv=GroupKFold(2)).fit(digits, groups=groups)
        assert search.best_estimator_.validation_["strategy"] == "groups"
        assert len(routed.fit_transform(digits, groups=groups)) == 240
    with pytest.raises(TypeError):
        Autoencoder(2).fit(digits, None, digits)  # keyword-only


@pytest.mark.parametrize("meta", [AutoencoderOutlierDetector, LatentSampler])
def test_detectors_and_samplers_pass_groups_and_x_val(meta, digits):
    groups, X_val, inner = np.arange(240) // 4, digits[:30], Autoencoder(2, **QUICK)
    for autoencoder in (inner, make_pipeline(StandardScaler(), inner), make_pipeline(Pipeline([("last", inner)]))):
        fitted = meta(autoencoder).fit(digits, groups=groups).autoencoder_
        while isinstance(fitted, Pipeline):
            fitted = fitted[-1]
        assert fitted.validation_["strategy"] == "groups"
    assert meta(inner).fit(digits, X_val=X_val).autoencoder_.validation_["n_validation"] == 30
    with pytest.raises(
        ValueError, match=r"X_val must be transformed by the earlier steps of a Pipeline.*transform_input"
    ):
        meta(make_pipeline(StandardScaler(), inner)).fit(digits, X_val=X_val)
    for other in (PCA(2), make_pipeline(StandardScaler(), PCA(2))):
        with pytest.raises(ValueError, match=r"autoencoder=PCA\(n_components=2\) takes no groups in fit"):
            meta(other).fit(digits, groups=groups)
    with sklearn.config_context(enable_metadata_routing=True):
        steps = [("scaler", StandardScaler()), ("last", clone(inner).set_fit_request(X_val=True))]
        fitted = meta(Pipeline(steps, transform_input=["X_val"])).fit(digits, X_val=X_val)
        assert fitted.autoencoder_[-1].validation_["strategy"] == "X_val"
        outer = make_pipeline(StandardScaler(), meta(inner).set_fit_request(groups=True)).fit(digits, groups=groups)
        assert outer[-1].autoencoder_.validation_["strategy"] == "groups"


def test_verbose_output_describes_validation(digits, capsys):
    quiet, loud = Autoencoder(2, **QUICK), Autoencoder(2, **QUICK, verbose=1)
    quiet.fit(digits)
    assert capsys.readouterr().out == ""
    loud.fit(np.repeat(digits, 2, axis=0))
    said = capsys.readouterr().out
    assert re.search(r"\d+ validation samples, .*copies of a sample in the same set", said)
    assert re.search(r"selected epoch \d of 2: R² 0\.\d{3} on the validation set \(PCA: R² 0\.\d{3}\)", said)
    loud.fit(cut(series(0.9, 200, 1), 30))
    assert "blocks of 34, with gaps of 17" in capsys.readouterr().out


def test_verbose_output_describes_selected_epoch(digits, capsys):
    """Check R² of the validation samples against the losses of both."""
    X, X_val = digits[:120], digits[120:]
    loud = Autoencoder(2, **QUICK | {"max_iter": 8, "validation_fraction": "auto"}, verbose=1).fit(X, X_val=X_val)
    said = capsys.readouterr().out
    epoch, r2, of_pca = re.search(r"selected epoch (\d) of 8: R² (\S+) .*PCA: R² (\S+)\)", said).groups()
    assert int(epoch) == loud.best_epoch_
    about_mean = np.square(X_val - X.mean(axis=0)).sum()
    for model, shown in ((loud, r2), (PCA(2).fit(X), of_pca)):
        x_hat = model.inverse_transform(model.transform(X_val))
        assert 1 - np.square(X_val - x_hat).sum() / about_mean == pytest.approx(float(shown), abs=0.002)


def test_verbose_output_says_when_pca_is_kept(capsys):
    X = np.random.default_rng(0).normal(size=(60, 8))
    model = Autoencoder(2, **QUICK, verbose=1).fit(X)
    assert model.best_epoch_ == 0
    assert "is a significant improvement on PCA, which is kept" in capsys.readouterr().out
    Autoencoder(2, hidden_layer_sizes=(), verbose=1).fit(X)
    assert "computed in closed form" in capsys.readouterr().out


def test_checkpoint_of_other_groups_raises(digits, tmp_path):
    fit = Autoencoder(2, callbacks=[Checkpoint(tmp_path)], **QUICK).fit
    groups = np.arange(240) // 4
    again = fit(digits, groups=groups).transform(digits)
    assert np.array_equal(fit(digits, groups=groups).transform(digits), again)
    for others in ({}, {"groups": groups[::-1]}, {"X_val": digits}):
        with pytest.raises(ValueError, match="contains another run: the digest of"):
            fit(digits, **others)


@pytest.mark.slow
@pytest.mark.parametrize(("phi", "length", "layout"), [(0.8, 50, "below"), (0.5, 50, "below"), (0.9, 30, "beside")])
def test_memorizing_network_is_not_selected(phi, length, layout):
    X, new = (cut(series(phi, n_steps, 3, seed), length, 1, layout) for seed, n_steps in ((0, 300), (1, 2000)))
    pca = PCA(5).fit(X)
    of_pca = r2_score(new, pca.inverse_transform(pca.transform(new)), multioutput="variance_weighted")
    assert Autoencoder(5, random_state=0).fit(X).score(new) > of_pca - 0.005
