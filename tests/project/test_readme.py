"""Tests of the README: its code, links, install commands, and numbers."""

import contextlib
import io
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = "https://skae.readthedocs.io/en/latest/"
README = (ROOT / "README.md").read_text()
HOMEPAGE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Homepage"]
TORCH_CPU = "pip3 install torch --index-url https://download.pytorch.org/whl/cpu"  # as on pytorch.org/get-started


def code_blocks():
    return re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def results_of_digits():
    """Return {components: [R² of PCA, of Autoencoder, accuracy with PCA, with Autoencoder]} of the README's table."""
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", README, re.M)
    return {int(k): [float(number.strip(" *")) for number in numbers.split("|")] for k, numbers in rows}


@pytest.mark.slow
def test_code_of_the_readme_gives_the_shown_results():
    first, second = code_blocks()
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(first, names)
        exec(second.replace(", verbose=2", ""), names)
    assert names["X_hat"].shape == names["X"].shape
    r2, choice = printed.getvalue().splitlines()
    assert float(r2) == pytest.approx(float(re.search(r"R² of the training samples: (\S+)", first)[1]), abs=0.015)
    assert choice.startswith("Autoencoder")
    table = results_of_digits()
    results = names["search"].cv_results_
    for params, accuracy in zip(results["params"], results["mean_test_score"], strict=True):
        column = {"PCA": 2, "Autoencoder": 3}[type(params["reduce"]).__name__]
        assert accuracy == pytest.approx(table[params["reduce__n_components"]][column], abs=0.015)
    shown = float(re.search(r"the autoencoder, (\S+)", second)[1])
    assert shown == pytest.approx(table[8][3], abs=5e-4)


def test_results_on_digits_are_the_same_on_every_page():
    tutorial, index = ((ROOT / "docs" / name).read_text() for name in ("tutorial.md", "index.md"))
    for k, (r2_pca, r2, accuracy_pca, accuracy) in results_of_digits().items():
        line = f"| {k} | {r2_pca:.3f} | **{r2:.3f}** |".replace("0.", ".")
        assert line in index
        if k < 16:
            assert f"PCA          {k:2d} components: accuracy {accuracy_pca:.3f}" in tutorial
            assert f"Autoencoder  {k:2d} components: accuracy {accuracy:.3f}" in tutorial


def test_protocol_for_digits_is_the_same_on_every_page():
    paths = ["README.md", "docs/tutorial.md", "examples/demo.py", "examples/plot_drop_in_for_pca.py"]
    for text in ((ROOT / path).read_text() for path in paths):
        assert "StratifiedKFold(5, shuffle=True, random_state=0)" in text
        assert "LogisticRegression(max_iter=1000)" in text
        assert text.index('("reduce", PCA())') < text.index('("scale", StandardScaler())') < text.index('("classify",')


def test_links_of_the_readme_are_valid():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 5
    assert not [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()]
    pages = [link.removeprefix(SITE).removesuffix(".html") for link in links if link.startswith(SITE)]
    assert len(pages) > 5
    assert not [page for page in pages if not (ROOT / "docs" / f"{page}.md").exists()]
    assert not [link for link in links if link.endswith(".md") and "docs/" in link]  # sources of the site
    assert "{py:" not in README  # a role of Sphinx


def test_picture_of_the_readme_exists():
    (address,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    raw = HOMEPAGE.replace("github.com", "raw.githubusercontent.com") + "/main/"
    assert address.startswith(raw)  # absolute, for the package index
    picture = ROOT / address.removeprefix(raw)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 150_000


def test_readme_is_short():
    assert len(README.splitlines()) <= 85


def test_install_commands_of_the_readme_are_current():
    pip_lines = re.findall(r"^pip install .*$", README, re.M)
    assert pip_lines == [f"pip install git+{HOMEPAGE}"]
    assert f"`{TORCH_CPU}`" in README
    assert set(re.findall(r"https://download\.pytorch\.org\S*?(?=[`\"])", README)) == {TORCH_CPU.split()[-1]}


@pytest.mark.slow
def test_install_command_works_with_a_clone(tmp_path):
    """Run the pip command of the README in a new environment, with the URL of a local clone."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git repository")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    index = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "20"]
    try:
        subprocess.run(
            [*index, "--dest", tmp_path, "hatchling>=1.26"], check=True, capture_output=True, timeout=20
        )  # the build backend
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("pip could not download from a package index within 20 seconds")
    (line,) = re.findall(r"^pip install .*$", README, re.M)
    source = line.removeprefix("pip install ").replace(HOMEPAGE, clone.as_uri())
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", source], check=True)
    code = "import importlib.metadata as m; print(m.version('skae'))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout.strip() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
