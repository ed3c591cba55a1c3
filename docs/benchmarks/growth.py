"""How the time of a fit grows with samples, features and components.

    python docs/benchmarks/growth.py [--repeats 3] [--picture docs/images/growth.png]

Synthetic float32 samples near a curved surface, 2 epochs, other parameters default, so that a fit includes validation
of X, feature statistics, initialization, and the rotation of the codes to their axes. Samples: 30 features,
8 components. Features: 5,000 samples, 8 components. Components: 5,000 samples, 784 features. Prints medians of the
repeats and the slope of a line fitted to the logarithms; a slope of 1 is linear growth. `--picture` saves a plot.
"""

import argparse
import time

import numpy as np
from _measure import make_curved_data

from skae import Autoencoder

ROWS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
FEATURES = (10, 30, 100, 300, 1_000, 3_000, 10_000)
COMPONENTS = (2, 8, 32, 128, 512)


def seconds(n, d, k, repeats):
    """Return the median duration of a fit in seconds."""
    X, times = make_curved_data(n, d, min(k, 8)), []
    for seed in range(repeats):
        start = time.perf_counter()
        Autoencoder(k, max_iter=2, random_state=seed).fit(X)
        times.append(time.perf_counter() - start)
    return np.median(times)


def main():
    """Measure, print, and plot if requested."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--picture")
    args = parser.parse_args()
    seconds(2_000, 10, 2, 1)
    series = {
        "samples": (ROWS, [seconds(n, 30, 8, args.repeats) for n in ROWS]),
        "features": (FEATURES, [seconds(5_000, d, 8, args.repeats) for d in FEATURES]),
        "components": (COMPONENTS, [seconds(5_000, 784, k, args.repeats) for k in COMPONENTS]),
    }
    slopes = {}
    for name, (sizes, times) in series.items():
        slopes[name] = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        last = np.polyfit(np.log(sizes[-3:]), np.log(times[-3:]), 1)[0]
        print(f"{name}: slope {slopes[name]:.2f}, of the last three {last:.2f}")
        for size, spent in zip(sizes, times, strict=True):
            print(f"  {size:9,d}  {spent:8.2f} s  {1e6 * spent / size:10.2f} s per million {name}")
    many = np.array([spent / n for n, spent in zip(*series["samples"], strict=True) if n >= 10_000])
    low, high = many.min(), many.max()
    print(f"per sample, from 10,000 to 1,000,000: {low:.3g} to {high:.3g} s, ratio {high / low:.2f}")
    if args.picture:
        draw(series, slopes, args.picture)


def draw(series, slopes, path):
    """Plot the three curves."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", sharey=True)
    for ax, (name, (sizes, times)) in zip(axes, series.items(), strict=True):
        ax.loglog(sizes, times, "o-", color="#1f5fa8")
        ax.set(xlabel=name, title=f"slope {slopes[name]:.2f}")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("seconds per fit, 2 epochs")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
