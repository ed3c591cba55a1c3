"""The codes of a trained module: the axes they are shown in, and what each component of ordered codes adds."""

import numpy as np
import torch

from skae._cudnn import differentiable
from skae._pca import deviation_of, principal_axes
from skae.nn import keep_prefix
from skae.nn._convolution import rows_at_once

MAX_DECODED = 2**18  # codes decoded for the curve: fewer samples where there are more components
MIN_DECODED_ROWS = 1000
MAX_DIFFERENTIATED = 2048  # components of codes: fewer samples where there are more components
DIFFERENTIATED_ROWS = 16, 256  # at least and at most
MAX_DERIVATIVES, MIN_DIFFERENTIATED_ROWS = 2**25, 4  # of components by features: fewer samples of wide data
DIFFERENTIATED_BYTES = 2**21  # at once, at least: what a backward pass keeps is some ten times as much
DIFFERENTIATED_PARTS = 32  # of components of codes of large images: as many as are computed at once, so often


def inner_codes(module, rows):
    """Yield (codes, samples) in float64, batch by batch: the codes as they are inside, (n, k), and the scaled samples."""
    device = next(module.parameters()).device
    module.eval()
    for batch in rows.batches():
        with torch.inference_mode():
            codes = module.code(module.encoder(torch.tensor(batch, dtype=torch.float32, device=device)))
        yield codes.cpu().double().numpy(), batch


def shown_axes(module, rows, *, whiten):
    """Axes of `LatentTransform` in which a trained module's codes look like PCA's scores.

    Ordered codes are not rotated, for that would undo their order; nor are they centered, for what is left out of them
    is zero inside.

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
        Of the shown codes before whitening.
    """
    scale = 1.0 if module.axes is None else module.axes.scale.cpu().double().numpy()
    pairs = ((codes * scale, batch) for codes, batch in inner_codes(module, rows))
    mean, rotation, variance = principal_axes(pairs, rotate=not module.ordered)
    if module.ordered:
        mean = np.zeros_like(mean)
    return (scale * np.ones_like(mean), mean, rotation, deviation_of(variance, whiten)), variance


def match_scale(axes, variance, *, whiten):
    """Axes of `shown_axes` and the variance of the codes, rescaled so that the total variance is what PCA's would be."""
    scale, mean, rotation, deviation = axes
    if not variance.any():
        return axes, variance
    factor = np.sqrt(np.square(scale).sum() / variance.sum())
    variance = variance * factor**2
    return (scale * factor, mean * factor, rotation, deviation_of(variance, whiten)), variance


def code_variance(module, rows):
    """Variance of each component of the shown codes before whitening, with n - 1 in the denominator, (k,)."""

    def shown(codes):
        if module.axes is None:
            return codes
        axes = {name: values.cpu().double().numpy() for name, values in module.axes.named_buffers()}
        centered = codes * axes["scale"] - axes["mean"]
        return centered @ axes["rotation"].T if "rotation" in axes else centered

    pairs = ((shown(codes), batch) for codes, batch in inner_codes(module, rows))
    return principal_axes(pairs, rotate=False)[2]


def r2_of_prefixes(module, rows):
    """R² of the reconstruction from the first 1, ..., k components of the code, (k,).

    Of so many training samples, spread evenly, as are soon decoded k times.

    Parameters
    ----------
    module : AutoencoderModule
        Ordered.

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
    """Mean squared sensitivity of the codes to each feature in units of its spread, as shares of their sum, (d,).

    Of some training samples, spread evenly.

    Parameters
    ----------
    module : AutoencoderModule

    rows : ScaledReader

    variance : ndarray of shape (d,)
        Of each feature.

    k : int
        Size of the code.
    """
    if k == 0:
        return np.zeros(len(variance))
    like = module.scaler.mean  # its device and precision
    module.eval()
    at_once, most = rows_at_once(module, like.device), MAX_DIFFERENTIATED
    if at_once is not None:
        most = min(most, DIFFERENTIATED_PARTS * at_once)
    n_rows = min(np.clip(most // k, *DIFFERENTIATED_ROWS), MAX_DERIVATIVES // (k * len(variance)))
    index = np.linspace(0, len(rows) - 1, min(len(rows), max(MIN_DIFFERENTIATED_ROWS, int(n_rows))))
    index, squares = index.astype(int), np.zeros(len(variance))
    cells = np.arange(len(index) * k)  # of the codes: each is differentiated by a sample of its own
    own = sum(weight.numel() * weight.element_size() for weight in module.parameters())  # is read for each part
    n_bytes = max(DIFFERENTIATED_BYTES, own / 10)
    n_parts = max(1, np.ceil(len(cells) * len(variance) * like.element_size() / n_bytes))
    if at_once is not None:
        n_parts = max(n_parts, np.ceil(len(cells) * like.element_size() / (4 * at_once)))
    for some in np.array_split(cells, n_parts):
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
