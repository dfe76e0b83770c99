"""Figures of the scores, of the search and of the importances."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from xrfm_cli.printable import counted
from xrfm_cli.reports.fit.charts import Chart, Figure, number_axis
from xrfm_cli.reports.formats import number, percent, seconds
from xrfm_cli.reports.labels import short_label, short_labels
from xrfm_cli.reports.search import improvements, is_timed

BARS = 15  # columns in the figure of importances
VALUE_ROOM = 1.12  # of the longest range, so that a value fits after it
GOOD_SHARE = 0.9  # the y axis of the history shows this share of the scores, the best ones


def score_figure(document: Mapping[str, Any], finding: str) -> Figure | None:
    """Draw the scores of the model, the baselines and the test."""
    rows = [
        ("this model", document["score"], "fill"),
        *((b["name"], b["score"], "fill3") for b in document["baselines"]),
    ]
    if document["test"] and document["metric"] in document["test"]["metrics"]:
        rows.insert(1, ("on the test rows", document["test"]["metrics"][document["metric"]], "fill"))
    rows = [row for row in rows if row[1] is not None and np.isfinite(row[1])]
    if len(rows) < 2:
        return None
    values = [float(row[1]) for row in rows]
    better = "lower" if document["lower_is_better"] else "higher"
    axis = number_axis(min(values), max(values), f"{document['metric']}, {better} is better")
    chart = Chart(x=axis, y=None, names=[name for name, *_ in rows], height=48 + 26 * len(rows))
    for k, (name, value, style) in enumerate(rows):
        chart.line([values[0], float(value)], [k, k], "line soft thin")
        chart.dots([float(value)], [k], style, [f"{name}: {number(value)}"], r=6)
    chart.line([values[0], values[0]], [-0.4, len(rows) - 0.6], "line dashed thin")
    return Figure(
        title="The model and its baselines",
        finding=finding,
        svg=chart.svg(finding),
        columns=("model", document["metric"]),
        rows=tuple((name, number(value)) for name, value, _ in rows),
    )


def history_figure(
    trials: Sequence[Mapping[str, Any]], metric: str, score: float | None = None, *, lower_is_better: bool
) -> Figure | None:
    """Draw each trial's score when it ended, and the best so far; None below two trials.

    The x axis is the trial number if no end times are known. ``score`` is the score of the ensemble.
    """
    scored = [t for t in trials if t.get("score") is not None and np.isfinite(t["score"])]
    if len(scored) < 2:
        return None
    place = "ended_s" if is_timed(trials) else "number"
    complete = [t for t in scored if t["state"] == "complete"]
    ordered = np.sort([t["score"] for t in scored])
    ordered = ordered if lower_is_better else ordered[::-1]
    best, bad = float(ordered[0]), float(ordered[int(GOOD_SHARE * (len(ordered) - 1))])
    ends = [best, bad, *([score] if score is not None and np.isfinite(score) else [])]
    last = float(max(t[place] for t in scored))
    chart = Chart(
        x=number_axis(0, last, "trial", count=6, is_whole=True)
        if place == "number"
        else number_axis(0, last, "seconds since the search began", count=6),
        y=number_axis(min(ends), max(ends), metric),
        height=260,
    )
    for group, style in (("pruned", "ring"), ("complete", "fill")):
        own = [t for t in scored if (t["state"] == "complete") == (group == "complete")]
        tips = [_trial_words(t, metric) for t in own]
        chart.dots([t[place] for t in own], [t["score"] for t in own], style, tips)
    if complete:
        steps = improvements(complete, lower_is_better=lower_is_better)
        moments = [float(step["ended_s" if place == "ended_s" else "trial"]) for step in steps]
        values = [step["score"] for step in steps]
        chart.line([*moments, last], [*values, values[-1]], "line warm", is_step=True)
        finding = f"The best single trial scores {number(values[-1])}"
        if place == "ended_s":
            share = moments[-1] / last if last > 0 else 0.0
            finding += f", reached after {percent(share)} of the search"
    else:
        finding = "No trial was completed"
    if score is not None and np.isfinite(score):
        chart.line([0, last], [score, score], "line warm dashed")
        finding += f"; the ensemble (dashed) scores {number(score)}"
    finding += "."
    if len(complete) < len(scored):
        finding += " Rings are pruned trials, scored on fewer validation rows."
    rows = tuple(
        (t["number"], t["state"], number(t["score"]), seconds(t["ended_s"]) if place == "ended_s" else "–")
        for t in scored
    )
    return Figure(
        title="Score against time" if place == "ended_s" else "Score by trial",
        finding=finding,
        svg=chart.svg(finding),
        columns=("trial", "state", metric, "ended after"),
        rows=rows,
    )


def importance_figure(
    importances: Sequence[Mapping[str, Any]],
    *,
    title: str = "Importances",
    label: str = "share, %",
    most: int = BARS,
    chance: Collection[str] = (),
) -> Figure | None:
    """Draw bars of the strongest columns, with their ranges if known; ``chance`` names grey ones."""
    shown = [item for item in importances[:most] if item["share"]]
    if not shown:
        return None
    names = short_labels([item["column"] for item in shown], 22)
    reach = max(100 * max(item["share"], item.get("high") or 0.0) for item in shown)
    chart = Chart(
        x=number_axis(0, VALUE_ROOM * reach, label, is_exact=True),
        y=None,
        names=names,
        height=48 + 21 * len(shown),
    )
    for k, item in enumerate(shown):
        spread = (
            f", range {percent(item['low'])} to {percent(item['high'])}"
            if item.get("high") is not None
            else ""
        )
        style = "fill3" if item["column"] in chance else "fill2"
        chart.bar(k, 0, 100 * item["share"], style, f"{names[k]}: {percent(item['share'])}{spread}")
        if spread:
            chart.line([100 * item["low"], 100 * item["high"]], [k, k], "line ink thin")
        chart.value(k, 100 * max(item["share"], item.get("high") or 0.0), f"{100 * item['share']:.1f}")
    top = " and ".join(
        f"{name} ({percent(item['share'])})" for name, item in zip(names[:2], shown, strict=False)
    )
    finding = f"{top} count{'s' if len(shown) == 1 else ''} most of {counted(len(importances), 'column')}."
    if any(item["column"] in chance for item in shown):
        finding += " Grey columns are not confirmed on held-out rows."
    return Figure(
        title=title,
        finding=finding,
        svg=chart.svg(finding),
        columns=("column", "share", "low", "high"),
        rows=tuple(
            (short_label(i["column"], 60), percent(i["share"]), percent(i.get("low")), percent(i.get("high")))
            for i in importances
        ),
    )


def _trial_words(trial: Mapping[str, Any], metric: str) -> str:
    ended = f", after {seconds(trial['ended_s'])}" if trial.get("ended_s") is not None else ""
    return f"trial {trial['number']}, {trial['state']}: {metric} {number(trial['score'])}{ended}"
