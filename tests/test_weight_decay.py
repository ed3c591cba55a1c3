"""The weight decay is reduced if the loss falls far below the initial one, and only then."""

import numpy as np
import pytest
from skorch.callbacks import Callback

from skae import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

NET = {"max_iter": 30, "random_state": 0, "early_stopping": False}


class Recorder(Callback):
    """Records the weight decay in each epoch."""

    def on_train_begin(self, net, **kwargs):  # noqa: ARG002
        self.decays = []

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002
        self.decays.append(max(group["weight_decay"] for group in net.optimizer_.param_groups))


def decays_of(estimator, X):
    """Fit, and return the weight decay in each epoch and after the fit."""
    net = estimator.set_params(callbacks=[Recorder()]).fit(X).net_
    decays = dict(net.callbacks_)["Recorder"].decays
    return decays, max(group["weight_decay"] for group in net.optimizer_.param_groups)


def parabola():
    x = np.random.default_rng(0).random(2500)
    return np.column_stack([x, 4 * (x - 0.5) ** 2])


def sheet():
    x, y = np.random.default_rng(0).random((2, 2500))
    return np.column_stack([x, 0.3 * y, 4 * (x - 0.5) ** 2])


def noise():
    return np.random.default_rng(0).normal(size=(2500, 3))


@pytest.mark.parametrize("weight_decay", [0.3, 1.0])
def test_weight_decay_is_reduced_as_the_validation_loss_falls(weight_decay):
    X = parabola()
    estimator = Autoencoder(1, **NET, weight_decay=weight_decay)
    decays, after = decays_of(estimator, X)
    pca = Autoencoder(1, hidden_layer_sizes=()).fit(X)
    initial = np.square(X - pca.reconstruct(X)).sum(axis=1).mean() / X.var(axis=0).max()
    ratios = np.array(estimator.validation_loss_curve_) / initial  # to the accuracy of the validation sample
    expected = weight_decay * np.minimum(1.0, 2 * ratios[:-1]) ** 2
    assert decays[0] == weight_decay
    np.testing.assert_allclose(decays[1:], expected, rtol=0.2)
    assert min(decays) < weight_decay / 10
    assert after == pytest.approx(weight_decay)


@pytest.mark.parametrize(
    ("estimator", "make"),
    [
        (Autoencoder(1, **NET), noise),
        (DenoisingAutoencoder(1, **NET), parabola),
        (VariationalAutoencoder(1, **NET), sheet),
        (Autoencoder(1, **NET, loss="binary_cross_entropy"), parabola),
        (Autoencoder(1, **NET, net_params={"optimizer__weight_decay": 0.3}), parabola),
    ],
    ids=["noise", "denoising", "variational", "likelihood", "net_params"],
)
def test_weight_decay_is_constant(estimator, make):
    decays, after = decays_of(estimator, make())
    assert {*decays, after} == {0.3}
