"""Wide tables with few samples: seconds and peak memory of a fit of each class, against what they may be.

    python docs/benchmarks/wide.py [--tables 200x4000 100x20000 100x20000-sparse ...] [--classes ...] [--timeout 120]

Made-up samples, default parameters (but 100 components of 400 x 50,000), one thread, each fit in a process of its own
after a small one, so that what is imported or loaded at first use does not count. 200 x 4,000 may take 15 s, the
others 30 s, and the peak may be 10 times X in float64 and 24 bytes for each weight of each network that is trained at
once. CPU seconds are those of the process, which other processes do not lengthen as much as they do those by the clock.
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
    """Rows, dense or with one cell of a hundred that is not zero."""
    n, d = map(int, name.removesuffix("-sparse").split("x"))
    if name.endswith("sparse"):
        return scipy.sparse.random_array((n, d), density=0.01, format="csr", rng=np.random.default_rng(0))
    return make_curved_data(n, d, 5).astype(np.float64)


def made(name, d, **more):
    """An estimator with default parameters, but for the shape of its samples."""
    import skae

    shapes = {
        "ConvolutionalAutoencoder": {"image_shape": (40, d // 40)},
        "LSTMAutoencoder": {"sequence_shape": (40, d // 40)},
    }
    return getattr(skae, name)(random_state=0, **shapes.get(name, {}), **more)


def measure(name, kind, answers):
    """Fit in this process, and send back seconds, peak and weights."""
    import torch

    from skae._training.net import AutoencoderNet

    torch.set_num_threads(1)
    made(name, 40).set_params(max_iter=1).fit(make_curved_data(40, 40, 5))
    n_networks, n_weights, train = [0], [0], AutoencoderNet.train

    def counted(net, *args, **kwargs):
        n_networks.append(len(net.ensemble_.members))
        n_weights.append(sum(weight.numel() for of_one in net.ensemble_.weights for weight in of_one.values()))
        return train(net, *args, **kwargs)

    AutoencoderNet.train = counted
    X = table(kind)
    more = {"n_components": COMPONENTS[kind]} if kind in COMPONENTS else {}
    estimator, start = made(name, X.shape[1], **more), time.process_time()
    with Peak("VmRSS") as peak:
        estimator.fit(X)
    may = (10 * 8 * X.shape[0] * X.shape[1] + 24 * max(n_weights)) / MB
    answers.put((peak.seconds, time.process_time() - start, peak.above, may, max(n_networks), estimator.best_epoch_))


def main():
    """Print a line for each class and table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", nargs="+", default=list(SECONDS), choices=SECONDS)
    parser.add_argument("--classes", nargs="+", default=CLASSES, choices=CLASSES)
    parser.add_argument("--timeout", type=float, default=120, help="seconds, after which a fit is ended")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for kind in arguments.tables:
        print(f"{kind}: {SECONDS[kind]} s", flush=True)
        for name in arguments.classes:
            answers = context.Queue()
            process = context.Process(target=measure, args=(name, kind, answers), daemon=True)
            process.start()
            process.join(arguments.timeout)
            if process.is_alive() or answers.empty():
                process.kill()
                print(f"  {name:25s} no answer in {arguments.timeout:.0f} s", flush=True)
                continue
            seconds, cpu, peak, may, n_networks, epoch = answers.get()
            late, large = ("too long" if cpu > SECONDS[kind] else "", "too much" if peak > may else "")
            print(
                f"  {name:25s}{seconds:6.1f} s{cpu:7.1f} s of CPU {late:9s}{peak:6.0f} of {may:4.0f} MB {large:9s}"
                f"{n_networks} networks, epoch {epoch}",
                flush=True,
            )


if __name__ == "__main__":
    main()
