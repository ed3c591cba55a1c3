"""Properties of every estimator on any data set: hypothesis draws the data and the parameters.

`HYPOTHESIS_PROFILE=thorough` draws 200 examples of each, as `docs/benchmarks/properties.py` does.

There are two tolerances. Results computed in float64 in a different order may differ by `ROUNDING` times the largest
value: they are sums of some hundred terms with relative errors of 2e-16, through a few layers. Results of training are
computed in float32, with errors of 6e-8 per term, and may differ by `SINGLE`. Codes are not whitened where they are
compared: a constant component would be divided by its rounding error, as in PCA.
"""

import copy
import os
import pickle
import random

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from skae import (
    Autoencoder,
    AutoencoderOutlierDetector,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)

EPS = np.finfo(np.float64).eps
# hypothesis can't draw subnormals if they are flushed to zero
ALLOW_SUBNORMAL = False if os.environ.get("SKAE_TEST_FLUSH") else None
ROUNDING, SINGLE = 1e-9, 1e-4

# codes may have more components than there are features, and with arbitrary values some trainings diverge
pytestmark = [
    pytest.mark.kernels,
    pytest.mark.filterwarnings("ignore:.* collapsed:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning"),
]


# Strategies ----------------------------------------------------------------------------------------------------------


@st.composite
def tables(draw, least_rows=2, dtypes=(np.float64, np.float32, np.int64), exact=False, even=False):
    """Draw tables of any rank, some with constant columns, duplicate samples, or values far from zero.

    With `exact`, they contain small integers and the number of samples is a power of two, so that means and variances
    have no rounding errors. With `even`, all columns have the same magnitude and mean.
    """
    n_rows = 2 ** draw(st.integers(2, 6)) if exact else draw(st.integers(least_rows, 60))
    n_features = draw(st.integers(1, 8))
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    rank = draw(st.integers(1, n_features))
    X = rng.randn(n_rows, rank) @ rng.randn(rank, n_features)
    if exact:
        X = (8 * X).round()
    elif not even:
        X *= 10.0 ** np.array(draw(st.lists(st.integers(-4, 4), min_size=n_features, max_size=n_features)))
        X += X.std(axis=0) * draw(st.sampled_from([0, 1, -1e3, 1e6]))
    for column in draw(st.sets(st.integers(0, n_features - 1), max_size=2)):
        X[:, column] = draw(st.sampled_from([0, 1, 3] if exact else [0.0, 0.1, -3e5]))
    if draw(st.booleans()):
        X = X[rng.randint(n_rows, size=n_rows)]
    return X.astype(draw(st.sampled_from(dtypes)))


def doubles(**how):
    """Draw float64 tables."""
    return tables(dtypes=(np.float64,), **how)


KINDS = (
    *(Autoencoder, DenoisingAutoencoder, ContractiveAutoencoder),
    *(SparseAutoencoder, VariationalAutoencoder, StackedAutoencoder),
)
ACTIVATIONS = st.sampled_from(["gelu", "tanh", "relu", "logistic", "silu", "softplus"])
OWN = {
    Autoencoder: {},
    DenoisingAutoencoder: {"corruption": st.sampled_from(["masking", "gaussian", "salt_and_pepper", "swap"])},
    ContractiveAutoencoder: {"alpha": st.sampled_from([0.01, 1.0])},
    SparseAutoencoder: {"sparsity": st.sampled_from(["l1", "kl", "top_k", "batch_top_k"])},
    VariationalAutoencoder: {"beta": st.sampled_from([0.1, 1.0])},
    StackedAutoencoder: {"pretrain": st.booleans()},
}


@st.composite
def estimators(draw, kinds=KINDS, **fixed):
    """Draw unfitted estimators that are quickly fitted; parameters in `fixed` are not drawn."""
    kind = draw(st.sampled_from(kinds))
    names = set(kind().get_params(deep=False))
    drawn = {
        "n_components": st.integers(1, 10),
        "layers": st.sampled_from([(3,), (6, 2)]),
        "hidden_layer_sizes": st.sampled_from([(), (5,), (8, 4)]),
        "activation": ACTIVATIONS,
        "code_activation": st.one_of(st.just("identity"), ACTIVATIONS),
        "init": st.sampled_from(["pca", "random"]),
        "ordered": st.booleans(),
        "whiten": st.booleans(),
        "loss": st.sampled_from(
            ["squared_error"] if kind is VariationalAutoencoder else ["squared_error", "absolute_error", "huber"]
        ),
        "scale": st.sampled_from(["global", "standard", None]),
        "batch_size": st.sampled_from(["auto", 7]),
        "validation_fraction": st.sampled_from(["auto", 0.4, 0.6]),
        "random_state": st.integers(0, 3),
        **OWN[kind],
    }
    parameters = {name: draw(values) for name, values in drawn.items() if name in names and name not in fixed}
    parameters |= {"max_iter": 2, "learning_rate": 0.05} | fixed
    if parameters.get("code_activation", "identity") != "identity":
        parameters["whiten"] = False  # the combination raises
    return kind(**{name: value for name, value in parameters.items() if name in names})


