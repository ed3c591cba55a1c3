"""
A deep net reduces images to ten numbers
========================================

The classic deep autoencoder goes from the pixels through three wide layers of ReLUs to a logistic code of 10 numbers,
and back through their mirror. Does it take such a net to reduce images of digits?
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
# Five ways to ten numbers
# ------------------------
# With a ``code_activation`` other than "identity" an :class:`~skae.Autoencoder` is a classic one: it starts at random,
# and has no linear maps beside its networks. :class:`~skae.StackedAutoencoder` trains the same net layer by layer
# first, the classic cure for its depth. The same layers with the default code have the linear maps, and start at PCA.
# The last one has the default's two narrower layers. The deep nets are trained for ten epochs.

layers = (500, 250, 250)
deep = {"activation": "relu", "learning_rate": 0.002, "max_iter": 10, "random_state": 0}
reducers = {
    "PCA": PCA(10, random_state=0),
    "deep, logistic code": Autoencoder(10, hidden_layer_sizes=layers, code_activation="logistic", **deep),
    "stacked, logistic code": StackedAutoencoder((*layers, 10), code_activation="logistic", **deep),
    "deep, from PCA": Autoencoder(10, hidden_layer_sizes=layers, **deep),
    "Autoencoder(10)": Autoencoder(10, random_state=0),
}
for reducer in reducers.values():
    reducer.fit(X_train)

# %%
# What the codes are worth
# ------------------------
# Two scores on test images: how much of them the ten numbers give back, and how often the nearest neighbors among the
# training codes are of the same digit.

print(f"{'':24s}{'R²':>8s}{'accuracy of 10 neighbours':>28s}")
for name, reducer in reducers.items():
    neighbors = KNeighborsClassifier(10).fit(reducer.transform(X_train), y_train)
    accuracy = neighbors.score(reducer.transform(X_test), y_test)
    print(f"{name:24s}{reconstruction_scorer(reducer, X_test):8.3f}{accuracy:28.3f}")

# %%
# From a random start the deep net is far from trained after these epochs: PCA is better, and takes no time. Trained
# layer by layer it comes nearer to PCA, not above it. From PCA's solution the same layers get above it in as many
# epochs. But the default of two narrower layers does better still. PCA's codes are as good for neighbors as those of
# the deep net that starts there.
#
# A view of the codes
# -------------------
# Ten numbers are too many for a plane. The panels show the first two principal components of each code, of test images,
# colored by the digit.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
shown = ("PCA", "deep, logistic code", "deep, from PCA")
for ax, name in zip(axes, shown, strict=True):
    plane = PCA(2, random_state=0).fit_transform(reducers[name].transform(X_test))
    LatentSpaceDisplay.from_predictions(plane, y_test, name=name, ax=ax)
    if ax is not axes[-1]:
        ax.get_legend().remove()
plt.show()

# %%
# And back to images.

n = 10
lines = {"original": X_test[:n]}
for name, reducer in reducers.items():
    lines[name] = reducer.inverse_transform(reducer.transform(X_test[:n]))
figure, axes = plt.subplots(len(lines), n, figsize=(8.6, 4.6), layout="constrained")
for line, (name, images) in zip(axes, lines.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()
