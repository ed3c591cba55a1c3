"""The Jacobian's norm, against autograd's whole Jacobian; where training starts; what the weight does."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from skae import ContractiveAutoencoder
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


def by_autograd(estimator, X):
    """Norms of the whole Jacobian of what `transform` shows, in scaled units and before whitening."""
    encoder = estimator._modules["float64"]
    x = encoder.scaler(torch.tensor(X))

    def shown(x):
        code = encoder.code(encoder.encoder(x))
        if encoder.axes is None:
            return code
        return encoder.axes(code) * encoder.axes.deviation / encoder.unit

    return np.array([torch.autograd.functional.jacobian(shown, row[None]).square().sum().item() for row in x])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.slow
def test_the_contraction_is_autograds(kind, digits):
    estimator = ContractiveAutoencoder(4, **QUICK | kind).fit(digits)
    ours = estimator.contraction(digits[:20])
    np.testing.assert_allclose(ours, by_autograd(estimator, digits[:20]), rtol=1e-9)
    np.testing.assert_allclose(estimator.contraction(digits[:20].astype(np.float32)), ours, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS[3:6], ids=str)
@pytest.mark.slow
def test_the_penalty_is_exact_or_unbiased(kind, digits):
    estimator = ContractiveAutoencoder(4, contraction_method="exact", alpha=0.3, **QUICK | kind).fit(digits)
    module = estimator._modules["float64"]
    x = module.scaler(torch.tensor(digits[:20]))
    exact = module.losses(x)["contraction"].detach().numpy()
    np.testing.assert_allclose(exact, 0.3 * estimator.contraction(digits[:20]), rtol=1e-9)
    torch.manual_seed(0)
    draws = np.stack([module.contraction(x, "estimate").detach().numpy() for _ in range(2000)])
    error = draws.std(axis=0) / np.sqrt(len(draws))
    z = (0.3 * draws.mean(axis=0) - exact) / np.maximum(0.3 * error, 1e-9)
    assert abs(z.mean()) < 3 / np.sqrt(len(z))
    assert abs(z).max() < 4


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_penalty_has_a_gradient(kind, digits):
    module = ContractiveAutoencoder(4, **QUICK | kind).fit(digits).net_.module_.train()
    x = module.scaler(torch.tensor(digits, dtype=torch.float32))
    module.losses(x)["contraction"].mean().backward()
    gradients = [weight.grad for weight in module.encoder.parameters() if weight.grad is not None]
    assert sum(gradient.abs().sum() for gradient in gradients) > 0


@pytest.mark.parametrize("alpha", [0.0, 0.1, 3.0])
def test_training_starts_at_the_linear_optimum(alpha, digits):
    start = ContractiveAutoencoder(4, alpha=alpha, hidden_layer_sizes=(), learning_rate=1e-30, **QUICK).fit(digits)
    pca = PCA(4).fit(digits)
    variance = pca.explained_variance_ / digits.var(axis=0)[digits.var(axis=0) > 0].mean()
    shrunk = variance / (variance + alpha)
    np.testing.assert_allclose(start.transform(digits), pca.transform(digits) * shrunk, atol=1e-3)
    np.testing.assert_allclose(start.contraction(digits), np.square(shrunk).sum(), rtol=1e-4)


def test_the_linear_optimum_is_one(digits):
    started, trained = (
        ContractiveAutoencoder(
            4, hidden_layer_sizes=(), learning_rate=rate, max_iter=60, random_state=0, validation_fraction=0.6
        ).fit(digits)
        for rate in (1e-30, 1e-2)
    )
    assert min(trained.loss_curve_) > started.loss_curve_[0] * 0.998


@pytest.mark.slow
def test_contraction_and_reconstruction_fall_with_the_weight(digits):
    fits = [
        ContractiveAutoencoder(4, hidden_layer_sizes=32, alpha=alpha, max_iter=10, random_state=0).fit(digits)
        for alpha in (1e-3, 1e-1, 1.0, 10.0)
    ]
    assert (np.diff([fit.contraction(digits).mean() for fit in fits]) < 0).all()
    assert (np.diff([fit.score(digits) for fit in fits]) < 0).all()


def test_the_decoders_columns_do_not_grow(digits):
    fitted = ContractiveAutoencoder(4, hidden_layer_sizes=16, alpha=1.0, max_iter=20, random_state=0).fit(digits)
    module = fitted.net_.module_
    assert fitted.best_epoch_ > 0
    assert (module.decoder.linear.weight.norm(dim=0) <= module.lengths * (1 + 1e-5)).all()


def test_what_starts_at_random_goes_on(digits):
    """Its codes are shown in axes, as others are, but its decoder has no linear map whose columns could grow."""
    ours = ContractiveAutoencoder(4, hidden_layer_sizes=16, init="random", max_iter=2, random_state=0).fit(digits)
    before = ours.score(digits)
    for _ in range(5):
        ours.partial_fit(digits)
    assert ours.score(digits) > before
    assert ours.set_params(warm_start=True, max_iter=5).fit(digits).score(digits) > before


def test_bad_parameters(digits):
    with pytest.raises(ValueError, match="'alpha' parameter"):
        ContractiveAutoencoder(alpha=-1).fit(digits)
    with pytest.raises(ValueError, match="'contraction_method' parameter"):
        ContractiveAutoencoder(contraction_method="closed").fit(digits)
