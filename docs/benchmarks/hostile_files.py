"""Outcomes of `load` for damaged and malicious files.

    python docs/benchmarks/hostile_files.py [--mutations 10000]

Valid files of several autoencoders are mutated, one to three times each: bytes are flipped, overwritten, deleted,
duplicated or moved, or the end is truncated. In half of the files the content of the schema is altered instead
(numbers, names, shapes, classes, nodes, nesting), and the checksums are recomputed, as an attacker would.

Acceptable outcomes: files that are rejected with a ValueError; files that load as the same autoencoder, since the
altered bytes don't affect it (a date in the zip); crafted files that load as specified, and work. Failures: a damaged
file that loads as another autoencoder, another error, a loaded autoencoder that then fails, a file that takes more than
10 seconds, and executed code (imported, compiled or executed; processes, sockets, files written), as detected by
Python's audit hooks. A crash would end the script. The peak memory is printed.
"""

import argparse
import io
import json
import random
import re
import resource
import signal
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.neural_network import BernoulliRBM

from skae import Autoencoder, SparseAutoencoder, StackedAutoencoder, VariationalAutoencoder
from skae.architectures import Convolutional, Recurrent

QUICK = {"hidden_layer_sizes": 4, "max_iter": 1, "random_state": 0}
KINDS = [
    Autoencoder(2, **QUICK),
    Autoencoder(2, ordered=True, architecture=Convolutional(channels=(2,)), **QUICK),
    VariationalAutoencoder(2, architecture=Recurrent(hidden_size=2), **QUICK),
    SparseAutoencoder(6, sparsity="batch_top_k", n_nonzero_coefs=2, **QUICK),
    StackedAutoencoder(
        [("code", Autoencoder(3, code_activation="logistic", **QUICK)), ("rbm", BernoulliRBM(2))], max_iter=1
    ),
]
VALUES = [
    *(
        None,
        True,
        0,
        -1,
        3,
        2**31,
        2**63,
        10**30,
        -(10**18),
        1e308,
        "",
        "0",
        "1",
        "99",
        "relu",
        "cuda",
        "__class__",
        "../x",
    ),
    *([], [0], [[]], {}, "ObjectNode", "TypeNode", "FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode"),
    *("ConstructorFromReduceNode", "BytesNode", "CachedNode", "builtins", "os", "system", "eval", "numpy", "void"),
    *("ModuleSpec", "skae._spec", "[" * 10_000, "NaN", "1e400", "1" * 5000, [1] * 10_000),
    {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1},
    {"__class__": "eval", "__module__": "builtins", "__loader__": "TypeNode", "__id__": 2},
    {"__class__": "SVC", "__module__": "sklearn.svm._classes", "__loader__": "ObjectNode", "__id__": 3},
]
WATCHED = re.compile(
    r"import|exec|compile|pickle|os\.(system|exec|fork|posix_spawn|remove|rename|mkdir)|subprocess|socket|ctypes|open"
)


def flip(blob, rng):
    """Flip a bit."""
    place = rng.randrange(len(blob))
    blob[place] ^= 1 << rng.randrange(8)


def put(blob, rng):
    """Overwrite some bytes."""
    place = rng.randrange(len(blob))
    blob[place : place + rng.randint(1, 16)] = rng.randbytes(rng.randint(0, 16))


def move(blob, rng):
    """Move or duplicate some bytes."""
    start, place = rng.randrange(len(blob)), rng.randrange(len(blob))
    piece = blob[start : start + rng.randint(1, 200)]
    if rng.random() < 0.5:
        del blob[start : start + len(piece)]
    blob[place:place] = piece


def cut(blob, rng):
    """Truncate the end."""
    del blob[rng.randrange(len(blob)) :]


def head(blob, rng):
    """Alter the size or offset of a member in the zip directory."""
    start = blob.find(b"PK\1\2") + rng.choice([0, 20, 24, 28, 42])
    value = rng.choice([0, 1, len(blob), 2**31, 2**32 - 1, rng.randrange(len(blob) + 1)])
    blob[start : start + 4] = value.to_bytes(4, "little")


