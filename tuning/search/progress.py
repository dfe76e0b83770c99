"""The progress of a search, as an event."""

from __future__ import annotations

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.trial_records import Budget, SearchResult


def tell_progress(problem: Problem, budget: Budget, result: SearchResult, on_event: OnEvent) -> None:
    """Report the number of trials that have ended, and the best score."""
    best = min((j for _, j in result.validation_results), key=lambda j: j.loss, default=None)
    number = len(result.records)
    text = f"trial {number}" + (f" of {budget.trials}" if budget.trials else "")
    if best is not None:
        text += f", best {problem.scorer.metric.name} {best.score:.5g}"
    on_event(
        Event(
            kind="progress",
            message=text,
            done=number / budget.trials if budget.trials else None,
            count=number,
        )
    )
