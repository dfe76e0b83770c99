"""Commands give the same result for the same table in every file format, or refuse it by name."""

from __future__ import annotations

import datetime as dt
import io
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Command, Outcome
from tests.datasets.carriers import unreadable_arrays

ROWS = 64
START = dt.datetime(2024, 5, 1, 8, 30)
IDS = [uuid.UUID(int=place * 2**100 + 7) for place in range(ROWS)]
SPELLINGS = ("pandas", "polars", "Spark")
FIT = ("--target", "y", "--trials", "0", "--device", "cpu", "--quiet")


def uuids() -> pa.Array:
    """Identifiers, as text where Arrow is too old to have a type for them."""
    make = getattr(pa, "uuid", None)
    if make is None:
        return pa.array([str(item) for item in IDS])
    return pa.array([item.bytes for item in IDS], make())


def typed_table() -> pa.Table:
    """A column of most of the types that can be read."""
    place = np.arange(ROWS)
    numbers = [float(value) for value in place % 7]
    return pa.table(
        {
            "delay": pa.array([dt.timedelta(hours=int(row % 9) - 3) for row in place], pa.duration("ns")),
            "clock": pa.array([dt.time(int(row % 24), 30) for row in place], pa.time64("us")),
            "stamp": pa.array(
                [START + dt.timedelta(hours=int(row) * 7) for row in place], pa.timestamp("ms", "UTC")
            ),
            "amount": pa.array([Decimal(int(row) % 11) / 4 for row in place], pa.decimal128(9, 2)),
            "scale": pa.array([10.0 ** (5 - int(row) % 9) for row in place]),
            "flag": pa.array([bool(row % 3) for row in place]),
            "word": pa.array([("a", "None", "c")[row % 3] for row in place]).dictionary_encode(),
            "number": pa.array([2**53 + int(row) for row in place], pa.uint64()),
            "id": uuids(),
            "y": pa.array([value + row % 3 for value, row in zip(numbers, place, strict=True)]),
        }
    )


def write_csv(path: Path, program: str) -> None:
    """The table as a program spells it."""
    rows = ["delay,clock,stamp,amount,scale,flag,word,number,id,y"]
    for row in range(ROWS):
        hours, moment = row % 9 - 3, START + dt.timedelta(hours=row * 7)
        days, rest = divmod(hours, 24)
        power = 5 - row % 9
        amount, word = Decimal(row % 11) / 4, ("a", "None", "c")[row % 3]
        cells = {
            "pandas": [
                f"{days} days {'+' * (days < 0)}{rest:02}:00:00", f"{row % 24:02}:30:00", f"{moment}+00:00",
                f"{amount:.2f}", repr(10.0**power), str(bool(row % 3)),
            ],
            "polars": [
                f"{'-' * (hours < 0)}PT{abs(hours)}H", f"{row % 24:02}:30:00.000000000",
                f"{moment:%FT%T.%f}+0000", f"{amount:.2f}", f"1e{power}", str(bool(row % 3)).lower(),
            ],
            "Spark": [
                f"INTERVAL '{'-' * (hours < 0)}0 {abs(hours):02}:00:00' DAY TO SECOND",
                f"{row % 24:02}:30:00", f"{moment:%FT%T}.000Z", f"{amount.normalize():f}",
                f"1.0E{power}", str(bool(row % 3)).lower(),
            ],
        }[program]  # fmt: skip
        rows.append(",".join([*cells, word, str(2**53 + row), str(IDS[row]), f"{row % 7 + row % 3}.0"]))
    path.write_text("\n".join(rows) + "\n")


def write_arrow(path: Path, data: pa.Table, *, stream: bool) -> None:
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(path, data.schema) as writer:
        writer.write_table(data, max_chunksize=17)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, xrfm: Command) -> Path:
    """The table in every carrier, a model of Parquet and a model of CSV."""
    folder = tmp_path_factory.mktemp("carriers")
    pq.write_table(typed_table(), folder / "t.parquet")
    write_arrow(folder / "file.arrow", typed_table(), stream=False)
    write_arrow(folder / "stream.arrow", typed_table(), stream=True)
    for program in SPELLINGS:
        write_csv(folder / f"{program}.csv", program)
    for data, model in (("t.parquet", "parquet.xrfm"), ("pandas.csv", "csv.xrfm")):
        options = ("--valid", "polars.csv", "--categorical", "scale", "--numeric", "number")
        outcome = xrfm("fit", data, *FIT, *options, "--model", model, folder=folder)
        assert outcome.status == 0, outcome.err
    return folder


