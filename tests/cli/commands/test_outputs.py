"""Files appear whole or not at all; CSV reads back equal; blocks depend on the row number alone."""

from __future__ import annotations

import csv
import io
import itertools
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfm_cli.commands.common import outputs
from xrfm_cli.datasets import Table
from xrfm_cli.errors import OptionError
from xrfm_cli.streaming import ahead, in_blocks

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)


@pytest.mark.slow
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
    assert outcome.error == "error: internal error: RuntimeError: the sky fell (--debug shows where)"
    outcome = xrfm("doctor", "--debug")
    assert outcome.status == 3
    assert "Traceback" in outcome.err


def test_items_are_taken_while_the_caller_works_on_one() -> None:
    taken = threading.Event()

    def numbers() -> Generator[int, None, None]:
        yield 0
        taken.set()
        yield 1

    items = ahead(numbers())
    assert next(items) == 0
    assert taken.wait(10)  # though nobody has asked for the next one yet
    assert list(items) == [1]


def test_a_fault_comes_in_its_place() -> None:
    def numbers() -> Generator[int, None, None]:
        yield from range(5)
        raise OptionError("the sixth")

    items = ahead(numbers())
    assert list(itertools.islice(items, 5)) == list(range(5))
    with pytest.raises(OptionError, match="the sixth"):
        next(items)


@pytest.mark.parametrize("used", [0, 1, 3])
def test_a_reader_that_is_not_wanted_any_more_is_closed(used: int) -> None:
    closed = threading.Event()

    def numbers() -> Generator[int, None, None]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    items = ahead(numbers())
    assert [next(items) for _ in range(used)] == list(range(used))
    items.close()
    assert closed.is_set() or not used  # what never began has nothing to close
    assert not any(thread.name == "reading ahead" for thread in threading.enumerate())


class NotingWriter:
    """A writer that records what it writes, until it fails."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.written: list[int] = []
        self._fails_at = fails_at

    def write(self, block: pa.Table) -> None:
        if len(self.written) == self._fails_at:
            raise OptionError("the disk is full")
        self.written += block.column("x").to_pylist()


def test_blocks_are_written_in_order_and_all_of_them() -> None:
    writer = NotingWriter()
    with outputs.WriterBehind(writer) as behind:
        for number in range(50):
            behind.write(pa.table({"x": [number]}))
    assert writer.written == list(range(50))


@pytest.mark.parametrize("fails_at", [0, 1, 3])
def test_what_goes_wrong_in_the_thread_is_raised(fails_at: int) -> None:
    writer = NotingWriter(fails_at)

    def write_four() -> None:
        with outputs.WriterBehind(writer) as behind:
            for number in range(4):
                behind.write(pa.table({"x": [number]}))

    with pytest.raises(OptionError, match="full"):
        write_four()
    assert writer.written == list(range(fails_at))
