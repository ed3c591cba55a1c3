"""Threads and forks: what one does is not disturbed by, and does not disturb, another."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
import torch._dynamo  # torch does so at its first optimizer, and an import that is interrupted stays half done
from conftest import SMALL
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skae import Autoencoder, DenoisingAutoencoder
from skae._devices import resolve_device
from skae._seeds import read_global_rng

pytestmark = pytest.mark.slow

# Threads -------------------------------------------------------------------------------------------------------------


def test_eight_threads_transform_the_same_bits(fitted, digits):
    inputs = [digits, digits.astype(np.float32), digits[::-1], digits[:7]] * 4
    codes = [fitted.transform(X) for X in inputs]
    images = [fitted.reconstruct(X) for X in inputs]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(fitted.transform, inputs), codes, strict=True):
            np.testing.assert_array_equal(found, expected)
        for found, expected in zip(pool.map(fitted.reconstruct, inputs), images, strict=True):
            np.testing.assert_array_equal(found, expected)


def _draws_globally(x):
    return x + 0.1 * torch.randn(x.shape) + float(np.random.rand())  # noqa: NPY002


def test_fits_in_threads_are_those_in_a_row(digits, fits):
    own = DenoisingAutoencoder(4, corruption=_draws_globally, hidden_layer_sizes=8, max_iter=2, random_state=0)
    kinds = [*SMALL, own]
    expected = [fits(kind).transform(digits) for kind in kinds]
    before = read_global_rng()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda kind: clone(kind).fit(digits), kinds))
    for of_one, codes in zip(together, expected, strict=True):
        np.testing.assert_array_equal(of_one.transform(digits), codes)
    assert repr(read_global_rng()) == repr(before)


def test_fits_draw_nothing_from_generators_that_threads_share(digits, monkeypatch):
    # but while layers are built, when threads take turns
    for name in ("rand", "randn", "randint", "randperm"):
        real = getattr(torch, name)

        def watched(*args, real=real, **kwargs):
            assert kwargs.get("generator") is not None
            return real(*args, **kwargs)

        monkeypatch.setattr(torch, name, watched)
    for kind in SMALL:
        clone(kind).fit(digits)


def test_a_search_in_threads(digits):
    search = GridSearchCV(
        Autoencoder(hidden_layer_sizes=8, max_iter=2, random_state=0), {"n_components": [1, 2, 3]}, cv=2
    )
    alone = clone(search).fit(digits).cv_results_["mean_test_score"]
    with joblib.parallel_config("threading", n_jobs=4):
        np.testing.assert_array_equal(search.fit(digits).cv_results_["mean_test_score"], alone)


# Forks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork_after_import_and_fit():
    # also while another thread has the global generators to itself
    script = (
        "import os, threading, time, numpy; from skae import Autoencoder; from skae._seeds import isolated_rng\n"
        "X = numpy.random.RandomState(0).rand(100, 5)\n"
        "estimator = Autoencoder(2, hidden_layer_sizes=4, max_iter=2, random_state=0)\n"
        "codes, held = estimator.fit(X).transform(X), threading.Event()\n"
        "def hold():\n"
        "    with isolated_rng(0): held.set(); time.sleep(60)\n"
        "threading.Thread(target=hold, daemon=True).start(); held.wait()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if (estimator.fit(X).transform(X) == codes).all() else 1)\n"
        "for _ in range(600):\n"
        "    done, status = os.waitpid(child, os.WNOHANG)\n"
        "    if done: os._exit(os.waitstatus_to_exitcode(status))\n"
        "    time.sleep(0.1)\n"
        "os.kill(child, 9); os._exit(2)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_cuda_in_a_forked_child_is_a_clear_error(digits, monkeypatch, device):
    reason = "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use 'spawn'"

    def fails(self, *args, **kwargs):  # noqa: ARG001
        raise RuntimeError(reason)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "to", fails)
    with pytest.raises(
        ValueError, match=rf"device='{device}' can't be used in this process: Cannot re-init.*\. Set .* loky"
    ):
        resolve_device(device)
    with pytest.raises(ValueError, match="can't be used in this process"):
        Autoencoder(device=device).fit(digits)
