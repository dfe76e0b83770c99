"""What is built from the repository: every folder, with or without links, under one name."""

from __future__ import annotations

import shutil
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.processes import run_process, run_python

ROOT = Path(__file__).parents[1]
PARTS = ("datasets", "leaf_models", "trees", "tuning", "xrfm_cli")
FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt")
JUNK = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "*.so")


BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, f"build_{sys.argv[1]}")("dist"))
"""


def build(kind: str, tree: Path) -> Path:
    return tree / "dist" / run_python(BUILD, kind, folder=tree, limit_s=600).split()[-1]


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    return {name.partition(".data/data/")[2] or name for name in names}  # installed beside the command


def copy_sources(copy: Path) -> Path:
    """Copy the sources, links as links, to where a build may leave its traces; loops are not optimised."""
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    for name in (*PARTS, "share"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=JUNK)
    settings = (copy / "pyproject.toml").read_text(encoding="utf-8")
    assert '"-O3"' in settings  # takes half a minute, and changes no file's name
    (copy / "pyproject.toml").write_text(settings.replace('"-O3"', '"-O0"'), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, links as links."""
    return copy_sources(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def tree_without_links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as Git for Windows and GitHub's ZIP files hold them: each link is a text file."""
    copy = copy_sources(tmp_path_factory.mktemp("text"))
    for name in PARTS[:-1]:
        link = copy / "xrfm_cli" / name
        link.unlink()
        link.write_text(f"../{name}", encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    return build("wheel", tree)


@pytest.fixture(scope="module")
def source_archive(tree: Path, wheel: Path) -> Path:
    return build("sdist", tree)


@pytest.mark.slow
def test_the_wheel_holds_every_file_under_one_name(tree: Path, wheel: Path) -> None:
    expected = set()
    for name in PARTS:
        for path in (tree / name).rglob("*"):
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
                below = path.relative_to(tree).as_posix()
                expected.add(below if name == "xrfm_cli" else f"xrfm_cli/{below}")
    expected = {name for name in expected if not name.endswith((".c", ".h"))}  # travel compiled
    shared = {path.relative_to(tree).as_posix() for path in (tree / "share").rglob("*") if path.is_file()}
    assert "share/man/man1/xrfm-fit.1" in shared
    expected |= shared
    found = contents(wheel) - {"xrfm_cli/leaf_models/compiled/_coordinates.abi3.so"}
    assert {name for name in found if not name.startswith("xrfm_cli/")} == shared
    assert expected - found == set()
    assert found - expected == set()
    assert "xrfm_cli/datasets/samples/autos.csv" in found
    assert "xrfm_cli/schemas/fit.schema.json" in found
    assert "xrfm_cli/py.typed" in found


@pytest.mark.slow
def test_one_wheel_serves_every_python(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name


def test_the_package_list_names_every_folder() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = set()
    for part in PARTS:
        for path in (ROOT / part).rglob("__init__.py"):
            if path.resolve() == ROOT.resolve() / path.relative_to(ROOT):  # not below a link
                names = path.parent.relative_to(ROOT).parts
                folders.add(".".join(names if part == "xrfm_cli" else ("xrfm_cli", *names)))
    assert set(settings["packages"]) == folders
    assert settings["package-dir"] == {f"xrfm_cli.{part}": part for part in PARTS[:-1]} | {
        "xrfm_cli": "xrfm_cli"
    }


@pytest.mark.slow
def test_a_checkout_without_links_builds_the_same_wheel(tree_without_links: Path, wheel: Path) -> None:
    assert contents(build("wheel", tree_without_links)) == contents(wheel)


def test_a_missing_folder_fails_the_build(tmp_path: Path) -> None:
    tree = copy_sources(tmp_path)
    shutil.rmtree(tree / "trees")
    done = run_process([sys.executable, "-c", BUILD, "wheel"], folder=tree, limit_s=600)
    assert done.returncode != 0
    assert "'trees' does not exist" in done.stderr


@pytest.mark.slow
def test_the_wheel_takes_no_top_level_name_but_its_own(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = next(name for name in archive.namelist() if name.endswith("top_level.txt"))
        assert archive.read(top).decode().split() == ["xrfm_cli"]
        entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "xrfm = xrfm_cli.main:main" in archive.read(entry).decode()
        for name in ("LICENSE", "datasets/samples/README.md"):
            assert any(item.endswith(f"licenses/{name}") for item in archive.namelist())


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(source_archive: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(source_archive) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path, filter="data")
    assert not any(part in name.split("/") for name in names for part in ("tests", ".ci", "__pycache__"))
    (unpacked,) = tmp_path.iterdir()
    assert contents(build("wheel", unpacked)) == contents(wheel)


@pytest.mark.slow
def test_the_wheel_works_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "import importlib.util, xrfm_cli.datasets, xrfm_cli.trees; "
        "from xrfm_cli.datasets import sample_path; "
        "assert xrfm_cli.trees.__file__.startswith(sys.argv[1]); "
        "print(sample_path('autos.csv'))"
    )
    sample = Path(run_python(code, tmp_path / "site", folder=tmp_path).strip())
    assert sample.is_file()
    assert sample.is_relative_to(tmp_path)
