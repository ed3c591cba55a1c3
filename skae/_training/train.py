"""Train a network, and those of the folds beside it, as far as that is a significant improvement."""

from dataclasses import dataclass, field

import numpy as np
from skorch.callbacks import Callback

from skae._training.callbacks import BestEpoch, Rollback
from skae._training.checkpoint import find_checkpoint
from skae._training.data import IndexedDataset
from skae._training.labels import RIVAL, keep_records, represented
from skae._training.make import make_net, release
from skae._training.net import AutoencoderNet
from skae._training.rivals import ENOUGH_ROWS, Rivalry
from skae._training.selection import fold_networks
from skae._training.state import read_curves
from skae.nn import AutoencoderModule


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    Attributes
    ----------
    module : AutoencoderModule

    epoch : int or None
        The epoch at which the module is as it is, 0 for the start; None if training is not over.

    curves : dict of str to ndarray of shape (n_epochs,)
        What was recorded once an epoch (`train_loss`, `valid_loss`, ...).

    start, losses : ndarray of shape (n, n_sizes) or None
        Of all held-out samples, fold after fold: at epoch 0, and at that epoch.

    fold_weights : list of dict of str to ndarray
        Weights of the network of each fold at that epoch; empty unless there are several folds and somebody asked.

    weights : dict of str to ndarray
        Weights of the module that are known more closely than it has them.

    net : AutoencoderNet or None
        What trained it.
    """

    module: AutoencoderModule
    epoch: int | None = None
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    start: np.ndarray | None = None
    losses: np.ndarray | None = None
    fold_weights: list[dict[str, np.ndarray]] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    net: AutoencoderNet | None = None


def train(members, rows, validation, progress, *, n_iter_no_change, tol, first_cycle=None, **settings):
    """Train, and select the epoch that gains most on held-out samples, of those that are a significant improvement.

    With one fold, that epoch's weights are the result. With several, one network is trained for each of them and one
    more, side by side with them, on all samples: the epoch is selected on the held-out samples of all folds, and the
    result is what that network was then. With no fold, all samples are trained on for all epochs.

    Parameters
    ----------
    members : dict of str to (AutoencoderModule, ndarray of int)
        Networks by label, and the samples that each is trained on; those of the folds first, the one that is kept last.

    rows : ScaledReader

    validation : Validation
        The samples that judge the epochs.

    progress : Callback
        Where each epoch is reported.

    n_iter_no_change : int or None
        Epochs without a gain after which training stops; None never stops it.

    tol : float
        Least gain in mean held-out loss that counts, as a share of the start's.

    first_cycle : int, default=None
        Epochs after which the training goes on only where it gained much to their end. None is all.

    **settings : dict
        As for `make_net`.

    Returns
    -------
    result : TrainingResult
    """
    modules = {label: module for label, (module, _) in members.items()}
    net = make_net(list(modules.values()), labels=tuple(modules), **settings)
    own: list[tuple[str, Callback]] = [("rollback", rollback := Rollback())]
    held_out = best = rivalry = None
    if validation.folds:
        kept = {label: module for label, module in modules.items() if represented(label) == label}
        judged = rows if validation.rows is None else validation.rows
        indices = [index for _, index in validation.folds for _ in kept]
        held_out = IndexedDataset(judged.on_device(net.device), indices, judged.source)
        of_folds = {label: [modules[each] for each in modules if each != represented(each) == label] for label in kept}
        wanted = of_folds if fold_networks.get() is not None or rows.missing is not None else {}
        own.append(("best_epoch", best := BestEpoch(kept, wanted, validation, n_iter_no_change, tol, first_cycle)))
    own.append(("progress", progress))
    indices = [index for _, index in members.values()]
    dataset = IndexedDataset(rows.on_device(net.device), indices, rows.source, held_out)

    if best is not None and RIVAL in modules and len(rows) >= ENOUGH_ROWS:
        own.insert(0, ("rivalry", rivalry := Rivalry(best, dataset, first_cycle or settings["max_iter"])))

    checkpoint, resume, n_epochs = find_checkpoint(settings["callbacks"]), None, settings["max_iter"]
    if checkpoint is not None and checkpoint.state_ is not None:
        resume = checkpoint.state_["training"]
        n_epochs = len(resume["curves"]["train_loss"]) if checkpoint._is_finished else n_epochs
        winner = resume["callbacks"].get("rivalry", {}).get("winner")
        if winner is not None:
            rivalry.decide(net, winner)
    net.train(dataset, own, epochs=n_epochs, resume=resume)

    if best is not None:
        best.on_train_end(net)  # whatever a user's callback has loaded
    release(net)
    if best is None:
        rollback.warn("What is kept is the last epoch that did not.")
        return TrainingResult(net.module_, len(net.history), read_curves(net), net=net)
    rollback.warn(f"What is kept is {f'epoch {best.epoch}' if best.epoch else 'the start'}.")
    keep_records(net.history, best.label)
    curves = read_curves(net)
    return TrainingResult(net.module_, best.epoch, curves, best.start, best.losses, best.fold_weights, net=net)
