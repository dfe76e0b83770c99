"""Zero bytes, which an interrupted copy leaves at the end of a file, are neither text nor rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from xrfm_cli.datasets import ReadOptions, read_table
from xrfm_cli.datasets.text.encodings import SAMPLE_BYTES
from xrfm_cli.errors import FileReadError

ROWS = [f"{number},{number * 2 % 7},é" for number in range(60)]


def table(encoding: str, *, is_long: bool, is_cut: bool) -> tuple[str, int]:
    """A text and its number of lines; a long one is longer than what is looked at before it is read."""
    lines = ["a,b,c", *ROWS * (SAMPLE_BYTES // 300 if is_long else 1)]
    return "\n".join(lines) + ("" if is_cut else "\n"), len(lines) + (not is_cut)


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize("zeros", [1, 900, 600_000])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-8-sig"])
def test_at_the_end_of_a_file(encoding: str, zeros: int, is_cut: bool, is_long: bool, tmp_path: Path) -> None:
    text, line = table(encoding, is_long=is_long, is_cut=is_cut)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding) + bytes(2 * zeros))
    with pytest.raises(FileReadError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path}: ends with bytes that are not text (0x00), from line {line} on; copy or download the "
        "file again"
    )


@pytest.mark.parametrize("options", [ReadOptions(), ReadOptions(encoding="utf-8")])
@pytest.mark.parametrize("is_long", [False, True])
def test_inside_a_file(is_long: bool, options: ReadOptions, tmp_path: Path) -> None:
    text, line = table("utf-8", is_long=is_long, is_cut=False)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(f"{text}1,\0,é\n{ROWS[0]}\n".encode()))
    if not is_long and options.encoding is None:
        line = 0  # a sample with zero bytes may be anything but text
    with pytest.raises(
        FileReadError, match=rf"line {line} has a byte that is not text" if line else "binary"
    ):
        read_table(path, options)


def test_a_file_of_zeros_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(bytes(5000))
    with pytest.raises(FileReadError, match="holds binary data"):
        read_table(tmp_path / "t.csv")
