"""Bounds within which reconstructions stay, where the data have some."""

import numpy as np
import torch
from torch import nn

from skae.nn._layers import Scaler


class Bounds(nn.Module):
    """Keeps samples within bounds of the data, unless they are switched off.

    In training the gradient passes as if there were none. So it is that of a convex loss, the matching loss of the
    bounds (Auer, Herbster and Warmuth, 1996): the squared error within them, and linear beyond, where a value at the
    bound costs nothing.

    Parameters
    ----------
    scaler : Scaler

    low, high : ndarray of shape (n_features,)
        In units of the data, infinite where there is none.
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
        """Scaled samples within the bounds: (n, d) -> (n, d)."""
        return self._within(x, self.low, self.high)

    def of_data(self, x: torch.Tensor) -> torch.Tensor:
        """Rows in units of the data within the bounds, to the last bit: (n, d) -> (n, d)."""
        return self._within(x, self.data_low, self.data_high)

    def _within(self, x, low, high):
        inside = torch.where(self.is_on > 0, x.clamp(low, high), x)
        return x + (inside - x).detach() if self.training else inside
