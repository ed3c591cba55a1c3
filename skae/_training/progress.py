"""Reports of epochs to scikit-learn's callbacks and the progress bar."""

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
        """Fallback without callbacks."""

    def with_callbacks(method):
        """Return the method unchanged."""
        return method


__all__ = ["CallbackSupportMixin", "with_callbacks"]


LONG = 5.0  # seconds between updates within an epoch


class FitProgress(OwnCallback):
    """Reports a fit and its epochs to scikit-learn's callbacks, and to a progress bar if the fit is verbose.

    It is used as a context manager around the fit.

    Parameters
    ----------
    estimator : estimator

    X, y : object
        Training data. Scoring callbacks need a y: if it is None, they get X, which an autoencoder reconstructs.

    n_epochs : int
        Maximum number of epochs, over all trainings.

    attributes_of : callable
        Function that returns the fitted attributes of the estimator for a module.
    """

    total = None  # mean square of the validation samples, if R² is 1 - loss / total
    start = None  # mean validation loss at epoch 0

    def __init__(self, estimator, X, y, n_epochs, attributes_of):
        self.estimator, self.n_epochs, self.attributes_of = estimator, n_epochs, attributes_of
        self.data = {"estimator": estimator, "X": X, "y": X if y is None else y}
        self.context = None

    def __enter__(self):
        if hasattr(self.estimator, "_skl_callbacks"):
            self.context = self.estimator._init_callback_context(max_subtasks=self.n_epochs)
            self.context.call_on_fit_task_begin(**self.data)
        self.name, self.is_shown = type(self.estimator).__name__, bool(self.estimator.verbose and is_main_process())
        self.bar = tqdm(total=self.n_epochs, desc=self.name, unit="epoch", disable=not self.is_shown)
        self.last_update = time.monotonic()
        return self

    def write(self, what):
        """Print a message, if the fit is verbose."""
        if self.is_shown:
            self.bar.write(f"{self.name}: {what}")

    def set_r2_reference(self, total):
        """Set the denominator of R²: the mean square of the validation samples."""
        self.total = total

    def _shown(self, loss):
        """Format a mean validation loss, as R² if possible."""
        return f"R² {1 - loss / self.total:.3f}" if self.total else f"loss {loss:.4g}"

    def selected(self, epoch, n_epochs, loss, start, name):
        """Print the result of a training.

        Parameters
        ----------
        epoch, n_epochs : int
            Selected epoch, 0 for the initial network, and number of epochs.

        loss, start : float
            Mean validation losses after that epoch, and before the first epoch.

        name : str
            Name of the initial solution.
        """
        if epoch:
            text = f"selected epoch {epoch} of {n_epochs}: {self._shown(loss)} on the validation set ({name}: "
            self.write(f"{text}{self._shown(start)}).")
        else:
            text = f"none of {n_epochs} epochs is a significant improvement on {name}, which is kept: "
            self.write(f"{text}{self._shown(start)} on the validation set.")

    def on_train_begin(self, net, **kwargs):
        """Include epochs of an earlier run in the progress bar."""
        self.bar.update(len(net.history) - self.bar.n)
        if self.is_shown and net.held_out_losses_ is not None:
            losses = zip(net.labels, net.held_out_losses_[..., -1], strict=False)
            self.start = np.mean([of_one for label, of_one in losses if represented(label) == ""])

    def on_epoch_begin(self, net, **kwargs):
        """Begin an epoch."""
        if self.bar.n == 0:
            self.bar.unpause()  # excludes the initialization of torch from the time per epoch
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name="epoch").call_on_fit_task_begin(**self.data)

    def on_batch_end(self, net, training=False, **kwargs):
        """Show the progress of long epochs."""
        if self.is_shown and training and time.monotonic() > self.last_update + LONG:
            self.last_update = time.monotonic()
            self.bar.set_postfix_str(f"{net.steps_done_} of {net.n_steps_} steps")

    def on_epoch_end(self, net, **kwargs):
        """Report an epoch; a callback may request to stop."""
        if self.is_shown:
            losses = net.history[-1]
            shown = self._shown(losses.get("valid_loss", losses["train_loss"]))
            of_start = "" if self.start is None else f" (start: {self._shown(self.start)})"
            self.bar.set_postfix_str(shown + of_start, refresh=False)
        self.last_update = time.monotonic()
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
