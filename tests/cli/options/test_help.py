"""Every command has help and an example, the page of documentation equals it, and none of it is slow."""

from __future__ import annotations

import json
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run_process, run_python
from xrfm_cli.commands.registry import COMMANDS, application

ROOT = Path(__file__).parents[3]
HEAVY = ("numpy", "pyarrow", "torch", "optuna", "sklearn", "pandas", "scipy", "matplotlib")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_sentence_an_example_and_all_its_options(
    name: str, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm(name, "--help")
    assert outcome.status == 0
    lines = [line.strip() for line in outcome.out.splitlines()]
    assert lines[1].startswith(f"Usage: xrfm {name} [OPTIONS]")
    assert lines[3].endswith((".", ","))
    assert list(COMMANDS[name].examples) == [line for line in lines if line.startswith("xrfm ")]
    for param in application().commands[name].params:
        assert not [flag for flag in param.opts if flag.startswith("--") and f"│ {flag} " not in outcome.out]
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_help_uses_the_width_of_the_terminal(
    xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in (60, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        assert max(map(len, xrfm("fit", "--help").out.splitlines())) == width


@pytest.mark.parametrize("example", [line for command in COMMANDS.values() for line in command.examples])
def test_every_example_is_understood(example: str, xrfm: Callable[..., Any]) -> None:
    words = shlex.split(example.partition(" > ")[0])[1:]
    outcome = xrfm(*words, "--print-config")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith(f"# The options of: xrfm {words[0]}")


def test_the_first_help_lists_the_commands(xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("--help")
    assert outcome.status == 0
    assert xrfm().out == outcome.out
    panel = outcome.out.partition("─ Commands ─")[2].partition("╰")[0]
    assert [
        line[2:].split()[0] for line in panel.splitlines() if line[:2] == "│ " and line[2] != " "
    ] == list(COMMANDS)


def test_version(xrfm: Callable[..., Any]) -> None:
    assert xrfm("--version").out.startswith("xrfm 0.")


def test_documentation_manual_pages_and_completions_are_current() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "generate_cli.py"))["pages"]()
    assert len(made) == 1 + 1 + len(COMMANDS) + 3
    for path, text in made.items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: run python docs/generate_cli.py"


LIGHT = [
    ["--help"],
    *([name, "--help"] for name in COMMANDS),
    ["fit", "--oops"],
    ["fit", "d.csv", "--trials", "many"],
    ["fit", "--print-config"],
    ["predict"],
]


def test_help_and_usage_errors_import_nothing_heavy() -> None:
    """One process runs them all: what any of them imports is there at the end."""
    program = (
        "import json, sys; from xrfm_cli.main import run; [run(words) for words in json.loads(sys.argv[1])]; "
        "sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = run_process([sys.executable, "-c", program, json.dumps(LIGHT)])
    modules = json.loads(done.stderr.splitlines()[-1])
    assert "xrfm_cli.main" in modules
    assert not [name for name in HEAVY if name in modules]


def test_importing_the_package_is_instant() -> None:
    program = (
        "import sys, xrfm_cli; print([name for name in sys.modules if name in ('numpy', 'torch', 'sklearn')])"
    )
    assert run_python(program) == "[]\n"


@pytest.mark.parametrize("name", ["fit", "explain"])
def test_help_is_found_by_every_usual_way(name: str, xrfm: Callable[..., Any]) -> None:
    shown = xrfm(name, "--help").out
    assert xrfm(name, "-h").out == xrfm("help", name).out == shown
    assert xrfm("-h").out == xrfm("help").out == xrfm("--help").out
    assert xrfm("-V").out == xrfm("--version").out


def test_the_short_form_of_quiet(xrfm: Callable[..., Any]) -> None:
    assert xrfm("doctor", "-q").err == ""


@pytest.mark.posix("bash")
def test_a_reader_that_has_seen_enough_of_the_help_is_no_error(shell_environment: dict[str, str]) -> None:
    script = "xrfm fit --help | true; exit ${PIPESTATUS[0]}"
    done = run_process(["bash", "-c", script], environment=shell_environment)
    assert (done.returncode, done.stderr) == (0, "")
