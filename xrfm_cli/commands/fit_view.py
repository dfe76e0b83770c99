"""Terminal output of ``fit`` and ``fit --dry-run``: columns, scores, importances, files, next commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table, TableSchema, TargetSchema
from xrfm_cli.errors import ModelFileError
from xrfm_cli.options.shell_words import shell_line
from xrfm_cli.printable import counted, printable
from xrfm_cli.reports.formats import parts
from xrfm_cli.reports.story import verdict_words
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.tables import (
    columns_table,
    facts_table,
    heading,
    importances_table,
    kind_or_role,
    linked,
    number,
    positive_lines,
    scores_table,
)
from xrfm_cli.trees import read_model_file
from xrfm_cli.tuning.dry_run import ROW_BYTES, DryRun
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.manifest import check_manifest
from xrfm_cli.tuning.model.report import FitReport

BESIDE = ("r2", "accuracy", "rmse", "log_loss")  # the first one that is not the score is shown beside it
SHOWN = {"r2": "R2"}
CHANGES_POSITIVE = "--positive changes it"
STOPPED = {
    "time": "stopped by the time limit",
    "trials": "all trials done",
    "converged": "converged (--no-early-stop searches on)",
    "interrupt": "interrupted: the best model so far",
    "refit": "no search",
}


def show_fit(
    model: FittedModel, document: Mapping[str, Any], session: Session, *, files: Sequence[Path], replaced: str
) -> None:
    """Print the scores, the importances, the files, the result in one line, and the commands to run next.

    Args:
        files: the model and its report.
        replaced: the score of the model that the file held before; empty if there was none.
    """
    report = model.report
    baselines = [(item["name"], float(item["score"])) for item in report.baselines]
    better = "lower" if report.lower_is_better else "higher"
    hint = "" if report.stopped_by == "refit" else CHANGES_POSITIVE
    positive = positive_lines(model.target, hint=hint)
    # A command with ? in place of a character would be a different command.
    commands = [line for line in next_commands(files[0]) if streams.can_show(line)]
    columns: list[RenderableType] = [Text(columns_line(model.schema), style="dim")]
    if session.renderer.is_verbose:
        columns = [heading("Columns"), columns_table(model.schema)]
    session.renderer.result(
        *map(Text, rows_lines(report)),
        Text(target_line(model.target)),
        *columns,
        heading(f"Scores ({report.metric} on held-out rows, {better} is better)"),
        scores_table(("this model", report.score), baselines, lower_is_better=report.lower_is_better),
        Text("\n".join([*positive, *search_lines(model, document)]), style="dim"),
        heading("What matters most (share of the prediction's variance)"),
        importances_table(document["importances"]),
        heading("Written"),
        linked(files[0], f", replaces {replaced}" if replaced else ""),
        *map(linked, files[1:]),
        heading("Result"),
        Text(f"  {result_line(report)}"),
        *([heading("Next")] if commands else []),
        *(Text(f"  {printable(line)}", no_wrap=True) for line in commands),
    )


def rows_lines(report: FitReport) -> list[str]:
    """Return a line with the rows that the model learned from, if that is not all of them."""
    if not report.left_out_rows:
        return []
    total = report.rows + report.left_out_rows
    return [f"fitted on {report.rows:,} of {total:,} rows (--fit-rows all uses all of them)"]


def warn_of_many_rows(table: Table, session: Session) -> None:
    """Say at once if a table in files has more rows than the memory has room for numbers of each row."""
    if table.scratch is None or ROW_BYTES * table.n_rows <= table.scratch.memory_bytes:
        return
    needed, room = (size / 2**30 for size in (ROW_BYTES * table.n_rows, table.scratch.memory_bytes))
    session.renderer.note(
        f"{table.source}: numbers of each row, such as its target, need about {needed:,.1f} GiB of memory, "
        f"more than the {room:,.1f} GiB that may be used: raise --memory, or give a file of fewer rows",
        kind="warning",
    )


def replaced_model(path: Path) -> str:
    """Return the score of the model in a file, such as ``rmse 1,695``; empty without a file."""
    if not path.is_file():
        return ""
    try:
        manifest, _ = read_model_file(path)
        check_manifest(manifest)
    except ModelFileError:
        return "a file that is no model"
    return f"{manifest['report']['metric']} {number(manifest['report']['score'])}"


def columns_line(schema: TableSchema) -> str:
    """Return a line with the number of columns of each kind."""
    counts = Counter(map(kind_or_role, schema.columns))
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return f"{counted(len(schema.columns), 'column')}: {listed} (--verbose lists them)"


def result_line(report: FitReport) -> str:
    """Return the score, and beside it the share of variance or of correct predictions."""
    names = [report.metric, *(name for name in BESIDE if name in report.metrics and name != report.metric)]
    values = {**report.metrics, report.metric: report.score}
    score, *others = [f"{SHOWN.get(name, name)} {number(values[name])}" for name in names]
    whose = " of the model that it was refitted from" if report.stopped_by == "refit" else ""
    return ", ".join([f"{score} on held-out rows{whose}", *others[:1]])


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
    search = [counted(plan.trials, "trial") if plan.trials is not None else ""]
    search.append(f"{plan.time_limit_s:g} s" if plan.time_limit_s is not None else "")
    copies = {"target leakage": ", ".join(plan.copies)} if plan.copies else {}
    transfer = {"transfer": plan.transfer} if plan.transfer else {}
    leaves = "one leaf" if plan.leaves == 1 else f"{plan.leaves} leaves of up to {plan.leaf_size:,} rows"
    return {
        "rows": f"{plan.rows:,}" + (f" of {plan.rows + plan.left_out_rows:,}" if plan.left_out_rows else ""),
        "rows of the search": f"{plan.search_rows:,}",
        "encoded columns": f"{plan.features:,}",
        "tree": leaves,
        "validation": plan.validation,
        "search until": " or ".join(part for part in search if part),
        "time": f"about {plan.estimate_s:,.0f} s",
        "memory": f"about {plan.memory_bytes / 2**20:,.0f} MiB",
        "files": f"about {plan.disk_bytes / 2**20:,.0f} MiB" if plan.disk_bytes else "none beside the model",
        "model file": f"about {plan.model_bytes / 2**20:,.1f} MiB"
        + (f" with {plan.models} models" if plan.models > 1 else ""),
        **copies,
        **transfer,
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


def next_commands(model: Path) -> list[str]:
    """Return two commands to run next; they name the model only if it is not the default."""
    named = [] if str(model) == "model.xrfm" else ["--model", str(model)]
    predicted = ["new.csv", *named, "--output", "predictions.csv"]
    return [shell_line(["xrfm", "explain", *named]), shell_line(["xrfm", "predict", *predicted])]


def search_lines(model: FittedModel, document: Mapping[str, Any]) -> list[str]:
    """Return lines about the score's range, the trials, their cost and the important hyperparameters."""
    report, best = model.report, document["best_trial"]
    tried, done = len(report.trials), sum(1 for trial in report.trials if trial["state"] == "complete")
    trials = counted(tried, "trial") + (f" ({done} completed)" if done < tried else "")
    members = f"{counted(len(report.ensemble), 'model')} in the ensemble"
    seconds = report.seconds.get("total", sum(report.seconds.values()))
    stopped = STOPPED.get(report.stopped_by, report.stopped_by)
    spread = f"{number(report.score_low)} to {number(report.score_high)} {parts(report.validation)}"
    if best is not None and done > 1 and len(report.ensemble) > 1:
        moment = f", after {best['ended_s']:.1f} s" if best["ended_s"] is not None else ""
        spread += f"; best single trial {number(best['score'])}{moment}"
    test = [] if document["test"] is None else [_test_line(document["test"], report.metric)]
    lines = [
        *test,
        *verdict_words(document),
        spread,
        f"{trials}, {members}, {seconds:.1f} s; {stopped}",
    ]
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
