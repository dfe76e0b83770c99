"""Inputs, running trials and results of a search."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna

from xrfm_cli.tuning.search.cost import CostModel
from xrfm_cli.tuning.search.space import Candidate
from xrfm_cli.tuning.search.trial import RungResult, ValidationResult

# Seconds reserved for saving the model and writing the report, and for each trial in the report: measured
# on 413 to 5,968 trials, mostly spent in Optuna's importances.
REPORT_S, TRIAL_REPORT_S = 2.2, 0.0012
COLUMN_REPORT_S = 0.0006  # per column, for writing its encoder and reporting its importance
CLASS_REPORT_S = 0.004  # per class, for its ranking metrics over all rows and over each fold


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial as the report shows it."""

    number: int
    state: str  # complete, pruned, failed, out of time or interrupted
    loss: float | None
    score: float | None
    seconds: float
    ended_s: float  # from the start of the search to the end of its last rung
    stages: int
    iterations: int | None
    tries: int  # kernels tried in the refinement after its first rung
    params: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the record's values, ready for JSON."""
        return {
            "number": self.number,
            "state": self.state,
            "score": self.score,
            "seconds": round(self.seconds, 4),
            "ended_s": round(self.ended_s, 4),
            "stages": self.stages,
            "iterations": self.iterations,
            "tries": self.tries,
            "params": self.params,
        }


@dataclass(slots=True, kw_only=True)
class SearchResult:
    """Finished trials with their out-of-fold predictions, and the records of all trials."""

    validation_results: list[tuple[int, ValidationResult]] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)
    costs: CostModel
    stopped_by: str = "trials"
    columns: int = 0  # of the table
    classes: int = 0  # of the target

    @property
    def report_s(self) -> float:
        """Return the expected seconds of saving the model and writing the report."""
        each = COLUMN_REPORT_S * self.columns + CLASS_REPORT_S * self.classes
        return REPORT_S + TRIAL_REPORT_S * len(self.records) + each


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Budget:
    """The limits of a search: a number of trials, a deadline, or both."""

    trials: int | None
    deadline: float | None  # on the clock; includes everything after the search
    clock: Callable[[], float] = time.monotonic
    length: float = float("inf")  # seconds from the start of the search to the deadline
    affords: Callable[[SearchResult, float], bool] = lambda result, seconds: seconds >= 0
    # whether what follows the search fits into this many seconds


@dataclass(slots=True, kw_only=True, eq=False)
class RunningTrial:
    """A trial that can pause between rungs while others run."""

    number: int
    candidate: Candidate
    stages: Generator[RungResult, Candidate | None, None]
    found_elsewhere: bool = False  # by another process, which has fully evaluated it
    rungs_done: int = 0
    solves: tuple[int, ...] = ()  # of each completed rung of the first fold
    tries: int = 0  # kernels tried in its refinement
    seconds: float = 0.0
    ended_s: float = 0.0  # end of its last rung so far, from the start of the search
    loss: float | None = None
    score: float | None = None  # value of the metric
    validation_result: ValidationResult | None = None
    state: str = "running"


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's log lines out of the user's terminal."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
