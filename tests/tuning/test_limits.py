"""A time limit on tables of odd shapes: fewer folds, no ridge baseline, fewer feature matrix updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.tuning.tables import Ticks, described, fit, law, table_of
from xrfm_cli.datasets import Table, TypedRows
from xrfm_cli.datasets.table import SchemaError
from xrfm_cli.events import Event, ignore_event
from xrfm_cli.tuning import FitConfig
from xrfm_cli.tuning.deadline import MODEL_RESERVE, REPORT_RESERVE, Deadline
from xrfm_cli.tuning.limits import find_limits
from xrfm_cli.tuning.problem import baselines
from xrfm_cli.tuning.problem.baselines import baseline_seconds, score_baselines
from xrfm_cli.tuning.problem.fold_room import fold_in_time
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.problem.validation_plan import make_validation_plan
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.run_step import run_step
from xrfm_cli.tuning.search.step import Step


def problem_of(config: FitConfig) -> Problem:
    return set_up_problem(*described(table_of(law(60))), config).problem


@pytest.mark.parametrize(("step_s", "limit_s", "folds"), [(0.001, 10.0, 8), (0.4, 10.0, 5), (9.0, 10.0, 2)])
def test_folds_that_would_take_too_long_are_left_out(step_s: float, limit_s: float, folds: int) -> None:
    clock, heard = Ticks(step_s), list[Event]()
    problem = problem_of(FitConfig(folds=8, time_limit_s=limit_s))
    deadline = Deadline(end=clock.now + limit_s, reserve=REPORT_RESERVE)
    found = fold_in_time(problem, deadline, on_event=heard.append, clock=clock)
    assert found.plan.folds == problem.plan.folds[:folds]
    told = [(event.kind, event.message, event.count) for event in heard]
    left_out = [("fallback", f"the time limit left room for {folds} of 8 folds", 1)]
    assert told == (left_out if folds < 8 else [])


def test_a_fit_by_fewer_folds_validates_their_rows_alone() -> None:
    model = fit(law(60), folds=8, time_limit_s=20.0, clock=Ticks(2.0), pinned={"iterations": 0})
    validation = model.report.validation
    folds = validation["folds"]
    assert 2 <= folds < 8
    assert validation["judged_rows"] == sum(len(rows) for rows in np.array_split(range(60), 8)[:folds])
    assert {"message": f"the time limit left room for {folds} of 8 folds", "count": 1} in (
        model.report.fallbacks
    )


@pytest.mark.parametrize(
    ("limit_s", "scored", "left_out"),
    [
        (None, ["mean", "ridge", "boosted trees"], []),
        (1.0, ["mean", "ridge"], ["boosted trees"]),
        (1e-9, ["mean"], ["ridge regression", "boosted trees"]),
    ],
)
def test_baselines_that_take_too_long_are_left_out(
    limit_s: float | None, scored: list[str], left_out: list[str]
) -> None:
    problem = problem_of(FitConfig(folds=2, trials=1, time_limit_s=limit_s))
    found = score_baselines(problem)
    assert [baseline.name for baseline in found.scored] == scored
    assert list(found.left_out) == left_out


@pytest.mark.slow
def test_trees_are_no_baseline_of_wide_tables_even_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "TREES", 100)  # as in the product
    x = np.random.default_rng(0).normal(size=(1_000, 1_500))
    table = Table(pa.table({f"x{k}": column for k, column in enumerate(x.T)} | {"y": x[:, 0]}))
    problem = set_up_problem(*described(table), FitConfig(folds=2, trials=1)).problem
    assert baseline_seconds(problem) < 20.0  # the ridge alone
    assert score_baselines(problem).left_out == ("boosted trees",)


def test_metric_updates_end_where_the_limit_is_near() -> None:
    config = FitConfig(folds=2, trials=1)
    problem = problem_of(config)
    candidate = make_space(problem).complete({})
    step = Step(trial=0, fold=0, rung=0, candidate=candidate, rows=None, start=None, iterations=3)
    asked = iter([False, True])
    assert len(run_step(problem, step, ignore_event).path) == 4
    late = replace(step, is_late=lambda: next(asked))
    path = run_step(problem, late, ignore_event).path
    assert len(path) == 2
    whole = run_step(problem, step, ignore_event).path
    assert all((ours.codes == theirs.codes).all() for ours, theirs in zip(path, whole[:2], strict=True))


def test_columns_take_seconds_of_the_report() -> None:
    narrow, wide = (Deadline(end=60.0, reserve=REPORT_RESERVE, columns=columns) for columns in (0, 5_000))
    taken = narrow.left_for_models(0.0, trials=0) - wide.left_for_models(0.0, trials=0)
    assert taken == pytest.approx(5_000 * REPORT_RESERVE.column_s)


def test_a_short_limit_keeps_seconds_only_for_what_they_are_enough_for() -> None:
    def kept(limit_s: float) -> list[float]:
        limits = find_limits(1_000, 10, 0, limit_s)
        reserves = [REPORT_RESERVE.within(limit_s).fixed_s, limits.estimate_error_s, limits.selection_s]
        graces = [limits.first_model_grace_s, limits.final_fit_grace_s]
        return [*reserves, limits.held_out_s, *graces]

    assert kept(10.0) == pytest.approx([1.0, 0.3, 0.0, 0.0, 0.5, 1.5])  # held-out rows would measure nothing
    assert kept(60.0) == pytest.approx([2.2, 3.0, 2.0, 1.8, 1.5, 3.0])
    assert MODEL_RESERVE.within(1.0) == MODEL_RESERVE


@pytest.mark.parametrize(("limit_s", "has_slow"), [(15.0, False), (60.0, True)])
def test_a_short_limit_begins_with_quick_kernels(limit_s: float, has_slow: bool) -> None:
    model = fit(
        law(60), folds=2, trials=4, time_limit_s=limit_s, clock=Ticks(0.001), pinned={"iterations": 0}
    )
    kernels = {trial["params"]["kernel"] for trial in model.report.trials}
    assert len(model.report.trials) == 4
    assert ("sum_power" in kernels) == has_slow


def test_the_typed_rows_of_the_folds_give_the_matrices_of_the_rows_as_read() -> None:
    config = FitConfig(folds=2, trials=1)
    problem = problem_of(config)
    data = replace(problem.data, typed=TypedRows(table=problem.data.table))
    as_read = replace(problem, data=data).with_plan(problem.plan)
    space = make_space(problem)
    for name in ("standard", "quantile"):
        encoding = replace(space.complete({}).encoding, numeric=name)
        for fold in range(2):
            ours, theirs = problem.folds.matrices(fold, encoding), as_read.folds.matrices(fold, encoding)
            assert ours.encoder.feature_names == theirs.encoder.feature_names
            assert ours.x_train.equal(theirs.x_train)
            assert ours.x_valid.equal(theirs.x_valid)


def test_a_column_is_found_by_its_name_among_thousands() -> None:
    table = Table(pa.table({f"x{place}": [place] for place in range(3_000)}))
    assert table.column("x2999").to_pylist() == [2999]
    assert table.has_column("x0")
    assert not table.has_column("x3000")
    with pytest.raises(SchemaError, match="no column 'x3000'"):
        table.column("x3000")


def test_the_users_folds_are_planned_whatever_the_width() -> None:
    assert len(make_validation_plan(50, seed=0, folds=5, limits=find_limits(50, 50_000, 0, 5.0)).folds) == 5
