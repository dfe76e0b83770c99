"""Files appear whole or not at all; CSV reads back equal; blocks depend on the row number alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfm_cli.commands import outputs
from xrfm_cli.datasets import Table
from xrfm_cli.datasets.errors import OptionError
from xrfm_cli.streaming import in_blocks

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_csv_reads_back_equal(rows: list[tuple[str, str]]) -> None:
    stream = io.BytesIO()
    writer = outputs.CsvWriter(stream)
    writer.write(pa.table({"a": [row[0] for row in rows], 'b,"': [row[1] for row in rows]}))
    found = list(csv.reader(io.StringIO(stream.getvalue().decode(), newline="")))
    assert found == [["a", 'b,"'], *(list(row) for row in rows)]


@given(st.lists(st.floats(), min_size=1, max_size=8))
def test_numbers_read_back_equal(values: list[float]) -> None:
    stream = io.BytesIO()
    outputs.CsvWriter(stream).write(pa.table({"x": pa.array(values, pa.float64())}))
    found = [float(line) for line in stream.getvalue().decode().split()[1:]]
    assert [repr(value) for value in found] == [repr(value) for value in values]


def test_cells_of_other_types() -> None:
    stream = io.BytesIO()
    table = pa.table(
        {
            "n": [1, None],
            "b": [True, False],
            "d": [date(2020, 1, 2), None],
            "c": pa.array(["x", "y"]).dictionary_encode(),
        }
    )
    outputs.CsvWriter(stream).write(table)
    assert stream.getvalue().decode() == "n,b,d,c\n1,True,2020-01-02,x\n,False,,y\n"
    with pytest.raises(OptionError, match=r"write \.parquet"):
        outputs.CsvWriter(io.BytesIO()).write(pa.table({"s": [{"a": 1}]}))


def test_parquet_in_several_blocks(tmp_path: Path) -> None:
    with outputs.open_output(str(tmp_path / "t.parquet")) as writer:
        for number in range(70):
            writer.write(pa.table({"x": [number, number]}))
    assert pq.read_table(tmp_path / "t.parquet").column("x").to_pylist() == [k // 2 for k in range(140)]
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_arrow_in_several_blocks(tmp_path: Path) -> None:
    with outputs.open_output(str(tmp_path / "t.arrow")) as writer:
        for label in ("a", "b"):
            chunks = pa.chunked_array([[label], [label]]).dictionary_encode()
            writer.write(pa.table({"x": [1, 2], "label": chunks}))
    with pa.ipc.open_file(tmp_path / "t.arrow") as file:
        assert file.num_record_batches == 2
        assert file.read_all().to_pydict() == {"x": [1, 2, 1, 2], "label": ["a", "a", "b", "b"]}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.arrow"])
def test_a_failure_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    with suppress(RuntimeError), outputs.open_output(str(tmp_path / name)) as writer:
        writer.write(pa.table({"x": [1]}))
        raise RuntimeError
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 6))
def test_blocks_depend_on_the_row_number_alone(sizes: list[int], rows: int) -> None:
    values = list(range(sum(sizes)))
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    chunks = [
        Table(pa.table({"x": pa.array(values[start : start + size], pa.int64())}))
        for start, size in zip(starts, sizes, strict=True)
    ]
    blocks = [block.column("x").to_pylist() for block in in_blocks(chunks, rows=rows)]
    assert blocks == [values[start : start + rows] for start in range(0, len(values), rows)]


def test_an_internal_fault_is_status_3_and_shows_its_place_only_if_asked(
    xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from xrfm_cli.commands import doctor

    def broken(*_: object) -> int:
        raise RuntimeError("the\nsky fell")

    monkeypatch.setattr(doctor, "run", broken)
    outcome = xrfm("doctor")
    assert outcome.status == 3
    assert outcome.error == "error: internal fault: RuntimeError: the sky fell (--debug shows where)"
    outcome = xrfm("doctor", "--debug")
    assert outcome.status == 3
    assert "Traceback" in outcome.err
