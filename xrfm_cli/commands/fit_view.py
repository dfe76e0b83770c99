"""What ``fit`` and ``fit --dry-run`` show: columns, scores, importances, files, the next commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from xrfm_cli.commands.session import Session
from xrfm_cli.datasets import TableSchema, TargetSchema
from xrfm_cli.options.shell_words import shell_line
from xrfm_cli.printable import printable
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.tables import (
    columns_table,
    facts_table,
    heading,
    importances_table,
    number,
    positive_lines,
    scores_table,
)
from xrfm_cli.tuning.dry_run import DryRun
from xrfm_cli.tuning.model.fitted_model import FittedModel

CHANGES_POSITIVE = "--positive changes it"
STOPPED = {
    "time": "stopped by the time limit",
    "trials": "all trials done",
    "interrupt": "interrupted: the best so far",
    "refit": "no search",
}


def show_fit(
    model: FittedModel, document: Mapping[str, Any], session: Session, *, files: Sequence[Path], data: str
) -> None:
    """Print what was fitted, how good it is, what matters, and what to type next."""
    report = model.report
    baselines = [(item["name"], float(item["score"])) for item in report.baselines]
    better = "less" if report.lower_is_better else "more"
    hint = "" if report.stopped_by == "refit" else CHANGES_POSITIVE
    positive = positive_lines(model.target, hint=hint)
    # A command with ? in the place of a letter would be another command.
    commands = [line for line in next_commands(files[0], data) if streams.can_show(line)]
    session.renderer.result(
        heading("Columns"),
        columns_table(model.schema),
        Text(target_line(model.target)),
        heading(f"Scores ({report.metric} on rows held out, {better} is better)"),
        scores_table(("this model", report.score), baselines, lower_is_better=report.lower_is_better),
        Text("\n".join([*positive, *search_lines(model, document)]), style="dim"),
        heading("What matters most"),
        importances_table(document["importances"]),
        heading("Written"),
        Text("\n".join(f"  {printable(str(path))}" for path in files), no_wrap=True),
        *([heading("Next")] if commands else []),
        *(Text(f"  {printable(line)}", no_wrap=True) for line in commands),
    )


def show_plan(plan: DryRun, schema: TableSchema, target: TargetSchema, session: Session) -> None:
    """Print what a fit would do."""
    session.renderer.result(
        heading("Columns"),
        columns_table(schema),
        Text("\n".join([target_line(target), *positive_lines(target, hint=CHANGES_POSITIVE)])),
        facts_table("\nPlan", plan_facts(plan)),
    )


def plan_facts(plan: DryRun) -> dict[str, str]:
    """A plan as texts."""
    search = [f"{plan.trials} trials" if plan.trials is not None else ""]
    search.append(f"{plan.time_limit_s:g} s" if plan.time_limit_s is not None else "")
    copies = {"tells the target": ", ".join(plan.copies)} if plan.copies else {}
    leaves = "one leaf" if plan.leaves == 1 else f"{plan.leaves} leaves of up to {plan.leaf_size:,} rows"
    return {
        "rows": f"{plan.rows:,}",
        "encoded columns": f"{plan.features:,}",
        "tree": leaves,
        "validation": plan.validation,
        "search until": " or ".join(part for part in search if part),
        "time": f"about {plan.estimate_s:,.0f} s",
        "memory": f"about {plan.memory_bytes / 2**20:,.0f} MiB",
        **copies,
    }


def dry_run_document(plan: DryRun, schema: TableSchema, target: TargetSchema) -> dict[str, Any]:
    """The JSON of ``fit --dry-run``: the names of a fit's document, and its plan."""
    columns = [
        {"name": item.name, "kind": item.kind, "role": item.role, "reason": item.reason}
        for item in schema.columns
    ]
    return {
        "dry_run": True,
        "task": target.task,
        "target": target.name,
        "positive": target.positive,
        "rows": plan.rows,
        "columns": columns,
        "plan": plan.to_json(),
    }


def target_line(target: TargetSchema) -> str:
    """The target, its task and why."""
    return printable(f"target '{target.name}': {target.task}, {target.reason}")


def next_commands(model: Path, data: str) -> list[str]:
    """Two commands to type next, with the model named only where it is not the default."""
    named = [] if str(model) == "model.xrfm" else ["--model", str(model)]
    predicted = ["new.csv" if data == "-" else data, *named, "--output", "predictions.csv"]
    return [shell_line(["xrfm", "predict", *predicted]), shell_line(["xrfm", "explain", *named])]


def search_lines(model: FittedModel, document: Mapping[str, Any]) -> list[str]:
    """How sure the score is, what was tried, what it cost and which choices mattered."""
    report, best = model.report, document["best_trial"]
    tried, done = len(report.trials), sum(1 for trial in report.trials if trial["state"] == "complete")
    trials = f"{tried} trial{'s' if tried != 1 else ''}" + (
        f" ({done} judged to the end)" if done < tried else ""
    )
    members = f"{len(report.ensemble)} model{'s' if len(report.ensemble) != 1 else ''} together"
    seconds = report.seconds.get("total", sum(report.seconds.values()))
    stopped = STOPPED.get(report.stopped_by, report.stopped_by)
    spread = f"{number(report.score_low)} to {number(report.score_high)} over the folds"
    if best is not None and done > 1:
        moment = f", after {best['ended_s']:.1f} s" if best["ended_s"] is not None else ""
        spread += f"; best single trial {number(best['score'])}{moment}"
    lines = [spread, f"{trials}, {members}, {seconds:.1f} s; {stopped}"]
    return lines + _mattering(document["hyperparameter_importances"])


def _mattering(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The hyperparameters that mattered more than chance gives, if that is known."""
    if not rows:
        return []
    clear = [f"{row['name']} {row['share']:.0%}" for row in rows if row["share"] > row["by_chance"]]
    return [f"what mattered: {', '.join(clear[:3]) or 'no choice more than chance gives'}"]
