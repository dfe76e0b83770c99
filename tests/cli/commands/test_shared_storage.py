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
FIT = ("fit", "train.csv", "--target", "price", "--trials", "3", "--folds", "2", "--device", "cpu")


@pytest.mark.slow
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
    assert len(numbers[0] | numbers[1]) == 6
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


@pytest.mark.slow
def test_a_journal_and_a_lock_that_a_killed_fit_left(folder: Path, tmp_path: Path, xrfm: Command) -> None:
    shutil.copy(folder / "train.csv", tmp_path)
    fit = (*FIT[:4], "--trials", "1", "--folds", "2", "--device", "cpu", "--storage", "tuning.journal")
    assert xrfm(*fit, folder=tmp_path).status == 0
    journal = tmp_path / "tuning.journal"
    journal.write_bytes(journal.read_bytes()[:-20])
    for name in ("first.xrfm", "second.xrfm"):
        outcome = xrfm(*fit, "--model", name, folder=tmp_path)
        assert outcome.status == 0, outcome.err
        report = json.loads((tmp_path / name).with_suffix(".report.json").read_text())
        told = [item["message"] for item in report["fallbacks"] if "unfinished" in item["message"]]
        assert len(told) == (name == "first.xrfm")
        assert ("its last line was unfinished" in outcome.err) == (name == "first.xrfm")
    before = journal.read_bytes()
    (tmp_path / "tuning.journal.lock").write_text("12 elsewhere/ token")
    outcome = xrfm(*fit, "--time-limit", "10", "--model", "third.xrfm", folder=tmp_path)
    assert outcome.status == 2
    assert "tuning.journal.lock is held by process 12 of elsewhere" in outcome.error
    assert journal.read_bytes() == before
