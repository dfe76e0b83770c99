"""What the documents say is true: commands, links, versions, code."""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

COMMANDS = (
    "pip install -c constraints.txt . && xrfm fit datasets/samples/autos.csv --target price",
    "pip install -c constraints.txt -e '.[test]' && pytest",
)


UNPINNED = {"triton"}  # each CUDA build of torch demands a version of its own


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in found}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    listed = [Requirement(text) for text in (*PROJECT["dependencies"], *extras["test"], *extras["dev"])]
    return [requirement for requirement in listed if requirement.name != "xrfm-cli"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands_stand_word_for_word(command: str) -> None:
    assert f"    {command}\n" in README
    assert command in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("name", re.findall(r"`(datasets/[\w/.]+|docs/[\w/.]+|tests/[\w/.]+)`", README))
def test_paths_in_the_readme_exist(name: str) -> None:
    assert (ROOT / name).exists()


def test_python_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    shutil.copytree(ROOT / "datasets" / "samples", tmp_path / "datasets" / "samples")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_options_in_the_readme_exist() -> None:
    from xrfm_cli.commands.registry import KNOWN

    root = (ROOT / "docs" / "cli.md").read_text().partition("## xrfm fit")[0]
    known = set(re.findall(r"^  (--[a-z-]+) ", root, flags=re.MULTILINE))
    known |= {flag for settings in KNOWN.values() for setting in settings.values() for flag in setting.flags}
    prose = re.sub(r"^    pip .*$", "", README, flags=re.MULTILINE)
    for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose):
        assert flag in known, flag


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    pinned = pins()
    assert not UNPINNED & set(pinned)
    for requirement in requirements():
        if requirement.name in UNPINNED:
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} excludes the pinned {version}"
    assert pinned["torch"] == "2.13.0"


def test_pins_are_plain_versions_of_public_packages() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    plain = re.compile(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*")  # no local suffix, no path, no address
    assert all(plain.fullmatch(line) for line in lines if not line.startswith("#"))


def test_every_dependency_has_its_reason() -> None:
    record = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    for text in PROJECT["dependencies"]:
        assert f"| {Requirement(text).name} |" in record
    named = {
        canonicalize_name(name) for name in re.findall(r"^\| ([a-z0-9-]+) \|", record, flags=re.MULTILINE)
    }
    assert named - {"package"} == {
        canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]
    }


def test_the_changelog_has_the_version() -> None:
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()
    assert metadata.version("xrfm-cli") == PROJECT["version"]
