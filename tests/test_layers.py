"""The order of the folders, read from the imports themselves; import-linter checks it once more in CI."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import run_python

ROOT = Path(__file__).parents[1]
LAYERS = ("datasets", "leaf_models", "trees", "tuning", "xrfm_cli")
FOREIGN = {  # what a folder has no business with, for all of its modules
    "datasets": {"torch", "optuna", "typer", "rich", "jinja2", "matplotlib"},
    "leaf_models": {"pyarrow", "pandas", "sklearn", "optuna", "typer", "rich", "jinja2", "matplotlib"},
    "trees": {"pyarrow", "pandas", "sklearn", "optuna", "typer", "rich", "jinja2", "matplotlib"},
    "tuning": {"typer", "rich", "jinja2", "matplotlib"},
    "xrfm_cli": {"xrfm"},
}


def modules(folder: str) -> list[Path]:
    # links below xrfm_cli/ lead to the other folders, which are read on their own
    return [
        path for path in sorted((ROOT / folder).rglob("*.py")) if path.resolve().is_relative_to(ROOT / folder)
    ]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", LAYERS)
def test_a_lower_folder_never_imports_a_higher_one(folder: str) -> None:
    above = LAYERS[LAYERS.index(folder) + 1 :]
    lower = {f"xrfm_cli.{name}" for name in LAYERS[: LAYERS.index(folder) + 1]}
    assert modules(folder)
    for path in modules(folder):
        for name in imports(path):
            top = name.split(".")[0]
            assert top not in FOREIGN[folder], f"{path}: imports {name}"
            assert top not in LAYERS or top == "xrfm_cli", f"{path}: imports {name}, not xrfm_cli.{name}"
            if top == "xrfm_cli" and folder != "xrfm_cli":
                part = ".".join(name.split(".")[:2])
                assert part in lower or name == "xrfm_cli", f"{path}: imports {name} from above {above}"


@pytest.mark.parametrize("folder", LAYERS[:-1])
def test_the_links_tie_the_folders_together(folder: str) -> None:
    link = ROOT / "xrfm_cli" / folder
    if link.is_file():
        pytest.skip("this checkout was made without symbolic links")
    assert link.is_symlink()
    assert str(link.readlink()) == f"../{folder}"
    assert link.resolve() == ROOT / folder


def test_tables_are_read_without_torch() -> None:
    code = "import sys, xrfm_cli.datasets; sys.exit('torch' in sys.modules)"
    run_python(code)
