"""Selection between a network and its random restart; number of epochs for narrow tables."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from skorch.callbacks import Callback, LRScheduler
from torch.optim import SGD
from torch.optim.lr_scheduler import ExponentialLR

from skae import Autoencoder, _defaults
from skae._training.callbacks import BestEpoch
from skae._training.checkpoint import Checkpoint
from skae._training.labels import RANDOM_INIT

pytestmark = pytest.mark.filterwarnings("ignore:max_iter=")  # few epochs are enough here
FEW = {"hidden_layer_sizes": (32, 16), "max_iter": 13, "random_state": 0}  # a sixth of the epochs ends with the third


def closed_curve(n):
    """Return samples of a circle, (n, 4), which PCA projects onto a diameter."""
    rng = np.random.default_rng(1)
    angle = 2 * np.pi * rng.uniform(size=n)
    return np.column_stack([np.cos(angle), np.sin(angle), *0.05 * rng.normal(size=(2, n))])


def bent_plane(n):
    """Return samples of a slightly bent plane, (n, 4), for which PCA is nearly optimal."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    bent = np.column_stack([x, 0.3 * x[:, 0] ** 2, 0.3 * x[:, 0] * x[:, 1]])
    return bent + 0.02 * rng.normal(size=(n, 4))


SETS = {"restart": (closed_curve, 1), "network": (bent_plane, 2)}  # by the network that is selected


class Watch(Callback):
    """Records the number of networks that are trained, and the validation losses of both."""

    seen = None

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        row = net.history[-1]
        Watch.seen.append((len(net.labels), row["valid_loss"], row.get(f"valid_loss{RANDOM_INIT}")))


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(Watch, "seen", [])
    return Watch


