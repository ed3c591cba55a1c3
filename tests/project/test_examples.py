"""Tests of the source of the examples: title, line length, and imports of public names only. Examples are not run."""

import ast
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("plot_*.py"))


def imports_of(tree):
    """Yield the dotted names that are imported; `from a import b` yields a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_examples_are_found():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_has_a_title_and_imports_public_names(path):
    source = path.read_text()
    compile(source, path, "exec", dont_inherit=True)
    tree = ast.parse(source)

    title, rule, blank, text, *_ = ast.get_docstring(tree).splitlines()
    assert (rule, blank) == ("=" * len(title), "")
    assert title
    assert text

    names = [name for name in imports_of(tree) if name.split(".")[0] == "skae"]
    assert names
    assert not [name for name in names if any(part.startswith("_") for part in name.split("."))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_fetches_no_data(path):
    """Check that the gallery can be built offline."""
    fetched = [name for name in imports_of(ast.parse(path.read_text())) if name.split(".")[-1].startswith("fetch_")]
    assert not fetched
    assert "fetch_" not in path.read_text()


@pytest.mark.parametrize("path", [*EXAMPLES, EXAMPLES[0].parent / "demo.py"], ids=lambda path: path.stem)
def test_source_of_example_fits_on_the_page(path):
    lines = path.read_text().splitlines()
    assert max(map(len, lines)) <= 79
    assert not [line for line in lines if "noqa" in line]
