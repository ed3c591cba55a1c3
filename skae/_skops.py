"""Estimators in skops files: only trusted types are loaded, and nothing larger than the file itself."""

import io
import json
import math
import os
import re
import sys
from contextvars import ContextVar
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from skae._files import reason, replace_file, unreadable

SKAE_TYPES = (
    *("skae._autoencoder.Autoencoder", "skae._spec.ModuleSpec"),
    *("skae._contractive.ContractiveAutoencoder", "skae._contractive.ContractiveModule"),
    *("skae._convolutional.ConvolutionalAutoencoder", "skae._corruption.DenoisingModule"),
    *(
        "skae._denoising.DenoisingAutoencoder",
        "skae._recurrent.LSTMAutoencoder",
        "skae._data.statistics.FeatureStatistics",
    ),
    "skae._data.missing.FactorModel",
    *("skae._sparse.SparseAutoencoder", "skae._sparse_module.SparseModule", "skae._stacked.StackedAutoencoder"),
    *("skae._training.checkpoint.Checkpoint", "skae._unrolled.Layer"),
    *("skae._unrolled.Stack", "skae._unrolled.StackedModule"),
    *("skae._variational.VariationalAutoencoder", "skae._variational_module.VariationalModule"),
    *("skae.architectures.Convolutional", "skae.architectures.Recurrent", "skae.nn._module.AutoencoderModule"),
)
SKLEARN_TYPES = ("sklearn.neural_network._rbm.BernoulliRBM", "sklearn.preprocessing._data.StandardScaler")
FUNCTIONS = ("builtins.print", "skorch.utils.to_numpy")  # attributes of callbacks of skorch
TYPES = {*SKAE_TYPES, *SKLEARN_TYPES, *FUNCTIONS, "builtins.int", "builtins.str"}  # int and str are types of keys
# skops' nodes for plain values, and their classes. Nodes for objects and classes are allowed if these are trusted. All
# other nodes are rejected: they call functions when they are loaded, or are not needed.
PLAIN = {
    "DictNode": r"builtins\.dict",
    "JsonNode": r"builtins\.str",
    "ListNode": r"builtins\.list",
    "NdArrayNode": r"numpy\.(ndarray|bool_?|u?int(8|16|32|64)|float(16|32|64))",
    "RandomStateNode": r"numpy\.random\.mtrand\.RandomState",
    "TupleNode": r"builtins\.tuple",
}
UNSUPPORTED = "can't be saved without pickle"
KINDS = "biufU"  # kinds of dtypes of arrays: bools, integers, floats and strings
PROTOCOL = 2  # protocol of skops since 0.10: earlier protocols have other nodes
LENGTH = 624  # length of the state of a Mersenne twister

of_file: ContextVar = ContextVar("of_file", default=False)  # whether a state is written to or read from a file


def save_estimator(path, estimator):
    """Write an estimator to a skops file atomically.

    Parameters
    ----------
    path : str or path-like

    estimator : estimator

    Raises
    ------
    TypeError
        If it can't be saved without pickle.

    OSError
        If the file can't be written: the disk is full, or the folder is not writable or doesn't exist.
    """
    import skops.io  # not at the top, since it imports all of scikit-learn

    token = of_file.set(True)
    try:
        blob = skops.io.dumps(estimator)
        _check(io.BytesIO(blob), _is_loadable, UNSUPPORTED)
    except Exception as error:  # custom objects may raise anything when their state is read
        raise TypeError(reason(error)) from error
    finally:
        of_file.reset(token)
    replace_file(Path(path), blob)


def load_estimator(path, trusted):
    """Read an estimator from a skops file, without executing anything in it.

    Parameters
    ----------
    path : str or path-like

    trusted : iterable of type or str
        Classes, or their names, of objects that the file may contain, in addition to those that are always trusted.

    Returns
    -------
    estimator : object

    Raises
    ------
    OSError
        If the file can't be opened.

    ValueError
        If the file is not a skops file, is damaged, or contains an object that is not trusted.
    """
    import skops.io

    names = {*TYPES, *(one if isinstance(one, str) else f"{one.__module__}.{one.__name__}" for one in trusted)}
    token = of_file.set(True)
    try:
        with open(path, "rb") as file:
            try:
                _check(file, names.__contains__, "is not trusted: if you trust it, pass it to load(..., trusted=[...])")
                return skops.io.load(file, trusted=sorted(names))
            except Exception as error:  # from zipfile, JSON, numpy or skops, or from an object with an invalid state
                raise unreadable(path, error) from error
    finally:
        of_file.reset(token)


