"""Distributed training with torchrun: each process computes a shard of every batch.

All processes have the same samples and random numbers. Each computes the loss of its shard of a batch, gradients are
summed, and all take the same step. Without a group of `torch.distributed`, nothing here has an effect.

It uses torch's collectives instead of DistributedDataParallel or Hugging Face's accelerate, which wraps that. Both
average gradients of equal shards at the end of `Module.forward`. Here, a step trains several networks through their
losses, shards differ in length, and statistics of a whole batch need sums within the loss.
"""

import contextlib
import os
from dataclasses import dataclass

import torch
from torch import distributed
from torch.overrides import TorchFunctionMode


def in_group():
    """Whether other processes train the same model."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def is_main_process():
    """Whether this process prints and writes files."""
    return not in_group() or distributed.get_rank() == 0


def own_cuda():
    """Return the GPU of this process, which torchrun assigns."""
    local_rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{local_rank}" if in_group() and local_rank else "cuda"


def broadcast_from_main(value):
    """Return the value of the first process in all processes."""
    if not in_group():
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]


@contextlib.contextmanager
def consistent_across_ranks():
    """Raise an error in all processes if one fails, so that none waits for another.

    Yields
    ------
    facts : dict of str to str, or None
        Filled with facts that must be equal in all processes, by name. None if there is one process.

    Raises
    ------
    ValueError
        If another process failed, or has different facts.
    """
    if not in_group():
        yield None
        return
    facts, error = {}, None
    try:
        yield facts
    except Exception as raised:
        error = raised
    reports = [None] * distributed.get_world_size()
    distributed.all_gather_object(reports, (facts, error and f"{type(error).__name__}: {error}"))
    if error is not None:
        raise error
    first = reports[0][0]
    for rank, (_, failure) in enumerate(reports):
        if failure:
            raise ValueError(f"Process {rank} of the group failed, so all fail: {failure}")
    for rank, (others, _) in enumerate(reports):
        changed = [
            f"{name} is {first.get(name)} in process 0, and {others.get(name)} in process {rank}"
            for name in {**first, **others}
            if first.get(name) != others.get(name)
        ]
        if changed:
            raise ValueError(
                "All processes of a group train one model, but their inputs differ: "
                f"{'; '.join(changed)}. Pass the same samples and parameters in all processes."
            )


class SingleProcess:
    """Operations for training in a single process."""

    size = 1

    def shared(self, losses, modules, rows, target):
        """Return named terms of the loss of samples, (m, n, d), whose means are the part of this process."""
        return losses(rows, None, target)

    def whole(self, losses, modules, rows, target, sizes):
        """Return named terms of the loss of all samples."""
        return losses(rows, sizes, target)

    def all_reduce(self, tensors):
        """Replace each tensor by its sum over all processes."""

    def broadcast(self, tensors):
        """Replace the values of all processes by those of the first."""

    def any(self, condition):
        """Return whether a condition holds in any process."""
        return bool(condition)


class ProcessGroup(SingleProcess):
    """The group of processes of a distributed training.

    Parameters
    ----------
    device : torch.device
        Device of tensors to communicate.
    """

    def __init__(self, device):
        self.device, self.rank, self.size = device, distributed.get_rank(), distributed.get_world_size()

    def shared(self, losses, modules, rows, target):
        with self._sharing(modules, rows.shape[-2]) as share:
            return {name: share.fraction * term for name, term in losses(rows, None, target).items()}

    def whole(self, losses, modules, rows, target, sizes):
        with self._sharing(modules, rows.shape[-2]) as share:
            terms = {name: share.spread(term) for name, term in losses(rows, sizes, target).items()}
        self.all_reduce(terms.values())
        return terms

    def all_reduce(self, tensors):
        for work in [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]:
            work.wait()

    def broadcast(self, tensors):
        with torch.no_grad():
            for tensor in tensors:
                sent = tensor.contiguous()
                distributed.broadcast(sent, src=0)
                if sent is not tensor:
                    tensor.copy_(sent)

    def any(self, condition):
        held = torch.tensor(float(condition), device=self.device)
        self.all_reduce([held])
        return held.item() > 0

    @contextlib.contextmanager
    def _sharing(self, modules, n):
        """Restrict the losses of modules to this process's shard of n samples."""
        global _share
        _share = Shard.of(n, self.rank, self.size)
        try:
            for module in modules:
                module.share = _share.rows
            with DrawForWholeBatch(_share):
                yield _share
        finally:
            _share = None
            for module in modules:
                del module.share