def fit(estimator, X, trained_on=False):
    """Fit, and continue training so that networks are not at their initialization."""
    estimator.fit(X)
    return estimator.partial_fit(X) if trained_on else estimator


@st.composite
def solved(draw):
    """Draw a linear autoencoder and a table with well-determined principal axes: each variance is half of the last.

    The rounding error rotates an axis by an angle inversely proportional to the gap to the next variance, relative to
    the first (Davis and Kahan): here by 1e-4 times a thousandth of `ROUNDING` times the number of terms in a sum.
    """
    n_rows, n_features = draw(st.integers(9, 60)), draw(st.integers(1, 8))
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    scores = rng.randn(n_rows, n_features)
    scores, _ = np.linalg.qr(scores - scores.mean(axis=0))
    X = scores * 2 ** (-np.arange(n_features) / 2) @ np.linalg.qr(rng.randn(n_features, n_features))[0]
    X = (X + draw(st.sampled_from([0, 1, -10])) * X.std()) * 10.0 ** draw(st.integers(-6, 6))
    scale, k = draw(st.sampled_from(["global", "standard", None])), draw(st.integers(1, n_features))
    if scale == "standard":  # which alters the variances
        variance = np.linalg.svd(centered(X, scale), compute_uv=False) ** 2
        assume((-np.diff(np.append(variance, 0)[: k + 1]) > 1e-3 * variance[0]).all())
    if draw(st.booleans()):
        X = np.column_stack([np.zeros(n_rows), X])
    return X, Autoencoder(k, hidden_layer_sizes=(), scale=scale, whiten=draw(st.booleans()), random_state=0)


def units(X, scale):
    """Return the divisors of the columns with which PCA equals a linear autoencoder with this scale."""
    return np.where(np.ptp(X, axis=0) > 0, X.std(axis=0), 1.0) if scale == "standard" else np.ones(X.shape[1])


def centered(X, scale):
    """Return centered samples in these units."""
    return (X - X.mean(axis=0)) / units(X, scale)


def size_of(values):
    """Return the largest absolute value, to which rounding errors are relative."""
    return max(np.abs(values).max(initial=0), np.finfo(np.float64).tiny)


def close(actual, desired, share=ROUNDING, of=None):
    """Assert that two arrays differ by no more than a fraction of the largest value."""
    np.testing.assert_allclose(actual, desired, rtol=0, atol=share * size_of(desired if of is None else of))


# Samples -------------------------------------------------------------------------------------------------------------


@given(tables(), estimators(whiten=False), st.booleans(), st.integers(0, 99))
def test_a_row_depends_neither_on_its_place_nor_on_its_batch(X, estimator, trained_on, seed):
    fit(estimator, X, trained_on)
    X = X.astype(np.float64)
    codes, X_hat = estimator.transform(X), estimator.reconstruct(X)
    order = np.random.RandomState(seed).randint(len(X), size=len(X))  # some samples twice
    close(estimator.transform(X[order]), codes[order])
    close(estimator.reconstruct(X[order]), X_hat[order])
    close(estimator.transform(X[:1]), codes[:1], of=codes)
    close(estimator.score_samples(X[order]), estimator.score_samples(X)[order], of=np.square(X))


# Units ---------------------------------------------------------------------------------------------------------------

SHIFTED = tuple(kind for kind in KINDS if kind is not DenoisingAutoencoder)  # masking sets values to zero


@given(doubles(exact=True), estimators(SHIFTED), st.booleans(), st.integers(-(2**20), 2**20))
def test_a_shift_of_the_data_shifts_reconstructions_alone(X, estimator, trained_on, shift):
    """Check bit-identity: means of such tables are exact, so that later computations are the same."""
    here = fit(clone(estimator), X, trained_on)
    there = fit(clone(estimator), X + shift, trained_on)
    np.testing.assert_array_equal(there.transform(X + shift), here.transform(X))
    np.testing.assert_array_equal(there.explained_variance_, here.explained_variance_)
    # a reconstruction is rounded where the mean is added
    np.testing.assert_allclose(
        there.reconstruct(X + shift) - shift, here.reconstruct(X), rtol=0, atol=8 * EPS * (2**21 + size_of(X))
    )


