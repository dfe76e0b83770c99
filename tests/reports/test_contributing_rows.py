"""The training rows that make a prediction: their parts add up, and wrong labels are loud."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.reports.conftest import Case, fit_case, noise
from xrfm_cli.datasets import Table
from xrfm_cli.reports.attributions import Baseline
from xrfm_cli.tuning.explain.contributing_rows import ContributingRows, contributing_rows

CASES = ["linear", "ensemble", "logarithms", "two_classes", "three_classes", "leaves"]


def contributing(case: Case, row: int, *, explained: int = 0, most: int = 5) -> ContributingRows:
    baseline = Baseline.of_training_rows(case.model)
    table = case.table.slice(row, row + 1)
    return contributing_rows(baseline.model, table, baseline.references, explained, most=most)


@pytest.mark.parametrize("name", CASES)
def test_the_parts_add_up_to_the_prediction(name: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(name)
    found = contributing(case, 4)
    prediction = case.model.predict(case.table.slice(4, 5))
    answer = prediction.values if prediction.probabilities is None else prediction.probabilities[:, 0]
    assert answer is not None
    assert found.prediction == pytest.approx(float(answer[0]), abs=1e-6)
    added = found.baseline + found.contributions + found.others
    assert added == pytest.approx(found.prediction, abs=1e-6)
    if all(member.params["kernel"] != "linear" for member in case.model.members):
        assert found.others == pytest.approx(0.0, abs=1e-6)
    sizes = [abs(row.contribution) for row in found.largest]
    assert sizes == sorted(sizes, reverse=True)


def test_linear_leaves_keep_no_rows() -> None:
    a, b = noise(80, 2)
    found = contributing(fit_case({"a": a, "b": b, "y": a - b}, kernel="linear"), 3)
    assert (found.largest, found.contributions, found.centers) == ((), 0.0, 0)
    assert found.others == pytest.approx(found.prediction - found.baseline)


@pytest.mark.parametrize("task", ["numbers", "classes"])
def test_copies_with_a_wrong_label_contribute_most(task: str) -> None:
    """Rows beside them, whose labels are right, are as near."""
    a, b = noise(300, 2, seed=3)
    y = np.sin(2 * a) + b
    wrong = np.array([10, 20, 30])
    columns = {name: np.concatenate([own, own[wrong] + 1e-3]) for name, own in (("a", a), ("b", b))}
    if task == "numbers":
        labels: np.ndarray = np.concatenate([y, y[wrong] + 6 * y.std()])
    else:
        words = np.where(y > 0, "yes", "no")
        labels = np.concatenate([words, np.where(y[wrong] > 0, "no", "yes")])
    case = fit_case({**columns, "y": labels})
    for place, row in enumerate(wrong):
        found = contributing(case, int(row), explained=1 if task == "classes" else 0)
        cells = [(item.cells["a"], item.cells["b"]) for item in found.largest]
        copy = (columns["a"][300 + place], columns["b"][300 + place])
        assert any(np.allclose(own, copy, atol=3e-4) for own in cells)


def test_cells_are_those_of_training_rows(ensemble: Case) -> None:
    known = {name: set(ensemble.table.column(name).to_pylist()) for name in ("city",)}
    for item in contributing(ensemble, 2).largest:
        assert item.cells["city"] in known["city"]
        near = np.abs(np.array(ensemble.table.column("a").to_pylist()) - item.cells["a"])
        assert near.min() < 1e-3 or item.cells["a"] in (min, max)


def test_a_row_of_its_own_table_is_enough(linear: Case) -> None:
    row = Table(pa.table({"a": [1.0], "b": [0.0], "c": [0.0]}), source="one.csv")
    baseline = Baseline.of_training_rows(linear.model)
    found = contributing_rows(baseline.model, row, baseline.references, 0, most=3)
    assert len(found.largest) == 3
