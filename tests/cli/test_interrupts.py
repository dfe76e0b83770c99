"""Ctrl-C and SIGTERM: the best model so far is saved, or one line says that nothing was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xrfm_cli.tuning.storage import load_model


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own, its messages in a pipe."""
    command = [sys.executable, "-m", "xrfm_cli", *arguments]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read messages until one has the text."""
    seen = ""
    assert process.stderr is not None
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(seen)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_the_best_so_far(folder: Path, number: signal.Signals) -> None:
    name = f"stopped-{number.name}.xrfm"
    process = start(
        folder, "fit", "train.csv", "--target", "price", "--trials", "100000", "--folds", "2", "--model", name
    )
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


def test_an_interrupt_before_any_model_saves_nothing(tmp_path: Path, folder: Path) -> None:
    process = start(tmp_path, "fit", str(folder / "train.csv"), "--target", "price")
    wait_for(process, "reading")
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert messages.rstrip().splitlines()[-1].startswith("error: interrupted")
    assert "nothing was saved" in messages
    assert not list(tmp_path.iterdir())
