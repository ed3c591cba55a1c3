"""
Convolutions for images with moving content
===========================================

Are convolutions worth their training time? The images show strokes at random
positions, and PCA, a dense and a convolutional autoencoder reduce each to 16
components.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import Autoencoder, ConvolutionalAutoencoder

# %%
# Strokes
# -------
# A stroke is a curve through four points. There are ten kinds of strokes; the
# points are jittered and shifted. Images have 28 x 28 pixels and are black
# except for the stroke.

SIDE = 28


def strokes(n, seed):
    """Draw images, (n, 784), in [0, 1]."""
    rng, kinds = (
        np.random.default_rng(seed),
        np.random.default_rng(0).uniform(7, SIDE - 7, size=(10, 4, 2)),
    )
    points = (
        kinds[rng.integers(10, size=n)]
        + rng.normal(scale=1.2, size=(n, 4, 2))
        + rng.normal(size=(n, 1, 2))
    )
    t = np.linspace(0, 1, 40)[:, None]
    bernstein = np.hstack(
        [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    )
    curves = 1.4 * (bernstein @ points - SIDE / 2) + SIDE / 2  # (n, 40, 2)
    images, grid = np.zeros((n, SIDE, SIDE), dtype=np.float32), np.arange(SIDE)
    for step in range(len(t)):
        y, x = (grid - curves[:, step, [i]] for i in range(2))  # (n, 28)
        distance = np.hypot(y[:, :, None], x[:, None])
        np.maximum(images, np.clip(1.9 - distance, 0, 1), out=images)
    return images.reshape(n, -1)


X, X_test = np.split(strokes(4500, seed=0), [2500])

# %%
# Three models
# ------------
# All have 16 components. The dense autoencoder stops early when the validation
# loss no longer decreases, so that 200 epochs do not limit it.

models = {
    "PCA": PCA(16, random_state=0),
    "dense": Autoencoder(16, random_state=0),
    "dense, 200 epochs": Autoencoder(16, max_iter=200, random_state=0),
    "convolutional": ConvolutionalAutoencoder(16, random_state=0),
}
restored = {}
for name, model in models.items():
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    restored[name] = model.inverse_transform(model.transform(X_test))
    r2 = (
        1
        - np.square(X_test - restored[name]).sum()
        / np.square(X_test - X_test.mean(axis=0)).sum()
    )
    print(f"{name:18s} R² of test images {r2:.3f}   {seconds:.0f} s")

# %%
# PCA blurs what moves. Dense layers are much better, but have to learn each
# position of a stroke separately: with more epochs they memorize the training
# images and do not improve on others. Convolutions share their weights over
# all positions. They take longer, and their R² exceeds that of dense layers
# with any number of epochs.
#
# For small patches and centered images see
# :ref:`sphx_glr_auto_examples_plot_image_denoising.py`.
#
# The images
# ----------
# The first line shows test images, the others their reconstructions:

shown = {"image": X_test, **restored}
del shown["dense, 200 epochs"]
figure, axes = plt.subplots(
    len(shown), 10, figsize=(8.8, 3.8), layout="constrained"
)
for line, (name, images) in zip(axes, shown.items(), strict=True):
    for ax, image in zip(line, images, strict=False):
        ax.imshow(image.reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()
