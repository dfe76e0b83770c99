"""Data sets of several files, the same for every command that reads a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ONCE = ("--target", "price", "--drop", "sold", "--trials", "0")
# Every way to read a table, and what the data set stands for in it.
READERS = {
    "fit": ("fit", "DATA", *ONCE, "--drop", "q", "--json"),
    "valid": ("fit", "TRAIN", "--valid", "DATA", *ONCE, "--drop", "house", "--json"),
    "dry run": ("fit", "DATA", *ONCE, "--drop", "q", "--dry-run", "--json"),
    "refit": ("fit", "DATA", "--from", "MODEL", "--json"),
    "predict": ("predict", "DATA", "--model", "MODEL", "--output", "out.csv", "--json"),
    "evaluate": ("evaluate", "DATA", "--model", "MODEL", "--json"),
    "explain": ("explain", "DATA", "--model", "MODEL", "--output", "out.csv", "--json", "--rows", "20"),
}


def split(folder: Path, place: Path) -> Path:
    """The test table in two files whose column ``q`` cannot be joined, beside files that are no data."""
    table = pq.read_table(folder / "test.parquet")
    half = table.num_rows // 2
    (place / "data" / "_temporary" / "0").mkdir(parents=True)
    for number, part in enumerate((table.slice(0, half), table.slice(half))):
        ids = pa.array(range(2**60, 2**60 + part.num_rows), pa.int64())
        column = ids if number == 0 else pa.array([0.5] * part.num_rows)
        pq.write_table(part.append_column("q", column), place / "data" / f"part-{number}.parquet")
    pq.write_table(table, place / "data" / "_temporary" / "0" / "part-0.parquet")
    pq.write_table(table.slice(0, 0), place / "data" / "part-2.parquet")
    (place / "data" / "_SUCCESS").touch()
    return place / "data"


def arguments(reader: str, data: Path | str, folder: Path, model: Path) -> list[str]:
    stands_for = {"DATA": str(data), "TRAIN": str(folder / "train.csv"), "MODEL": str(model)}
    return [stands_for.get(item, item) for item in READERS[reader]]


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_every_command_reads_the_rows_once(
    reader: str, folder: Path, regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    model = tmp_path / "price.xrfm"
    model.write_bytes(regression.read_bytes())
    outcome = xrfm(*arguments(reader, split(folder, tmp_path), folder, model), folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert outcome.document["rows"] == (120 if reader == "valid" else 90)
    assert "files without rows left out (1)" in outcome.err
    if "out.csv" in READERS[reader]:
        assert (tmp_path / "out.csv").read_text().count("\n") == 91


@pytest.mark.parametrize("reader", READERS)
def test_every_command_names_the_file_that_lacks_a_column(
    reader: str, folder: Path, regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    data = split(folder, tmp_path)
    pq.write_table(pq.read_table(data / "part-1.parquet").drop_columns(["rooms"]), data / "part-1.parquet")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    outcome = xrfm(*arguments(reader, data, folder, regression), folder=tmp_path)
    assert outcome.status == 2
    assert f"{data}/part-1.parquet: no column 'rooms', which {data}/part-0.parquet has" in outcome.error
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_column_that_cannot_be_joined_stops_who_asks_for_it(
    folder: Path, regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    data = split(folder, tmp_path)
    said = f"{data}/part-0.parquet: column 'q' is int64, but double in {data}/part-1.parquet, and no type"
    for asks in (
        ("predict", data, "--model", regression, "--id", "q"),
        ("explain", data, "--model", regression, "--id", "q", "--rows", "20"),
        ("evaluate", data, "--model", regression, "--by", "q"),
        ("fit", data, *ONCE),
        ("fit", data, "--target", "q", "--trials", "0"),
        ("fit", data, *ONCE, "--numeric", "q"),
    ):
        outcome = xrfm(*asks, folder=tmp_path)
        assert (outcome.status, outcome.out) == (2, "")
        assert said in outcome.error
    assert xrfm("fit", data, *ONCE, "--id", "q", folder=tmp_path).status == 0


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_in_one_are_the_same_to_every_command(
    mark: str, folder: Path, regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    text = (folder / "test.csv").read_text()
    (tmp_path / "data.csv").write_text((mark + text) * 2, encoding="utf-8")
    for reader in READERS:
        outcome = xrfm(*arguments(reader, "data.csv", folder, regression), folder=tmp_path)
        assert outcome.status == 2
        if reader in ("predict", "evaluate", "explain", "refit"):
            assert "row 91 (line 92) repeats the column names" in outcome.error
    outcome = xrfm(
        "evaluate", "data.csv", "--model", regression, "--bad-rows", "skip", "--json", folder=tmp_path
    )
    assert outcome.document["rows"] == 180
    assert outcome.document["repairs"] == [{"column": "", "what": "rejected row", "count": 1}]


PATHS = {
    "fit t.csv --target y": ("--model", "--valid", "--config", "--storage", "--log-file", "--schema"),
    "fit t.csv --trials 0": ("--from", "--target"),
    "fit t.csv --target y --trials 0": (
        *("--drop", "--id", "--categorical", "--numeric", "--datetime", "--weight", "--group", "--time"),
        *("--encoding", "--device", "--positive", "--metric"),
    ),
    "predict t.csv": ("--model", "--output", "--id", "--config", "--log-file"),
    "explain t.csv": ("--model", "--output", "--id"),
    "evaluate t.csv": ("--model", "--by"),
    "info": ("--model",),
    "doctor": ("--config", "--log-file"),
}


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_text_is_refused(text: str, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    for command in ("fit", "predict", "explain", "evaluate"):
        outcome = xrfm(command, text, folder=tmp_path)
        assert outcome.status == 2
        name = "TEST" if command == "evaluate" else "DATA"
        assert (
            outcome.error
            == f"error: {name}: is empty; if it comes from a shell variable, that variable is not set"
        )
    for line, flags in PATHS.items():
        for flag in flags:
            outcome = xrfm(*line.split(), flag, text, folder=tmp_path)
            assert (outcome.status, outcome.out) == (2, "")
            assert (
                outcome.error
                == f"error: {flag}: is empty; if it comes from a shell variable, that variable is not set"
            )
    (tmp_path / "options.toml").write_text(f'model = "{text}"\n')
    outcome = xrfm("info", "--config", "options.toml", folder=tmp_path)
    assert (
        outcome.error
        == "error: options.toml: model: is empty; if it comes from a shell variable, that variable is not set"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["options.toml"]
