"""Denoising autoencoders: corruptions, initialization, and quality of the reconstructions."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from skae import DenoisingAutoencoder
from skae._corruption import CORRUPTIONS

QUICK = {"hidden_layer_sizes": 8, "max_iter": 2, "validation_fraction": 0.3, "random_state": 0}
X = np.random.RandomState(0).randn(400, 6) @ np.diag([3, 1, 1, 0.5, 0.1, 2]) + [0, 5, 0, -2, 0, 1e4]


def corrupt(corruption, level, X=X, **parameters):
    """Return corrupted samples, in the units of X."""
    module = (
        DenoisingAutoencoder(2, corruption=corruption, corruption_level=level, **QUICK | parameters).fit(X).net_.module_
    )
    x = module.scaler(torch.tensor(X, dtype=torch.float32))
    return module.scaler.inverse(module.corrupt(x)).numpy()


def corrupted_values(seen, level, tolerance=0.03):
    """Return a mask of the corrupted values, after checking that their number is about as expected."""
    changed = ~np.isclose(seen, X, rtol=1e-5, atol=1e-2 * X.std(axis=0).min())
    assert abs(changed.mean() - level) < tolerance
    return changed


@pytest.mark.parametrize("scale", ["global", "standard", None])
def test_masking_sets_values_to_zero(scale):
    seen = corrupt("masking", 0.3, scale=scale)
    np.testing.assert_allclose(seen[corrupted_values(seen, 0.3)], 0, atol=0.01)


def test_salt_and_pepper_sets_minimum_or_maximum():
    seen = corrupt("salt_and_pepper", 0.3, scale="standard")
    changed = corrupted_values(seen, 0.3)
    for column in range(6):
        values = seen[changed[:, column], column]
        low, high = X[:, column].min(), X[:, column].max()
        is_low, is_high = (np.isclose(values, extreme, atol=0.01) for extreme in (low, high))
        assert (is_low | is_high).all()
        assert 0.3 < is_low.mean() < 0.7
    seen = corrupt("salt_and_pepper", 0.3, X=X[:, :5])  # one scale for all features
    assert np.isclose(seen, X[:, :5].max(), atol=0.01).mean() > 0.1


def test_swap_takes_values_of_other_samples():
    seen = corrupt("swap", 0.3)
    changed = corrupted_values(seen, 0.3)
    for column in range(6):
        values = seen[changed[:, column], column]
        assert (abs(values[:, None] - X[:, column]).min(axis=1) < 0.01).all()


@pytest.mark.parametrize("scale", ["global", "standard", None])
@pytest.mark.parametrize("skewed", [False, True])
def test_gaussian_noise_scales_with_the_deviation_and_has_zero_mean(scale, skewed):
    rng = np.random.RandomState(0)
    X = (rng.rand(4000, 5) ** (8 if skewed else 1)) * [1, 10, 1, 0, 3] + [0, 0, 5, 0.5, 0]
    seen = corrupt("gaussian", 0.3, X=X, scale=scale)
    np.testing.assert_allclose((seen - X).std(axis=0), 0.3 * X.std(axis=0), rtol=0.05, atol=1e-6)
    np.testing.assert_allclose((seen - X).mean(axis=0) / X.std(axis=0).clip(1), 0, atol=0.03)
    assert (seen[:, 3] == 0.5).all()  # constant features don't change
    assert seen[:, 0].min() < -0.05  # without clipping


def test_gaussian_noise_is_clipped_to_the_range():
    X = np.random.RandomState(0).rand(1000, 3) * [1, 2, 4]
    with_units = {
        "global": (X.min(), X.max()),
        "standard": (X.min(axis=0), X.max(axis=0)),
    }
    for scale, (low, high) in with_units.items():
        seen = corrupt("gaussian", 50.0, X=X, scale=scale, clip=True)
        np.testing.assert_allclose(seen.min(axis=0), np.broadcast_to(low, 3), atol=1e-5)
        np.testing.assert_allclose(seen.max(axis=0), np.broadcast_to(high, 3), atol=1e-5)
        seen = corrupt("gaussian", 50.0, X=X, scale=scale, clip=(-1, 5.5))
        np.testing.assert_allclose([seen.min(axis=0), seen.max(axis=0)], [[-1] * 3, [5.5] * 3], atol=1e-5)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("levels", [(0, 0.6), [0.2, 0.6], (0.4, 0.4), np.array([0.1, 1.0])])
def test_each_sample_has_its_own_noise_level(corruption, levels):
    X = np.random.RandomState(0).randn(500, 150) + 9
    seen = corrupt(corruption, levels, X=X, init="random")
    levels_of_samples = (seen - X).std(axis=1) if corruption == "gaussian" else (abs(seen - X) > 1e-4).mean(axis=1)
    low, high = levels
    assert levels_of_samples.mean() == pytest.approx((low + high) / 2, abs=0.03)
    quartiles = low + (high - low) * np.array([0.25, 0.75])
    np.testing.assert_allclose(np.quantile(levels_of_samples, [0.25, 0.75]), quartiles, atol=0.06)
    assert low - 0.15 < levels_of_samples.min() < low + 0.05
    assert high - 0.05 < levels_of_samples.max() < high + 0.2


@hypothesis.given(
    corruption=st.sampled_from(list(CORRUPTIONS)),
    scale=st.sampled_from(["global", "standard"]),
    level=st.sampled_from([0.3, (0.0, 0.8)]),
    clip=st.booleans(),
    exact=st.booleans(),
    layers=st.sampled_from([(), (4,)]),
    seed=st.integers(0, 1000),
)
def test_levels_mean_the_same_in_all_units(corruption, scale, level, clip, exact, layers, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 5)) * [1, 2, 0.1, 5, 0] + rng.integers(-3, 4, 5)
    unit = 2.0 ** rng.integers(-12, 12, 5 if scale == "standard" else ()) * (1 if exact else np.pi)
    ours = DenoisingAutoencoder(
        2,
        corruption=corruption,
        corruption_level=level,
        clip=clip,
        scale=scale,
        **QUICK | {"hidden_layer_sizes": layers},
    )
    here, there = ours.fit(X).reconstruct(X), ours.fit(unit * X).reconstruct(unit * X) / unit
    np.testing.assert_allclose(there, here, rtol=0, atol=0 if exact else 1e-3 * X.std())


def test_ranges_of_parameters_are_saved(digits, tmp_path):
    ours = DenoisingAutoencoder(4, corruption="gaussian", corruption_level=(0.1, 0.5), clip=(0, 16), **QUICK)
    ours.fit(digits)
    ours.save(tmp_path / "a")
    loaded = DenoisingAutoencoder.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded.transform(digits), ours.transform(digits))
    assert loaded.corruption_level == (0.1, 0.5)
    assert loaded.clip == (0, 16)
    loaded.partial_fit(digits[:200])


def shift(rows):
    """Shift each sample by one column, and add a little noise."""
    return rows.roll(1, dims=1) + 0.01 * torch.randn(rows.shape)


def test_callable_receives_unscaled_samples():
    seen = corrupt(shift, 0.0)
    np.testing.assert_allclose(seen, np.roll(X, 1, axis=1), atol=0.1)


@pytest.mark.parametrize("corruption", [*CORRUPTIONS, shift])
def test_noise_is_redrawn_and_reproducible(corruption, digits):
    first, second = (DenoisingAutoencoder(2, corruption=corruption, **QUICK).fit(digits) for _ in range(2))
    np.testing.assert_array_equal(first.transform(digits), second.transform(digits))
    module = first.net_.module_
    x = module.scaler(torch.tensor(digits, dtype=torch.float32))
    assert not torch.equal(module.corrupt(x), module.corrupt(x))


def test_validation_noise_is_the_same_in_each_epoch(digits):
    frozen = DenoisingAutoencoder(2, learning_rate=1e-30, hidden_layer_sizes=8, max_iter=4, random_state=0).fit(digits)
    assert np.ptp(frozen.validation_loss_curve_) < 1e-4 * frozen.validation_loss_curve_[0]
    assert np.ptp(frozen.loss_curve_) > 1e-3 * frozen.loss_curve_[0]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("level", [0.3, (0, 0.9)])
@pytest.mark.slow
def test_training_starts_at_the_optimal_linear_denoiser(corruption, level, digits):
    rows = np.tile(digits, (200, 1))  # enough draws for a regression that is near the optimum
    estimator = DenoisingAutoencoder(
        64,
        corruption=corruption,
        corruption_level=level,
        hidden_layer_sizes=(),
        learning_rate=1e-30,
        max_iter=1,
        validation_fraction=0.3,
    ).fit(digits)
    module = estimator.net_.module_
    seen = module.corrupt(module.scaler(torch.tensor(rows, dtype=torch.float32))).double()
    noisy = module.scaler.inverse(seen.float()).double().numpy()
    regression = LinearRegression().fit(noisy, rows)
    best = np.square(regression.predict(noisy) - rows).mean()
    ours = np.square(estimator.reconstruct(noisy) - rows).mean()
    assert best <= ours * (1 + 1e-6)
    assert ours < best * 1.02


def test_rank_reduction_is_optimal(digits):
    def error(k):
        estimator = DenoisingAutoencoder(k, hidden_layer_sizes=(), learning_rate=1e-30, max_iter=1, random_state=0)
        estimator.fit(digits)
        noisy = np.where(np.random.RandomState(0).rand(*rows.shape) < 0.3, 0, rows)
        return np.square(estimator.reconstruct(noisy) - rows).sum() / len(rows), noisy

    rows = np.tile(digits, (50, 1))
    error_of_8, noisy = error(8)
    regression = LinearRegression().fit(noisy, rows)
    predicted = regression.predict(noisy)
    lost = np.linalg.svd(predicted - rows.mean(axis=0), compute_uv=False)[8:]
    best = (np.square(predicted - rows).sum() + np.square(lost).sum()) / len(rows)
    assert best * (1 - 1e-6) <= error_of_8 < best * 1.01


def test_training_improves_denoising(digits):
    noisy = np.where(np.random.RandomState(0).rand(*digits.shape) < 0.3, 0, digits)
    start, trained = (
        DenoisingAutoencoder(16, learning_rate=rate, max_iter=20, validation_fraction=0.3, random_state=0).fit(digits)
        for rate in (1e-30, 0.01)
    )
    errors = [np.square(estimator.reconstruct(noisy) - digits).mean() for estimator in (start, trained)]
    assert errors[1] < 0.95 * errors[0]


def r2(clean, denoised):
    return r2_score(clean, denoised, multioutput="variance_weighted")


def spots(n, side=8):
    """Return images of bright spots on black, (n, side * side)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    center, width = rng.uniform(1.5, side - 2.5, (2, n, 1, 1)), rng.uniform(0.8, 1.6, (n, 1, 1))
    images = np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / (2 * width**2))
    return np.where(images < 0.05, 0, images).reshape(n, -1)


