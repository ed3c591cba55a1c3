"""Whether this process was forked from one that had imported this package."""

import os

_forked = False


def is_forked() -> bool:
    """Return whether it was: OpenMP's threads are not there then, and a product that waits for them never ends."""
    return _forked


def _note_fork():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
