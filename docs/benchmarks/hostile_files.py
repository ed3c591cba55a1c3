"""Files that were damaged, or made by someone hostile: what `load` makes of them.

    python docs/benchmarks/hostile_files.py [--mutations 10000]

Valid files of several autoencoders are mutated, one to three times each: bytes are flipped, set, cut out, doubled or
put elsewhere, the end is cut off. In half of the files it is rather what the schema says that is altered (numbers,
names, shapes, classes, nodes, nesting), and the checksums are made right again, as someone hostile would.

What is counted: files that are refused by a ValueError; files that load as the same autoencoder, since what was
altered says nothing of it (a date in the zip); crafted files that load as what they say, and work. What must not be: a
damaged file that loads as another autoencoder, another error, an autoencoder that then fails, a file that takes more
than 10 seconds, and code that is run (imported, compiled or executed; processes, sockets, files written), which
Python's audit hooks would tell. A crash would end the script. The peak of memory is printed.
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
    """Alter a bit."""
    place = rng.randrange(len(blob))
    blob[place] ^= 1 << rng.randrange(8)


def put(blob, rng):
    """Set some bytes to others."""
    place = rng.randrange(len(blob))
    blob[place : place + rng.randint(1, 16)] = rng.randbytes(rng.randint(0, 16))


def move(blob, rng):
    """Put a piece elsewhere, or double it."""
    start, place = rng.randrange(len(blob)), rng.randrange(len(blob))
    piece = blob[start : start + rng.randint(1, 200)]
    if rng.random() < 0.5:
        del blob[start : start + len(piece)]
    blob[place:place] = piece


def cut(blob, rng):
    """Cut off the end."""
    del blob[rng.randrange(len(blob)) :]


def head(blob, rng):
    """Alter what the directory says of the sizes of a part, or of its place."""
    start = blob.find(b"PK\1\2") + rng.choice([0, 20, 24, 28, 42])
    value = rng.choice([0, 1, len(blob), 2**31, 2**32 - 1, rng.randrange(len(blob) + 1)])
    blob[start : start + 4] = value.to_bytes(4, "little")


def places(value):
    """All (container, key) in JSON."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs):
        yield value, key
        yield from places(item)


def craft(blob, rng):
    """Alter what the schema says, or the arrays, and make the checksums right again."""
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    says = json.loads(parts.pop("schema.json"))
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(list(places(says)))
        match rng.randrange(4):
            case 0:
                del container[key]
            case 1:
                other, other_key = rng.choice(list(places(says)))
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
        for name, part in {**parts, "schema.json": json.dumps(says)}.items():
            archive.writestr(name, part)
    blob[:] = made.getvalue()


MAX_MEMORY = 200_000  # kB
events, watching = Counter(), False


def hook(event, arguments):
    """Take note of what might be code."""
    if watching and WATCHED.match(event):
        if event == "open" and (arguments[1] is None or not set("wax+") & set(str(arguments[1]))):
            return
        if event == "compile" and arguments[1] == "<unknown>":
            return  # numpy parses an array's header by ast.literal_eval, which runs nothing
        events[f"{event} {str(arguments[0])[:60]}"] += 1


def attempt(kind, path, X):
    """What comes of a file."""
    global watching
    signal.alarm(10)
    watching = True
    try:
        fitted = type(kind).load(path)
        watching = False
        codes = fitted.transform(X)
        return ("loaded", codes) if np.isfinite(codes).all() else ("BROKEN", None)
    except ValueError as error:
        return ("refused" if watching else "BROKEN"), error
    except TimeoutError as error:
        return "HANG", error
    except Exception as error:
        return ("ANOTHER ERROR" if watching else "BROKEN"), error
    finally:
        watching = False
        signal.alarm(0)


def too_long(*_):
    """Raise, as a signal's handler."""
    raise TimeoutError


def main():
    """Print what was counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.path.pop(0)  # a script beside this one has the name of a package that dask looks for
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
                    outcome = "loaded as it says (right checksums)"
                else:
                    outcome = "loaded: the same" if same else "ANOTHER OBJECT LOADED"
            outcomes[outcome] += 1
            examples.setdefault(outcome, repr(what)[:150])
    for outcome, n in outcomes.most_common():
        print(f"{outcome:36s}{n:8d}   {'' if outcome.startswith('loaded') else examples[outcome]}")
    print(f"code run, files written: {dict(events) or 'none'}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"memory at the peak: {(peak - before) / 1000:.0f} MB above before")
    sys.exit(bool(events) or peak - before > MAX_MEMORY or any(outcome.isupper() for outcome in outcomes))


if __name__ == "__main__":
    main()
