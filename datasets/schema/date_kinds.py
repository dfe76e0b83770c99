"""Decide on date columns: typed, text, or whole numbers such as 20141013."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.dates import DateFormat, moment_values, parse_moments
from xrfm_cli.datasets.cells.durations import UNIT as DURATION
from xrfm_cli.datasets.cells.units import units_of
from xrfm_cli.datasets.cells.values import Levels, is_placeholder
from xrfm_cli.datasets.dialect import DateOrder
from xrfm_cli.datasets.schema.date_guesses import EXISTING_SHARE, guess_format
from xrfm_cli.datasets.schema.kind_decision import KindDecision, missing_note, unreadable_note
from xrfm_cli.mentions import option

DATE_ORDER_HINT = (
    f"; use {option('date_order', ['dmy', 'mdy', 'ymd'])}, write dates as yyyy-mm-dd, or leave the column "
    f"out with {option('drop')}; {option('categorical')} reads it as categories"
)


def decide_text_as_moments(
    array: pa.Array, levels: Levels, date_order: DateOrder | None
) -> KindDecision | None:
    """Decide on dates stored as text; None if the column holds something else."""
    guess = guess_format(levels.values, date_order)
    if guess is None or (guess.date_format == "time" and _are_durations(array, levels)):
        return None
    if guess.doubt:
        return KindDecision(kind="datetime", reason=guess.doubt, doubt=guess.doubt + DATE_ORDER_HINT)
    return decide_moments(array, guess.date_format, guess.evidence)


def words_of(levels: Levels) -> pa.Array:
    """Return the levels that are not missing-value marks."""
    return levels.values.filter(pa.array(~is_placeholder(levels.values)))


def _are_durations(array: pa.Array, levels: Levels) -> bool:
    """Return whether all cells are durations, although most could be times of day (25:00:00 could not)."""
    return bool(moment_values(array, "time").unreadable.any()) and units_of(words_of(levels)) == (DURATION,)


def decide_moments(cells: pa.Array, date_format: DateFormat, evidence: str) -> KindDecision:
    """Decide the kind of a column of dates."""
    moments = moment_values(cells, date_format)
    present = moments.values[moments.valid]
    if not len(present):
        return KindDecision(kind="constant", reason="every cell is missing")
    low, high = (_show_moment(int(value), date_format) for value in (present.min(), present.max()))
    missing = int((~moments.valid).sum())
    if low == high and not missing and present.min() == present.max():
        return KindDecision(kind="constant", reason=f"the same date in every row: {low}")
    detail = f", {evidence}" if evidence else ""
    rows = np.flatnonzero(moments.unreadable)
    if len(rows):
        cell = cells[int(rows[0])].as_py()
        shown = f"{cell:.0f}" if isinstance(cell, float) else str(cell).strip()
        note = unreadable_note(len(rows), f"'{shown}' in row {rows[0] + 1}")
    else:
        note = ""
    what = "times of day" if date_format == "time" else "dates"
    return KindDecision(
        kind="datetime",
        reason=f"{what} from {low} to {high}{detail}{missing_note(missing)}{note}",
        datetime_format=date_format,
    )


def _show_moment(micro: int, date_format: DateFormat) -> str:
    text = str(np.datetime64(micro, "us").astype("datetime64[s]")).replace("T", " ")
    return text[11:] if date_format == "time" else text.removesuffix(" 00:00:00")


def are_day_digits(distinct: np.ndarray) -> bool:
    """Return whether whole numbers such as 20141013 are days from 1900 to 2100; a few may be invalid."""
    if len(distinct) < 3 or distinct[0] < 19000101 or distinct[-1] > 21001231:
        return False
    text = pa.array(distinct.astype(np.int64)).cast(pa.string())
    return bool(parse_moments(text, "digits").valid.mean() >= EXISTING_SHARE)
