"""Tables with more features than rows: what is found in the span of the rows is what the matrices of features give."""

import tracemalloc

import hypothesis
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import strategies as st

from skae import DenoisingAutoencoder
from skae._base import BaseAutoencoder
from skae._denoising import CORRUPTIONS
from skae._pca import covariance_of
from skae._regression import Noise, _by_covariance, _in_the_span, denoising_start
from skae._rows import Rows, ScaledRows
from skae._scaling import Moments


def table(n, d, rank, seed, *, n_constant=0, sparse=False):
    """Rows of some rank with a little noise, and constant columns."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d)) + 0.1 * rng.standard_normal((n, d))
    X[:, :n_constant] = 3.0
    return scipy.sparse.csr_array(np.where(X > 1, X, 0)) if sparse else X


def scaled(X, kind="global"):
    """Rows as they are inside."""
    moments = Moments().update(Rows(X))
    return ScaledRows(X, moments.mean, moments.scale(kind))


def measured(rows, corruption, level, quiet):
    """What a noise does to cells, of which the first few are left alone."""
    x = rows.read(slice(None))
    estimator = DenoisingAutoencoder(1, corruption=corruption, corruption_level=level, init="random", max_iter=1)
    module = estimator.fit(x).net_.module_
    many = np.tile(x, (50, 1))
    seen = module.corrupt(torch.tensor(many, dtype=torch.float32)).double().numpy()
    seen[:, :quiet] = many[:, :quiet]
    return Noise(*(values.mean(axis=0) for values in (seen, seen**2, many * seen)))


def assert_same(start, other):
    """The same maps: what each component gives back, and the denoiser that they make up."""
    np.testing.assert_allclose(start.mean, other.mean, atol=1e-12)
    np.testing.assert_allclose(start.variance, other.variance, rtol=1e-6, atol=1e-12 * other.variance[0])
    np.testing.assert_array_equal(start.seen_mean, other.seen_mean)
    np.testing.assert_allclose(start.unit, other.unit, rtol=1e-5, atol=1e-5 * other.unit[0])
    denoiser, expected = (each.components.T @ each.filters for each in (start, other))
    np.testing.assert_allclose(denoiser, expected, atol=1e-7 * np.abs(expected).max())
    distinct = np.abs(np.diff(other.variance, prepend=np.inf)) > 1e-3 * other.variance  # from the one before
    distinct &= np.abs(np.diff(other.variance, append=0)) > 1e-3 * other.variance
    for i in np.flatnonzero(distinct & (other.variance > 1e-8 * other.variance[0])):
        np.testing.assert_allclose(np.outer(start.components[i], start.filters[i]), np.outer(
            other.components[i], other.filters[i]), atol=1e-6 * np.abs(expected).max())


@hypothesis.given(
    n=st.integers(3, 40),
    d=st.integers(2, 60),
    k=st.integers(1, 8),
    kind=st.sampled_from(["global", "standard", None]),
    corruption=st.sampled_from(list(CORRUPTIONS)),
    level=st.sampled_from([0.0, 0.3]),
    quiet=st.integers(0, 3),
    n_constant=st.integers(0, 2),
    sparse=st.booleans(),
    seed=st.integers(0, 1000),
)
@hypothesis.settings(max_examples=25)
def test_a_denoiser_starts_in_the_span_of_rows_where_features_would_have_it(
    n, d, k, kind, corruption, level, quiet, n_constant, sparse, seed
):
    rows = scaled(table(n, d, 4, seed, n_constant=n_constant, sparse=sparse), kind)
    hypothesis.assume(rows.scale.any())
    noise = measured(rows, corruption, level, quiet)
    k = min(k, n - 1, d)
    by_features = _by_covariance(*covariance_of(rows), noise, k)
    assert_same(_in_the_span(rows.read(slice(None)), noise, k), by_features)
    assert_same(denoising_start(rows, noise, k), by_features)
