"""Checkpoints: files of safetensors with JSON and a digest in their header. Any file is replaced in one step."""

import hashlib
import json
import os
import secrets
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

FORMAT = 1  # of what the objects are made of: to be raised, and the old one still read, when that changes
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
        arrays[name] = np.array(array, order="C")
        return {"array": name}

    text = json.dumps({"format": FORMAT, "skae": SKAE, "content": content}, default=place)
    replace_file(Path(path), save(arrays, metadata={"text": text, "sha256": _digest(text, arrays)}))


def _digest(text, arrays):
    values = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        values.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return values.hexdigest()


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
        If it can't be opened.

    ValueError
        If it is none of these files, or damaged, or written by a later release.
    """
    with open(path, "rb"):  # for its own error
        pass
    try:
        with safe_open(path, "numpy") as file:
            head, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _digest(head["text"], arrays) != head["sha256"]:
            raise ValueError("its digest is not that of what is in it")
        said = json.loads(
            head["text"], object_hook=lambda one: arrays[one["array"]] if one.keys() == {"array"} else one
        )
        if said["format"] > FORMAT:
            raise ValueError(f"skae {said['skae']} wrote it, and this is {SKAE}: update skae")
        return said["content"]
    except Exception as error:  # of safetensors or JSON, or of what someone hostile made a digest of
        raise unreadable(path, error) from error


def unreadable(path, error):
    """Return the error that says which file can't be read, and why."""
    return ValueError(f"{os.fspath(path)!r} is damaged or can't be loaded: {reason(error)}.")


def reason(error):
    """What an error says, in a line."""
    if isinstance(error, KeyError):
        return f"there is no {error} in it"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
