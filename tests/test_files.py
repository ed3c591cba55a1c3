"""`save` and `load`: a file that is whole or refused, in which nothing is run; and what pickle and skops keep."""

import hashlib
import io
import json
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from conftest import public_estimators
from safetensors import safe_open
from safetensors.numpy import load, save
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, AutoencoderOutlierDetector, DenoisingAutoencoder, LatentSampler, StackedAutoencoder
from skae import _files as files
from skae._plain import pack, unpack
from skae.architectures import Architecture
from skae.nn import AutoencoderModule


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def saved(path, iris):
    """A file and the autoencoder in it."""
    fitted = Autoencoder(2, hidden_layer_sizes=8, max_iter=3, random_state=0).fit(iris)
    fitted.save(path)
    return path, fitted


def crafted(path, alter):
    """Alter what the header says, and make the digest right again."""
    blob = path.read_bytes()
    (n,) = struct.unpack("<Q", blob[:8])
    head = json.loads(json.loads(blob[8 : 8 + n])["__metadata__"]["skae"])
    arrays = load(blob)
    alter(head, arrays)
    blob = save(arrays, metadata={"skae": json.dumps(head), "sha256": files.NO_DIGEST})
    digest = hashlib.sha256(blob).hexdigest().encode()
    path.write_bytes(files.DIGEST.sub(b'"sha256":"' + digest + b'"', blob))


def attributes_in(head):
    """The attributes in a header, as pairs that can be altered."""
    return head["content"]["attributes"]["dict"]


# There and back ------------------------------------------------------------------------------------------------------


@pytest.mark.kernels
def test_a_loaded_autoencoder_is_the_same(fitted, digits, path):
    fitted.save(path)
    again = type(fitted).load(path)
    for method in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_array_equal(getattr(again, method)(digits), getattr(fitted, method)(digits))
    assert repr(again.get_params()) == repr(fitted.get_params())
    assert set(vars(again)) == set(vars(fitted))
    for name in ("loss_curve_", "best_epoch_", "n_samples_", "n_features_in_"):
        assert getattr(again, name) == getattr(fitted, name)
    np.testing.assert_array_equal(
        again.partial_fit(digits).transform(digits), fitted.partial_fit(digits).transform(digits)
    )


