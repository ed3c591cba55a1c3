"""The tables of "Coming from PCA" list every parameter, attribute and method of PCA, and only existing counterparts."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, IncrementalPCA

from skae import Autoencoder

PAGE = (Path(__file__).parents[2] / "docs" / "coming_from_pca.md").read_text()
ROW = re.compile(r"^\| `(\w+)`(?: \(IncrementalPCA\))?(?: → (`\w+`|none))? \|(.*)\|$", re.M)
# {name in PCA: name in Autoencoder, or "" if there is none}
TABLE = {name: other.strip("`").replace("none", "") if other else name for name, other, _ in ROW.findall(PAGE)}


def public_names(estimator, X):
    """Return the public names of an estimator before and after it is fitted."""
    names = set(inspect.signature(type(estimator)).parameters) | set(dir(estimator)) | set(dir(estimator.fit(X)))
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("estimator", [PCA(2), IncrementalPCA(2)])
def test_tables_list_every_public_name_of_pca(estimator, iris):
    pandas = pytest.importorskip("pandas")
    assert public_names(estimator, pandas.DataFrame(iris, columns=list("abcd"))) <= set(TABLE)


def test_counterparts_exist(iris):
    import pandas as pd

    ours = Autoencoder(ordered=True, hidden_layer_sizes=8, max_iter=2).fit(pd.DataFrame(iris, columns=list("abcd")))
    assert all(hasattr(ours, name) for name in TABLE.values() if name)


def test_names_without_counterpart_do_not_exist(iris):
    ours = Autoencoder().fit(iris[:15])
    for name, here in TABLE.items():
        if not here:
            assert not hasattr(ours, name), f"{name} exists, but the table says that it does not"
    assert not [name for name, other, text in ROW.findall(PAGE) if other and text.startswith(" The same")]


def test_additional_public_names_are_as_expected(iris):
    additional = public_names(Autoencoder(), iris[:15]) - set(TABLE) - set(inspect.signature(Autoencoder).parameters)
    of_base = set(dir(BaseEstimator))
    assert additional - of_base == {
        *("reconstruct", "impute", "jacobian", "loadings", "feature_importances_", "set_callbacks"),
        *("save", "load", "to_onnx", "onnx_shape_calculator", "onnx_converter"),
        *("encoder_", "decoder_", "net_", "best_epoch_", "n_iter_", "loss_curve_", "validation_loss_curve_"),
        *("validation_", "set_fit_request", "check_parameters", "encode_y"),
        *("module_class", "module_params", "initial_solution"),  # hooks for custom variants
    } - ({"set_callbacks"} if not hasattr(Autoencoder, "set_callbacks") else set())


@pytest.mark.slow
def test_code_of_the_page_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names = {}
    exec(code, names)
    assert names["curve"].explained_variance_ratio_.shape == (16,)
    assert isinstance(names["search"].best_params_["reduce"], Autoencoder)
    check_refit(names["smallest_within_one_standard_error"])


def check_refit(refit):
    """Check a refit function on results where candidate 2 is best, and 1 and 3 are within a standard error."""
    results = {f"split{i}_test_score": np.zeros(5) for i in range(3)} | {
        "mean_test_score": np.array([0.5, 0.88, 0.9, 0.89, 0.899]),
        "std_test_score": np.array([0.1, 0.1, 0.03, 0.0, 0.0]),
        "param_reduce__n_components": np.ma.array([2, 4, 16, 4, 8], dtype=object),
    }
    assert refit(results) == 3
    assert refit(results | {"std_test_score": np.zeros(5)}) == 2


def test_refit_function_of_the_guide_selects_the_smallest_code():
    code = (Path(__file__).parents[2] / "docs" / "guide" / "number_of_components.md").read_text()
    (function,) = re.findall(r"^(def smallest.*?)\n\n\n", code, flags=re.DOTALL | re.MULTILINE)
    names = {"np": np}
    exec(function, names)
    check_refit(names["smallest_within_one_standard_error"])
