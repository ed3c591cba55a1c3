"""The noise, where training starts, and what is learnt."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from skae import DenoisingAutoencoder
from skae._corruption import CORRUPTIONS

QUICK = {"hidden_layer_sizes": 8, "max_iter": 2, "validation_fraction": 0.3, "random_state": 0}
X = np.random.RandomState(0).randn(400, 6) @ np.diag([3, 1, 1, 0.5, 0.1, 2]) + [0, 5, 0, -2, 0, 1e4]


def strike(corruption, level, X=X, **parameters):
    """What rows look like when they were struck, in their own units."""
    module = (
        DenoisingAutoencoder(2, corruption=corruption, corruption_level=level, **QUICK | parameters).fit(X).net_.module_
    )
    x = module.scaler(torch.tensor(X, dtype=torch.float32))
    return module.scaler.inverse(module.corrupt(x)).numpy()


def struck(seen, level, share=0.03):
    """Which cells were struck: about as many as were meant to be."""
    changed = ~np.isclose(seen, X, rtol=1e-5, atol=1e-2 * X.std(axis=0).min())
    assert abs(changed.mean() - level) < share
    return changed


@pytest.mark.parametrize("scale", ["global", "standard", None])
def test_masking_sets_cells_to_zero(scale):
    seen = strike("masking", 0.3, scale=scale)
    np.testing.assert_allclose(seen[struck(seen, 0.3)], 0, atol=0.01)


def test_salt_and_pepper_are_the_extremes():
    seen = strike("salt_and_pepper", 0.3, scale="standard")
    changed = struck(seen, 0.3)
    for column in range(6):
        values = seen[changed[:, column], column]
        low, high = X[:, column].min(), X[:, column].max()
        is_low, is_high = (np.isclose(values, extreme, atol=0.01) for extreme in (low, high))
        assert (is_low | is_high).all()
        assert 0.3 < is_low.mean() < 0.7
    seen = strike("salt_and_pepper", 0.3, X=X[:, :5])  # one unit for all
    assert np.isclose(seen, X[:, :5].max(), atol=0.01).mean() > 0.1


def test_swap_takes_cells_of_other_rows():
    seen = strike("swap", 0.3)
    changed = struck(seen, 0.3)
    for column in range(6):
        values = seen[changed[:, column], column]
        assert (abs(values[:, None] - X[:, column]).min(axis=1) < 0.01).all()


def test_gaussian_has_its_deviation_and_stays_in_range():
    X = np.random.RandomState(0).rand(4000, 5)
    X[:, 4] = 0.5  # nothing moves there
    seen = strike("gaussian", 0.05, X=X)
    inside = (X[:, :4] > 0.3) & (X[:, :4] < 0.7)
    assert (seen - X)[:, :4][inside].std() == pytest.approx(0.05, rel=0.05)
    assert (seen[:, 4] == 0.5).all()
    wild = strike("gaussian", 2.0, X=X)
    assert wild.min() == pytest.approx(X.min(), abs=1e-5)
    assert wild.max() == pytest.approx(X.max(), abs=1e-5)


def shift(rows):
    """Move each row by one column, and add a little noise."""
    return rows.roll(1, dims=1) + 0.01 * torch.randn(rows.shape)


def test_a_callable_sees_rows_in_their_own_units():
    seen = strike(shift, 0.0)
    np.testing.assert_allclose(seen, np.roll(X, 1, axis=1), atol=0.1)


@pytest.mark.parametrize("corruption", [*CORRUPTIONS, shift])
def test_noise_is_fresh_and_a_function_of_the_seed(corruption, digits):
    first, second = (DenoisingAutoencoder(2, corruption=corruption, **QUICK).fit(digits) for _ in range(2))
    np.testing.assert_array_equal(first.transform(digits), second.transform(digits))
    module = first.net_.module_
    x = module.scaler(torch.tensor(digits, dtype=torch.float32))
    assert not torch.equal(module.corrupt(x), module.corrupt(x))


def test_held_out_rows_are_judged_with_the_same_noise_at_each_epoch(digits):
    frozen = DenoisingAutoencoder(2, learning_rate=1e-30, hidden_layer_sizes=8, max_iter=4, random_state=0).fit(digits)
    assert np.ptp(frozen.validation_loss_curve_) < 1e-4 * frozen.validation_loss_curve_[0]
    assert np.ptp(frozen.loss_curve_) > 1e-3 * frozen.loss_curve_[0]


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "swap"])
@pytest.mark.slow
def test_training_starts_at_the_best_linear_denoiser(corruption, digits):
    rows = np.tile(digits, (200, 1))  # so many draws that the regression on a sample is the optimum
    estimator = DenoisingAutoencoder(
        64, corruption=corruption, hidden_layer_sizes=(), learning_rate=1e-30, max_iter=1, validation_fraction=0.3
    ).fit(digits)
    module = estimator.net_.module_
    seen = module.corrupt(module.scaler(torch.tensor(rows, dtype=torch.float32))).double()
    noisy = module.scaler.inverse(seen.float()).double().numpy()
    regression = LinearRegression().fit(noisy, rows)
    best = np.square(regression.predict(noisy) - rows).mean()
    ours = np.square(estimator.reconstruct(noisy) - rows).mean()
    assert best <= ours * (1 + 1e-6)
    assert ours < best * 1.02


def test_the_rank_is_reduced_as_well_as_can_be(digits):
    def error(k):
        estimator = DenoisingAutoencoder(k, hidden_layer_sizes=(), learning_rate=1e-30, max_iter=1, random_state=0)
        estimator.fit(digits)
        noisy = np.where(np.random.RandomState(0).rand(*rows.shape) < 0.3, 0, rows)
        return np.square(estimator.reconstruct(noisy) - rows).sum() / len(rows), noisy

    rows = np.tile(digits, (50, 1))
    full, noisy = error(64)
    regression = LinearRegression().fit(noisy, rows)
    lost = np.linalg.svd(regression.predict(noisy) - rows.mean(axis=0), compute_uv=False)[8:]
    cut, _ = error(8)
    assert cut - full == pytest.approx(np.square(lost).sum() / len(rows), rel=0.02)


def test_denoises_better_than_the_start(digits):
    noisy = np.where(np.random.RandomState(0).rand(*digits.shape) < 0.3, 0, digits)
    start, trained = (
        DenoisingAutoencoder(16, learning_rate=rate, max_iter=20, validation_fraction=0.3, random_state=0).fit(digits)
        for rate in (1e-30, 0.01)
    )
    errors = [np.square(estimator.reconstruct(noisy) - digits).mean() for estimator in (start, trained)]
    assert errors[1] < 0.95 * errors[0]


def test_data_that_do_not_vary_are_given_back():
    X = np.tile([0.0, 5.0, -2.0], (30, 1))
    np.testing.assert_array_equal(DenoisingAutoencoder(2, **QUICK).fit(X).reconstruct(X), X)


def test_emphasis(digits):
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
def test_shares_above_one_are_refused(corruption, digits):
    with pytest.raises(ValueError, match=r"corruption_level=1.5 is the share"):
        DenoisingAutoencoder(corruption=corruption, corruption_level=1.5).fit(digits)


def test_a_callable_without_a_module(digits):
    names = {}
    exec("def nothing(rows):\n    return rows", names)  # as code that is read from a page
    assert names["nothing"].__module__ is None
    DenoisingAutoencoder(2, corruption=names["nothing"], **QUICK).fit(digits)


def test_bad_callables(digits):
    with pytest.raises(ValueError, match=r"must return a torch.Tensor of the shape .* returned \(\d+, 63\)"):
        DenoisingAutoencoder(corruption=lambda rows: rows[:, 1:]).fit(digits)
    with pytest.raises(ValueError, match=r"returned \(\d+, 64\)|returned ndarray"):
        DenoisingAutoencoder(corruption=lambda rows: rows.numpy()).fit(digits)
    with pytest.raises(ValueError, match="'corruption' parameter"):
        DenoisingAutoencoder(corruption="salt").fit(digits)
    with pytest.raises(ValueError, match="'corruption_level' parameter"):
        DenoisingAutoencoder(corruption="gaussian", corruption_level=-0.1).fit(digits)
