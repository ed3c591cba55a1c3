"""Parameters and attributes of PCA that an autoencoder doesn't have: the error names the alternative."""

from typing import TYPE_CHECKING

LINEAR = "Autoencoder(hidden_layer_sizes=()), which is PCA, has it after fit."
SOLVER = "training starts from PCA with svd_solver='auto'."
INSTEAD = {
    "components_": f"{LINEAR} The components of a nonlinear autoencoder have different directions for each sample: "
    "loadings(X) returns their mean over samples, which for a linear autoencoder is the transpose of components_, and "
    "jacobian(X) returns those of each sample.",
    "singular_values_": f"{LINEAR} Those of PCA are np.sqrt(explained_variance_ * (n_samples_ - 1)).",
    "noise_variance_": f"{LINEAR} VariationalAutoencoder learns a noise variance.",
    "get_covariance": f"{LINEAR} A nonlinear autoencoder doesn't define a normal distribution: explained_variance_ "
    "contains the variances of its codes.",
    "get_precision": f"{LINEAR} A nonlinear autoencoder doesn't define a normal distribution: explained_variance_ "
    "contains the variances of its codes.",
    "sample": "its codes have no prior to draw from. LatentSampler fits a density to them and draws new samples, and "
    "VariationalAutoencoder has a prior.",
    "n_samples_seen_": "n_samples_ is the number of samples of all chunks.",
    "var_": "StandardScaler has it.",
    "batch_size_": "batch_size is a parameter of training.",
    "copy": "X is never modified.",
    "whiten": "its codes have no axes along which to scale. Append a StandardScaler.",
    "svd_solver": SOLVER,
    "iterated_power": SOLVER,
    "n_oversamples": SOLVER,
    "power_iteration_normalizer": SOLVER,
}


METHODS = ("get_covariance", "get_precision")  # available for some autoencoders


class AbsentNamesMixin:
    """Errors for missing attributes that name an alternative. `dir` and `hasattr` don't report these names."""

    _absent: dict[str, str] = {}  # noqa: RUF012 - messages of a variant

    if not TYPE_CHECKING:  # a type checker would assume that every attribute exists

        def __getattr__(self, name):
            instead = {**INSTEAD, **type(self)._absent}.get(name)
            raised = hasattr(type(self), name) and name not in METHODS  # a property: it raises its own error again
            if instead is None or raised:
                return object.__getattribute__(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: {instead}")

        def __dir__(self):
            return [name for name in super().__dir__() if name not in METHODS or hasattr(self, name)]
