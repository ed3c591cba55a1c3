"""Other processes give bit-identical results, and importing or using the package leaves global state unchanged."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae import Autoencoder

pytestmark = pytest.mark.slow


def _codes(estimator, X):
    torch.set_num_threads(1)
    return clone(estimator).fit(X).transform(X)


def test_results_are_bit_identical_in_other_processes(small, fitted, digits):
    here = fitted.transform(digits)
    for there in joblib.Parallel(n_jobs=2)(joblib.delayed(_codes)(small, digits) for _ in range(2)):
        np.testing.assert_array_equal(here, there)


def test_import_and_fit_leave_global_state_of_new_interpreter_unchanged(digits, tmp_path):
    script = (
        "import random, sys, warnings, numpy, torch, sklearn.decomposition, skorch, tqdm; torch.set_num_threads(1);"
        "state = lambda: (random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist(),"
        "    torch.get_num_threads(), torch.get_default_dtype(), list(warnings.filters));"
        "before = state(); import skae, skae.metrics; assert state() == before; from skae import Autoencoder;"
        "X = numpy.load(sys.argv[1]); a = Autoencoder(4, hidden_layer_sizes=16, max_iter=8, random_state=0).fit(X);"
        "numpy.save(sys.argv[2], a.transform(X))"
    )
    np.save(tmp_path / "X.npy", digits)
    arguments = [sys.executable, "-c", script, str(tmp_path / "X.npy"), str(tmp_path / "codes.npy")]
    subprocess.run(arguments, check=True)
    here = _codes(Autoencoder(4, hidden_layer_sizes=16, max_iter=8, random_state=0), digits)
    np.testing.assert_array_equal(here, np.load(tmp_path / "codes.npy"))


SUBMODULES = ("architectures", "datasets", "inspection", "metrics", "nn")
FIRST_USES = {
    "classes": "from skae import *",
    "a fit": "import skae; skae.Autoencoder(2, max_iter=2).fit([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]] * 10)",
    "submodules": "import " + ", ".join(f"skae.{name}" for name in SUBMODULES),
}


@pytest.mark.parametrize("use", FIRST_USES)
def test_first_use_leaves_global_generators_unchanged(use):
    # this includes the generator of Python, from which imported packages draw
    script = (
        "import random, numpy; state = lambda: (random.getstate(), str(numpy.random.get_state()));"
        f"before = state(); {FIRST_USES[use]}; assert state() == before"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodules_import_dependencies_first(name):
    tree = ast.parse(Path(importlib.import_module(f"skae.{name}").__file__).read_text())
    first = next(node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    assert ast.unparse(first) == "import skae._dependencies"


def test_import_of_dependencies_uses_the_global_generator():
    # otherwise, the test above could not fail
    script = (
        "import random; before = random.getstate(); import sklearn.decomposition; assert random.getstate() != before"
    )
    pytest.importorskip("rich")
    subprocess.run([sys.executable, "-c", script], check=True)
