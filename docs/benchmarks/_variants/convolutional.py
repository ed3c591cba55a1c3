"""Compare ConvolutionalAutoencoder, by default, with the strided network of `_practitioner.py`, a dense one, and PCA.

Seconds per epoch are for 2,500 images of Fashion-MNIST and 16 components; fits and hand-written epochs alternate. They
are the difference of fits with six and with two epochs, divided by four; and the duration of the fit with six, divided
by six, which includes the rest of the fit.

R² is that of test images, with 16 components (8 for the digits), after the duration of a default fit. The sets are
Fashion-MNIST, digits of 8 x 8 pixels, and two synthetic ones on black, 28 x 28: one to three discs at random positions,
and curves of ten classes, randomly bent and shifted.
"""

import time

import numpy as np
import torch
from _fashion_mnist import load
from _practitioner import Convolutional, train
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import Autoencoder, ConvolutionalAutoencoder

SIDE, N_TEST = 28, 2000


def discs(n, seed):
    """Draw one to three discs with soft edges, (n, 784)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images = np.zeros((n, SIDE, SIDE), dtype=np.float32)
    n_discs = rng.integers(1, 4, size=n)
    for i in range(3):
        centers, radii = rng.uniform(4, SIDE - 4, size=(2, n, 1, 1)), rng.uniform(2, 5, size=(n, 1, 1))
        disc = np.clip(radii + 0.5 - np.hypot(y - centers[0], x - centers[1]), 0, 1)
        images = np.maximum(images, np.where((i < n_discs)[:, None, None], disc, 0))
    return images.reshape(n, -1).astype(np.float32)


def strokes(n, seed):
    """Draw Bézier curves of four points, those of one of ten classes, jittered and shifted, (n, 784)."""
    rng, kinds = np.random.default_rng(seed), np.random.default_rng(0).uniform(7, SIDE - 7, size=(10, 4, 2))
    points = kinds[rng.integers(10, size=n)] + rng.normal(scale=1.2, size=(n, 4, 2)) + rng.normal(size=(n, 1, 2))
    t = np.linspace(0, 1, 40)[:, None]
    bernstein = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    curves = 1.4 * (bernstein @ points - SIDE / 2) + SIDE / 2  # (n, 40, 2)
    grid = np.arange(SIDE)
    images = np.zeros((n, SIDE, SIDE), dtype=np.float32)
    for step in range(len(t)):
        y, x = (grid - curves[:, step, [i]] for i in range(2))  # (n, 28)
        distance = np.sqrt(np.square(y)[:, :, None] + np.square(x)[:, None])
        np.maximum(images, np.clip(1.9 - distance, 0, 1), out=images)
    return images.reshape(n, -1)


def fashion(n, seed):
    """Return images of the training set, different ones for each seed."""
    X = load("train")
    return X[np.random.default_rng(seed).permutation(len(X))[:n]]


def small_digits(n, seed):
    """Return digits of 8 x 8 pixels."""
    X = (load_digits().data / 16).astype(np.float32)
    return X[np.random.default_rng(seed).permutation(len(X))[:n]]


SETS = {  # side, number of components, number of training samples, function
    "Fashion-MNIST, 2,500": (28, 16, 2500, fashion),
    "Fashion-MNIST, 10,000": (28, 16, 10_000, fashion),
    "digits, 1,300": (8, 8, 1300, small_digits),
    "discs, 2,500": (28, 16, 2500, discs),
    "strokes, 2,500": (28, 16, 2500, strokes),
}


def r2(X, X_hat):
    """Return R² of reconstructions, over all pixels."""
    return 1 - np.square(X - X_hat, dtype=np.float64).sum() / np.square(X - X.mean(axis=0), dtype=np.float64).sum()


def timed_fit(estimator, X):
    """Return the fitted estimator and the seconds of the fit."""
    start = time.perf_counter()
    fitted = estimator.fit(X)
    return fitted, time.perf_counter() - start


def seconds_per_epoch(n_rounds=3):
    """Return seconds per epoch of skae, also with the rest of the fit, and hand-written; the minimum of some rounds."""
    X = load("train")[:2500]
    ConvolutionalAutoencoder(16, max_iter=2, random_state=0).fit(
        X[:300]
    )  # warm-up: torch imports modules at the first fit
    rounds = []
    for _ in range(n_rounds):
        few, many = (
            timed_fit(ConvolutionalAutoencoder(16, max_iter=n, early_stopping=False, random_state=0), X)[1]
            for n in (2, 6)
        )
        hand = train(lambda: Convolutional(SIDE, 16), X[:2000], X[2000:], seconds=(many - few) / 2)
        rounds.append(((many - few) / 4, many / 6, hand.seconds / hand.n_epochs))
    return np.min(rounds, axis=0)


def main(seeds):
    """Print seconds per epoch, and R² after equal time for each set."""
    ours, whole, hand_written = seconds_per_epoch()
    print(
        f"  seconds per epoch: skae {ours:.2f} ({whole:.2f} with the rest of the fit), "
        f"hand-written {hand_written:.2f}: {ours / hand_written:.1f} ({whole / hand_written:.1f}) times",
        flush=True,
    )
    print(
        "  R² of test images            convolutional   hand-written     dense       PCA   seconds (dense)", flush=True
    )
    for name, (side, k, n_rows, draw) in SETS.items():
        scores, seconds = [], []
        for seed in seeds:
            X = draw(n_rows + N_TEST, seed)
            X, X_test = X[:n_rows], X[n_rows:]
            ours, taken = timed_fit(ConvolutionalAutoencoder(k, random_state=seed), X)
            dense, of_dense = timed_fit(Autoencoder(k, random_state=seed), X)
            pca = PCA(k, random_state=seed).fit(X)
            n_held_out = min(len(X) // 5, 1000)
            hand = train(
                lambda: Convolutional(side, k),  # noqa: B023 - called immediately
                X[n_held_out:],
                X[:n_held_out],
                seconds=taken,
                seed=seed,
            )
            with torch.no_grad():
                hand_written = hand.module(torch.as_tensor(X_test)).numpy()
            others = ours.reconstruct(X_test), hand_written, dense.reconstruct(X_test)
            scores.append([r2(X_test, X_hat) for X_hat in (*others, pca.inverse_transform(pca.transform(X_test)))])
            seconds.append((taken, of_dense))
        pairs = zip(np.mean(scores, axis=0), np.std(scores, axis=0), strict=True)
        columns = (f"{mean:.3f}±{spread:.3f}" for mean, spread in pairs)
        taken, of_dense = np.mean(seconds, axis=0)
        print(f"  {name:24s}{'   '.join(columns)}   {taken:.0f} ({of_dense:.0f})", flush=True)
