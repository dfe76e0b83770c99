"""``xrfm predict - --each-line``: answer each line of standard input while the model stays in memory."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from xrfm_cli.commands.common.drift_monitor import DriftMonitor
from xrfm_cli.commands.common.outputs import CsvWriter
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table
from xrfm_cli.errors import InputError
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.options.declarations import PredictOptions
from xrfm_cli.terminal import streams
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction

SOURCE = "standard input"
DELIMITERS = ",;\t|"  # the most frequent one in the header is used

Columns = Callable[[Prediction], dict[str, pa.Array]]


def answer_lines(
    model: FittedModel, options: PredictOptions, session: Session, *, columns: Columns
) -> tuple[int, int]:
    """Answer every line; return the numbers of answered and of refused lines.

    A line that cannot be read is refused with a message and answered with an empty line, so that answers stay
    aligned with lines. Absent columns end the command.

    Args:
        model: the model.
        options: of the command.
        session: prints the messages.
        columns: returns the columns to write for a prediction.
    """
    monitor = DriftMonitor(
        model, path=options.model, threshold=None, allows_absent=options.allow_missing_columns
    )
    lines = _lines_of_input(options.encoding)
    header = next(lines, "")
    delimiter = options.delimiter or max(DELIMITERS, key=header.count)
    names = _cells(header, delimiter)
    if not any(names):
        raise InputError(f"{SOURCE}: is empty; the first line must name the columns")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{SOURCE}: two columns have the name '{twice}'; rename one")
    reader = _RowReader(names=names, delimiter=delimiter, options=options)
    copied = names if options.keep_columns else options.ids

    def answer(row: Table) -> pa.Table:
        prediction = model.predict(monitor.look(row), interval=options.interval)
        return pa.table({name: row.stored(name) for name in copied} | columns(prediction))

    out, buffer = streams.rows(), io.BytesIO()
    writer, rows, refused = CsvWriter(buffer), 0, 0
    # One thread: a row is too little work for several, which would wait for each other.
    with compute_threads(1):
        # A row of empty cells gives the header, and the first real row finds everything loaded.
        exposures = [column.name for column in model.schema.with_role("offset")]
        writer.write(answer(reader.table(["1" if name in exposures else "" for name in names])))
        out.write(buffer.getvalue().splitlines(keepends=True)[0])
        out.flush()
        for number, line in enumerate(lines, start=2):
            if not line.strip("\r\n"):
                continue
            buffer.seek(0)
            buffer.truncate()
            try:
                writer.write(answer(reader.read(line)))
            except InputError as fault:
                message = str(fault).removeprefix(f"{SOURCE}: ")
                session.renderer.note(f"{SOURCE}: line {number:,} {message}", kind="warning")
                buffer.write(b"\n")
                refused += 1
            else:
                rows += 1
            out.write(buffer.getvalue())
            out.flush()
    monitor.tell(session)
    return rows, refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _RowReader:
    """Read lines as tables of one row."""

    names: Sequence[str]
    delimiter: str
    options: PredictOptions

    def read(self, line: str) -> Table:
        """Return a line as a table; InputError says what is wrong with it."""
        cells = _cells(line, self.delimiter)
        if len(cells) != len(self.names):
            raise InputError(f"has {len(cells):,} cells, but the header has {len(self.names):,}")
        return self.table(cells)

    def table(self, cells: Sequence[str]) -> Table:
        """Return cells as a table of text, as a CSV file gives it."""
        data = pa.table({name: pa.array([cell]) for name, cell in zip(self.names, cells, strict=True)})
        options = self.options
        return Table(data, SOURCE, decimal=options.decimal or ".", date_order=options.date_order)


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line of CSV; InputError for a quote that is not closed.

    >>> _cells('1;"a;b"', ";")
    ['1', 'a;b']
    """
    try:
        rows = list(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True))
    except csv.Error as fault:
        raise InputError(f"is not a line of CSV ({fault})") from fault
    return rows[0] if rows else []


def _lines_of_input(encoding: str | None) -> Iterator[str]:
    """Yield lines of standard input as soon as they arrive."""
    text = io.TextIOWrapper(sys.stdin.buffer, encoding=encoding or "utf-8-sig", newline="\n")
    try:
        yield from iter(text.readline, "")
    except UnicodeDecodeError as fault:
        raise InputError(f"{SOURCE}: is not {fault.encoding} text; give --encoding") from fault
    finally:
        text.detach()
