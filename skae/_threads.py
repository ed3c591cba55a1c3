"""How many threads an operation takes: one where its products are small. Sizes decide, never the load of the machine.

OpenMP's threads wait for each other at each product, and spin while they wait. Where a product takes less than a
millisecond, two idle cores save a quarter of a fit by that, and busy ones make it take ten times as long and more.
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
    """Multiply-adds of the largest product that one sample takes, in any layer of a module.

    A weight is used once, but by a convolution, which uses it at each position. A recurrent layer has a product for
    each step of time, which counts by itself.

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
    """Multiply-adds of all layers of a module for one sample: each weight as often as it is used.

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
    """Return (layer, how often it uses each weight) for each time that one sample passes one of some layers."""
    uses = []

    def count(layer, inputs, output):
        if isinstance(layer, TRANSPOSED + CONVOLUTIONS):
            n = (inputs[0] if isinstance(layer, TRANSPOSED) else output).shape[2:].numel()
        else:
            n = inputs[0].shape[:-1].numel()  # steps of time
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
    """Within, torch takes one thread of this Python thread's if a product is small; else it takes as many as it would.

    In a forked child it always takes one.

    Only this Python thread's numbers are set, so that threads beside it keep theirs: OpenMP's, and that of the MKL
    within torch, which counts where `torch.set_num_threads` was called.

    Parameters
    ----------
    work : int
        Multiply-adds of the largest product.
    """
    if work >= SMALL_PRODUCT and not is_forked():
        yield
        return
    torch.get_num_threads()  # sets the numbers of a Python thread that is new to torch: now, and not within
    before = [(library, library.num_threads) for library in _libraries("openmp")]
    of_mkl = []

    def put_back():
        for library, number in before:
            library.set_num_threads(number)
        for number in of_mkl:
            _mkl()(number)

    try:
        for library, _ in before:
            library.set_num_threads(1)
        if _mkl() is not None:
            of_mkl.extend(map(_mkl(), [1]))  # which returns the number before: set and kept in one go
        yield
    finally:
        try:
            put_back()
        except KeyboardInterrupt:  # the first one; see `isolated_rng`
            put_back()
            raise


@contextlib.contextmanager
def blas_threads(work):
    """Within, numpy's and scipy's BLAS takes one thread if what it does is small, as `threadpool_limits` does it.

    BLAS has one number for the whole process. So the first Python thread that comes in sets it, and the last one that
    leaves puts it back.

    Parameters
    ----------
    work : int
        Samples x features x components of the PCA.
    """
    if work >= SMALL_DECOMPOSITION:
        yield
        return
    holder = object()
    try:
        _limit.take(holder)
        yield
    finally:
        try:
            _limit.give_back(holder)
        except KeyboardInterrupt:
            _limit.give_back(holder)
            raise


class _Limit:
    """The limit of BLAS, which is there while somebody holds it."""

    def __init__(self):
        self.turns, self.holders, self.before = threading.Lock(), set(), []

    def take(self, holder):
        """Set the limit if nobody holds it."""
        with self.turns:
            self.holders.add(holder)
            if not self.before:
                self.before = [(library, library.num_threads) for library in _libraries("blas")]
            for library, _ in self.before:
                _set(library, 1)

    def give_back(self, holder):
        """Lift the limit if nobody else holds it. Calling it again does no harm."""
        with self.turns:
            self.holders.discard(holder)
            if not self.holders:
                for library, number in self.before:
                    _set(library, number)
                self.before = []


def _set(library, number):
    """Set a number of the whole process, also where threadpoolctl lets another Python thread alone do so."""
    let_anyone = getattr(library, "clear_controlling_thread", dict)  # of threadpoolctl 3.8 and later
    let_anyone(force=True)
    library.set_num_threads(number)
    let_anyone(force=True)


_limit = _Limit()


def _renew_limit():
    """The threads that held the limit are not there in a forked child."""
    global _limit
    before, _limit = _limit.before, _Limit()
    for library, number in before:
        _set(library, number)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_limit)


@functools.cache
def _libraries(user_api):
    """The loaded libraries of a kind, as threadpoolctl finds them."""
    return ThreadpoolController().select(user_api=user_api).lib_controllers


@functools.cache
def _mkl():
    """What sets the number of threads of the MKL that torch holds, for this Python thread; None if there is none."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return library.MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):
        return None
