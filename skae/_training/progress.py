"""Epochs as scikit-learn's callbacks and the progress bar see them."""

from tqdm import tqdm

from skae._training.callbacks import OwnCallback
from skae._training.distributed import is_first

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:
        """Nothing to support."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "with_callbacks"]


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

    def __init__(self, estimator, X, y, n_epochs, attributes_of):
        self.estimator, self.n_epochs, self.attributes_of = estimator, n_epochs, attributes_of
        self.data = {"estimator": estimator, "X": X, "y": X if y is None else y}
        self.context = None

    def __enter__(self):
        if hasattr(self.estimator, "_skl_callbacks"):
            self.context = self.estimator._init_callback_context(max_subtasks=self.n_epochs)
            self.context.call_on_fit_task_begin(**self.data)
        self.name, self.speaks = type(self.estimator).__name__, bool(self.estimator.verbose and is_first())
        self.bar = tqdm(total=self.n_epochs, desc=self.name, unit="epoch", disable=not self.speaks)
        return self

    def say(self, what):
        """Print something, if the fit is verbose."""
        if self.speaks:
            self.bar.write(f"{self.name}: {what}")

    def on_train_begin(self, net, **kwargs):
        """Count epochs that were run before."""
        self.bar.update(len(net.history) - self.bar.n)

    def on_epoch_begin(self, net, **kwargs):
        """Begin an epoch."""
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name="epoch").call_on_fit_task_begin(**self.data)

    def on_epoch_end(self, net, **kwargs):
        """Report an epoch; a callback may ask to stop."""
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
