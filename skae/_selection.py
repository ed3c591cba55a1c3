"""Which epoch is kept: the best of those that are surely better than the start on rows they weren't trained on."""

import math
from dataclasses import dataclass, field

import numpy as np

from skae._batches import RowDataset
from skae._blueprint import load_weights, read_weights
from skae._training import read_curves, train
from skae.nn import AutoencoderModule

LEAST_ROWS = 20  # below, there is nothing to learn beyond PCA
FOLDED_ROWS = 2000  # enough held-out trials, over all folds, to tell epochs apart
MOST_HELD_OUT = 1000
STANDARD_ERRORS = 2.0


def hold_out(n_rows, fraction, seed):
    """Split rows into training and held-out ones: once, or in several folds when there are few rows.

    Parameters
    ----------
    n_rows : int

    fraction : float or "auto"
        Share of the rows that is held out; "auto" is a fifth, and 1,000 rows at most.

    seed : int

    Returns
    -------
    folds : list of (train, held_out)
        Indices of rows. No row is held out twice.

    Raises
    ------
    ValueError
        If no row would be held out, or fewer than two would be trained on.
    """
    n_held_out = min(n_rows // 5, MOST_HELD_OUT) if fraction == "auto" else int(fraction * n_rows)
    if n_held_out < 1 or n_rows - n_held_out < 2:
        raise ValueError(
            f"validation_fraction={fraction!r} of n_samples={n_rows} holds out {n_held_out} rows and leaves "
            f"{n_rows - n_held_out} to train on. Choose it so that at least 1 is held out and 2 are left."
        )
    order = np.random.RandomState(seed).permutation(n_rows)
    n_folds = min(n_rows // n_held_out, math.ceil(FOLDED_ROWS / n_rows))
    starts = range(0, n_folds * n_held_out, n_held_out)
    return [(np.delete(order, np.s_[i : i + n_held_out]), order[i : i + n_held_out]) for i in starts]


def sure_gain(start, losses, *, by_rival=False):
    """Mean gain of `losses` over `start`, both of the same rows, if it surely is one.

    The best epoch on few held-out rows is often good by luck. So luck is ruled out first, and the best is chosen of
    what is left.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        One column, or for ordered codes one for each size of prefix.

    by_rival : bool
        Whether the losses are a rival's, which is one more to be lucky.

    Returns
    -------
    gain : float
        At the size where it is least; 0 for the start itself, minus infinity where the gain is not sure.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        gain = start - losses  # paired
        sure = lower_bound(gain, by_rival=by_rival).min() >= 0  # not if it is not a number
    return float(gain.mean(axis=0).min()) if sure else -math.inf


def lower_bound(gain, *, by_rival=False):
    """Mean over the first axis, minus two standard errors of it, or three where there are several to be right.

    A single row proves nothing.
    """
    n_errors = STANDARD_ERRORS + (gain.shape[1] > 1 or by_rival)
    if len(gain) == 1:
        return gain[0] - n_errors * np.abs(gain[0])
    return gain.mean(axis=0) - n_errors * gain.std(axis=0, ddof=1) / math.sqrt(len(gain))


def least_size(start, losses, sizes, most):
    """The smallest prefix of an ordered code that loses no more than `most` and surely no more than the whole start.

    Parameters
    ----------
    start, losses : ndarray of shape (n, n_sizes)
        Of the same held-out rows.

    sizes : sequence of int
        Of the columns; in between, a straight line is above the curve of losses.

    most : float
        Greatest mean loss.

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
    enough = (between.mean(axis=0) <= most) & (lower_bound(start[:, -1:] - between) >= 0)
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
    """

    module: AutoencoderModule
    epoch: int | None = None
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    start: np.ndarray | None = None
    losses: np.ndarray | None = None


def train_surely(make_net, rows, folds, epochs, *, max_iter, n_iter_no_change, tol):
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

    folds : list of (train, held_out)
        As `hold_out` gives them.

    max_iter : int

    n_iter_no_change : int or None
        Epochs without a gain after which a training stops; None never stops one.

    tol : float
        Least gain in mean held-out loss that counts, as a share of the start's.

    epochs : Epochs
        Where each epoch is reported, and a callback may ask to stop.

    Returns
    -------
    outcome : Outcome
    """
    trained_on = [train_index for train_index, _ in folds]
    if len(folds) != 1:
        trained_on.append(np.arange(len(rows)))
    net = make_net(trained_on)
    n_folds, n_each = max(1, len(folds)), len(net.module_.members) // len(trained_on)

    def dataset(indices):
        return RowDataset(rows, [index for index in indices for _ in range(n_each)])

    held_out = dataset([held_out_index for _, held_out_index in folds]) if folds else None
    trained = train(net, dataset(trained_on), held_out, epochs, max_iter=max_iter)
    modules = net.module_.members[-n_each:]

    def outcome(i, epoch, **held_out_losses):
        """What the last module, or its rival, came to."""
        of_folds = slice(i, n_each * n_folds, n_each)
        curves = {name: curve[:, of_folds].mean(axis=1) for name, curve in read_curves(net).items()}
        return Outcome(modules[i], epoch, curves, **held_out_losses)

    if not folds:
        return outcome(0, max(trained))

    losses, means, gains = [], [], []
    for epoch in trained:
        by_fold = net.held_out_losses.reshape(n_folds, n_each, -1, net.held_out_losses.shape[1])
        losses.append(np.concatenate(by_fold, axis=1))  # (n_each, n, n_sizes)
        means.append(losses[-1].mean(axis=(1, 2)))  # (n_each,)
        gains.append([sure_gain(losses[0][-1], of_one, by_rival=i < n_each - 1) for i, of_one in enumerate(losses[-1])])
        if epoch == 0 or max(gains[-1]) > np.max(gains[:-1]):
            best = int(np.argmax(gains[-1]))
            weights = read_weights(modules[best])
        if n_iter_no_change is not None and epoch >= n_iter_no_change:
            before, since = np.split(means, [epoch + 1 - n_iter_no_change])
            if (since.min(axis=0) > before.min(axis=0) - tol * np.abs(means[0][-1])).all():  # neither it nor its rival
                break
    load_weights(modules[best], weights)
    epoch = int(np.argmax(np.max(gains, axis=1)))
    return outcome(best, epoch, start=losses[0][-1], losses=losses[epoch][best])
