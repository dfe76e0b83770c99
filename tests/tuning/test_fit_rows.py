"""How many rows the search and the final fits use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tuning.tables import answers, described, fit, law, one_line, same_bits, table_of, task_table
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event
from xrfm_cli.trees import TreeModel
from xrfm_cli.tuning import FitConfig
from xrfm_cli.tuning.ensemble import final_fit
from xrfm_cli.tuning.ensemble.softness import HeldBack, choose_temperature
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.scoring.metrics import Array
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.run_step import TEMPERATURES

PROBE = table_of(law(40, seed=9))
MANY = {"leaf_size": 80, "min_leaf_size": 10}


def test_all_rows_of_the_final_fit_are_centers_though_the_search_saw_few() -> None:
    model = fit(law(400), trials=2, search_rows=150, pinned=MANY | {"temperature": 0.1})
    assert (model.report.rows, model.report.search_rows, model.report.left_out_rows) == (400, 150, 0)
    assert model.n_centers >= 400
    assert sum(leaf["rows"] for leaf in model.report.leaves if leaf["member"] == 0) == 400


@pytest.mark.parametrize("groups", [None, 40])
def test_rows_held_back_choose_the_softness_of_a_larger_tree(
    groups: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns, n = law(1_500), 1_500
    heard: list[Event] = []
    if groups:
        columns["g"] = [f"g{k % groups}" for k in range(n)]
    seen: list[tuple[TreeModel, Tensor, Rows, Callable[[Tensor], Array]]] = []

    def spied(problem: Problem, tree: TreeModel, x: Tensor, rows: Rows, *more: Any) -> Any:
        seen.append((tree, x, rows, more[-1]))
        return choose_temperature(problem, tree, x, rows, *more)

    monkeypatch.setattr(final_fit, "choose_temperature", spied)
    config: dict[str, Any] = {"trials": 1, "search_rows": 150, "pinned": MANY, "metric": "rmse"}
    model = fit(columns, SchemaOverrides(group="g" if groups else None), on_event=heard.append, **config)
    ((tree, x, rows, decode),) = seen
    assert len(rows) == (38 if groups else 30)
    if groups:  # a whole one
        assert sorted(rows) == [row for row in range(n) if columns["g"][row] == columns["g"][rows[0]]]
    y = columns["y"][rows]
    errors = [np.sqrt(np.mean((decode(raw)[:, 0] - y) ** 2)) for raw in tree.predict_at(x, TEMPERATURES)]
    assert model.members[0].tree.temperature == TEMPERATURES[int(np.argmin(errors))]
    centers = torch.cat([leaf.centers for leaf in model.members[0].tree.leaves])
    assert len(centers) == n - len(rows)
    assert not (centers[:, None] == x[None]).all(2).any()
    told = "30 rows are held back from the trees, to choose how softly their splits divide rows"
    assert groups or told in [event.message for event in heard]


def test_no_row_of_a_rare_class_is_held_back() -> None:
    columns = law(3_000)
    columns["y"] = ["rare" if k % 100 == 7 else "usual" for k in range(3_000)]
    config = FitConfig(trials=0, search_rows=150, pinned=MANY)
    problem = set_up_problem(*described(table_of(columns)), config).problem
    candidate = Candidate.from_dict(MANY)
    held = HeldBack(problem=problem, on_event=print).places_for(candidate, candidate)
    assert held is not None
    assert len(set(held.tolist())) == 60
    assert set(problem.final.data.y_true[held]) == {1}, "the 30 rows of the rare class are learned from"


def test_a_tree_like_the_validated_one_uses_all_rows() -> None:
    for config in ({"search_rows": 150, "pinned": MANY | {"temperature": 0.1}}, {"pinned": MANY}):
        model = fit(law(400), trials=1, **config)
        for member in model.members:
            assert sum(len(leaf.centers) for leaf in member.tree.leaves) == 400


def test_fewer_rows_are_counted_and_told() -> None:
    heard: list[Event] = []
    model = fit(law(300), trials=1, fit_rows=120, on_event=heard.append)
    assert (model.report.rows, model.report.search_rows, model.report.left_out_rows) == (120, 120, 180)
    assert "the final fits use 120 of 300 rows, drawn at random, as asked for" in [e.message for e in heard]


def test_a_time_limit_leaves_rows_out_unless_all_are_asked_for() -> None:
    wide: dict[str, Any] = law(300) | {f"z{k}": np.arange(300.0) % (k + 2) for k in range(30)}
    config: dict[str, Any] = {"time_limit_s": 0.005}
    chosen = described(table_of(wide))
    short = set_up_problem(*chosen, FitConfig(**config))
    whole = set_up_problem(*chosen, FitConfig(**config, fit_rows="all"))
    assert short.left_out > 0
    assert whole.left_out == 0
    assert len(whole.problem.final.rows) == 300
    same = short.problem.data.table.data.equals(whole.problem.data.table.data)
    assert same, "the rows of the search do not depend on those of the final fits"


@pytest.mark.slow
def test_the_search_is_the_same_whatever_the_final_fits_use(task: str) -> None:
    table = task_table(task, 260)
    few, many = (fit(table, trials=2, search_rows=120, fit_rows=rows) for rows in (120, "all"))
    assert [t["score"] for t in few.report.trials] == [t["score"] for t in many.report.trials]
    assert few.report.score == many.report.score
    assert few.n_centers < many.n_centers


def test_rows_of_the_search_are_drawn_over_the_whole_table_and_keep_rare_classes() -> None:
    columns = law(600)
    columns["y"] = ["rare" if k >= 590 else "usual" for k in range(600)]
    problem = set_up_problem(*described(table_of(columns)), FitConfig(trials=0, search_rows=100)).problem
    assert (problem.data.y_true == 0).sum() == 10  # all of them, where chance alone would draw two
    assert problem.final.places is not None
    assert np.array_equal(problem.final.data.y_true[problem.final.places], problem.data.y_true)
    assert 200 < problem.final.places.mean() < 500


def test_more_rows_predict_better() -> None:
    probe = law(400, seed=3, noise=0.0)
    errors = []
    for rows in (60, 600):
        model = fit(law(600), trials=1, search_rows=60, fit_rows=rows)
        errors.append(float(np.abs(answers(model, table_of(probe)) - probe["y"]).mean()))
    assert errors[1] < 0.7 * errors[0]


def test_given_rows_validate_beside_a_sample() -> None:
    columns = law(300)
    doubled = {name: np.concatenate([np.array(own), np.array(own)]).tolist() for name, own in columns.items()}
    model = fit(doubled, trials=1, search_rows=100, valid=law(50, seed=4))
    assert model.report.rows == 600
    assert model.report.validation["judged_rows"] == 50


def test_all_rows_asked_for_are_all_rows_anyway() -> None:
    columns = law(120)
    plain, asked = fit(columns, trials=2), fit(columns, trials=2, fit_rows="all", search_rows=120)
    assert same_bits(answers(plain, PROBE), answers(asked, PROBE))


@pytest.mark.parametrize(
    "options", [{"fit_rows": 5}, {"search_rows": 0}, {"fit_rows": 50, "search_rows": 60}]
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as fault:
        FitConfig(**options)
    assert "-rows" in one_line(fault.value)
