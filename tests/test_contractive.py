"""The contraction agrees with the full Jacobian and finite differences, and its weight has the expected effect."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_s_curve, make_swiss_roll
from sklearn.decomposition import PCA

from skae import Autoencoder, ContractiveAutoencoder
from skae.architectures import Convolutional, Recurrent

QUICK = {"max_iter": 3, "validation_fraction": 0.3, "random_state": 0}
KINDS = [
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (), "init": "random"},
    {"hidden_layer_sizes": (), "code_activation": "logistic"},
    {"hidden_layer_sizes": 16},
    {"hidden_layer_sizes": (16, 8), "activation": "tanh", "init": "random"},
    {"hidden_layer_sizes": 16, "whiten": True},
    {"hidden_layer_sizes": 16, "scale": "standard"},
    {"hidden_layer_sizes": 8, "architecture": Convolutional(channels=(2,))},
    {"hidden_layer_sizes": 8, "architecture": Recurrent(hidden_size=3)},
]


NOISE = 0.1  # variance of the noise that corresponds to alpha=1


def noisy_surface(name):
    """Return training and test samples near a curved surface in a higher dimension, with noise."""
    rng = np.random.default_rng(sum(map(ord, name)))
    if name == "table":
        latent = np.tanh(rng.standard_normal((700, 5)))
        X = latent @ (rng.standard_normal((5, 20)) * np.array([[3.0], [2.0], [1.5], [1.0], [0.7]])), 0.3
    elif name == "roll":
        turn = 1.5 * np.pi * (1 + 2 * rng.random(700))
        flat = np.column_stack([turn * np.cos(turn), 10 * rng.random(700), turn * np.sin(turn)])
        X = flat @ np.linalg.qr(rng.standard_normal((30, 3)))[0].T, 0.3
    else:  # a moving bar of light on black
        place = rng.random((700, 1)) * 14 + 1, rng.random((700, 1)) * 2 + 1
        X = 255 * np.exp(-np.square((np.arange(16) - place[0]) / place[1])), 2.0
    X = X[0] + X[1] * rng.standard_normal(X[0].shape)
    return X[:500], X[500:]


def sensitivity(estimator, X, n_steps=4):
    """Return the mean squared change of `transform` under small random steps, relative to the codes' variance.

    Steps have unit variance, in units of the features' root mean square deviation.
    """
    rng, unit, h = np.random.default_rng(0), np.sqrt(X.var(axis=0).mean()), 1e-4
    codes = estimator.transform(X)
    steps = [estimator.transform(X + h * unit * rng.standard_normal(X.shape)) - codes for _ in range(n_steps)]
    return np.mean([np.square(step / h).sum(axis=1).mean() for step in steps]) / codes.var(axis=0).sum()


def by_autograd(estimator, X):
    """Return squared norms of the full Jacobian of `transform`, in scaled units, relative to the codes' variance."""
    encoder = estimator._modules["float64"]
    x = encoder.scaler(torch.tensor(X))

    def shown(x):
        code = encoder.code(encoder.encoder(x))
        if encoder.axes is None:
            return code
        return encoder.axes(code) * encoder.axes.deviation / encoder.unit

    norms = np.array([torch.autograd.functional.jacobian(shown, row[None]).square().sum().item() for row in x])
    unit = 1.0 if encoder.axes is None else encoder.unit
    return norms * unit**2 / estimator.explained_variance_.sum()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.slow
def test_contraction_agrees_with_autograd(kind, digits):
    estimator = ContractiveAutoencoder(4, **QUICK | kind).fit(digits)
    ours = estimator.contraction(digits[:20])
    np.testing.assert_allclose(ours, by_autograd(estimator, digits[:20]), rtol=1e-9)
    np.testing.assert_allclose(estimator.contraction(digits[:20].astype(np.float32)), ours, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS[3:6], ids=str)
