"""
Odd images
==========

A detector is shown images of one kind. Does it find those of other kinds, odd ones of its own, faults, and samples that
are no images at all? And which columns of a table does it blame?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector

# %%
# One digit against all others
# ----------------------------
# Each detector is fitted to images of one digit, some 130 of them, and scores images of all digits. The area under the
# ROC curve is the probability that an image of another digit is found odder than one of its own: 0.5 by chance, 1 at
# best. :class:`~skae.AutoencoderOutlierDetector` has the interface of scikit-learn's ``IsolationForest``.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

detectors, areas = {}, []
print(f"{'digit':8s}{'IsolationForest':>18s}{'autoencoder':>14s}")
for digit in range(10):
    detectors[digit] = IsolationForest(random_state=0), AutoencoderOutlierDetector(random_state=0)
    scores = [each.fit(X_train[y_train == digit]).score_samples(X_test) for each in detectors[digit]]
    areas.append([roc_auc_score(y_test == digit, score) for score in scores])
    print(f"{digit:<8d}{areas[-1][0]:18.3f}{areas[-1][1]:14.3f}")
print(f"{'mean':8s}{np.mean(areas, axis=0)[0]:18.3f}{np.mean(areas, axis=0)[1]:14.3f}")

# %%
# The oddest of their own kind
# ----------------------------
# The new nines that the detector of nines finds oddest, and least odd:

forest, detector = detectors[9]
nines = X_test[y_test == 9]
nines = nines[np.argsort(detector.score_samples(nines))]

n = 10
figure, axes = plt.subplots(2, n, figsize=(8.6, 2), layout="constrained")
for line, name, images in zip(axes, ("oddest", "least odd"), (nines[:n], nines[: -n - 1 : -1]), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Which pixels?
# -------------
# ``feature_errors`` says of each feature how much less odd the sample would be if that one had another value. Three
# nines that are not odd get a fault: a dark pixel, a bright one, two gray ones. The errors show where it is.

faulty = nines[-3:].reshape(3, 8, 8).copy()
faulty[0, 3, 5] = 0
faulty[1, 6, 1] = 16
faulty[2, 1:3, 7] = 8
faulty = faulty.reshape(3, -1)
errors = detector.feature_errors(faulty)

figure, axes = plt.subplots(3, 3, figsize=(4.8, 3.8), layout="constrained")
for line, images in zip(axes, (nines[-3:], faulty, errors), strict=True):
    for ax, image in zip(line, images, strict=True):
        limits = {"cmap": "magma"} if images is errors else {"cmap": "gray", "vmin": 0, "vmax": 16}
        ax.imshow(image.reshape(8, 8), **limits)
        ax.set(xticks=[], yticks=[])
for ax, name in zip(axes[:, 0], ("original", "with a fault", "feature errors"), strict=True):
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Which columns?
# --------------
# A table of 30 measurements of cell nuclei. The detector is fitted to benign ones. Malignant ones are odd, and a forest
# finds that nearly as well.

data = load_breast_cancer()
benign, malignant = data.data[data.target == 1], data.data[data.target == 0]
rows, new = train_test_split(benign, random_state=0)
table_detector = AutoencoderOutlierDetector(make_pipeline(StandardScaler(), Autoencoder(8)), random_state=0)
is_benign = np.repeat([True, False], [len(new), len(malignant)])
for each in (IsolationForest(random_state=0), table_detector):
    area = roc_auc_score(is_benign, each.fit(rows).score_samples(np.concatenate([new, malignant])))
    print(f"{type(each).__name__:28s} area under the curve {area:.3f}")

# %%
# What a forest does not say is which column is to blame. In each of 60 new benign samples, one cell gets the value that
# its column has in another sample: nothing out of range, and wrong only beside the other columns. How often is the
# column with the greatest feature error the right one? The rival is the column that lies farthest from its mean, in
# standard deviations.

rng = np.random.default_rng(0)
wrong, columns = new[:60].copy(), rng.integers(30, size=60)
wrong[np.arange(60), columns] = rows[rng.integers(len(rows), size=60), columns]
blamed = table_detector.feature_errors(wrong)
z = np.abs((wrong - rows.mean(axis=0)) / rows.std(axis=0))
for name, blame in (("feature errors", blamed), ("distance from the mean", z)):
    ranks = (blame > blame[np.arange(60), columns][:, None]).sum(axis=1)
    print(
        f"{name:24s} right column first in {np.mean(ranks == 0):.0%}, among the first three in {np.mean(ranks < 3):.0%}"
    )

# %%
# Every other time it is, and the rival's one time in ten. Where a column has little to do with the others, a value
# within its range can't be told. Here is a sample whose area was made that of a large nucleus; its radius and perimeter
# say that it can't be so.

row = new[:1].copy()
row[0, 3] = np.quantile(rows[:, 3], 0.9)
blame = table_detector.feature_errors(row)[0]
figure, ax = plt.subplots(figsize=(5.6, 3), layout="constrained")
first = np.argsort(-blame)[:8][::-1]
ax.barh(data.feature_names[first], blame[first], color=["#d1662a" if i == 3 else "#2a63b0" for i in first])
ax.set(xlabel="feature error")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Rows of the table itself
# ------------------------
# Often there are no new samples: which samples of this very table are wrong? A network may know its own samples by
# heart. The detector therefore scores and explains each training sample by a network that has not seen it: those of the
# folds, which the autoencoder trains anyway on fewer than 2,000 samples. Below, the second detector has the one network
# that has seen all samples. Sample 95 of the wines has 4.4 standard deviations more magnesium than the mean.

wine = load_wine(as_frame=True).data
wine = StandardScaler().set_output(transform="pandas").fit_transform(wine)
not_seen = AutoencoderOutlierDetector(Autoencoder(4, random_state=0)).fit(wine)
seen = AutoencoderOutlierDetector(FrozenEstimator(not_seen.autoencoder_)).fit(wine)
for name, each in (("has not seen the row", not_seen), ("has seen it", seen)):
    of_row = each.feature_errors(wine[95:96]).iloc[0].nlargest(3)
    print(f"{name:22s}", ", ".join(f"{column} {error:.0f}" for column, error in of_row.items()))

# %%
# Far outside
# -----------
# A nine with its pixels times ten, and one multiplied by a hundred, are nothing that was ever seen. A forest's score
# doesn't grow with the distance: beyond the last split, far is as odd as near. The autoencoder's does, for beyond ten
# standard deviations it is linear, and both the error and the distance from the neighbors of the code grow.

print(f"{'':24s}{'IsolationForest':>18s}{'autoencoder':>14s}")
typical = nines[-1:]
for name, image in (("typical nine", typical), ("times 10", 10 * typical), ("times 100", 100 * typical)):
    print(f"{name:24s}{forest.score_samples(image)[0]:18.3f}{detector.score_samples(image)[0]:14.3g}")
