"""Arrays of a fitted estimator have the same memory layout after fitting, pickling, copying and saving."""

import copy
import inspect
import io
import pickle

import joblib
import numpy as np
import pytest
import skops.io
import torch

from skae._layout import canonical
from skae.nn import Link

pytestmark = pytest.mark.kernels


def arrays_in(value, path="", within=()):
    """Yield (path, array) for all arrays within an object, except for torch parameters."""
    if any(value is outer for outer in within):
        return
    within = (*within, value)
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from arrays_in(item, f"{path}[{key!r}]", within)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from arrays_in(item, f"{path}[{i}]", within)
    elif isinstance(value, torch.nn.Module):
        for name, buffer in value.named_buffers():
            yield f"{path}.{name}", buffer
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not inspect.isroutine(value):
        yield from arrays_in(vars(value), path, within)


def copies(fitted, folder):
    """Return copies of an estimator, made in every supported way."""
    fitted.save(folder / "model")
    joblib.dump(fitted, folder / "model.joblib")
    blob = skops.io.dumps(fitted)
    return {
        "pickle": pickle.loads(pickle.dumps(fitted)),
        "deepcopy": copy.deepcopy(fitted),
        "joblib": joblib.load(folder / "model.joblib"),
        "memory map": joblib.load(folder / "model.joblib", mmap_mode="r"),
        "file": type(fitted).load(folder / "model"),
        "skops": skops.io.loads(blob, trusted=skops.io.get_untrusted_types(data=blob)),
    }


def assert_canonical(estimator):
    estimator._modules["float64"]  # created on first access
    found = dict(arrays_in(estimator))
    assert len(found) > 10
    for path, values in found.items():
        if isinstance(values, torch.Tensor):
            assert values.is_contiguous(), path
        else:
            assert type(values) is np.ndarray, path
            assert values.flags.c_contiguous, path
            assert values.flags.writeable, path
            assert values.base is None, path
            assert values.dtype.isnative, path


def test_all_arrays_have_the_canonical_layout(fitted, digits, tmp_path):
    assert_canonical(fitted)
    for how, other in copies(fitted, tmp_path).items():
        assert_canonical(other)
        originals, found = dict(arrays_in(fitted)), dict(arrays_in(other))
        assert set(found) == set(originals), how
        for path, values in originals.items():
            assert found[path].dtype == values.dtype, (how, path)
            np.testing.assert_array_equal(found[path], values, err_msg=f"{how} {path}")
    assert_canonical(fitted.partial_fit(digits))


def test_copies_are_bit_identical(fitted, digits, tmp_path):
    for how, other in copies(fitted, tmp_path).items():
        for X in (digits, digits[:7], digits.astype(np.float32)):
            for method in ("transform", "reconstruct", "score_samples"):
                wanted = getattr(fitted, method)(X)
                np.testing.assert_array_equal(getattr(other, method)(X), wanted, err_msg=f"{how} {method}")
        assert other.score(digits) == fitted.score(digits)


def in_other_layouts(X):
    """Return the same samples in other memory layouts."""
    buffer = np.empty(X.size + 1, X.dtype)
    unaligned = buffer[1:].reshape(X.shape)
    unaligned[:] = X
    wide = np.zeros((len(X), 2 * X.shape[1]), X.dtype)
    wide[:, ::2] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    return {
        "Fortran": np.asfortranarray(X),
        "reversed": X[::-1].copy()[::-1],
        "every second column": wide[:, ::2],
        "unaligned": unaligned,
        "read-only": read_only,
        "big-endian": X.astype(X.dtype.newbyteorder(">")),
    }


def test_results_do_not_depend_on_memory_layout(small, fitted, digits):
    codes = fitted.transform(digits)
    for how, X in in_other_layouts(digits).items():
        np.testing.assert_array_equal(fitted.transform(X), codes, err_msg=how)
    X = in_other_layouts(digits)["Fortran"]
    np.testing.assert_array_equal(small.fit(X).transform(digits), codes)


def test_canonical_layout():
    table = np.arange(12.0).reshape(3, 4)
    value = {"a": [table.T, (table[:, ::-1], 3)], "b": np.arange(3, dtype=">i8"), "c": np.array(2.5), "d": Link}
    found = canonical(value)
    assert repr(found) == repr({**value, "b": np.arange(3)})
    assert found["a"][0].flags.carray
    assert found["a"][1][0].strides == (32, 8)
    assert found["b"].dtype.isnative
    assert found["c"].shape == ()
    assert canonical(table) is not table  # it is a view, which would keep the whole base array alive
    own = table.copy()
    assert canonical(own) is own
    file = io.BytesIO(np.arange(8.0).tobytes())
    assert canonical(np.frombuffer(file.getvalue())).flags.writeable