@pytest.mark.slow
def test_penalty_is_exact_or_estimated_without_bias(kind, digits):
    estimator = ContractiveAutoencoder(4, contraction_method="exact", alpha=0.3, **QUICK | kind).fit(digits)
    module = estimator._modules["float64"]
    x = module.scaler(torch.tensor(digits[:20]))
    exact = module.losses(x)["contraction"].detach().numpy()
    codes = estimator.transform(digits[:20]) * np.sqrt(estimator.explained_variance_ if estimator.whiten else 1.0)
    of_batch, of_rows = codes.var(axis=0).sum(), estimator.explained_variance_.sum()
    total = (digits.var(axis=0) / np.square(np.where(module.scaler.scale > 0, module.scaler.scale, np.inf))).sum()
    formula = NOISE * 0.3 * total * estimator.contraction(digits[:20]) * of_rows / of_batch
    np.testing.assert_allclose(exact, formula, rtol=0.02)  # the lower bound of the denominator has a smaller effect
    torch.manual_seed(0)
    norm = module.contraction(x, "exact").detach().numpy()
    draws = np.stack([module.contraction(x, "estimate").detach().numpy() for _ in range(2000)])
    z = (draws.mean(axis=0) - norm) / np.maximum(draws.std(axis=0) / np.sqrt(len(draws)), 1e-9)
    assert abs(z.mean()) < 3 / np.sqrt(len(z))
    assert abs(z).max() < 4


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_penalty_has_a_gradient(kind, digits):
    module = ContractiveAutoencoder(4, **QUICK | kind).fit(digits).net_.module_.train()
    x = module.scaler(torch.tensor(digits, dtype=torch.float32))
    module.losses(x)["contraction"].mean().backward()
    gradients = [weight.grad for weight in module.encoder.parameters() if weight.grad is not None]
    assert sum(gradient.abs().sum() for gradient in gradients) > 0


@pytest.mark.parametrize("name", ["table", "roll", "images"])
@pytest.mark.slow
def test_larger_weight_reduces_the_sensitivity_at_little_cost(name):
    X, X_test = noisy_surface(name)
    settings = {"hidden_layer_sizes": 64, "max_iter": 40, "validation_fraction": 0.3, "random_state": 0}
    fits = [ContractiveAutoencoder(3, alpha=alpha, **settings).fit(X) for alpha in (1e-3, 1e-2, 1e-1, 1.0, 10.0)]
    found = np.array([sensitivity(fit, X_test) for fit in fits])
    assert (np.diff(found) < 0).all(), found
    assert found[-1] < found[0] / 1.5, found  # with thousands of samples, less than a third
    assert fits[-1].score(X_test) > fits[0].score(X_test) - 0.03


def folded_surface(name, rng):
    """Return training and test samples near a folded surface in few features, with little noise."""
    if name == "roll":
        X = make_swiss_roll(1500, noise=0.1, random_state=rng)[0]
    elif name == "s-curve":
        X = make_s_curve(1500, noise=0.02, random_state=rng)[0]
    else:  # positions of the two joints of an arm, and functions of its angles
        angles = rng.uniform(-1.5, 1.5, size=(1500, 2))
        first, second = angles.cumsum(axis=1).T
        elbow = np.column_stack([np.cos(first), np.sin(first)])
        hand = elbow + 0.8 * np.column_stack([np.cos(second), np.sin(second)])
        X = np.column_stack([elbow, hand, angles.sum(axis=1), np.sin(2 * angles[:, 1])])
        X += 0.02 * rng.standard_normal(X.shape)
    return X[:500], X[500:]


@pytest.mark.parametrize("scale", ["global", "standard"])
@pytest.mark.parametrize(("name", "seed"), [("roll", 0), ("roll", 1), ("s-curve", 0), ("arm", 0)])
@pytest.mark.slow
def test_defaults_suffice_to_unfold_surfaces_in_few_features(name, seed, scale):
    X, X_test = folded_surface(name, np.random.RandomState(seed))
    if scale == "standard":
        X, X_test = (rows / X.std(axis=0) for rows in (X, X_test))
    loose, tight = (
        ContractiveAutoencoder(2, alpha=alpha, scale=scale, random_state=seed).fit(X[:400], X_val=X[400:])
        for alpha in (1e-3, 10.0)
    )
    assert sensitivity(tight, X_test) < sensitivity(loose, X_test) / 3
    assert tight.score(X_test) > loose.score(X_test) - 0.05


