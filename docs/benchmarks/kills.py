"""Fits that are killed (SIGKILL) and resumed must be bit-identical to an uninterrupted fit.

    python docs/benchmarks/kills.py [--kills 50]

For each estimator an uninterrupted fit is the reference. Processes that fit with a checkpoint are killed at random
moments or, three times in five, during the writing of a file: when half of it is written, when it is written but not
yet renamed, or when it has just been renamed. After each kill the checkpoint must be valid, and another process resumes
the fit from it.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from skae._files import read_file
from skae._training.checkpoint import FILE
from skae.callbacks import Checkpoint

SETTINGS = {"n_components": 8, "hidden_layer_sizes": 64, "early_stopping": False, "random_state": 0}
ESTIMATORS = (Autoencoder, DenoisingAutoencoder, VariationalAutoencoder)
IN_A_WRITE = ("open", "fsync", "replace")


def digest(fitted, X):
    """Return a digest of the results of a fit."""
    what = [fitted.transform(X).tobytes(), repr(fitted.loss_curve_).encode(), repr(fitted.best_epoch_).encode()]
    return hashlib.sha256(b"".join(what)).hexdigest()


def fit_in_a_child(estimator, X, result, moment=None):
    """Fit in a child process, which may kill itself in its n-th write; return its process id."""
    child = os.fork()
    if child:
        return child
    if moment is not None:
        die_in_a_write(*moment)
    Path(result).write_text(digest(estimator.fit(X), X))
    os._exit(0)


def die_in_a_write(call, n):
    """Make the n-th write kill this process: in the middle of the file, before the file is renamed, or just after."""
    import skae._files as files

    real, calls = files.replace_file, 0

    def replace_file(path, blob):
        nonlocal calls
        calls += 1
        if calls < n:
            return real(path, blob)
        if call == "open":
            path.with_name(f".{path.name}.killed.part").write_bytes(blob[: len(blob) // 2])
        else:
            call_itself = getattr(os, call)
            setattr(os, call, lambda *args: (call_itself(*args) if call == "replace" else None, kill())[0])
            real(path, blob)
        return kill()

    files.replace_file = replace_file


def kill():
    """Kill this process, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def run(estimator, X, n_kills, rng):
    """Kill a number of fits, resume each, and count the outcomes."""
    folder = Path(tempfile.mkdtemp())
    try:
        clone(estimator).fit(X[:50])  # children inherit the modules that torch imports with the first optimizer
        start = time.perf_counter()
        expected = digest(clone(estimator).fit(X), X)
        seconds = time.perf_counter() - start
        counts = {"kills": 0, "in a write": 0, "damaged": 0, "identical": 0}
        while counts["kills"] < n_kills:
            checkpoint, result = Path(tempfile.mkdtemp(dir=folder)), folder / "result"
            fit = clone(estimator).set_params(callbacks=[Checkpoint(checkpoint)]), X, result
            within = rng.choice([None, None, *IN_A_WRITE])
            child = fit_in_a_child(*fit, (within, rng.randint(1, estimator.max_iter)) if within else None)
            if within is None:
                time.sleep(rng.uniform(0, seconds))
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                continue  # it finished before the kill
            counts["kills"] += 1
            counts["in a write"] += within is not None
            counts["damaged"] += not is_valid(checkpoint / FILE)
            os.waitpid(fit_in_a_child(*fit), 0)
            counts["identical"] += result.read_text() == expected
            result.unlink()
        return counts
    finally:
        shutil.rmtree(folder)


def is_valid(path):
    """Return whether the checkpoint can be read or was never written."""
    try:
        return not path.exists() or bool(read_file(path))
    except ValueError:
        return False


def main():
    """Print a line for each estimator."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--max-iter", type=int, default=40)
    arguments = parser.parse_args()
    X, rng, good = load_digits().data[: arguments.rows], random.Random(0), True
    names = ("kills", "in a write", "damaged", "identical")
    print(("{:24s}" + 4 * "{:>12s}").format("", *names))
    for of_class in ESTIMATORS:
        counts = run(of_class(**SETTINGS, max_iter=arguments.max_iter), X, arguments.kills, rng)
        good &= not counts["damaged"] and counts["identical"] == counts["kills"]
        print(("{:24s}" + 4 * "{:12d}").format(of_class.__name__, *(counts[name] for name in names)), flush=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
