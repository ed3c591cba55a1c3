"""The code of each page of the documentation runs, and the guide has a row for every estimator."""

import re
from pathlib import Path

import pytest
from conftest import public_estimators

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    str(path.relative_to(DOCS)): path.read_text()
    for path in sorted([*DOCS.glob("*.md"), *DOCS.glob("guide/*.md")])
    if "```python\n" in path.read_text() and path.name != "coming_from_pca.md"  # which has tests of its own
}


def test_every_estimator_has_a_row():
    rows = re.findall(r"^\| \[`(\w+)`\]", (DOCS / "guide" / "picture.md").read_text(), re.M)
    assert {estimator.__name__ for estimator in public_estimators()} == set(rows)


def test_the_guide_has_code():
    assert len(PAGES) > 10


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page(page, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)  # the tutorial saves files
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL):
        exec(code, names)  # warnings are errors
