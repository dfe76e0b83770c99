"""Write rejected rows to a separate file, with line, reason and text."""

from __future__ import annotations

import csv
import io
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from xrfm_cli.datasets.files.opening import is_stream, split_compression
from xrfm_cli.files import open_whole
from xrfm_cli.urls import is_copy

ENDING = ".rejects.csv"
WAY_OUT = "fix the rows or copy the table to a writable folder"


def rejects_path(path: Path) -> Path:
    """Return the path for the rejected rows of a table: in its folder, or here for a table from elsewhere.

    >>> rejects_path(Path("data/cars.csv.gz")).as_posix(), rejects_path(Path("-")).as_posix()
    ('data/cars.rejects.csv', 'stdin.rejects.csv')
    """
    if is_stream(path):
        return Path("stdin" + ENDING)
    if is_copy(path):
        path = Path(path.name)
    codec, _ = split_compression(path)
    return path.with_name((Path(path.stem) if codec else path).stem + ENDING)


class RejectsFile:
    """The file of rejected rows; it appears once the table has been read, if there are any."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = rejects_path(path), 0
        self._open = ExitStack()
        self._file: io.TextIOWrapper | None = None
        self._writer: Any = None

    def add(self, line: int, reason: str, text: str) -> None:
        """Add one row; ``text`` is the row as in the table."""
        if self._file is None:
            raw = self._open.enter_context(open_whole(self.path, way_out=WAY_OUT))
            self._file = io.TextIOWrapper(raw, encoding="utf-8", newline="", write_through=True)
            self._writer = csv.writer(self._file, lineterminator="\n")
            self._writer.writerow(["line", "reason", "text"])
        self._writer.writerow([line, reason, text])
        self.count += 1

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.detach()  # the bytes belong to the underlying file, which is renamed or discarded
        self._open.__exit__(kind, error, trace)
