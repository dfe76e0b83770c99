"""What a fit reports before its search: its rows, copies of the target, slow kernels, the validation."""

from __future__ import annotations

from xrfm_cli.datasets import EncodingConfig, Table, UnreadColumns, find_copies
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.compiled.loops import is_compiled
from xrfm_cli.leaf_models.kernels.coordinates import triton_module
from xrfm_cli.printable import counted
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.problem.hints import copy_message, validation_hints
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import ProblemSetup
from xrfm_cli.tuning.transfer.base import Base


def announce_base(base: Base, on_event: OnEvent) -> None:
    """Report what the base model of transfer learning shares with the table, and rows that it knows."""
    on_event(Event(kind="note", message=f"{base.name} {base.found.words}"))
    if base.known_rows:
        message = (
            f"{base.name} was fitted on {base.known_rows:,} of these rows too, so it is trusted more "
            "than it deserves: leave them out"
        )
        on_event(Event(kind="warning", message=message))


def announce_rows(setup: ProblemSetup, config: FitConfig, on_event: OnEvent) -> None:
    """Report how many rows the search and the final fits use, and columns that copy the target."""
    problem, left_out = setup.problem, setup.left_out
    if setup.dropped:
        message = f"{counted(setup.dropped, 'row')} left out, without a target or of weight 0"
        on_event(Event(kind="note", message=message))
    if left_out:
        kept = len(problem.final.rows)
        used = f"{kept:,} of {kept + left_out:,} rows, drawn at random"
        if config.fit_rows is None:
            message = f"the time limit leaves room for {used}"
            on_event(Event(kind="fallback", message=message, count=1))
        else:
            on_event(Event(kind="note", message=f"the final fits use {used}, as asked for"))
    if problem.final.places is not None:
        searched = f"{len(problem.plan.refit_rows):,} of the {len(problem.final.rows):,}"
        message = f"the search uses {searched} training rows, drawn at random from the whole table"
        on_event(Event(kind="note", message=message))
    data = problem.data
    for name in find_copies(data.typed.table, data.schema, data.y_true, classes=data.n_classes):
        on_event(Event(kind="note", message=copy_message(name, data.target.name)))


def announce_slow_kernels(device: str, on_event: OnEvent) -> None:
    """Report that kernels are slower than they could be on a device."""
    if not is_compiled():
        message = "this installation has no compiled loops, so kernels are slower: see xrfm doctor"
        on_event(Event(kind="fallback", message=message, count=1))
    if device.startswith("cuda") and triton_module() is None:
        message = "Triton is not installed or does not run on this GPU, so kernels are slower"
        on_event(Event(kind="fallback", message=message, count=1))


def announce_valid(problem: Problem, valid: Table, on_event: OnEvent) -> None:
    """Report a sample of the validation rows that the user gave, and their columns in another notation."""
    used = valid
    if valid.scratch is not None:
        used = problem.data.table.take(problem.plan.validation_rows)
        drawn = f"{used.n_rows:,} of the {valid.n_rows:,} rows of {valid.source}, drawn at random"
        on_event(Event(kind="note", message=f"trials are validated on {drawn}"))
    unread = UnreadColumns(problem.data.schema)
    unread.look(used, problem.folds.matrices(0, EncodingConfig()).encoder.encode(used)[1])
    for line in unread.lines():
        on_event(Event(kind="warning", message=f"{valid.source}: {line}"))


def announce_validation(problem: Problem, on_event: OnEvent) -> None:
    """Report how trials are validated and compared, after warnings about what does not suit the table."""
    for line in validation_hints(problem):
        on_event(Event(kind="warning", message=line))
    message = f"validated by {problem.plan.scheme}: {problem.plan.reason}"
    if problem.scorer.compared_by != problem.scorer.metric.name:
        message += f"; trials are compared by {problem.scorer.compared_by}"
    on_event(Event(kind="note", message=message))
