"""What happens in a training, each as a callback of skorch's: the schedule, clipping, divergence, the best epoch."""

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

GRADIENT_NORM = 1.0  # the gradient is clipped at this norm: a net that starts at PCA is fragile without it
LOWER_RATE = 0.1  # of a training that diverged, against the rate before: with a half, most don't come back
MAX_STEPS_BACK = 3
COOLING = 5  # epochs in which the rate falls to zero where a training no longer gains
WARM_UP = 0.1  # share of the steps in which the learning rate rises
GAINED = 0.1, 0.02  # of what is left and of PCA's loss, by the second half of the epochs: more may follow
MUCH_LEFT = 0.05  # of PCA's loss: below, there is little to gain
BEHIND = 2.0  # times the loss of the networks of the folds: that of one with more samples is larger, but not so large
STREAM_RATE = 0.2  # constant learning rate of a stream, whose end nobody knows, against the highest of a cycle
HOPELESS = 10.0  # times the loss at PCA: more than the mean loses where PCA leaves a tenth, so it stops nothing there
STREAM_MEMORY = 100  # steps over which the weights of a stream are averaged, in place of a rate that falls


class OwnCallback(Callback):
    """A callback of ours, which sees the trained modules and not batches in units of the data.

    What it has to know to go on after a checkpoint is in its `state_dict`.
    """

    def state_dict(self):
        """Copy what it goes on from, as plain values and arrays."""
        return {}

    def load_state_dict(self, state):
        """Go on from there."""


# What is ours unless a user's callback replaces it --------------------------------------------------------------------