@pytest.fixture(scope="module")
def wanted(place: Path, xrfm: Command) -> tuple[str, list[dict[str, object]]]:
    """The predictions and the scores of groups, of the model of Parquet and the table in Parquet."""
    model = ("t.parquet", "--model", "parquet.xrfm")
    groups = xrfm("evaluate", *model, *GROUPS, "--json", "--quiet", folder=place).document["groups"]
    predictions = xrfm("predict", *model, *PASSED, folder=place).out
    assert predictions.splitlines()[1].startswith(f"{IDS[0]},{2**53},")
    return predictions, groups


PASSED = ("--id", "id", "--id", "number")
NAMES = ("delay", "clock", "stamp", "scale", "flag", "word", "number", "id")
GROUPS = tuple(part for name in NAMES for part in ("--by", name))
CARRIERS = ("t.parquet", "file.arrow", "stream.arrow", *(f"{program}.csv" for program in SPELLINGS))


@pytest.mark.slow
def test_kinds_are_the_same(place: Path, xrfm: Command) -> None:
    plans = [
        xrfm("fit", data, *FIT, "--dry-run", "--json", folder=place).document["columns"] for data in CARRIERS
    ]
    assert [column["kind"] for column in plans[0]] == [
        "numeric", "datetime", "datetime", "numeric", "numeric", "boolean", "categorical", "numeric",
        "identifier", "numeric",
    ]  # fmt: skip
    assert all(plan == plans[0] for plan in plans)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["parquet.xrfm", "csv.xrfm"])
@pytest.mark.parametrize("data", CARRIERS)
def test_predictions_and_scores_are_the_same(
    place: Path,
    xrfm: Command,
    data: str,
    model: str,
    wanted: tuple[str, list[dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictions, groups = wanted
    arguments = ("--model", model, *PASSED)
    found = xrfm("predict", data, *arguments, folder=place)
    assert (found.out, found.status) == (predictions, 0)
    assert "repaired" not in found.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((place / data).read_bytes())))
    # a stream that is redirected counts as a new one
    assert xrfm("predict", "-", *arguments, folder=place).out == predictions
    scores = xrfm("evaluate", data, "--model", model, *GROUPS, "--json", "--quiet", folder=place)
    assert scores.document["groups"] == groups


def assert_refused(outcome: Outcome, column: str) -> None:
    assert outcome.status == 2
    assert f"'{column}' holds " in outcome.error
    assert outcome.out == ""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), list(enumerate(unreadable_arrays())))
def test_what_cannot_be_read_is_refused_by_name(
    place: Path, tmp_path: Path, xrfm: Command, name: str, number: int
) -> None:
    table, is_stream = typed_table(), bool(number % 2)
    odd = pa.chunked_array([unreadable_arrays()[name]] * (ROWS // 2))
    path, model = tmp_path / "t.arrow", ("--model", place / "parquet.xrfm", "--quiet")
    write_arrow(path, table.append_column("odd", odd), stream=is_stream)
    assert_refused(xrfm("fit", path, *FIT, "--dry-run"), "odd")
    assert xrfm("fit", path, *FIT, "--dry-run", "--drop", "odd").status == 0
    assert_refused(xrfm("predict", path, *model, "--id", "odd"), "odd")
    assert_refused(xrfm("evaluate", path, *model, "--by", "odd"), "odd")
    written = xrfm("predict", path, *model, "--id", "odd", "--output", tmp_path / "p.parquet")
    if written.status != 0:  # unions and intervals
        assert_refused(written, "odd")
    column = ("delay", "stamp", "scale", "word", "y")[number % 5]
    write_arrow(path, table.set_column(table.column_names.index(column), column, odd), stream=is_stream)
    assert_refused(xrfm("evaluate", path, *model), column)
