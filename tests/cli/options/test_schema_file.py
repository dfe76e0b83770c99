"""``xrfm fit --schema``: columns are written to a file, edited there and read back."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TINY
from xrfm_cli.tuning.model.storage import load_model

Command = Callable[..., Any]
ROWS = [
    f"{k},{'Graz' if k % 3 else 'Linz'},{k % 7},{k % 28 + 1:02d}.11.2024,{k * 1.5 + k % 7}" for k in range(60)
]
FIT = ("fit", "t.csv", *TINY, "--schema", "columns.toml")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a table of a number, a category, a code and a date."""
    text = "\n".join(["size,town,code,day,rent", *ROWS]) + "\n"
    (tmp_path / "t.csv").write_text(text)
    return tmp_path


def written(place: Path, xrfm: Command) -> str:
    """The schema file that a dry run writes."""
    outcome = xrfm(*FIT, "--target", "rent", "--dry-run", "--date-order", "dmy", folder=place)
    assert outcome.status == 0, outcome.err
    assert "columns.toml: written with the inferred columns" in outcome.err
    return (place / "columns.toml").read_text()


def edited(place: Path, xrfm: Command, old: str, new: str) -> None:
    """The schema file with a change."""
    text = written(place, xrfm)
    assert text.count(old) == 1, text
    (place / "columns.toml").write_text(text.replace(old, new))


def columns_of(place: Path) -> dict[str, tuple[str, str]]:
    """Kind and role of each column of the model."""
    schema = load_model(place / "model.xrfm").schema
    return {column.name: (column.kind, column.role) for column in schema.columns}


def test_what_was_inferred_is_written_and_read_back(place: Path, xrfm: Command) -> None:
    document = tomllib.loads(written(place, xrfm))
    assert list(document["columns"]) == ["size", "town", "code", "day", "rent"]
    assert document["columns"]["day"] == {
        "kind": "datetime",
        "role": "feature",
        "datetime_format": "day first",
    }
    assert document["columns"]["rent"]["role"] == "target"
    outcome = xrfm(*FIT, folder=place)  # neither the target nor the order of dates is said again
    assert outcome.status == 0, outcome.err
    by_file = load_model(place / "model.xrfm")
    outcome = xrfm("fit", "t.csv", *TINY, "--target", "rent", "--date-order", "dmy", folder=place)
    assert outcome.status == 0, outcome.err
    inferred = load_model(place / "model.xrfm")
    assert by_file.report.score == inferred.report.score


def test_an_edited_file_decides(place: Path, xrfm: Command) -> None:
    text = written(place, xrfm)
    lines = text.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith('[columns."code"]'))
    lines[at + 1] = 'kind = "categorical"'
    at = next(k for k, line in enumerate(lines) if line.startswith('[columns."day"]'))
    lines[at + 2] = 'role = "dropped"'
    (place / "columns.toml").write_text("\n".join(lines))
    outcome = xrfm(*FIT, "--verbose", folder=place)
    assert outcome.status == 0, outcome.err
    columns = columns_of(place)
    assert columns["code"] == ("categorical", "feature")
    assert columns["day"][1] == "dropped"
    assert "columns.toml" in outcome.err + outcome.out


def test_options_win_over_the_file(place: Path, xrfm: Command) -> None:
    written(place, xrfm)
    outcome = xrfm(*FIT, "--categorical", "code", "--drop", "day", folder=place)
    assert outcome.status == 0, outcome.err
    assert columns_of(place)["code"] == ("categorical", "feature")
    assert columns_of(place)["day"][1] == "dropped"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '[columns."size"]',
            '[columns."sizes"]',
            "no column 'sizes', which columns.toml has. Did you mean 'size'?",
        ),
        ('kind = "categorical"', 'kind = "numeric"', "row 1, column 'town': 'Linz' is not a number"),
        (
            'kind = "categorical"',
            'kind = "boolean"',
            "column 'town' does not have two values that mean no and yes",
        ),
        ('kind = "categorical"', 'kind = "category"', "column 'town': kind is one of numeric, boolean"),
        ('kind = "categorical"\n', "", "column 'town' has no kind"),
        ('kind = "categorical"', 'kind = "identifier"', 'a model cannot use kind "identifier"'),
        ('role = "target"', 'role = "feature"', "--target is missing, and columns.toml has no target"),
        ('kind = "categorical"', 'levels = "3"', "column 'town' has no kind"),
        ('kind = "categorical"', 'kind = "categorical"\nrank = "3"', "column 'town': no 'rank'"),
        ('datetime_format = "day first"', 'datetime_format = "month first"', "is not a date"),
        ('[columns."town"]', '[column."town"]', "has 'column'"),
        ('[columns."town"]', "[columns.", "is not TOML"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    old: str, new: str, words: str, place: Path, xrfm: Command
) -> None:
    edited(place, xrfm, old, new)
    outcome = xrfm(*FIT, folder=place)
    assert outcome.status == 2
    assert words in outcome.error
    assert not (place / "model.xrfm").exists()


def test_a_column_that_the_file_does_not_know_is_refused(place: Path, xrfm: Command) -> None:
    written(place, xrfm)
    lines = (place / "t.csv").read_text().splitlines()
    (place / "t.csv").write_text(
        "\n".join([f"{line},{k}" if k else line + ",new" for k, line in enumerate(lines)])
    )
    outcome = xrfm(*FIT, folder=place)
    assert outcome.status == 2
    assert "column 'new' is not in columns.toml" in outcome.error


def test_two_targets_are_refused(place: Path, xrfm: Command) -> None:
    written(place, xrfm)
    outcome = xrfm(*FIT, "--target", "size", folder=place)
    assert outcome.status == 2
    assert "'size' and 'rent' are both the target" in outcome.error


def test_a_file_of_another_encoding_is_refused(place: Path, xrfm: Command) -> None:
    (place / "columns.toml").write_bytes(b'[columns."gr\xf6\xdfe"]')
    outcome = xrfm(*FIT, folder=place)
    assert outcome.status == 2
    assert "is not UTF-8" in outcome.error
