"""
Sparse dictionary learning
==========================

PCA's components are patterns over the whole image, and each image uses all of
them. Can images be composed of a few atoms of a larger dictionary, without
a higher loss?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d

from skae import SparseAutoencoder
from skae.inspection import ComponentsDisplay
from skae.metrics import reconstruction_scorer

# %%
# Patches of a photograph
# -----------------------
# The samples are patches of 12 x 12 pixels of a gray photograph, minus their
# mean. The training patches are from its left part, which shows half of a
# temple. The test patches are from the right part, which shows the other half;
# they do not overlap.

SIDE = 12
photo = load_sample_image("china.jpg")[:426].mean(axis=2) / 255
photo = photo.reshape(213, 2, 320, 2).mean(axis=(1, 3))  # half the size
left, right = photo[:, :100], photo[24:192, 100:220]

n_down, n_across = right.shape[0] // SIDE, right.shape[1] // SIDE
blocks = (
    right.reshape(n_down, SIDE, n_across, SIDE)
    .swapaxes(1, 2)
    .reshape(-1, SIDE * SIDE)
)
patches = extract_patches_2d(
    left, (SIDE, SIDE), max_patches=12000, random_state=0
).reshape(12000, -1)
means = blocks.mean(axis=1, keepdims=True)
X_train, X_test = patches - patches.mean(axis=1, keepdims=True), blocks - means


def put_together(X_hat):
    """Return the photograph composed of its patches."""
    return (
        (means + X_hat)
        .reshape(n_down, n_across, SIDE, SIDE)
        .swapaxes(1, 2)
        .reshape(right.shape)
    )


# %%
# Ten coefficients for each patch
# -------------------------------
# PCA has ten components, all of which are used.
# :class:`~skae.SparseAutoencoder` has a dictionary of 200 atoms and
# ``sparsity="top_k"``: each patch uses ten of them. Both describe a patch by
# ten coefficients; the sparse code also contains which atoms they belong to.

n_numbers = 10
pca = PCA(n_numbers, random_state=0).fit(X_train)
sparse = SparseAutoencoder(
    200, sparsity="top_k", n_nonzero_coefs=n_numbers, random_state=0
).fit(X_train)
codes = sparse.transform(X_test)

print(f"PCA:    R² of test patches {reconstruction_scorer(pca, X_test):.3f}")
print(
    f"sparse: R² of test patches {reconstruction_scorer(sparse, X_test):.3f}"
)
n_active = (codes > 0).sum(axis=1).mean()
print(f"active atoms per test patch: {n_active:.1f} of {codes.shape[1]}")
print(f"atoms that no training patch uses: {sparse.dead_ratio_:.0%}")

# %%
# Components and atoms
# --------------------
# PCA's components are waves over the whole patch, and orthogonal. A patch may
# have positive or negative coefficients.

ComponentsDisplay.from_estimator(pca)
plt.show()

# %%
# The coefficients of atoms are never negative. These are the fifty atoms that
# are used most. The first of them are as wide as PCA's components, the others
# are edges and bars with a position and an orientation. Olshausen and Field
# found such sparse codes of natural images in 1996.

most_used = np.argsort(-(sparse.transform(X_train) > 0).mean(axis=0))[:50]
atoms = np.clip(
    sparse.components_[most_used], -0.3, 0.3
)  # a few pixels exceed this range
ComponentsDisplay(atoms, image_shape=(SIDE, SIDE)).plot()
plt.show()

# %%
# Reconstruction from ten coefficients
# ------------------------------------
# This is the right part, composed of the reconstructed patches and their
# means:

figure, axes = plt.subplots(1, 3, figsize=(8.6, 4.4), layout="constrained")
reconstructed = {
    "PCA": pca.inverse_transform(pca.transform(X_test)),
    "sparse": sparse.inverse_transform(codes),
}
images = {
    "original": right,
    **{name: put_together(X_hat) for name, X_hat in reconstructed.items()},
}
for ax, (name, image) in zip(axes, images.items(), strict=True):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(name, fontsize="medium")
    ax.axis("off")
plt.show()

# %%
# Decomposition of patches
# ------------------------
# The figure shows four test patches, their reconstruction, and the five atoms
# with the largest coefficients.

figure, axes = plt.subplots(4, 7, figsize=(7.6, 5), layout="constrained")
shown = np.argsort(-X_test.var(axis=1))[[5, 15, 25, 35]]
for line, x, code in zip(axes, X_test[shown], codes[shown], strict=True):
    x_hat = sparse.inverse_transform(code[None])[0]
    strongest = np.argsort(-code)[:5]
    for ax, patch in zip(line, (x, x_hat), strict=False):
        ax.imshow(patch.reshape(SIDE, SIDE), cmap="gray", vmin=-0.5, vmax=0.5)
    for ax, atom in zip(line[2:], strongest, strict=True):
        ax.imshow(
            sparse.components_[atom].reshape(SIDE, SIDE),
            cmap="RdBu_r",
            vmin=-0.3,
            vmax=0.3,
        )
        ax.set_xlabel(f"{code[atom]:.1f}")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
for ax, name in zip(
    axes[0],
    (
        "patch",
        "all ten atoms",
        "strongest",
        "second",
        "third",
        "fourth",
        "fifth",
    ),
    strict=True,
):
    ax.set_title(name, fontsize="medium")
plt.show()

# %%
# A variable number of atoms
# --------------------------
# With ``sparsity="batch_top_k"`` ten atoms are active on average over training
# patches: smooth patches have fewer, others more. In the right part, nearly
# all patches of the sky and the lake have none, and those of the temple have
# many more than ten. The average there is above ten, which is one reason for
# the higher R².

batch = SparseAutoencoder(
    200, sparsity="batch_top_k", n_nonzero_coefs=n_numbers, random_state=0
).fit(X_train)
numbers = (batch.transform(X_test) > 0).sum(axis=1)
r2 = reconstruction_scorer(batch, X_test)
print(f"batch_top_k: R² of test patches {r2:.3f}")
print(f"active atoms: {numbers.min()} to {numbers.max()},", end=" ")
print(f"{numbers.mean():.1f} on average")

figure, (before, after) = plt.subplots(
    1, 2, figsize=(6.6, 4.2), layout="constrained"
)
before.imshow(right, cmap="gray", vmin=0, vmax=1)
before.set_title("original", fontsize="medium")
drawn = after.imshow(
    numbers.reshape(n_down, n_across),
    cmap="viridis",
    extent=before.get_images()[0].get_extent(),
)
after.set_title("atoms per patch", fontsize="medium")
figure.colorbar(drawn, ax=after, shrink=0.8).outline.set_visible(False)
for ax in (before, after):
    ax.axis("off")
plt.show()
