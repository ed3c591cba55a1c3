"""The user guide names every estimator, and its code runs."""

import re
from pathlib import Path

from conftest import public_estimators

PAGE = (Path(__file__).parents[1] / "docs" / "user_guide.md").read_text()


def test_every_estimator_has_a_row():
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
    assert {estimator.__name__ for estimator in public_estimators()} == rows


def test_the_guides_code():
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(code, names)
    assert names["X"].shape == (1797, 64)
