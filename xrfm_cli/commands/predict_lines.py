"""``xrfm predict - --each-line``: answer each line of standard input while the model stays in memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from xrfm_cli.commands.common.drift_monitor import DriftMonitor
from xrfm_cli.commands.common.line_formats import SOURCE, CsvLines, JsonLines, LineFormat, is_json
from xrfm_cli.commands.common.reading import pass_through
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Repair, Table, merge_repairs
from xrfm_cli.errors import InputError, XRFMError
from xrfm_cli.events import repair_events
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.options.declarations import PredictOptions
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.endings import Ending
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction

Columns = Callable[[Prediction], dict[str, pa.Array]]


@dataclass(slots=True, kw_only=True)
class Served:
    """The lines that a service has answered."""

    rows: int = 0
    refused: int = 0
    was_stopped: bool = False  # by a signal, not by the end of its input


def answer_lines(
    model: FittedModel, options: PredictOptions, session: Session, *, columns: Columns, written: list[str]
) -> Served:
    """Answer every line until standard input ends or a signal comes.

    A line that cannot be read is refused with a message, and its answer says so or is empty. So answers stay
    aligned with lines. A header without a needed column ends the command.

    Args:
        model: the model.
        options: of the command.
        session: prints the messages.
        columns: returns the columns to write for a prediction.
        written: the names of these columns.
    """
    service = _Service(model.ready(), options, columns, written)
    ending, served = Ending(), Served()
    # One thread: a row is too little work for several threads, which would wait for each other.
    with compute_threads(1), _input(options.encoding) as text, ending.heard():
        service.warm_up()
        session.renderer.note(
            f"{options.model} is loaded: each line of standard input gets one line. Write a header and "
            "rows of CSV, or a JSON object on each line"
        )
        out = streams.rows()
        for number, line in enumerate(iter(lambda: ending.wait(text.readline), ""), start=1):
            if not line.strip("\r\n"):
                continue
            if service.format is None:
                out.write(service.begin(line))
                out.flush()
                if not is_json(line):
                    continue
            try:
                answer = service.answer(_decoded(line))
            except XRFMError as fault:
                fault_text = str(fault).removeprefix(f"{SOURCE}: ").removeprefix("row 1, ")
                message = f"line {number:,}: {fault_text}"
                session.renderer.note(f"{SOURCE}: {message}", kind="warning")
                answer = service.refusal(message)
                served.refused += 1
            else:
                served.rows += 1
            out.write(answer)
            out.flush()
    if service.format is None and not ending.is_asked:
        raise InputError(f"{SOURCE}: is empty; the first line must name the columns or be a JSON object")
    service.tell(session)
    served.was_stopped = ending.is_asked
    return served


class _Service:
    """Answers rows in the format of the first line."""

    def __init__(
        self, model: FittedModel, options: PredictOptions, columns: Columns, written: list[str]
    ) -> None:
        self.format: LineFormat | None = None
        self._model, self._options, self._columns, self._written = model, options, columns, written
        self._monitor = DriftMonitor(
            model, path=options.model, threshold=None, allows_absent=options.allow_missing_columns
        )
        self._repairs: tuple[Repair, ...] = ()

    def warm_up(self) -> None:
        """Predict a row without values, so that everything is loaded before the first real row."""
        exposures = [column.name for column in self._model.schema.with_role("offset")]
        cells = {name: pa.array(["1" if name in exposures else ""]) for name in self._model.columns_read}
        row = Table(pa.table(cells or {"": pa.array([""])}), SOURCE)
        self._columns(self._model.predict(row, interval=self._options.interval))

    def begin(self, line: str) -> bytes:
        """Choose the format by the first line; return the header of the answers, if it has one."""
        if is_json(line):
            self.format = JsonLines(options=self._options)
            return b""
        self.format = rows = CsvLines.after(line, self._options)
        exposures = [column.name for column in self._model.schema.with_role("offset")]
        empty = rows.table(["1" if name in exposures else "" for name in rows.names])
        return self._answered(empty)[0]

    def answer(self, line: str) -> bytes:
        """Return the answer to a row; XRFMError says why there is none."""
        assert self.format is not None
        answer, repairs = self._answered(self.format.read(line))
        self._repairs = merge_repairs((*self._repairs, *repairs))
        return answer

    def refusal(self, message: str) -> bytes:
        """Return what stands in place of an answer."""
        assert self.format is not None
        return self.format.refusal(message)

    def tell(self, session: Session) -> None:
        """Report repaired values and values out of range."""
        if isinstance(self.format, JsonLines):
            self._monitor.absent = ()  # of the last row alone; the repairs count them
        for event in repair_events(self._repairs):
            session.renderer.on_event(event)
        self._monitor.tell(session)

    def _answered(self, row: Table) -> tuple[bytes, tuple[Repair, ...]]:
        assert self.format is not None
        copied = row.column_names if self._options.keep_columns else self._options.ids
        if self._options.keep_columns:
            pass_through(copied, self._written, "--keep-columns")
        prediction = self._model.predict(self._monitor.look_later(row), interval=self._options.interval)
        cells = {name: row.stored(name) for name in copied}
        return self.format.answer(pa.table(cells | self._columns(prediction)), copied), prediction.repairs


@contextmanager
def _input(encoding: str | None) -> Iterator[io.TextIOWrapper]:
    """Open standard input as text; bytes of another encoding become lone surrogates."""
    text = io.TextIOWrapper(
        sys.stdin.buffer, encoding=encoding or "utf-8-sig", errors="surrogateescape", newline="\n"
    )
    try:
        yield text
    finally:
        text.detach()


def _decoded(line: str) -> str:
    """Return a line; InputError if it has bytes of another encoding."""
    if any("\udc80" <= character <= "\udcff" for character in line):
        raise InputError("not text in this encoding; give --encoding")
    return line
