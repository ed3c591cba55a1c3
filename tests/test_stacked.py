"""Stacks of layers: their initialization by pretrained layers, the layers they support, and nested parameters."""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM

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

QUICK = {"max_iter": 2, "validation_fraction": 0.6, "batch_size": 24, "random_state": 0}
SHORT = {"hidden_layer_sizes": 8, "max_iter": 2, "validation_fraction": 0.6}
TOP = ("top", Autoencoder(3, **SHORT))
STACKS = {
    "RBM": [("rbm", BernoulliRBM(12, n_iter=2)), TOP],
    "two RBMs": [("rbm", BernoulliRBM(12, n_iter=2)), ("second", BernoulliRBM(3, n_iter=2))],
    "plain": [("below", Autoencoder(12, **SHORT)), TOP],
    "standardized": [("below", Autoencoder(12, scale="standard", whiten=True, **SHORT)), TOP],
    "Bernoulli": [("below", Autoencoder(12, loss="binary_cross_entropy", **SHORT)), TOP],
    "Poisson": [("below", Autoencoder(12, loss="poisson", **SHORT)), TOP],
    "top_k": [("below", SparseAutoencoder(12, sparsity="top_k", **SHORT)), TOP],
    "sparse codes": [("below", Autoencoder(12, **SHORT)), ("kl", SparseAutoencoder(3, sparsity="kl", **SHORT))],
    "denoising": [("below", DenoisingAutoencoder(12, **SHORT)), TOP],
    "contractive": [("below", ContractiveAutoencoder(12, **SHORT)), TOP],
    "one contractive layer": [
        ("below", ContractiveAutoencoder(12, code_activation="tanh", **SHORT | {"hidden_layer_sizes": ()})),
        TOP,
    ],
    "variational": [("below", VariationalAutoencoder(12, **SHORT)), ("top", VariationalAutoencoder(3, **SHORT))],
    "convolutional": [("below", ConvolutionalAutoencoder(12, channels=(2,), **SHORT)), TOP],
    "LSTM": [("below", LSTMAutoencoder(12, hidden_size=3, **SHORT)), TOP],
    "ordered": [("below", Autoencoder(12, ordered=True, **SHORT)), TOP],
    "a stack": [("below", StackedAutoencoder((12, 6), **QUICK)), TOP],
    "numbers between": [("below", Autoencoder(12, **SHORT)), 6, TOP],
}


@pytest.fixture(scope="module")
def pixels():
    """Return samples in [0, 1] without constant features, which a stack preserves and an RBM does not."""
    from sklearn.datasets import load_digits

    X = load_digits().data[:240] / 16
    X[0, X.std(axis=0) == 0] = 0.5
    return X


def decoded(layer, codes):
    """Decode codes of an autoencoder or an RBM."""
    if isinstance(layer, BernoulliRBM):
        return expit(codes @ layer.components_ + layer.intercept_visible_)
    return layer.inverse_transform(codes)


def one_by_one(stack, X):
    """Return codes and reconstructions by the pretrained layers."""
    codes = X
    for layer in stack.layers_:
        codes = layer.transform(codes)
    x_hat = codes
    for layer in stack.layers_[::-1]:
        x_hat = decoded(layer, x_hat)
    return codes, x_hat


@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.slow
def test_training_starts_at_the_layers(kind, pixels):
    stack = StackedAutoencoder(STACKS[kind], learning_rate=1e-30, **QUICK).fit(pixels)
    assert stack.best_epoch_ == 0
    codes, x_hat = one_by_one(stack, pixels)
    np.testing.assert_allclose(stack.transform(pixels), codes, atol=1e-4 * max(1, np.abs(codes).max()))
    # reconstructions by the layer above may exceed the range of the codes
    clipped = kind in ("one contractive layer", "numbers between")
    tolerance = 0.3 if clipped else 1e-4
    np.testing.assert_allclose(stack.reconstruct(pixels), x_hat, atol=tolerance)


