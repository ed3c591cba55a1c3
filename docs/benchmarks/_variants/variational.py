"""Compare VariationalAutoencoder, by default, with the textbook network, in nats per test sample.

The sets are images on black (Fashion-MNIST, scikit-learn's digits, synthetic strokes), standardized tables, and curved
surfaces in rotated spaces. The textbook network has a sigmoid output for images and a linear one otherwise, the same
number of components, the same samples, of which a fifth is its validation set, and at each learning rate the training
time of VariationalAutoencoder. "bound" is the evidence lower bound with one draw, "weighted" the importance-weighted
bound with 20 draws, "active" the number of components whose posterior means have a variance above .01 on training
samples.
"""

import math
import time
import warnings

import numpy as np
import torch
from _fashion_mnist import load
from _practitioner import Variational, train
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from skae import VariationalAutoencoder

N_DRAWS, N_TEST, ACTIVE = 20, 2000, 0.01


def strokes(n, rng, side=28, n_points=24):
    """Return images of a stroke on black with random position, direction, length, curvature and width, (n, side²)."""
    center, angle = rng.uniform(9, 19, (n, 2, 1)), rng.uniform(0, np.pi, (n, 1))
    length, bend, width = rng.uniform(5, 11, (n, 1)), rng.uniform(-0.25, 0.25, (n, 1)), rng.uniform(0.8, 1.6, (n, 1))
    t = np.linspace(-1, 1, n_points) * length  # (n, n_points)
    turned = angle + bend * t
    x, y = center[:, 0] + t * np.cos(turned), center[:, 1] + t * np.sin(turned)
    grid = np.arange(side)
    near_x = np.exp(-0.5 * np.square((grid - x[..., None]) / width[..., None]))  # (n, n_points, side)
    near_y = np.exp(-0.5 * np.square((grid - y[..., None]) / width[..., None]))
    image = np.einsum("npi,npj->nij", near_x, near_y).reshape(n, -1)
    return np.where(image > 0.05, image, 0).clip(0, 1).astype(np.float32)


def surface(n, rng, d=20):
    """Return points of a two-dimensional sphere in a rotated space, with noise of .05."""
    points = rng.standard_normal((n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    rotation = np.linalg.qr(np.random.RandomState(0).standard_normal((d, 3)))[0]
    return points @ rotation.T + 0.05 * rng.standard_normal((n, d))


def mixed_table(n, rng, d=30):
    """Return nonlinear functions of five latent variables, with noise of a tenth of their variance."""
    fixed = np.random.RandomState(1)
    z = rng.standard_normal((n, 5))
    hidden = np.tanh(z @ fixed.standard_normal((5, 40)) + fixed.standard_normal(40))
    table = hidden @ fixed.standard_normal((40, d))
    return table + math.sqrt(0.1) * table.std(axis=0) * rng.standard_normal((n, d))


def sets(seed):
    """Yield (name, training samples, test samples, number of components, whether they are images)."""
    rng = np.random.RandomState(seed)
    images, test_images = load("train"), load("t10k")[:N_TEST]
    for n in (1000, 3000, 10_000):
        yield f"Fashion-MNIST, {n}", images[rng.permutation(len(images))[:n]], test_images, 10, True
    yield "strokes, 3000", strokes(3000, rng), strokes(N_TEST, rng), 10, True
    digits = (load_digits().data / 16).astype(np.float32)[rng.permutation(1797)]
    yield "digits, 1400", digits[:1400], digits[1400:], 10, True
    for name, table, n, k in (
        ("breast_cancer, 450", load_breast_cancer().data, 450, 5),
        ("tanh table, 2000", mixed_table(4000, rng), 2000, 5),
        ("sphere, 2000", surface(4000, rng), 2000, 3),
    ):
        table = table[rng.permutation(len(table))]
        scaler = StandardScaler().fit(table[:n])
        yield name, *(scaler.transform(part).astype(np.float32) for part in (table[:n], table[n:])), k, False


def of_ours(X, test, k, seed):
    """Return results of the default, the best epoch and the number of epochs."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        vae = VariationalAutoencoder(k, random_state=seed).fit(X)
    seconds = time.perf_counter() - start
    one, many = (vae.log_likelihood(test, m, random_state=0).mean() for m in (1, N_DRAWS))
    return (one, many, vae.active_units_.sum(), vae.score(test), seconds), vae.best_epoch_, vae.n_iter_


@torch.no_grad()
def of_textbook(X, test, k, images, seconds, seed):
    """Return results of the textbook network, its learning rate and its number of epochs."""
    order = np.random.RandomState(seed).permutation(len(X))
    n_validation = min(len(X) // 5, 1000)
    with torch.enable_grad():
        trained = train(
            lambda: Variational(X.shape[1], k, images=images),
            X[order[n_validation:]],
            X[order[:n_validation]],
            seconds=seconds,
            seed=seed,
        )
    net, x = trained.module, torch.as_tensor(test)
    torch.manual_seed(0)
    one, total = net.bound(x).mean().item(), torch.full((len(x),), -math.inf)
    mean, log_variance = net.encoder(x).chunk(2, dim=1)
    for _ in range(N_DRAWS):
        noise = torch.randn_like(mean)
        code = mean + noise * (0.5 * log_variance).exp()
        log_ratio = 0.5 * (noise.square() + log_variance - code.square()).sum(dim=1)
        total = torch.logaddexp(total, net.log_likelihood(x, code) + log_ratio)
    active = net.encoder(torch.as_tensor(X)).chunk(2, dim=1)[0].var(dim=0) > ACTIVE
    many = (total - math.log(N_DRAWS)).mean().item()
    return (
        (one, many, active.sum().item(), r2_score(test, net(x), multioutput="variance_weighted"), trained.seconds),
        trained.rate,
        trained.n_epochs,
    )


def main(seeds):
    """Print the results of each seed, and their means."""
    torch.set_num_threads(1)
    figures = {}
    print(f"{'':20s}{'':12s}{'bound':>9s}{'weighted':>10s}{'active':>8s}{'R²':>7s}{'s':>7s}")

    def show(name, who, each, note=""):
        one, many, active, r2, seconds = np.mean(each, axis=0)
        print(f"{name:20s}{who:12s}{one:9.2f}{many:10.2f}{active:8.1f}{r2:7.3f}{seconds:7.1f}  {note}", flush=True)

    for seed in seeds:
        for name, X, test, k, images in sets(seed):
            ours, kept, run = of_ours(X, test, k, seed)
            theirs, rate, n_epochs = of_textbook(X, test, k, images, ours[-1], seed)
            figures.setdefault(name, []).append((ours, theirs))
            show(name, f"skae {seed}", [ours], f"epoch {kept} of {run}")
            show("", f"textbook {seed}", [theirs], f"rate {rate:g}, {n_epochs} epochs")
    print("Means over seeds")
    for name, of_seeds in figures.items():
        for who, each in zip((f"{name:20s}skae", f"{'':20s}textbook"), zip(*of_seeds, strict=True), strict=True):
            show(who[:20], who[20:], each)
