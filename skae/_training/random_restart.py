"""Early decision between a network and its random restart: only the better one continues to train."""

import numpy as np
import torch

from skae._training.callbacks import FAR_WORSE, LATE, WORSE, OwnCallback, is_error_measure, is_sound
from skae._training.labels import RANDOM_INIT, keep_records
from skae.nn._ensemble import keep_members

DECIDES = 1 / 6  # fraction of the epochs: networks stuck at PCA are worse by then, and training two takes 10 % longer
LEFT_PCA = 0.05  # fraction of PCA's loss: a network that has gained more is not stuck at PCA
ENOUGH_ROWS = 1000  # with fewer, a sixth of the epochs has too few steps to decide


class RestartSelection(OwnCallback):
    """Drops the network or its random restart: the one with the larger validation loss after a sixth of the epochs.

    A network that has not improved yet may be stuck at its initialization, and cannot be compared with a random restart
    that has not converged: both are trained until one is better, or until the random restart is too far from PCA. If
    the random restart is selected, it replaces the network and takes its label. This callback is called before those
    that use all networks.

    Parameters
    ----------
    best : BestEpoch

    dataset : IndexedDataset
        Training samples.

    max_iter : int

    Attributes
    ----------
    winner : str or None
        Label of the selected network; None as long as both are trained.
    """

    NAME = "random_restart"  # name of the callback in checkpoint files

    def __init__(self, best, dataset, max_iter):
        self.best, self.dataset, self.max_iter = best, dataset, max_iter
        self.winner = None

    def on_epoch_end(self, net, **kwargs):
        """Drop one of them after a sixth of the epochs, unless this epoch diverged."""
        is_time = len(net.history) >= DECIDES * self.max_iter and net.cooling_ is None
        if self.winner is not None or not is_time or not net.ensemble_.is_batched:
            return
        if net.processes_.any(not is_sound(net)):
            return
        behind = self.best.excess_losses(net)
        loss, of_restart = (net.history[-1][f"valid_loss{label}"] + behind[label] for label in ("", RANDOM_INIT))
        start = self.best.start.mean()
        has_left = start - loss > LEFT_PCA * abs(start)
        if net.processes_.any(of_restart < loss):
            self.decide(net, RANDOM_INIT)
        elif net.processes_.any(has_left or self._is_hopeless(net, of_restart, start)):
            self.decide(net, "")

    def _is_hopeless(self, net, of_restart, start):
        """Whether the loss of the random restart is too far above PCA's loss for the epochs that are left."""
        is_late = len(net.history) >= LATE * self.max_iter
        return is_error_measure(net.module_) and of_restart > (WORSE if is_late else FAR_WORSE) * start

    def decide(self, net, winner):
        """Continue with the networks of this label only: one per fold, and the one trained on all samples."""
        places = [i for i, label in enumerate(net.labels) if not label.endswith(RANDOM_INIT)]
        sources = [net.labels.index(f"{net.labels[i]}{winner}") for i in places]
        held_out = self.dataset.held_out
        n_validated = len(held_out.indices)  # the first networks
        validated_sources = [i for i in sources if i < n_validated]
        keep_members(net.ensemble_, places, sources)
        for state in net.optimizer_.state.values():  # tensors of shape (m, ...), except for the number of steps
            for name, value in state.items():
                state[name] = value[sources] if torch.is_tensor(value) and value.dim() else value
        for per_network in (
            net.iterator_train__generators,
            self.dataset.indices,
        ):  # modified in place, because loaders use them
            per_network[:] = [per_network[place] for place in places]
        held_out.indices[:] = [held_out.indices[place] for place in places if place < n_validated]
        held_out.shown = np.concatenate(held_out.indices)
        net.members, net.labels = net.ensemble_.members, tuple(net.labels[place] for place in places)
        if net.limit_ is not None:
            net.limit_, net.train_losses_ = net.limit_[sources], net.train_losses_[sources]
            net.held_out_losses_ = net.held_out_losses_[validated_sources]
        keep_records(net.history, winner)
        self.best.keep(winner, sources, net.ensemble_.tensors)
        self.winner = winner

    def state_dict(self):
        return {"winner": self.winner}

    def load_state_dict(self, state):
        self.winner = state["winner"]