@pytest.mark.parametrize("kind", ["RBM", "Bernoulli"])
def test_likelihood_losses(kind, pixels):
    layers = STACKS[kind]
    stack = StackedAutoencoder(layers, loss="binary_cross_entropy", learning_rate=1e-30, **QUICK).fit(pixels)
    np.testing.assert_allclose(stack.reconstruct(pixels), one_by_one(stack, pixels)[1], atol=1e-4)
    trained = StackedAutoencoder(layers, loss="binary_cross_entropy", **QUICK | {"max_iter": 10}).fit(pixels)
    assert trained.best_epoch_ > 0
    x_hat = trained.reconstruct(pixels)
    assert (x_hat > 0).all()
    assert (x_hat < 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", STACKS)
def test_fine_tuning_is_no_worse_than_pretraining(kind, pixels):
    stack = StackedAutoencoder(STACKS[kind], **QUICK | {"max_iter": 12}).fit(pixels)
    _, x_hat = one_by_one(stack, pixels)
    assert stack.best_epoch_ > 0 or "RBM" not in kind
    error, at_first = (np.square(rows - pixels).sum() for rows in (stack.reconstruct(pixels), x_hat))
    assert error < at_first or stack.best_epoch_ == 0
    assert error < 1.01 * at_first


def test_constant_feature_with_rbm(pixels):
    X = pixels.copy()
    X[:, 5] = 0.75
    stack = StackedAutoencoder(STACKS["RBM"], learning_rate=1e-30, **QUICK).fit(X)
    np.testing.assert_allclose(stack.transform(X), one_by_one(stack, X)[0], atol=1e-4)
    np.testing.assert_array_equal(stack.reconstruct(X)[:, 5], 0.75)


@pytest.mark.slow
def test_decoder_is_nonlinear(pixels):
    """Decoders of single layers are linear; combined without activations, they would be no better than PCA."""
    for activation in ("relu", "logistic"):
        stack = StackedAutoencoder((48, 24, 4), activation=activation, **QUICK | {"max_iter": 60}).fit(pixels)
        codes = stack.transform(pixels)
        x_hat = stack.inverse_transform(codes)
        linear = np.linalg.lstsq(np.c_[codes, np.ones(len(codes))], x_hat, rcond=None)[0]
        assert np.abs(np.c_[codes, np.ones(len(codes))] @ linear - x_hat).max() > 0.05
        assert stack.score(pixels) > PCA(4).fit(pixels).explained_variance_ratio_.sum()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:max_iter=10 ended before:sklearn.exceptions.ConvergenceWarning")
def test_pretraining_helps_deep_logistic_networks(pixels):
    deep = StackedAutoencoder((48, 32, 16, 8), activation="logistic", max_iter=10, random_state=0)
    trained, random = (clone(deep).set_params(pretrain=pretrain).fit(pixels) for pretrain in (True, False))
    assert trained.score(pixels) > random.score(pixels) + 0.1
    assert not hasattr(random, "layers_")


def test_without_pretraining_equals_classic_autoencoder(pixels):
    shared = {"activation": "relu", "code_activation": "logistic", **QUICK}
    stack = StackedAutoencoder((16, 8, 4), pretrain=False, **shared).fit(pixels)
    classic = Autoencoder(4, hidden_layer_sizes=(16, 8), init="random", **shared).fit(pixels)
    np.testing.assert_array_equal(stack.transform(pixels), classic.transform(pixels))
    np.testing.assert_array_equal(stack.reconstruct(pixels), classic.reconstruct(pixels))


def test_codes_of_layers_given_as_numbers_have_pca_conventions(pixels):
    codes = StackedAutoencoder((16, 4), **QUICK).fit_transform(pixels)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-5)
    covariance = np.cov(codes.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-4 * covariance.max())
    assert (np.diff(np.diag(covariance)) <= 0).all()
    logistic = StackedAutoencoder((16, 4), code_activation="logistic", **QUICK).fit_transform(pixels)
    assert ((logistic > 0) & (logistic < 1)).all()


# Nested parameters ---------------------------------------------------------------------------------------------------


def test_nested_parameters():
    stack = StackedAutoencoder(STACKS["numbers between"])
    assert stack.get_params()["top__max_iter"] == 2
    assert "top" not in stack.get_params(deep=False)
    stack.set_params(top__max_iter=7, below=BernoulliRBM(5), activation="tanh")
    assert stack.layers[2][1].max_iter == 7
    assert isinstance(stack.layers[0][1], BernoulliRBM)
    assert stack.layers[1] == 6
    stack.set_params(layers=[("new", Autoencoder())], new__n_components=3)
    assert stack.layers[0][1].n_components == 3
    with pytest.raises(ValueError, match="Invalid parameter 'middle'"):
        stack.set_params(middle__n_components=3)
    other = clone(stack)
    assert other.layers[0][1] is not stack.layers[0][1]


def test_grid_search_over_layer_parameters(pixels):
    stack = StackedAutoencoder(STACKS["RBM"], **QUICK)
    grid = {"rbm__n_components": [2, 12], "top__n_components": [1, 3], "max_iter": [1, 3]}
    search = GridSearchCV(stack, grid, cv=2).fit(pixels)
    for layer, name in zip(search.best_estimator_.layers_, ("rbm", "top"), strict=True):
        assert layer.n_components == search.best_params_[f"{name}__n_components"]
    assert len(set(search.cv_results_["mean_test_score"])) > 4


def test_layers_are_cloned_and_seeded(pixels):
    given = Autoencoder(12, **SHORT, random_state=5)
    stack = StackedAutoencoder([("below", given), ("rbm", BernoulliRBM(3, n_iter=2))], **QUICK)
    stack.set_params(below__code_activation="logistic").fit(pixels)
    assert not given.__sklearn_is_fitted__()
    assert stack.layers_[0].random_state == 5
    assert isinstance(stack.layers_[1].random_state, int)
    np.testing.assert_array_equal(clone(stack).fit(pixels).transform(pixels), stack.transform(pixels))


