"""The plain autoencoder: a nonlinear PCA."""

from skae._base import BaseAutoencoder
from skae.nn import AutoencoderModule


class Autoencoder(BaseAutoencoder):
    r"""Nonlinear dimensionality reduction by an autoencoder that starts at PCA and is never worse than it.

    Placeholder.
    """

    _module_class = AutoencoderModule

    def __init__(
        self,
        n_components=2,
        *,
        hidden_layer_sizes="auto",
        activation="gelu",
        code_activation="identity",
        init="pca",
        loss="squared_error",
        scale="global",
        max_iter="auto",
        batch_size="auto",
        learning_rate=1e-2,
        weight_decay=0.3,
        early_stopping=False,
        validation_fraction="auto",
        n_iter_no_change=10,
        tol=1e-4,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            n_components,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            code_activation=code_activation,
            init=init,
            loss=loss,
            scale=scale,
            max_iter=max_iter,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
