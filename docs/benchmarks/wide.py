"""Wide tables with few samples: time and peak memory of a fit of each class, compared with limits.

    python docs/benchmarks/wide.py [--tables 200x4000 100x20000 100x20000-sparse ...] [--classes ...] [--timeout 120]

Synthetic samples, default parameters (except 100 components for 400 x 50,000), one thread, each fit in a separate
process after a warm-up fit. The limit is 15 s for 200 x 4,000 and 30 s for the others; the limit of the peak memory is
10 times X in float64 plus 24 bytes for each weight of each network that is trained simultaneously. CPU seconds are
those of the process, which other processes affect less than wall-clock time.
"""

import argparse
import multiprocessing
import time

import numpy as np
import scipy.sparse
from _measure import Peak, make_curved_data

SECONDS = {"200x4000": 15, "100x20000": 30, "100x20000-sparse": 30, "600x20000": 30, "400x50000-sparse": 30}
COMPONENTS = {"400x50000-sparse": 100}
CLASSES = (
    *("Autoencoder", "SparseAutoencoder", "DenoisingAutoencoder", "ContractiveAutoencoder", "VariationalAutoencoder"),
    *("ConvolutionalAutoencoder", "LSTMAutoencoder", "StackedAutoencoder"),
)
MB = 1e6


def table(name):
    """Return samples, dense or sparse with a density of 1 %."""
    n, d = map(int, name.removesuffix("-sparse").split("x"))
    if name.endswith("sparse"):
        return scipy.sparse.random_array((n, d), density=0.01, format="csr", rng=np.random.default_rng(0))
    return make_curved_data(n, d, 5).astype(np.float64)


def make(name, d, **more):
    """Return an estimator with default parameters except the shape of its samples."""
    import skae

    shapes = {
        "ConvolutionalAutoencoder": {"image_shape": (40, d // 40)},
        "LSTMAutoencoder": {"sequence_shape": (40, d // 40)},
    }
    return getattr(skae, name)(random_state=0, **shapes.get(name, {}), **more)


def measure(name, kind, results):
    """Fit in this process, and send seconds, peak memory, its limit and the number of networks."""
    import torch

    from skae._training.net import AutoencoderNet

    torch.set_num_threads(1)
    make(name, 40).set_params(max_iter=1).fit(make_curved_data(40, 40, 5))
    n_networks, n_weights, train = [0], [0], AutoencoderNet.train

    def counted(net, *args, **kwargs):
        n_networks.append(len(net.ensemble_.members))
        n_weights.append(sum(weight.numel() for of_one in net.ensemble_.weights for weight in of_one.values()))
        return train(net, *args, **kwargs)

    AutoencoderNet.train = counted
    X = table(kind)
    more = {"n_components": COMPONENTS[kind]} if kind in COMPONENTS else {}
    estimator, start = make(name, X.shape[1], **more), time.process_time()
    with Peak("VmRSS") as peak:
        estimator.fit(X)
    limit = (10 * 8 * X.shape[0] * X.shape[1] + 24 * max(n_weights)) / MB
    results.put((peak.seconds, time.process_time() - start, peak.above, limit, max(n_networks), estimator.best_epoch_))


def main():
    """Print a line for each class and table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", nargs="+", default=list(SECONDS), choices=SECONDS)
    parser.add_argument("--classes", nargs="+", default=CLASSES, choices=CLASSES)
    parser.add_argument("--timeout", type=float, default=120, help="seconds after which a fit is stopped")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for kind in arguments.tables:
        print(f"{kind}: {SECONDS[kind]} s", flush=True)
        for name in arguments.classes:
            results = context.Queue()
            process = context.Process(target=measure, args=(name, kind, results), daemon=True)
            process.start()
            process.join(arguments.timeout)
            if process.is_alive() or results.empty():
                process.kill()
                print(f"  {name:25s} no result in {arguments.timeout:.0f} s", flush=True)
                continue
            seconds, cpu, peak, limit, n_networks, epoch = results.get()
            late, large = ("too slow" if cpu > SECONDS[kind] else "", "too much" if peak > limit else "")
            print(
                f"  {name:25s}{seconds:6.1f} s{cpu:7.1f} s of CPU {late:9s}{peak:6.0f} of {limit:4.0f} MB {large:9s}"
                f"{n_networks} networks, epoch {epoch}",
                flush=True,
            )


if __name__ == "__main__":
    main()