def waves(n, d=24):
    """Return sines of random phases, (n, d)."""
    rng = np.random.default_rng(0)
    height, speed, phase = (rng.uniform(*between, (n, 1)) for between in ((0.5, 1), (0.4, 0.6), (0, 6)))
    return height * np.sin(speed * np.arange(d) + phase)


def curved(n, d=10):
    """Return a table that depends on four latent variables, (n, d)."""
    rng = np.random.default_rng(0)
    return np.tanh(rng.standard_normal((n, 4)) @ rng.standard_normal((4, 20))) @ rng.standard_normal((20, d)) + 5


DATA = {"spots": spots, "waves": waves, "curved": curved}
NOISES = {
    "masking": lambda X, level, rng: np.where(rng.random(X.shape) < level, 0, X),
    "gaussian": lambda X, level, rng: X + level * X.std(axis=0) * rng.standard_normal(X.shape),
    "clipped": lambda X, level, rng: np.clip(NOISES["gaussian"](X, level, rng), X.min(), X.max()),
    "salt_and_pepper": lambda X, level, rng: np.where(
        rng.random(X.shape) < level, np.where(rng.random(X.shape) < 0.5, X.min(), X.max()), X
    ),
    "swap": lambda X, level, rng: np.where(rng.random(X.shape) < level, rng.permuted(X, axis=0), X),
}


