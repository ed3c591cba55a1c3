"""Reconstructions of images stay within the range of the training samples for pixels that are often at its limits."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from skae import Autoencoder, ConvolutionalAutoencoder, DenoisingAutoencoder
from skae.architectures import Convolutional

QUICK = {"channels": (4, 8), "hidden_layer_sizes": (16,), "max_iter": 4, "cv": 2, "random_state": 0}


def blobs(n, shape, seed=0):
    """Return blurred squares at random places on black, in [0, 1], (n, number of pixels)."""
    rng = np.random.RandomState(seed)
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width]
    centers = rng.rand(2, n, 1, 1) * [[[[height]]], [[[width]]]]
    images = np.clip(2.5 - np.maximum(np.abs(y - centers[0]), np.abs(x - centers[1])), 0, 1)
    return (images[..., None] * rng.rand(n, 1, 1, *(shape[2:] or [1])).round(1)).reshape(n, -1)


@pytest.mark.parametrize(
    ("shape", "unit", "origin", "dtype", "more"),
    [
        ((8, 8), 1.0, 0.0, np.float64, {}),
        ((8, 8), 255.0, 0.0, np.float32, {"init": "random"}),
        ((5, 7), 1e-6, 3e-6, np.float64, {"loss": "absolute_error"}),
        ((6, 4, 3), 1.0, -0.5, np.float32, {"scale": "standard"}),
        ((1, 30), -40.0, 1e4, np.float64, {"scale": None, "downsampling": "max_pool"}),  # black on white
        ((8, 8), 16.0, 0.0, np.float64, {"ordered": True, "loss": "huber"}),
    ],
)
def test_reconstructions_stay_within_the_range_of_bounded_pixels(shape, unit, origin, dtype, more, tmp_path):
    X, X_new = ((origin + unit * blobs(n, shape, seed)).astype(dtype) for seed, n in enumerate((200, 60)))
    low, high = X.min(axis=0), X.max(axis=0)
    black = low if unit > 0 else high
    images = ConvolutionalAutoencoder(4, image_shape=shape, **QUICK | more).fit(X)
    assert images.best_epoch_ > 0
    noise = np.random.RandomState(0).standard_normal((60, images.n_components_))
    codes = images.transform(X_new)
    far = (codes + 5 * noise * codes.std(axis=0)).astype(dtype)
    for X_hat in (images.reconstruct(X_new), images.inverse_transform(far), images.reconstruct(X_new[:, ::-1])):
        assert ((X_hat >= low) if unit > 0 else (X_hat <= high)).all()  # without a tolerance
        assert (X_hat == black).any() or more.get("init") == "random"
    images.save(tmp_path / "images.skops")
    for same in (pickle.loads(pickle.dumps(images)), ConvolutionalAutoencoder.load(tmp_path / "images.skops")):
        np.testing.assert_array_equal(same.reconstruct(X_new), images.reconstruct(X_new))
    halves = images.decoder_(images.encoder_(torch.tensor(X_new, dtype=torch.float32))).detach()
    np.testing.assert_allclose(halves, images.reconstruct(X_new), atol=1e-4 * (abs(unit) + abs(origin)))


def test_bounds_improve_the_score(monkeypatch):
    X, X_val, X_new = (blobs(300, (8, 8), seed) for seed in range(3))
    images = ConvolutionalAutoencoder(6, **QUICK | {"max_iter": 12, "cv": None})
    bounded = images.fit(X, X_val=X_val).score(X_new)
    monkeypatch.setattr(Convolutional, "has_bounds", False)
    assert bounded > images.fit(X, X_val=X_val).score(X_new) + 0.01


def test_convolutional_class_equals_its_architecture():
    X = blobs(200, (8, 8))
    own = {name: value for name, value in QUICK.items() if name != "channels"}
    one, two = ConvolutionalAutoencoder(3, **QUICK), Autoencoder(3, architecture=Convolutional(channels=(4, 8)), **own)
    np.testing.assert_array_equal(one.fit(X).reconstruct(X), two.fit(X).reconstruct(X))


def test_initialization_without_improvement_is_pca_without_bounds(monkeypatch):
    X = blobs(200, (8, 8))
    images = ConvolutionalAutoencoder(3, **QUICK | {"learning_rate": 1e-30}).fit(X)
    pca = PCA(3).fit(X)
    assert images.best_epoch_ == 0
    np.testing.assert_allclose(images.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-9)
    assert images.reconstruct(X).min() < -0.05
    loaded = pickle.loads(pickle.dumps(images))
    np.testing.assert_array_equal(loaded.reconstruct(X), images.reconstruct(X))
    monkeypatch.setattr(ConvolutionalAutoencoder, "_is_shown", lambda *_: False)
    stream = ConvolutionalAutoencoder(3, **QUICK).partial_fit(X)
    np.testing.assert_allclose(stream.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-6)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_bounds_that_new_samples_exceed_are_dropped(how):
    X = blobs(300, (8, 8))
    images = ConvolutionalAutoencoder(3, **QUICK | {"warm_start": how == "warm_start"}).fit(X)
    assert images.reconstruct(X).min() == 0
    beyond = X.copy()
    beyond[:150, 20] -= 1.0
    (images.partial_fit if how == "partial_fit" else images.fit)(beyond)
    low = images._spec.bounds[0]
    assert low[20] == -np.inf
    assert (np.delete(low, 20) == 0).all()


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(3, hidden_layer_sizes=(8,), max_iter=3, random_state=0),
        Autoencoder(3, architecture=Convolutional(channels=(4,)), loss="binary_cross_entropy", max_iter=2),
        ConvolutionalAutoencoder(0),
    ],
)
def test_other_networks_have_no_bounds(estimator):
    X = blobs(100, (8, 8))
    assert estimator.fit(X)._spec.bounds is None


def test_continuous_measurements_have_no_bounds():
    X = np.random.RandomState(0).standard_normal((100, 64))
    assert ConvolutionalAutoencoder(3, **QUICK).fit(X)._spec.bounds is None


def test_denoiser_of_pairs_has_the_bounds_of_clean_samples():
    X = blobs(200, (8, 8))
    X_noisy = X + 0.5 * np.random.RandomState(0).standard_normal(X.shape)
    own = {name: value for name, value in QUICK.items() if name != "channels"}
    denoiser = DenoisingAutoencoder(8, architecture=Convolutional(channels=(4, 8)), **own).fit(X_noisy, X)
    assert denoiser.best_epoch_ > 0
    assert denoiser.reconstruct(X_noisy).min() == 0
