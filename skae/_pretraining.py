"""Layer-wise training of a stack: each layer is trained on the codes of the layer below."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.neural_network import BernoulliRBM

from skae._autoencoder import Autoencoder
from skae._core import AutoencoderCore
from skae._data.readers import ArrayReader
from skae._data.statistics import FeatureStatistics, within_unit
from skae._seeds import set_seeds
from skae._training.checkpoint import Checkpoint
from skae._training.users import named_callbacks

# parameters that a layer given as an int takes from the stack
SHARED = (
    *("max_iter", "batch_size", "learning_rate", "weight_decay", "early_stopping", "validation_fraction"),
    *("cv", "n_iter_no_change", "tol", "net_params", "device", "mixed_precision", "verbose"),
)


def pretrained(stack, X, seed, X_val, groups):
    """Train the layers of a `StackedAutoencoder`, each on the codes of the one below.

    Parameters
    ----------
    stack : StackedAutoencoder

    X : {array-like, sparse matrix} of shape (n, d)

    seed : int
        Seed for the layers whose `random_state` is None.

    X_val : {array-like, sparse matrix} of shape (n_val, d) or None

    groups : array-like of shape (n,) or None

    Returns
    -------
    layers : list of estimators

    Raises
    ------
    ValueError
        If a layer cannot be trained on its input.
    """
    rng, layers = np.random.RandomState(seed), []
    for name, layer in _estimators(stack):
        if layers:
            X, X_val = (None if rows is None else layers[-1].transform(rows) for rows in (X, X_val))
        set_seeds(layer, rng)
        try:
            layer._validate_params()  # a nested `fit` skips this
            if isinstance(layer, BernoulliRBM):
                _check_range(X)
                validation = {}
            else:
                has_own = layer.validation_fraction != "auto" or layer.cv is not None
                validation = {"X_val": None if has_own else X_val, "groups": groups}
            layers.append(layer.set_output(transform="default").fit(X, **validation))
        except ValueError as error:
            what = f"{X.shape[1]} {'codes of the layer below' if layers else 'features'}"
            raise ValueError(f"Layer {name!r} of layers, which gets {what}: {error}") from error
    return layers


def _estimators(stack):
    """Yield (name, unfitted estimator) for each layer."""
    first, last = 0, len(stack.layers) - 1
    for place, layer in enumerate(stack.layers):
        if isinstance(layer, tuple):
            yield layer[0], clone(layer[1])
            continue
        parameters = {name: getattr(stack, name) for name in SHARED}
        if place == first:
            parameters |= {"loss": stack.loss, "scale": stack.scale}
        elif stack.activation == "logistic" and isinstance(stack.layers[place - 1], Integral):
            parameters |= {"loss": "binary_cross_entropy"}  # so that the output of the decoder is in [0, 1]
        activation = stack.code_activation if place == last else stack.activation
        estimator = Autoencoder(int(layer), hidden_layer_sizes=(), code_activation=activation, **parameters)
        is_solved = activation == "identity" and estimator.loss == "squared_error"  # there are no steps for callbacks
        callbacks = [
            (name, each._below(f"layer_{place}") if isinstance(each, Checkpoint) else each)
            for name, each in named_callbacks(stack.callbacks)
            if isinstance(each, Checkpoint) or not is_solved
        ]
        estimator.set_params(callbacks=callbacks or None)
        yield f"{place} ({layer} units)", estimator


def _check_range(X):
    """Raise an error if values are outside [0, 1], which `BernoulliRBM` itself does not check."""
    statistics = FeatureStatistics().update(ArrayReader(X))  # ignores missing values
    low, high = statistics.low.min(), statistics.high.max()
    if not within_unit(low, high):
        raise ValueError(
            f"a BernoulliRBM needs values in [0, 1], got values from {low:.8g} to {high:.8g}. Scale X with "
            "MinMaxScaler if it is the first layer; otherwise set code_activation='logistic' in the layer below."
        )


def drop_modules(layer):
    """Remove a fitted layer's PyTorch objects, as pickling does: they contain two copies of its weights."""
    if isinstance(layer, AutoencoderCore):
        for name in vars(layer).keys() - layer.__getstate__().keys():
            delattr(layer, name)


def restore_modules(layer):
    """Build the PyTorch objects again if they were dropped."""
    if isinstance(layer, AutoencoderCore) and not hasattr(layer, "_modules"):
        layer.__setstate__(layer.__getstate__())