def _is_loadable(name):
    """Return whether `load` could restore a class or its objects if it were trusted: if they have a `__dict__`."""
    module, _, of_class = name.rpartition(".")
    return name in TYPES or getattr(getattr(sys.modules.get(module), of_class, None), "__dictoffset__", 0) != 0


def _check(file, may_be, verdict):
    """Raise an error if a file has invalid content, before anything is loaded."""
    size = file.seek(0, os.SEEK_END)
    with ZipFile(file) as archive:
        members = archive.infolist()
        if any(one.compress_type != ZIP_STORED or one.file_size != one.compress_size for one in members):
            raise ValueError("it is compressed, and could take far more memory than its size: see skops.io.load")
        if sum(one.file_size for one in members) > size:
            raise ValueError("its parts overlap")
        schema = json.loads(archive.read("schema.json"))
        if schema["protocol"] < PROTOCOL:
            raise ValueError(f"it has protocol {schema['protocol']} of skops, which is not supported")
        _check_nodes(schema, may_be, verdict)
        for one in members:
            if one.filename != "schema.json":
                with archive.open(one) as part:
                    _check_array(part, one.file_size)


def _check_array(file, size):
    """Raise an error if an array's size differs from that of its data, or if its dtype is not supported."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it has an array of an unsupported version of numpy's format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in KINDS or (dtype.kind != "U" and dtype.itemsize > 8) or not dtype.itemsize:
        raise ValueError(f"an array of dtype={dtype} {UNSUPPORTED}")
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError("the shape of an array doesn't match the size of its data")


def _check_nodes(schema, may_be, verdict):
    """Raise an error for nodes of kinds that aren't needed, and of classes that are not allowed.

    skops replaces a node by an earlier one with the same number, and ignores its content. Nodes with the same number
    therefore must have equal content. Otherwise, a few bytes that refer to each other could expand to an unlimited
    number of objects, and the loaded objects could differ from those that were checked.
    """
    forms, form_by_number, number_by_file = {}, {}, {}

    def form_of(item):
        """Check an item recursively, and return a number that identifies its content without node numbers and files."""
        is_node = isinstance(item, dict) and ("__loader__" in item or "__id__" in item)
        if isinstance(item, dict):
            parts = {key: form_of(value) for key, value in item.items()}
            form = tuple((key, part) for key, part in parts.items() if not (is_node and key in ("__id__", "file")))
        else:
            form = (list, *map(form_of, item)) if isinstance(item, list) else (type(item), item)
        form = forms.setdefault(form, len(forms))
        if is_node:
            check_node(item, form)
        return form

    def check_node(node, form):
        loader, number, name = node["__loader__"], node["__id__"], f"{node['__module__']}.{node['__class__']}"
        if loader in ("ObjectNode", "TypeNode") or name in FUNCTIONS:
            if not may_be(name) or (name in FUNCTIONS and loader not in ("FunctionNode", "TypeNode")):
                raise ValueError(f"{name!r} in it {verdict}")
        elif not re.fullmatch(PLAIN.get(loader, "(?!)"), name):
            raise ValueError(f"{name!r} in it {UNSUPPORTED}")
        if not number or form_by_number.setdefault(number, form) != form:
            raise ValueError("its parts refer to each other")
        if "file" in node and number_by_file.setdefault(node["file"], number) != number:
            raise ValueError("its parts share an array")  # it would be read once for each
        if loader == "RandomStateNode":
            place = node["content"]["content"]["state"]["content"]["pos"]
            if place["__loader__"] != "JsonNode" or json.loads(place["content"]) not in range(LENGTH + 1):
                raise ValueError("a random state has an invalid position")  # numpy would read out of bounds

    form_of(schema)
