"""
Anomaly detection
=================

A detector is fitted to images of one class. Does it detect images of other
classes, unusual images of the same class, defects, and samples that are not
images at all? Which columns of a table make a sample anomalous?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector
from skae.inspection import FeatureErrorsDisplay

# %%
# One digit against all others
# ----------------------------
# Each detector is fitted to about 130 images of one digit and scores images of
# all digits. The area under the ROC curve is the probability that an image of
# another digit is scored as more anomalous than one of the same digit: 0.5 by
# chance, 1 at best. :class:`~skae.AutoencoderOutlierDetector` has the
# interface of scikit-learn's ``IsolationForest``.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

detectors, areas = {}, []
print(f"{'digit':8s}{'IsolationForest':>18s}{'autoencoder':>14s}")
for digit in range(10):
    detectors[digit] = (
        IsolationForest(random_state=0),
        AutoencoderOutlierDetector(random_state=0),
    )
    scores = [
        each.fit(X_train[y_train == digit]).score_samples(X_test)
        for each in detectors[digit]
    ]
    areas.append([roc_auc_score(y_test == digit, score) for score in scores])
    print(f"{digit:<8d}{areas[-1][0]:18.3f}{areas[-1][1]:14.3f}")
of_forest, of_autoencoder = np.mean(areas, axis=0)
print(f"{'mean':8s}{of_forest:18.3f}{of_autoencoder:14.3f}")

# %%
# The most anomalous images of the same class
# -------------------------------------------
# For the detector of nines, these are the most anomalous test images of nines,
# and the most typical ones:

forest, detector = detectors[9]
nines = X_test[y_test == 9]
nines = nines[np.argsort(detector.score_samples(nines))]

n = 10
figure, axes = plt.subplots(2, n, figsize=(8.6, 2), layout="constrained")
for line, name, images in zip(
    axes,
    ("anomalous", "typical"),
    (nines[:n], nines[: -n - 1 : -1]),
    strict=True,
):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Which pixels?
# -------------
# ``feature_errors`` returns for each feature by how much the anomaly score of
# a sample decreases if this feature has another value. Three nines that are
# not anomalous get a defect: a dark pixel, a bright one, and two gray ones.
# :class:`~skae.inspection.FeatureErrorsDisplay` shows where they are.

faulty = nines[-3:].reshape(3, 8, 8).copy()
faulty[0, 3, 5] = 0
faulty[1, 6, 1] = 16
faulty[2, 1:3, 7] = 8
faulty = faulty.reshape(3, -1)
FeatureErrorsDisplay.from_estimator(detector, faulty)
plt.show()

# %%
# Which columns?
# --------------
# The breast cancer data have 30 measurements of cell nuclei. The detector is
# fitted to benign samples. It detects malignant ones a little better than the
# forest does.

data = load_breast_cancer()
benign, malignant = data.data[data.target == 1], data.data[data.target == 0]
rows, new = train_test_split(benign, random_state=0)
table_detector = AutoencoderOutlierDetector(
    make_pipeline(StandardScaler(), Autoencoder(8)), random_state=0
)
is_benign = np.repeat([True, False], [len(new), len(malignant)])
for each in (IsolationForest(random_state=0), table_detector):
    area = roc_auc_score(
        is_benign,
        each.fit(rows).score_samples(np.concatenate([new, malignant])),
    )
    print(f"{type(each).__name__:28s} area under the curve {area:.3f}")

# %%
# A forest does not say which column makes a sample anomalous. In each of 60
# new benign samples, the value of one column is replaced by that of another
# sample: it is within the range of the column, and wrong only in view of the
# other columns. How often does that column have the largest feature error? For
# comparison, columns are ranked by their distance from the mean, in standard
# deviations.

rng = np.random.default_rng(0)
wrong, columns = new[:60].copy(), rng.integers(30, size=60)
wrong[np.arange(60), columns] = rows[rng.integers(len(rows), size=60), columns]
errors_of_wrong = table_detector.feature_errors(wrong)
z = np.abs((wrong - rows.mean(axis=0)) / rows.std(axis=0))
print(f"{'wrong column ranked':24s}{'first':>8s}{'in the first three':>20s}")
for name, values in {
    "feature errors": errors_of_wrong,
    "distance from the mean": z,
}.items():
    of_column = values[np.arange(60), columns][:, None]
    ranks = (values > of_column).sum(axis=1)
    first, first_three = np.mean(ranks == 0), np.mean(ranks < 3)
    print(f"{name:24s}{first:8.0%}{first_three:20.0%}")

# %%
# The column is found in half of the samples, and in one of ten by its distance
# from the mean. If a column depends little on the others, a wrong value within
# its range can't be detected. In the sample below, the area was replaced by
# that of a large nucleus, which contradicts its radius and perimeter.

wrong = pd.DataFrame(new[:1], columns=data.feature_names)
wrong["mean area"] = np.quantile(rows[:, 3], 0.9)
table_detector.fit(pd.DataFrame(rows, columns=data.feature_names))
FeatureErrorsDisplay.from_estimator(table_detector, wrong)
plt.show()

# %%
# Anomalies among the training samples
# ------------------------------------
# Often there are no new samples, and the task is to find anomalies in the
# training data. A network may memorize its training samples. The detector
# therefore scores and explains each training sample by a network that was not
# trained on it: with fewer than 2,000 samples the autoencoder is
# cross-validated anyway, and the network of the sample's fold is used. For
# comparison, the second detector below uses the one network that was trained
# on all samples. Sample 95 of the wines has a magnesium content of 4.4
# standard deviations above the mean.

wine = load_wine(as_frame=True).data
wine = StandardScaler().set_output(transform="pandas").fit_transform(wine)
not_seen = AutoencoderOutlierDetector(Autoencoder(4, random_state=0)).fit(wine)
seen = AutoencoderOutlierDetector(FrozenEstimator(not_seen.autoencoder_)).fit(
    wine
)
for name, each in (("not trained on it", not_seen), ("trained on it", seen)):
    of_row = each.feature_errors(wine[95:96]).iloc[0].nlargest(3)
    print(
        f"{name:22s}",
        ", ".join(f"{column} {error:.0f}" for column, error in of_row.items()),
    )

# %%
# Samples far from the data
# -------------------------
# The pixels of a nine are multiplied by 10 and by 100. The score of a forest
# does not increase with the distance from the data beyond its last split. The
# score of the autoencoder does: beyond ten standard deviations its
# reconstruction is linear, and both the reconstruction error and the distance
# from the neighbors of the code increase.

print(f"{'':24s}{'IsolationForest':>18s}{'autoencoder':>14s}")
typical = nines[-1:]
for name, image in (
    ("typical nine", typical),
    ("times 10", 10 * typical),
    ("times 100", 100 * typical),
):
    print(
        f"{name:24s}{forest.score_samples(image)[0]:18.3f}"
        f"{detector.score_samples(image)[0]:14.3g}"
    )