def places(value):
    """Yield all (container, key) of a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs):
        yield value, key
        yield from places(item)


def craft(blob, rng):
    """Alter the schema or the arrays, and recompute the checksums."""
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts.pop("schema.json"))
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(list(places(schema)))
        match rng.randrange(4):
            case 0:
                del container[key]
            case 1:
                other, other_key = rng.choice(list(places(schema)))
                container[key] = json.loads(json.dumps(other[other_key]))
            case 2:
                container[key] = rng.choice(VALUES)
            case 3:
                name = rng.choice(list(parts))
                array, file = np.load(io.BytesIO(parts[name])), io.BytesIO()
                others = [array.ravel(), array[None], array.astype(rng.choice(["f2", "i8", "?"])), np.zeros_like(array)]
                np.save(file, rng.choice(others))
                parts[name] = file.getvalue()
    if rng.random() < 0.1:
        name = rng.choice(list(parts))
        parts[name] = parts[name].replace(b"(", b"(" + b"9" * rng.randint(1, 12), 1)  # a larger shape
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, part in {**parts, "schema.json": json.dumps(schema)}.items():
            archive.writestr(name, part)
    blob[:] = made.getvalue()


MAX_MEMORY = 200_000  # kB
events, watching = Counter(), False


def hook(event, arguments):
    """Record audit events that may execute code."""
    if watching and WATCHED.match(event):
        if event == "open" and (arguments[1] is None or not set("wax+") & set(str(arguments[1]))):
            return
        if event == "compile" and arguments[1] == "<unknown>":
            return  # numpy parses array headers with ast.literal_eval, which executes nothing
        events[f"{event} {str(arguments[0])[:60]}"] += 1


def attempt(kind, path, X):
    """Load a file and return (outcome, codes or error)."""
    global watching
    signal.alarm(10)
    watching = True
    try:
        fitted = type(kind).load(path)
        watching = False
        codes = fitted.transform(X)
        return ("loaded", codes) if np.isfinite(codes).all() else ("BROKEN", None)
    except ValueError as error:
        return ("rejected" if watching else "BROKEN"), error
    except TimeoutError as error:
        return "HANG", error
    except Exception as error:
        return ("ANOTHER ERROR" if watching else "BROKEN"), error
    finally:
        watching = False
        signal.alarm(0)


def too_long(*_):
    """Raise TimeoutError; signal handler."""
    raise TimeoutError


def main():
    """Print the number of each outcome."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.path.pop(0)  # a script in this folder has the name of a package that dask imports
    signal.signal(signal.SIGALRM, too_long)
    rng, X, outcomes, examples = random.Random(arguments.seed), load_iris().data, Counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        path, good = Path(folder) / "model.skops", []
        for kind in KINDS:
            fitted = kind.fit(X)
            fitted.save(path)
            good.append((kind, path.read_bytes(), type(kind).load(path).transform(X)))
        sys.addaudithook(hook)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(arguments.mutations):
            kind, valid, codes = rng.choice(good)
            blob, crafted = bytearray(valid), rng.random() < 0.5
            if crafted:
                craft(blob, rng)
            else:
                for _ in range(rng.randint(1, 3)):
                    rng.choice([flip, flip, put, move, cut, head])(blob, rng)
                    blob = blob or bytearray(1)
            path.write_bytes(blob)
            outcome, what = attempt(kind, path, X)
            if outcome == "loaded":
                same = np.array_equal(what, codes)
                if crafted:
                    outcome = "loaded as specified (valid checksums)"
                else:
                    outcome = "loaded, unchanged" if same else "ANOTHER OBJECT LOADED"
            outcomes[outcome] += 1
            examples.setdefault(outcome, repr(what)[:150])
    for outcome, n in outcomes.most_common():
        print(f"{outcome:36s}{n:8d}   {'' if outcome.startswith('loaded') else examples[outcome]}")
    print(f"executed code, written files: {dict(events) or 'none'}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory: {(peak - before) / 1000:.0f} MB above the initial value")
    sys.exit(bool(events) or peak - before > MAX_MEMORY or any(outcome.isupper() for outcome in outcomes))


if __name__ == "__main__":
    main()
