"""The layers around and inside an autoencoder: scaling, links, branches and the axes of the code."""

import itertools

import torch
import torch.nn.functional as F  # noqa: N812 - the name PyTorch users know
from torch import nn

from skae.nn.functional import ACTIVATIONS


class Linear(nn.Linear):
    """A linear map, or several at once: with a weight of shape (m, d_out, d_in), x is (m, n, d_in)."""

    def forward(self, x):
        """Map rows."""
        if self.weight.dim() == 2:
            return F.linear(x, self.weight, self.bias)
        return torch.baddbmm(self.bias[:, None], x, self.weight.mT)


def dense(sizes, activation):
    """Fully connected layers through `sizes`, with `activation` after all but the last.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer and of the output.

    activation : str
        A key of `skae.nn.functional.ACTIVATIONS`.

    Returns
    -------
    layers : torch.nn.Sequential
    """
    layers = []
    for width_in, width_out in itertools.pairwise(sizes):
        layers += [Linear(width_in, width_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class LinearPlus(nn.Module):
    """A linear map with a nonlinear branch beside it, whose last layer starts at zero: at first, just the linear map.

    Both are trained on what lies within `limit` of the mean. What goes beyond passes through `far`, the linear map as
    it was at first, which is not trained: however far out a row is, it lands within a bounded distance of where that
    map puts it.

    Parameters
    ----------
    linear : Linear
        The linear branch.

    nonlinear : torch.nn.Module or None
        The nonlinear branch. The last of its layers that has weights is set to zero here, and so must be its output
        then. None leaves it out, and the limit with it.

    limit : torch.Tensor of shape (d_in,)
    """

    def __init__(self, linear, nonlinear, limit):
        super().__init__()
        self.linear = linear
        self.nonlinear = nonlinear
        if nonlinear is not None:
            for weight in list(_layers_with_weights(nonlinear))[-1].parameters(recurse=False):
                nn.init.zeros_(weight)
            self.register_buffer("limit", limit, persistent=False)
            self.register_buffer("far", torch.zeros_like(linear.weight))  # (d_out, d_in)

    def start_blank(self):
        """Start anew: the linear branch at zero, the last layer of the nonlinear one where PyTorch would start it."""
        for weight in self.linear.parameters():
            nn.init.zeros_(weight)
        list(_layers_with_weights(self.nonlinear))[-1].reset_parameters()

    def forward(self, x):
        """Sum of the branches."""
        if self.nonlinear is None:
            return self.linear(x)
        if self._is_near(x):
            return self.linear(x) + self.nonlinear(x)
        near = x.clamp(-self.limit, self.limit)
        y = self.linear(near) + self.nonlinear(near)
        multiply_and_add = torch.addmm if self.far.dim() == 2 else torch.baddbmm
        return multiply_and_add(y, x - near, self.far.mT)

    def _is_near(self, x):
        """Whether nothing is known to lie beyond the limit; not looked at where a look has to wait, or is traced."""
        looks = x.device.type == "cpu" and not torch.compiler.is_compiling()
        return looks and bool((x.detach().abs() <= self.limit).all())


def _layers_with_weights(module):
    return (layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False)))


class Scaler(nn.Module):
    """Centre and scale rows of data: (x - mean) / scale.

    A float32 can't hold a mean of 1e6 closely enough for data that vary by 1. What `dtype` loses of the mean is
    therefore kept in `mean_rest` and subtracted as well. A feature whose scale is 0 is constant: it is ignored on the
    way in and its mean is given back on the way out.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        In float64.

    dtype : torch.dtype
        Precision of the arithmetic.
    """

    def __init__(self, mean, scale, dtype):
        super().__init__()
        mean, scale = torch.tensor(mean, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)
        rest = mean - mean.to(dtype).double()
        per_unit = torch.where(scale > 0, 1 / scale, 0.0)
        for name, values in {"mean": mean, "mean_rest": rest, "scale": scale, "per_unit": per_unit}.items():
            self.register_buffer(name, values.to(dtype), persistent=False)  # (d,)

    def forward(self, x):
        """Data to scaled rows."""
        return (x - self.mean - self.mean_rest) * self.per_unit

    def inverse(self, x):
        """Scaled rows to data."""
        return x * self.scale + self.mean_rest + self.mean


class Link(nn.Module):
    """From the decoder's output to the natural parameter of a likelihood, and on to the mean of the data.

    The natural parameter is offset + gain * output. At the mean of the data it is the link of that mean, and its
    slope is the least slope that the link has over the data's range, so a linear start is never overconfident.

    Parameters
    ----------
    inverse : callable
        The inverse link, from natural parameters to means: `torch.sigmoid` (Bernoulli) or `torch.exp` (Poisson).

    offset, gain : ndarray of shape (n_features,)

    dtype : torch.dtype
    """

    def __init__(self, inverse, offset, gain, dtype):
        super().__init__()
        self.inverse_link = inverse
        self.register_buffer("offset", torch.tensor(offset, dtype=dtype), persistent=False)  # (d,)
        self.register_buffer("gain", torch.tensor(gain, dtype=dtype), persistent=False)  # (d,)

    def forward(self, output):
        """Decoder outputs to natural parameters."""
        return self.offset + self.gain * output

    def mean(self, output):
        """Decoder outputs to means of the data."""
        return self.inverse_link(self(output))


class CodeAxes(nn.Module):
    """The coordinates in which codes are shown: z = rotation @ (scale * u - mean) / deviation.

    Inside, a unit u of the code has unit variance, which trains well. Outside, codes have the scale of PCA's scores,
    are centred and uncorrelated, and are sorted by variance: an isometry of the scaled code, unless it is whitened.
    The inverse undoes it, so that no reconstruction changes.

    Parameters
    ----------
    scale, mean : ndarray of shape (n_components,)

    rotation : ndarray of shape (n_components, n_components) or None
        Orthogonal. None leaves each component where it is.

    deviation : ndarray of shape (n_components,)
        One, or the standard deviation of each component if codes are whitened.

    dtype : torch.dtype
    """

    def __init__(self, scale, mean, rotation, deviation, dtype):
        super().__init__()
        for name, values in {"scale": scale, "mean": mean, "rotation": rotation, "deviation": deviation}.items():
            tensor = None if values is None else torch.tensor(values, dtype=dtype)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, code):
        """Inner codes to shown ones."""
        centred = code * self.scale - self.mean
        return (centred if self.rotation is None else centred @ self.rotation.T) / self.deviation

    def inverse(self, shown):
        """Shown codes to inner ones."""
        turned = shown * self.deviation
        return ((turned if self.rotation is None else turned @ self.rotation) + self.mean) / self.scale
