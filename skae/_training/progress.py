"""Epochs as scikit-learn's callbacks and the progress bar see them."""

import time

import numpy as np
from tqdm import tqdm

from skae._training.callbacks import OwnCallback
from skae._training.distributed import is_main_process
from skae._training.labels import represented

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:
        """Nothing to support."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "with_callbacks"]


LONG = 5.0  # seconds


class FitProgress(OwnCallback):
    """Reports a fit to scikit-learn's callbacks, and its epochs to them and to a progress bar if it is verbose.

    A context: it begins with the fit and ends when the estimator is fitted.

    Parameters
    ----------
    estimator : estimator

    X, y : object
        What it is fitted to. Callbacks that score want a y: without one it is X, which an autoencoder is to give back.

    n_epochs : int
        The most there will be, over all trainings.

    attributes_of : callable
        From a module to the attributes of an estimator that is fitted with it.
    """

    total = None  # mean square of the samples that judge the epochs, if one minus the loss over it is R²
    start = None  # mean loss of these samples at epoch 0

    def __init__(self, estimator, X, y, n_epochs, attributes_of):
        self.estimator, self.n_epochs, self.attributes_of = estimator, n_epochs, attributes_of
        self.data = {"estimator": estimator, "X": X, "y": X if y is None else y}
        self.context = None

    def __enter__(self):
        if hasattr(self.estimator, "_skl_callbacks"):
            self.context = self.estimator._init_callback_context(max_subtasks=self.n_epochs)
            self.context.call_on_fit_task_begin(**self.data)
        self.name, self.speaks = type(self.estimator).__name__, bool(self.estimator.verbose and is_main_process())
        self.bar = tqdm(total=self.n_epochs, desc=self.name, unit="epoch", disable=not self.speaks)
        self.told = time.monotonic()
        return self

    def say(self, what):
        """Print something, if the fit is verbose."""
        if self.speaks:
            self.bar.write(f"{self.name}: {what}")

    def judges(self, total):
        """Say what R² is measured by: the mean square of the samples that judge the epochs."""
        self.total = total

    def _shown(self, loss):
        """A mean loss of the samples that judge the epochs, as who watches wants it."""
        return f"R² {1 - loss / self.total:.3f}" if self.total else f"loss {loss:.4g}"

    def selected(self, epoch, n_epochs, loss, start, name):
        """Say what a training came to.

        Parameters
        ----------
        epoch, n_epochs : int
            That was selected, 0 for the start, and how many were run.

        loss, start : float
            Mean losses of the validation set after that epoch, and before the first.

        name : str
            Of what training starts at.
        """
        if epoch:
            text = f"selected epoch {epoch} of {n_epochs}: {self._shown(loss)} on the validation set ({name}: "
            self.say(f"{text}{self._shown(start)}).")
        else:
            text = f"none of {n_epochs} epochs is a significant improvement on {name}, which is kept: "
            self.say(f"{text}{self._shown(start)} on the validation set.")

    def on_train_begin(self, net, **kwargs):
        """Count epochs that were run before."""
        self.bar.update(len(net.history) - self.bar.n)
        if self.speaks and net.held_out_losses_ is not None:
            losses = zip(net.labels, net.held_out_losses_[..., -1], strict=False)
            self.start = np.mean([of_one for label, of_one in losses if represented(label) == ""])

    def on_epoch_begin(self, net, **kwargs):
        """Begin an epoch."""
        if self.bar.n == 0:
            self.bar.unpause()  # what torch does before its first step is no part of an epoch
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name="epoch").call_on_fit_task_begin(**self.data)

    def on_batch_end(self, net, training=False, **kwargs):
        """Say how far an epoch is that takes long."""
        if self.speaks and training and time.monotonic() > self.told + LONG:
            self.told = time.monotonic()
            self.bar.set_postfix_str(f"{net.steps_done_} of {net.n_steps_} steps")

    def on_epoch_end(self, net, **kwargs):
        """Report an epoch; a callback may ask to stop."""
        if self.speaks:
            losses = net.history[-1]
            shown = self._shown(losses.get("valid_loss", losses["train_loss"]))
            beside = "" if self.start is None else f" (start: {self._shown(self.start)})"
            self.bar.set_postfix_str(shown + beside, refresh=False)
        self.told = time.monotonic()
        self.bar.update()
        if self.context is None:
            return
        stops = self.epoch.call_on_fit_task_end(
            **self.data, reconstruction_attributes=lambda: self.attributes_of(net.module_)
        )
        net.stops_ = net.stops_ or bool(stops)

    def __exit__(self, exception, *_):
        self.bar.close()
        if self.context is not None and exception is None:
            self.context.call_on_fit_task_end(**self.data, reconstruction_attributes=lambda: dict(vars(self.estimator)))