def clipped(rows):
    """Add clipped Gaussian noise, as a user-defined corruption."""
    return torch.clamp(rows + 0.6 * rows.std(dim=0) * torch.randn(rows.shape), rows.min(), rows.max())


CASES = [
    *(("gaussian", {"corruption": "gaussian", "clip": clip}) for clip in (False, True)),
    *(("clipped", {"corruption": "gaussian", "clip": True}), ("clipped", {"corruption": clipped})),
    *((name, {"corruption": name}) for name in ("masking", "salt_and_pepper", "swap")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "level"), [("spots", 0.3), ("spots", 0.6), ("waves", 0.6), ("curved", 0.6)])
@pytest.mark.parametrize(("noise", "parameters"), CASES)
def test_less_noisy_samples_are_denoised_no_worse(data, level, noise, parameters):
    X = DATA[data](1600)
    X, X_test = X[:1200], X[1200:]
    ours = DenoisingAutoencoder(8, corruption_level=level, hidden_layer_sizes=32, random_state=0, **parameters).fit(X)
    rng = np.random.default_rng(1)
    found = [r2(X_test, ours.reconstruct(NOISES[noise](X_test, each, rng))) for each in (0, level / 3, level)]
    assert found[0] > found[1] - 0.02, found
    assert found[1] > found[2] - 0.02, found


