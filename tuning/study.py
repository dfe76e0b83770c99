"""The search: an Optuna study whose trials are pruned stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna

from xrfm_cli.datasets.errors import NumericalError
from xrfm_cli.datasets.events import Event, OnEvent
from xrfm_cli.tuning.cost import CostModel
from xrfm_cli.tuning.evaluation import Iterate, Judgement, OutOfTime, evaluate
from xrfm_cli.tuning.problem import Problem
from xrfm_cli.tuning.space import Candidate, SearchSpace

REDUCTION = 3  # of the trials that reach a stage, one in so many goes on to the next
STARTUP_TRIALS = 12  # configurations drawn before the sampler trusts its model


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """What the report tells of a trial."""

    number: int
    state: str  # complete, pruned, failed or out of time
    loss: float | None
    score: float | None
    seconds: float
    stages: int
    iterations: int | None
    params: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON facts."""
        return {
            "number": self.number,
            "state": self.state,
            "score": self.score,
            "seconds": round(self.seconds, 4),
            "stages": self.stages,
            "iterations": self.iterations,
            "params": self.params,
        }


@dataclass(slots=True, kw_only=True)
class SearchResult:
    """Finished trials with their out-of-fold predictions, and the record of all."""

    judgements: list[tuple[int, Judgement]] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)
    costs: CostModel = field(default_factory=CostModel)
    stopped_by: str = "trials"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Budget:
    """How long the search may take: a number of trials, a moment, or both."""

    trials: int | None
    deadline: float | None  # on the clock; includes everything after the search
    clock: Callable[[], float] = time.monotonic
    reserve: Callable[[CostModel, SearchResult], float] = lambda costs, result: (
        0.0
    )  # seconds after the search


def search(
    problem: Problem, space: SearchSpace, first: list[dict[str, Any]], budget: Budget, *, on_event: OnEvent
) -> SearchResult:
    """Try candidates until the budget ends; the first one is always judged to the end.

    ``first`` are the sampler's parameters of the configurations to try before it draws its own. A
    trial's randomness depends on the seed and its number alone.
    """
    result = SearchResult()
    with _quiet_optuna():
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=problem.seed, n_startup_trials=STARTUP_TRIALS),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
        )
        for params in first:
            study.enqueue_trial(params)
        try:
            while budget.trials is None or len(result.records) < budget.trials:
                if _run_trial(problem, space, study, budget, result, on_event) == "out of time":
                    result.stopped_by = "time"
                    break
        except KeyboardInterrupt:
            result.stopped_by = "interrupt"
    return result


def _run_trial(
    problem: Problem,
    space: SearchSpace,
    study: optuna.Study,
    budget: Budget,
    result: SearchResult,
    on_event: OnEvent,
) -> str:
    trial = study.ask()
    candidate = space.suggest(trial)
    began, stages = budget.clock(), 0
    state, judgement = "pruned", None
    family = cost_family(candidate)

    @contextmanager
    def budgeted(rows: int, times: int) -> Iterator[list[Iterate]]:
        if budget.deadline is not None and result.judgements:
            needed = times * result.costs.estimate(family, rows) + budget.reserve(result.costs, result)
            if budget.clock() + needed > budget.deadline:
                raise OutOfTime
        since, path = budget.clock(), list[Iterate]()
        yield path
        result.costs.record(family, rows, seconds=budget.clock() - since, solves=len(path))

    loss = None
    try:
        for stage in evaluate(problem, candidate, trial=trial.number, budgeted=budgeted, on_event=on_event):
            stages += 1
            loss, judgement = stage.loss, stage.judgement
            if judgement is None:
                trial.report(stage.loss, step=REDUCTION ** (stages - 1))
                if result.judgements and trial.should_prune():
                    break
        else:
            state = "complete"
    except OutOfTime:
        state = "out of time"
    except NumericalError as fault:
        state = "failed"
        on_event(Event(kind="fallback", message=f"trial {trial.number} failed: {fault}", count=1))
    if judgement is not None:
        result.judgements.append((trial.number, judgement))
        study.tell(trial, judgement.loss)
    else:
        study.tell(
            trial, state=optuna.trial.TrialState.PRUNED if loss is not None else optuna.trial.TrialState.FAIL
        )
    score = None if loss is None else problem.metric.value_of(loss)
    result.records.append(
        TrialRecord(
            number=trial.number,
            state=state,
            loss=loss,
            score=score,
            seconds=budget.clock() - began,
            stages=stages,
            iterations=None if judgement is None else judgement.iterations,
            params=candidate.to_dict(),
        )
    )
    _tell_progress(problem, budget, result, on_event)
    return state


def cost_family(candidate: Candidate) -> str:
    """Kernels whose fits take about as long as each other."""
    leaf = candidate.tree.leaf
    if leaf.kernel == "sum_power":
        return "sum_power"
    return {2.0: "l2", 1.0: "l1"}.get(leaf.kernel_p, "lp")


def _tell_progress(problem: Problem, budget: Budget, result: SearchResult, on_event: OnEvent) -> None:
    best = min((j.loss for _, j in result.judgements), default=None)
    number = len(result.records)
    text = f"trial {number}" + (f" of {budget.trials}" if budget.trials else "")
    if best is not None:
        text += f", best {problem.metric.name} {problem.metric.value_of(best):.5g}"
    on_event(
        Event(
            kind="progress",
            message=text,
            done=number / budget.trials if budget.trials else None,
            count=number,
        )
    )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna's own log lines out of the user's terminal while the study runs."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
