"""Describe the rows that fulfil a rule, and the model's predictions for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.effects import set_all
from xrfm_cli.tuning.explain.regions.rules import Condition, Rule
from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.explain.settings import settings_of
from xrfm_cli.tuning.explain.swap_study import study_swaps
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.scoring.metrics import compute_metric, metric_named

Array = NDArray[np.float64]
NAMED_COLUMNS = 5  # listed for a region
LOW, HIGH = 0.05, 0.95  # quantiles of a number between which the prediction changes


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionColumn:
    """A column in a region."""

    column: str
    share: float  # of the prediction's variance in the region
    whole: float  # the same over all rows
    change: float | None  # mean change of the prediction from low to high values; None for other columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The rows that fulfil a rule.

    ``output`` is the class of the means and changes: the positive one of two, the most probable of several,
    None for a regression. ``mean_target`` and ``score`` are None if no targets were given, and the score if
    the metric is not defined on the region's rows.
    """

    conditions: tuple[Condition, ...]
    rows: int  # sampled
    share: float  # of the sampled rows
    output: str | None
    mean_prediction: float
    mean_target: float | None
    score: float | None
    columns: tuple[RegionColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSummary:
    """The predictions for some rows and their quality; :class:`Region` explains the fields."""

    output: str | None
    mean_prediction: float
    mean_target: float | None
    score: float | None


def summarise_rows(model: FittedModel, predicted: Array, targets: NDArray[Any] | None) -> RowsSummary:
    """Summarise predictions ``(n, k)`` of at least one row, and its targets if they are known."""
    k, output = _output(model, predicted)
    mean_target, score = _quality(model, predicted, targets, k)
    mean = float(predicted[:, k].mean())
    return RowsSummary(output=output, mean_prediction=mean, mean_target=mean_target, score=score)


def summarise_leaf_rows(
    model: FittedModel, sample: Sample, member: Member, plain: Array, targets: NDArray[Any] | None
) -> dict[int, RowsSummary]:
    """Return the summary of the sampled rows that reach each leaf of a member, by the leaf's place."""
    if not member.tree.splits:
        return {}
    x = torch.from_numpy(sample.matrices[id(member.encoder)]).to(member.tree.splits[0].direction.device)
    reached = member.tree.route(x).cpu().numpy()
    found = {}
    for place in np.unique(reached).tolist():
        rows = np.flatnonzero(reached == place)
        found[place] = summarise_rows(model, plain[rows], None if targets is None else targets[rows])
    return found


def describe_region(
    model: FittedModel,
    sample: Sample,
    rule: Rule,
    plain: Array,
    targets: NDArray[Any] | None,
    whole: Mapping[str, float],
    budget_ns: float,
) -> Region:
    """Describe the rows of a rule: the shares of the columns are those of the predictions in the region.

    Args:
        model: the ensemble.
        sample: all rows.
        rule: the rule.
        plain: predictions ``(n, k)`` of all rows.
        targets: values or class codes of all rows, NaN or negative where missing; None if unknown.
        whole: share of each column in the variance over all rows.
        budget_ns: estimated nanoseconds of prediction.
    """
    rows = np.flatnonzero(rule.rows)
    own, predicted = sample.take(rows), plain[rows]
    study = study_swaps(model, own, budget_ns=budget_ns, pairs=False)
    shares = dict(zip(study.columns, study.shares().tolist(), strict=True))
    order = sorted((name for name in shares if shares[name] > 0), key=lambda name: -shares[name])
    k, _ = _output(model, predicted)
    summary = summarise_rows(model, predicted, None if targets is None else targets[rows])
    return Region(
        conditions=rule.conditions,
        rows=len(rows),
        share=len(rows) / len(rule.rows),
        output=summary.output,
        mean_prediction=summary.mean_prediction,
        mean_target=summary.mean_target,
        score=summary.score,
        columns=tuple(
            RegionColumn(
                column=name,
                share=shares[name],
                whole=whole.get(name, 0.0),
                change=_change(model, own, name, k),
            )
            for name in order[:NAMED_COLUMNS]
        ),
    )


def _output(model: FittedModel, predicted: Array) -> tuple[int, str | None]:
    """Return the column of the predictions that a region is described by, and its class."""
    classes = [str(label) for label in model.target.classes]
    if not classes:
        return 0, None
    if len(classes) == 2:
        return 0, classes[1]
    k = int(predicted.mean(0).argmax())
    return k, classes[k]


def _quality(
    model: FittedModel, predicted: Array, targets: NDArray[Any] | None, k: int
) -> tuple[float | None, float | None]:
    """Return the mean of the targets, or the share of the class, and the metric on the rows."""
    if targets is None:
        return None, None
    classes = len(model.target.classes)
    known = targets >= 0 if classes else np.isfinite(targets)
    y, p = targets[known], predicted[known]
    if not len(y):
        return None, None
    if not classes:
        mean, whole = float(y.mean()), p[:, 0]
    else:
        code = 1 if classes == 2 else k
        mean, whole = float((y == code).mean()), np.column_stack([1 - p, p]) if classes == 2 else p
    metric = metric_named(model.report.metric)
    if classes and len(np.unique(y)) < (classes if metric.is_ranking else 2):
        return mean, None
    score = compute_metric(metric, y, whole, None, model.decision)
    return mean, score if np.isfinite(score) else None


def _change(model: FittedModel, sample: Sample, column: str, k: int) -> float | None:
    """Return the mean change of the prediction from a low to a high value of a number or a moment."""
    setting = next(settings_of(model, sample, column), None)
    if setting is None or setting.kind == "levels":
        return None
    known = setting.values[np.isfinite(setting.values)]
    ends = np.unique(np.quantile(known, (LOW, HIGH))) if len(known) else known
    if len(ends) < 2:
        return None
    after = set_all(model, sample.matrices, setting, setting.at(ends), 2)[:, :, k]
    return float((after[1] - after[0]).mean())
