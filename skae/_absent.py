"""Names of PCA that an autoencoder has not: the error says what to use instead."""

from typing import TYPE_CHECKING

LINEAR = "Autoencoder(hidden_layer_sizes=()) has it after fit, and is PCA."
SOLVER = "PCA's own svd_solver='auto' finds where training starts."
INSTEAD = {
    "components_": f"{LINEAR} The directions of a nonlinear one's components differ from sample to sample: loadings(X) has "
    "their mean over samples, of a linear one the transpose of components_, and jacobian(X) those of each sample.",
    "singular_values_": f"{LINEAR} PCA's are np.sqrt(explained_variance_ * (n_samples_ - 1)).",
    "noise_variance_": f"{LINEAR} VariationalAutoencoder has a noise that is learned.",
    "get_covariance": f"{LINEAR} A nonlinear one is no normal distribution: explained_variance_ has the variances of "
    "its codes.",
    "get_precision": f"{LINEAR} A nonlinear one is no normal distribution: explained_variance_ has the variances of "
    "its codes.",
    "sample": "its codes have no prior to draw from. LatentSampler fits a density to them and draws new samples, and "
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


METHODS = ("get_covariance", "get_precision")  # that some autoencoders have


class AbsentNamesMixin:
    """What is asked for an attribute that is not there. `dir` and `hasattr` know of none of these names."""

    _absent: dict[str, str] = {}  # noqa: RUF012 - a variant's own words

    if not TYPE_CHECKING:  # a type checker would take every name for one that there is

        def __getattr__(self, name):
            instead = {**INSTEAD, **type(self)._absent}.get(name)
            raised = hasattr(type(self), name) and name not in METHODS  # a property: it raises again, in its words
            if instead is None or raised:
                return object.__getattribute__(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: {instead}")

        def __dir__(self):
            return [name for name in super().__dir__() if name not in METHODS or hasattr(self, name)]
