"""State of training, from which checkpoints and streams resume with bit-identical results."""

import numpy as np
import torch

from skae._seeds import read_global_rng, write_global_rng
from skae._training.callbacks import OwnCallback, StreamAverage, write_tensors

RATES = ("lr", "initial_lr")


def training_state(net):
    """Return a copy of the state of training, as plain values and arrays.

    Random number generators of a GPU, which no hook here uses, are not included.
    """
    return {
        "tensors": _arrays(net.ensemble_.tensors),
        "optimizers": [_optimizer_state(*pair) for pair in zip(net.optimizers_, net.ensemble_.weights, strict=True)],
        "rates": [{name: group[name] for name in RATES if name in group} for group in net.optimizer_.param_groups],
        "limit": net.limit_,
        "curves": read_curves(net),
        "held_out_losses": net.held_out_losses_,
        "orders": [generator.get_state().numpy() for generator in net.iterator_train__generators],
        "drawn": [generator.get_state().numpy() for generator in net.generators_],
        "global": read_global_rng() if net.isolates else None,
        "callbacks": {name: each.state_dict() for name, each in net.callbacks_ if isinstance(each, OwnCallback)},
    }


def load_training_state(net, state):
    """Restore the state of a net, before `on_train_begin` of its callbacks; call `load_rates` after it."""
    write_tensors(net, _tensors(state["tensors"]))
    for optimizer, weights, optimizer_state in zip(
        net.optimizers_, net.ensemble_.weights, state["optimizers"], strict=True
    ):
        _load_optimizer_state(optimizer, weights, optimizer_state)
    load_rates(net, state)
    net.limit_, net.held_out_losses_ = state["limit"], state["held_out_losses"]
    write_curves(net, state["curves"])
    for generators, states in ((net.iterator_train__generators, state["orders"]), (net.generators_, state["drawn"])):
        for generator, of_one in zip(generators, states, strict=True):
            generator.set_state(torch.tensor(of_one))
    if state["global"] is not None:
        write_global_rng(state["global"])
    for name, callback in net.callbacks_:
        if name in state["callbacks"]:
            callback.load_state_dict(state["callbacks"][name])


def load_rates(net, state):
    """Set the learning rates of the next step, since a schedule that begins takes a step."""
    for group, rates in zip(net.optimizer_.param_groups, state["rates"], strict=True):
        group.update(rates)
    for _, callback in net.callbacks_:
        if getattr(callback, "lr_scheduler_", None) is not None:  # recorded by skorch
            callback.lr_scheduler_._last_lr = [group["lr"] for group in net.optimizer_.param_groups]


def read_curves(net):
    """Return the numbers that a net recorded in each epoch: {"train_loss": (n_epochs,), "valid_loss": ..., ...}."""
    if not net.history:
        return {}
    rows = list(net.history)
    names = [
        name
        for name in rows[0]
        if name != "epoch" and all(isinstance(row.get(name), int | float | np.number | np.bool_) for row in rows)
    ]
    return {name: np.array([row[name] for row in rows]) for name in names}


def write_curves(net, curves):
    """Write curves of `read_curves` to the history of a net."""
    net.history.clear()
    for values in zip(*curves.values(), strict=True):
        net.history.new_epoch()
        net.history.record("epoch", len(net.history))
        for name, value in zip(curves, values, strict=True):
            net.history.record(name, value.item())


def read_stream(net):
    """Return a copy of the state of a stream: the current weights, the state of the optimizer, the number of steps."""
    return {
        "weights": _arrays(net.module_.state_dict()),
        "optimizer": _optimizer_state(net.optimizer_, net.ensemble_.weights[-1]),
        "steps_done": net.steps_done_,
    }


def load_stream(net, stream):
    """Restore the state of a stream in a net, whose module holds the average; return the callback that averages."""
    net.steps_done_ = stream["steps_done"]
    weights = net.ensemble_.weights[-1]
    average = StreamAverage([weight.detach().clone() for weight in weights.values()])
    net.module_.load_state_dict(_tensors(stream["weights"]))
    _load_optimizer_state(net.optimizer_, weights, stream["optimizer"])
    return average


def _optimizer_state(optimizer, weights):
    """Return the optimizer's state of each weight, by the name of the weight."""
    return {name: _arrays(optimizer.state[weight]) for name, weight in weights.items() if weight in optimizer.state}


def _load_optimizer_state(optimizer, weights, optimizer_state):
    """Restore the state of an optimizer; entries of earlier releases with other names are ignored."""
    names = {id(weight): name for name, weight in weights.items()}
    in_order = [weight for group in optimizer.param_groups for weight in group["params"]]
    state = {
        place: {name: _laid_out_as(weight, value) for name, value in optimizer_state[names[id(weight)]].items()}
        for place, weight in enumerate(in_order)
        if names[id(weight)] in optimizer_state
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def _laid_out_as(weight, value):
    """Return a tensor with the strides of a weight, which fused optimizers require, or a plain value."""
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.tensor(value)
    if tensor.shape != weight.shape:
        return tensor
    return torch.empty_like(weight, device="cpu").copy_(tensor)


def _arrays(tensors):
    return {
        name: value.detach().cpu().numpy().copy() if isinstance(value, torch.Tensor) else value
        for name, value in tensors.items()
    }


def _tensors(arrays):
    return {name: torch.tensor(value) for name, value in arrays.items()}
