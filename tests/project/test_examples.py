"""Examples compile, have a title for the gallery, and import only public names. They aren't run here."""

import ast
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("plot_*.py"))


def imports_of(tree):
    """Return the dotted names that are imported; `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_examples_exist():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_compiles_and_imports_public_names(path):
    source = path.read_text()
    compile(source, path, "exec", dont_inherit=True)
    tree = ast.parse(source)

    title, rule, blank, question, *_ = ast.get_docstring(tree).splitlines()
    assert (rule, blank) == ("=" * len(title), "")
    assert title
    assert question

    names = [name for name in imports_of(tree) if name.split(".")[0] == "skae"]
    assert names
    assert not [name for name in names if any(part.startswith("_") for part in name.split("."))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_offline(path):
    """Check that no example needs the network or Fashion-MNIST, since the gallery may be built offline."""
    fetched = [name for name in imports_of(ast.parse(path.read_text())) if name.split(".")[-1].startswith("fetch_")]
    assert not fetched
    assert "fetch_" not in path.read_text()
