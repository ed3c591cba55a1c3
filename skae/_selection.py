"""Which epoch is kept: the best of those that are surely better than the start on rows they weren't trained on."""

import math
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr, stdtrit

from skae._batches import RowDataset
from skae._blueprint import load_weights, read_weights
from skae._distributed import agreed, is_first
from skae._training import read_curves, read_training, train, warn_of_divergence
from skae.nn import AutoencoderModule

STANDARD_ERRORS = 2.0

# Who wants the networks of the folds sets a WeakKeyDictionary around a fit, which puts (n_rows, folds, weights of each
# fold's network) there by the autoencoder that was fitted. Otherwise these networks are dropped.
fold_networks: ContextVar = ContextVar("fold_networks", default=None)


def sure_gain(start, losses, *, by_rival=False, clusters=None):
    """Mean gain of `losses` over `start`, both of the same rows, if it surely is one.

    The best epoch on few held-out rows is often good by luck. So luck is ruled out first, and the best is chosen of
    what is left.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        One column, or for ordered codes one for each size of prefix.

    by_rival : bool
        Whether the losses are a rival's, which is one more to be lucky.

    clusters : ndarray of int of shape (n,), default=None
        Rows of one cluster are not independent. None: all rows are.

    Returns
    -------
    gain : float
        At the size where it is least; 0 for the start itself, minus infinity where the gain is not sure.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        gain = start - losses  # paired
        sure = lower_bound(gain, clusters, by_rival=by_rival).min() >= 0  # not if it is not a number
    return float(gain.mean(axis=0).min()) if sure else -math.inf


def lower_bound(gain, clusters=None, *, by_rival=False):
    """Mean over the first axis, minus two standard errors of it, or three where there are several to be right.

    A single row proves nothing, and no more does a single cluster. The standard error of clusters is that of the sums
    of their residuals (Liang and Zeger, 1986), and of few of them it is Student's t that says how many it takes.
    """
    n_errors = STANDARD_ERRORS + (gain.shape[1] > 1 or by_rival)
    mean, n = gain.mean(axis=0), len(gain)
    if clusters is None:
        sums = gain - mean  # (n, n_sizes)
    else:
        sums = np.stack([np.bincount(clusters, column) for column in (gain - mean).T], axis=1)  # (n_clusters, n_sizes)
        if len(sums) > 1:
            n_errors = -stdtrit(len(sums) - 1, ndtr(-n_errors))
    if len(sums) == 1:
        return mean - n_errors * np.abs(mean)
    return mean - n_errors * np.sqrt(np.square(sums).sum(axis=0) * len(sums) / (len(sums) - 1)) / n


def least_size(start, losses, sizes, most, clusters=None):
    """The smallest prefix of an ordered code that loses no more than `most` and surely no more than the whole start.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        Of the same held-out rows.

    sizes : sequence of int
        Of the columns; in between, a straight line is above the curve of losses.

    most : float
        Greatest mean loss.

    clusters : ndarray of int of shape (n,), default=None
        As for `sure_gain`.

    Returns
    -------
    size : int
        The last of `sizes` if no other will do.
    """
    every = np.arange(1, sizes[-1] + 1)
    right = np.searchsorted(sizes, every).clip(min=1, max=max(len(sizes) - 1, 1))
    if len(sizes) == 1:
        return sizes[0]
    share = (every - np.take(sizes, right - 1)) / (np.take(sizes, right) - np.take(sizes, right - 1))
    between = losses[:, right - 1] * (1 - share) + losses[:, right] * share  # (n, sizes[-1])
    enough = (between.mean(axis=0) <= most) & (lower_bound(start[:, -1:] - between, clusters) >= 0)
    return int(every[enough.argmax()]) if enough.any() else sizes[-1]


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes
    ----------
    module : AutoencoderModule

    epoch : int or None
        The epoch at which the module is as it is, 0 for the start; None if training is not over.

    curves : dict of str to ndarray of shape (n_epochs,)
        What was recorded once an epoch (`train_loss`, `valid_loss`, ...), averaged over the folds.

    start, losses : ndarray of shape (n, n_sizes) or None
        Of all held-out rows, fold after fold: at epoch 0, and at that epoch.

    fold_weights : list of dict of str to ndarray
        Weights of the network of each fold at that epoch; empty unless there are several folds and somebody asked.

    weights : dict of str to ndarray
        Weights of the module that are known more closely than it has them.
    """

    module: AutoencoderModule
    epoch: int | None = None
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    start: np.ndarray | None = None
    losses: np.ndarray | None = None
    fold_weights: list[dict[str, np.ndarray]] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)


