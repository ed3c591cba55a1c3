"""PCA and Autoencoder in one grid search, on scikit-learn's digits.

    python examples/demo.py [--picture PATH]

Prints, for each number of components, how much of held-out images is reconstructed, how well a classifier does on the
codes, and how long a fit takes; draws some reconstructions and the curve.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into a file, also where there is no screen

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae.metrics import reconstruction_scorer

REDUCERS = [PCA(random_state=0), Autoencoder(random_state=0)]
COMPONENTS = [2, 8, 16]
COLORS = {"PCA": "#d1662a", "Autoencoder": "#2a63b0"}


def by_components(search, column):
    """Return {(name of the reducer, number of components): value} of a column of a search's results."""
    results = search.cv_results_
    return {
        (type(parameters["reduce"]).__name__, parameters["reduce__n_components"]): value
        for parameters, value in zip(results["params"], results[column], strict=True)
    }


def print_table(reconstruction, classification):
    """Print the two searches side by side."""
    scores = by_components(reconstruction, "mean_test_score")
    accuracies = by_components(classification, "mean_test_score")
    seconds = by_components(reconstruction, "mean_fit_time")
    print(f"\n{'':12s}{'held-out R²':>22s}{'accuracy':>24s}{'seconds a fit':>24s}")
    print(f"{'components':12s}" + f"{'PCA':>10s}{'Autoencoder':>13s}" * 3)
    for k in COMPONENTS:
        pairs = [f"{t['PCA', k]:10.3f}{t['Autoencoder', k]:13.3f}" for t in (scores, accuracies)]
        print(f"{k:<12d}{''.join(pairs)}{seconds['PCA', k]:10.3f}{seconds['Autoencoder', k]:13.1f}")


def draw(train, test, scores, path, k=8, n_images=8):
    """Draw test images above their reconstructions from k numbers, and the curve of held-out R²."""
    rows = {"original": test[:n_images]}
    for reducer in REDUCERS:
        fitted = clone(reducer).set_params(n_components=k).fit(train)
        rows[type(reducer).__name__] = fitted.inverse_transform(fitted.transform(test[:n_images]))

    figure = plt.figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.75, 1])
    left.suptitle(f"{k} numbers instead of 64 pixels")
    for axes, (name, images) in zip(left.subplots(3, n_images), rows.items(), strict=True):
        for ax, image in zip(axes, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name, color=COLORS.get(name, "black"))

    ax = right.subplots()
    for (name, color), above in zip(COLORS.items(), (False, True), strict=True):
        values = [scores[name, k] for k in COMPONENTS]
        ax.plot(COMPONENTS, values, marker="o", color=color)
        at = {"xytext": (0, 9), "ha": "right"} if above else {"xytext": (4, -16), "ha": "left"}
        ax.annotate(name, (COMPONENTS[1], values[1]), textcoords="offset points", color=color, **at)
    ax.set(xlabel="number of components", ylabel="held-out R²", xticks=COMPONENTS, ylim=(0, 1))
    ax.spines[["top", "right"]].set_visible(False)
    right.suptitle("How much is reconstructed")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nPicture: {path.resolve()}")


def main():
    """Run both searches, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, default=Path(__file__).parents[1] / "build" / "demo.png")
    path = parser.parse_args().picture

    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    grid = {"reduce": REDUCERS, "reduce__n_components": COMPONENTS}

    print("Searching for the best classifier of digits on the codes of PCA and of an autoencoder ...")
    pipe = Pipeline([("scale", StandardScaler()), ("reduce", PCA()), ("classify", LogisticRegression(max_iter=1000))])
    classification = GridSearchCV(pipe, grid, cv=3, n_jobs=2).fit(train, y_train)
    best = classification.best_params_
    print(f"  best: {best['reduce']} with {best['reduce__n_components']} components")
    print(f"  accuracy on {len(test)} test images: {classification.score(test, y_test):.3f}")

    print("Searching for the best reconstruction ...")
    pipe = Pipeline([("reduce", PCA())])
    reconstruction = GridSearchCV(pipe, grid, cv=3, n_jobs=2, scoring=reconstruction_scorer).fit(train)
    best = reconstruction.best_params_
    print(f"  best: {best['reduce']} with {best['reduce__n_components']} components")
    print(f"  R² on {len(test)} test images: {reconstruction.score(test):.3f}")

    print_table(reconstruction, classification)
    draw(train, test, by_components(reconstruction, "mean_test_score"), path)


if __name__ == "__main__":
    main()
