"""Attributions of rows: additive, signed and in the user's columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.reports.conftest import Case, fit_case, noise
from xrfm_cli.datasets import Table
from xrfm_cli.errors import OptionError, SchemaError
from xrfm_cli.reports import attribute_rows
from xrfm_cli.reports.attributions import Baseline
from xrfm_cli.tuning.scoring.target_transforms import LogTransform, ValueTransform

CASES = ["linear", "ensemble", "logarithms", "two_classes", "three_classes", "leaves"]


def values(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).to_numpy()


def features(case: Case) -> list[str]:
    return [column.name for column in case.model.schema.features]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_paths_add_up(name: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(name)
    found = attribute_rows(case.model, case.table.slice(0, 40))
    added = sum(values(found, column) for column in features(case))
    np.testing.assert_allclose(added, values(found, "prediction") - values(found, "baseline"), atol=1e-9)
    assert found.num_rows == 40


@pytest.mark.parametrize("name", CASES)
def test_they_explain_what_predict_gives(name: str, request: pytest.FixtureRequest) -> None:
    """The value, or the calibrated probability of the explained class."""
    case: Case = request.getfixturevalue(name)
    rows = case.table.slice(0, 30)
    found = attribute_rows(case.model, rows)
    prediction = case.model.predict(rows)
    expected = prediction.values
    if prediction.probabilities is not None:
        classes = [str(label) for label in case.model.target.classes]
        codes = [classes.index(label) for label in found.column("class").to_pylist()]
        expected = prediction.probabilities[np.arange(30), codes]
    assert expected is not None
    np.testing.assert_allclose(values(found, "prediction"), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["ensemble", "three_classes", "leaves"])
def test_the_baseline_is_the_mean_prediction_of_the_reference_rows(
    name: str, request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(name)
    references, rows = case.table.slice(50, 57), case.table.slice(0, 5)
    label = str(case.model.target.classes[0]) if case.model.target.classes else None
    found = attribute_rows(case.model, rows, baseline=Baseline.of_table(case.model, references), label=label)
    prediction = case.model.predict(references)
    mean = prediction.values if prediction.probabilities is None else prediction.probabilities[:, 0]
    assert mean is not None
    np.testing.assert_allclose(values(found, "baseline"), mean.mean(), rtol=1e-6, atol=1e-6)
    added = sum(values(found, column) for column in features(case))
    np.testing.assert_allclose(added, values(found, "prediction") - values(found, "baseline"), atol=1e-9)


def test_the_default_baseline_is_near_the_mean_prediction(leaves: Case) -> None:
    predicted = leaves.model.predict(leaves.table).values
    assert predicted is not None
    start = values(attribute_rows(leaves.model, leaves.table.slice(0, 1)), "baseline")[0]
    assert abs(start - predicted.mean()) < 0.15 * predicted.std()


def test_probabilities_of_the_classes_share_out_to_nothing(three_classes: Case) -> None:
    """They add to one, so what a column adds to one class it takes from the others."""
    rows = three_classes.table.slice(0, 8)
    parts = [
        attribute_rows(three_classes.model, rows, label=str(label))
        for label in three_classes.model.target.classes
    ]
    for name in features(three_classes):
        np.testing.assert_allclose(sum(values(part, name) for part in parts), 0.0, atol=0.05)


@pytest.mark.parametrize(
    ("label", "message"),
    [("mit", "--class mit: must be one of low, mid, top. Did you mean 'mid'"), ("low", None)],
)
def test_a_class_is_chosen_by_name(three_classes: Case, label: str, message: str | None) -> None:
    rows = three_classes.table.slice(0, 3)
    if message is None:
        found = attribute_rows(three_classes.model, rows, label=label)
        assert set(found.column("class").to_pylist()) == {label}
        return
    with pytest.raises(OptionError, match=message):
        attribute_rows(three_classes.model, rows, label=label)


def test_a_class_of_numbers_is_refused(linear: Case) -> None:
    with pytest.raises(OptionError, match="--class: is for classes"):
        attribute_rows(linear.model, linear.table, label="a")


def test_of_a_sum_are_its_terms(linear: Case) -> None:
    rows = linear.table.slice(0, 100)
    found = attribute_rows(linear.model, rows)
    a, b = (values(rows.data, name) for name in "ab")
    assert np.corrcoef(values(found, "a"), 3 * a)[0, 1] > 0.93
    assert np.corrcoef(values(found, "b"), b)[0, 1] > 0.8
    assert np.abs(values(found, "c")).max() < 0.1
    path = values(attribute_rows(linear.model, rows), "a")
    central = np.abs(a) < 1.5
    mean = values(linear.table.data, "a").mean()
    np.testing.assert_allclose(path[central], 3 * (a - mean)[central], atol=0.75)


def test_of_a_linear_logarithm_are_shares_of_the_change() -> None:
    a, b = noise(80, 2)
    columns = {"a": a, "b": b, "y": 50 * np.exp(a + 0.25 * b)}
    case = fit_case(columns, kernel="linear", ridge=1e-4, target_transform="log", metric_shape="full")
    assert isinstance(case.model.members[0].target_transform, LogTransform)
    reference = Table(pa.table({"a": [0.1], "b": [-0.2]}), source="one.csv")
    found = attribute_rows(case.model, case.table, baseline=Baseline.of_table(case.model, reference))
    start, end = values(found, "baseline"), values(found, "prediction")
    way = {"a": a - 0.1, "b": 0.25 * (b + 0.2)}
    inside = np.abs(np.log(end / start)) > 0.05
    for name, log in way.items():
        expected = (end - start) / (way["a"] + way["b"]) * log
        np.testing.assert_allclose(values(found, name)[inside], expected[inside], rtol=0.02, atol=0.1)


def test_logarithms_and_values_stand_side_by_side(logarithms: Case) -> None:
    assert {type(member.target_transform) for member in logarithms.model.members} == {
        LogTransform,
        ValueTransform,
    }


def test_a_row_at_the_baseline_gets_nothing() -> None:
    a, b = noise(80, 2)
    case = fit_case({"a": a, "b": b, "y": np.exp(a)}, kernel="linear", target_transform="log")
    row = case.table.slice(3, 4)
    found = attribute_rows(case.model, row, baseline=Baseline.of_table(case.model, row))
    assert values(found, "a")[0] == pytest.approx(0.0, abs=1e-9)
    assert values(found, "prediction")[0] == pytest.approx(values(found, "baseline")[0])


def test_of_two_classes_explain_the_positive_one(two_classes: Case) -> None:
    found = attribute_rows(two_classes.model, two_classes.table.slice(0, 60))
    assert set(found.column("class").to_pylist()) == {"yes"}
    a = values(two_classes.table.data, "a")[:60]
    assert np.corrcoef(values(found, "a"), a)[0, 1] > 0.7


def test_of_more_classes_explain_the_predicted_one(three_classes: Case) -> None:
    rows = three_classes.table.slice(0, 60)
    found = attribute_rows(three_classes.model, rows)
    probabilities = three_classes.model.predict(rows).probabilities
    assert probabilities is not None
    classes = three_classes.model.target.classes
    assert found.column("class").to_pylist() == [
        classes[k] for k in three_classes.model.labels(probabilities)
    ]
    assert values(found, "prediction").min() > 0.2


def test_chunks_do_not_matter(ensemble: Case) -> None:
    whole = attribute_rows(ensemble.model, ensemble.table.slice(0, 20))
    parts = pa.concat_tables(
        attribute_rows(ensemble.model, ensemble.table.slice(k, k + 5)) for k in (0, 5, 10, 15)
    )
    for name in whole.column_names:
        np.testing.assert_allclose(values(whole, name), values(parts, name), atol=1e-6)


def test_no_rows_give_no_rows(two_classes: Case) -> None:
    found = attribute_rows(two_classes.model, two_classes.table.slice(0, 0))
    assert found.num_rows == 0
    assert found.column_names == ["a", "b", "baseline", "prediction", "class"]


def test_columns_named_like_ours_keep_their_names() -> None:
    a, b = noise(80, 2)
    case = fit_case({"baseline": a, "prediction": b, "y": a - b})
    found = attribute_rows(case.model, case.table.slice(0, 3))
    assert found.column_names == ["baseline", "prediction", "baseline_", "prediction_"]


def test_a_missing_column_is_named(linear: Case) -> None:
    lacking = Table(linear.table.data.drop_columns(["b"]), source="new.csv")
    with pytest.raises(SchemaError, match="no column 'b'"):
        attribute_rows(linear.model, lacking)
