"""Layers of an autoencoder: scaling, linear maps with a nonlinear branch, and the transformation of codes."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's convention
from torch import nn

from skae.nn.functional import ACTIVATIONS


class Linear(nn.Linear):
    """A linear map, or several linear maps applied in one call.

    By default this is PyTorch's `Linear`. If its weight is replaced by one of shape (m, d_out, d_in), and its bias by
    one of shape (m, d_out), samples have shape (m, n, d_in), and each of the m maps is applied to its own samples.

    Parameters
    ----------
    in_features : int
        Width of the input, d_in.

    out_features : int
        Width of the output, d_out.

    bias : bool, default=True
        Whether to add a bias. Several maps require it.

    device : torch.device, default=None
        Device of the weights. If None, PyTorch's default device.

    dtype : torch.dtype, default=None
        Data type of the weights. If None, PyTorch's default data type.

    See Also
    --------
    LinearSkip : The sum of a linear map and a nonlinear branch.
    ModuleEnsemble : Autoencoders of the same architecture, trained in parallel.
    torch.nn.Linear : A single linear map.

    Examples
    --------
    >>> import torch
    >>> from skae.nn import Linear
    >>> layer = Linear(3, 2)
    >>> layer(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    >>> layer.weight = torch.nn.Parameter(torch.zeros(4, 2, 3))
    >>> layer.bias = torch.nn.Parameter(torch.zeros(4, 2))
    >>> layer(torch.zeros(4, 5, 3)).shape
    torch.Size([4, 5, 2])
    """

    def reset_parameters(self) -> None:
        """Reinitialize the weights as PyTorch does, without its warning if there are none."""
        if self.weight.numel():
            super().reset_parameters()
        elif self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the linear map.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d_in) or (m, n, d_in)
            Samples, or the samples of each of m maps.

        Returns
        -------
        y : torch.Tensor of shape (n, d_out) or (m, n, d_out)
            Transformed samples.
        """
        if self.weight.dim() == 2:
            return F.linear(x, self.weight, self.bias)
        return torch.baddbmm(self.bias[:, None], x, self.weight.mT)


def dense(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Make fully connected layers, with an activation after all but the last one.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the input, of each hidden layer and of the output.

    activation : str
        A key of `skae.nn.functional.ACTIVATIONS`.

    Returns
    -------
    layers : torch.nn.Sequential
        The layers, (n, sizes[0]) -> (n, sizes[-1]). Empty if `sizes` has a single element.

    See Also
    --------
    convolution : Layers for images.

    Examples
    --------
    >>> from skae.nn import dense
    >>> dense([64, 16, 2], "tanh")
    Sequential(
      (0): Linear(in_features=64, out_features=16, bias=True)
      (1): Tanh()
      (2): Linear(in_features=16, out_features=2, bias=True)
    )
    """
    layers = []
    for width_in, width_out in itertools.pairwise(sizes):
        layers += [Linear(width_in, width_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class LinearSkip(nn.Module):
    """The sum of a linear branch and a nonlinear branch, initialized to the linear branch.

    The last layer of the nonlinear branch is initialized to zero. Both branches see samples clipped to within `clip_at`
    of the mean. The remainder is mapped by `extrapolation`, a copy of the initial linear map that is not trained: the
    output for a sample far from the mean stays within a bounded distance of the output of the initial linear map.

    Parameters
    ----------
    linear : Linear
        The linear branch.

    nonlinear : torch.nn.Module or None
        The nonlinear branch. The last of its layers that has weights is set to zero here, and its output must then be
        zero. If None, there is only the linear branch, without a limit.

    clip_at : torch.Tensor of shape (d_in,) or None
        Maximum distance of each feature from the mean that the branches see. If None, samples are already split into
        the clipped part and the remainder, (n, 2 d_in), or are all within the limit.

    See Also
    --------
    Linear : The linear branch.
    dense : Make a nonlinear branch.
    AutoencoderModule : Both its encoder and its decoder are such sums.

    Examples
    --------
    >>> import torch
    >>> from skae.nn import Linear, LinearSkip, dense
    >>> linear = Linear(3, 2)
    >>> both = LinearSkip(linear, dense([3, 8, 2], "gelu"), clip_at=torch.full((3,), 10.0))
    >>> x = torch.ones(5, 3)
    >>> bool((both(x) == linear(x)).all())
    True
    """

    def __init__(self, linear: nn.Linear, nonlinear: nn.Module | None, clip_at: torch.Tensor | None) -> None:
        super().__init__()
        self.linear = linear
        self.nonlinear = nonlinear
        if nonlinear is not None:
            for weight in list(_layers_with_weights(nonlinear))[-1].parameters(recurse=False):
                nn.init.zeros_(weight)
            self.register_buffer("clip_at", clip_at, persistent=False)
            self.register_buffer("extrapolation", torch.zeros_like(linear.weight))  # (d_out, d_in)

    def init_random(self) -> None:
        """Set the linear branch to zero, and reinitialize the last layer of the nonlinear branch as PyTorch does."""
        for weight in self.linear.parameters():
            nn.init.zeros_(weight)
        list(_layers_with_weights(self.nonlinear))[-1].reset_parameters()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the sum of the branches.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d_in)
            Centered samples.

        Returns
        -------
        y : torch.Tensor of shape (n, d_out)
            The sum of both branches and of the mapped remainder beyond the limit.
        """
        if self.nonlinear is None:
            return self.linear(x)
        near, beyond = self._parts(x)
        y = self.linear(near) + self.nonlinear(near)
        return y if beyond is None else y + beyond @ self.extrapolation.mT

    def _parts(self, x):
        """Return samples clipped to the limit, and the remainder or None, each of shape (n, d_in)."""
        if self.clip_at is None:
            width = self.linear.in_features
            return (x, None) if x.shape[-1] == width else (x[..., :width], x[..., width:])
        if self._is_near(x):
            return x, None
        near = x.clamp(-self.clip_at, self.clip_at)
        return near, x - near

    def _is_near(self, x):
        """Return whether all values are known to be within the limit.

        This is only checked on a CPU, where the check needs no synchronization, and not during compilation.
        """
        if x.device.type != "cpu" or torch.compiler.is_compiling() or not x.numel():
            return False
        x = x.detach()
        low, high = x.aminmax()  # a single pass
        return max(-low.item(), high.item()) <= self.clip_at.min().item() or bool((x.abs() <= self.clip_at).all())


def _layers_with_weights(module):
    return (layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False)))


