"""The target: its task, its labels as they came, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import (
    Table,
    TargetSchema,
    drop_rows_without_target,
    encode_target,
    infer_target,
)
from xrfm_cli.errors import TargetError


def make_table(values: Any) -> Table:
    return Table(pa.table({"x": list(range(len(values))), "y": values}), "data.csv")


@pytest.mark.parametrize(
    ("values", "task", "classes", "reason"),
    [
        (["yes", "no", "yes"], "binary", ("no", "yes"), "text with 2 distinct values"),
        (["<=50K", ">50K", "<=50K"], "binary", ("<=50K", ">50K"), "text with 2 distinct values"),
        (["True", "False", ""], "binary", ("False", "True"), "text with 2 distinct values"),
        (["b", "a", "c"], "multiclass", ("a", "b", "c"), "text with 3 distinct values"),
        (["None", "a", "None"], "binary", ("None", "a"), "text with 2 distinct values"),
        (["01", "02", "01"], "binary", ("01", "02"), "text with 2 distinct values"),
        (["0", "1", "1"], "binary", (0, 1), "two distinct numbers"),
        (["1.0", "2.0", "NA"], "binary", (1.0, 2.0), "two distinct numbers"),
        (["10", "9", "10"], "binary", (9, 10), "two distinct numbers"),
        ([2, 1, 2], "binary", (1, 2), "two distinct numbers"),
        ([0.5, 1.5, None], "binary", (0.5, 1.5), "two distinct numbers"),
        ([True, False, None], "binary", (False, True), "true or false"),
        (["1", "2", "3"], "regression", (), "3 distinct numbers"),
        ([1, 2, 3], "regression", (), "3 distinct numbers"),
        (["1.5", "-", "3", "4"], "regression", (), "3 distinct numbers"),
        (["1", "inf", "3", "4"], "regression", (), "3 distinct numbers"),
        (["1", "", "3", "NA", "4"], "regression", (), "3 distinct numbers"),
        (["01", "02", "03", "01"], "multiclass", ("01", "02", "03"), "text with 3 distinct values"),
        (["-0", "0.0", "0", "1"], "binary", (0.0, 1.0), "two distinct numbers"),
        (["1", "-", "2"], "binary", (1, 2), "two distinct numbers"),
    ],
)
def test_inferred_task(values: Any, task: str, classes: tuple[Any, ...], reason: str) -> None:
    target = infer_target(make_table(values), "y")
    assert (target.task, target.classes, target.reason) == (task, classes, reason)
    assert [type(label) for label in target.classes] == [type(label) for label in classes]
    assert target.positive == (classes[-1] if task == "binary" else None)
    assert TargetSchema.from_json(json.loads(json.dumps(target.to_json()))) == target


def test_a_task_that_is_asked_for() -> None:
    numbers = make_table(["3", "1", "2", "10"])
    assert infer_target(numbers, "y", task="multiclass").classes == (1, 2, 3, 10)
    assert infer_target(make_table([0, 1, 1]), "y", task="regression").task == "regression"
    assert infer_target(make_table(["0", "1", "1"]), "y", task="multiclass").task == "binary"


@pytest.mark.parametrize(
    ("values", "positive", "classes"),
    [
        (["good", "bad", "good"], "bad", ("good", "bad")),
        (["good", "bad", "good"], "good", ("bad", "good")),
        ([0, 1, 1], "0", (1, 0)),
        ([True, False], "false", (True, False)),
        ([1.0, 2.0], "1", (2.0, 1.0)),
    ],
)
def test_positive_class(values: Any, positive: str, classes: tuple[Any, ...]) -> None:
    target = infer_target(make_table(values), "y", positive=positive)
    assert target.classes == classes
    assert target.positive == classes[1]
    assert encode_target(make_table(values), target).tolist() == [classes.index(value) for value in values]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (["", "", "NA"], {}, "target 'y' is missing in every row"),
        (["1", "", ""], {}, "has a value in one row only"),
        (["a", "a", "a"], {}, "has one class only, 'a'"),
        (["1", "1", "1"], {}, "has one class only, '1'"),
        ([2.5, 2.5], {"task": "regression"}, "is constant (2.5)"),
        (
            ["1", "x", "3"],
            {"task": "regression"},
            "'x' is not a number; fix or empty the cell, or use --task multi",
        ),
        (["a", "b", "c"], {"task": "binary"}, "has 3 classes, not two; use --task multiclass"),
        (["a", "b"], {"positive": "c"}, "no class 'c'; there are a and b"),
        (["yes", "no"], {"positive": "yess"}, "Did you mean 'yes'?"),
        (["a", "b", "c"], {"positive": "a"}, "--positive needs two"),
        ([1.0, 2.0, 3.0], {"positive": "1"}, "a regression, which has no positive class"),
        ([f"name {place}" for place in range(100)], {}, "100 distinct values in 100 rows, too many"),
        ([*map(str, range(100)), "abc"], {}, "not numbers, as row 101 holds 'abc'"),
        (pa.array([0, 1], pa.timestamp("us")), {}, "cannot be predicted"),
        ([[1], [2]], {}, "cannot be predicted"),
    ],
)
def test_targets_that_cannot_be_learned(values: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError) as caught:
        infer_target(make_table(values), "y", **options)
    assert str(caught.value).startswith("data.csv: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [[0.5, 1.5, None, 2.5], [1, 2, 3], ["0.5", "1e3", "", "7"]])
def test_numbers_are_known_without_levels(values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The levels of millions of numbers take more memory than the table."""
    monkeypatch.setattr("xrfm_cli.datasets.schema.target.label_levels", None)
    assert infer_target(make_table(values), "y").task == "regression"


