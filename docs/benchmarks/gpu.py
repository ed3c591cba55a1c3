"""Check that everything works on a GPU, and measure how fast it is there.

    python docs/benchmarks/gpu.py [--device cuda] [--parts kinds uses tensors ...] [--short]

The machine needs PyTorch, scikit-learn and NumPy; nothing is downloaded. If skorch is missing, bring its wheel
(`pip download --no-deps skorch`) and install it with `pip install --no-index --no-deps --target DIR skorch-*.whl`, with
DIR and the root of this repository on PYTHONPATH.

Each part runs in a separate process, which is stopped after the number of seconds in `PARTS`, and prints its results
immediately. The most important parts come first. The exit status is 1 if a check fails. On a CPU, parts that measure
what only a GPU has (CUDA graphs, TF32, waits) are skipped; `--short` makes all parts small.

kinds: every variant and architecture fits, transforms, inverts, scores and pickles, with R² within .005 of the CPU's;
    a fit is repeatable, and a linear autoencoder equals PCA.
uses: `partial_fit`, `warm_start`, checkpoints, mixed precision, samples that don't fit on the device, a search in two
    processes, a forked child, a fitted model on a machine without a GPU.
tensors: tensors on the device as input and output, and how often they pass through the CPU.
waits: how often the host waits for the device in an epoch, and launches and kernels per step.
steps: one training step, compared with hand-written loops.
epochs: epochs and whole fits, compared with hand-written loops.
images: the same for convolutional networks and LSTMs.
many: the same for 1,000,000 samples.
compiled: `net_params={"compile": True}`.
"""

import argparse
import itertools
import os
import pickle
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from unittest import mock

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when scipy is imported

import _gpu_speed
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

import skae
from skae._data import readers
from skae.architectures import Convolutional, Recurrent
from skae.callbacks import Checkpoint

PARTS = {  # time limit of each part in seconds
    "kinds": 240,
    "uses": 240,
    "tensors": 60,
    "waits": 60,
    "steps": 120,
    "epochs": 150,
    "images": 120,
    "many": 90,
    "compiled": 150,
}
MAX_BELOW = 0.005  # difference of R² from the CPU
COMMON = {"random_state": 0, "batch_size": 100}


def kinds():
    """Yield small estimators of every kind."""
    dense = {"hidden_layer_sizes": (64,), **COMMON}
    objectives = (
        *(skae.Autoencoder, skae.DenoisingAutoencoder, skae.ContractiveAutoencoder),
        *(skae.SparseAutoencoder, skae.VariationalAutoencoder),
    )
    yield from (objective(8, **dense) for objective in objectives)
    yield skae.ConvolutionalAutoencoder(8, channels=(8, 16), **COMMON)
    yield skae.LSTMAutoencoder(8, hidden_size=16, sequence_shape=(8, 8), **COMMON)
    yield skae.StackedAutoencoder((32, 8), **COMMON)
    yield skae.Autoencoder(8, hidden_layer_sizes=(), **COMMON)
    yield skae.Autoencoder(8, **dense, ordered=True, whiten=True)
    yield skae.Autoencoder(8, **dense, init="random")
    yield skae.Autoencoder(8, **dense, loss="absolute_error", scale="standard")
    yield skae.Autoencoder(8, **dense, loss="poisson")
    yield from (skae.SparseAutoencoder(8, **dense, sparsity=s, n_nonzero_coefs=2) for s in ("kl", "top_k"))
    architectures = Convolutional(channels=(8,)), Recurrent(hidden_size=16, sequence_shape=(8, 8))
    yield from (objective(8, architecture=a, **COMMON) for objective in objectives[1:] for a in architectures)


def spread(found, expected):
    """Return the largest difference, relative to the range of the expected values."""
    return np.abs(found - expected).max() / np.ptp(expected)


class Checks:
    """Print the results of checks and collect failures."""

    def __init__(self):
        self.failed = []

    def __call__(self, name, passed, message):
        """Record and print whether a check passed."""
        if not passed:
            self.failed.append(name)
        print(f"{'ok  ' if passed else 'FAIL'} {name}: {message}", flush=True)

    def run(self, name, use, *args):
        """Run a check that returns (passed, message)."""
        start = time.perf_counter()
        try:
            passed, message = use(*args)
        except Exception:
            passed, message = False, traceback.format_exc(limit=-6)
        self(name, passed, f"{message} ({time.perf_counter() - start:.1f} s)")


