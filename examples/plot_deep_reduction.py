"""
A deep net reduces images to ten numbers
========================================

The classic deep autoencoder goes from 784 pixels through layers of 2000, 500 and 500 ReLUs to a logistic code of 10
numbers, and back through their mirror. Does it take such a net to reduce the images of Fashion-MNIST?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skae import Autoencoder
from skae.datasets import fetch_fashion_mnist
from skae.inspection import LatentSpaceDisplay
from skae.metrics import reconstruction_scorer

data = fetch_fashion_mnist(subset="test")
X, y = data.data.astype(np.float32) / 255, np.array(data.target_names)[data.target]
X_train, y_train = X[:3000], y[:3000]
X_test, y_test = X[8000:], y[8000:]

# %%
# Four ways to ten numbers
# ------------------------
# With a ``code_activation`` other than "identity" an autoencoder is a classic one: it starts at random, and has no
# linear maps beside its networks. The same deep net with the default code has them, and starts at PCA. Such wide layers
# take a lower learning rate than the default. Both are trained for six epochs on 3,000 images.

deep = {
    "hidden_layer_sizes": (2000, 500, 500),
    "activation": "relu",
    "learning_rate": 0.001,
    "batch_size": 100,
    "max_iter": 6,
    "random_state": 0,
}
reducers = {
    "PCA": PCA(10, random_state=0),
    "deep, logistic code": Autoencoder(10, code_activation="logistic", **deep),
    "deep, from PCA": Autoencoder(10, **deep),
    "Autoencoder(10)": Autoencoder(10, random_state=0),
}
for reducer in reducers.values():
    reducer.fit(X_train)

# %%
# What the codes are worth
# ------------------------
# Two scores on test images: how much of them the ten numbers give back, and how often the nearest neighbours among the
# training codes are of the same kind.
#
# From a random start the deep net is far from trained after these epochs: PCA is better, and takes no time. From PCA's
# solution the same layers are above it at once. But the default of two narrower layers does no worse, with a fifth of
# the weights. ``StackedAutoencoder`` trains such a net layer by layer, the classic cure.

print(f"{'':22s}{'R²':>8s}{'accuracy of 10 neighbours':>28s}")
for name, reducer in reducers.items():
    neighbours = KNeighborsClassifier(10).fit(reducer.transform(X_train), y_train)
    accuracy = neighbours.score(reducer.transform(X_test), y_test)
    print(f"{name:22s}{reconstruction_scorer(reducer, X_test):8.3f}{accuracy:28.3f}")

# %%
# A view of the codes
# -------------------
# Ten numbers are too many for a plane. The panels show the first two principal components of each code, of test images,
# coloured by the kind of garment. The logistic code has driven many of its units to zero or one, so that images lie on
# a few lines. The net that started at PCA has kept PCA's axes.

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
figure, axes = plt.subplots(len(lines), n, figsize=(9, 4.2), layout="constrained")
for line, (name, images) in zip(axes, lines.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(28, 28), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()
