"""Persistence of fitted autoencoders: their saved state, and the PyTorch objects that are built from it."""

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
from skae._torch_state import default_torch_state
from skae._training.make import make_net, replace_module
from skae._training.state import write_curves
from skae._training.users import copy_callbacks
from skae._typing import StrPath, typed
from skae.nn import Decoder, Encoder


class Modules(dict):
    """Modules by precision. The float64 module, which takes twice the memory, is built on first use."""

    def __init__(self, single, in_float64):
        super().__init__(float32=single)
        self.in_float64 = in_float64

    def __missing__(self, precision):
        return self.setdefault(precision, self.in_float64())


class PersistenceMixin:
    """Mixin of `AutoencoderCore` for saving and loading.

    The saved state consists of arrays and plain values in `_spec`, `_weights`, `_curves` and `_settings`.
    """

    @default_torch_state()
    def _assembled(self, kept, net=None):
        """Return the saved attributes, in the layout shared by `fit`, pickles and files, and the PyTorch objects."""
        kept = canonical(kept)
        spec, weights, settings = kept["_spec"], kept["_weights"], kept["_settings"]
        try:
            device = resolve_device(settings["device"])
        except ValueError:  # fitted on a device that is not available
            device = torch.device("cpu")
        double_device = torch.device("cpu") if device.type == "mps" else device  # MPS has no float64
        single = spec.build(self.module_class, weights).to(device)

        @default_torch_state()
        def in_float64():
            return spec.build(self.module_class, weights, torch.float64).to(double_device)

        if net is None:
            net = make_net(
                [single], **settings | {"device": device, "callbacks": copy_callbacks(settings["callbacks"])}
            )
        else:
            replace_module(net, single)
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
        """Return a copy of the autoencoder with the weights of another network that was trained in the same fit.

        Its codes are the internal codes, which are not transformed to the final axes.
        """
        old = self._spec
        spec = replace(old, axes=None, sizes=(*old.sizes[:-1], self._n_trained))
        shapes = {name: value.shape for name, value in spec.build(self.module_class).state_dict().items()}
        # components of an ordered code may have been removed after training
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
        if of_file.get() and "_settings" in state:  # the current parameters
            now = {"callbacks": self.callbacks, "net_params": self.net_params}
            state["_settings"] = state["_settings"] | now
        if of_file.get():  # for other processes or systems: omit scikit-learn's callbacks, convert paths
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
        parameters = inspect.signature(type(self)).parameters.items()  # earlier releases may have fewer
        state = {name: parameter.default for name, parameter in parameters} | state
        super().__setstate__({name: value for name, value in state.items() if name != "_written_by"})
        if "_spec" in state:
            if of_file.get():
                self._check_sizes()
            parameters = self.get_params(deep=False)
            vars(self).update(self._assembled({k: v for k, v in vars(self).items() if k not in parameters}))

    def save(self, path: StrPath) -> None:
        """Save the fitted autoencoder to a skops file, which `load` reads without executing anything in it.

        `skops.io.load` reads it too. An existing file is replaced atomically, once the new one is on the disk. For a
        Pipeline, or an autoencoder within another estimator, use `skops.io.dump` or `pickle`.

        Parameters
        ----------
        path : str or path-like
            Path of the file. The usual extension is ".skops".

        Raises
        ------
        NotFittedError
            If the autoencoder is not fitted.

        TypeError
            If a parameter or attribute, such as a callable, can't be saved without pickle.

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
            raise TypeError(f"{type(self).__name__}.save: {error}. Use pickle or joblib instead.") from error

    @classmethod
    @typed(default_torch_state())
    def load(cls, path: StrPath, *, trusted: Sequence[type | str] = ()) -> Self:
        """Load an autoencoder that was saved by `save`.

        Nothing in the file is executed or unpickled, so that loading a file from an untrusted source is safe. The
        results of the autoencoder, however, are determined by the author of the file. It is loaded to the device it was
        fitted on, or to the CPU if that is not available.

        Parameters
        ----------
        path : str or path-like
            Path of the file.

        trusted : sequence of type or str, default=()
            Additional classes, or their full names, of objects that the file may contain, such as a custom
            `Architecture`. This class and those of skae are always trusted.

        Returns
        -------
        autoencoder : object
            Fitted autoencoder of this class.

        Raises
        ------
        ValueError
            If the file is damaged, was not written by `save`, contains an autoencoder of another class or an object of
            a class that is not trusted, or was written by a later release.

        TypeError
            If `trusted` is not a sequence of classes or names.

        OSError
            If the file can't be read.
        """
        if not isinstance(trusted, list | tuple | set | frozenset) or not all(
            isinstance(one, type | str) for one in trusted
        ):
            raise TypeError(f"trusted must be a sequence of classes or their names, got {trusted!r}.")
        estimator = load_estimator(path, {cls, cls.module_class, *trusted})
        if type(estimator) is not cls:
            name = type(estimator).__name__
            other = f"{name}.load" if hasattr(estimator, "load") else "skops.io.load"
            raise ValueError(
                f"{os.fspath(path)!r} contains an object of class {name}: use {other}, not {cls.__name__}.load."
            )
        try:
            estimator._validate_params()
            codes = estimator._apply("encode", ArrayReader(estimator.mean_[None]), estimator.n_components_)
            estimator._apply("decode", ArrayReader(codes), estimator.n_features_in_)
        except Exception as error:  # its parts are inconsistent, or it is not fitted
            raise ValueError(f"{os.fspath(path)!r} contains an invalid {cls.__name__}: {error}") from error
        return estimator

    def _check_sizes(self):
        """Raise an error if parts of the state are inconsistent, before memory is allocated for its networks."""
        spec, weights = self._spec, self._weights
        shape = (spec.sizes[0],)
        constants = self.mean_, spec.mean, spec.scale, spec.spread
        widths = self.n_features_in_, self.n_components_
        if widths != (spec.sizes[0], spec.n_components) or any(values.shape != shape for values in constants):
            raise ValueError("its features or components don't match its network")
        factors = self._statistics.factors
        if factors is not None and not factors.fits(*shape):
            raise ValueError("its factors don't match its features")
        parameters = self.get_params(deep=False) if spec.architecture is None else vars(spec.architecture)
        parts = [spec.sizes, *parameters.values()]
        if max(len(part) for part in parts if isinstance(part, tuple | list)) > len(weights):
            raise ValueError("it has fewer weights than layers")
        with torch.device("meta"):  # tensors without values
            expected = spec.build(self.module_class).state_dict()
        if {name: value.shape for name, value in expected.items()} != {
            name: value.shape for name, value in weights.items()
        }:
            raise ValueError("its weights don't match its network")
