"""scikit-learn's estimator checks: those of `check_estimator`, and others outside it."""

import pytest
from conftest import N_QUICK, SMALL, short_name
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

# for one epoch: `docs/benchmarks/sklearn_checks.py` runs the checks at the default parameters
KINDS = [clone(kind).set_params(max_iter=1) for kind in SMALL]
for kind in KINDS:
    if hasattr(kind, "n_nonzero_coefs"):
        kind.set_params(n_nonzero_coefs=None)  # the checks set a single component
QUICK, MORE = KINDS[:N_QUICK], [*KINDS[N_QUICK:], clone(KINDS[0]).set_params(n_components=0.9, whiten=True)]

# the checks' tables have fewer features than the code has components
pytestmark = pytest.mark.filterwarnings("ignore:.* have collapsed:sklearn.exceptions.ConvergenceWarning")

LEFT_OUT = [
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_dataframe_column_names_consistency",
    "check_estimators_partial_fit_n_features",
]


@parametrize_with_checks(QUICK)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(MORE)
def test_check_estimator_slow(estimator, check):
    check(estimator)


# these checks fit on a frame and transform an array, so PCA warns in them too
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("check", LEFT_OUT)
@pytest.mark.parametrize(
    "checked", [*QUICK, *(pytest.param(kind, marks=pytest.mark.slow) for kind in MORE)], ids=short_name
)
def test_checks_outside_check_estimator(checked, check):
    getattr(estimator_checks, check)(type(checked).__name__, clone(checked))
