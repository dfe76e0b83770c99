"""Open files as streams of decompressed bytes; refuse files of the wrong format with one line."""

from __future__ import annotations

import io
import lzma
import mmap
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from xrfm_cli.datasets.files.streams import is_stream, open_stream
from xrfm_cli.datasets.files.workbooks import is_workbook, read_sheet
from xrfm_cli.errors import EmptyFileError, FileReadError, why_absent

__all__ = [
    "ARROW_ENDINGS",
    "ARROW_MAGIC",
    "PARQUET_ENDINGS",
    "PARQUET_MAGIC",
    "is_arrow",
    "is_stream",
    "map_bytes",
    "open_bytes",
    "refuse_other_formats",
    "seekable_path",
    "split_compression",
]

COPIED_BYTES = 1 << 20  # at a time
_CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
_CODEC_MAGIC = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
}
_ENDINGS = {codec: ending for ending, codec in _CODECS.items()}
PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
ARROW_ENDINGS = (".arrow", ".feather", ".ipc")
PARQUET_MAGIC = b"PAR1"
ARROW_MAGIC = (b"ARROW1", b"\xff\xff\xff\xff")  # of the file format and of the stream format
# First bytes of files that users pass by mistake, with their description and the fix.
_OTHER_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (PARQUET_MAGIC, "a Parquet file", "rename it to end in .parquet"),
    (ARROW_MAGIC[0], "an Arrow file", "rename it to end in .arrow"),
    (ARROW_MAGIC[1], "an Arrow stream", "rename it to end in .arrow"),
    (b"\x89PNG", "a PNG picture", "give a CSV, Parquet or Arrow file"),
    (b"\xff\xd8\xff", "a JPEG picture", "give a CSV, Parquet or Arrow file"),
    (b"GIF8", "a GIF picture", "give a CSV, Parquet or Arrow file"),
    (b"%PDF", "a PDF document", "give a CSV, Parquet or Arrow file"),
    (
        b"PK\x03\x04",
        "a ZIP archive or an Excel workbook",
        "unpack it, or rename it to end in .xlsx",
    ),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "rename it to end in .xls"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\x89HDF", "an HDF5 file", "export the table as Parquet"),
    (b"\x7fELF", "a program", "give a CSV, Parquet or Arrow file"),
    (b"\x80\x04\x95", "a pickle", "save the table as Parquet"),
    (b"\x1f\x8b", "gzip-compressed", "rename it to end in .gz"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "rename it to end in .zst"),
    (b"\xfd7zXZ\x00", "xz-compressed", "rename it to end in .xz"),
)
_MARKUP = (b"<!doctype html", b"<html", b"<?xml")


def split_compression(path: Path) -> tuple[str | None, str]:
    """Return the codec given by a file extension, and the extension before it.

    >>> split_compression(Path("data.csv.gz")), split_compression(Path("data.parquet"))
    (('gzip', '.csv'), (None, '.parquet'))
    """
    codec = _CODECS.get(path.suffix.lower())
    inner = Path(path.stem).suffix if codec else path.suffix
    return codec, inner.lower()


def is_arrow(path: Path) -> bool:
    """Return whether a file is Parquet or Arrow, by its extension or else by its first bytes."""
    codec, ending = split_compression(path)
    if ending in PARQUET_ENDINGS or ending in ARROW_ENDINGS:
        return True
    if not is_stream(path) and (
        ending in (".csv", ".tsv", ".txt") or codec is not None or not path.is_file()
    ):
        return False
    with open_bytes(path) as file:
        return file.read(6).startswith((PARQUET_MAGIC, *ARROW_MAGIC))


@contextmanager
def open_bytes(path: Path, sheet: str | None = None) -> Iterator[Any]:
    """Open a file as a readable stream of decompressed bytes, or of a workbook's sheet as CSV.

    Errors of the operating system or a codec while the stream is read become a `FileReadError`.
    """
    codec, _ = split_compression(path)
    try:
        if is_workbook(path):
            yield io.BytesIO(read_sheet(path, sheet).text)
            return
        with _open_raw(path) as file:
            if is_stream(path):
                codec = _codec_of(file.peek(6))
            if codec is None:
                yield file
                return
            _check_codec(path, file, codec)
            with _decompress(file, codec) as stream:
                yield stream
    except FileNotFoundError:
        raise FileReadError(f"{path}: there is no such file{why_absent(path)}") from None
    except IsADirectoryError:
        raise FileReadError(f"{path}: is a folder; give a file, or a folder of Parquet files") from None
    except PermissionError:
        raise FileReadError(f"{path}: cannot be read; check its permissions") from None
    except (EOFError, lzma.LZMAError) as error:
        raise _damaged(path, codec, error) from None
    except OSError as error:
        if codec is None:
            raise FileReadError(f"{path}: cannot be read: {error}") from None
        raise _damaged(path, codec, error) from None


