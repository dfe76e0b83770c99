"""The nightly job: a model fitted again on new rows, without a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tuning.tables import answers, fit, law, one_line, same_bits, skewed, table_of, task_table
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.errors import InputError, SchemaError, TargetError
from xrfm_cli.events import Event
from xrfm_cli.tuning import FittedModel, load_model, refit_model, save_model
from xrfm_cli.tuning.scoring.target_transforms import LogTransform

PROBE = table_of(law(60, seed=8))


def test_the_same_rows_give_about_the_same_model(task: str, model: FittedModel) -> None:
    again = refit_model(model, task_table(task))
    found, expected = answers(again, PROBE), answers(model, PROBE)
    np.testing.assert_allclose(found, expected, atol=0.02 * max(float(expected.std()), 0.1))


def test_what_was_chosen_is_kept(task: str, model: FittedModel) -> None:
    again = refit_model(model, task_table(task, 150, seed=4))
    assert again.schema == model.schema
    assert again.target == model.target
    assert again.calibration == model.calibration
    assert again.decision == model.decision
    assert [m.params for m in again.members] == [m.params for m in model.members]
    assert [m.weight for m in again.members] == [m.weight for m in model.members]
    assert again.report.stopped_by == "refit"
    assert again.report.rows == 150
    assert again.report.trials == again.report.hyperparameter_importances == []
    assert again.report.score == model.report.score
    assert any("refitted" in note for note in again.report.notes)
    assert all(sum(len(leaf.centers) for leaf in m.tree.leaves) == 150 for m in again.members)


def test_new_rows_are_learned(models: dict[str, FittedModel]) -> None:
    columns = law(120, seed=4)
    raised = refit_model(models["regression"], table_of(columns | {"y": columns["y"] + 50.0}))
    as_it_is = refit_model(models["regression"], table_of(columns))
    np.testing.assert_allclose(answers(raised, PROBE) - 50.0, answers(as_it_is, PROBE), atol=1e-3)
    y = law(60, seed=8)["y"]
    assert np.abs(answers(raised, PROBE) - 50.0 - y).mean() < 0.4 * np.abs(y - y.mean()).mean()


def test_the_seed_decides_and_the_rest_draws_nothing(models: dict[str, FittedModel]) -> None:
    table = task_table("regression", 100, seed=4)
    first, again = (refit_model(models["regression"], table, seed=3) for _ in range(2))
    assert same_bits(answers(first, PROBE), answers(again, PROBE))


def test_a_refitted_model_is_a_model(models: dict[str, FittedModel], task: str, tmp_path: Path) -> None:
    again = refit_model(models[task], task_table(task, 90, seed=4))
    save_model(again, tmp_path / "again.xrfm")
    loaded = load_model(tmp_path / "again.xrfm")
    assert same_bits(answers(loaded, PROBE), answers(again, PROBE))
    twice = refit_model(loaded, task_table(task, 90, seed=4))
    assert len(twice.report.notes) == len(again.report.notes)
    assert np.isfinite(answers(twice, PROBE)).all()


def test_events_and_seconds(models: dict[str, FittedModel]) -> None:
    heard: list[Event] = []
    again = refit_model(models["binary"], task_table("binary"), on_event=heard.append)
    assert len([e for e in heard if e.kind == "progress"]) == len(again.members)
    assert set(again.report.seconds) == {"refit", "total"}


def test_a_new_class_is_refused(models: dict[str, FittedModel]) -> None:
    columns = law(60)
    columns["y"] = ["yes", "no", "maybe"] * 20
    with pytest.raises(TargetError, match="maybe") as caught:
        refit_model(models["binary"], table_of(columns, "tonight.csv"))
    assert one_line(caught.value).startswith("tonight.csv: ")


@pytest.mark.parametrize("name", ["a", "town", "y"])
def test_a_missing_column_is_refused(models: dict[str, FittedModel], name: str) -> None:
    columns = law(60)
    columns[f"{name}{name}"] = columns.pop(name)
    with pytest.raises(SchemaError, match=f"'{name}'") as caught:
        refit_model(models["regression"], table_of(columns, "tonight.csv"))
    assert one_line(caught.value).startswith("tonight.csv: ")


def test_rows_without_a_target_are_left_out(models: dict[str, FittedModel]) -> None:
    columns = law(60)
    columns["y"] = [None, None, *columns["y"][2:].tolist()]
    report = refit_model(models["regression"], table_of(columns)).report
    assert (report.rows, report.dropped_rows) == (58, 2)


def test_a_table_without_any_target_is_refused(task: str, model: FittedModel) -> None:
    with pytest.raises(InputError, match="y") as caught:
        refit_model(model, table_of(law(20) | {"y": [None] * 20}, "tonight.csv"))
    one_line(caught.value)


def test_a_class_may_be_absent_tonight(models: dict[str, FittedModel]) -> None:
    columns = law(60)
    columns["y"] = np.where(columns["y"] > 1.0, "green", "red").tolist()
    p = answers(refit_model(models["multiclass"], table_of(columns)), PROBE)
    assert p.shape == (60, 3)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(1), 1.0)
    assert p[:, 0].max() < 0.2


ODD: dict[str, dict[str, Any]] = {
    "a constant column": {"useless": [1.0] * 40},
    "a column of gaps": {"useless": [None] * 40},
    "new categories": {"town": ["Rom", "Oslo"] * 20},
    "a constant target": {"y": [3.0] * 40},
}


@pytest.mark.parametrize("change", ODD)
def test_rows_that_changed_are_no_obstacle(models: dict[str, FittedModel], change: str) -> None:
    again = refit_model(models["regression"], table_of(law(40) | ODD[change]))
    assert np.isfinite(answers(again, PROBE)).all()


def test_weights_are_read_again() -> None:
    overrides = SchemaOverrides(target="y", weight="w")
    columns = law(60)
    w = np.where(np.arange(60) % 3 == 0, 2.0, 1.0)
    model = fit(columns | {"w": np.ones(60)}, overrides, folds=2)
    equal, uneven = (refit_model(model, table_of(columns | {"w": x})) for x in (np.ones(60), w))
    assert not same_bits(answers(equal, PROBE), answers(uneven, PROBE))
    with pytest.raises(SchemaError, match="'w'"):
        refit_model(model, table_of(columns))


def test_a_group_or_time_column_is_not_needed_again() -> None:
    columns = law(60)
    model = fit(columns | {"g": np.arange(60) % 9}, SchemaOverrides(target="y", group="g"), folds=2)
    assert np.isfinite(answers(refit_model(model, table_of(columns)), PROBE)).all()


@pytest.fixture(scope="module")
def mixed() -> FittedModel:
    """An ensemble of members that learned values and of members that learned logarithms."""
    model = fit(skewed(120), trials=4)
    target_transforms = {type(member.target_transform) for member in model.members}
    assert len(target_transforms) == 2
    return model


def test_each_member_keeps_its_scale_and_its_factor(mixed: FittedModel) -> None:
    new = skewed(150, seed=4)
    again = refit_model(mixed, table_of(new | {"y": 1000 * new["y"]}))
    for member, before in zip(again.members, mixed.members, strict=True):
        assert type(member.target_transform) is type(before.target_transform)
        if isinstance(member.target_transform, LogTransform) and isinstance(
            before.target_transform, LogTransform
        ):
            assert member.target_transform.factor == before.target_transform.factor
            assert member.target_transform.mean == pytest.approx(np.log(1000 * new["y"]).mean())
    as_it_is = refit_model(mixed, table_of(new))
    np.testing.assert_allclose(answers(again, PROBE), 1000 * answers(as_it_is, PROBE), rtol=1e-3)
    shared = {id(m.encoder) for m in again.members}
    assert len(shared) == len({id(m.encoder) for m in mixed.members})


def test_a_negative_target_is_refused_where_logarithms_were_learned(mixed: FittedModel) -> None:
    columns = skewed(60)
    columns["y"][[7, 20]] = -2.5
    columns["y"][3] = np.nan
    with pytest.raises(TargetError, match=r"'y' is -2.5 in row 7 of those with a target") as caught:
        refit_model(mixed, table_of(columns, "tonight.csv"))
    assert one_line(caught.value).startswith("tonight.csv: ")
    assert one_line(caught.value).endswith("Fit a new model without --from.")
    columns["y"][[7, 20]] = 0.0
    assert np.isfinite(answers(refit_model(mixed, table_of(columns)), PROBE)).all()


def test_a_tree_of_leaves_is_refitted_as_a_tree() -> None:
    pinned = {"leaf_size": 50, "min_leaf_size": 10, "temperature": 0.2}
    model = fit(law(120), folds=2, pinned=pinned)
    again = refit_model(model, table_of(law(200, seed=4)))
    assert len(again.members[0].tree.leaves) >= 4
    assert again.members[0].tree.temperature == 0.2
