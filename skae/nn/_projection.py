"""Data in coordinates along some orthonormal axes: what a module of wide samples is trained on."""

import numpy as np
import torch
from torch import nn

from skae.nn._layers import Scaler


class Projection(nn.Module):
    """Takes data to the coordinates of scaled samples along some axes, and back: in the place of a `Scaler`.

    Parameters
    ----------
    scaler : Scaler
        Of all d features.

    axes : ndarray of shape (r, d)
        Orthonormal.

    clip_at : ndarray of shape (d,) or None
        Greatest distance of each scaled feature from the mean that reaches the networks. If it is not None,
        coordinates are (n, 2 r): those of what lies within, and of what lies beyond.

    left_out : (float, float)
        Mean squared length of what the axes leave out of a scaled sample: of held-out samples, and of those trained on.

    dtype : torch.dtype
        Precision of the arithmetic.
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
        """Mean of each feature, (d,), whose device and precision are the module's."""
        return self.scaler.mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Project data.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Samples of data.

        Returns
        -------
        coordinates : torch.Tensor of shape (n, r) or (n, 2 r)
            Of scaled samples.
        """
        scaled = self.scaler(x)
        if self.clip_at is None:
            return scaled @ self.axes.mT
        near = scaled.clamp(-self.clip_at, self.clip_at)
        return torch.cat([near @ self.axes.mT, (scaled - near) @ self.axes.mT], dim=-1)

    def inverse(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return the samples of some coordinates, without what the axes leave out.

        Parameters
        ----------
        coordinates : torch.Tensor of shape (n, r) or (n, 2 r)
            Of scaled samples.

        Returns
        -------
        x : torch.Tensor of shape (n, d)
            Samples of data.
        """
        r = len(self.axes)
        whole = coordinates if coordinates.shape[-1] == r else coordinates[..., :r] + coordinates[..., r:]
        return self.scaler.inverse(whole @ self.axes)
