"""Invalid parameters and data raise clear errors, and the estimator is left unchanged."""

import itertools
import re

import numpy as np
import pytest
import skorch
import torch
import unusual_inputs
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import MinMaxScaler
from unusual_inputs import KINDS, METHODS, TABLE, System, outcome

from skae import Autoencoder, VariationalAutoencoder
from skae._data.readers import stays_in_place
from skae._training.net import AutoencoderNet

BAD_PARAMETERS = [
    ({"n_components": -1}, "n_components"),
    ({"n_components": True}, "n_components=True must be an int"),
    ({"n_components": "all"}, "n_components"),
    ({"n_components": 2.5}, "n_components"),
    ({"n_components": 0.0}, "n_components"),
    ({"n_components": 1.0}, "n_components"),
    ({"n_components": float("nan")}, "n_components"),
    (
        {"n_components": 0.9, "loss": "huber"},
        r"n_components=0\.9 is a fraction of the variance, which needs loss='squared",
    ),
    ({"whiten": True, "code_activation": "tanh"}, "whiten=True needs code_activation='identity'"),
    ({"ordered": "yes"}, "ordered"),
    ({"warm_start": 1}, "warm_start"),
    ({"hidden_layer_sizes": 0}, "hidden_layer_sizes"),
    ({"hidden_layer_sizes": (16, 0)}, r"hidden_layer_sizes=\(16, 0\) must contain ints of 1 or more, got 0"),
    ({"hidden_layer_sizes": (16, -4)}, "hidden_layer_sizes"),
    ({"hidden_layer_sizes": (16.0,)}, "hidden_layer_sizes"),
    ({"hidden_layer_sizes": (True,)}, "hidden_layer_sizes"),
    ({"hidden_layer_sizes": ("16",)}, "hidden_layer_sizes"),
    ({"hidden_layer_sizes": "wide"}, "hidden_layer_sizes"),
    ({"activation": "swish"}, "activation"),
    ({"loss": "mse"}, "loss"),
    ({"scale": "minmax"}, "scale"),
    ({"max_iter": 0}, "max_iter"),
    ({"batch_size": 0}, "batch_size"),
    ({"learning_rate": 0}, "learning_rate"),
    ({"learning_rate": float("nan")}, "learning_rate"),
    ({"learning_rate": float("inf")}, "learning_rate"),
    ({"weight_decay": -1.0}, "weight_decay"),
    ({"validation_fraction": 0.0}, "validation_fraction"),
    ({"validation_fraction": 1.0}, "validation_fraction"),
    ({"validation_fraction": 1e-4}, r"validation_fraction=0.0001 of n_samples=240 gives 0 validation samples"),
    ({"validation_fraction": 0.999}, r"1 training samples"),
    ({"device": "cuda:99"}, r"device='cuda:99' can't be used on this machine"),
    ({"device": "toaster"}, "device='toaster'"),
    ({"device": "meta"}, "device='meta'"),
    ({"random_state": "lucky"}, "random_state"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD_PARAMETERS, ids=str)
def test_invalid_parameters_raise(digits, parameters, message):
    estimator = Autoencoder(4, hidden_layer_sizes=16, max_iter=2).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(digits)
    assert vars(estimator) == estimator.get_params()  # no attribute was set
    with pytest.raises(NotFittedError):
        estimator.transform(digits)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the test requires a machine without CUDA")
def test_cuda_raises_on_a_machine_without_cuda(digits):
    with pytest.raises(ValueError, match=r"device='cuda' can't be used on this machine.*device='cpu'"):
        Autoencoder(device="cuda").fit(digits)


ROWS = np.random.RandomState(0).rand(30, 3)

BAD_DATA = {
    "strings": (np.array([["a", "b"]] * 30), "could not convert string to float"),
    "one row": (ROWS[:1], r"minimum of 2 is required by \w*Autoencoder"),
    "no rows": (ROWS[:0], "Found array with 0 sample"),
    "no columns": (ROWS[:, :0], "0 feature"),
    "1-D": (ROWS[:, 0], "Expected 2D array, got 1D array instead"),
    "3-D": (ROWS.reshape(5, 6, 3), "dim 3"),
    "scalar": (3.0, "Expected 2D array"),
    "infinity": (np.where(ROWS > 0.9, np.inf, ROWS), "Input X contains infinity"),
    "complex": (ROWS + 1j, "Complex data not supported"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_fit_with_invalid_data_raises(kind, small):
    X, message = BAD_DATA[kind]
    with pytest.raises(ValueError, match=message):
        small.fit(X)
    assert repr(vars(small)) == repr(vars(clone(small)))


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "score_samples"])
@pytest.mark.parametrize("kind", [kind for kind in BAD_DATA if kind != "one row"])
def test_methods_of_fitted_estimators_raise_for_invalid_data(kind, method):
    fitted = Autoencoder(2, hidden_layer_sizes=()).fit(ROWS)
    X, message = BAD_DATA[kind]
    with pytest.raises(ValueError, match=message):
        getattr(fitted, method)(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "reconstruct"])