@given(doubles(exact=True), estimators(), st.booleans(), st.integers(-40, 40))
def test_the_unit_of_the_data_is_that_of_reconstructions_and_codes(X, estimator, trained_on, exponent):
    """Check bit-identity for powers of two, which don't change the rounding."""
    assume(estimator.scale is not None)
    unit = 2.0**exponent
    here, there = fit(clone(estimator), X, trained_on), fit(clone(estimator), unit * X, trained_on)
    np.testing.assert_array_equal(there.reconstruct(unit * X), unit * here.reconstruct(X))
    has_unit = estimator.scale == "global" and here._spec.linear and not getattr(estimator, "whiten", False)
    if isinstance(estimator, SparseAutoencoder):
        has_unit = estimator.scale == "global" and estimator.sparsity != "kl"  # whose codes are shares
    if isinstance(estimator, VariationalAutoencoder):
        has_unit = False  # codes are in the prior's
    if isinstance(estimator, StackedAutoencoder) and len(estimator.layers) == 1:
        # codes are those of the layer, which sees X
        has_unit = estimator.scale == "global" and estimator.code_activation == "identity"
    np.testing.assert_array_equal(there.transform(unit * X), (unit if has_unit else 1.0) * here.transform(X))
    np.testing.assert_array_equal(there.feature_importances_, here.feature_importances_)


@given(solved(), st.floats(1e-6, 1e6))
def test_any_unit_will_do_for_the_linear_one(case, unit):
    X, estimator = case
    assume(estimator.scale is not None)
    here, there = clone(estimator).fit(X), clone(estimator).fit(unit * X)
    unit_of_codes = unit if estimator.scale == "global" and not estimator.whiten else 1.0
    close(np.abs(there.transform(unit * X)), unit_of_codes * np.abs(here.transform(X)))
    close(there.reconstruct(unit * X), unit * here.reconstruct(X))


# Columns -------------------------------------------------------------------------------------------------------------


@given(solved(), st.integers(0, 99))
def test_the_order_of_columns_is_that_of_the_linear_reconstruction(case, seed):
    X, estimator = case
    order = np.random.RandomState(seed).permutation(X.shape[1])
    here, there = clone(estimator).fit(X), clone(estimator).fit(X[:, order])
    close(there.reconstruct(X[:, order]), here.reconstruct(X)[:, order])
    close(
        np.abs(there.transform(X[:, order])), np.abs(here.transform(X))
    )  # of two equal loadings either gives the sign
    close(there.feature_importances_, here.feature_importances_[order])


@given(doubles(), estimators(), st.booleans(), st.sampled_from([0.0, 0.1, -3e5, 1e30]))
def test_a_constant_column_is_given_back_and_counts_for_nothing(X, estimator, trained_on, value):
    X = np.column_stack([X, np.full(len(X), value)])
    fit(estimator, X, trained_on)
    np.testing.assert_array_equal(estimator.reconstruct(X)[:, -1], value)
    other = X.copy()
    other[:, -1] = 7.0
    np.testing.assert_array_equal(estimator.transform(other), estimator.transform(X))
    importances = estimator.feature_importances_
    assert importances[-1] == 0
    assert (importances >= 0).all()
    assert importances.sum() == pytest.approx(1) or not importances.any()


# Encoder, decoder and scores -----------------------------------------------------------------------------------------


DIFFERENTIATED = (Autoencoder, VariationalAutoencoder, StackedAutoencoder)


@given(tables(), estimators(), st.booleans())
def test_halves_and_scores_agree(X, estimator, trained_on):
    fit(estimator, X, trained_on)
    X = X.astype(np.float64)
    X_hat = estimator.reconstruct(X)
    close(estimator.inverse_transform(estimator.transform(X)), X_hat)
    squares = np.square(X - X_hat)
    np.testing.assert_allclose(estimator.score_samples(X), -squares.sum(axis=1), rtol=1e-12)
    # for sums of squares around the mean, rounding is relative to the squared distance from zero
    atol = 1e-12 + EPS * len(X) * np.square(X).sum() / max(np.square(X - X.mean(axis=0)).sum(), EPS)
    assert estimator.score(X) == pytest.approx(r2_score(X, X_hat, multioutput="variance_weighted"), rel=1e-9, abs=atol)
    assert estimator.transform(X).shape == (len(X), estimator.n_components_)


