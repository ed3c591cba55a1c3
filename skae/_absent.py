"""Names of PCA that an autoencoder has not: the error says what to use instead."""

from typing import TYPE_CHECKING

NO_MODEL = "it is no probabilistic model."
SOLVER = "PCA's own svd_solver='auto' finds where training starts."
INSTEAD = {
    "components_": "the directions of its components differ from row to row. loadings(X) has their mean over rows, of "
    "a linear autoencoder the transpose of PCA's components_, and jacobian(X) those of each row.",
    "singular_values_": "PCA's are np.sqrt(explained_variance_ * (n_samples_ - 1)).",
    "noise_variance_": f"{NO_MODEL} VariationalAutoencoder has it; of a linear one it is PCA's.",
    "get_covariance": f"{NO_MODEL} explained_variance_ has the variances of the codes, and PCA a covariance of rows.",
    "get_precision": f"{NO_MODEL} explained_variance_ has the variances of the codes, and PCA a precision of rows.",
    "sample": "its codes have no prior to draw from. LatentSampler fits a density to them and draws new rows, and "
    "VariationalAutoencoder has a prior.",
    "n_samples_seen_": "n_samples_ counts chunk after chunk.",
    "var_": "StandardScaler has it.",
    "batch_size_": "batch_size is a parameter, in training alone.",
    "copy": "X is never written to.",
    "whiten": "its codes have no axes to be scaled along. Put a StandardScaler behind.",
    "svd_solver": SOLVER,
    "iterated_power": SOLVER,
    "n_oversamples": SOLVER,
    "power_iteration_normalizer": SOLVER,
}


class AbsentNamesMixin:
    """What is asked for an attribute that is not there. `dir` and `hasattr` know of none of these names."""

    _absent: dict[str, str] = {}  # noqa: RUF012 - a variant's own words

    if not TYPE_CHECKING:  # a type checker would take every name for one that there is

        def __getattr__(self, name):
            instead = {**INSTEAD, **type(self)._absent}.get(name)
            if instead is None or hasattr(type(self), name):  # a property that raised: it raises again, in its words
                return object.__getattribute__(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: {instead}")
