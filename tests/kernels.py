"""Run the tests marked `kernels` with the kernels that other processors would use: `make test-kernels`.

The instructions that a product uses, and so its rounding errors, depend on the processor, unless an environment
variable selects them. Each setting below has one or more of these variables, and all tests that are marked `kernels`
are run with them. First, a digest of the results of some operations is printed for each setting: where digests are
equal, this machine uses the same kernels.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# only files with tests that are marked `kernels` are loaded
FOLDER = Path(__file__).parent
FILES = [str(path) for path in sorted(FOLDER.glob("test_*.py")) if "pytest.mark.kernels" in path.read_text()]
MIN_TESTS = 400
TIMEOUT = 1200  # seconds, for one setting

SETTINGS = {
    "default": {},
    "ATen: no vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "ATen: AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "MKL: compatible": {"MKL_CBWR": "COMPATIBLE"},
    "MKL: AVX2": {"MKL_CBWR": "AVX2"},
    "oneDNN: SSE4.1, OpenBLAS: SSE3": {"ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Prescott"},
    "oneDNN and OpenBLAS: AVX2, two threads": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "OMP_NUM_THREADS": "2",
        "SKAE_TEST_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",  # because another setting runs at the same time
    },
    "numpy: no vectors; other signs, no denormals": {
        "NPY_DISABLE_CPU_FEATURES": "all",
        "SKAE_TEST_SIGNS": "1",  # signs of eigenvectors and singular vectors: see `conftest.py`
        "SKAE_TEST_FLUSH": "1",
    },
}


def environment(setting):
    """Return the environment variables of a process that runs in a setting."""
    variables = dict(SETTINGS[setting])
    if "NPY_DISABLE_CPU_FEATURES" in variables:
        variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(numpy_cpu_features())
    one = {"OMP_NUM_THREADS": "1", "SCIPY_ARRAY_API": "1"}
    return {**{name: value for name, value in os.environ.items() if name not in ALL}, **one, **variables}


ALL = {name for variables in SETTINGS.values() for name in variables}


def numpy_cpu_features():
    """Return the CPU features of this machine that NumPy dispatches on when it is loaded."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]


def digests():
    """Return a digest of the result of each of several operations."""
    import numpy as np
    import scipy.linalg
    import torch

    torch.set_num_threads(int(os.environ.get("SKAE_TEST_THREADS", "1")))
    rng = np.random.RandomState(0)
    table = rng.randn(200, 64)
    rows = torch.tensor(table, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)

    def with_random_weights(module):
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
        return module

    with torch.inference_mode():
        found = {
            "product": rows @ rows.T,
            "float64": torch.tensor(table) @ torch.tensor(table).T,
            "GELU": torch.nn.functional.gelu(rows),
            "convolution": with_random_weights(torch.nn.Conv2d(1, 8, 3))(rows.reshape(200, 1, 8, 8)),
            "LSTM": with_random_weights(torch.nn.LSTM(8, 16, batch_first=True))(rows.reshape(200, 8, 8))[0],
            "numpy": table.T @ table,
            "exp": np.exp(table),
            "eigh": np.linalg.eigh(table.T @ table)[1],
            "SVD": scipy.linalg.svd(table, full_matrices=False)[2],
        }
    return {name: hashlib.sha256(np.asarray(value).tobytes()).hexdigest()[:6] for name, value in found.items()}


def run(setting, arguments):
    """Run the tests in a setting; return the exit status, the number that passed, the seconds, and the output."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-m", "kernels and not more_kinds", *FILES, *arguments]
    start = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            env=environment(setting),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        status, output = 124, (error.stdout or b"").decode()
    passed = re.search(r"(\d+) passed", output)
    return status, int(passed[1]) if passed else 0, time.perf_counter() - start, output


def main():
    """Run all settings, two at a time, and print the result of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="run the settings whose names contain this")
    parser.add_argument("--digests", action="store_true", help="only print the digests of this process")
    options, arguments = parser.parse_known_args()
    if options.digests:
        print("  ".join(digests().values()))
        return 0
    settings = [name for name in SETTINGS if (options.only or "") in name]
    print(f"{'':46s}{'  '.join(f'{name[:6]:6s}' for name in digests())}")
    for setting in settings:
        command = [sys.executable, __file__, "--digests"]
        found = subprocess.run(command, env=environment(setting), check=True, capture_output=True, text=True).stdout
        print(f"{setting:46s}{found.strip()}", flush=True)
    failed = []
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda setting: run(setting, arguments), settings)
        for setting, (status, n_passed, seconds, output) in zip(settings, results, strict=True):
            print(f"{setting:46s}{n_passed:5d} passed in {seconds:4.0f} s, exit status {status}", flush=True)
            if status or (n_passed < MIN_TESTS and not arguments):
                failed.append(setting)
                print(output, flush=True)
    total = f"{len(settings) - len(failed)} settings passed, {len(failed)} failed"
    print(total, *failed, sep=": " if failed else "")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
