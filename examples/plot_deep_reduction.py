"""
A classic deep autoencoder
==========================

The classic deep autoencoder maps the pixels through three wide layers of ReLUs
to a logistic code of 10 components, and has a mirrored decoder. Is such a
network needed to reduce images of digits?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import Autoencoder, StackedAutoencoder
from skae.inspection import LatentSpaceDisplay
from skae.metrics import reconstruction_scorer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

# %%
# Five reducers with ten components
# ---------------------------------
# With a ``code_activation`` other than "identity", :class:`~skae.Autoencoder`
# is a classic one: its initialization is random, and there are no linear
# branches. :class:`~skae.StackedAutoencoder` pretrains the same network layer
# by layer. With the default ``code_activation`` the same layers have linear
# branches and start from PCA. The last model has the two narrower layers of
# the default. The deep networks are trained for ten epochs.

layers = (500, 250, 250)
deep = {
    "activation": "relu",
    "learning_rate": 0.002,
    "max_iter": 10,
    "random_state": 0,
}
reducers = {
    "PCA": PCA(10, random_state=0),
    "deep, logistic code": Autoencoder(
        10, hidden_layer_sizes=layers, code_activation="logistic", **deep
    ),
    "stacked, logistic code": StackedAutoencoder(
        (*layers, 10), code_activation="logistic", **deep
    ),
    "deep, from PCA": Autoencoder(10, hidden_layer_sizes=layers, **deep),
    "Autoencoder(10)": Autoencoder(10, random_state=0),
}
for reducer in reducers.values():
    reducer.fit(X_train)

# %%
# Reconstruction and nearest neighbors
# ------------------------------------
# The table has two scores on test images: R² of the reconstruction, and the
# accuracy of a classifier by the nearest neighbors among the training codes.

print(f"{'':24s}{'R²':>8s}{'accuracy of 10 neighbors':>28s}")
for name, reducer in reducers.items():
    neighbors = KNeighborsClassifier(10).fit(
        reducer.transform(X_train), y_train
    )
    accuracy = neighbors.score(reducer.transform(X_test), y_test)
    r2 = reconstruction_scorer(reducer, X_test)
    print(f"{name:24s}{r2:8.3f}{accuracy:28.3f}")

# %%
# From a random initialization the deep network has not converged after ten
# epochs, and PCA is better. The stacked one comes nearer to PCA. Started from
# PCA, the same layers exceed PCA in as many epochs. The default of two
# narrower layers is better still. For neighbors, PCA's codes are as good as
# those of the deep network that starts from PCA.
#
# A plane of the codes
# --------------------
# The panels show the first two principal components of each code of test
# images, colored by the digit.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
shown = ("PCA", "deep, logistic code", "deep, from PCA")
for ax, name in zip(axes, shown, strict=True):
    plane = PCA(2, random_state=0).fit_transform(
        reducers[name].transform(X_test)
    )
    LatentSpaceDisplay.from_predictions(plane, y_test, name=name, ax=ax)
    if ax is not axes[-1]:
        ax.get_legend().remove()
plt.show()

# %%
# These are reconstructions of test images.

n = 10
lines = {"original": X_test[:n]}
for name, reducer in reducers.items():
    lines[name] = reducer.inverse_transform(reducer.transform(X_test[:n]))
figure, axes = plt.subplots(
    len(lines), n, figsize=(8.6, 4.6), layout="constrained"
)
for line, (name, images) in zip(axes, lines.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()
