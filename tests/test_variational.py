"""The variational autoencoder, against probabilistic PCA, `torch.distributions`, autograd and numerical integration."""

import contextlib

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skae import VariationalAutoencoder
from skae._data.readers import ScaledReader
from skae._probabilistic_pca import probabilistic_start
from skae.architectures import Convolutional, Recurrent
from skae.nn.functional import kl_from_prior

QUICK = {"hidden_layer_sizes": 16, "max_iter": 4, "random_state": 0}
RNG = np.random.RandomState(0)
GAUSSIAN = RNG.standard_normal((400, 3)) @ RNG.standard_normal((3, 8)) + 0.5 * RNG.standard_normal((400, 8)) + 1e3
DATA = {"digits": load_digits().data[:900], "Gaussian": GAUSSIAN}


def linear(k, **parameters):
    return VariationalAutoencoder(k, hidden_layer_sizes=(), random_state=0, **parameters)


@pytest.fixture(scope="module")
def fitted():
    return VariationalAutoencoder(3, **QUICK).fit(DATA["digits"])


# Formulas ------------------------------------------------------------------------------------------------------------


def test_divergence_equals_that_of_torch():
    mean, log_variance = 3 * torch.randn(50, 4).double(), 4 * torch.randn(50, 4).double() - 2
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(kl_from_prior(mean, log_variance), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_loss_is_negative_evidence_lower_bound(loss, digits):
    X = digits / 16
    fitted = VariationalAutoencoder(3, loss=loss, beta=2.0, **QUICK).fit(X)
    module = fitted._modules["float64"]
    x = module.scaler(torch.tensor(X))
    mean, deviation = (torch.tensor(values) for values in fitted.posterior(X))
    torch.manual_seed(0)
    with torch.no_grad():
        terms = module.losses(x)
    torch.manual_seed(0)
    with torch.no_grad():
        output = module.decoded(module.sample(module.encoder(x)))
    if loss == "squared_error":
        noise = torch.distributions.Normal(output, module.log_noise.detach().exp().sqrt())
        expected = -noise.log_prob(x).sum(dim=1)
    else:
        rows = torch.tensor(X)
        logits = module.link(output)
        expected = -(
            rows * torch.nn.functional.logsigmoid(logits) + (1 - rows) * torch.nn.functional.logsigmoid(-logits)
        ).sum(1)
    torch.testing.assert_close(terms["reconstruction"], expected)
    prior = torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(torch.distributions.Normal(mean, deviation), prior).sum(dim=1)
    torch.testing.assert_close(terms["divergence"], 2 * divergence)


def test_log_variances_are_bounded(fitted):
    module = fitted.net_.module_
    _, log_variance = module.posterior(torch.tensor([[0.0] * 3 + [-1e6, -3.0, 1e6]]))
    torch.testing.assert_close(log_variance, torch.tensor([[-35.0, -3.0, 10.0]]), atol=1e-3, rtol=0)


def test_likelihood_equals_numerical_integral():
    X = (load_digits().data[:300] > 8).astype(float)
    fitted = VariationalAutoencoder(1, loss="binary_cross_entropy", **QUICK).fit(X)
    z = np.linspace(-8, 8, 4001)
    p = fitted.inverse_transform(z[:, None])
    log_joint = scipy.stats.norm.logpdf(z) + X[:20] @ np.log(p).T + (1 - X[:20]) @ np.log1p(-p).T
    expected = np.log(np.exp(log_joint).sum(axis=1) * (z[1] - z[0]))
    ours = fitted.log_likelihood(X[:20], 3000, random_state=0)
    np.testing.assert_allclose(ours, expected, atol=0.05)


# Linear: probabilistic PCA -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("k", [1, 3, 6])
def test_linear_is_probabilistic_pca(name, k):
    train, test = DATA[name][::2], DATA[name][1::2]
    pca, vae = PCA(k, svd_solver="full").fit(train), linear(k).fit(train)
    for n_draws in (1, 7):
        ours = vae.log_likelihood(test, n_draws, random_state=n_draws)
        np.testing.assert_allclose(ours, pca.score_samples(test), rtol=0, atol=1e-3)
    assert vae.noise_variance_ == pytest.approx(pca.noise_variance_, rel=1e-3)
    assert vae.n_iter_ == 1
    # the posterior: mean sqrt(l - s) / l times the score, variance s / l
    variance, noise = pca.explained_variance_, pca.noise_variance_
    mean, deviation = vae.posterior(test)
    expected = pca.transform(test) * np.sqrt(variance - noise) / variance
    np.testing.assert_allclose(mean, expected, atol=1e-4)
    np.testing.assert_allclose(deviation, np.broadcast_to(np.sqrt(noise / variance), mean.shape), rtol=1e-4)


def test_likelihood_is_in_units_of_x(digits):
    scaler = StandardScaler().fit(digits)
    vae = linear(4, scale="standard").fit(digits)
    pca = PCA(4, svd_solver="full").fit(scaler.transform(digits))
    expected = pca.score_samples(scaler.transform(digits)) - np.log(scaler.scale_).sum()
    np.testing.assert_allclose(vae.log_likelihood(digits, 1), expected, atol=1e-3)
    np.testing.assert_allclose(linear(4).fit(digits).log_likelihood(digits, 1).mean(), PCA(4).fit(digits).score(digits))
    centered = linear(4, scale=None).fit(digits)
    np.testing.assert_allclose(centered.log_likelihood(digits, 1).mean(), PCA(4).fit(digits).score(digits))


@pytest.mark.parametrize("architecture", [None, Convolutional(channels=(2,)), Recurrent(hidden_size=3)], ids=str)
def test_training_starts_at_probabilistic_pca(architecture, digits):
    start = VariationalAutoencoder(4, architecture=architecture, learning_rate=1e-30, **QUICK).fit(digits)
    assert start.best_epoch_ == 0
    pca = PCA(4, svd_solver="full").fit(digits)
    np.testing.assert_allclose(start.log_likelihood(digits, 1), pca.score_samples(digits), atol=1e-2)
    assert start.active_units_.all()


@pytest.mark.parametrize("beta", [0.0, 0.2, 1.0, 3.0, 20.0])
def test_linear_solution_is_optimal(beta):
    """Check that the gradient of the exact objective is zero, and that no other noise variance is better."""
    X = GAUSSIAN - GAUSSIAN.mean(axis=0)
    rows = ScaledReader(X, np.zeros(8), np.ones(8))
    start = probabilistic_start(rows, 3, 0, beta=beta, least_noise=1e-6)
    assert (start.gain > 0).any() == (beta < 20)
    x = torch.tensor(X)
    weights = start.weights()
    parameters = {
        "encoder": torch.tensor(weights["encoder.linear.weight"][:3]),
        "log_variance": torch.tensor(np.log(start.posterior_variance)),
        "decoder": torch.tensor(weights["decoder.linear.weight"]),
        "log_noise": torch.tensor(weights["log_noise"]),
    }

    def objective(encoder, log_variance, decoder, log_noise):
        mean = x @ encoder.T
        error = (x - mean @ decoder.T).square().sum() / (len(x) - 1)
        error = error + (log_variance.exp() * decoder.square().sum(dim=0)).sum()
        divergence = (mean.square().sum(dim=0) / (len(x) - 1) + log_variance.exp() - 1 - log_variance).sum()
        return 0.5 * (error * (-log_noise).exp() + 8 * log_noise) + beta * 0.5 * divergence

    inputs = [value.requires_grad_() for value in parameters.values()]
    best = objective(*inputs)
    gradients = torch.autograd.grad(best, inputs)
    if beta:  # without the divergence the optimal posterior variance is zero
        for gradient in gradients:
            assert gradient.abs().max() < 1e-6
    for step in (-0.5, 0.5):
        assert objective(*inputs[:3], inputs[3] + step) > best


def test_noise_variance_has_minimum():
    X = RNG.standard_normal((60, 3)) @ RNG.standard_normal((3, 6))  # of rank 3
    for k in (3, 5, 8):
        with pytest.warns(ConvergenceWarning, match="collapsed") if k > 3 else contextlib.nullcontext():
            vae = linear(k).fit(X)
        assert vae.noise_variance_ == pytest.approx(1e-6 * X.var(axis=0).mean(), rel=1e-3)
        assert np.isfinite(vae.log_likelihood(X)).all()
        assert vae.score(X) > 0.999
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        trained = VariationalAutoencoder(8, **QUICK).fit(X)
    assert trained.noise_variance_ >= 0.99e-6 * X.var(axis=0).mean()


# Beyond PCA ----------------------------------------------------------------------------------------------------------


def test_bound_exceeds_likelihood_of_pca():
    train, test = DATA["digits"][::2], DATA["digits"][1::2]
    vae = VariationalAutoencoder(4, hidden_layer_sizes=64, max_iter=30, random_state=0).fit(train)
    assert vae.log_likelihood(test, 1, random_state=0).mean() > PCA(4).fit(train).score(test) + 2


def test_more_draws_do_not_decrease_the_bound(fitted):
    X = DATA["digits"]
    few, some, many = (fitted.log_likelihood(X, n_draws, random_state=0) for n_draws in (1, 10, 100))
    for low, high in ((few, some), (some, many)):
        gain = high - low
        assert gain.mean() > -2 * gain.std() / np.sqrt(len(gain))
    assert many.mean() > few.mean()


@pytest.mark.filterwarnings("ignore:.* collapsed:sklearn.exceptions.ConvergenceWarning")
def test_divergence_decreases_as_beta_increases():
    X = DATA["digits"]
    divergences = []
    for beta in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        vae = VariationalAutoencoder(3, beta=beta, hidden_layer_sizes=32, max_iter=8, random_state=0)
        mean, deviation = vae.fit(X).posterior(X)
        divergences.append((mean**2 + deviation**2 - 1 - 2 * np.log(deviation)).sum(axis=1).mean())
    assert (np.diff(divergences) < 0).all()


def test_warning_names_collapsed_components(digits):
    with pytest.warns(ConvergenceWarning, match=r"3 of 4 components .* are unused: 1, 2, 3\..* Set n_components=1,"):
        vae = linear(4, beta=10.0).fit(digits)
    np.testing.assert_array_equal(vae.active_units_, [True, False, False, False])
    np.testing.assert_array_equal(vae.active_units_, vae.transform(digits).var(axis=0) > 0.01)


def test_kl_weight_increases_from_random_initialization(digits):
    net = VariationalAutoencoder(3, init="random", **QUICK).fit(digits).net_
    module = net.module_.train()
    assert module.kl_weight == 0
    module.after_step(0.25)
    assert module.kl_weight == 0.5
    module.after_step(0.9)
    assert module.kl_weight == 1
    assert VariationalAutoencoder(3, **QUICK).fit(digits).net_.module_.kl_weight == 1


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_varying_constant_feature_decreases_likelihood(loss, digits):
    X = (digits > 7).astype(float)
    vae = VariationalAutoencoder(3, loss=loss, **QUICK).fit(X)
    (constant,) = np.nonzero(X.std(axis=0) == 0)
    inverted = X.copy()
    inverted[:, constant] = 1 - inverted[:, constant]
    lost = vae.log_likelihood(X, 1, random_state=0) - vae.log_likelihood(inverted, 1, random_state=0)
    # the Bernoulli mean of a constant feature is half a count in 240 samples
    each = np.log(2 * 240 - 1) if loss == "binary_cross_entropy" else 0.5 / vae.noise_variance_
    np.testing.assert_allclose(lost, len(constant) * each, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.* collapsed:sklearn.exceptions.ConvergenceWarning")
def test_few_samples_do_not_give_zero_noise(digits):
    stream = VariationalAutoencoder(10, hidden_layer_sizes=16, random_state=0)
    for start in range(0, 240, 10):
        stream.partial_fit(digits[start : start + 10])
    assert stream.log_likelihood(digits).mean() > PCA(1).fit(digits).score(digits) - 60
    few = linear(10).fit(digits[:15])
    assert few.log_likelihood(digits[15:]).mean() > linear(10).fit(digits).log_likelihood(digits[15:]).mean() - 250


# Draws ---------------------------------------------------------------------------------------------------------------


def test_codes_are_posterior_means_sorted_and_signed(fitted):
    X = DATA["digits"]
    mean, deviation = fitted.posterior(X)
    np.testing.assert_array_equal(mean, fitted.transform(X))
    assert (np.diff(mean.var(axis=0)) <= 0).all()
    assert ((deviation > 0) & (deviation < 1.2)).all()
    loadings = (mean - mean.mean(axis=0)).T @ X
    assert (loadings[np.arange(3), np.abs(loadings).argmax(axis=1)] > 0).all()
    # draws have the standard deviations of the same components
    draws = fitted.net_.module_.axes(fitted.net_.module_.sample(_encoding(fitted, X[:1]).expand(200_000, -1)))
    np.testing.assert_allclose(draws.std(dim=0).detach(), deviation[0], rtol=0.05)
    np.testing.assert_allclose(draws.mean(dim=0).detach(), mean[0], atol=0.02)


def _encoding(vae, X):
    module = vae.net_.module_
    return module.encoder(module.scaler(torch.tensor(X, dtype=torch.float32)))


def test_draws_are_bit_identical_and_leave_global_generator_unchanged(fitted):
    X = DATA["digits"][:5]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for draw in (
        lambda seed: fitted.sample(7, random_state=seed),
        lambda seed: fitted.vary(X, 1.0, 3, random_state=seed),
        lambda seed: fitted.log_likelihood(X, 4, random_state=seed),
    ):
        np.testing.assert_array_equal(draw(0), draw(0))
        assert not np.array_equal(draw(0), draw(1))
        assert not np.array_equal(draw(None), draw(None))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_samples_of_linear_model_have_covariance_of_pca():
    X = DATA["Gaussian"]
    vae, pca = linear(3).fit(X), PCA(3).fit(X)
    drawn = vae.sample(50_000, random_state=0)
    assert drawn.shape == (50_000, 8)
    covariance = pca.get_covariance() - pca.noise_variance_ * np.eye(8)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03 * np.abs(covariance).max())
    np.testing.assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.05)