def check_kinds(device, short):
    """Run the part `kinds`."""
    check, X = Checks(), load_digits().data[: 200 if short else 800]
    fitted = []
    for kind in itertools.islice(kinds(), 10 if short else None):
        kind.set_params(max_iter=2 if short else 8)
        name = " ".join(repr(kind).split()).replace(", random_state=0", "").replace("batch_size=100, ", "")

        def of_one(kind=kind):
            here = clone(kind).set_params(device="cpu").fit(X)
            start = time.perf_counter()
            there = clone(kind).set_params(device=device).fit(X)
            seconds = time.perf_counter() - start
            again = clone(kind).set_params(device=device).fit(X)
            devices = {p.device.type for p in there.net_.module_.parameters()}
            codes, scores = there.transform(X), (here.score(X), there.score(X))
            single = there.transform(X.astype(np.float32))
            original = there.inverse_transform(codes)
            read = pickle.loads(pickle.dumps(there))
            fitted.append((there, codes))
            passed = (
                devices == {torch.device(device).type}
                and scores[1] >= scores[0] - MAX_BELOW
                and spread(single, codes) < 5e-3
                and np.array_equal(read.transform(X), codes)
                and np.allclose(original, there.reconstruct(X), atol=1e-9)
            )
            same = np.array_equal(again.transform(X), codes)
            r2 = f"R² {scores[1]:.4f} (CPU {scores[0]:.4f}), float32 off by {spread(single, codes):.1e}"
            return passed, f"{r2}, fit {seconds:.1f} s, second fit bit-identical: {same}"

        check.run(name, of_one)
    check.run("linear is PCA", linear_is_pca, device, X)
    check.run("models load without a GPU", read_on_cpu, fitted, X)
    return check.failed


def linear_is_pca(device, X):
    """Compare the linear autoencoder with scikit-learn's PCA."""
    linear = skae.Autoencoder(8, hidden_layer_sizes=(), device=device).fit(X)
    pca = PCA(8, svd_solver="full").fit(X)
    off = spread(linear.reconstruct(X), pca.inverse_transform(pca.transform(X)))
    return off < 1e-6, f"off by {off:.1e}"


