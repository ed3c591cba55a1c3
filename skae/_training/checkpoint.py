"""Where a training stands, in a file: a fit of the same run goes on from there, to the same bit."""

import contextlib
import hashlib
import os
import re
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

from skorch.callbacks import Callback

from skae._data.readers import ArrayReader
from skae._files import read_file, write_file
from skae._training.distributed import consistent_across_ranks, is_main_process
from skae._training.state import training_state
from skae._training.users import named_callbacks

FILE = "checkpoint.safetensors"


class Checkpoint(Callback):
    """Writes where a fit stands to a file, from which the same fit goes on if it was broken off, to the same bits.

    A fit of the same parameters to the same data, after Ctrl-C, a crash or a power failure, goes on from the file; one
    that was finished is there at once. The file is replaced in one step. It holds nothing that is run when it is read.
    With `random_state=None` it goes on with the seed of the file.

    It is not skorch's callback of this name, which keeps the weights of the best epoch.

    Parameters
    ----------
    folder : str or path-like
        Where the file is. It is made if it is not there. Each fit needs a folder of its own; the layers of a
        :class:`~skae.StackedAutoencoder` have some below it.

    interval : int, default=1
        Epochs from one writing to the next.

    See Also
    --------
    skae.Autoencoder.save : Saves a fitted autoencoder.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skae import Autoencoder
    >>> from skae.callbacks import Checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     autoencoder = Autoencoder(max_iter=3, callbacks=[Checkpoint(folder)])
    ...     first = autoencoder.fit_transform(load_iris().data)
    ...     again = autoencoder.fit_transform(load_iris().data)  # from the file
    >>> bool((first == again).all())
    True
    """

    _is_last: ClassVar[bool] = True  # of the callbacks
    path_: Path
    run_: dict[str, str]
    seed_: int
    state_: dict[str, Any] | None

    def __init__(self, folder: str | os.PathLike[str], interval: int = 1) -> None:
        self.folder: str | os.PathLike[str] = folder
        self.interval: int = interval

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"folder": os.fspath(self.folder)}  # a path of another system could not be unpickled

    def _below(self, name):
        """The same in a folder below."""
        return type(self)(Path(self.folder) / name, self.interval)

    def _open(self, run, seed, *, may_change_seed):
        """Read the file, or make it.

        Parameters
        ----------
        run : dict of str to str
            What the run is: its parameters, its data. A file of another run is refused.

        seed : int

        may_change_seed : bool
            Whether any seed will do, so that the file's is taken.

        Raises
        ------
        ValueError
            If the file is of another run, or damaged.

        OSError
            If the folder can't be written to.
        """
        if isinstance(self.interval, bool) or not isinstance(self.interval, Integral) or self.interval < 1:
            raise ValueError(f"interval={self.interval!r} of Checkpoint must be an int of 1 or more.")
        self.path_ = Path(self.folder) / FILE
        self.run_, self.seed_, self.state_ = run, seed, None
        with self._named():
            self.path_.parent.mkdir(parents=True, exist_ok=True)
            for part in self.path_.parent.glob(f".{FILE}.*.part"):  # of a process that was killed while it wrote
                part.unlink(missing_ok=True)
        if not self.path_.exists():
            self._write(None)  # at once, so that what can't be written is known before anything is trained
            return
        found = self._read()
        self._check(found, may_change_seed)
        self.seed_, self.state_ = found["seed"], found["state"]

    @property
    def _is_finished(self):
        """Whether the fit of the file had trained to its end."""
        return bool(getattr(self, "state_", None)) and self.state_["finished"]

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write where the training stands; the last epoch is written at the end.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net that trains.

        **kwargs : dict
            Not used.
        """
        is_last = net.stops_ or len(net.history) == net.max_epochs
        if len(net.history) % self.interval == 0 and not is_last:
            self._write_training(net, finished=False)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Write that the training is finished.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net that trains.

        **kwargs : dict
            Not used.
        """
        if not self._is_finished:
            self._write_training(net, finished=True)
        self.state_ = None  # the callback stays with the net

    def _write_training(self, net, *, finished):
        if not hasattr(self, "path_"):
            return  # a net that was trained by itself is no fit
        with consistent_across_ranks():
            if is_main_process():
                self._write({"finished": finished, "training": training_state(net)})

    def _read(self):
        try:
            found = read_file(self.path_)
            if not isinstance(found, dict) or found.keys() != {"run", "seed", "state"}:
                raise ValueError(f"{os.fspath(self.path_)!r} is no checkpoint of a run.")
            return found
        except ValueError as error:
            raise ValueError(f"Checkpoint({str(self.folder)!r}): {error} Delete the file to start anew.") from error

    def _check(self, found, may_change_seed):
        was, now = (
            {"random_state": str(seed), **run} for run, seed in ((found["run"], found["seed"]), (self.run_, self.seed_))
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
                f"Checkpoint({str(self.folder)!r}) holds another run: {'; '.join(changed)}. Set that back to go on "
                "from there, or choose another folder."
            )

    def _write(self, state):
        """Put where the run stands in the place of what the file said before."""
        with self._named():
            write_file(self.path_, {"run": self.run_, "seed": self.seed_, "state": state})

    @contextlib.contextmanager
    def _named(self):
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"Checkpoint({str(self.folder)!r}) can't be written: {error.strerror}. What was there is as it was",
            ) from error


def describe_run(estimator, parameters, X, weights, *, clean=None, target=None, X_val=None, groups=None):
    """Describe what a run is, as texts that can be compared.

    Parameters
    ----------
    estimator : estimator

    parameters : dict
        Those that count.

    X : what `ArrayReader` takes

    weights : dict of str to ndarray, or None
        Where it starts, if it goes on from another fit.

    clean : what `ArrayReader` takes, or None
        What X is to become.

    target : ndarray of shape (n, n_targets) or None
        What is learned of y.

    X_val : what `ArrayReader` takes, or None

    groups : ndarray of shape (n,) or None

    Returns
    -------
    run : dict of str to str
    """
    rows = ArrayReader(X)
    tables = {"the clean rows": clean, "X_val": X_val}
    more = {
        f"the digest of {name}": _digest(ArrayReader(of).batches()) for name, of in tables.items() if of is not None
    }
    more |= {
        f"the digest of {name}": _digest([of]) for name, of in {"groups": groups, "y": target}.items() if of is not None
    }
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


def find_checkpoint(callbacks):
    """Return the checkpoint among a user's callbacks, or None."""
    return next((each for _, each in named_callbacks(callbacks) if isinstance(each, Checkpoint)), None)