@pytest.mark.parametrize("scale", ["global", "standard", None])
def test_noise_of_samples_is_that_of_likelihood(scale):
    X = DATA["Gaussian"] * [1, 1, 1, 1, 1, 3, 3, 0]  # with a constant feature, which has noise as well
    vae = linear(2, scale=scale).fit(X)
    means, drawn = (vae.sample(20_000, random_state=0, noise=noise) for noise in (False, True))
    unit = StandardScaler().fit(X).scale_ if scale == "standard" else np.ones(8)
    noise = (drawn - means) / unit
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.03 * np.sqrt(vae.noise_variance_))
    np.testing.assert_allclose(np.cov(noise.T), vae.noise_variance_ * np.eye(8), atol=0.04 * vae.noise_variance_)
    if scale == "global":  # samples have the covariance of PCA, which includes noise
        expected = PCA(2).fit(X).get_covariance()
        np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03 * np.abs(expected).max())
    assert vae.log_likelihood(drawn, 1).mean() < vae.log_likelihood(means, 1).mean()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_samples_have_means_of_likelihood(dtype, digits):
    X = (digits / 16).astype(dtype)
    vae = VariationalAutoencoder(3, loss="binary_cross_entropy", **QUICK).fit(X)
    means, drawn = (vae.sample(4000, random_state=1, noise=noise) for noise in (False, True))
    assert ((means >= 0) & (means <= 1)).all()
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.dtype == means.dtype
    variance = (means * (1 - means)).mean(axis=0)  # of the Bernoulli draws
    np.testing.assert_allclose(drawn.mean(axis=0), means.mean(axis=0), atol=4 * np.sqrt(variance.max() / 4000))
    np.testing.assert_allclose(np.square(drawn - means).mean(axis=0), variance, atol=0.03)
    np.testing.assert_array_equal(drawn, vae.sample(4000, random_state=1, noise=True))
    rng = np.random.RandomState(1)
    np.testing.assert_array_equal(vae.sample(4000, rng), means)
    assert not np.array_equal(vae.sample(4000, rng), means)


