"""`Autoencoder` and PCA: PCA is the initialization and a lower bound; codes are aligned; the linear model is PCA."""

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import Autoencoder
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics
from skae._pca import linear_init, principal_axes
from skae._spec import ModuleSpec
from skae.nn import AutoencoderModule

SETS = {
    name: getattr(datasets, f"load_{name}")().data for name in ("digits", "breast_cancer", "wine", "diabetes", "iris")
}
LINEAR = Autoencoder(hidden_layer_sizes=(), random_state=0)


def scaled(X, kind="global"):
    statistics = FeatureStatistics().update(ArrayReader(X))
    return ScaledReader(X, statistics.mean, statistics.scale(kind))


def pca_r2(pca, X):
    return r2_score(X, pca.inverse_transform(pca.transform(X)), multioutput="variance_weighted")


# The linear model is PCA ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("name", SETS)
def test_linear_is_pca(name, k):
    train, test = train_test_split(SETS[name], random_state=0)
    ours, pca = LINEAR.set_params(n_components=k).fit(train), PCA(k).fit(train)
    codes = pca.transform(test)
    np.testing.assert_allclose(ours.transform(test), codes, rtol=0, atol=1e-9 * np.abs(codes).max())
    np.testing.assert_allclose(ours.inverse_transform(codes), pca.inverse_transform(codes), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_, pca.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(ours.mean_, pca.mean_)
    assert ours.score(test) == pytest.approx(pca_r2(pca, test), abs=1e-9)
    assert (ours.n_components_, ours.n_samples_, ours.n_iter_) == (k, len(train), 1)


def test_linear_with_standard_scale_is_pca_of_standardized_data():
    X = SETS["wine"]
    pipe = make_pipeline(StandardScaler(), PCA(3)).fit(X)
    ours = Autoencoder(3, hidden_layer_sizes=(), scale="standard").fit(X)
    np.testing.assert_allclose(ours.transform(X), pipe.transform(X), atol=1e-9)
    np.testing.assert_allclose(ours.reconstruct(X), pipe.inverse_transform(pipe.transform(X)), rtol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_ratio_, pipe[-1].explained_variance_ratio_)


def test_linear_with_scale_none_is_pca():
    X = SETS["wine"]
    ours = Autoencoder(3, hidden_layer_sizes=(), scale=None).fit(X)
    np.testing.assert_allclose(ours.transform(X), PCA(3).fit_transform(X), atol=1e-9)


def test_more_components_than_features_or_samples():
    X = SETS["iris"][::40]  # 4 samples of 4 features
    ours = LINEAR.set_params(n_components=9).fit(X)
    np.testing.assert_allclose(ours.reconstruct(X), X, atol=1e-9)
    np.testing.assert_allclose(ours.transform(X)[:, 4:], 0, atol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_[4:], 0)


def test_nonlinear_autoencoder_has_no_explained_variance_ratio(digits):
    fitted = Autoencoder(2, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(digits)
    assert not hasattr(fitted, "explained_variance_ratio_")
    with pytest.raises(AttributeError, match="nonlinear autoencoder"):
        _ = fitted.explained_variance_ratio_


# The initialization is PCA -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (32,), (32, 16, 8)])
@pytest.mark.parametrize("scale", ["global", "standard"])
def test_initial_network_is_pca(digits, scale, hidden):
    rows_of = scaled(digits, scale)
    mean, scales, rows = rows_of.mean, rows_of.scale, rows_of.read(slice(None))
    start = linear_init(rows_of, 5, seed=0)
    spread, axes = rows.std(axis=0), start.axes(1.0)
    spec = ModuleSpec((64, *hidden, 5), "gelu", "identity", "squared_error", True, mean, scales, spread, axes=axes)
    module = spec.build(AutoencoderModule, start.weights(), torch.float64)
    with torch.no_grad():
        codes = module.encode(torch.tensor(digits)).numpy()
        X_hat = module(torch.tensor(digits)).numpy()
    pca = PCA(5, svd_solver="full").fit(rows)
    np.testing.assert_allclose(codes, pca.transform(rows), atol=1e-9)
    np.testing.assert_allclose(X_hat, pca.inverse_transform(pca.transform(rows)) * scales + mean, atol=1e-9)


def test_internal_codes_have_unit_variance(digits):
    start = linear_init(scaled(digits), 5, seed=0)
    inner = (scaled(digits).read(slice(None)) - start.mean) @ start.components.T / start.unit
    np.testing.assert_allclose(inner.std(axis=0, ddof=1), 1)


# No worse than PCA ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
@pytest.mark.slow
def test_no_worse_than_pca_on_test_samples(name):
    train, test = train_test_split(SETS[name], random_state=0)
    ours = Autoencoder(2, max_iter=40, hidden_layer_sizes=32, random_state=0).fit(train)
    assert ours.score(test) >= pca_r2(PCA(2).fit(train), test) - 0.005


def test_better_than_pca_on_nonlinear_data(digits):
    train, test = digits[:160], digits[160:]
    ours = Autoencoder(8, random_state=0, max_iter=40).fit(train)
    assert ours.best_epoch_ > 0
    assert ours.score(test) > pca_r2(PCA(8).fit(train), test) + 0.01


def test_far_outside_the_data_reconstructions_are_close_to_pca(digits):
    """Check that an outlying value in a test sample costs no more than with PCA."""
    X = StandardScaler().fit_transform(digits)
    ours, pca = Autoencoder(4, random_state=0, max_iter=40).fit(X), PCA(4).fit(X)
    assert ours.best_epoch_ > 0
    outlying = X[:20].copy()
    outlying[:, 10] = 1e4
    difference = np.abs(ours.reconstruct(outlying) - pca.inverse_transform(pca.transform(outlying))).max()
    assert difference < 60  # standard deviations; the value is at 10,000


def test_random_restart_is_selected_where_pca_is_a_bad_initialization():
    X = MinMaxScaler().fit_transform(SETS["diabetes"])  # PCA uses a whole component for the sex
    train, test = train_test_split(X, random_state=0)
    pca, ours = PCA(4).fit(train), Autoencoder(4, random_state=0).fit(train)
    one_network = Autoencoder(4, ordered=True, random_state=0).fit(train)  # without a random restart
    assert ours.score(test) > max(pca_r2(pca, test), one_network.score(test)) + 0.03
    assert ours.explained_variance_.sum() == pytest.approx(pca.explained_variance_.sum(), rel=1e-5)
    codes = ours.transform(train)
    np.testing.assert_allclose(np.cov(codes.T), np.diag(ours.explained_variance_), atol=1e-6)


def test_early_stopping_waits_for_the_random_restart():
    X = MinMaxScaler().fit_transform(SETS["diabetes"])
    few = X[np.random.RandomState(0).permutation(len(X))[:200]]
    ours = Autoencoder(4, early_stopping=True, random_state=0).fit(few)  # the random restart improves late
    assert ours.best_epoch_ > 30


@pytest.mark.slow
def test_noise_gives_pca_of_all_samples():
    tables = np.random.RandomState(0).randn(8, 60, 5)  # nothing nonlinear to find
    fits = [(Autoencoder(2, random_state=0, max_iter=40).fit(X), X) for X in tables]
    fell_back = [(ours, X) for ours, X in fits if ours.best_epoch_ == 0]
    assert len(fell_back) >= 7  # two standard errors do not exclude chance completely
    for ours, X in fell_back:
        np.testing.assert_allclose(ours.transform(X), PCA(2).fit_transform(X), atol=1e-9)
        np.testing.assert_allclose(ours.explained_variance_, PCA(2).fit(X).explained_variance_)


def test_few_samples_give_pca_without_training():
    X = SETS["iris"][::10]  # 15 samples
    ours = Autoencoder(2, random_state=0).fit(X)
    np.testing.assert_allclose(ours.transform(X), PCA(2).fit_transform(X), atol=1e-9)
    assert (ours.n_iter_, ours.best_epoch_, ours.loss_curve_) == (1, 0, [])


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "binary_cross_entropy", "poisson"])
def test_training_lowers_every_loss(digits, loss):
    X = digits / 16 if loss == "binary_cross_entropy" else digits
    ours = Autoencoder(4, hidden_layer_sizes=32, loss=loss, max_iter=15, random_state=0).fit(X)
    assert ours.best_epoch_ > 0
    assert ours.validation_loss_curve_[ours.best_epoch_ - 1] < ours.validation_loss_curve_[0]
    X_hat = ours.reconstruct(X)
    assert ours.score(X) > 0.3
    if loss in ("binary_cross_entropy", "poisson"):
        assert X_hat.min() >= 0
    if loss == "binary_cross_entropy":
        assert X_hat.max() <= 1


