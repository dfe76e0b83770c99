"""Inputs of real users: pipes, files of other people's scripts, rows that do not fit."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import XRFM, run_process

DIRTY = (
    "Report of the year\r\n\r\narea;rooms;town\r\n"
    + "".join(f"{40 + n},5;{n % 4 + 1};Graz\r\n" for n in range(12))
    + "71,5;2\r\n72,5;3;Wien;more\r\n73,5;1;Linz\r\n\r\nSource: the office\r\n"
)


def piped(data: bytes, *arguments: object, folder: Path) -> tuple[int, bytes, str]:
    """Run the command in a process of its own with ``data`` on its standard input."""
    done = run_process([*XRFM, *arguments], folder=folder, data=data, text=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
def test_standard_input_predicts_as_the_file(
    form: str, folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    data = (folder / ("new.parquet" if form == "parquet" else "new.csv")).read_bytes()
    expected = xrfm("predict", "new.csv", "--model", regression, folder=folder)
    status, out, err = piped(
        gzip.compress(data) if form == "csv.gz" else data,
        *("predict", "-", "--model", regression, "--chunk-rows", "100"),
        folder=folder,
    )
    assert status == 0, err
    assert out.decode() == expected.out


@pytest.mark.slow
def test_standard_input_fits_and_evaluates(folder: Path, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    data = (folder / "train.csv").read_bytes()
    arguments = ("--target", "price", "--drop", "sold", "--trials", "0", "--folds", "2", "--json")
    status, out, err = piped(data, "fit", "-", *arguments, folder=tmp_path)
    assert status == 0, err
    assert json.loads(out)["rows"] == 120
    status, out, err = piped(data, "evaluate", "-", "--json", folder=tmp_path)
    assert status == 0, err
    assert json.loads(out)["rows"] == 120


@pytest.mark.slow
def test_an_empty_standard_input_is_refused(tmp_path: Path, regression: Path) -> None:
    status, out, err = piped(b"", "predict", "-", "--model", regression, folder=tmp_path)
    assert (status, out) == (2, b"")
    assert "error: -: the file is empty" in err


def test_standard_input_is_read_by_one_only(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("fit", "-", "--valid", "-", "--target", "y", folder=tmp_path)
    assert outcome.status == 2
    assert "--valid -: DATA already uses standard input" in outcome.error


def test_a_row_that_does_not_fit_stops(tmp_path: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    (tmp_path / "new.csv").write_bytes(DIRTY.encode())
    arguments = ("--model", regression, "--output", "out.csv")
    outcome = xrfm("predict", "new.csv", *arguments, folder=tmp_path)
    assert outcome.status == 2
    assert "new.csv: row 13 (line 16) has 2 cells, but there are 3 columns" in outcome.error
    assert "--bad-rows skip" in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_rows_that_do_not_fit_are_rejected_and_counted(
    tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "new.csv").write_bytes(DIRTY.encode())
    arguments = ("--model", regression, "--output", "out.csv", "--bad-rows", "skip", "--json")
    outcome = xrfm("predict", "new.csv", *arguments, folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert outcome.document["rows"] == 13
    assert {"column": "", "what": "rejected row", "count": 2} in outcome.document["repairs"]
    assert {"column": "", "what": "line under the table", "count": 1} in outcome.document["repairs"]
    assert "new.csv: rows rejected, written to new.rejects.csv (2)" in outcome.err
    assert "decimal mark ',', 2 lines before the table left out" in outcome.err
    with (tmp_path / "new.rejects.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["line", "reason", "text"],
        ["16", "has 2 cells, but there are 3 columns (delimiter ';')", "71,5;2"],
        ["17", "has 4 cells, but there are 3 columns (delimiter ';')", "72,5;3;Wien;more"],
    ]
    small = xrfm("predict", "new.csv", *arguments[:-1], "--chunk-rows", "1", folder=tmp_path)
    assert small.status == 0
    assert (tmp_path / "out.csv").read_text().count("\n") == 14


def test_rejected_rows_are_in_the_report(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    rows = "".join(f"{n},{n % 5},{n * 2.5}\n" for n in range(30))
    (tmp_path / "data.csv").write_text("a,b,y\n" + rows + "1,2\n" + rows)
    arguments = ("--target", "y", "--trials", "0", "--bad-rows", "skip")
    outcome = xrfm("fit", "data.csv", *arguments, folder=tmp_path)
    assert outcome.status == 0, outcome.err
    report = json.loads((tmp_path / "model.report.json").read_text())
    assert report["rows"] == 60
    assert {"column": "", "what": "rejected row", "count": 1} in report["repairs"]


@pytest.mark.parametrize(
    ("content", "message", "way_out"),
    [
        ("a;y\n1,250;1\n2,500;2\n3,125;4\n", "line 2 has '1,250', which may be 1.25 or 1250", "--decimal ,"),
        (
            "a,y\n02/03/2024,1\n01/05/2024,2\n",
            "column 'a' has '02/03/2024', which may be",
            "--date-order dmy",
        ),
        ("5.5,1\n6.5,2\n7.5,4\n", "line 1 may be data, not a header", "--header-rows 0"),
        ("a,y\nkg,m\n1,2\n3,4\n6,8\n", "line 2 may be column names or units", "--header-rows 2"),
        ("a,y\n1,2\n3,4\nTotal,6\n", "the last row (line 4) may hold totals", "--skip-footer 1"),
        ("k;v;w\n1;2;3\n\na;y\n1;2\n5;3\n6;4\n7;9\n", "line 1 has 3 cells, most have 2", "--skip-rows 3"),
        ("#1,2\n#3,4\n5,6\n7,8\n9,1\n2,2\n", "may be a row or a comment", "--comment none"),
    ],
)
def test_what_has_two_meanings_is_refused_with_the_option_that_settles_it(
    content: str, message: str, way_out: str, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "data.csv").write_text(content)
    target = "column 2" if way_out == "--header-rows 0" else "m y" if way_out == "--header-rows 2" else "y"
    target = "y m" if way_out == "--header-rows 2" else target
    outcome = xrfm("fit", "data.csv", "--target", target, "--dry-run", folder=tmp_path)
    assert outcome.status == 2
    assert message in outcome.error
    assert way_out.split()[0] in outcome.error
    if way_out == "--comment none":
        way_out += " --header-rows 0"
        target = "column 2"
    settled = xrfm("fit", "data.csv", "--target", target, "--dry-run", *way_out.split(), folder=tmp_path)
    assert settled.status == 0, settled.err


@pytest.mark.parametrize(
    ("content", "mended"),
    [
        ("a,b,y\n1,5,2,\n2,4,4,\n3,3,6,\n", "a,b,y,\n1,5,2,\n2,4,4,\n3,3,6,\n"),
        ("a,b,y\nr1,1,5,2\nr2,2,4,4\nr3,3,3,6\n", "row,a,b,y\nr1,1,5,2\nr2,2,4,4\nr3,3,3,6\n"),
    ],
    ids=["a delimiter ends the rows", "row names of R"],
)
def test_a_name_that_is_missing_is_asked_for(
    content: str, mended: str, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "data.csv").write_text(content)
    outcome = xrfm("fit", "data.csv", "--target", "y", "--dry-run", folder=tmp_path)
    assert outcome.status == 2
    assert "line 1 has 3 cells, most have 4" in outcome.error
    assert "add the missing name" in outcome.error
    (tmp_path / "data.csv").write_text(mended)
    assert xrfm("fit", "data.csv", "--target", "y", "--dry-run", folder=tmp_path).status == 0


def test_a_unit_is_left_out_and_another_one_counted(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    (tmp_path / "data.csv").write_text("w,y\n" + "".join(f"{n}.5 kg,${n * 3}\n" for n in range(30)))
    outcome = xrfm("fit", "data.csv", "--target", "y", "--trials", "0", folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert "the unit '$' is left out" in " ".join(outcome.out.split())
    (tmp_path / "new.csv").write_text("w\n3.5 kg\n7 lb\n")
    outcome = xrfm("predict", "new.csv", "--output", "out.csv", "--json", folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert outcome.document["repairs"] == [{"column": "w", "what": "unreadable number", "count": 1}]
