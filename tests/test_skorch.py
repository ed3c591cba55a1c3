"""The skorch net that trains: callbacks, optimizers and the history work as skorch users expect."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
)
from skorch.callbacks import Checkpoint as BestWeights
from skorch.exceptions import SkorchException

from skae import Autoencoder, DenoisingAutoencoder, StackedAutoencoder
from skae.callbacks import Checkpoint

SMALL = Autoencoder(3, hidden_layer_sizes=16, max_iter=3, early_stopping=False, random_state=0)
EVENTS = ("train_begin", "epoch_begin", "batch_begin", "grad_computed", "batch_end", "epoch_end", "train_end")
SEEN = []  # recorded by callbacks, which each fit copies


@pytest.fixture(autouse=True)
def _clear_seen():
    SEEN.clear()


class Recorder(Callback):
    """Records the events, in order, and their arguments."""

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda net, *_, **kwargs: SEEN.append((name.removeprefix("on_"), net, net.module_, kwargs))
        return super().__getattribute__(name)


def events():
    return [event for event, *_ in SEEN]


def large(digits):
    """Return enough samples for a single validation set."""
    return np.tile(digits, (9, 1))[:2100]


# Training -------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:callbacks=.* have no effect")
def test_net_that_was_trained_is_kept(small, digits):
    fitted = small.set_params(callbacks=[Recorder]).fit(digits)
    if not SEEN:  # computed in closed form
        assert fitted.hidden_layer_sizes == ()
        return
    assert SEEN[-1][1] is fitted.net_
    assert SEEN[-1][2] is fitted.net_.module_
    first = next(i for i, (event, *_) in enumerate(SEEN) if event == "train_begin" and SEEN[i][1] is fitted.net_)
    assert SEEN[first][2] is fitted.net_.module_
    np.testing.assert_allclose(fitted.net_.predict(digits.astype(np.float32)), fitted.reconstruct(digits), atol=1e-3)


@pytest.mark.parametrize("get_samples", [lambda X: X, large], ids=["folds", "one validation set"])
def test_callback_events_have_the_order_of_skorch(digits, get_samples):
    X = get_samples(digits)
    fitted = clone(SMALL).set_params(callbacks=[("mine", Recorder())]).fit(X)
    found = events()
    assert set(found) == set(EVENTS)
    assert found[0] == "train_begin"
    assert found[-1] == "train_end"
    assert found.count("epoch_begin") == found.count("epoch_end") == 3
    assert found.count("batch_begin") == found.count("batch_end")
    batches = [(event, kwargs["training"]) for event, _, _, kwargs in SEEN if event.startswith("batch")]
    assert batches[:2] == [("batch_begin", True), ("batch_end", True)]
    assert batches[-2:] == [("batch_begin", False), ("batch_end", False)]
    for event, _, _, kwargs in SEEN:
        if event == "batch_end":
            shown, clean = kwargs["batch"]
            assert shown.shape == clean.shape == kwargs["y_pred"].shape
            assert shown.shape[1] == 64
            assert kwargs["loss"].ndim == 0
        if event == "grad_computed":
            names, weights = zip(*kwargs["named_parameters"], strict=True)
            shapes = {name: weight.shape for name, weight in fitted.net_.module_.named_parameters()}
            assert {name: weight.shape for name, weight in zip(names, weights, strict=True)} == shapes
    trained = [kwargs["batch"][0] for event, _, _, kwargs in SEEN if event == "batch_end" and kwargs["training"]]
    n_trained = len(X) if len(X) < 2000 else round(len(X) - fitted.validation_["n_validation"])
    every = torch.cat(trained)[:n_trained].numpy()
    assert len(np.unique(every.round(3), axis=0)) <= len(np.unique(X, axis=0))
    if len(X) < 2000:
        np.testing.assert_allclose(np.sort(every, axis=0), np.sort(X, axis=0), atol=1e-3)  # in the units of the data


def test_batch_history_is_empty_without_batch_callbacks(digits):
    fitted = clone(SMALL).set_params(callbacks=[EarlyStopping(patience=99)]).fit(digits)
    assert fitted.net_.history[-1]["batches"] == [{}]  # skorch's Checkpoint reads it


def test_history_contains_numbers_only(digits):
    fitted = clone(SMALL).fit(digits)
    history = fitted.net_.history
    n_folds = fitted.validation_["n_folds"]
    assert n_folds > 1
    of_folds = [f"{part}_loss_fold{i}" for i in range(n_folds) for part in ("train", "valid")]
    for name in ("train_loss", "valid_loss", *of_folds):
        assert [type(value) for value in history[:, name]] == [float] * 3
    assert fitted.loss_curve_ == history[:, "train_loss"]
    assert fitted.validation_loss_curve_ == history[:, "valid_loss"]
    folds = np.array([history[:, f"valid_loss_fold{i}"] for i in range(n_folds)])
    np.testing.assert_allclose(folds.mean(axis=0), history[:, "valid_loss"], rtol=1e-6)  # the folds have equal sizes


def test_valid_loss_is_mean_over_all_validation_samples(digits):
    lengths = [20, 60, 100]
    starts = np.cumsum([0, *lengths])
    every = np.arange(len(digits))
    folds = [(np.delete(every, np.s_[a:b]), every[a:b]) for a, b in itertools.pairwise(starts)]
    history = clone(SMALL).set_params(cv=folds).fit(digits).net_.history
    each = np.array([history[:, f"valid_loss_fold{i}"] for i in range(3)])
    np.testing.assert_allclose(np.average(each, axis=0, weights=lengths), history[:, "valid_loss"], rtol=1e-6)


def test_training_loss_is_that_of_returned_network(digits):
    fitted = clone(SMALL).set_params(max_iter=30).fit(digits)
    assert fitted.best_epoch_ == 30
    module, x = fitted.net_.module_, torch.tensor(digits, dtype=torch.float32)
    with torch.no_grad():
        now = module.losses(module.scaler(x))["reconstruction"].mean().item()
    assert fitted.loss_curve_[-1] == pytest.approx(now, rel=0.03)  # the learning rate of the last steps is near zero
    assert fitted.loss_curve_[-1] != fitted.net_.history[-1, "train_loss_fold0"]


@pytest.mark.slow
def test_grid_search_preserves_callbacks(digits):
    grid = {"callbacks": [None, [EarlyStopping(patience=1)], [LRScheduler("StepLR", step_size=1)]]}
    grid |= {"net_params": [None, {"optimizer": torch.optim.RAdam, "optimizer__betas": (0.9, 0.99)}]}
    search = GridSearchCV(clone(SMALL), grid, cv=2, n_jobs=2).fit(digits)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) > 3


def test_pickle_and_clone_preserve_callbacks(digits):
    fitted = clone(SMALL).set_params(callbacks=[("mine", EarlyStopping())]).fit(digits)
    again = pickle.loads(pickle.dumps(fitted))
    assert type(dict(again.net_.callbacks_)["mine"]) is type(dict(fitted.net_.callbacks_)["mine"]) is EarlyStopping
    np.testing.assert_array_equal(again.transform(digits), fitted.transform(digits))
    assert again.net_.history[:, "train_loss"] == fitted.net_.history[:, "train_loss"]
    np.testing.assert_array_equal(copy.deepcopy(fitted.net_).predict(digits), fitted.net_.predict(digits))
    assert clone(fitted).set_params(callbacks=None).fit(digits).net_.callbacks is None


class Counting(Callback):
    """Counts epochs in an attribute."""

    def initialize(self):
        self.n_ = getattr(self, "n_", 0)
        return self

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002
        self.n_ += 1


def test_refits_are_equal(digits):
    mine = Counting()
    estimator = clone(SMALL).set_params(callbacks=[mine, EarlyStopping(monitor="train_loss", patience=2)])
    first, second = estimator.fit(digits).transform(digits), estimator.fit(digits).transform(digits)
    np.testing.assert_array_equal(first, second)
    assert not hasattr(mine, "n_")
    assert dict(estimator.net_.callbacks_)["Counting"].n_ == 3


# Effects of callbacks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", ["train_loss", "valid_loss"])
def test_early_stopping(digits, monitor):
    stops = EarlyStopping(monitor=monitor, patience=2, threshold=0.5)
    fitted = clone(SMALL).set_params(max_iter=20, callbacks=[stops]).fit(digits)
    assert fitted.n_iter_ == 3
    assert fitted.score(digits) > 0


class Interrupt(Callback):
    """Raises KeyboardInterrupt at an event, by an exception or a signal."""

    def __init__(self, event, how):
        self.event, self.how = event, how

    def initialize(self):
        setattr(self, f"on_{self.event}", self.stop)
        return self

    def stop(self, net, *args, **kwargs):  # noqa: ARG002
        if self.event != "train_begin" and len(net.history) < 2:
            return
        if self.how == "signal":
            import signal

            signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt


@pytest.mark.parametrize("event", ["epoch_begin", "batch_begin", "grad_computed", "batch_end", "epoch_end"])
def test_callback_may_stop_training_and_ctrl_c_is_raised(digits, event):
    fitted = clone(SMALL).set_params(callbacks=[Interrupt(event, "code")]).fit(digits)
    assert fitted.n_iter_ == (2 if event == "epoch_end" else 1)
    assert np.isfinite(fitted.transform(digits)).all()
    estimator = clone(SMALL).set_params(callbacks=[Interrupt(event, "signal")])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(digits)
    assert not estimator.__sklearn_is_fitted__()


class Rates(Callback):
    """Records the learning rate of each step."""

    def on_grad_computed(self, net, **kwargs):  # noqa: ARG002
        SEEN.append(net.optimizer_.param_groups[-1]["lr"])


@pytest.mark.parametrize("every", ["epoch", "batch"])
def test_user_schedule_replaces_default(digits, every):
    X = large(digits)
    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5, step_every=every)
    fitted = clone(SMALL).set_params(callbacks=[schedule, Rates], learning_rate=0.01).fit(X)
    rates, of_restart = np.reshape(SEEN, (-1, 2)).T
    np.testing.assert_array_equal(rates, of_restart)
    if every == "batch":
        np.testing.assert_allclose(rates, 0.01 * 0.5 ** np.arange(len(rates)))
    else:
        np.testing.assert_allclose(rates.reshape(3, -1), 0.01 * 0.5 ** np.arange(3)[:, None] * np.ones(len(rates) // 3))
        assert fitted.net_.history[:, "event_lr"] == [0.001, 0.0005, 0.00025]  # those of the linear weights


def test_named_callback_replaces_default(digits):
    clone(SMALL).set_params(callbacks=[("learning_rate_schedule", Rates())], learning_rate=0.003).fit(large(digits))
    assert set(SEEN) == {0.003}


class Norms(Callback):
    """Records the norm of the gradient of each network."""

    def on_grad_computed(self, net, named_parameters, **kwargs):  # noqa: ARG002
        squares = [weight.grad.square().sum().item() for _, weight in named_parameters if weight.grad is not None]
        SEEN.append(np.sqrt(sum(squares)))


@pytest.mark.parametrize(("value", "least"), [(None, 2.0), (0.1, 0.0)])
def test_user_clipping_replaces_default_for_each_network(digits, value, least):
    clip = GradientNormClipping(value)
    clone(SMALL).set_params(callbacks=[clip, ("norms", Norms())], learning_rate=0.05, scale="standard").fit(digits)
    assert max(SEEN) > least
    assert value is None or max(SEEN) <= value * 1.001


class Normalized(torch.optim.Optimizer):
    """Steps along the gradient of all weights together, divided by its length: not elementwise."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        every = [weight for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        length = torch.stack([weight.grad.norm() for weight in every]).norm()
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.sub_(group["lr"] * weight.grad / length)
        return loss


