"""
Anomalies in a time series
==========================

A signal is nearly periodic. Can an autoencoder learn the normal signal from a
clean segment and detect anomalies in another one?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA

from skae import Autoencoder, LSTMAutoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import reconstruction_scorer

# %%
# The signal
# ----------
# Beats follow each other at varying intervals. Each consists of a sharp peak,
# a dip and a slow wave, with some noise. A sample is a window of 48 steps that
# begins at any point of a beat.


def beats(n_steps, rng, upside_down=None, early=None):
    """Return a signal and the positions of its anomalous beats."""
    time, signal, at, number, anomalies = (
        np.arange(n_steps),
        np.zeros(n_steps),
        10.0,
        0,
        [],
    )
    while at < n_steps:
        peak = -1.0 if number == upside_down else 1.0
        for shift, width, height in (
            (0, 1.0, 2.0 * peak),
            (3, 1.2, -0.8 * peak),
            (9, 2.5, 0.6),
        ):
            signal += height * np.exp(
                -0.5 * np.square((time - at - shift) / width)
            )
        if number in (upside_down, early):
            anomalies.append(at)
        number += 1
        at += 13 if number == early else rng.normal(24, 2)
    return signal + rng.normal(scale=0.05, size=n_steps), anomalies


rng = np.random.default_rng(0)
length = 48
clean, _ = beats(6100, rng)
X_train = sliding_window_view(clean, length)[::3]
another, _ = beats(3000, rng)
X_test = sliding_window_view(another, length)

# %%
# Three models of windows
# -----------------------
# The position of a peak in the window varies, and a linear code needs
# components for each position. :class:`~skae.Autoencoder` and
# :class:`~skae.LSTMAutoencoder` represent it with six components. The
# recurrent one reads and writes a window step by step. For windows as short as
# these, dense layers are slightly better and take less time.

windows = (length, 1)
models = {
    "PCA": PCA(6),
    "Autoencoder": Autoencoder(6, random_state=0),
    "LSTMAutoencoder": LSTMAutoencoder(
        6,
        sequence_shape=windows,
        hidden_size=32,
        max_iter=15,
        batch_size=64,
        random_state=0,
    ),
}
for name, model in models.items():
    r2 = reconstruction_scorer(model.fit(X_train), X_test)
    print(f"{name:18s} R² of new windows {r2:.3f}")

# %%
# Windows overlap, so a network that memorizes one also reconstructs the next
# one. Random windows would therefore not be a suitable validation set. The
# autoencoders detect that samples depend on their neighbors. They use
# contiguous blocks for validation, and do not train on windows that overlap a
# block.

print(models["Autoencoder"].validation_)

# %%
# These are three windows, and their reconstructions from six components by the
# recurrent autoencoder:

ReconstructionDisplay.from_estimator(
    models["LSTMAutoencoder"], X_test[:600], n_samples=3
)
plt.show()

# %%
# Detecting anomalies
# -------------------
# In a new segment one peak is upside down and one beat comes early. The error
# of a step is the mean over all windows that contain it. The threshold is the
# largest error of a clean segment that is not part of the training data,
# because training errors are too small. PCA's errors are large everywhere and
# hardly distinguish the anomalous beats. Those of the autoencoders do, and
# those of the dense one most clearly.


def errors(model, signal):
    """Return the squared error of each step, averaged over windows."""
    X = sliding_window_view(signal, length)
    squares = np.square(X - model.inverse_transform(model.transform(X)))
    total, count = np.zeros(len(signal)), np.zeros(len(signal))
    for i in range(length):
        total[i : i + len(X)] += squares[:, i]
        count[i : i + len(X)] += 1
    return total / count


signal, where = beats(800, rng, upside_down=9, early=22)
thresholds = {
    name: errors(model, another).max() for name, model in models.items()
}
for name, model in models.items():
    of_steps = errors(model, signal) / thresholds[name]
    near = [of_steps[int(at) - 4 : int(at) + 8].max() for at in where]
    print(
        f"{name:18s} largest error over threshold:"
        f" {near[0]:.1f} upside down, {near[1]:.1f} early"
    )

# %%
# The figure shows the series, and the errors of the recurrent autoencoder. The
# gray line is the threshold.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(9, 3.8), sharex=True, layout="constrained"
)
above.plot(signal, color="black", linewidth=0.8)
below.plot(
    errors(models["LSTMAutoencoder"], signal), color="#2a63b0", linewidth=1
)
below.axhline(thresholds["LSTMAutoencoder"], color="0.6", linewidth=0.8)
for ax, label in ((above, "signal"), (below, "squared error")):
    for at in where:
        ax.axvspan(at - 4, at + 14, color="#d1662a", alpha=0.2, linewidth=0)
    ax.set_ylabel(label)
    ax.spines[["top", "right"]].set_visible(False)
below.set_xlabel("step")
plt.show()
