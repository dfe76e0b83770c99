"""``xrfm evaluate``: metrics and thresholds on test rows with known targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from xrfm_cli.commands.common.comparing import compare_scores, comparison_view, load_other
from xrfm_cli.commands.common.compute import prepare_device
from xrfm_cli.commands.common.models import open_model, temporary_scratch
from xrfm_cli.commands.common.reading import read_whole
from xrfm_cli.commands.common.scoring import Group, Scored, find_groups, find_overlap, score_table
from xrfm_cli.commands.common.session import Session
from xrfm_cli.commands.evaluate_view import confusion_view, groups_view
from xrfm_cli.datasets import Repair, drop_rows_without_target
from xrfm_cli.errors import TargetError
from xrfm_cli.options.declarations import EvaluateOptions
from xrfm_cli.options.thresholds import Verdict, check_thresholds, verdicts_of
from xrfm_cli.printable import counted
from xrfm_cli.reports.documents import plain
from xrfm_cli.terminal.generalisation_gap import GeneralisationGap, generalisation_gaps
from xrfm_cli.terminal.tables import metrics_table, positive_lines
from xrfm_cli.tuning.model.report import FitReport


def run(options: EvaluateOptions, session: Session) -> int:
    """Evaluate a table; return 1 if a threshold is missed, or a comparison with ``--fail-worse`` is lost."""
    device = prepare_device(options.device, threads=options.threads)
    model = open_model(options.model, session, device=device, memory=options.memory)
    check_thresholds(options.fail_under, model.target, option="--fail-under")
    check_thresholds(options.fail_over, model.target, option="--fail-over")
    whole = read_whole(options.data, options, session, scratch=temporary_scratch(options.memory))
    table, dropped = drop_rows_without_target(whole, model.target)
    if table.n_rows == 0:
        why = f"target '{model.target.name}' is missing in every row" if dropped else "has no rows"
        raise TargetError(f"{whole.source}: {why}, so there is nothing to evaluate")
    if dropped:
        session.renderer.note(f"{counted(dropped, 'row')} without a target skipped")
    overlap = find_overlap(model, table)
    if overlap is not None and overlap.is_leak:
        session.renderer.note(overlap.words, kind="warning")
    other = None if options.compare is None else load_other(options.compare, model, device=device)
    groups = find_groups(table, options.by)
    asked = tuple(item.metric for item in (*options.fail_under, *options.fail_over))
    scored = score_table(model, table, session, asked=asked)
    metrics = scored.metrics()
    verdicts = [
        *verdicts_of("fail_under", options.fail_under, metrics),
        *verdicts_of("fail_over", options.fail_over, metrics),
    ]
    gaps = generalisation_gaps(model.report, metrics, rows=table.n_rows)
    by_group = [(group, scored.metrics(group.rows)) for group in groups]
    compared = None
    if other is not None and options.compare is not None:
        compared = compare_scores(options.compare, other, scored, table, session)
    session.renderer.result(
        metrics_table(metrics, verdicts, gaps, rows=table.n_rows),
        Text("\n".join([*positive_lines(model.target), _legend(model.report, gaps)]), style="dim"),
        *confusion_view(scored.confusion(), model.target),
        *groups_view(by_group, model.report.metric),
        *([] if compared is None else comparison_view(compared, metrics)),
    )
    document = evaluate_document(scored, metrics, gaps, by_group, verdicts, whole.repairs)
    document["trained_rows"] = None if overlap is None else overlap.trained
    document["compared"] = None if compared is None else plain(compared.to_json())
    session.renderer.document("evaluate", document)
    failed = options.fail_worse and compared is not None and compared.test.is_worse
    return 0 if all(item.passed for item in verdicts) and not failed else 1


def evaluate_document(
    scored: Scored,
    metrics: Mapping[str, float],
    gaps: Mapping[str, GeneralisationGap],
    by_group: Sequence[tuple[Group, dict[str, float]]],
    verdicts: list[Verdict],
    repairs: Sequence[Repair],
) -> dict[str, Any]:
    """Return the results for the JSON document; numbers that are not finite become null."""
    confusion = scored.confusion()
    classes = list(scored.model.target.classes)
    document = {
        "rows": len(scored.y),
        "positive": scored.model.target.positive,
        "repairs": [asdict(item) for item in repairs],
        "metrics": metrics,
        "out_of_fold": {name: item.value for name, item in gaps.items()},
        "worse_by": {name: item.worse_by for name, item in gaps.items()},
        "confusion": None if confusion is None else {"classes": classes, "counts": confusion.tolist()},
        "groups": [
            {"column": group.column, "value": group.value, "rows": len(group.rows), "metrics": values}
            for group, values in by_group
        ],
        "thresholds": [asdict(item) for item in verdicts],
    }
    result: dict[str, Any] = plain(document)
    return result


def _legend(report: FitReport, gaps: Mapping[str, GeneralisationGap]) -> str:
    """Explain the columns with the fit's own metrics."""
    whose = " of the model that it was refitted from" if report.stopped_by == "refit" else ""
    text = f"out of fold: the fit's own score{whose}, on held-out rows"
    if any(item.worse_by is not None for item in gaps.values()):
        text += "\nworse by: in standard deviations of the folds' scores; negative is better"
    return text
