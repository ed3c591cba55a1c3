"""Bounds of reconstructions, for bounded data."""

import numpy as np
import torch
from torch import nn

from skae.nn._layers import Scaler


class Bounds(nn.Module):
    """Clips reconstructions to the bounds of the data, unless `is_on` is 0.

    In training, clipping does not change the gradient. It is therefore the gradient of a convex loss, the matching loss
    of the bounds (Auer, Herbster and Warmuth, 1996): the squared error within the bounds, and linear beyond them, where
    the loss of a target at the bound is 0.

    Parameters
    ----------
    scaler : Scaler
        Maps data to scaled samples and back.

    low, high : ndarray of shape (n_features,)
        Bounds in units of the data, infinite for features without a bound.
    """

    def __init__(self, scaler: Scaler, low: np.ndarray, high: np.ndarray) -> None:
        super().__init__()
        dtype, mean = scaler.mean.dtype, scaler.mean.double() + scaler.mean_rest.double()
        for name, values in (("low", low), ("high", high)):
            bound = torch.tensor(values, dtype=torch.float64)
            scaled = torch.where(bound.isfinite(), (bound - mean) * scaler.per_unit.double(), bound)
            self.register_buffer(name, scaled.to(dtype), persistent=False)  # (d,)
            self.register_buffer(f"data_{name}", bound.to(dtype), persistent=False)  # (d,)
        self.register_buffer("is_on", torch.tensor(1.0, dtype=dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Clip scaled samples to the bounds: (n, d) -> (n, d)."""
        return self._within(x, self.low, self.high)

    def of_data(self, x: torch.Tensor) -> torch.Tensor:
        """Clip samples in units of the data to exactly the bounds: (n, d) -> (n, d)."""
        return self._within(x, self.data_low, self.data_high)

    def _within(self, x, low, high):
        inside = torch.where(self.is_on > 0, x.clamp(low, high), x)
        return x + (inside - x).detach() if self.training else inside
