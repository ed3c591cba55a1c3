"""Devices other than the CPU: no tensor is left on the CPU, and pickles load on machines without the device.

The device is simulated, unless there is a GPU. SKAE_TEST_DEVICE names another, such as "cuda:1".
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL
from sklearn.base import clone

from skae import Autoencoder

DEVICE = os.environ.get("SKAE_TEST_DEVICE", "cuda" if torch.cuda.is_available() else None)
if DEVICE is None:
    import strict_device

    DEVICE = strict_device.NAME
    pytestmark = pytest.mark.skipif(not strict_device.AVAILABLE, reason="this torch has no backends written in Python")
IS_REAL = DEVICE != "strict"


def test_simulated_device_rejects_cpu_tensors():
    there = torch.ones(3).to(DEVICE)
    with pytest.raises(RuntimeError, match=r"mixes strict with a CPU tensor|on the same device"):
        _ = there + torch.ones(3)
    with pytest.raises((RuntimeError, TypeError)):
        there.numpy()
    np.testing.assert_array_equal((there + there).cpu().numpy(), [2, 2, 2])


def cant_run(estimator):
    """Return whether an estimator needs fused recurrent cells, which the simulated device lacks."""
    return not IS_REAL and ("LSTM" in repr(estimator) or "Recurrent" in repr(estimator))


@pytest.mark.slow
def test_all_methods_run_on_a_device(small, digits):
    if cant_run(small):
        pytest.skip("the simulated device has no fused recurrent cells")
    small.set_params(max_iter=2)  # the simulated device is slow
    here = clone(small).set_params(device="cpu").fit(digits)
    there = small.set_params(device=DEVICE).fit(digits)
    assert {p.device.type for p in there.net_.module_.parameters()} == {torch.device(DEVICE).type}
    for X in (digits, digits.astype(np.float32)):
        tolerance = 1e-3 * np.ptp(here.transform(digits))
        np.testing.assert_allclose(there.transform(X), here.transform(X), atol=tolerance)
        codes = there.transform(X)
        np.testing.assert_allclose(there.inverse_transform(codes), here.inverse_transform(codes), atol=1e-2)
        assert there.score(X) == pytest.approx(here.score(X), abs=1e-4)
    again = pickle.loads(pickle.dumps(there))
    np.testing.assert_array_equal(again.transform(digits), there.transform(digits))


@pytest.mark.slow
def test_models_load_without_their_device(digits, tmp_path):
    kinds = [clone(kind).set_params(device=DEVICE) for kind in SMALL if not cant_run(kind)]
    fitted = [kind.set_params(max_iter=2).fit(digits) for kind in kinds]
    (tmp_path / "models.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "X.npy", digits)
    np.savez(tmp_path / "codes.npz", *(model.transform(digits) for model in fitted))
    script = (
        "import pickle, sys, pathlib, numpy; folder = pathlib.Path(sys.argv[1]); X = numpy.load(folder / 'X.npy')\n"
        "models = pickle.loads((folder / 'models.pickle').read_bytes()); codes = numpy.load(folder / 'codes.npz')\n"
        "for model, expected in zip(models, codes.values(), strict=True):\n"
        "    assert {p.device.type for p in model.net_.module_.parameters()} == {'cpu'}\n"
        "    numpy.testing.assert_allclose(model.transform(X), expected, rtol=1e-9, atol=1e-9)"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path)], check=True, cwd=Path(__file__).parent,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def test_error_for_gpu_names_cuda(digits):
    with pytest.raises(ValueError, match="Set device='cuda'"):
        Autoencoder(2, device="gpu").fit(digits)
