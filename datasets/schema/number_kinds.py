"""Decide on columns of numbers: measured values, identifiers or a constant."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.values import (
    EXACT_INTEGERS,
    Numbers,
    level_values,
)
from xrfm_cli.datasets.schema.date_kinds import (
    are_day_digits,
    decide_moments,
)
from xrfm_cli.datasets.schema.kind_decision import (
    ID_NAME,
    MIN_ROWS_FOR_NAMES,
    KindDecision,
    missing_note,
)

_INDEX_NAME = re.compile(r"^(?:__index_level_\d+__|Unnamed: 0)$")  # how pandas writes an unnamed index
_ORDER_NAME = re.compile(
    r"(?i)^(?:.|x\d*|t\d*|.*(?:time|day|date|week|month|year|hour|step|period|age|rank|seq|position|pos|dist).*)$"
)


def decide_numbers(
    name: str, numbers: Numbers, extra: str = "", exact: pa.Array | None = None
) -> KindDecision:
    """Decide the kind of a column of numbers; ``exact`` holds the original cells."""
    values = numbers.values
    missing = np.isnan(values)
    present = values[~missing]
    if not len(present):
        return KindDecision(kind="constant", reason="every cell is missing")
    distinct = np.unique(present)
    if len(distinct) == 1 and not missing.any():
        return KindDecision(
            kind="constant", reason=f"the same number in every row: {show_number(distinct[0])}"
        )
    whole = bool(np.isfinite(distinct).all() and (np.trunc(distinct) == distinct).all())
    if whole and are_day_digits(distinct):
        return decide_moments(pa.array(values, from_pandas=True), "digits", "")
    if whole:
        n_distinct = len(distinct)
        if max(-distinct[0], distinct[-1]) > EXACT_INTEGERS:
            extra += "; beyond 2^53, numbers are rounded to about 16 digits"
            n_distinct = n_distinct if exact is None else len(level_values(exact).values)
        reason = _identifier_reason(name, present, n_distinct, len(values))
        if reason:
            return KindDecision(kind="identifier", reason=reason, levels_count=n_distinct)
    what = "whole numbers" if whole else "numbers"
    finite = distinct[np.isfinite(distinct)]
    span = f" from {show_number(finite[0])} to {show_number(finite[-1])}" if len(finite) else ""
    return KindDecision(
        kind="numeric",
        reason=f"{what}{span}, {len(distinct):,} distinct{missing_note(int(missing.sum()))}{extra}",
        levels_count=len(distinct),
    )


def _identifier_reason(name: str, present: np.ndarray, n_distinct: int, n_rows: int) -> str:
    """Return the reason why whole numbers identify rows and do not measure anything, or an empty string."""
    if n_rows < MIN_ROWS_FOR_NAMES or len(present) < n_rows:
        return ""
    if ID_NAME.search(name) and n_distinct >= 0.9 * n_rows:
        return f"named like an identifier, {n_distinct:,} distinct whole numbers in {n_rows:,} rows"
    with np.errstate(over="ignore"):  # a step beyond float64 is not 1 either
        steps = np.diff(present)
    begins = np.append(present[0], present[1:][steps != 1])  # starts of the concatenated frames
    if _INDEX_NAME.match(name) and present[0] in (0, 1) and (begins == present[0]).all():
        return f"counts the rows of {len(begins):,} concatenated tables"
    counts_up = present[0] in (0, 1) and n_distinct == n_rows and bool((steps == 1).all())
    if counts_up and n_rows >= 50 and not _ORDER_NAME.match(name):
        return f"counts the rows from {show_number(present[0])} to {show_number(present[-1])}"
    return ""


def show_number(value: float) -> str:
    """Format a number: whole numbers in full, others with six digits."""
    if np.isfinite(value) and value == np.trunc(value) and abs(value) < 1e15:
        return f"{int(value)}"
    return f"{value:.6g}"
