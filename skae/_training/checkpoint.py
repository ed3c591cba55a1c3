"""Checkpoints of training, from which the same fit resumes with bit-identical results."""

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
    """Saves the state of a fit to a file, from which an interrupted fit resumes with bit-identical results.

    After Ctrl-C, a crash or a power failure, a fit with the same parameters and the same data resumes from the file. If
    that fit was finished, its result is loaded. The file is replaced atomically, and loading it executes no code. With
    `random_state=None`, the fit resumes with the seed of the file.

    It differs from skorch's callback of the same name, which saves the weights of the best epoch.

    Parameters
    ----------
    folder : str or path-like
        Folder of the file, which is created if it does not exist. Each fit needs a separate folder; the layers of a
        :class:`~skae.StackedAutoencoder` use subfolders.

    interval : int, default=1
        Number of epochs between two checkpoints.

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

    _is_last: ClassVar[bool] = True  # it is called after the other callbacks
    path_: Path
    run_: dict[str, str]
    seed_: int
    state_: dict[str, Any] | None

    def __init__(self, folder: str | os.PathLike[str], interval: int = 1) -> None:
        self.folder: str | os.PathLike[str] = folder
        self.interval: int = interval

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"folder": os.fspath(self.folder)}  # paths of another operating system cannot be unpickled

    def _below(self, name):
        """Return the same callback with a subfolder."""
        return type(self)(Path(self.folder) / name, self.interval)

    def _open(self, run, seed, *, may_change_seed):
        """Read the file, or create it.

        Parameters
        ----------
        run : dict of str to str
            Description of the run: its parameters and data. The file of another run raises an error.

        seed : int

        may_change_seed : bool
            Whether the seed of the file may replace `seed`.

        Raises
        ------
        ValueError
            If the file belongs to another run, or is damaged.

        OSError
            If the folder can't be written to.
        """
        if isinstance(self.interval, bool) or not isinstance(self.interval, Integral) or self.interval < 1:
            raise ValueError(f"interval={self.interval!r} of Checkpoint must be an int of 1 or more.")
        self.path_ = Path(self.folder) / FILE
        self.run_, self.seed_, self.state_ = run, seed, None
        with self._named():
            self.path_.parent.mkdir(parents=True, exist_ok=True)
            for part in self.path_.parent.glob(f".{FILE}.*.part"):  # left by a process that was killed while writing
                part.unlink(missing_ok=True)
        if not self.path_.exists():
            self._write(None)  # an unwritable folder raises an error before training
            return
        found = self._read()
        self._check(found, may_change_seed)
        self.seed_, self.state_ = found["seed"], found["state"]

    @property
    def _is_finished(self):
        """Whether the training of the file was finished."""
        return bool(getattr(self, "state_", None)) and self.state_["finished"]

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Save the state of training; the last epoch is saved at the end.

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
        """Save the final state of training.

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
            return  # the net was trained without an estimator
        with consistent_across_ranks():
            if is_main_process():
                self._write({"finished": finished, "training": training_state(net)})

    def _read(self):
        try:
            found = read_file(self.path_)
            if not isinstance(found, dict) or found.keys() != {"run", "seed", "state"}:
                raise ValueError(f"{os.fspath(self.path_)!r} is not a checkpoint of a run.")
            return found
        except ValueError as error:
            raise ValueError(f"Checkpoint({str(self.folder)!r}): {error} Delete the file to start over.") from error

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
                f"Checkpoint({str(self.folder)!r}) contains another run: {'; '.join(changed)}. Restore these to "
                "resume, or set another folder."
            )

    def _write(self, state):
        """Replace the file by the current state of the run."""
        with self._named():
            write_file(self.path_, {"run": self.run_, "seed": self.seed_, "state": state})

    @contextlib.contextmanager
    def _named(self):
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"Checkpoint({str(self.folder)!r}) can't be written: {error.strerror}. The previous file is unchanged",
            ) from error


def describe_run(estimator, parameters, X, weights, *, clean=None, target=None, X_val=None, groups=None):
    """Describe a run by strings that can be compared.

    Parameters
    ----------
    estimator : estimator

    parameters : dict
        Parameters that identify the run.

    X : input of `ArrayReader`

    weights : dict of str to ndarray, or None
        Initial weights, if the run continues another fit.

    clean : input of `ArrayReader`, or None
        Clean samples to reconstruct from X.

    target : ndarray of shape (n, n_targets) or None
        Target learned from y.

    X_val : input of `ArrayReader`, or None

    groups : ndarray of shape (n,) or None

    Returns
    -------
    run : dict of str to str
    """
    rows = ArrayReader(X)
    tables = {"the clean samples": clean, "X_val": X_val}
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