def processes(device):
    """Return the group of processes, or the single process."""
    return ProcessGroup(device) if in_group() else SingleProcess()


_share = None  # shard of a batch, while its losses are computed


@dataclass(frozen=True)
class Shard:
    """Samples of a batch that a process computes.

    Attributes
    ----------
    rows : slice

    n : int
        Number of samples of the whole batch.

    copies : int
        Number of processes with the same shard: all, if there are fewer samples than processes.

    size : int
        Number of processes.
    """

    rows: slice
    n: int
    copies: int
    size: int

    @classmethod
    def of(cls, n, rank, size):
        """Return a shard of n samples; sizes of shards differ by at most one."""
        if n < size:
            return cls(slice(0, n), n, size, size)
        return cls(slice(rank * n // size, (rank + 1) * n // size), n, 1, size)

    def __len__(self):
        return self.rows.stop - self.rows.start

    @property
    def fraction(self):
        """Weight of the mean over this shard in the mean over the batch."""
        return len(self) / (self.n * self.copies)

    def spread(self, term):
        """Return a tensor whose sum over processes is the term of the whole batch: (m, n_own, ...) or (m,)."""
        if term.dim() == 1:
            return self.fraction * term
        whole = term.new_zeros(len(term), self.n, *term.shape[2:])
        whole[:, self.rows] = term / self.copies
        return whole


class DrawForWholeBatch(TorchFunctionMode):
    """Draws random numbers for the whole batch, and returns those of the shard.

    Noise therefore does not depend on the number of processes, and generators have the same state in all of them. The
    result of `torch.rand`, `randn` or `randint` is assumed to contain samples if its second-to-last or first dimension
    is as long as the shard.
    """

    SIZED = (torch.rand, torch.randn, torch.randint)

    def __init__(self, share):
        super().__init__()
        self.share = share

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in self.SIZED or len(self.share) == self.share.n:
            return func(*args, **kwargs)
        if "size" in kwargs:
            before, size, kwargs = args, kwargs["size"], {name: kwargs[name] for name in kwargs if name != "size"}
        elif func is torch.randint or not isinstance(args[0], int):
            *before, size = args
        else:
            before, size = (), args
        size = list(size)
        for place in (len(size) - 2, 0):
            if size and size[place] == len(self.share):
                size[place] = self.share.n
                drawn = func(*before, size, **kwargs)
                return drawn.narrow(place, self.share.rows.start, len(self.share))
        return func(*before, size, **kwargs)


# Statistics of a whole batch, for losses that need them --------------------------------------------------------------


class _Sum(torch.autograd.Function):
    """Sum over all processes, each of which differentiates its part of the loss."""

    @staticmethod
    def forward(ctx, values):  # noqa: ARG004 - torch's signature
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient):  # noqa: ARG004 - torch's signature
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def mean_of_batch(values):
    """Return the mean over the whole batch of values of its shard: (n, k) -> (k,)."""
    if _share is None:
        return values.mean(dim=0)
    return _Sum.apply(values.sum(dim=0)) / (_share.n * _share.copies)


def any_of_batch(values):
    """Return whether a condition holds for any sample of the batch: (n, k) -> (k,)."""
    found = values.any(dim=0)
    if _share is None:
        return found
    count = found.int()
    distributed.all_reduce(count)
    return count > 0


def kth_largest_of_batch(values, n_per_sample):
    """Return the smallest of the `n_per_sample` * n largest values of a batch; values are nonnegative: (n, k) -> ()."""
    if _share is None or _share.copies > 1:
        return values.flatten().topk(n_per_sample * len(values)).values[-1]
    wanted = n_per_sample * _share.n
    most = min(wanted, -(-_share.n // _share.size) * values.shape[1])  # shards differ in length: padded with zeros
    own = values.new_zeros(most)
    largest = values.flatten().topk(min(wanted, values.numel())).values
    own[: len(largest)] = largest
    everyone = [torch.empty_like(own) for _ in range(_share.size)]
    distributed.all_gather(everyone, own)
    return torch.cat(everyone).topk(wanted).values[-1]
