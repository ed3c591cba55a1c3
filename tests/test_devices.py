"""A device that is not the CPU: nothing may be left on the CPU, and a pickle loads where the device is missing."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import strict_device
import torch
from sklearn.base import clone


def test_the_pretend_device_is_strict():
    there = torch.ones(3).to(strict_device.NAME)
    with pytest.raises(RuntimeError, match="mixes strict with a CPU tensor"):
        _ = there + torch.ones(3)
    with pytest.raises((RuntimeError, TypeError)):
        there.numpy()
    np.testing.assert_array_equal((there + there).cpu().numpy(), [2, 2, 2])


@pytest.fixture
def small(small):
    """Without recurrent networks, whose fused cells the pretend device has not."""
    if "LSTM" in repr(small) or "Recurrent" in repr(small):
        pytest.skip("needs a real device")
    return small


def test_everything_runs_on_a_device(small, digits):
    small.set_params(max_iter=2)  # the pretend device is slow
    here = clone(small).set_params(device="cpu").fit(digits)
    there = small.set_params(device=strict_device.NAME).fit(digits)
    assert {p.device.type for p in there.net_.module_.parameters()} == {strict_device.NAME}
    for X in (digits, digits.astype(np.float32)):
        tolerance = 1e-3 * np.ptp(here.transform(digits))
        np.testing.assert_allclose(there.transform(X), here.transform(X), atol=tolerance)
        codes = there.transform(X)
        np.testing.assert_allclose(there.inverse_transform(codes), here.inverse_transform(codes), atol=1e-2)
        assert there.score(X) == pytest.approx(here.score(X), abs=1e-4)
    again = pickle.loads(pickle.dumps(there))
    np.testing.assert_array_equal(again.transform(digits), there.transform(digits))


def test_a_model_loads_where_its_device_is_missing(small, digits, tmp_path):
    fitted = small.set_params(device=strict_device.NAME, max_iter=2).fit(digits)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "X.npy", digits)
    np.save(tmp_path / "codes.npy", fitted.transform(digits))
    script = (
        "import pickle, sys, pathlib, numpy; folder = pathlib.Path(sys.argv[1]);"
        "model = pickle.loads((folder / 'model.pickle').read_bytes());"
        "assert {p.device.type for p in model.net_.module_.parameters()} == {'cpu'};"
        "codes = model.transform(numpy.load(folder / 'X.npy'));"
        "numpy.testing.assert_allclose(codes, numpy.load(folder / 'codes.npy'), rtol=1e-9, atol=1e-9)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script, str(tmp_path)], check=True, cwd=Path(__file__).parent)
