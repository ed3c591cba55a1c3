"""User-defined variants that use only public names satisfy the same checks as the package's estimators."""

import copy
import pickle
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Literal

import numpy as np
import pytest
import torch
from conftest import public_estimators, short_name
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import EpochScoring
from test_sklearn_checks import LEFT_OUT
from torch import nn

from skae import Autoencoder, BaseAutoencoder, LatentSampler, StackedAutoencoder
from skae.architectures import Convolutional
from skae.base import Interval, StrOptions, parameter
from skae.callbacks import Checkpoint
from skae.nn import AutoencoderModule

POSITIVE = Interval(Real, 0, None, closed="left")


class WassersteinModule(AutoencoderModule):
    """Tolstikhin et al., "Wasserstein auto-encoders", 2018, with a penalty on the MMD of codes."""

    supports_batching = True  # all operations support a leading dimension

    def __init__(self, *args, alpha, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha

    def penalty(self, seen, encoding, code):
        drawn = torch.randn(code.shape, generator=self.generator).to(code)

        def kernel(a, b):  # inverse multiquadratic: (..., n, n)
            return 1 / (1 + torch.cdist(a, b).square() / (2 * code.shape[-1]))

        pairs = kernel(code, code) + kernel(drawn, drawn) - 2 * kernel(code, drawn)
        return {"mmd": self.alpha * pairs.mean(dim=(-2, -1))}  # a scalar


class WassersteinAutoencoder(BaseAutoencoder):
    """Matches the distribution of codes to the prior."""

    module_class = WassersteinModule
    alpha: float = parameter(default=1.0, constraint=[POSITIVE])

    def module_params(self, statistics, scale):
        return {"alpha": self.alpha * len(scale)}


class SupervisedModule(AutoencoderModule):
    """Adds a linear classifier on the code."""

    def __init__(self, *args, alpha, n_components, n_classes, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha, self.head = alpha, nn.Linear(n_components, n_classes)

    def supervision(self, code, target):
        log_probability = self.head(code).log_softmax(dim=-1)
        return {"cross_entropy": -self.alpha * (log_probability * target).sum(dim=-1)}


class SupervisedAutoencoder(BaseAutoencoder):
    """Learns codes that separate the classes."""

    module_class = SupervisedModule
    alpha: float = field(default=1.0, metadata={"constraint": [POSITIVE]})

    def encode_y(self, y):
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        return np.eye(len(self.classes_))[index]

    def module_params(self, statistics, scale):
        return {"alpha": self.alpha, "n_components": self.n_components_, "n_classes": len(self.classes_)}


class Transposed(nn.Module):
    """A linear layer with transposed weights."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.bias = layer, nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, x):
        return nn.functional.linear(x, self.layer.weight.T, self.bias)


class TiedModule(AutoencoderModule):
    """Uses the transposed layers of the encoder in the decoder."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        mirrored = (Transposed(each) if isinstance(each, nn.Linear) else each for each in reversed(self.encoder))
        self.decoder = nn.Sequential(*mirrored)


class TiedAutoencoder(BaseAutoencoder):
    """Has half as many weights; PCA would be a saddle point."""

    module_class = TiedModule
    init: Literal["random"] = parameter(default="random", constraint=[StrOptions({"random"})])

    def check_parameters(self):
        super().check_parameters()
        if self.architecture is not None or self.code_activation != "identity":
            raise ValueError("TiedAutoencoder needs architecture=None and code_activation='identity'.")


VARIANTS = [
    WassersteinAutoencoder(2, max_iter=1, random_state=0),
    SupervisedAutoencoder(2, max_iter=1, random_state=0),
    TiedAutoencoder(2, max_iter=1, random_state=0),
]
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=short_name)


@pytest.fixture
def labels():
    """Return the labels of `digits`."""
    return load_digits().target[:240]


# As estimators -------------------------------------------------------------------------------------------------------


@parametrize_with_checks(VARIANTS[:1])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(VARIANTS[1:])
def test_check_estimator_slow(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("check", LEFT_OUT)
@each_variant
@pytest.mark.slow
def test_checks_outside_check_estimator(variant, check):
    getattr(estimator_checks, check)(type(variant).__name__, clone(variant))


@each_variant
def test_variants_can_be_copied_and_saved(variant, digits, tmp_path):
    X, y = digits[:100], np.arange(100) % 3
    fitted = clone(variant).fit(X, y)
    fitted.save(tmp_path / "variant.skops")
    for again in (pickle.loads(pickle.dumps(fitted)), type(fitted).load(tmp_path / "variant.skops")):
        np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
        assert repr(again) == repr(fitted)
    np.testing.assert_array_equal(clone(variant).fit(X, y).transform(X), fitted.transform(X))


@each_variant
def test_variants_support_common_parameters(variant, digits, tmp_path):
    taken = {"hidden_layer_sizes": (8,), "activation": "tanh", "scale": "standard", "loss": "huber"}
    taken |= {"max_iter": 2, "batch_size": 50, "learning_rate": 0.003, "weight_decay": 0.0, "early_stopping": False}
    taken |= {"whiten": True, "ordered": True, "cv": 2, "callbacks": [Checkpoint(tmp_path)], "device": "cpu"}
    taken |= {"net_params": {"optimizer": torch.optim.RAdam}}
    fitted = clone(variant).set_params(**taken).fit(digits[:100], np.arange(100) % 3)
    assert fitted.best_epoch_ <= fitted.n_iter_ == 2
    np.testing.assert_allclose(fitted.net_.predict(digits[:5]), fitted.reconstruct(digits[:5]), rtol=1e-3, atol=1e-3)
    assert set(Autoencoder().get_params()) <= set(variant.get_params())


def test_variants_support_architectures(digits):
    fitted = WassersteinAutoencoder(2, architecture=Convolutional(channels=(2,)), max_iter=1).fit(digits[:60])
    assert "valid_mmd" in fitted.net_.history[0]
    with pytest.raises(ValueError, match="TiedAutoencoder needs architecture=None"):
        TiedAutoencoder(2, architecture=Convolutional(channels=(2,))).fit(digits[:60])


@pytest.mark.parametrize("kind", [WassersteinAutoencoder, SupervisedAutoencoder])
@pytest.mark.parametrize("value", [-1, "a", None])
def test_custom_parameters_are_validated(kind, value, digits):
    wanted = rf"The 'alpha' parameter of {kind.__name__} must be a float in the range \[0.0, inf\). Got {value!r}"
    with pytest.raises(ValueError, match=wanted):
        kind(2, alpha=value).fit(digits[:60], np.arange(60) % 2)


def test_grid_search_over_custom_parameters(digits, labels):
    variant = SupervisedAutoencoder(2, max_iter=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), variant, LogisticRegression())
    search = GridSearchCV(pipeline, {"supervisedautoencoder__alpha": [0.0, 10.0]}, cv=2)
    search.fit(digits[:100], labels[:100])
    assert set(search.cv_results_["param_supervisedautoencoder__alpha"]) == {0.0, 10.0}


# Effects -------------------------------------------------------------------------------------------------------------


@pytest.mark.kernels
def test_codes_of_wasserstein_autoencoder_are_closer_to_normal(digits):
    def mmd(alpha):
        model = WassersteinAutoencoder(2, alpha=alpha, hidden_layer_sizes=16, max_iter=20, random_state=0).fit(digits)
        return model.net_.history[-1, "train_mmd"] / alpha

    assert mmd(1.0) < 0.7 * mmd(1e-6)


@pytest.mark.kernels
def test_codes_of_supervised_autoencoder_separate_classes(digits, labels):
    def cross_entropy(alpha):  # of validation samples; a tiny alpha trains only the classifier
        common = {"hidden_layer_sizes": 32, "max_iter": 30, "random_state": 0}
        model = SupervisedAutoencoder(2, alpha=alpha, **common).fit(digits, labels)
        return model.net_.history[-1, "valid_cross_entropy"] / alpha

    assert cross_entropy(10.0) < 0.7 * cross_entropy(1e-6)


def test_layers_of_tied_autoencoder_remain_tied(digits):
    model = TiedAutoencoder(2, hidden_layer_sizes=(8, 4), max_iter=2, random_state=0).fit(digits)
    for part in (model, pickle.loads(pickle.dumps(model))):
        encoder, decoder = part.encoder_.encoder, part.decoder_.decoder
        assert all(decoder[-1 - i].layer.weight.equal(encoder[i].weight) for i in (0, 2, 4))
        assert sum(weight.numel() for weight in part.net_.module_.parameters()) == 64 * 8 + 8 * 4 + 4 * 2 + 90


@pytest.mark.parametrize("overridden", ["penalty", "sample", "reconstruction", "corrupt"])
def test_linear_model_with_custom_hook_is_trained(overridden, digits):
    """A linear autoencoder is PCA, computed in closed form, unless its module overrides hooks."""
    hooks = {
        "penalty": lambda self, seen, encoding, code: {"length": 10 * code.square().sum(dim=-1)},
        "sample": lambda self, encoding: encoding + 1,
        "reconstruction": lambda self, output, x, corrupted: (output - x).abs().sum(dim=-1),
        "corrupt": lambda self, x: 0.5 * x,
    }
    module = type("Module", (AutoencoderModule,), {overridden: hooks[overridden]})
    linear = type("Linear", (BaseAutoencoder,), {"module_class": module})
    model = linear(2, hidden_layer_sizes=(), max_iter=3, random_state=0).fit(digits)
    assert model.n_iter_ == 3
    assert len(model.loss_curve_) == 3


class BufferedModule(AutoencoderModule):
    """Multiplies codes by a buffer that changes in training."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("gain", torch.tensor(0.2))

    def code(self, encoding):
        return encoding * self.gain

    def after_step(self, progress):
        self.gain.fill_(0.2 + 0.8 * progress)


class BatchedBufferedModule(BufferedModule):
    supports_batching = True


class ReplacingModule(BatchedBufferedModule):
    supports_batching = True

    def after_step(self, progress):
        self.gain = torch.full_like(self.gain, 0.2 + 0.8 * progress)


@pytest.mark.parametrize("module", [BufferedModule, BatchedBufferedModule, ReplacingModule])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_buffers_of_modules_are_stored(module, n_folds, digits):
    kind = type("Remembering", (BaseAutoencoder,), {"module_class": module})
    model = kind(2, hidden_layer_sizes=8, max_iter=3, cv=n_folds + 1 if n_folds > 1 else None, random_state=0)
    if n_folds == 1:
        model.set_params(validation_fraction=0.5)
    model.fit(digits)
    assert model.best_epoch_ > 0
    assert model.net_.module_.gain > 0.2
    np.testing.assert_allclose(copy.deepcopy(model).reconstruct(digits), model.reconstruct(digits))


def test_hooks_apply_to_each_network_of_folds(digits):
    """Check that custom weights and statistics over samples belong to each network, also with folds."""

    class Module(AutoencoderModule):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.shift, self.factor = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(()))

        def penalty(self, seen, encoding, code):
            assert code.dim() == 2
            assert self.shift.shape == (2,)
            spread = (code * self.factor + self.shift - code.mean(0)).square().mean()
            return {"spread": spread, "shown": self.axes(code).square().sum(dim=1)}

    kind = type("Own", (BaseAutoencoder,), {"module_class": Module})
    folds = [(np.arange(80, 240), np.arange(80)), (np.arange(160), np.arange(160, 240))]
    both = kind(2, hidden_layer_sizes=8, max_iter=2, cv=folds, random_state=0).fit(digits)
    alone = kind(2, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(digits, X_val=digits)
    np.testing.assert_array_equal(both.net_.history[:, "train_loss"], alone.net_.history[:, "train_loss"])


def variant_with(**hooks):
    module = type("Module", (AutoencoderModule,), hooks)
    return type("Own", (BaseAutoencoder,), {"module_class": module})(2, max_iter=1, random_state=0)


@pytest.mark.parametrize("n_folds", [2, 5])
@pytest.mark.parametrize(
    ("term", "problem"),
    [
        (lambda code: {"mine": code.square()}, r"a term 'mine' of shape \(\d+, 2\), which must .* sample, \(\d+,\)"),
        (lambda code: {"mine": code[:, :1]}, r"a term 'mine' of shape \(\d+, 1\)"),
        (lambda code: {"mine": code[1:, 0]}, r"a term 'mine' of shape \(\d+,\), which"),
        (lambda code: {"mine": 1.0}, "a term 'mine' of shape float"),
        (lambda code: {"reconstruction": code[:, 0]}, "a term 'reconstruction', but this name is already in use"),
        (lambda code: {"loss_fold0": code[:, 0]}, "a term 'loss_fold0', but this name is already in use"),
        (lambda code: None, "penalty must return a dict of named terms of the loss, got None"),
    ],
)
def test_invalid_terms_raise(term, problem, n_folds, digits):
    model = variant_with(penalty=lambda self, seen, encoding, code: term(code)).set_params(cv=n_folds)
    with pytest.raises((ValueError, TypeError), match=problem):
        model.fit(digits)
    assert not hasattr(model, "net_")


def test_scalar_term_is_counted_once(digits):
    def weighed(term):
        model = variant_with(penalty=lambda self, seen, encoding, code: {"mine": term(code)}).set_params(max_iter=2)
        return model.fit(digits).net_.history[:, "train_mine"]

    np.testing.assert_allclose(weighed(lambda code: code.square().mean()), weighed(lambda code: code.square().mean(1)))


def test_duplicate_terms_raise(digits):
    hooks = {
        "penalty": lambda self, seen, encoding, code: {"mine": code[:, 0]},
        "supervision": lambda self, code, target: {"mine": code[:, 0]},
    }
    with pytest.raises(ValueError, match="supervision returns a term 'mine', but this name is already in use"):
        variant_with(**hooks).fit(digits, np.arange(240.0))


def test_custom_initial_solution_is_trained(digits):
    class Rolled(BaseAutoencoder):
        def initial_solution(self, rows, spec, seed):
            start = super().initial_solution(rows, spec, seed)
            return replace(start, components=np.roll(start.components, 1, axis=1))

    linear = Rolled(2, hidden_layer_sizes=(), max_iter=20, random_state=0).fit(digits)
    assert linear.n_iter_ == 20
    assert linear.best_epoch_ > 0
    for start, problem in [
        (None, "Bad.initial_solution must return an initialization like that of the base class, got None"),
        (PCAStart(), r"encoder.linear.weight has shape \(2, 64\) in the networks, and \(1, 64\) in their init"),
    ]:
        bad = type("Bad", (BaseAutoencoder,), {"initial_solution": lambda self, rows, spec, seed, start=start: start})
        with pytest.raises((TypeError, ValueError), match=problem):
            bad(2, max_iter=1).fit(digits)


class PCAStart:
    is_pca = False

    def weights(self):
        return {"encoder.linear.weight": np.zeros((1, 64))}

    def axes(self, unit, whiten):
        return np.ones(2), np.zeros(2), None, np.ones(2)


# y -------------------------------------------------------------------------------------------------------------------


class RegressionModule(AutoencoderModule):
    """Trains the first component of the code to equal y."""

    supports_batching = True

    def supervision(self, code, target):
        return {"error": (code[..., :1] - target).square().sum(dim=-1)}


class RegressionAutoencoder(BaseAutoencoder):
    module_class = RegressionModule


@pytest.mark.parametrize("n", [60, 400])
@pytest.mark.parametrize("kind", [list, np.asarray, lambda y: np.asarray(y)[:, None]])
def test_each_sample_is_paired_with_its_y(n, kind, monkeypatch):
    """Check this for all splits, orders and readers; y is the first feature."""
    X = np.random.default_rng(0).normal(size=(n, 3)) * [5.0, 1.0, 0.1]
    seen = []

    def losses(self, x, sizes=None, target=None):
        seen.append((self.scaler.inverse(x)[..., 0].flatten(), target.flatten()))
        return AutoencoderModule.losses(self, x, sizes, target)

    monkeypatch.setattr(RegressionModule, "losses", losses)
    RegressionAutoencoder(2, max_iter=1, hidden_layer_sizes=4, random_state=0).fit(X, kind(X[:, 0]))
    assert len(seen) > 2
    for first, target in seen:
        torch.testing.assert_close(first, target, atol=1e-4, rtol=1e-4)


def test_y_is_required_and_validated(digits, labels):
    model = SupervisedAutoencoder(2, max_iter=1)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        model.fit(digits)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(digits, labels[:-1])
    with pytest.raises(ValueError, match="NaN"):
        RegressionAutoencoder(2).fit(digits, np.where(labels == 0, np.nan, labels))
    with pytest.raises(ValueError, match="X_val has no y, which the validation loss needs"):
        model.fit(digits, labels, X_val=digits)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        model.partial_fit(digits, labels)
    assert not hasattr(model, "partial_fit")
    assert not hasattr(model, "classes_")
    assert hasattr(WassersteinAutoencoder(2), "partial_fit")


@pytest.mark.parametrize("n_components", [0.5, "mle", None])
def test_n_components_is_known_when_module_is_created(n_components, iris):
    y = np.array(["a", "b", "c"])[np.arange(150) % 3]
    model = SupervisedAutoencoder(n_components, max_iter=1, random_state=0).fit(iris, y)
    assert model.transform(iris).shape == (150, model.n_components_)


def test_string_labels_are_preserved(iris, tmp_path):
    y = np.array(["a", "bc", "d"])[np.arange(150) % 3]
    model = SupervisedAutoencoder(2, max_iter=1, random_state=0).fit(iris, y)
    model.save(tmp_path / "file")
    assert list(SupervisedAutoencoder.load(tmp_path / "file").classes_) == ["a", "bc", "d"]


def test_layers_of_stack_do_not_receive_y(digits, labels):
    stack = StackedAutoencoder([("a", SupervisedAutoencoder(8)), ("b", SupervisedAutoencoder(2))])
    with pytest.raises(ValueError, match="Layer 'a' of layers is a SupervisedAutoencoder, which learns from y"):
        stack.fit(digits, labels)


def test_splitters_and_callbacks_receive_y(digits, labels):
    seen = []

    def scoring(net, X, y):
        seen.append((X, y))
        return 0.0

    model = SupervisedAutoencoder(2, max_iter=1, cv=StratifiedKFold(2), callbacks=[EpochScoring(scoring)])
    model.fit(digits, labels)
    by_row = {row.tobytes(): label for row, label in zip(digits, labels, strict=True)}
    for X, y in seen:
        assert [by_row[row.tobytes()] for row in np.asarray(X.X)] == list(np.argmax(y, axis=1))
    assert seen


def test_checkpoint_of_other_y_raises(digits, labels, tmp_path):
    model = SupervisedAutoencoder(2, max_iter=1, random_state=0, callbacks=[Checkpoint(tmp_path)])
    model.fit(digits, labels)
    with pytest.raises(ValueError, match="the digest of y"):
        model.fit(digits, labels[::-1])


def test_warm_start_with_other_classes_raises(digits, labels):
    model = SupervisedAutoencoder(2, max_iter=1, warm_start=True, random_state=0).fit(digits, labels)
    with pytest.raises(ValueError, match=r"head.* has shape \(2, 2\) in the networks, and \(10, 2\) in"):
        model.fit(digits, labels % 2)
    assert list(model.classes_) == list(range(10))


# Declarations --------------------------------------------------------------------------------------------------------


def test_annotations_are_parameters():
    class Own(WassersteinAutoencoder):
        n_components: int = parameter(default=3, constraint=[Interval(Real, 1, None, closed="left")], kw_only=False)
        gamma: float = 2.0
        found_: float = field(init=False)

    own = Own(4, gamma=3.0, alpha=2.0)
    assert own.get_params()["n_components"] == 4
    assert own.get_params()["gamma"] == clone(own).gamma == 3.0
    assert Own().n_components == 3
    assert not hasattr(own, "found_")
    assert set(own.get_params()) == {*Autoencoder().get_params(), "alpha", "gamma"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'delta'"):
        Own(delta=1)


def test_dataclass_decorator_is_optional(digits):
    @dataclass(kw_only=True, eq=False, repr=False)
    class Own(WassersteinAutoencoder):
        beta: float = field(default=1.0, metadata={"constraint": [POSITIVE]})

    class Derived(Own):
        gamma: float = 2.0

    for kind in (Own, Derived):
        assert kind(3, beta=2.0).get_params()["beta"] == clone(kind(beta=2.0)).beta == 2.0
        assert kind().beta == 1.0
        with pytest.raises(ValueError, match="The 'beta' parameter"):
            kind(beta=-1.0).fit(digits)


def test_custom_init_is_supported(digits):
    class Own(BaseAutoencoder):
        module_class = WassersteinModule
        _parameter_constraints = {"alpha": [POSITIVE]}  # noqa: RUF012

        def __init__(self, n_components=3, *, alpha=1.0, max_iter=1):
            super().__init__(n_components, max_iter=max_iter)
            self.alpha = alpha

        def module_params(self, statistics, scale):
            return {"alpha": self.alpha}

    assert clone(Own(2, alpha=3.0)).get_params() == {"n_components": 2, "alpha": 3.0, "max_iter": 1}
    assert Own().fit(digits).n_iter_ == 1
    with pytest.raises(ValueError, match="The 'alpha' parameter"):
        Own(alpha=-1.0).fit(digits)

    class Same(Own):
        pass

    assert Same(alpha=2.0).alpha == 2.0
    with pytest.raises(TypeError, match=r"Derived\.beta is annotated.* but Own defines an __init__"):

        class Derived(Own):
            beta: float = 1.0


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ("found_: float = 0.0", r"Own\.found_ .* its name is that of a fitted attribute"),
        ("score: float = 0.0", r"Own\.score .* its name is that of a method or an attribute"),
        ("module_class: type = AutoencoderModule", r"Own\.module_class .* its name is that of a method or"),
        ("alpha = 3.0", r"Own\.alpha is set to a value .* Write `alpha: \.\.\. = 3\.0`"),
        ("n_components = 3", r"n_components.* no type annotation"),
        ("own: list = field(default_factory=list)", r"Own\.own has a default_factory"),
        ("own: float = parameter(default=1.0, constraint=Real)", r"constraint=<.*Real'> must be a list"),
        ("module_class = nn.Linear", r"Own\.module_class must be a subclass of AutoencoderModule, got <.*Linear"),
        ("def __init__(self, *, own=1, **kwargs): ...", r"Own\.__init__ takes \*args or \*\*kwargs, whose parameters"),
    ],
)
def test_invalid_declarations_raise(declared, problem):
    with pytest.raises(TypeError, match=problem):
        exec(f"class Own(WassersteinAutoencoder):\n    {declared}", globals().copy())


def test_n_components_stays_positional():
    class Own(BaseAutoencoder):
        n_components: int = 3

    assert Own(4).n_components == 4
    assert Own().n_components == 3
    assert Own.__doc__ is None


def test_all_autoencoders_are_instances_of_base_autoencoder():
    assert all(issubclass(kind, BaseAutoencoder) for kind in public_estimators())
    assert not issubclass(LatentSampler, BaseAutoencoder)
    assert not issubclass(Autoencoder, WassersteinAutoencoder)
