"""Terminal output of ``fit`` and ``fit --dry-run``: columns, scores, importances, files, next commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from xrfm_cli.commands.session import Session
from xrfm_cli.datasets import TableSchema, TargetSchema
from xrfm_cli.options.shell_words import shell_line
from xrfm_cli.printable import printable
from xrfm_cli.reports.story import verdict_words
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
    "interrupt": "interrupted: the best model so far",
    "refit": "no search",
}


def show_fit(
    model: FittedModel, document: Mapping[str, Any], session: Session, *, files: Sequence[Path], data: str
) -> None:
    """Print the columns, the scores, the importances and the commands to run next."""
    report = model.report
    baselines = [(item["name"], float(item["score"])) for item in report.baselines]
    better = "lower" if report.lower_is_better else "higher"
    hint = "" if report.stopped_by == "refit" else CHANGES_POSITIVE
    positive = positive_lines(model.target, hint=hint)
    # A command with ? in place of a character would be a different command.
    commands = [line for line in next_commands(files[0], data) if streams.can_show(line)]
    session.renderer.result(
        heading("Columns"),
        columns_table(model.schema),
        Text(target_line(model.target)),
        heading(f"Scores ({report.metric} on held-out rows, {better} is better)"),
        scores_table(("this model", report.score), baselines, lower_is_better=report.lower_is_better),
        Text("\n".join([*positive, *search_lines(model, document)]), style="dim"),
        heading("What matters most (share of the prediction's variance)"),
        importances_table(document["importances"]),
        heading("Written"),
        Text("\n".join(f"  {printable(str(path))}" for path in files), no_wrap=True),
        *([heading("Next")] if commands else []),
        *(Text(f"  {printable(line)}", no_wrap=True) for line in commands),
    )


def show_plan(plan: DryRun, schema: TableSchema, target: TargetSchema, session: Session) -> None:
    """Print the plan of a dry run."""
    session.renderer.result(
        heading("Columns"),
        columns_table(schema),
        Text("\n".join([target_line(target), *positive_lines(target, hint=CHANGES_POSITIVE)])),
        facts_table("\nPlan", plan_facts(plan)),
    )


def plan_facts(plan: DryRun) -> dict[str, str]:
    """Format a plan for the terminal."""
    search = [f"{plan.trials} trials" if plan.trials is not None else ""]
    search.append(f"{plan.time_limit_s:g} s" if plan.time_limit_s is not None else "")
    copies = {"target leakage": ", ".join(plan.copies)} if plan.copies else {}
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
    """Return the JSON of ``fit --dry-run``: the names of a fit's document, and the plan."""
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
    """Return a line with the target, its task and the reason."""
    return printable(f"target '{target.name}': {target.task}, {target.reason}")


def next_commands(model: Path, data: str) -> list[str]:
    """Return two commands to run next; they name the model only if it is not the default."""
    named = [] if str(model) == "model.xrfm" else ["--model", str(model)]
    predicted = ["new.csv" if data == "-" else data, *named, "--output", "predictions.csv"]
    return [shell_line(["xrfm", "predict", *predicted]), shell_line(["xrfm", "explain", *named])]


def search_lines(model: FittedModel, document: Mapping[str, Any]) -> list[str]:
    """Return lines about the score's range, the trials, their cost and the important hyperparameters."""
    report, best = model.report, document["best_trial"]
    tried, done = len(report.trials), sum(1 for trial in report.trials if trial["state"] == "complete")
    trials = f"{tried} trial{'s' if tried != 1 else ''}" + (f" ({done} completed)" if done < tried else "")
    members = f"{len(report.ensemble)} model{'s' if len(report.ensemble) != 1 else ''} in the ensemble"
    seconds = report.seconds.get("total", sum(report.seconds.values()))
    stopped = STOPPED.get(report.stopped_by, report.stopped_by)
    spread = f"{number(report.score_low)} to {number(report.score_high)} over the folds"
    if best is not None and done > 1 and len(report.ensemble) > 1:
        moment = f", after {best['ended_s']:.1f} s" if best["ended_s"] is not None else ""
        spread += f"; best single trial {number(best['score'])}{moment}"
    told = [] if document["test"] is None else [_test_line(document["test"], report.metric)]
    lines = [*told, *verdict_words(document), spread, f"{trials}, {members}, {seconds:.1f} s; {stopped}"]
    return lines + _mattering(document["hyperparameter_importances"])


def _test_line(test: Mapping[str, Any], metric: str) -> str:
    """Return a line with the score on the rows of --holdout."""
    return f"{metric} on {test['rows']:,} test rows ({test['how']}): {number(test['metrics'].get(metric))}"


def _mattering(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line with the hyperparameters that matter more than chance, if known."""
    if not rows:
        return []
    clear = [f"{row['name']} {row['share']:.0%}" for row in rows if row["share"] > row["by_chance"]]
    return [f"important hyperparameters: {', '.join(clear[:3]) or 'none beyond chance'}"]
