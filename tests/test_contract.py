"""Properties of every public estimator that scikit-learn's estimator checks do not test."""

import copy
import inspect
import os
import pickle
import random
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL, public_estimators, public_metas
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skae import (
    Autoencoder,
)

pytestmark = pytest.mark.kernels


def test_every_public_estimator_is_tested():
    assert {type(estimator) for estimator in SMALL} == set(public_estimators())


@pytest.mark.parametrize("of_class", public_estimators() + public_metas())
def test_docstrings_cite_their_references(of_class):
    text = inspect.getdoc(of_class)
    cited = set(re.findall(r"\[(\d+)\]_", text))
    listed = re.findall(r"(?m)^\.\. \[(\d+)\]", text)
    assert sorted(cited) == listed


# Determinism ---------------------------------------------------------------------------------------------------------


def test_int_seed_gives_bit_identical_refits(small, fitted, digits):
    second = small.fit(digits)
    np.testing.assert_array_equal(fitted.transform(digits), second.transform(digits))
    np.testing.assert_array_equal(fitted.reconstruct(digits), second.reconstruct(digits))


def test_refit_does_not_depend_on_the_first_fit(small, fitted, digits):
    again = small.fit(digits[::-1][:100]).fit(digits).transform(digits)
    np.testing.assert_array_equal(fitted.transform(digits), again)


def test_different_seeds_give_different_fits(digits):
    codes = [Autoencoder(4, hidden_layer_sizes=16, max_iter=8, random_state=s).fit_transform(digits) for s in (0, 1)]
    assert not np.array_equal(*codes)


def test_random_state_instance_advances_as_in_scikit_learn(digits):
    rng = np.random.RandomState(0)
    first, second = (
        Autoencoder(4, hidden_layer_sizes=16, max_iter=8, random_state=rng).fit(digits).transform(digits)
        for _ in range(2)
    )
    assert not np.array_equal(first, second)


# Global state --------------------------------------------------------------------------------------------------------


def _global_state():
    return {
        "python": random.getstate(),
        "numpy": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "filters": list(warnings.filters),
        "folder": os.getcwd(),
        "files": sorted(os.listdir()),
        "environment": dict(os.environ),
    }


@pytest.mark.parametrize("random_state", [0, None])
def test_global_state_is_unchanged(small, digits, random_state):
    before = _global_state()
    fitted = small.set_params(random_state=random_state).fit(digits)
    fitted.inverse_transform(fitted.transform(digits))
    fitted.score(digits)
    fitted.score_samples(digits)
    pickle.loads(pickle.dumps(fitted))
    assert _global_state() == before


def test_nothing_is_printed_unless_verbose(small, digits, capfd):
    small.fit(digits).transform(digits)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_a_progress_bar(digits, capfd):
    Autoencoder(4, hidden_layer_sizes=16, max_iter=2, verbose=1).fit(digits)
    assert "Autoencoder" in (shown := capfd.readouterr().err)
    assert "epoch" in shown


# Unused y, such as the class names in a Pipeline ---------------------------------------------------------------------


@pytest.mark.parametrize("y", [np.array(["a", "b"] * 120), "nonsense"], ids=["strings", "nonsense"])
def test_y_is_ignored(small, fitted, digits, y):
    np.testing.assert_array_equal(small.fit(digits, y).transform(digits), fitted.transform(digits))
    assert fitted.score(digits, y) == fitted.score(digits)


# Pickles and clones --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copier", ["pickle", "joblib mmap", "deepcopy"])
def test_copies_give_the_same_results(small, fits, digits, copier, tmp_path):
    original = fits(small)
    if copier == "pickle":
        other = pickle.loads(pickle.dumps(original))
    elif copier == "deepcopy":
        other = copy.deepcopy(original)
    else:
        joblib.dump(original, tmp_path / "model.joblib")
        other = joblib.load(tmp_path / "model.joblib", mmap_mode="r" if "mmap" in copier else None)
    for method in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_array_equal(getattr(other, method)(digits), getattr(original, method)(digits))
    assert list(other.net_.history[:, "train_loss"] if other.net_.history else []) == original.loss_curve_
    np.testing.assert_array_equal(other.fit(digits).transform(digits), original.transform(digits))


