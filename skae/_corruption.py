"""Noise that corrupts samples, and the module of a denoising autoencoder."""

import torch

from skae.nn import AutoencoderModule
from skae.nn._module import placed

# Fraction of the samples with less noise in training, without which the network would not see clean samples. If values
# are replaced, the others reveal the level of a sample, and a larger fraction does not degrade the network.
LESS_NOISY, LESS_NOISY_REPLACED = 0.25, 0.8

# Noise is drawn on the CPU, so that a seed gives the same noise on every device. The functions take scaled samples,
# (n, d), and the level of each, (n, 1). They return the corrupted samples and the mask of the selected values, (n, d),
# some of which may keep their value.


def _uniform(shape, x, noise):
    return placed(torch.rand(shape, generator=noise.generator), x.device)


def masking(x, level, noise):
    """Set values to zero, in units of the data."""
    chosen = _uniform(x.shape, x, noise) < level
    return torch.where(chosen, noise.zero, x), chosen


def gaussian(x, level, noise):
    """Add normal noise to all values, in units of each feature's standard deviation."""
    normal = placed(torch.randn(x.shape, generator=noise.generator), x.device)
    corrupted = x + level * noise.deviation * normal
    if noise.clips:
        corrupted = torch.clamp(corrupted, noise.least, noise.greatest)
    return corrupted, torch.ones_like(x, dtype=torch.bool)


def salt_and_pepper(x, level, noise):
    """Set values to the minimum or the maximum of the data, with equal probability."""
    u = _uniform(x.shape, x, noise)
    return torch.where(u < level / 2, noise.low, torch.where(u < level, noise.high, x)), u < level


def swap(x, level, noise):
    """Set values to those of the same feature in other samples."""
    others = x.gather(-2, placed(torch.randint(x.shape[-2], x.shape, generator=noise.generator), x.device))
    chosen = _uniform(x.shape, x, noise) < level
    return torch.where(chosen, others, x), chosen


REPLACING = {"masking": masking, "salt_and_pepper": salt_and_pepper, "swap": swap}  # these replace some values
CORRUPTIONS = {**REPLACING, "gaussian": gaussian}


class DenoisingModule(AutoencoderModule):
    """An `AutoencoderModule` that corrupts the encoder's input, and weights the losses of corrupted and other values.

    Parameters
    ----------
    corruption : str, callable or None
        If None, there is no noise, because samples come in pairs.

    levels : (low, high)
        Range from which the level of each sample is drawn.

    deviation : ndarray of shape (d,)
        Standard deviation of each scaled feature.

    low, high : ndarray of shape (d,)
        Range of the scaled data.

    clip : (ndarray of shape (d,), ndarray of shape (d,)) or None
        Range to which samples with normal noise are clipped, scaled.

    emphasis : float
        Weight of corrupted values in the loss, between 0 and 1.
    """

    supports_batching = True

    def __init__(self, *args, corruption, levels, deviation, low, high, clip, emphasis, **kwargs):
        super().__init__(*args, **kwargs)
        self.corruption, self.levels, self.emphasis = corruption, levels, emphasis
        self.less_noisy = LESS_NOISY_REPLACED if corruption in REPLACING else LESS_NOISY
        self.supports_batching = not callable(corruption)  # a callable expects a two-dimensional array
        self.clips = clip is not None
        self.chosen = None  # mask of the selected values of the batch, (n, d)
        constants = {"deviation": deviation, "low": low, "high": high}
        if self.clips:
            constants["least"], constants["greatest"] = clip
        for name, values in constants.items():
            self.register_buffer(name, torch.tensor(values, dtype=self.scaler.mean.dtype), persistent=False)

    @property
    def zero(self):
        """Scaled values of zero, (d,)."""
        return self.scaler(torch.zeros_like(self.scaler.mean))

    def training_levels(self, *, evenly):
        """Return mean and standard deviation of the levels in training: of all samples, or without the less noisy ones.

        The latter are for linear maps, which could denoise clean samples better only at the expense of the others, and
        for noise whose level can't be inferred from a sample.
        """
        low, high = self.levels
        middle, square = (low + high) / 2, (low**2 + low * high + high**2) / 3
        if self.corruption in REPLACING and not evenly:
            middle += self.less_noisy * (low / 2 - middle)
            square += self.less_noisy * (low**2 / 3 - square)
        elif low == high:
            return low, 0.0
        return middle, max(square - middle**2, 0) ** 0.5

    def corrupt(self, x):
        """Add new noise."""
        self.chosen = None
        if self.corruption is None:
            return x
        if not callable(self.corruption):
            corrupted, self.chosen = CORRUPTIONS[self.corruption](x, self._drawn_levels(x), self)
            return corrupted
        clean = self.scaler.inverse(x).cpu()
        corrupted = self.corruption(clean)
        if not isinstance(corrupted, torch.Tensor) or corrupted.shape != clean.shape:
            what = tuple(corrupted.shape) if hasattr(corrupted, "shape") else type(corrupted).__name__
            raise ValueError(
                f"corruption={self.corruption!r} must return a torch.Tensor of the shape of its input, "
                f"{tuple(clean.shape)}, but returned {what}."
            )
        corrupted = self.scaler(corrupted.to(x))
        return torch.where(self._noise_factors(x) < 1, x, corrupted) if self.training else corrupted

    def _drawn_levels(self, x):
        """Draw a level for each sample, (n, 1). In training, that of some samples is between zero and the minimum."""
        low, high = self.levels
        level = low + (high - low) * _uniform((*x.shape[:-1], 1), x, self) if low < high else low
        if not self.training or low == 0:
            return level
        factor = self._noise_factors(x)
        return torch.where(factor < 1, factor * low, level)

    def _noise_factors(self, x):
        """Draw a factor of the noise for less noisy samples, and a number above 1 for the others, (n, 1)."""
        return _uniform((*x.shape[:-1], 1), x, self) / self.less_noisy

    def reconstruction(self, output, x, corrupted):
        """Return the loss of each sample: corrupted values have weight 2 e for the emphasis e, the others 2 (1 - e)."""
        losses = self.elementwise_losses(output, x)
        if self.emphasis == 0.5:
            return losses.sum(dim=-1)
        is_corrupted = corrupted != x
        if self.chosen is not None:
            is_corrupted |= self.chosen if self.share is None else self.chosen[..., self.share, :]
        return (2 * losses * torch.where(is_corrupted, self.emphasis, 1 - self.emphasis)).sum(dim=-1)

    def losses(self, x, sizes=None, target=None):
        """Return the named terms of the loss of scaled samples."""
        try:
            return super().losses(x, sizes, target)
        finally:
            self.chosen = None  # the mask is that of these samples only
