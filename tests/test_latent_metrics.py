"""Latent-space metrics, compared with known values for the identity, linear maps and shuffled codes."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors

from skae import VariationalAutoencoder
from skae.metrics import active_units, decoder_smoothness, sample_precision_recall

NORMAL = np.random.RandomState(0).randn(4000, 3)


class Map(BaseEstimator):
    """A decoder that is an arbitrary function."""

    def __init__(self, function):
        self.function = function

    def inverse_transform(self, X):
        return self.function(X)


def nearest(codes, rows):
    """Return a decoder that looks up samples by their codes."""
    index = NearestNeighbors(n_neighbors=1).fit(codes)
    return Map(lambda X: rows[index.kneighbors(X)[1][:, 0]])


# Smoothness ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", [np.eye(3), 1e3 * np.eye(3), np.random.RandomState(1).randn(3, 7)])
def test_smoothness_of_linear_decoder_is_one(matrix):
    assert decoder_smoothness(Map(lambda X: X @ matrix), NORMAL, random_state=0) == pytest.approx(1, abs=0.05)
    scales = np.array([1.0, 10.0, 0.1])
    assert decoder_smoothness(Map(lambda X: X / scales), NORMAL * scales, random_state=0) == pytest.approx(1, abs=0.05)


def test_smoothness_of_sine_agrees_with_closed_form():
    # Var sin(a z) = (1 - exp(-2 a²)) / 2, and E (a cos(a z))² = a² (1 + exp(-2 a²)) / 2
    for a in (0.5, 1.0, 3.0):
        expected = (1 - np.exp(-2 * a**2)) / (a**2 * (1 + np.exp(-2 * a**2)))
        z = np.random.RandomState(0).randn(200_000, 1)
        found = decoder_smoothness(Map(lambda X, a=a: np.sin(a * X)), z, step=1e-3, random_state=0)
        assert found == pytest.approx(expected, rel=0.02)


def test_smoothness_of_shuffled_codes_is_low():
    rows, shuffled = NORMAL, np.random.RandomState(2).permutation(NORMAL)
    in_place = decoder_smoothness(nearest(NORMAL, rows), NORMAL, step=0.5, random_state=0)
    mixed = decoder_smoothness(nearest(NORMAL, shuffled), NORMAL, step=0.5, random_state=0)
    assert in_place > 0.8
    assert mixed < 0.25


def test_smoothness_edge_cases():
    assert decoder_smoothness(Map(lambda X: np.ones((len(X), 2))), NORMAL) == 1
    with pytest.raises(ValueError, match="step == 0, must be > 0"):
        decoder_smoothness(Map(lambda X: X), NORMAL, step=0)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        decoder_smoothness(Map(lambda X: X), NORMAL[:1])


# Precision and recall ------------------------------------------------------------------------------------------------


def test_precision_and_recall_of_identical_samples_are_one():
    assert sample_precision_recall(NORMAL, NORMAL) == (1.0, 1.0)


def test_precision_and_recall_agree_with_definition():
    rng = np.random.RandomState(0)
    X, drawn = rng.randn(40, 2), rng.randn(30, 2) * 0.5

    def fraction(A, B, k):
        radii = [sorted(np.linalg.norm(A - a, axis=1))[k] for a in A]
        return np.mean([any(np.linalg.norm(b - a) <= r for a, r in zip(A, radii, strict=True)) for b in B])

    for k in (1, 3, 5):
        assert sample_precision_recall(X, drawn, n_neighbors=k) == (fraction(X, drawn, k), fraction(drawn, X, k))


def test_precision_and_recall_of_too_similar_and_too_diverse_samples():
    rng = np.random.RandomState(0)
    two = np.concatenate([rng.randn(500, 2), 50 + rng.randn(500, 2)])
    precision, recall = sample_precision_recall(two, rng.randn(1000, 2))
    assert precision > 0.95
    assert 0.4 < recall < 0.55
    precision, recall = sample_precision_recall(rng.randn(1000, 2), two)
    assert 0.4 < precision < 0.55
    assert recall > 0.95
    assert sample_precision_recall(two, two - 1e4) == (0.0, 0.0)


def test_invalid_samples_raise():
    with pytest.raises(ValueError, match="X_drawn has 2 features, but X has 3"):
        sample_precision_recall(NORMAL, NORMAL[:, :2])
    with pytest.raises(ValueError, match=r"n_neighbors=3 requires more than 3 samples, but X or X_drawn has 3"):
        sample_precision_recall(NORMAL, NORMAL[:3])
    with pytest.raises(ValueError, match="n_neighbors == 0"):
        sample_precision_recall(NORMAL, NORMAL, n_neighbors=0)


# Active units --------------------------------------------------------------------------------------------------------


def test_active_units_of_a_variational_autoencoder(digits):
    vae = VariationalAutoencoder(6, hidden_layer_sizes=(16,), max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        vae.set_params(beta=6.0).fit(digits)
    active = active_units(vae.transform(digits))
    np.testing.assert_array_equal(active, vae.active_units_)
    assert 0 < active.sum() < 6


def test_active_units_of_pca():
    codes = PCA(3).fit_transform(NORMAL * [1.0, 0.3, 0.01])
    assert active_units(codes).tolist() == [True, True, False]
    assert active_units(codes, threshold=0.5).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="threshold == -1"):
        active_units(codes, threshold=-1)
