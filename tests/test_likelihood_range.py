"""Data in [0, 1] up to rounding by a scaler are accepted by every method of an estimator fitted to them."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.neural_network import BernoulliRBM
from sklearn.preprocessing import MinMaxScaler

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)

SCALED = MinMaxScaler().fit_transform(load_breast_cancer().data)
TINY = {"max_iter": 2, "random_state": 0}
BERNOULLI = TINY | {"loss": "binary_cross_entropy"}
TABLES = {
    "float64": SCALED[:120],
    "float32": MinMaxScaler().fit_transform(load_breast_cancer().data[:120].astype(np.float32) * np.float32(3.7)),
    "rounded up": np.where(SCALED[:120] > 0.4, SCALED[:120] + 9e-7, SCALED[:120] - 9e-7),
    "one sample": np.r_[SCALED[:119], SCALED[:1] + np.float64(2.3e-16)],
}
KINDS = {
    "plain": Autoencoder(3, hidden_layer_sizes=8, **BERNOULLI),
    "denoising": DenoisingAutoencoder(3, hidden_layer_sizes=8, **BERNOULLI),
    "contractive": ContractiveAutoencoder(3, hidden_layer_sizes=8, **BERNOULLI),
    "sparse": SparseAutoencoder(6, **BERNOULLI),
    "variational": VariationalAutoencoder(2, hidden_layer_sizes=8, **BERNOULLI),
    "stacked": StackedAutoencoder((6, 3), **BERNOULLI),
    "machines": StackedAutoencoder([("rbm", BernoulliRBM(4, n_iter=1, random_state=0)), 2], **TINY),
    "counts": Autoencoder(3, hidden_layer_sizes=8, loss="poisson", **TINY),
}


def test_scaler_rounding_exceeds_its_range():
    # otherwise, the other tests would test nothing
    assert SCALED.max() > 1


@pytest.mark.parametrize(
    "table", ["float32", *(pytest.param(one, marks=pytest.mark.slow) for one in TABLES if one != "float32")]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.* have collapsed")
def test_fitted_estimators_accept_their_training_data(kind, table):
    X = TABLES[table]
    fitted = clone(KINDS[kind]).fit(X)
    assert np.isfinite(fitted.score(X))
    assert np.isfinite(fitted.score_samples(X)).all()
    if kind != "machines":
        fitted.partial_fit(X)
    clone(KINDS[kind]).partial_fit(X).partial_fit(X[:60]).transform(X)
    if kind == "variational":
        likelihood = fitted.log_likelihood(X, random_state=0)
        assert likelihood.dtype == X.dtype
        np.testing.assert_allclose(likelihood, fitted.log_likelihood(X.clip(0, 1), random_state=0), rtol=1e-4)
        fitted.posterior(X)
        fitted.vary(X[:3], random_state=0)
        fitted.interpolate(X[0], X[1])


def test_likelihood_of_scaled_data():
    fitted = VariationalAutoencoder(2, max_iter=2, loss="binary_cross_entropy", random_state=0).fit(SCALED)
    assert (fitted.log_likelihood(SCALED, random_state=0) < 0).all()


@pytest.mark.parametrize("value", [1.000002, -0.000002, 1.5, -1.0])
@pytest.mark.filterwarnings("ignore:.* have collapsed")
def test_values_beyond_rounding_raise_in_each_method(value):
    X = SCALED[:120].clip(0, 1)
    wrong = X.copy()
    wrong[3, 2] = value
    fitted = VariationalAutoencoder(2, hidden_layer_sizes=8, **BERNOULLI).fit(X)
    for method in (fitted.log_likelihood, fitted.partial_fit, clone(fitted).fit, clone(KINDS["machines"]).fit):
        with pytest.raises(ValueError, match=rf"\[0, 1\].*{value:.8g}"):
            method(wrong)
