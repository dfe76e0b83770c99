"""Ctrl-C and SIGTERM: the best model so far is saved, or one line says that nothing was."""

from __future__ import annotations

import json
import signal
import time
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

import pytest

from tests.processes import XRFM, started
from xrfm_cli.tuning.model.storage import load_model

ENDLESS = ("--trials", "100000", "--time-limit", "5m")  # the limit, for where nobody is left to end it


def start(folder: Path, *arguments: str) -> AbstractContextManager[Popen[str]]:
    """The command in a process of its own, its messages in a pipe."""
    return started([*XRFM, *arguments], folder=folder, environment={"PYTHONUNBUFFERED": "1"})


def wait_for(process: Popen[str], text: str) -> str:
    """Read messages until one has the text."""
    seen = ""
    assert process.stderr is not None
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(seen)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.posix("signals")
def test_an_interrupt_saves_the_best_so_far(folder: Path, number: signal.Signals) -> None:
    name = f"stopped-{number.name}.xrfm"
    words = ("fit", "train.csv", "--target", "price", *ENDLESS, "--folds", "2", "--model", name)
    with start(folder, *words) as process:
        wait_for(process, "searching")
        time.sleep(2.5)  # a trial on this table takes a few hundredths of a second
        process.send_signal(number)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert "Traceback" not in messages
    assert "best model so far" in messages
    assert load_model(folder / name).report.stopped_by == "interrupt"
    report = json.loads((folder / name).with_suffix(".report.json").read_text())
    assert report["stopped_by"] == "interrupt"


@pytest.mark.slow
@pytest.mark.posix("signals")
def test_an_interrupt_before_any_model_saves_nothing(tmp_path: Path, folder: Path) -> None:
    with start(tmp_path, "fit", str(folder / "train.csv"), "--target", "price") as process:
        wait_for(process, "reading")
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert messages.rstrip().splitlines()[-1].startswith("error: interrupted")
    assert "nothing was saved" in messages
    assert not list(tmp_path.iterdir())