def test_variations_follow_the_posterior(fitted):
    X = DATA["digits"][:3]
    np.testing.assert_allclose(fitted.vary(X, scale=0)[:, 0], fitted.reconstruct(X), atol=1e-9)
    assert fitted.vary(X, n_variations=4).shape == (3, 4, 64)
    assert fitted.vary(X.astype(np.float32)).dtype == np.float32
    vae = linear(3).fit(GAUSSIAN)
    varied = vae.vary(GAUSSIAN[:1], scale=2.0, n_variations=20_000, random_state=0)[0]
    _, deviation = vae.posterior(GAUSSIAN[:1])
    expected = 2 * deviation[0]
    np.testing.assert_allclose(vae.transform(varied).std(axis=0) / _shrinkage(vae), expected, rtol=0.05)


def _shrinkage(vae):
    """Return the factor by which a decoded and encoded code shrinks: the fraction of the variance that isn't noise."""
    pca = PCA(vae.n_components_).fit(GAUSSIAN)
    return 1 - pca.noise_variance_ / pca.explained_variance_


def test_interpolation_starts_and_ends_at_samples(fitted):
    a, b = DATA["digits"][0], DATA["digits"][5]
    path = fitted.interpolate(a, b, n_steps=6)
    assert path.shape == (6, 64)
    np.testing.assert_allclose(path[[0, -1]], fitted.reconstruct([a, b]), atol=1e-9)
    codes = fitted.transform([a, b])
    np.testing.assert_allclose(path[2], fitted.inverse_transform([0.6 * codes[0] + 0.4 * codes[1]])[0], atol=1e-9)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(DATA["digits"][:40]).rename(columns=str)
    framed = linear(3).set_output(transform="pandas").fit(frame)
    np.testing.assert_array_equal(framed.interpolate(frame.iloc[0], frame.iloc[5]).shape, (10, 64))
    assert fitted.interpolate(a.astype(np.float32), b.astype(np.float32)).dtype == np.float32
    assert fitted.interpolate(a.astype(np.float32), b).dtype == np.float64
    many = fitted.interpolate(np.stack([a, b]), np.stack([b, a]), n_steps=6)
    np.testing.assert_allclose(many, [path, path[::-1]], atol=1e-9)


