"""The skorch net that trains an autoencoder, and with it the networks of the folds."""

import contextlib
import dis
import functools
import math

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, Checkpoint, GradientNormClipping, LRScheduler, PrintLog
from skorch.exceptions import SkorchException
from torch.utils.data import DataLoader

from skae._devices import what_torch_sets_undone
from skae._rows import ScaledRows
from skae._seeds import isolated_rng
from skae._training.callbacks import ClipGradients, ConstantRate, OneCycle, OwnCallback
from skae._training.data import BatchLoader, HeldOutLoader, IndexedDataset
from skae._training.distributed import processes
from skae._training.labels import represented
from skae._training.state import load_rates, load_training_state
from skae._training.users import named_callbacks
from skae.nn import ModuleEnsemble
from skae.nn._convolution import rows_at_once

FAR = 10.0  # times the loss at the start and that of the mean: a loss so far above the start has diverged
PREDICTED_AT_ONCE = 1024  # samples
ANOTHER_STREAM = 2**32  # what hooks draw is not what samples are ordered by
ELEMENTWISE = tuple(
    getattr(torch.optim, name)
    for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD")
)  # a weight's step depends on that weight's gradients alone, so that those of several networks can be taken at once
HYPERPARAMETERS = ("lr", "weight_decay", "momentum", "betas")  # that a schedule may change
BY_PARAMETERS = {  # what the estimator's parameters set in a net
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


class TrainingEnd(Exception):  # noqa: N818 - it is no error
    """A callback asked to end the training."""


class AutoencoderNet(NeuralNet):
    """The skorch net of an autoencoder, with nothing done per sample and as little as can be per batch.

    `module_` is the network that is kept; with it, those of the folds are trained. They give their own loss as named
    terms. The mean of each, over all samples, is recorded once an epoch as `train_<term>` and `valid_<term>`, beside
    their sums `train_loss` and `valid_loss`.

    Parameters
    ----------
    module : AutoencoderModule

    members : list of AutoencoderModule, default=None
        The networks that are trained side by side, on one device; the last is `module`. None is `module` alone.

    labels : sequence of str, default=("",)
        What their records end with, in the history. Those of folds are "_fold0", "_fold1", ... and end with the label
        of what they stand for.

    is_stream : bool, default=False
        Whether more data come after these.

    sizes : sequence of int, default=None
        Sizes of code that held-out samples are judged by: several for ordered codes.

    seed : int, default=0
        Of the order of the samples, of what hooks draw, and of what is drawn while held-out samples are judged, which
        is the same at each epoch.

    mixed_precision : bool, default=False
        Whether the loss of a step is computed in bfloat16 where that is safe.

    isolates : bool, default=False
        Whether what is trained may draw from global generators.

    **kwargs : dict
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module,
        *,
        members=None,
        labels=("",),
        is_stream=False,
        sizes=None,
        seed=0,
        mixed_precision=False,
        isolates=False,
        **kwargs,
    ):
        super().__init__(module, **kwargs)
        self.members = members
        self.labels = labels
        self.is_stream = is_stream
        self.sizes = sizes
        self.seed = seed
        self.mixed_precision = mixed_precision
        self.isolates = isolates

    # As skorch makes a net ready -------------------------------------------------------------------------------------

    def get_default_callbacks(self):
        """Return the schedule and the clipping, but for those that a user's own ones replace."""
        names, users = zip(*named_callbacks(self.callbacks), strict=True) if self.callbacks else ((), ())
        schedule = ConstantRate() if self.is_stream else OneCycle()
        return [
            (name, callback)
            for name, callback, kind in (
                ("learning_rate_schedule", schedule, LRScheduler),
                ("gradient_clipping", ClipGradients(), GradientNormClipping),
            )
            if name not in names and not any(_is_a(user, kind) for user in users)
        ]

    def torch_compile(self, module, name):
        """Leave the module as it is: it is the losses that are compiled."""
        return module

    def initialize_optimizer(self, triggered_directly=None):
        """Make an optimizer for each of the trained modules; `optimizer_` is that of the network that is kept.

        The networks are one module in training only if each takes the steps that it would take by itself.
        """
        listeners = [callback for _, callback in self.callbacks_ if not isinstance(callback, OwnCallback)]
        is_batched = self.optimizer in ELEMENTWISE and not any(_hears(each, "on_grad_computed") for each in listeners)
        self.ensemble_ = ModuleEnsemble(self.members or [self.module_], is_batched)
        self.optimizers_ = []
        for weights in self.ensemble_.weights:
            args, kwargs = self.get_params_for_optimizer("optimizer", weights.items())
            self.optimizers_.append(self.optimizer(*args, **kwargs))
        self.optimizer_ = self.optimizers_[-1]
        places = range(len(self.ensemble_.trained) - 1, -1, -1)  # the network that is kept draws as it would alone
        self.generators_ = [torch.Generator().manual_seed(self.seed + ANOTHER_STREAM + i) for i in places]
        losses = [module.losses for module in self.ensemble_.trained]
        params = self.get_params_for("compile")
        self.losses_ = [torch.compile(loss, **params) for loss in losses] if self.compile else losses
        self.processes_ = processes(torch.device(self.device))
        self.steps_done_, self.held_out_, self.held_out_losses_ = 0, None, None
        self.limit_ = self.start_ = None  # of the loss, for each network
        self.found_, self.found_terms_ = {}, {}  # what an epoch leaves on the device until it is read
        self.listening_, self.shows_batches_ = {}, False
        return self

    def __getstate__(self):
        transient = ("ensemble_", "optimizers_", "losses_", "generators_", "processes_", "found_", "listening_")
        state = {**super().__getstate__()}
        for name in transient:
            state.pop(name, None)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        with what_torch_sets_undone():
            self._initialize_optimizer()

    # What skorch reads -----------------------------------------------------------------------------------------------

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return samples that are trained on, and held-out ones, or None."""
        dataset = self.get_dataset(X, y)
        return dataset, dataset.held_out

    def get_iterator(self, dataset, training=False):
        """Iterate over samples by index, and over what `predict` and `forward` are given as skorch does."""
        if isinstance(dataset, IndexedDataset):
            return super().get_iterator(dataset, training)
        return DataLoader(dataset, batch_size=max(self.batch_size, PREDICTED_AT_ONCE))

    def forward_iter(self, X, training=False, device="cpu"):
        """Reconstruct batch by batch; of samples by index, those of the network that is kept."""
        return super().forward_iter(X.X if isinstance(X, IndexedDataset) else X, training, device)

    def infer(self, x, **fit_params):
        """Reconstruct samples of any dtype: (n, d) -> (n, d)."""
        weight = next(self.module_.parameters())
        return self.module_(torch.as_tensor(x).to(weight.device, weight.dtype))

    # The loop --------------------------------------------------------------------------------------------------------

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` epochs more, on samples in units of the data; `y` is what they are to become."""
        if not self.initialized_:
            self.initialize()
        scaler = self.module_.scaler
        mean, scale = (tensor.detach().cpu().double().numpy() for tensor in (scaler.mean, scaler.scale))
        source = ScaledRows(X, mean, scale, clean=y)
        dataset = IndexedDataset(source.on_device(torch.device(self.device)), [np.arange(len(source))], source)
        return self.train(dataset, epochs=len(self.history) + self.max_epochs)

    def train(self, dataset, own=(), *, epochs, resume=None):
        """Train: skorch's `partial_fit`, in which Ctrl-C is no end of a training, but a KeyboardInterrupt.

        Parameters
        ----------
        dataset : IndexedDataset

        own : sequence of (str, Callback), default=()
            Callbacks of this training alone. They are called first.

        epochs : int
            How many there are in all.

        resume : dict, default=None
            What `training_state` gave after some of these epochs.
        """
        others, self.callbacks_ = self.callbacks_, [*own, *self.callbacks_]
        self.listening_ = {}
        heard = ("on_batch_begin", "on_batch_end", "on_grad_computed")
        users = [callback for _, callback in self.callbacks_ if not isinstance(callback, OwnCallback)]
        self.shows_batches_ = any(_hears(callback, event) for callback in users for event in heard)
        first = self.ensemble_.members[0]
        self.at_once_ = rows_at_once(first, torch.device(self.device)) if first.separable else None
        self.stops_, self.held_out_ = False, dataset.held_out
        self.processes_.equalise(self.ensemble_.tensors.values())
        self.ensemble_.draw_from(self.generators_)
        try:
            self._check_monitors(users, dataset)
            if resume is not None:
                load_training_state(self, resume)
            n_done, self.n_steps_ = len(self.history), None
            if not self.is_stream:
                n_batches = BatchLoader.count(len(dataset), self.batch_size)
                self.steps_done_, self.n_steps_ = n_done * n_batches, epochs * n_batches
            self.notify("on_train_begin", X=dataset, y=None)
            if resume is not None:
                load_rates(self, resume)
            try:
                self.fit_loop(dataset, epochs=epochs - n_done)
            except TrainingEnd:
                if self.history and "train_loss" not in self.history[-1]:
                    del self.history[-1]  # an epoch that was not ended
            self.notify("on_train_end", X=dataset, y=None)
        finally:
            self.callbacks_, self.held_out_, self.listening_ = others, None, {}
        return self

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks that listen, and end the training if one of them asks for it."""
        if method_name not in self.listening_:
            self.listening_[method_name] = [each for _, each in self.callbacks_ if _hears(each, method_name)]
        getattr(self, method_name)(self, **cb_kwargs)
        try:
            for callback in self.listening_[method_name]:
                getattr(callback, method_name)(self, **cb_kwargs)
        except KeyboardInterrupt as error:
            if not _is_raised_by_code(error):
                raise
            raise TrainingEnd from None
        if method_name == "on_epoch_end" and self.processes_.any(self.stops_):
            raise TrainingEnd

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Begin a record of the batch, if somebody may look at it."""
        if self.shows_batches_:
            super().on_batch_begin(net, batch, training, **kwargs)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Pass once over the samples and record the mean of each term of the loss.

        What is found out about samples that are trained on is read with what is found out about held-out ones, which
        come after them: a device is waited for once an epoch.
        """
        if iterator is not None:
            self.pass_over(iterator, training, prefix, step_fn, **fit_params)
        if iterator is None or not training:
            self._record_epoch(*self.read_found())

    def pass_over(self, iterator, training, prefix, step_fn, *, tells=True, **fit_params):
        """Pass once over the samples, and leave what is found out on the device; callbacks may be told of batches."""
        self.ensemble_.train(training)
        sums, n_rows, by_row, judged = {}, 0, {}, []
        with contextlib.nullcontext() if training else self._judging():
            for rows, clean in iterator:
                shown = self._shown(rows, clean, training) if tells and self.shows_batches_ else None
                if tells:
                    self.notify("on_batch_begin", batch=shown, training=training)
                terms = step_fn((rows, clean), shown=shown, **fit_params)
                if training:
                    # nothing of a batch is kept: small tensors between large freed ones would tear the heap
                    for name, mean in terms.items():
                        sums.setdefault(name, torch.zeros_like(mean)).add_(mean, alpha=rows.shape[1])
                    n_rows += rows.shape[1]
                else:
                    terms = {name: _by_row(term, *rows.shape[:2]) for name, term in terms.items()}
                    judged.append(sum(terms.values()))
                    for name, term in terms.items():
                        by_row.setdefault(name, []).append(term.mean(dim=2))
                if tells:
                    self._end_batch(shown, terms, training, prefix)
        if training:
            self.processes_.add_up(sums.values())
            self.processes_.equalise(self.ensemble_.tensors.values())
            if self.limit_ is None:
                limit = self.start_ + FAR * (self.start_.abs() + self.blank_.abs() / n_rows)
                self.limit_ = limit.cpu().double().numpy()
            weights = [weight.detach().sum() for of_one in self.ensemble_.weights for weight in of_one.values()]
            self.found_["finite"] = torch.stack(weights).isfinite().all()  # the weights are if their sums are
            self.found_["train"] = torch.stack([*sums.values()]) / n_rows  # (n_terms, m)
            self.found_terms_["train"] = list(sums)
        else:
            self.found_["valid"] = torch.stack([torch.cat(rows, dim=1) for rows in by_row.values()])  # (n_terms, m, n)
            self.found_terms_["valid"] = list(by_row)
            self.found_["held_out_losses"] = torch.cat(judged, dim=1)  # (m, n, n_sizes)

    def read_found(self):
        """Read what an epoch left on the device, all at once: arrays, and names of terms."""
        every = torch.cat([value.flatten() for value in self.found_.values()]).cpu().double().numpy()
        parts = np.split(every, np.cumsum([value.numel() for value in self.found_.values()])[:-1])
        found = {name: part.reshape(self.found_[name].shape) for name, part in zip(self.found_, parts, strict=True)}
        terms, self.found_, self.found_terms_ = self.found_terms_, {}, {}
        self.held_out_losses_ = found.get("held_out_losses")
        return found, terms

    def validate(self, held_out):
        """Compute the losses of held-out samples, `held_out_losses_`, as they are now."""
        iterator = self.get_iterator(held_out)
        self.pass_over(iterator, training=False, prefix="valid", step_fn=self.validation_step, tells=False)
        self.read_found()

    def _record_epoch(self, found, terms):
        """Record the mean of each term of the loss; of folds the mean loss alone."""
        losses = {}
        for name, mean in zip(terms["train"], found["train"], strict=True):
            self._record("train", name, dict(zip(self.labels, mean, strict=True)))
        losses["train"] = self.train_losses_ = found["train"].sum(axis=0)  # (m,)
        self.is_finite_ = bool(found["finite"]) and np.isfinite(self.train_losses_).all()
        self._record("train", "loss", dict(zip(self.labels, losses["train"], strict=True)), of_folds=True)
        if "valid" not in found:
            return
        n_each = [len(index) for index in self.held_out_.indices]
        by_network = zip(found["valid"].swapaxes(0, 1), n_each, strict=True)
        means = np.stack([of_one[:, :n].mean(axis=1) for of_one, n in by_network])  # (m, n_terms)
        self.is_finite_ = self.is_finite_ and np.isfinite(means).all()
        for name, mean in zip([*terms["valid"], "loss"], [*means.T, means.sum(axis=1)], strict=True):
            of_each = dict(zip(self.labels, mean, strict=False))
            for label in {represented(label): None for label in of_each} if len(n_each) > 1 else ():
                folds = [i for i in range(len(n_each)) if represented(self.labels[i]) == label]
                of_each[label] = np.average(mean[folds], weights=np.take(n_each, folds))
            self._record("valid", name, of_each, of_folds=name == "loss")

    def _record(self, prefix, name, of_each, *, of_folds=False):
        for label, mean in of_each.items():
            if of_folds or represented(label) == label:
                self.history.record(f"{prefix}_{name}{label}", float(mean))
        if name == "loss":  # as skorch's default callbacks have it, which others monitor
            *earlier, last = self.history[:, f"{prefix}_loss"]
            self.history.record(f"{prefix}_loss_best", all(last < loss for loss in earlier))

    # A step ----------------------------------------------------------------------------------------------------------

    def train_step(self, batch, *, shown=None, **fit_params):
        """Take one step of each optimizer; return the mean of each named term of the loss, for each network."""
        rows, clean = batch
        means = []
        for place, optimizer in enumerate(self.optimizers_):
            if optimizer is not self.optimizer_:
                for group, kept in zip(optimizer.param_groups, self.optimizer_.param_groups, strict=True):
                    group.update({name: kept[name] for name in HYPERPARAMETERS if name in kept})
            x, y = rows, clean
            if not self.ensemble_.is_batched:
                x, y = rows[place : place + 1], None if clean is None else clean[place : place + 1]
            first = []
            optimizer.step(functools.partial(self._closure, place, x, y, shown, first))
            means.append(first[0])
            self.ensemble_.trained[place].after_step(self._progress())
        means = {name: torch.cat([of_one[name] for of_one in means]) for name in means[0]} if means[1:] else means[0]
        if self.limit_ is None:
            self._count_towards_limit(rows if clean is None else clean, sum(means.values()))
        self.steps_done_ += 1
        return means

    def _progress(self):
        return 1.0 if self.is_stream else (self.steps_done_ + 1) / self.n_steps_

    def _closure(self, place, rows, clean, shown, first):
        """Compute the gradients of one trained module, and return its loss."""
        weights, means = self.ensemble_.weights[place], {}
        for part, of_part, share in self._parts_of(rows, clean):
            for name, mean in self._differentiate(place, part, of_part, share, adds=bool(means)).items():
                means[name] = means[name] + mean if name in means else mean
        self.processes_.add_up([weight.grad for weight in weights.values() if weight.grad is not None])
        self.notify("on_grad_computed", named_parameters=list(weights.items()), batch=shown, training=True)
        first.append(means)
        return sum(means.values()).sum()

    def _parts_of(self, rows, clean):
        """Yield the parts whose gradients are computed one after the other: (rows, clean rows, share of the batch)."""
        n = rows.shape[1]
        n_parts = 1
        if self.at_once_ is not None:  # what is kept to go back by is that of one part
            n_parts = min(n, math.ceil(rows.shape[0] * n / (self.at_once_ * self.processes_.size)))
        cleans = [None] * n_parts if clean is None else clean.tensor_split(n_parts, dim=1)
        for part, of_part in zip(rows.tensor_split(n_parts, dim=1), cleans, strict=True):
            yield part, of_part, part.shape[1] / n

    def _differentiate(self, place, rows, clean, share, adds):
        """Set, or add to, the gradients by a share of a batch; return the mean of each named term, times the share."""
        precision = contextlib.nullcontext()
        if self.mixed_precision:
            precision = torch.autocast(rows.device.type, torch.bfloat16)
        weights = list(self.ensemble_.weights[place].values())
        try:
            with precision:
                losses = functools.partial(self._losses, place)
                terms = self.processes_.shared(losses, [self.ensemble_.trained[place]], rows, clean)
                means = {name: _by_member(term).mean(dim=1) for name, term in terms.items()}
                if share < 1:
                    means = {name: share * mean for name, mean in means.items()}
            if not adds:
                for weight in weights:
                    weight.grad = None  # makes room, after what a step computes first: small tensors would tear it
            sum(means.values()).sum().backward(inputs=weights)  # not by the rows
        except RuntimeError as error:
            if not self.compile or self.steps_done_:
                raise
            what = str(error).strip().splitlines()[0].rstrip(".")
            raise ValueError(
                f"net_params={{'compile': True}} can't be used with this estimator on this machine: {what}. Leave "
                "'compile' out."
            ) from error
        return {name: mean.detach() for name, mean in means.items()}

    def _losses(self, place, rows, sizes, clean):
        """Named terms of one trained module, with the networks in front."""
        if self.ensemble_.is_batched:
            return self.losses_[place](rows, sizes, clean)
        terms = self.losses_[place](rows[0], sizes, None if clean is None else clean[0])
        return {name: term[None] for name, term in terms.items()}

    def _count_towards_limit(self, rows, loss):
        """Note the loss at the start, and that of the mean over the first epoch: a batch may lack the largest rows."""
        if self.start_ is None:
            self.start_, self.blank_ = loss.detach().clone(), torch.zeros_like(loss)
            self.processes_.add_up([self.start_])
        self.blank_.add_(self.ensemble_.blank_losses(rows), alpha=rows.shape[1])

    def validation_step(self, batch, **fit_params):
        """Return the named terms of the loss of held-out rows."""
        rows, clean = batch
        with torch.no_grad():
            return self.processes_.whole(self.ensemble_.losses, self.ensemble_.trained, rows, clean, self.sizes)

    @contextlib.contextmanager
    def _judging(self):
        """Draw the same for held-out samples at each epoch, and nothing of what training draws."""
        generator = torch.Generator().manual_seed(self.seed)
        self.ensemble_.draw_from([generator] * len(self.generators_))
        with isolated_rng(self.seed) if self.isolates else contextlib.nullcontext():
            yield
        self.ensemble_.draw_from(self.generators_)

    # What callbacks see ----------------------------------------------------------------------------------------------

    def _shown(self, rows, clean, training):
        """A batch of the network that is kept, or of all that is held out, in units of the data."""
        pair = [rows, rows if clean is None else clean]
        shown = [self.module_.scaler.inverse(of[-1] if training else of.flatten(0, 1)) for of in pair]
        return tuple(shown)

    def _end_batch(self, shown, terms, training, prefix):
        if not self.shows_batches_:
            self.notify("on_batch_end", batch=None, training=training)
            return
        loss = sum(mean[-1] if training else mean.mean() for mean in terms.values()).detach()
        y_pred = self.evaluation_step(shown)
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", len(shown[0]))
        self.notify("on_batch_end", batch=shown, training=training, loss=loss, y_pred=y_pred)
        self.ensemble_.train(training)

    def _check_monitors(self, callbacks, dataset):
        """Raise what skorch would raise after the first epoch, of a callback that monitors what there is not."""
        if dataset.held_out is not None:
            return
        for callback in callbacks:
            monitor = getattr(callback, "monitor", None)
            if not isinstance(monitor, str) or not monitor.startswith("valid_"):
                continue
            kinds = {Checkpoint: SkorchException, LRScheduler: ValueError, Callback: KeyError}
            kind = next(kinds[of] for of in kinds if isinstance(callback, of))
            raise kind(
                f"Key '{monitor}' could not be found in history, for no samples are held out, and "
                f"{type(callback).__name__} monitors it. Let it monitor 'train_loss', or fit with a validation set."
            )


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
    """Make a net that is ready to train.

    The linear branches, which start at their optimum, learn more slowly and aren't pulled to zero.

    Parameters
    ----------
    members : list of AutoencoderModule
        The last is the one that is kept.

    labels : sequence of str

    max_iter : int or None
        Epochs; None for a stream.

    batch_size : int

    learning_rate, weight_decay : float
        The decay is that of AdamW; another optimizer of the user's has its own.

    device : torch.device

    mixed_precision : bool

    seed : int

    sizes : sequence of int or None

    isolates : bool

    callbacks : list or None
        Of the user's, which are not copied.

    net_params : dict or None
        Of the user's.

    Returns
    -------
    net : AutoencoderNet
        Initialized.
    """
    net_params = dict(net_params or {})
    for name in net_params:
        if name in BY_PARAMETERS:
            raise ValueError(f"net_params[{name!r}] is what {BY_PARAMETERS[name]} sets. Set that parameter.")
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
        "optimizer__param_groups": [] if net_params.get("optimizer") is torch.optim.LBFGS else groups,  # it has none
        "criterion": torch.nn.MSELoss,  # of `get_loss` alone: in training the module gives its own loss
        "iterator_train": BatchLoader,
        "iterator_valid": HeldOutLoader,
        **net_params,
    }
    members = [member.to(device) for member in members]
    n = len(members)
    with what_torch_sets_undone():
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
            verbose=int(any(_is_a(callback, PrintLog) for _, callback in named_callbacks(callbacks))),
            callbacks=callbacks,
            **parameters,
        ).initialize()


def settle(net, module):
    """Let a net that has trained hold what a module of its class holds; its `module_` stays the same object.

    The networks of folds, and what an optimizer keeps, are dropped.
    """
    vars(net.module_).clear()
    vars(net.module_).update(vars(module))
    net.members, net.labels = None, ("",)
    net.iterator_train__generators = net.iterator_train__generators[-1:]
    net.initialized_ = False  # or skorch says that it makes an optimizer
    with what_torch_sets_undone():
        net._initialize_optimizer()
    net.initialized_ = True


def _is_a(callback, kind):
    return issubclass(callback, kind) if isinstance(callback, type) else isinstance(callback, kind)


def _hears(callback, event):
    """Whether a callback does something at an event."""
    method = getattr(callback, event)
    return getattr(method, "__func__", method) is not getattr(Callback, event)


def _is_raised_by_code(error):
    """Whether a `raise` statement raised it, and not Ctrl-C: skorch's callbacks end a training by KeyboardInterrupt."""
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"


def _by_member(term):
    """A term of any shape (m, ...) in two dimensions."""
    return term.reshape(len(term), -1)


def _by_row(term, m, n):
    """A term of shape (m, n, n_sizes), (m, n) or (m,) in three dimensions."""
    return term if term.dim() == 3 else term.reshape(m, -1).expand(m, n)[:, :, None]
