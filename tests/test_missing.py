"""Missing values: models are fitted to the observed values, and missing ones are imputed."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import skae
from skae import Autoencoder, BaseAutoencoder, DenoisingAutoencoder, LatentSampler, StackedAutoencoder
from skae.nn import AutoencoderModule
from skae.nn.functional import LOSSES
from tests.conftest import QUICKER, SMALL

FEW = {"hidden_layer_sizes": 16, "max_iter": 8, "random_state": 0}


def with_missing_values(X, fraction=0.3, seed=0):
    """Return X with NaN in some entries, and their mask."""
    missing = np.random.RandomState(seed).rand(*X.shape) < fraction
    return np.where(missing, np.nan, X), missing


def error(filled, X, missing):
    """Return the root mean squared error of imputed values."""
    return np.sqrt(np.square(filled - X)[missing].mean())


def factors(n=600, d=12, rank=3, noise=0.0, seed=0):
    """Return samples of a factor model, whose columns have units from 0.01 to 100 and means far from zero."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n, rank) @ rng.randn(rank, d) + noise * rng.randn(n, d)
    return X * np.geomspace(0.01, 100, d) + 50 * rng.randn(d)


# Every estimator -----------------------------------------------------------------------------------------------------


def test_every_estimator_accepts_missing_values(small, digits, tmp_path):
    X, missing = with_missing_values(digits)
    fitted = small.fit(X)
    assert get_tags(fitted).input_tags.allow_nan
    codes, x_hat, full = fitted.transform(X), fitted.reconstruct(X), fitted.impute(X)
    assert codes.shape == (len(X), fitted.n_components_)
    assert np.isfinite(codes).all()
    assert np.isfinite(x_hat).all()
    np.testing.assert_array_equal(full[~missing], X[~missing])
    fraction, expected = fitted._network_weights, fitted._statistics.factors.fill(X)
    np.testing.assert_allclose(full, (1 - fraction) * expected + fraction * np.where(missing, x_hat, X))
    assert fraction.shape == (X.shape[1],)
    assert ((fraction >= 0) & (fraction <= 1)).all()
    np.testing.assert_array_equal(fitted.impute(digits), digits)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(X), codes)
    fitted.save(tmp_path / "kept.skops")
    np.testing.assert_array_equal(type(fitted).load(tmp_path / "kept.skops").impute(X), full)
    np.testing.assert_array_equal(clone(small).fit(X).transform(X), codes)
    np.testing.assert_array_equal(fitted.set_params(warm_start=True).fit(X).mean_, np.nanmean(X, axis=0))


def test_scores_use_observed_values(small, digits):
    X, missing = with_missing_values(digits)
    fitted = small.fit(X)
    squares = np.where(missing, 0, np.square(np.nan_to_num(X) - fitted.reconstruct(X)))
    np.testing.assert_allclose(fitted.score_samples(X), -squares.sum(axis=1))
    total = np.nansum(np.square(X - np.nanmean(X, axis=0)))
    assert fitted.score(X) == pytest.approx(1 - squares.sum() / total)


def test_missing_values_after_a_fit_without_any(small, fits, digits):
    X, missing = with_missing_values(digits)
    fitted = fits(small)
    full = fitted.impute(X)
    assert np.isfinite(full).all()
    assert np.isfinite(fitted.transform(X)).all()
    mean = np.broadcast_to(digits.mean(axis=0), digits.shape)
    if fitted.score(digits) > 0.3:  # training has improved the reconstruction
        assert error(full, digits, missing) < 0.9 * error(mean, digits, missing)


@pytest.mark.parametrize("kind", [kind for kind in SMALL[:5] if not isinstance(kind, StackedAutoencoder)], ids=repr)
def test_other_methods_accept_missing_values(kind, digits):
    X, _ = with_missing_values(digits)
    fitted = clone(kind).fit(X)
    found = [fitted.jacobian(X[:5]), fitted.loadings(X[:5]), fitted.feature_importances_, fitted.explained_variance_]
    found += [fitted.contraction(X)] if hasattr(fitted, "contraction") else []
    if hasattr(fitted, "posterior"):
        found += [*fitted.posterior(X), fitted.log_likelihood(X, random_state=0), fitted.vary(X[:3], random_state=0)]
        found += [fitted.interpolate(X[0], X[1], 3)]
    for values in found:
        assert np.isfinite(values).all()