@pytest.mark.slow
def test_few_features_get_more_epochs_up_to_max_iter():
    rng = np.random.default_rng(0)

    def n_iter(n_rows, n_features, **parameters):
        X = rng.standard_normal((n_rows, n_features))
        settings = ContractiveAutoencoder(2, hidden_layer_sizes=4, learning_rate=1e-3)
        return settings.set_params(**parameters).fit(X[:-20], X_val=X[-20:]).n_iter_

    assert n_iter(220, 3, batch_size=50) == 200
    assert n_iter(620, 3, batch_size=30) == 40  # 20 batches per epoch
    assert n_iter(220, 60, batch_size=50) == n_iter(220, 3, batch_size=50, alpha=0.0) == 64
    assert n_iter(220, 3, max_iter=2) == 2


@pytest.mark.parametrize(("n_rows", "n_features", "width"), [(90, 3, 64), (300, 3, 150), (900, 3, 256), (900, 60, 240)])
def test_networks_for_few_features_have_a_minimum_width(n_rows, n_features, width):
    X = np.random.default_rng(0).standard_normal((n_rows, n_features))
    fit = ContractiveAutoencoder(2, max_iter=1, random_state=0).fit(X, X_val=X[:9])
    linear = [layer.out_features for layer in fit.encoder_.modules() if isinstance(layer, torch.nn.Linear)]
    assert {width, width // 2} < set(linear)
    given = ContractiveAutoencoder(2, hidden_layer_sizes=7, max_iter=1, random_state=0).fit(X, X_val=X[:9])
    assert 7 in [layer.out_features for layer in given.encoder_.modules() if isinstance(layer, torch.nn.Linear)]


def test_contraction_agrees_with_finite_differences():
    X, X_test = noisy_surface("table")
    fit = ContractiveAutoencoder(4, alpha=3.0, hidden_layer_sizes=16, **QUICK | {"max_iter": 9}).fit(X)
    assert fit.best_epoch_ > 0
    expected = fit.contraction(X_test).mean() * fit.explained_variance_.sum() / fit.transform(X_test).var(axis=0).sum()
    expected *= X_test.var(axis=0).mean() / X.var(axis=0).mean()  # because steps are in units of the test samples
    np.testing.assert_allclose(expected, sensitivity(fit, X_test), rtol=0.1)


@pytest.mark.parametrize("by", [0.3, 3.0])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3], KINDS[6]], ids=str)
def test_penalty_does_not_depend_on_the_scale_of_the_code(kind, by, digits):
    module = ContractiveAutoencoder(4, **QUICK | kind).fit(digits).net_.module_
    x = module.scaler(torch.tensor(digits, dtype=torch.float32))

    def penalty():
        torch.manual_seed(0)  # the same random signs
        return module.losses(x)["contraction"].mean().item()

    before = penalty()
    module.axes.scale.mul_(by)
    np.testing.assert_allclose(penalty(), before, rtol=1e-5)
    module.axes.scale.div_(by)
    *_, last = (layer for layer in module.encoder.modules() if isinstance(layer, torch.nn.Linear))
    with torch.no_grad():
        for layer in {module.encoder.linear, last}:
            layer.weight.mul_(by)
            layer.bias.mul_(by)
    np.testing.assert_allclose(penalty(), before, rtol=0.02)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 30.0])
