"""
Drawing and varying images
==========================

A variational autoencoder knows how its codes are spread, so new samples can be drawn from it. Are the drawn images like
the data, and what if an autoencoder doesn't know?
"""

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from skae import Autoencoder, LatentSampler, VariationalAutoencoder
from skae.metrics import sample_precision_recall

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)


def draw(lines, labels=None):
    """Draw images side by side, of an array of shape (n_lines, n_columns, 64)."""
    figure, axes = plt.subplots(
        *lines.shape[:2],
        figsize=(0.66 * lines.shape[1] + (labels is not None) * 1.6, 0.66 * len(lines)),
        layout="constrained",
    )
    for i, (axes_of_line, images) in enumerate(zip(axes, lines, strict=True)):
        for ax, image in zip(axes_of_line, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
        if labels is not None:
            axes_of_line[0].set_ylabel(labels[i], rotation=0, ha="right", va="center")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)


# %%
# New digits
# ----------
# The codes of a :class:`~skae.VariationalAutoencoder` are to be spread like a standard normal distribution. ``sample``
# draws from that and decodes.

vae = VariationalAutoencoder(8, random_state=0).fit(X_train)
draw(vae.sample(30, random_state=0).reshape(3, 10, 64))
plt.show()

# %%
# Variations of given ones
# ------------------------
# The code of a sample is a distribution too: ``vary`` draws from it. With ``scale=1`` the variations are what the model
# can't tell from the sample; more varies more. The first column is the original.

originals = X_test[[np.flatnonzero(y_test == digit)[0] for digit in (2, 5, 7, 9)]]
varied = vae.vary(originals, scale=3.0, n_variations=9, random_state=0)
draw(np.concatenate([originals[:, None], varied], axis=1))
plt.show()

# %%
# From one to another
# -------------------
# ``interpolate`` goes along the straight line between two codes.

starts, ends = originals, np.roll(originals, -1, axis=0)
draw(vae.interpolate(starts, ends, n_steps=10))
plt.show()

# %%
# Any autoencoder can be drawn from
# ---------------------------------
# A plain autoencoder has no prior. :class:`~skae.LatentSampler` fits a density to its codes afterwards, a mixture of
# normal distributions unless another is given, and draws from that. It takes PCA as well, and the variational
# autoencoder: in a ``FrozenEstimator``, for it is fitted already.

samplers = {
    "variational, mixture": LatentSampler(FrozenEstimator(vae), random_state=0),
    "plain, mixture": LatentSampler(Autoencoder(8, random_state=0), random_state=0),
    "PCA, mixture": LatentSampler(PCA(8, random_state=0), random_state=0),
}
drawn = {"variational, prior": vae.sample(len(X_test), random_state=0)}
for name, sampler in samplers.items():
    drawn[name] = sampler.fit(X_train).sample(len(X_test), random_state=0)
draw(np.stack([images[:10] for images in drawn.values()]), list(drawn))
plt.show()

# %%
# How good are they?
# ------------------
# ``sample_precision_recall`` has two answers. Precision is the share of drawn images that are plausible: no farther
# from a test image than that image's neighbors are. Recall is the share of test images that are plausible by those
# drawn: whether everything is drawn that there is.

print(f"{'':24s}{'precision':>10s}{'recall':>10s}")
for name, images in {"as many training images": X_train[: len(X_test)], **drawn}.items():
    precision, recall = sample_precision_recall(X_test, np.clip(images, 0, 16))
    print(f"{name:24s}{precision:10.2f}{recall:10.2f}")

# %%
# A mixture that was fitted to the codes draws better than the prior, for no data are spread quite like that. The plain
# autoencoder gives back more of an image, and its draws reach more of the test images. PCA's are all plausible and
# reach none: they lie in a plane, and no real image is as near to it as its draws are to each other. What is drawn from
# mixtures is smoother than images are, and so it is plausible more often than these.
