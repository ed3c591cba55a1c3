"""Training of a network, together with those of the folds, and selection of a significant improvement."""

from dataclasses import dataclass, field

import numpy as np
from skorch.callbacks import Callback

from skae._training.callbacks import BestEpoch, Rollback
from skae._training.checkpoint import find_checkpoint
from skae._training.data import IndexedDataset
from skae._training.labels import RANDOM_INIT, keep_records, represented
from skae._training.make import make_net, release
from skae._training.net import AutoencoderNet
from skae._training.random_restart import ENOUGH_ROWS, RestartSelection
from skae._training.selection import fold_networks
from skae._training.state import read_curves
from skae._training.weight_decay import ReducedDecay
from skae.nn import AutoencoderModule


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training.

    Attributes
    ----------
    module : AutoencoderModule

    epoch : int or None
        Epoch of the weights of the module, 0 for the initial network; None if training is not finished.

    curves : dict of str to ndarray of shape (n_epochs,)
        Values recorded once per epoch (`train_loss`, `valid_loss`, ...).

    start, losses : ndarray of shape (n, n_sizes) or None
        Validation losses at epoch 0 and at the selected epoch, of all folds in order.

    fold_weights : list of dict of str to ndarray
        Weights of the network of each fold at that epoch; empty unless there are several folds and they are needed.

    weights : dict of str to ndarray
        Weights of the module in higher precision.

    net : AutoencoderNet or None
        The net that trained the module.
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
    """Train, and select the epoch with the best validation loss among those with a significant improvement.

    With one fold, the weights of that epoch are the result. With several folds, one network is trained per fold, and
    one on all samples: the epoch is selected by the validation losses of all folds, and the result is the network
    trained on all samples as it was after that epoch. Without folds, all epochs are trained on all samples.

    Parameters
    ----------
    members : dict of str to (AutoencoderModule, ndarray of int)
        Networks by label, with the indices of their training samples; the result is the last, after those of the folds.

    rows : ScaledReader

    validation : Validation
        The validation samples.

    progress : Callback
        Callback that reports each epoch.

    n_iter_no_change : int or None
        Epochs without improvement after which training stops. If None, there is no early stopping.

    tol : float
        Minimum improvement of the mean validation loss, as a fraction of the initial loss.

    first_cycle : int, default=None
        Epochs after which training continues only if the loss still decreased clearly. If None, it continues.

    **settings : dict
        As for `make_net`.

    Returns
    -------
    result : TrainingResult
    """
    modules = {label: module for label, (module, _) in members.items()}
    net = make_net(list(modules.values()), labels=tuple(modules), **settings)
    own: list[tuple[str, Callback]] = [("rollback", rollback := Rollback())]
    held_out = best = restart_selection = None
    if validation.folds:
        kept = {label: module for label, module in modules.items() if represented(label) == label}
        validation_rows = rows if validation.rows is None else validation.rows
        indices = [index for _, index in validation.folds for _ in kept]
        held_out = IndexedDataset(validation_rows.on_device(net.device), indices, validation_rows.source)
        of_folds = {label: [modules[each] for each in modules if each != represented(each) == label] for label in kept}
        wanted = of_folds if fold_networks.get() is not None or rows.missing is not None else {}
        own.append(("best_epoch", best := BestEpoch(kept, wanted, validation, n_iter_no_change, tol, first_cycle)))
        if not {"optimizer", "optimizer__weight_decay"} & set(settings["net_params"] or {}):
            own.append(("weight_decay", ReducedDecay(best)))
    own.append(("progress", progress))
    indices = [index for _, index in members.values()]
    dataset = IndexedDataset(rows.on_device(net.device), indices, rows.source, held_out)

    if best is not None and RANDOM_INIT in modules and len(rows) >= ENOUGH_ROWS:
        restart_selection = RestartSelection(best, dataset, first_cycle or settings["max_iter"])
        own.insert(0, (RestartSelection.NAME, restart_selection))

    checkpoint, resume, n_epochs = find_checkpoint(settings["callbacks"]), None, settings["max_iter"]
    if checkpoint is not None and checkpoint.state_ is not None:
        resume = checkpoint.state_["training"]
        n_epochs = len(resume["curves"]["train_loss"]) if checkpoint._is_finished else n_epochs
        winner = resume["callbacks"].get(RestartSelection.NAME, {}).get("winner")
        if winner is not None:
            restart_selection.decide(net, winner)
    net.train(dataset, own, epochs=n_epochs, resume=resume)

    if best is not None:
        best.on_train_end(net)  # restores the weights, since a user's callback may have loaded others
    release(net)
    if best is None:
        rollback.warn("The result is the last epoch that did not diverge.")
        return TrainingResult(net.module_, len(net.history), read_curves(net), net=net)
    rollback.warn(f"The result is {f'epoch {best.epoch}' if best.epoch else 'the initial network'}.")
    keep_records(net.history, best.label)
    curves = read_curves(net)
    return TrainingResult(net.module_, best.epoch, curves, best.start, best.losses, best.fold_weights, net=net)
