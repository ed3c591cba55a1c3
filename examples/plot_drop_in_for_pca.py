"""
An autoencoder in place of PCA
==============================

A pipeline reduces images of digits with PCA before it classifies them. What changes when an autoencoder takes PCA's
place?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import reconstruction_scorer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# One search over both
# --------------------
# :class:`~skae.Autoencoder` has PCA's methods and its ``n_components``, so both are candidates of the same grid. The
# search looks at two scores. The first is the accuracy of the classifier behind the reducer. The second is how much of
# held-out images the reducer gives back: :func:`~skae.metrics.reconstruction_scorer` takes anything that transforms
# there and back, here the pipeline's first step.


def reconstruction(pipe, X, y):  # noqa: ARG001 - a scorer's signature
    """R² of what the reducer gives back."""
    return reconstruction_scorer(pipe["reduce"], X)


pipe = Pipeline([("reduce", PCA()), ("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=1000))])
sizes = [2, 8, 16]
grid = {"reduce": [PCA(random_state=0), Autoencoder(random_state=0)], "reduce__n_components": sizes}
scoring = {"accuracy": "accuracy", "reconstruction": reconstruction}
search = GridSearchCV(pipe, grid, scoring=scoring, refit="accuracy", cv=2, n_jobs=2).fit(X_train, y_train)

print(f"Best: {search.best_params_}")
print(f"Accuracy on test images: {search.score(X_test, y_test):.3f}")

# %%
# What the search found
# ---------------------
# With the same number of components the autoencoder gives back more of the images. The classifier gains where
# components are few. With 16 it does as well on PCA's codes, and the search, which picks by accuracy, takes those.

curves = {"PCA": {}, "Autoencoder": {}}
for i, parameters in enumerate(search.cv_results_["params"]):
    name = type(parameters["reduce"]).__name__
    means = [search.cv_results_[f"mean_test_{score}"][i] for score in scoring]
    curves[name][parameters["reduce__n_components"]] = means

print(f"{'components':12s}{'accuracy: PCA':>16s}{'Autoencoder':>14s}{'R²: PCA':>12s}{'Autoencoder':>14s}")
for k in sizes:
    (accuracy, r2), (our_accuracy, our_r2) = curves["PCA"][k], curves["Autoencoder"][k]
    print(f"{k:<12d}{accuracy:16.3f}{our_accuracy:14.3f}{r2:12.3f}{our_r2:14.3f}")

figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for i, (ax, what) in enumerate(zip(axes, ("accuracy of the classifier", "R² of the reconstruction"), strict=True)):
    for (name, curve), color in zip(curves.items(), ("#d1662a", "#2a63b0"), strict=True):
        ax.plot(sizes, [curve[k][i] for k in sizes], marker="o", color=color, label=name)
    ax.set(xlabel="number of components", title=what, xticks=sizes, ylim=(0, 1))
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(loc="lower right", frameon=False)
plt.show()

# %%
# What eight numbers keep of an image
# -----------------------------------
# The same test images, given back from eight components.

figure, axes = plt.subplots(2, 1, figsize=(8, 3.4), layout="constrained")
for ax, reducer in zip(axes, grid["reduce"], strict=True):
    fitted = clone(reducer).set_params(n_components=8).fit(X_train)
    ReconstructionDisplay.from_estimator(fitted, X_test, ax=ax)
    ax.set_title(f"{type(reducer).__name__}, 8 components: R² {reconstruction_scorer(fitted, X_test):.3f}")
plt.show()