@pytest.mark.parametrize(
    "parameters",
    [
        {"callbacks": [GradientNormClipping(0.5)]},
        {"callbacks": [GradientNormClipping(0.5), LRScheduler("StepLR", step_size=1, gamma=0.5)]},
        {"net_params": {"optimizer": Normalized}},
        {"net_params": {"optimizer": torch.optim.LBFGS, "optimizer__max_iter": 2}, "learning_rate": 0.01},
    ],
    ids=["clipping", "clipping and schedule", "normalized", "LBFGS"],
)
@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder])
def test_network_trained_with_folds_equals_one_trained_alone(kind, parameters, digits):
    estimator = kind(3, hidden_layer_sizes=16, max_iter=2, early_stopping=False, random_state=0, **parameters)
    folds, alone = clone(estimator).fit(digits), clone(estimator).fit(digits, X_val=digits)
    assert folds.validation_["n_folds"] > 1
    assert folds.loss_curve_ == alone.loss_curve_
    assert len(folds.loss_curve_) == 2
    if folds.best_epoch_ == alone.best_epoch_:  # selected on few validation samples
        np.testing.assert_array_equal(folds.transform(digits), alone.transform(digits))


def test_elementwise_optimizers_train_folds_together(digits):
    fitted = clone(SMALL).set_params(net_params={"optimizer": torch.optim.RAdam}, callbacks=[Recorder]).fit(digits)
    assert type(fitted.net_.optimizer_) is torch.optim.RAdam


