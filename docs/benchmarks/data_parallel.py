"""Distributed training on two processes: difference from a single process, and time of an epoch.

    python docs/benchmarks/data_parallel.py [equal] [time]

equal: digits, 301 samples and all, default parameters except the number of components. Prints the largest difference of
  a weight between training with two processes and with one, in float64, where rounding can't hide another difference.
  For float32 it prints the largest and the median difference of a weight, the largest of a reconstruction (in standard
  deviations of the data), and that of R². Both processes must end with bit-identical results.
time: an epoch on synthetic samples of 784 features, with one thread per process; medians over rounds in which two
  processes and one alternate. The more a step computes for each weight that is sent, the more there is to gain. The
  processor time of the first process, including the threads that send, shows the gain on a machine with busy cores.

Both processes run on this machine, over gloo and the loopback device; two free cores are needed.
"""

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from torch import distributed, multiprocessing

from skae import Autoencoder, DenoisingAutoencoder, SparseAutoencoder, VariationalAutoencoder, _core
from skae._data.readers import ScaledReader
from skae._training import train as train_module
from skae._training.make import make_net
from skae.architectures import Convolutional

ROUNDS = 3
EPOCHS = []  # wall-clock and processor seconds of each epoch


class Watch(Callback):
    """Record the duration of each epoch."""

    def on_epoch_begin(self, net, **kwargs):  # noqa: ARG002
        """Record the start of the epoch."""
        self.start_ = time.perf_counter(), time.process_time()

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002
        """Record the duration of the epoch."""
        EPOCHS.append((time.perf_counter() - self.start_[0], time.process_time() - self.start_[1]))


def join(rank, folder, name):
    """Join a group of two processes, initialized through a file of this name."""
    file = Path(folder, name).as_uri()
    distributed.init_process_group("gloo", init_method=file, rank=rank, world_size=2)


def differences(rank, folder):
    """Compare the results of two processes with those of one."""
    torch.set_num_threads(1)
    digits = load_digits().data
    estimators = {
        "Autoencoder": Autoencoder(8, random_state=0),
        "ordered": Autoencoder(8, ordered=True, random_state=0),
        "denoising": DenoisingAutoencoder(8, random_state=0),
        "variational": VariationalAutoencoder(8, random_state=0),
        "sparse": SparseAutoencoder(32, random_state=0),
    }
    join(rank, folder, "equal")
    for name, estimator in estimators.items():
        for X in (digits[:301], digits):
            exact = weights_in_float64(estimator, X)
            shared = clone(estimator).fit(X)
            weights, images, score = shared._weights, shared.reconstruct(X), shared.score(X)
            everyone = [None, None]
            distributed.all_gather_object(everyone, [value.tobytes() for value in (*weights.values(), images)])
            if everyone[0] != everyone[1]:
                raise SystemExit(f"{name}: the results of the processes are not bit-identical")
            if rank == 0:
                with alone():
                    exactly = apart(exact, weights_in_float64(estimator, X)).max(initial=0)
                    one = clone(estimator).fit(X)
                off = apart(weights, one._weights)
                image, r2 = np.abs(images - one.reconstruct(X)).max() / X.std(), score - one.score(X)
                print(
                    f"{name:12} {len(X):5} samples, epoch {one.best_epoch_:2}: float64 {exactly:.0e}; "
                    f"float32 {off.max():.0e}, median {np.median(off):.0e}, reconstructions {image:.0e}, R² {r2:+.0e}",
                    flush=True,
                )
            distributed.barrier()
    distributed.destroy_process_group()


def apart(weights, others):
    """Return the absolute differences between two sets of weights."""
    return np.concatenate([np.abs(weights[name] - others[name]).ravel() for name in weights])


def weights_in_float64(estimator, X):
    """Return the weights at the end of training in float64; the rest of the fit is skipped."""
    found, train, on_device = {}, _core.train, ScaledReader.on_device

    def doubled(members, **settings):
        return make_net([member.double() for member in members], **settings)

    def enough(*args, **kwargs):
        module = train(*args, **kwargs).module
        found.update({name: weight.detach().numpy().copy() for name, weight in module.named_parameters()})
        raise StopIteration

    train_module.make_net, _core.train = doubled, enough
    ScaledReader.on_device = lambda rows, device: on_device(rows, device).double()
    try:
        clone(estimator).fit(X)
    except StopIteration:
        return found
    finally:
        train_module.make_net, ScaledReader.on_device, _core.train = make_net, on_device, train


@contextlib.contextmanager
def alone():
    """Hide the process group, while the other process waits."""
    is_initialized, distributed.is_initialized = distributed.is_initialized, lambda: False
    try:
        yield
    finally:
        distributed.is_initialized = is_initialized


def times(rank, folder):
    """Time epochs, including the validation set, with two processes and with one alternately."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = np.tanh(rng.standard_normal((16384, 30), np.float32) @ rng.standard_normal((30, 784), np.float32))
    nets = {  # name: samples, batch size, the rest
        "convolutional and pooled, batches of 256": (
            2048,
            256,
            {"architecture": Convolutional(downsampling="max_pool")},
        ),
        "784-2048-1024-64, batches of 4,096": (16384, 4096, {"hidden_layer_sizes": (2048, 1024)}),
        "784-2048-1024-64, batches of 1,024": (8192, 1024, {"hidden_layer_sizes": (2048, 1024)}),
        "784-256-128-64, batches of 256": (8192, 256, {"hidden_layer_sizes": (256, 128)}),
    }
    for place, (name, (n, batch_size, params)) in enumerate(nets.items()):
        params |= {"max_iter": 2, "learning_rate": 1e-3, "early_stopping": False, "random_state": 0}
        estimator = Autoencoder(64, batch_size=batch_size, callbacks=[Watch], **params)
        by_two, by_one = [], []
        for i in range(ROUNDS):
            join(rank, folder, f"{place} {i}")
            EPOCHS.clear()
            estimator.fit(X[:n])
            by_two += EPOCHS
            if rank == 0:
                EPOCHS.clear()
                with alone():
                    estimator.fit(X[:n])
                by_one += EPOCHS
            distributed.barrier()
            distributed.destroy_process_group()
        if rank == 0:
            (wall, cpu), (wall_of_one, cpu_of_one) = np.median(by_two, axis=0), np.median(by_one, axis=0)
            print(
                f"{name}: seconds per epoch with one process {wall_of_one:.2f}, with two {wall:.2f}, ratio "
                f"{wall / wall_of_one:.2f}; processor time {cpu_of_one:.2f} s and {cpu:.2f} s, ratio "
                f"{cpu / cpu_of_one:.2f}; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    parts = {"equal": differences, "time": times}
    for part in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            multiprocessing.spawn(parts[part], (folder,), nprocs=2)