def test_sparse_samples_and_partial_fit(pixels):
    rows = scipy.sparse.csr_array(np.where(pixels > 0.5, pixels, 0))
    stack = StackedAutoencoder(STACKS["RBM"], **QUICK).fit(rows)
    np.testing.assert_allclose(stack.transform(rows), stack.transform(rows.toarray()), atol=1e-9)
    stream = StackedAutoencoder((16, 4), **QUICK)
    scores = [stream.partial_fit(pixels).score(pixels) for _ in range(8)]
    assert scores[-1] > scores[0]


def test_continued_training_requires_the_same_layers(pixels):
    stack = StackedAutoencoder([("a", Autoencoder(8, **SHORT)), 4], warm_start=True, **QUICK).fit(pixels)
    first = stack.layers_
    assert stack.set_params(layers=(("a", Autoencoder(8, **SHORT)), np.int64(4))).fit(pixels).layers_ == first
    with pytest.raises(ValueError, match=r"warm_start=True .* in which layers was .* now it is .* Restore layers"):
        stack.set_params(a__n_components=9).fit(pixels)
    numbers = StackedAutoencoder((8, 3), pretrain=False, **QUICK).fit(pixels).set_params(pretrain=True)
    with pytest.raises(ValueError, match="in which pretrain was False; now it is True"):
        numbers.partial_fit(pixels)


# Invalid input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"layers": ()}, ValueError, "at least one layer"),
        ({"layers": 5}, ValueError, "'layers' parameter"),
        ({"layers": (16, 0)}, ValueError, "must contain numbers of units of 1 or more, or pairs .*got 0"),
        ({"layers": (16, True)}, ValueError, "got True"),
        ({"layers": (16, 2.5)}, ValueError, "got 2.5"),
        ({"layers": [Autoencoder()]}, ValueError, r"pairs \(name, estimator\), got Autoencoder"),
        ({"layers": [("a", KMeans())]}, TypeError, "Layer 'a' .* is not a network, and has no inverse_transform"),
        ({"layers": [("a", PCA())]}, TypeError, r"Layer 'a' .*Autoencoder\(n, hidden_layer_sizes=\(\)\) is PCA"),
        ({"layers": [("a", Autoencoder()), ("a", Autoencoder())]}, ValueError, "not unique"),
        ({"layers": [("loss", Autoencoder())]}, ValueError, "conflict with constructor arguments"),
        ({"layers": [("a__b", Autoencoder())]}, ValueError, "must not contain __"),
        ({"layers": [("a", Autoencoder())], "pretrain": False}, ValueError, "pretrain=False .* layer 'a'"),
        (
            {"layers": [("a", Autoencoder(12, **SHORT)), ("b", ConvolutionalAutoencoder(image_shape=(8, 8)))]},
            ValueError,
            r"Layer 'b' of layers, which gets 12 codes of the layer below: image_shape=\(8, 8\) has 64 values",
        ),
        ({"layers": [("a", Autoencoder(0))]}, ValueError, "Layer 'a' of layers, .*'n_components' parameter"),
        (
            {"layers": [("a", Autoencoder(12, **SHORT)), ("rbm", BernoulliRBM(3))]},
            ValueError,
            r"Layer 'rbm' .* needs values in \[0, 1\], got values from .*code_activation='logistic'",
        ),
    ],
    ids=str,
)
def test_invalid_layers_raise(parameters, error, message, pixels):
    stack = StackedAutoencoder(**parameters)
    with pytest.raises(error, match=message):
        stack.fit(pixels)
    assert not stack.__sklearn_is_fitted__()
    assert not hasattr(stack, "layers_")


def test_rbm_with_data_outside_its_range_raises(digits):
    with pytest.raises(ValueError, match=r"from 0 to 16\. Scale X with MinMaxScaler"):
        StackedAutoencoder(STACKS["RBM"]).fit(digits)


def test_likelihood_with_data_outside_its_range_raises(digits):
    with pytest.raises(ValueError, match=r"requires X in \[0, 1\]"):
        StackedAutoencoder((8, 2), loss="binary_cross_entropy").fit(digits)


@pytest.mark.parametrize("activation", ["gelu", "relu", "logistic"])
def test_stack_of_two_layers_outperforms_pca(activation):
    rng = np.random.default_rng(0)
    points = rng.standard_normal((1000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)  # PCA reconstructs two thirds of the variance of a sphere
    X = points @ np.linalg.qr(rng.standard_normal((20, 20)))[0][:3] + 0.01 * rng.standard_normal((1000, 20))
    stack = StackedAutoencoder([64, 2], activation=activation, cv=2, random_state=0).fit(X[:800])
    pca = PCA(2).fit(X[:800])
    left = np.square(pca.inverse_transform(pca.transform(X[800:])) - X[800:]).sum()
    assert np.square(stack.reconstruct(X[800:]) - X[800:]).sum() < 0.7 * left
