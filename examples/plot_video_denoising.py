"""
Denoising a video
=================

A camera records moving shapes. One recording is clean, the next has strong
noise. Can a denoiser be fitted to the first and denoise the second?
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA

from skae import DenoisingAutoencoder
from skae.architectures import Convolutional

# %%
# Two recordings
# --------------
# A bright disc and a gray square bounce in a frame of 32 x 32 pixels. A sample
# is a frame. The paths in the second recording differ from those in the first,
# and it has noise.

SIDE = 32


def bounce(start, speed, n_frames):
    """Return positions of a shape that bounces: (n_frames, 2)."""
    low, span = 6, SIDE - 13
    way = start + np.arange(n_frames)[:, None] * speed
    return low + span - np.abs((way % (2 * span)) - span)


def film(n_frames, rng):
    """Return frames of a disc and a square: (n_frames, 32 * 32)."""
    line, column = np.mgrid[:SIDE, :SIDE]
    starts, speeds = (
        rng.uniform(0, 38, size=(2, 2)),
        rng.uniform(0.7, 1.9, size=(2, 2)),
    )
    disc, square = (
        bounce(start, speed, n_frames)
        for start, speed in zip(starts, speeds, strict=True)
    )
    frames = np.full((n_frames, SIDE, SIDE), 0.1)
    for frame, (y, x), (y_2, x_2) in zip(frames, disc, square, strict=True):
        frame[np.maximum(np.abs(line - y_2), np.abs(column - x_2)) <= 4] = 0.5
        frame[np.hypot(line - y, column - x) <= 5] = 0.9
    return frames.reshape(n_frames, -1).astype(np.float32)


rng = np.random.default_rng(0)
clean = film(1200, rng)
truth = film(120, rng)
noisy = np.clip(truth + rng.normal(scale=0.4, size=truth.shape), 0, 1).astype(
    np.float32
)


def psnr(frames):
    """Return the peak signal-to-noise ratio, in decibels."""
    return -10 * np.log10(np.square(frames - truth).mean())


# %%
# Four denoisers
# --------------
# A blur over space and time needs no clean recording. PCA projects noisy
# frames on components of the clean recording. The parameters of both are those
# that are best for the true frames. Two :class:`~skae.DenoisingAutoencoder`
# add noise to frames of the clean recording and learn to remove it. One has
# dense layers. The other has convolutions
# (:class:`~skae.architectures.Convolutional`), which share their weights over
# all positions.

blurred = [
    gaussian_filter(
        noisy.reshape(-1, SIDE, SIDE), (time, space, space)
    ).reshape(noisy.shape)
    for time in (0, 0.5, 1)
    for space in (0.5, 1, 1.5)
]
projected = []
for k in (8, 16, 32, 64, 128):
    pca = PCA(k, random_state=0).fit(clean)
    projected.append(pca.inverse_transform(pca.transform(noisy)))


def add_noise(frames):
    """Add noise of the same level as in the second recording."""
    return torch.clamp(frames + 0.4 * torch.randn(frames.shape), 0, 1)


noise = {"corruption": add_noise, "random_state": 0}
dense = DenoisingAutoencoder(64, **noise).fit(clean)
convolutional = DenoisingAutoencoder(
    64,
    architecture=Convolutional(image_shape=(SIDE, SIDE), channels=(8, 16)),
    hidden_layer_sizes=(256,),
    batch_size=32,
    max_iter=10,
    **noise,
).fit(clean)

clips = {
    "noisy": noisy,
    "blurred": max(blurred, key=psnr),
    "PCA": max(projected, key=psnr),
    "dense": dense.reconstruct(noisy),
    "convolutional": convolutional.reconstruct(noisy),
}
for name, frames in clips.items():
    print(f"{name:16s}{psnr(frames):6.1f} dB")

# %%
# Both autoencoders are some two decibels above PCA. The convolutional one
# takes longer to train.
#
# The frames
# ----------
# The figure shows every tenth frame of the second recording:

shown = {"truth": truth, **clips}
figure, axes = plt.subplots(
    len(shown), 10, figsize=(8.8, 5.4), layout="constrained"
)
for line, (name, frames) in zip(axes, shown.items(), strict=True):
    for ax, frame in zip(line, frames[::10], strict=False):
        ax.imshow(frame.reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Frame by frame
# --------------
# The level of the noise is the same in all frames, and no denoiser fails on
# some of them.

figure, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
colors = ("0.7", "0.3", "#d1662a", "#3a9a5b", "#2a63b0")
for (name, frames), color in zip(clips.items(), colors, strict=True):
    of_frames = -10 * np.log10(np.square(frames - truth).mean(axis=1))
    ax.plot(of_frames, color=color, linewidth=1.2, label=name)
ax.set(xlabel="frame", ylabel="PSNR (dB)")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
