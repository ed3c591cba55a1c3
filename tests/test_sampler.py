"""New samples from a density of the codes."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import Autoencoder, LatentSampler, VariationalAutoencoder

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}


CHECKED = [LatentSampler(PCA(1)), LatentSampler(Autoencoder(2, hidden_layer_sizes=()))]
MORE_CHECKED = [
    LatentSampler(Autoencoder(2, hidden_layer_sizes=(8,), max_iter=2)),
    LatentSampler(PCA(1), KernelDensity()),
    LatentSampler(make_pipeline(StandardScaler(), PCA(1))),
]


@parametrize_with_checks(CHECKED)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(MORE_CHECKED)
def test_check_estimator_slow(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", ["check_param_validation", "check_dataframe_column_names_consistency"])
@pytest.mark.parametrize("estimator", [*CHECKED, *MORE_CHECKED], ids=str)
def test_checks_outside_check_estimator(estimator, check):
    getattr(estimator_checks, check)("LatentSampler", clone(estimator))


def test_pca_with_one_gaussian_is_the_normal_distribution(digits):
    sampler = LatentSampler(PCA(4), GaussianMixture(1, reg_covar=0)).fit(digits)
    codes = PCA(4).fit_transform(digits)
    oracle = multivariate_normal(codes.mean(axis=0), np.cov(codes.T, ddof=0))
    np.testing.assert_allclose(sampler.score_samples(digits), oracle.logpdf(codes))
    assert sampler.score(digits) == pytest.approx(oracle.logpdf(codes).mean())
    drawn = sampler.sample(50_000, random_state=0)
    kept = PCA(4).fit(digits).inverse_transform(codes)
    np.testing.assert_allclose(drawn.mean(axis=0), digits.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(kept.T, ddof=0), atol=1.0)


def test_number_of_clusters_minimizes_criterion():
    rng = np.random.RandomState(0)
    corners = 20 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    X = np.repeat(corners, 60, axis=0) + rng.randn(240, 3)
    assert LatentSampler(PCA(3), random_state=0).fit(X).density_.n_components == 4
    assert LatentSampler(PCA(3), random_state=0).fit(rng.randn(240, 3)).density_.n_components == 1


@pytest.mark.slow
@pytest.mark.parametrize("density", [None, KernelDensity(bandwidth=0.3), GaussianMixture(3, random_state=5)])
def test_drawn_samples_resemble_the_data(density):
    X, y = load_digits(return_X_y=True)
    sampler = LatentSampler(Autoencoder(8, max_iter=10, random_state=0), density, random_state=0).fit(X)
    drawn = sampler.sample(400, random_state=0)
    assert drawn.shape == (400, 64)
    found = KNeighborsClassifier(1).fit(X, y).predict(drawn)
    assert np.bincount(found, minlength=10).min() > 10  # every digit
    assert np.bincount(found[:100], minlength=10).min() > 0  # samples are not sorted
    np.testing.assert_array_equal(drawn, sampler.sample(400, random_state=0))
    assert not np.array_equal(drawn, sampler.sample(400, random_state=1))
    assert not np.array_equal(sampler.sample(3), sampler.sample(3))


@pytest.mark.parametrize("autoencoder", [Autoencoder(4, max_iter=3), VariationalAutoencoder(4, **QUICK)])
@pytest.mark.parametrize("density", [None, KernelDensity()])
def test_same_random_state_gives_same_sampler(digits, autoencoder, density):
    sampler = LatentSampler(autoencoder, density, random_state=3)
    one, two = (clone(sampler).fit(digits).sample(5, random_state=0) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_random_state_seeds_default_estimators():
    X = load_iris().data
    one, two, other = (LatentSampler(random_state=seed).fit(X).sample(5, random_state=0) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert LatentSampler(random_state=0).fit(X).autoencoder_.n_components_ == 4  # limited by the number of features


def test_global_generators_are_unchanged(digits):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    LatentSampler(Autoencoder(4, **QUICK), random_state=0).fit(digits).sample(5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_frozen_autoencoder_is_not_refitted(digits):
    fitted = Autoencoder(4, **QUICK).fit(digits)
    sampler = LatentSampler(FrozenEstimator(fitted), random_state=0).fit(digits[:100])
    np.testing.assert_array_equal(sampler.autoencoder_.transform(digits), fitted.transform(digits))


def test_pipeline_returns_samples_in_original_units(digits):
    sampler = LatentSampler(make_pipeline(MinMaxScaler(), Autoencoder(4, **QUICK)), random_state=0).fit(digits)
    assert sampler.sample(200, random_state=0).mean() == pytest.approx(digits.mean(), abs=0.5)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_results_do_not_depend_on_units(factor):
    X = load_iris().data
    sampler, scaled = (LatentSampler(PCA(2), random_state=0).fit(rows) for rows in (X, factor * X))
    np.testing.assert_allclose(
        scaled.sample(20, random_state=0), factor * sampler.sample(20, random_state=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        scaled.score_samples(factor * X), sampler.score_samples(X) - 2 * np.log(factor), rtol=1e-5
    )


def test_feature_names_and_sparse_samples(digits):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(digits).add_prefix("pixel_")
    sampler = LatentSampler(Autoencoder(4, **QUICK), random_state=0)
    assert list(clone(sampler).fit(frame).feature_names_in_) == list(frame)
    dense, thin = (clone(sampler).fit(rows).sample(3, random_state=0) for rows in (digits, sparse.csr_matrix(digits)))
    np.testing.assert_allclose(dense, thin, atol=0.01)  # values are up to 16


@pytest.mark.parametrize(
    ("sampler", "match"),
    [
        (LatentSampler(StandardScaler(), object()), r"density=<object.*> has no fit\. Use GaussianMixture"),
        (LatentSampler(PCA(2), PCA(2)), r"density=PCA\(n_components=2\) has no sample\. Use GaussianMixture"),
        (
            LatentSampler(KNeighborsClassifier()),
            r"autoencoder=KNeighborsClassifier\(\) has no transform\. Use an autoencoder of",
        ),
    ],
)
def test_invalid_estimators_raise(sampler, match):
    with pytest.raises(TypeError, match=match):
        sampler.fit(load_iris().data)


def test_invalid_arguments_raise():
    sampler = LatentSampler(PCA(2))
    with pytest.raises(NotFittedError):
        sampler.sample()
    with pytest.raises(NotFittedError):
        sampler.score_samples(load_iris().data)
    sampler.fit(load_iris().data)
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        sampler.sample(0)
    with pytest.raises(TypeError, match="n_samples must be an instance of int"):
        sampler.sample(1.5)
    with pytest.raises(ValueError, match="Expected 2D array"):
        LatentSampler().fit([1.0, 2.0])