def test_unfitted_estimators_can_be_pickled(small, digits):
    other = pickle.loads(pickle.dumps(small))
    with pytest.raises(NotFittedError):
        other.transform(digits)


def test_pickles_are_small():
    X = np.random.RandomState(0).randn(300, 10)
    assert len(pickle.dumps(Autoencoder(4, hidden_layer_sizes=(), random_state=0).fit(X))) < 11_000
    assert len(pickle.dumps(Autoencoder(4, hidden_layer_sizes=8, max_iter=20, random_state=0).fit(X))) < 11_000


def test_changing_parameters_after_fit_does_not_break_a_pickle(fitted, digits):
    codes = fitted.transform(digits)
    others = {"n_components": 3, "layers": (3,), "hidden_layer_sizes": (5, 5), "activation": "tanh", "scale": None}
    fitted.set_params(**{name: value for name, value in others.items() if name in fitted.get_params(deep=False)})
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(digits), codes)


def test_clone_of_a_fitted_estimator_is_unfitted(fitted):
    other = clone(fitted)
    assert not other.__sklearn_is_fitted__()
    assert repr(other.get_params()) == repr(fitted.get_params())
    assert not [name for name in vars(other) if name.endswith("_")]


# Dtypes and samples --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_output_has_the_dtype_of_the_input(small, digits, dtype):
    X = digits.astype(dtype)
    small.fit(X)
    codes = small.transform(X)
    assert codes.dtype == small.inverse_transform(codes).dtype == small.reconstruct(X).dtype == dtype


def test_float32_and_float64_agree(fitted, digits):
    double, single = fitted.transform(digits), fitted.transform(digits.astype(np.float32))
    np.testing.assert_allclose(single, double, atol=1e-4 * np.ptp(double))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_result_for_a_sample_does_not_depend_on_its_batch(fitted, digits, dtype, tolerance):
    X = digits.astype(dtype)
    codes = fitted.transform(X)
    spread = codes.std(axis=0).max()
    order = np.random.RandomState(0).permutation(len(X))
    np.testing.assert_allclose(fitted.transform(X[order]), codes[order], rtol=0, atol=tolerance * spread)
    alone = np.vstack([fitted.transform(row[None]) for row in X[:40]])
    np.testing.assert_allclose(alone, codes[:40], rtol=0, atol=tolerance * spread)


def test_many_samples_are_processed_in_batches(fitted, digits):
    many = np.tile(digits, (20, 1))  # more samples than one batch
    np.testing.assert_allclose(fitted.transform(many), np.tile(fitted.transform(digits), (20, 1)), rtol=1e-9, atol=1e-9)


def test_memory_layout_does_not_affect_results(fitted, digits):
    codes = fitted.transform(digits)
    np.testing.assert_array_equal(fitted.transform(np.asfortranarray(digits)), codes)
    np.testing.assert_allclose(fitted.transform(digits[::-1])[::-1], codes, rtol=0, atol=1e-9 * codes.std())


def test_inverse_transform_of_transform_is_reconstruct(fitted, digits):
    np.testing.assert_allclose(
        fitted.inverse_transform(fitted.transform(digits)), fitted.reconstruct(digits), atol=1e-9
    )


def test_feature_names_are_those_of_the_data_frame(small, digits):
    frame = pd.DataFrame(digits, columns=[f"pixel{i}" for i in range(64)])
    codes = small.set_output(transform="pandas").fit_transform(frame)
    prefix = type(small).__name__.lower()
    assert list(codes.columns) == list(small.get_feature_names_out()) == [f"{prefix}{i}" for i in range(4)]
    assert list(small.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        small.transform(frame.rename(columns={"pixel0": "other"}))
