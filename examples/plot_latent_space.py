"""
Latent spaces to walk in
========================

Two autoencoders put images of digits on a plane. One is plain, one is variational. In which of the planes does each
point mean something, and a small step change little?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.model_selection import train_test_split

from skae import Autoencoder, VariationalAutoencoder
from skae.inspection import LatentGridDisplay, LatentSpaceDisplay
from skae.metrics import decoder_smoothness, sample_precision_recall

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Two planes
# ----------
# ``whiten=True`` gives the codes of a plain :class:`~skae.Autoencoder` a variance of one, because codes are drawn from
# a standard normal distribution below. :class:`~skae.VariationalAutoencoder` is trained for that. PCA's plane is shown
# for comparison.

plain = Autoencoder(2, whiten=True, random_state=0).fit(X_train)
variational = VariationalAutoencoder(2, random_state=0).fit(X_train)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for ax, model in zip(axes, (plain, variational, PCA(2).fit(X_train)), strict=True):
    LatentSpaceDisplay.from_estimator(model, X_test, y_test, with_pca=False, ax=ax)
    if ax is not axes[-1]:
        ax.get_legend().remove()
plt.show()

# %%
# What points of the plane are decoded to
# ---------------------------------------
# A grid of codes, up to two standard deviations from the mean.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for ax, model in zip(axes, (plain, variational), strict=True):
    LatentGridDisplay.from_estimator(model, X_train, n_steps=11, ax=ax)
    ax.set_title(type(model).__name__)
plt.show()

# %%
# Smoothness, precision and recall
# ---------------------------------
# The plain autoencoder is asked for good reconstructions alone, and its codes lie where that is easiest: with steep
# passages and gaps in between. The variational one has noise in its codes while it is trained, so a point near a code
# has to be decoded to nearly the same image, and codes are to fill the plane as a normal distribution does.
#
# Two metrics say how far that went, for codes drawn from that distribution. :func:`~skae.metrics.decoder_smoothness`
# is the variance of decoded images over the squared stretch of the decoder: 1 at best, and near 0 if close codes are
# decoded to images that have little to do with each other. ``sample_precision_recall`` compares decoded draws with
# images. Here these are
# the reconstructions of test images: what two numbers can't hold of an image is no fault of a place in the plane.
# Precision is then the share of the draws that fall where images are, recall the share of the images that draws come
# near. scikit-learn's ``trustworthiness`` is of the encoder: whether images with neighboring codes are neighbors.

codes = np.random.default_rng(0).standard_normal((len(X_test), 2))
print(f"{'':26s}{'R²':>8s}{'smoothness':>12s}{'precision':>12s}{'recall':>10s}{'trustworthiness':>18s}")
for model in (plain, variational):
    smooth = decoder_smoothness(model, codes, random_state=0)
    precision, recall = sample_precision_recall(model.reconstruct(X_test), model.inverse_transform(codes))
    trust = trustworthiness(X_test, model.transform(X_test))
    print(
        f"{type(model).__name__:26s}{model.score(X_test):8.3f}{smooth:12.3f}{precision:12.3f}{recall:10.3f}{trust:18.3f}"
    )

# %%
# The variational plane is twice as smooth, and fewer of its points mean nothing. Both reach nearly all images. The
# price is a little of the reconstruction.