class OneCycle(OwnCallback):
    """The learning rate of each step: a linear rise to the highest, then half a cosine down to zero (Smith, 2018)."""

    def rate_at(self, step, n_steps):
        """Learning rate of a step, as a share of the highest."""
        progress = (step + 1) / (n_steps + 1)  # never 0 or 1: no step is wasted
        if progress < WARM_UP:
            return progress / WARM_UP
        return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set the rate of the step."""
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
        """Leave the highest rates to a training that may come."""
        for group in net.optimizer_.param_groups:
            group["lr"] = group["initial_lr"]


class ConstantRate(OneCycle):
    """The learning rate of a stream, whose end nobody knows."""

    def rate_at(self, step, n_steps):
        """Learning rate of a step, as a share of the highest of a cycle."""
        return STREAM_RATE


class ClipGradients(OwnCallback):
    """Shortens the gradient of each network at a norm of 1."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Clip the gradients of one network, or of all that are one module in training."""
        gradients = [weight.grad for _, weight in named_parameters if weight.grad is not None]
        clip_gradients(gradients, GRADIENT_NORM, len(net.ensemble_.members) // len(net.ensemble_.trained))


# What each training has -----------------------------------------------------------------------------------------------


class Rollback(OwnCallback):
    """Steps back to the epoch before, and on at a lower rate, where the loss is not finite, or far above the start.

    Attributes
    ----------
    diverged : list of int
        Epochs.
    """

    def __init__(self):
        self.diverged, self.good, self.held_out_losses = [], None, None

    def on_train_begin(self, net, **kwargs):
        """Note where to step back to."""
        self._note(net)

    def on_epoch_begin(self, net, **kwargs):
        """Note how held-out samples are judged there."""
        self.held_out_losses = net.held_out_losses_

    def on_epoch_end(self, net, **kwargs):
        """Step back if the epoch diverged."""
        if not net.processes_.any(not is_sound(net)):
            self._note(net)
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
        """Whether training diverged again after the last step back."""
        return len(self.diverged) > MAX_STEPS_BACK

    def _note(self, net):
        """Copy the tensors that training alters: into the memory of the copy before, if there is one."""
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
        """Warn if training diverged, and say what it did and what is kept."""
        if not self.diverged:
            return
        *others, last = map(str, self.diverged)
        where = f"epochs {', '.join(others)} and {last}" if others else f"epoch {last}"
        then = f"{'each time ' if others else ''}it went back to the epoch before, and on at {LOWER_RATE:g} times the "
        then += "rate"
        if self.has_given_up:
            then += f"; after {MAX_STEPS_BACK} such steps it was given up"
        warn_of_divergence(f"{where}: the loss was not finite, or far above the start; {then}. {kept}")


class BestEpoch(OwnCallback):
    """Selects the epoch that gains most on held-out samples, of those that significantly improve on the start.

    With one fold, the network that was trained on the rest is the result. With several, it is the network trained on
    all samples, as it was at the epoch that was best over all folds. A second network that starts elsewhere, a rival,
    wins where it gains more over the other's start.

    Parameters
    ----------
    modules : dict of str to AutoencoderModule
        The network, and its rival if it has one, by label; the network is the last.

    fold_modules : dict of str to list of AutoencoderModule
        The same in each fold, if their weights are wanted.

    validation : Validation

    n_iter_no_change : int or None
        Epochs without a gain after which training goes back to the best, and on from there for a few epochs in which
        the rate falls to zero; None never ends it.

    tol : float
        Least gain in mean held-out loss that counts, as a share of the start's.

    first_cycle : int or None
        Epochs of a first cycle of the rate, after which another one takes all that are left where the first gained much
        to its end, and training ends elsewhere. None is one cycle.

    Attributes
    ----------
    cycle : (int, int) or None
        The step at which a second cycle began, and its steps.

    cooling : (int, int) or None
        The step at which the rate began to fall, and the steps until it is zero.

    tensors : dict of str to torch.Tensor
        What training alters, as it was at the best epoch.

    epoch : int or None
        The best; 0 is the start.

    label : str
        Of the best of the networks.

    start, losses : ndarray of shape (n, n_sizes)
        Of all held-out samples, fold after fold: at epoch 0, and at the best.

    weights, fold_weights : dict of str to ndarray, and a list of such
        At the best epoch.
    """

    def __init__(self, modules, fold_modules, validation, n_iter_no_change, tol, first_cycle=None):
        self.modules, self.fold_modules, self.validation = modules, fold_modules, validation
        self.n_iter_no_change, self.tol, self.first_cycle, self.cycle = n_iter_no_change, tol, first_cycle, None
        self.start = None
        self.means = []  # mean loss at each epoch, (n_modules,)
        self.gain, self.epoch, self.label, self.weights, self.losses = -math.inf, None, "", None, None
        self.fold_weights, self.cooling, self.tensors, self.is_rival = [], None, {}, False

    def on_train_begin(self, net, X=None, **kwargs):
        """Judge the start."""
        net.cooling_, net.cycle_ = self.cooling, self.cycle
        if self.first_cycle and not self.cycle:
            net.cycle_ = 0, net.iterator_train.count(len(X), net.batch_size) * self.first_cycle
        if self.start is None:
            net.validate(net.held_out_)
            self.update(0, net.held_out_losses_)

    def on_epoch_end(self, net, **kwargs):
        """Judge the epoch, and let the rate fall to zero, and stop, where there has been no gain for long."""
        epoch = len(net.history)
        self.update(epoch, net.held_out_losses_, self.left_behind(net))
        if self.n_iter_no_change is None:
            return
        if self.epoch == epoch:
            self.tensors = {name: tensor.detach().clone() for name, tensor in net.ensemble_.tensors.items()}
        if self.cooling is None and epoch == self.first_cycle:
            self._go_on(net)
        elif self.cooling is None and net.processes_.any(self.has_stalled):
            self._cool(net, epoch)
        net.stops_ = net.stops_ or (self.cooling is not None and net.steps_done_ >= sum(self.cooling))

    def _go_on(self, net):
        """Begin another cycle of the rate where the first one gained much to its end, or stop."""
        if net.processes_.any(self.epoch and _is_ours(net) and self.gained_to_the_end):
            self.cycle = net.cycle_ = net.steps_done_, net.n_steps_ - net.steps_done_
        else:
            net.stops_ = True

    def _cool(self, net, epoch):
        """Go back to the best epoch, from where the rate falls; stop where there is none, or no rate of ours."""
        n_steps = net.steps_done_ // epoch * COOLING
        if not self.epoch or not _is_ours(net):
            n_steps = 0
        else:
            write_tensors(net, self.tensors)
        begin, length = net.cycle_ or (0, net.n_steps_)
        self.cooling = net.cooling_ = (net.steps_done_, min(n_steps, begin + length - net.steps_done_))

    def on_train_end(self, net, **kwargs):
        """Let the network be as it was at the best epoch, or as its rival was."""
        load_weights(net.module_, self.weights)

    def left_behind(self, net):
        """What the network of all samples loses beyond twice what those of the folds do, each on its own: by label.

        Held-out samples tell nothing of a network that PCA led nowhere, and those of the folds elsewhere.
        """
        losses = dict(zip(net.labels, net.train_losses_, strict=True))
        of_folds = {label: [losses[each] for each in losses if each != represented(each) == label] for label in losses}
        behind = dict.fromkeys(self.modules, 0.0)
        for label in behind:
            if of_folds[label]:
                with np.errstate(over="ignore", invalid="ignore"):  # of trainings that diverge
                    behind[label] = float(np.fmax(0.0, losses[label] - BEHIND * np.mean(of_folds[label])))
        return behind

    def update(self, epoch, held_out_losses, left_behind=None):
        """Take note of the losses of held-out samples, (n_folds * n_modules, n_most, n_sizes), after an epoch."""
        folds, clusters = self.validation.folds, self.validation.clusters
        by_fold = held_out_losses.reshape(len(folds), len(self.modules), *held_out_losses.shape[1:])
        each = [of_fold[:, : len(held_out)] for of_fold, (_, held_out) in zip(by_fold, folds, strict=True)]
        of_each = dict(zip(self.modules, np.concatenate(each, axis=1), strict=True))  # (n, n_sizes)
        if epoch == 0:
            self.start = of_each[""]
        self.means.append(np.array([losses.mean() for losses in of_each.values()]))
        gains = {
            label: significant_improvement(self.start, losses, by_rival=self.is_rival or label != "", clusters=clusters)
            for label, losses in of_each.items()
        }
        if left_behind is not None and is_an_error(self.modules[""]):
            gains = {label: gain - left_behind[label] for label, gain in gains.items()}
        best = max(gains, key=gains.get)
        if epoch == 0 or gains[best] > self.gain:
            self.gain, self.epoch, self.label, self.losses = gains[best], epoch, best, of_each[best]
            self.weights = read_weights(self.modules[best])
            self.fold_weights = [read_weights(module) for module in self.fold_modules.get(best, ())]

    @property
    def gained_to_the_end(self):
        """Whether the second half of the epochs gained much, of what is left and of what PCA leaves."""
        if not is_an_error(self.modules[""]):
            return False
        curve = np.fmin.reduce(self.means, axis=1)  # of the network or of its rival
        gain = curve[: len(curve) // 2 + 1].min() - curve.min()
        left, start, (of_left, of_start) = curve.min(), self.start.mean(), GAINED
        return bool(gain > of_left * left and gain > of_start * start and left > MUCH_LEFT * start)

    def keep(self, label, sources, tensors):
        """Go on with the networks of this label alone, in the place of those that have none.

        Parameters
        ----------
        label : str

        sources : list of int
            Where they were among all that trained.

        tensors : dict of str to torch.Tensor
            What training alters from now on.
        """
        place = list(self.modules).index(label)
        self.means = [means[place : place + 1] for means in self.means]
        self.modules = {"": self.modules[""]}
        self.fold_modules = {"": self.fold_modules[""]} if self.fold_modules else {}
        self.is_rival = label != ""
        self.tensors = {
            name: value if value.shape == tensors[name].shape else value[sources]
            for name, value in self.tensors.items()
        }

    @property
    def has_stalled(self):
        """Whether neither the network nor its rival has gained for so many epochs, or the rival is far behind PCA.

        Where PCA is nearly all that there is, a rival is still on its way there when the network has stalled: on iris
        that took five sixths of the fit.
        """
        n_epochs, means = self.n_iter_no_change, self.means
        if n_epochs is None:
            return False
        if self.cycle is not None:  # a rate that is high again loses at first, and patience goes with the length
            n_epochs *= LONGER
            means = means[1 + round(self.first_cycle * (1 + WARM_UP * LONGER)) :]
        if len(means) <= n_epochs:
            return False
        before, since = np.split(means, [len(means) - n_epochs])
        start = np.abs(self.start.mean())
        has_ended = since.min(axis=0) > before.min(axis=0) - self.tol * start  # the network is the last
        is_hopeless = since[-1] > (HOPELESS * start if is_an_error(self.modules[""]) else math.inf)
        return bool(has_ended[-1] and (has_ended | is_hopeless).all())

    def state_dict(self):
        names = ("start", "means", "gain", "epoch", "label", "weights", "losses", "fold_weights", "cooling", "cycle")
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.tensors.items()}
        return {name: getattr(self, name) for name in (*names, "is_rival")} | {"tensors": tensors}

    def load_state_dict(self, state):
        tensors = {name: torch.as_tensor(values) for name, values in state.get("tensors", {}).items()}
        vars(self).update(state, tensors=tensors)


class StreamAverage(OwnCallback):
    """Averages the weights of a stream, over all steps while they are few: in place of a rate that falls.

    Parameters
    ----------
    average : list of torch.Tensor or None
        From the chunks before.
    """

    def __init__(self, average=None):
        self.average = average

    def on_train_begin(self, net, **kwargs):
        """Begin with the weights."""
        if self.average is None:
            self.average = [weight.detach().clone() for weight in net.ensemble_.weights[-1].values()]

    def on_batch_end(self, net, training=False, **kwargs):
        """Move the average towards the weights."""
        share = max(1 / STREAM_MEMORY, 9 / (10 + net.steps_done_))
        with torch.no_grad():
            for mean, weight in zip(self.average, net.ensemble_.weights[-1].values(), strict=True):
                mean.lerp_(weight, share)

    def load(self, net):
        """Put the average in the place of the weights."""
        with torch.no_grad():
            for mean, weight in zip(self.average, net.ensemble_.weights[-1].values(), strict=True):
                weight.copy_(mean)


def _is_ours(net):
    """Whether the schedule of the learning rate is, which can be changed."""
    return any(isinstance(each, OneCycle) for _, each in net.callbacks_)


def is_an_error(module):
    """Whether a loss is zero where nothing is lost, as no likelihood's is, so that shares of it mean something."""
    is_likelihood = module.link is not None and not isinstance(module.link, MixedLink)
    return not is_likelihood and type(module).reconstruction is AutoencoderModule.reconstruction


def is_sound(net):
    """Whether the last epoch's losses and the weights are finite, and the loss is not far above the start."""
    return net.is_finite_ and bool((net.train_losses_ <= net.limit_).all())


def write_tensors(net, tensors):
    """Set the tensors that training alters."""
    with torch.no_grad():
        for name, tensor in net.ensemble_.tensors.items():
            tensor.copy_(tensors[name])


def warn_of_divergence(what):
    """Warn that training diverged."""
    warnings.warn(f"Training diverged in {what} Lower learning_rate.", ConvergenceWarning, stacklevel=3)
