"""Draw the strip of four pictures in the README: python docs/_strip.py."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector, VariationalAutoencoder
from skae.inspection import FeatureErrorsDisplay, LatentSpaceDisplay, ReconstructionDisplay

PATH = Path(__file__).parent / "_static" / "strip.png"
TITLES = (
    "2 components instead of 64 pixels",
    "Reconstructions from 8 numbers",
    "Alcohol 1.3 instead of 13",
    "Generated digits",
)


def main():
    """Fit the models, draw the four panels and write them with 128 colors."""
    plt.rcParams.update({"font.size": 13, "axes.titlesize": 13, "figure.titlesize": 16, "legend.title_fontsize": 13})
    X, y = load_digits(return_X_y=True)
    X_train, X_test, _, y_test = train_test_split(X, y, random_state=0)
    figure = plt.figure(figsize=(15, 3.6), layout="constrained")
    parts = figure.subfigures(1, 4, width_ratios=[4.9, 4.1, 3.4, 2.6], wspace=0.03)
    for part, title in zip(parts, TITLES, strict=True):
        part.suptitle(title)
    axes = [part.subplots() for part in parts]

    plane = Autoencoder(2, random_state=0).fit(X_train)
    LatentSpaceDisplay.from_estimator(plane, X_test, y_test, ax=axes[0])
    parts[0].axes[-1].get_legend().set_title("digit")

    fitted = [PCA(8, random_state=0).fit(X_train), Autoencoder(8, random_state=0).fit(X_train)]
    ReconstructionDisplay.from_estimators(fitted, X_test, n_samples=5, cmap="gray_r", ax=axes[1])

    wine = load_wine(as_frame=True).data
    detector = AutoencoderOutlierDetector(make_pipeline(StandardScaler(), Autoencoder(4, random_state=0))).fit(wine)
    wrong = wine.iloc[[50]].copy()
    wrong["alcohol"] /= 10  # 1.305 instead of 13.05
    FeatureErrorsDisplay.from_estimator(detector, wrong, n_features=5, ax=axes[2])

    model = VariationalAutoencoder(8, random_state=0).fit(X_train)
    drawn = model.sample(16, random_state=0)
    tiles = np.pad(drawn.reshape(4, 4, 8, 8), [(0, 0), (0, 0), (1, 1), (1, 1)])  # a margin around each image
    axes[3].imshow(tiles.swapaxes(1, 2).reshape(40, 40), cmap="gray_r", vmin=0, vmax=16)
    axes[3].axis("off")

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    Image.open(buffer).convert("RGB").quantize(128).save(PATH, optimize=True)
    print(f"{PATH}: {PATH.stat().st_size / 1000:.0f} kB")  # noqa: T201 - it is a script


if __name__ == "__main__":
    main()