@pytest.mark.parametrize("noise", ["gaussian", "masking"])
def test_clean_images_are_reconstructed_no_worse_than_noisy_ones(noise):
    X = spots(600)
    ours = DenoisingAutoencoder(
        8, corruption=noise, corruption_level=0.6, hidden_layer_sizes=32, max_iter=30, random_state=0
    ).fit(X[:400])
    noisy = NOISES[noise](X[400:], 0.6, np.random.default_rng(0))
    assert ours.score(X[400:]) > max(0.7, ours.score(noisy, X[400:]))


def test_one_denoiser_suffices_for_all_levels():
    X = curved(700)
    X, X_test = X[:500], X[500:]
    of_all, of_high, of_low = (
        DenoisingAutoencoder(4, corruption_level=level, hidden_layer_sizes=32, max_iter=20, random_state=0).fit(X)
        for level in ((0, 0.8), 0.8, 0.1)
    )
    for level, of_one in ((0.2, of_high), (0.4, of_high), (0.4, of_low), (0.8, of_low)):
        noisy = NOISES["masking"](X_test, level, np.random.default_rng(0))
        # the denoiser for the high level is also trained on most of the other levels
        tolerance = 0 if of_one is of_low else 0.005
        assert of_all.score(noisy, X_test) > of_one.score(noisy, X_test) - tolerance


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "swap"])
@pytest.mark.parametrize("data", ["spots", "curved"])
def test_network_starts_at_the_best_linear_map_for_all_levels(corruption, data):
    X = DATA[data](600)
    start, linear = (
        DenoisingAutoencoder(
            8, corruption=corruption, corruption_level=0.6, learning_rate=1e-30, hidden_layer_sizes=sizes, max_iter=1
        ).fit(X)
        for sizes in (8, ())
    )

    def mean_score(denoiser, levels):
        rng = np.random.default_rng(0)
        return np.mean([denoiser.score(NOISES[corruption](X, level, rng), X) for level in levels])

    assert mean_score(linear, [0.6]) > mean_score(start, [0.6])  # the linear one is optimal for this level
    assert mean_score(start, np.linspace(0, 0.6, 7)) > mean_score(linear, np.linspace(0, 0.6, 7)) + 0.01


@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
@pytest.mark.parametrize("data", ["digits", "table"])
def test_codes_are_hardly_more_sensitive_to_other_noise_than_pca(corruption, data, digits):
    # most features of the table have a small variance
    X = digits if data == "digits" else curved(400, 20) * np.where(np.arange(20) < 5, 1, 1e-3)
    ours = DenoisingAutoencoder(4, corruption=corruption, **QUICK).fit(X)
    noise = 0.1 * X.std() * np.random.default_rng(0).standard_normal(X.shape)

    def sensitivity(estimator):
        codes = estimator.transform(X)
        return np.square(estimator.transform(X + noise) - codes).sum() / codes.var(axis=0).sum()

    assert sensitivity(ours) < 5 * sensitivity(PCA(4).fit(X))


def test_initialization_handles_noise_of_equal_variance_in_all_features(digits):
    ours = DenoisingAutoencoder(
        64, corruption="gaussian", hidden_layer_sizes=(), learning_rate=1e-30, max_iter=1, random_state=0
    ).fit(digits)  # some pixels have a small variance
    unit = np.sqrt(digits.var(axis=0).mean())
    noisy = digits + 0.3 * unit * np.random.default_rng(0).standard_normal(digits.shape)
    assert ours.score(noisy, digits) > 0.92
    noisy = digits + 0.3 * digits.std(axis=0) * np.random.default_rng(0).standard_normal(digits.shape)
    regression = LinearRegression().fit(noisy, digits)
    assert ours.score(noisy, digits) > r2(digits, regression.predict(noisy)) - 0.02


def test_constant_data_are_reconstructed_exactly():
    X = np.tile([0.0, 5.0, -2.0], (30, 1))
    np.testing.assert_array_equal(DenoisingAutoencoder(2, **QUICK).fit(X).reconstruct(X), X)


