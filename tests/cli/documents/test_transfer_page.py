"""The commands of docs/transfer.md, run in an empty folder as a reader would."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.processes import run_process

PAGE = Path(__file__).parents[3] / "docs" / "transfer.md"


@pytest.mark.posix("bash and awk")
@pytest.mark.slow
def test_the_page_runs_and_the_base_helps(tmp_path: Path, shell_environment: dict[str, str]) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        _run(block, tmp_path, shell_environment)
    errors = {}
    for model in ("model", "alone"):
        printed = _run(
            f"xrfm evaluate rest.csv --model {model}.xrfm --json --quiet", tmp_path, shell_environment
        )
        errors[model] = json.loads(printed)["metrics"]["rmse"]
    assert errors["model"] < errors["alone"]


def _run(script: str, folder: Path, environment: dict[str, str]) -> str:
    done = run_process(
        ["bash", "-eo", "pipefail", "-c", script], folder=folder, environment=environment, limit_s=300
    )
    assert done.returncode == 0, f"{script}: {done.stderr}"
    return str(done.stdout)
