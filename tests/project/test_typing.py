"""The public API is fully typed; its types work for users, and can be resolved at run time."""

import inspect
import json
import os
import subprocess
import sys
import typing
from importlib.util import find_spec
from pathlib import Path

import pytest

import skae
from skae import architectures, datasets, inspection, metrics, nn

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UNTYPED = ("scipy", "sklearn", "skorch")  # dependencies without type information


pytest.importorskip("basedpyright")


def checked(*arguments, path=()):
    """Run the type checker and return its report."""
    paths = [*map(str, path), str(Path(skae.__file__).parents[1])]
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *arguments]
    # --verifytypes ignores --pythonpath and uses the first python on PATH that has packages
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PATH": programs}
    return json.loads(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stdout)


HOOKS = (".module_params", ".initial_solution", ".check_parameters")  # their docstrings are inherited


def test_every_public_name_has_complete_types(tmp_path):
    # base classes must be from typed packages; with the marker file, the checker reads the sources of a package
    for name in UNTYPED:
        (tmp_path / name).mkdir()
        for part in Path(find_spec(name).origin).parent.iterdir():
            (tmp_path / name / part.name).symlink_to(part)
        (tmp_path / name / "py.typed").touch()
    report = checked("--verifytypes", "skae", "--ignoreexternal", path=[tmp_path])["typeCompleteness"]
    assert {module["name"] for module in report["modules"]} >= {
        f"skae{module}" for module in ("", ".architectures", ".datasets", ".inspection", ".metrics", ".nn")
    }
    incomplete = {
        symbol["name"]: [diagnostic["message"] for diagnostic in symbol["diagnostics"]]
        for symbol in report["symbols"]
        if symbol["diagnostics"] and not symbol["name"].endswith(HOOKS)
    }
    assert not incomplete
    assert report["completenessScore"] == 1.0


def test_typical_usage_is_accepted_and_errors_are_reported():
    report = checked(str(ROOT / "tests" / "project" / "typed_usage.py"))
    assert report["summary"]["filesAnalyzed"] == 1
    found = [(item["range"]["start"]["line"] + 1, item["message"]) for item in report["generalDiagnostics"]]
    assert not found


def public_functions():
    """Yield the name and object of every public function, class, and method."""
    for module in (skae, architectures, datasets, inspection, metrics, nn, nn.functional):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value
            elif inspect.isclass(value):
                yield f"{module.__name__}.{name}", value
                for attribute, method in inspect.getmembers(value, inspect.isroutine):
                    ours = getattr(method, "__module__", None) or ""
                    if ours.startswith("skae") and (attribute == "__init__" or not attribute.startswith("_")):
                        yield f"{module.__name__}.{name}.{attribute}", method


@pytest.mark.parametrize("part", [pytest.param(value, id=name) for name, value in public_functions()])
def test_types_resolve_at_run_time(part):
    typing.get_type_hints(part)
