"""The steps of ``action.yml``, run as GitHub runs them but for the installation and the comment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.processes import run_process
from xrfm_cli.datasets import sample_path

ROOT = Path(__file__).parents[3]


@pytest.mark.posix("bash")
@pytest.mark.slow
def test_the_action_fits_evaluates_and_writes_scores(
    tmp_path: Path, shell_environment: dict[str, str]
) -> None:
    lines = sample_path("autos.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "train.csv").write_text("".join(lines[:150]), encoding="utf-8")
    (tmp_path / "test.csv").write_text(lines[0] + "".join(lines[150:]), encoding="utf-8")
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    given = {name: item.get("default", "") for name, item in action["inputs"].items()}
    given |= {"data": "train.csv", "target": "price", "test": "test.csv", "trials": "1", "config": "few.toml"}
    (tmp_path / "few.toml").write_text("[fit]\nfolds = 2\n", encoding="utf-8")
    files = {"GITHUB_OUTPUT": tmp_path / "out", "GITHUB_STEP_SUMMARY": tmp_path / "summary.md"}
    machine = {"GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(tmp_path)}
    machine |= {name: str(path) for name, path in files.items()}
    steps = {step["name"]: step for step in action["runs"]["steps"] if "name" in step}

    def take(name: str, **changed: str) -> int:
        step, inputs = steps[name], given | changed
        words = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")
        typed = {key: words.sub(lambda found: inputs[found[1]], text) for key, text in step["env"].items()}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        environment = shell_environment | machine | typed
        return run_process(command, folder=tmp_path, environment=environment, limit_s=300).returncode

    assert take("Fit") == 0
    assert take("Evaluate") == 0
    assert "report=model.report.html" in files["GITHUB_OUTPUT"].read_text()
    summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
    promised = json.loads((tmp_path / "model.report.json").read_text())["score"]
    assert f"| **this model** | {promised:,.0f} |" in summary
    assert "| rmse | " in summary
    files["GITHUB_STEP_SUMMARY"].unlink()
    assert take("Evaluate", **{"fail-under": "r2=0.9999"}) == 1
    assert "Threshold r2 0.9999: **missed**." in files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
    files["GITHUB_STEP_SUMMARY"].unlink()
    assert take("Evaluate", test="") == 0
    assert "| rmse | " not in files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