# Training ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["global", "standard", None])
def test_statistics_use_observed_values(scale):
    X, _ = with_missing_values(factors(noise=0.1))
    fitted = Autoencoder(2, hidden_layer_sizes=(), scale=scale).fit(X)
    np.testing.assert_allclose(fitted.mean_, np.nanmean(X, axis=0))
    deviation = np.nanstd(X, axis=0)
    expected = {"global": np.full(12, np.sqrt(np.square(deviation).mean())), "standard": deviation, None: np.ones(12)}
    np.testing.assert_allclose(fitted.net_.module_.scaler.scale.numpy(), expected[scale], rtol=1e-6)
    assert fitted.n_samples_ == len(X)


@pytest.mark.filterwarnings("ignore:.*collapsed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder, skae.VariationalAutoencoder])
def test_missing_values_have_no_loss_and_no_gradient(kind, loss):
    if loss not in kind._parameter_constraints["loss"][0].options:
        pytest.skip("the estimator does not support this loss")
    X, missing = with_missing_values(np.random.RandomState(0).rand(60, 6))
    module = clone(kind(2, loss=loss, **FEW)).fit(X).net_.module_
    x = module.scaler(torch.tensor(np.nan_to_num(X), dtype=torch.float32))
    wanted = torch.where(torch.tensor(missing), torch.nan, x)
    output = module.decoder(module.code(module.encoder(x))).detach().requires_grad_()
    losses = module.reconstruction(output, wanted, x)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert (output.grad[missing] == 0).all()
    assert (output.grad[~missing] != 0).any()
    other = output.detach() + torch.tensor(missing) * 3.0
    torch.testing.assert_close(module.reconstruction(other, wanted, x), losses.detach())


def test_exact_factors_are_recovered_in_any_units():
    X = factors()
    incomplete, missing = with_missing_values(X)
    per_unit = 1 / X.std(axis=0)
    for scale in ("standard", "global"):
        fitted = Autoencoder(3, hidden_layer_sizes=(), scale=scale, random_state=0).fit(incomplete)
        off = (fitted.impute(incomplete) - X) * per_unit
        # with a common scale, a code of three components does not represent columns of low variance
        large = slice(None) if scale == "standard" else slice(8, None)
        assert np.sqrt(np.square(off[:, large])[missing[:, large]].mean()) < 0.1, scale
    pca = PCA(3).fit(X)
    angles = np.linalg.svd(pca.components_ @ fitted.components_.T)[1]
    assert angles.min() > 0.99


@pytest.mark.parametrize("power", [-40, 0, 40])
def test_results_do_not_depend_on_units(power):
    X, missing = with_missing_values(factors(noise=0.3))
    unit = 2.0**power
    here, there = (Autoencoder(3, scale="standard", **FEW).fit(table).impute(table) for table in (X, X * unit))
    np.testing.assert_allclose(there[missing], here[missing] * unit, rtol=1e-4)


def test_imputation_outperforms_mean_imputation(digits):
    X, missing = with_missing_values(digits)
    fitted = Autoencoder(8, random_state=0).fit(X)
    of_means = SimpleImputer().fit_transform(X)
    pca = PCA(8).fit(of_means)
    filled = pca.inverse_transform(pca.transform(of_means))
    ours = error(fitted.impute(X), digits, missing)
    assert ours < 0.85 * error(filled, digits, missing)
    assert ours < 0.8 * error(of_means, digits, missing)


def test_network_contributes_where_it_helps(digits):
    """Check images, where the network outperforms factor analysis, and data of its linear model, where it doesn't."""
    X, missing = with_missing_values(digits)
    fitted = Autoencoder(8, random_state=0).fit(X)
    expected, full, x_hat = fitted._statistics.factors.fill(X), fitted.impute(X), fitted.reconstruct(X)
    assert fitted._network_weights.mean() > 0.1
    assert error(full, digits, missing) < error(expected, digits, missing)
    incomplete, missing = with_missing_values(factors(noise=0.3))
    blank = Autoencoder(1, scale="standard", **FEW).fit(incomplete)
    assert blank._network_weights.mean() < 0.3
    assert error(blank.impute(incomplete), factors(noise=0.3), missing) < error(
        blank.reconstruct(incomplete), factors(noise=0.3), missing
    )
    assert np.isfinite(x_hat).all()


def test_imputation_is_no_worse_than_the_initialization(digits):
    X, _ = with_missing_values(digits)
    for seed in range(3):
        linear = Autoencoder(4, hidden_layer_sizes=(), random_state=seed).fit(X)
        assert Autoencoder(4, **FEW | {"random_state": seed}).fit(X).score(X) > linear.score(X) - 0.005


def test_likelihood_is_that_of_the_observed_values():
    X, missing = with_missing_values(factors(n=200, d=6, rank=2, noise=0.5))
    fitted = skae.VariationalAutoencoder(2, hidden_layer_sizes=(), beta=1, scale="standard", random_state=0).fit(X)
    found = fitted.log_likelihood(X[:20], n_draws=2000, random_state=0)
    decoder, unit = fitted.net_.module_.decoder.linear, fitted.net_.module_.scaler.scale.double().numpy()
    loadings = decoder.weight.detach().double().numpy() * unit[:, None]
    mean = decoder.bias.detach().double().numpy() * unit + fitted.mean_
    covariance = loadings @ loadings.T + np.diag(np.square(unit)) * fitted.noise_variance_
    for row, cells, value in zip(X[:20], ~missing[:20], found, strict=True):
        exact = multivariate_normal(mean[cells], covariance[np.ix_(cells, cells)]).logpdf(row[cells])
        assert value == pytest.approx(exact, abs=0.3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", ["global", "standard"])
def test_missing_values_in_columns_that_were_complete(scale, seed):
    """Check columns whose units differ by a factor of a million, of which a network can't predict the small ones."""
    X = load_breast_cancer().data
    later, missing = with_missing_values(X[300:])
    fitted = Autoencoder(2, scale=scale, random_state=seed).fit(X[:300])
    unit, codes = X.std(axis=0), fitted.transform(X[300:])
    assert error(fitted.impute(later) / unit, X[300:] / unit, missing) < 0.65
    off = np.square(fitted.transform(later) - codes).sum() / np.square(codes - codes.mean(axis=0)).sum()
    assert off < 0.1


def test_missing_values_after_a_fit_to_sparse_samples(digits):
    fitted = Autoencoder(8, random_state=0).fit(csr_array(digits))
    X, missing = with_missing_values(digits)
    mean = np.broadcast_to(digits.mean(axis=0), digits.shape)
    assert error(fitted.impute(X), digits, missing) < 0.9 * error(mean, digits, missing)


# Unusual tables ------------------------------------------------------------------------------------------------------


def test_entirely_missing_column_raises(iris):
    X = iris.copy()
    X[:, [1, 3]] = np.nan
    with pytest.raises(ValueError, match=r"Column 1 of X has no observed values: it is NaN in all 150 samples, and"):
        Autoencoder(2).fit(X)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"Column 'b' of X has no observed values"):
            getattr(Autoencoder(2), method)(frame)


def test_sample_without_observed_values_is_the_mean(iris):
    X = iris.copy()
    X[7] = np.nan
    fitted = Autoencoder(2, **FEW).fit(X)
    mean = fitted._statistics.factors.mean[None]
    np.testing.assert_allclose(fitted.transform(X[7:8]), fitted.transform(mean), atol=1e-5)
    assert fitted.score_samples(X)[7] == 0
    blank = np.full((2, 4), np.nan)
    fraction = fitted._network_weights
    expected = (1 - fraction) * mean + fraction * fitted.reconstruct(mean)
    np.testing.assert_allclose(fitted.impute(blank), np.vstack([expected, expected]), atol=1e-5)
    assert np.isfinite(Autoencoder(2, **FEW).fit(iris).impute(blank)).all()


def test_values_may_be_missing_for_the_first_time_after_fit(iris):
    X = iris.copy()
    X[::3, 0] = np.nan
    fitted = Autoencoder(2, **FEW).fit(X)
    later = iris.copy()
    later[::2, 2] = np.nan
    assert error(fitted.impute(later), iris, np.isnan(later)) < 0.5 * iris[:, 2].std()


@pytest.mark.parametrize("n", [2, 3, 5, 21])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_small_tables(n, d):
    X = np.random.RandomState(0).randn(n, d)
    X[0, 0] = np.nan
    fitted = Autoencoder(1, **FEW).fit(X)
    assert np.isfinite(fitted.impute(X)).all()
    assert np.isfinite(fitted.transform(X)).all()


def test_constant_columns_and_blocks():
    X = factors(n=5000, d=6, noise=0.1)
    X[:, 2] = 7.0
    X[:4200, 4] = np.nan  # so that a column is missing in whole batches
    X[:100, 2] = np.nan
    fitted = Autoencoder(2, **FEW | {"max_iter": 1}).fit(X)
    np.testing.assert_allclose(fitted.impute(X)[:100, 2], 7.0, rtol=1e-6)
    np.testing.assert_allclose(fitted.mean_, np.nanmean(X, axis=0))
    assert np.isfinite(fitted.impute(X)).all()


def test_outlying_value_hardly_affects_the_imputed_ones():
    X = factors(noise=0.1)
    row = with_missing_values(X[:1], seed=3)[0]
    assert np.isnan(row).sum() > 2
    fitted = Autoencoder(3, scale="standard", **FEW).fit(with_missing_values(X)[0])
    row[0, np.flatnonzero(~np.isnan(row[0]))[0]] += 1e6
    off = (fitted._statistics.factors.fill(row) - X.mean(axis=0)) / X.std(axis=0)
    assert np.abs(off[np.isnan(row)]).max() < 30


def test_rarely_observed_column():
    rng = np.random.RandomState(0)
    X = rng.randn(20_000, 4)
    X[:, 3] = 1000 + rng.randn(20_000)
    X[rng.permutation(20_000)[3:], 3] = np.nan  # it is missing in almost all samples that factors are fitted to
    full = Autoencoder(2, scale="standard", **FEW | {"max_iter": 1}).fit(X).impute(X)
    assert (np.abs(full[:, 3] - 1000) < 10).all()


@pytest.mark.parametrize("ordering", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_and_layout(dtype, ordering, digits):
    X, missing = with_missing_values(digits)
    X = np.asarray(X, dtype=dtype, order=ordering)
    fitted = Autoencoder(4, **FEW).fit(X)
    full = fitted.impute(X)
    assert full.dtype == dtype
    np.testing.assert_array_equal(full[~missing], X[~missing])


def test_containers_of_samples(digits, tmp_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X, missing = with_missing_values(digits[:, 20:30])
    expected = Autoencoder(4, **FEW).fit(X).transform(X)
    np.save(tmp_path / "X.npy", X)
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(10)])
    tables = {
        "memory map": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "list": X.tolist(),
        "frame": frame,
        "nullable": frame.convert_dtypes(),
        "pandas.NA": frame.astype(object).mask(missing, pd.NA),
        "None": frame.astype(object).mask(missing, None),
        "array of pandas.NA": frame.astype(object).mask(missing, pd.NA).to_numpy(),
        "polars": pl.DataFrame({name: [None if np.isnan(x) else x for x in frame[name]] for name in frame}),
    }
    for name, table in tables.items():
        fitted = Autoencoder(4, **FEW).fit(table)
        np.testing.assert_array_equal(fitted.transform(table), expected, err_msg=name)


# Pairs, pipelines, grid searches -------------------------------------------------------------------------------------


def test_pairs_with_missing_values(digits):
    noisy, _ = with_missing_values(digits)
    denoiser = DenoisingAutoencoder(16, max_iter=5, random_state=0).fit(noisy[:180], digits[:180])
    assert denoiser.score(noisy[180:], digits[180:]) > 0.4
    assert np.isfinite(denoiser.impute(noisy)).all()


@pytest.mark.parametrize("where", ["both", "X", "X_val"])
def test_validation_samples_with_missing_values(where, digits):
    X, X_val = digits[:180], digits[180:]
    X = with_missing_values(X)[0] if where != "X_val" else X
    X_val = with_missing_values(X_val)[0] if where != "X" else X_val
    fitted = Autoencoder(4, **FEW).fit(X, X_val=X_val)
    assert fitted.validation_["strategy"] == "X_val"
    assert np.isfinite(fitted.validation_loss_curve_).all()


def test_pipelines_and_searches(digits):
    X, _ = with_missing_values(digits)
    pipe = make_pipeline(StandardScaler(), Autoencoder(**FEW))
    search = GridSearchCV(pipe, {"autoencoder__n_components": [1, 4]}, cv=3).fit(X)
    assert search.best_params_ == {"autoencoder__n_components": 4}


def test_n_components_as_fraction_of_variance(digits):
    X, _ = with_missing_values(digits)
    fitted = Autoencoder(0.5, **FEW).fit(X)
    assert 1 < fitted.n_components_ < 20
    assert fitted.score(X) > 0.45


def test_sampler(digits):
    X, _ = with_missing_values(digits)
    sampler = LatentSampler(Autoencoder(4, **FEW), random_state=0)
    assert get_tags(sampler).input_tags.allow_nan
    assert np.isfinite(sampler.fit(X).sample(5)[0]).all()
    assert np.isfinite(sampler.score_samples(X)).all()


def test_layers_of_a_stack_ignore_missing_values(digits):
    X, _ = with_missing_values(digits)
    fitted = StackedAutoencoder((8, 4), **{name: QUICKER[name] for name in ("max_iter", "random_state")}).fit(X)
    assert fitted.layers_[0]._spec.has_missing_values


@pytest.mark.parametrize("name", ["mean", "unit", "noise", "loadings", "too many loadings"])
def test_file_with_inconsistent_factors_raises(name, digits, tmp_path):
    fitted = Autoencoder(4, **FEW).fit(with_missing_values(digits)[0])
    wrong = {"loadings": np.ones((3, 5)), "too many loadings": np.ones((64, 10_000))}.get(name, np.ones(5))
    fitted._statistics.factors = replace(fitted._statistics.factors, **{name.split()[-1]: wrong})
    fitted.save(tmp_path / "kept.skops")
    with pytest.raises(ValueError, match="its factors don't match its features"):
        Autoencoder.load(tmp_path / "kept.skops")


# Errors --------------------------------------------------------------------------------------------------------------


def test_sparse_samples_with_nan_raise(digits):
    X = csr_array(digits)
    X.data[5] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        Autoencoder(4).fit(X)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_not_a_missing_value(value, digits):
    X, _ = with_missing_values(digits)
    fitted = Autoencoder(4, **FEW).fit(X)
    X[3, 3] = value
    for method in (Autoencoder(4).fit, fitted.transform, fitted.impute, fitted.score):
        with pytest.raises(ValueError, match="Input X contains infinity"):
            method(X)


class OwnLoss(AutoencoderModule):
    def reconstruction(self, output, x, corrupted):  # noqa: ARG002
        return (output - x).abs().sum(dim=-1)


class Own(BaseAutoencoder):
    module_class = OwnLoss


class OwnTarget(AutoencoderModule):
    def supervision(self, code, target):
        return {"of_y": (code[..., 0] - target[..., 0]).square()}


class Supervised(BaseAutoencoder):
    module_class = OwnTarget


@pytest.mark.parametrize("kind", [Own, Supervised])
def test_custom_losses_without_support_raise(kind, digits):
    X, _ = with_missing_values(digits)
    assert not get_tags(kind(2)).input_tags.allow_nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        kind(2).fit(X, X[:, 0])


@pytest.mark.parametrize("loss", ["poisson", "squared_error"])
def test_overflowing_network_does_not_affect_imputation(loss, monkeypatch):
    """Check that a network whose output overflows does not affect imputation."""
    X = np.random.default_rng(0).poisson(2.0, (60, 5)).astype(np.float32)
    fitted = Autoencoder(2, loss=loss, hidden_layer_sizes=(8,), max_iter=2, random_state=0)
    monkeypatch.setattr(Autoencoder, "_run", lambda self, method, x: np.full_like(x, np.inf))  # noqa: ARG005
    assert not fitted.fit(X)._network_weights.any()