def test_huge_learning_rate_is_no_worse_than_pca(digits):
    with pytest.warns(ConvergenceWarning, match="Lower learning_rate"):
        ours = Autoencoder(4, learning_rate=1e3, max_iter=5, hidden_layer_sizes=16, random_state=0).fit(digits)
    np.testing.assert_allclose(ours.transform(digits), PCA(4).fit_transform(digits), atol=1e-9 * digits.max())


# Codes have the conventions of PCA -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [240, 2100])  # with cross-validation, and with a single validation set
def test_codes_are_centered_uncorrelated_sorted_and_signed(n_samples):
    base = datasets.load_digits().data
    X = np.vstack([base, np.clip(base + np.random.RandomState(0).randint(-1, 2, base.shape), 0, 16)])[:n_samples]
    ours = Autoencoder(5, hidden_layer_sizes=32, max_iter=5, random_state=0).fit(X)
    assert ours.best_epoch_ > 0
    codes = ours.transform(X)
    covariance = np.cov(codes.T)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-5 * codes.std())
    np.testing.assert_allclose(covariance, np.diag(ours.explained_variance_), atol=1e-4 * ours.explained_variance_[0])
    assert (np.diff(ours.explained_variance_) <= 0).all()
    loadings = codes.T @ (X - X.mean(axis=0))
    assert (loadings[np.arange(5), np.abs(loadings).argmax(axis=1)] > 0).all()
    # codes have the scale of PCA scores
    np.testing.assert_allclose(ours.explained_variance_[0] / PCA(5).fit(X).explained_variance_[0], 1, atol=0.5)


