"""Number of threads of an operation: one if its matrix products are small, independent of the machine's load.

OpenMP threads synchronize at each product, and spin while they wait. If a product takes less than a millisecond, a
second unused core saves a quarter of the time of a fit, and busy cores make it take ten times as long or more.
`docs/benchmarks/threads.py` has the measurements.
"""

import contextlib
import ctypes
import functools
import os
import threading
from pathlib import Path

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

from skae._forks import is_forked

SMALL_PRODUCT = 2**25  # multiply-adds of the largest product of a step: up to a millisecond
SMALL_DECOMPOSITION = 2**28  # samples x features x components of a PCA

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def work_of_a_row(module, n_features):
    """Return the multiply-adds of the largest matrix product for one sample, over all layers of a module.

    Each weight is used once, except in a convolution, which uses it at each position. A recurrent layer computes one
    product per time step, and each counts separately.

    Parameters
    ----------
    module : AutoencoderModule

    n_features : int

    Returns
    -------
    work : int
    """
    convolutions = [layer for layer in module.modules() if isinstance(layer, CONVOLUTIONS + TRANSPOSED)]
    uses = _uses(module, n_features, convolutions) if convolutions else []
    products = [n * layer.weight.numel() for layer, n in uses]
    return max([*products, *(weight.numel() for weight in module.parameters())], default=0)


def work_of_all(module, n_features):
    """Return the multiply-adds of all layers of a module for one sample, counting each use of a weight.

    Parameters
    ----------
    module : AutoencoderModule

    n_features : int

    Returns
    -------
    work : int
    """
    layers = [layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False))]
    uses = _uses(module, n_features, layers)
    return sum(n * sum(weight.numel() for weight in layer.parameters(recurse=False)) for layer, n in uses)


def _uses(module, n_features, layers):
    """Return (layer, number of uses of each weight) for each call of one of the layers in a pass of one sample."""
    uses = []

    def count(layer, inputs, output):
        if isinstance(layer, TRANSPOSED + CONVOLUTIONS):
            n = (inputs[0] if isinstance(layer, TRANSPOSED) else output).shape[2:].numel()
        else:
            n = inputs[0].shape[:-1].numel()  # time steps
        uses.append((layer, n))

    hooks = [layer.register_forward_hook(count) for layer in layers]
    weight = next(module.parameters())
    try:
        with torch.inference_mode(), torch_threads(0):
            module(torch.zeros((1, n_features), dtype=weight.dtype, device=weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    return uses


@contextlib.contextmanager
def torch_threads(work):
    """Context manager that limits PyTorch to one thread if the largest product is small.

    In a forked child process PyTorch is always limited to one thread.

    Only the numbers of threads of the calling Python thread are set: OpenMP's, and that of the MKL within PyTorch,
    which applies if `torch.set_num_threads` was called. Other Python threads are unaffected.

    Parameters
    ----------
    work : int
        Multiply-adds of the largest product.
    """
    if work >= SMALL_PRODUCT and not is_forked():
        yield
        return
    torch.get_num_threads()  # initializes the numbers of this Python thread now, instead of within the block
    before = [(library, library.num_threads) for library in _libraries("openmp")]
    of_mkl = []

    def restore():
        for library, number in before:
            library.set_num_threads(number)
        for number in of_mkl:
            _mkl()(number)

    try:
        for library, _ in before:
            library.set_num_threads(1)
        if _mkl() is not None:
            of_mkl.extend(map(_mkl(), [1]))  # sets the number and returns the previous one in a single call
        yield
    finally:
        try:
            restore()
        except KeyboardInterrupt:  # the first one; see `isolated_rng`
            restore()
            raise


@contextlib.contextmanager
def blas_threads(work):
    """Context manager that limits the BLAS of NumPy and SciPy to one thread if the work is small.

    It does what `threadpool_limits` does. BLAS has one number of threads for the whole process: the first Python thread
    that enters sets it, and the last one that leaves restores it.

    Parameters
    ----------
    work : int
        Number of samples times features times components of the PCA.
    """
    if work >= SMALL_DECOMPOSITION:
        yield
        return
    holder = object()
    try:
        _limit.acquire(holder)
        yield
    finally:
        try:
            _limit.release(holder)
        except KeyboardInterrupt:
            _limit.release(holder)
            raise


class _Limit:
    """The limit of the number of BLAS threads, which applies while there are holders."""

    def __init__(self):
        self.lock, self.holders, self.before = threading.Lock(), set(), []

    def acquire(self, holder):
        """Add a holder, and set the limit."""
        with self.lock:
            self.holders.add(holder)
            if not self.before:
                self.before = [(library, library.num_threads) for library in _libraries("blas")]
            for library, _ in self.before:
                _set(library, 1)

    def release(self, holder):
        """Remove a holder, and lift the limit if there is no other. Repeated calls have no effect."""
        with self.lock:
            self.holders.discard(holder)
            if not self.holders:
                for library, number in self.before:
                    _set(library, number)
                self.before = []


def _set(library, number):
    """Set the number of threads of the process, even if threadpoolctl reserves that to another Python thread."""
    release = getattr(library, "clear_controlling_thread", dict)  # exists in threadpoolctl 3.8 and later
    release(force=True)
    library.set_num_threads(number)
    release(force=True)


_limit = _Limit()


def _renew_limit():
    """Reset the limit in a forked child, which doesn't have the threads that held it."""
    global _limit
    before, _limit = _limit.before, _Limit()
    for library, number in before:
        _set(library, number)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_limit)


@functools.cache
def _libraries(user_api):
    """Return the loaded libraries of a kind that threadpoolctl finds."""
    return ThreadpoolController().select(user_api=user_api).lib_controllers


@functools.cache
def _mkl():
    """Return the function that sets the number of threads of PyTorch's MKL for this Python thread, or None."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return library.MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):
        return None
