"""Checks of files that only GitHub and Docker run."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = SETTINGS["project"]
GITHUB = [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / "action.yml", ROOT / ".pre-commit-config.yaml"]
TEST_COMMAND = "pip install -c constraints.txt -e '.[test]' && pytest -n 2"


def load(name: str) -> dict[Any, Any]:
    loaded = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def pin(package: str) -> str:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{package}=="))


def pythons() -> set[str]:
    return set(re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"])))


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_every_file_is_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_image_copies_what_the_package_is_built_from() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, flags=re.MULTILINE)
        for name in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name not in ignored
    assert set(SETTINGS["tool"]["setuptools"]["package-dir"].values()) <= copied
    installed = {glob for globs in SETTINGS["tool"]["setuptools"]["data-files"].values() for glob in globs}
    assert {glob.partition("/")[0] for glob in installed} <= copied
    assert {"pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "constraints.txt"} <= copied
    for version in re.findall(r"^FROM python:([\d.]+)-slim", text, flags=re.MULTILINE):
        assert SpecifierSet(PROJECT["requires-python"]).contains(version)
        assert version in pythons()
    assert re.search(r"^USER (?!root)", text, flags=re.MULTILINE)
    assert re.search(r"^WORKDIR /data$", text, flags=re.MULTILINE)


def test_all_versions_of_python_are_tested_on_three_systems_as_the_readme_says() -> None:
    job = load(".github/workflows/tests.yml")["jobs"]["tests"]
    assert set(job["strategy"]["matrix"]["python"]) == pythons()
    assert len(job["strategy"]["matrix"]["os"]) == 3
    assert job["steps"][-1]["run"] == TEST_COMMAND
    assert f"    {TEST_COMMAND}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_versions_are_those_of_the_project() -> None:
    assert "version" not in load("CITATION.cff")  # pyproject.toml alone holds it
    hooks = load(".pre-commit-config.yaml")["repos"]
    assert next(item["rev"] for item in hooks if "ruff" in item["repo"]) == f"v{pin('ruff')}"
    oldest = min(pythons(), key=lambda text: int(text.partition(".")[2]))
    assert SETTINGS["tool"]["cibuildwheel"]["build"] == f"cp{oldest.replace('.', '')}-*"


def test_a_change_of_what_is_compiled_builds_the_wheels() -> None:
    paths = load(".github/workflows/wheels.yml")[True]["pull_request"]["paths"]  # YAML 1.1 reads `on` as true
    (extension,) = SETTINGS["tool"]["setuptools"]["ext-modules"]
    for source in (*extension["sources"], *extension["depends"]):
        assert any(fnmatch(source, pattern) for pattern in paths), source


def test_one_address_everywhere() -> None:
    address = PROJECT["urls"]["Repository"]
    owner = address.removeprefix("https://github.com/").partition("/")[0]
    places = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CITATION.cff", ROOT / "mkdocs.yml", *GITHUB]
    places += [*(ROOT / "docs").rglob("*.md"), ROOT / "pyproject.toml"]
    for path in places:
        for found in re.findall(
            r"([\w-]+)/xrfm-cli(?:@|\.git|/blob|/security|/tree)", path.read_text("utf-8")
        ):
            assert found == owner, path
