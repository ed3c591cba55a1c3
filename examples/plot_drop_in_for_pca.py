"""
An autoencoder instead of PCA
=============================

A pipeline reduces images of digits with PCA before it classifies them. What
changes if an autoencoder replaces PCA, and when is PCA enough?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    train_test_split,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import reconstruction_scorer

# %%
# One search over both
# --------------------
# :class:`~skae.Autoencoder` has the methods and the ``n_components`` of PCA,
# so both are candidates in one grid. The search computes two scores by
# cross-validation. The first is the accuracy of the classifier. The second is
# R² of the reconstruction by the pipeline's first step:
# :func:`~skae.metrics.reconstruction_scorer` takes any estimator that has
# ``transform`` and ``inverse_transform``.


def reconstruction(pipe, X, y):
    """Return R² of the reconstruction by the reducer."""
    return reconstruction_scorer(pipe["reduce"], X)


def search_over(sizes):
    """Return a grid search over both reducers and their sizes."""
    steps = [
        ("reduce", PCA()),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
    reducers = [PCA(random_state=0), Autoencoder(random_state=0)]
    return GridSearchCV(
        Pipeline(steps),
        {"reduce": reducers, "reduce__n_components": sizes},
        scoring={"accuracy": "accuracy", "reconstruction": reconstruction},
        refit="accuracy",
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        n_jobs=2,
    )


def print_results(search):
    """Print the mean scores of each candidate, and the best one."""
    results = search.cv_results_
    print(f"{'reducer':12s}{'components':>11s}{'accuracy':>10s}{'R²':>7s}")
    for params, accuracy, r2 in zip(
        results["params"],
        results["mean_test_accuracy"],
        results["mean_test_reconstruction"],
        strict=True,
    ):
        name, k = (
            type(params["reduce"]).__name__,
            params["reduce__n_components"],
        )
        print(f"{name:12s}{k:11d}{accuracy:10.3f}{r2:7.3f}")
    print("Best:", search.best_params_)


X, y = load_digits(return_X_y=True)
sizes = [2, 4, 8]
search = search_over(sizes).fit(X, y)
print_results(search)

# %%
# Where the autoencoder is better
# -------------------------------
# With few components the classifier is more accurate on the codes of the
# autoencoder, because they retain more of the images. The search selects the
# autoencoder. The gain decreases with the number of components: from about 16
# on, the difference in accuracy is smaller than its standard deviation over
# the folds.

results = search.cv_results_
colors = {"PCA": "#d1662a", "Autoencoder": "#2a63b0"}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for ax, score, title in zip(
    axes,
    ("accuracy", "reconstruction"),
    ("accuracy of the classifier", "R² of the reconstruction"),
    strict=True,
):
    for reducer, (name, color) in enumerate(colors.items()):
        means = results[f"mean_test_{score}"].reshape(2, len(sizes))[reducer]
        ax.plot(sizes, means, marker="o", color=color, label=name)
    ax.set(xlabel="number of components", title=title, xticks=sizes)
    ax.set_ylim(0, 1)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(loc="lower right", frameon=False)
plt.show()

# %%
# Reconstructions from eight components
# -------------------------------------
# Both reducers are fitted to training images and reconstruct test images.

X_train, X_test = train_test_split(X, random_state=0)
reducers = [PCA(8, random_state=0), Autoencoder(8, random_state=0)]
fitted = [clone(reducer).fit(X_train) for reducer in reducers]
ReconstructionDisplay.from_estimators(fitted, X_test)
plt.show()

# %%
# Where PCA is enough
# -------------------
# The same search on 178 wines selects PCA. Two principal components separate
# the three classes almost completely, so that there is little to gain for a
# classifier, and there are few samples to learn from. The autoencoder still
# has the higher R², but a better reconstruction does not imply a better
# classifier. The columns have different units and are standardized first.

wine = load_wine()
X_wine = StandardScaler().fit_transform(wine.data)
print_results(search_over([2, 4]).fit(X_wine, wine.target))
