"""One training in many processes, started by torchrun: each answers for its share of every batch.

All processes see the same samples and draw the same numbers. A process computes the loss of its share of a batch, the
gradients are added up, and all take the same step. Nothing here is done where `torch.distributed` has no group.

These are torch's collectives, and neither its DistributedDataParallel nor Hugging Face's accelerate, which wraps that:
both average gradients of equal shares at the end of `Module.forward`, where here a step trains several networks at
once through their losses, shares differ in length, and formulas of a whole batch need sums within the loss.
"""

import contextlib
import os
from dataclasses import dataclass

import torch
from torch import distributed
from torch.overrides import TorchFunctionMode


def in_group():
    """Whether there are other processes that train the same."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def is_main_process():
    """Whether this process is the one that prints and writes."""
    return not in_group() or distributed.get_rank() == 0


def own_cuda():
    """The GPU that is this process's own: the one that torchrun names."""
    local_rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{local_rank}" if in_group() and local_rank else "cuda"


def broadcast_from_main(value):
    """Return what the first process has, in all of them."""
    if not in_group():
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]


@contextlib.contextmanager
def consistent_across_ranks():
    """What fails in one process fails in all: none is left waiting for another.

    Yields
    ------
    facts : dict of str to str, or None
        For what has to be the same in all processes, by name. None if there are no others.

    Raises
    ------
    ValueError
        If another process failed, or has other facts.
    """
    if not in_group():
        yield None
        return
    facts, error = {}, None
    try:
        yield facts
    except Exception as raised:
        error = raised
    said = [None] * distributed.get_world_size()
    distributed.all_gather_object(said, (facts, error and f"{type(error).__name__}: {error}"))
    if error is not None:
        raise error
    first = said[0][0]
    for rank, (_, failure) in enumerate(said):
        if failure:
            raise ValueError(f"Process {rank} of the group failed, and all with it: {failure}")
    for rank, (others, _) in enumerate(said):
        changed = [
            f"{name} is {first.get(name)} in process 0, and {others.get(name)} in process {rank}"
            for name in {**first, **others}
            if first.get(name) != others.get(name)
        ]
        if changed:
            raise ValueError(
                "All processes of a group train one model, but they were given different things: "
                f"{'; '.join(changed)}. Give each the same samples and parameters."
            )


class SingleProcess:
    """The one process there is, which answers for all samples."""

    size = 1

    def shared(self, losses, modules, rows, target):
        """Return named terms of the loss of samples, (m, n, d), whose means are this process's part of the loss."""
        return losses(rows, None, target)

    def whole(self, losses, modules, rows, target, sizes):
        """Return named terms of the loss of all of the samples."""
        return losses(rows, sizes, target)

    def add_up(self, tensors):
        """Put the sum over all processes in the place of each tensor."""

    def equalize(self, tensors):
        """Put the first process's values in the place of all others'."""

    def any(self, condition):
        """Whether something holds in any process."""
        return bool(condition)


class ProcessGroup(SingleProcess):
    """The processes that train together, seen from one of them.

    Parameters
    ----------
    device : torch.device
        Where what is sent lies.
    """

    def __init__(self, device):
        self.device, self.rank, self.size = device, distributed.get_rank(), distributed.get_world_size()

    def shared(self, losses, modules, rows, target):
        with self._sharing(modules, rows.shape[-2]) as share:
            return {name: share.fraction * term for name, term in losses(rows, None, target).items()}

    def whole(self, losses, modules, rows, target, sizes):
        with self._sharing(modules, rows.shape[-2]) as share:
            terms = {name: share.spread(term) for name, term in losses(rows, sizes, target).items()}
        self.add_up(terms.values())
        return terms

    def add_up(self, tensors):
        for work in [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]:
            work.wait()

    def equalize(self, tensors):
        with torch.no_grad():
            for tensor in tensors:
                sent = tensor.contiguous()
                distributed.broadcast(sent, src=0)
                if sent is not tensor:
                    tensor.copy_(sent)

    def any(self, condition):
        held = torch.tensor(float(condition), device=self.device)
        self.add_up([held])
        return held.item() > 0

    @contextlib.contextmanager
    def _sharing(self, modules, n):
        """Let modules compute the losses of this process's share of n samples."""
        global _share
        _share = Shard.of(n, self.rank, self.size)
        try:
            for module in modules:
                module.share = _share.rows
            with DrawnForAll(_share):
                yield _share
        finally:
            _share = None
            for module in modules:
                del module.share


def processes(device):
    """Return the group of processes that this one is in, or the one that is alone."""
    return ProcessGroup(device) if in_group() else SingleProcess()


_share = None  # of a batch, while its losses are computed


@dataclass(frozen=True)
class Shard:
    """The samples of a batch that a process answers for.

    Attributes
    ----------
    rows : slice

    n : int
        Samples of the whole batch.

    copies : int
        Processes that have the same share: all of them, where there are fewer samples than processes.

    size : int
        Number of processes.
    """

    rows: slice
    n: int
    copies: int
    size: int

    @classmethod
    def of(cls, n, rank, size):
        """Shares of n samples differ by one sample at most."""
        if n < size:
            return cls(slice(0, n), n, size, size)
        return cls(slice(rank * n // size, (rank + 1) * n // size), n, 1, size)

    def __len__(self):
        return self.rows.stop - self.rows.start

    @property
    def fraction(self):
        """What the mean over this share counts in the mean over the batch."""
        return len(self) / (self.n * self.copies)

    def spread(self, term):
        """What, added up over all processes, is a term, (m, n_own, ...) or (m,), of the whole batch."""
        if term.dim() == 1:
            return self.fraction * term
        whole = term.new_zeros(len(term), self.n, *term.shape[2:])
        whole[:, self.rows] = term / self.copies
        return whole


class DrawnForAll(TorchFunctionMode):
    """Random numbers for the samples of a share are drawn for all samples of the batch, and cut.

    So each sample gets the same noise whatever the number of processes, and generators stay the same in all of them.
    A tensor that `torch.rand`, `randn` or `randint` draw is one of samples if its last dimension but one, or its first,
    is as long as the share.
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


# Statistics of a whole batch, for formulas that need them -------------------------------------------------------------


class _Sum(torch.autograd.Function):
    """The sum over all processes, each of which counts its own part of the loss."""

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
    """Mean over the samples of a batch, of which there may be a share: (n, k) -> (k,)."""
    if _share is None:
        return values.mean(dim=0)
    return _Sum.apply(values.sum(dim=0)) / (_share.n * _share.copies)


def any_of_batch(values):
    """Whether something holds for any sample: (n, k) -> (k,)."""
    found = values.any(dim=0)
    if _share is None:
        return found
    count = found.int()
    distributed.all_reduce(count)
    return count > 0


def least_of_greatest(values, n_a_row):
    """The least of the greatest `n_a_row` values a sample of a batch, none of which is negative: (n, k) -> ()."""
    if _share is None or _share.copies > 1:
        return values.flatten().topk(n_a_row * len(values)).values[-1]
    wanted = n_a_row * _share.n
    most = min(wanted, -(-_share.n // _share.size) * values.shape[1])  # shares differ in length: zeros fill them up
    own = values.new_zeros(most)
    greatest = values.flatten().topk(min(wanted, values.numel())).values
    own[: len(greatest)] = greatest
    everyone = [torch.empty_like(own) for _ in range(_share.size)]
    distributed.all_gather(everyone, own)
    return torch.cat(everyone).topk(wanted).values[-1]
