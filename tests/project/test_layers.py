"""Layers of the package: modules import only from lower layers, and only one folder imports skorch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "skae"

# From the lowest to the highest layer. A module may import only from lower layers; variants don't import each other.
LAYERS = [
    {
        "skae._absent",
        "skae._columns",
        "skae._constraints",
        "skae._cudnn",
        "skae._declarations",
        "skae._dependencies",
        "skae._dimensions",
        "skae._forks",
        "skae._solvers",
    },
    {"skae._defaults", "skae._doc_link", "skae._layout", "skae._typing", "skae.nn.functional"},
    {"skae.nn._convolution", "skae.nn._layers", "skae.nn._prefixes", "skae.nn._recurrence"},
    {"skae.nn._bounds", "skae.nn._link", "skae.nn._projection"},
    {"skae.nn._module"},
    {"skae.nn._ensemble", "skae.nn._halves"},
    {"skae.nn"},
    {"skae._array_api"},
    {
        *("skae._files", "skae._data.readers", "skae._seeds", "skae._threads", "skae.architectures"),
        "skae._data",
        *("skae._training", "skae._training.distributed", "skae._training.labels", "skae._training.users"),
    },
    {"skae._devices", "skae._skops", "skae._torch_state"},
    {
        "skae._spec",
        "skae._data.bounds",
        "skae._data.dependence",
        "skae._data.missing",
        "skae._pca",
        "skae._data.statistics",
        "skae._tensors",
    },
    {"skae._basis", "skae._parameters", "skae._probabilistic_pca", "skae._shapes"},
    {"skae._training.data", "skae._training.records", "skae._training.selection"},
    {"skae._training.callbacks"},  # events of an epoch, used by the skorch net
    {
        *("skae._training.progress", "skae._training.random_restart", "skae._training.state"),
        "skae._training.weight_decay",
    },
    {"skae._training.checkpoint", "skae._training.net"},
    {"skae._training.make"},
    {"skae._training.train"},
    {
        *(
            "skae._chunk",
            "skae._codes",
            "skae._inference",
            "skae._linear",
            "skae._onnx",
            "skae._persistence",
        ),
        *("skae._regression", "skae._validation"),
    },
    {"skae._imputation"},
    {"skae._checks", "skae._hooks", "skae._module_spec", "skae._stream"},
    {
        *("skae._core", "skae._corruption", "skae._generation"),
        *("skae._sparse_module", "skae._variational_module"),
    },
    {"skae.base"},
    {
        *("skae._autoencoder", "skae._contractive", "skae._convolutional"),  # the variants
        *("skae._denoising", "skae._recurrent", "skae._sparse", "skae._variational"),
        "skae._unrolled",
    },
    {"skae._pretraining"},  # layers of a stack are variants
    {"skae._stacked"},
    {"skae._feature_errors", "skae._outlier_scores", "skae._wrapped"},
    {"skae._outlier_measures", "skae._tabular"},
    {"skae._measuring"},
    {"skae._outlier", "skae._sampler", "skae.callbacks", "skae.datasets", "skae.metrics"},
    {"skae.inspection._plotting"},
    {"skae.inspection._reference"},
    {
        *("skae.inspection._components", "skae.inspection._explained_variance", "skae.inspection._latent_grid"),
        *("skae.inspection._latent_space", "skae.inspection._loss_curve", "skae.inspection._reconstruction"),
        *("skae.inspection._feature_errors", "skae.inspection._samples"),
    },
    {"skae.inspection"},
    {"skae"},
]
LAYER_OF = {module: layer for layer, modules in enumerate(LAYERS) for module in modules}


def name_of(path):
    """Return the dotted name of a module's file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """Return the dotted names that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in LAYER_OF else node.module for name in submodules}
    return names


FILES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def test_every_file_has_a_layer():
    assert set(FILES) == set(LAYER_OF)


@pytest.mark.parametrize("module", FILES)
def test_imports_are_from_lower_layers(module):
    ours = {name for name in imports_of(FILES[module]) if name.split(".")[0] == "skae"}
    if LAYER_OF[module] >= LAYER_OF["skae._seeds"]:
        ours = {"skae.nn" if name.startswith("skae.nn") else name for name in ours}
    assert not {name for name in ours if LAYER_OF[name] >= LAYER_OF[module]}


def test_only_one_folder_imports_skorch():
    users = {module for module, path in FILES.items() if any(n.split(".")[0] == "skorch" for n in imports_of(path))}
    assert {module.rpartition(".")[0] for module in users} == {"skae._training"}


def test_only_one_file_imports_private_validation():
    users = {module for module, path in FILES.items() if "sklearn.utils._param_validation" in imports_of(path)}
    assert users == {"skae._constraints"}


def test_nn_imports_only_torch_and_numpy():
    allowed = {"collections", "copy", "fnmatch", "functools", "itertools", "numpy", "skae", "torch", "typing"}
    for module, path in FILES.items():
        if module.startswith("skae.nn"):
            assert {name.split(".")[0] for name in imports_of(path)} <= allowed


@pytest.mark.slow
def test_package_imports_without_optional_dependencies():
    extras = ["matplotlib", "onnx", "onnxscript", "pandas", "polars", "skl2onnx"]
    without = f"sys.modules.update(dict.fromkeys({extras}))"
    script = f"import sys; {without}; import skae.inspection, skae.metrics; from skae import *"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
def test_import_of_skae_does_not_import_torch():
    script = (
        "import sys, skae; names = dir(skae)\n"
        "assert 'Autoencoder' in names and 'metrics' in names\n"
        "assert not {'torch', 'sklearn', 'skorch', 'numpy'} & set(sys.modules)\n"
        "skae.Autoencoder; skae.metrics.reconstruction_scorer; from skae import *; VariationalAutoencoder\n"
        "assert 'torch' in sys.modules and 'skops' not in sys.modules\n"
        "try: skae.Autoencodre\n"
        "except AttributeError as error: assert str(error) == \"module 'skae' has no attribute 'Autoencodre'\"\n"
        "else: raise AssertionError"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
