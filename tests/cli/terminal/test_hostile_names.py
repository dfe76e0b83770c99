"""Names, levels and cells that could control a terminal: every command shows them by their codes."""

from __future__ import annotations

import csv
import html
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command, Outcome
from xrfm_cli.printable import printable

ESCAPES = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07t",
    "csi": "\x9b2Jc",
    "bidi": "\u202etxt.\u2066x\u2069",
    "backspace": "a\x08\x7fb",
    "markup": "[bold red]m[/] :boom:",
    "tag": "<script>alert(1)</script>",
    "quote": "\"'><svg onload=alert(1)>--></style>",
    "line": "one\nerror: two\r\x1b[1Kthree",
    "separator": "p\u2028q\x85r",
}
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
ROWS = 60


def hostile_table(path: Path, rows: int, *, target: str = "y\x1b[32m\u202e") -> Path:
    """Hostile names over numbers, hostile levels, and hostile classes."""
    values = list(ESCAPES.values())
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow([*values, "level", target])
        for row in range(rows):
            cells = [(row * (7 + place)) % 17 for place in range(len(values))]
            out.writerow([*cells, values[row % 3], ["no\x1b[5m", "yes\u202e"][cells[0] > 8]])
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, xrfm: Command) -> Path:
    """A folder with a hostile table and the model of it."""
    folder = tmp_path_factory.mktemp("hostile")
    table = hostile_table(folder / "data.csv", ROWS)
    outcome = xrfm("fit", table.name, "--target", "y\x1b[32m\u202e", *TINY, folder=folder)
    assert outcome.status == 0, outcome.err
    check(outcome)
    assert printable(ESCAPES["colour"]) in outcome.out.replace("\n", "")
    return folder


def check(outcome: Outcome) -> None:
    """No character that steers a terminal, and no status but done, missed and refused."""
    assert outcome.status in (0, 1, 2), outcome.err
    for text in (outcome.out, outcome.err):
        found = FORBIDDEN.search(text)
        assert found is None, (found, text[max(0, found.start() - 60) : found.end() + 20])


COMMANDS = {
    "info": ("info",),
    "predict": ("predict", "data.csv", "--output", "out.csv", "--check-drift", "0.1"),
    "evaluate": ("evaluate", "data.csv", "--by", "level"),
    "explain": ("explain", "data.csv", "--output", "parts.csv", "--rows", "20"),
    "dry run": ("fit", "data.csv", "--target", "y\x1b[32m\u202e", "--dry-run"),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("mode", ["text", "json"])
def test_no_command_lets_names_steer_the_terminal(
    command: str, mode: str, hostile: Path, xrfm: Command
) -> None:
    outcome = xrfm(*COMMANDS[command], *(["--json"] if mode == "json" else []), folder=hostile)
    assert outcome.status in (0, 1), outcome.err
    check(outcome)
    if mode == "json" and command in ("info", "dry run"):
        names = [column["name"] for column in outcome.document["columns"]]
        assert set(ESCAPES.values()) <= set(names)  # whole, as data


def test_markup_in_names_is_text(hostile: Path, xrfm: Command) -> None:
    shown = " ".join(xrfm("info", folder=hostile).out.split())
    assert "[bold red]m[/] :boom:" in shown


def test_csv_keeps_names_as_data(hostile: Path, xrfm: Command) -> None:
    assert xrfm("explain", "data.csv", "--output", "kept.csv", "--rows", "20", folder=hostile).status == 0
    with (hostile / "kept.csv").open(newline="") as stream:
        assert set(ESCAPES.values()) <= set(next(csv.reader(stream)))


def test_pages_escape_every_name(hostile: Path, xrfm: Command) -> None:
    assert xrfm("explain", "--rows", "20", folder=hostile).status == 0
    for page in ("model.report.html", "model.explain.html"):
        text = (hostile / page).read_text()
        assert len(re.findall("<script", text)) <= 1  # the page's own
        assert "<script>alert" not in text
        assert "onload=alert(1)>" not in re.sub(r'"[^"]*"', "", text)
        assert "<svg onload" not in text
        assert html.escape("<script>alert(1)</script>") in text
        found = FORBIDDEN.search(text)
        assert found is None, (found, text[max(0, found.start() - 60) : found.end() + 20])


ERRORS = {
    "a needed column": lambda folder: ("predict", "other.csv"),
    "an unknown target": lambda folder: ("fit", "data.csv", "--target", "y\x1b[31m\u202e?"),
    "a constant target": lambda folder: ("fit", "constant.csv", "--target", "y\x1b[32m"),
    "an unknown class": lambda folder: ("evaluate", "classes.csv"),
    "a file of that name": lambda folder: ("predict", "no\x1b[31m\nerror: such\x9b.csv"),
    "an option of that name": lambda folder: ("predict", "data.csv", "--no\x1b[31m"),
    "a command of that name": lambda folder: ("pre\x1b[31mdict",),
    "a model of that name": lambda folder: ("info", "--model", "m\x1b[31m\u202e.xrfm"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_no_error_lets_names_steer_the_terminal(name: str, hostile: Path, xrfm: Command) -> None:
    (hostile / "other.csv").write_text("a\x1b[31m,level\n1,2\n3,4\n5,6\n")
    (hostile / "constant.csv").write_text("a\x1b[31m,y\x1b[32m\n1,x\x9b\n3,x\x9b\n5,x\x9b\n")
    text = (hostile / "data.csv").read_bytes().decode()
    (hostile / "classes.csv").write_bytes(text.replace("yes\u202e", "per\x1b[31mhaps").encode())
    outcome = xrfm(*ERRORS[name](hostile), folder=hostile)
    assert outcome.status == 2
    assert FORBIDDEN.search(outcome.error) is None
    check(outcome)


def test_a_log_file_holds_no_escapes(hostile: Path, xrfm: Command) -> None:
    xrfm("predict", "data.csv", "--output", "out.csv", "--log-file", "log.txt", folder=hostile)
    xrfm("predict", "no\x1b[31m.csv", "--log-file", "log.txt", folder=hostile)
    text = (hostile / "log.txt").read_text()
    assert "no\\x1b[31m.csv" in text
    assert FORBIDDEN.search(text) is None


def test_a_file_whose_name_steers_is_fitted_and_named_by_its_codes(hostile: Path, xrfm: Command) -> None:
    name = "d\x1b[31m\u202e.csv"
    shutil.copy(hostile / "data.csv", hostile / name)
    outcome = xrfm("predict", name, "--output", "o\x1b[31m.csv", folder=hostile)
    assert outcome.status == 0
    check(outcome)
    assert (hostile / "o\x1b[31m.csv").exists()
