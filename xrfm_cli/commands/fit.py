"""``xrfm fit``: fit a model to a table; write the model file and its report."""

from __future__ import annotations

import math
import time
import webbrowser
from pathlib import Path
from typing import Any

from xrfm_cli.commands.common.compressing import compressed
from xrfm_cli.commands.common.compute import prepare_device
from xrfm_cli.commands.common.holdout import hold_out, score_held_out
from xrfm_cli.commands.common.places import checkpoint_folder, explain_paths, report_paths
from xrfm_cli.commands.common.reading import read_whole
from xrfm_cli.commands.common.resume import resumable, scratch_of, shared_place
from xrfm_cli.commands.common.session import Session
from xrfm_cli.commands.common.usage import check_usage
from xrfm_cli.commands.fit_view import (
    dry_run_document,
    replaced_model,
    show_fit,
    show_plan,
    warn_of_many_rows,
)
from xrfm_cli.datasets import (
    SchemaOverrides,
    Table,
    TableSchema,
    TargetSchema,
    infer_schema,
    infer_target,
)
from xrfm_cli.datasets.schema.schema_file import read_schema_file
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.schema_file import write_schema_file
from xrfm_cli.reports import explain_model, write_fit_report
from xrfm_cli.reports.explanation import EXPLAINED_ROWS
from xrfm_cli.reports.fit.effort import find_effort
from xrfm_cli.tuning.config import ALL_ROWS, FitConfig
from xrfm_cli.tuning.dry_run import dry_run_fit
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.storage import load_model, save_model
from xrfm_cli.tuning.problem.size_limit import megabytes
from xrfm_cli.tuning.refit import refit_model
from xrfm_cli.tuning.transfer.base import Base
from xrfm_cli.tuning.transfer.matching import match_base

INTERRUPTED = 130
MARK_BYTES = 2_000  # bytes at the beginning of an explanation that name the program
EXPLAIN_MARKS = (b'<meta name="generator" content="xrfm ', b'"command": "explain"')


def run(options: FitOptions, session: Session) -> int:
    """Fit a model and write it with its report; return 130 if the search was interrupted."""
    status, document = fit_table(options, session)
    session.renderer.document("fit", document)
    return status


def fit_table(options: FitOptions, session: Session) -> tuple[int, dict[str, Any]]:
    """Run ``xrfm fit`` without printing the JSON document; return the exit status and the document."""
    check_usage(options)
    device = prepare_device(options.device, threads=options.threads)
    replaced = "" if options.dry_run else replaced_model(Path(options.model))
    if replaced:
        session.renderer.note(f"{options.model} ({replaced}) will be replaced; --no-clobber keeps it")
    scratch = scratch_of(options)
    table = read_whole(options.data, options, session, scratch=scratch)
    warn_of_many_rows(table, session)
    if options.from_model is not None:
        model = _refit(table, options, session, device=device)
        if options.compress is not None:
            model = compressed(model, table, options, session, is_apart=False)
    else:
        schema = _schema_of(table, options, session)
        name = schema.with_role("target")[0].name
        target = infer_target(table, name, task=options.task, positive=options.positive)
        held = None
        if options.holdout is not None:
            held = hold_out(table, schema, target, share=options.holdout, seed=options.seed)
            message = f"{held.test.n_rows:,} of {table.n_rows:,} rows kept for a test, {held.how}"
            table = held.train
            target = infer_target(table, name, task=options.task, positive=options.positive)
            session.renderer.note(message)
        valid = read_whole(options.valid, options, session, scratch=scratch) if options.valid else None
        config = config_of(options, device=device)
        base = _base_of(options, table, schema, target, device=device)
        if options.dry_run:
            plan = dry_run_fit(table, schema, target, config, valid=valid, base=base)
            show_plan(plan, schema, target, session)
            return 0, dry_run_document(plan, schema, target)
        memory = scratch.memory_bytes
        with resumable(options, table, valid, schema, session, device=device, memory=memory) as checkpoint:
            model = fit_model(
                table,
                schema,
                target,
                config,
                valid=valid,
                on_event=session.renderer.on_event,
                started=session.started,
                slowdown=session.slowdown,
                checkpoint=checkpoint,
                place=shared_place(options, table, valid, schema),
                base=base,
            )
            if held is not None:
                model = score_held_out(model, held, session)
            if options.compress is not None:
                apart = valid if held is None else held.test
                rows = table if apart is None else apart
                model = compressed(model, rows, options, session, is_apart=apart is not None)
            limit = config.effective_time_limit_s
            limit = math.inf if limit is None else limit
            left = session.started + limit - time.monotonic()
            status, document = _finish(
                model, options, session, replaced, seconds_left=left, time_limit_s=limit
            )
            if checkpoint is not None and status == 0:
                checkpoint.remove()
        return status, document
    return _finish(model, options, session, replaced)


def source_name(data: str) -> str:
    """Return the name of a table for titles, without its folder.

    >>> source_name("data/sales.csv"), source_name("-")
    ('sales.csv', 'standard input')
    """
    return "standard input" if data == "-" else Path(data).name