def test_epoch_scoring_uses_returned_network(digits):
    def r2(net, X, y):
        predicted = net.predict(X)
        assert predicted.shape == y.shape
        SEEN.append((net, predicted))
        return r2_score(y, predicted, multioutput="variance_weighted")

    scores = [
        EpochScoring(
            r2, name=f"{part}_r2_{caching}", lower_is_better=False, on_train=part == "train", use_caching=caching
        )
        for part in ("train", "valid")
        for caching in (True, False)
    ]
    for X in (digits, large(digits)):
        fitted = clone(SMALL).set_params(callbacks=scores, max_iter=12).fit(X)
        history = fitted.net_.history
        assert fitted.best_epoch_ == 12
        assert {id(net) for net, _ in SEEN} >= {id(fitted.net_)}
        for part in ("train", "valid"):
            assert history[-1, f"{part}_r2_True"] == pytest.approx(history[-1, f"{part}_r2_False"], abs=1e-3)
            if fitted.validation_["n_folds"] > 1:  # the returned network was trained on all of them
                assert history[-1, f"{part}_r2_False"] == pytest.approx(fitted.score(X), abs=1e-4)


def test_logging_callbacks(digits, tmp_path, capsys):
    best, end = BestWeights(dirname=tmp_path / "best"), TrainEndCheckpoint(dirname=tmp_path / "end")
    fitted = clone(SMALL).set_params(callbacks=[PrintLog(), ProgressBar(), best, end]).fit(digits)
    shown = capsys.readouterr()
    assert "valid_loss" in shown.out
    assert "it/s" in shown.err
    assert (tmp_path / "best" / "params.pt").exists()
    other = clone(SMALL).fit(digits).net_
    other.load_params(tmp_path / "end" / "train_end_params.pt")
    np.testing.assert_allclose(other.predict(digits), fitted.net_.predict(digits), rtol=1e-3, atol=1e-3)


