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


def squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared error of each cell: (output - target)^2.

    Parameters
    ----------
    output : torch.Tensor of shape (n, d)
        What the decoder gives.

    target : torch.Tensor of shape (n, d)
        Scaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Of each cell.

    See Also
    --------
    absolute_error : Grows less with the size of an error.
    huber : Between the two.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import squared_error
    >>> squared_error(torch.tensor([[3.0, 0.5]]), torch.tensor([[1.0, 0.5]]))
    tensor([[4., 0.]])
    """
    return F.mse_loss(output, target, reduction="none")


def absolute_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Absolute error of each cell: abs(output - target).

    Parameters
    ----------
    output : torch.Tensor of shape (n, d)
        What the decoder gives.

    target : torch.Tensor of shape (n, d)
        Scaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Of each cell.

    See Also
    --------
    squared_error : Grows more with the size of an error.
    huber : Between the two.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import absolute_error
    >>> absolute_error(torch.tensor([[3.0, 0.5]]), torch.tensor([[1.0, 0.5]]))
    tensor([[2., 0.]])
    """
    return F.l1_loss(output, target, reduction="none")


def huber(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Huber loss of each cell: quadratic for errors below one unit of scale, linear above (Huber, 1964).

    Parameters
    ----------
    output : torch.Tensor of shape (n, d)
        What the decoder gives.

    target : torch.Tensor of shape (n, d)
        Scaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Of each cell.

    See Also
    --------
    squared_error : Twice the quadratic part, for any error.
    absolute_error : The linear part, but for a constant.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import huber
    >>> huber(torch.tensor([[3.0, 1.5]]), torch.tensor([[1.0, 1.0]]))
    tensor([[1.5000, 0.1250]])
    """
    return F.huber_loss(output, target, reduction="none")


def binary_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Negative Bernoulli log-likelihood of each cell, for targets in [0, 1].

    Parameters
    ----------
    logits : torch.Tensor of shape (n, d)
        Logits of the probability that a cell is 1.

    target : torch.Tensor of shape (n, d)
        Samples of data, unscaled.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Of each cell, in nats.

    See Also
    --------
    poisson : The likelihood of counts.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import binary_cross_entropy
    >>> binary_cross_entropy(torch.tensor([[0.0, 4.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([[0.6931, 0.0181]])
    """
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def poisson(log_rate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Negative Poisson log-likelihood of each cell, but for a constant: rate - x log rate.

    Parameters
    ----------
    log_rate : torch.Tensor of shape (n, d)
        Logarithms of the rates.

    target : torch.Tensor of shape (n, d)
        Samples of data, unscaled.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Of each cell, in nats.

    See Also
    --------
    binary_cross_entropy : The likelihood of what is 0 or 1.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import poisson
    >>> poisson(torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([[1.0000, 2.7183]])
    """
    return F.poisson_nll_loss(log_rate, target, log_input=True, reduction="none")


def kl_from_prior(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of N(mean, v) from N(0, 1), of each component: (mean^2 + v - 1 - log v) / 2.

    Parameters
    ----------
    mean : torch.Tensor of shape (n, k)
        Means of the posteriors.

    log_variance : torch.Tensor of shape (n, k)
        Logarithms of their variances.

    Returns
    -------
    divergence : torch.Tensor of shape (n, k)
        Of each component, in nats.

    See Also
    --------
    binary_cross_entropy : The other term of a loss where data are 0 or 1.
    skae.VariationalAutoencoder : Pays `beta` times their sum.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import kl_from_prior
    >>> kl_from_prior(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    tensor([[0., 2.]])
    """
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
