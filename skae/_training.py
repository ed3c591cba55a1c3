"""Training in one place: the skorch net, the loop, seeds and devices.

The only file that imports skorch.
"""

import contextlib
import math
import os
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch.utils.data import DataLoader

from skae._batches import HeldOutBatches, RowDataset, WholeBatches
from skae._distributed import in_group, own_cuda, processes
from skae._seeds import isolated_rng, read_global_rng, write_global_rng
from skae.nn import Siblings
from skae.nn._convolution import rows_at_once

GRADIENT_NORM = 1.0  # the gradient is clipped at this norm: a net that starts at PCA is fragile without it
LOWER_RATE = 0.1  # of a training that diverged, against the rate before: with a half, most don't come back
MOST_STEPS_BACK = 3
FAR = 10.0  # times the loss at the start and that of the mean: a loss so far above the start has diverged
PREDICTED_AT_ONCE = 1024  # rows
ANOTHER_STREAM = 2**32  # what hooks draw is not what rows are ordered by
WARM_UP = 0.1  # share of the steps in which the learning rate rises
STREAM_RATE = 0.2  # constant learning rate of a stream, whose end nobody knows, against the highest of a cycle
STREAM_MEMORY = 100  # steps over which the weights of a stream are averaged, in place of a rate that falls