def test_skorch_checkpoint(digits, tmp_path):
    clone(SMALL).set_params(callbacks=[BestWeights(dirname=tmp_path)]).fit(digits)
    assert (tmp_path / "params.pt").exists()


def test_selection_of_the_epoch_cannot_be_replaced(digits):
    worst = EarlyStopping(monitor="train_loss", lower_is_better=False, patience=50, load_best=True)
    estimator = clone(SMALL).set_params(max_iter=12)
    expected = estimator.fit(digits).transform(digits)
    np.testing.assert_array_equal(estimator.set_params(callbacks=[worst]).fit(digits).transform(digits), expected)


@pytest.mark.parametrize("get_samples", [lambda X: X, large], ids=["folds", "one validation set"])
def test_frozen_weights_do_not_change(digits, get_samples):
    clone(SMALL).set_params(callbacks=[Freezer("encoder.*"), Weights]).fit(get_samples(digits))
    first, last = SEEN
    assert len(first) == (1 + 1 if len(get_samples(digits)) > 2000 else 6 + 6)  # with random restarts
    for before, after in zip(first, last, strict=True):
        for name, weight in before.items():
            assert torch.equal(weight, after[name]) == name.startswith("encoder."), name


class Weights(Callback):
    """Copies the weights of all networks that train, at the beginning and at the end."""

    def on_train_begin(self, net, **kwargs):  # noqa: ARG002
        SEEN.append([{name: w.detach().clone() for name, w in each.items()} for each in net.ensemble_.weights])

    def on_train_end(self, net, **kwargs):  # noqa: ARG002
        self.on_train_begin(net)


