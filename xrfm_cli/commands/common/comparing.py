"""``--compare``: another model beside this one, scored on the same rows or explained in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from xrfm_cli.commands.common.scoring import Scored, find_overlap, score_table
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table
from xrfm_cli.errors import OptionError
from xrfm_cli.reports.effect_plots import spell_point
from xrfm_cli.reports.formats import signed
from xrfm_cli.terminal.tables import grid, heading, number, shortened
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.storage import load_model
from xrfm_cli.tuning.scoring.metrics import metric_named
from xrfm_cli.tuning.scoring.paired import PairedTest, compare_paired

MOST_COLUMNS = 20  # columns of the table of importances


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Test metrics of another model, and the paired test of the fit's own metric."""

    path: str
    metrics: dict[str, float]
    test: PairedTest

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, for the JSON document."""
        return {
            "model": self.path,
            "metrics": self.metrics,
            "test": asdict(self.test) | {"is_worse": self.test.is_worse},
        }


def load_other(path: str, model: FittedModel, *, device: str) -> FittedModel:
    """Load the model of ``--compare``; OptionError if it does not predict the same target."""
    other = load_model(Path(path), device=device)
    if (other.target.name, other.target.task) != (model.target.name, model.target.task):
        raise OptionError(
            f"--compare {path}: predicts '{other.target.name}' ({other.target.task}), not "
            f"'{model.target.name}' ({model.target.task})"
        )
    if other.target.classes != model.target.classes:
        raise OptionError(f"--compare {path}: has other classes than the model, or another positive class")
    return other


def compare_scores(
    path: str, other: FittedModel, scored: Scored, table: Table, session: Session
) -> Comparison:
    """Score another model on the rows of ``scored``, and test the difference."""
    overlap = find_overlap(other, table)
    if overlap is not None and overlap.is_leak:
        session.renderer.note(f"{path}: {overlap.words}", kind="warning")
    old = score_table(other, table, session, asked=(scored.model.report.metric, *scored.asked))
    return Comparison(
        path=path,
        metrics=old.metrics(),
        test=compare_paired(
            metric_named(scored.model.report.metric),
            scored.y,
            (scored.prediction, old.prediction),
            (scored.model.decision, other.decision),
            scored.weights,
        ),
    )


def comparison_view(comparison: Comparison, metrics: Mapping[str, float]) -> list[RenderableType]:
    """Return both models' metrics side by side, and the verdict of the test."""
    table = grid("metric", "new", "old", "difference", "better")
    for column in table.columns[1:4]:
        column.justify = "right"
    for name, value in metrics.items():
        before = comparison.metrics.get(name)
        if before is None:
            continue
        change = value - before
        is_better = change < 0 if metric_named(name).lower_is_better else change > 0
        sign = "+" if change > 0 else ""
        better = "new" if is_better else "old" if change else ""
        table.add_row(name, number(value), number(before), f"{sign}{number(change)}", better)
    test = comparison.test
    conclusion = (
        f"{test.metric}: {number(test.difference)} (95 % interval {number(test.low)} to {number(test.high)}, "
        f"p = {test.p_value:.2g}); {test.words}"
    )
    return [heading(f"Compared with {comparison.path}"), table, Text(conclusion)]


def compare_importances(
    path: str,
    model: FittedModel,
    other: FittedModel,
    ours: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return both models' importances by column, their thresholds and scores, for the JSON document."""
    before = {item["column"]: float(item["share"]) for item in theirs}
    now = {item["column"]: float(item["share"]) for item in ours}
    columns = [*now, *(name for name in before if name not in now)]
    return {
        "model": path,
        "importances": [{"column": c, "new": now.get(c), "old": before.get(c)} for c in columns],
        "threshold": {"new": model.decision.threshold, "old": other.decision.threshold},
        "score": {"new": model.report.score, "old": other.report.score},
        "metric": {"new": model.report.metric, "old": other.report.metric},
    }


def importances_view(compared: Mapping[str, Any]) -> list[RenderableType]:
    """Return both models' importances side by side, largest change first."""
    table = grid("column", "new", "old", "change")
    for column in table.columns[1:]:
        column.justify = "right"
    rows = sorted(compared["importances"], key=lambda item: -abs((item["new"] or 0) - (item["old"] or 0)))
    for item in rows[:MOST_COLUMNS]:
        change = (item["new"] or 0) - (item["old"] or 0)
        cells = ["not used" if item[name] is None else f"{item[name]:.1%}" for name in ("new", "old")]
        table.add_row(shortened(str(item["column"]), 28), *cells, f"{round(100 * change, 1) + 0.0:+.1f}")
    lines = [
        f"{name}: {_plain(compared[name]['new'])} now, {_plain(compared[name]['old'])} before"
        for name in ("metric", "score", "threshold")
        if compared[name]["new"] is not None or compared[name]["old"] is not None
    ]
    return [heading(f"Compared with {compared['model']}"), table, Text("\n".join(lines))]


def compare_effects(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return both models' effects at the points of this model's, for the JSON document.

    Effects of numbers and dates are interpolated between the points of the other model. ``old`` is None where
    it knows no effect: beyond these points, and of a level that it has not seen.
    """
    before = {(item["column"], item["part"], item["output"]): item for item in theirs}
    compared = []
    for item in ours:
        other = before.get((item["column"], item["part"], item["output"]))
        old: list[float | None] = [None] * len(item["x"])
        if other is not None and other["kind"] == item["kind"]:
            if item["kind"] == "levels":
                known = dict(zip(other["x"], other["effect"], strict=True))
                old = [known.get(level) for level in item["x"]]
            else:
                between = np.interp(item["x"], other["x"], other["effect"], left=np.nan, right=np.nan)
                old = [None if np.isnan(value) else value for value in between.tolist()]
        names = ("column", "part", "kind", "output", "x")
        compared.append({**{name: item[name] for name in names}, "new": item["effect"], "old": old})
    return compared


def effects_view(effects: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Return where the effects of two models differ most, column by column."""
    table = grid("column", "where they differ most", "new", "old")
    table.columns[2].justify = table.columns[3].justify = "right"
    for item in effects:
        gaps = [
            0.0 if old is None else abs(new - old) for new, old in zip(item["new"], item["old"], strict=True)
        ]
        if all(old is None for old in item["old"]):
            continue
        place = gaps.index(max(gaps))
        output = "" if item["output"] is None else f" ({item['output']})"
        name = shortened(f"{item['column']} {item['part']}".strip() + output, 32)
        where = spell_point(item["x"][place], item["kind"], 22)
        table.add_row(name, where, *(signed(item[which][place]) for which in ("new", "old")))
    if not table.rows:
        return []
    return [heading("Effects of both models (change of the prediction)"), table]


def _plain(value: Any) -> str:
    return number(value) if isinstance(value, float) else "none" if value is None else str(value)
