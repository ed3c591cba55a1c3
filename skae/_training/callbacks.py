"""skorch callbacks for training: learning rate schedule, gradient clipping, divergence, best epoch."""

import math
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from skae._defaults import LONGER
from skae._spec import load_weights, read_weights
from skae._training.labels import represented
from skae._training.selection import significant_improvement
from skae.nn import AutoencoderModule
from skae.nn._ensemble import clip_gradients
from skae.nn._link import MixedLink

GRADIENT_NORM = 1.0  # maximum norm of gradients; without clipping, training that starts from PCA is unstable
LOWER_RATE = 0.1  # factor of the learning rate after divergence: with 0.5, most trainings diverge again
MAX_STEPS_BACK = 3
COOLING = 5  # epochs in which the learning rate falls to zero after early stopping
NEAR, LONG_COOLING = 0.2, 0.2  # below this fraction of PCA's loss, it falls in this fraction of the cycle
WARM_UP = 0.1  # fraction of steps in which the learning rate rises
GAINED = 0.06, 0.01  # fractions of the loss and of PCA's loss: with this gain in the second half, training continues
MUCH_LEFT = 0.05  # fraction of PCA's loss: with a smaller loss, little can be gained
BEHIND = 2.0  # times the training loss of folds: that of all samples is larger, but not this much unless it is stuck
STREAM_RATE = 0.2  # constant learning rate of a stream of unknown length, as a fraction of the maximum of a cycle
FAR_WORSE = 10.0  # times the loss of PCA: the loss of predicting the mean if PCA explains 90 % of the variance
LATE, WORSE = 1 / 2, 1.1  # fraction of the epochs, after which a restart with this multiple of the loss is too late
STREAM_MEMORY = 100  # steps over which the weights of a stream are averaged, instead of a decaying learning rate


class OwnCallback(Callback):
    """Base class of internal callbacks, which use the trained modules and no batches in units of the data.

    `state_dict` returns the state that is needed to resume from a checkpoint.
    """

    def state_dict(self):
        """Return a copy of the state, as plain values and arrays."""
        return {}

    def load_state_dict(self, state):
        """Restore the state."""


# Defaults that the user's callbacks can replace -----------------------------------------------------------------------


