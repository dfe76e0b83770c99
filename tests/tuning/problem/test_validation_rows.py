"""Validation rows never train: groups, time, given rows, and columns that would reveal a mistake."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.tuning.tables import answers, as_text, fit, law, same_bits, table_of
from xrfm_cli.datasets import SchemaOverrides, read_time
from xrfm_cli.errors import InputError
from xrfm_cli.tuning import FittedModel


def grouped(n: int = 120, groups: int = 24) -> dict[str, Any]:
    """The target is known by the group alone, and so is the column beside it: useless for new groups."""
    generator = np.random.default_rng(0)
    code = np.arange(n) % groups
    return {
        "leak": generator.normal(size=groups)[code],
        "noise": generator.normal(size=n),
        "patient": [f"p{c}" for c in code],
        "y": generator.normal(size=groups)[code] + 0.01 * generator.normal(size=n),
    }


def test_a_column_that_names_the_group_helps_without_groups_and_not_with_them() -> None:
    columns = grouped()
    pinned = {"kernel_p": 1.0, "kernel_q": 1.0, "bandwidth": 0.5, "ridge": 0.001, "iterations": 2}
    careless = fit(columns, SchemaOverrides(target="y", drop=("patient",)), metric="r2", pinned=pinned)
    careful = fit(columns, SchemaOverrides(target="y", group="patient"), metric="r2", pinned=pinned)
    assert careless.report.score > 0.4
    assert careful.report.score < 0.2
    assert careful.report.validation["reason"].endswith("groups kept together")
    assert "patient" not in {group.column for group in careful.members[0].encoder.groups}


def drifting(n: int = 120) -> dict[str, Any]:
    """A random walk beside its own step number: interpolation is easy, the future is not."""
    generator = np.random.default_rng(1)
    steps = np.arange(n)
    order = generator.permutation(n)
    walk = np.cumsum(generator.normal(size=n)) + 0.1 * steps
    return {"step": steps[order], "position": (steps / n)[order], "y": walk[order]}


def test_a_walk_is_easy_between_its_steps_and_hard_beyond_them() -> None:
    columns = drifting()
    between = fit(columns, SchemaOverrides(target="y", drop=("step",)), metric="r2")
    beyond = fit(columns, SchemaOverrides(target="y", time="step"), metric="r2")
    assert between.report.score > 0.6
    assert beyond.report.score < between.report.score - 0.3
    validated = np.array(beyond.report.oof["row"])
    assert columns["step"][validated].min() == 120 - len(validated)  # the earliest rows never validate
    assert beyond.report.rows == 120


def moments(n: int = 60) -> list[datetime]:
    start = datetime(2012, 1, 5, 9)
    return [start + timedelta(hours=37 * int(k)) for k in np.random.default_rng(2).permutation(n)]


@pytest.mark.parametrize("spelling", ["number", "iso", "day first", "month first"])
def test_time_in_text_is_ordered_as_time(spelling: str) -> None:
    when = moments()
    written = {
        "number": [str(round((m - when[0]).total_seconds() / 3600)) for m in when],
        "iso": [m.isoformat(sep=" ") for m in when],
        "day first": [m.strftime("%d-%m-%Y %H:%M") for m in when],
        "month first": [m.strftime("%m/%d/%Y %H:%M") for m in when],
    }[spelling]
    table = as_text(table_of(law(60) | {"when": written}))
    model = fit(table, SchemaOverrides(target="y", time="when"))
    assert read_time(table, model.schema) is not None
    validated = np.array(model.report.oof["row"])
    others = np.setdiff1d(np.arange(60), validated)
    assert len(others) > 0
    assert max(when[k] for k in others) < min(when[k] for k in validated)


@pytest.mark.parametrize(("role", "cell"), [("group", None), ("time", None)])
def test_a_row_without_group_or_time_is_refused_by_its_number(role: str, cell: object) -> None:
    values: list[Any] = list(range(40))
    values[6] = cell
    group, time = ("mark", None) if role == "group" else (None, "mark")
    overrides = SchemaOverrides(target="y", group=group, time=time)
    with pytest.raises(InputError, match=r"row 7\b"):
        fit(law(40) | {"mark": values}, overrides)


def test_a_group_of_all_rows_is_refused() -> None:
    with pytest.raises(InputError, match="group"):
        fit(law(40) | {"g": ["one"] * 40}, SchemaOverrides(target="y", group="g"))


def regression_with(
    valid_y: np.ndarray, **options: Any
) -> tuple[FittedModel, dict[str, Any], dict[str, Any]]:
    train, valid = law(80), law(40, seed=5)
    valid["y"] = valid_y
    return fit(train, valid=valid, **options), train, valid


def test_given_rows_are_never_trained_on() -> None:
    pinned = {"iterations": 2}  # with all else fixed, given rows can move nothing but the score
    y = law(40, seed=5)["y"]
    model, train, _ = regression_with(y, pinned=pinned)
    absurd, *_ = regression_with(1e6 * np.arange(40.0), pinned=pinned)
    alone = fit(train, pinned=pinned, folds=2)
    assert model.report.validation["scheme"] == "given rows"
    assert model.report.validation["judged_rows"] == 40
    assert model.report.rows == 80
    assert all(len(leaf.centers) == 80 for leaf in model.members[0].tree.leaves)
    assert sorted(model.report.oof["target"]) == sorted(y.tolist())
    probe = table_of(law(50, seed=7))
    assert same_bits(answers(model, probe), answers(absurd, probe))
    assert answers(model, probe).std() == pytest.approx(answers(alone, probe).std(), rel=0.1)
    assert absurd.report.score > 1e5


def test_given_rows_do_validate() -> None:
    y = law(40, seed=5)["y"]
    model, _, valid = regression_with(y, trials=2)
    # Members are fitted on the training rows alone, as in the trials: the score is that of the given rows.
    predicted = answers(model, table_of(valid))
    assert np.sqrt(np.mean((predicted - y) ** 2)) == pytest.approx(model.report.score, rel=0.3)


def test_given_rows_may_lack_a_target_and_have_columns_in_another_order() -> None:
    valid = law(40, seed=5)
    reordered = {name: valid[name] for name in reversed(list(valid))} | {
        "y": [None, *valid["y"][1:].tolist()]
    }
    model = fit(law(80), valid=reordered | {"more": list(range(40))})
    assert model.report.validation["judged_rows"] == 39
    assert model.report.dropped_rows == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [None] * 40}, "no row"),
        ({"a": None}, "'a'"),
    ],
)
def test_given_rows_that_cannot_validate_are_refused(change: dict[str, Any], words: str) -> None:
    valid = law(40, seed=5) | change
    if "a" in change:
        del valid["a"]
    with pytest.raises(InputError, match=words):
        fit(law(80), valid=valid)


def test_given_rows_need_no_column_that_teaches_nothing() -> None:
    train = law(80) | {"name": [f"n{k:03d}" for k in range(80)], "same": ["x"] * 80, "old": list(range(80))}
    overrides = SchemaOverrides(target="y", ids=("name",), drop=("old",))
    assert fit(train, overrides, valid=law(40, seed=5)).report.validation["judged_rows"] == 40


@pytest.mark.parametrize("rows", [1, 2])
def test_a_single_given_row_validates(rows: int) -> None:
    valid = {name: values[:rows] for name, values in law(20, seed=5).items()}
    assert fit(law(60), valid=valid, trials=2).report.validation["judged_rows"] == rows


@pytest.mark.parametrize("metric", ["auc", "f1", "log_loss", "balanced_accuracy"])
def test_given_rows_of_one_class_validate(metric: str) -> None:
    train, valid = law(60), law(20, seed=5)
    train["y"] = np.where(train["y"] > 1.5, "yes", "no").tolist()
    model = fit(train, valid=valid | {"y": ["no"] * 20}, metric=metric)
    assert np.isfinite(model.report.score)


def test_given_rows_with_a_new_class_are_refused() -> None:
    train, valid = law(60), law(30, seed=1)
    train["y"] = np.where(train["y"] > 1.5, "yes", "no").tolist()
    valid["y"] = ["maybe"] * 30
    with pytest.raises(InputError, match=r"valid\.csv.*'maybe'|'maybe'.*valid\.csv"):
        fit(train, valid=valid)


def test_given_rows_of_whole_numbers_validate_a_table_of_decimals() -> None:
    valid = law(40, seed=5)
    valid["a"] = np.round(valid["a"]).astype(np.int64)  # Parquet stores such a column as another type
    assert fit(law(80), valid=valid).report.validation["judged_rows"] == 40


def categories_of_noise(n: int, classes: bool) -> dict[str, Any]:
    generator = np.random.default_rng(4)
    columns: dict[str, Any] = {
        f"shop{k}": [f"s{c}" for c in generator.integers(0, n // 6, n)] for k in range(3)
    }
    y = generator.normal(size=n)
    return columns | {
        "x": generator.normal(size=n),
        "y": np.where(y > 0, "b", "a").tolist() if classes else y,
    }


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["one_hot", "target"])
def test_categories_of_many_levels_leak_nothing_into_a_regression(encoding: str) -> None:
    model = fit(
        categories_of_noise(400, False), metric="r2", trials=3, pinned={"category_encoding": encoding}
    )
    assert model.report.score <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["one_hot", "target"])
def test_categories_of_many_levels_leak_nothing_into_classes(encoding: str) -> None:
    columns = categories_of_noise(400, True)
    model = fit(columns, trials=3, pinned={"category_encoding": encoding})
    assert abs(model.report.score - 0.5) < 0.1
    y_true, p = np.array(model.report.oof["target"]), np.array(model.report.oof["prediction"])
    assert abs(roc_auc_score(y_true, p) - 0.5) < 0.1


def test_an_identifier_with_a_random_target_leaks_nothing() -> None:
    generator = np.random.default_rng(0)
    columns = {
        "code": [f"c{k}" for k in generator.integers(0, 150, 300)],
        "x": generator.normal(size=300),
        "y": generator.normal(size=300),
    }
    overrides = SchemaOverrides(target="y", categorical=("code",))
    model = fit(columns, overrides, metric="r2", trials=2)
    assert model.report.score <= 0.05