@pytest.mark.parametrize("n_rows", [1200, 2100])
@pytest.mark.parametrize("winner", SETS)
def test_only_the_better_network_continues(winner, n_rows, seen):
    rows_of, k = SETS[winner]
    fitted = Autoencoder(k, **FEW, callbacks=[Watch]).fit(rows_of(n_rows))
    n_networks, before, of_restart = zip(*seen.seen, strict=True)
    n_both = sum(of_both is not None for of_both in of_restart)
    most = 2 if n_rows > 2000 else 6  # pairs of two folds and of all samples
    assert n_networks == (*[most] * n_both, *[most // 2] * (fitted.n_iter_ - n_both))
    assert 2 <= n_both < (3 if winner == "network" else 6)  # a network that is stuck may improve later
    curve = fitted.net_.history[:, "valid_loss"]
    # only the losses of the selected network are recorded
    assert curve[:n_both] == list((of_restart if winner == "restart" else before)[:n_both])
    assert not any(name.endswith(RANDOM_INIT) for row in fitted.net_.history for name in row)
    assert (np.diff(curve[n_both - 1 :]) < 0.01 * curve[0]).all()  # the weights were kept
    pca = PCA(k).fit(rows_of(n_rows))
    gained = fitted.score(rows_of(3000)) - (1 - pca.noise_variance_ * (4 - k) / rows_of(n_rows).var(axis=0).sum())
    assert gained > 0.02


def test_selected_network_trains_as_if_alone(monkeypatch):
    rows_of, k = SETS["network"]
    together = Autoencoder(k, **FEW).fit(rows_of(2100))
    monkeypatch.setattr(Autoencoder, "_has_random_restart", lambda *_: False)
    alone = Autoencoder(k, **FEW).fit(rows_of(2100))
    np.testing.assert_allclose(together.loss_curve_[:6], alone.loss_curve_[:6], rtol=1e-3)


def flat(n):
    """Return samples of a plane with little noise, (n, 6), where PCA is optimal."""
    rng = np.random.default_rng(2)
    plane = rng.normal(size=(2, 6))
    return rng.normal(size=(n, 2)) @ plane + 0.1 * rng.normal(size=(n, 6))


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_random_restart_that_stays_far_worse_than_pca_is_dropped(loss, seen):
    params = FEW | {"max_iter": 24, "early_stopping": False, "loss": loss}
    fitted = Autoencoder(2, **params, callbacks=[Watch]).fit(flat(2100))
    n_both = sum(of_both is not None for *_, of_both in seen.seen)
    assert 3 <= n_both < 12  # from a sixth to half of the epochs
    assert fitted.score(flat(1000)) > 0.99


def test_both_networks_are_trained_to_the_end_with_few_samples(seen):
    Autoencoder(1, **FEW, callbacks=[Watch]).fit(closed_curve(300))
    assert {n for n, *_ in seen.seen} == {12}


@pytest.mark.parametrize("winner", SETS)
def test_other_optimizers_and_schedules_continue_after_selection(winner, seen):
    rows_of, k = SETS[winner]
    few = FEW | {"learning_rate": 0.05}
    params = {"optimizer": SGD, "optimizer__momentum": 0.9}
    callbacks = [Watch, LRScheduler(ExponentialLR, gamma=0.9)]
    fitted = Autoencoder(k, **few, net_params=params, callbacks=callbacks, early_stopping=False).fit(rows_of(2100))
    assert [n for n, *_ in seen.seen][::12] == [2, 1]
    np.testing.assert_allclose(fitted.net_.history[:, "event_lr"][-1], 0.005 * 0.9**12)
    assert fitted.validation_loss_curve_[-1] < fitted.validation_loss_curve_[2]


def test_diverged_epoch_is_rolled_back_after_selection(seen):
    diverging = Autoencoder(1, **FEW | {"learning_rate": 3.0}, callbacks=[Watch], early_stopping=False)
    with pytest.warns(match="Training diverged in"):
        fitted = diverging.fit(closed_curve(2100))
    assert seen.seen[-1][0] == 1
    assert np.isfinite(fitted.reconstruct(closed_curve(10))).all()


class InterruptedFitError(Exception):
    """An interruption of a fit."""


class Interrupts(Callback):
    """Interrupts a fit after a number of epochs."""

    after = None

    def on_epoch_begin(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        if len(net.history) == Interrupts.after:
            raise InterruptedFitError


def assert_resumes(estimator, X, after, folder, monkeypatch):
    whole = clone(estimator).fit(X)
    broken = clone(estimator).set_params(callbacks=[Interrupts, Checkpoint(folder)])
    monkeypatch.setattr(Interrupts, "after", after)
    with pytest.raises(InterruptedFitError):
        broken.fit(X)
    monkeypatch.setattr(Interrupts, "after", None)
    for _ in range(2):  # resumes the fit, then loads its result
        broken.fit(X)
        np.testing.assert_array_equal(broken.transform(X), whole.transform(X))
        assert broken.loss_curve_ == whole.loss_curve_
        assert broken.validation_loss_curve_ == whole.validation_loss_curve_
        assert broken.best_epoch_ == whole.best_epoch_
    return whole


@pytest.mark.parametrize("after", [1, 3, 5])
@pytest.mark.parametrize("winner", SETS)
def test_resumed_fit_continues_with_the_selected_network(winner, after, tmp_path, monkeypatch):
    rows_of, k = SETS[winner]
    assert_resumes(Autoencoder(k, **FEW), rows_of(2100), after, tmp_path, monkeypatch)


def test_excess_loss_compares_network_of_all_samples_with_folds():
    best = BestEpoch({RANDOM_INIT: None, "": None}, {}, None, None, 0.0)
    labels = (f"_fold0{RANDOM_INIT}", "_fold0", f"_fold1{RANDOM_INIT}", "_fold1", RANDOM_INIT, "")
    net = SimpleNamespace(labels=labels, train_losses_=np.array([0.3, 0.1, 0.3, 0.3, 0.5, 4.0]))
    assert best.excess_losses(net) == {RANDOM_INIT: 0.0, "": pytest.approx(4.0 - 2 * 0.2)}
    one = SimpleNamespace(labels=(RANDOM_INIT, ""), train_losses_=np.array([0.3, 4.0]))
    assert best.excess_losses(one) == {RANDOM_INIT: 0.0, "": 0.0}  # the validated network is the one that is returned


# A second cycle ------------------------------------------------------------------------------------------------------


def moons(n):
    """Return samples of two half circles, (n, 4), on which training takes many epochs."""
    rng = np.random.default_rng(0)
    second, angle = rng.integers(2, size=n), np.pi * rng.uniform(size=n)
    x, y = second + (1 - 2 * second) * np.cos(angle), second / 2 + (1 - 2 * second) * np.sin(angle)
    return np.column_stack([x, y, *0.01 * rng.normal(size=(2, n))])


def helix(n):
    """Return samples of a helix of three turns, (n, 3), on which training takes still more."""
    rng = np.random.default_rng(4)
    t = 3 * rng.uniform(size=n)
    return np.column_stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t), t]) + 0.02 * rng.normal(size=(n, 3))


def test_second_cycle_follows_if_loss_still_decreases():
    X, new = np.split(helix(3300), [300])
    fixed, auto = (Autoencoder(1, max_iter=n, random_state=0).fit(X) for n in (60, "auto"))
    assert auto.n_iter_ > 100
    assert auto.loss_curve_[:60] == fixed.loss_curve_
    assert 1 - auto.score(new) < 0.7 * (1 - fixed.score(new))


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (load_iris().data, {"n_components": 2, "n_iter_no_change": 1000}),  # no improvement
        (helix(300), {"n_components": 1, "early_stopping": False}),
        # a schedule of the user
        (helix(300), {"n_components": 1, "callbacks": [LRScheduler(ExponentialLR, gamma=1.0)]}),
        (helix(300), {"n_components": 1, "loss": "poisson"}),  # a loss whose zero has no meaning
    ],
)
def test_no_second_cycle(X, params):
    X = X - X.min(axis=0)
    few = _defaults.auto_max_iter(len(X), 64, is_narrow=True)
    assert Autoencoder(random_state=0, **params).fit(X).n_iter_ <= few


@pytest.mark.parametrize("after", [5, 6, 9])
def test_resumed_fit_continues_its_cycle(after, tmp_path, monkeypatch):
    for name in ("ROWS_SHOWN", "EPOCHS_OF_NARROW", "MIN_EPOCHS"):
        monkeypatch.setattr(_defaults, name, 6)
    whole = assert_resumes(Autoencoder(1, random_state=0), moons(300), after, tmp_path, monkeypatch)
    assert whole.n_iter_ == 24