def test_emphasis_weights_corrupted_values(digits):
    module = DenoisingAutoencoder(2, emphasis=1.0, **QUICK).fit(digits).net_.module_
    x = torch.randn(5, 64)
    corrupted, output = x.clone(), torch.randn(5, 64)
    corrupted[:, :10] = 0
    expected = 2 * (output - x)[:, :10].square().sum(dim=1)
    torch.testing.assert_close(module.reconstruction(output, x, corrupted), expected)
    module.emphasis = 0.25
    expected = 0.5 * (output - x)[:, :10].square().sum(dim=1) + 1.5 * (output - x)[:, 10:].square().sum(dim=1)
    torch.testing.assert_close(module.reconstruction(output, x, corrupted), expected)


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "swap"])
def test_emphasis_is_on_chosen_values_even_if_unchanged(corruption):
    X = np.random.RandomState(0).randint(2, size=(300, 20)).astype(float)  # half of the chosen values are not changed
    module = (
        DenoisingAutoencoder(2, corruption=corruption, corruption_level=1.0, emphasis=1.0, **QUICK).fit(X).net_.module_
    )
    x = module.scaler(torch.tensor(X, dtype=torch.float32))

    def losses(**attributes):
        vars(module).update(generator=torch.Generator().manual_seed(0), **attributes)
        return module.losses(x)["reconstruction"].detach()

    torch.testing.assert_close(losses(), 2 * losses(emphasis=0.5))  # all values are chosen
    torch.testing.assert_close(losses(emphasis=0.0), torch.zeros(300))
    whole = losses(emphasis=0.8, levels=(0.4, 0.4))
    torch.testing.assert_close(losses(share=slice(100, 150)), whole[100:150])
    assert module.chosen is None


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "swap"])
def test_corruption_level_above_one_raises(corruption, digits):
    for level in (1.5, (0, 1.5)):
        with pytest.raises(ValueError, match=r"corruption_level=.*1.5\)? is the fraction"):
            DenoisingAutoencoder(corruption=corruption, corruption_level=level).fit(digits)


@pytest.mark.parametrize("pair", [(0.5, 0.2), (0.1, 0.2, 0.3), (), ("a", "b"), (0.1, np.nan), (0, np.inf), [[0, 1]]])
def test_invalid_ranges_raise(pair, digits):
    with pytest.raises(ValueError, match=r"corruption_level=.*must be one number, or a range .*\(0, 0.5\)"):
        DenoisingAutoencoder(corruption_level=pair).fit(digits)
    with pytest.raises(ValueError, match=r"clip=.*must be True, False or a range .*\(0, 1\)"):
        DenoisingAutoencoder(corruption="gaussian", clip=pair).fit(digits)


def test_invalid_limits_raise(digits):
    with pytest.raises(ValueError, match=r"corruption_level=\(-0.1, 0.2\) must be"):
        DenoisingAutoencoder(corruption_level=(-0.1, 0.2)).fit(digits)
    with pytest.raises(ValueError, match=r"clip=\(1, 1\) must be"):
        DenoisingAutoencoder(corruption="gaussian", clip=(1, 1)).fit(digits)
    with pytest.raises(ValueError, match="'clip' parameter"):
        DenoisingAutoencoder(corruption="gaussian", clip=0.5).fit(digits)


def test_callable_without_a_module_is_accepted(digits):
    names = {}
    exec("def nothing(samples):\n    return samples", names)  # as in the test of a page of the documentation
    assert names["nothing"].__module__ is None
    DenoisingAutoencoder(2, corruption=names["nothing"], **QUICK).fit(digits)


def test_invalid_corruptions_raise(digits):
    with pytest.raises(ValueError, match=r"must return a torch.Tensor of the shape .* returned \(\d+, 63\)"):
        DenoisingAutoencoder(corruption=lambda rows: rows[:, 1:]).fit(digits)
    with pytest.raises(ValueError, match=r"returned \(\d+, 64\)|returned ndarray"):
        DenoisingAutoencoder(corruption=lambda rows: rows.numpy()).fit(digits)
    with pytest.raises(ValueError, match="'corruption' parameter"):
        DenoisingAutoencoder(corruption="salt").fit(digits)
    with pytest.raises(ValueError, match="'corruption_level' parameter"):
        DenoisingAutoencoder(corruption="gaussian", corruption_level=-0.1).fit(digits)