def resolve_device(name):
    """Device that a `device` parameter means: "auto" is cuda, then mps, then cpu; in a group, cuda or cpu.

    Raises
    ------
    ValueError
        If torch knows no such device, or this machine has none.
    """
    found = name
    if name == "auto":
        mps = torch.backends.mps.is_available() and not in_group()
        found = own_cuda() if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        device = torch.device(found)
        torch.ones(1).to(device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        is_fork = "forked subprocess" in str(error)
        start = (
            "start processes anew ('spawn', or joblib's loky)"
            if is_fork
            else "set device='auto' to take the best there is"
        )
        raise ValueError(
            f"device={name!r} can't be used {'in this process' if is_fork else 'on this machine'}: "
            f"{str(error).splitlines()[0].rstrip('.')}. Set device='cpu', or {start}."
        ) from error
    return device


@contextlib.contextmanager
def what_torch_sets_undone():
    """Leave warnings filters and the environment alone: the first optimiser of a process loads parts that set some."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    with isolated_rng(0):  # threads take turns
        was_set = name in os.environ
        with warnings.catch_warnings():
            yield
        if not was_set:
            os.environ.pop(name, None)  # torch finds it again where it needs it


def rate_at(step, n_steps):
    """Learning rate of a step, as a share of the highest: a linear rise, then half a cosine down to zero.

    In a stream, where `n_steps` is None, it stays the same.
    """
    if n_steps is None:
        return STREAM_RATE
    progress = (step + 1) / (n_steps + 1)  # never 0 or 1: no step is wasted
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))


class AutoencoderNet(NeuralNet):
    """The skorch net that trains `Siblings`, with nothing done per row and as little as can be per batch.

    They give their own loss as named terms; the mean of each, for each of them, is recorded once an epoch, as
    `train_<term>` and `valid_<term>`, beside their sums `train_loss` and `valid_loss`. The last pass over held-out rows
    leaves the loss of each row in `held_out_losses`, member after member.

    Parameters
    ----------
    module : Siblings or AutoencoderModule
        An `AutoencoderModule` is one that has been trained.

    n_steps : int or None
        Steps of the optimiser that the one cycle of the learning rate spans; None for a stream.

    sizes : sequence of int or None
        Sizes of code that held-out rows are judged by: several for ordered codes.

    seed : int
        Of what is drawn while held-out rows are judged, the same at each epoch.

    mixed_precision : bool
        Whether the loss of a step is computed in bfloat16 where that is safe.

    compiles : bool
        Whether what computes it is compiled.

    isolates : bool
        Whether what is trained may draw from global generators.

    **kwargs : dict
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module,
        *,
        n_steps=1,
        sizes=None,
        seed=0,
        mixed_precision=False,
        compiles=False,
        isolates=False,
        **kwargs,
    ):
        super().__init__(module, **kwargs)
        self.n_steps = n_steps
        self.seed = seed
        self.sizes = sizes
        self.mixed_precision = mixed_precision
        self.compiles = compiles
        self.isolates = isolates
        self.generator = torch.Generator().manual_seed(seed + ANOTHER_STREAM)
        self.diverged = []  # epochs
        self.held_out_losses = None  # (m n, n_sizes)
        self.limit = self.start = None  # of the loss, for each sibling
        self.found, self.found_terms = {}, {}  # what an epoch leaves on the device until it is read
        self.processes = processes(torch.device(self.device))

    def get_iterator(self, dataset, training=False):
        """Iterate over rows by index, and over what `predict` and `forward` are given as skorch does."""
        if isinstance(dataset, RowDataset):
            return super().get_iterator(dataset, training)
        return DataLoader(dataset, batch_size=max(self.batch_size, PREDICTED_AT_ONCE))

    def infer(self, x, **fit_params):  # noqa: ARG002 - skorch's signature
        """Reconstruct rows of data of any dtype: (n, d) -> (n, d)."""
        weight = next(self.module_.parameters())
        return self.module_(torch.as_tensor(x).to(weight.device, weight.dtype))

    def get_default_callbacks(self):
        """Return none: what skorch's would record per batch is recorded here once an epoch."""
        return []

    def get_all_learnable_params(self):
        """Yield the weights of siblings, by the names that say how they are trained."""
        if isinstance(self.module_, Siblings):
            yield from self.module_.gather().items()
        else:
            yield from super().get_all_learnable_params()

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Start the cycle of the learning rate."""
        super().on_train_begin(net, X, y, **kwargs)
        self.weights = list(self.module_.weights.values())
        self.module_.draw_from(self.generator)
        self.losses = torch.compile(self.module_.losses) if self.compiles else self.module_.losses
        if self.n_steps is not None:
            self.steps_done = 0
        elif not hasattr(self, "average"):
            self.steps_done, self.average = 0, [weight.detach().clone() for weight in self.weights]
        self.highest_rates = [group["lr"] for group in self.optimizer_.param_groups]
        first = self.module_.members[0]
        self.at_once = rows_at_once(first, torch.device(self.device)) if first.separable else None

    @property
    def state(self):
        """The tensors that training alters, by name."""
        buffers = {
            f"{i} {name}": buffer
            for i, module in enumerate(self.module_.trained)
            for name, buffer in module.named_buffers()
        }
        return {**self.module_.weights, **buffers}

    def train_step(self, batch, **fit_params):  # noqa: ARG002 - skorch's signature
        """Take one step of the optimiser; return the mean of each named term of the loss, for each sibling."""
        rows, clean = batch
        means = {}
        for part, of_part, share in self.parts_of(rows, clean):
            for name, mean in self.differentiate(part, of_part, share, adds=bool(means)).items():
                means[name] = means[name] + mean if name in means else mean
        if self.limit is None:
            self.count_towards_limit(rows if clean is None else clean, sum(means.values()))
        self.processes.add_up(self.module_.gradients)
        self.module_.clip_gradients(GRADIENT_NORM)
        for group, highest in zip(self.optimizer_.param_groups, self.highest_rates, strict=True):
            group["lr"] = highest * rate_at(self.steps_done, self.n_steps)
        self.optimizer_.step()
        self.steps_done += 1
        if self.n_steps is None:
            self.update_average()
        self.module_.after_step(1.0 if self.n_steps is None else self.steps_done / self.n_steps)
        return means

    def parts_of(self, rows, clean):
        """Yield the parts whose gradients are computed one after the other: (rows, clean rows, share of the batch)."""
        n = rows.shape[1]
        n_parts = 1
        if self.at_once is not None:  # what is kept to go back by is that of one part
            n_parts = min(n, math.ceil(rows.shape[0] * n / (self.at_once * self.processes.size)))
        cleans = [None] * n_parts if clean is None else clean.tensor_split(n_parts, dim=1)
        for part, of_part in zip(rows.tensor_split(n_parts, dim=1), cleans, strict=True):
            yield part, of_part, part.shape[1] / n

    def differentiate(self, rows, clean, share, adds):
        """Set, or add to, the gradients by a share of a batch; return the mean of each named term, times the share."""
        precision = contextlib.nullcontext()
        if self.mixed_precision:
            precision = torch.autocast(rows.device.type, torch.bfloat16)
        try:
            with precision:
                terms = self.processes.shared(self.losses, self.module_.trained, rows, clean)
                means = {name: _by_member(term).mean(dim=1) for name, term in terms.items()}
                if share < 1:
                    means = {name: share * mean for name, mean in means.items()}
            self.module_.differentiate(sum(means.values()).sum(), adds)
        except RuntimeError as error:
            if not self.compiles or self.steps_done:
                raise
            what = str(error).strip().splitlines()[0].rstrip(".")
            raise ValueError(
                f"compile=True can't be used with this estimator on this machine: {what}. Set compile=False."
            ) from error
        return {name: mean.detach() for name, mean in means.items()}

    def count_towards_limit(self, rows, loss):
        """Note the loss at the start, and that of the mean over the first epoch: a batch may lack the largest rows."""
        if self.start is None:
            self.start, self.blank = loss.detach().clone(), torch.zeros_like(loss)
            self.processes.add_up([self.start])
        self.blank.add_(self.module_.blank_losses(rows), alpha=rows.shape[1])

    def update_average(self):
        """Move the average of a stream's weights, over all steps while they are few, towards the weights."""
        share = max(1 / STREAM_MEMORY, 9 / (10 + self.steps_done))
        with torch.no_grad():
            for mean, weight in zip(self.average, self.weights, strict=True):
                mean.lerp_(weight, share)

    @property
    def is_sound(self):
        """Whether the last epoch's losses and the weights are finite, and the loss is not far above the start."""
        last = self.history[-1]
        losses = np.concatenate([np.ravel(last.get(name, 0.0)) for name in ("train_loss", "valid_loss")])
        sound = np.isfinite(losses).all() and (last["train_loss"] <= self.limit).all()
        return not self.processes.any(not (sound and self.has_finite_weights))

    @property
    def has_given_up(self):
        """Whether training diverged again after the last step back."""
        return len(self.diverged) > MOST_STEPS_BACK

    def read_good(self, before=None):
        """Copy what `step_back` goes back to: into the memory of the copy before, if there is one."""
        if before is None:
            state = {name: tensor.detach().clone() for name, tensor in self.state.items()}
        else:
            state = {name: before[0][name].copy_(tensor.detach()) for name, tensor in self.state.items()}
        return state, self.held_out_losses

    def step_back(self, good):
        """Go on from an epoch before, at a lower rate."""
        state, self.held_out_losses = good
        self.write_state(state)
        self.optimizer_.state.clear()
        self.highest_rates = [LOWER_RATE * rate for rate in self.highest_rates]

    def write_state(self, state):
        """Set the tensors that training alters."""
        with torch.no_grad():
            for name, tensor in self.state.items():
                tensor.copy_(state[name])

    @contextlib.contextmanager
    def judging(self):
        """Draw the same for held-out rows at each epoch, and nothing of what training draws."""
        self.module_.draw_from(torch.Generator().manual_seed(self.seed))
        with isolated_rng(self.seed) if self.isolates else contextlib.nullcontext():
            yield
        self.module_.draw_from(self.generator)

    def validation_step(self, batch, **fit_params):  # noqa: ARG002 - skorch's signature
        """Return the named terms of the loss of held-out rows."""
        with torch.no_grad():
            return self.processes.whole(self.module_.losses, self.module_.trained, *batch, self.sizes)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Pass once over the rows and record the mean of each term of the loss.

        What is found out about training rows is read with what is found out about held-out ones, which come after them:
        a device is waited for once an epoch.
        """
        if iterator is None:
            self.read_found()
            return
        self.module_.train(training)
        sums, n_rows, by_row = {}, 0, []
        with contextlib.nullcontext() if training else self.judging():
            for batch in iterator:
                m, n = batch[0].shape[:2]
                n_rows += n
                terms = means = step_fn(batch, **fit_params)
                if not training:
                    means = {name: _by_member(term).mean(dim=1) for name, term in terms.items()}
                    by_row.append(sum(_by_row(term, m, n) for term in terms.values()))
                # nothing of a batch is kept in training: small tensors between large freed ones would tear the heap
                for name, mean in means.items():
                    sums.setdefault(name, torch.zeros_like(mean)).add_(mean, alpha=n)
        if training:
            self.processes.add_up(sums.values())
            self.processes.equalise(self.state.values())
            if self.limit is None:
                limit = self.start + FAR * (self.start.abs() + self.blank.abs() / n_rows)
                self.limit = limit.cpu().double().numpy()
            weights = torch.stack([weight.detach().sum() for weight in self.weights])  # finite if their sums are
            self.found["finite"] = weights.isfinite().all()
        self.found[prefix] = torch.stack([*sums.values()])  # (n_terms, m)
        self.found_terms[prefix] = list(sums), n_rows
        if not training:
            self.found["held_out_losses"] = torch.cat(by_row, dim=1).flatten(0, 1)  # (m n, n_sizes)
            self.read_found()

    def read_found(self):
        """Read what an epoch left on the device, all at once, and record the means of the terms of the loss."""
        if not self.found:
            return
        every = torch.cat([value.flatten() for value in self.found.values()]).cpu().double().numpy()
        parts = np.split(every, np.cumsum([value.numel() for value in self.found.values()])[:-1])
        found = {name: part.reshape(self.found[name].shape) for name, part in zip(self.found, parts, strict=True)}
        self.held_out_losses = found.get("held_out_losses")
        self.has_finite_weights = bool(found.get("finite", True))
        for prefix, (names, n_rows) in self.found_terms.items():
            means = found[prefix] / n_rows
            for name, mean in {**dict(zip(names, means, strict=True)), "loss": sum(means)}.items():
                self.history.record(f"{prefix}_{name}", mean)
        self.found, self.found_terms = {}, {}


def _by_member(term):
    """A term of any shape (m, ...) in two dimensions."""
    return term.reshape(len(term), -1)


def _by_row(term, m, n):
    """A term of shape (m, n, n_sizes), (m, n) or (m,) in three dimensions."""
    return term if term.dim() == 3 else term.reshape(m, -1).expand(m, n)[:, :, None]


def make_net(
    module,
    n_rows,
    *,
    max_iter,
    batch_size,
    learning_rate,
    weight_decay,
    device,
    mixed_precision,
    compile,
    seed,
    sizes,
    isolates=False,
):
    """Make a net that is ready to train `module` on `n_rows` rows.

    The linear branches, which start at their optimum, learn more slowly and aren't pulled to zero.

    Parameters
    ----------
    module : Siblings or AutoencoderModule

    n_rows, batch_size : int

    max_iter : int or None
        Epochs; None for a stream.

    learning_rate, weight_decay : float

    device : torch.device

    mixed_precision, compile : bool

    seed : int
        Of the order of the rows, and of the noise by which held-out ones are judged.

    sizes : sequence of int
        Sizes of code that held-out rows are judged by.

    isolates : bool
        Whether what is trained may draw from global generators.

    Returns
    -------
    net : AutoencoderNet
        Initialized.
    """
    net = AutoencoderNet(
        module,
        n_steps=None if max_iter is None else max_iter * WholeBatches.count(n_rows, batch_size),
        sizes=sizes,
        seed=seed,
        mixed_precision=mixed_precision,
        compiles=compile,
        isolates=isolates,
        criterion=torch.nn.MSELoss,  # of `get_loss` alone: in training the module gives its own loss
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=weight_decay,
        optimizer__fused=device.type in ("cpu", "cuda", "mps"),
        optimizer__param_groups=[
            ("linear*", {"lr": module.linear_rate * learning_rate, "weight_decay": 0.0}),
            ("undecayed*", {"weight_decay": 0.0}),
        ],
        lr=learning_rate,
        max_epochs=max_iter or 1,
        batch_size=batch_size,
        iterator_train=WholeBatches,
        iterator_train__generator=torch.Generator().manual_seed(seed),
        iterator_valid=HeldOutBatches,
        train_split=None,
        device=device,
        verbose=0,
    )
    with what_torch_sets_undone():
        return net.initialize()


def train(net, rows, held_out, epochs, *, max_iter, stand=None):
    """Train epoch by epoch: a generator that hands over after each.

    skorch's own `fit` would take Ctrl-C for the end of a training. Here whoever runs the loop decides when it ends,
    and an exception is an exception. When the loss is not finite, or far above the start, training steps back to the
    epoch before and goes on at a lower rate.

    Parameters
    ----------
    net : AutoencoderNet

    rows, held_out : RowDataset
        Scaled rows on the net's device, for each of the siblings; held-out ones for the first of them, or None.

    epochs : Epochs
        Where each epoch is reported.

    max_iter : int
        Epochs.

    stand : dict, default=None
        What `read_training` read after an epoch: training goes on from there.

    Yields
    ------
    epoch : int
        0 before the first step (only if there are held-out rows), then 1 to `max_iter`, or those after where it stands.
    """
    net.processes.equalise(net.state.values())
    if held_out is not None:
        net.train_split = predefined_split(held_out)
    if held_out is not None and stand is None:
        net.history.new_epoch()  # for what this pass records; it is no epoch
        start = net.get_iterator(held_out)
        net.run_single_epoch(start, training=False, prefix="valid", step_fn=net.validation_step)
        yield 0
        net.history.clear()
    net.notify("on_train_begin", X=rows, y=None)
    if stand is not None:
        write_training(net, stand)
    recovers = net.n_steps is not None  # a stream is up to whoever holds its average
    good = net.read_good() if recovers else None
    for epoch in range(len(net.history) + 1, max_iter + 1):
        with epochs.epoch(net.module_.members[-1]):
            net.fit_loop(rows, epochs=1)
            if recovers and net.is_sound:
                good = net.read_good(good)
            elif recovers:
                net.step_back(good)
                net.diverged.append(epoch)
        yield epoch


def warn_of_divergence(net, kept):
    """Warn if training diverged, and say what it did and what is kept."""
    if not net.diverged:
        return
    *others, last = map(str, net.diverged)
    where = f"epochs {', '.join(others)} and {last}" if others else f"epoch {last}"
    then = f"{'each time ' if others else ''}it went back to the epoch before, and on at {LOWER_RATE:g} times the rate"
    if net.has_given_up:
        then += f"; after {MOST_STEPS_BACK} such steps it was given up"
    _warn(f"Training diverged in {where}: the loss was not finite, or far above the start; {then}. {kept}")


def warn_of_lost_chunk(first):
    """Warn that a chunk of a stream made training diverge."""
    kept = "The network is left at its start." if first else "The estimator is as it was before the chunk."
    _warn(f"Training diverged in this chunk: the loss was not finite, or far above where it began. {kept}")


def _warn(message):
    warnings.warn(f"{message} Lower learning_rate.", ConvergenceWarning, stacklevel=3)


def read_curves(net):
    """Read what a net recorded once an epoch: {"train_loss": (n_epochs, n_siblings), "valid_loss": ..., ...}."""
    names = [name for name in net.history[-1] if name.startswith(("train_", "valid_"))] if net.history else []
    return {name: np.array(net.history[:, name]) for name in names}


def write_curves(net, curves):
    """Make a net's history of such curves."""
    for values in zip(*curves.values(), strict=True):
        net.history.new_epoch()
        for name, value in zip(curves, values, strict=True):
            net.history.record(name, value if np.ndim(value) else float(value))


