"""Prefixes of ordered codes, whose first j components are the best code of size j, and their random sizes."""

import torch

WHOLE = 2 / 3  # probability that a sample keeps its whole code in training


def keep_prefix(code: torch.Tensor, size: int | torch.Tensor) -> torch.Tensor:
    """Set all but the first `size` components of a code to zero.

    Parameters
    ----------
    code : torch.Tensor of shape (n, k)
        Internal codes.

    size : int or torch.Tensor of shape (n, 1)
        Number of components to keep, for all samples or for each sample.

    Returns
    -------
    kept : torch.Tensor of shape (n, k)
        Codes with zeros after the first `size` components.

    See Also
    --------
    AutoencoderModule : Truncates codes in training if they are `ordered`.

    Examples
    --------
    >>> import torch
    >>> from skae.nn import keep_prefix
    >>> keep_prefix(torch.ones(2, 3), torch.tensor([[1], [2]]))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return code * (torch.arange(code.shape[-1], device=code.device) < size)


def random_sizes(shape, generator=None):
    """Draw prefix sizes, of shape (..., n, 1), for codes of shape (..., n, k): k for about two thirds of the samples.

    For half of the others, sizes are uniform from 1 to k; for the other half, their logarithm is uniform, since a code
    of one component would otherwise be seen once in 3 k samples. Sizes are drawn on the CPU, so that a seed has the
    same result on every device.
    """
    *n, k = shape
    whole, uniform, size = torch.rand(3, *n, 1, generator=generator)
    logarithmic = (k + 1) ** size
    sizes = torch.where(uniform < 0.5, 1 + k * size, logarithmic).long().clamp(max=k)
    return torch.where(whole < WHOLE, k, sizes)
