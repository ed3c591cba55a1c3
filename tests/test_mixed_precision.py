"""Conditions under which `mixed_precision="auto"` equals True; otherwise, results are bit-identical to False."""

import contextlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL, short_name
from sklearn.base import clone

from skae import Autoencoder, LSTMAutoencoder, VariationalAutoencoder, _module_spec
from skae._devices import has_bfloat16
from skae.nn import _recurrence

CPU, MPS = torch.device("cpu"), torch.device("mps")
WIDE = {"hidden_layer_sizes": (256,), "max_iter": 1, "batch_size": 128, "random_state": 0}


@pytest.fixture
def hardware(monkeypatch):
    """Return a function that sets whether the device supports bfloat16."""

    def set_it(has):
        monkeypatch.setattr(_module_spec, "has_bfloat16", lambda device: has)  # noqa: ARG005

    return set_it


@pytest.fixture
def wide_samples():
    return np.random.default_rng(0).normal(size=(300, 256))


def _same(one, other, X):
    return one.loss_curve_ == other.loss_curve_ and np.array_equal(one.reconstruct(X), other.reconstruct(X))


@pytest.mark.kernels
@pytest.mark.parametrize("worth", [0, None], ids=["large", "small"])
@pytest.mark.parametrize("has", [False, True])
def test_auto_is_true_only_for_large_products_with_hardware_support(has, worth, small, digits, hardware, monkeypatch):
    hardware(has)
    if worth is not None:
        monkeypatch.setattr(_module_spec, "WORTH_BFLOAT16", worth)
    auto, mixed, plain = (clone(small).set_params(mixed_precision=p).fit(digits) for p in ("auto", True, False))
    as_true = has and worth == 0
    assert _same(auto, mixed if as_true else plain, digits)
    if plain.loss_curve_ and plain.loss_curve_ != mixed.loss_curve_:
        assert not _same(auto, plain if as_true else mixed, digits)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_layers_run_in_float32_on_cpu_without_bfloat16_kernel(cell, digits, monkeypatch):
    estimator = LSTMAutoencoder(2, cell=cell, max_iter=1, mixed_precision=True, random_state=0, device="cpu")
    monkeypatch.setattr(_recurrence, "lstm_takes_bfloat16", lambda: False)
    seen, run = [], torch.nn.LSTM.forward if cell == "lstm" else torch.nn.GRU.forward

    def watched(layer, steps, *args):
        seen.append((torch.is_autocast_enabled("cpu"), steps.dtype))
        return run(layer, steps, *args)

    monkeypatch.setattr(torch.nn.LSTM if cell == "lstm" else torch.nn.GRU, "forward", watched)
    estimator.fit(digits[:60])
    in_training = {each for each in seen if each[1] != torch.float64}
    assert in_training == {(False, torch.float32)}


@pytest.mark.kernels
@pytest.mark.parametrize("estimator", [Autoencoder(8, **WIDE), VariationalAutoencoder(8, **WIDE)], ids=short_name)
def test_minimum_size_of_products(estimator, wide_samples, hardware, monkeypatch):
    hardware(True)
    monkeypatch.setattr(_module_spec, "axes_for", lambda *_: None)  # products of all features
    wide, narrow = (
        {
            p: clone(estimator).set_params(mixed_precision=p, hidden_layer_sizes=width).fit(wide_samples)
            for p in (True, "auto")
        }
        for width in (256, 255)
    )
    assert _same(wide["auto"], wide[True], wide_samples)
    assert not _same(narrow["auto"], narrow[True], wide_samples)
    few = clone(estimator).set_params(mixed_precision="auto", batch_size=127).fit(wide_samples)
    assert not few.net_.mixed_precision
    assert wide["auto"].net_.mixed_precision is True