@pytest.mark.kernels
def test_names_seeds_and_output_are_kept(digits, path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(digits, columns=[f"pixel {i}" for i in range(64)])
    rng = np.random.RandomState(3)
    fitted = Autoencoder(2, hidden_layer_sizes=(), random_state=rng).set_output(transform="pandas").fit(frame)
    fitted.save(path)
    again = Autoencoder.load(path)
    assert list(again.transform(frame).columns) == list(fitted.transform(frame).columns)
    assert list(again.feature_names_in_) == list(fitted.feature_names_in_)
    assert again.random_state.randint(1000) == rng.randint(1000)


@pytest.mark.kernels
def test_a_stream_goes_on_from_a_file(digits, path):
    fitted = Autoencoder(3, hidden_layer_sizes=8, random_state=0).partial_fit(digits[:120])
    fitted.save(path)
    again = Autoencoder.load(path).partial_fit(digits[120:])
    np.testing.assert_array_equal(again.transform(digits), fitted.partial_fit(digits[120:]).transform(digits))


class Halves(Architecture):
    """An architecture of a user's own."""

    def build(self, n_features, activation):  # noqa: ARG002
        from torch import nn

        width = -(-n_features // 2)
        return nn.Linear(n_features, width), nn.Linear(width, n_features), width


class OwnModule(AutoencoderModule):
    pass


class OwnAutoencoder(Autoencoder):
    _module_class = OwnModule

    def __init__(self, n_components=2, *, architecture=None, max_iter=2, random_state=None):
        super().__init__(n_components, architecture=architecture, max_iter=max_iter, random_state=random_state)


@pytest.mark.kernels
def test_classes_of_ones_own(iris, path):
    own = OwnAutoencoder(architecture=Halves(), random_state=0).fit(iris)
    own.save(path)
    again = OwnAutoencoder.load(path)
    np.testing.assert_array_equal(again.transform(iris), own.transform(iris))
    assert "Halves" in repr(again.architecture)
    crafted(path, lambda head, _: head["content"].update(estimator="elsewhere.Unknown"))
    with pytest.raises(ValueError, match=r"holds a 'elsewhere\.Unknown', which is not known here: define or import"):
        OwnAutoencoder.load(path)


def test_any_autoencoder_may_be_a_layer_of_a_file():
    assert set(public_estimators()) - {StackedAutoencoder} <= set(StackedAutoencoder._kept_classes)


def test_the_file_is_one_of_safetensors(saved):
    path, fitted = saved
    with safe_open(path, framework="np") as file:
        head = json.loads(file.metadata()["skae"])
        arrays = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118 - it is no dict
    assert head["kind"] == "autoencoder"
    assert set(head["versions"]) == {"skae", "torch", "scikit-learn", "numpy"}
    for weight in fitted.net_.module_.state_dict().values():
        assert any(
            array.shape == weight.shape and (array.astype(np.float32) == weight.numpy()).all() for array in arrays
        )
    assert len(path.read_bytes()) < 20_000


# Refused -------------------------------------------------------------------------------------------------------------


def test_errors_before_anything_is_written(tmp_path, digits):
    with pytest.raises(NotFittedError):
        Autoencoder().save(tmp_path / "a")
    denoiser = DenoisingAutoencoder(2, corruption=lambda x: x, max_iter=1, hidden_layer_sizes=4).fit(digits)
    with pytest.raises(
        TypeError, match=r"DenoisingAutoencoder\.save: <function .* can't be kept without a pickle\. Use"
    ):
        denoiser.save(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        Autoencoder(2, hidden_layer_sizes=()).fit(digits).save(tmp_path / "missing" / "a")
    assert not list(tmp_path.iterdir())


def test_the_wrong_class_is_named(saved):
    with pytest.raises(
        ValueError, match=r"is of class Autoencoder: use Autoencoder\.load, not DenoisingAutoencoder\.load"
    ):
        DenoisingAutoencoder.load(saved[0])


def test_every_flipped_byte_is_noticed(saved):
    path, _ = saved
    blob, rng = path.read_bytes(), np.random.RandomState(0)
    for place in [*range(60), *rng.randint(len(blob), size=100)]:
        damaged = bytearray(blob)
        damaged[place] ^= 1 << rng.randint(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged|not a file"):
            Autoencoder.load(path)


@pytest.mark.parametrize("n_bytes", [0, 1, 7, 8, 9, 100, 1000, -1])
def test_truncated_files(saved, n_bytes):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="damaged"):
        Autoencoder.load(path)


def test_foreign_files(path, digits):
    for blob in (pickle.dumps(digits), b"PK\x03\x04" + bytes(100), save({"a": digits}), b"{}", b"\xff" * 100):
        path.write_bytes(blob)
        with pytest.raises(ValueError, match=r"is not a file that skae's `save` wrote, or it is damaged"):
            Autoencoder.load(path)
    with pytest.raises(FileNotFoundError):
        Autoencoder.load(path.parent / "missing")
    with pytest.raises(IsADirectoryError):
        Autoencoder.load(path.parent)


def test_a_huge_foreign_file_is_not_read(path):
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", 50))
        file.truncate(2**40)  # sparse: it takes no room on the disk
    with pytest.raises(ValueError, match="is not a file"):
        Autoencoder.load(path)


def test_a_file_of_a_later_release_says_so(saved):
    crafted(saved[0], lambda head, _: head.update(format=99, versions={"skae": "9.9"}))
    with pytest.raises(ValueError, match=r"skae 9\.9 wrote it, and this is .*: update skae"):
        Autoencoder.load(saved[0])


def _set(name, value):
    def alter(head, arrays):  # noqa: ARG001
        pairs = attributes_in(head)
        pairs[:] = [pair for pair in pairs if pair[0] != name] + [[name, value]]

    return alter


def _in_blueprint(name, value):
    def alter(head, arrays):  # noqa: ARG001
        blueprint = dict(attributes_in(head))["_blueprint"]["state"]["dict"]
        blueprint[:] = [pair for pair in blueprint if pair[0] != name] + [[name, value]]

    return alter


CRAFTED = {
    "sizes that would not fit in memory": (
        _in_blueprint("sizes", {"tuple": [4, 10**9, 10**9, 2]}),
        "weights are not those",
    ),
    "a million layers": (_in_blueprint("sizes", {"tuple": [4, *[1] * 10**6, 2]}), "fewer weights than layers"),
    "sizes that are no ints": (_in_blueprint("sizes", {"tuple": [4, "8", 2]}), "can't be loaded"),
    "another number of features": (_set("n_features_in_", 5), "features or components are not those"),
    "a code that would not fit in memory": (_set("n_components_", 2**40), "features or components are not those"),
    "no mean": (_set("mean_", None), "can't be loaded"),
    "an array that is not there": (_set("mean_", {"array": "99"}), "there is no '99' in it"),
    "an unknown class": (
        _set("mean_", {"object": "os.system", "state": {"dict": []}}),
        "'os.system', which is not known",
    ),
    "an unknown kind": (_set("mean_", {"pickle": "gASVAA=="}), "it holds a 'pickle'"),
    # Python 3.12 and later read as deep as this, and find that it is a list
    "nothing but depth": (lambda head, _: head.update(content=_deep(900)), "can't be loaded|is of class list"),
    "another kind of file": (
        lambda head, _: head.update(kind="checkpoint"),
        "is of kind 'checkpoint', not 'autoencoder'",
    ),
    "a parameter that isn't one": (
        lambda head, _: head["content"]["parameters"]["dict"].append(["n_legs", 4]),
        "unexpected keyword argument 'n_legs'",
    ),
    "a parameter out of range": (
        lambda head, _: head["content"]["parameters"]["dict"].append(["max_iter", -4]),
        "'max_iter' parameter of Autoencoder must be",
    ),
    "weights of other names": (
        lambda head, _: dict(attributes_in(head))["_weights"]["dict"].append(["more", {"array": "0"}]),
        "weights are not those",
    ),
    "no blueprint": (_set("_blueprint", 3), "can't be loaded"),
    "no content": (lambda head, _: head.pop("content"), "there is no 'content' in it"),
    "a list for content": (lambda head, _: head.update(content=[1, 2]), "is of class list: use"),
}


def _deep(n):
    value = 1
    for _ in range(n):
        value = [value]
    return value


@pytest.mark.parametrize("kind", CRAFTED)
def test_a_crafted_file_is_refused(saved, kind):
    alter, message = CRAFTED[kind]
    crafted(saved[0], alter)
    with pytest.raises(ValueError, match=message):
        Autoencoder.load(saved[0])


@pytest.mark.kernels
def test_what_is_crafted_is_otherwise_loaded(saved):
    crafted(saved[0], lambda head, arrays: None)  # noqa: ARG005 - else the tests above would prove nothing
    assert Autoencoder.load(saved[0]).get_params() == saved[1].get_params()


# Faults of the disk --------------------------------------------------------------------------------------------------


@pytest.mark.kernels
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_fault_leaves_the_last_good_file(saved, monkeypatch, call, iris):
    path, fitted = saved

    def fails(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(OSError, match="No space left"):
            Autoencoder(3, hidden_layer_sizes=()).fit(iris).save(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    np.testing.assert_array_equal(Autoencoder.load(path).transform(iris), fitted.transform(iris))


@pytest.mark.kernels
def test_values_there_and_back():
    value = {
        "floats": [1.5, float("inf"), float("nan"), -0.0, 1e-310],
        2: (True, None, "text", {"nested": [()]}),
        "arrays": [np.arange(6).reshape(2, 3).T, np.zeros((0, 3)), np.array(2.5), np.array([True]), np.float32(0.1)],
        "big-endian": np.arange(3, dtype=">i4"),
        "names": np.array(["a", "b"], dtype=object),
    }
    plain, arrays = pack(value, {})
    again = unpack(json.loads(json.dumps(plain, allow_nan=False)), arrays, {})
    assert repr(again).replace(">i4", "") == repr({**value, "big-endian": np.arange(3, dtype="i4")})
    for bad in (object(), {1, 2}, np.array([1j]), np.array([None]), print, StandardScaler(), Autoencoder):
        with pytest.raises(TypeError, match="can't be kept without a pickle"):
            pack(bad, {})


# Pickles and skops ---------------------------------------------------------------------------------------------------


def test_pickles_say_who_wrote_them(iris):
    fitted = Autoencoder(2, hidden_layer_sizes=()).fit(iris)
    state = fitted.__getstate__()
    assert state["_written_by"] == {"format": files.FORMAT, "skae": files.SKAE}
    assert "_written_by" not in vars(pickle.loads(pickle.dumps(fitted)))
    with pytest.raises(ValueError, match=r"was pickled by skae 9\.9, and this is .*: update skae"):
        Autoencoder().__setstate__(state | {"_written_by": {"format": 99, "skae": "9.9"}})


@pytest.mark.kernels
def test_skops_needs_trust_in_our_types_alone(fitted, digits):
    blob = skops.io.dumps(fitted)
    untrusted = skops.io.get_untrusted_types(data=blob)
    assert untrusted
    assert all(name.startswith("skae.") for name in untrusted)
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        names = archive.namelist()
    assert {Path(name).suffix for name in names} <= {".json", ".npy"}  # no pickle inside
    again = skops.io.loads(blob, trusted=untrusted)
    np.testing.assert_array_equal(again.transform(digits), fitted.transform(digits))


@pytest.mark.kernels
@pytest.mark.parametrize("dumps", ["pickle", "skops"])
def test_what_holds_an_autoencoder(dumps, iris):
    inner = Autoencoder(2, hidden_layer_sizes=8, max_iter=2, random_state=0)
    for estimator, method in [
        (make_pipeline(StandardScaler(), inner), "transform"),
        (AutoencoderOutlierDetector(inner), "score_samples"),
        (LatentSampler(inner, random_state=0), "score_samples"),
    ]:
        fitted = clone(estimator).fit(iris)
        if dumps == "pickle":
            again = pickle.loads(pickle.dumps(fitted))
        else:
            blob = skops.io.dumps(fitted)
            untrusted = skops.io.get_untrusted_types(data=blob)
            assert not [name for name in untrusted if not re.match(r"skae\.|sklearn\.", name)]
            again = skops.io.loads(blob, trusted=untrusted)
        np.testing.assert_array_equal(getattr(again, method)(iris), getattr(fitted, method)(iris))
