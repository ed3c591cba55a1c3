"""Where a training stands, in a file: a fit of the same run goes on from there, to the same bit."""

import contextlib
import hashlib
import re
from pathlib import Path

from skae._files import read_file, write_file
from skae._rows import Rows

FILE = "checkpoint.safetensors"


class Checkpoint:
    """The file of a run in a folder, written every few epochs and replaced in one step.

    Parameters
    ----------
    folder : str or path-like
        Made if it is not there.

    interval : int
        Epochs from one writing to the next.

    run : dict of str to str
        What the run is: its parameters, its data. A file of another run is refused.

    seed : int

    may_change_seed : bool
        Whether any seed will do, so that the file's is taken.

    Attributes
    ----------
    seed : int
        Of the run.

    stand : dict or None
        Where the run stands: None if nothing was trained yet.

    Raises
    ------
    ValueError
        If the file is of another run, or damaged.

    OSError
        If the folder can't be written to.
    """

    def __init__(self, folder, interval, run, seed, *, may_change_seed):
        self.folder, self.interval = folder, interval
        self.path = Path(folder) / FILE
        self.run, self.seed, self.stand = run, seed, None
        with self._named():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for part in self.path.parent.glob(f".{FILE}.*.part"):  # of a process that was killed while it wrote
                part.unlink(missing_ok=True)
        if not self.path.exists():
            self.write(None)  # at once, so that what can't be written is known before anything is trained
            return
        found = self._read()
        self._check(found, may_change_seed)
        self.seed, self.stand = found["seed"], found["stand"]

    def _read(self):
        try:
            return read_file(self.path)
        except ValueError as error:
            raise ValueError(f"checkpoint={str(self.folder)!r}: {error} Delete the file to start anew.") from error

    def _check(self, found, may_change_seed):
        was, now = (
            {"random_state": str(seed), **run} for run, seed in ((found["run"], found["seed"]), (self.run, self.seed))
        )
        if may_change_seed:
            was.pop("random_state")
            now.pop("random_state")
        changed = [
            f"{name} was {was.get(name)}, and is {now.get(name)}"
            for name in {**was, **now}
            if was.get(name) != now.get(name)
        ]
        if changed:
            raise ValueError(
                f"checkpoint={str(self.folder)!r} holds another run: {'; '.join(changed)}. Set that back to go on from "
                "there, or choose another folder."
            )

    def is_due(self, epoch):
        """Whether to write after an epoch."""
        return epoch % self.interval == 0

    def write(self, stand):
        """Put where the run stands in the place of what the file said before."""
        with self._named():
            write_file(self.path, {"run": self.run, "seed": self.seed, "stand": stand})

    @contextlib.contextmanager
    def _named(self):
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"checkpoint={str(self.folder)!r} can't be written: {error.strerror}. What was there is as it was",
            ) from error


def describe_run(estimator, parameters, X, weights, *, clean=None, X_val=None, groups=None):
    """Describe what a run is, as texts that can be compared.

    Parameters
    ----------
    estimator : estimator

    parameters : dict
        Those that count.

    X : what `Rows` takes

    weights : dict of str to ndarray, or None
        Where it starts, if it goes on from another fit.

    clean : what `Rows` takes, or None
        What X is to become.

    X_val : what `Rows` takes, or None

    groups : ndarray of shape (n,) or None

    Returns
    -------
    run : dict of str to str
    """
    rows = Rows(X)
    tables = {"the clean rows": clean, "X_val": X_val}
    more = {f"the digest of {name}": _digest(Rows(of).batches()) for name, of in tables.items() if of is not None}
    if groups is not None:
        more["the digest of groups"] = _digest([groups])
    start = hashlib.sha256()
    for name, value in (weights or {}).items():
        start.update(name.encode() + value.tobytes())
    return {
        "the estimator": type(estimator).__name__,
        **{name: re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value)) for name, value in parameters.items()},
        "the shape of X": str(rows.shape),
        "the kind of X": f"{'sparse ' if rows.sparse else ''}{rows.dtype}",
        "the digest of X": _digest(rows.batches()),
        **more,
        "the digest of the weights at the start": start.hexdigest()[:16] if weights else "none",
    }


def _digest(arrays):
    values = hashlib.sha256()
    for array in arrays:
        values.update(array)
    return values.hexdigest()[:16]
