"""Polluted files are read correctly or refused, never read wrongly: each fault alone and in pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.datasets import faults
from tests.datasets.corpus import Fault, can_render, pairs, polluted, verdict_on
from xrfm_cli.datasets import ReadOptions, read_chunks, read_table
from xrfm_cli.errors import FileReadError

SETTLED = [fault for fault in faults.FAULTS if fault.settle is not None]
EVERY = 41  # pairs between two that are tested here; benchmarks/polluted_files.py reads them all


@pytest.mark.slow
@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.name)
def test_each_fault_alone(fault: Fault, tmp_path: Path) -> None:
    verdict, found = verdict_on(polluted(fault), tmp_path / "data")
    assert verdict == fault.outcome if fault.outcome != "not wrong" else verdict != "wrong", found
    assert "\n" not in found


@pytest.mark.parametrize("fault", SETTLED, ids=lambda fault: fault.name)
def test_the_option_settles_it(fault: Fault, tmp_path: Path) -> None:
    assert verdict_on(polluted(fault), tmp_path / "data", fault.settle) == ("right", "")


def test_faults_of_single_rows_are_never_read_wrong(tmp_path: Path) -> None:
    verdicts = {fault.name: verdict_on(polluted(fault), tmp_path / "data") for fault in faults.row_faults()}
    assert not {name: found for name, found in verdicts.items() if found[0] == "wrong"}
    assert all("line " in found for verdict, found in verdicts.values() if verdict == "refused")


@pytest.mark.slow
def test_pairs_of_faults_are_never_read_wrong(tmp_path: Path) -> None:
    wrong, count = {}, 0
    for one, other in list(pairs(faults.FAULTS))[::EVERY]:
        sheet = polluted(one, other)
        if can_render(sheet):
            verdict, found = verdict_on(sheet, tmp_path / "data")
            count += 1
            if verdict == "wrong" or (verdict == "right" and "refused" in (one.outcome, other.outcome)):
                wrong[f"{one.name}, {other.name}"] = found
    assert not wrong
    assert count > 90


# The files of csv-spectrum in their spirit: what they are named for, with what they hold.
SPECTRUM = {
    "comma_in_quotes": ('a,b\n1,"x, y"\n2,z\n', [("1", "x, y"), ("2", "z")]),
    "empty": ('a,b\n1,""\n2,\n', [("1", ""), ("2", "")]),
    "empty_crlf": ('a,b\r\n1,""\r\n2,\r\n', [("1", ""), ("2", "")]),
    "escaped_quotes": ('a,b\n1,"say ""x"""\n2,z\n', [("1", 'say "x"'), ("2", "z")]),
    "json": (
        'key,val\n1,"{""type"": ""Point"", ""xy"": [1.5, 2]}"\n',
        [("1", '{"type": "Point", "xy": [1.5, 2]}')],
    ),
    "newlines": ('a,b\n1,"x\ny"\n2,z\n', [("1", "x\ny"), ("2", "z")]),
    "newlines_crlf": ('a,b\r\n1,"x\r\ny"\r\n2,z\r\n', [("1", "x\r\ny"), ("2", "z")]),
    "quotes_and_newlines": ('a,b\n1,"x\n""y"" "\n2,z\n', [("1", 'x\n"y" '), ("2", "z")]),
    "simple": ("a,b\n1,x\n", [("1", "x")]),
    "utf8": ("a,b\n1,ʤ\n", [("1", "ʤ")]),
    "quote_inside_a_word": ('a,b\n1,5" pipe\n2,z\n', [("1", '5" pipe'), ("2", "z")]),
    "mixed_line_ends": ("a,b\r\n1,x\n2,y\r\n", [("1", "x"), ("2", "y")]),
    "blank_after_a_quote": ('a,b\n1,"x" \n2,y\n', None),
    "text_after_a_quote": ('a,b\n1,"x"y\n2,z\n', None),
    "quote_not_closed": ('a,b\n1,"x\n2,z\n', None),
    "rows_inside_quotes": ('a,b,c\n1,"x,2\n3,y",4\n5,z,6\n', None),
    "null_byte": ("a,b\n1,x\0\n", None),
}


@pytest.mark.parametrize("name", SPECTRUM)
def test_collections_of_csv_files(name: str, tmp_path: Path) -> None:
    text, rows = SPECTRUM[name]
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    if rows is None:
        with pytest.raises(FileReadError, match=r"line \d|binary"):
            read_table(path)
        return
    table = read_table(path)
    assert [tuple(row.values()) for row in table.data.to_pylist()] == rows


@pytest.mark.parametrize("fault", [*faults.AROUND, *faults.CELLS][::3], ids=lambda fault: fault.name)
def test_chunks_are_the_table(fault: Fault, tmp_path: Path) -> None:
    sheet = polluted(fault)
    options = fault.settle or ReadOptions()
    if verdict_on(sheet, tmp_path / "data", options)[0] == "refused":
        return
    path = tmp_path / f"data{sheet.ending}"
    whole = read_table(path, options)
    rows = [row for chunk in read_chunks(path, options, chunk_rows=3) for row in chunk.data.to_pylist()]
    assert rows == whole.data.to_pylist()


def test_both_readers_give_the_same(tmp_path: Path) -> None:
    """Files by the rules are parsed by Arrow; with rejects allowed, the careful reader parses them too."""
    for fault in (*faults.FILES, *faults.CELLS)[::4]:
        sheet = polluted(fault)
        if verdict_on(sheet, tmp_path / "data")[0] == "right":
            path = tmp_path / f"data{sheet.ending}"
            assert read_table(path, ReadOptions(bad_rows="skip")).data.equals(read_table(path).data)
