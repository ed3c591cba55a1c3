"""Specification from which a fitted module is rebuilt: the plain values and arrays that a pickle contains."""

import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from skae._defaults import CLIP_AT
from skae._seeds import isolated_rng
from skae.architectures import Architecture
from skae.nn import LatentTransform, Linear, LinearSkip, Link, Scaler, dense
from skae.nn._bounds import Bounds
from skae.nn._link import MixedLink
from skae.nn._projection import Projection
from skae.nn.functional import ACTIVATIONS, LIKELIHOODS, LOSSES


@dataclass(frozen=True)
class Basis:
    """Axes in which networks are trained.

    Attributes
    ----------
    axes : ndarray of shape (r, d)
        Orthonormal axes, in float32.

    clip_at : ndarray of shape (d,) or None
        See `Projection`.

    left_out : (float, float)
        See `Projection`.
    """

    axes: np.ndarray
    clip_at: np.ndarray | None
    left_out: tuple[float, float]

    def layer(self, scaler, dtype):
        """Return the layer that replaces a scaler."""
        return Projection(scaler, self.axes, self.clip_at, self.left_out, dtype)


@dataclass(frozen=True)
class ModuleSpec:
    """Shape of an autoencoder and the constants around its two networks.

    Attributes
    ----------
    sizes : tuple of int
        Number of features, sizes of the hidden layers of the encoder, and number of components. The decoder is the
        mirror image.

    activation, code_activation, loss : str

    linear : bool
        Whether linear branches are added to the networks.

    mean, scale : ndarray of shape (n_features,)
        Parameters of the `Scaler`.

    spread : ndarray of shape (n_features,)
        Standard deviation of each scaled feature.

    link : (offset, gain) or None

    axes : (scale, mean, rotation, deviation) or None

    ordered : bool

    architecture : Architecture or None
        Builds the layers of the networks next to the data.

    formula : dict
        Additional parameters of the variant's module.

    has_custom_objective : bool
        Whether the objective has terms besides the reconstruction loss.

    bounds : (low, high) or None
        Bounds of the reconstruction of each feature, in units of the data.

    has_missing_values : bool
        Whether the training data have missing values.

    categories : tuple of (int, int)
        Range of encoded features of each categorical column (see `MixedLink`). Empty if all features are numerical.

    basis : Basis or None
        Axes of the scaled samples in which the networks are trained. The first of `sizes` is then their number.
    """

    sizes: tuple[int, ...]
    activation: str
    code_activation: str
    loss: str
    linear: bool
    mean: np.ndarray
    scale: np.ndarray
    spread: np.ndarray
    link: tuple[np.ndarray, np.ndarray] | None = None
    axes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None
    ordered: bool = False
    architecture: Architecture | None = None
    formula: dict = field(default_factory=dict)
    has_custom_objective: bool = False
    bounds: tuple[np.ndarray, np.ndarray] | None = None
    has_missing_values: bool = False
    categories: tuple[tuple[int, int], ...] = ()
    basis: Basis | None = None

    @property
    def n_components(self):
        """Size of the code."""
        return self.sizes[-1]

    @property
    def n_numbers(self):
        """Number of numerical features, which precede the categorical ones."""
        return self.categories[0][0] if self.categories else len(self.mean)

    @property
    def n_weights(self):
        """Number of weights of the dense layers, without biases and linear branches."""
        return 2 * sum(width_in * width_out for width_in, width_out in itertools.pairwise(self.sizes))

    @property
    def is_linear(self):
        """Whether the networks consist of the linear branches only."""
        return self.linear and len(self.sizes) == 2 and self.architecture is None

    @property
    def is_plain(self):
        """Whether the objective is the reconstruction loss only."""
        return not (self.formula or self.has_custom_objective)

    @property
    def is_pca(self):
        """Whether PCA is the optimum, so that no training is needed."""
        if self.n_components == 0:  # the reconstruction is the mean
            return True
        return self.is_linear and self.loss == "squared_error" and self.is_plain and not self.categories

    def build(self, module_class, weights=None, dtype=torch.float32, seed=0):
        """Build the module, with new weights or the given ones.

        Parameters
        ----------
        module_class : type
            `AutoencoderModule` or a variant of it.

        weights : dict of str to ndarray, default=None
            Weights that replace those of the same names.

        dtype : torch.dtype

        seed : int
            Seed of the new weights.

        Returns
        -------
        module : AutoencoderModule
            Module on the CPU, in evaluation mode.
        """
        with isolated_rng(seed):  # building a layer draws weights, even if they are replaced
            encoder, decoder = self._networks(module_class.n_statistics)
            if self.code_activation != "identity":
                encoder = nn.Sequential(encoder, ACTIVATIONS[self.code_activation]())
            scaler = Scaler(self.mean, self.scale, dtype)
            module = module_class(
                encoder,
                decoder,
                LOSSES[self.loss],
                scaler if self.basis is None else self.basis.layer(scaler, dtype),
                axes=None if self.axes is None else LatentTransform(*self.axes, dtype),
                link=self._link(dtype),
                ordered=self.ordered,
                **self.formula,
            ).to(dtype)
            if self.bounds is not None:
                module.bounds = Bounds(module.scaler, *self.bounds)
        module.has_missing_values = self.has_missing_values
        if self.architecture is not None:
            module.supports_batching = False  # recurrent layers don't support it, and convolutions are slower
        if weights is not None:
            load_weights(module, weights)
        return module.eval()

    def _link(self, dtype):
        if self.categories:
            is_number = np.arange(len(self.mean)) < self.n_numbers
            pairs = zip((self.mean, self.scale), self.link, strict=True)
            return MixedLink(self.categories, *(np.where(is_number, own, other) for own, other in pairs), dtype)
        return Link(LIKELIHOODS[self.loss], *self.link, dtype) if self.loss in LIKELIHOODS else None

    def cut(self, module_class, weights, kept):
        """Return the spec and weights of the autoencoder with only these components, given by indices, (k,)."""
        axes = (
            None if self.axes is None else tuple(_cut(values, (len(kept),) * values.ndim, kept) for values in self.axes)
        )
        narrow = replace(self, sizes=(*self.sizes[:-1], len(kept)), axes=axes)
        shapes = {name: value.shape for name, value in narrow.build(module_class).state_dict().items()}
        # only the dimension of the code differs
        return narrow, {name: _cut(weights[name], shape, kept) for name, shape in shapes.items()}

    def _networks(self, n_statistics):
        """Return the encoder and the decoder, with the linear branches added to them."""
        n_features, n_components = self.sizes[0], self.sizes[-1]
        into, back, width = None, None, n_features
        if self.architecture is not None:
            into, back, width = self.architecture.checked_build(n_features, self.activation)
        sizes = (width, *self.sizes[1:])
        width_out = n_statistics * n_components
        encoder, spread = self._encoder(into, (*sizes[:-1], width_out)), self.spread
        if self.basis is not None:
            spread = None
            with torch.no_grad():  # gives the weights the variance that they would have with all features
                for weight in encoder[0].parameters():
                    weight.mul_(math.sqrt(n_features / len(self.mean)))
        encoder = self._with_linear_skip(encoder, n_features, width_out, spread)
        decoder = self._with_linear_skip(self._decoder(back, sizes), n_components, n_features, np.ones(n_components))
        return encoder, decoder

    def _encoder(self, trunk, sizes):
        if trunk is None:
            return None if self.is_linear else dense(sizes, self.activation)
        return nn.Sequential(trunk, dense(sizes, self.activation)) if self.architecture.dense_code else trunk

    def _decoder(self, trunk, sizes):
        if trunk is None:
            return None if self.is_linear else dense(sizes[::-1], self.activation)
        if not self.architecture.dense_code:
            return trunk
        return nn.Sequential(dense(sizes[::-1], self.activation), ACTIVATIONS[self.activation](), trunk)

    def _with_linear_skip(self, network, width_in, width_out, spread):
        if not self.linear:
            return network
        clip_at = None if spread is None else torch.tensor(CLIP_AT * spread, dtype=torch.float32)
        return LinearSkip(Linear(width_in, width_out), network, clip_at)


