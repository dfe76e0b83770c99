"""``xrfm fit --storage``: two processes tune together, through the real command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_interrupts import start

Command = Callable[..., Any]
FIT = ("fit", "train.csv", "--target", "price", "--trials", "6", "--folds", "2", "--device", "cpu")


@pytest.mark.parametrize("storage", ["sqlite:///tuning.db", "tuning.journal"])
def test_two_processes_tune_together(folder: Path, tmp_path: Path, storage: str) -> None:
    shutil.copy(folder / "train.csv", tmp_path)
    names = ("one", "two")
    fit = (*FIT, "--storage", storage, "--threads", "1")
    with ExitStack() as both:
        fits = [start(tmp_path, *fit, "--model", f"{name}.xrfm") for name in names]
        for process in [both.enter_context(item) for item in fits]:
            _, messages = process.communicate(timeout=120)
            assert process.returncode == 0, messages
            assert "study xrfm-" in messages
    reports = [json.loads((tmp_path / f"{name}.report.json").read_text()) for name in names]
    best = [min(t["score"] for t in report["trials"] if t["state"] == "complete") for report in reports]
    numbers = [{trial["number"] for trial in report["trials"]} for report in reports]
    assert len(numbers[0] | numbers[1]) == 12
    assert max(best) - min(best) < 0.5 * max(best)  # the later one knows what the earlier one has found
    assert (tmp_path / "one.xrfm").exists()


def test_storage_and_resume_exclude_each_other(folder: Path, xrfm: Command) -> None:
    outcome = xrfm(*FIT, "--storage", "tuning.journal", "--resume", folder=folder)
    assert outcome.status == 2
    assert "--storage" in outcome.error


def test_a_bad_storage_is_one_line(folder: Path, xrfm: Command) -> None:
    outcome = xrfm(*FIT, "--storage", "nosuch://host/db", "--model", "bad.xrfm", folder=folder)
    assert outcome.status == 2
    assert outcome.error.startswith("error: --storage nosuch://host/db: cannot be opened")
    assert not (folder / "bad.xrfm").exists()
