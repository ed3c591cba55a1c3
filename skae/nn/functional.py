"""Formulas: activations and reconstruction losses.

A loss maps an output and its target, both of shape (n, d), to one value a row, of shape (n,): a sum over features,
never a mean, so that its weight against a penalty depends neither on the batch nor on the width.
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
    """Squared error of each row: sum_j (output_j - target_j)^2."""
    return (output - target).square().sum(dim=1)


def absolute_error(output, target):
    """Absolute error of each row: sum_j |output_j - target_j|."""
    return (output - target).abs().sum(dim=1)


def huber(output, target):
    """Huber's loss of each row: quadratic for errors below one unit of scale, linear above (Huber, 1964)."""
    return F.huber_loss(output, target, reduction="none").sum(dim=1)


def binary_cross_entropy(logits, target):
    """Minus the Bernoulli log-likelihood of each row, for targets in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=1)


def poisson(log_rate, target):
    """Minus the Poisson log-likelihood of each row, but for a constant: sum_j rate_j - x_j log rate_j."""
    return F.poisson_nll_loss(log_rate, target, log_input=True, reduction="none").sum(dim=1)


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
