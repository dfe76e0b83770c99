"""How much of an explanation a fit's report has time for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.reports.conftest import Case
from xrfm_cli.reports.explanation import EXPLAINED_ROWS
from xrfm_cli.reports.fit.effort import COLUMN_S, LATE_EXPLAINED_ROWS, SWAP_GRACE_S, SWAP_SHARE, find_effort


def test_no_limit_asks_for_everything(linear: Case) -> None:
    effort = find_effort(linear.model, seconds_left=math.inf, time_limit_s=math.inf, slowdown=3.0)
    assert (effort.rows, effort.swap_seconds, effort.is_reduced) == (EXPLAINED_ROWS, math.inf, False)


def test_seconds_count_as_those_of_a_quiet_machine(linear: Case) -> None:
    quiet, busy = (
        find_effort(linear.model, seconds_left=4.0, time_limit_s=60.0, slowdown=slowdown)
        for slowdown in (1.0, 2.0)
    )
    assert quiet.swap_seconds == pytest.approx(SWAP_SHARE * 4.0 + SWAP_GRACE_S, abs=0.01)
    assert busy.swap_seconds == pytest.approx(SWAP_SHARE * 2.0 + SWAP_GRACE_S / 2, abs=0.01)
    assert quiet.rows == busy.rows == EXPLAINED_ROWS


@pytest.mark.parametrize(("seconds_left", "copies"), [(-5.0, 1), (1.0, 10_000)])
def test_few_rows_are_explained_where_the_seconds_are_needed(
    linear: Case, seconds_left: float, copies: int
) -> None:
    columns = linear.model.schema.columns
    wide = [replace(column, name=f"{column.name} {copy}") for copy in range(copies - 1) for column in columns]
    model = replace(linear.model, schema=replace(linear.model.schema, columns=(*columns, *wide)))
    assert COLUMN_S * len(model.schema.features) - seconds_left > SWAP_GRACE_S
    effort = find_effort(model, seconds_left=seconds_left, time_limit_s=60.0, slowdown=1.0)
    assert effort.is_reduced
    assert effort.swap_seconds == 0.0
    assert effort.rows <= LATE_EXPLAINED_ROWS