@given(doubles(even=True), estimators(DIFFERENTIATED, whiten=False), st.booleans())
def test_the_jacobian_is_the_slope_of_inverse_transform(X, estimator, trained_on):
    assume(getattr(estimator, "activation", "gelu") != "relu")  # which has corners
    fit(estimator, X, trained_on)
    codes, J = estimator.transform(X[:2]), estimator.jacobian(X[:2])
    assume(codes.any())
    assert J.shape == (len(codes), X.shape[1], estimator.n_components_)
    step = 1e-8 * size_of(codes)
    for component in range(estimator.n_components_):
        shift = step * (np.arange(estimator.n_components_) == component)
        slope = (estimator.inverse_transform(codes + shift) - estimator.inverse_transform(codes - shift)) / (2 * step)
        # off by 1e-16 / 1e-8 by rounding, and by the step's square, inside where a unit may be a thousandth of codes
        close(J[:, :, component], slope, 1e-6, of=[size_of(J), size_of(X) / size_of(codes)])
    close(estimator.loadings(X[:2]), J.mean(axis=0), of=J)


@given(tables(), estimators((Autoencoder,), ordered=True), st.booleans(), st.data())
def test_components_missing_from_narrow_ordered_codes_are_zero(X, estimator, trained_on, data):
    codes = fit(estimator, X, trained_on).transform(X)
    size = data.draw(st.integers(1, codes.shape[1]))
    filled_up = codes * (np.arange(codes.shape[1]) < size)
    np.testing.assert_array_equal(estimator.inverse_transform(codes[:, :size]), estimator.inverse_transform(filled_up))


# Copies and seeds ----------------------------------------------------------------------------------------------------

ASKED = ("transform", "reconstruct", "score_samples", "jacobian")


@given(tables(), estimators(), st.booleans())
def test_copies_are_bit_identical_and_train_identically(X, estimator, trained_on):
    fit(estimator, X, trained_on)
    copies = [pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator), fit(clone(estimator), X, trained_on)]
    for other in copies:
        for method in ASKED:
            np.testing.assert_array_equal(getattr(other, method)(X), getattr(estimator, method)(X))
    after = estimator.partial_fit(X).transform(X)
    for other in copies:
        np.testing.assert_array_equal(other.partial_fit(X).transform(X), after)