# Invalid input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beta": -1.0}, "'beta' parameter"),
        ({"beta": float("nan")}, "'beta' parameter"),
        ({"loss": "huber"}, "'loss' parameter"),
        ({"n_components": 0.9}, "'n_components' parameter"),
        ({"loss": "binary_cross_entropy"}, r"requires X in \[0, 1\], but column"),
        ({"architecture": Convolutional(channels=(2,), dense_code=False)}, "without outputs for the variances"),
    ],
)
def test_invalid_parameters_raise(parameters, message, digits):
    with pytest.raises(ValueError, match=message):
        VariationalAutoencoder().set_params(**parameters).fit(digits)


def test_bernoulli_likelihood_of_data_outside_its_range_raises(digits):
    vae = VariationalAutoencoder(3, loss="binary_cross_entropy", **QUICK).fit(digits / 16)
    with pytest.raises(ValueError, match=r"X must be in \[0, 1\] .* from 0 to 16"):
        vae.log_likelihood(digits)


def test_error_message_without_missing_methods(fitted):
    with pytest.raises(ValueError, match="X has 2 columns") as error:
        fitted.inverse_transform(np.zeros((1, 2)))
    assert "ordered" not in str(error.value)


def test_invalid_arguments_raise(fitted):
    X = DATA["digits"]
    for call, message in (
        (lambda: fitted.sample(0), "n_samples == 0, must be >= 1"),
        (lambda: fitted.vary(X, -1.0), "scale == -1.0, must be >= 0"),
        (lambda: fitted.vary(X, np.inf), "scale=inf must be finite"),
        (lambda: fitted.vary(X, np.nan), "scale=nan must be finite"),
        (lambda: fitted.vary(X, n_variations=0), "n_variations == 0"),
        (lambda: fitted.log_likelihood(X, 0), "n_draws == 0"),
        (lambda: fitted.interpolate(X[:2], X[:3]), "a has 2 samples and b has 3"),
        (lambda: fitted.interpolate(X[0], X[1], 1), "n_steps == 1, must be >= 2"),
        (lambda: fitted.interpolate(X[0, 1:], X[1, 1:]), "X has 63 features"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="n_samples must be an instance of int"):
        fitted.sample(1.5)
    with pytest.raises(TypeError, match="noise must be an instance of"):
        fitted.sample(1, noise="yes")