def test_error_for_text_names_tabular_autoencoder(method, small, digits):
    X = digits[:40].astype(object)
    X[3, 2] = "setosa"
    estimator = small.fit(digits) if method in ("transform", "reconstruct") else Autoencoder(2)
    with pytest.raises(ValueError, match=r"could not convert string to float: 'setosa'.*use TabularAutoencoder"):
        getattr(estimator, method)(X)


def test_wrong_number_of_features_raises(digits):
    fitted = Autoencoder(4, hidden_layer_sizes=()).fit(digits)
    with pytest.raises(ValueError, match="X has 63 features, but Autoencoder is expecting 64 features as input"):
        fitted.transform(digits[:, 1:])
    with pytest.raises(
        ValueError, match=r"X has 3 columns, but Autoencoder\.inverse_transform is expecting n_components_=4"
    ):
        fitted.inverse_transform(digits[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        fitted.inverse_transform(np.full((2, 4), np.nan))


def test_values_whose_squares_overflow_raise():
    with pytest.raises(ValueError, match="too large for float64"):
        Autoencoder().fit(ROWS * 1e200)


@pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning")  # not scaled
@pytest.mark.parametrize("scale", ["global", "standard", None])
@pytest.mark.parametrize("factor", [1e40, 1e-40])
def test_values_outside_the_range_of_float32_raise(scale, factor):
    estimator = Autoencoder(2, scale=scale, hidden_layer_sizes=4, max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=r"is outside the range of float32\. Multiply X by a constant\."):
        estimator.fit(ROWS * factor)
    nearly = ROWS * factor ** (0.75 if scale else 0.1)
    assert estimator.fit(nearly).score(nearly) > 0.5


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "poisson"])
def test_data_outside_the_range_of_a_likelihood_raise(loss):
    X = ROWS.copy()
    X[4, 1] = -0.25
    with pytest.raises(ValueError, match=r"column 1 contains -0\.25"):
        Autoencoder(loss=loss).fit(X)
    X[4, 1] = 3.0
    if loss == "binary_cross_entropy":
        with pytest.raises(ValueError, match=r"in \[0, 1\], but column 1 contains 3\.0"):
            Autoencoder(loss=loss).fit(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_errors_of_a_scaler_are_accepted(dtype):
    X = MinMaxScaler().fit_transform(load_breast_cancer().data.astype(dtype))
    assert X.max() > 1
    assert Autoencoder(2, loss="binary_cross_entropy", max_iter=1).fit(X).score(X) > 0


def test_methods_before_fit_raise(small, digits):
    for method in ("transform", "inverse_transform", "reconstruct", "score", "score_samples"):
        with pytest.raises(NotFittedError):
            getattr(small, method)(digits)
    assert not hasattr(small, "explained_variance_ratio_")


# Unusual tables of all kinds -----------------------------------------------------------------------------------------

NETWORK = Autoencoder(
    unusual_inputs.K,
    hidden_layer_sizes=8,
    max_iter=7,
    batch_size=12,
    learning_rate=0.08,
    validation_fraction=0.6,
    random_state=0,
)
SYSTEMS = {
    "linear": System(Autoencoder(unusual_inputs.K, hidden_layer_sizes=())),
    "network": System(NETWORK),
}


# scikit-learn and NumPy warn about frames after arrays and about np.matrix
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_unusual_tables_give_the_expected_result_or_error(kind):
    for name, method in itertools.product(SYSTEMS, METHODS):
        if (name, method) == ("network", "fit") and kind.rows["fit"] is TABLE and not stays_in_place(kind.make()):
            continue  # the table is converted to `TABLE`, which the linear estimator shows without training
        label, what = outcome(SYSTEMS[name], kind, method)
        details = name, method, label, what
        if method in kind.raises_in:
            assert label in ("ValueError", "TypeError"), details
            assert re.search(kind.message, what), details
        elif kind.beyond_float32 and (name, method) == ("network", "fit"):
            assert label == "ValueError", details
            assert "outside the range of float32" in what, details
        else:
            assert (label, what) == ("ok", ""), details


@pytest.mark.kernels
@pytest.mark.parametrize("seed", range(8))
def test_network_for_unusual_tables_improves_in_training(seed):
    # several seeds show that this doesn't depend on the seed or on rounding errors of the processor
    assert clone(NETWORK).set_params(random_state=seed).fit(TABLE).best_epoch_ > 0


def test_outcome_detects_faulty_estimators():
    """Check that `outcome` detects the errors of an estimator that doesn't validate its input."""

    class Reckless(Autoencoder):
        def fit(self, X, y=None):
            self.half_ = X
            return super().fit(np.asarray(X), y)

        def transform(self, X):
            codes = super().transform(np.asarray(X))
            return codes + 1 if np.asarray(X).dtype == np.float16 else codes / (np.abs(codes) < 1e100)

    reckless = System(Reckless(2, hidden_layer_sizes=()))
    kinds = {kind.name: kind for kind in KINDS}
    with np.errstate(divide="ignore"):
        assert outcome(reckless, kinds["masked array"], "fit")[0] == "WRONG"
        assert outcome(reckless, kinds["float16"], "transform")[0] == "WRONG"
        assert outcome(reckless, kinds["one infinity"], "fit")[0] == "HALF-FITTED"
        assert outcome(reckless, kinds["values of 1e150"], "transform")[0] == "NON-FINITE"
        assert outcome(reckless, kinds["list of lists"], "fit")[0] == "ok"


INVALID_TABLES = {
    "infinity": (np.where(TABLE > 0.9, np.inf, TABLE), "Input X contains infinity"),
    "masked": (np.ma.masked_greater(TABLE, 0.9), r"X has \d+ masked values"),
    "dates": (TABLE.astype("datetime64[D]"), "X has dates or durations, of dtype datetime64"),
    "a tensor that requires a gradient": (torch.tensor(TABLE, requires_grad=True), r"X, a Tensor, can't.*detach\(\)"),
    "an int beyond float64": ([[10**400] * TABLE.shape[1]] * 2, "X, a list, can't be read as a table of numbers"),
}
OVERFLOWING = np.where(TABLE > 0.9, 1e200, TABLE)


@pytest.mark.parametrize("method", ["score", "score_samples", "reconstruct", "partial_fit", "inverse_transform"])
@pytest.mark.parametrize("kind", INVALID_TABLES)
def test_invalid_tables_raise_in_other_methods(kind, method):
    X, message = INVALID_TABLES[kind]
    if method == "inverse_transform":
        X = [row[: unusual_inputs.K] for row in X] if isinstance(X, list) else X[:, : unusual_inputs.K]
    for name in SYSTEMS:
        fitted = SYSTEMS[name].fitted_to(TABLE)
        before = repr(vars(fitted))
        with pytest.raises(ValueError, match=message):
            getattr(fitted, method)(X)
        assert repr(vars(fitted)) == before


@pytest.mark.parametrize("name", SYSTEMS)
def test_overflowing_results_raise(name):
    fitted = SYSTEMS[name].fitted_to(TABLE)
    with pytest.raises(ValueError, match=r"variance of X, with a range of 1e\+200, is too large for float64"):
        fitted.score(OVERFLOWING)
    with pytest.raises(
        ValueError, match=r"sample with a value of 1e\+200, which is too large: the result overflows float64"
    ):
        fitted.score_samples(OVERFLOWING)
    with pytest.raises(ValueError, match=r"a value of 1\.7e\+308, which is too large"):
        fitted.inverse_transform(np.full((1, unusual_inputs.K), 1.7e308))
    single = np.full((1, TABLE.shape[1]), 3e38, np.float32)
    with pytest.raises(ValueError, match=r"overflows float32\. Clip .*, or pass it as float64"):
        fitted.transform(single)
    before = repr(vars(fitted))
    with pytest.raises(ValueError, match="too large for float64"):
        fitted.partial_fit(OVERFLOWING)
    assert repr(vars(fitted)) == before


def test_errors_of_float32_samples_are_squared_in_float64():
    fitted = SYSTEMS["linear"].fitted_to(TABLE)
    large = (1e25 * TABLE).astype(np.float32)  # their squares overflow float32
    np.testing.assert_allclose(fitted.score_samples(large), fitted.score_samples(large.astype(float)), rtol=1e-4)
    assert fitted.score(large) == pytest.approx(fitted.score(large.astype(float)), abs=1e-6)


def test_unscaled_samples_outside_the_range_of_float32_raise():
    network = Autoencoder(2, hidden_layer_sizes=8, scale=None, max_iter=1, random_state=0)
    with pytest.raises(ValueError, match=r"too large for training without scaling\. Set scale='global'"):
        network.fit(TABLE * 1e30)
    with pytest.raises(ValueError, match="too small for training without scaling"):
        network.fit(TABLE * 1e-30)
    assert network.set_params(scale="global").fit(TABLE * 1e30).score(TABLE * 1e30) > 0.8


# Interrupts and divergence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_interrupted_fit_raises_and_leaves_the_estimator_unchanged(digits, monkeypatch, error):
    estimator = Autoencoder(4, hidden_layer_sizes=16, max_iter=5, random_state=0)
    fitted = clone(estimator).fit(digits[:100, :32])
    codes = fitted.transform(digits[:, :32])

    real, n_steps = AutoencoderNet.train_step, 0

    def interrupted(self, batch, **kwargs):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 3:
            raise error
        return real(self, batch, **kwargs)

    monkeypatch.setattr(AutoencoderNet, "train_step", interrupted)
    with pytest.raises(error):
        estimator.fit(digits)
    assert vars(estimator) == estimator.get_params()
    assert n_steps == 3  # immediately, not at the end of the epoch
    n_steps = 0
    with pytest.raises(error):
        fitted.fit(digits)
    np.testing.assert_array_equal(fitted.transform(digits[:, :32]), codes)
    assert fitted.n_features_in_ == 32


@pytest.mark.parametrize("n_rows", [240, 2100])
def test_nonfinite_loss_restores_the_last_state_and_warns(digits, monkeypatch, n_rows):
    X = np.tile(digits, (9, 1))[:n_rows]
    real, n_steps = AutoencoderNet.train_step, 0

    def with_nan(self, batch, **kwargs):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 3:
            with torch.no_grad():
                for weight in self.module_.parameters():
                    weight.fill_(float("nan"))
        return real(self, batch, **kwargs)

    monkeypatch.setattr(AutoencoderNet, "train_step", with_nan)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch 1: .* multiplied by 0\.1\. The result is epoch"):
        fitted = Autoencoder(4, hidden_layer_sizes=16, max_iter=4, random_state=0).fit(X)
    assert np.isfinite(fitted.transform(X)).all()
    assert not np.isfinite(fitted.loss_curve_[0])
    assert np.isfinite(fitted.loss_curve_[1:]).all()  # training continued
    assert len(fitted.loss_curve_) == 4
    assert fitted.best_epoch_ > 1
    assert fitted.score(X) > 0.4


@pytest.mark.parametrize("estimator", [Autoencoder, VariationalAutoencoder])
def test_loss_that_is_never_finite_returns_the_initialization(digits, monkeypatch, estimator):
    real = AutoencoderNet.train_step

    def with_nan(self, batch, **kwargs):
        with torch.no_grad():
            next(self.module_.parameters()).fill_(float("nan"))
        return real(self, batch, **kwargs)

    monkeypatch.setattr(AutoencoderNet, "train_step", with_nan)
    with pytest.warns(ConvergenceWarning) as warned:
        fitted = estimator(4, hidden_layer_sizes=16, max_iter=20, validation_fraction=0.6, random_state=0).fit(digits)
    (message,) = [str(warning.message) for warning in warned]
    assert "diverged in epochs 1, 2, 3 and 4" in message
    assert "training was stopped after 3 attempts. The result is the initial network. Lower learning_rate." in message
    assert fitted.n_iter_ == 4
    assert fitted.best_epoch_ == 0
    np.testing.assert_allclose(fitted.score(digits), PCA(4).fit(digits).explained_variance_ratio_.sum(), atol=0.05)


@pytest.mark.parametrize("learning_rate", [1.0, 1e3, 1e30])
def test_much_too_high_learning_rates_warn(digits, learning_rate):
    settings = {"hidden_layer_sizes": 16, "max_iter": 12, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="Training diverged in epoch") as warned:
        fitted = Autoencoder(4, learning_rate=learning_rate, **settings).fit(digits)
    assert len(warned) == 1
    assert fitted.score(digits) > PCA(4).fit(digits).explained_variance_ratio_.sum() - 1e-6
    if learning_rate == 1.0:  # a tenth of this rate is low enough
        assert fitted.best_epoch_ > 1


def test_loss_far_above_the_initial_loss_is_a_divergence(digits, monkeypatch):
    real, n_steps = AutoencoderNet.train_step, 0

    def diverging(self, batch, **kwargs):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 5:
            with torch.no_grad():
                for weight in [weight for weights in self.ensemble_.weights for weight in weights.values()]:
                    weight.mul_(1e3)  # finite, but far too large
        return real(self, batch, **kwargs)

    monkeypatch.setattr(AutoencoderNet, "train_step", diverging)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 2: the loss was not finite, or far above"):
        fitted = Autoencoder(4, hidden_layer_sizes=16, max_iter=8, random_state=0).fit(digits)
    assert np.isfinite(fitted.loss_curve_).all()
    assert fitted.best_epoch_ > 2


def test_skorch_swallows_an_interrupt():
    # For this reason `fit` runs its own training loop, which can be removed if skorch changes this.
    class Interrupted(skorch.NeuralNet):
        def fit_loop(self, *args, **kwargs):  # noqa: ARG002
            raise KeyboardInterrupt

    net = Interrupted(torch.nn.Linear, torch.nn.MSELoss, module__in_features=3, module__out_features=3, verbose=0)
    assert net.initialize().partial_fit(ROWS, ROWS) is net