@given(tables(), estimators(), st.integers(0, 2**32 - 1))
def test_a_seed_is_all_that_a_fit_is_drawn_from(X, estimator, noise):
    before = X.copy()
    X.flags.writeable = False
    first = clone(estimator).fit(X).transform(X)
    random.seed(noise)
    np.random.seed(noise)  # noqa: NPY002
    torch.manual_seed(noise)
    np.testing.assert_array_equal(estimator.fit(X).transform(X), first)
    drawn = random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002
    random.seed(noise)
    np.random.seed(noise)  # noqa: NPY002
    torch.manual_seed(noise)
    assert drawn == (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002
    np.testing.assert_array_equal(X, before)


# Arbitrary values ----------------------------------------------------------------------------------------------------


def numbers(**limits):
    """Draw tables of arbitrary floats, within limits if given."""
    return st.sampled_from([32, 64]).flatmap(
        lambda width: arrays(
            np.dtype(f"float{width}"),
            array_shapes(min_dims=2, max_dims=2, max_side=24),
            elements=st.floats(width=width, allow_subnormal=ALLOW_SUBNORMAL, **limits),
        )
    )


# from scikit-learn, which sums infinities of both signs
@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce:RuntimeWarning")
@given(numbers(), estimators())
def test_fit_raises_or_is_finite(X, estimator):
    before = dict(vars(estimator))
    try:
        estimator.fit(X)
    except ValueError:
        assert vars(estimator) == before
        return
    for name, value in vars(estimator).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            assert np.isfinite(value).all(), name
    with np.errstate(over="ignore"):
        assert np.isfinite(estimator.transform(X)).all()
        assert np.isfinite(estimator.reconstruct(X)).all()


@given(st.sampled_from(["binary_cross_entropy", "poisson"]), st.data())
def test_means_of_likelihoods_stay_in_their_range(loss, data):
    kinds = tuple(kind for kind in KINDS if loss != "poisson" or kind is not VariationalAutoencoder)
    estimator = data.draw(estimators(kinds, loss=loss, ordered=False))
    X = data.draw(numbers(min_value=0, max_value=1 if loss == "binary_cross_entropy" else 1e6))
    X = X.round(6)  # a variance that is too small raises
    far = st.floats(-1e6, 1e6, width=32, allow_subnormal=ALLOW_SUBNORMAL)
    elsewhere = data.draw(arrays(X.dtype, X.shape, elements=far))
    assume(len(X) > 1)
    estimator.fit(X)
    for rows in (X, elsewhere):
        try:
            X_hat = estimator.reconstruct(rows)
        except ValueError as error:  # rates are exponentials, which raise if they overflow
            if loss == "poisson" and "the result overflows" in str(error):
                continue
            raise
        assert (X_hat >= 0).all()
        assert (X_hat <= (1 if loss == "binary_cross_entropy" else np.inf)).all()


# Codes have the conventions of PCA -----------------------------------------------------------------------------------


@given(tables(), estimators((Autoencoder, DenoisingAutoencoder, ContractiveAutoencoder), code_activation="identity"))
def test_codes_are_centred_sorted_and_of_the_variance_that_is_named(X, estimator):
    codes = estimator.fit(X).transform(X.astype(np.float64))
    variance = estimator.explained_variance_
    assert (variance >= 0).all()
    shown = np.ones_like(variance) if estimator.whiten else variance
    # the networks that codes were centered and turned for are those in float32
    for component in np.flatnonzero(variance > 1e-4 * variance[0]):
        assert codes[:, component].var(ddof=1) == pytest.approx(shown[component], rel=1e-2)
    if not estimator.ordered:
        assert (np.diff(variance) <= SINGLE * variance[0]).all()
        if not estimator.whiten:
            close(codes.mean(axis=0), 0, SINGLE, of=codes)
            off_diagonal = np.cov(codes.T, ddof=1).reshape(len(variance), -1) - np.diag(variance)
            close(off_diagonal, 0, 1e-3, of=variance)


@given(solved())
def test_linear_is_pca(case):
    X, ours = case
    rows = centered(X, ours.scale)
    pca = PCA(ours.n_components, whiten=ours.whiten, svd_solver="full").fit(rows)
    codes = pca.transform(rows)
    close(np.abs(ours.fit(X).transform(X)), np.abs(codes))  # of two equal loadings either gives the sign
    close(ours.reconstruct(X), pca.inverse_transform(codes) * units(X, ours.scale) + X.mean(axis=0))
    close(ours.explained_variance_, pca.explained_variance_)
    close(ours.explained_variance_ratio_, pca.explained_variance_ratio_)
    assert (ours.n_components_, ours.n_samples_, ours.best_epoch_) == (pca.n_components_, len(X), 0)


@given(doubles(), st.integers(1, 8), st.sampled_from(["global", "standard"]), st.booleans())
def test_below_twenty_rows_the_default_is_pca(X, k, scale, ordered):
    X = X[:19]
    ours, rows = Autoencoder(k, scale=scale, ordered=ordered, random_state=0).fit(X), centered(X, scale)
    lost = np.square(np.linalg.svd(rows, compute_uv=False)[k:]).sum()
    # for any axes, the error is determined; where the data are far from zero, they are rounded
    share = ROUNDING + 10 * EPS * size_of(X / units(X, scale)) / size_of(rows)
    close(np.square((X - ours.reconstruct(X)) / units(X, scale)).sum(), lost, share, of=np.square(rows).sum())
    assert ours.best_epoch_ == 0


@given(solved())
def test_twice_the_rows_have_the_same_axes(case):
    X, estimator = case
    once, twice = clone(estimator).fit(X), clone(estimator).fit(np.vstack([X, X]))
    close(twice.reconstruct(X), once.reconstruct(X))
    n = len(X)
    close(twice.explained_variance_ * (2 * n - 1) / (2 * n), once.explained_variance_ * (n - 1) / n)


@given(doubles(least_rows=6), st.data(), st.sampled_from(["global", None]))
def test_a_linear_stream_is_pca_of_all_its_rows(X, data, scale):
    """Where the code is as long as the data's rank, `IncrementalPCA` forgets nothing, however the samples are cut."""
    cuts = sorted(data.draw(st.sets(st.integers(2, len(X) - 1), max_size=4)))
    stream = Autoencoder(X.shape[1], hidden_layer_sizes=(), scale=scale)
    for chunk in np.split(X, cuts):
        stream.partial_fit(chunk)
    whole = clone(stream).fit(X)
    close(stream.mean_, whole.mean_)
    close(stream.explained_variance_, whole.explained_variance_)
    close(stream.reconstruct(X), X)


# The same samples in other containers --------------------------------------------------------------------------------


@given(tables(), estimators(), st.booleans())
def test_sparse_rows_are_read_as_dense_ones(X, estimator, trained_on):
    X = np.where(np.arange(X.size).reshape(X.shape) % 3, X, 0).astype(X.dtype)
    fit(estimator, csr_array(X), trained_on)
    for method in ASKED:
        np.testing.assert_array_equal(getattr(estimator, method)(csr_array(X)), getattr(estimator, method)(X))
    np.testing.assert_array_equal(estimator.score(csr_array(X)), estimator.score(X))


@given(solved())
def test_a_fit_to_sparse_rows_is_one_to_dense_rows(case):
    X, estimator = case
    dense, sparse = clone(estimator).fit(X), clone(estimator).fit(csr_array(X))
    close(sparse.explained_variance_, dense.explained_variance_)
    close(sparse.reconstruct(X), dense.reconstruct(X))


# masked values of data far from zero are outlying, with rounding errors larger than the rest of the code;
# of two equally active units, either is among the largest
@given(tables(dtypes=(np.float32,)), estimators(SHIFTED, whiten=False, sparsity="l1"), st.booleans())
def test_both_precisions_agree(X, estimator, trained_on):
    assume(np.ptp(X, axis=0).any())  # or codes are nothing but rounding
    fit(estimator, X, trained_on)
    double = X.astype(np.float64)
    assert estimator.transform(X).dtype == estimator.reconstruct(X).dtype == np.float32
    assert estimator.transform(double).dtype == estimator.reconstruct(double).dtype == np.float64
    close(estimator.transform(X), estimator.transform(double), SINGLE)
    close(estimator.reconstruct(X), estimator.reconstruct(double), SINGLE)


@given(tables(dtypes=(np.float64, np.int64)), estimators(), st.booleans())  # polars has no float32 for scikit-learn
def test_frames_are_the_arrays_in_them(X, estimator, trained_on):
    assume(X.shape[1] > 1)  # of a single column numpy's sums depend on its strides
    names = [f"feature {i}" for i in range(X.shape[1])]
    plain = fit(clone(estimator), X, trained_on)
    for frame in (pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)):
        framed = fit(clone(estimator), frame, trained_on)
        np.testing.assert_array_equal(framed.transform(frame), plain.transform(X))
        np.testing.assert_array_equal(framed.reconstruct(frame), plain.reconstruct(X))
        assert list(framed.feature_names_in_) == names
    codes = framed.set_output(transform="pandas").transform(frame)
    assert list(codes.columns) == [f"{type(plain).__name__.lower()}{i}" for i in range(plain.n_components_)]


