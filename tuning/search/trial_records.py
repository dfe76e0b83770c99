"""Inputs, running trials and results of a search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import optuna

from xrfm_cli.mentions import option
from xrfm_cli.tuning.deadline import Deadline
from xrfm_cli.tuning.rows import StoppedBy, TrialRow, TrialStatus
from xrfm_cli.tuning.search.cost import CostModel
from xrfm_cli.tuning.search.trial import Trial, ValidationResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial as the report shows it."""

    number: int
    state: TrialStatus
    loss: float | None
    score: float | None
    seconds: float
    ended_s: float  # from the start of the search to the end of its last rung
    rungs: int  # completed; "stages" in JSON
    iterations: int | None
    tries: int  # kernels tried in the refinement after its first rung
    params: dict[str, Any]
    failure: str = ""  # why it failed, for messages

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Return the record of a trial that has ended."""
        result = trial.validation_result
        return cls(
            number=trial.number,
            state=trial.status,
            loss=trial.loss,
            score=trial.score,
            seconds=trial.seconds,
            ended_s=trial.ended_s,
            rungs=trial.rungs_done,
            iterations=None if result is None else result.iterations,
            tries=trial.tries,
            params=trial.candidate.to_dict(),
            failure=trial.failure,
        )

    def to_json(self) -> TrialRow:
        """Return the record's values, ready for JSON."""
        return {
            "number": self.number,
            "state": self.state,
            "score": self.score,
            "seconds": round(self.seconds, 4),
            "ended_s": round(self.ended_s, 4),
            "stages": self.rungs,
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
    stopped_by: StoppedBy = "trials"

    def why_no_model(self) -> str:
        """Return the message for a search without a model: the first failure and the way out."""
        failed = (f"trial {item.number} failed: {item.failure}" for item in self.records if item.failure)
        return (
            f"no trial led to a model: {next(failed, 'none was fully evaluated.')} Pin other hyperparameters "
            f"({option('set')}), such as a larger ridge."
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Budget:
    """The limits of a search: a number of trials, a deadline, or both."""

    trials: int | None
    deadline: Deadline
    clock: Callable[[], float] = time.monotonic
    length_s: float = float("inf")  # from the start of the search to the deadline
    limit_s: float | None = None  # the time limit of the whole fit
    # whether the final fits fit into this many seconds
    affords: Callable[[SearchResult, float], bool] = lambda result, seconds: seconds >= 0
    # whether more trials would gain less than validation can detect
    has_converged: Callable[[SearchResult], bool] = lambda result: False

    def left_for_models(self, result: SearchResult, now: float | None = None) -> float:
        """Return the seconds left for the search and the final fits."""
        now = self.clock() if now is None else now
        return self.deadline.left_for_models(now, trials=len(result.records))


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's log lines out of the user's terminal."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