class OneCycle(OwnCallback):
    """Learning rate of each step: a linear increase to the maximum, then a cosine decay to zero (Smith, 2018)."""

    def rate_at(self, step, n_steps):
        """Return the learning rate of a step, as a fraction of the maximum."""
        progress = (step + 1) / (n_steps + 1)  # never 0 or 1, so that no step has a rate of zero
        if progress < WARM_UP:
            return progress / WARM_UP
        return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set the learning rate of the step."""
        if not training:
            return
        begin, length = net.cycle_ or (0, net.n_steps_)
        rate = self.rate_at(net.steps_done_ - begin, length)
        if net.cooling_ is not None:
            first, n_steps = net.cooling_
            rate = self.rate_at(first - begin, length) * (1 - (net.steps_done_ + 1 - first) / (n_steps + 1))
        for group in net.optimizer_.param_groups:
            group["lr"] = group["initial_lr"] * rate

    def on_train_end(self, net, **kwargs):
        """Restore the maximum learning rates for later training."""
        for group in net.optimizer_.param_groups:
            group["lr"] = group["initial_lr"]


class ConstantRate(OneCycle):
    """Constant learning rate for a stream of unknown length."""

    def rate_at(self, step, n_steps):
        """Return the learning rate of a step, as a fraction of the maximum of a cycle."""
        return STREAM_RATE


class ClipGradients(OwnCallback):
    """Clips the gradient of each network at a norm of 1."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Clip the gradients of one network, or of all networks of a batched module."""
        gradients = [weight.grad for _, weight in named_parameters if weight.grad is not None]
        clip_gradients(gradients, GRADIENT_NORM, len(net.ensemble_.members) // len(net.ensemble_.trained))


# Callbacks of every training ------------------------------------------------------------------------------------------


class Rollback(OwnCallback):
    """Restores the previous epoch and lowers the learning rate if the loss is not finite or far above the initial loss.

    Attributes
    ----------
    diverged : list of int
        Epochs that diverged.
    """

    def __init__(self):
        self.diverged, self.good, self.held_out_losses = [], None, None

    def on_train_begin(self, net, **kwargs):
        """Store the initial tensors."""
        self._store(net)

    def on_epoch_begin(self, net, **kwargs):
        """Store the validation losses of the previous epoch."""
        self.held_out_losses = net.held_out_losses_

    def on_epoch_end(self, net, **kwargs):
        """Restore the previous epoch if this one diverged."""
        if not net.processes_.any(not is_sound(net)):
            self._store(net)
            return
        write_tensors(net, self.good)
        net.held_out_losses_ = self.held_out_losses
        for optimizer in net.optimizers_:
            optimizer.state.clear()
        for group in net.optimizer_.param_groups:
            group.update({name: LOWER_RATE * group[name] for name in ("lr", "initial_lr") if name in group})
        self.diverged.append(len(net.history))
        net.stops_ = net.stops_ or self.has_given_up

    @property
    def has_given_up(self):
        """Whether training diverged more than `MAX_STEPS_BACK` times."""
        return len(self.diverged) > MAX_STEPS_BACK

    def _store(self, net):
        """Copy the tensors that training changes, into the memory of the previous copy if possible."""
        tensors = net.ensemble_.tensors
        if self.good is None or any(self.good[name].shape != tensor.shape for name, tensor in tensors.items()):
            self.good = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            self.good[name].copy_(tensor.detach())

    def state_dict(self):
        return {"diverged": list(self.diverged)}

    def load_state_dict(self, state):
        self.diverged = list(state["diverged"])

    def warn(self, kept):
        """Warn if training diverged: state the epochs, the measures taken and the result (`kept`)."""
        if not self.diverged:
            return
        *others, last = map(str, self.diverged)
        where = f"epochs {', '.join(others)} and {last}" if others else f"epoch {last}"
        then = f"{'each time ' if others else ''}the previous epoch was restored, and the learning rate "
        then += f"multiplied by {LOWER_RATE:g}"
        if self.has_given_up:
            then += f"; training was stopped after {MAX_STEPS_BACK} attempts"
        warn_of_divergence(f"{where}: the loss was not finite, or far above the initial loss; {then}. {kept}")


class BestEpoch(OwnCallback):
    """Selects the epoch with the best validation loss of those that significantly improve on the initial network.

    With one fold, the result is the network trained on the remaining samples. With several folds, it is the network
    trained on all samples, as it was after the best epoch over all folds. The random restart, a second network
    with random initial weights, is selected if its improvement on the initial loss of the first network is larger.

    Parameters
    ----------
    modules : dict of str to AutoencoderModule
        The network and its random restart, if there is one, by label; the network is the last.

    fold_modules : dict of str to list of AutoencoderModule
        The networks of each fold, if their weights are needed.

    validation : Validation

    n_iter_no_change : int or None
        Epochs without improvement after which the best epoch is restored, and trained for a few more epochs in which
        the learning rate falls to zero. If None, there is no early stopping.

    tol : float
        Minimum improvement of the mean validation loss, as a fraction of the initial loss.

    first_cycle : int or None
        Epochs of the first learning rate cycle. If the loss still decreased clearly at its end, a second cycle takes
        the remaining epochs; otherwise training ends. If None, there is one cycle.

    Attributes
    ----------
    cycle : (int, int) or None
        First step and number of steps of the second cycle.

    cooling : (int, int) or None
        First step and number of steps of the final decay of the learning rate.

    tensors : dict of str to torch.Tensor
        Tensors that training changes, as they were after the best epoch.

    epoch : int or None
        The best epoch; 0 is the initial network.

    label : str
        Label of the best network.

    start, losses : ndarray of shape (n, n_sizes)
        Validation losses at epoch 0 and at the best epoch, of all folds in order.

    weights, fold_weights : dict of str to ndarray, and list of dict
        Weights at the best epoch.
    """

    def __init__(self, modules, fold_modules, validation, n_iter_no_change, tol, first_cycle=None):
        self.modules, self.fold_modules, self.validation = modules, fold_modules, validation
        self.n_iter_no_change, self.tol, self.first_cycle, self.cycle = n_iter_no_change, tol, first_cycle, None
        self.start = None
        self.means = []  # mean loss at each epoch, (n_modules,)
        self.gain, self.epoch, self.label, self.weights, self.losses = -math.inf, None, "", None, None
        self.fold_weights, self.cooling, self.tensors, self.is_restart = [], None, {}, False
        self.late = math.inf  # epochs

    def on_train_begin(self, net, X=None, **kwargs):
        """Evaluate the initial network."""
        net.cooling_, net.cycle_ = self.cooling, self.cycle
        n_batches = net.iterator_train.count(len(X), net.batch_size)
        if self.first_cycle and not self.cycle:
            net.cycle_ = 0, n_batches * self.first_cycle
        self.late = LATE * (self.first_cycle or net.n_steps_ / n_batches)
        if self.start is None:
            net.validate(net.held_out_)
            self.update(0, net.held_out_losses_)

    def on_epoch_end(self, net, **kwargs):
        """Evaluate the epoch; after many epochs without improvement, decay the learning rate to zero and stop."""
        epoch = len(net.history)
        self.update(epoch, net.held_out_losses_, self.excess_losses(net))
        if self.n_iter_no_change is None:
            return
        if self.epoch == epoch:
            self.tensors = {name: tensor.detach().clone() for name, tensor in net.ensemble_.tensors.items()}
        if self.cooling is None and epoch == self.first_cycle:
            self._begin_second_cycle(net)
        elif self.cooling is None and net.processes_.any(self.has_stalled):
            self._begin_final_decay(net, epoch)
        net.stops_ = net.stops_ or (self.cooling is not None and net.steps_done_ >= sum(self.cooling))

    def _begin_second_cycle(self, net):
        """Begin a second learning rate cycle if the loss still decreased clearly in the first one; otherwise stop."""
        if net.processes_.any(self.epoch and _has_default_schedule(net) and self.still_gains):
            self.cycle = net.cycle_ = net.steps_done_, net.n_steps_ - net.steps_done_
        else:
            net.stops_ = True

    def _begin_final_decay(self, net, epoch):
        """Restore the best epoch and begin the final decay; stop if there is no best epoch, or another schedule."""
        begin, length = net.cycle_ or (0, net.n_steps_)
        n_steps = net.steps_done_ // epoch * COOLING
        if self.is_near_surface:
            n_steps = max(n_steps, round(LONG_COOLING * length))
        if not self.epoch or not _has_default_schedule(net):
            n_steps = 0
        else:
            write_tensors(net, self.tensors)
        self.cooling = net.cooling_ = (net.steps_done_, min(n_steps, begin + length - net.steps_done_))

    def on_train_end(self, net, **kwargs):
        """Load the weights of the best epoch, of the network or of its random restart."""
        load_weights(net.module_, self.weights)

    def excess_losses(self, net):
        """Return by how much the training loss on all samples exceeds twice that of the folds, by label.

        Validation losses do not reveal whether the network of all samples is stuck, while those of the folds are not.
        """
        losses = dict(zip(net.labels, net.train_losses_, strict=True))
        of_folds = {label: [losses[each] for each in losses if each != represented(each) == label] for label in losses}
        behind = dict.fromkeys(self.modules, 0.0)
        for label in behind:
            if of_folds[label]:
                with np.errstate(over="ignore", invalid="ignore"):  # if training diverged
                    behind[label] = float(np.fmax(0.0, losses[label] - BEHIND * np.mean(of_folds[label])))
        return behind

    def update(self, epoch, held_out_losses, excess_losses=None):
        """Update the best epoch with the validation losses of an epoch, (n_folds * n_modules, n_max, n_sizes)."""
        folds, clusters = self.validation.folds, self.validation.clusters
        by_fold = held_out_losses.reshape(len(folds), len(self.modules), *held_out_losses.shape[1:])
        each = [of_fold[:, : len(held_out)] for of_fold, (_, held_out) in zip(by_fold, folds, strict=True)]
        of_each = dict(zip(self.modules, np.concatenate(each, axis=1), strict=True))  # (n, n_sizes)
        if epoch == 0:
            self.start = of_each[""]
        self.means.append(np.array([losses.mean() for losses in of_each.values()]))
        gains = {
            label: significant_improvement(
                self.start, losses, is_restart=self.is_restart or label != "", clusters=clusters
            )
            for label, losses in of_each.items()
        }
        if excess_losses is not None and is_error_measure(self.modules[""]):
            gains = {label: gain - excess_losses[label] for label, gain in gains.items()}
        best = max(gains, key=gains.get)
        if epoch == 0 or gains[best] > self.gain:
            self.gain, self.epoch, self.label, self.losses = gains[best], epoch, best, of_each[best]
            self.weights = read_weights(self.modules[best])
            self.fold_weights = [read_weights(module) for module in self.fold_modules.get(best, ())]

    @property
    def still_gains(self):
        """Whether the gain in the second half of the epochs is large, relative to the loss and to PCA's loss."""
        if not is_error_measure(self.modules[""]):
            return False
        curve = np.fmin.reduce(self.means, axis=1)  # of the network or of its random restart
        gain = curve[: len(curve) // 2 + 1].min() - curve.min()
        left, start, (of_left, of_start) = curve.min(), self.start.mean(), GAINED
        return bool(gain > of_left * left and gain > of_start * start and left > MUCH_LEFT * start)

    def keep(self, label, sources, tensors):
        """Continue with the networks of this label only, which replace those without a label.

        Parameters
        ----------
        label : str

        sources : list of int
            Previous positions of the networks.

        tensors : dict of str to torch.Tensor
            Tensors that training changes from now on.
        """
        place = list(self.modules).index(label)
        self.means = [means[place : place + 1] for means in self.means]
        self.modules = {"": self.modules[""]}
        self.fold_modules = {"": self.fold_modules[""]} if self.fold_modules else {}
        self.is_restart = label != ""
        self.tensors = {
            name: value if value.shape == tensors[name].shape else value[sources]
            for name, value in self.tensors.items()
        }

    @property
    def is_near_surface(self):
        """Whether the loss is far below PCA's, as near a curved surface; it then fluctuates while the rate is high."""
        return is_error_measure(self.modules[""]) and bool(np.min(self.means) < NEAR * np.abs(self.start.mean()))

    @property
    def has_stalled(self):
        """Whether the network has stopped improving, and the random restart has too or is too far behind."""
        n_epochs, means = self.n_iter_no_change, self.means
        if n_epochs is None:
            return False
        if self.cycle is not None:  # the loss first rises in a new cycle, and patience scales with its length
            n_epochs *= LONGER
            means = means[1 + round(self.first_cycle * (1 + WARM_UP * LONGER)) :]
        if len(means) <= n_epochs:
            return False
        before, since = np.split(means, [len(means) - n_epochs])
        start = np.abs(self.start.mean())
        has_ended = since.min(axis=0) > before.min(axis=0) - self.tol * start  # the network is the last
        if self.is_near_surface:
            has_ended &= np.median(since, axis=0) > np.median(before[-n_epochs:], axis=0) - self.tol * start
        if is_error_measure(self.modules[""]):
            is_late = self.cycle is None and len(means) > self.late
            has_ended |= since.min(axis=0) > (WORSE * np.min(means, axis=0)[-1] if is_late else FAR_WORSE * start)
        return bool(has_ended.all())

    def state_dict(self):
        names = [
            "start",
            "means",
            "gain",
            "epoch",
            "label",
            "weights",
            "losses",
            "fold_weights",
            "cooling",
            "cycle",
            "is_restart",
        ]
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.tensors.items()}
        return {name: getattr(self, name) for name in names} | {"tensors": tensors}

    def load_state_dict(self, state):
        tensors = {name: torch.as_tensor(values) for name, values in state.get("tensors", {}).items()}
        vars(self).update(state | {"tensors": tensors})


class StreamAverage(OwnCallback):
    """Averages the weights of a stream, at first over all steps, instead of a decaying learning rate.

    Parameters
    ----------
    average : list of torch.Tensor or None
        Average after the previous chunks.
    """

    def __init__(self, average=None):
        self.average = average

    def on_train_begin(self, net, **kwargs):
        """Initialize the average."""
        if self.average is None:
            self.average = [weight.detach().clone() for weight in net.ensemble_.weights[-1].values()]

    def on_batch_end(self, net, training=False, **kwargs):
        """Update the average."""
        share = max(1 / STREAM_MEMORY, 9 / (10 + net.steps_done_))
        with torch.no_grad():
            for mean, weight in zip(self.average, net.ensemble_.weights[-1].values(), strict=True):
                mean.lerp_(weight, share)

    def load(self, net):
        """Replace the weights by the average."""
        with torch.no_grad():
            for mean, weight in zip(self.average, net.ensemble_.weights[-1].values(), strict=True):
                weight.copy_(mean)


def _has_default_schedule(net):
    """Whether the learning rate schedule is the internal one, which can be changed."""
    return any(isinstance(each, OneCycle) for _, each in net.callbacks_)


def is_error_measure(module):
    """Whether the loss is zero for a perfect reconstruction, unlike likelihoods, so that ratios are meaningful."""
    is_likelihood = module.link is not None and not isinstance(module.link, MixedLink)
    return not is_likelihood and type(module).reconstruction is AutoencoderModule.reconstruction


def is_sound(net):
    """Whether weights and losses of the last epoch are finite, and the loss is not far above the initial one."""
    return net.is_finite_ and bool((net.train_losses_ <= net.limit_).all())


def write_tensors(net, tensors):
    """Set the tensors that training changes."""
    with torch.no_grad():
        for name, tensor in net.ensemble_.tensors.items():
            tensor.copy_(tensors[name])


def warn_of_divergence(what):
    """Warn that training diverged."""
    warnings.warn(f"Training diverged in {what} Lower learning_rate.", ConvergenceWarning, stacklevel=3)
