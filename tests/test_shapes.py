"""Errors for arrays with more than two dimensions, and warnings about inferred shapes of samples."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    Autoencoder,
    AutoencoderOutlierDetector,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LatentSampler,
    LSTMAutoencoder,
    SparseAutoencoder,
)
from skae._data.readers import ArrayReader
from skae._shapes import warn_if_shape_is_unlikely
from skae.architectures import Convolutional, Recurrent

TINY = {"max_iter": 1, "hidden_layer_sizes": 4, "random_state": 0}
WINDOWS = np.random.RandomState(0).rand(24, 6, 2)
IMAGES = np.random.RandomState(0).rand(24, 4, 5, 3)

# More than two dimensions ---------------------------------------------------------------------------------------------

FLAT = r"Pass X\.reshape\(len\(X\), -1\)"
ARRAYS = {
    "windows": (LSTMAutoencoder(2, **TINY), WINDOWS, FLAT + r".*and set sequence_shape=\(6, 2\)\."),
    "four dimensions": (LSTMAutoencoder(2, **TINY), IMAGES, FLAT + r".* sequence_shape=\(4, 15\)"),
    "other shape": (LSTMAutoencoder(2, sequence_shape=(3, 4), **TINY), WINDOWS, FLAT + r".* sequence_shape=\(6, 2\)"),
    "set": (
        LSTMAutoencoder(2, sequence_shape=(6, 2), **TINY),
        WINDOWS,
        FLAT + r", with one flattened sample per row\.$",
    ),
    "gray": (ConvolutionalAutoencoder(2, **TINY), WINDOWS, FLAT + r".*and set image_shape=\(6, 2\)\."),
    "color": (ConvolutionalAutoencoder(2, **TINY), IMAGES, FLAT + r".* image_shape=\(4, 5, 3\)"),
    "channels first": (
        ConvolutionalAutoencoder(2, **TINY),
        IMAGES.transpose(0, 3, 1, 2),
        r"X\.transpose\(0, 2, 3, 1\)\.reshape\(len\(X\), -1\).* image_shape=\(4, 5, 3\)",
    ),
    "video": (ConvolutionalAutoencoder(2, **TINY), IMAGES[None].repeat(2, 0), FLAT),
    "part": (
        DenoisingAutoencoder(2, architecture=Convolutional(), **TINY),
        WINDOWS,
        FLAT + r".*and set architecture__image_shape=\(6, 2\)\.",
    ),
    "plain": (
        Autoencoder(2, **TINY),
        WINDOWS,
        FLAT + r".* ConvolutionalAutoencoder\(image_shape=\(6, 2\)\) and LSTMAutoencoder\(sequence_shape=\(6, 2\)\)",
    ),
    "sparse": (SparseAutoencoder(4, max_iter=1), IMAGES, FLAT + r".*\(image_shape=\(4, 5, 3\)\)"),
    "list": (LSTMAutoencoder(2, **TINY), list(WINDOWS), r"Pass np\.asarray\(X\)\.reshape\(len\(X\), -1\).*\(6, 2\)"),
    "lists": (LSTMAutoencoder(2, **TINY), WINDOWS.tolist(), r"np\.asarray\(X\)\.reshape\(len\(X\), -1\).*\(6, 2\)"),
    "detector": (
        AutoencoderOutlierDetector(LSTMAutoencoder(2, **TINY)),
        WINDOWS,
        FLAT + r".*__sequence_shape=\(6, 2\)",
    ),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_error_says_how_to_flatten_the_array(kind):
    estimator, X, words = ARRAYS[kind]
    words = rf"Found array with dim {np.ndim(X)}, while dim <= 2 is required by {type(estimator).__name__}\. .*{words}"
    for method in ("fit", "partial_fit", "fit_transform"):
        if hasattr(estimator, method):
            with pytest.raises(ValueError, match=words):
                getattr(clone(estimator), method)(X)


@pytest.mark.parametrize("X", [WINDOWS, list(WINDOWS)], ids=["array", "list"])
def test_error_of_fitted_estimators(X):
    rows = WINDOWS.reshape(len(WINDOWS), -1)
    fitted = LSTMAutoencoder(2, sequence_shape=(6, 2), hidden_size=3, **TINY).fit(rows)
    for method in ("transform", "reconstruct", "score", "score_samples", "jacobian", "partial_fit"):
        with pytest.raises(ValueError, match=r"Found array with dim 3.*reshape\(len\(X\), -1\)"):
            getattr(fitted, method)(X)


def test_suggested_reshape_works():
    rows = WINDOWS.reshape(len(WINDOWS), -1)
    assert LSTMAutoencoder(2, sequence_shape=(6, 2), hidden_size=3, **TINY).fit(rows).transform(rows).shape == (24, 2)
    planar = IMAGES.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(planar.transpose(0, 2, 3, 1).reshape(len(planar), -1), IMAGES.reshape(24, -1))


def test_error_for_memory_maps_and_array_likes(tmp_path):
    np.save(tmp_path / "windows.npy", WINDOWS)
    with pytest.raises(ValueError, match=rf"dim 3.*{FLAT}.*sequence_shape=\(6, 2\)"):
        LSTMAutoencoder(2, **TINY).fit(np.load(tmp_path / "windows.npy", mmap_mode="r"))


def test_error_for_other_arrays_with_more_dimensions():
    for X in (WINDOWS[0, 0], [WINDOWS[0], WINDOWS[1, :3]], np.full((5, 4), np.nan)):
        with pytest.raises(ValueError, match=r"^(?!.*reshape\(len).*"):
            LSTMAutoencoder(2, **TINY).fit(X)
    with pytest.raises(ValueError, match="dim 3"):
        LatentSampler(Autoencoder(2, **TINY)).fit(WINDOWS)


# Inferred shapes ------------------------------------------------------------------------------------------------------


def _series(kind, n_steps, rng):
    t = np.arange(n_steps)
    if kind == "sines":
        return np.sin(t * rng.uniform(0.02, 0.4, (200, 1)) + 6 * rng.rand(200, 1))
    if kind == "walks":
        return rng.randn(200, n_steps).cumsum(axis=1)
    if kind == "bumps":
        return np.exp(-np.square((t - n_steps * rng.rand(200, 1)) / 3))
    rows = rng.randn(200, n_steps + 100)
    for step in range(1, n_steps + 100):
        rows[:, step] += 0.9 * rows[:, step - 1]
    return rows[:, 100:]


def _patches(name, side, channels=3):
    image = load_sample_image(name).astype(float)
    patches = extract_patches_2d(image, (side, side), max_patches=200, random_state=0)
    opaque = np.full((*patches.shape[:3], 1), 255.0)
    return {1: patches.mean(axis=-1), 3: patches, 4: np.concatenate([patches, opaque], axis=-1)}[channels]


def _warnings(architecture, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_shape_is_unlikely(architecture, ArrayReader(np.asarray(X).reshape(len(X), -1)))
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("n_steps", [64, 100, 784])
@pytest.mark.parametrize("kind", ["sines", "walks", "bumps", "ar"])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_series_passed_as_images_warn(kind, n_steps, scale):
    X, side = scale * _series(kind, n_steps, np.random.RandomState(0)) + 3 * scale, round(n_steps**0.5)
    (found,) = _warnings(Convolutional(), X)
    assert f"image_shape=None interprets samples of {n_steps} features as gray images of {side} x {side}" in found
    assert f"Set image_shape=(1, {n_steps})" in found
    (found,) = _warnings(Recurrent(), X)
    assert f"as {side} steps of {side} features, but they look like series of {n_steps} steps" in found
    assert f"Set sequence_shape=({n_steps}, 1)" in found
    assert not _warnings(Convolutional(image_shape=(side, side)), X)
    assert not _warnings(Recurrent(sequence_shape=(n_steps, 1)), X)
    assert not _warnings(None, X)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_color_images_passed_as_gray_warn(name):
    (found,) = _warnings(Convolutional(), _patches(name, 16, 4))
    assert "interprets samples of 1024 features as gray images of 32 x 32, but" in found
    assert "Set image_shape=(16, 16, 4)" in found
    (found,) = _warnings(Convolutional(), _patches(name, 32, 3))
    assert "as one sample of 3072 pixels, but" in found
    assert "Set image_shape=(32, 32, 3)" in found
    assert not _warnings(Convolutional(image_shape=(32, 32, 3)), _patches(name, 32, 3))


GRAY = {
    "digits": lambda: load_digits().data,
    "large digits": lambda: zoom(load_digits().images[:200], (1, 3.5, 3.5), order=1),
    "binary digits": lambda: load_digits().data > 8,
    "china": lambda: _patches("china.jpg", 28, 1),
    "flower": lambda: _patches("flower.jpg", 32, 1),
    "channels first": lambda: _patches("china.jpg", 32, 3).transpose(0, 3, 1, 2),
    "smooth": lambda: gaussian_filter(np.random.RandomState(0).randn(200, 20, 20), (0, 2, 2)),
    "stripes": lambda: np.repeat(np.random.RandomState(0).rand(200, 16, 1), 16, axis=2),
    "noise": lambda: np.random.RandomState(0).rand(200, 100),
    "columns": lambda: load_breast_cancer().data[:, :25],
    "constant": lambda: np.ones((50, 64)),
    "few": lambda: _series("walks", 100, np.random.RandomState(0))[:5],
    "days of hours": lambda: np.sin(np.arange(192) * np.pi / 12 + np.random.RandomState(0).rand(200, 1)),
    "quarters": lambda: np.sin(np.arange(100) * np.pi / 2 + 6 * np.random.RandomState(0).rand(200, 1)),
    "huge": lambda: 1e160 * np.random.RandomState(0).rand(50, 64),
}


@pytest.mark.parametrize("kind", GRAY)
def test_correct_shapes_do_not_warn(kind):
    X = np.asarray(GRAY[kind](), dtype=float)
    assert not _warnings(Convolutional(), X)
    assert not _warnings(Recurrent(), X)


def test_tables_do_not_warn():
    for seed in range(60):
        rng = np.random.RandomState(seed)
        n_features = rng.choice([16, 25, 36, 49, 64, 100, 144, 48, 75, 108])
        X = rng.randn(100, 5) @ rng.randn(5, n_features)
        X = X * np.exp(rng.randn(n_features) * rng.choice([0, 1, 2])) + 10 * rng.randn(n_features)
        assert not _warnings(Convolutional(), X) + _warnings(Recurrent(), X)


def test_fit_warns_about_inferred_shape():
    X = _series("walks", 100, np.random.RandomState(0))[:40]
    for estimator, name, shape in (
        (ConvolutionalAutoencoder(2, channels=(2,), **TINY), "image_shape", (1, 100)),
        (LSTMAutoencoder(2, hidden_size=2, **TINY), "sequence_shape", (100, 1)),
    ):
        for fit in ("fit", "partial_fit"):
            with pytest.warns(UserWarning, match=f"{name}=None interprets samples of 100 features"):
                fitted = getattr(clone(estimator), fit)(X)
        assert getattr(fitted, f"{name}_") == (10, 10)
        with_shape = clone(estimator).set_params(**{name: shape}).fit(X)
        assert getattr(with_shape, f"{name}_") == shape
        assert not hasattr(estimator, f"{name}_")
    with pytest.warns(UserWarning, match="image_shape=None interprets samples of 100 features"):
        make_pipeline(StandardScaler(), Autoencoder(2, architecture=Convolutional(channels=(2,)), **TINY)).fit(X)
