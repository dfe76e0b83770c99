"""Terminal tables at 80 columns: words stay whole."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console, RenderableType

from xrfm_cli.commands.common.scoring import Group
from xrfm_cli.commands.evaluate_view import groups_view
from xrfm_cli.commands.fit_view import search_lines
from xrfm_cli.datasets import ColumnSchema, TableSchema
from xrfm_cli.terminal.tables import columns_table, grid
from xrfm_cli.tuning import FittedModel
from xrfm_cli.tuning.scoring.metrics import METRICS

LONG = "average_monthly_hours"


def shown(*renderables: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False)
    for renderable in renderables:
        console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_names_and_kinds_keep_their_line_and_reasons_wrap_between_words() -> None:
    reason = "text with 1,234 levels such as internationalisation and uncharacteristically; 12 missing"
    columns = (ColumnSchema(name=LONG, kind="categorical", reason=reason),)
    text = shown(columns_table(TableSchema(columns=columns)))
    for word in (LONG, "categorical", *reason.split()):
        assert word in text


@pytest.mark.parametrize("first", ["auc", "balanced_accuracy"])
def test_metrics_of_groups_keep_their_names(first: str) -> None:
    metrics = dict.fromkeys([name for name in METRICS if "binary" in METRICS[name].tasks], 0.123456789)
    group = Group(column="department", value="internationalisation", rows=np.arange(1_000_000))
    text = shown(*groups_view([(group, metrics)], first))
    header = next(line for line in text.splitlines() if line.startswith("department "))
    assert header.split()[1:3] == ["rows", first]
    assert "internationalisation" in text
    assert "1,000,000" in text
    known = set(METRICS) | {"By", "department", "rows", "internationalisation", "1,000,000", "0.1235"}
    assert {word.strip("─") for word in text.split()} - {""} <= known


def test_the_one_model_kept_is_not_compared_with_a_single_trial() -> None:
    trials = [{"state": "complete"}, {"state": "complete"}]
    document: dict[str, Any] = {
        "best_trial": {"score": 0.8, "ended_s": None},
        "test": None,
        "metric": "auc",
        "score": 0.79,
        "score_low": 0.7,
        "score_high": 0.8,
        "lower_is_better": False,
        "baselines": [],
        "hyperparameter_importances": [],
    }
    spread: dict[str, Any] = {"score_low": 0.7, "score_high": 0.8, "metric": "auc"}
    spread["validation"] = {"scheme": "folds", "folds": 5, "judged_rows": 200, "reason": ""}
    report = SimpleNamespace(trials=trials, seconds={"total": 1.0}, stopped_by="trials", **spread)
    for members, is_compared in ((1, False), (2, True)):
        report.ensemble = [{}] * members
        lines = search_lines(cast(FittedModel, SimpleNamespace(report=report)), document)
        assert ("best single trial" in " ".join(lines)) == is_compared


def test_only_one_column_wraps() -> None:
    table = grid("a", "b", "c")
    assert [column.no_wrap for column in table.columns] == [True, True, False]
