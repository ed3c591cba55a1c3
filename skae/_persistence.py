"""What of a fitted autoencoder is kept: in a pickle, in a file, and as the torch objects that are made of it."""

import inspect
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Self

import torch
from sklearn.utils.validation import check_is_fitted

from skae._data.readers import ArrayReader
from skae._devices import resolve_device
from skae._files import FORMAT, SKAE
from skae._layout import canonical
from skae._skops import load_estimator, of_file, save_estimator
from skae._threads import work_of_a_row
from skae._torch_state import usual_torch
from skae._training.make import make_net, settle
from skae._training.state import write_curves
from skae._training.users import copy_callbacks
from skae._typing import StrPath, typed
from skae.nn import Decoder, Encoder


class Modules(dict):
    """A module by its precision. That in float64, twice as large, is made when somebody asks for it."""

    def __init__(self, single, in_float64):
        super().__init__(float32=single)
        self.in_float64 = in_float64

    def __missing__(self, precision):
        return self.setdefault(precision, self.in_float64())


class PersistenceMixin:
    """The part of `AutoencoderCore` that is kept.

    It is arrays and plain values, in `_spec`, `_weights`, `_curves` and `_settings`.
    """

    @usual_torch()
    def _assembled(self, kept, net=None):
        """The attributes that are kept, in the layout that a fit, a pickle and a file share, and torch's objects."""
        kept = canonical(kept)
        spec, weights, settings = kept["_spec"], kept["_weights"], kept["_settings"]
        try:
            device = resolve_device(settings["device"])
        except ValueError:  # fitted on a device that this machine doesn't have
            device = torch.device("cpu")
        double_device = torch.device("cpu") if device.type == "mps" else device  # which has no float64
        single = spec.build(self.module_class, weights).to(device)

        @usual_torch()
        def in_float64():
            return spec.build(self.module_class, weights, torch.float64).to(double_device)

        if net is None:
            net = make_net(
                [single], **settings | {"device": device, "callbacks": copy_callbacks(settings["callbacks"])}
            )
        else:
            settle(net, single)
        if len(net.history) != len(next(iter(kept["_curves"].values()), ())):
            write_curves(net, kept["_curves"])
        single = net.module_.eval()
        return kept | {
            "_modules": Modules(single, in_float64),
            "_work": work_of_a_row(single, spec.sizes[0]),
            "net_": net,
            "encoder_": Encoder(single),
            "decoder_": Decoder(single),
        }

    def _with_network(self, weights):
        """Return the same autoencoder with the weights of another network, trained beside its own.

        Its codes are as they are inside, without the axes that they would be shown in.
        """
        old = self._spec
        spec = replace(old, axes=None, sizes=(*old.sizes[:-1], self._n_trained))
        shapes = {name: value.shape for name, value in spec.build(self.module_class).state_dict().items()}
        # an ordered code may have been cut since
        weights = {name: weights[name][tuple(map(slice, shape))] for name, shape in shapes.items()}
        other = type(self).__new__(type(self))
        parameters = self.get_params(deep=False)
        kept = {name: value for name, value in self.__getstate__().items() if name not in {*parameters, "_written_by"}}
        kept |= {"_spec": spec, "_weights": weights, "n_components_": spec.n_components}
        vars(other).update(parameters, **other._assembled(kept))
        return other

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        for name in ("_modules", "_work", "net_", "encoder_", "decoder_"):
            state.pop(name, None)
        if of_file.get() and "_settings" in state:  # those that the parameters name now
            now = {"callbacks": self.callbacks, "net_params": self.net_params}
            state["_settings"] = state["_settings"] | now
        if of_file.get():  # for another process or system: without who watches in this one, and its kind of paths
            state = {
                name: os.fspath(value) if isinstance(value, PurePath) else value
                for name, value in state.items()
                if name == "_sklearn_output_config" or not name.startswith(("_sklearn", "_skl_"))
            }
        return state | {"_written_by": {"format": FORMAT, "skae": SKAE}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        writer = state.get("_written_by", {"format": FORMAT})
        if writer["format"] > FORMAT:
            raise ValueError(
                f"This {type(self).__name__} was saved by skae {writer['skae']}, and this is {SKAE}: update skae."
            )
        parameters = inspect.signature(type(self)).parameters.items()  # an earlier release may have had fewer
        state = {name: parameter.default for name, parameter in parameters} | state
        super().__setstate__({name: value for name, value in state.items() if name != "_written_by"})
        if "_spec" in state:
            if of_file.get():
                self._check_sizes()
            parameters = self.get_params(deep=False)
            vars(self).update(self._assembled({k: v for k, v in vars(self).items() if k not in parameters}))

    def save(self, path: StrPath) -> None:
        """Save the fitted autoencoder in a file of skops, which `load` reads without running anything in it.

        `skops.io.load` reads it too. An existing file is replaced in one step, once the new one is on the disk. For a
        Pipeline, or an autoencoder within another estimator, use `skops.io.dump` or `pickle`.

        Parameters
        ----------
        path : str or path-like
            The file. Its usual ending is ".skops".

        Raises
        ------
        NotFittedError
            If it is not fitted.

        TypeError
            If a parameter or attribute can't be kept without a pickle, such as a callable.

        OSError
            If the file can't be written.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from skae import Autoencoder
        >>> X = load_iris().data
        >>> autoencoder = Autoencoder(2, hidden_layer_sizes=()).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     autoencoder.save(f"{folder}/iris.skops")
        ...     again = Autoencoder.load(f"{folder}/iris.skops")
        >>> bool((again.transform(X) == autoencoder.transform(X)).all())
        True
        """
        check_is_fitted(self)
        try:
            save_estimator(path, self)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}.save: {error}. Use pickle or joblib for this one.") from error

    @classmethod
    @typed(usual_torch())
    def load(cls, path: StrPath, *, trusted: Sequence[type | str] = ()) -> Self:
        """Load an autoencoder that `save` saved.

        Nothing in the file is run or unpickled: it is safe to load one from anywhere, but what its weights do is up to
        whoever made it. It goes to the device it was fitted on, or to the CPU.

        Parameters
        ----------
        path : str or path-like
            The file.

        trusted : sequence of type or str, default=()
            Other classes that the file may hold objects of, such as your own `Architecture`, or their names with their
            modules. This class and those of skae are always trusted.

        Returns
        -------
        autoencoder : object
            Fitted, of this class.

        Raises
        ------
        ValueError
            If the file is damaged, is none that `save` wrote, holds an autoencoder of another class or an object of a
            class that is not trusted, or was written by a later release.

        TypeError
            If `trusted` is not a sequence of classes or names.

        OSError
            If it can't be read.
        """
        if not isinstance(trusted, list | tuple | set | frozenset) or not all(
            isinstance(one, type | str) for one in trusted
        ):
            raise TypeError(f"trusted must be a sequence of classes or their names, got {trusted!r}.")
        estimator = load_estimator(path, {cls, cls.module_class, *trusted})
        if type(estimator) is not cls:
            name = type(estimator).__name__
            raise ValueError(f"{os.fspath(path)!r} is of class {name}: use {name}.load, not {cls.__name__}.load.")
        try:
            estimator._validate_params()
            codes = estimator._apply("encode", ArrayReader(estimator.mean_[None]), estimator.n_components_)
            estimator._apply("decode", ArrayReader(codes), estimator.n_features_in_)
        except Exception as error:  # its parts don't agree, or it is not fitted
            raise ValueError(f"{os.fspath(path)!r} holds a {cls.__name__} that can't be used: {error}") from error
        return estimator

    def _check_sizes(self):
        """Refuse a state whose parts don't agree, before any memory is taken for its networks."""
        spec, weights = self._spec, self._weights
        shape = (spec.sizes[0],)
        constants = self.mean_, spec.mean, spec.scale, spec.spread
        widths = self.n_features_in_, self.n_components_
        if widths != (spec.sizes[0], spec.n_components) or any(values.shape != shape for values in constants):
            raise ValueError("its features or components are not those of its network")
        factors = self._statistics.factors
        if factors is not None and not factors.fits(*shape):
            raise ValueError("its factors are not those of its features")
        says = self.get_params(deep=False) if spec.architecture is None else vars(spec.architecture)
        parts = [spec.sizes, *says.values()]
        if max(len(part) for part in parts if isinstance(part, tuple | list)) > len(weights):
            raise ValueError("it has fewer weights than layers")
        with torch.device("meta"):  # where tensors have shapes and no values
            expected = spec.build(self.module_class).state_dict()
        if {name: value.shape for name, value in expected.items()} != {
            name: value.shape for name, value in weights.items()
        }:
            raise ValueError("its weights are not those of its network")
