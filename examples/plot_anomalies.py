"""
Odd images
==========

A detector is shown images of one kind. Does it find those of other kinds, odd ones of its own, faults, and rows that
are no images at all?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from skae import AutoencoderOutlierDetector
from skae.datasets import fetch_fashion_mnist

# %%
# One digit against all others
# ----------------------------
# Each detector is fitted to images of one digit, some 120 of them, and scores images of all digits. The area under the
# ROC curve is the probability that an image of another digit is found odder than one of its own: 0.5 by chance, 1 at
# best. ``AutoencoderOutlierDetector`` has the interface of scikit-learn's ``IsolationForest``.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)


def areas(X_kind, X_new, is_kind):
    """Fit both detectors to one kind, and return them with their areas under the ROC curve."""
    detectors = IsolationForest(random_state=0), AutoencoderOutlierDetector(random_state=0)
    return detectors, [roc_auc_score(is_kind, each.fit(X_kind).score_samples(X_new)) for each in detectors]


of_digits = [areas(X_train[y_train == digit], X_test, y_test == digit)[1] for digit in range(10)]
print(f"{'digit':8s}{'IsolationForest':>18s}{'autoencoder':>14s}")
for digit, (by_forest, by_us) in enumerate(of_digits):
    print(f"{digit:<8d}{by_forest:18.3f}{by_us:14.3f}")
print(f"{'mean':8s}{np.mean(of_digits, axis=0)[0]:18.3f}{np.mean(of_digits, axis=0)[1]:14.3f}")

# %%
# Garments are harder: bags come in many shapes, and other garments in the shape of bags. Here both detectors are alike.

data = fetch_fashion_mnist(subset="test")
X, is_bag = data.data.astype(np.float32), data.target == data.target_names.index("Bag")
X_new, new_is_bag = X[8000:], is_bag[8000:]

(forest, detector), (by_forest, by_us) = areas(X[:8000][is_bag[:8000]], X_new, new_is_bag)
print(f"{'bags':8s}{by_forest:18.3f}{by_us:14.3f}")

# %%
# The oddest of their own kind
# ----------------------------
# The bags among the new images that the detector finds oddest, and least odd:

bags = X_new[new_is_bag]
bags = bags[np.argsort(detector.score_samples(bags))]

n = 10
figure, axes = plt.subplots(2, n, figsize=(8.6, 2), layout="constrained")
for line, name, images in zip(axes, ("oddest", "least odd"), (bags[:n], bags[: -n - 1 : -1]), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(28, 28), cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Which pixels?
# -------------
# ``feature_errors`` says of each feature how much the score would rise if that one were right. Three bags that are not
# odd get a fault: a dark line, a bright spot, a grey patch. The errors show where it is.

faulty = bags[-3:].reshape(3, 28, 28).copy()
faulty[0, 16, 4:24] = 0
faulty[1, 20:22, 12:14] = 255
faulty[2, 2:6, 20:26] = 128
faulty = faulty.reshape(3, -1)
errors = detector.feature_errors(faulty)

figure, axes = plt.subplots(3, 3, figsize=(4.6, 3.6), layout="constrained")
for line, images in zip(axes, (bags[-3:], faulty, errors), strict=True):
    for ax, image in zip(line, images, strict=True):
        limits = {"cmap": "magma"} if images is errors else {"cmap": "gray", "vmin": 0, "vmax": 255}
        ax.imshow(image.reshape(28, 28), **limits)
        ax.set(xticks=[], yticks=[])
for ax, name in zip(axes[:, 0], ("original", "with a fault", "feature errors"), strict=True):
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Far outside
# -----------
# A bag with its pixels times ten, and one multiplied by a hundred, are nothing that was ever seen. A forest's score
# doesn't grow with the distance: beyond the last split, far is as odd as near. The autoencoder's does, for beyond ten
# standard deviations it is linear, and both the error and the distance of the code grow with the square.

print(f"{'':24s}{'IsolationForest':>18s}{'autoencoder':>14s}")
typical = bags[-1:]
for name, row in (("typical bag", typical), ("times 10", 10 * typical), ("times 100", 100 * typical)):
    print(f"{name:24s}{forest.score_samples(row)[0]:18.3f}{detector.score_samples(row)[0]:14.3g}")