def test_principal_axes_are_an_isometry():
    rng = np.random.RandomState(0)
    codes, rows = rng.randn(50, 4) @ rng.randn(4, 4) + 3, rng.randn(50, 6)
    mean, rotation, variance = principal_axes([(codes[:20], rows[:20]), (codes[20:], rows[20:])])
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(np.cov(((codes - mean) @ rotation.T).T), np.diag(variance), atol=1e-9)


def test_principal_axes_of_pca_scores_are_the_identity(digits):
    scores = PCA(6).fit_transform(digits)
    _, rotation, _ = principal_axes([(scores, digits - digits.mean(axis=0))])
    np.testing.assert_allclose(rotation, np.eye(6), atol=1e-7)


def test_codes_with_activation_stay_in_its_range(digits):
    ours = Autoencoder(4, code_activation="logistic", hidden_layer_sizes=16, max_iter=5, random_state=0).fit(digits)
    codes = ours.transform(digits)
    assert codes.min() > 0
    assert codes.max() < 1


# Encoder and decoder as torch modules --------------------------------------------------------------------------------


def test_encoder_and_decoder_modules_equal_the_methods(digits):
    X = digits.astype(np.float32)
    ours = Autoencoder(4, hidden_layer_sizes=16, max_iter=5, random_state=0).fit(X)
    with torch.no_grad():
        codes = ours.encoder_(torch.tensor(X))
        X_hat = ours.decoder_(codes)
    np.testing.assert_array_equal(codes.numpy(), ours.transform(X))
    np.testing.assert_allclose(X_hat.numpy(), ours.reconstruct(X), atol=1e-4)
    n_weights = sum(p.numel() for p in ours.encoder_.parameters()) + sum(p.numel() for p in ours.decoder_.parameters())
    assert n_weights == sum(p.numel() for p in ours.net_.module_.parameters())


