"""
Smooth latent spaces
====================

A plain and a variational autoencoder map images of digits to a plane. In which
of the planes are all points decoded to plausible images, and do small steps
change the image little?
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
# ``whiten=True`` gives the codes of a plain :class:`~skae.Autoencoder` unit
# variance, because codes are drawn from a standard normal distribution below.
# :class:`~skae.VariationalAutoencoder` is trained for this distribution. PCA's
# plane is shown for comparison.

plain = Autoencoder(2, whiten=True, random_state=0).fit(X_train)
variational = VariationalAutoencoder(2, random_state=0).fit(X_train)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for ax, model in zip(
    axes, (plain, variational, PCA(2).fit(X_train)), strict=True
):
    LatentSpaceDisplay.from_estimator(
        model, X_test, y_test, with_pca=False, ax=ax
    )
    if ax is not axes[-1]:
        ax.get_legend().remove()
plt.show()

# %%
# Decoded points of the plane
# ---------------------------
# The grid of codes extends to two standard deviations from the mean.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for ax, model in zip(axes, (plain, variational), strict=True):
    LatentGridDisplay.from_estimator(model, X_train, n_steps=11, ax=ax)
    ax.set_title(type(model).__name__)
plt.show()

# %%
# Smoothness, precision and recall
# --------------------------------
# The plain autoencoder minimizes the reconstruction error alone, so that its
# decoder may have steep passages, and its codes gaps in between. The
# variational one adds noise to its codes in training, so that points near a
# code are decoded to nearly the same image, and its codes fill the plane as a
# normal distribution does.
#
# Two metrics quantify this for codes drawn from that distribution.
# :func:`~skae.metrics.decoder_smoothness` is the variance of decoded images
# over the squared stretch of the decoder: values near 1 indicate a smooth
# decoder, values near 0 one that decodes close codes to unrelated images.
# :func:`~skae.metrics.sample_precision_recall` compares decoded samples with
# images, here the reconstructions of test images, so that the loss of a code
# of two components does not count. Precision is the fraction of decoded
# samples that lie where images lie, recall the fraction of images that are
# near decoded samples. scikit-learn's ``trustworthiness`` measures the
# encoder: whether images with neighboring codes are neighbors.

codes = np.random.default_rng(0).standard_normal((len(X_test), 2))
print(
    f"{'':26s}{'R²':>8s}{'smoothness':>12s}"
    f"{'precision':>12s}{'recall':>10s}{'trustworthiness':>18s}"
)
for model in (plain, variational):
    smooth = decoder_smoothness(model, codes, random_state=0)
    precision, recall = sample_precision_recall(
        model.reconstruct(X_test), model.inverse_transform(codes)
    )
    trust = trustworthiness(X_test, model.transform(X_test))
    print(
        f"{type(model).__name__:26s}{model.score(X_test):8.3f}"
        f"{smooth:12.3f}{precision:12.3f}{recall:10.3f}{trust:18.3f}"
    )

# %%
# The variational plane is twice as smooth, and fewer of its points are decoded
# to implausible images. Both reach nearly all images. Their R² hardly differs.
