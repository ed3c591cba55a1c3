"""The README's code runs, and its links exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = "https://skae.readthedocs.io/en/latest/"
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_code_of_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(code, names)
    assert names["X_hat"].shape == names["X"].shape
    assert type(names["search"].best_params_["reduce"]).__name__ == "Autoencoder"


def test_links_of_the_readme_exist():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 5
    assert not [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()]
    pages = [link.removeprefix(SITE).removesuffix(".html") for link in links if link.startswith(SITE)]
    assert len(pages) > 5
    assert not [page for page in pages if not (ROOT / "docs" / f"{page}.md").exists()]
    assert not [link for link in links if link.endswith(".md") and "docs/" in link]  # sources of the site


def test_readme_is_short():
    assert len(README.splitlines()) <= 60
