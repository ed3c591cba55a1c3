"""Checks and copies of the user's callbacks."""

import copy
import dis

import torch
from skorch.callbacks import Callback, Checkpoint, LRScheduler
from skorch.exceptions import SkorchException

ELEMENTWISE = tuple(
    getattr(torch.optim, name)
    for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD")
)  # the step of a weight depends on its own gradients only, so that several networks can be batched


def named_callbacks(callbacks):
    """Return (name, callback) for each callback of the user."""
    pairs = [item if isinstance(item, tuple | list) else (None, item) for item in callbacks or ()]
    return [(name or getattr(each, "__name__", type(each).__name__), each) for name, each in pairs]


def check_callbacks(callbacks):
    """Raise an error for objects that are not callbacks of skorch."""
    for item in callbacks or ():
        named = isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str)
        callback = item[1] if named else item
        is_class = isinstance(callback, type) and issubclass(callback, Callback)
        if not (is_class or isinstance(callback, Callback) or (named and callback is None)):
            raise TypeError(
                f"callbacks={callbacks!r} must contain skorch callbacks, classes of them, or pairs (name, callback), "
                f"got {item!r}. Derive yours from skorch.callbacks.Callback; pass scikit-learn's to set_callbacks."
            )


def copy_callbacks(callbacks):
    """Copy the user's callbacks, so that each fit has new ones."""
    return None if callbacks is None else copy.deepcopy(list(callbacks))


def check_monitors(callbacks):
    """Raise the error that skorch raises after one epoch if callbacks monitor a validation set that does not exist."""
    kinds = {Checkpoint: SkorchException, LRScheduler: ValueError, Callback: KeyError}
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or not monitor.startswith("valid_"):
            continue
        kind = next(kinds[of] for of in kinds if isinstance(callback, of))
        raise kind(
            f"Key '{monitor}' could not be found in history: there is no validation set, but "
            f"{type(callback).__name__} monitors it. Set monitor='train_loss', or fit with a validation set."
        )


def is_a(callback, kind):
    """Whether a callback is an instance or a subclass of a class."""
    return issubclass(callback, kind) if isinstance(callback, type) else isinstance(callback, kind)


def handles_event(callback, event):
    """Whether a callback handles an event."""
    method = getattr(callback, event)  # of an object or of a class
    return getattr(method, "__func__", method) is not getattr(Callback, event)


def show_batches(callbacks):
    """Whether callbacks of the user handle batches or gradients."""
    events = "on_batch_begin", "on_batch_end", "on_grad_computed"
    return any(
        handles_event(each, event) for _, each in named_callbacks(callbacks) if each is not None for event in events
    )


def is_raised_by_code(error):
    """Whether an error comes from a `raise` statement, as in skorch callbacks that end training, not from Ctrl-C."""
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"
