"""cuDNN's flags, which computations on a CUDA GPU go by: set for a while, and put back."""

import contextlib
import os
import threading

import torch


class _Flag:
    """A flag of the whole process: the first Python thread that comes in sets it, the last that leaves puts it back.

    Parameters
    ----------
    name : str
        An attribute of `torch.backends.cudnn`.

    value : bool
        What it is within.
    """

    def __init__(self, name, value):
        self.name, self.value, self.before = name, value, None
        self.turns, self.holders = threading.Lock(), set()

    def take(self, holder):
        """Set the flag."""
        with self.turns:
            if not self.holders:
                self.before = getattr(torch.backends.cudnn, self.name)
            self.holders.add(holder)
            setattr(torch.backends.cudnn, self.name, self.value)

    def give_back(self, holder):
        """Put it back if nobody else holds it. Calling it again does no harm."""
        with self.turns:
            if holder in self.holders and len(self.holders) == 1:
                setattr(torch.backends.cudnn, self.name, self.before)
            self.holders.discard(holder)

    @contextlib.contextmanager
    def __call__(self, needed=True):
        """Set it within, if it is needed."""
        if not needed or not torch.backends.cudnn.is_available():  # torch was built without it
            yield
            return
        holder = object()
        try:
            self.take(holder)
            yield
        finally:
            try:
                self.give_back(holder)
            except KeyboardInterrupt:  # the first one; see `isolated_rng`
                self.give_back(holder)
                raise


# Within, training gives the same bits again: some convolutions are up to three times as fast if they may add up in
# another order each time, which is what a user gets who gives no seed
repeatable = _Flag("deterministic", value=True)

# Within, what is computed can be differentiated twice, and outside of training: cuDNN's recurrent layers can't
differentiable = _Flag("enabled", value=False)


def _renew_turns():
    """The threads that held a lock are not there in a forked child."""
    for flag in (repeatable, differentiable):
        flag.turns = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turns)
