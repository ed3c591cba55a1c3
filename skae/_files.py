"""Files of safetensors with JSON in their header and a digest over all of it, which are replaced in one step."""

import hashlib
import json
import os
import re
import secrets
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sklearn
import torch
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

FORMAT = 1  # of what the objects are made of: to be raised, and the old one still read, when that changes
MOST_HEADER = 10**8  # bytes: safetensors' own limit
NO_DIGEST = "0" * 64
# quotes within a value of the header are escaped, so this is found once
DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
SKAE = version("skae")


def write_file(path, content):
    """Write plain values and arrays into a file, which is there as a whole or as it was before.

    Parameters
    ----------
    path : str or path-like

    content : object
        What JSON can hold, with arrays in it.

    Raises
    ------
    OSError
        If it can't be written: the disk is full, or the folder may not be written to or is not there.
    """
    arrays = {}

    def place(array):
        name = str(len(arrays))
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
        return {"array": name}

    versions = {"skae": SKAE, "torch": torch.__version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__}
    head = {"format": FORMAT, "versions": versions, "content": content}
    text = json.dumps(head, default=place, separators=(",", ":"))
    blob = save_arrays(arrays, metadata={"skae": text, "sha256": NO_DIGEST})
    digest = hashlib.sha256(blob).hexdigest()
    replace_file(Path(path), DIGEST.sub(f'"sha256":"{digest}"'.encode(), blob, count=1))


def replace_file(path, blob):
    """Put bytes in the place of a file in one step, once the disk has them."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the name is on the disk when the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_file(path):
    """Read what `write_file` wrote. Nothing in it is run, whatever it is.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    content : object

    Raises
    ------
    OSError
        If it can't be read.

    ValueError
        If it is none of these files, or damaged, or written by a later release.
    """
    blob = _verified(path)
    try:
        (n,) = np.frombuffer(blob, "<u8", 1).tolist()
        arrays = load_arrays(blob)
        head = json.loads(
            json.loads(blob[8 : 8 + n])["__metadata__"]["skae"],
            object_hook=lambda one: arrays[one["array"]] if one.keys() == {"array"} else one,
        )
        if head["format"] > FORMAT:
            raise ValueError(f"skae {head['versions']['skae']} wrote it, and this is {SKAE}: update skae")
        return head["content"]
    except Exception as error:  # someone may have made the digest of anything
        raise ValueError(f"{os.fspath(path)!r} can't be loaded: {reason(error)}.") from error


def _verified(path):
    """The bytes of a file, if they are those that were written. What isn't ours is not read as a whole."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        n = int.from_bytes(file.read(8), "little")
        start = file.read(n) if n <= min(size - 8, MOST_HEADER) else b""
        found = DIGEST.search(start)
        if found is None:
            raise ValueError(f"{os.fspath(path)!r} is not a checkpoint that skae wrote, or it is damaged.")
        blob = b"".join([n.to_bytes(8, "little"), start, file.read()])
    first, last = (8 + place for place in found.span(1))
    digest = hashlib.sha256(b"".join([blob[:first], NO_DIGEST.encode(), blob[last:]])).hexdigest()
    if digest.encode() != found[1]:
        raise ValueError(f"{os.fspath(path)!r} is damaged: its digest is not that of what is in it.")
    return blob


def reason(error):
    """What an error says, in a line."""
    if isinstance(error, KeyError):
        return f"there is no {error} in it"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
