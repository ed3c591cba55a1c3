"""Checkpoint files: safetensors with JSON and a digest in the header. Files are replaced atomically."""

import errno
import hashlib
import json
import os
import secrets
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

FORMAT = 1  # version of the state of saved objects: increase it when that changes, and still read earlier versions
SKAE = version("skae")


def write_file(path, content):
    """Write plain values and arrays to a file atomically.

    Parameters
    ----------
    path : str or path-like

    content : object
        JSON-serializable values and arrays.

    Raises
    ------
    OSError
        If the file can't be written: the disk is full, or the folder is not writable or doesn't exist.
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
    """Replace a file atomically, after the new content was written to the disk."""
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "The folder doesn't exist", os.fspath(path.parent))
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
    if os.name == "posix":  # the new name is on the disk only after fsync of the folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_file(path):
    """Read a file written by `write_file`, without executing anything in it.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    content : object

    Raises
    ------
    OSError
        If the file can't be opened.

    ValueError
        If the file was not written by `write_file`, is damaged, or was written by a later release.
    """
    with open(path, "rb"):  # raises OSError if the file can't be opened
        pass
    try:
        with safe_open(path, "numpy") as file:
            head, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _digest(head["text"], arrays) != head["sha256"]:
            raise ValueError("its digest is not that of its content")
        found = json.loads(
            head["text"], object_hook=lambda one: arrays[one["array"]] if one.keys() == {"array"} else one
        )
        if found["format"] > FORMAT:
            raise ValueError(f"it was written by skae {found['skae']}, and this is {SKAE}: update skae")
        return found["content"]
    except Exception as error:  # from safetensors or JSON; a malicious file may have a valid digest
        raise unreadable(path, error) from error


def unreadable(path, error):
    """Return an error with the name of a file that can't be read, and the reason."""
    return ValueError(f"{os.fspath(path)!r} is damaged or can't be loaded: {reason(error)}.")


def reason(error):
    """Return the first line of an error message."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
