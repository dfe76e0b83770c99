"""Shell blocks of the documents, run in an empty folder as a reader would."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cli.conftest import run_here
from tests.processes import run_process

SHELL = re.compile(r"^(?!xrfm )|[|<>&;$`*?~#\\]")  # another program, or what a shell interprets


def run_shell(script: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a script by bash, as GitHub runs a step, and return what it prints."""
    command = ["bash", "-eo", "pipefail", "-c", script]
    done = run_process(command, folder=folder, environment=environment, limit_s=300)
    assert done.returncode == 0, f"{script}: {done.stderr}"
    return str(done.stdout)


def run_block(script: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a script and return what it prints.

    Lines that are a command of ours and no more run in this process, which has imported its libraries.
    """
    printed: list[str] = []
    others: list[str] = []
    for line in [*script.splitlines(), ""]:
        if line and SHELL.search(line):
            others.append(line)
            continue
        if others:
            printed.append(run_shell("\n".join(others), folder, environment))
            others = []
        if line:
            outcome = run_here(*shlex.split(line)[1:], folder=folder)
            assert outcome.status == 0, f"{line}: {outcome.err}"
            printed.append(outcome.out)
    return "".join(printed)
