"""
Denoising images with convolutions
==================================

A photograph was struck by strong noise. How much of it do denoising autoencoders recover that PCA doesn't, and are
convolutions worth their time?
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from skae import DenoisingAutoencoder
from skae.architectures import Convolutional
from skae.inspection import LossCurveDisplay

# %%
# A clean part and a noisy one
# ----------------------------
# Of a photograph at half its size, the left part is clean: half of a temple. The right part has the other half, a lake,
# and noise. A sample is a patch of 8 x 8 pixels in three colors. All models but the blur are fitted to 4,000 patches
# of the left part. Of the right part they are given each patch there is, and the patches that come back are averaged
# where they overlap.

SIDE = 8
photo = load_sample_image("china.jpg")[:426].astype(np.float32) / 255
photo = photo.reshape(213, 2, 320, 2, 3).mean(axis=(1, 3))
left, right = photo[:, :100], photo[30:190, 100:220]
X = extract_patches_2d(left, (SIDE, SIDE), max_patches=4000, random_state=0).reshape(4000, -1)

rng = np.random.default_rng(0)
noisy = np.clip(right + rng.normal(scale=0.2, size=right.shape), 0, 1).astype(np.float32)
X_noisy = extract_patches_2d(noisy, (SIDE, SIDE)).reshape(-1, X.shape[1])


def put_together(X_hat):
    """Average patches to a photograph."""
    return np.clip(reconstruct_from_patches_2d(X_hat.reshape(-1, SIDE, SIDE, 3), right.shape), 0, 1)


def psnr(image):
    """Peak signal-to-noise ratio against the clean photograph, in decibels."""
    return -10 * np.log10(np.square(image - right).mean())


# %%
# A blur and PCA
# --------------
# A blur has nothing to learn. PCA is fitted to clean patches and projects noisy ones: with few components it loses
# detail, with many it lets noise through. Both are given the parameter that is best for the clean photograph, which
# nobody would know.

blurred = [gaussian_filter(noisy, (width, width, 0)) for width in (0.7, 1.0, 1.4)]
projected = []
for k in (8, 16, 32, 64):
    pca = PCA(k, random_state=0).fit(X)
    projected.append(put_together(pca.inverse_transform(pca.transform(X_noisy))))
restored = {"blurred": max(blurred, key=psnr), "PCA": max(projected, key=psnr)}

# %%
# Denoising autoencoders
# ----------------------
# :class:`~skae.DenoisingAutoencoder` is fitted to clean patches too. It strikes them with fresh noise at each step and
# learns to return the clean ones. It starts at the best linear denoiser, at which ``hidden_layer_sizes=()`` with
# ``max_iter=1`` leaves it. By default there are two dense layers beside it.
#
# The encoder of the convolutional one, :class:`~skae.architectures.Convolutional`, is two convolutions of 3 x 3 pixels
# with 32 and 64 channels, which move by two pixels; the decoder mirrors it with transposed ones. Dense layers and the
# code of 64 numbers lie in between.


def strike(rows):
    """The noise of the right part, as strong in all pixels."""
    return torch.clamp(rows + 0.2 * torch.randn(rows.shape), 0, 1)


noise = {"corruption": strike, "random_state": 0}
denoisers = {
    "linear": DenoisingAutoencoder(64, hidden_layer_sizes=(), max_iter=1, **noise),
    "dense": DenoisingAutoencoder(64, **noise),
    "convolutional": DenoisingAutoencoder(
        64,
        architecture=Convolutional(image_shape=(SIDE, SIDE, 3), channels=(32, 64)),
        max_iter=6,
        **noise,
    ),
}
for name, denoiser in denoisers.items():
    restored[name] = put_together(denoiser.fit(X).reconstruct(X_noisy))

for name, image in {"noisy": noisy, **restored}.items():
    print(f"{name:16s}{psnr(image):6.1f} dB")

# %%
# All three are above PCA, for they know what noise to expect. The dense one gains most over the linear denoiser it
# starts at. The convolutional one is no better than that after six epochs: in patches as small as these, dense layers
# see all there is to see, and convolutions take many epochs and images before they are ahead. Neither brings back the
# finest lines or all of the red. Where content moves about in larger images, convolutions are ahead:
# :ref:`sphx_glr_auto_examples_plot_moving_strokes.py`.
#
# The photographs
# ---------------

shown = {"clean": right, "noisy": noisy, **restored}
del shown["linear"]  # it looks like the dense one's
figure, axes = plt.subplots(2, 3, figsize=(8.6, 8.0), layout="constrained")
for ax, (name, image) in zip(axes.flat, shown.items(), strict=True):
    ax.imshow(image)
    ax.set_title(name if image is right else f"{name}, {psnr(image):.1f} dB", fontsize="medium")
    ax.axis("off")
plt.show()

# %%
# A detail, larger:

figure, axes = plt.subplots(1, 6, figsize=(10, 1.9), layout="constrained")
for ax, (name, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(image[60:105, 5:50])
    ax.set_title(name, fontsize="medium")
    ax.axis("off")
plt.show()

# %%
# How the training went
# ---------------------
# The loss of held-out patches, struck by noise, decides which epoch is kept. It fell to the end.

LossCurveDisplay.from_estimator(denoisers["convolutional"])
plt.show()
