"""Results of an epoch: reading them from the device, and recording them in the history."""

import numpy as np
import torch

from skae._training.labels import represented


def read_together(tensors):
    """Read tensors from a device with one synchronization; return float64 arrays with the same keys."""
    every = torch.cat([tensor.flatten() for tensor in tensors.values()]).cpu().double()
    parts = every.split([tensor.numel() for tensor in tensors.values()])
    return {key: part.reshape(tensors[key].shape).numpy() for key, part in zip(tensors, parts, strict=True)}


def record_epoch(history, found, labels, n_each):
    """Record the mean of each term of the loss; for networks of folds, only the mean loss.

    Parameters
    ----------
    history : skorch.history.History

    found : dict of (str, str) to ndarray
        ("train", term), of shape (m,), and ("valid", term), of shape (m', n), with a validation set.

    labels : sequence of str
        Labels of the m networks.

    n_each : list of int
        Number of validation samples of each of the first m' networks; further columns are duplicates.

    Returns
    -------
    train_losses : ndarray of shape (m,)
        Mean loss of each network.

    are_finite : bool
        Whether these and the mean validation losses are finite.
    """
    train = {name: mean for (prefix, name), mean in found.items() if prefix == "train"}
    train["loss"] = sum(train.values())
    for name, mean in train.items():
        _record(history, "train", name, dict(zip(labels, mean, strict=True)))
    valid = {
        name: np.array([of_one[:n].mean() for of_one, n in zip(losses, n_each, strict=True)])  # (m',)
        for (prefix, name), losses in found.items()
        if prefix == "valid"
    }
    if not valid:
        return train["loss"], bool(np.isfinite(train["loss"]).all())
    valid["loss"] = sum(valid.values())
    for name, mean in valid.items():
        of_each = dict(zip(labels, mean, strict=False))
        for label in dict.fromkeys(map(represented, of_each)) if len(n_each) > 1 else ():
            folds = [i for i in range(len(n_each)) if represented(labels[i]) == label]
            of_each[label] = np.average(mean[folds], weights=np.take(n_each, folds))
        _record(history, "valid", name, of_each)
    return train["loss"], bool(np.isfinite([*train["loss"], *valid["loss"]]).all())


def _record(history, prefix, name, of_each):
    for label, mean in of_each.items():
        if name == "loss" or represented(label) == label:
            history.record(f"{prefix}_{name}{label}", float(mean))
    if name == "loss":  # as skorch's default callbacks record it, for callbacks that monitor it
        *earlier, last = history[:, f"{prefix}_loss"]
        history.record(f"{prefix}_loss_best", all(last < loss for loss in earlier))
