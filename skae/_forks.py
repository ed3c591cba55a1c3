"""Detection of a fork of the process after this package was imported."""

import os

_forked = False


def is_forked() -> bool:
    """Return whether the process was forked: it then has no OpenMP threads, and operations that need them hang."""
    return _forked


def _mark_forked():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)