# Nested autoencoders -------------------------------------------------------------------------------------------------


@given(
    tables(),
    estimators((Autoencoder, DenoisingAutoencoder, VariationalAutoencoder), whiten=False),
    st.booleans(),
    st.sampled_from(["auto", 0.1, 0.5]),
)
def test_a_detectors_answers_agree(X, estimator, code_distance, contamination):
    detector = AutoencoderOutlierDetector(estimator, code_distance=code_distance, contamination=contamination).fit(X)
    scores, decisions = detector.score_samples(X), detector.decision_function(X)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(decisions, scores - detector.offset_)
    np.testing.assert_array_equal(detector.predict(X), np.where(decisions < 0, -1, 1))
    if contamination != "auto":
        assert (detector.predict(X) == -1).sum() <= contamination * len(X) + 1  # the percentile is between two samples
    errors = detector.feature_errors(X)
    assert errors.shape == X.shape
    assert (errors >= 0).all()


@given(doubles(exact=True), estimators((VariationalAutoencoder,), scale="global"), st.integers(-20, 20))
def test_a_likelihood_is_one_of_rows_in_their_own_units(X, estimator, exponent):
    assume(np.ptp(X, axis=0).any())
    unit = 2.0**exponent
    here, there = clone(estimator).fit(X), clone(estimator).fit(unit * X)
    ours, theirs = (vae.log_likelihood(rows, 2, random_state=0) for vae, rows in ((here, X), (there, unit * X)))
    close(theirs + X.shape[1] * np.log(unit), ours, of=[size_of(ours), X.shape[1] * abs(np.log(unit))])
    np.testing.assert_allclose(here.vary(X, scale=0)[:, 0], here.reconstruct(X), rtol=0, atol=ROUNDING * size_of(X))
