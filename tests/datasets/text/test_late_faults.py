"""Faults after the sniffed part of a file, and anything that a CSV writer may write."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xrfm_cli.datasets import ReadOptions, read_chunks, read_table
from xrfm_cli.errors import FileReadError

N = 12_000
BODY = f"1.5,{'Graz' * 25},7\n" * N  # 1.3 MB, more than is sniffed
PLAIN = "a,t,b\n" + BODY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + '"2,5",Wien,8\n', r"row 12001 \(line 12002\), column 'a': '2,5' does not fit"),
        (PLAIN + "1,2\n" + BODY, r"row 12001 \(line 12002\) has 2 cells"),
        (PLAIN + "a,t,b\n" + BODY, r"line 12002\) repeats the column names"),
        (PLAIN + "# x,1,2\n", r"line 12002\) may be a row or a comment"),
        (PLAIN + "Total,,9\n", r"the last row \(line 12002\) may hold totals"),
        (PLAIN + '3,"x,5\n' + BODY, r"line 12002\): a quote is opened and not closed"),
        (PLAIN + '3,"x"y,5\n' + BODY, r"line 12002\): text follows a closing quote"),
        (PLAIN + '3,"x,5\n3,y,5\n3,z",5\n', r"line 12002\) holds 3 lines between quotes"),
        ("a;t\n" + f"1;{'Graz' * 25}\n" * N + "2.500;x\n", r"row 12001 .* '2.500' may be 2.5 or 2500"),
    ],
)
def test_late_faults_are_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(FileReadError, match=message):
        for _ in read_chunks(path, chunk_rows=5_000):
            pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "rows", "options"),
    [
        (PLAIN + "\nSource: x\n", N, ReadOptions()),
        (PLAIN + "# x,1,2\n" + BODY, 2 * N, ReadOptions(comment="#")),
        (PLAIN + '3,"x,5\n' + BODY, 2 * N, ReadOptions(bad_rows="skip")),
        (PLAIN + "Total,,9\n", N + 1, ReadOptions(skip_footer=0)),
    ],
)
def test_late_faults_that_are_settled(text: str, rows: int, options: ReadOptions, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert read_table(path, options).n_rows == rows


CELLS = st.one_of(
    st.floats(-100, 100).map(lambda value: f"{value:.2f}"),
    st.sampled_from(["red", "green", "blue sky", ""]),
    st.text("ab1,;\"\n'# \\\t|é", max_size=6),
)


@pytest.mark.slow
@settings(max_examples=150, derandomize=True)
@given(
    st.integers(2, 5).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=2, max_size=8)
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@example([["x", "1"], ["#", '"\n"'], ["y", "2"]], ",", "\n", csv.QUOTE_MINIMAL)
def test_what_a_writer_of_csv_writes(rows: list[list[str]], mark: str, line_end: str, quoting: int) -> None:
    """It is read as it was, or refused: a mark that may be a comment is."""
    names = [f"name {sign}" for sign in "abcde"[: len(rows[0])]]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([names, *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(text.getvalue().encode())
        try:
            table = read_table(path)
        except FileReadError:
            return
    assert list(table.column_names) == names
    found = [[cell.strip() for cell in row.values()] for row in table.data.to_pylist()]
    assert found == [[cell.strip() for cell in row] for row in rows]
