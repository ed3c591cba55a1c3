"""Random numbers: seeds of estimators, and isolation of the global generators."""

import contextlib
import os
import random
import threading

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

_lock = threading.RLock()  # held by the thread that uses the global generators


def _renew_lock():
    global _lock  # a forked child doesn't have the thread that held it
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def local_rng(random_state):
    """Return `check_random_state(random_state)`, or a new generator instead of the global one if it is None."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


@contextlib.contextmanager
def isolated_rng(seed):
    """Context manager that seeds the global generators of PyTorch, NumPy and Python, and restores their states at exit.

    Layers draw their initial weights from PyTorch's global generator, and user-defined modules may use any of the
    three. Only one thread at a time can be within the block.

    Ctrl-C may raise KeyboardInterrupt between any two Python calls, here as well. The states are restored after a first
    interrupt, at the latest when the exception has been handled, since it may keep this block open until then. A second
    interrupt during the restoration may leave only some of them restored.
    """
    with _lock:
        state = read_global_rng()
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU's generator as well
            yield
        finally:
            try:
                write_global_rng(state)
            except KeyboardInterrupt:  # the first one
                write_global_rng(state)
                raise


def read_global_rng():
    """Return a copy of the states of the global generators of PyTorch, NumPy and Python."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "torch": torch.get_rng_state().numpy(),
    }


def write_global_rng(state):
    """Set the states of the global generators."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))  # states loaded from a file are lists
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(torch.from_numpy(state["torch"]))


def cloned(estimator, random_state):
    """Clone an estimator, and draw seeds for each `random_state` that is None, including nested estimators.

    Parameters
    ----------
    estimator : estimator

    random_state : int, RandomState instance or None
        If None, no seeds are drawn.

    Returns
    -------
    estimator : estimator
    """
    estimator = clone(estimator)
    if random_state is not None:
        set_seeds(estimator, check_random_state(random_state))
    return estimator


def set_seeds(estimator, rng):
    """Draw a seed for each `random_state` of an estimator and its nested estimators that is None."""
    values = sorted(estimator.get_params().items())
    unset = [name for name, value in values if name.split("__")[-1] == "random_state" and value is None]
    estimator.set_params(**{name: rng.randint(np.iinfo(np.int32).max) for name in unset})
