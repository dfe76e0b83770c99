"""What a fit would do, told without doing it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.tuning.tables import described, fit, law, noise_table, table_of
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.tuning import DryRun, FitConfig, dry_run_fit
from xrfm_cli.tuning.model.storage import model_to_bytes


def plan(columns: dict[str, Any], overrides: SchemaOverrides | None = None, **options: Any) -> DryRun:
    return dry_run_fit(*described(table_of(columns), overrides), FitConfig(**options))


def test_the_plan_tells_what_the_fit_then_does() -> None:
    columns = law(60)
    columns["y"] = [None, *columns["y"][1:].tolist()]
    said = plan(columns, trials=1, folds=3)
    done = fit(columns, trials=1, folds=3)
    assert said.rows == done.report.rows == 59
    assert said.dropped_rows == done.report.dropped_rows == 1
    assert said.validation == f"{done.report.validation['scheme']}: {done.report.validation['reason']}"
    assert said.leaves == len(done.members[0].tree.leaves) == 1
    assert said.features == 6  # three numbers and three towns
    assert said.trials == 1
    assert said.time_limit_s is None
    assert said.estimate_s >= 0
    json.dumps(said.to_json(), allow_nan=False)


def test_limits_and_pins_are_heeded() -> None:
    assert plan(law(60)).estimate_s == plan(law(60)).time_limit_s == 60.0
    assert plan(law(60), preset="quick").time_limit_s == 15.0
    assert plan(law(60), trials=0).trials == 1
    pinned = plan(law(200), trials=1, pinned={"leaf_size": 60})
    assert (pinned.leaf_size, pinned.leaves) == (60, 4)


def test_more_rows_take_more_memory_and_more_time() -> None:
    small, large = (plan(noise_table(n), trials=5) for n in (500, 5_000))
    assert large.memory_bytes > small.memory_bytes
    assert large.estimate_s > small.estimate_s
    assert large.memory_bytes >= 4 * 5_000**2  # one kernel matrix at least


@pytest.mark.slow
def test_the_size_of_the_model_counts_knots_and_the_feature_matrix_of_each_leaf() -> None:
    pinned = {"kernel": "norm", "metric_shape": "full", "leaf_size": 50, "iterations": 1}
    table = noise_table(200, d=60)
    said = plan(table, trials=1, folds=2, pinned=pinned)
    assert said.leaves == 4
    written = len(model_to_bytes(fit(table, trials=1, folds=2, pinned=pinned)))
    assert said.model_bytes == pytest.approx(written, rel=0.25)


def test_large_tables_hold_rows_out_and_are_cut_into_leaves() -> None:
    said = plan(noise_table(24_000, d=2), trials=1)
    assert said.validation.startswith("hold-out")
    assert said.rows == 24_000
    assert said.leaves == 2


def test_given_rows_are_counted_apart() -> None:
    chosen = described(table_of(law(60)))
    said = dry_run_fit(*chosen, FitConfig(trials=1), valid=table_of(law(20, seed=1)))
    assert said.rows == 60
    assert said.validation.startswith("given rows: 20 rows")


def test_groups_are_told() -> None:
    overrides = SchemaOverrides(target="y", group="town")
    assert plan(law(60), overrides, trials=1).validation.endswith("groups kept together")


def test_what_the_fit_refuses_the_plan_refuses() -> None:
    with pytest.raises(OptionError, match="ridge"):
        plan(law(60), pinned={"rigde": 1.0})
    with pytest.raises(OptionError, match="--metric"):
        plan(law(60), metric="auc")
    with pytest.raises(InputError, match="group"):
        plan(law(60) | {"g": ["one"] * 60}, SchemaOverrides(target="y", group="g"))
