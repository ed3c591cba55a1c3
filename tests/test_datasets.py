"""Fashion-MNIST from a folder, Debian's package, or OpenML."""

import gzip

import numpy as np
import pytest
from sklearn.utils import Bunch

from skae import datasets
from skae.datasets import fetch_fashion_mnist

N = {"train": 12, "t10k": 5}


def write(folder, *, packed=True):
    """Write four small files in the format of Fashion-MNIST, and return all images and labels."""
    rng, images, labels = np.random.RandomState(0), [], []
    folder.mkdir(exist_ok=True)
    for part, n in N.items():
        images.append(rng.randint(256, size=(n, 28, 28)).astype(np.uint8))
        labels.append(rng.randint(10, size=n).astype(np.uint8))
        for name, values in (("images-idx3", images[-1]), ("labels-idx1", labels[-1])):
            head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            path, content = folder / f"{part}-{name}-ubyte", head + values.tobytes()
            if packed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("packed", [True, False])
def test_data_are_loaded_from_a_folder(tmp_path, packed):
    images, labels = write(tmp_path, packed=packed)
    found = fetch_fashion_mnist(str(tmp_path))
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.data, images.reshape(17, 784))
    np.testing.assert_array_equal(found.target, labels)
    assert found.data.dtype == np.uint8
    assert found.target.dtype == np.int64
    assert len(found.target_names) == 10
    assert len(found.feature_names) == 784
    assert "Fashion-MNIST" in found.DESCR
    found.data[0, 0] = 1  # arrays must be writable
    X, y = fetch_fashion_mnist(tmp_path, subset="test", return_X_y=True)
    np.testing.assert_array_equal(X, images[12:].reshape(5, 784))
    np.testing.assert_array_equal(y, labels[12:])
    assert len(fetch_fashion_mnist(tmp_path, subset="train").data) == 12


def test_data_are_loaded_from_the_debian_package(tmp_path, monkeypatch):
    images, _ = write(tmp_path / "package")
    monkeypatch.setattr(datasets, "DEBIAN", tmp_path / "package")
    np.testing.assert_array_equal(fetch_fashion_mnist().images, images)


@pytest.fixture
def no_debian_package(tmp_path, monkeypatch):
    """Simulate a machine without Debian's package."""
    monkeypatch.setattr(datasets, "DEBIAN", tmp_path / "missing")


@pytest.mark.usefixtures("no_debian_package")
def test_data_are_loaded_from_openml(monkeypatch):
    seen = {}

    def fetch(*args, **kwargs):
        seen.update(kwargs, args=args)
        data = np.arange(70_000 * 2).reshape(70_000, 2) % 256
        return Bunch(data=data.astype(float), target=np.array(["3"] * 60_000 + ["4"] * 10_000, dtype=object))

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    X, y = fetch_fashion_mnist(subset="test", data_home="here", return_X_y=True)
    assert X.shape == (10_000, 2)
    assert X.dtype == np.uint8
    assert set(y) == {4}
    assert seen["args"] == ("Fashion-MNIST",)
    assert seen["data_home"] == "here"


@pytest.mark.usefixtures("no_debian_package")
def test_error_lists_all_sources(monkeypatch):
    def fetch(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    match = r"(?s)folder=.*dataset-fashion-mnist.*OpenML.*no route to host"
    with pytest.raises(FileNotFoundError, match=match):
        fetch_fashion_mnist()
    with pytest.raises(FileNotFoundError, match=r"(?s)folder=.*dataset-fashion-mnist.*download_if_missing=False"):
        fetch_fashion_mnist(download_if_missing=False)


def test_invalid_folders_raise(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"contains neither train-images-idx3-ubyte\.gz nor train-images"):
        fetch_fashion_mnist(tmp_path)
    write(tmp_path, packed=False)
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte in folder=.* is not a complete file"):
        fetch_fashion_mnist(tmp_path)
    with pytest.raises(ValueError, match="'subset' parameter of fetch_fashion_mnist must be a str among"):
        fetch_fashion_mnist(tmp_path, subset="valid")
