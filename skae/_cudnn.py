"""Temporary settings of cuDNN's flags for computations on a CUDA GPU."""

import contextlib
import os
import threading

import torch


class _Flag:
    """Flag of the process, which the first Python thread that enters sets, and the last that leaves restores.

    Parameters
    ----------
    name : str
        An attribute of `torch.backends.cudnn`.

    value : bool
        Value within the block.
    """

    def __init__(self, name, value):
        self.name, self.value, self.before = name, value, None
        self.lock, self.holders = threading.Lock(), set()

    def acquire(self, holder):
        """Add a holder, and set the flag."""
        with self.lock:
            if not self.holders:
                self.before = getattr(torch.backends.cudnn, self.name)
            self.holders.add(holder)
            setattr(torch.backends.cudnn, self.name, self.value)

    def release(self, holder):
        """Remove a holder, and restore the flag if there is no other. Repeated calls have no effect."""
        with self.lock:
            if holder in self.holders and len(self.holders) == 1:
                setattr(torch.backends.cudnn, self.name, self.before)
            self.holders.discard(holder)

    @contextlib.contextmanager
    def __call__(self, needed=True):
        """Context manager that sets the flag if it is needed."""
        if not needed or not torch.backends.cudnn.is_available():  # PyTorch was built without cuDNN
            yield
            return
        holder = object()
        try:
            self.acquire(holder)
            yield
        finally:
            try:
                self.release(holder)
            except KeyboardInterrupt:  # the first one; see `isolated_rng`
                self.release(holder)
                raise


# Makes training bit-identical from run to run. Without it, which is the case if no seed is set, some convolutions sum
# in a different order each time and are up to three times as fast.
repeatable = _Flag("deterministic", value=True)

# Allows differentiating twice, and in evaluation mode, which cuDNN's recurrent layers don't support.
differentiable = _Flag("enabled", value=False)


def _renew_locks():
    """Renew the locks in a forked child, which doesn't have the threads that held them."""
    for flag in (repeatable, differentiable):
        flag.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