def read_on_cpu(fitted, X):
    """Load models in a process without access to a GPU."""
    script = (
        "import pickle, sys, numpy, torch\nassert not torch.cuda.is_available()\n"
        "models, X = pickle.load(open(sys.argv[1], 'rb'))\nworst = 0\n"
        "for model, codes in models:\n"
        "    assert {p.device.type for p in model.net_.module_.parameters()} == {'cpu'}\n"
        "    worst = max(worst, numpy.abs(model.transform(X) - codes).max() / numpy.ptp(codes))\n"
        "print(worst)"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.pickle"
        path.write_bytes(pickle.dumps((fitted, X)))
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    if done.returncode:
        return False, done.stderr[-500:]
    return float(done.stdout) < 1e-9, f"{len(fitted)} models, codes off by {float(done.stdout):.1e} at most"


def check_uses(device, short):
    """Run the part `uses`."""
    check, X = Checks(), load_digits().data[: 300 if short else 1797]
    one = skae.Autoencoder(8, hidden_layer_sizes=(64,), device=device, max_iter=2 if short else 15, **COMMON)

    def scores(use):
        there, here = (use(clone(one).set_params(device=place)).score(X) for place in (device, "cpu"))
        return there >= here - MAX_BELOW, f"R² {there:.4f} (CPU {here:.4f})"

    def stream(model):
        for _ in range(2):
            for start in range(0, len(X), 100):
                model.partial_fit(X[start : start + 100])
        return model

    def resumed():
        with tempfile.TemporaryDirectory() as folder:
            whole = clone(one).set_params(callbacks=[Checkpoint(f"{folder}/one")]).fit(X)
            again = clone(whole).fit(X)  # it resumes from the last epoch
            return np.array_equal(whole.transform(X), again.transform(X)), "bit-identical"

    def streamed_samples():
        with mock.patch.object(readers, "_room_on", return_value=0):
            there = clone(one).fit(X)
        return there.score(X) >= clone(one).fit(X).score(X) - MAX_BELOW, f"R² {there.score(X):.4f}"

    def search():
        grid = {"n_components": [2, 8]}
        found = GridSearchCV(clone(one), grid, cv=2, n_jobs=2, error_score="raise").fit(X)
        alone = GridSearchCV(clone(one), grid, cv=2, error_score="raise").fit(X)
        off = np.abs(found.cv_results_["mean_test_score"] - alone.cv_results_["mean_test_score"]).max()
        return off < MAX_BELOW, f"scores of two processes and of one differ by {off:.1e}"

    def measured():
        detector = skae.AutoencoderOutlierDetector(clone(one)).fit(X)
        sampler = skae.LatentSampler(clone(one)).fit(X)
        new = sampler.sample(50, random_state=0)
        shape = clone(one).fit(X).jacobian(X[:5]).shape
        return np.isfinite(detector.score_samples(X)).all() and new.shape == (50, 64), f"Jacobian {shape}"

    check.run("partial_fit", scores, stream)
    check.run("warm_start", scores, lambda model: model.set_params(warm_start=True).fit(X).fit(X))
    check.run("checkpoint", resumed)
    check.run("mixed_precision", scores, lambda model: model.set_params(mixed_precision=True).fit(X))
    check.run("samples that don't fit on the device", streamed_samples)
    check.run("detector, sampler, Jacobian", measured)
    check.run("a search in two processes", search)
    check.run("a forked child", forked, device)
    return check.failed


def forked(device):
    """Fit in a child forked from a process that has used the device."""
    torch.ones(1, device=device)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            skae.Autoencoder(2, hidden_layer_sizes=(8,), max_iter=1, device=device).fit(load_digits().data[:100])
            message = "fitted"
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
        os.write(writer, message.encode())
        os._exit(0)
    os.close(writer)
    message = b"".join(iter(lambda: os.read(reader, 4096), b"")).decode()
    os.waitpid(child, 0)
    return ("fitted" in message) if device == "cpu" else ("start processes with" in message), message


def check_tensors(device, short):
    """Run the part `tensors`."""
    from sklearn import config_context

    check, X = Checks(), load_digits().data[: 200 if short else 1797]
    fitted = skae.Autoencoder(8, hidden_layer_sizes=(64,), device=device, max_iter=2, **COMMON).fit(X)
    calls = {"transform": X, "reconstruct": X, "inverse_transform": fitted.transform(X), "score_samples": X}
    for dtype in (torch.float64, torch.float32):
        for name, rows in calls.items():

            def use(name=name, rows=rows, dtype=dtype):
                x = torch.tensor(rows, dtype=dtype, device=device)
                expected, found = getattr(fitted, name)(x.cpu().numpy()), []

                def call():
                    found.append(getattr(fitted, name)(x))

                with config_context(array_api_dispatch=True):
                    call()  # warm-up
                    n = _gpu_speed.waits_within(call).total() if x.is_cuda else 0
                off = spread(found[1].cpu().numpy() if x.is_cuda else found[0].numpy(), expected)
                same_kind = found[0].device == x.device and str(expected.dtype) in str(found[0].dtype)
                return same_kind and off < 1e-4, f"off by {off:.1e}, {n} waits"

            check.run(f"{name} of {str(dtype)[6:]}", use)

    def fit():
        with config_context(array_api_dispatch=True):
            codes = clone(fitted).fit_transform(torch.tensor(X, device=device))
        return codes.device.type == torch.device(device).type, f"fit_transform returns {codes.device}"

    check.run("fit", fit)
    return check.failed


def main():
    """Run each part in a separate process, or one in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--here", action="store_true", help="run one part in this process")
    args = parser.parse_args()
    if args.here:
        checks = {"kinds": check_kinds, "uses": check_uses, "tensors": check_tensors}
        (part,) = args.parts
        failed = {**checks, **_gpu_speed.PARTS}[part](args.device, args.short)
        sys.exit(f"{part}: {len(failed)} failed" if failed else 0)
    card = torch.cuda.get_device_name() if args.device.startswith("cuda") else "CPU"
    print(f"{card}, {os.cpu_count()} CPU cores, torch {torch.__version__}, skae {skae.__version__}", flush=True)
    status = 0
    for part in args.parts:
        print(f"\n== {part}", flush=True)
        command = [sys.executable, __file__, "--here", "--device", args.device, "--parts", part]
        start = time.perf_counter()
        try:
            status |= subprocess.run(command + ["--short"] * args.short, timeout=PARTS[part], check=False).returncode
        except subprocess.TimeoutExpired:
            status = 1
            print(f"FAIL {part}: stopped after {PARTS[part]} s")
        print(f"   {part}: {time.perf_counter() - start:.0f} s", flush=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
