"""The metadata of the project are consistent: requirements, pins, citation and supported versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import skae

TOP = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = {
    canonicalize_name(requirement.name): requirement
    for requirement in map(Requirement, re.findall(r"^[a-z].*$", (TOP / "constraints-dev.txt").read_text(), re.M))
}
LINES = {*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)}
REQUIREMENTS = [requirement for requirement in map(Requirement, sorted(LINES)) if requirement.name != "skae"]


def test_version_is_defined_once():
    assert skae.__version__ == PROJECT["version"]
    assert str(Version(PROJECT["version"])) == PROJECT["version"]
    assert not [path for path in (TOP / "skae").rglob("*.py") if PROJECT["version"] in path.read_text()]


def test_classifiers_list_the_supported_python_versions():
    listed = [Version(v) for v in re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))]
    assert listed == sorted(listed)
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [Version(f"3.{minor}") for minor in range(listed[-1].minor + 1) if f"3.{minor}" in supported] == listed


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_has_a_minimum_version_and_a_pin(requirement):
    assert {s.operator for s in requirement.specifier} >= {">="}
    (pin,) = PINS[canonicalize_name(requirement.name)].specifier
    assert pin.operator == "=="
    assert pin.version in requirement.specifier


def test_errors_name_extras_that_exist():
    sources = [path.read_text() for path in (TOP / "skae").rglob("*.py")]
    named = {extra for source in sources for extra in re.findall(r"skae\[(\w+)\]", source)}
    assert named == {"onnx", "plot"}
    assert named <= set(EXTRAS)


def test_citation_matches_this_version():
    cited = yaml.safe_load((TOP / "CITATION.cff").read_text())
    assert cited["version"] == PROJECT["version"]
    assert cited["title"] == PROJECT["name"]
    assert cited["abstract"] == PROJECT["description"]
    assert cited["license"] == PROJECT["license"]
    assert cited["authors"] == PROJECT["authors"]
    assert cited["keywords"] == PROJECT["keywords"]
    assert cited["repository-code"] == PROJECT["urls"]["Homepage"]
    assert cited["url"] == PROJECT["urls"]["Documentation"]


def test_changelog_starts_with_this_version():
    heading = re.search(r"^## (.*)$", (TOP / "CHANGELOG.md").read_text(), re.M)[1]
    expected = "Unreleased" if Version(PROJECT["version"]).is_prerelease else PROJECT["version"]
    assert heading.split(",")[0] == expected


def test_pre_commit_hooks_have_the_pinned_versions():
    if not (TOP / ".pre-commit-config.yaml").exists():
        pytest.skip("an sdist has no hooks")
    hooks = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text())["repos"]
    revisions = {hook["repo"].rsplit("/", 1)[1].removesuffix("-pre-commit"): hook["rev"] for hook in hooks}
    assert {name: rev for name, rev in revisions.items() if name in PINS} == {
        name: f"v{next(iter(PINS[name].specifier)).version}" for name in ("codespell", "ruff", "zizmor")
    }