def remove_stale_explanation(model: str, session: Session) -> None:
    """Remove the explanation of an earlier model of this name: it would seem to explain the new one.

    Only files that ``xrfm explain`` wrote are removed.
    """
    for path, mark in zip(explain_paths(model), EXPLAIN_MARKS, strict=True):
        try:
            with path.open("rb") as file:
                is_ours = mark in file.read(MARK_BYTES)
            if is_ours:
                path.unlink()
                session.renderer.note(f"{path}: removed, as it explained an earlier model; run xrfm explain")
        except OSError:
            continue


def _schema_of(table: Table, options: FitOptions, session: Session) -> TableSchema:
    """Return the columns from ``--schema`` or inferred ones; write the file if it does not exist yet."""
    path = None if options.schema is None else Path(options.schema)
    described = None if path is None else read_schema_file(path)
    schema = infer_schema(table, overrides_of(options), described)
    if not schema.with_role("target"):
        raise OptionError(f"--target is missing, and {path} has no target: name the column to predict")
    if path is not None and described is None:
        write_schema_file(path, schema, source=table.source)
        session.renderer.note(
            f"{path}: written with the inferred columns; edit it, and the next fit reads it"
        )
    return schema


def overrides_of(options: FitOptions) -> SchemaOverrides:
    """Return the column options."""
    return SchemaOverrides(
        target=options.target,
        weight=options.weight,
        offset=options.offset,
        group=options.group,
        time=options.time,
        ids=options.ids,
        drop=options.drop,
        categorical=options.categorical,
        numeric=options.numeric,
        datetime=options.datetime,
    )


def config_of(options: FitOptions, *, device: str) -> FitConfig:
    """Return the search options."""
    return FitConfig(
        metric=options.metric,
        time_limit_s=options.time_limit,
        trials=options.trials,
        early_stop=not options.no_early_stop,
        preset=options.preset,
        pinned=dict(options.pins),
        folds=options.folds,
        seed=options.seed,
        device=device,
        threads=options.threads,
        workers=options.workers,
        scheduler=options.scheduler,
        memory_bytes=options.memory,
        fit_rows=ALL_ROWS if isinstance(options.fit_rows, str) else options.fit_rows,
        search_rows=options.search_rows,
        max_model_bytes=options.max_model_size,
    )


def _base_of(
    options: FitOptions, table: Table, schema: TableSchema, target: TargetSchema, *, device: str
) -> Base | None:
    """Return the base model of ``--transfer-from``, matched with the table."""
    if options.transfer_from is None:
        return None
    path = Path(options.transfer_from)
    return match_base(
        load_model(path, device=device), name=path.name, table=table, schema=schema, target=target
    )


def _refit(table: Table, options: FitOptions, session: Session, *, device: str) -> FittedModel:
    """Refit the model of ``--from`` on these rows."""
    assert options.from_model is not None
    before = load_model(Path(options.from_model), device=device)
    if options.target not in (None, before.target.name):
        raise OptionError(f"--target {options.target}: {options.from_model} predicts '{before.target.name}'")
    session.renderer.stage("refitting")
    return refit_model(
        before,
        table,
        seed=options.seed,
        device=device,
        memory_bytes=options.memory,
        workers=options.workers,
        on_event=session.renderer.on_event,
    )


def _check_size(options: FitOptions, session: Session) -> None:
    """Say if a model file is larger than ``--max-model-size``: the report's size is only estimated."""
    limit, size = options.max_model_size, Path(options.model).stat().st_size
    if limit is not None and size > limit:
        session.renderer.note(
            f"{options.model}: is {megabytes(size)}, more than --max-model-size {megabytes(limit)}, as its "
            "report and encoders are larger than estimated",
            kind="fallback",
        )


def _finish(
    model: FittedModel,
    options: FitOptions,
    session: Session,
    replaced: str,
    *,
    seconds_left: float = math.inf,
    time_limit_s: float = math.inf,
) -> tuple[int, dict[str, Any]]:
    """Save the model before anything else, then explain it."""
    save_model(model, Path(options.model))
    _check_size(options, session)
    paths = report_paths(options.model, options.formats)
    try:
        session.renderer.stage("explaining")
        effort = find_effort(
            model, seconds_left=seconds_left, time_limit_s=time_limit_s, slowdown=session.slowdown()
        )
        explanation = explain_model(
            model, rows=effort.rows, seed=options.seed, swap_seconds=effort.swap_seconds
        )
        if effort.is_reduced and model.report.rows > explanation.rows:
            message = f"the time limit left the report room to explain the model on {explanation.rows:,} rows"
            session.renderer.note(f"{message}; xrfm explain uses up to {EXPLAINED_ROWS:,}", kind="fallback")
        document = write_fit_report(model, explanation, paths, source=source_name(options.data))
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"interrupted: {options.model} is saved, its report is not") from interrupt
    except InputError as fault:
        raise InputError(f"{fault} The model is saved in {options.model}.") from fault
    remove_stale_explanation(options.model, session)
    show_fit(model, document, session, files=(Path(options.model), *paths), replaced=replaced)
    pages = [path for path in paths if path.suffix == ".html"]
    if options.open_report and pages:
        webbrowser.open(pages[0].resolve().as_uri())
    if model.report.stopped_by == "interrupt":
        way_on = (
            f"; the same command continues from {checkpoint_folder(options.model)}" if options.resume else ""
        )
        saved = f"interrupted: the best model so far is saved in {options.model}"
        session.renderer.note(saved + way_on, kind="fallback")
        return INTERRUPTED, document
    return 0, document
