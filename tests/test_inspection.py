"""Displays: their attributes, what they draw, and errors for invalid input."""

import pickle
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import short_name
from matplotlib.colors import to_hex
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import Autoencoder, ConvolutionalAutoencoder, SparseAutoencoder, VariationalAutoencoder
from skae.inspection import (
    ComponentsDisplay,
    ExplainedVarianceDisplay,
    LatentGridDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)
from skae.metrics import reconstruction_scorer

TINY = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
X, Y = load_digits(return_X_y=True)
X, Y = X[:200], Y[:200]
IRIS = load_iris(as_frame=True)
MAKERS = {  # functions that make each display from an estimator and X
    ReconstructionDisplay: lambda e, X, **kw: ReconstructionDisplay.from_estimator(e, X, n_samples=3, **kw),
    LatentSpaceDisplay: lambda e, X, **kw: LatentSpaceDisplay.from_estimator(e, X, **kw),
    LatentGridDisplay: lambda e, X, **kw: LatentGridDisplay.from_estimator(e, X, n_steps=3, **kw),
    ExplainedVarianceDisplay: lambda e, X, **kw: ExplainedVarianceDisplay.from_estimator(e, X, **kw),
    LossCurveDisplay: lambda e, X, **kw: LossCurveDisplay.from_estimator(e, **kw),  # noqa: ARG005
    ComponentsDisplay: lambda e, X, **kw: ComponentsDisplay.from_estimator(e, X, **kw),
}


@pytest.fixture(autouse=True)
def _closed():
    settings = dict(mpl.rcParams)
    yield
    for number in plt.get_fignums():
        plt.figure(number).draw_without_rendering()  # a layout that fails warns, and a warning is an error
    plt.close("all")
    assert dict(mpl.rcParams) == settings


@pytest.fixture(scope="module")
def plain():
    return Autoencoder(3, **TINY).fit(X)


@pytest.fixture(scope="module")
def of_iris():
    return Autoencoder(2, **TINY).fit(IRIS.data)


def picture(ax):
    """Return the image that axes show, (height, width, 4)."""
    return ax.images[0].get_array()


@pytest.fixture(params=MAKERS, ids=lambda display: display.__name__)
def make(request):
    return MAKERS[request.param]