def _cut(values, shape, kept):
    """Select the indices `kept` along each dimension whose length differs from that of `shape`."""
    for axis, (length, wanted) in enumerate(zip(values.shape, shape, strict=True)):
        if length != wanted:
            values = values.take(kept, axis=axis)
    return values


def load_weights(module, weights):
    """Set the weights of these names, converted to the module's dtype, and keep the others."""
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    for name, value in weights.items():
        if shapes.get(name, value.shape) != value.shape:
            raise ValueError(
                f"{name} has shape {shapes[name]} in the networks, and {value.shape} in their initialization, which is "
                "the last fit or initial_solution. If a parameter or the data that determine the shape were changed, "
                "restore them, or call fit with warm_start=False."
            )
    module.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()}, strict=False)  # copies


def read_weights(module):
    """Copy the weights of a module into arrays: those on a GPU in one transfer, since each transfer synchronizes."""
    state = {name: value.detach() for name, value in module.state_dict().items()}
    if all(value.device.type == "cpu" for value in state.values()):
        return {name: value.numpy().copy() for name, value in state.items()}
    read = {}
    for dtype in {value.dtype for value in state.values()}:
        of_dtype = {name: value for name, value in state.items() if value.dtype == dtype}
        together = torch.cat([value.flatten() for value in of_dtype.values()]).cpu()
        parts = together.split([value.numel() for value in of_dtype.values()])
        for (name, value), part in zip(of_dtype.items(), parts, strict=True):
            read[name] = part.view(value.shape).numpy().copy()
    return {name: read[name] for name in state}


def without_bounds(weights):
    """Return weights of a module with unbounded reconstructions, as those of PCA."""
    return {name: np.zeros_like(value) if name == "bounds.is_on" else value for name, value in weights.items()}
