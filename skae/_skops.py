"""Estimators in files of skops: nothing is made but what is trusted, and nothing larger than the file that says it."""

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
FUNCTIONS = ("builtins.print", "skorch.utils.to_numpy")  # that skorch's own callbacks hold
TYPES = {*SKAE_TYPES, *SKLEARN_TYPES, *FUNCTIONS, "builtins.int", "builtins.str"}  # these two of keys
# skops' nodes for plain values, and the classes that they may be of. Besides, there are objects and classes, which have
# to be trusted. Other nodes are for what is called when it is loaded, or not needed.
PLAIN = {
    "DictNode": r"builtins\.dict",
    "JsonNode": r"builtins\.str",
    "ListNode": r"builtins\.list",
    "NdArrayNode": r"numpy\.(ndarray|bool_?|u?int(8|16|32|64)|float(16|32|64))",
    "RandomStateNode": r"numpy\.random\.mtrand\.RandomState",
    "TupleNode": r"builtins\.tuple",
}
UNKEPT = "can't be kept without a pickle"
KINDS = "biufU"  # of arrays: bools, integers, floats and texts
PROTOCOL = 2  # skops' own, since 0.10: earlier ones have other nodes
LENGTH = 624  # of a Mersenne twister's state

of_file: ContextVar = ContextVar("of_file", default=False)  # whether a state goes into a file, or comes from one


def save_estimator(path, estimator):
    """Write an estimator into a file of skops, which is there as a whole or as it was before.

    Parameters
    ----------
    path : str or path-like

    estimator : estimator

    Raises
    ------
    TypeError
        If it can't be kept without a pickle.

    OSError
        If it can't be written: the disk is full, or the folder may not be written to or is not there.
    """
    import skops.io  # it imports all of scikit-learn

    token = of_file.set(True)
    try:
        blob = skops.io.dumps(estimator)
        _check(io.BytesIO(blob), _can_be_made, UNKEPT)
    except Exception as error:  # of whatever a user's object does when it is asked for its state
        raise TypeError(reason(error)) from error
    finally:
        of_file.reset(token)
    replace_file(Path(path), blob)


def load_estimator(path, trusted):
    """Read an estimator from a file of skops. Nothing in it is run, whatever it is.

    Parameters
    ----------
    path : str or path-like

    trusted : iterable of type or str
        Classes of which there may be objects in it, or their names, besides those that are always trusted.

    Returns
    -------
    estimator : object

    Raises
    ------
    OSError
        If it can't be opened.

    ValueError
        If it is none of these files, or damaged, or holds what is not trusted.
    """
    import skops.io

    names = {*TYPES, *(one if isinstance(one, str) else f"{one.__module__}.{one.__name__}" for one in trusted)}
    token = of_file.set(True)
    try:
        with open(path, "rb") as file:
            try:
                _check(file, names.__contains__, "is not trusted: if you know it, pass it to load(..., trusted=[...])")
                return skops.io.load(file, trusted=sorted(names))
            except Exception as error:  # of zip, JSON, numpy or skops, or of an object that can't be what it should be
                raise unreadable(path, error) from error
    finally:
        of_file.reset(token)


def _can_be_made(name):
    """Whether `load` could make a class, or an object of it, if it were trusted: with its state in its __dict__."""
    module, _, of_class = name.rpartition(".")
    return name in TYPES or getattr(getattr(sys.modules.get(module), of_class, None), "__dictoffset__", 0) != 0


def _check(file, may_be, verdict):
    """Refuse what may not be in a file, before anything is made of it."""
    size = file.seek(0, os.SEEK_END)
    with ZipFile(file) as archive:
        members = archive.infolist()
        if any(one.compress_type != ZIP_STORED or one.file_size != one.compress_size for one in members):
            raise ValueError("it is compressed, and a small file might become a huge one: see skops.io.load")
        if sum(one.file_size for one in members) > size:
            raise ValueError("its parts overlap")
        schema = json.loads(archive.read("schema.json"))
        if schema["protocol"] < PROTOCOL:
            raise ValueError(f"it is of protocol {schema['protocol']} of skops")
        _check_nodes(schema, may_be, verdict)
        for one in members:
            if one.filename != "schema.json":
                with archive.open(one) as part:
                    _check_array(part, one.file_size)


def _check_array(file, size):
    """Refuse an array that is not as large as its part of the file, or not one of numbers."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it holds an array of another version of numpy")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in KINDS or (dtype.kind != "U" and dtype.itemsize > 8) or not dtype.itemsize:
        raise ValueError(f"an array of dtype={dtype} {UNKEPT}")
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError("an array in it is not as large as it says")


def _check_nodes(schema, may_be, verdict):
    """Refuse nodes of kinds that aren't needed, and those of classes that may not be in a file.

    skops takes a node whose number it has met for the one that it met, and doesn't look at what is in it. Two nodes of
    a number therefore have to say the same, or a few bytes that refer to each other would stand for no end of objects,
    and what was checked here would not be what is made.
    """
    forms, form_by_number, number_by_file = {}, {}, {}

    def form_of(item):
        """Check what is within, and return a number for what it says, whatever its nodes and files are called."""
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
            raise ValueError(f"{name!r} in it {UNKEPT}")
        if not number or form_by_number.setdefault(number, form) != form:
            raise ValueError("its parts refer to each other")
        if "file" in node and number_by_file.setdefault(node["file"], number) != number:
            raise ValueError("its parts share an array")  # which would be read again for each
        if loader == "RandomStateNode":
            place = node["content"]["content"]["state"]["content"]["pos"]
            if place["__loader__"] != "JsonNode" or json.loads(place["content"]) not in range(LENGTH + 1):
                raise ValueError("a random state in it is at no place")  # numpy would read beyond its numbers

    form_of(schema)
