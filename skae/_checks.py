"""Checks before a fit: parameters, data, and that a checkpoint and all processes describe the same run."""

import contextlib
import warnings
from numbers import Integral

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from skae._data.readers import are_same, shape_of
from skae._seeds import isolated_rng, local_rng
from skae._training.checkpoint import Checkpoint, describe_run
from skae._training.distributed import broadcast_from_main, consistent_across_ranks, is_main_process
from skae._training.selection import fold_networks
from skae._training.users import check_callbacks, named_callbacks
from skae._validation import checked_groups

# parameters that must not change between fits with `warm_start` or calls of `partial_fit`
SHAPE_PARAMETERS = (
    *("n_components", "hidden_layer_sizes", "activation", "code_activation", "architecture", "init", "ordered"),
    *("whiten", "loss", "scale"),
)
EXCLUDED = ("callbacks", "random_state", "verbose")  # parameters that do not identify a run
MAY_DIFFER = ("device", "random_state", "verbose")  # may differ among the processes of a group
SEEDED_PACKAGES = (
    "builtins",
    "numpy",
    "pathlib",
    "skae",
    "sklearn",
    "skorch",
    "torch",
)  # packages whose code does not use global generators


class ChecksMixin:
    """Mixin of `AutoencoderCore` that validates input."""

    def _encoded(self, X, y):
        """Return the target learned from y, (n_samples, n_targets), or None."""
        if not self._is_supervised:
            return None
        target = check_array(
            self.encode_y(y), ensure_2d=False, dtype=np.float32, input_name="encode_y(y)", estimator=self
        )
        check_consistent_length(X, target)
        return target.reshape(len(target), -1)

    def _checked_target(self, X, y):
        """Return y, and warn if it is ignored although it looks like clean samples; X has been checked."""
        if self._is_supervised:
            if y is None:
                raise ValueError(
                    f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
                )
            check_consistent_length(X, y)
            self._encoded(X, y)  # raises
            return y
        if shape_of(y) == X.shape and X.shape[1] > 1 and not are_same(X, y):
            warnings.warn(
                f"y has X's shape, {X.shape}, but {type(self).__name__}.fit ignores y. To learn clean samples from "
                "noisy ones, use DenoisingAutoencoder.fit(X_noisy, X_clean).",
                stacklevel=4,
            )
        return y

    def _checked_validation(self, X, y, X_val, groups):
        """Check `X_val` and `groups`, and return them validated."""
        if self.validation_fraction != "auto" and (X_val is not None or self.cv is not None):
            other = "X_val" if X_val is not None else f"cv={self.cv!r}"
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} and {other} exclude each other: both determine the "
                "validation set. Set validation_fraction='auto', or remove the other."
            )
        if X_val is not None and (groups is not None or self.cv is not None):
            other = "groups" if groups is not None else f"cv={self.cv!r}"
            raise ValueError(
                f"X_val and {other} exclude each other: with X_val, all of X is used for training. Remove one of them."
            )
        if X_val is not None and (self._clean_rows(y) is not None or self._is_supervised):
            raise ValueError("X_val has no y, which the validation loss needs. Remove X_val, or set cv.")
        if X_val is not None:
            try:
                X_val = self._checked(X_val, reset=False)
            except ValueError as error:
                raise ValueError(f"X_val can't be used: {error}") from error
        return X_val, checked_groups(groups, X)

    def check_parameters(self) -> None:
        """Raise an error for parameters that exclude each other, which constraints can't express: a hook for variants.

        A variant that overrides it calls the method of the base class first.

        Raises
        ------
        ValueError
            If two parameters exclude each other.
        """
        check_callbacks(self.callbacks)
        if isinstance(self._code_size, bool | np.bool_):
            raise ValueError(f"n_components={self._code_size!r} must be an int of 1 or more, not a bool.")
        if self._by_variance_fraction and self.loss != "squared_error":
            raise ValueError(
                f"n_components={self._code_size!r} is a fraction of the variance, which needs loss='squared_error', "
                f"got loss={self.loss!r}. Set n_components to an int."
            )
        if self._get_param("whiten") and self._get_param("code_activation") != "identity":
            raise ValueError(
                f"whiten=True needs code_activation='identity', got {self.code_activation!r}, which bounds the "
                "codes. Set whiten=False, or append a StandardScaler."
            )
        for size in self._given_layers or ():
            if isinstance(size, bool | np.bool_) or not isinstance(size, Integral) or size < 1:
                raise ValueError(
                    f"hidden_layer_sizes={self.hidden_layer_sizes!r} must contain ints of 1 or more, got {size!r}. "
                    "Use () for a linear autoencoder."
                )

    def _check_unchanged(self, who):
        for name, value in self._shaping.items():
            now = self._shaping_parameter(name)
            if now != value:
                raise ValueError(
                    f"{who} continues the last fit, in which {name} was {value!r}; now it is {now!r}. "
                    f"Restore {name}, or call fit with warm_start=False to start again."
                )

    def _shaping_parameter(self, name):
        if name == "architecture":
            return repr(self._architecture)
        layers = self._given_layers if name == "hidden_layer_sizes" else None
        return self._get_param(name) if layers is None else layers

    @contextlib.contextmanager
    def _restored_on_error(self):
        """Restore the previous attributes after an error or Ctrl-C, so that the estimator is never partly fitted."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__ = before  # atomic, so that Ctrl-C can't interrupt it
            raise

    def _draw_seed(self):
        return int(local_rng(self.random_state).randint(2**31 - 1))

    def _open_checkpoint(self, checkpoint, X, y, seed, warm, X_val, groups):
        """Let a checkpoint read the state of the same run, and return the seed of the run."""
        counts = {name: value for name, value in self.get_params(deep=False).items() if name not in EXCLUDED}
        with consistent_across_ranks():
            if is_main_process():  # other processes need no folder
                others = [pair for pair in named_callbacks(self.callbacks) if not isinstance(pair[1], Checkpoint)]
                if others:
                    counts["callbacks"] = [
                        (name, {} if isinstance(each, type) else each.get_params()) for name, each in others
                    ]
                if fold_networks.get() is not None:  # files of other runs don't contain them
                    counts["the networks that are kept"] = "those of folds too"
                more = {"clean": self._clean_rows(y), "target": self._encoded(X, y), "X_val": X_val, "groups": groups}
                run = describe_run(self, counts, X, self._weights if warm else None, **more)
                checkpoint._open(run, seed, may_change_seed=self.random_state is None)
        found = vars(checkpoint) if is_main_process() else None
        vars(checkpoint).update(broadcast_from_main(found))
        return checkpoint.seed_

    def _state_facts(self, facts, X, y, seed, continues_fit, **more):
        """Collect facts that must be equal in all processes of a group."""
        if facts is None:
            return
        parameters = self.get_params(deep=False)
        counts = {name: value for name, value in parameters.items() if name not in MAY_DIFFER}
        more |= {"clean": self._clean_rows(y), "target": self._encoded(X, y)}
        facts |= describe_run(self, counts, X, self._weights if continues_fit else None, **more)
        if self.random_state is not None:
            facts["the seed of random_state"] = str(seed)

    @property
    def _uses_user_code(self):
        """Whether a fit uses code of other packages, which may use global random number generators."""
        parts = [type(self), self.module_class, *self.get_params().values(), *(self.net_params or {}).values()]
        parts += [callback for _, callback in named_callbacks(self.callbacks)]
        owners = [part if callable(part) else type(part) for part in parts]
        # objects that `exec` created may have no module
        return any((owner.__module__ or "").split(".")[0] not in SEEDED_PACKAGES for owner in owners)

    def _isolated(self, seed):
        return isolated_rng(seed) if self._uses_user_code else contextlib.nullcontext()


def has_partial_fit(estimator):
    """Return whether `partial_fit` is available: for `available_if`."""
    if estimator._is_supervised:
        raise AttributeError(f"{type(estimator).__name__} learns from y, which partial_fit does not support. Call fit.")
    return True
