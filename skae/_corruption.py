"""The noise that strikes rows, and the module of a denoising autoencoder."""

import torch

from skae.nn import AutoencoderModule
from skae.nn._module import placed

# Noise is drawn on the CPU, so that a seed means the same on every device. Rows are scaled ones, (n, d).


def _uniform(x, noise):
    return placed(torch.rand(x.shape, generator=noise.generator), x.device)


def masking(x, noise):
    """Cells are set to zero, in the data's own units."""
    return torch.where(_uniform(x, noise) < noise.level, noise.zero, x)


def gaussian(x, noise):
    """Normal noise is added to cells, which stay within the range of the data."""
    added = noise.level * noise.scaler.per_unit * placed(torch.randn(x.shape, generator=noise.generator), x.device)
    return torch.clamp(x + added, noise.low, noise.high)


def salt_and_pepper(x, noise):
    """Cells are set to the least or the greatest value of the data, one as often as the other."""
    u = _uniform(x, noise)
    return torch.where(u < noise.level / 2, noise.low, torch.where(u < noise.level, noise.high, x))


def swap(x, noise):
    """Cells are set to the same column's value in another row."""
    others = x.gather(-2, placed(torch.randint(x.shape[-2], x.shape, generator=noise.generator), x.device))
    return torch.where(_uniform(x, noise) < noise.level, others, x)


CORRUPTIONS = {"masking": masking, "gaussian": gaussian, "salt_and_pepper": salt_and_pepper, "swap": swap}


class DenoisingModule(AutoencoderModule):
    """An `AutoencoderModule` that corrupts what the encoder sees, and weighs corrupted cells against the others.

    Parameters
    ----------
    corruption : str, callable or None
        None draws no noise: rows come in pairs.

    level : float

    low, high : ndarray of shape (d,)
        Range of the scaled data.

    emphasis : float
    """

    supports_batching = True

    def __init__(self, *args, corruption, level, low, high, emphasis, **kwargs):
        super().__init__(*args, **kwargs)
        self.corruption, self.level, self.emphasis = corruption, level, emphasis
        self.supports_batching = not callable(corruption)  # which is shown rows of two dimensions
        for name, values in {"low": low, "high": high}.items():
            self.register_buffer(name, torch.tensor(values, dtype=self.scaler.mean.dtype), persistent=False)

    @property
    def zero(self):
        """What a scaled row is where the data are zero, (d,)."""
        return self.scaler(torch.zeros_like(self.scaler.mean))

    def corrupt(self, x):
        """Strike cells with fresh noise."""
        if self.corruption is None:
            return x
        if not callable(self.corruption):
            return CORRUPTIONS[self.corruption](x, self)
        clean = self.scaler.inverse(x).cpu()
        corrupted = self.corruption(clean)
        if not isinstance(corrupted, torch.Tensor) or corrupted.shape != clean.shape:
            what = tuple(corrupted.shape) if hasattr(corrupted, "shape") else type(corrupted).__name__
            raise ValueError(
                f"corruption={self.corruption!r} must return a torch.Tensor of the shape that it is given, "
                f"{tuple(clean.shape)}, but returned {what}."
            )
        return self.scaler(corrupted.to(x))

    def reconstruction(self, output, x, corrupted):
        """Loss of each row against the clean one: corrupted cells have weight 2 e, the others 2 (1 - e)."""
        losses = self.cell_losses(output, x)
        if self.emphasis == 0.5:
            return losses.sum(dim=-1)
        return (2 * losses * torch.where(corrupted == x, 1 - self.emphasis, self.emphasis)).sum(dim=-1)
