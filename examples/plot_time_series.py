"""
Odd beats in a time series
==========================

A signal repeats, but never quite. Can an autoencoder of sequences learn from a clean stretch what is normal, and find
what isn't?
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
# Beats follow each other at intervals that vary, each of a sharp peak, a dip and a slow wave, with some noise. A sample
# is a window of 48 steps that begins anywhere in a beat.


def beats(n_steps, rng, upside_down=None, early=None):
    """Return a signal, and where in it the beats are whose peak is upside down or that come early."""
    time, signal, at, number, odd = np.arange(n_steps), np.zeros(n_steps), 10.0, 0, []
    while at < n_steps:
        peak = -1.0 if number == upside_down else 1.0
        for shift, width, height in ((0, 1.0, 2.0 * peak), (3, 1.2, -0.8 * peak), (9, 2.5, 0.6)):
            signal += height * np.exp(-0.5 * np.square((time - at - shift) / width))
        if number in (upside_down, early):
            odd.append(at)
        number += 1
        at += 13 if number == early else rng.normal(24, 2)
    return signal + rng.normal(scale=0.05, size=n_steps), odd


rng = np.random.default_rng(0)
length = 48
clean, _ = beats(6100, rng)
X_train = sliding_window_view(clean, length)[::3]
another, _ = beats(3000, rng)
X_test = sliding_window_view(another, length)

# %%
# Three autoencoders of windows
# -----------------------------
# A peak moves through the window, and a linear code spends components on each place where it may be. Both
# :class:`~skae.Autoencoder` and :class:`~skae.LSTMAutoencoder` follow it with six numbers. The recurrent one reads and
# writes a window step by step. On windows as short as these dense layers do it a little better, in less time.

windows = (length, 1)
models = {
    "PCA": PCA(6),
    "Autoencoder": Autoencoder(6, random_state=0),
    "LSTMAutoencoder": LSTMAutoencoder(
        6, sequence_shape=windows, hidden_size=32, max_iter=15, batch_size=64, random_state=0
    ),
}
for name, model in models.items():
    print(f"{name:18s} R² of new windows {reconstruction_scorer(model.fit(X_train), X_test):.3f}")

# %%
# Windows overlap, so that a network which has learned one by heart knows the next one as well. Held-out windows would
# tell nothing about new ones if they were chosen at random. The autoencoders have noticed that samples depend on their
# neighbors: they held out contiguous blocks, and trained on no window that reaches into one.

print(models["Autoencoder"].validation_)

# %%
# Three windows, and what the recurrent one makes of its six numbers:

ReconstructionDisplay.from_estimator(models["LSTMAutoencoder"], X_test[:600], n_samples=3)
plt.show()

# %%
# What isn't normal
# -----------------
# In a new stretch one peak is upside down and one beat comes early. The error of a step is the mean over all windows
# that hold it, and the limit is the greatest error of a clean stretch that was not trained on: errors of training
# samples are too small. PCA's errors are large everywhere: it hardly tells the odd beats from the others. Those of the
# autoencoders stand out, and those of the dense one most.


def errors(model, signal):
    """Squared error of each step, averaged over the windows that hold it."""
    X = sliding_window_view(signal, length)
    squares = np.square(X - model.inverse_transform(model.transform(X)))
    total, count = np.zeros(len(signal)), np.zeros(len(signal))
    for i in range(length):
        total[i : i + len(X)] += squares[:, i]
        count[i : i + len(X)] += 1
    return total / count


signal, where = beats(800, rng, upside_down=9, early=22)
limits = {name: errors(model, another).max() for name, model in models.items()}
for name, model in models.items():
    of_steps = errors(model, signal) / limits[name]
    near = [of_steps[int(at) - 4 : int(at) + 8].max() for at in where]
    print(f"{name:18s} greatest error, in units of the limit: {near[0]:.1f} upside down, {near[1]:.1f} early")

# %%
# The series, and the errors of the recurrent one. The gray line is the limit.

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 3.8), sharex=True, layout="constrained")
above.plot(signal, color="black", linewidth=0.8)
below.plot(errors(models["LSTMAutoencoder"], signal), color="#2a63b0", linewidth=1)
below.axhline(limits["LSTMAutoencoder"], color="0.6", linewidth=0.8)
for ax, label in ((above, "signal"), (below, "squared error")):
    for at in where:
        ax.axvspan(at - 4, at + 14, color="#d1662a", alpha=0.2, linewidth=0)
    ax.set_ylabel(label)
    ax.spines[["top", "right"]].set_visible(False)
below.set_xlabel("step")
plt.show()
