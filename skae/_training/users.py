"""A user's callbacks: as they are given, checked and copied."""

import copy
import dis

import torch
from skorch.callbacks import Callback, Checkpoint, LRScheduler
from skorch.exceptions import SkorchException

ELEMENTWISE = tuple(
    getattr(torch.optim, name)
    for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD")
)  # a weight's step depends on that weight's gradients alone, so that those of several networks can be taken at once


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


def refuse_monitors(callbacks):
    """Raise what skorch would raise after the first epoch of callbacks that monitor a validation set: there is none."""
    kinds = {Checkpoint: SkorchException, LRScheduler: ValueError, Callback: KeyError}
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or not monitor.startswith("valid_"):
            continue
        kind = next(kinds[of] for of in kinds if isinstance(callback, of))
        raise kind(
            f"Key '{monitor}' could not be found in history, for no samples are held out, and "
            f"{type(callback).__name__} monitors it. Let it monitor 'train_loss', or fit with a validation set."
        )


def is_a(callback, kind):
    """Whether a callback is of a kind, or a class of it."""
    return issubclass(callback, kind) if isinstance(callback, type) else isinstance(callback, kind)


def hears(callback, event):
    """Whether a callback does something at an event."""
    method = getattr(callback, event)  # of an object or of a class
    return getattr(method, "__func__", method) is not getattr(Callback, event)


def show_batches(callbacks):
    """Whether some of a user's callbacks look at batches or at gradients."""
    events = "on_batch_begin", "on_batch_end", "on_grad_computed"
    return any(hears(each, event) for _, each in named_callbacks(callbacks) if each is not None for event in events)


def is_raised_by_code(error):
    """Whether a `raise` statement raised it, and not Ctrl-C: skorch's callbacks end a training by KeyboardInterrupt."""
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"