def test_an_absent_target_names_the_nearest() -> None:
    table = Table(pa.table({"price": [1, 2]}), "data.csv")
    with pytest.raises(TargetError, match=r"data.csv: no column 'prcie'\. Did you mean 'price'"):
        infer_target(table, "prcie")


def test_labels_are_recognised_in_every_type() -> None:
    integers = infer_target(make_table([1, 2, 2]), "y")
    for values in (
        [1, 2, None, 3],
        ["1", "2.0", "", "3"],
        [1.0, 2.0, float("nan"), 3.0],
        ["1", "2", "-", "x"],
    ):
        assert encode_target(make_table(values), integers).tolist() == [0, 1, -1, -2]
    booleans = infer_target(make_table([True, False]), "y")
    assert encode_target(make_table(["True", "false", ""]), booleans).tolist() == [1, 0, -1]
    words = infer_target(make_table(["True", "False"]), "y")
    assert encode_target(make_table([True, False, None]), words).tolist() == [1, 0, -1]


def test_a_model_that_is_fitted_advises_no_option_of_fit() -> None:
    target = infer_target(make_table([1.0, 2.0, 4.0]), "y")
    with pytest.raises(TargetError, match=r"row 2, target 'y': 'x' is not a number; fix or empty the cell$"):
        encode_target(make_table(["1", "x"]), target)


def test_regression_values() -> None:
    target = infer_target(make_table(["1", "2.5", "", "4"]), "y")
    np.testing.assert_array_equal(encode_target(make_table([1, None, 3]), target), [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(
        encode_target(make_table([np.inf, 2.0, -np.inf]), target), [np.nan, 2.0, np.nan]
    )


@pytest.mark.parametrize(
    ("values", "kept"), [(["a", "", "b", "NA"], [0, 2]), ([1.5, None, 2.0, np.inf, 4.0], [0, 2, 4])]
)
def test_rows_without_target_are_dropped_and_counted(values: Any, kept: list[int]) -> None:
    table = make_table(values)
    rest, dropped = drop_rows_without_target(table, infer_target(table, "y"))
    assert rest.column("x").to_pylist() == kept
    assert dropped == len(values) - len(kept)


def test_unknown_labels_are_not_dropped() -> None:
    target = infer_target(make_table(["a", "b"]), "y")
    rest, dropped = drop_rows_without_target(make_table(["a", "c"]), target)
    assert (rest.n_rows, dropped) == (2, 0)
