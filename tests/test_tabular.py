"""Reconstructions of tables of numbers, categories and dates have the same columns, types and categories."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import skae
from skae import Autoencoder, AutoencoderOutlierDetector, LatentSampler, TabularAutoencoder, VariationalAutoencoder
from skae.nn import Scaler
from skae.nn._link import MixedLink
from skae.nn.functional import squared_error

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 5, "validation_fraction": 0.4, "random_state": 0}
N = 120
ZONE = "Europe/Rome"
OBJECTIVES = ["Autoencoder", "ContractiveAutoencoder", "DenoisingAutoencoder", "SparseAutoencoder"]
OBJECTIVES += ["VariationalAutoencoder", "ConvolutionalAutoencoder", "LSTMAutoencoder"]


def quick(k=2, **how):
    """Return a TabularAutoencoder that is quickly fitted."""
    return TabularAutoencoder(autoencoder=Autoencoder(k, **QUICK), **how)


def draw(seed=0, n=N):
    """Return a pandas data frame with a column of each type, all of which depend on one variable."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, n)
    texts = np.array(["a", "b", "c"], dtype=object)[np.digitize(t, [-1, 1])]
    days = pd.Timestamp("2020-02-01") + pd.to_timedelta(np.round(100 * t), unit="D")
    X = pd.DataFrame({"float": 3 + t, "float32": (t**2).astype(np.float32), "object number": (5 * t).astype(object)})
    for bits in (8, 16, 32, 64):
        X[f"int{bits}"] = np.round(20 * t).astype(f"int{bits}")
        X[f"uint{bits}"] = np.round(20 * (t + 2)).astype(f"uint{bits}")
    X["Int64"] = pd.Series(np.round(9 * t)).astype("Int64")
    X["Float64"] = pd.Series(t).astype("Float64")
    X["bool"] = t > 0
    X["boolean"] = pd.Series(t > 1).astype("boolean")
    X["object"] = texts
    X["str"] = pd.Series(texts).astype("str")
    X["string"] = pd.Series(texts).astype("string")
    X["category"] = pd.Categorical(texts, categories=["c", "a", "b", "never"])
    X["ordered"] = pd.Categorical(np.digitize(t, [0]) + 7, categories=[7, 8, 9], ordered=True)
    X["int64[pyarrow]"] = pd.Series(np.round(9 * t)).astype("int64[pyarrow]")
    X["string[pyarrow]"] = pd.Series(texts).astype("string[pyarrow]")
    X["date"] = days
    X["aware"] = days.tz_localize(ZONE)
    X["span"] = pd.to_timedelta(1000 * t, unit="s")
    return X