def read_training(net):
    """Copy all that a training goes on from, to the same bit: `write_training` puts it back."""
    return {
        "state": _arrays(net.state),
        "optimizer": _moments(net),
        "steps_done": net.steps_done,
        "highest_rates": net.highest_rates,
        "diverged": net.diverged,
        "limit": net.limit,
        "curves": read_curves(net),
        "held_out_losses": net.held_out_losses,
        "order": net.iterator_train__generator.get_state().numpy(),
        "drawn": net.generator.get_state().numpy(),
        "global": read_global_rng() if net.isolates else None,
    }


def write_training(net, stand):
    """Let a net go on from where a training stood. Generators of a GPU, which no hook here draws from, are left out."""
    net.write_state(_tensors(stand["state"]))
    _load_moments(net, stand["optimizer"])
    net.steps_done, net.highest_rates, net.diverged = stand["steps_done"], stand["highest_rates"], stand["diverged"]
    net.limit = stand["limit"]
    write_curves(net, stand["curves"])
    net.held_out_losses = stand["held_out_losses"]
    net.iterator_train__generator.set_state(torch.tensor(stand["order"]))
    net.generator.set_state(torch.tensor(stand["drawn"]))
    if stand["global"] is not None:
        write_global_rng(stand["global"])


def read_stream(net):
    """Copy what a stream goes on from into arrays: the weights as they are, the optimiser's moments, the steps done."""
    return {
        "weights": _arrays(net.module_.members[-1].state_dict()),
        "optimizer": _moments(net),
        "steps_done": net.steps_done,
    }


