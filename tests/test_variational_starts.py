"""Initialization of variational autoencoders where PCA gives none, and bounds of their means."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skae import VariationalAutoencoder

QUICK = {"hidden_layer_sizes": 16, "max_iter": 4, "random_state": 0}
RNG = np.random.RandomState(0)
GAUSSIAN = RNG.standard_normal((400, 3)) @ RNG.standard_normal((3, 8)) + 0.5 * RNG.standard_normal((400, 8)) + 1e3


def linear(k, **parameters):
    return VariationalAutoencoder(k, hidden_layer_sizes=(), random_state=0, **parameters)


# Isotropic data, for which PCA gives no initialization --------------------------------------------------------------


def rotated(points, d, rng, noise=0.02):
    basis = np.linalg.qr(rng.standard_normal((d, points.shape[1])))[0]
    return points @ basis.T + noise * rng.standard_normal((len(points), d))


def waves(*phases):
    return np.concatenate([of(phase) for phase in phases for of in (np.cos, np.sin)], axis=1)


def isotropic(kind, n, rng):
    """Return samples of low intrinsic dimension whose covariance is, up to chance, a multiple of the identity."""
    t, u = rng.uniform(0, 2 * np.pi, (2, n, 1))
    if kind == "sphere":
        points = rng.standard_normal((n, 3))
        return rotated(points / np.linalg.norm(points, axis=1, keepdims=True), 3, rng)
    if kind == "closed curve":
        return rotated(waves(*(j * t for j in range(1, 6))), 10, rng)
    if kind == "torus":
        return rotated(waves(t, u, t + u, t - u), 8, rng)
    if kind == "one of eight":
        return rotated(np.eye(8)[rng.randint(8, size=n)], 8, rng)
    cube, fixed = rng.uniform(-1, 1, (n, 3)), np.random.RandomState(5)
    hidden = np.tanh(3 * cube @ fixed.standard_normal((3, 64)) + fixed.standard_normal(64))
    white = np.linalg.svd(hidden - hidden.mean(axis=0), full_matrices=False)[0][:, :12] * np.sqrt(n)
    return white + 0.05 * rng.standard_normal((n, 12))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:1 of 3 components have collapsed")  # a sphere has two dimensions
@pytest.mark.parametrize(
    ("kind", "k", "least"),
    [
        ("sphere", 2, 0.8),
        ("sphere", 3, 0.9),
        ("closed curve", 1, 0.5),
        ("closed curve", 2, 0.9),
        ("torus", 2, 0.7),
        ("torus", 4, 0.9),
        ("one of eight", 2, 0.9),
        ("cube", 3, 0.7),
    ],
)
def test_isotropic_data_do_not_remain_collapsed(kind, k, least):
    X = isotropic(kind, 4000, np.random.RandomState(0))
    train, test = X[::2], X[1::2]
    vae = VariationalAutoencoder(k, random_state=0).fit(train)
    assert vae.best_epoch_ > 0
    assert vae.active_units_.sum() >= min(k, 2)
    assert vae.score(test) > least
    assert (
        vae.log_likelihood(test, 1, random_state=0).mean() > linear(k).fit(train).log_likelihood(test, 1).mean() + 0.2
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_random_restart_is_trained_where_pca_has_a_useless_component(digits, monkeypatch):
    flat, trained = isotropic("torus", 400, np.random.RandomState(0)), []
    new_members = VariationalAutoencoder._new_members

    def seen(self, *args):
        members = new_members(self, *args)
        trained.append(("_random_init" in members, {module.kl_weight.item() for module, _ in members.values()}))
        return members

    monkeypatch.setattr(VariationalAutoencoder, "_new_members", seen)
    for X, k, has_restart in ((flat, 2, True), (flat, 5, True), (digits, 4, False), (GAUSSIAN, 3, False)):
        VariationalAutoencoder(k, hidden_layer_sizes=8, max_iter=1, random_state=0).fit(X)
        assert trained.pop() == (has_restart, {0.0 if has_restart else 1.0})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("n", "expected"), [(2000, 200), (640, 200), (64, 200)])
def test_random_restart_has_more_epochs(n, expected, monkeypatch):
    seen = []
    monkeypatch.setattr("skae._core.train", lambda *_, max_iter, **__: seen.append(max_iter) or 1 / 0)
    rng = np.random.RandomState(0)
    for X in (isotropic("torus", n, rng), GAUSSIAN[rng.randint(400, size=n)]):
        with pytest.raises(ZeroDivisionError):
            VariationalAutoencoder(2, random_state=0).fit(X)
    assert seen == [expected, {2000: 40, 640: 40, 64: 200}[n]]


def test_collapsed_initialization_warns():
    X = np.random.RandomState(0).standard_normal((300, 8))
    with pytest.warns(
        ConvergenceWarning, match=r"No epoch improved .* 2 of 2 of its components .*: 0, 1\. .* Raise max_iter"
    ):
        VariationalAutoencoder(2, **QUICK).fit(X)


# Bounds of the data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "init"), [("global", "pca"), ("standard", "random"), (None, "pca")])
def test_means_are_clipped_to_range_of_features(scale, init, digits, tmp_path):
    # the last feature has no bounds
    X = np.c_[digits[:, :40] / 4 - 1, np.random.RandomState(0).standard_normal((len(digits), 1))]
    vae = VariationalAutoencoder(4, scale=scale, init=init, **QUICK | {"max_iter": 9, "cv": 2}).fit(X)
    assert vae.best_epoch_ > 0
    low, high = vae._spec.formula["bounds"]
    assert np.isinf([low[-1], high[-1]]).all()
    assert (low[:-1] == -1).all() or (np.isinf(low[:-1]) | (low[:-1] == -1)).sum() == 40
    for means in (vae.reconstruct(X), vae.sample(300, random_state=0), vae.vary(X, 3.0, random_state=0)[:, 0]):
        assert (means >= low - 1e-5).all()
        assert (means <= high + 1e-5).all()
        assert (means[:, :-1] < -0.999).any()  # the bound is attained
    vae.save(tmp_path / "vae.skops")
    for same in (pickle.loads(pickle.dumps(vae)), VariationalAutoencoder.load(tmp_path / "vae.skops")):
        np.testing.assert_array_equal(same.reconstruct(X), vae.reconstruct(X))
    if init == "pca":
        decoded = vae.decoder_(torch.tensor(vae.transform(X), dtype=torch.float32)).detach()
        np.testing.assert_allclose(decoded, vae.reconstruct(X), atol=1e-4)


def test_exceeded_bound_is_removed(digits):
    vae = VariationalAutoencoder(3, **QUICK).fit(digits)
    beyond = digits.copy()
    beyond[3, 20] = -7.0
    low = vae._spec.formula["bounds"][0]
    assert low[20] == 0
    vae.partial_fit(beyond)
    now = vae._spec.formula["bounds"][0]
    assert now[20] == -np.inf
    np.testing.assert_array_equal(np.delete(now, 20), np.delete(low, 20))


def test_refit_recomputes_bounds(digits):
    vae = VariationalAutoencoder(2, **QUICK).fit(digits)
    narrow = digits[:, 20:] + 3
    vae.fit(narrow)
    low = vae._spec.formula["bounds"][0]
    at_low = (narrow == narrow.min(axis=0)).sum(axis=0) >= 0.05 * len(narrow)
    np.testing.assert_array_equal(low, np.where(at_low, narrow.min(axis=0), -np.inf))
    vae.set_params(warm_start=True, max_iter=1).fit(narrow - 1)  # training continues, with samples beyond each bound
    assert np.isinf(vae._spec.formula["bounds"][0]).all()


def test_continuous_features_have_no_bounds(digits):
    assert VariationalAutoencoder(2, **QUICK).fit(GAUSSIAN)._spec.formula["bounds"] is None
    assert linear(2).fit(digits)._spec.formula["bounds"] is None  # probabilistic PCA has none
