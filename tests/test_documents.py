"""Check the documents: commands, links, versions, code."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = re.escape(PROJECT["urls"]["Repository"].removeprefix("https://github.com/"))
OWN_FILE = re.compile(
    rf"https://(?:github\.com/{REPOSITORY}/(?:blob|tree)|raw\.githubusercontent\.com/{REPOSITORY})/main/"
)
SITE = re.escape(PROJECT["urls"]["Documentation"])
MOST_LINES = 150  # of README
MOST_COLUMNS = 120  # of README: a browser's code block, or half a wide screen
OTHERS = re.compile(
    r"^(?: {4})?(?:uv|uvx|pipx|pip|docker) .*$", flags=re.MULTILINE
)  # commands of other programs

COMMANDS = (
    "pip install -c constraints.txt . && xrfm fit datasets/samples/autos.csv --target price",
    "pip install -c constraints.txt -e '.[test]' && pytest -n 2",
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
        if OWN_FILE.match(target):
            assert (ROOT / OWN_FILE.sub("", target)).exists(), target
        elif page := re.fullmatch(rf"{SITE}(.+)/", target):
            assert (ROOT / "docs" / f"{page.group(1)}.md").exists(), target
        elif not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


def test_the_readme_is_short_and_its_links_work_on_pypi() -> None:
    assert len(README.splitlines()) <= MOST_LINES
    assert max(map(len, README.splitlines())) <= MOST_COLUMNS
    assert all(target.startswith("https://") for target in re.findall(r"\]\(([^)]+)\)", README))


def test_the_site_has_every_page() -> None:
    def pages(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        return [page for item in (part.values() if isinstance(part, dict) else part) for page in pages(item)]

    named = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(named) == sorted(
        path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_python_in_the_documents_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:  # the later ones go on from the first
        exec(compile(block, name, "exec"), names)


def test_options_in_the_readme_exist() -> None:
    from xrfm_cli.commands.registry import application

    root = application()
    known = {
        flag for command in (root, *root.commands.values()) for item in command.params for flag in item.opts
    }
    prose = OTHERS.sub("", README)
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
