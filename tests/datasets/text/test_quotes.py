"""Quotes out of place: refused or rejected by line, unless the whole file writes them so."""

from __future__ import annotations

from pathlib import Path

import pytest

from xrfm_cli.datasets import ReadOptions, read_chunks, read_table
from xrfm_cli.errors import FileReadError

QUOTED = "size,what,y\n" + "".join(f'{i},"table, {i}",{i % 4}\n' for i in range(30))
PLAIN = "size,what,y\n" + "".join(f"{i},table,{i % 4}\n" for i in range(30))


@pytest.mark.parametrize("before", [QUOTED, PLAIN], ids=["others are quoted", "none is quoted"])
@pytest.mark.parametrize(
    "row", ['7.5"Dining table, round",x', '7.5 "Dining table, round",x', '7.5"say ""hi, you""",2']
)
def test_a_missing_delimiter_before_a_quoted_cell_is_refused(before: str, row: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(before + row + "\n")
    with pytest.raises(FileReadError, match=r"row 31 \(line 32\): a cell has a quote inside its text"):
        read_table(path)
    skipped = read_table(path, ReadOptions(bad_rows="skip"))
    assert skipped.n_rows == 30
    assert [(repair.what, repair.count) for repair in skipped.repairs] == [("rejected row", 1)]
    assert row.replace('"', '""') in (tmp_path / "data.rejects.csv").read_text()


@pytest.mark.parametrize(
    ("quote", "escape", "quoted", "row"),
    [("'", None, "'a, b'", "7'c, d',2"), ('"', "\\", '"a \\"b\\", c"', '7"d \\"e\\", f",2')],
)
def test_in_other_styles(quote: str, escape: str | None, quoted: str, row: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("size,what,y\n" + f"1,{quoted},3\n" * 9 + row + "\n")
    with pytest.raises(FileReadError, match=r"\(line 11\): a cell has a quote inside its text"):
        read_table(path)


def test_a_missing_delimiter_in_the_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(QUOTED.replace("size,what,y", 'size"what, if",y'))
    with pytest.raises(FileReadError, match=r"the header \(line 1\): a cell has a quote inside"):
        read_table(path)


@pytest.mark.slow
def test_a_late_one_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("size,what,y\n" + "1,table,2\n" * 130_000 + '7"a, b",2\n')
    with pytest.raises(FileReadError, match=r"\(line 130002\): a cell has a quote inside its text"):
        for _ in read_chunks(path, chunk_rows=50_000):
            pass


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ('5" pipe,6",1\n' * 9, ['5" pipe', '6"', "1"]),  # inches, all alone
        ('"5"" pipe",6",1\n' + '7" tube,8",2\n' * 9, ['5" pipe', '6"', "1"]),  # inches beside quoted cells
        ('so "called" x,y,1\n' * 9, ['so "called" x', "y", "1"]),
        ('x"5,5"y",1\n' * 9, ['x"5', '5"y"', "1"]),  # all rows so, no cell between quotes
    ],
)
def test_quotes_that_belong_to_the_text(rows: str, first: list[str], tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("size,what,y\n" + rows)
    assert list(read_table(path).data.to_pylist()[0].values()) == first


@pytest.mark.parametrize(("quote", "cell"), [("", '7"a'), ('"', '7"a')])
def test_the_option_settles_it(quote: str, cell: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(PLAIN + '7"a, b",2\n')
    assert read_table(path, ReadOptions(quote=quote)).data.to_pylist()[-1]["size"] == cell


@pytest.mark.parametrize("names", ["a,b,y", '"a,b,y"', '"a,""b"",y"'])
def test_whole_lines_between_quotes_are_refused(names: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(names + "\n" + "".join(f'"{n},x,{n % 3}"\n' for n in range(9)))
    with pytest.raises(FileReadError, match="whole lines are between quotes"):
        read_table(path)
    path.write_text('name\n"Smith, John"\n"Doe, Jane"\n"Roe, Jim"\n')
    assert read_table(path).data.to_pylist()[1] == {"name": "Doe, Jane"}
