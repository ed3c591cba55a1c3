"""Missing values in metrics and displays: each uses the observed values, or raises a helpful error."""

import inspect
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
import skae.inspection
import skae.metrics
from skae import Autoencoder
from skae.inspection import ExplainedVarianceDisplay, LatentSpaceDisplay, LossCurveDisplay, ReconstructionDisplay
from skae.metrics import active_units, decoder_smoothness, reconstruction_scorer, sample_precision_recall
from tests.test_missing import FEW, with_missing_values

plt = pytest.importorskip("matplotlib.pyplot")
DIGITS, IRIS = load_digits().data[:200], load_iris().data
OTHERS = {"FeatureErrorsDisplay", "SamplesDisplay"}  # these show a detector, or no samples
DISPLAYS = [getattr(skae.inspection, name) for name in skae.inspection.__all__ if name not in OTHERS]
INNERS = {
    "plain": Autoencoder(4, **FEW),
    "ordered": Autoencoder(4, ordered=True, **FEW),
    "standard": Autoencoder(4, scale="standard", **FEW),
    "linear": Autoencoder(4, hidden_layer_sizes=()),
    "pipeline": make_pipeline(StandardScaler(), Autoencoder(4, **FEW)),
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module", params=INNERS)
def fitted(request):
    return INNERS[request.param].fit(with_missing_values(DIGITS)[0])


@pytest.mark.parametrize("kind", ["random", "missing row", "missing column"])
@pytest.mark.parametrize("display", DISPLAYS)
def test_every_display_accepts_missing_values(display, kind, fitted):
    X, _ = with_missing_values(DIGITS)
    X[:, 20] = np.nan if kind == "missing column" else X[:, 20]
    X[0] = np.nan if kind == "missing row" else X[0]
    if display is LossCurveDisplay and fitted is INNERS["linear"]:
        pytest.skip("there are no losses")
    takes_rows = "X" in inspect.signature(display.from_estimator).parameters
    drawn = display.from_estimator(fitted, X) if takes_rows else display.from_estimator(fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn.figure_.canvas.draw()
    for name, values in vars(drawn).items():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and name != "X":
            assert np.isfinite(values).all(), name


@pytest.mark.parametrize("kind", ["pandas", "nullable", "None", "polars", "list", "float32"])
@pytest.mark.parametrize("display", [display for display in DISPLAYS if display.__name__ != "LossCurveDisplay"])
def test_containers_of_samples(display, kind):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X, _ = with_missing_values(DIGITS)
    names = [f"p{i}" for i in range(64)]
    frame = pd.DataFrame(X, columns=names)
    table = {
        "pandas": frame,
        "nullable": frame.astype("Int64"),
        "None": frame.astype(object).mask(np.isnan(X), None),
        "polars": pl.DataFrame({name: [None if np.isnan(x) else int(x) for x in frame[name]] for name in names}),
        "list": X.tolist(),
        "float32": X.astype(np.float32),
    }[kind]
    fitted = Autoencoder(4, **FEW).fit(table)
    drawn = display.from_estimator(fitted, table)
    drawn.figure_.canvas.draw()
    assert reconstruction_scorer(fitted, table) == pytest.approx(fitted.score(table), abs=1e-6)


def test_missing_pixels_are_transparent_and_bars_omitted():
    X, missing = with_missing_values(DIGITS)
    fitted = Autoencoder(4, **FEW).fit(X)
    (image,) = ReconstructionDisplay.from_estimator(fitted, X, n_samples=1).ax_.get_images()
    pixels = image.get_array()
    np.testing.assert_array_equal(np.asarray(pixels[:8, :8, 3] == 0), missing[0].reshape(8, 8))
    assert (pixels[-8:, :8, 3] == 1).all()
    X, missing = with_missing_values(IRIS)
    display = ReconstructionDisplay.from_estimator(Autoencoder(2, **FEW).fit(X), X, n_samples=4)
    bars = np.array([[bar.get_height() for bar in axes.containers[0]] for axes in display.axes_])
    np.testing.assert_array_equal(np.isnan(bars), np.isnan(display.X))
    assert np.isnan(bars).any()
    colors = np.where(missing[:1, :3], np.nan, 0.5) * np.ones((1, 3))
    drawn = ReconstructionDisplay(np.tile(colors, 4), np.ones((1, 12)), image_shape=(2, 2, 3)).plot()
    drawn.figure_.canvas.draw()


def test_reference_pca_uses_mean_imputation():
    X, missing = with_missing_values(DIGITS)
    filled = np.where(missing, np.nanmean(X, axis=0), X)
    pca = PCA(8).fit(filled)
    display = LatentSpaceDisplay.from_estimator(Autoencoder(4, **FEW).fit(X), X)
    assert display.pca_name == "SimpleImputer + PCA"
    np.testing.assert_allclose(np.abs(display.pca_codes), np.abs(pca.transform(filled)[:, :2]), atol=1e-6)
    curve = ExplainedVarianceDisplay.from_estimator(Autoencoder(4, **FEW).fit(X), X)
    assert curve.pca_name == "SimpleImputer + PCA"
    off = np.where(missing, 0, X - pca.inverse_transform(pca.transform(filled)))
    expected = 1 - np.square(off).sum() / np.nansum(np.square(X - np.nanmean(X, axis=0)))
    assert curve.pca_r2[7] == pytest.approx(expected)
    standard = Autoencoder(4, scale="standard", **FEW).fit(X)
    assert LatentSpaceDisplay.from_estimator(standard, X).pca_name == "StandardScaler + SimpleImputer + PCA"


@pytest.mark.parametrize("X", [DIGITS, IRIS], ids=["images", "bars"])
def test_feature_errors_of_samples_with_missing_values(X):
    incomplete, missing = with_missing_values(X)
    detector = skae.AutoencoderOutlierDetector(Autoencoder(2, **FEW)).fit(incomplete)
    display = skae.inspection.FeatureErrorsDisplay.from_estimator(detector, incomplete[:3])
    assert (display.errors[missing[:3]] == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display.figure_.canvas.draw()


# Metrics -------------------------------------------------------------------------------------------------------------


def test_scorer_equals_score_method(fitted):
    X, _ = with_missing_values(DIGITS)
    rows = fitted[0].transform(X) if hasattr(fitted, "steps") else X
    inner = fitted[-1] if hasattr(fitted, "steps") else fitted
    assert reconstruction_scorer(inner, rows) == pytest.approx(inner.score(rows))
    whole = r2_score(DIGITS, fitted.inverse_transform(fitted.transform(DIGITS)), multioutput="variance_weighted")
    assert reconstruction_scorer(fitted, DIGITS) == whole
    with pytest.raises(ValueError, match="Input X contains NaN"):
        reconstruction_scorer(PCA(2).fit(DIGITS), X)


def test_scorer_with_constant_data():
    X = np.where(np.arange(40).reshape(10, 4) % 7 == 0, np.nan, np.arange(4.0))
    fitted = Autoencoder(1, **FEW).fit(X)
    assert reconstruction_scorer(fitted, X) == 1.0


def test_every_metric_is_tested_with_missing_values():
    """Check that each metric's handling of missing values is tested in this file."""
    names = {"active_units", "decoder_smoothness", "reconstruction_scorer", "sample_precision_recall"}
    assert set(skae.metrics.__all__) == names


@pytest.mark.parametrize("name", ["X", "X_drawn"])
def test_metrics_that_need_complete_samples_raise(name):
    X, _ = with_missing_values(DIGITS)
    tables = {"X": DIGITS, "X_drawn": DIGITS} | {name: X}
    with pytest.raises(ValueError, match=rf"{name} has missing values \(NaN\).*impute\({name}\)"):
        sample_precision_recall(**tables)
    with pytest.raises(ValueError, match="infinity"):
        sample_precision_recall(**tables | {name: np.where(np.isnan(X), np.inf, X)})


def test_missing_values_in_codes_raise():
    codes = np.where(np.eye(4) > 0, np.nan, 1.0)
    for metric in (active_units, lambda codes: decoder_smoothness(Autoencoder(4, **FEW).fit(DIGITS), codes)):
        with pytest.raises(ValueError, match="Input codes contains NaN"):
            metric(codes)
    with pytest.raises(ValueError, match="Input codes contains NaN"):
        LatentSpaceDisplay.from_predictions(codes)
