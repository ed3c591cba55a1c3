"""Estimators in files of skops: nothing is made but what is trusted, and nothing larger than the file says it all."""

import io
import json
import math
import os
import re
from contextvars import ContextVar
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from skae._files import reason, replace_file

SKAE_TYPES = (
    "skae._autoencoder.Autoencoder",
    "skae._blueprint.Blueprint",
    "skae._contractive.ContractiveAutoencoder",
    "skae._contractive.ContractiveModule",
    "skae._convolutional.ConvolutionalAutoencoder",
    "skae._corruption.DenoisingModule",
    "skae._denoising.DenoisingAutoencoder",
    "skae._recurrent.LSTMAutoencoder",
    "skae._scaling.Moments",
    "skae._sparse.SparseAutoencoder",
    "skae._sparse.SparseModule",
    "skae._stacked.StackedAutoencoder",
    "skae._unrolled.Layer",
    "skae._unrolled.Stack",
    "skae._unrolled.StackedModule",
    "skae._variational.VariationalAutoencoder",
    "skae._variational.VariationalModule",
    "skae.architectures.Convolutional",
    "skae.architectures.Recurrent",
    "skae.nn._module.AutoencoderModule",
)
SKLEARN_TYPES = ("sklearn.neural_network._rbm.BernoulliRBM", "sklearn.preprocessing._data.StandardScaler")
TYPES_OF_KEYS = ("builtins.str", "builtins.int")
# skops' nodes for plain values, and the classes that they may be of. The rest is for trusted types, or not needed:
# methods, functions and constructors would be called.
PLAIN = {
    "DictNode": r"builtins\.dict",
    "JsonNode": r"builtins\.str",
    "ListNode": r"builtins\.list",
    "NdArrayNode": r"numpy\.(ndarray|bool_?|u?int(8|16|32|64)|float(16|32|64))",
    "RandomStateNode": r"numpy\.random\.mtrand\.RandomState",
    "TupleNode": r"builtins\.tuple",
}
KINDS = "biuf"  # of arrays: bools, integers and floats
PROTOCOL = 2  # skops' own, since 0.10: earlier ones have other nodes
LENGTH = 624  # of a Mersenne twister's state

of_file: ContextVar = ContextVar("of_file", default=False)  # whether a state goes into a file, or comes from one


def save_estimator(path, estimator, known):
    """Write an estimator into a file of skops, which is there as a whole or as it was before.

    Parameters
    ----------
    path : str or path-like

    estimator : estimator

    known : iterable of type
        Classes of which there may be objects in it, besides those that are always trusted.

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
        _audit(blob, known, "can't be kept without a pickle")
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
        If it can't be read.

    ValueError
        If it is none of these files, or damaged, or holds what is not trusted.
    """
    with open(path, "rb") as file:
        start = file.read(4)
        if start != b"PK\x03\x04":  # any other file may be huge
            raise ValueError(f"{os.fspath(path)!r} is not a file that skae's `save` wrote, or it is damaged.")
        blob = start + file.read()
    import skops.io

    token = of_file.set(True)
    try:
        names = _audit(blob, trusted, "is not trusted: if you know it, pass it to load(..., trusted=[...])")
        return skops.io.loads(blob, trusted=sorted(names))
    except Exception as error:  # of zip, JSON, numpy or skops, or of an object that can't be what the file says
        raise ValueError(f"{os.fspath(path)!r} is damaged or can't be loaded: {reason(error)}.") from error
    finally:
        of_file.reset(token)


def name_of(a_class):
    """Name that a class has in a file of skops."""
    return a_class if isinstance(a_class, str) else f"{a_class.__module__}.{a_class.__name__}"


def _audit(blob, trusted, verdict):
    """Refuse what may not be in a file, before anything is made of it; return the names of the types that may."""
    names = {*SKAE_TYPES, *SKLEARN_TYPES, *TYPES_OF_KEYS, *map(name_of, trusted)}
    with ZipFile(io.BytesIO(blob)) as archive:
        members = archive.infolist()
        if any(one.compress_type != ZIP_STORED or one.file_size != one.compress_size for one in members):
            raise ValueError("it is compressed, and a small file might become a huge one: see skops.io.load")
        if sum(one.file_size for one in members) > len(blob):
            raise ValueError("its parts overlap")
        for one in members:
            if one.filename != "schema.json":
                with archive.open(one) as file:
                    _check_array(file, one.file_size)
        schema = json.loads(archive.read("schema.json"))
    if schema["protocol"] < PROTOCOL:
        raise ValueError(f"it is of protocol {schema['protocol']} of skops")
    _Nodes(names, verdict).check(schema)
    return names


def _check_array(file, size):
    """Refuse an array that is not as large as its part of the file, or not one of numbers."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it holds an array of another version of numpy")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in KINDS or dtype.itemsize > 8:
        raise ValueError(f"an array of dtype={dtype} can't be kept without a pickle")
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError("an array in it is not as large as it says")


class _Nodes:
    """The nodes in a file of skops, as JSON.

    skops takes a node whose number it has met for the one that it met, and doesn't look at what is in it. Two nodes of
    a number therefore have to be as large, or a few bytes that refer to each other would stand for no end of objects.
    """

    def __init__(self, names, verdict):
        self.names, self.verdict = names, verdict
        self.sizes, self.numbers = {}, {}

    def check(self, item):
        """Check all nodes within, and return how many parts it has."""
        if isinstance(item, list):
            return 1 + sum(map(self.check, item))
        if not isinstance(item, dict):
            return 1
        size = 1 + sum(map(self.check, item.values()))
        if "__loader__" in item or "__id__" in item:
            self._check_node(item, size)
        return size

    def _check_node(self, node, size):
        loader, number, name = node["__loader__"], node["__id__"], f"{node['__module__']}.{node['__class__']}"
        if loader in ("ObjectNode", "TypeNode"):
            may_be = name in self.names
        else:
            may_be = re.fullmatch(PLAIN.get(loader, "(?!)"), name)
        if not may_be:
            raise ValueError(f"{name!r} in it {self.verdict}")
        if not number or self.sizes.setdefault(number, size) != size:
            raise ValueError("its parts refer to each other")
        if "file" in node and self.numbers.setdefault(node["file"], number) != number:
            raise ValueError("its parts share an array")  # which would be read again for each
        if loader == "RandomStateNode":
            state = node["content"]["content"]["state"]["content"]
            if json.loads(state["pos"]["content"]) not in range(LENGTH + 1):  # numpy would read beyond
                raise ValueError("a random state in it is at no place")
