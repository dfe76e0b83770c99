"""The order of the folders, read from the imports themselves; import-linter checks it once more in CI."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import run_python

ROOT = Path(__file__).parents[1]
# Modules of the package itself that stand below all folders.
BOTTOM = {
    f"xrfm_cli.{name}"
    for name in (
        *("clock", "errors", "events", "files", "lazy", "mentions", "printable", "remote", "repairs", "urls"),
        "windows_names",
    )
}
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
                assert part in lower | BOTTOM or name == "xrfm_cli", (
                    f"{path}: imports {name} from above {above}"
                )


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


def test_the_modules_below_all_folders_import_none_of_them() -> None:
    for module in sorted(BOTTOM):
        path = ROOT / f"{module.replace('.', '/')}.py"
        for name in imports(path):
            assert name.split(".")[0] not in FOREIGN["datasets"], f"{path}: imports {name}"
            if name.startswith("xrfm_cli."):
                assert ".".join(name.split(".")[:2]) in BOTTOM, f"{path}: imports {name}"


def test_no_module_imports_itself_through_others() -> None:
    graph = {module_name(path): set[str]() for folder in LAYERS for path in modules(folder)}
    for folder in LAYERS:
        for path in modules(folder):
            found = {name if name in graph else package for package, name in top_level_imports(path)}
            graph[module_name(path)] = found & set(graph)
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"a cycle of imports: {' -> '.join((*above, module))}"
        if module not in done:
            for name in sorted(graph[module]):
                visit(name, (*above, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def module_name(path: Path) -> str:
    """The name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "xrfm_cli" else ("xrfm_cli", *parts)
    return ".".join(parts).removesuffix(".__init__")


def top_level_imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a file imports when it is imported itself: a package or module, and the full name from it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", f"{node.module}.{alias.name}") for alias in node.names)
