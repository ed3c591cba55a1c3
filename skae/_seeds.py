"""Where random numbers come from: seeds of estimators, and global generators that are left as they were."""

import contextlib
import os
import random
import threading

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

_turns = threading.RLock()  # who has the global generators to itself


def _renew_turns():
    global _turns  # a thread that held it is not there in a forked child
    _turns = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turns)


def local_rng(random_state):
    """Return scikit-learn's `check_random_state`, but of None a fresh generator: the global one is left alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


@contextlib.contextmanager
def isolated_rng(seed):
    """Seed the global generators of torch, numpy and Python for a while, and put them back as they were.

    Layers draw their first weights from torch's global generator, and modules of a user's own from whichever they like.
    Threads take turns.

    Ctrl-C raises KeyboardInterrupt between any two calls of Python, also in here. After the first one they are as they
    were once the exception has been dealt with: it may hold this block open until then. A second one that comes while
    they are put back may leave them in between.
    """
    with _turns:
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
    """Copy the state of the global generators of torch, numpy and Python."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "torch": torch.get_rng_state().numpy(),
    }


def write_global_rng(state):
    """Put the global generators back."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))  # a file has lists
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(torch.from_numpy(state["torch"]))


def cloned(estimator, random_state):
    """Clone an estimator, with seeds drawn where it, or one within it, has a `random_state` of None.

    Parameters
    ----------
    estimator : estimator

    random_state : int, RandomState instance or None
        None leaves them as they are.

    Returns
    -------
    estimator : estimator
    """
    estimator = clone(estimator)
    if random_state is not None:
        set_seeds(estimator, check_random_state(random_state))
    return estimator


def set_seeds(estimator, rng):
    """Draw a seed wherever an estimator, or one within it, has a `random_state` of None."""
    values = sorted(estimator.get_params().items())
    unset = [name for name, value in values if name.split("__")[-1] == "random_state" and value is None]
    estimator.set_params(**{name: rng.randint(np.iinfo(np.int32).max) for name in unset})