class Scaler(nn.Module):
    """Centers and scales data: (x - mean) / scale.

    A mean of 1e6 in float32 is too imprecise for data with a standard deviation of 1. The rounding error of the mean in
    `dtype` is therefore stored in `mean_rest` and subtracted as well. A feature with scale 0 is constant: it is scaled
    to 0, and `inverse` returns its mean.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        Mean and scale of each feature in float64.

    dtype : torch.dtype
        Data type of the buffers.

    See Also
    --------
    LatentTransform : The corresponding transformation of codes.
    Link : Maps outputs of the decoder to means of the data where the loss is a likelihood.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skae.nn import Scaler
    >>> scaler = Scaler(np.array([1e6, 5.0]), np.array([2.0, 0.0]), torch.float32)
    >>> scaler(torch.tensor([[1e6 + 4, 5.0]]))
    tensor([[2., 0.]])
    >>> scaler.inverse(torch.tensor([[2.0, 0.0]]))
    tensor([[1.0000e+06, 5.0000e+00]])
    """

    mean: torch.Tensor
    mean_rest: torch.Tensor
    scale: torch.Tensor
    per_unit: torch.Tensor

    def __init__(self, mean: np.ndarray, scale: np.ndarray, dtype: torch.dtype) -> None:
        super().__init__()
        mean, scale = torch.tensor(mean, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)
        rest = mean - mean.to(dtype).double()
        per_unit = torch.where(scale > 0, 1 / scale, 0.0)
        for name, values in {"mean": mean, "mean_rest": rest, "scale": scale, "per_unit": per_unit}.items():
            self.register_buffer(name, values.to(dtype), persistent=False)  # (d,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale data.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Samples in units of the data.

        Returns
        -------
        scaled : torch.Tensor of shape (n, d)
            Scaled samples.
        """
        return (x - self.mean - self.mean_rest) * self.per_unit

    def inverse(self, x: torch.Tensor) -> torch.Tensor:
        """Undo the scaling.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d)
            Scaled samples.

        Returns
        -------
        data : torch.Tensor of shape (n, d)
            Samples in units of the data.
        """
        return x * self.scale + self.mean_rest + self.mean


class LatentTransform(nn.Module):
    """Transforms internal codes u to the codes z that users see: z = rotation @ (scale * u - mean) / deviation.

    The components of internal codes have unit variance, which is suited to training. The transformed codes have the
    scale of PCA's scores, are centered and uncorrelated, and are sorted by variance: the transformation is an isometry
    of the scaled codes, unless they are whitened. The decoder inverts it, so that reconstructions do not change.

    Parameters
    ----------
    scale, mean : ndarray of shape (n_components,)
        Scale factor of each internal component, and mean of the scaled codes.

    rotation : ndarray of shape (n_components, n_components) or None
        Orthogonal matrix. If None, codes are not rotated.

    deviation : ndarray of shape (n_components,)
        Standard deviation of each component if codes are whitened, else ones.

    dtype : torch.dtype
        Data type of the buffers.

    See Also
    --------
    Scaler : The corresponding transformation of data.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skae.nn import LatentTransform
    >>> swapped = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> axes = LatentTransform(np.array([3.0, 2.0]), np.zeros(2), swapped, np.ones(2), torch.float32)
    >>> axes(torch.tensor([[1.0, 5.0]]))
    tensor([[10.,  3.]])
    >>> axes.inverse(torch.tensor([[10.0, 3.0]]))
    tensor([[1., 5.]])
    """

    scale: torch.Tensor
    mean: torch.Tensor
    rotation: torch.Tensor | None
    deviation: torch.Tensor

    def __init__(
        self,
        scale: np.ndarray,
        mean: np.ndarray,
        rotation: np.ndarray | None,
        deviation: np.ndarray,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        for name, values in {"scale": scale, "mean": mean, "rotation": rotation, "deviation": deviation}.items():
            tensor = None if values is None else torch.tensor(values, dtype=dtype)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Transform internal codes.

        Parameters
        ----------
        code : torch.Tensor of shape (n, k)
            Internal codes.

        Returns
        -------
        shown : torch.Tensor of shape (n, k)
            Transformed codes.
        """
        centered = code * self.scale - self.mean
        return (centered if self.rotation is None else centered @ self.rotation.T) / self.deviation

    def inverse(self, shown: torch.Tensor) -> torch.Tensor:
        """Undo the transformation.

        Parameters
        ----------
        shown : torch.Tensor of shape (n, k)
            Transformed codes.

        Returns
        -------
        code : torch.Tensor of shape (n, k)
            Internal codes.
        """
        scaled = shown * self.deviation
        return ((scaled if self.rotation is None else scaled @ self.rotation) + self.mean) / self.scale
