"""Networks for many features are trained in principal axes, with the same results as training on all features."""

import copy

import numpy as np
import pytest
import scipy.sparse
from skorch.callbacks import Callback, GradientNormClipping

from skae import Autoencoder
from skae._basis import RowsInBasis, axes_for
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics
from skae.callbacks import Checkpoint
from skae.nn._projection import Projection

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)  # because few epochs are trained


class KeepModule(Callback):
    """Callback that copies the module at the end of training."""

    def on_train_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        self.module_ = copy.deepcopy(net.module_)


def fitted(X, **parameters):
    """Return a fitted autoencoder, and the module that was trained, before its conversion to all features."""
    autoencoder = Autoencoder(**parameters, callbacks=[("keep", KeepModule())]).fit(X)
    return autoencoder, dict(autoencoder.net_.callbacks_)["keep"].module_


def output_of(module, X):
    """Return the output of a module for samples."""
    return module(module.scaler.mean.new_tensor(X)).detach().numpy()


def wide(n, d=600, seed=0):
    """Return few samples of many features, on a closed curve: (n, d)."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, (n, 1))
    causes = np.hstack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    return causes @ rng.standard_normal((4, d)) + 0.1 * rng.standard_normal((n, d))


def smooth(n, d=300, seed=0):
    """Return more samples than features: a bump at a random place, with noise, (n, d)."""
    rng = np.random.default_rng(seed)
    place, width = rng.uniform(0.2, 0.8, (2, n, 1))
    return np.exp(-np.square((np.linspace(0, 1, d) - place) / (0.1 + 0.1 * width))) + 0.02 * rng.standard_normal((n, d))


TABLES = {"few samples": wide(120), "many samples": smooth(700)}
KINDS = {
    "default": {},
    "random initialization": {"init": "random"},
    "tanh code": {"code_activation": "tanh"},
    "relu": {"activation": "relu", "hidden_layer_sizes": (40,)},
    "ordered": {"ordered": True},
    "fraction of the variance": {"n_components": 0.6},
    "standard": {"scale": "standard"},
    "whitened": {"whiten": True},
    "no layers": {"init": "random", "hidden_layer_sizes": ()},
}


def scaled(X):
    """Return a reader of scaled samples."""
    statistics = FeatureStatistics().update(ArrayReader(X))
    return ScaledReader(X, statistics.mean, statistics.scale("global"))


def fraction_outside(rows, axes):
    """Return the fraction of the variance that the axes do not cover."""
    return RowsInBasis(rows, axes, None).left_out / np.square(rows.read(slice(None))).sum(axis=1).mean()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", KINDS)
def test_converted_network_equals_the_trained_one(kind, table):
    X = TABLES[table]
    given = {"n_components": 3, "max_iter": 12, "random_state": 0, "early_stopping": False} | KINDS[kind]
    autoencoder, module = fitted(X, **given)
    assert isinstance(module.scaler, Projection)
    assert len(module.scaler.axes) < X.shape[1]
    assert autoencoder.best_epoch_ > 0
    if not autoencoder._by_share:  # otherwise the code is cut to fewer components
        np.testing.assert_allclose(autoencoder.reconstruct(X), output_of(module, X), atol=1e-5 * np.abs(X).max())
    np.testing.assert_allclose(autoencoder.net_.predict(X.astype(np.float32)), autoencoder.reconstruct(X), atol=1e-4)


@pytest.mark.parametrize("table", TABLES)
def test_outlying_values_are_handled_as_in_training(table):
    X = TABLES[table].copy()
    X[3, 5], X[10, 7] = 50 * X[:, 5].std(), -80 * X[:, 7].std()
    autoencoder, module = fitted(X, n_components=3, max_iter=10, random_state=0)
    assert module.scaler.clip_at is not None
    inside = module.scaler(module.scaler.mean.new_tensor(X))
    assert inside.shape[1] == 2 * len(module.scaler.axes)
    assert autoencoder.best_epoch_ > 0
    np.testing.assert_allclose(autoencoder.reconstruct(X), output_of(module, X), atol=1e-5 * np.abs(X).max())


@pytest.mark.parametrize("table", TABLES)
def test_losses_equal_those_of_all_features(table):
    rows = {"few samples": wide(220), "many samples": smooth(800)}[table]
    X, X_val = rows[:-100], rows[-100:]
    autoencoder = Autoencoder(3, max_iter=10, random_state=0).fit(X, X_val=X_val)
    assert autoencoder.best_epoch_ > 0
    rows = ScaledReader(X_val, autoencoder._spec.mean, autoencoder._spec.scale)
    residuals = (autoencoder.reconstruct(X_val) - X_val) * rows.per_unit
    last = autoencoder.validation_loss_curve_[autoencoder.best_epoch_ - 1]
    np.testing.assert_allclose(last, np.square(residuals).sum(axis=1).mean(), rtol=1e-3)


@pytest.mark.parametrize("fraction", [0.02, 0.3])
@pytest.mark.parametrize("with_outlier", [False, True])
@pytest.mark.parametrize("table", TABLES)
def test_losses_of_incomplete_samples_are_those_of_observed_values(table, with_outlier, fraction):
    rows = {"few samples": wide(220), "many samples": smooth(800)}[table]
    if with_outlier:
        rows[3, 5] = 50 * rows[:, 5].std()
    incomplete = np.where(np.random.default_rng(0).random(rows.shape) < fraction, np.nan, rows)
    incomplete[3, 5] = rows[3, 5]
    X, X_val = incomplete[:-100], incomplete[-100:]
    autoencoder = Autoencoder(3, max_iter=10, random_state=0, callbacks=[("keep", KeepModule())]).fit(X, X_val=X_val)
    module = dict(autoencoder.net_.callbacks_)["keep"].module_
    assert isinstance(module.scaler, Projection)
    assert len(module.scaler.axes) < X.shape[1]
    assert autoencoder.best_epoch_ > 0
    scaler = ScaledReader(X_val, autoencoder._spec.mean, autoencoder._spec.scale)
    residuals = (autoencoder.reconstruct(X_val) - X_val) * scaler.per_unit
    last = autoencoder.validation_loss_curve_[autoencoder.best_epoch_ - 1]
    np.testing.assert_allclose(last, np.nansum(np.square(residuals), axis=1).mean(), rtol=1e-3)


@pytest.mark.parametrize(("table", "maximum"), [("few samples", 1e-6), ("many samples", 0.05)])
def test_axes_cover_nearly_all_of_the_variance(table, maximum):
    rows = scaled(TABLES[table])
    axes = axes_for(rows, 3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(len(axes)), atol=1e-6)
    assert fraction_outside(rows, axes) < maximum


def test_number_of_axes_does_not_depend_on_the_order_of_samples():
    X = TABLES["many samples"]
    axes = axes_for(scaled(X[np.argsort(X.argmax(axis=1))]), 1)
    assert len(axes) == pytest.approx(len(axes_for(scaled(X), 1)), rel=0.25)


def test_axes_cover_what_a_network_could_learn():
    """Check that axes are kept for a nonlinear function of the first axes, and dropped for noise."""
    rng = np.random.default_rng(0)
    causes, lines = rng.uniform(-1, 1, (900, 2)), 3 * rng.standard_normal((2, 300))
    bent = np.sin(5 * causes @ rng.standard_normal((2, 40))) @ rng.standard_normal((40, 300))
    signal = scaled(causes @ lines + 0.02 * bent)
    noise = scaled(causes @ lines + 0.1 * rng.standard_normal((900, 300)))
    assert fraction_outside(signal, axes_for(signal, 1)) < 1e-3
    assert fraction_outside(noise, axes_for(noise, 1)) > 1e-3


@pytest.mark.parametrize("form", [np.float32, scipy.sparse.csr_array, "memory map"])
def test_containers_and_dtypes_give_the_same_fit(form, tmp_path):
    X = np.where(wide(120) > 0.5, 1.0, 0.0)
    expected = Autoencoder(3, max_iter=5, random_state=0).fit(X)
    if form == "memory map":
        np.save(tmp_path / "samples.npy", X)
        other = np.load(tmp_path / "samples.npy", mmap_mode="r")
    else:
        other = X.astype(form) if form is np.float32 else form(X)
    autoencoder = Autoencoder(3, max_iter=5, random_state=0).fit(other)
    assert autoencoder.best_epoch_ == expected.best_epoch_
    np.testing.assert_allclose(autoencoder.reconstruct(X), expected.reconstruct(X), atol=1e-3)


def test_interrupted_fit_resumes_bit_identically(tmp_path):
    X = TABLES["few samples"]

    class Stop(Callback):
        last = 4

        def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
            if len(net.history) == self.last:
                raise RuntimeError("interrupted")

    expected = Autoencoder(3, max_iter=8, random_state=0).fit(X)
    autoencoder = Autoencoder(3, max_iter=8, random_state=0, callbacks=[Checkpoint(tmp_path), Stop()])
    with pytest.raises(RuntimeError, match="interrupted"):
        autoencoder.fit(X)
    Stop.last = None
    found = autoencoder.fit(X)
    np.testing.assert_array_equal(found.reconstruct(X), expected.reconstruct(X))


@pytest.mark.parametrize("table", TABLES)
def test_further_training_starts_from_the_fit(table):
    """Check that a second fit or a chunk starts from the networks of all features, and hardly changes the function."""
    X = TABLES[table]
    autoencoder = Autoencoder(3, max_iter=10, random_state=0).fit(X)
    before = autoencoder.reconstruct(X)
    autoencoder.set_params(warm_start=True, max_iter=1, learning_rate=1e-9).fit(X)
    np.testing.assert_allclose(autoencoder.reconstruct(X), before, atol=1e-4)
    autoencoder.set_params(warm_start=False)
    assert autoencoder.partial_fit(X[:50]).reconstruct(X).shape == X.shape


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_score_is_no_worse_than_training_on_all_features(table, monkeypatch):
    X, rest = (wide, smooth)[table == "many samples"](1000, seed=0), None
    X, rest = (X[:120], X[120:]) if table == "few samples" else (X[:700], X[700:])
    inside = Autoencoder(3, random_state=0).fit(X).score(rest)
    monkeypatch.setattr("skae._module_spec.axes_for", lambda *_: None)
    assert inside > Autoencoder(3, random_state=0).fit(X).score(rest) - 0.01


WITHOUT_AXES = {
    "loss": {"loss": "huber"},
    "likelihood": {"loss": "binary_cross_entropy"},
    "callbacks that see batches": {"callbacks": [GradientNormClipping()]},
}


@pytest.mark.parametrize("case", WITHOUT_AXES)
def test_all_features_are_used_where_an_option_requires_them(case, monkeypatch):
    X = np.clip(TABLES["few samples"], 0, 1)
    monkeypatch.setattr("skae._module_spec.axes_for", None)  # must not be called
    Autoencoder(3, max_iter=2, random_state=0, **WITHOUT_AXES[case]).fit(X)


LOW_RANK = np.outer(np.arange(300.0), np.ones(400))


@pytest.mark.parametrize(
    "X", [np.zeros((120, 600)), np.eye(300), np.ones((20, 600)) + np.eye(20, 600), LOW_RANK, np.tile(LOW_RANK, (3, 1))]
)
def test_samples_of_low_rank_or_without_variance_have_finite_reconstructions(X):
    assert np.isfinite(Autoencoder(3, max_iter=2, random_state=0).fit(X).reconstruct(X)).all()