def _open_raw(path: Path) -> Any:
    """Open the stored bytes; a stream starts from its beginning, however often it is opened."""
    return open_stream(path) if is_stream(path) else path.open("rb")


def _codec_of(head: bytes) -> str | None:
    """Return the compression given by the first bytes, for streams without a name."""
    return next((codec for codec, magic in _CODEC_MAGIC.items() if head.startswith(magic)), None)


def _damaged(path: Path, codec: str | None, error: Exception) -> FileReadError:
    """Return the error for compressed data that is truncated or damaged."""
    words = str(error).lower()
    cut = isinstance(error, EOFError) or "truncated" in words or "end-of-stream" in words
    fact = "breaks off before its end" if cut else "is damaged"
    return FileReadError(f"{path}: the {codec} data {fact}; copy or download the file again")


def _check_codec(path: Path, file: IO[bytes], codec: str) -> None:
    """Refuse a file whose extension names a compression that it does not have."""
    head = file.read(6)
    file.seek(0)
    if not head:
        raise EmptyFileError(f"{path}: the file is empty")
    if not head.startswith(_CODEC_MAGIC[codec]):
        raise FileReadError(f"{path}: is not {codec}-compressed; rename it without {_ENDINGS[codec]}")


class _Xz(io.RawIOBase):
    """Concatenated xz streams; `lzma.open` silently skips trailing data that is not xz."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while True:
            if self._decoder.eof and not self._begin_next():
                return 0
            if self._decoder.needs_input:
                block = self._waiting or self._file.read(1 << 16)
                self._waiting = b""
                if not block:
                    raise EOFError
            else:
                block = b""
            data = self._decoder.decompress(block, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _begin_next(self) -> bool:
        """Go to the next stream, past zero padding; return False at the end of the file."""
        rest = self._decoder.unused_data
        while not rest.lstrip(b"\0"):
            rest = self._file.read(1 << 16)
            if not rest:
                return False
        self._waiting = rest.lstrip(b"\0")
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        return True


@contextmanager
def _decompress(file: IO[bytes], codec: str) -> Iterator[Any]:
    if codec == "xz":  # not supported by Arrow
        yield io.BufferedReader(_Xz(file), 1 << 16)
    else:
        import pyarrow as pa  # finding a file and reading its start needs no Arrow

        with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec) as stream:
            yield stream


def refuse_other_formats(path: Path, head: bytes, *, expected: str = "text") -> None:
    """Raise `FileReadError` if the first bytes belong to another file format."""
    for magic, what, way_out in _OTHER_FORMATS:
        if head.startswith(magic):
            raise FileReadError(f"{path}: is {what}, not {expected}; {way_out}")
    start = head[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_MARKUP):
        raise FileReadError(f"{path}: is a web page or XML, not {expected}; download the data itself")
    if start.startswith((b'{"', b'[{"', b"{\n", b"[{\n")):
        raise FileReadError(f"{path}: is JSON, not {expected}; convert it to CSV or Parquet")


def map_bytes(path: Path) -> mmap.mmap:
    """Map the bytes of a non-empty file into memory, loaded by the system on access.

    A compressed file or a stream is mapped through a temporary copy, which is deleted with the map.
    """
    codec, _ = split_compression(path)
    if codec is None and not is_stream(path):
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with tempfile.TemporaryFile(prefix="xrfm-") as copy:
        with open_bytes(path) as stream:
            shutil.copyfileobj(stream, copy, COPIED_BYTES)
        copy.flush()
        return mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def seekable_path(path: Path) -> Iterator[Path]:
    """Yield a path that supports random access: the path itself, or a temporary decompressed copy."""
    codec, _ = split_compression(path)
    if codec is None and not is_stream(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="xrfm-") as folder:
        copy = Path(folder) / "data"
        with open_bytes(path) as stream, copy.open("wb") as file:
            shutil.copyfileobj(stream, file, COPIED_BYTES)
        yield copy