def test_checkpoint_callback_runs_last(digits, tmp_path):
    class InterruptedFitError(Exception):
        pass

    class Breaking(Callback):
        def on_epoch_begin(self, net, **kwargs):  # noqa: ARG002
            if len(net.history) == 3 and not SEEN:
                SEEN.append("interrupted")
                raise InterruptedFitError

    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5)
    whole = clone(SMALL).set_params(callbacks=[schedule]).fit(digits)
    broken = clone(SMALL).set_params(callbacks=[Checkpoint(tmp_path), schedule, Breaking])
    with pytest.raises(InterruptedFitError):
        broken.fit(digits)
    resumed = broken.fit(digits)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert resumed.net_.history[:, "event_lr"] == whole.net_.history[:, "event_lr"]
    np.testing.assert_array_equal(resumed.transform(digits), whole.transform(digits))


def test_layers_are_trained_with_callbacks_of_stack(digits):
    stack = StackedAutoencoder((8, 3), activation="tanh", max_iter=2, random_state=0)
    stack.set_params(net_params={"optimizer": torch.optim.RAdam}, callbacks=[Rates]).fit(digits)
    assert type(stack.layers_[0].net_params["optimizer"]) is type
    assert SEEN


def test_partial_fit_uses_callbacks(digits):
    clone(SMALL).set_params(callbacks=[Recorder]).partial_fit(digits).partial_fit(digits)
    assert events().count("train_begin") == events().count("train_end") == 2


# Parameters of the net ------------------------------------------------------------------------------------------------


def test_net_params_reach_the_net(digits):
    params = {"optimizer": torch.optim.RAdam, "optimizer__betas": (0.8, 0.9)}
    fitted = clone(SMALL).set_params(net_params=params).fit(digits)
    assert type(fitted.net_.optimizer_) is torch.optim.RAdam
    assert fitted.net_.optimizer_.param_groups[0]["betas"] == (0.8, 0.9)
    assert fitted.score(digits) != clone(SMALL).fit(digits).score(digits)
    again = pickle.loads(pickle.dumps(fitted)).net_
    assert type(again.optimizer_) is torch.optim.RAdam


@pytest.mark.parametrize("hidden_layer_sizes", [16, ()])
def test_unknown_net_params_raise_before_training(digits, hidden_layer_sizes):
    estimator = clone(SMALL).set_params(hidden_layer_sizes=hidden_layer_sizes)
    if hidden_layer_sizes:
        estimator.set_params(callbacks=[Recorder])
    with pytest.raises((TypeError, ValueError), match="optim"):
        clone(estimator).set_params(net_params={"optim": torch.optim.SGD}).fit(digits)
    with pytest.raises(TypeError, match="beta"):
        clone(estimator).set_params(net_params={"optimizer__beta": 1}).fit(digits)
    for name, ours in {"lr": "learning_rate", "max_epochs": "max_iter", "module": "hidden_layer_sizes"}.items():
        with pytest.raises(ValueError, match=rf"net_params\['{name}'\] is set by {ours}"):
            clone(estimator).set_params(net_params={name: 1}).fit(digits)
    assert not SEEN


