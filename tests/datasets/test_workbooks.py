"""Cells of an Excel sheet mean what they mean in a CSV file."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from xrfm_cli.datasets import ReadOptions, SchemaOverrides, infer_schema, read_chunks, read_table
from xrfm_cli.errors import XRFMError
from xrfm_cli.mentions import spell

pytest.importorskip("python_calamine", reason="the extra [excel] is not installed")
openpyxl = pytest.importorskip("openpyxl")

NAMES = ["id", "size", "day", "moment", "sold", "code", "took", "rate"]
ROWS: list[list[Any]] = [
    [
        123456789012345,
        0.1,
        dt.date(2024, 1, 2),
        dt.datetime(2024, 1, 2, 3, 4, 5),
        True,
        "007",
        dt.timedelta(hours=30),
        2,
    ],
    [
        2,
        1e300,
        dt.date(2024, 1, 3),
        dt.datetime(2024, 1, 2, 3, 4, 6),
        False,
        'a,b "c"\nd',
        dt.timedelta(0),
        2.5,
    ],
    [-3, None, None, dt.datetime(2024, 1, 2, 3, 4, 7), None, None, None, -1],
]
CSV = """id,size,day,moment,sold,code,took,rate
123456789012345,0.1,2024-01-02,2024-01-02 03:04:05,True,007,1 days 06:00:00,2
2,1e+300,2024-01-03,2024-01-02 03:04:06,False,"a,b ""c""
d",0 days 00:00:00,2.5
-3,,,2024-01-02 03:04:07,,,,-1
"""


def write(path: Path, *sheets: tuple[str, Sequence[Sequence[Any]]]) -> Path:
    """Write a workbook."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_sheet_reads_as_the_same_csv(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV)
    from_csv = read_table(tmp_path / "t.csv")
    table = read_table(write(tmp_path / "t.xlsx", ("Data", [NAMES, *ROWS])))
    assert table.data.to_pydict() == from_csv.data.to_pydict()
    kinds = [
        [column.kind for column in infer_schema(item, SchemaOverrides()).columns]
        for item in (table, from_csv)
    ]
    assert kinds[0] == kinds[1]
    assert table.notes == (f"{tmp_path / 't.xlsx'}: sheet 'Data'",)
    pieces = list(read_chunks(tmp_path / "t.xlsx", chunk_rows=2))
    assert [piece.n_rows for piece in pieces] == [2, 1]


def test_titles_above_the_table_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "t.xlsx", ("Data", [["Sales of 2024"], [], NAMES, *ROWS]))
    table = read_table(path)
    assert table.column_names == tuple(NAMES)
    assert table.n_rows == len(ROWS)


@pytest.mark.parametrize("sheet", ["Second", "2"])
def test_a_sheet_by_name_or_number(sheet: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.xlsx", ("First", [["a", "b"], [1, 2]]), ("Second", [["c", "d"], [3, 4]]))
    assert read_table(path).column_names == ("a", "b")
    table = read_table(path, ReadOptions(sheet=sheet))
    assert table.column_names == ("c", "d")
    assert "not First, which --sheet chooses" in spell(table.notes[0])


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ("second", "no sheet 'second'; there are First, Second. Did you mean 'Second'?"),
        ("Second", "is empty"),
    ],
)
def test_sheets_that_cannot_be_read(sheet: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.xlsx", ("First", [["a"], [1]]), ("Second", []))
    with pytest.raises(XRFMError) as fault:
        read_table(path, ReadOptions(sheet=sheet))
    assert message in str(fault.value)


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04" + bytes(64))
    with pytest.raises(XRFMError, match=r"t\.xlsx: cannot be read as a workbook"):
        read_table(tmp_path / "t.xlsx")


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.xlsx", ("Data", [["a"], [1]]))
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(XRFMError, match=r"pip install 'xrfm-cli\[excel\]'"):
        read_table(path)


def test_predictions_of_a_sheet_equal_those_of_the_csv(tmp_path: Path) -> None:
    from tests.cli.conftest import run_here as xrfm

    rows = [[k % 17, "ab"[k % 2], k % 17 * 2 + k % 3] for k in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *(",".join(map(str, row)) for row in rows)]) + "\n")
    write(tmp_path / "t.xlsx", ("Data", [["a", "b", "y"], *rows]))
    for name in ("csv", "xlsx"):
        fit = ("fit", f"t.{name}", "--target", "y", "--trials", "0", "--model", f"{name}.xrfm")
        assert xrfm(*fit, folder=tmp_path).status == 0
    assert (tmp_path / "csv.xrfm").read_bytes() == (tmp_path / "xlsx.xrfm").read_bytes()
    found = [
        xrfm("predict", f"t.{name}", "--model", "csv.xrfm", folder=tmp_path).out for name in ("csv", "xlsx")
    ]
    assert found[0] == found[1]
