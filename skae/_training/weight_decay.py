"""Weight decay that decreases with the reconstruction error, so that networks can fit data with little noise."""

from skae._training.callbacks import OwnCallback, is_error_measure
from skae._training.distributed import broadcast_from_main

FULL = 0.5  # fraction of the initial loss, above which the weight decay is not reduced
LEAST = 1e-3  # minimum factor


class ReducedDecay(OwnCallback):
    """Multiplies the weight decay by the square of the validation loss relative to half the initial one, if below.

    Near the initial loss, what is left to learn is mostly noise, against which weight decay regularizes. A much smaller
    loss shows that there is little noise: then the curvature of the data requires large weights.

    Parameters
    ----------
    best : BestEpoch
    """

    def __init__(self, best):
        self.best, self.factor = best, 1.0

    def on_train_begin(self, net, **kwargs):
        """Begin with the full weight decay."""
        self.factor = 1.0

    def on_epoch_begin(self, net, **kwargs):
        """Set the factor, given the validation loss of the previous epoch."""
        ratio = self.best.means[-1].min() / abs(self.best.start.mean()) if is_error_measure(net.module_) else 1.0
        # min returns 1.0 if the ratio is NaN
        self._multiply(net, broadcast_from_main(max(LEAST, min(1.0, float(ratio) / FULL) ** 2)))

    def on_train_end(self, net, **kwargs):
        """Restore the full weight decay for later training."""
        self._multiply(net, 1.0)

    def _multiply(self, net, factor):
        for group in net.optimizer_.param_groups:
            group["weight_decay"] *= factor / self.factor
        self.factor = factor
