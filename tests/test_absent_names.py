"""Names of PCA that an autoencoder does not have: errors name a replacement, and the names are not in `dir`."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import NotFittedError

from skae import Autoencoder, SparseAutoencoder, VariationalAutoencoder
from skae._absent import INSTEAD

OF_PCA = {
    name
    for pca in (PCA(2), IncrementalPCA(2))
    for name in dir(pca.fit(np.random.RandomState(0).rand(30, 4)))
    if not name.startswith("_")
}
WORDS = {
    "components_": "loadings",
    "singular_values_": r"np\.sqrt\(explained_variance_ \* \(n_samples_ - 1\)\)",
    "noise_variance_": "VariationalAutoencoder|squared_error",
    "get_covariance": "explained_variance_|sample",
    "sample": "LatentSampler",
    "n_samples_seen_": "n_samples_",
}


def test_names_of_pca_exist_or_raise_an_explanation(fitted):
    for name in OF_PCA:
        if not hasattr(fitted, name):
            with pytest.raises(AttributeError, match=rf"{name}(': | is ).{{15}}"):
                getattr(fitted, name)


def test_error_names_the_replacement(fitted):
    for name, words in WORDS.items():
        if not hasattr(fitted, name):
            with pytest.raises(
                AttributeError, match=rf"'{type(fitted).__name__}' object has no attribute '{name}': .*({words})"
            ):
                getattr(fitted, name)
            with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
                getattr(clone(fitted), name)


def test_absent_names_are_no_attributes(fitted):
    absent = [name for name in INSTEAD if not hasattr(fitted, name)]
    assert "var_" in absent
    assert not set(absent) & set(dir(fitted))
    assert not set(absent) & set(vars(type(fitted)))
    for other in (copy.copy(fitted), copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted)), clone(fitted)):
        assert [name for name in INSTEAD if not hasattr(other, name) and name in absent] == absent
        assert getattr(other, "var_", None) is None


def test_variants_may_define_names_of_pca(fits):
    sparse = fits(SparseAutoencoder(4, max_iter=2, random_state=0))
    assert sparse.components_.shape == (4, 64)
    with pytest.raises(AttributeError, match="has no attribute 'components_': it is set by fit"):
        _ = clone(sparse).components_
    variational = fits(VariationalAutoencoder(4, hidden_layer_sizes=(), random_state=0))
    assert variational.noise_variance_ > 0
    assert variational.sample(3).shape == (3, 64)
    with pytest.raises(AttributeError, match="has no attribute 'noise_variance_': it is set by fit"):
        _ = VariationalAutoencoder().noise_variance_


def test_other_attribute_errors_are_unchanged(digits):
    network = Autoencoder(2, hidden_layer_sizes=8, max_iter=1, random_state=0).fit(digits)
    with pytest.raises(AttributeError, match=r"^explained_variance_ratio_ is not defined: .* ordered=True"):
        _ = network.explained_variance_ratio_
    with pytest.raises(AttributeError, match=r"^'Autoencoder' object has no attribute 'codes_'$"):
        _ = network.codes_
    with pytest.raises(NotFittedError):
        _ = Autoencoder().explained_variance_ratio_
    assert np.isfinite(network.loadings(digits)).all()
