"""Feature importances."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectFromModel

from skae import Autoencoder, VariationalAutoencoder


def test_importances_of_linear_autoencoder_follow_from_its_components(digits):
    ours = Autoencoder(5, hidden_layer_sizes=()).fit(digits)
    sensitivity = np.square(PCA(5).fit(digits).components_).sum(axis=0) * digits.var(axis=0)
    np.testing.assert_allclose(ours.feature_importances_, sensitivity / sensitivity.sum(), atol=1e-12)


def test_importances_are_mean_squared_derivatives(small, digits):
    X = digits[:30]
    fitted = small.fit(X)
    step = 1e-5
    squares = np.zeros(X.shape[1])
    for j in range(X.shape[1]):
        up, down = X.copy(), X.copy()
        up[:, j] += step
        down[:, j] -= step
        squares[j] = np.square((fitted.transform(up) - fitted.transform(down)) / (2 * step)).sum(axis=1).mean()
    expected = squares * X.var(axis=0)
    expected = expected / expected.sum() if expected.sum() > 0 else expected
    np.testing.assert_allclose(fitted.feature_importances_, expected, atol=2e-3)
    assert fitted.feature_importances_.shape == (64,)


def test_importances_of_standardized_features_do_not_depend_on_units(digits):
    X = digits[:, digits.var(axis=0) > 0]
    settings = {"hidden_layer_sizes": (16,), "max_iter": 3, "scale": "standard", "random_state": 0}
    units = np.geomspace(0.01, 100, X.shape[1])
    one, two = (Autoencoder(4, **settings).fit(rows).feature_importances_ for rows in (X, X * units))
    np.testing.assert_allclose(one, two, rtol=1e-4)


def test_uninformative_features_have_low_importance():
    rng = np.random.RandomState(0)
    informative = np.repeat(rng.randn(200, 2), 3, axis=1)
    X = np.c_[informative + 0.1 * rng.randn(200, 6), 0.1 * rng.randn(200, 4), np.ones((200, 1))]
    ours = Autoencoder(2, max_iter=10, random_state=0).fit(X)
    assert set(np.argsort(-ours.feature_importances_)[:6]) == set(range(6))
    assert ours.feature_importances_[10] == 0
    assert ours.feature_importances_.sum() == pytest.approx(1)
    selected = SelectFromModel(Autoencoder(2, max_iter=10, random_state=0)).fit(X).get_support(indices=True)
    assert set(selected) <= set(range(6))
    assert Autoencoder(1).fit(np.ones((5, 3))).feature_importances_.tolist() == [0, 0, 0]


def test_importances_are_updated_by_partial_fit(digits):
    vae = VariationalAutoencoder(3, hidden_layer_sizes=(8,), random_state=0)
    first = vae.partial_fit(digits[:100]).feature_importances_
    assert not np.array_equal(first, vae.partial_fit(digits[100:]).feature_importances_)
