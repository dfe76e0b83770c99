"""The progress of a search, as an event."""

from __future__ import annotations

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.trial_records import Budget, SearchResult

INTERRUPT_HINT = "Ctrl-C keeps the best"


def tell_progress(
    problem: Problem,
    budget: Budget,
    result: SearchResult,
    on_event: OnEvent,
    *,
    now: float,
    begun: int,
    running: float,
) -> None:
    """Report the number of trials that have begun, the best score and the share of the budget that is spent.

    Args:
        problem: names the metric.
        budget: the trials and the time limit.
        result: the trials so far.
        on_event: receives the event.
        now: on the budget's clock.
        begun: trials that have begun and not ended.
        running: the shares of their rungs that are done, added up.
    """
    best = min((j for _, j in result.validation_results), key=lambda j: j.loss, default=None)
    ended, limit_s = len(result.records), budget.limit_s
    number = ended + begun
    parts = [f"trial {number}" + (f" of {budget.trials}" if budget.trials else "")]
    if best is not None:
        parts.append(f"best {problem.scorer.metric.name} {best.score:.5g}")
    elapsed_s = None if limit_s is None else limit_s - budget.deadline.left(now)
    spent = [] if elapsed_s is None or limit_s is None else [elapsed_s / limit_s]
    spent += [(ended + running) / budget.trials] if budget.trials else []
    on_event(
        Event(
            kind="progress",
            message=" · ".join(parts),
            done=min(1.0, max(spent)) if spent else None,
            count=number,
            elapsed_s=elapsed_s,
            limit_s=limit_s,
            hint="" if best is None else INTERRUPT_HINT,
        )
    )
