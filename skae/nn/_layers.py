"""The layers around and inside an autoencoder: scaling, links, branches and the axes of the code."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name PyTorch users know
from torch import nn

from skae.nn.functional import ACTIVATIONS


class Linear(nn.Linear):
    """A linear map, or several at once.

    As it is made it is PyTorch's. Its weight may be replaced by one of shape (m, d_out, d_in), and its bias by one of
    shape (m, d_out): samples are then of shape (m, n, d_in), and each of the m maps has its own.

    Parameters
    ----------
    in_features : int
        Width of the input, d_in.

    out_features : int
        Width of the output, d_out.

    bias : bool, default=True
        Whether a vector is added. Several maps at once need one.

    device : torch.device, default=None
        Where the weights are. None is torch's own default.

    dtype : torch.dtype, default=None
        Precision of the weights. None is torch's own default.

    See Also
    --------
    LinearSkip : A linear map with a nonlinear branch beside it.
    ModuleEnsemble : Autoencoders of one shape, whose maps are these.
    torch.nn.Linear : One map.

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
        """Draw new weights, as PyTorch does, which would warn where there are none."""
        if self.weight.numel():
            super().reset_parameters()
        elif self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map samples.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d_in) or (m, n, d_in)
            Samples; for several maps, those of each.

        Returns
        -------
        y : torch.Tensor of shape (n, d_out) or (m, n, d_out)
            The samples mapped.
        """
        if self.weight.dim() == 2:
            return F.linear(x, self.weight, self.bias)
        return torch.baddbmm(self.bias[:, None], x, self.weight.mT)


def dense(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Make fully connected layers through `sizes`, with `activation` after all but the last.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer and of the output.

    activation : str
        A key of `skae.nn.functional.ACTIVATIONS`.

    Returns
    -------
    layers : torch.nn.Sequential
        The layers, (n, sizes[0]) -> (n, sizes[-1]). There are none if `sizes` is a single one.

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
    """A linear map with a nonlinear branch beside it, whose last layer starts at zero: at first, just the linear map.

    Both are trained on what lies within `clip_at` of the mean. What goes beyond passes through `far`, the linear map as
    it was at first, which is not trained: however far out a sample is, it lands within a bounded distance of where that
    map puts it.

    Parameters
    ----------
    linear : Linear
        The linear branch.

    nonlinear : torch.nn.Module or None
        The nonlinear branch. The last of its layers that has weights is set to zero here, and so must be its output
        then. None leaves it out, and the limit with it.

    clip_at : torch.Tensor of shape (d_in,) or None
        Greatest distance of each feature from the mean that reaches the branches. None: samples come in two parts,
        within the limit and beyond, (n, 2 d_in), or all within.

    See Also
    --------
    Linear : The linear branch.
    dense : Makes a nonlinear branch.
    AutoencoderModule : Both of its halves are such a sum.

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
            self.register_buffer("far", torch.zeros_like(linear.weight))  # (d_out, d_in)

    def start_blank(self) -> None:
        """Start anew: the linear branch at zero, the last layer of the nonlinear one where PyTorch would start it."""
        for weight in self.linear.parameters():
            nn.init.zeros_(weight)
        list(_layers_with_weights(self.nonlinear))[-1].reset_parameters()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the branches.

        Parameters
        ----------
        x : torch.Tensor of shape (n, d_in)
            Samples, centered.

        Returns
        -------
        y : torch.Tensor of shape (n, d_out)
            The sum of the branches, and of what lies beyond the limit.
        """
        if self.nonlinear is None:
            return self.linear(x)
        near, beyond = self._parts(x)
        y = self.linear(near) + self.nonlinear(near)
        return y if beyond is None else y + beyond @ self.far.mT

    def _parts(self, x):
        """What lies within the limit, and what beyond, or None: (n, d_in) each."""
        if self.clip_at is None:
            width = self.linear.in_features
            return (x, None) if x.shape[-1] == width else (x[..., :width], x[..., width:])
        if self._is_near(x):
            return x, None
        near = x.clamp(-self.clip_at, self.clip_at)
        return near, x - near

    def _is_near(self, x):
        """Whether nothing is known to lie beyond the limit; not looked at where a look has to wait, or is traced."""
        looks = x.device.type == "cpu" and not torch.compiler.is_compiling()
        return looks and bool((x.detach().abs() <= self.clip_at).all())


def _layers_with_weights(module):
    return (layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False)))


class Scaler(nn.Module):
    """Center and scale samples of data: (x - mean) / scale.

    A float32 can't hold a mean of 1e6 closely enough for data that vary by 1. What `dtype` loses of the mean is
    therefore kept in `mean_rest` and subtracted as well. A feature whose scale is 0 is constant: it is ignored on the
    way in and its mean is given back on the way out.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        In float64.

    dtype : torch.dtype
        Precision of the arithmetic.

    See Also
    --------
    LatentTransform : Does the like for codes.
    Link : What surrounds the networks where the loss is a likelihood.

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
            Samples of data.

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
            Samples of data.
        """
        return x * self.scale + self.mean_rest + self.mean


class LatentTransform(nn.Module):
    """The coordinates in which codes are shown: z = rotation @ (scale * u - mean) / deviation.

    Inside, a unit u of the code has unit variance, which trains well. Outside, codes have the scale of PCA's scores,
    are centered and uncorrelated, and are sorted by variance: an isometry of the scaled code, unless it is whitened.
    The inverse undoes it, so that no reconstruction changes.

    Parameters
    ----------
    scale, mean : ndarray of shape (n_components,)
        What a unit of each inner component is worth, and the mean of the codes in that unit.

    rotation : ndarray of shape (n_components, n_components) or None
        Orthogonal. None leaves each component where it is.

    deviation : ndarray of shape (n_components,)
        One, or the standard deviation of each component if codes are whitened.

    dtype : torch.dtype
        Precision of the arithmetic.

    See Also
    --------
    Scaler : Does the like for data.

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
        """Show codes.

        Parameters
        ----------
        code : torch.Tensor of shape (n, k)
            Codes as they are inside.

        Returns
        -------
        shown : torch.Tensor of shape (n, k)
            Codes as they are shown.
        """
        centered = code * self.scale - self.mean
        return (centered if self.rotation is None else centered @ self.rotation.T) / self.deviation

    def inverse(self, shown: torch.Tensor) -> torch.Tensor:
        """Undo the showing.

        Parameters
        ----------
        shown : torch.Tensor of shape (n, k)
            Codes as they are shown.

        Returns
        -------
        code : torch.Tensor of shape (n, k)
            Codes as they are inside.
        """
        turned = shown * self.deviation
        return ((turned if self.rotation is None else turned @ self.rotation) + self.mean) / self.scale