@pytest.mark.parametrize("kind", [e for e in SMALL[:7] if hasattr(e, "partial_fit")], ids=short_name)
def test_choice_is_stored(kind, digits, hardware, monkeypatch, tmp_path):
    hardware(True)
    monkeypatch.setattr(_module_spec, "WORTH_BFLOAT16", 0)
    auto, mixed = (clone(kind).set_params(mixed_precision=p).partial_fit(digits) for p in ("auto", True))
    for again in (auto, clone(auto).partial_fit(digits), pickle.loads(pickle.dumps(auto))):
        assert again.get_params()["mixed_precision"] == "auto"
        assert _same(again, mixed, digits)
        assert again.net_.mixed_precision is True
    auto.save(tmp_path / "auto.skops")
    read = type(auto).load(tmp_path / "auto.skops")
    assert read.mixed_precision == "auto"
    for one in (read, mixed):
        one.partial_fit(digits[::-1])
    assert _same(read, mixed, digits)


@pytest.mark.parametrize("p", ["auto", True])
def test_validation_is_in_float32(p, digits, hardware, monkeypatch):
    hardware(True)
    monkeypatch.setattr(_module_spec, "WORTH_BFLOAT16", 0)
    fitted = Autoencoder(4, hidden_layer_sizes=16, max_iter=2, mixed_precision=p, init="random", random_state=0)
    held_out = fitted.fit(digits, X_val=digits[:9]).validation_loss_curve_
    module = fitted.net_.module_
    assert {value.dtype for value in module.state_dict().values() if value.is_floating_point()} == {torch.float32}
    with torch.no_grad():
        losses = module.losses(module.scaler(torch.tensor(digits[:9], dtype=torch.float32)))
    assert fitted.best_epoch_
    found = sum(loss.mean().item() for loss in losses.values())
    assert held_out[fitted.best_epoch_ - 1] == pytest.approx(found, rel=1e-6)  # bfloat16 has three digits


def test_other_values_of_the_parameter(digits):
    for wrong in ("on", None, 2, "AUTO"):
        with pytest.raises(ValueError, match="'mixed_precision' parameter"):
            Autoencoder(2, mixed_precision=wrong).fit(digits)


def test_main_process_decides(monkeypatch, hardware):
    monkeypatch.setattr(_module_spec, "broadcast_from_main", lambda mine: not mine)
    hardware(True)
    assert not Autoencoder(mixed_precision="auto")._in_bfloat16(CPU, 2**30)
    assert Autoencoder(mixed_precision=True)._in_bfloat16(CPU, 0)


# Detection -----------------------------------------------------------------------------------------------------------


def _cpu(monkeypatch, **capabilities):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [
        ({}, False),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"bf16": True, "architecture": "aarch64"}, False),
    ],
)
def test_detection_on_a_cpu(capabilities, has, monkeypatch):
    _cpu(monkeypatch, **capabilities)
    assert has_bfloat16(CPU) is has
    assert not has_bfloat16(MPS)


@pytest.mark.parametrize("lacks", ["AVX512", "oneDNN"])
def test_bfloat16_must_be_used_by_torch(lacks, monkeypatch):
    _cpu(monkeypatch, avx512_bf16=True)
    if lacks == "AVX512":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    else:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not has_bfloat16(CPU)


def test_torch_without_the_public_function(monkeypatch):
    _cpu(monkeypatch)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    for answer in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda answer=answer: answer, raising=False)
        assert has_bfloat16(CPU) is answer
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert not has_bfloat16(CPU)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_detection_agrees_with_linux():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    expected = bool(flags & {"avx512_bf16", "amx_bf16"})
    assert has_bfloat16(CPU) == (expected and torch.backends.cpu.get_cpu_capability().startswith("AVX512"))


@pytest.mark.parametrize("has", [False, True])
def test_detection_on_a_gpu(has, monkeypatch):
    asked = []

    def is_supported(including_emulation=True):
        asked.append(including_emulation)
        return has

    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert has_bfloat16(torch.device("cuda")) is has
    assert asked == [False]


def test_other_devices_have_no_mixed_precision():
    assert not any(has_bfloat16(torch.device(kind)) for kind in ("mps", "meta", "xpu"))
