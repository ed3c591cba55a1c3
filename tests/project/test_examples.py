"""Tests of the examples' source: titles, width, and imports of public names only. They aren't run here."""

import ast
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("plot_*.py"))


def imports_of(tree):
    """Yield the dotted names that are imported, those of `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example(path):
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
def test_an_example_runs_offline(path):
    """The gallery is built without a network, and without Fashion-MNIST."""
    fetched = [name for name in imports_of(ast.parse(path.read_text())) if name.split(".")[-1].startswith("fetch_")]
    assert not fetched
    assert "fetch_" not in path.read_text()


@pytest.mark.parametrize("path", [*EXAMPLES, EXAMPLES[0].parent / "demo.py"], ids=lambda path: path.stem)
def test_source_of_an_example_can_be_shown(path):
    lines = path.read_text().splitlines()
    assert max(map(len, lines)) <= 79
    assert not [line for line in lines if "noqa" in line]
