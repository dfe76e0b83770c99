"""The recipes of ``docs/batch.md``, run as they stand there but for the number of trials."""

from __future__ import annotations

import json
import re
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from tests.processes import run_process
from xrfm_cli.datasets import sample_path

PAGE = (Path(__file__).parents[3] / "docs" / "batch.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The one block of a language on the page, with fewer trials and folds: what is tested is the recipe."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return (
        str(found)
        .replace("--trials 20", "--trials 1 --folds 2")
        .replace("trials = 20", "trials = 1\nfolds = 2")
    )


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with cars to train on, to hold out and to predict."""
    cars = pd.read_csv(sample_path("autos.csv")).dropna(subset=["price"]).sample(frac=1.0, random_state=1)
    cars[:110].to_csv(tmp_path / "train.csv", index=False)
    cars[110:150].to_csv(tmp_path / "holdout.csv", index=False)
    cars[150:].drop(columns="price").to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def drifted(path: Path, column: str = "curb-weight") -> None:
    """Make the cars of a table a ton heavier."""
    cars = pd.read_csv(path)
    cars[column] += 2000
    cars.to_csv(path, index=False)


def shell(script: str, folder: Path, environment: dict[str, str]) -> CompletedProcess[str]:
    """Run a script as GitHub runs a step."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return run_process(command, folder=folder, environment=environment, limit_s=300)


@pytest.mark.slow
def test_the_workflow_runs(job: Path, shell_environment: dict[str, str]) -> None:
    workflow = yaml.safe_load(block("yaml"))["jobs"]["model"]
    environment = shell_environment | workflow["env"]
    steps = {step["name"]: step["run"] for step in workflow["steps"] if "run" in step}
    assert "pip install xrfm-cli" in steps.pop("Install")
    for name, script in steps.items():
        done = shell(script, job, environment)
        assert done.returncode == 0, f"{name}: {done.stderr}"
    kept = next(step["with"]["path"] for step in workflow["steps"] if "path" in step.get("with", {}))
    assert all((job / name).exists() for name in kept.split())
    assert json.loads((job / "evaluation.json").read_text())["thresholds"][0]["passed"]
    assert pq.read_metadata(job / "predictions.parquet").num_rows == 51
    log = (job / "xrfm.log").read_text()
    assert all(f" {name}\n" in log for name in ("fit train.csv", "evaluate holdout.csv", "predict new.csv"))
    assert log.count("exit status 0") == len(steps)
    drifted(job / "new.csv")
    (job / "predictions.parquet").unlink()
    assert shell(steps["Predict, and notice drift"], job, environment).returncode == 1
    assert (job / "predictions.parquet").exists()


@pytest.mark.slow
def test_the_makefile_runs(job: Path, shell_environment: dict[str, str]) -> None:
    (job / "Makefile").write_text(block("make"))
    (job / "xrfm.toml").write_text(block("toml"))
    (job / "incoming").mkdir()
    (job / "new.csv").rename(job / "incoming" / "monday.csv")
    first = shell("make nightly", job, shell_environment)
    assert first.returncode == 0, first.stderr
    assert pq.read_metadata(job / "predictions" / "monday.parquet").num_rows == 51
    assert "Nothing to be done" in shell("make nightly", job, shell_environment).stdout
    cars = (job / "incoming" / "monday.csv").read_text()
    (job / "incoming" / "tuesday.csv").write_text(cars)
    drifted(job / "incoming" / "tuesday.csv")
    second = shell("make nightly", job, shell_environment)
    assert second.returncode == 2  # of make: a recipe failed
    assert not (job / "predictions" / "tuesday.parquet").exists()
    assert "exit status 1" in (job / "xrfm.log").read_text()
    before = (job / "model.xrfm").read_bytes()
    refit = shell("make refit", job, shell_environment)
    assert refit.returncode == 0, refit.stderr
    assert (job / "model.xrfm").read_bytes() != before