@pytest.mark.parametrize("callbacks", [[1], [("a", 1)], ["EarlyStopping"], [torch.nn.Linear]])
def test_invalid_callbacks_raise(digits, callbacks):
    with pytest.raises(TypeError, match="must contain skorch callbacks"):
        clone(SMALL).set_params(callbacks=callbacks).fit(digits)


@pytest.mark.parametrize(
    ("callback", "error"),
    [
        (EarlyStopping(), KeyError),
        (BestWeights(), SkorchException),
        (LRScheduler("ReduceLROnPlateau", monitor="valid_loss"), ValueError),
    ],
    ids=["EarlyStopping", "Checkpoint", "LRScheduler"],
)
def test_callbacks_that_monitor_validation_loss_need_validation_set(digits, callback, error):
    estimator = Autoencoder(3, hidden_layer_sizes=16, max_iter=3, init="random", random_state=0)
    few = digits[:12]
    assert estimator.fit(few).validation_["strategy"] is None
    with pytest.raises(error, match="could not be found in history"):
        clone(estimator).set_params(callbacks=[callback, Recorder]).fit(few)
    assert "epoch_begin" not in events()


# Without training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hidden_layer_sizes", "n"), [((), 240), (16, 12)], ids=["closed form", "too few"])
def test_net_exists_without_training(digits, hidden_layer_sizes, n):
    estimator = clone(SMALL).set_params(hidden_layer_sizes=hidden_layer_sizes, callbacks=[Recorder])
    if hidden_layer_sizes == ():
        with pytest.warns(UserWarning, match="closed form") as caught:
            estimator.fit(digits[:n])
        assert len(caught) == 1
    else:
        estimator.fit(digits[:n])
    assert not SEEN
    assert len(estimator.net_.history) == 0
    np.testing.assert_allclose(estimator.net_.predict(digits), estimator.reconstruct(digits), atol=1e-3)
    assert pickle.loads(pickle.dumps(estimator.net_)).predict(digits).shape == digits.shape


def test_all_events_fire_even_if_the_initialization_is_selected():
    noise = np.random.RandomState(0).randn(100, 8)
    fitted = clone(SMALL).set_params(callbacks=[Recorder]).fit(noise)
    assert fitted.best_epoch_ == 0
    assert set(events()) == set(EVENTS)
    assert len(fitted.net_.history) == 3
    np.testing.assert_allclose(fitted.net_.predict(noise), fitted.reconstruct(noise), atol=1e-4)


# After the fit --------------------------------------------------------------------------------------------------------


def test_net_can_be_trained_further(digits):
    net = clone(SMALL).fit(digits).net_
    before = net.get_loss(net.forward(digits), torch.tensor(digits)).item()
    net.set_params(max_epochs=20)
    net.partial_fit(digits)
    assert len(net.history) == 23
    assert net.get_loss(net.forward(digits), torch.tensor(digits)).item() < before
    assert isinstance(clone(net), type(net))
    net.set_params(callbacks=[], optimizer__lr=0.001)


@pytest.mark.parametrize("schedule", [None, LRScheduler("StepLR", step_size=1)], ids=["default", "user"])
def test_further_training_uses_its_own_learning_rates(digits, schedule):
    callbacks = [schedule, Rates] if schedule else [Rates]
    net = clone(SMALL).set_params(callbacks=callbacks, learning_rate=0.01).fit(digits).net_
    SEEN.clear()
    net.partial_fit(digits)
    once = max(SEEN)
    net.partial_fit(digits)
    if schedule is None:
        assert max(SEEN) == once == pytest.approx(0.01, rel=0.05)


def test_saved_file_contains_current_callbacks(digits, tmp_path):
    fitted = clone(SMALL).set_params(callbacks=[EarlyStopping(sink=len)]).fit(digits)
    with pytest.raises(TypeError, match="len"):
        fitted.save(tmp_path / "file")
    fitted.set_params(callbacks=None).save(tmp_path / "file")
    np.testing.assert_array_equal(Autoencoder.load(tmp_path / "file").transform(digits), fitted.transform(digits))
