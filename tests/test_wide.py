"""With more features than samples, computations in the span of the samples agree with those on feature matrices."""

import tracemalloc

import hypothesis
import numpy as np
import pytest
import scipy.sparse
import torch
from conftest import public_estimators
from hypothesis import strategies as st

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LSTMAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from skae._corruption import CORRUPTIONS
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FeatureStatistics
from skae._defaults import affordable
from skae._pca import covariance_of
from skae._regression import Noise, _in_the_span, denoising_start, denoising_start_of
from skae._threads import work_of_all
from skae.architectures import Convolutional
from skae.nn import _convolution, convolution


def table(n, d, rank, seed, *, n_constant=0, sparse=False):
    """Return a table of a given rank with a little noise, and constant columns."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d)) + 0.1 * rng.standard_normal((n, d))
    X[:, :n_constant] = 3.0
    return scipy.sparse.csr_array(np.where(X > 1, X, 0)) if sparse else X


def scaled(X, kind="global"):
    """Return a reader of scaled samples."""
    statistics = FeatureStatistics().update(ArrayReader(X))
    return ScaledReader(X, statistics.mean, statistics.scale(kind))


def measured(rows, corruption, levels, quiet):
    """Return statistics of noise at one or several levels, which leaves the first few values unchanged."""
    x = rows.read(slice(None))
    module = DenoisingAutoencoder(1, corruption=corruption, init="random", max_iter=1).fit(x).net_.module_
    many = np.tile(x, (50, 1))

    def at(level):
        module.levels = (level, level)
        seen = module.corrupt(torch.tensor(many, dtype=torch.float32)).double().numpy()
        seen[:, :quiet] = many[:, :quiet]
        return [values.mean(axis=0) for values in (seen, seen**2, many * seen)]

    if len(levels) == 1:
        return Noise(*at(*levels))
    return Noise(*np.stack([at(level) for level in levels], axis=1))


def assert_same(start, other):
    """Check that two solutions have the same component-wise reconstructions and the same denoiser."""
    np.testing.assert_allclose(start.mean, other.mean, atol=1e-12)
    np.testing.assert_allclose(start.variance, other.variance, rtol=1e-6, atol=1e-12 * other.variance[0])
    np.testing.assert_array_equal(start.seen_mean, other.seen_mean)
    np.testing.assert_allclose(start.unit, other.unit, rtol=1e-5, atol=1e-5 * other.unit[0])
    denoiser, expected = (each.components.T @ each.filters for each in (start, other))
    np.testing.assert_allclose(denoiser, expected, atol=1e-7 * np.abs(expected).max())
    distinct = np.abs(np.diff(other.variance, prepend=np.inf)) > 1e-3 * other.variance  # from the one before
    distinct &= np.abs(np.diff(other.variance, append=0)) > 1e-3 * other.variance
    for i in np.flatnonzero(distinct & (other.variance > 1e-8 * other.variance[0])):
        np.testing.assert_allclose(
            np.outer(start.components[i], start.filters[i]),
            np.outer(other.components[i], other.filters[i]),
            atol=1e-6 * np.abs(expected).max(),
        )


@hypothesis.given(
    n=st.integers(3, 40),
    d=st.integers(2, 60),
    k=st.integers(1, 8),
    kind=st.sampled_from(["global", "standard", None]),
    corruption=st.sampled_from(list(CORRUPTIONS)),
    levels=st.sampled_from([(0.0,), (0.3,), (0.1, 0.7), (0.0, 0.5, 1.0)]),
    quiet=st.integers(0, 3),
    n_constant=st.integers(0, 2),
    sparse=st.booleans(),
    seed=st.integers(0, 1000),
)
@hypothesis.settings(max_examples=25)
def test_a_denoiser_starts_in_the_span_of_rows_where_features_would_have_it(
    n, d, k, kind, corruption, levels, quiet, n_constant, sparse, seed
):
    rows = scaled(table(n, d, 4, seed, n_constant=n_constant, sparse=sparse), kind)
    hypothesis.assume(rows.scale.any())
    noise = measured(rows, corruption, levels, quiet)
    k = min(k, n - 1, d)
    by_features = denoising_start_of(*covariance_of(rows), noise, k)
    assert_same(_in_the_span(rows.read(slice(None)), noise, k), by_features)
    assert_same(denoising_start(rows, noise, k), by_features)


CLASSES = [
    pytest.param(each, marks=() if each in (DenoisingAutoencoder, ContractiveAutoencoder) else pytest.mark.slow)
    for each in public_estimators()
]


@pytest.mark.parametrize("estimator_class", CLASSES)
@pytest.mark.parametrize("sparse", [False, True])
def test_no_feature_by_feature_matrix_is_allocated(estimator_class, sparse):
    d = 4000
    X = table(30, d, 4, 0, sparse=sparse)
    estimator = estimator_class(max_iter=1, validation_fraction=0.6, random_state=0)
    if estimator_class is LSTMAutoencoder:
        estimator.set_params(sequence_shape=(4, 1000))
    if estimator_class is ConvolutionalAutoencoder:
        estimator.set_params(channels=(2,), hidden_layer_sizes=())
    tracemalloc.start()
    try:
        estimator.fit(X)
        assert tracemalloc.get_traced_memory()[1] < 8 * d**2 / 2  # such a matrix would need 128 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n_components", [3, 30, 40])
def test_pca_of_sparse_samples_equals_that_of_dense_ones(n_components):
    X = table(30, 50, 4, 0, sparse=True)
    sparse, dense = (Autoencoder(n_components, hidden_layer_sizes=()).fit(rows) for rows in (X, X.toarray()))
    np.testing.assert_allclose(sparse.reconstruct(X), dense.reconstruct(X.toarray()), atol=1e-6)
    np.testing.assert_allclose(sparse.explained_variance_, dense.explained_variance_, atol=1e-8)


def test_fraction_of_the_variance_of_wide_sparse_data():
    X = table(30, 5000, 4, 0, sparse=True)
    assert 1 <= Autoencoder(0.5, hidden_layer_sizes=()).fit(X).n_components_ < 30


def test_wide_tables_get_fewer_folds_and_epochs():
    n_folds, n_epochs = affordable(200, 64, 10**5)
    assert n_folds > 20
    assert n_epochs == 64
    assert affordable(200, 64, 800_000) == (2, 64)
    assert affordable(100, 128, 10**7) == (1, 68)
    assert affordable(200, 1, 10**5, n_weights=2**23) == (3, 1)
    assert affordable(200, 1, 10**5, n_weights=2**25) == (1, 1)


def test_number_of_networks_is_limited_by_memory(monkeypatch):
    X = table(60, 70, 3, seed=0)
    short = Autoencoder(2, hidden_layer_sizes=8, max_iter=1, random_state=0)
    assert short.fit(X).validation_["n_folds"] == 5
    n_weights = sum(weight.numel() for weight in short.net_.module_.parameters())
    for n_networks, n_folds in ((4, 3), (1, 1)):
        monkeypatch.setattr("skae._defaults.MAX_WEIGHTS_OF_FOLDS", n_networks * n_weights)
        assert short.fit(X).validation_["n_folds"] == n_folds
    assert affordable(200, 64, 10**8) == (1, 5)


def test_work_per_sample_counts_each_use_of_a_weight():
    def work_per_sample(estimator, X):
        module = estimator.set_params(max_iter=1).fit(X).net_.module_
        return work_of_all(module, X.shape[1]), sum(weight.numel() for weight in module.parameters())

    X = np.random.RandomState(0).randn(30, 36)
    work, n_weights = work_per_sample(Autoencoder(2, hidden_layer_sizes=8), X)
    assert work == n_weights
    work, n_weights = work_per_sample(LSTMAutoencoder(2, hidden_size=3, sequence_shape=(12, 3)), X)
    assert work > 1.5 * n_weights
    work, n_weights = work_per_sample(ConvolutionalAutoencoder(2, channels=(4,), hidden_layer_sizes=()), X)
    assert work > 1.5 * n_weights


def images_per_convolution(monkeypatch, estimator, X):
    """Record the largest number of images in any convolution of a fit and after it, and whether gradients are kept."""
    seen = []
    for layer_class in (torch.nn.Conv2d, torch.nn.ConvTranspose2d):

        def counted(layer, x, forward=layer_class.forward):
            seen.append((len(x), torch.is_grad_enabled()))
            return forward(layer, x)

        monkeypatch.setattr(layer_class, "forward", counted)
    estimator.fit(X).reconstruct(X)
    return {trains: max(n for n, grad in seen if grad == trains) for trains in (True, False)}


SMALL_NET = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
ARCHITECTURE = Convolutional((8, 10), (4,))


@pytest.mark.parametrize(
    "estimator",
    [
        ConvolutionalAutoencoder(2, image_shape=(8, 10), channels=(4,), **SMALL_NET),
        ConvolutionalAutoencoder(2, image_shape=(8, 10), channels=(1,), downsampling="max_pool", **SMALL_NET),
        ConvolutionalAutoencoder(2, image_shape=(8, 10), channels=(4,), ordered=True, cv=2, **SMALL_NET),
        DenoisingAutoencoder(2, architecture=ARCHITECTURE, **SMALL_NET),
        VariationalAutoencoder(2, architecture=ARCHITECTURE, **SMALL_NET),
    ],
    ids=["plain", "pooled", "folds", "denoising", "variational"],
)
def test_large_images_are_processed_in_small_batches(monkeypatch, estimator):
    X = table(60, 80, 4, 0)
    assert max(images_per_convolution(monkeypatch, estimator, X).values()) >= 20  # small images in whole batches
    monkeypatch.setattr(_convolution, "MAX_NUMBERS", 5 * 80)
    assert max(images_per_convolution(monkeypatch, estimator, X).values()) <= 5


@pytest.mark.parametrize("estimator_class", [Autoencoder, ContractiveAutoencoder, SparseAutoencoder])
def test_gradients_of_partial_batches_add_up(monkeypatch, estimator_class):
    X = table(60, 80, 4, 0)
    estimator = estimator_class(5, architecture=ARCHITECTURE, **SMALL_NET)
    whole = estimator.fit(X).loss_curve_, estimator.transform(X)
    monkeypatch.setattr(_convolution, "MAX_NUMBERS", 7 * 80)
    in_parts = estimator.fit(X).loss_curve_, estimator.transform(X)
    for values, expected in zip(in_parts, whole, strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_parts_of_a_batch_are_smaller_for_larger_images():
    def size_of_part(shape, downsampling="stride"):
        encoder, decoder, _ = convolution(shape, (32, 64), 3, "gelu", downsampling)
        assert encoder.rows_at_once == decoder.rows_at_once
        return encoder.rows_at_once

    assert size_of_part((80, 200, 1)) == size_of_part((40, 100, 1), "max_pool") == 6
    for shape in ((8, 8, 1), (28, 28, 1), (32, 32, 3)):
        assert size_of_part(shape) >= Convolutional.largest_batch  # training batches are not split by default


def test_wide_stacks_have_a_lower_learning_rate():
    def rate(d):
        stack = StackedAutoencoder((4, 2), activation="identity", max_iter=2, random_state=0)  # its layers are PCA
        return stack.fit(table(30, d, 4, 0))._settings["learning_rate"]

    assert rate(40) == 0.03  # three times the default
    assert rate(1000) == 0.01
    np.testing.assert_allclose(rate(4000), 0.0025)


def test_layers_of_a_stack_keep_no_copies_of_weights(monkeypatch):
    alive, members = [], StackedAutoencoder._new_members

    def watched(stack, *args, **kwargs):
        alive.extend(hasattr(layer, "_modules") for layer in stack.layers_)
        return members(stack, *args, **kwargs)

    monkeypatch.setattr(StackedAutoencoder, "_new_members", watched)
    X = table(30, 40, 4, 0)
    stack = StackedAutoencoder((4, 2), max_iter=2, random_state=0).fit(X)
    assert alive == [False, False]
    assert stack.layers_[1].transform(stack.layers_[0].transform(X)).shape == (30, 2)