class TestEveryDisplay:
    def test_plot_draws_on_the_given_axes(self, make, plain):
        display = make(plain, X)
        first = display.figure_
        figure, (left, right) = plt.subplots(1, 2, layout="constrained")
        assert display.plot(ax=right) is display
        assert display.figure_ is figure is not first
        assert not left.has_data()
        axes = getattr(display, "axes_", [display.ax_])
        assert display.ax_ is axes[0]
        assert all(ax.has_data() for ax in axes)

    def test_manually_placed_axes_are_used(self, make, plain):
        figure = plt.figure()
        display = make(plain, X, ax=figure.add_axes((0.2, 0.2, 0.6, 0.6)))
        assert display.figure_ is figure

    @pytest.mark.slow
    def test_pipelines_searches_and_frames_are_accepted(self, make):
        frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
        pipe = make_pipeline(StandardScaler().set_output(transform="pandas"), Autoencoder(2, **TINY))
        make(pipe.fit(frame), frame)
        search = GridSearchCV(Autoencoder(2, **TINY).set_output(transform="pandas"), {"whiten": [True]}, cv=2)
        make(search.fit(X), X)

    def test_missing_matplotlib_raises(self, make, plain, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(ImportError, match=r'Display.plot requires matplotlib. .* pip install "skae\[plot\]"'):
            make(plain, X)

    def test_unfitted_estimator_raises(self, make):
        for estimator in (Autoencoder(), make_pipeline(StandardScaler(), Autoencoder())):
            with pytest.raises(NotFittedError):
                make(estimator, X)

    @pytest.mark.parametrize(
        "estimator",
        [
            *(VariationalAutoencoder(2, **TINY), SparseAutoencoder(8, max_iter=3, random_state=0)),
            *(ConvolutionalAutoencoder(2, channels=(2,), image_shape=(8, 8), **TINY),),
            *(Autoencoder(3, ordered=True, whiten=True, **TINY), Autoencoder(3, code_activation="logistic", **TINY)),
        ],
        ids=short_name,
    )
    @pytest.mark.filterwarnings("ignore:.* have collapsed")  # after three epochs
    @pytest.mark.slow
    def test_every_variant_is_accepted(self, make, estimator):
        make(clone(estimator).fit(X), X)

    @pytest.mark.parametrize("estimator", [PCA(2), NMF(2, max_iter=2000), TruncatedSVD(2)], ids=str)
    @pytest.mark.parametrize(
        "display",
        [display for display in MAKERS if display is not LossCurveDisplay],
        ids=lambda display: display.__name__,
    )
    @pytest.mark.slow
    def test_estimators_of_scikit_learn_are_accepted(self, display, estimator):
        MAKERS[display](estimator.fit(X), X)
        MAKERS[display](estimator, X.tolist())

    def test_sparse_matrix_is_accepted(self, make, plain):
        make(plain, csr_array(X))

    def test_ten_thousand_samples_are_drawn(self, make, plain):
        make(plain, np.tile(X, (50, 1)))

    def test_one_sample_is_drawn(self, make, plain):
        if make is MAKERS[ExplainedVarianceDisplay]:
            with pytest.raises(ValueError, match="X has 1 sample, and R² needs two or more"):
                make(plain, X[:1])
        else:
            make(plain, X[:1])


class TestReconstruction:
    def test_samples_are_evenly_spaced(self, plain):
        display = ReconstructionDisplay.from_estimator(plain, X, n_samples=5)
        np.testing.assert_array_equal(display.X, X[[0, 50, 100, 149, 199]])
        np.testing.assert_allclose(display.X_hat, plain.reconstruct(display.X))
        assert len(ReconstructionDisplay.from_estimator(plain, X[:3]).X) == 3
        assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["original", "reconstruction"]

    def test_all_images_have_the_scale_of_the_originals(self):
        """Check that an image with smaller values is shown darker."""
        rows = np.vstack([np.linspace(0, 50, 64), np.linspace(0, 100, 64)])
        display = ReconstructionDisplay.from_predictions(rows, rows / 2)
        image = picture(display.ax_)
        shown = image[:8, :8], image[:8, -8:], image[-8:, :8], image[-8:, -8:]
        np.testing.assert_allclose([each[..., 0].max() for each in shown], [0.5, 1, 0.25, 0.5], atol=0.01)

    def test_several_estimators_are_compared(self, plain):
        pca = PCA(3).fit(X)
        display = ReconstructionDisplay.from_estimators([pca, plain], X, n_samples=5)
        np.testing.assert_allclose(display.X_hat[0], pca.inverse_transform(pca.transform(display.X)))
        np.testing.assert_allclose(display.X_hat[1], plain.reconstruct(display.X))
        labels = [text.get_text() for text in display.ax_.get_yticklabels()]
        assert labels == ["original", "PCA", "Autoencoder"]
        bars = ReconstructionDisplay.from_estimators([pca, plain], X, n_samples=2, image_shape=())
        assert [text.get_text() for text in bars.axes_[0].get_legend().get_texts()] == labels
        with pytest.raises(ValueError, match=r"estimators=\[\] must contain at least one estimator"):
            ReconstructionDisplay.from_estimators([], X)

    def test_labels_of_several_reconstructions_are_shown(self, plain):
        noisy = X + 4 * np.random.default_rng(0).normal(size=X.shape)
        names = ["clean", "noisy", "denoised"]
        display = ReconstructionDisplay.from_predictions(X, [noisy, plain.reconstruct(noisy)], labels=names)
        assert [text.get_text() for text in display.ax_.get_yticklabels()] == names
        assert picture(display.ax_).shape[0] == 3 * 9 - 1
        with pytest.raises(ValueError, match="must have one label for X and one for each of 2 reconstructions"):
            ReconstructionDisplay.from_predictions(X, [noisy, noisy], labels=["clean", "noisy"])

    @pytest.mark.parametrize("shape", [(4, 16), (64, 1), (8, 8, 1)])
    def test_image_shape_is_used(self, plain, shape):
        display = ReconstructionDisplay.from_estimator(plain, X, n_samples=2, image_shape=shape)
        gap = max(1, round(shape[1] / 14))
        assert display.image_shape == (shape[:2])
        assert picture(display.ax_).shape == (2 * shape[0] + gap, 2 * shape[1] + gap, 4)

    def test_color_images_are_drawn_in_color(self):
        image = np.random.default_rng(0).random((3, 5, 4, 3))
        rows = image.reshape(3, -1)
        rows[:, :2] = 0, 1
        display = ReconstructionDisplay.from_predictions(rows, rows, image_shape=(5, 4, 3))
        np.testing.assert_allclose(picture(display.ax_)[:5, :4, :3], image[0])

    def test_image_shape_defaults_to_that_of_the_estimator(self):
        rows = X[:, :48]
        own = ConvolutionalAutoencoder(2, image_shape=(4, 12), channels=(2,), **TINY).fit(rows)
        pipe = make_pipeline(PCA(20), clone(own).set_params(image_shape=(4, 5))).fit(rows)
        assert ReconstructionDisplay.from_estimator(own, rows).image_shape == (4, 12)
        assert ReconstructionDisplay.from_estimator(pipe, rows).image_shape is None  # (4, 5) is the shape of the scores

    @pytest.mark.parametrize("shape", [(8, 9), (64,), (8, 4, 2), (2, 2, 2, 8)])
    @pytest.mark.parametrize("display", [ReconstructionDisplay, LatentGridDisplay, ComponentsDisplay])
    def test_wrong_image_shape_raises(self, plain, display, shape):
        with pytest.raises(
            ValueError, match=r"image_shape=\(.* does not fit samples with 64 features. Set it to \(height, wi"
        ):
            MAKERS[display](plain, X, image_shape=shape)

    def test_few_features_are_bars(self, of_iris):
        display = ReconstructionDisplay.from_estimator(of_iris, IRIS.data, n_samples=3)
        assert len(display.axes_) == 3
        assert [text.get_text() for text in display.axes_[-1].get_xticklabels()] == list(IRIS.data.columns)
        assert [bar.get_height() for bar in display.axes_[0].patches] == [*display.X[0], *display.X_hat[0]]
        assert display.unit is None

    def test_features_of_different_units_are_standardized(self):
        frame = load_breast_cancer(as_frame=True).data
        display = ReconstructionDisplay.from_predictions(frame, frame.to_numpy())
        assert display.unit == "standard deviations from the mean"
        assert np.abs(display.X).max() < 5
        np.testing.assert_allclose(display.X, display.X_hat)

    def test_many_features_are_lines(self, plain):
        display = ReconstructionDisplay.from_estimator(plain, X, n_samples=2, image_shape=())
        assert display.image_shape is None
        assert not display.ax_.patches

    def test_invalid_input_raises(self, plain):
        with pytest.raises(ValueError, match=r"X_hat has shape \(199, 64\), but X has \(200, 64\)"):
            ReconstructionDisplay.from_predictions(X, X[1:])
        with pytest.raises(ValueError, match="n_samples=0 must be at least 1"):
            ReconstructionDisplay.from_estimator(plain, X, n_samples=0)
        with pytest.raises(TypeError, match=r"LinearDiscriminantAnalysis has no inverse_transform.* Use an estimator"):
            ReconstructionDisplay.from_estimator(LinearDiscriminantAnalysis().fit(X[:, 20:22], Y), X[:, 20:22])


class TestLatentSpace:
    def test_codes_of_the_estimator_and_pca_are_drawn(self, plain):
        display = LatentSpaceDisplay.from_estimator(plain, X, components=(2, 0))
        shown = [np.sort(np.asarray(ax.collections[0].get_offsets()), axis=0) for ax in display.axes_]
        np.testing.assert_allclose(shown[0], np.sort(plain.transform(X)[:, [2, 0]], axis=0))
        np.testing.assert_allclose(shown[1], np.sort(PCA(3).fit_transform(X)[:, [2, 0]], axis=0))
        assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("component 3 of 3", "component 1 of 3")

    def test_each_point_has_the_color_of_its_class(self):
        codes = np.arange(6.0).reshape(3, 2)
        display = LatentSpaceDisplay.from_predictions(codes, ["b", "a", "b"], name="mine")
        points = display.ax_.collections[0]
        color_of = {xy[0]: to_hex(c) for xy, c in zip(points.get_offsets(), points.get_facecolors(), strict=True)}
        handles = {h.get_label(): to_hex(h.get_color()) for h in display.ax_.get_legend().legend_handles}
        assert list(handles) == ["a", "b"]
        assert [color_of[x] for x in (0, 2, 4)] == [handles["b"], handles["a"], handles["b"]]
        assert display.ax_.get_title() == "mine"

    @pytest.mark.parametrize(
        ("y", "n_labels"),
        [
            *((Y, 10), (Y.astype(float), 10), (Y.astype(str), 10), (np.arange(200) % 20, 20), (Y > 4, 2)),
            (pd.Series(np.repeat(["c", "d"], 100), dtype="category", name="kind"), 2),
        ],
    )
    def test_classes_have_a_legend(self, plain, y, n_labels):
        display = LatentSpaceDisplay.from_estimator(plain, X, y)
        legend = display.axes_[-1].get_legend()
        assert len({to_hex(handle.get_color()) for handle in legend.legend_handles}) == n_labels
        assert legend.get_title().get_text() == ("kind" if hasattr(y, "name") else "")

    @pytest.mark.parametrize("y", [X[:, 20] / 3, np.arange(200)])
    def test_continuous_values_have_a_color_bar(self, plain, y):
        display = LatentSpaceDisplay.from_estimator(plain, X, pd.Series(y, name="ink"))
        assert display.axes_[-1].get_legend() is None
        assert display.figure_.axes[-1].get_ylabel() == "ink"  # the color bar

    def test_without_labels_and_pca_there_is_one_panel(self, plain):
        display = LatentSpaceDisplay.from_estimator(plain, X, with_pca=False)
        assert len(display.axes_) == len(display.figure_.axes) == 1

    def test_pca_is_not_drawn_twice(self):
        assert len(LatentSpaceDisplay.from_estimator(PCA(2).fit(X), X).axes_) == 1

    def test_many_points_are_smaller_and_rasterized(self, plain):
        few, many = (LatentSpaceDisplay.from_estimator(plain, rows) for rows in (X, np.tile(X, (50, 1))))
        few, many = few.ax_.collections[0], many.ax_.collections[0]
        assert many.get_sizes()[0] < few.get_sizes()[0] / 3
        assert many.get_alpha() < few.get_alpha()
        assert many.get_rasterized()
        assert not few.get_rasterized()

    def test_invalid_input_raises(self, plain):
        with pytest.raises(ValueError, match=r"y has 199 labels, but there are 200 samples. Pass one label for each"):
            LatentSpaceDisplay.from_estimator(plain, X, Y[1:])
        with pytest.raises(ValueError, match="y has 25 classes, but at most 20 colors"):
            LatentSpaceDisplay.from_estimator(plain, X, [f"kind {i % 25}" for i in range(200)])
        with pytest.raises(ValueError, match="dim 3"):
            LatentSpaceDisplay.from_predictions(np.zeros((5, 2, 2)))

    @pytest.mark.parametrize("display", [LatentSpaceDisplay, LatentGridDisplay])
    def test_invalid_components_raise(self, plain, display):
        one = Autoencoder(1, **TINY).fit(X)
        with pytest.raises(ValueError, match=r"n_components=1, but the plot requires two. Fit an estimator with at"):
            display.from_estimator(one, X)
        for components in [(0, 0), (0, 3), (-1, 0), (0, 1, 2)]:
            with pytest.raises(ValueError, match=r"components=\(.*must be two different columns .* from 0 to 2"):
                display.from_estimator(plain, X, components=components)


class TestLatentGrid:
    def test_grid_points_are_decoded_to_images(self, plain):
        display = LatentGridDisplay.from_estimator(plain, X, components=(0, 2), n_steps=5, spread=1.5)
        codes = plain.transform(X)
        mean, deviation = codes.mean(axis=0), codes.std(axis=0)
        corner = mean + [1.5, 0, -1.5] * deviation  # the second component increases upwards
        np.testing.assert_allclose(display.images[0, -1], plain.inverse_transform(corner[None])[0])
        image = picture(display.ax_)
        assert image.shape == (44, 44, 4)
        shown = display.images[0, -1].reshape(8, 8)
        assert np.corrcoef(image[-8:, -8:, 0].ravel(), shown.ravel())[0, 1] > 0.99
        left, right, low, high = display.ax_.images[0].get_extent()
        assert (left + right) / 2 == pytest.approx(mean[0])
        assert (low + high) / 2 == pytest.approx(mean[2])
        assert high > low
        assert (right - left) * 9 * 4 / 44 == pytest.approx(2 * 1.5 * deviation[0])  # a step is 9 of 44 pixels
        assert display.ax_.get_ylabel() == "component 3 of 3"

    def test_range_without_samples_is_that_of_the_training_codes(self, plain):
        display = LatentGridDisplay.from_estimator(plain, n_steps=3)
        np.testing.assert_allclose(display.x, np.array([-2, 0, 2]) * np.sqrt(plain.explained_variance_[0]))
        white = Autoencoder(2, whiten=True, **TINY).fit(X)
        np.testing.assert_allclose(LatentGridDisplay.from_estimator(white, n_steps=3).y, [-2, 0, 2])

    @pytest.mark.parametrize(
        "estimator",
        [
            *(NMF(2, max_iter=2000), TruncatedSVD(2), Autoencoder(2, code_activation="tanh", **TINY)),
            SparseAutoencoder(4, max_iter=2, random_state=0),
        ],
        ids=lambda estimator: type(estimator).__name__,
    )
    def test_codes_that_are_not_centered_require_samples(self, estimator):
        with pytest.raises(ValueError, match=r"X=None, and .* has no attributes for the range of its codes. Pass X"):
            LatentGridDisplay.from_estimator(estimator.fit(X))

    def test_grid_of_wide_images_has_their_aspect(self, plain):
        display = LatentGridDisplay.from_estimator(plain, n_steps=3, image_shape=(4, 16))
        assert picture(display.ax_).shape == (14, 50, 4)
        assert display.ax_.get_box_aspect() == pytest.approx(14 / 50)

    def test_invalid_input_raises(self, plain, of_iris):
        with pytest.raises(
            ValueError, match=r"image_shape=None: samples with 4 features are not drawn as images.*=\(height, width\)"
        ):
            LatentGridDisplay.from_estimator(of_iris)
        for n_steps in (1, 2.5):
            with pytest.raises(ValueError, match=f"n_steps={n_steps} must be an int of at least 2"):
                LatentGridDisplay.from_estimator(plain, n_steps=n_steps)
        with pytest.raises(ValueError, match="spread=-1 must be above 0"):
            LatentGridDisplay.from_estimator(plain, spread=-1)


class TestExplainedVariance:
    def test_unordered_code_is_one_point(self, plain):
        display = ExplainedVarianceDisplay.from_estimator(plain, X)
        assert display.sizes.tolist() == [3]
        assert display.r2 == pytest.approx([plain.score(X)])
        np.testing.assert_allclose(display.pca_r2, np.cumsum(PCA(6).fit(X).explained_variance_ratio_))

    def test_ordered_code_is_a_curve_over_sizes(self):
        ordered = Autoencoder(4, ordered=True, **TINY).fit(X)
        display = ExplainedVarianceDisplay.from_estimator(ordered, X)
        assert display.sizes.tolist() == [1, 2, 3, 4]
        np.testing.assert_allclose(display.r2, np.cumsum(ordered.explained_variance_ratio_), atol=1e-5)

    @pytest.mark.parametrize("estimator", [PCA(4, whiten=True), Autoencoder(4, hidden_layer_sizes=(), whiten=True)])
    def test_linear_autoencoder_equals_pca(self, estimator):
        display = ExplainedVarianceDisplay.from_estimator(estimator.fit(X), X)
        np.testing.assert_allclose(display.r2, display.pca_r2[:4])
        assert [text.get_text() for text in display.ax_.get_legend().texts] == ["PCA", type(estimator).__name__]

    def test_r2_of_a_pipeline_is_in_units_of_the_data(self):
        pipe = make_pipeline(StandardScaler(), Autoencoder(2, **TINY)).fit(X)
        display = ExplainedVarianceDisplay.from_estimator(pipe, X)
        assert display.r2 == pytest.approx([reconstruction_scorer(pipe, X)])

    def test_custom_values_are_drawn(self):
        display = ExplainedVarianceDisplay([2, 4], [-0.5, 0.9]).plot()
        assert display.ax_.get_legend() is None
        assert display.ax_.get_ylim()[0] < -0.5

    def test_number_of_sizes_of_long_codes_is_limited(self):
        display = ExplainedVarianceDisplay.from_estimator(PCA(60).fit(X), X)
        assert len(display.sizes) == 32
        assert display.sizes[[0, -1]].tolist() == [1, 60]


class TestLossCurve:
    def test_loss_with_one_term_is_drawn(self, plain):
        display = LossCurveDisplay.from_estimator(plain)
        assert list(display.train) == list(display.valid) == ["reconstruction"]
        np.testing.assert_allclose(display.train["reconstruction"], plain.loss_curve_)
        np.testing.assert_allclose(display.valid["reconstruction"], plain.validation_loss_curve_)
        training, validation, selected, level = display.ax_.lines
        assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
        assert training.get_color() == validation.get_color()
        assert set(selected.get_xdata()) == {plain.best_epoch_}
        assert display.start_name == "PCA"
        assert set(level.get_ydata()) == {display.start}
        assert display.start > plain.validation_loss_curve_[-1]

    def test_loss_of_pca_on_validation_samples_is_drawn(self):
        model = Autoencoder(2, hidden_layer_sizes=(8,), max_iter=8, random_state=0).fit(X[:150], X_val=X[150:])
        pca, varying = PCA(2).fit(X[:150]), X[:150].var(axis=0) > 0
        residuals = (X[150:] - pca.inverse_transform(pca.transform(X[150:])))[:, varying]
        wanted = np.square(residuals).sum(axis=1).mean() / X[:150, varying].var(axis=0).mean()
        assert LossCurveDisplay.from_estimator(model).start == pytest.approx(wanted, rel=1e-4)
        assert LossCurveDisplay.from_estimator(pickle.loads(pickle.dumps(model))).start is not None

    @pytest.mark.filterwarnings("ignore:.* have collapsed")
    def test_terms_and_their_sum_are_drawn(self):
        display = LossCurveDisplay.from_estimator(VariationalAutoencoder(2, **TINY).fit(X))
        assert list(display.train) == ["loss", "reconstruction", "divergence"]
        np.testing.assert_allclose(
            display.train["loss"], display.train["reconstruction"] + display.train["divergence"], rtol=1e-5
        )
        colors = [line.get_color() for line in display.ax_.lines[:-2]]
        assert len(colors) == 6
        assert len(set(colors)) == 3

    def test_terms_that_are_always_zero_are_omitted(self):
        free = SparseAutoencoder(8, alpha=0.0, max_iter=2, random_state=0).fit(X)
        display = LossCurveDisplay.from_estimator(free)
        assert list(display.train) == ["reconstruction"]

    def test_stream_has_no_validation_curve(self):
        stream = Autoencoder(2, hidden_layer_sizes=(8,), random_state=0).partial_fit(X)
        display = LossCurveDisplay.from_estimator(stream)
        assert display.valid == {}
        assert len(display.train["reconstruction"]) == 1

    def test_wide_range_has_a_logarithmic_scale(self):
        assert LossCurveDisplay({"loss": [100, 1]}, {}).plot().ax_.get_yscale() == "log"
        assert LossCurveDisplay({"loss": [5, 1]}, {}).plot().ax_.get_yscale() == "linear"
        assert LossCurveDisplay({"loss": [100, -1, np.nan]}, {}).plot().ax_.get_yscale() == "linear"

    @pytest.mark.parametrize("estimator", [Autoencoder(2, hidden_layer_sizes=()), PCA(2)])
    def test_estimator_without_loss_curve_raises(self, estimator):
        with pytest.raises(ValueError, match="was not trained in epochs: it has no loss curve"):
            LossCurveDisplay.from_estimator(estimator.fit(X))


class TestComponents:
    def test_components_of_an_autoencoder_are_its_loadings(self, plain):
        display = ComponentsDisplay.from_estimator(plain, X, n_components=2)
        np.testing.assert_allclose(display.components, plain.loadings(X).T[:2])

    def test_first_atoms_of_a_dictionary_are_drawn(self):
        sparse = SparseAutoencoder(60, max_iter=2, random_state=0).fit(X)
        display = ComponentsDisplay.from_estimator(sparse)
        np.testing.assert_array_equal(display.components, sparse.components_[:50])
        assert picture(display.ax_).shape == (5 * 9 - 1, 10 * 9 - 1, 4)
        np.testing.assert_array_equal(ComponentsDisplay.from_estimator(PCA(2).fit(X), X).components.shape, (2, 64))

    def test_zero_is_the_middle_of_the_color_map(self):
        rows = np.zeros((1, 64))
        rows[0, 0], rows[0, 1] = 1, -0.5
        image = picture(ComponentsDisplay(rows, image_shape=(8, 8)).plot().ax_)
        assert image[0, 0, 0] > image[0, 0, 2]  # red
        assert image[0, 1, 2] > image[0, 1, 0]  # blue
        assert image[1, 1, :3].min() > 0.95  # white
        low, high = plt.gca().child_axes[0].get_ylim()  # the color bar
        assert low == -high == -1

    def test_few_features_are_bars_with_names(self):
        frame = IRIS.data
        pipe = make_pipeline(StandardScaler(), Autoencoder(2, **TINY)).fit(frame)
        display = ComponentsDisplay.from_estimator(pipe, frame)
        np.testing.assert_allclose(display.components, pipe[-1].loadings(pipe[:-1].transform(frame)).T)
        assert [text.get_text() for text in display.axes_[-1].get_xticklabels()] == list(frame.columns)
        assert [bar.get_height() for bar in display.axes_[1].patches] == list(display.components[1])

    def test_invalid_input_raises(self, plain):
        with pytest.raises(ValueError, match=r"X=None, and .* has no components_. Pass X"):
            ComponentsDisplay.from_estimator(plain)
        with pytest.raises(ValueError, match="It has no loadings either"):
            ComponentsDisplay.from_estimator(StandardScaler().fit(X))
        for n_components in (0, 4):
            with pytest.raises(ValueError, match=f"n_components={n_components} must be between 1 and 3"):
                ComponentsDisplay.from_estimator(plain, X, n_components=n_components)


def test_every_display_is_tested():
    others = {"FeatureErrorsDisplay", "SamplesDisplay"}  # tested in test_inspection_samples.py
    assert set(skae.inspection.__all__) == {display.__name__ for display in MAKERS} | others