def draw_polars(seed=0, n=N):
    """Return a similar polars data frame."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, n)
    texts = [["a", "b", "c"][i] for i in np.digitize(t, [-1, 1])]
    start = datetime.datetime(2020, 2, 1)
    times = [start + datetime.timedelta(seconds=round(1e6 * x)) for x in t]
    columns = {
        "float": pl.Series(t),
        "float32": pl.Series(t, dtype=pl.Float32),
        "int": pl.Series(np.round(20 * t).astype(np.int64)).cast(pl.Int8),
        "uint": pl.Series(np.round(20 * (t + 2)).astype(np.int64)).cast(pl.UInt32),
        "bool": pl.Series(t > 0),
        "str": pl.Series(texts),
        "cat": pl.Series(texts, dtype=pl.Categorical),
        "enum": pl.Series(texts, dtype=pl.Enum(["c", "b", "a", "never"])),
        "day": pl.Series([time.date() for time in times]),
        "time": pl.Series(times),
        "aware": pl.Series(times).dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE),
        "span": pl.Series([time - start for time in times]),
    }
    return pl.DataFrame({name: values.alias(name) for name, values in columns.items()})


DATES = {"date", "aware", "span", "day", "time"}


def dates_of(X):
    """Return the names of the date columns."""
    return [name for name in X.columns if name in DATES]


def with_missing_values(X, seed=0, fraction=0.2):
    """Return the table with missing values, in the types that support them, and their mask."""
    rng = np.random.default_rng(seed)
    missing = rng.random(X.shape) < fraction
    missing[0] = False
    if isinstance(X, pl.DataFrame):
        made = {c: pl.when(pl.Series(~missing[:, j])).then(pl.col(c)).otherwise(None) for j, c in enumerate(X.columns)}
        return X.with_columns(**made), missing
    made = {}
    for j, name in enumerate(X.columns):
        takes_none = X[name].dtype.kind not in "iub" or not isinstance(X[name].dtype, np.dtype)
        missing[:, j] &= takes_none
        made[name] = X[name].mask(missing[:, j]) if takes_none else X[name]
    return pd.DataFrame(made), missing


def types(X):
    """Return the names and types of the columns."""
    return list(zip(X.columns, X.dtypes, strict=True))


@parametrize_with_checks([quick()])
def test_sklearn_checks(estimator, check):
    check(estimator)


# Reconstructions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [draw, draw_polars])
def test_reconstruction_has_same_columns_types_and_categories(make):
    X = make()
    model = quick(datetime_features=dates_of(X)).fit(X)
    for made in (model.reconstruct(X), model.inverse_transform(model.transform(X))):
        assert type(made) is type(X)
        assert types(made) == types(X)
    assert not np.isnan(model.transform(X)).any()


@pytest.mark.parametrize("make", [draw, draw_polars])
@pytest.mark.parametrize("of_whole", [False, True], ids=["missing in fit", "complete in fit"])
def test_impute_changes_missing_values_only(make, of_whole):
    X = make()
    incomplete, missing = with_missing_values(X)
    model = quick(datetime_features=dates_of(X)).fit(X if of_whole else incomplete)
    full = model.impute(incomplete)
    assert types(full) == types(incomplete)
    assert missing.any(axis=0).sum() > 8
    for j, name in enumerate(X.columns):
        there = ~missing[:, j]
        column, wanted = full[name], X[name]
        if isinstance(X, pl.DataFrame):
            assert column.null_count() == 0
            assert column.filter(pl.Series(there)).to_list() == wanted.filter(pl.Series(there)).to_list()
        else:
            assert not column.isna().any()
            assert (column[there].astype(object) == wanted[there].astype(object)).all()
    complete = model.impute(X)
    assert complete.equals(X)


def test_imputed_values_agree_with_dependent_columns():
    X = draw(n=400)[["float", "object", "category", "bool", "Int64", "date"]]
    incomplete, missing = with_missing_values(X)
    full = TabularAutoencoder(2, datetime_features=["date"], random_state=0).fit(incomplete).impute(incomplete)
    for name in ("object", "category", "bool"):
        cells = missing[:, list(X.columns).index(name)]
        if cells.any():
            assert (full[name][cells].astype(object) == X[name][cells].astype(object)).mean() > 0.8
    cells = missing[:, 5]
    off = (full["date"][cells] - X["date"][cells]).dt.total_seconds() / 86400
    assert np.sqrt(np.square(off).mean()) < 50  # days; their standard deviation is 115


def test_index_is_preserved():
    X = draw()[["float", "object", "bool"]].set_axis(np.arange(N)[::-1] * 10)
    incomplete, _ = with_missing_values(X)
    model = quick().fit(incomplete)
    assert model.reconstruct(X).index.equals(X.index)
    assert model.impute(incomplete).index.equals(X.index)
    model.set_output(transform="pandas")
    assert model.transform(X).index.equals(X.index)
    assert model.inverse_transform(model.transform(X)).index.equals(X.index)


def test_resolution_of_dates_is_preserved():
    X = draw()[["float", "date"]]
    made = quick(datetime_features=["date"]).fit(X).reconstruct(X)
    assert (made["date"] == made["date"].dt.normalize()).all()


@pytest.mark.parametrize("name", ["int8", "uint8", "int64", "uint64"])
def test_integers_stay_within_their_type(name):
    """An extreme code is decoded to the minimum or maximum of the type, and does not wrap around."""
    X = draw()[["float", name]]
    model = TabularAutoencoder(autoencoder=Autoencoder(1, hidden_layer_sizes=())).fit(X)
    made = model.inverse_transform(np.array([[-1e30], [1e30]]))[name]
    limits = np.iinfo(name)
    assert sorted([float(made[0]), float(made[1])]) == pytest.approx([float(limits.min), float(limits.max)])


def test_arrays_of_objects_and_of_numbers():
    X = draw()[["float", "int16", "object", "bool"]]
    array = X.astype(object).to_numpy()
    array[3, 2] = None
    model = quick().fit(array)
    assert list(model.kinds_) == ["number", "number", "category", "category"]
    assert model.reconstruct(array).dtype == object
    full = model.impute(array)
    assert full[3, 2] in ("a", "b", "c")
    assert (np.delete(full, 3, axis=0) == np.delete(array, 3, axis=0)).all()
    numbers = np.column_stack([X["float"], X["bool"]]).astype(np.float32)
    model = quick(categorical_features=[1]).fit(numbers)
    assert list(model.kinds_) == ["number", "category"]
    assert set(np.unique(model.reconstruct(numbers)[:, 1])) <= {0.0, 1.0}


def test_lists_of_numbers_and_strings():
    X = draw()[["float", "object"]].to_numpy(dtype=object).tolist()
    model = quick().fit(X)
    assert list(model.kinds_) == ["number", "category"]
    assert model.reconstruct(X).shape == (N, 2)


def test_numeric_table_equals_autoencoder():
    X = draw()[["float", "float32", "int16"]].to_numpy()
    ours = quick().fit(X)
    plain = Autoencoder(2, **QUICK, scale="standard").fit(X)
    np.testing.assert_array_equal(ours.transform(X), plain.transform(X))
    np.testing.assert_array_equal(ours.reconstruct(X), plain.reconstruct(X))


# Training ------------------------------------------------------------------------------------------------------------


def test_link_against_distributions():
    rng = np.random.default_rng(0)
    categories = [(2, 4), (4, 9), (9, 10)]
    fraction = rng.dirichlet(np.ones(8), 1)[0]
    mean, scale = np.r_[5.0, -3.0, fraction], np.r_[2.0, 0.5, np.sqrt(fraction)]
    offset, gain = np.r_[5.0, -3.0, np.log(fraction)], np.r_[2.0, 0.5, rng.uniform(1, 3, 8)]
    link, scaler = (
        MixedLink(categories, offset, gain, torch.float64),
        Scaler(mean, scale, torch.float64),
    )
    output = torch.tensor(rng.normal(size=(3, 6, 10)))  # outputs of three networks
    numbers = torch.tensor(rng.normal(size=(3, 6, 2)))
    chosen = [torch.tensor(rng.integers(stop - start, size=(3, 6))) for start, stop in categories]
    shares = [
        torch.nn.functional.one_hot(index, stop - start)
        for index, (start, stop) in zip(chosen, categories, strict=True)
    ]
    x = scaler(torch.cat([numbers * torch.tensor(scale[:2]) + torch.tensor(mean[:2]), *shares], dim=-1))
    losses, means = link.losses(squared_error, output, x, scaler), link.mean(output)
    torch.testing.assert_close(losses[..., :2], (output[..., :2] - numbers).square())
    for index, (start, stop) in zip(chosen, categories, strict=True):
        logits = torch.tensor(offset[start:stop]) + torch.tensor(gain[start:stop]) * output[..., start:stop]
        oracle = torch.distributions.Categorical(logits=logits)
        torch.testing.assert_close(losses[..., start:stop].sum(dim=-1), -oracle.log_prob(index))
        torch.testing.assert_close(means[..., start:stop], oracle.probs)


def famd(X, k):
    """Return scores of factor analysis of mixed data, by its definition."""
    numbers = StandardScaler().fit_transform(X.select_dtypes("number"))
    shares = OneHotEncoder(sparse_output=False).fit_transform(X.select_dtypes(exclude="number").astype(str))
    shares = (shares - shares.mean(axis=0)) / np.sqrt(shares.mean(axis=0))
    return PCA(k).fit_transform(np.hstack([numbers, shares]))


def test_starts_at_factor_analysis_of_mixed_data():
    X = draw(n=16)[["float", "int16", "object", "bool"]]  # too few for a validation set
    model = TabularAutoencoder(3, random_state=0).fit(X)
    assert model.autoencoder_.best_epoch_ == 0
    np.testing.assert_allclose(model.transform(X), famd(X, 3), atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective(objective):
    X = draw()[["float", "int16", "object", "bool", "category"]]
    incomplete, _ = with_missing_values(X)
    inner = getattr(skae, objective)(2, max_iter=3, validation_fraction=0.4, random_state=0)
    model = TabularAutoencoder(autoencoder=inner).fit(incomplete)
    assert types(model.reconstruct(X)) == types(X)
    last = model.autoencoder_.net_.history[-1]
    assert {"valid_numbers", "valid_categories", "train_numbers", "train_categories"} <= last.keys()
    assert "valid_reconstruction" not in last
    terms = [last[name] for name in last if name.startswith("valid_") and "loss" not in name]
    assert sum(terms) == pytest.approx(last["valid_loss"], rel=1e-5)


def test_score_is_relative_reduction_of_loss():
    X, other = draw(), draw(1)
    columns = ["float", "int16", "object", "bool"]
    X, other = X[columns], other[columns]
    model = quick().fit(X)
    shown = model.autoencoder_.reconstruct(model._as_numbers(other))
    encoder = OneHotEncoder(sparse_output=False).fit(X[["object", "bool"]])
    numbers, shares = other[["float", "int16"]].to_numpy(float), encoder.transform(other[["object", "bool"]])
    units = X[["float", "int16"]].to_numpy(float).std(axis=0)
    errors = np.square((numbers - shown[:, :2]) / units).sum(axis=1) - (shares * np.log(shown[:, 2:])).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(other), -errors, rtol=1e-9)
    blank = np.square((numbers - numbers.mean(axis=0)) / units).sum() - (shares * np.log(shares.mean(axis=0))).sum()
    assert model.score(other) == pytest.approx(1 - errors.sum() / blank)


def test_probabilities_and_samples_of_variational_autoencoder():
    X = draw(n=300)[["float", "object", "bool"]]
    inner = VariationalAutoencoder(2, **QUICK)
    inner = TabularAutoencoder(autoencoder=inner).fit(X).autoencoder_
    Z = inner.sample(200, random_state=0)
    for start, stop in ((1, 4), (4, 6)):
        np.testing.assert_allclose(Z[:, start:stop].sum(axis=1), 1.0)
    drawn = inner.sample(200, random_state=0, noise=True)
    assert set(np.unique(drawn[:, 1:])) == {0.0, 1.0}
    assert (drawn[:, 1:4].sum(axis=1) == 1).all()
    many = inner._drawn(np.tile(Z[:1], (20_000, 1)), np.random.RandomState(0))
    np.testing.assert_allclose(many[:, 1:].mean(axis=0), Z[0, 1:], atol=0.02)


def test_linear_likelihood_of_categories_is_not_solved_in_closed_form():
    X = draw(n=300)[["float", "object", "bool"]]
    inner = VariationalAutoencoder(2, hidden_layer_sizes=(), max_iter=5, random_state=0)
    model = TabularAutoencoder(autoencoder=inner).fit(X)
    assert len(model.autoencoder_.loss_curve_) == 5
    model = TabularAutoencoder(autoencoder=Autoencoder(2, hidden_layer_sizes=(), max_iter=5, random_state=0)).fit(X)
    assert len(model.autoencoder_.loss_curve_) == 5


# Column types and unknown categories ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen",
    [["int8", "object", "bool"], [1, 2, 3], [False, True, True, True], lambda X: list(X.columns[1:])],
    ids=["names", "indices", "booleans", "callable"],
)
def test_categorical_features_may_be_given_in_any_form(chosen):
    X = draw()[["float", "int8", "object", "bool"]]
    X["int8"] //= 20
    model = quick(categorical_features=chosen).fit(X)
    assert list(model.kinds_) == ["number", "category", "category", "category"]
    assert types(model.reconstruct(X)) == types(X)
    assert set(model.reconstruct(X)["int8"]) <= set(X["int8"])


def test_categorical_features_by_column_selector():
    X = draw()[["float", "object", "bool"]]
    model = quick(categorical_features=make_column_selector(dtype_exclude="number")).fit(X)
    assert list(model.kinds_) == ["number", "category", "category"]


def test_unknown_categories():
    X = draw()[["float", "object", "bool"]]
    unknown = X.assign(object=X["object"].where(X.index != 2, "new"))
    with pytest.raises(ValueError, match=r"unknown categories \['new'\] in column 'object'.*handle_unknown='ignore'"):
        quick().fit(X).transform(unknown)
    for how in ("ignore", "infrequent_if_exist"):
        model = quick(handle_unknown=how).fit(X)
        missing = X.assign(object=X["object"].where(X.index != 2, None))
        np.testing.assert_array_equal(model.transform(unknown), model.transform(missing))
        assert model.impute(unknown)["object"][2] == "new"
        assert model.reconstruct(unknown)["object"][2] in ("a", "b", "c")
    with pytest.warns(UserWarning, match="unknown categories"):
        quick(handle_unknown="warn").fit(X).transform(unknown)


def test_rare_categories_count_as_one():
    X = draw()[["float", "object"]]
    X.loc[:4, "object"] = ["p", "q", "q", "r", "s"]
    model = quick(min_frequency=10).fit(X)
    assert list(model.categories_[0]) == ["a", "b", "c", "q"]  # the most frequent ones
    assert set(model.reconstruct(X)["object"]) <= {"a", "b", "c", "q"}
    assert len(quick(max_categories=3).fit(X).categories_[0]) == 3


# Errors --------------------------------------------------------------------------------------------------------------


def bad_tables():
    """Yield parameters, an invalid table, and the error message."""
    X = draw()[["float", "object"]]
    yield "dates", {}, draw()[["float", "date"]], r"Column 'date' .*datetime_features=\['date'\]"
    yield "spans", {}, draw()[["float", "span"]], r"Column 'span' .*datetime_features=\['span'\]"
    yield "no dates", {"datetime_features": ["object"]}, X, "column 'object'"
    yield "left out", {"categorical_features": ["float"]}, X, "Column 'object' of X doesn't contain numbers"
    yield "no column", {"categorical_features": ["size"]}, X, "'size', which is not a column of X"
    yield "no index", {"categorical_features": [7]}, X, "7, which is not a column of X"
    yield "too few booleans", {"categorical_features": [True]}, X, "1 booleans, and X has 2 columns"
    none = X.assign(object=None, more="a").astype({"object": "str"})
    yield "all missing", {}, none, "'object' of X has only missing values"
    yield "number all missing", {}, X.assign(last=np.nan), "'last' of X has only missing values"
    yield "date all missing", {"datetime_features": [2]}, X.assign(last=pd.NaT), "'last' of X has only missing values"
    yield "all missing in arrays", {}, X.assign(last=np.nan).to_numpy(), "Column 2 of X has only missing values"
    yield "names", {}, X.assign(object=[f"name {i}" for i in range(N)]), "Column 'object' .* 120 categories"
    yield "infinite", {}, X.assign(float=np.inf), "infinity"
    yield "complex", {}, X.assign(float=1j), "Complex data not supported"
    yield "lists", {}, X.assign(object=[[1]] * N), "Column 'object' of X contains a list"
    times = pl.DataFrame({"time": [datetime.time(i % 24) for i in range(N)]})
    yield "times", {"datetime_features": ["time"]}, times, "Column 'time' of X contains times of day"
    yield "mixed", {}, X.assign(object=["a", 1] * (N // 2)), "uniformly strings or numbers"
    yield "likelihood", {"autoencoder": Autoencoder(loss="poisson")}, X, "loss='poisson'"
    yield "fraction", {"autoencoder": Autoencoder(0.9)}, X, "n_components=0.9"
    yield "stack", {"autoencoder": skae.StackedAutoencoder((4, 2))}, X, "StackedAutoencoder"
    yield "no autoencoder of skae", {"autoencoder": PCA()}, X, "'autoencoder' parameter"


@pytest.mark.parametrize(("how", "X", "match"), [pytest.param(*case[1:], id=case[0]) for case in bad_tables()])
def test_invalid_tables_raise(how, X, match):
    model = TabularAutoencoder(**how)
    with pytest.raises((ValueError, TypeError), match=match):
        model.fit(X)
    assert vars(model).keys() == clone(model).get_params(deep=False).keys()
    with pytest.raises(NotFittedError):
        model.transform(X)


def test_columns_of_other_types_after_fit_raise():
    X = draw()[["float", "object"]]
    model = quick().fit(X)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(X[["object", "float"]])
    with pytest.raises(ValueError, match="Column 'float' of X must contain numbers"):
        model.transform(X.assign(float="x"))


# As other estimators -------------------------------------------------------------------------------------------------


def test_grid_search_clone_and_pickle():
    X = draw()[["float", "object", "bool"]]
    search = GridSearchCV(quick(), {"n_components": [1, 2], "autoencoder__max_iter": [2]}, cv=2).fit(X)
    best = search.best_estimator_
    assert best.transform(X).shape == (N, search.best_params_["n_components"])
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.transform(X), best.transform(X))
    assert again.reconstruct(X).equals(best.reconstruct(X))
    assert next(iter(best.get_feature_names_out())) == "tabularautoencoder0"


@pytest.mark.parametrize("drawn", [draw, draw_polars])
@pytest.mark.parametrize("wrap", [lambda model: model, LatentSampler, AutoencoderOutlierDetector])
def test_skops_file_restores_frames_of_all_types(drawn, wrap):
    X, _ = with_missing_values(drawn())
    if drawn is draw:
        X.columns.name = "measurement"
    fitted = wrap(quick(datetime_features=dates_of(X))).fit(X)
    blob = skops.io.dumps(fitted)
    untrusted = skops.io.get_untrusted_types(data=blob)
    assert all(name.startswith("skae.") for name in untrusted)
    again = skops.io.loads(blob, trusted=untrusted)
    if isinstance(fitted, TabularAutoencoder):
        np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
        assert again.reconstruct(X).equals(fitted.reconstruct(X))
        assert drawn is draw_polars or again.reconstruct(X).columns.name == fitted.reconstruct(X).columns.name
        assert types(again.impute(X)) == types(X)
    elif isinstance(fitted, LatentSampler):
        assert again.sample(5, random_state=0).equals(fitted.sample(5, random_state=0))
    else:
        assert again.feature_errors(X[:5]).equals(fitted.feature_errors(X[:5]))


def test_partial_fit():
    X = draw(n=400)[["float", "object", "bool"]]
    model = quick()
    for start in range(0, 400, 100):
        model.partial_fit(X.iloc[start : start + 100])
    assert types(model.reconstruct(X)) == types(X)
    assert model.score(X) > 0.4
    before = model.transform(X)
    with pytest.raises(ValueError, match="unknown categories"):
        model.partial_fit(X.assign(object="new"))
    np.testing.assert_array_equal(model.transform(X), before)


def test_same_random_state_gives_bit_identical_results():
    X, _ = with_missing_values(draw()[["float", "object", "bool", "Int64"]])
    model = TabularAutoencoder(2, autoencoder=Autoencoder(max_iter=3), random_state=0)
    np.testing.assert_array_equal(clone(model).fit_transform(X), clone(model).fit_transform(X))