class Choice:
    """The epoch that gains most so far, of those that surely gain, and what it takes to go on looking.

    Parameters
    ----------
    modules : list of AutoencoderModule
        The network that is trained on all rows, or on those that aren't held out, after its rival if it has one.

    validation : Validation

    fold_modules : list of list of AutoencoderModule
        The same of each fold, if their weights are wanted.
    """

    def __init__(self, modules, validation, fold_modules=()):
        self.modules, self.validation, self.fold_modules = modules, validation, fold_modules
        self.fold_weights = []
        self.start = None  # losses of the held-out rows at epoch 0, (n, n_sizes)
        self.means = []  # mean loss at each epoch, (n_modules,)
        self.gain, self.epoch, self.best, self.weights, self.losses = -math.inf, None, None, None, None

    def look(self, epoch, held_out_losses):
        """Take note of the losses of held-out rows, (n_folds * n_modules * n_most, n_sizes), after an epoch."""
        folds, clusters = self.validation.folds, self.validation.clusters
        by_fold = held_out_losses.reshape(len(folds), len(self.modules), -1, held_out_losses.shape[1])
        each = [of_fold[:, : len(held_out)] for of_fold, (_, held_out) in zip(by_fold, folds, strict=True)]
        losses = np.concatenate(each, axis=1)  # (n_modules, n, n_sizes)
        if epoch == 0:
            self.start = losses[-1]
        self.means.append(losses.mean(axis=(1, 2)))
        last = len(losses) - 1
        gains = [sure_gain(self.start, of_one, by_rival=i < last, clusters=clusters) for i, of_one in enumerate(losses)]
        if epoch == 0 or max(gains) > self.gain:
            self.best = int(np.argmax(gains))
            self.gain, self.epoch, self.losses = max(gains), epoch, losses[self.best]
            self.weights = read_weights(self.modules[self.best])
            self.fold_weights = [read_weights(modules[self.best]) for modules in self.fold_modules]

    def has_stalled(self, n_epochs, tol):
        """Whether neither the network nor its rival has gained for so many epochs."""
        if len(self.means) <= n_epochs:
            return False
        before, since = np.split(self.means, [len(self.means) - n_epochs])
        return bool((since.min(axis=0) > before.min(axis=0) - tol * np.abs(self.means[0][-1])).all())

    def read(self):
        """Copy what `write` puts back."""
        given = ("modules", "validation", "fold_modules")
        return {name: value for name, value in vars(self).items() if name not in given}

    def write(self, stand):
        """Go on from there."""
        vars(self).update(stand)


def train_surely(make_net, rows, validation, epochs, *, max_iter, n_iter_no_change, tol, checkpoint):
    """Train, and keep the epoch that gains most on held-out rows, of those that surely gain.

    With one fold, that epoch's weights are the result. With several, one network is trained for each of them and one
    more, side by side with them, on all rows: the epoch is chosen on the held-out rows of all folds, and the result is
    what that network was then. With no fold, all rows are trained on for all epochs.

    Each of these networks may have a rival that starts elsewhere. It wins where it gains more over the other's
    start.

    Parameters
    ----------
    make_net : callable
        From a list of indices of rows to an `AutoencoderNet` of `Siblings`: for each index a network, or its
        rival and the network.

    rows : torch.Tensor of shape (n, d), or the like

    validation : Validation
        The rows that judge the epochs, as a tensor like `rows` where they are others.

    max_iter : int

    n_iter_no_change : int or None
        Epochs without a gain after which a training stops; None never stops one.

    tol : float
        Least gain in mean held-out loss that counts, as a share of the start's.

    epochs : Epochs
        Where each epoch is reported, and a callback may ask to stop.

    checkpoint : Checkpoint or None
        Where the training goes on from, and is written to.

    Returns
    -------
    outcome : Outcome
    """
    folds = validation.folds
    trained_on = [train_index for train_index, _ in folds]
    if len(folds) != 1:
        trained_on.append(np.arange(len(rows)))
    net = make_net(trained_on)
    n_folds, n_each = max(1, len(folds)), len(net.module_.members) // len(trained_on)

    def dataset(rows, indices):
        return RowDataset(rows, [index for index in indices for _ in range(n_each)])

    held_out = None
    if folds:
        n_most = max(len(index) for _, index in folds)  # shorter ones start again, and `Choice` drops what is twice
        held_out = dataset(
            rows if validation.rows is None else validation.rows, [np.resize(index, n_most) for _, index in folds]
        )
    *of_folds, modules = (net.module_.members[i : i + n_each] for i in range(0, len(net.module_.members), n_each))
    wanted = of_folds if fold_networks.get() is not None else ()
    choice, stand = Choice(modules, validation, wanted), checkpoint and checkpoint.stand
    if stand is not None:
        choice.write(stand["choice"])
        epochs.skip(len(stand["training"]["curves"]["train_loss"]))

    to_run = 0 if stand and stand["finished"] else max_iter
    for epoch in train(
        net, dataset(rows, trained_on), held_out, epochs, max_iter=to_run, stand=stand and stand["training"]
    ):
        if folds:
            choice.look(epoch, net.held_out_losses)
        stalled = n_iter_no_change is not None and choice.has_stalled(n_iter_no_change, tol)
        finished = net.processes.any(stalled or epochs.stopped or net.has_given_up or epoch == max_iter)
        if checkpoint is not None and epoch and (finished or checkpoint.is_due(epoch)):
            with agreed():
                if is_first():
                    checkpoint.write({"finished": finished, "training": read_training(net), "choice": choice.read()})
        if finished:
            break

    i = choice.best if folds else 0
    of_folds = slice(i, n_each * n_folds, n_each)
    curves = {name: curve[:, of_folds].mean(axis=1) for name, curve in read_curves(net).items()}
    if not folds:
        warn_of_divergence(net, "What is kept is the last epoch that did not.")
        return Outcome(modules[i], len(curves["train_loss"]), curves)
    warn_of_divergence(net, f"What is kept is {f'epoch {choice.epoch}' if choice.epoch else 'the start'}.")
    load_weights(modules[i], choice.weights)
    return Outcome(modules[i], choice.epoch, curves, choice.start, choice.losses, choice.fold_weights)
