"""Warnings about a validation or a metric that does not suit the table, and what messages count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.tuning.tables import fit, law
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.events import Event, repair_events
from xrfm_cli.repairs import Repair
from xrfm_cli.reports.formats import happening
from xrfm_cli.tuning import limits


def warnings_of(columns: dict[str, Any], overrides: SchemaOverrides | None = None, **options: Any) -> str:
    heard: list[Event] = []
    fit(columns, overrides, on_event=heard.append, pinned={"iterations": 0}, **options)
    return "\n".join(event.message for event in heard if event.kind == "warning")


def test_rows_with_dates_that_are_split_at_random_lead_to_time() -> None:
    days = np.datetime64("2024-01-01") + np.arange(60)
    columns = law(60) | {"sold on": days}
    assert "--time 'sold on'" in warnings_of(columns)
    by_time = SchemaOverrides(target="y", time="sold on")
    assert "--time" not in warnings_of(columns, by_time)
    assert "--time" not in warnings_of(columns, valid=columns)
    assert "--time" not in warnings_of(law(60))


def test_a_relative_error_of_targets_of_zero_is_warned_of() -> None:
    columns = law(60)
    columns["y"] = np.maximum(columns["y"], 0)
    zeros = int((columns["y"] == 0).sum())
    assert zeros
    assert f"is 0 in {zeros} rows" in warnings_of(columns, metric="mape")
    assert warnings_of(columns, metric="mae") == ""


def test_rows_that_a_limit_leaves_out_are_counted_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "find_row_room", lambda *_: 50)
    report = fit(law(80), trials=0, time_limit_s=60.0, pinned={"iterations": 0}).report
    said = [happening(item) for item in report.fallbacks]
    assert "the time limit leaves room for 50 of 80 rows, drawn at random" in said


def test_missing_cells_are_no_repairs() -> None:
    repairs = [Repair(f"c{k}", "missing", k + 1) for k in range(34)]
    told = repair_events([*repairs, Repair("fee", "unreadable number", 2)])
    assert [event.kind for event in told] == ["repair", "note"]
    assert told[1].message == (
        "missing cells in 34 columns: c33 (34), c32 (33), c31 (32), c30 (31), c29 (30) and 29 more"
    )
    assert repair_events([]) == []
