"""The commands of docs/transfer.md but for the number of trials, run in an empty folder as a reader would."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.documents.blocks import run_block

PAGE = Path(__file__).parents[3] / "docs" / "transfer.md"


@pytest.mark.posix("bash and awk")
@pytest.mark.slow
def test_the_page_runs_and_the_base_helps(tmp_path: Path, shell_environment: dict[str, str]) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        run_block(re.sub(r"--trials \d+", "--trials 5", block), tmp_path, shell_environment)
    errors = {}
    for model in ("model", "alone"):
        evaluate = f"xrfm evaluate rest.csv --model {model}.xrfm --json --quiet"
        printed = run_block(evaluate, tmp_path, shell_environment)
        errors[model] = json.loads(printed)["metrics"]["rmse"]
    assert errors["model"] < errors["alone"]
