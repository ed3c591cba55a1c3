"""
Tables with categories and missing values
=========================================

A table has numbers, categories and missing values. How is it reduced to two
components and imputed, and how are samples with wrong values detected?
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
# The table has 442 patients with diabetes: age, sex, body mass index, blood
# pressure, six measurements of the blood, and the progress of the illness, in
# three classes. A fifth of the values is removed.

data = load_diabetes(as_frame=True, scaled=False)
X = data.data.astype({"age": int})
X["sex"] = X["sex"].map({1: "first", 2: "second"}).astype("category")
X["progress"] = pd.qcut(data.target, 3, labels=["slow", "medium", "fast"])
missing = np.random.default_rng(0).random(X.shape) < 0.2
X_missing = X.astype({"age": "Int64"}).mask(missing)
X_missing.head()

# %%
# A plane
# -------
# :class:`~skae.TabularAutoencoder` accepts the frame as it is. Its codes need
# no imputation beforehand.

model = TabularAutoencoder(2, random_state=0).fit(X_missing)
codes = model.transform(X_missing)

figure, axes = plt.subplots(
    1, 2, figsize=(8.6, 3.6), layout="constrained", sharex=True, sharey=True
)
colors = {"slow": "#2a63b0", "medium": "#b0b0b0", "fast": "#d1662a"}
for name, color in colors.items():
    selected = X["progress"] == name
    axes[0].scatter(*codes[selected].T, s=12, color=color, label=name)
shown = axes[1].scatter(*codes.T, s=12, c=X["bmi"], cmap="viridis")
axes[0].legend(title="progress", frameon=False)
figure.colorbar(shown, ax=axes[1], label="body mass index")
axes[0].set(xlabel="first component", ylabel="second component")
axes[1].set(xlabel="first component")
plt.show()

# %%
# Imputation
# ----------
# ``impute`` replaces missing values and leaves all others unchanged. Dtypes
# and categories are preserved. The error of numbers is in standard deviations
# of their column.

full = model.impute(X_missing)
numbers = X.select_dtypes("number").columns
scaler = StandardScaler().fit(X_missing[numbers].astype(float))
observed = scaler.transform(X_missing[numbers].astype(float))
filled = {
    "mean": SimpleImputer().fit_transform(observed),
    "KNNImputer": KNNImputer().fit_transform(observed),
    "TabularAutoencoder": scaler.transform(full[numbers].astype(float)),
}
is_filled = np.isnan(observed) & X[numbers].notna().to_numpy()
for name, values in filled.items():
    errors = (values - scaler.transform(X[numbers].astype(float)))[is_filled]
    error = np.sqrt(np.square(errors).mean())
    print(f"{name:20s} root mean square error of numbers {error:.2f}")
for name in ("sex", "progress"):
    is_missing = X_missing[name].isna()
    accuracy, most_frequent = (
        (full[name] == X[name])[is_missing].mean(),
        X_missing[name].value_counts(normalize=True).max(),
    )
    print(
        f"{name:20s} {accuracy:.0%} of missing values are correct;"
        f" the most frequent category has {most_frequent:.0%}"
    )

# %%
# Wrong values
# ------------
# In each of 60 samples one number is replaced by that of another patient: it
# is within the range of the column, but does not fit the other columns. The
# detector is fitted to the complete table. How often does the wrong column
# have the largest feature error?

rng = np.random.default_rng(0)
wrong, columns = X.sample(60, random_state=0), rng.choice(numbers, 60)
for row, column in zip(wrong.index, columns, strict=True):
    wrong.loc[row, column] = X[column].sample(1, random_state=row).item()
detector = AutoencoderOutlierDetector(
    TabularAutoencoder(4), random_state=0
).fit(X)
largest = detector.feature_errors(wrong).idxmax(axis=1)
for group in (["s1", "s2", "s3", "s4"], ["age", "bmi", "bp", "s5", "s6"]):
    selected = np.isin(columns, group)
    fraction = np.mean((largest == columns)[selected])
    print(
        f"{', '.join(group):24s} wrong column found in {fraction:.0%}"
        f" of {selected.sum()} samples"
    )

# %%
# Lipids depend on each other, so that wrong values are detected. A wrong age
# contradicts little.
#
# Generating data
# ---------------
# A density of the codes generates new samples: a frame with the same columns
# and categories, and with the dependences between columns.

drawn = (
    LatentSampler(TabularAutoencoder(4), random_state=0)
    .fit(X)
    .sample(442, random_state=0)
)
for name, frame in (("data", X), ("drawn", drawn)):
    correlation = frame["s1"].corr(frame["s2"])
    print(f"{name:6s} correlation of s1 and s2 {correlation:.2f};", end=" ")
    print("mean bmi by progress:", end=" ")
    print(
        frame.groupby("progress", observed=True)["bmi"]
        .mean()
        .round(1)
        .to_dict()
    )
