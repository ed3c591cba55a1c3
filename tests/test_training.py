"""The net, its batches and the selection of the epoch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import LRScheduler

from skae import Autoencoder, SparseAutoencoder, StackedAutoencoder, VariationalAutoencoder
from skae._defaults import auto_batch_size, auto_hidden_layer_sizes, auto_learning_rate, auto_max_iter
from skae._seeds import isolated_rng
from skae._training import data
from skae._training.callbacks import COOLING, BestEpoch, OneCycle
from skae._training.data import BatchLoader, IndexedDataset
from skae._training.labels import RANDOM_INIT
from skae._training.net import AutoencoderNet
from skae._training.selection import lower_confidence_bound, significant_improvement
from skae._validation import Validation
from skae.architectures import Convolutional, Recurrent
from skae.nn import AutoencoderModule

# Batches -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [1, 5, 64, 100, 129])
@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_cover_every_sample_once(n_samples, shuffled):
    rows = torch.arange(n_samples)[:, None]
    generators = [torch.Generator().manual_seed(0)] if shuffled else None
    batches = BatchLoader(IndexedDataset(rows, [np.arange(n_samples)]), 32, generators)
    first, second = ([batch[0] for batch, _ in batches] for _ in range(2))
    assert len(first) == BatchLoader.count(n_samples, 32)
    assert max(map(len, first)) - min(map(len, first)) <= 1
    assert sorted(torch.cat(first).flatten().tolist()) == list(range(n_samples))
    if shuffled and n_samples > 5:
        assert not torch.equal(torch.cat(first), torch.cat(second))
    if not shuffled:
        assert torch.equal(torch.cat(first), rows)


@pytest.mark.parametrize("gathered", [1, 200, 10**6])
@pytest.mark.parametrize("n_networks", [1, 3])
def test_batches_do_not_depend_on_how_many_are_gathered_together(n_networks, gathered, monkeypatch):
    monkeypatch.setattr(data, "GATHERED", gathered)
    rows = torch.arange(300).reshape(100, 3)
    indices = [np.arange(i, 100) for i in range(n_networks)]
    dataset = IndexedDataset(rows, indices)
    batches = list(BatchLoader(dataset, 32))
    assert all(batch.is_contiguous() and target is None for batch, target in batches)
    expected = torch.stack([rows[torch.from_numpy(np.resize(index, len(dataset)))] for index in indices])
    assert torch.equal(torch.cat([batch for batch, _ in batches], dim=1), expected)


def test_isolated_rng_seeds_and_restores():
    import random

    draw = lambda: (torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random())  # noqa: E731, NPY002
    with isolated_rng(3):
        inside = draw()
    before = torch.get_rng_state()
    with isolated_rng(3):
        assert draw() == inside
    assert torch.equal(torch.get_rng_state(), before)


# Defaults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [20, 100, 500, 1_000, 5_000, 20_000, 100_000, 1_000_000])
def test_default_number_of_steps_is_reasonable(n_samples):
    batch_size = auto_batch_size(n_samples)
    epochs = auto_max_iter(n_samples, batch_size)
    steps = epochs * BatchLoader.count(n_samples, batch_size)
    assert 9 <= epochs <= 200
    assert 170 <= steps <= 400 + 9 * n_samples / 256


def test_default_hidden_layer_sizes():
    assert auto_hidden_layer_sizes(1000, 4) == auto_hidden_layer_sizes(50, 784) == (64, 32)
    assert auto_hidden_layer_sizes(1000, 64) == (256, 128)
    assert auto_hidden_layer_sizes(5000, 784) == (512, 256)
    widths = [
        auto_hidden_layer_sizes(n_samples, 3, is_plain=True)[0] for n_samples in (300, 1535, 1536, 2047, 2048, 10**6)
    ]
    assert widths == [64, 64, 96, 96, 128, 128]
    assert auto_hidden_layer_sizes(10**6, 3) == (64, 32)
    assert auto_batch_size(5000, Convolutional()) == 64
    assert auto_batch_size(100, Convolutional()) == 64
    assert auto_max_iter(2500, 64, Convolutional()) == auto_max_iter(2500, 256) == 40
    assert auto_hidden_layer_sizes(5000, 784, Recurrent()) == (512, 256)
    assert auto_hidden_layer_sizes(5000, 784, Convolutional()) == (160,)


# Selection of the epoch ----------------------------------------------------------------------------------------------


def test_significant_improvement():
    start = np.array([[3.0], [4.0], [5.0], [6.0]])
    assert significant_improvement(start, start) == 0
    assert significant_improvement(start, start - 1) == 1  # the same improvement for each sample
    gain = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert 1.0 < 2 * gain.std(ddof=1) / 2 < 1.5  # two standard errors
    assert significant_improvement(start, start - gain) == 1.5
    assert significant_improvement(start, start - gain + 0.5) == -np.inf
    assert significant_improvement(start, start - gain, is_restart=True) == -np.inf  # three standard errors are needed
    assert significant_improvement(start, start - gain - 1, is_restart=True) == 2.5
    assert significant_improvement(start, np.full((4, 1), np.nan)) == -np.inf
    assert significant_improvement(start, np.full((4, 1), np.inf)) == -np.inf
    assert significant_improvement(start[:1], start[:1] - 1) < 0  # one sample is not evidence


def test_significance_does_not_depend_on_a_few_outlying_samples():
    start = np.full((200, 1), 1e4)
    gain = np.random.RandomState(0).normal(1, 1, (200, 1))
    for outlying in (1e3, -150):  # one sample has most of the variance
        gain[7] = outlying
        assert lower_confidence_bound(gain).max() < 0 < gain.mean()
        assert significant_improvement(start, start - gain) == pytest.approx(gain.mean())
    gain[7] = -1e3  # the mean loss increases
    assert significant_improvement(start, start - gain) == -np.inf
    noise = np.random.RandomState(0).standard_t(2, (200, 100, 1))
    accepted = [significant_improvement(start, start - each) > 0 for each in noise.transpose(1, 0, 2)]
    assert np.mean(accepted) < 0.06  # the probability of two standard errors is .023
    sparse = np.zeros((200, 1))
    sparse[:2, 0] = 1, -0.9  # the median is zero
    assert significant_improvement(start, start - sparse) == -np.inf
    few = slice(150)  # too few samples: outlying ones may be frequent
    assert significant_improvement(start[few], start[few] - np.r_[gain[8:157], [[-100]]]) == -np.inf


def test_network_is_selected_if_few_samples_have_most_of_the_variance():
    n_selected = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        t = rng.uniform(-2, 2, 400)
        curve = np.c_[t, t**2, np.sin(2 * t), np.cos(3 * t)]
        X = curve + 0.1 * np.exp(2 * rng.standard_normal((400, 1))) * rng.standard_normal((400, 4))
        n_selected += Autoencoder(1, random_state=0).fit(X / X.std(axis=0)).best_epoch_ > 0
    assert n_selected >= 5


def test_lower_confidence_bound_is_clustered():
    gain = np.random.RandomState(0).standard_normal((40, 2)) + 0.5
    alone, often = np.arange(40), np.repeat(np.arange(40), 6)
    once = lower_confidence_bound(gain, alone)
    assert lower_confidence_bound(gain[often], often) == pytest.approx(once)  # copies are not evidence
    assert (lower_confidence_bound(gain[often]) > once + 0.1).all()
    assert (once < lower_confidence_bound(gain)).all()  # Student's t
    assert once == pytest.approx(lower_confidence_bound(gain), abs=0.05)
    assert (lower_confidence_bound(gain[:6] + 9, np.zeros(6, int)) < 0).all()  # a single cluster


def test_significance_is_preferred_to_mean_improvement():
    start = np.full((10, 1), 5.0)
    # a larger mean improvement, but not in all samples
    lucky = start - np.array([[9.0, -3, 8, -4, 7, -2, 9, -3, 8, -4]]).T
    steady = start - 1.0
    assert lucky.mean() < steady.mean()
    assert significant_improvement(start, steady) > 0 > significant_improvement(start, lucky)


# The net -------------------------------------------------------------------------------------------------------------


def test_loss_curves_belong_to_one_training(digits):
    X = np.vstack([digits + noise for noise in np.random.RandomState(0).rand(9, *digits.shape)])[:2100]
    ours = Autoencoder(4, hidden_layer_sizes=16, max_iter=6, random_state=0).fit(X)
    history = ours.net_.history
    assert len(history) == ours.n_iter_ == 6
    assert ours.loss_curve_ == history[:, "train_loss"] == history[:, "train_reconstruction"]
    assert ours.validation_loss_curve_ == history[:, "valid_loss"]
    assert ours.best_epoch_ == 6


def test_learning_rate_decays_from_best_epoch_when_stopped_early(digits, monkeypatch):
    settings = {"n_components": 4, "hidden_layer_sizes": 16, "max_iter": 60, "learning_rate": 0.1, "random_state": 0}
    whole = Autoencoder(**settings, early_stopping=False).fit(digits)
    rates = _watch_rates(monkeypatch)
    short = Autoencoder(**settings, early_stopping=True, n_iter_no_change=2).fit(digits)
    hot = short.n_iter_ - COOLING
    assert hot + COOLING < whole.n_iter_ == 60
    assert short.loss_curve_[:hot] == whole.loss_curve_[:hot]
    highest = np.array(rates)[:, -1].reshape(short.n_iter_, -1)  # (n_epochs, n_steps)
    assert (np.diff(highest[hot:].ravel()) < 0).all()
    assert highest[-1, -1] < 0.1 * highest[hot - 1, -1]
    before, cooled = short.validation_loss_curve_[:hot], short.validation_loss_curve_[hot:]
    assert short.best_epoch_ > hot
    assert min(cooled) < min(before)


def test_final_decay_is_longer_near_a_surface(monkeypatch):
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 2100)
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    rates = _watch_rates(monkeypatch)
    fitted = Autoencoder(1, max_iter=60, n_iter_no_change=1, tol=0.01, random_state=0).fit(X)
    assert fitted.n_iter_ < 60
    highest = np.array(rates)[:, -1].reshape(fitted.n_iter_, -1)  # (n_epochs, n_steps)
    assert (np.diff(highest[-12:].ravel()) < 0).all()
    assert highest[-1, -1] < 0.1 * highest[-12, 0]


def test_learning_rate_of_user_schedule_does_not_decay(digits):
    settings = {"n_components": 4, "hidden_layer_sizes": 16, "max_iter": 60, "learning_rate": 0.1, "random_state": 0}
    schedule = LRScheduler("StepLR", step_size=60)
    whole = Autoencoder(**settings, callbacks=[schedule], early_stopping=False).fit(digits)
    short = Autoencoder(**settings, callbacks=[schedule], early_stopping=True, n_iter_no_change=2).fit(digits)
    assert short.n_iter_ < whole.n_iter_ == 60
    assert short.loss_curve_ == whole.loss_curve_[: short.n_iter_]


def test_patience_is_proportional_to_number_of_epochs():
    def patience(**params):
        estimator = Autoencoder(2, early_stopping=True, **params)
        return estimator._stopping(None, None, estimator.max_iter)["n_iter_no_change"]

    assert [patience(max_iter=n) for n in (5, 40, 100, 200, 400)] == [10, 10, 10, 20, 40]
    assert patience(max_iter=400, n_iter_no_change=3) == 12


def test_small_batches_do_not_reduce_number_of_epochs(digits, monkeypatch):
    monkeypatch.setattr(
        Autoencoder, "_fit", lambda self, X, *_: planned.append(self._new_settings(len(X), "cpu", 0, 2))
    )
    X, planned = np.tile(digits, (9, 1)), []
    for batch_size in ("auto", 32, 8):
        Autoencoder(2, batch_size=batch_size).fit(X)
    assert [settings["batch_size"] for settings in planned] == [256, 32, 8]
    assert len({settings["max_iter"] for settings in planned}) == 1


def test_too_small_max_iter_warns():
    t = np.random.RandomState(0).uniform(0, 4 * np.pi, (400, 1))
    X = np.hstack([np.cos(t), np.sin(t), 0.5 * t])
    with pytest.warns(
        ConvergenceWarning, match=r"max_iter=10 .* before the fit converged: .* fell from 0.\d+ to .* Set max_iter=20"
    ):
        short = Autoencoder(1, max_iter=10, random_state=0).fit(X)
    assert short.best_epoch_ == short.n_iter_ == 10
    Autoencoder(1, max_iter=10, random_state=0).fit(np.random.RandomState(0).randn(400, 4))  # noise
    Autoencoder(1, max_iter=7, random_state=0).fit(X)  # too few epochs for the warning


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:max_iter=40 ended before:sklearn.exceptions.ConvergenceWarning")  # from a layer
@pytest.mark.parametrize(
    ("estimator", "stops"),
    [(Autoencoder(4), True), (SparseAutoencoder(8, alpha=0.1), False), (StackedAutoencoder((8, 2)), False)],
)
def test_auto_early_stopping_requires_plain_reconstruction_objective(estimator, stops):
    noise = np.random.RandomState(0).randn(120, 8)  # no improvement is possible
    common = {"max_iter": 40, "n_iter_no_change": 2, "tol": 0.05, "random_state": 0}
    n_epochs = [
        clone(estimator).set_params(**common, early_stopping=value).fit(noise).n_iter_
        for value in ("auto", True, False)
    ]
    assert n_epochs[0] == (n_epochs[1] if stops else 40)
    assert n_epochs[1] < n_epochs[2] == 40


@pytest.mark.parametrize("n_steps", [1, 2, 5, 8, 9, 10, 11, 99])
def test_learning_rate_is_never_zero(n_steps):
    rates = [OneCycle().rate_at(step, n_steps) for step in range(n_steps)]
    assert 0 < min(rates) <= max(rates) <= 1
    assert max(rates) > 0.5


def _watch_rates(monkeypatch):
    """Return a list that records the learning rate of each parameter group at each step."""
    rates = []
    real = AutoencoderNet.train_step

    def watched(self, batch, **kwargs):
        terms = real(self, batch, **kwargs)
        rates.append([group["lr"] for group in self.optimizer_.param_groups])
        return terms

    monkeypatch.setattr(AutoencoderNet, "train_step", watched)
    return rates


@pytest.mark.parametrize(("architecture", "highest"), [(None, 0.01), (Convolutional((8, 8), (2,)), 0.003)], ids=str)
def test_auto_learning_rate_is_that_of_architecture(architecture, highest, digits, monkeypatch):
    rates = _watch_rates(monkeypatch)
    settings = {"hidden_layer_sizes": 8, "max_iter": 12, "batch_size": 32, "random_state": 0}
    Autoencoder(2, architecture=architecture, **settings).fit(digits[:100])
    assert np.max(rates) == pytest.approx(highest, rel=0.02)


@pytest.mark.parametrize(
    ("n_samples", "n_features", "rate"),
    [
        *((500, 64, 0.01), (500, 256, 0.005), (6000, 256, 0.006), (10_000, 784, 0.01)),
        *((1000, 784, 0.003), (2000, 2000, 0.003), (100, 784, 0.01)),
    ],
)
def test_few_wide_samples_have_lower_learning_rate(n_samples, n_features, rate):
    assert auto_learning_rate(None, n_samples, n_features) == pytest.approx(rate)
    assert auto_learning_rate(Convolutional(), n_samples, n_features) == 0.003


def test_auto_learning_rate_uses_size_of_principal_components(monkeypatch):
    rates, X = _watch_rates(monkeypatch), np.random.RandomState(0).randn(300, 255)
    settings = {"hidden_layer_sizes": 4, "max_iter": 12, "batch_size": 32, "random_state": 0}
    Autoencoder(2, **settings).fit(X)
    assert np.max(rates) == pytest.approx(0.005, rel=0.02)
    rates.clear()
    Autoencoder(2, learning_rate=0.01, **settings).fit(X)
    assert np.max(rates) == pytest.approx(0.01, rel=0.02)
    rates.clear()
    Autoencoder(2, **settings).fit(np.repeat(X[:, :64], 5, axis=1))  # of rank 64
    assert np.max(rates) > 0.0095


def test_learning_rate_follows_one_cycle(digits, monkeypatch):
    rates = _watch_rates(monkeypatch)
    X = np.tile(digits, (9, 1))[:2100]
    Autoencoder(4, hidden_layer_sizes=16, max_iter=20, learning_rate=0.01, random_state=0).fit(X)
    linear, others = np.array(rates).T
    assert others.max() == pytest.approx(0.01, rel=1e-3)
    assert others[0] < 0.001
    assert others[-1] < 0.001
    assert 0.05 < others.argmax() / len(others) < 0.15
    np.testing.assert_allclose(linear, others / 10)


def test_samples_have_equal_weight_in_recorded_loss(digits):
    ours = Autoencoder(4, hidden_layer_sizes=(), loss="huber", max_iter=1, learning_rate=1e-12, random_state=0)
    ours.set_params(validation_fraction=0.3).fit(np.tile(digits, (9, 1))[:2100])
    module = ours.net_.module_
    assert ours.validation_loss_curve_[0] == pytest.approx(ours.loss_curve_[0], rel=0.1)
    assert not module.training


@pytest.mark.parametrize(
    ("of_network", "of_restart", "stalls"),
    [
        ([1.0, 1.0, 1.0, 1.0], [25.0, 20.0, 15.0, 11.0], True),  # the restart is unlikely to improve on PCA
        ([1.0, 1.0, 1.0, 1.0], [25.0, 12.0, 10.5, 9.9], False),  # the restart may improve on PCA
        ([1.0, 0.9, 0.8, 0.7], [25.0, 20.0, 15.0, 11.0], False),  # training continues
        ([1.0, 1.0, 1.0, 1.0], [25.0, 2.0, 2.0, 2.0], True),
        ([1.0, 1.0, 1.0, 1.0], [25.0, 2.0, 1.9, 1.8], False),
        ([1.0, 1.0, 1.0, 11.0], [25.0, 2.0, 1.9, 1.8], False),  # divergence does not stop training
    ],
)
def test_early_stopping_ignores_hopeless_random_restart(of_network, of_restart, stalls, digits):
    squared, poisson = (
        Autoencoder(2, hidden_layer_sizes=8, max_iter=1, loss=loss, random_state=0).fit(digits[:40]).net_.module_
        for loss in ("squared_error", "poisson")
    )
    variational = VariationalAutoencoder(2, max_iter=1, random_state=0).fit(digits[:40]).net_.module_
    for module in (squared, poisson, variational):
        best = BestEpoch({RANDOM_INIT: module, "": module}, {}, None, 2, 1e-4)
        best.means, best.start = list(np.array([of_restart, of_network]).T), np.array(of_network[:1])
        is_even = of_restart[-1] == of_restart[-2]  # both have stalled
        # other losses have no lower bound at zero from which to extrapolate
        assert best.has_stalled is (stalls if module is squared else is_even)


@pytest.mark.parametrize(
    ("of_restart", "late", "cycle", "stalls"),
    [
        ([2.0, 1.3, 1.25, 1.2], 1.5, None, True),  # still a tenth above the best epoch of the network
        ([2.0, 1.3, 1.25, 1.2], 9.0, None, False),  # many epochs are left
        ([2.0, 1.3, 1.25, 1.2], 1.5, (40, 80), False),
        ([2.0, 1.2, 1.1, 0.95], 1.5, None, False),
    ],
)
def test_early_stopping_does_not_wait_for_a_late_random_restart(of_restart, late, cycle, stalls, digits):
    module = Autoencoder(2, hidden_layer_sizes=8, max_iter=1, random_state=0).fit(digits[:40]).net_.module_
    best = BestEpoch({RANDOM_INIT: module, "": module}, {}, None, 2, 1e-4, first_cycle=0)
    best.means, best.start = list(np.array([of_restart, [1.0, 0.9, 0.95, 0.95]]).T), np.ones(1)
    best.late, best.cycle = late, cycle
    if cycle:
        best.means = [best.means[0]] * 3 + best.means  # training warms up again in a second cycle
    assert best.has_stalled is stalls


@pytest.mark.parametrize(
    ("losses", "stalls"),
    [
        ([1.0, 0.1, 0.3, 0.29, 0.28, 0.27, 0.26], False),  # a lucky epoch, then the losses still decrease
        ([1.0, 0.1, 0.3, 0.29, 0.28, 0.29, 0.3], True),
        ([1.0, 0.4, 0.6, 0.59, 0.58, 0.57, 0.56], True),  # not near a surface
    ],
)
def test_lucky_epoch_near_a_surface_does_not_end_training(losses, stalls, digits):
    module = Autoencoder(2, hidden_layer_sizes=8, max_iter=1, random_state=0).fit(digits[:40]).net_.module_
    best = BestEpoch({"": module}, {}, None, 2, 1e-4)
    best.means, best.start = [np.array([loss]) for loss in losses], np.ones(1)
    assert best.has_stalled is stalls


def test_training_on_linear_data_stops_early():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(150, 2)) @ rng.normal(size=(2, 4)) + 0.01 * rng.normal(size=(150, 4))
    fitted = Autoencoder(2, random_state=0).fit(plane)
    assert fitted.best_epoch_ == 0
    assert fitted.n_iter_ < fitted.net_.max_epochs / 2


# Options -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [240, 2100])
def test_mixed_precision_applies_to_training_only(digits, n_samples, monkeypatch):
    X, dtypes = np.tile(digits, (9, 1))[:n_samples], []
    real = AutoencoderModule.penalty

    def watched(self, seen, encoding, code):
        dtypes.append((self.training, encoding.dtype))
        return real(self, seen, encoding, code)

    monkeypatch.setattr(AutoencoderModule, "penalty", watched)
    settings = {"n_components": 4, "hidden_layer_sizes": 16, "max_iter": 10, "random_state": 0}
    fitted = Autoencoder(mixed_precision=True, **settings).fit(X)
    assert set(dtypes) == {(True, torch.bfloat16), (False, torch.float32)}
    assert {weight.dtype for weight in fitted.net_.module_.parameters()} == {torch.float32}
    assert fitted.score(X) == pytest.approx(Autoencoder(**settings).fit(X).score(X), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [240, 2100])
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_compiled_training_equals_uncompiled(digits, n_samples, monkeypatch):
    X = np.tile(digits, (9, 1))[:n_samples]
    real, n_compiled = torch.compile, 0

    def without_a_compiler(function):
        nonlocal n_compiled
        n_compiled += 1
        return real(function, backend="eager")  # traced, but not compiled, since there may be no C++ compiler

    monkeypatch.setattr(torch, "compile", without_a_compiler)
    settings = {"n_components": 4, "hidden_layer_sizes": 16, "max_iter": 4, "random_state": 0}
    compiled = Autoencoder(net_params={"compile": True}, **settings).fit(X)
    assert n_compiled == 1
    np.testing.assert_allclose(compiled.transform(X), Autoencoder(**settings).fit(X).transform(X), atol=1e-3)


def test_failing_compilation_raises(digits, monkeypatch):
    def broken(function):  # noqa: ARG001
        def fails(*_):
            raise RuntimeError("No working C++ compiler found.\nand more")

        return fails

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(
        ValueError, match=r"'compile': True\} can't .*: No working C\+\+ compiler found\. Remove 'compile'\."
    ):
        Autoencoder(4, net_params={"compile": True}, max_iter=1).fit(digits)


def test_infinite_losses_do_not_warn():
    """Check that there is no warning if the networks of folds have diverged as well."""
    best = BestEpoch({"": None}, {}, Validation(), None, 0.0)
    for own, of_folds, wanted in ((np.inf, np.inf, 0.0), (1.0, np.inf, 0.0), (np.nan, 1.0, 0.0), (5.0, 1.0, 3.0)):
        net = SimpleNamespace(labels=("_fold0", "_fold1", ""), train_losses_=np.array([of_folds, of_folds, own]))
        assert best.excess_losses(net) == {"": wanted}
