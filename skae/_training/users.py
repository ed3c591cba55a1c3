"""A user's callbacks: as they are given, checked and copied."""

import copy

from skorch.callbacks import Callback


def named_callbacks(callbacks):
    """Return (name, callback) for each of a user's callbacks."""
    pairs = [item if isinstance(item, tuple | list) else (None, item) for item in callbacks or ()]
    return [(name or getattr(each, "__name__", type(each).__name__), each) for name, each in pairs]


def check_callbacks(callbacks):
    """Refuse what is no callback of skorch's."""
    for item in callbacks or ():
        named = isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str)
        callback = item[1] if named else item
        is_class = isinstance(callback, type) and issubclass(callback, Callback)
        if not (is_class or isinstance(callback, Callback) or (named and callback is None)):
            raise TypeError(
                f"callbacks={callbacks!r} must hold callbacks of skorch's, classes of them, or pairs (name, callback), "
                f"got {item!r}. Derive your own from skorch.callbacks.Callback; scikit-learn's go to set_callbacks."
            )


def copy_callbacks(callbacks):
    """Copy a user's callbacks, so that each fit has new ones."""
    return None if callbacks is None else copy.deepcopy(list(callbacks))
