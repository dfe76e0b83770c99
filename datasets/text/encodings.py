"""Sniff the encoding of a text file, and convert its bytes to UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import Any

from xrfm_cli.datasets.files.opening import is_stream, open_bytes
from xrfm_cli.errors import FileReadError
from xrfm_cli.mentions import option

SAMPLE_BYTES = 1 << 20
_RAW_BYTES = 1 << 18
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK = codecs.BOM_UTF8
# Concatenated files keep their byte order marks, each at the start of a line.
_INNER_MARK = re.compile(rb"([\r\n])(?:\xef\xbb\xbf)+")
_MISREAD_MARK = re.compile("[\r\n]ï»¿".encode())  # the mark, read as cp1252 or Latin-1
_MAY_BE_MARK = re.compile(rb"[\r\n](?:\xef\xbb\xbf)*(?:\xef\xbb?)?\Z")
_LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")
# Patterns that Western European text (cp1252) never has: three accented letters in a row, an accented capital
# inside or at the end of a word, or a sign inside a word. Text in another 8-bit encoding matches, unless all
# its letters also occur in Western languages: no rule tells a Hungarian 'õ' from a Portuguese one.
_NOT_WESTERN = re.compile(
    r"(?![äöüßÄÖÜ]{3})[À-ÖØ-öø-ÿŠŒŽšœžŸƒ]{3}"
    r"|[A-Za-zà-öø-ÿ][À-ÖØ-ÞŠŒŽŸ][a-zß-öø-ÿ]"
    r"|[A-Za-zÀ-ÿ][¡-¦¨©«-¯±³¶¸¹»-¿‚„†‡‰‹›˜ˆ][A-Za-zÀ-ÿ]"
    r"|[a-zß-öø-ÿ][ŠŒŽŸ](?![A-Za-zÀ-ÿ])"
    r"|£[à-öø-ÿ]"
)


def sniff_encoding(path: Path, head: bytes) -> str:
    """Return the encoding: from a byte order mark, UTF-8 if valid, otherwise Windows' Western European."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    head = head.rstrip(b"\x00")  # zeros at the end are no evidence; decode_head refuses them
    if b"\x00" in head[:4096] or not head:
        for encoding, zeros in (("utf-16-le", head[1:4096:2]), ("utf-16-be", head[0:4096:2])):
            if zeros.count(0) > 0.7 * len(zeros):
                return encoding
        raise _binary(path)
    if head.isascii():
        return "utf-8" if is_stream(path) else _sniff_past_ascii(path)
    if _is_utf8(head, final=len(head) < SAMPLE_BYTES):
        return "utf-8"
    return _western(path, head)


def _sniff_past_ascii(path: Path) -> str:
    """Find the first block that is not plain ASCII, and tell UTF-8 from older encodings by it."""
    with open_bytes(path) as stream:
        while block := stream.read(SAMPLE_BYTES):
            if not block.isascii():
                rest = block + stream.read(8)  # a character may span the end of the block
                return "utf-8" if _is_utf8(rest, final=False) else _western(path, rest)
    return "utf-8"


