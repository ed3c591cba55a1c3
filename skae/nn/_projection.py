"""Projection of data with many features to orthonormal axes, whose coordinates a module is trained on."""

import numpy as np
import torch
from torch import nn

from skae.nn._layers import Scaler


class Projection(nn.Module):
    """Maps data to the coordinates of scaled samples along orthonormal axes, and back; used instead of a `Scaler`.

    Parameters
    ----------
    scaler : Scaler
        Scaler of all d features.

    axes : ndarray of shape (r, d)
        Orthonormal rows.

    clip_at : ndarray of shape (d,) or None
        Maximum distance of each scaled feature from the mean that the networks see. If not None, coordinates have
        shape (n, 2 r): those of samples clipped to the limit, and those of the remainder.

    left_out : (float, float)
        Mean squared norm of the part of a scaled sample that is orthogonal to the axes, for validation samples and for
        training samples.

    dtype : torch.dtype
        Data type of the buffers.
    """

    def __init__(
        self,
        scaler: Scaler,
        axes: np.ndarray,
        clip_at: np.ndarray | None,
        left_out: tuple[float, float],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.scaler = scaler
        self.left_out = left_out
        self.register_buffer("axes", torch.as_tensor(axes, dtype=dtype), persistent=False)  # (r, d)
        clip_at = None if clip_at is None else torch.as_tensor(clip_at, dtype=dtype)
        self.register_buffer("clip_at", clip_at, persistent=False)  # (d,)

    @property
    def mean(self) -> torch.Tensor:
        """Mean of each feature, (d,). It has the device and the data type of the module."""
        return self.scaler.mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Project data.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Samples in units of the data.

        Returns
        -------
        coordinates : torch.Tensor of shape (n, r) or (n, 2 r)
            Coordinates of scaled samples.
        """
        scaled = self.scaler(x)
        if self.clip_at is None:
            return scaled @ self.axes.mT
        near = scaled.clamp(-self.clip_at, self.clip_at)
        return torch.cat([near @ self.axes.mT, (scaled - near) @ self.axes.mT], dim=-1)

    def inverse(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Map coordinates to data, without the part that is orthogonal to the axes.

        Parameters
        ----------
        coordinates : torch.Tensor of shape (n, r) or (n, 2 r)
            Coordinates of scaled samples.

        Returns
        -------
        x : torch.Tensor of shape (n, d)
            Samples in units of the data.
        """
        r = len(self.axes)
        whole = coordinates if coordinates.shape[-1] == r else coordinates[..., :r] + coordinates[..., r:]
        return self.scaler.inverse(whole @ self.axes)
