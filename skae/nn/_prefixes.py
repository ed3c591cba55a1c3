"""Prefixes of ordered codes, whose first j components are the best code of size j, and their sizes in training."""

import torch

WHOLE = 2 / 3  # share of the samples that keep all of an ordered code in training


def keep_prefix(code: torch.Tensor, size: int | torch.Tensor) -> torch.Tensor:
    """Set all but the first components of a code to zero.

    Parameters
    ----------
    code : torch.Tensor of shape (n, k)
        Codes.

    size : int or torch.Tensor of shape (n, 1)
        How many components are kept: of all samples, or of each.

    Returns
    -------
    kept : torch.Tensor of shape (n, k)
        New codes.

    See Also
    --------
    AutoencoderModule : Cuts codes so in training, where they are `ordered`.

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
    """Sizes of prefixes for codes of shape (..., n, k), (..., n, 1): k for about two thirds of the samples.

    For half of the others they are uniform in 1 to k, for the other half their logarithm is: a code of one component
    would else be seen once in 3 k samples. Drawn on the CPU, so that a seed means the same on every device.
    """
    *n, k = shape
    whole, uniform, size = torch.rand(3, *n, 1, generator=generator)
    logarithmic = (k + 1) ** size
    sizes = torch.where(uniform < 0.5, 1 + k * size, logarithmic).long().clamp(max=k)
    return torch.where(whole < WHOLE, k, sizes)
