"""Files and pickles of earlier releases load and give the same results.

    python tests/test_golden.py 0.1.0

writes the files of a release to `tests/golden/0.1.0`, where they are kept permanently.
"""

import gzip
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, short_name
from sklearn.base import clone
from sklearn.datasets import load_iris

import skae

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "golden"
RELEASES = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
PICKLED = {"Autoencoder", "VariationalAutoencoder", "StackedAutoencoder"}  # other classes have only files
METHODS = ("transform", "reconstruct")


def write(release):
    """Write the files of a release."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder, X, index = FOLDER / release, load_iris().data, {}
    folder.mkdir(parents=True)
    expected = {}
    for i, kind in enumerate(SMALL):
        fitted = clone(kind).set_params(device="cpu", **({} if kind.max_iter == "auto" else {"max_iter": 1})).fit(X)
        name = f"{i:02d}"
        fitted.save(folder / name)
        (folder / f"{name}.skops.gz").write_bytes(gzip.compress((folder / name).read_bytes(), mtime=0))
        (folder / name).unlink()
        index[name] = {"class": type(kind).__name__, "kind": short_name(kind)}
        if type(kind).__name__ in PICKLED:
            (folder / f"{name}.pickle").write_bytes(pickle.dumps(fitted, protocol=4))
        expected |= {f"{name} {method}": getattr(fitted, method)(X[::15]) for method in METHODS}
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    np.savez_compressed(folder / "expected.npz", X=X[::15], **expected)


def entries():
    """Yield (release, file, class) of all stored files."""
    for release in RELEASES:
        index = json.loads((FOLDER / release / "index.json").read_text())
        for path in sorted((FOLDER / release).iterdir()):
            if path.name[:2] in index:
                yield release, path.name, index[path.name[:2]]["class"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")  # from scikit-learn's estimators
@pytest.mark.filterwarnings("ignore:Training diverged in this chunk")  # ten samples are too few
@pytest.mark.parametrize(("release", "file", "of_class"), list(entries()))
def test_files_of_earlier_releases_load(release, file, of_class, tmp_path):
    blob, name = (FOLDER / release / file).read_bytes(), file[:2]
    if file.endswith(".pickle"):
        fitted = pickle.loads(blob)
    else:
        (tmp_path / "file").write_bytes(gzip.decompress(blob))
        fitted = getattr(skae, of_class).load(tmp_path / "file")
    with np.load(FOLDER / release / "expected.npz") as expected:
        for method in METHODS:
            wanted = expected[f"{name} {method}"]
            found = getattr(fitted, method)(expected["X"])
            np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9 * np.abs(wanted).max())
        assert np.isfinite(fitted.partial_fit(expected["X"]).transform(expected["X"])).all()  # training continues


def test_all_kinds_are_stored():
    index = json.loads((FOLDER / RELEASES[-1] / "index.json").read_text())
    assert {entry["kind"] for entry in index.values()} >= {short_name(kind) for kind in SMALL}


if __name__ == "__main__":
    write(sys.argv[1])
