"""When a network and its rival have shown which of them leads, that one trains on alone."""

import numpy as np
import torch

from skae._training.callbacks import OwnCallback, is_sound
from skae._training.labels import RIVAL, keep_records
from skae.nn._ensemble import keep_members

DECIDES = 1 / 6  # of the epochs: by then networks that PCA leads nowhere are behind, and two cost a tenth more than one
LEFT_PCA = 0.05  # share of PCA's loss that a network gains which is not stuck there
ENOUGH_ROWS = 1000  # with fewer, a sixth of the epochs has so few steps that it tells nothing


class Rivalry(OwnCallback):
    """Drops the network or its rival, whichever loses more on held-out samples after a sixth of the epochs.

    A network that has gained nothing yet may be stuck where it began, and proves nothing against a rival that is still
    on its way: both go on until one of them leads. The one that stays is in the place of the network from then on, so
    that only rivals are dropped. It is called before the callbacks that look at all networks.

    Parameters
    ----------
    best : BestEpoch

    dataset : IndexedDataset
        The samples that are trained on.

    max_iter : int

    Attributes
    ----------
    winner : str or None
        Label of the one that stayed; None as long as both are there.
    """

    def __init__(self, best, dataset, max_iter):
        self.best, self.dataset, self.max_iter = best, dataset, max_iter
        self.winner = None

    def on_epoch_end(self, net, **kwargs):
        """Drop one when it is time, unless the epoch will be undone."""
        is_time = len(net.history) >= DECIDES * self.max_iter and net.cooling_ is None
        if self.winner is not None or not is_time or not net.ensemble_.is_batched:
            return
        if net.processes_.any(not is_sound(net)):
            return
        behind = self.best.left_behind(net)
        loss, of_rival = (net.history[-1][f"valid_loss{label}"] + behind[label] for label in ("", RIVAL))
        if net.processes_.any(of_rival < loss):
            self.decide(net, RIVAL)
        elif net.processes_.any(self.best.start.mean() - loss > LEFT_PCA * abs(self.best.start.mean())):
            self.decide(net, "")

    def decide(self, net, winner):
        """Let the networks of this label, one for each fold and the one of all samples, train on alone."""
        places = [i for i, label in enumerate(net.labels) if not label.endswith(RIVAL)]
        sources = [net.labels.index(f"{net.labels[i]}{winner}") for i in places]
        held_out = self.dataset.held_out
        judged = len(held_out.indices)  # the first of the networks
        of_judged = [i for i in sources if i < judged]
        keep_members(net.ensemble_, places, sources)
        for state in net.optimizer_.state.values():  # of each weight, (m, ...), but for the number of steps
            for name, value in state.items():
                state[name] = value[sources] if torch.is_tensor(value) and value.dim() else value
        for per_network in (net.iterator_train__generators, self.dataset.indices):  # of which loaders hold the lists
            per_network[:] = [per_network[place] for place in places]
        held_out.indices[:] = [held_out.indices[place] for place in places if place < judged]
        held_out.shown = np.concatenate(held_out.indices)
        net.members, net.labels = net.ensemble_.members, tuple(net.labels[place] for place in places)
        if net.limit_ is not None:
            net.limit_, net.train_losses_ = net.limit_[sources], net.train_losses_[sources]
            net.held_out_losses_ = net.held_out_losses_[of_judged]
        keep_records(net.history, winner)
        self.best.keep(winner, sources, net.ensemble_.tensors)
        self.winner = winner

    def state_dict(self):
        return {"winner": self.winner}

    def load_state_dict(self, state):
        self.winner = state["winner"]
