"""
Selecting the number of components
==================================

PCA's scree curve shows how much each further component adds. Is there such a
curve for an autoencoder, without a fit for each size?
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import Autoencoder
from skae.inspection import ExplainedVarianceDisplay
from skae.metrics import reconstruction_scorer

X, y = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, random_state=0)

# %%
# One fit, one curve
# ------------------
# The components of a plain :class:`~skae.Autoencoder` explain the variance
# together, and in no order. With ``ordered=True`` the first component is the
# best code of size one, the first two are the best code of size two, and so
# on. One fit then has the whole curve: as in PCA,
# ``explained_variance_ratio_`` is the contribution of each component.

ordered = Autoencoder(n_components=16, ordered=True, random_state=0).fit(
    X_train
)
print("Explained variance of the training images, by the first components:")
for k in (1, 2, 4, 8, 16):
    print(f"  {k:2d}: {ordered.explained_variance_ratio_[:k].sum():.3f}")

# %%
# These values are for training images, and therefore optimistic.
# :class:`~skae.inspection.ExplainedVarianceDisplay` computes the curve for
# test images. The other curve is that of a PCA fitted to the test images
# themselves: no linear code can be better on them. The autoencoder, which was
# not fitted to them, is above it. The gray line is a fraction of 0.9.

display = ExplainedVarianceDisplay.from_estimator(ordered, X_test)
display.ax_.axhline(0.9, color="0.7", linewidth=0.8, zorder=0)
plt.show()

# %%
# Truncated codes
# ---------------
# ``inverse_transform`` accepts the first columns of an ordered code. The more
# columns there are, the better is the reconstruction.

codes = ordered.transform(X_test[:10])
sizes = (1, 2, 4, 8, 16)
lines = {
    f"{k} component{'s'[: k > 1]}": ordered.inverse_transform(codes[:, :k])
    for k in sizes
}
lines["original"] = X_test[:10]

figure, axes = plt.subplots(
    len(lines), 10, figsize=(8, 4.3), layout="constrained"
)
for line, (name, images) in zip(axes, lines.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# A fraction of the variance
# --------------------------
# As in PCA, ``n_components`` may be a fraction of the variance. PCA computes
# it for the training images, and is slightly below it on test images. The
# autoencoder selects the smallest size that reaches the fraction on the
# validation set, and never more components than PCA.

for reducer in (
    PCA(n_components=0.9),
    Autoencoder(n_components=0.9, random_state=0),
):
    reducer.fit(X_train)
    name, r2 = type(reducer).__name__, reconstruction_scorer(reducer, X_test)
    k = reducer.n_components_
    print(f"{name:12s} {k:3d} components, R² of test images {r2:.3f}")