def test_training_starts_at_pca_with_shrunken_scores(alpha, digits):
    start = ContractiveAutoencoder(4, alpha=alpha, hidden_layer_sizes=(), learning_rate=1e-30, **QUICK).fit(digits)
    pca = PCA(4).fit(digits)
    variance = pca.explained_variance_ / digits.var(axis=0)[digits.var(axis=0) > 0].mean()
    shrunk = variance / (variance + NOISE * alpha)
    # the total variance of the codes is that of PCA's scores
    shrunk *= np.sqrt(variance.sum() / (np.square(shrunk) * variance).sum())
    shown = start.transform(digits)
    np.testing.assert_allclose(shown, pca.transform(digits) * shrunk, atol=1e-3)
    np.testing.assert_allclose(start.inverse_transform(shown), pca.inverse_transform(pca.transform(digits)), atol=1e-3)
    contraction = np.square(shrunk).sum() / (np.square(shrunk) * variance).sum()
    np.testing.assert_allclose(start.contraction(digits), contraction, rtol=1e-4)


def test_alpha_zero_equals_the_plain_autoencoder(digits):
    """Check that a single network has the same initialization and loss, and so the same training."""
    parameters = {"hidden_layer_sizes": 16, "ordered": True, "max_iter": 8, "random_state": 0}
    rows = {"X": digits[:160], "X_val": digits[160:]}
    ours = ContractiveAutoencoder(4, alpha=0.0, **parameters).fit(**rows)
    plain = Autoencoder(4, early_stopping=False, **parameters).fit(**rows)
    np.testing.assert_allclose(ours.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-5)
    linear = ContractiveAutoencoder(4, alpha=0.0, hidden_layer_sizes=(), random_state=0).fit(digits)
    np.testing.assert_allclose(linear.transform(digits), PCA(4).fit_transform(digits), atol=1e-3)


def test_large_weight_leaves_mostly_the_first_component(digits):
    """Check that the first principal component dominates: it is the linear code with the smallest contraction."""
    fit = ContractiveAutoencoder(4, alpha=1e6, hidden_layer_sizes=(), **QUICK | {"max_iter": 15}).fit(digits)
    variance = PCA(4).fit(digits).explained_variance_ / digits.var(axis=0)[digits.var(axis=0) > 0].mean()
    assert 1 / variance[0] <= fit.contraction(digits).mean() * 1.001 < 1.2 / variance[0]
    assert fit.explained_variance_[0] > 0.5 * fit.explained_variance_.sum()


def test_total_variance_of_codes_is_that_of_pca(digits):
    fit = ContractiveAutoencoder(4, alpha=10.0, hidden_layer_sizes=16, **QUICK | {"max_iter": 9}).fit(digits)
    assert fit.best_epoch_ > 0
    np.testing.assert_allclose(fit.explained_variance_.sum(), PCA(4).fit(digits).explained_variance_.sum(), rtol=1e-3)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_duplicate_and_constant_samples_have_a_finite_contraction(batch_size, digits):
    X = np.repeat(digits[:20], 2, axis=0)
    fit = ContractiveAutoencoder(4, hidden_layer_sizes=8, batch_size=batch_size, **QUICK).fit(X)
    fit.partial_fit(X[:1]).partial_fit(X[:2])
    assert np.isfinite(fit.contraction(X)).all()
    assert fit.score(X) > PCA(4).fit(X).explained_variance_ratio_.sum() - 0.1
    flat = ContractiveAutoencoder(2, hidden_layer_sizes=8, **QUICK).fit(np.ones((30, 3)))
    assert (flat.contraction(np.ones((3, 3))) == 0).all()


def test_training_after_a_random_initialization_continues(digits):
    """Check that training continues although codes have axes after `fit`, but not during `fit`."""
    ours = ContractiveAutoencoder(4, hidden_layer_sizes=16, init="random", max_iter=2, random_state=0).fit(digits)
    before = ours.score(digits)
    for _ in range(5):
        ours.partial_fit(digits)
    assert ours.score(digits) > before
    assert ours.set_params(warm_start=True, max_iter=5).fit(digits).score(digits) > before


def test_invalid_parameters_raise(digits):
    with pytest.raises(ValueError, match="'alpha' parameter"):
        ContractiveAutoencoder(alpha=-1).fit(digits)
    with pytest.raises(ValueError, match="'contraction_method' parameter"):
        ContractiveAutoencoder(contraction_method="closed").fit(digits)
