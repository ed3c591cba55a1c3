"""Displays of generated samples, and of the errors of features of anomalous samples."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from test_inspection import IRIS, TINY, X, picture

import skae
from skae import Autoencoder, VariationalAutoencoder
from skae.inspection import FeatureErrorsDisplay, SamplesDisplay


@pytest.fixture(autouse=True)
def _closed():
    yield
    for number in plt.get_fignums():
        plt.figure(number).draw_without_rendering()  # a layout that fails warns, and a warning is an error
    plt.close("all")


@pytest.fixture(scope="module")
def plain():
    return Autoencoder(3, **TINY).fit(X)


@pytest.fixture(scope="module")
def of_iris():
    return Autoencoder(2, **TINY).fit(IRIS.data)


class TestSamples:
    def test_generated_samples_are_drawn(self):
        sampler = skae.LatentSampler(Autoencoder(3, **TINY), random_state=0).fit(X)
        display = SamplesDisplay.from_estimator(sampler, n_samples=12, random_state=0)
        np.testing.assert_array_equal(display.X, sampler.sample(12, random_state=0))
        assert picture(display.ax_).shape == (2 * 9 - 1, 10 * 9 - 1, 4)
        bars = SamplesDisplay.from_estimator(sampler, n_samples=3, image_shape=())
        assert len(bars.axes_) == 3

    @pytest.mark.filterwarnings("ignore:.* have collapsed")
    def test_samples_of_a_variational_autoencoder_are_drawn(self):
        model = VariationalAutoencoder(2, **TINY).fit(IRIS.data)
        display = SamplesDisplay.from_estimator(model, n_samples=2, random_state=0)
        assert [text.get_text() for text in display.axes_[-1].get_xticklabels()] == list(IRIS.data.columns)

    def test_interpolation_is_linear_in_the_code(self, plain):
        display = SamplesDisplay.from_interpolation(plain, X[0], X[1], n_steps=5)
        np.testing.assert_allclose(display.X[[0, -1]], plain.reconstruct(X[:2]))
        codes = plain.transform(X[:2])
        np.testing.assert_allclose(display.X[2], plain.inverse_transform(codes.mean(axis=0)[None])[0], rtol=1e-6)
        SamplesDisplay.from_interpolation(PCA(2).fit(X), X[0], X[1])

    def test_invalid_input_raises(self, plain):
        with pytest.raises(TypeError, match=r"Autoencoder has no method sample. Fit LatentSampler"):
            SamplesDisplay.from_estimator(plain)
        with pytest.raises(ValueError, match="n_steps=1 must be an int of at least 2"):
            SamplesDisplay.from_interpolation(plain, X[0], X[1], n_steps=1)


class TestFeatureErrors:
    def test_errors_of_pixels_are_images(self, plain):
        detector = skae.AutoencoderOutlierDetector(FrozenEstimator(plain)).fit(X)
        display = FeatureErrorsDisplay.from_estimator(detector, X[:3])
        np.testing.assert_array_equal(display.errors, detector.feature_errors(X[:3]))
        assert picture(display.ax_).shape == (2 * 9 - 1, 3 * 9 - 1, 4)

    def test_largest_errors_are_bars(self, of_iris):
        frame = IRIS.data
        detector = skae.AutoencoderOutlierDetector(FrozenEstimator(of_iris)).fit(frame)
        display = FeatureErrorsDisplay.from_estimator(detector, frame[:2], n_features=3)
        for panel, row in zip(display.axes_, detector.feature_errors(frame[:2]).to_numpy(), strict=True):
            np.testing.assert_allclose([bar.get_width() for bar in panel.patches], np.sort(row)[-3:])
        names = [text.get_text() for text in display.axes_[0].get_yticklabels()]
        assert names[-1] == detector.feature_errors(frame[:1]).iloc[0].idxmax()

    def test_infinite_errors_have_bars_of_finite_width(self):
        display = FeatureErrorsDisplay(np.array([[np.inf, 1.0]])).plot()
        assert [bar.get_width() for bar in display.ax_.patches] == [1, 1]

    def test_invalid_input_raises(self, plain, of_iris):
        with pytest.raises(TypeError, match="Autoencoder has no method feature_errors"):
            FeatureErrorsDisplay.from_estimator(plain, X)
        detector = skae.AutoencoderOutlierDetector(FrozenEstimator(of_iris)).fit(IRIS.data)
        with pytest.raises(ValueError, match="n_features=0 must be at least 1"):
            FeatureErrorsDisplay.from_estimator(detector, IRIS.data, n_features=0)
