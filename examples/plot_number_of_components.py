"""
How many components?
====================

PCA's scree curve shows how much each further component adds. Is there such a curve for an autoencoder, without a fit
for each size?
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
# The components of a plain :class:`~skae.Autoencoder` explain the variance together, and in no order. With
# ``ordered=True`` the first component is the best code of size one, the first two are the best code of size two, and so
# on. One fit then has the whole curve: ``explained_variance_ratio_`` is what each component adds, as PCA's is.

ordered = Autoencoder(n_components=16, ordered=True, random_state=0).fit(X_train)
print("Share of the training images' variance, of the first components together:")
for k in (1, 2, 4, 8, 16):
    print(f"  {k:2d}: {ordered.explained_variance_ratio_[:k].sum():.3f}")

# %%
# On training images the shares flatter, so :class:`~skae.inspection.ExplainedVarianceDisplay` measures the curve on
# test images. The curve beside it is that of a PCA fitted to the test images themselves: no linear code can do better
# on them. The autoencoder, which has never seen them, is above it. The gray line is a share of 0.9.

display = ExplainedVarianceDisplay.from_estimator(ordered, X_test)
display.ax_.axhline(0.9, color="0.7", linewidth=0.8, zorder=0)
plt.show()

# %%
# Ordered codes can be cut
# ------------------------
# ``inverse_transform`` takes the first columns of an ordered code. The more there are, the more of the image is there.

codes = ordered.transform(X_test[:10])
sizes = (1, 2, 4, 8, 16)
lines = {f"{k} component{'s'[: k > 1]}": ordered.inverse_transform(codes[:, :k]) for k in sizes}
lines["original"] = X_test[:10]

figure, axes = plt.subplots(len(lines), 10, figsize=(8, 4.3), layout="constrained")
for line, (name, images) in zip(axes, lines.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# A share of the variance
# -----------------------
# As with PCA, ``n_components`` may be a share of the variance. PCA counts that of the images it is fitted to, and falls
# a little short on others. The autoencoder takes the smallest size that reaches the share on samples that were held
# out, and never more components than PCA.

for reducer in (PCA(n_components=0.9), Autoencoder(n_components=0.9, random_state=0)):
    reducer.fit(X_train)
    name, r2 = type(reducer).__name__, reconstruction_scorer(reducer, X_test)
    print(f"{name:12s} {reducer.n_components_:3d} components, R² of test images {r2:.3f}")