# Loadings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whiten", [False, True])
def test_loadings_of_linear_autoencoder_are_pca_components(digits, whiten):
    ours, pca = Autoencoder(4, hidden_layer_sizes=(), whiten=whiten).fit(digits), PCA(4).fit(digits)
    expected = pca.components_.T * (np.sqrt(pca.explained_variance_) if whiten else 1)
    np.testing.assert_allclose(ours.loadings(digits), expected, atol=1e-9)
    np.testing.assert_allclose(ours.jacobian(digits[:3]), np.tile(expected, (3, 1, 1)), atol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_jacobian_is_derivative_of_decoder(digits, loss):
    ours = Autoencoder(3, hidden_layer_sizes=16, max_iter=20, loss=loss, random_state=0).fit(digits)
    assert ours.best_epoch_ > 0
    J = ours.jacobian(digits[:5])
    assert J.shape == (5, 64, 3)
    codes, step = ours.transform(digits[:5]), 1e-5
    for c in range(3):
        shift = step * (np.arange(3) == c)
        slope = (ours.inverse_transform(codes + shift) - ours.inverse_transform(codes - shift)) / (2 * step)
        np.testing.assert_allclose(J[:, :, c], slope, atol=1e-6)
    np.testing.assert_allclose(ours.loadings(digits[:5]), J.mean(axis=0))
    assert ours.jacobian(digits[:2].astype(np.float32)).dtype == np.float32


# Internal scaling ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["global", "standard"])
@pytest.mark.parametrize(("factor", "shift"), [(1e-12, 0), (1e12, 0), (1, 1e6), (1e3, -1e7)])
@pytest.mark.slow
def test_results_do_not_depend_on_units(digits, factor, shift, scale):
    small = Autoencoder(4, hidden_layer_sizes=16, max_iter=8, scale=scale, random_state=0)
    plain = small.fit(digits).score(digits)
    X = digits * factor + shift
    assert small.fit(X).score(X) == pytest.approx(plain, abs=0.02)
    assert np.isfinite(small.transform(X)).all()


def test_large_mean_is_handled_in_float32(digits):
    X = (digits + 1e6).astype(np.float32)
    ours = Autoencoder(4, hidden_layer_sizes=16, max_iter=8, random_state=0).fit(X)
    double, single = ours.transform(X.astype(np.float64)), ours.transform(X)
    np.testing.assert_allclose(single, double, atol=1e-3 * double.std())


def test_columns_with_scales_that_differ_by_a_thousand():
    X = SETS["wine"]
    assert Autoencoder(2, max_iter=20, random_state=0).fit(X).score(X) >= pca_r2(PCA(2).fit(X), X) - 1e-6


def test_standard_scale_gives_each_feature_the_same_weight():
    X = SETS["wine"]
    per_feature = {
        scale: r2_score(X, Autoencoder(5, scale=scale, max_iter=20, random_state=0).fit(X).reconstruct(X))
        for scale in ("global", "standard")
    }
    assert per_feature["standard"] > per_feature["global"] + 0.05


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("scale", ["global", "standard", None])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e5])
def test_constant_feature_is_reconstructed(digits, scale, value, init):
    X = np.column_stack([digits[:, :12], np.full(len(digits), value)])
    ours = Autoencoder(3, hidden_layer_sizes=16, max_iter=5, scale=scale, init=init, random_state=0).fit(X)
    np.testing.assert_array_equal(ours.reconstruct(X)[:, -1], value)
    X[:, -1] += 1e6  # a feature that was constant in training does not affect the code
    np.testing.assert_array_equal(ours.transform(X), ours.transform(np.where(np.arange(13) == 12, value, X)))


def test_constant_data():
    ours = Autoencoder(2, random_state=0).fit(np.full((30, 3), 7.0))
    np.testing.assert_array_equal(ours.reconstruct([[7.0, 7.0, 7.0]]), [[7.0, 7.0, 7.0]])
    np.testing.assert_array_equal(ours.transform([[7.0, 7.0, 7.0]]), [[0.0, 0.0]])


# Scores --------------------------------------------------------------------------------------------------------------


def test_score_is_r2_of_sklearn(digits):
    ours = Autoencoder(4, hidden_layer_sizes=16, max_iter=5, random_state=0).fit(digits)
    X_hat = ours.inverse_transform(ours.transform(digits))
    assert ours.score(digits) == pytest.approx(r2_score(digits, X_hat, multioutput="variance_weighted"))
    np.testing.assert_allclose(ours.score_samples(digits), -((digits - X_hat) ** 2).sum(axis=1), rtol=1e-9)


def test_score_of_unusual_inputs_is_r2_score(digits):
    ours = Autoencoder(4, hidden_layer_sizes=(), random_state=0).fit(digits)
    shifted = digits[:50] + 1e6
    for X in (shifted, np.tile(digits[:1], (5, 1)), digits[:9].astype(np.float32)):
        expected = r2_score(X, ours.reconstruct(X), multioutput="variance_weighted")
        assert ours.score(X) == pytest.approx(expected, rel=1e-5)
    with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
        assert np.isnan(ours.score(digits[:1]))
