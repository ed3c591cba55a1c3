"""Unrolled layers: the networks of a stack, composed of those of its trained layers."""

import math
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from skae._core import AutoencoderCore
from skae._defaults import auto_learning_rate
from skae._seeds import isolated_rng
from skae._spec import ModuleSpec
from skae.architectures import Architecture
from skae.nn import AutoencoderModule, Decoder, Encoder, Scaler

WIDE = 1000  # the learning rate is the default divided by n_features / WIDE
FASTER = 3  # maximum factor of the learning rate below WIDE features: shallow layers start at a saddle point

# ranges of activation functions; with relu the clipped decoder mirrors the encoder
RANGES = {
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "gelu": (-0.17, math.inf),
    "silu": (-0.28, math.inf),
    "tanh": (-1.0, 1.0),
    "logistic": (0.0, 1.0),
}


class StackedModule(AutoencoderModule):
    """An `AutoencoderModule` whose networks are composed of those of other autoencoders."""

    linear_weights = ("encoder.*.linear.*", "decoder.*.linear.*")
    linear_rate = 1.0  # the linear branches are the layers themselves


@dataclass(frozen=True)
class Layer:
    """A trained layer: its module class, spec and weights, from which it is rebuilt."""

    module_class: type[AutoencoderModule]
    spec: ModuleSpec
    weights: dict[str, np.ndarray] | None = None

    @classmethod
    def of(cls, estimator):
        """Create a layer from a fitted autoencoder or `BernoulliRBM`.

        A restricted Boltzmann machine defines the means of its hidden units, s(x W' + b), and of its visible units,
        s(h W + c): it is a one-layer autoencoder with a logistic code and a Bernoulli likelihood.
        """
        if isinstance(estimator, AutoencoderCore):
            return cls(estimator.module_class, estimator._spec, estimator._weights)
        k, d = estimator.components_.shape
        spec = ModuleSpec(
            sizes=(d, k),
            activation="identity",
            code_activation="logistic",
            loss="binary_cross_entropy",
            linear=False,
            mean=np.zeros(d),
            scale=np.ones(d),
            spread=np.ones(d),
            link=(np.zeros(d), np.ones(d)),
        )
        weights = {
            "encoder.0.0.weight": estimator.components_,
            "encoder.0.0.bias": estimator.intercept_hidden_,
            "decoder.0.weight": estimator.components_.T,
            "decoder.0.bias": estimator.intercept_visible_,
        }
        return cls(AutoencoderModule, spec, weights)

    def build(self):
        """Build the module, with the trained weights if they are set."""
        return self.spec.build(self.module_class, self.weights)


class Stack(Architecture):
    """Composition of the networks of layers: all encoders in order, and all decoders in reverse order.

    Parameters
    ----------
    layers : tuple of Layer
        The first layer takes scaled samples.

    natural : (mean, scale) or None
        Map from the output of the last decoder to the natural parameter of the stack's likelihood.

    back : (mean, scale) or None
        Map from the means of the last decoder, in units of X, to scaled samples.
    """

    dense_code = False

    def __init__(self, layers, natural=None, back=None):
        self.layers = layers
        self.natural = natural
        self.back = back

    @classmethod
    def of(cls, layers, mean, scale, loss, link):
        """Stack layers, the first of which was trained on X, for centered and scaled samples of X.

        Parameters
        ----------
        layers : list of Layer

        mean, scale : ndarray of shape (n_features,)

        loss : str

        link : (offset, gain) or None
            Link function of the stack.
        """
        first, *others = layers
        unit = np.where(scale > 0, scale, 1.0)

        def within(bounds):
            return tuple((bound - mean) / unit for bound in bounds)

        inside = replace(first.spec, mean=(first.spec.mean - mean) / unit, scale=first.spec.scale / unit)
        if inside.formula.get("bounds") is not None:  # a variational layer, in units of X
            inside = replace(inside, formula=inside.formula | {"bounds": within(inside.formula["bounds"])})
        if inside.bounds is not None:
            inside = replace(inside, bounds=within(inside.bounds))
        natural, back = None, None
        if first.spec.link is not None and first.spec.loss == loss:
            (offset, gain), (own_offset, own_gain) = link, first.spec.link
            per_gain = np.divide(1.0, gain, out=np.zeros_like(gain), where=gain > 0)
            natural = (own_offset - offset) * per_gain, own_gain * per_gain
        elif first.spec.link is not None:
            back = mean, scale
        return cls((replace(first, spec=inside), *others), natural, back)

    @property
    def learning_rate(self):
        """The lowest learning rate of the layers' architectures, decreased for wide data and increased for narrow data.

        A step of Adam changes each weight by the same amount, and a unit by that times the number of its inputs, which
        would move trained layers far from their initialization. The rate is not increased if a layer has hidden layers.
        """
        specs = [layer.spec for layer in self.layers]
        lowest = min(auto_learning_rate(each.architecture) for each in specs)
        is_shallow = all(len(each.sizes) == 2 and each.architecture is None for each in specs)
        return lowest * min(FASTER if is_shallow else 1.0, WIDE / specs[0].sizes[0])

    def without_weights(self):
        """Return the same networks without weights, which are initialized when they are built."""
        return Stack(tuple(replace(layer, weights=None) for layer in self.layers), self.natural, self.back)

    def build(self, n_features, activation):  # noqa: ARG002 - each layer has its own
        """Build a new encoder and a new decoder: see `Architecture.build`."""
        modules = [layer.build() for layer in self.layers]
        encoders, decoders = [Encoder(module) for module in modules], [Decoder(module) for module in modules]
        ranges = [RANGES.get(layer.spec.code_activation) for layer in self.layers]
        if self.natural is not None:
            decoders[0].link, decoders[0].scaler = None, Scaler(*self.natural, decoders[0].scaler.mean.dtype)
        elif self.back is not None:
            decoders[0] = nn.Sequential(decoders[0], Scaler(*self.back, decoders[0].scaler.mean.dtype))
        width = self.layers[-1].spec.n_components
        for place, below in enumerate(ranges[:-1], start=1):  # clips codes to their range
            if below is not None:
                decoders[place] = nn.Sequential(decoders[place], nn.Hardtanh(*below))
        return nn.Sequential(*encoders), nn.Sequential(*decoders[::-1]), width


@dataclass(frozen=True)
class StackedStart:
    """Initialization of a stack: the weights of its layers as they were trained one by one."""

    stack: Stack

    is_pca = False

    def weights(self):
        """Return the weights of the module by name."""
        with isolated_rng(0):
            halves = dict(zip(("encoder", "decoder"), self.stack.build(None, None), strict=False))
        return {f"{half}.{name}": value.numpy() for half in halves for name, value in halves[half].state_dict().items()}

    def axes(self, unit, whiten):  # noqa: ARG002 - the signature of `LinearInit`
        """Return None: the codes have the axes of the last layer."""
        return
