"""The code of each documentation page runs, and the guide covers every estimator."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from conftest import public_estimators

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    str(path.relative_to(DOCS)): path.read_text()
    for path in sorted([*DOCS.glob("*.md"), *DOCS.glob("guide/*.md")])
    if "```python\n" in path.read_text() and path.name != "coming_from_pca.md"  # tested in test_coming_from_pca.py
}


def test_table_of_the_guide_lists_every_estimator():
    rows = re.findall(r"^\| \[`(\w+)`\]", (DOCS / "guide" / "picture.md").read_text(), re.M)
    assert {estimator.__name__ for estimator in public_estimators()} == set(rows)


def test_guide_pages_with_code_are_found():
    assert len(PAGES) > 10


NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


def difference(text, printed):
    """Describe the first difference between the output shown on a page and the printed output, or return None.

    Words must be equal. Numbers may differ by 10 % plus one unit in the last decimal place, because training gives
    slightly different results on other processors; integers up to nine must be equal.
    """
    if NUMBER.sub("#", text).split() != NUMBER.sub("#", printed).split():
        return f"the page shows\n{text}\nbut this was printed:\n{printed}"
    for shown, found in zip(NUMBER.findall(text), NUMBER.findall(printed), strict=True):
        last_place = 10.0 ** -len(shown.partition(".")[2]) if "." in shown else 0.0
        if abs(float(found) - float(shown)) > abs(float(shown)) / 10 + last_place + 1e-9:
            return f"the page shows {shown}, but {found} was printed"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_code_of_page_prints_the_shown_output(page, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)  # the tutorial writes files
    names = {}
    for code, text in BLOCK.findall(PAGES[page]):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)  # warnings are errors
        if text:
            assert not difference(text, printed.getvalue())


def test_every_output_block_of_a_page_is_compared():
    shown = {page: text.count("```text\n") for page, text in PAGES.items()}
    assert shown == {page: sum(bool(text) for _, text in BLOCK.findall(whole)) for page, whole in PAGES.items()}
    assert shown["tutorial.md"] >= 10


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("True", "False"),
        ("R² 0.854", "R² 0.740"),
        ("(450, 8)", "(450, 9)"),
        ("right: [1] wrong: [-1]", "right: [1] wrong: [1]"),
        ("alcohol 1035\nhue 26", "hue 1035\nalcohol 26"),
        ("PCA 21", "PCA 21\nAutoencoder 17"),
    ],
)
def test_differences_from_the_shown_output_are_detected(text, printed):
    assert difference(text, printed)
    assert not difference(text, text.replace("0.854", "0.851").replace("1035", "1021"))
