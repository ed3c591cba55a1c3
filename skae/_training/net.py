"""The skorch net that trains an autoencoder, together with the networks of the folds."""

import contextlib
import functools
import math

import torch
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, LRScheduler, ParamMapper
from torch.utils.data import DataLoader

from skae._devices import without_torch_side_effects
from skae._seeds import isolated_rng
from skae._training.callbacks import ClipGradients, ConstantRate, OneCycle, OwnCallback
from skae._training.data import BatchLoader, IndexedDataset, expand_term, flatten_term, make_dataset, split_batch
from skae._training.distributed import processes
from skae._training.records import read_together, record_epoch
from skae._training.state import load_rates, load_training_state
from skae._training.users import ELEMENTWISE, check_monitors, handles_event, is_a, is_raised_by_code, named_callbacks
from skae.nn import AutoencoderModule, ModuleEnsemble
from skae.nn._convolution import rows_at_once

DIVERGENCE_FACTOR = 10.0  # training has diverged if the loss increases by more than this times the first losses
PREDICTED_AT_ONCE = 1024  # samples
ANOTHER_STREAM = 2**32  # offset of the seed of hooks, whose random numbers differ from those that shuffle samples
HYPERPARAMETERS = ("lr", "weight_decay", "momentum", "betas")  # options that a schedule may change


class TrainingEnd(Exception):  # noqa: N818 - it is not an error
    """Raised when a callback ends the training."""


