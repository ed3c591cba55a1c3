"""Codes of a trained module: their axes, the R² of the first components of ordered codes, and feature importances."""

import numpy as np
import torch

from skae._cudnn import differentiable
from skae._pca import deviation_of, principal_axes
from skae.nn import keep_prefix
from skae.nn._convolution import rows_at_once

MAX_DECODED = 2**18  # samples times components: the more components, the fewer samples are decoded
MIN_DECODED_ROWS = 1000
MAX_DIFFERENTIATED = 2048  # samples times components: the more components, the fewer samples are differentiated
DIFFERENTIATED_ROWS = 16, 256  # minimum and maximum
MAX_DERIVATIVES, MIN_DIFFERENTIATED_ROWS = 2**25, 4  # samples times components times features; samples
DIFFERENTIATED_BYTES = 2**21  # minimum size of the gradients of a batch: activations take about ten times as much
DIFFERENTIATED_PARTS = 32  # maximum number of batches for large images


def inner_codes(module, rows):
    """Yield batches of (codes, samples): the internal codes, (n, k), in float64, and the scaled samples."""
    device = next(module.parameters()).device
    module.eval()
    for batch in rows.batches():
        with torch.inference_mode():
            codes = module.code(module.encoder(torch.tensor(batch, dtype=torch.float32, device=device)))
        yield codes.cpu().double().numpy(), batch


def shown_axes(module, rows, *, whiten):
    """Return the axes of `LatentTransform` in which a trained module's codes are centered and uncorrelated, as in PCA.

    Ordered codes are not rotated, since that would destroy their order. They are not centered, since omitted components
    are zero in the internal code.

    Parameters
    ----------
    module : AutoencoderModule

    rows : ScaledReader
        Training data.

    whiten : bool

    Returns
    -------
    axes : (scale, mean, rotation, deviation)

    variance : ndarray of shape (k,)
        Variance of the transformed codes before whitening.
    """
    scale = 1.0 if module.axes is None else module.axes.scale.cpu().double().numpy()
    pairs = ((codes * scale, batch) for codes, batch in inner_codes(module, rows))
    mean, rotation, variance = principal_axes(pairs, rotate=not module.ordered)
    if module.ordered:
        mean = np.zeros_like(mean)
    return (scale * np.ones_like(mean), mean, rotation, deviation_of(variance, whiten)), variance


def match_scale(axes, variance, *, whiten):
    """Return the axes of `shown_axes` and the variance of the codes, rescaled to the total variance of PCA's scores."""
    scale, mean, rotation, _ = axes
    if not variance.any():
        return axes, variance
    factor = np.sqrt(np.square(scale).sum() / variance.sum())
    variance = variance * factor**2
    return (scale * factor, mean * factor, rotation, deviation_of(variance, whiten)), variance


def code_variance(module, rows):
    """Return the variance of each component of the codes before whitening, with denominator n - 1, (k,)."""

    def shown(codes):
        if module.axes is None:
            return codes
        axes = {name: values.cpu().double().numpy() for name, values in module.axes.named_buffers()}
        centered = codes * axes["scale"] - axes["mean"]
        return centered @ axes["rotation"].T if "rotation" in axes else centered

    pairs = ((shown(codes), batch) for codes, batch in inner_codes(module, rows))
    return principal_axes(pairs, rotate=False)[2]


def r2_of_prefixes(module, rows):
    """Return the R² of the reconstruction from the first 1, ..., k components of the code, (k,).

    It is computed on a subset of evenly spaced training samples, to limit the cost of decoding them k times.

    Parameters
    ----------
    module : AutoencoderModule
        Module with ordered codes.

    rows : ScaledReader
    """
    k = next(inner_codes(module, rows.take(np.arange(1))))[0].shape[1]
    n = min(len(rows), max(MAX_DECODED // k, MIN_DECODED_ROWS))
    sample = rows.take(np.linspace(0, len(rows) - 1, n).astype(int))
    device = next(module.parameters()).device
    error, total, mean = np.zeros(k), 0.0, 0.0
    for (codes, _), batch in zip(inner_codes(module, sample), sample.clean.batches(), strict=True):
        inside, wanted = torch.tensor(codes, dtype=torch.float32, device=device), torch.tensor(batch, device=device)
        for size in range(1, k + 1):
            with torch.inference_mode():
                output = module.decoded(keep_prefix(inside, size)).double()
                if module.link is not None:
                    output = module.scaler(module.link.mean(output))
                error[size - 1] += (output - wanted).square().sum().item()
        total, mean = total + np.square(batch).sum(), mean + batch.sum(axis=0) / n
    total -= n * np.square(mean).sum()
    return 1 - error / total if total > 0 else np.zeros(k)


def importances(module, rows, variance, k):
    """Return the importance of each feature, (d,): mean squared derivative of the codes times the feature's variance.

    The importances sum to 1. They are computed on a subset of evenly spaced training samples.

    Parameters
    ----------
    module : AutoencoderModule

    rows : ScaledReader

    variance : ndarray of shape (d,)
        Variance of each feature.

    k : int
        Number of components.
    """
    if k == 0:
        return np.zeros(len(variance))
    like = module.scaler.mean  # a tensor with the device and dtype of the module
    module.eval()
    batch_size, most = rows_at_once(module, like.device), MAX_DIFFERENTIATED
    if batch_size is not None:
        most = min(most, DIFFERENTIATED_PARTS * batch_size)
    n_rows = min(np.clip(most // k, *DIFFERENTIATED_ROWS), MAX_DERIVATIVES // (k * len(variance)))
    index = np.linspace(0, len(rows) - 1, min(len(rows), max(MIN_DIFFERENTIATED_ROWS, int(n_rows))))
    index, squares = index.astype(int), np.zeros(len(variance))
    entries = np.arange(len(index) * k)  # entries of the codes: each is differentiated with its own copy of the sample
    own = sum(weight.numel() * weight.element_size() for weight in module.parameters())  # read once per batch
    n_bytes = max(DIFFERENTIATED_BYTES, own / 10)
    n_parts = max(1, np.ceil(len(entries) * len(variance) * like.element_size() / n_bytes))
    if batch_size is not None:
        n_parts = max(n_parts, np.ceil(len(entries) * like.element_size() / (4 * batch_size)))
    for some in np.array_split(entries, n_parts):
        first, last = some[0] // k, some[-1] // k
        few = rows.read(index[first : last + 1])[some // k - first]
        x = torch.tensor(few, dtype=like.dtype, device=like.device).requires_grad_()
        with differentiable():
            codes = module.code(module.encoder(x))
            codes = codes if module.axes is None else module.axes(codes)
            ours = codes.gather(1, torch.tensor(some % k, device=like.device)[:, None])
            (gradient,) = torch.autograd.grad(ours.sum(), x)
        squares += gradient.cpu().double().square().sum(dim=0).numpy()
    weight = squares * np.square(np.sqrt(variance) * rows.per_unit)
    return weight / weight.sum() if weight.sum() > 0 else weight
