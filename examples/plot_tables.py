"""
A table with holes
==================

A table has numbers, categories and missing cells. How does one reduce it to a plane, fill it, and find rows in which
something is wrong?
"""

# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector, LatentSampler, TabularAutoencoder

# %%
# The table
# ---------
# 442 patients with diabetes: age, sex, body mass index, blood pressure, six measurements of the blood, and how the
# illness went on, in three classes. A fifth of the cells is struck out.

data = load_diabetes(as_frame=True, scaled=False)
X = data.data.astype({"age": int})
X["sex"] = X["sex"].map({1: "first", 2: "second"}).astype("category")
X["progress"] = pd.qcut(data.target, 3, labels=["slow", "medium", "fast"])
missing = np.random.default_rng(0).random(X.shape) < 0.2
X_holes = X.astype({"age": "Int64"}).mask(missing)
X_holes.head()

# %%
# A plane
# -------
# :class:`~skae.TabularAutoencoder` takes the frame as it is. Its codes need no imputation beforehand.

model = TabularAutoencoder(2, random_state=0).fit(X_holes)
codes = model.transform(X_holes)

figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.6), layout="constrained", sharex=True, sharey=True)
colors = {"slow": "#2a63b0", "medium": "#b0b0b0", "fast": "#d1662a"}
for name, color in colors.items():
    mine = X["progress"] == name
    axes[0].scatter(*codes[mine].T, s=12, color=color, label=name)
shown = axes[1].scatter(*codes.T, s=12, c=X["bmi"], cmap="viridis")
axes[0].legend(title="progress", frameon=False)
figure.colorbar(shown, ax=axes[1], label="body mass index")
axes[0].set(xlabel="first component", ylabel="second component")
axes[1].set(xlabel="first component")
plt.show()

# %%
# Filled cells
# ------------
# ``impute`` fills what is missing and leaves all else. Types and categories stay. The error of numbers is in standard
# deviations of their column.

full = model.impute(X_holes)
numbers = X.select_dtypes("number").columns
scaler = StandardScaler().fit(X_holes[numbers].astype(float))
holes = scaler.transform(X_holes[numbers].astype(float))
filled = {
    "mean": SimpleImputer().fit_transform(holes),
    "KNNImputer": KNNImputer().fit_transform(holes),
    "TabularAutoencoder": scaler.transform(full[numbers].astype(float)),
}
there = X[numbers].isna().to_numpy() | ~np.isnan(holes)
for name, values in filled.items():
    off = (values - scaler.transform(X[numbers].astype(float)))[~there]
    print(f"{name:20s} root mean square error of numbers {np.sqrt(np.square(off).mean()):.2f}")
for name in ("sex", "progress"):
    cells = X_holes[name].isna()
    right, usual = (full[name] == X[name])[cells].mean(), X_holes[name].value_counts(normalize=True).max()
    print(f"{name:20s} right in {right:.0%} of missing cells; the most frequent one makes up {usual:.0%}")

# %%
# Wrong cells
# -----------
# In each of 60 rows one number is replaced by that of another patient: nothing is out of range, but it doesn't fit the
# rest. The detector is fitted to the complete table. Which column does it blame?

rng = np.random.default_rng(0)
wrong, columns = X.sample(60, random_state=0), rng.choice(numbers, 60)
for row, column in zip(wrong.index, columns, strict=True):
    wrong.loc[row, column] = X[column].sample(1, random_state=row).item()
detector = AutoencoderOutlierDetector(TabularAutoencoder(4), random_state=0).fit(X)
blamed = detector.feature_errors(wrong).idxmax(axis=1)
for group in (["s1", "s2", "s3", "s4"], ["age", "bmi", "bp", "s5", "s6"]):
    mine = np.isin(columns, group)
    share = np.mean((blamed == columns)[mine])
    print(f"{', '.join(group):24s} right column blamed in {share:.0%} of {mine.sum()} rows")

# %%
# Lipids depend on each other, so a wrong one shows. A wrong age contradicts little.
#
# New rows
# --------
# A density of the codes makes new rows: a frame of the same columns and categories. The columns go together as in the
# data.

drawn = LatentSampler(TabularAutoencoder(4), random_state=0).fit(X).sample(442, random_state=0)
for name, frame in (("data", X), ("drawn", drawn)):
    print(f"{name:6s} correlation of s1 and s2 {frame['s1'].corr(frame['s2']):.2f}; mean bmi by progress:", end=" ")
    print(frame.groupby("progress", observed=True)["bmi"].mean().round(1).to_dict())