def write_stream(net, stream):
    """Let a net for a stream go on from there; its module holds the average."""
    net.steps_done = stream["steps_done"]
    net.average = [weight.detach().clone() for weight in net.module_.weights.values()]
    net.module_.members[-1].load_state_dict(_tensors(stream["weights"]))
    _load_moments(net, stream["optimizer"])


def load_average(net):
    """Put the average of a stream's weights in the place of the weights."""
    with torch.no_grad():
        for mean, weight in zip(net.average, net.weights, strict=True):
            weight.copy_(mean)


def _moments(net):
    """What the optimizer keeps of each weight, by the weight's name."""
    state = net.optimizer_.state
    return {name: _arrays(state[weight]) for name, weight in net.module_.weights.items() if weight in state}


def _load_moments(net, moments):
    """Let the optimizer go on from such moments; what earlier releases kept, under other names, is left out."""
    names = {id(weight): name for name, weight in net.module_.weights.items()}
    in_order = [weight for group in net.optimizer_.param_groups for weight in group["params"]]
    state = {
        place: {name: _laid_out_as(weight, value) for name, value in moments[names[id(weight)]].items()}
        for place, weight in enumerate(in_order)
        if names[id(weight)] in moments
    }
    net.optimizer_.load_state_dict(net.optimizer_.state_dict() | {"state": state})


def _laid_out_as(weight, value):
    """A tensor with the strides of a weight, which fused optimizers take for granted, or a number of steps."""
    tensor = torch.tensor(value)
    return torch.empty_like(weight, device="cpu").copy_(tensor) if tensor.dim() else tensor


def _arrays(tensors):
    return {name: value.detach().cpu().numpy().copy() for name, value in tensors.items()}


def _tensors(arrays):
    return {name: torch.tensor(value) for name, value in arrays.items()}
