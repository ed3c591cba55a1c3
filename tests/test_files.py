"""`save` and `load`: incomplete files raise errors, and no code in a file is executed; also pickle and skops."""

import io
import json
import os
import pickle
import re
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch
from conftest import SMALL
from safetensors.numpy import save
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler, PrintLog
from torch import nn

from skae import (
    Autoencoder,
    AutoencoderOutlierDetector,
    DenoisingAutoencoder,
    LatentSampler,
    StackedAutoencoder,
    TabularAutoencoder,
)
from skae import _files as files
from skae._columns import ColumnEncoder
from skae._outlier_measures import Measures, Neighbors, Reservoir, Residuals, Tail
from skae._outlier_scores import HeldOut
from skae._skops import SKAE_TYPES, SKLEARN_TYPES
from skae.architectures import Architecture
from skae.callbacks import Checkpoint
from skae.nn import AutoencoderModule

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "files.md"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skops"


@pytest.fixture
def saved(path, iris):
    """Return the path of a file and the autoencoder in it."""
    fitted = Autoencoder(2, hidden_layer_sizes=8, max_iter=3, random_state=0).fit(iris)
    fitted.save(path)
    return path, fitted


def modify(path, alter):
    """Rewrite a file after a call of `alter` with its schema and a dict of its other parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts.pop("schema.json"))
    alter(schema, parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, blob in {"schema.json": json.dumps(schema), **parts}.items():
            archive.writestr(name, blob)


def attributes_in(schema):
    """Return the attributes in a schema, as a dict of nodes."""
    return schema["content"]["content"]


# Round trips ---------------------------------------------------------------------------------------------------------


@pytest.mark.kernels
def test_loaded_autoencoder_equals_the_saved_one(fitted, digits, path):
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
def test_names_seeds_and_output_format_are_saved(digits, path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(digits, columns=[f"pixel {i}" for i in range(64)])
    rng = np.random.RandomState(3)
    fitted = Autoencoder(2, hidden_layer_sizes=(), random_state=rng).set_output(transform="pandas").fit(frame)
    fitted.save(path)
    again = Autoencoder.load(path)
    assert list(again.transform(frame).columns) == list(fitted.transform(frame).columns)
    assert list(again.feature_names_in_) == list(fitted.feature_names_in_)
    assert again.random_state.randint(1000) == rng.randint(1000)


def test_curves_longer_than_the_weights_are_saved(iris, path):
    fitted = Autoencoder(1, hidden_layer_sizes=2, max_iter=30, early_stopping=False, random_state=0).fit(iris)
    fitted.save(path)
    assert Autoencoder.load(path).loss_curve_ == fitted.loss_curve_


@pytest.mark.kernels
def test_stream_continues_after_loading(digits, path):
    fitted = Autoencoder(3, hidden_layer_sizes=8, random_state=0).partial_fit(digits[:120])
    fitted.save(path)
    again = Autoencoder.load(path).partial_fit(digits[120:])
    np.testing.assert_array_equal(again.transform(digits), fitted.partial_fit(digits[120:]).transform(digits))


class Halves(Architecture):
    """A user-defined architecture."""

    def build(self, n_features, activation):  # noqa: ARG002
        width = -(-n_features // 2)
        return nn.Linear(n_features, width), nn.Linear(width, n_features), width


class OwnModule(AutoencoderModule):
    pass


class OwnAutoencoder(Autoencoder):
    module_class = OwnModule

    def __init__(self, n_components=2, *, architecture=None, max_iter=2, random_state=None):
        super().__init__(n_components, architecture=architecture, max_iter=max_iter, random_state=random_state)


@pytest.mark.kernels
def test_user_defined_classes_must_be_trusted(iris, path):
    own = OwnAutoencoder(architecture=Halves(), random_state=0).fit(iris)
    own.save(path)
    for trusted in ([Halves], (f"{Halves.__module__}.Halves",)):
        again = OwnAutoencoder.load(path, trusted=trusted)
        np.testing.assert_array_equal(again.transform(iris), own.transform(iris))
        assert "Halves" in repr(again.architecture)
    with pytest.raises(
        ValueError, match=r"Halves' in it is not trusted: if you trust it, pass it to load\(\.\.\., trusted"
    ):
        OwnAutoencoder.load(path)
    for trusted in (True, "test_files.Halves", Halves, [Halves()], None):
        with pytest.raises(TypeError, match="trusted must be a sequence of classes or their names, got"):
            OwnAutoencoder.load(path, trusted=trusted)


def types_in(node):
    """Return the names of the classes of objects in a schema."""
    if isinstance(node, list):
        return set().union(*map(types_in, node))
    if not isinstance(node, dict):
        return set()
    own = {f"{node['__module__']}.{node['__class__']}"} if node.get("__loader__") in ("ObjectNode", "TypeNode") else ()
    return set().union(own, *map(types_in, node.values()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # few epochs are run
def test_trusted_types_are_exactly_those_needed(iris, path, tmp_path):
    found, layers = set(), {type(kind): kind for kind in SMALL if type(kind) is not StackedAutoencoder}
    layers["below an RBM"] = Autoencoder(3, hidden_layer_sizes=4, code_activation="logistic", max_iter=1)
    stacks = [
        StackedAutoencoder([("a", layer), ("b", Autoencoder(2, max_iter=1))], max_iter=1) for layer in layers.values()
    ]
    stacks[-1].set_params(b=BernoulliRBM(2))
    stacks.append(StackedAutoencoder([("a", stacks[0])], max_iter=1))
    resumes = Autoencoder(2, max_iter=1, callbacks=[Checkpoint(tmp_path / "checkpoint")])
    X_missing = np.where(np.arange(iris.size).reshape(iris.shape) % 7, iris, np.nan)
    for kind, X in [*((kind, iris) for kind in (*SMALL, *stacks, resumes)), (SMALL[0], X_missing)]:
        fitted = clone(kind).fit(X)
        fitted.save(path)
        np.testing.assert_array_equal(type(kind).load(path).transform(iris), fitted.transform(iris))
        with zipfile.ZipFile(path) as archive:
            found |= types_in(json.loads(archive.read("schema.json")))
    assert found - {"builtins.str"} == {*SKAE_TYPES, *SKLEARN_TYPES}


def listed_types():
    """Return the types that the guide tells users to trust."""
    listed = re.search(r"```python\n(SKAE_TYPES = .*?)```", GUIDE.read_text(), re.DOTALL)[1]
    within = {}
    exec(listed, within)
    return within["SKAE_TYPES"]


def test_guide_lists_all_trusted_types():
    types = AutoencoderOutlierDetector, HeldOut, LatentSampler, Measures, Neighbors, Reservoir, Residuals, Tail
    types += ColumnEncoder, TabularAutoencoder
    more = {f"{one.__module__}.{one.__name__}" for one in types}
    assert set(listed_types()) == {*SKAE_TYPES, *more}


def test_skops_reads_saved_files(saved, iris):
    path, fitted = saved
    assert set(skops.io.get_untrusted_types(file=path)) <= set(SKAE_TYPES)
    again = skops.io.load(path, trusted=SKAE_TYPES)
    np.testing.assert_array_equal(again.transform(iris), fitted.transform(iris))
    skops.io.dump(fitted, path)
    np.testing.assert_array_equal(Autoencoder.load(path).transform(iris), fitted.transform(iris))


def test_callbacks_of_scikit_learn_are_not_saved(iris, path, tmp_path):
    callback = pytest.importorskip("sklearn.callback")  # scikit-learn 1.9
    inner = Autoencoder(2, hidden_layer_sizes=(), callbacks=[Checkpoint(tmp_path / "a")]).set_callbacks(
        callback.ProgressBar()
    )
    fitted = StackedAutoencoder([("a", inner)], max_iter=1, callbacks=[Checkpoint(tmp_path)], random_state=0).fit(iris)
    fitted.save(path)
    again = StackedAutoencoder.load(path)
    assert [each.callbacks[0].folder for each in (again, again.layers[0][1])] == [str(tmp_path), str(tmp_path / "a")]
    again.partial_fit(iris)  # layers are not fitted again
    assert fitted.callbacks[0].folder is tmp_path
    assert not [name for name in vars(again.layers[0][1]) if name.startswith("_skl_")]


# Errors --------------------------------------------------------------------------------------------------------------


def test_errors_are_raised_before_writing(tmp_path, digits):
    with pytest.raises(NotFittedError):
        Autoencoder().save(tmp_path / "a")
    denoiser = DenoisingAutoencoder(2, corruption=lambda x: x, max_iter=1, hidden_layer_sizes=4).fit(digits)
    with pytest.raises(
        TypeError, match=r"DenoisingAutoencoder\.save: '.*<lambda>' in it can't be saved without pickle\. Use"
    ):
        denoiser.save(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        Autoencoder(2, hidden_layer_sizes=()).fit(digits).save(tmp_path / "missing" / "a")
    assert not list(tmp_path.iterdir())


def test_loading_with_another_class_raises(saved):
    with pytest.raises(
        ValueError,
        match=r"contains an object of class Autoencoder: use Autoencoder\.load, not DenoisingAutoencoder\.load",
    ):
        DenoisingAutoencoder.load(saved[0])


def test_load_of_a_pipeline_names_skops(iris, path):
    pipeline = make_pipeline(StandardScaler(), Autoencoder(2, hidden_layer_sizes=())).fit(iris)
    skops.io.dump(pipeline, path)
    with pytest.raises(ValueError, match=r"contains an object of class Pipeline: use skops\.io\.load"):
        Autoencoder.load(path, trusted=["sklearn.pipeline.Pipeline"])


def test_save_to_a_missing_folder_names_the_folder(iris, tmp_path):
    fitted = Autoencoder(2, hidden_layer_sizes=()).fit(iris)
    with pytest.raises(FileNotFoundError, match=r"The folder doesn't exist: '.*missing'"):
        fitted.save(tmp_path / "missing" / "a.skops")


def check_flipped_bits(fitted, path, n_flips):
    """Check that a file with one flipped bit, half of them in the zip directory, raises or loads as before."""
    fitted.save(path)
    whole, blob, rng = pickle.dumps(type(fitted).load(path)), path.read_bytes(), np.random.RandomState(0)
    directory, n_errors = blob.index(b"PK\1\2"), 0
    for i in range(n_flips):
        place = i if i < 60 else rng.randint(directory if i % 2 else 0, len(blob))
        damaged = bytearray(blob)
        damaged[place] ^= 1 << rng.randint(8)
        path.write_bytes(damaged)
        try:
            again = type(fitted).load(path)
        except ValueError as error:
            assert f"{str(path)!r} is damaged or can't be loaded: " in str(error)  # noqa: PT017
            n_errors += 1
        else:
            assert pickle.dumps(again) == whole, place
    assert n_errors > n_flips / 2


def test_file_with_a_flipped_bit_raises_or_is_unaffected(path, iris):
    check_flipped_bits(Autoencoder(1, hidden_layer_sizes=()).fit(iris[:, :2]), path, 200)  # the smallest possible file


@pytest.mark.slow
@pytest.mark.more_kinds
def test_file_of_any_kind_with_a_flipped_bit_raises_or_is_unaffected(small, path, iris):
    check_flipped_bits(small.fit(iris), path, 400)


@pytest.mark.parametrize("n_bytes", [0, 1, 7, 8, 9, 100, 1000, -1])
def test_truncated_files_raise(saved, n_bytes):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="damaged"):
        Autoencoder.load(path)


def test_files_of_other_formats_raise(path, digits):
    for blob in (pickle.dumps(digits), save({"a": digits}), b"{}", b"\xff" * 100, b"PK\x03\x04" + bytes(100)):
        path.write_bytes(blob)
        with pytest.raises(ValueError, match=r"is damaged or can't be loaded: File is not a zip file\."):
            Autoencoder.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no array")
    with pytest.raises(ValueError, match=r"is damaged or can't be loaded"):
        Autoencoder.load(path)
    with pytest.raises(FileNotFoundError):
        Autoencoder.load(path.parent / "missing")
    with pytest.raises(IsADirectoryError):
        Autoencoder.load(path.parent)


@pytest.mark.parametrize("start", [b"Rar!", b"PK\3\4"])
def test_huge_file_of_another_format_is_not_read(path, start):
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(2**40)  # a sparse file, which uses no disk space
    with pytest.raises(ValueError, match="File is not a zip file"):
        Autoencoder.load(path)


def test_compressed_file_raises(saved):
    path, fitted = saved
    skops.io.dump(fitted, path, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"it is compressed, .*: see skops\.io\.load\."):
        Autoencoder.load(path)


def test_file_of_a_later_release_raises(saved):
    modify(saved[0], lambda schema, _: attributes_in(schema)["_written_by"]["content"].update(format=_json(99)))
    with pytest.raises(ValueError, match=r"was saved by skae .*, and this is .*: update skae"):
        Autoencoder.load(saved[0])


def _json(value):
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
        "__id__": 7,
    }


def _node(loader, name, number=9, **more):
    module, _, of_class = name.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": of_class, "__id__": number, **more}


def _set(name, node):
    return lambda schema, _: attributes_in(schema).update({name: node})


def _tuple(values):
    content = [_json(value) | {"__id__": 1000 + i} for i, value in enumerate(values)]
    return _node("TupleNode", "builtins.tuple", content=content)


def _in_spec(name, node):
    return lambda schema, _: attributes_in(schema)["_spec"]["content"]["content"].update({name: node})


def _in_array(alter):
    def altered(schema, parts):
        name = attributes_in(schema)["mean_"]["file"]
        parts[name] = alter(parts[name])

    return altered


def _nested_lists(n):
    """Return a list that contains the same list twice, nested n times; the second time by its id."""
    node = _node("ListNode", "builtins.list", number=100, content=[])
    for i in range(n):
        content = [node, {key: value for key, value in node.items() if key != "content"}]
        node = _node("ListNode", "builtins.list", number=101 + i, content=content)
    return node


def _array_with_two_ids(schema, parts):  # noqa: ARG001
    array = attributes_in(schema)["mean_"]
    attributes_in(schema)["more"] = _node(
        "ListNode", "builtins.list", content=[array | {"__id__": 5}, array | {"__id__": 6}]
    )


def _random_state(position):
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(np.random.RandomState(0)))) as archive:
        text = archive.read("schema.json").decode()
    state = json.loads(re.sub(r'"__id__": ', r'"__id__": 9', text))  # unique ids
    numbers = state["content"]["content"]["state"]["content"]
    numbers["pos"] = _json(position)
    numbers["key"]["file"] = "key.npy"
    return lambda schema, parts: (
        attributes_in(schema).update(random_state=state),
        parts.update({"key.npy": KEY}),
    )


def _position(schema):
    return attributes_in(schema)["random_state"]["content"]["content"]["state"]["content"]["pos"]


def _position_under_an_earlier_id(schema, parts):
    _random_state(3)(schema, parts)
    attributes_in(schema)["activation"] = _json(10**6)  # has the same id, and comes first


def _position_in_an_array(schema, parts):
    _random_state(3)(schema, parts)
    _position(schema).update(_node("NdArrayNode", "numpy.int64", type="numpy", file="position.npy"))
    parts["position.npy"] = _npy(np.int64(10**6))


def _npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


KEY = _npy(np.arange(624, dtype=np.uint32))
CRAFTED = {
    "sizes that do not fit in memory": (
        _in_spec("sizes", _tuple([4, 10**9, 10**9, 2])),
        "weights don't match",
    ),
    "a million layers": (_in_spec("sizes", _tuple([4, *[1] * 10_000, 2])), "fewer weights than layers"),
    "sizes that are not ints": (_in_spec("sizes", _tuple([4, "8", 2])), "can't be loaded"),
    "another number of features": (_set("n_features_in_", _json(5)), "features or components don't match"),
    "a code that does not fit in memory": (
        _set("n_components_", _json(2**40)),
        "features or components don't match",
    ),
    "no mean": (_set("mean_", _json(None)), "can't be loaded"),
    "an array that is missing": (
        _set("mean_", _node("NdArrayNode", "numpy.ndarray", type="numpy", file="99.npy")),
        "no item named '99.npy'",
    ),
    "an array with a huge shape": (
        _in_array(lambda blob: blob.replace(b"(4,), }" + b" " * 9, b"(4000000000,), }")),
        "the shape of an array doesn't match the size of its data",
    ),
    "an array that is a pickle": (
        _in_array(lambda blob: blob.replace(b"'<f8'", b"'|O' ")),
        "dtype=object can't be saved",
    ),
    "an array of another class": (
        _set("more", _node("NdArrayNode", "numpy.void", type="numpy", file="99.npy")),
        r"'numpy\.void' in it can't be saved",
    ),
    "an unknown class": (_set("mean_", _node("ObjectNode", "os.system")), r"'os\.system' in it is not trusted"),
    "an unknown type": (_set("mean_", _node("TypeNode", "os.system")), r"'os\.system' in it is not trusted"),
    "another estimator": (
        _set("mean_", _node("ObjectNode", "sklearn.svm._classes.SVC")),
        r"'sklearn\.svm\._classes\.SVC' in it is not trusted",
    ),
    "a function": (_set("mean_", _node("FunctionNode", "numpy.add")), r"'numpy\.add' in it can't be saved"),
    "a method": (
        _set("mean_", _node("MethodNode", "skae._autoencoder.Autoencoder", content={"func": "save", "obj": _json(1)})),
        r"'skae\._autoencoder\.Autoencoder' in it can't be saved",
    ),
    "a constructor": (
        _set("mean_", _node("ConstructorFromReduceNode", "skae._spec.ModuleSpec", content=_json(1))),
        r"'skae\._spec\.ModuleSpec' in it can't be saved",
    ),
    "an unknown kind": (_set("mean_", _node("PickleNode", "a.b")), r"'a\.b' in it can't be saved"),
    "deeply nested lists": (
        lambda schema, parts: parts.update({"schema.json": "[" * 100_000 + "]" * 100_000}),  # noqa: ARG005
        "can't be loaded",
    ),
    "a list that contains itself": (
        _set("more", _node("ListNode", "builtins.list", content=[_node("ListNode", "builtins.list")])),
        "its parts refer to each other",
    ),
    "lists that contain the same list twice": (_set("more", _nested_lists(30)), "its parts refer to each other"),
    "an array with two ids": (_array_with_two_ids, "its parts share an array"),
    "a random state with an invalid position": (_random_state(10**6), "a random state has an invalid position"),
    "a random state whose position has an earlier id": (_position_under_an_earlier_id, "its parts refer to each other"),
    "a random state whose position is an array": (_position_in_an_array, "a random state has an invalid position"),
    "an earlier protocol": (lambda schema, _: schema.update(protocol=1), "it has protocol 1 of skops"),
    "a parameter out of range": (_set("max_iter", _json(-4)), "'max_iter' parameter of Autoencoder must be"),
    "weights with other names": (
        lambda schema, _: attributes_in(schema)["_weights"]["content"].update(
            more=attributes_in(schema)["_weights"]["content"].popitem()[1]
        ),
        "weights don't match",
    ),
    "no spec": (_set("_spec", _json(3)), "can't be loaded"),
    "no fitted attributes": (
        lambda schema, _: attributes_in(schema).pop("_spec"),
        "can't be loaded|invalid Autoencoder",
    ),
    "no content": (lambda schema, _: schema.pop("content"), "can't be loaded|invalid"),
    "a list as content": (
        lambda schema, _: schema.update(_node("ListNode", "builtins.list", content=[])),
        "contains an object of class list: use",
    ),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_crafted_file_raises(saved, kind):
    alter, message = CRAFTED[kind]
    modify(saved[0], alter)
    with pytest.raises(ValueError, match=message):
        Autoencoder.load(saved[0])


@pytest.mark.kernels
@pytest.mark.parametrize("position", [None, 3, 624])
def test_rewritten_file_without_changes_loads(saved, iris, position):
    # otherwise, the errors above could be due to the rewriting
    modify(saved[0], _random_state(position) if position else lambda schema, parts: None)  # noqa: ARG005
    np.testing.assert_array_equal(Autoencoder.load(saved[0]).transform(iris), saved[1].transform(iris))


# Disk errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.kernels
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failing_write_keeps_the_previous_file(saved, monkeypatch, call, iris):
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
def test_attributes_of_all_types_are_restored(saved):
    path, fitted = saved
    fitted.more_ = {
        "floats": [1.5, float("inf"), float("nan"), -0.0, 1e-310],
        "others": {2: (True, None, "text", {"nested": [()]})},
        "arrays": [np.arange(6).reshape(2, 3).T, np.zeros((0, 3)), np.array(2.5), np.array([True]), np.float32(0.1)],
        "names": np.array(["a", "b"], dtype=object),
    }
    fitted.save(path)
    assert repr(Autoencoder.load(path).more_) == repr(fitted.more_)


RECURSIVE = []
RECURSIVE.append(RECURSIVE)
UNSUPPORTED = {
    "an object": object(),
    "a set": {1, 2},
    "complex numbers": np.array([1j]),
    "a sparse matrix": csr_array(np.eye(2)),
    "long floats": np.array([1], dtype=np.longdouble),
    "a builtin function": len,
    "a Python function": json.loads,
    "a method": [].append,
    "bytes": b"bytes",
    "a module": nn.Linear(1, 1),
    "a tensor": nn.Linear(1, 1).weight,
    "an object of a local class": type("Local", (), {})(),
    "a builtin type as a value": complex,
    "keys of another type": {True: 1},
    "a lock": threading.Lock(),
    "a list that contains itself": RECURSIVE,
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_unsupported_values_raise(saved, kind):
    path, fitted = saved
    path.unlink()
    fitted.more_ = UNSUPPORTED[kind]
    with pytest.raises(TypeError, match=r"^Autoencoder\.save: .+\. Use pickle or joblib instead\.$"):
        fitted.save(path)
    assert not path.exists()


@pytest.mark.kernels
def test_classes_of_other_packages_must_be_trusted(path, iris):
    fitted = Autoencoder(2, hidden_layer_sizes=4, max_iter=2, cv=KFold(2), random_state=0).fit(iris)
    fitted.more_ = {"estimator": SVC(C=3), "class": torch.optim.RAdam}
    fitted.save(path)
    with pytest.raises(ValueError, match=r"is not trusted: if you trust it"):
        Autoencoder.load(path, trusted=[KFold, SVC])
    again = Autoencoder.load(path, trusted=[KFold, "sklearn.svm._classes.SVC", torch.optim.RAdam])
    assert repr(again.get_params()) == repr(fitted.get_params())
    assert repr(again.more_) == repr(fitted.more_)
    np.testing.assert_array_equal(again.transform(iris), fitted.transform(iris))


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping(monitor="train_loss"), PrintLog(sink=print), EpochScoring("r2"), LRScheduler("StepLR", step_size=2)],
    ids=lambda callback: type(callback).__name__,
)
def test_skorch_callbacks_are_saved(callback, path, iris, capsys):
    fitted = Autoencoder(2, hidden_layer_sizes=4, max_iter=2, random_state=0, callbacks=[callback]).fit(iris)
    fitted.save(path)
    with pytest.raises(ValueError, match=r"is not trusted: if you trust it"):
        Autoencoder.load(path)
    again = Autoencoder.load(path, trusted=[type(callback)])
    assert repr(again.callbacks[0].get_params()) == repr(callback.get_params())
    np.testing.assert_array_equal(again.transform(iris), fitted.transform(iris))
    again.fit(iris)
    capsys.readouterr()  # discard what `PrintLog` prints


# Pickles and skops ---------------------------------------------------------------------------------------------------


def test_pickles_store_the_version(iris):
    fitted = Autoencoder(2, hidden_layer_sizes=()).fit(iris)
    state = fitted.__getstate__()
    assert state["_written_by"] == {"format": files.FORMAT, "skae": files.SKAE}
    assert "_written_by" not in vars(pickle.loads(pickle.dumps(fitted)))
    with pytest.raises(ValueError, match=r"was saved by skae 9\.9, and this is .*: update skae"):
        Autoencoder().__setstate__(state | {"_written_by": {"format": 99, "skae": "9.9"}})


@pytest.mark.kernels
def test_skops_requires_trust_in_skae_types_only(fitted, digits):
    blob = skops.io.dumps(fitted)
    untrusted = skops.io.get_untrusted_types(data=blob)
    assert untrusted
    assert all(name.startswith("skae.") for name in untrusted)
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        names = archive.namelist()
    assert {Path(name).suffix for name in names} <= {".json", ".npy"}  # no pickles
    again = skops.io.loads(blob, trusted=untrusted)
    np.testing.assert_array_equal(again.transform(digits), fitted.transform(digits))


@pytest.mark.kernels
@pytest.mark.parametrize("dumps", ["pickle", "skops"])
def test_meta_estimators_can_be_saved(dumps, iris):
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
            again = skops.io.loads(skops.io.dumps(fitted), trusted=listed_types())
        np.testing.assert_array_equal(getattr(again, method)(iris), getattr(fitted, method)(iris))
