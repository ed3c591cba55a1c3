"""scikit-learn's own checks, those of `check_estimator` and those that it leaves out."""

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

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
from skae.architectures import Convolutional, Recurrent

# Every kind of estimator, for one epoch: `docs/benchmarks/sklearn_checks.py` runs the checks at the default ones
CHECKED = [
    Autoencoder(max_iter=1, random_state=0),
    Autoencoder(hidden_layer_sizes=(), random_state=0),
    Autoencoder(max_iter=1, init="random", hidden_layer_sizes=16, validation_fraction=0.6, random_state=0),
    Autoencoder(max_iter=1, code_activation="logistic", hidden_layer_sizes=16, validation_fraction=0.6, random_state=0),
    Autoencoder(0.9, max_iter=1, whiten=True, hidden_layer_sizes=16, validation_fraction=0.6, random_state=0),
    ConvolutionalAutoencoder(
        channels=(2, 3), max_iter=1, hidden_layer_sizes=8, validation_fraction=0.6, random_state=0
    ),
    LSTMAutoencoder(hidden_size=3, max_iter=1, hidden_layer_sizes=8, validation_fraction=0.6, random_state=0),
    *(
        objective(
            16, architecture=architecture, max_iter=1, hidden_layer_sizes=8, validation_fraction=0.6, random_state=0
        )
        for objective in (DenoisingAutoencoder, ContractiveAutoencoder, SparseAutoencoder, VariationalAutoencoder)
        for architecture in (None, Convolutional(channels=(2,)), Recurrent(hidden_size=3))
    ),
    *(
        SparseAutoencoder(8, sparsity=sparsity, max_iter=1, validation_fraction=0.6, random_state=0)
        for sparsity in ("kl", "top_k", "batch_top_k")
    ),
    StackedAutoencoder((8, 4), max_iter=1, validation_fraction=0.6, random_state=0),
]

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


@parametrize_with_checks(CHECKED)
def test_check_estimator(estimator, check):
    check(estimator)


# these checks fit on a frame and transform an array, so PCA warns in them too
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("check", LEFT_OUT)
@pytest.mark.parametrize("checked", CHECKED, ids=str)
def test_checks_left_out(checked, check):
    getattr(estimator_checks, check)(type(checked).__name__, clone(checked))
