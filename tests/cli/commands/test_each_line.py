"""``predict - --each-line`` answers a line while standard input is open, as ``predict`` answers tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.processes import PIPE, started

ROWS = ["1.0,a", "2.5,b", "-1,a", ",b"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lines")
    lines = [f"{k / 10},{'ab'[k % 2]},{k / 10 + k % 2}" for k in range(60)]
    (place / "t.csv").write_text("\n".join(["x,kind,y", *lines]) + "\n", encoding="utf-8")
    (place / "new.csv").write_text("\n".join(["x,kind", *ROWS]) + "\n", encoding="utf-8")
    return place


@pytest.mark.slow
def test_each_line_is_answered_before_the_next_is_written(folder: Path, xrfm: Command) -> None:
    assert xrfm("fit", "t.csv", "--target", "y", "--trials", "0", folder=folder).status == 0
    whole = xrfm("predict", "new.csv", "--id", "x", folder=folder).out.splitlines()
    command = [sys.executable, "-m", "xrfm_cli", "predict", "-", "--each-line", "--id", "x"]
    with started(command, folder=folder, stdin=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = []
        for line in ["x,kind", *ROWS, "1,2,3", '"1', "2.5,b"]:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            found.append(process.stdout.readline().rstrip("\n"))
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest == ""
    assert found[:-3] == whole
    assert found[-3:] == ["", "", whole[2]]
    assert "line 6 has 3 cells, but the header has 2" in errors
    assert "line 7 is not a line of CSV" in errors
    assert "5 lines answered, 2 refused" in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("new.csv --each-line", "--each-line: reads standard input; write - in place of new.csv"),
        ("- --each-line --output p.csv", "--each-line: --output is for whole tables; leave it out"),
        ("- --each-line --check-drift 0.2", "--each-line: --check-drift is for whole tables"),
    ],
)
def test_options_of_whole_tables_are_refused(folder: Path, xrfm: Command, words: str, message: str) -> None:
    done = xrfm("predict", *words.split(), folder=folder)
    assert done.status == 2
    assert message in done.err
