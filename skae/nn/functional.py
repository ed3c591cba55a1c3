"""Activations and reconstruction losses.

A loss maps an output and its target, both of shape (n, d), to the loss of each value, of the same shape. Losses are
summed over features, not averaged, so that their weight relative to a penalty does not depend on the width of samples.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's convention

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

# names as in scikit-learn's MLPRegressor where it has the activation, else as in PyTorch
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
    """Compute the squared error of each value: (output - target)^2.

    Parameters
    ----------
    output : torch.Tensor of shape (n, d)
        Output of the decoder.

    target : torch.Tensor of shape (n, d)
        Scaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Loss of each value.

    See Also
    --------
    absolute_error : Loss that is less sensitive to large errors.
    huber : Quadratic for small errors, linear for large ones.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import squared_error
    >>> squared_error(torch.tensor([[3.0, 0.5]]), torch.tensor([[1.0, 0.5]]))
    tensor([[4., 0.]])
    """
    return F.mse_loss(output, target, reduction="none")


def absolute_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the absolute error of each value: abs(output - target).

    Parameters
    ----------
    output : torch.Tensor of shape (n, d)
        Output of the decoder.

    target : torch.Tensor of shape (n, d)
        Scaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Loss of each value.

    See Also
    --------
    squared_error : Loss that is more sensitive to large errors.
    huber : Quadratic for small errors, linear for large ones.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import absolute_error
    >>> absolute_error(torch.tensor([[3.0, 0.5]]), torch.tensor([[1.0, 0.5]]))
    tensor([[2., 0.]])
    """
    return F.l1_loss(output, target, reduction="none")


def huber(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the Huber loss of each value: quadratic for scaled errors below 1, linear above (Huber, 1964).

    Parameters
    ----------
    output : torch.Tensor of shape (n, d)
        Output of the decoder.

    target : torch.Tensor of shape (n, d)
        Scaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Loss of each value.

    See Also
    --------
    squared_error : Twice the quadratic part, for all errors.
    absolute_error : The linear part, up to a constant.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import huber
    >>> huber(torch.tensor([[3.0, 1.5]]), torch.tensor([[1.0, 1.0]]))
    tensor([[1.5000, 0.1250]])
    """
    return F.huber_loss(output, target, reduction="none")


def binary_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the negative Bernoulli log-likelihood of each value, for targets in [0, 1].

    Parameters
    ----------
    logits : torch.Tensor of shape (n, d)
        Logits of the probability that a value is 1.

    target : torch.Tensor of shape (n, d)
        Unscaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Loss of each value, in nats.

    See Also
    --------
    poisson : Negative log-likelihood of counts.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import binary_cross_entropy
    >>> binary_cross_entropy(torch.tensor([[0.0, 4.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([[0.6931, 0.0181]])
    """
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def poisson(log_rate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the negative Poisson log-likelihood of each value, up to a constant: rate - x log rate.

    Parameters
    ----------
    log_rate : torch.Tensor of shape (n, d)
        Logarithms of the rates.

    target : torch.Tensor of shape (n, d)
        Unscaled samples.

    Returns
    -------
    losses : torch.Tensor of shape (n, d)
        Loss of each value, in nats.

    See Also
    --------
    binary_cross_entropy : Negative log-likelihood of binary data.

    Examples
    --------
    >>> import torch
    >>> from skae.nn.functional import poisson
    >>> poisson(torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([[1.0000, 2.7183]])
    """
    return F.poisson_nll_loss(log_rate, target, log_input=True, reduction="none")


def kl_from_prior(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Compute the Kullback-Leibler divergence of N(mean, v) from N(0, 1) per component: (mean^2 + v - 1 - log v) / 2.

    Parameters
    ----------
    mean : torch.Tensor of shape (n, k)
        Means of the posterior distributions.

    log_variance : torch.Tensor of shape (n, k)
        Logarithms of their variances.

    Returns
    -------
    divergence : torch.Tensor of shape (n, k)
        Divergence of each component, in nats.

    See Also
    --------
    binary_cross_entropy : Reconstruction term of the loss for binary data.
    skae.VariationalAutoencoder : Adds `beta` times the sum of the divergences to its loss.

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

# Losses that are likelihoods of the unscaled data: the output of the decoder is mapped to their natural parameter, and
# the mean of the data is the inverse link function of the parameter.
LIKELIHOODS = {"binary_cross_entropy": torch.sigmoid, "poisson": torch.exp}