class AutoencoderNet(NeuralNet):
    """The skorch net of an autoencoder, with no overhead per sample and little overhead per batch.

    `module_` is the resulting network; the networks of the folds are trained with it. Modules return their loss as
    named terms. The mean of each term over all samples is recorded every epoch as `train_<term>` and `valid_<term>`, as
    are their sums `train_loss` and `valid_loss`.

    Parameters
    ----------
    module : AutoencoderModule

    members : list of AutoencoderModule, default=None
        Networks that are trained together, on one device; the last is `module`. If None, only `module` is trained.

    labels : sequence of str, default=("",)
        Suffixes of their records in the history: see `skae._training.labels`.

    is_stream : bool, default=False
        Whether more data will follow.

    sizes : sequence of int, default=None
        Code sizes for which validation losses are computed: several for ordered codes.

    seed : int, default=0
        Seed of the order of samples and of random numbers in hooks; validation uses the same ones in each epoch.

    mixed_precision : bool, default=False
        Whether the training loss is computed in bfloat16 where that is safe.

    isolates : bool, default=False
        Whether the modules may use global random number generators.

    **kwargs
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

    # Initialization, as in skorch ------------------------------------------------------------------------------------

    def get_default_callbacks(self):
        """Return the learning rate schedule and gradient clipping, unless callbacks of the user replace them."""
        names, users = zip(*named_callbacks(self.callbacks), strict=True) if self.callbacks else ((), ())
        schedule = ConstantRate() if self.is_stream else OneCycle()
        return [
            (name, callback)
            for name, callback, kind in (
                ("learning_rate_schedule", schedule, LRScheduler),
                ("gradient_clipping", ClipGradients(), GradientNormClipping),
            )
            if name not in names and not any(is_a(user, kind) for user in users)
        ]

    def torch_compile(self, module, name):
        """Return the module unchanged: losses are compiled instead."""
        return module

    def initialize_optimizer(self, triggered_directly=None):
        """Create an optimizer for each trained module; `optimizer_` is that of the resulting network.

        The networks are trained as one batched module only if each takes the same steps as if trained alone.
        """
        alone = self._users_handle("on_grad_computed") or any(isinstance(each, ParamMapper) for each in self._users)
        is_batched = self.optimizer in ELEMENTWISE and not alone
        self.ensemble_ = ModuleEnsemble(self.members or [self.module_], is_batched)
        self.optimizers_ = []
        for weights in self.ensemble_.weights:
            (groups,), kwargs = self.get_params_for_optimizer("optimizer", weights.items())
            self.optimizers_.append(self.optimizer(_merged(groups), **kwargs))
        self.optimizer_ = self.optimizers_[-1]
        places = range(len(self.ensemble_.trained) - 1, -1, -1)  # the last draws as if trained alone
        self.generators_ = [torch.Generator().manual_seed(self.seed + ANOTHER_STREAM + i) for i in places]
        self.processes_ = processes(torch.device(self.device))
        self.steps_done_, self.held_out_, self.held_out_losses_ = 0, None, None
        self.limit_ = self.start_ = None  # maximum loss and initial loss of each network
        self.found_ = {}  # results of an epoch that are still on the device
        self.listening_, self.shows_batches_ = {}, False
        return self

    def __getstate__(self):
        made_again = {"ensemble_", "optimizers_", "losses_", "generators_", "processes_", "found_", "listening_"}
        return {name: value for name, value in super().__getstate__().items() if name not in made_again}

    def __setstate__(self, state):
        super().__setstate__(state)
        with without_torch_side_effects():
            self._initialize_optimizer()

    # Data, as in skorch ----------------------------------------------------------------------------------------------

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the training samples, and the validation samples or None."""
        dataset = self.get_dataset(X, y)
        return dataset, dataset.held_out

    def get_iterator(self, dataset, training=False):
        """Return a loader of indexed samples; for input of `predict` and `forward`, return that of skorch."""
        if isinstance(dataset, IndexedDataset):
            return super().get_iterator(dataset, training)
        return DataLoader(dataset, batch_size=max(self.batch_size, PREDICTED_AT_ONCE))

    def forward_iter(self, X, training=False, device="cpu"):
        """Reconstruct samples in batches; of indexed samples, those of the resulting network."""
        return super().forward_iter(X.X if isinstance(X, IndexedDataset) else X, training, device)

    def infer(self, x, **fit_params):
        """Reconstruct samples of any dtype: (n, d) -> (n, d)."""
        weight = next(self.module_.parameters())
        return self.module_(torch.as_tensor(x).to(weight.device, weight.dtype))

    # The loop --------------------------------------------------------------------------------------------------------

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` more epochs on samples in units of the data, with targets y."""
        if not self.initialized_:
            self.initialize()
        dataset = make_dataset(X, y, self.module_, torch.device(self.device))
        return self.train(dataset, epochs=len(self.history) + self.max_epochs)

    def train(self, dataset, own=(), *, epochs, resume=None):
        """Train like skorch's `partial_fit`, except that Ctrl-C raises a KeyboardInterrupt.

        Parameters
        ----------
        dataset : IndexedDataset

        own : sequence of (str, Callback), default=()
            Callbacks of this training only, which are called first.

        epochs : int
            Total number of epochs.

        resume : dict, default=None
            Result of `training_state` after some of these epochs.
        """
        others, last = self.callbacks_, lambda pair: getattr(pair[1], "_is_last", False)
        self.callbacks_ = sorted([*own, *others], key=last)  # a checkpoint includes the effects of other callbacks
        self.listening_ = {}
        self.shows_batches_ = self._users_handle("on_batch_begin", "on_batch_end", "on_grad_computed")
        first = self.ensemble_.members[0]
        self.at_once_ = rows_at_once(first, torch.device(self.device)) if first.separable else None
        self.stops_, self.held_out_, self.cooling_, self.cycle_ = False, dataset.held_out, None, None
        losses, params = [module.losses for module in self.ensemble_.trained], self.get_params_for("compile")
        self.losses_ = [torch.compile(loss, **params) for loss in losses] if self.compile else losses
        self.processes_.broadcast(self.ensemble_.tensors.values())
        self.ensemble_.draw_from(self.generators_)
        try:
            if dataset.held_out is None:
                check_monitors(self._users)
            if resume is not None:
                load_training_state(self, resume)
            n_done, self.n_steps_ = len(self.history), None
            if not self.is_stream:
                n_batches = BatchLoader.count(len(dataset), self.batch_size)
                n_skipped = 0 if resume else n_done  # further training has a separate cycle
                self.steps_done_, self.n_steps_ = (n_done - n_skipped) * n_batches, (epochs - n_skipped) * n_batches
            for group in self.optimizer_.param_groups:
                group["initial_lr"] = group.get("initial_lr" if resume else "lr")
            self.notify("on_train_begin", X=dataset, y=None)
            if resume is not None:
                load_rates(self, resume)
            try:
                self.fit_loop(dataset, epochs=epochs - n_done)
            except TrainingEnd:
                if self.history and "train_loss" not in self.history[-1]:
                    del self.history[-1]  # an unfinished epoch
            self.notify("on_train_end", X=dataset, y=None)
        finally:
            self.callbacks_, self.held_out_, self.listening_ = others, None, {}
        return self

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks that handle an event, and end the training if one of them requests it."""
        if method_name not in self.listening_:
            self.listening_[method_name] = [each for _, each in self.callbacks_ if handles_event(each, method_name)]
        getattr(self, method_name)(self, **cb_kwargs)
        try:
            for callback in self.listening_[method_name]:
                getattr(callback, method_name)(self, **cb_kwargs)
        except KeyboardInterrupt as error:
            if not is_raised_by_code(error):
                raise
            raise TrainingEnd from None
        if method_name == "on_epoch_end" and self.processes_.any(self.stops_):
            raise TrainingEnd

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Begin a record of the batch, if a callback may use it."""
        if self.shows_batches_:
            super().on_batch_begin(net, batch, training, **kwargs)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch over the samples and record the mean of each term of the loss.

        Results of training and validation are read together, after validation, so that the device is synchronized once
        per epoch.
        """
        if iterator is not None:
            self.pass_over(iterator, training, prefix, step_fn, **fit_params)
        if iterator is None or not training:
            if self._users and not self.shows_batches_:
                self.history.new_batch()  # required by some callbacks of skorch, such as Checkpoint
            n_each = [len(index) for index in self.held_out_.indices] if self.held_out_ is not None else []
            self.train_losses_, are_finite = record_epoch(self.history, self.read_found(), self.labels, n_each)
            self.is_finite_ = bool(self.is_finite_) and are_finite

    def pass_over(self, iterator, training, prefix, step_fn, *, notifies=True, **fit_params):
        """Run one epoch, and store the results on the device; callbacks are notified if `notifies`."""
        self.ensemble_.train(training)
        for weights in self.ensemble_.weights[:-1]:
            for name, kept in self.ensemble_.weights[-1].items():
                weights[name].requires_grad_(kept.requires_grad)  # a callback may have frozen it
        sums, n_rows, held_out, losses_of_samples = {}, 0, {}, []
        with contextlib.nullcontext() if training else self._fixed_validation_seed():
            for rows, target in iterator:
                shown = self._shown(rows, target, training) if notifies and self.shows_batches_ else None
                if notifies:
                    self.notify("on_batch_begin", batch=shown, training=training)
                terms = step_fn((rows, target), shown=shown, **fit_params)
                if training:
                    # no tensor of a batch is stored: small ones between large freed ones would fragment the heap
                    for name, mean in terms.items():
                        sums.setdefault(name, torch.zeros_like(mean)).add_(mean, alpha=rows.shape[1])
                    n_rows += rows.shape[1]
                else:
                    terms = {name: expand_term(term, *rows.shape[:2]) for name, term in terms.items()}
                    losses_of_samples.append(sum(terms.values()))
                    for name, term in terms.items():
                        held_out.setdefault(name, []).append(term.mean(dim=2))
                if notifies:
                    self._end_batch(shown, terms, training, prefix)
        if training:
            self.ensemble_.share_buffers()
            self.processes_.all_reduce(sums.values())
            self.processes_.broadcast(self.ensemble_.tensors.values())
            if self.limit_ is None:
                limit = self.start_ + DIVERGENCE_FACTOR * (self.start_.abs() + self.baseline_.abs() / n_rows)
                self.limit_ = limit.cpu().double().numpy()
            weights = [weight.detach().sum() for of_one in self.ensemble_.weights for weight in of_one.values()]
            self.found_["finite"] = torch.stack(weights).isfinite().all()  # weights are finite if their sums are
            self.found_ |= {("train", name): total / n_rows for name, total in sums.items()}  # (m,)
        else:
            self.found_ |= {("valid", name): torch.cat(each, dim=1) for name, each in held_out.items()}  # (m, n)
            self.found_["held_out_losses"] = torch.cat(losses_of_samples, dim=1)  # (m, n, n_sizes)

    def read_found(self):
        """Read the results of an epoch from the device, in one transfer."""
        found, self.found_ = read_together(self.found_), {}
        self.held_out_losses_, self.is_finite_ = found.pop("held_out_losses", None), found.pop("finite", True)
        return found

    def validate(self, held_out):
        """Compute the current losses of validation samples, `held_out_losses_`."""
        iterator = self.get_iterator(held_out)
        self.pass_over(iterator, training=False, prefix="valid", step_fn=self.validation_step, notifies=False)
        self.read_found()

    # A step ----------------------------------------------------------------------------------------------------------

    def train_step(self, batch, *, shown=None, **fit_params):
        """Take one step of each optimizer; return the mean of each named term of the loss, for each network."""
        rows, target = batch
        means, progress = [], 1.0 if self.is_stream else (self.steps_done_ + 1) / self.n_steps_
        for place, optimizer in enumerate(self.optimizers_):
            if optimizer is not self.optimizer_:
                for group, kept in zip(optimizer.param_groups, self.optimizer_.param_groups, strict=True):
                    group.update({name: kept[name] for name in HYPERPARAMETERS if name in kept})
            x, y = rows, target
            if not self.ensemble_.is_batched:
                x, y = rows[place : place + 1], None if target is None else target[place : place + 1]
            first = []
            optimizer.step(functools.partial(self._closure, place, x, y, shown, first))
            means.append(first[0])
            module = self.ensemble_.trained[place]
            if type(module).after_step is not AutoencoderModule.after_step:
                with torch.no_grad():
                    module.after_step(progress)
        means = {name: torch.cat([of_one[name] for of_one in means]) for name in means[0]} if means[1:] else means[0]
        if self.limit_ is None:
            self._count_towards_limit(self._target(rows, target), sum(means.values()))
        self.steps_done_ += 1
        return means

    def _closure(self, place, rows, target, shown, first):
        """Compute the gradients of one trained module, and return its loss."""
        weights, means, n_parts = self.ensemble_.weights[place], {}, 1
        if self.at_once_ is not None:  # only the activations of one part are stored at a time
            n_parts = math.ceil(rows.shape[0] * rows.shape[1] / (self.at_once_ * self.processes_.size))
        for part, of_part, share in split_batch(rows, target, n_parts):
            for name, mean in self._differentiate(place, part, of_part, share, adds=bool(means)).items():
                means[name] = means[name] + mean if name in means else mean
        self.processes_.all_reduce([weight.grad for weight in weights.values() if weight.grad is not None])
        self.notify("on_grad_computed", named_parameters=list(weights.items()), batch=shown, training=True)
        first.append(means)
        return _total(means)

    def _differentiate(self, place, rows, target, share, adds):
        """Set or accumulate the gradients of part of a batch; return weighted means of the named terms."""
        kind, is_mixed = rows.device.type, self.mixed_precision
        precision = torch.autocast(kind, torch.bfloat16) if is_mixed else contextlib.nullcontext()
        weights = [weight for weight in self.ensemble_.weights[place].values() if weight.requires_grad]
        try:
            with precision:
                losses = functools.partial(self._losses, place)
                terms = self.processes_.shared(losses, [self.ensemble_.trained[place]], rows, target)
                means = {name: flatten_term(term).mean(dim=1) for name, term in terms.items()}
                if share < 1:
                    means = {name: share * mean for name, mean in means.items()}
            if not adds:
                for weight in weights:
                    weight.grad = None  # frees memory, after the forward pass to avoid fragmentation by small tensors
            _total(means).backward(inputs=weights)  # without gradients of the samples
        except RuntimeError as error:
            if not self.compile or self.steps_done_:
                raise
            what = str(error).strip().splitlines()[0].rstrip(".")
            raise ValueError(
                f"net_params={{'compile': True}} can't be used with this estimator on this machine: {what}. Remove "
                "'compile'."
            ) from error
        return {name: mean.detach() for name, mean in means.items()}

    def _losses(self, place, rows, sizes, target):
        """Return named terms of one trained module, with networks as the first dimension."""
        if self.ensemble_.is_batched:
            return self.losses_[place](rows, sizes, target)
        terms = self.losses_[place](rows[0], sizes, None if target is None else target[0])
        return {name: term[None] for name, term in terms.items()}

    def _target(self, rows, target):
        """Return the target of reconstructions."""
        return rows if target is None or self.module_.is_supervised else target

    def _count_towards_limit(self, rows, loss):
        """Accumulate the loss of predicting the mean over the first epoch: a batch may lack the largest samples."""
        if self.start_ is None:
            self.start_, self.baseline_ = loss.detach().clone(), torch.zeros_like(loss)
            self.processes_.all_reduce([self.start_])
        self.baseline_.add_(self.ensemble_.baseline_losses(rows), alpha=rows.shape[1])

    def validation_step(self, batch, **fit_params):
        """Return the named terms of the loss of validation samples."""
        rows, target = batch
        with torch.no_grad():
            return self.processes_.whole(self.ensemble_.losses, self.ensemble_.trained, rows, target, self.sizes)

    @contextlib.contextmanager
    def _fixed_validation_seed(self):
        """Use the same random numbers for validation in each epoch, independent of those of training."""
        generator = torch.Generator().manual_seed(self.seed)
        self.ensemble_.draw_from([generator] * len(self.generators_))
        with isolated_rng(self.seed) if self.isolates else contextlib.nullcontext():
            yield
        self.ensemble_.draw_from(self.generators_)

    # Data for callbacks ----------------------------------------------------------------------------------------------

    @property
    def _users(self):
        """Callbacks that are not internal."""
        return [callback for _, callback in self.callbacks_ if not isinstance(callback, OwnCallback)]

    def _users_handle(self, *events):
        return any(handles_event(callback, event) for callback in self._users for event in events)

    def _shown(self, rows, target, training):
        """Return a batch of the resulting network, or of validation samples, in units of the data."""
        x, y = (of[-1] if training else of.flatten(0, 1) for of in (rows, rows if target is None else target))
        inverse = self.module_.scaler.inverse
        return inverse(x), y if target is not None and self.module_.is_supervised else inverse(y)

    def _end_batch(self, shown, terms, training, prefix):
        if shown is None:
            self.notify("on_batch_end", batch=None, training=training)
            return
        loss = sum(mean[-1] if training else mean.mean() for mean in terms.values()).detach()
        y_pred = self.evaluation_step(shown)
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", len(shown[0]))
        self.notify("on_batch_end", batch=shown, training=training, loss=loss, y_pred=y_pred)
        self.ensemble_.train(training)


def _total(means):
    """Return the total loss of all networks, with few operators, which are slow even on small tensors."""
    total, *others = means.values()
    for other in others:
        total = total + other
    return total.sum() if len(total) > 1 else total.squeeze(0)


def _merged(groups):
    """Merge parameter groups with the same options, since each group adds overhead to a step."""
    by_options = {}
    for group in groups:
        options = {name: value for name, value in group.items() if name != "params"}
        by_options.setdefault(repr(options), {**options, "params": []})["params"] += group["params"]
    return list(by_options.values())
