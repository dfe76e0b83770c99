"""Limits in time and in trials, interrupts, and trials that are given up early."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.tuning.tables import Ticks, answers, described, fit, law, noise_table, table_of
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning import FitConfig, FittedModel, fit_model, limits
from xrfm_cli.tuning.deadline import REPORT_RESERVE
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search import run_step as steps
from xrfm_cli.tuning.search.run_step import run_step
from xrfm_cli.tuning.search.step import Fitted, Step

PINNED = {"iterations": 0}


def slow_fit(step_s: float, limit_s: float, **options: Any) -> tuple[FittedModel, Ticks, float]:
    """A fit under a clock on which whatever lies between two readings takes ``step_s`` seconds."""
    clock = Ticks(step_s)
    began = clock.now
    chosen: dict[str, Any] = {"folds": 2, "pinned": PINNED, "early_stop": False} | options
    model = fit(law(60), time_limit_s=limit_s, clock=clock, **chosen)
    return model, clock, clock.now - began


@pytest.mark.slow
@pytest.mark.parametrize(("step_s", "limit_s"), [(0.2, 20.0), (0.5, 60.0), (1.0, 120.0), (20.0, 3_600.0)])
def test_the_limit_ends_the_search_and_is_kept(step_s: float, limit_s: float) -> None:
    model, _, spent = slow_fit(step_s, limit_s)
    report = model.report
    assert report.stopped_by == "time"
    assert len(report.trials) >= 2
    assert any(trial["state"] == "complete" for trial in report.trials)
    assert spent <= limit_s + max(0.05 * limit_s, 5.0)
    assert spent > 0.4 * limit_s  # the time that was given is used
    assert report.seconds["total"] <= limit_s + step_s  # the clock is read once more after the last check
    assert (
        sum(report.seconds[name] for name in ("prepare", "search", "refit")) <= report.seconds["total"] + 0.01
    )


def test_seconds_are_kept_for_what_follows_the_search() -> None:
    model, *_ = slow_fit(0.5, 60.0)
    seconds = model.report.seconds
    assert seconds["prepare"] + seconds["search"] <= 60.0 - 3.0
    assert np.isfinite(answers(model, table_of(law(10)))).all()


def test_a_busy_machine_keeps_more_seconds_for_what_follows_the_search() -> None:
    quiet, *_ = slow_fit(0.3, 60.0)
    same, *_ = slow_fit(0.3, 60.0, slowdown=lambda: 1.0)
    busy, *_ = slow_fit(0.3, 60.0, slowdown=lambda: 4.0)
    assert same.report.timeless() == quiet.report.timeless()
    assert len(busy.report.trials) < len(quiet.report.trials)
    assert busy.report.stopped_by == "time"
    assert busy.report.seconds["total"] <= 60.0 - 4.0 * REPORT_RESERVE.fixed_s
    assert quiet.report.seconds["total"] > 60.0 - 4.0 * REPORT_RESERVE.fixed_s


def test_a_busy_machine_changes_nothing_without_a_limit() -> None:
    quiet, busy = (
        fit(law(60), trials=2, folds=2, pinned=PINNED, slowdown=slowdown)
        for slowdown in (lambda: 1.0, lambda: 50.0)
    )
    assert busy.report.timeless() == quiet.report.timeless()


@pytest.mark.slow
def test_each_trial_takes_seconds_of_the_report() -> None:
    usual, *_ = slow_fit(0.1, 60.0)
    model, *_ = slow_fit(0.1, 60.0, reserve=replace(REPORT_RESERVE, trial_s=1.0))
    told = len(model.report.trials)
    assert 10 < told < len(usual.report.trials)
    assert model.report.seconds["total"] + told <= 60.0


@pytest.mark.parametrize("limit_s", [0.001, 1.0])
def test_one_trial_is_validated_however_short_the_limit(limit_s: float) -> None:
    model, *_ = slow_fit(1.0, limit_s)
    assert model.report.stopped_by == "time"
    assert sum(t["state"] == "complete" for t in model.report.trials) == 1
    assert len(model.members) == 1


def test_time_that_passed_before_the_fit_counts() -> None:
    clock = Ticks(0.1)
    early = clock.now - 58.0
    config = FitConfig(time_limit_s=60.0, folds=2, pinned=PINNED)
    model = fit_model(*described(table_of(law(60))), config, clock=clock, started=early)
    assert model.report.stopped_by == "time"
    assert sum(t["state"] == "complete" for t in model.report.trials) == 1
    assert model.report.seconds["total"] > 58.0


def test_trials_end_the_search_where_they_come_first() -> None:
    model, _, spent = slow_fit(0.01, 1_000.0, trials=3)
    assert model.report.stopped_by == "trials"
    assert len(model.report.trials) == 3
    assert spent < 100


def test_trials_tell_when_they_ended() -> None:
    model, *_ = slow_fit(1.0, 1e6, trials=4)
    ended = [trial["ended_s"] for trial in model.report.trials]
    assert all(0 < trial["seconds"] <= trial["ended_s"] for trial in model.report.trials)
    assert len(set(ended)) == 4  # one after the other, in whole ticks
    assert all(moment == int(moment) for moment in ended)
    assert max(ended) < model.report.seconds["search"]
    assert all(not {"seconds", "ended_s"} & set(trial) for trial in model.report.timeless().trials)


def test_time_ends_the_search_where_it_comes_first() -> None:
    model, *_ = slow_fit(1.0, 60.0, trials=10_000)
    assert model.report.stopped_by == "time"
    assert len(model.report.trials) < 100


def test_trials_alone_know_no_limit() -> None:
    clock = Ticks(1e6)  # eleven days between two looks
    model = fit(law(60), trials=2, folds=2, pinned=PINNED, clock=clock)
    assert model.report.stopped_by == "trials"
    assert len(model.report.trials) == 2


def test_no_search_fits_the_default_once() -> None:
    model = fit(law(60), trials=0)
    assert len(model.report.trials) == 1
    assert model.report.stopped_by == "trials"
    assert len(model.members) == 1
    assert model.members[0].weight == 1.0


def test_a_short_limit_leaves_room_for_fewer_members() -> None:
    heard: list[Event] = []
    clock = Ticks(1.0)
    model = fit(law(60), time_limit_s=45.0, folds=2, clock=clock, on_event=heard.append, pinned=PINNED)
    told = {fallback["message"] for fallback in model.report.fallbacks}
    assert {event.message for event in heard if event.kind == "fallback"} <= told
    assert (
        model.report.seconds["total"] <= 45.0 + 5.0
    )  # what the contract allows of a clock as coarse as this


def once(condition: Callable[[Event], bool], act: Callable[[], None]) -> Callable[[Event], None]:
    """A listener that acts on the first event of which the condition is true."""
    fired: list[Event] = []

    def listen(event: Event) -> None:
        if not fired and condition(event):
            fired.append(event)
            act()

    return listen


def delay(clock: Ticks, message: str, seconds: float) -> Callable[[Event], None]:
    """A listener under which the machine stands still for a while when a message begins like that."""

    def stand_still() -> None:
        clock.now += seconds

    return once(lambda event: event.message.startswith(message), stand_still)


@pytest.mark.slow
@pytest.mark.parametrize("pinned", [{}, {"leaf_size": 12_500}])
def test_a_final_fit_that_would_be_late_has_smaller_leaves(pinned: dict[str, Any]) -> None:
    clock = Ticks(5.0)
    late = delay(clock, "fitting the chosen models", 200.0)
    options: dict[str, Any] = {"folds": 2, "pinned": PINNED | {"kernel": "norm"} | pinned}
    model = fit(law(1_300), time_limit_s=200.0, clock=clock, on_event=late, **options)
    (member,) = model.members
    validated = {trial["number"]: trial["params"]["leaf_size"] for trial in model.report.trials}
    told = [f["message"] for f in model.report.fallbacks if "in the final fit" in f["message"]]
    if pinned:
        assert (told, len(member.tree.leaves)) == ([], 1)
        return
    assert validated[member.trial] == 12_500
    assert member.params["leaf_size"] < 1_300
    assert told == [
        f"the time limit left room for leaves of at most {member.params['leaf_size']:,} rows in the final fit"
    ]
    assert len(member.tree.leaves) > 1


def test_models_that_could_not_be_fitted_in_time_are_left_out() -> None:
    columns, whole = an_ensemble()
    validated = len(whole.report.trials)
    clock = Ticks(5.0)
    late = delay(clock, "fitting model 1 of", 1e6)
    model = fit(columns, trials=validated, folds=2, time_limit_s=1e5, clock=clock, on_event=late)
    assert [(m.trial, m.weight) for m in model.members] == [(whole.members[0].trial, 1.0)]
    told = [f["message"] for f in model.report.fallbacks]
    total = len(whole.members)
    assert [m for m in told if "left no room for model" in m] == [
        f"the time limit left no room for model {k} of {total} in the ensemble" for k in range(2, total + 1)
    ]


def interrupt_when(condition: Callable[[Event], bool]) -> Callable[[Event], None]:
    def interrupt() -> None:
        raise KeyboardInterrupt

    return once(condition, interrupt)


def test_an_interrupt_in_the_search_gives_the_best_so_far() -> None:
    listen = interrupt_when(lambda e: e.kind == "progress" and e.message.startswith("trial 2"))
    model = fit(law(60), trials=50, folds=2, on_event=listen)
    assert model.report.stopped_by == "interrupt"
    assert 1 <= len(model.report.trials) < 50
    assert np.isfinite(answers(model, table_of(law(10)))).all()
    again = interrupt_when(lambda e: e.kind == "progress" and e.message.startswith("trial 2"))
    same = fit(law(60), trials=50, folds=2, on_event=again)
    assert answers(model, table_of(law(10))).tobytes() == answers(same, table_of(law(10))).tobytes()


def test_an_interrupt_within_the_first_full_validation_gives_the_next_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped: list[Step] = []

    def interrupted(problem: Problem, step: Step, on_event: OnEvent) -> Fitted:
        if step.fold == 1 and not stopped:
            stopped.append(step)
            raise KeyboardInterrupt
        return run_step(problem, step, on_event)

    monkeypatch.setattr(steps, "run_step", interrupted)
    model = fit(law(60), trials=4, folds=2)
    states = {trial["number"]: trial["state"] for trial in model.report.trials}
    assert model.report.stopped_by == "interrupt"
    assert states.pop(stopped[0].trial) == "interrupted"
    assert sorted(states.values()) == ["complete", "interrupted", "interrupted"]


def test_an_interrupt_under_a_time_limit_gives_the_best_so_far() -> None:
    listen = interrupt_when(lambda e: e.kind == "progress" and e.message.startswith("trial 1"))
    model = fit(law(60), time_limit_s=1_000.0, folds=2, on_event=listen)
    assert model.report.stopped_by == "interrupt"
    json.dumps(model.report.to_json(), allow_nan=False)


def an_ensemble() -> tuple[dict[str, Any], FittedModel]:
    """A noisy table and a model of it that has several members."""
    for seed in range(6):
        columns = noise_table(60, d=6, seed=seed)
        columns["y"] = columns["y"] + columns["x0"] + columns["x1"] * columns["x2"]
        model = fit(columns, trials=8, folds=2)
        if len(model.members) > 1:
            return columns, model
    pytest.fail("no search of six came to an ensemble")


def test_an_interrupt_in_the_final_fits_keeps_what_is_fitted() -> None:
    columns, whole = an_ensemble()
    for number in (1, 2):
        listen = interrupt_when(lambda e, n=number: e.message.startswith(f"fitting model {n} of"))  # type: ignore[misc]
        model = fit(columns, trials=8, folds=2, on_event=listen)
        assert model.report.stopped_by == "interrupt"
        assert [(m.trial, m.weight) for m in model.members] == [(whole.members[0].trial, 1.0)]
        assert np.isfinite(answers(model, table_of(columns))).all()


@pytest.mark.parametrize("message", ["preparing", "searching"])
def test_an_interrupt_before_any_validated_trial_is_passed_on(message: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(law(60), trials=5, folds=2, on_event=interrupt_when(lambda e: e.message.startswith(message)))


def test_an_interrupt_within_the_first_trial_is_passed_on() -> None:
    class Impatient(Ticks):
        def __call__(self) -> float:
            if self.now > 1_008.0:
                raise KeyboardInterrupt
            return super().__call__()

    with pytest.raises(KeyboardInterrupt):
        fit(law(60), trials=5, folds=3, clock=Impatient(1.0))


@pytest.mark.parametrize("slow_s", [12.0, 0.0])
def test_a_first_configuration_that_would_take_too_long_waits(
    slow_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, begun = Ticks(0.002), []

    def slow(problem: Problem, step: Step, on_event: OnEvent) -> Fitted:
        clock.now += slow_s if step.candidate.family == "sum_power" else 0.05
        if not step.fold and not step.is_refinement:
            begun.append((step.trial, step.candidate.family))
        return run_step(problem, step, on_event)

    monkeypatch.setattr(steps, "run_step", slow)
    model = fit(law(60), time_limit_s=60.0, folds=2, clock=clock, workers=1, pinned=PINNED)
    expected = [trial["number"] for trial in model.report.trials if trial["number"] < 9]
    waiting = [n for n in expected if (n, "sum_power") in begun][1:]
    assert waiting  # the first of its family tells how long the others take
    first = [number for number, _ in begun[: len(expected)]]
    if slow_s:
        assert first[: len(expected) - len(waiting)] == [n for n in expected if n not in waiting]
    else:
        assert first == expected


def test_trials_given_up_early_are_recorded() -> None:
    model = fit(law(90), trials=10, folds=3)
    states = {trial["state"] for trial in model.report.trials}
    assert states == {"complete", "pruned"}
    pruned = [t for t in model.report.trials if t["state"] == "pruned"]
    for trial in pruned:
        assert trial["score"] is not None
        assert trial["stages"] >= 1
        assert trial["iterations"] is None
        assert trial["params"]["kernel"] in ("norm", "sum_power", "linear")
    assert not {t["number"] for t in pruned} & {m.trial for m in model.members}
    assert [t["number"] for t in model.report.trials] == list(range(10))
    assert len(model.members) <= 6


def test_presets_bound_the_ensemble() -> None:
    columns = law(60, noise=1.0)
    assert len(fit(columns, trials=6, folds=2, preset="quick").members) <= 2
    assert len(fit(columns, trials=6, folds=2, preset="best").members) <= 12


def test_larger_tables_prove_themselves_on_a_part_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def waves(n: int, seed: int) -> dict[str, Any]:
        columns = noise_table(n, d=2, seed=seed)
        return columns | {"y": np.sin(2 * columns["x0"]) + 0.1 * columns["y"]}

    pinned = {"kernel_p": 2.0, "kernel_q": 1.0, "metric_shape": "diagonal", "ridge": 0.01}
    monkeypatch.setattr(limits, "RUNG_ROWS", (300, 900))  # as tables of thousands of rows have
    model = fit(waves(482, 0), valid=waves(200, 1), trials=1, pinned=pinned)
    assert model.report.trials[0]["stages"] == 3  # a subsample, its kernel refined, then all rows
    assert model.report.rows == 482
    assert model.report.metrics["r2"] > 0.9
