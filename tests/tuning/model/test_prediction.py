"""Predictions: each row for itself, intervals that cover, labels that follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from tests.tuning.tables import answers, as_text, fit, law, same_bits, sample, table_of, task_table
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.datasets.cells import values
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models.transfers import device_blocks
from xrfm_cli.tuning import FittedModel
from xrfm_cli.tuning.model.intervals import Intervals


def check_rows_stand_alone(model: FittedModel, n: int, seed: int = 0) -> None:
    """Subsets, other orders, single rows and copies give the same bits as the whole table."""
    columns = law(n, seed=11)
    columns["a"][::7] *= 100.0  # far from the data, too
    table = table_of(columns)
    whole = answers(model, table)
    generator = np.random.default_rng(seed)
    for size in (n, n // 2, 257, 17, 3):
        rows = generator.permutation(n)[:size]
        assert same_bits(answers(model, table.take(rows)), whole[rows])
    for row in generator.integers(0, n, 8).tolist():
        assert same_bits(answers(model, table.take(np.array([row]))), whole[[row]])
    copies = np.array([5] * 40 + [9])
    assert same_bits(answers(model, table.take(copies)), whole[copies])


def test_a_row_does_not_depend_on_the_rows_around_it(model: FittedModel) -> None:
    check_rows_stand_alone(model, 600)


def test_nor_where_blocks_of_predictions_meet(model: FittedModel) -> None:
    table = table_of(law(2_500, seed=11))
    whole = answers(model, table)
    parts = [answers(model, table.take(np.arange(k, min(k + 999, 2_500)))) for k in range(0, 2_500, 999)]
    assert same_bits(np.concatenate(parts), whole)


def test_members_of_one_encoder_share_its_blocks(model: FittedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    member = dataclasses.replace(model.members[0], weight=1.0)
    alone = dataclasses.replace(model, members=(member,))
    twice = dataclasses.replace(model, members=(dataclasses.replace(member, weight=0.5),) * 2)
    table = table_of(law(2_500, seed=11))
    sent: list[int] = []

    def blocks(x: NDArray[np.float32], rows: int, device: str) -> Iterator[torch.Tensor]:
        sent.append(len(x))
        return device_blocks(x, rows, device)

    expected = answers(alone, table)
    monkeypatch.setattr("xrfm_cli.tuning.model.fitted_model.device_blocks", blocks)
    assert same_bits(answers(twice, table), expected)
    assert sent == [2_500]


def test_text_that_several_encoders_read_is_parsed_once() -> None:
    columns = law(200, seed=3)
    first = fit(columns, folds=2, pinned={"numeric_transform": "standard"})
    second = fit(columns, folds=2, pinned={"numeric_transform": "quantile"})
    members = tuple(
        dataclasses.replace(member, weight=0.5) for own in (first, second) for member in own.members
    )
    both = dataclasses.replace(first, members=members)
    text = as_text(table_of(law(60, seed=11)))
    place = text.data.column_names.index("a")
    cells = ["many", "", "inf", *text.column("a").to_pylist()[3:]]
    table = dataclasses.replace(text, data=text.data.set_column(place, "a", pa.array(cells)))
    with patch.object(values, "_parse_text", side_effect=values._parse_text) as parse:
        found = both.predict(table)
    alone = [model.predict(table) for model in (first, second)]
    assert found.values is not None
    np.testing.assert_allclose(found.values, (answers(first, table) + answers(second, table)) / 2, rtol=1e-12)
    assert found.repairs == alone[0].repairs == alone[1].repairs
    counts = {(repair.column, repair.what): repair.count for repair in found.repairs}
    assert counts["a", "unreadable number"] == counts["a", "missing"] == counts["a", "infinite"] == 1
    numbers = [column for column in first.schema.features if column.kind == "numeric"]
    assert parse.call_count == len(numbers)


KINDS = [
    {"leaf_size": 40, "min_leaf_size": 8, "temperature": 0.0},
    {"leaf_size": 40, "min_leaf_size": 8, "temperature": 0.3, "overlap": 0.1},
    {"kernel": "norm", "kernel_p": 1.5, "metric_shape": "full"},
    {"kernel": "sum_power", "power": 3, "metric_shape": "full"},
    {"kernel_p": 1.0, "kernel_q": 0.7, "category_encoding": "target"},
]


@pytest.mark.slow
@pytest.mark.parametrize("pinned", KINDS, ids=str)
@pytest.mark.parametrize("classes", ["regression", "multiclass"])
def test_nor_on_the_kind_of_model(pinned: dict[str, object], classes: str) -> None:
    check_rows_stand_alone(fit(task_table(classes), folds=2, pinned=pinned), 400)


@pytest.mark.slow
def test_nor_with_nineteen_classes() -> None:
    table = sample("soybean.csv", 250)
    model = fit(table, SchemaOverrides(target="class"), target="class", folds=2, pinned={"iterations": 1})
    whole = answers(model, table)
    rows = np.random.default_rng(0).permutation(250)
    for chosen in (rows, rows[:33], rows[:1]):
        assert same_bits(answers(model, table.take(chosen)), whole[chosen])


def test_repairs_count_and_move_nothing(models: dict[str, FittedModel]) -> None:
    model, columns = models["regression"], law(50, seed=3)
    whole = answers(model, table_of(columns))
    columns["a"][4] = np.nan
    columns["town"][8] = "Paris"
    prediction = model.predict(table_of(columns))
    assert prediction.values is not None
    assert {(r.column, r.count) for r in prediction.repairs} == {("a", 1), ("town", 1)}
    others = np.setdiff1d(np.arange(50), [4, 8])
    assert same_bits(prediction.values[others], whole[others])


@pytest.mark.slow
def test_intervals_cover_about_as_often_as_they_say() -> None:
    levels, covered = (0.5, 0.8, 0.9), []
    for seed in range(3):
        model = fit(law(250, seed=seed, noise=0.5), folds=5)
        new = law(1_500, seed=100 + seed, noise=0.5)
        for level in levels:
            prediction = model.predict(table_of(new), interval=level)
            assert prediction.values is not None
            assert prediction.lower is not None
            assert prediction.upper is not None
            assert (prediction.lower <= prediction.values).all()
            assert (prediction.values <= prediction.upper).all()
            covered.append(((prediction.lower <= new["y"]) & (new["y"] <= prediction.upper)).mean())
    found = np.reshape(covered, (3, 3)).mean(0)
    np.testing.assert_allclose(found, levels, atol=0.06)


def test_higher_levels_give_wider_intervals_around_the_same_values(models: dict[str, FittedModel]) -> None:
    model, table = models["regression"], table_of(law(20, seed=3))
    plain = answers(model, table)
    widths = []
    for level in (0.1, 0.5, 0.9, 0.99):
        prediction = model.predict(table, interval=level)
        assert prediction.values is not None
        assert prediction.upper is not None
        assert prediction.lower is not None
        assert same_bits(prediction.values, plain)
        widths.append(float((prediction.upper - prediction.lower).mean()))
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 90.0, float("nan")])
def test_a_level_outside_of_zero_and_one_is_refused(models: dict[str, FittedModel], level: float) -> None:
    with pytest.raises(OptionError, match="--interval"):
        models["regression"].predict(table_of(law(5)), interval=level)


def test_intervals_of_classes_are_refused(models: dict[str, FittedModel]) -> None:
    with pytest.raises(OptionError, match="--interval"):
        models["binary"].predict(table_of(law(5)), interval=0.9)


def test_half_widths_by_hand() -> None:
    intervals = Intervals(scores=(1.0, 2.0, 3.0, 4.0))
    # The smallest k-th residual with k >= level * (n + 1): 5 * 0.2 = 1, 5 * 0.5 -> 3, 5 * 0.8 = 4.
    assert [intervals.half_width(level) for level in (0.2, 0.21, 0.5, 0.8)] == [1.0, 2.0, 3.0, 4.0]


def test_far_from_the_data_the_prediction_is_the_mean_and_the_prior() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=80)
    pinned = {"iterations": 0, "numeric_transform": "standard", "bandwidth": 1.0}
    far = table_of({"x": [1e9, -1e9]})
    model = fit({"x": x, "y": x**2}, pinned=pinned | {"target_transform": "none"})
    np.testing.assert_allclose(answers(model, far), (x**2).mean(), rtol=1e-4)
    labels = np.where(np.arange(80) % 4 == 0, "rare", "usual").tolist()
    p = answers(fit({"x": x, "y": labels}, pinned=pinned), far)
    np.testing.assert_allclose(p[:, 0], 0.25, atol=0.1)


def test_the_ensemble_is_the_weighted_average_of_its_members(models: dict[str, FittedModel]) -> None:
    table = table_of(law(30, seed=3))
    for model in models.values():
        total: np.ndarray = np.zeros(1)
        for member in model.members:
            x, _ = member.encoder.encode(table)
            codes = member.tree.predict(torch.from_numpy(x)).double().numpy()
            scores = member.target_transform.decode(codes)
            calibrated = (
                scores[:, 0] if member.calibrator is None else member.calibrator.probabilities(scores)
            )
            total = total + member.weight * calibrated
        expected = total if model.calibration is None else model.calibration.probabilities(total)
        np.testing.assert_allclose(answers(model, table), expected, rtol=1e-12)