def _is_utf8(data: bytes, *, final: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError:
        return False
    return True


def _western(path: Path, data: bytes) -> str:
    """Return the encoding of bytes that are not UTF-8; refuse broken UTF-8 and binary data."""
    whole = len(
        re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", data)
    )
    controls = len(re.findall(rb"[\x00-\x08\x0e-\x1b]", data))
    high = sum(1 for byte in data if byte >= 0x80)
    if controls > 0.01 * len(data):
        raise _binary(path)
    if whole and 2 * whole >= 0.5 * high:
        raise undecodable(path, data, "utf-8")
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    odd = _NOT_WESTERN.search(text)
    if odd is None and text:
        return "cp1252"  # also covers Latin-1: they differ only where Latin-1 has no characters
    raise FileReadError(
        f"{path}: is neither UTF-8 nor Western European text"
        + (f" (there it would hold '{odd.group()}')" if odd else "")
        + f"; give {option('encoding')}, such as cp1250, cp1251 or mac_roman"
    )


def _binary(path: Path) -> FileReadError:
    return FileReadError(f"{path}: holds binary data, not text; give a CSV, Parquet or Arrow file")


def undecodable(path: Path, data: bytes, encoding: str, first_line: int = 1) -> FileReadError:
    """Return the error for bytes that are invalid in an encoding, naming the line."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + first_line
        byte = f"byte 0x{data[error.start]:02X}"
        return FileReadError(
            f"{path}: line {line} has {byte}, which is not {encoding}; fix it or give {option('encoding')}, "
            "such as cp1252"
        )
    return FileReadError(f"{path}: is not {encoding}; give {option('encoding')}, such as cp1252")


def zero_bytes(path: Path, data: bytes, first_line: int = 1, *, is_end: bool) -> FileReadError:
    """Return the error for zero bytes, which text never has; at the end of a file the copy broke off."""
    text, _, rest = data.partition(b"\x00")
    line = text.count(b"\n") + first_line
    if is_end and not rest.strip(b"\x00"):
        return FileReadError(
            f"{path}: ends with bytes that are not text (0x00), from line {line} on; copy or download "
            "the file again"
        )
    return FileReadError(f"{path}: line {line} has a byte that is not text (0x00); fix it")


def decode_head(path: Path, head: bytes, encoding: str) -> str:
    """Decode the start of a file; a character cut by the sample is dropped."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        text = decoder.decode(head, len(head) < SAMPLE_BYTES).lstrip("\ufeff")
    except UnicodeDecodeError:
        raise undecodable(path, head, encoding) from None
    is_whole = len(head) < SAMPLE_BYTES
    text = text if is_whole else text.rstrip("\x00")  # more may follow, which decides when it is read
    if "\x00" in text:
        raise zero_bytes(path, text.encode(), is_end=is_whole)
    return re.sub("([\r\n])\ufeff+", r"\1", text)


class Utf8Stream(io.RawIOBase):
    """The bytes of a file as UTF-8, without its first ``skip_lines`` lines and without byte order marks.

    UTF-8 input passes unchanged unless ``is_checked``, since Arrow checks what it parses.
    """

    def __init__(
        self, path: Path, raw: Any, encoding: str, *, skip_lines: int = 0, is_checked: bool = False
    ) -> None:
        self._path, self._raw, self._encoding = path, raw, encoding
        self._decoder = None
        if is_checked or codecs.lookup(encoding).name != "utf-8":
            self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready, self._held, self._lines, self._ended = b"", b"", 1, False
        self._skip(skip_lines)

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return ``size`` bytes of UTF-8, fewer only at the end: Arrow treats it as a whole block."""
        parts, length = [self._ready], len(self._ready)
        while not self._ended and (size < 0 or length < size):
            block = self._next_block()
            parts.append(block)
            length += len(block)
        data = b"".join(parts)
        size = length if size < 0 else size
        data, self._ready = data[:size], data[size:]
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer`` and return the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _skip(self, lines: int) -> None:
        """Skip this many lines, with any line ends."""
        while lines and not (self._ended and not self._ready):
            data = self._ready if self._ended else self._ready + self._next_block()
            ends = [match.end() for match in _LINE_END.finditer(data)][:lines]
            lines -= len(ends)
            self._ready = data[ends[-1] if ends else 0 :]
            if self._ended and lines:
                self._ready, lines = b"", 0

    def _ends_in_zeros(self) -> bool:
        """Return whether only zeros follow; this reads the stream to its end."""
        return not any(block.strip(b"\x00") for block in iter(lambda: self._raw.read(_RAW_BYTES), b""))

    def _next_block(self) -> bytes:
        block: bytes = self._raw.read(_RAW_BYTES)
        self._ended = not block
        is_first = self._lines == 1
        try:
            data = (
                block if self._decoder is None else self._decoder.decode(block, self._ended).encode("utf-8")
            )
        except UnicodeDecodeError:
            raise undecodable(self._path, block, self._encoding, self._lines) from None
        if b"\x00" in data:
            raise zero_bytes(self._path, data, self._lines, is_end=self._ends_in_zeros())
        if is_first:
            data = data.removeprefix(_MARK)
        self._refuse_other_mark(data)
        self._lines += data.count(b"\n")
        return self._without_marks(data)

    def _without_marks(self, data: bytes) -> bytes:
        """Remove the marks; a tail that may begin a mark is held back until more bytes arrive."""
        data, self._held = self._held + data, b""
        if not self._ended and (match := _MAY_BE_MARK.search(data[-16:])):
            self._held = match.group()
            data = data[: -len(self._held)]
        return _INNER_MARK.sub(rb"\1", data) if _MARK in data else data

    def _refuse_other_mark(self, data: bytes) -> None:
        """Raise `FileReadError` if a UTF-8 file was appended to a file in another encoding."""
        match = _MISREAD_MARK.search(data)
        if match is not None:
            line = self._lines + data.count(b"\n", 0, match.end())
            raise FileReadError(
                f"{self._path}: line {line} begins with the byte order mark of UTF-8, but the lines before "
                f"are {self._encoding}; convert both parts to one encoding before joining them"
            )
