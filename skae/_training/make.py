"""Create the net of an autoencoder, and reduce it after training."""

import torch
from skorch.callbacks import PrintLog

from skae._devices import without_torch_side_effects
from skae._training.data import BatchLoader, HeldOutLoader
from skae._training.net import AutoencoderNet
from skae._training.users import is_a, named_callbacks

BY_PARAMETERS = {  # parameters of the net, and the estimator's parameters that set them
    "lr": "learning_rate",
    "max_epochs": "max_iter",
    "batch_size": "batch_size",
    "device": "device",
    "callbacks": "callbacks",
    "verbose": "verbose",
    "warm_start": "warm_start",
    "train_split": "cv or validation_fraction",
    "module": "hidden_layer_sizes or architecture",
    "iterator_train": "batch_size",
    "iterator_valid": "batch_size",
    "dataset": "X",
    "seed": "random_state",
    "mixed_precision": "mixed_precision",
}


def make_net(
    members,
    *,
    labels=("",),
    max_iter,
    batch_size,
    learning_rate,
    weight_decay,
    device,
    mixed_precision,
    seed,
    sizes,
    isolates=False,
    callbacks=None,
    net_params=None,
):
    """Return an initialized net.

    The linear branches, which start at their optimum, have a lower learning rate and no weight decay.

    Parameters
    ----------
    members : list of AutoencoderModule
        Networks to train; the last is the result.

    labels : sequence of str

    max_iter : int or None
        Number of epochs; None for a stream.

    batch_size : int

    learning_rate, weight_decay : float
        The weight decay is only used with AdamW.

    device : torch.device

    mixed_precision : bool

    seed : int

    sizes : sequence of int or None

    isolates : bool

    callbacks : list or None
        Callbacks of the user, which are not copied.

    net_params : dict or None
        Parameters of the net, set by the user.

    Returns
    -------
    net : AutoencoderNet
        Initialized net.
    """
    net_params = dict(net_params or {})
    for name in net_params:
        if name in BY_PARAMETERS:
            raise ValueError(f"net_params[{name!r}] is set by {BY_PARAMETERS[name]}. Set that parameter instead.")
    module = members[-1]
    decayed = {}
    if net_params.get("optimizer", torch.optim.AdamW) is torch.optim.AdamW:
        fused = device.type in ("cpu", "cuda", "mps")
        decayed = {"optimizer__weight_decay": weight_decay, "optimizer__fused": fused}
    undecayed = {"weight_decay": 0.0} if decayed else {}
    groups = [(name, {"lr": module.linear_rate * learning_rate, **undecayed}) for name in module.linear_weights]
    groups += [(name, undecayed) for name in module.undecayed_weights]
    parameters = {
        "optimizer": torch.optim.AdamW,
        **decayed,
        "optimizer__param_groups": [] if net_params.get("optimizer") is torch.optim.LBFGS else groups,  # unsupported
        "criterion": torch.nn.MSELoss,  # for `get_loss` only: in training the module computes the loss
        "iterator_train": BatchLoader,
        "iterator_valid": HeldOutLoader,
        **net_params,
    }
    members = [member.to(device) for member in members]
    n = len(members)
    with without_torch_side_effects():
        return AutoencoderNet(
            members[-1],
            members=members,
            labels=labels,
            is_stream=max_iter is None,
            sizes=sizes,
            seed=seed,
            mixed_precision=mixed_precision,
            isolates=isolates,
            lr=learning_rate,
            max_epochs=max_iter or 1,
            batch_size=batch_size,
            iterator_train__generators=[torch.Generator().manual_seed(seed + n - 1 - i) for i in range(n)],
            train_split=None,
            device=device,
            verbose=int(any(is_a(callback, PrintLog) for _, callback in named_callbacks(callbacks))),
            callbacks=callbacks,
            **parameters,
        ).initialize()


def release(net):
    """Release the other networks and the state of optimizers."""
    net.members = net.ensemble_ = net.losses_ = None
    for optimizer in net.optimizers_:
        optimizer.state.clear()


def replace_module(net, module):
    """Replace the content of `module_` by that of another module of its class; it stays the same object.

    The networks of folds and the state of the optimizer are released.
    """
    vars(net.module_).clear()
    vars(net.module_).update(vars(module))
    release(net)
    net.labels = ("",)
    net.iterator_train__generators = net.iterator_train__generators[-1:]
    net.initialized_ = False  # otherwise skorch prints that it re-initializes the optimizer
    with without_torch_side_effects():
        net._initialize_optimizer()
    net.initialized_ = True
