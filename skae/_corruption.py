"""The noise that strikes samples, and the module of a denoising autoencoder."""

import torch

from skae.nn import AutoencoderModule
from skae.nn._module import placed

# Share of the samples that are struck less in training: nothing else would say what clean samples look like. Where
# cells are replaced, the others show at which level a sample is struck, and a network that sees many such samples is no
# worse at it.
SPARED, SPARED_OF_CELLS = 0.25, 0.8

# Noise is drawn on the CPU, so that a seed means the same on every device. Samples are scaled ones, (n, d), and each
# has a level, (n, 1). Returned are the struck samples, and which cells were chosen, (n, d), whether they changed or
# not.


def _uniform(shape, x, noise):
    return placed(torch.rand(shape, generator=noise.generator), x.device)


def masking(x, level, noise):
    """Cells are set to zero, in the data's own units."""
    chosen = _uniform(x.shape, x, noise) < level
    return torch.where(chosen, noise.zero, x), chosen


def gaussian(x, level, noise):
    """Normal noise is added to all cells, in units of each feature's standard deviation."""
    normal = placed(torch.randn(x.shape, generator=noise.generator), x.device)
    struck = x + level * noise.deviation * normal
    if noise.clips:
        struck = torch.clamp(struck, noise.least, noise.greatest)
    return struck, torch.ones_like(x, dtype=torch.bool)


def salt_and_pepper(x, level, noise):
    """Cells are set to the least or the greatest value of the data, one as often as the other."""
    u = _uniform(x.shape, x, noise)
    return torch.where(u < level / 2, noise.low, torch.where(u < level, noise.high, x)), u < level


def swap(x, level, noise):
    """Cells are set to the same column's value in another sample."""
    others = x.gather(-2, placed(torch.randint(x.shape[-2], x.shape, generator=noise.generator), x.device))
    chosen = _uniform(x.shape, x, noise) < level
    return torch.where(chosen, others, x), chosen


OF_CELLS = {"masking": masking, "salt_and_pepper": salt_and_pepper, "swap": swap}  # a share of them is replaced
CORRUPTIONS = {**OF_CELLS, "gaussian": gaussian}


class DenoisingModule(AutoencoderModule):
    """An `AutoencoderModule` that corrupts what the encoder sees, and weighs corrupted cells against the others.

    Parameters
    ----------
    corruption : str, callable or None
        None draws no noise: samples come in pairs.

    levels : (low, high)
        Each sample has a level of its own, which is drawn between these two.

    deviation : ndarray of shape (d,)
        Standard deviation of each scaled feature.

    low, high : ndarray of shape (d,)
        Range of the scaled data.

    clip : (ndarray of shape (d,), ndarray of shape (d,)) or None
        Range that normal noise doesn't leave, scaled.

    emphasis : float
    """

    supports_batching = True

    def __init__(self, *args, corruption, levels, deviation, low, high, clip, emphasis, **kwargs):
        super().__init__(*args, **kwargs)
        self.corruption, self.levels, self.emphasis = corruption, levels, emphasis
        self.spared = SPARED_OF_CELLS if corruption in OF_CELLS else SPARED
        self.supports_batching = not callable(corruption)  # which is shown samples of two dimensions
        self.clips = clip is not None
        self.chosen = None  # cells of the batch at hand, (n, d)
        constants = {"deviation": deviation, "low": low, "high": high}
        if self.clips:
            constants["least"], constants["greatest"] = clip
        for name, values in constants.items():
            self.register_buffer(name, torch.tensor(values, dtype=self.scaler.mean.dtype), persistent=False)

    @property
    def zero(self):
        """What a scaled sample is where the data are zero, (d,)."""
        return self.scaler(torch.zeros_like(self.scaler.mean))

    def training_levels(self, *, evenly):
        """Mean and standard deviation of the levels of samples: of all in training, or of those that are not spared.

        These are for linear maps, with which clean samples can only be denoised better at the cost of the others, and
        for noise that tells nothing of its level.
        """
        low, high = self.levels
        middle, square = (low + high) / 2, (low**2 + low * high + high**2) / 3
        if self.corruption in OF_CELLS and not evenly:
            middle += self.spared * (low / 2 - middle)
            square += self.spared * (low**2 / 3 - square)
        elif low == high:
            return low, 0.0
        return middle, max(square - middle**2, 0) ** 0.5

    def corrupt(self, x):
        """Strike cells with fresh noise."""
        self.chosen = None
        if self.corruption is None:
            return x
        if not callable(self.corruption):
            struck, self.chosen = CORRUPTIONS[self.corruption](x, self._drawn_levels(x), self)
            return struck
        clean = self.scaler.inverse(x).cpu()
        corrupted = self.corruption(clean)
        if not isinstance(corrupted, torch.Tensor) or corrupted.shape != clean.shape:
            what = tuple(corrupted.shape) if hasattr(corrupted, "shape") else type(corrupted).__name__
            raise ValueError(
                f"corruption={self.corruption!r} must return a torch.Tensor of the shape that it is given, "
                f"{tuple(clean.shape)}, but returned {what}."
            )
        corrupted = self.scaler(corrupted.to(x))
        return torch.where(self._shares(x) < 1, x, corrupted) if self.training else corrupted

    def _drawn_levels(self, x):
        """A level for each sample, (n, 1): of some samples in training, one between zero and the least."""
        low, high = self.levels
        level = low + (high - low) * _uniform((*x.shape[:-1], 1), x, self) if low < high else low
        if not self.training or low == 0:
            return level
        share = self._shares(x)
        return torch.where(share < 1, share * low, level)

    def _shares(self, x):
        """Of the samples that are spared, how much of the noise strikes them; of the others a number above 1, (n, 1)."""
        return _uniform((*x.shape[:-1], 1), x, self) / self.spared

    def reconstruction(self, output, x, corrupted):
        """Loss of each sample against the clean one: corrupted cells have weight 2 e, the others 2 (1 - e)."""
        losses = self.cell_losses(output, x)
        if self.emphasis == 0.5:
            return losses.sum(dim=-1)
        is_corrupted = corrupted != x
        if self.chosen is not None:
            is_corrupted |= self.chosen if self.share is None else self.chosen[..., self.share, :]
        return (2 * losses * torch.where(is_corrupted, self.emphasis, 1 - self.emphasis)).sum(dim=-1)

    def losses(self, x, sizes=None, target=None):
        """Named terms of the loss of scaled samples."""
        try:
            return super().losses(x, sizes, target)
        finally:
            self.chosen = None  # which is of these samples alone
