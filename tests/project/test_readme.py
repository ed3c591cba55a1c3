"""The README's code runs as it stands, and what it links to is there."""

import re
from functools import partial
from pathlib import Path

import pytest
import sklearn.model_selection
from sklearn.model_selection import GridSearchCV, ShuffleSplit

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_readmes_code(monkeypatch):
    one_split = partial(GridSearchCV, cv=ShuffleSplit(1, random_state=0))  # five take two minutes
    monkeypatch.setattr(sklearn.model_selection, "GridSearchCV", one_split)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(code, names)
    assert names["X_hat"].shape == names["X"].shape
    assert type(names["search"].best_params_["reduce"]).__name__ == "Autoencoder"


def test_the_readmes_links():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 5
    assert not [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()]


def test_the_readme_is_one_screen():
    assert len(README.splitlines()) <= 60
