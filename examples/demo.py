"""Compare PCA and Autoencoder in one grid search on scikit-learn's digits.

    python examples/demo.py [--picture PATH]

The script prints, for each number of components, the R² of the reconstruction,
the accuracy of a classifier that is fitted to the codes, and the seconds per
fit. R² and accuracy are cross-validated. It also draws some reconstructions
and R² as a function of the number of components.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
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
from skae.metrics import reconstruction_scorer

REDUCERS = [PCA(random_state=0), Autoencoder(random_state=0)]
COMPONENTS = [2, 8, 16]
COLORS = {"PCA": "#d1662a", "Autoencoder": "#2a63b0"}


def reconstruction(pipe, X, y):
    """Return R² of the reconstruction by the reducer of a pipeline."""
    return reconstruction_scorer(pipe["reduce"], X)


def by_components(search, column):
    """Return {(reducer's name, number of components): value} of a column."""
    results = search.cv_results_
    return {
        (
            type(params["reduce"]).__name__,
            params["reduce__n_components"],
        ): value
        for params, value in zip(
            results["params"], results[column], strict=True
        )
    }


def print_table(search):
    """Print the scores and the time of each candidate."""
    scores = by_components(search, "mean_test_reconstruction")
    accuracies = by_components(search, "mean_test_accuracy")
    seconds = by_components(search, "mean_fit_time")
    print(f"\n{'':10s}{'R²':>17s}{'accuracy':>22s}{'seconds a fit':>22s}")
    print(f"{'components':10s}" + f"{'PCA':>9s}{'Autoencoder':>13s}" * 3)
    for k in COMPONENTS:
        line = f"{k:<10d}"
        for table in (scores, accuracies):
            line += f"{table['PCA', k]:9.3f}{table['Autoencoder', k]:13.3f}"
        line += f"{seconds['PCA', k]:9.3f}{seconds['Autoencoder', k]:13.1f}"
        print(line)


def draw(X, scores, path, k=8, n_images=8):
    """Draw reconstructions of test images from k components and the curve."""
    train, test = train_test_split(X, random_state=0)
    rows = {"original": test[:n_images]}
    for reducer in REDUCERS:
        fitted = clone(reducer).set_params(n_components=k).fit(train)
        codes = fitted.transform(test[:n_images])
        rows[type(reducer).__name__] = fitted.inverse_transform(codes)

    figure = plt.figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.75, 1])
    left.suptitle(f"{k} numbers instead of 64 pixels")
    all_axes = left.subplots(3, n_images)
    for axes, (name, images) in zip(all_axes, rows.items(), strict=True):
        for ax, image in zip(axes, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name, color=COLORS.get(name, "black"))

    ax = right.subplots()
    offsets = ((4, -16), "left"), ((0, 9), "right")
    for (name, color), (xytext, ha) in zip(
        COLORS.items(), offsets, strict=True
    ):
        values = [scores[name, k] for k in COMPONENTS]
        ax.plot(COMPONENTS, values, marker="o", color=color)
        ax.annotate(
            name,
            (COMPONENTS[1], values[1]),
            xytext=xytext,
            textcoords="offset points",
            ha=ha,
            color=color,
        )
    ax.set(
        xlabel="number of components",
        ylabel="R² of unseen images",
        xticks=COMPONENTS,
        ylim=(0, 1),
    )
    ax.spines[["top", "right"]].set_visible(False)
    right.suptitle("Reconstruction")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nPicture: {path.resolve()}")


def main():
    """Run the search, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parents[1] / "build" / "demo.png"
    parser.add_argument("--picture", type=Path, default=default)
    path = parser.parse_args().picture

    X, y = load_digits(return_X_y=True)
    pipe = Pipeline(
        [
            ("reduce", PCA()),
            ("scale", StandardScaler()),
            ("classify", LogisticRegression(max_iter=1000)),
        ]
    )
    grid = {"reduce": REDUCERS, "reduce__n_components": COMPONENTS}
    search = GridSearchCV(
        pipe,
        grid,
        scoring={"accuracy": "accuracy", "reconstruction": reconstruction},
        refit="accuracy",
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        n_jobs=2,
        verbose=1,
    )
    print("Classify digits by the codes of PCA and of an autoencoder ...")
    search.fit(X, y)
    best = search.best_params_
    print(f"Best: {best['reduce']}", end=" ")
    print(f"with {best['reduce__n_components']} components,", end=" ")
    print(f"accuracy {search.best_score_:.3f}")

    print_table(search)
    draw(X, by_components(search, "mean_test_reconstruction"), path)


if __name__ == "__main__":
    main()
