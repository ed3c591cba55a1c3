"""
A dictionary of parts
=====================

PCA's components are patterns over the whole image, of which each image uses all. Can images be put together from a few
parts of a larger dictionary, at no greater loss?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import SparseAutoencoder
from skae.datasets import fetch_fashion_mnist
from skae.inspection import ComponentsDisplay
from skae.metrics import reconstruction_scorer

X, _ = fetch_fashion_mnist(subset="test", return_X_y=True)
X = X.astype(np.float32) / 255
X_train, X_test = X[:5000], X[8000:]

# %%
# Ten numbers an image
# --------------------
# PCA has ten components, all of which are used. The sparse autoencoder has a dictionary of 200 atoms and
# ``sparsity="top_k"``: each image chooses ten of them. Both describe an image by ten numbers; the sparse code has to
# say which ten, too.

n_numbers = 10
pca = PCA(n_numbers, random_state=0).fit(X_train)
sparse = SparseAutoencoder(200, sparsity="top_k", n_nonzero_coefs=n_numbers, random_state=0).fit(X_train)
codes = sparse.transform(X_test)

print(f"PCA:    R² of test images {reconstruction_scorer(pca, X_test):.3f}")
print(f"sparse: R² of test images {reconstruction_scorer(sparse, X_test):.3f}")
print(f"atoms active: {(codes > 0).sum(axis=1).mean():.1f} of {codes.shape[1]}, on average over test images")
print(f"atoms that no training image uses: {sparse.dead_ratio_:.0%}")

# %%
# Components and atoms
# --------------------
# PCA's components have both signs, and are orthogonal: an image adds some and takes others away again.

ComponentsDisplay.from_estimator(pca)
plt.show()

# %%
# Atoms are what an image may have: the code is never negative. These are the fifty that are used most.

most_used = np.argsort(-(codes > 0).mean(axis=0))[:50]
ComponentsDisplay(sparse.components_[most_used], image_shape=(28, 28)).plot()
plt.show()

# %%
# How an image is put together
# ----------------------------
# Four test images, their reconstruction, and the five atoms that each uses most, with their weights.

figure, axes = plt.subplots(4, 7, figsize=(7.6, 5), layout="constrained")
for line, image, code in zip(axes, X_test, codes, strict=False):
    x_hat = sparse.inverse_transform(code[None])[0]
    strongest = np.argsort(-code)[:5]
    for ax, shown in zip(line, (image, x_hat), strict=False):
        ax.imshow(shown.reshape(28, 28), cmap="gray", vmin=0, vmax=1)
    for ax, atom in zip(line[2:], strongest, strict=True):
        ax.imshow(sparse.components_[atom].reshape(28, 28), cmap="RdBu_r", vmin=-0.2, vmax=0.2)
        ax.set_xlabel(f"{code[atom]:.1f}")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
for ax, name in zip(
    axes[0], ("image", "all ten atoms", "strongest", "second", "third", "fourth", "fifth"), strict=True
):
    ax.set_title(name, fontsize="medium")
plt.show()

# %%
# As many parts as an image needs
# -------------------------------
# With ``sparsity="batch_top_k"`` ten atoms are active on average: images that are dark and simple leave theirs to
# others.

batch = SparseAutoencoder(200, sparsity="batch_top_k", n_nonzero_coefs=n_numbers, random_state=0).fit(X_train)
numbers = (batch.transform(X_test) > 0).sum(axis=1)
print(f"batch_top_k: R² of test images {reconstruction_scorer(batch, X_test):.3f}")
print(f"atoms active: from {numbers.min()} to {numbers.max()}, {numbers.mean():.1f} on average")

order = np.argsort(numbers, kind="stable")
figure, axes = plt.subplots(2, 8, figsize=(7.2, 2.2), layout="constrained")
for line, name, index in zip(axes, ("fewest", "most"), (order[:8], order[-8:]), strict=True):
    for ax, i in zip(line, index, strict=True):
        ax.imshow(X_test[i].reshape(28, 28), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], xlabel=f"{numbers[i]}")
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()
