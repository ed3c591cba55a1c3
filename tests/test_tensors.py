"""Tensors on a device are processed there without a copy to the CPU, and raise the same errors as arrays.

The device is simulated, or the one that SKAE_TEST_DEVICE names, as in test_devices.py.
"""

import os
import warnings

import numpy as np
import pytest
import torch
from conftest import SMALL
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from test_devices import DEVICE, IS_REAL, cant_run
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import skae._data.readers
from skae import Autoencoder
from skae._wrapped import _unchecked

if not IS_REAL:
    import strict_device

pytestmark = [
    pytest.mark.skipif(os.environ.get("SCIPY_ARRAY_API") != "1", reason="scipy was loaded without SCIPY_ARRAY_API=1"),
    pytest.mark.skipif(
        not IS_REAL and not strict_device.AVAILABLE, reason="this torch has no backends written in Python"
    ),
]
MAX_TRANSFER = 4  # numbers that may be copied at once, such as the result of a check for finite values
METHODS = ["transform", "reconstruct", "inverse_transform", "score_samples"]


class TransferRecorder(TorchDispatchMode):
    """Records the sizes of tensors that are copied from a device to the CPU or back."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        tensors = [
            leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor) and leaf.dim()
        ]
        if len({t.device.type for t in tensors}) > 1:
            self.sizes.append(max(t.numel() for t in tensors))
        return result


def moved(estimator, device=DEVICE):
    """Return the same fitted estimator with its network on another device."""
    state = estimator.__getstate__()
    other = type(estimator).__new__(type(estimator))
    other.__setstate__(state | {"device": device, "_settings": state["_settings"] | {"device": device}})
    return other


def check_same(found, expected, x, method):
    assert type(found) is type(torch.empty(0, device=x.device))
    assert (found.device, found.requires_grad, found.is_inference()) == (x.device, False, False)
    found = found.cpu().numpy()
    assert found.dtype == expected.dtype
    if method == "score_samples":  # NumPy sums in another order
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    else:
        np.testing.assert_array_equal(found, expected)


def check_stays_on_device(there, X):
    codes = there.transform(X)
    for method in METHODS:
        rows = codes if method == "inverse_transform" else X
        expected, x = getattr(there, method)(rows), torch.tensor(rows).to(DEVICE)
        with config_context(array_api_dispatch=True), TransferRecorder() as transfers:
            found = getattr(there, method)(x)
        assert max(transfers.sizes, default=0) <= MAX_TRANSFER, f"{method} copies {transfers.sizes} values"
        check_same(found, expected, x, method)


def test_transfers_are_recorded():
    with TransferRecorder() as transfers:
        (torch.ones(3, 4).to(DEVICE) + 1).cpu()
        torch.empty(5).copy_(torch.ones(5, device=DEVICE))
    assert transfers.sizes == [12, 12, 5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [SMALL[0], SMALL[8]], ids=["nonlinear", "linear"])
def test_tensors_stay_on_their_device(kind, dtype, digits, fits):
    check_stays_on_device(moved(fits(kind)), digits.astype(dtype))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors_stay_on_their_device_for_every_estimator(dtype, small, digits, fits):
    if cant_run(small):
        pytest.skip("the simulated device has no fused recurrent layers")
    check_stays_on_device(moved(fits(small)), digits.astype(dtype))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("of_network", "of_x"), [("cpu", DEVICE), (DEVICE, "cpu")])
def test_result_is_on_device_of_x(of_network, of_x, method, digits, fits):
    there = moved(fits(SMALL[0]), of_network)
    rows = there.transform(digits) if method == "inverse_transform" else digits
    with config_context(array_api_dispatch=True):
        x = torch.tensor(rows).to(of_x)
        check_same(getattr(there, method)(x), getattr(there, method)(rows), x, method)


@pytest.mark.parametrize("device", ["cpu", DEVICE])
@pytest.mark.parametrize("batch_size", [7, 100, 4096])
def test_batches_and_memory_equal_those_of_arrays(batch_size, device, digits, fits, monkeypatch):
    monkeypatch.setattr(skae._data.readers, "MAX_AT_ONCE", batch_size)
    there, X = moved(fits(SMALL[0]), device), np.asfortranarray(digits[:101])
    wide = torch.tensor(np.hstack([X, X, X])).to(device)
    with config_context(array_api_dispatch=True):
        for x in (torch.tensor(X).to(device), wide[:, 64:-64], wide[::2, 64:-64], wide[3:4, :64].expand(5, 64)):
            for method in METHODS:
                rows = there.transform(x) if method == "inverse_transform" else x
                check_same(getattr(there, method)(rows), getattr(there, method)(rows.cpu().numpy()), x, method)


@pytest.mark.parametrize("device", ["cpu", DEVICE])
def test_narrower_codes_of_ordered_autoencoder(device, digits, fits):
    there = moved(fits(SMALL[9]), device)
    codes = there.transform(digits)
    with config_context(array_api_dispatch=True):
        for width in (1, 2, 4):
            x = torch.tensor(codes).to(device)[:, :width]
            with TransferRecorder() as transfers:
                found = there.inverse_transform(x)
            assert max(transfers.sizes, default=0) <= MAX_TRANSFER
            check_same(found, there.inverse_transform(codes[:, :width]), x, "inverse_transform")


def _wrong(X):
    """Return invalid arrays by name of the defect."""
    for name, value in {"nan": np.nan, "inf": np.inf, "minus_inf": -np.inf, "overflow": 1e38}.items():
        some = X.astype(np.float32)
        some[-1, 1] = value
        yield name, some
    yield "overflow_of_all", np.full_like(X, 1e308)
    yield "narrow", X[:, :1]
    yield "no_columns", X[:, :0]
    yield "wide", np.hstack([X, X])
    yield "no_rows", X[:0]
    yield "one_row", X[0]
    yield "scalar", X[0, 0]
    yield "blocks", X[:, :, None]
    yield "complex", X + 1j
    yield "bool", X > 1
    yield "int", X.astype(int)
    yield "half", X.astype(np.float16)


def _outcome(function, rows):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = function(rows)
        except Exception as error:
            return type(error), str(error)
    found = found.cpu().numpy() if isinstance(found, torch.Tensor) else found
    return [str(w.message) for w in caught], found.dtype, np.round(found / np.abs(found).max(), 6).tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("device", ["cpu", DEVICE])
@pytest.mark.parametrize("names", [False, True])
def test_errors_equal_those_of_arrays(names, device, method, digits, fits):
    there = moved(fits(SMALL[0]), device)
    X = there.transform(digits[:5]) if method == "inverse_transform" else digits[:5]
    if names:
        there.feature_names_in_ = np.array([f"pixel{i}" for i in range(64)], dtype=object)
    function = getattr(there, method)
    cases = dict(_wrong(X)) | {"fine": X}
    with config_context(array_api_dispatch=True):
        for name, rows in cases.items():
            assert _outcome(function, torch.tensor(rows).to(device)) == _outcome(function, rows), name
        for x in (torch.tensor(X).to(device).requires_grad_(), torch.tensor(X).to(device).clone().requires_grad_() * 1):
            with pytest.raises(ValueError, match="can't be read as a table of numbers"):
                function(x)
        with pytest.raises((ValueError, TypeError)):
            function(torch.tensor(X).to_sparse())
        with pytest.raises(NotFittedError):
            getattr(clone(there), method)(torch.tensor(X).to(device))


@pytest.mark.parametrize("device", ["cpu", DEVICE])
def test_infinity_in_tensors_with_assume_finite(device, digits, fits):
    there, X = moved(fits(SMALL[0]), device), digits[:4].copy()
    X[1, 3], X[2, 5] = np.nan, 1e308
    with config_context(array_api_dispatch=True), _unchecked():
        for method in ("transform", "reconstruct", "score_samples"):
            found = getattr(there, method)(torch.tensor(X).to(device)).cpu().numpy()
            np.testing.assert_array_equal(found, getattr(there, method)(X))


@pytest.mark.parametrize("device", ["cpu", DEVICE])
def test_results_do_not_depend_on_state_of_torch(device, digits, fits):
    there = moved(fits(SMALL[0]), device)
    x, expected = torch.tensor(digits).float().to(device), there.transform(digits.astype(np.float32))
    with config_context(array_api_dispatch=True):
        with torch.inference_mode():
            made_within = x * 1
            check_same(there.transform(x), expected, x, "transform")
        check_same(there.transform(made_within), expected, x, "transform")
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
            check_same(there.transform(x), expected, x, "transform")
        weight = torch.ones(4, device=device, requires_grad=True)
        (there.transform(x) * weight).sum().backward()  # the result can be used with autograd
    assert weight.grad is not None


def test_other_tensors_are_read_as_arrays(digits):
    class WithoutOperators(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            assert function is not torch.isfinite
            return super().__torch_function__(function, types, args, kwargs)

    linear = Autoencoder(3, hidden_layer_sizes=()).fit(digits)
    x, expected = torch.tensor(digits), linear.transform(digits)
    negative_bit = torch.imag((-1j * x).conj())
    assert negative_bit.is_neg()
    with config_context(array_api_dispatch=True):
        for other in (x.as_subclass(WithoutOperators), torch.nn.Parameter(x, requires_grad=False), negative_bit):
            check_same(linear.transform(other), expected, x, "transform")
    np.testing.assert_array_equal(linear.transform(x), expected)
