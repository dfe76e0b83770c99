"""``--log-file``: every message and the end of the command, with the time of each line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from xrfm_cli.commands import predict


def lines_of(path: Path) -> list[tuple[str, str]]:
    """Level and message of each line, every time read."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"(\S+) (INFO|WARNING|ERROR) (.*)", line)
        assert match, line
        assert datetime.fromisoformat(match[1]).tzinfo is not None
        found.append((match[2], match[3]))
    return found


def test_a_log_holds_what_quiet_silences_and_grows(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    log = tmp_path / "night.log"
    arguments = ("predict", "new.csv", "--model", regression, "--log-file", log, "--quiet")
    outcome = xrfm(*arguments, folder=folder)
    assert (outcome.status, outcome.err) == (0, "")
    first = lines_of(log)
    assert first[0][1].endswith(" predict new.csv")
    assert ("INFO", "predicting new.csv") in first
    assert ("INFO", "missing cells in 1 column: area (294)") in first
    assert first[-1] == ("INFO", "exit status 0")
    loud = xrfm(*arguments[:-1], folder=folder)
    assert lines_of(log)[: len(first)] == first
    said = [message for _, message in lines_of(log)[len(first) :]]
    assert said[1:-1] == loud.err.splitlines()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_ends_the_log_alone(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    wanted, output = tmp_path / "wanted.csv", tmp_path / "out.csv"
    arguments = ("predict", "new.csv", "--model", regression, "--quiet", "--output")
    assert xrfm(*arguments, wanted, folder=folder).status == 0
    (tmp_path / "full.log").symlink_to("/dev/full")
    log = os.path.relpath(tmp_path / "full.log", folder)  # said as it was given
    outcome = xrfm(*arguments, output, "--log-file", log, folder=folder)
    assert outcome.status == 0
    said = f"warning: --log-file {log}: cannot be written (No space left on device); the command continues"
    assert outcome.err == f"{said} without it\n"
    assert output.read_bytes() == wanted.read_bytes()


def test_a_log_tells_what_ended_the_command(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "night.log"
    missed = ("evaluate", "test.csv", "--model", regression, "--fail-under", "r2=0.99999", "--log-file", log)
    assert xrfm(*missed, folder=folder).status == 1
    assert lines_of(log)[-1] == ("INFO", "exit status 1")
    bad = xrfm("predict", "nowhere.csv", "--model", regression, "--log-file", log, folder=folder)
    assert bad.status == 2
    assert lines_of(log)[-1] == ("ERROR", bad.error.removeprefix("error: "))

    def broken(*_: object) -> int:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(predict, "run", broken)
    internal = ("predict", "new.csv", "--model", regression, "--log-file", log)
    assert xrfm(*internal, folder=folder).status == 3
    assert "ERROR internal error: RuntimeError: the sky fell\nTraceback" in log.read_text()


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("doctor", "--log-file", tmp_path / "nowhere" / "x.log")
    assert outcome.status == 2
    assert "cannot be written: No such file or directory; choose another place" in outcome.error


@pytest.mark.parametrize("content", [b"area,price\n1,2\n", b"\x89PNG\r\n", b"2024-05-01 it rained\n" * 9000])
def test_a_file_that_is_no_log_is_refused(
    content: bytes, folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes(content)
    outcome = xrfm("predict", "test.csv", "--model", regression, "--log-file", other, folder=folder)
    assert outcome.status == 2
    assert "is not an xrfm log" in outcome.error
    assert "give the name of a new file" in outcome.error
    assert other.read_bytes() == content


def test_logs_that_are_empty_or_were_cut_go_on(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    log = tmp_path / "x.log"
    for before in ("", "\n", '  File "x.py"\nValueError: x\n2024-05-01T08:00:00+0200 INFO exit status 3\n'):
        log.write_text(before)
        assert xrfm("doctor", "--log-file", log).status == 0
        text = log.read_text()
        assert text.startswith(before)
        assert text.endswith(" INFO exit status 0\n")
