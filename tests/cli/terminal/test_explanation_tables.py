"""Tables of an explanation: a line each, however long the names of columns and of the metric are."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from xrfm_cli.commands.explain_view import explanation_tables

COLUMNS = [f"a_measurement_with_a_long_name_{k}" for k in range(6)]


def document(metric: str) -> dict[str, Any]:
    return {
        "quality": {
            "metric": metric,
            "score": 0.9,
            "baseline": "majority",
            "baseline_score": 0.5,
            "gain": 0.5,
            "errors": 9.0,
            "is_better": True,
        },
        "notes": [],
        "importances": [{"column": name, "share": 1.0, "low": 1.0, "high": 1.0} for name in COLUMNS],
        "by_chance": [{"column": name, "above": k < 3} for k, name in enumerate(COLUMNS)],
        "permutation": [{"column": name, "drop": -0.1234} for name in COLUMNS],
        "pairs": [{"columns": COLUMNS[:2], "interaction": 1.0, "low": 1.0, "high": 1.0}],
        "triples": [{"columns": COLUMNS[:3], "interaction": 1.0, "low": 1.0, "high": 1.0}],
        "leaves": [],
    }


@pytest.mark.parametrize("metric", ["auc", "log_loss", "average_precision"])
def test_each_column_has_one_line(metric: str) -> None:
    console = Console(width=80, record=True)
    with console.capture() as capture:
        for table in explanation_tables(document(metric)):
            console.print(table)
    lines = capture.get().splitlines()
    assert sum("100.0% to 100.0%" in line for line in lines) == len(COLUMNS) + 2
    assert sum("a_mea" in line for line in lines) == len(COLUMNS) + 2
    assert sum("█" * 13 in line for line in lines) == 3
    assert sum("not confirmed" in line for line in lines) == 3
    assert all(sum(f"name_{k}  " in line or f"me_{k}  " in line for line in lines) == 1 for k in range(6))
