"""Formulas: activations and reconstruction losses.

A loss maps an output and its target, both of shape (n, d), to one value a cell, of the same shape. Whoever adds them up
sums over features, and never takes their mean, so that the weight against a penalty does not depend on the width.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - the name PyTorch users know

__all__ = [
    "ACTIVATIONS",
    "LIKELIHOODS",
    "LOSSES",
    "absolute_error",
    "binary_cross_entropy",
    "huber",
    "kl_from_prior",
    "poisson",
    "squared_error",
]

# scikit-learn's names where it has one (MLPRegressor), else torch's
ACTIVATIONS = {
    "identity": torch.nn.Identity,
    "logistic": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "gelu": torch.nn.GELU,
    "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
}


def squared_error(output, target):
    """Squared error of each cell: (output - target)^2."""
    return F.mse_loss(output, target, reduction="none")


def absolute_error(output, target):
    """Absolute error of each cell: |output - target|."""
    return F.l1_loss(output, target, reduction="none")


def huber(output, target):
    """Huber's loss of each cell: quadratic for errors below one unit of scale, linear above (Huber, 1964)."""
    return F.huber_loss(output, target, reduction="none")


def binary_cross_entropy(logits, target):
    """Minus the Bernoulli log-likelihood of each cell, for targets in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def poisson(log_rate, target):
    """Minus the Poisson log-likelihood of each cell, but for a constant: rate - x log rate."""
    return F.poisson_nll_loss(log_rate, target, log_input=True, reduction="none")


def kl_from_prior(mean, log_variance):
    """Kullback-Leibler divergence of N(mean, variance) from N(0, 1), each component's: (mean^2 + v - 1 - log v) / 2."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


LOSSES = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "binary_cross_entropy": binary_cross_entropy,
    "poisson": poisson,
}

# Losses that are likelihoods of the data themselves: the decoder gives their natural parameter, and the mean of the
# data is its inverse link.
LIKELIHOODS = {"binary_cross_entropy": torch.sigmoid, "poisson": torch.exp}
