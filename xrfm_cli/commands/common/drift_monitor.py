"""Drift monitor of ``predict``: missing columns, values out of range, and drift."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

import pyarrow as pa

from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table, read_offset
from xrfm_cli.errors import OptionError, SchemaError, did_you_mean
from xrfm_cli.terminal.tables import drift_table, heading
from xrfm_cli.tuning.model.drift import (
    ColumnDrift,
    add_observed,
    column_drifts,
    nothing_observed,
    observe,
    values_out_of_range,
)
from xrfm_cli.tuning.model.fitted_model import FittedModel

TOGETHER_ROWS = 128  # single rows observed together, in the time of two predictions of one row
MOST_NAMED = 5  # columns in the warning about drift; the JSON document has all


class DriftMonitor:
    """Observe every block before it is predicted, and report the findings at the end.

    Args:
        model: the model that predicts.
        path: its file, for messages.
        threshold: the value of ``--check-drift``, or None.
        allows_absent: whether the table may lack columns that the model needs.

    Raises OptionError if drift is to be checked and the model file has no profile of its training table.
    """

    def __init__(
        self, model: FittedModel, *, path: str, threshold: float | None, allows_absent: bool
    ) -> None:
        if threshold is not None and model.profile is None:
            raise OptionError(
                f"--check-drift: {path} is from an earlier version and has no profile of its training table; "
                f"fit it again, or refit it with xrfm fit DATA --from {path}"
            )
        self._needed, self._schema = model.columns_read, model.schema
        self._offset = [column.name for column in model.schema.with_role("offset")]
        self._profiles = tuple(
            profile
            for profile in model.profile or ()
            if profile.column in self._needed and (threshold is not None or profile.is_ranged)
        )
        self._threshold = threshold
        self._allows_absent = allows_absent
        self._observed = nothing_observed(self._profiles)
        self._waiting: list[Table] = []
        self._observing: Iterator[None] = iter(())
        self.absent: tuple[str, ...] = ()

    def look(self, block: Table) -> Table:
        """Observe a block and return it, with empty columns in place of allowed missing ones."""
        block = self._completed(block)
        self._observe(block)
        return block

    def look_later(self, row: Table) -> Table:
        """Do the same for one row of text.

        Rows are observed together, because a call takes the same time, and a few columns with each row that
        follows, so that no answer waits for all.
        """
        row = self._completed(row)
        self._waiting.append(row.select([profile.column for profile in self._profiles]))
        if len(self._waiting) >= TOGETHER_ROWS:
            self._observing = self._observe_waiting()
        next(self._observing, None)
        return row

    def _completed(self, block: Table) -> Table:
        self.absent = absent_columns(block, self._needed, allowed=self._allows_absent)
        if not set(self.absent).isdisjoint(self._offset):
            read_offset(block, self._schema)  # raises: no exposure can take its place
        data = block.data
        for name in self.absent:
            data = data.append_column(name, pa.nulls(block.n_rows, pa.string()))
        return replace(block, data=data)

    def _observe(self, block: Table) -> None:
        self._observed = add_observed(self._observed, observe(self._profiles, block))

    def _observe_waiting(self) -> Iterator[None]:
        """Observe the waiting rows in at most ``TOGETHER_ROWS`` steps, each a few columns."""
        waiting, self._waiting = self._waiting, []
        if not waiting or not self._profiles:
            return
        block = replace(waiting[0], data=pa.concat_tables([row.data for row in waiting]))
        columns = math.ceil(len(self._profiles) / TOGETHER_ROWS)
        for start in range(0, len(self._profiles), columns):
            part = slice(start, start + columns)
            seen = add_observed(self._observed[part], observe(self._profiles[part], block))
            self._observed = (*self._observed[:start], *seen, *self._observed[start + columns :])
            yield

    def tell(self, session: Session) -> None:
        """Print the findings on standard error, and the drift table if drift is checked."""
        deque(chain(self._observing, self._observe_waiting()), maxlen=0)
        for name in self.absent:
            session.renderer.note(f"{name}: no such column, treated as missing in every row", kind="warning")
        for item in values_out_of_range(self._profiles, self._observed):
            parts = [f"{item.below:,} below" * bool(item.below), f"{item.above:,} above" * bool(item.above)]
            counts = " and ".join(part for part in parts if part)
            session.renderer.note(
                f"{item.column}: {counts} the training range of {item.low} to {item.high}", kind="warning"
            )
        if self._threshold is not None:
            self._tell_drift(session, self._drifts(), self._threshold)

    def document(self) -> dict[str, Any]:
        """Return the findings for the JSON document."""
        out_of_range = values_out_of_range(self._profiles, self._observed)
        drift = None
        if self._threshold is not None:
            columns = [
                {**asdict(item), "passed": not item.exceeds(self._threshold)} for item in self._drifts()
            ]
            drift = {"threshold": self._threshold, "passed": self.passed, "columns": columns}
        return {
            "missing_columns": list(self.absent),
            "out_of_range": [asdict(item) for item in out_of_range],
            "drift": drift,
        }

    @property
    def passed(self) -> bool:
        """Whether no column has drifted beyond the threshold; True without a threshold."""
        return self._threshold is None or not any(item.exceeds(self._threshold) for item in self._drifts())

    @staticmethod
    def _tell_drift(session: Session, drifts: Sequence[ColumnDrift], threshold: float) -> None:
        if not drifts:
            session.renderer.note("no column to compare with the training table", kind="warning")
            return
        session.renderer.message(heading("Drift from the training table"))
        session.renderer.message(drift_table(drifts, threshold=threshold))
        moved = [item for item in drifts if item.exceeds(threshold)]
        if moved:
            first = ", ".join(f"{item.column} {item.index:.2f}" for item in moved[:MOST_NAMED])
            more = ", ..." if len(moved) > MOST_NAMED else ""
            session.renderer.note(
                f"{len(moved):,} of {len(drifts):,} columns drifted more than {threshold:g}: {first}{more}",
                kind="warning",
            )

    def _drifts(self) -> tuple[ColumnDrift, ...]:
        return column_drifts(self._profiles, self._observed)


def absent_columns(table: Table, needed: Sequence[str], *, allowed: bool) -> tuple[str, ...]:
    """Return the needed columns that a table lacks; raise SchemaError unless they may be missing.

    >>> absent_columns(Table(pa.table({"fee": [1.0]}), "a.csv"), ["fee", "town"], allowed=True)
    ('town',)
    """
    absent = tuple(name for name in needed if not table.has_column(name))
    if absent and len(absent) == len(needed):
        raise SchemaError(
            f"{table.source}: has none of the columns that the model needs, such as '{absent[0]}'"
            f".{did_you_mean(absent[0], table.column_names)}"
        )
    if absent and not allowed:
        more = f" ({len(absent) - 1:,} more are missing)" if len(absent) > 1 else ""
        raise SchemaError(
            f"{table.source}: no column '{absent[0]}', which the model needs{more}."
            f"{did_you_mean(absent[0], table.column_names)} --allow-missing-columns treats it as missing"
        )
    return absent
