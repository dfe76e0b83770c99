"""Regions in which effects differ, and rules in the units of the table."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reports.conftest import Case, fit_case, noise
from tests.reports.conftest import leaves as leaves
from xrfm_cli.reports import explain_model
from xrfm_cli.reports.rules import rule_words
from xrfm_cli.tuning.explain.regions.rules import Feature, as_matrix, divided, every_row, shortest_between
from xrfm_cli.tuning.explain.regions.split_rules import _mostly_high, split_rules
from xrfm_cli.tuning.explain.sample import sample_table

N = 800


def gated(gate: NDArray[np.bool_], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(gate, 2 * a, 2 * b) + 0.1 * noise(len(a), 1, seed=22)[0]


@pytest.fixture(scope="module")
def gate() -> Case:
    """One leaf: a matters where g is above 100, b elsewhere; z never does."""
    a, b, g, z = noise(N, 4, seed=21)
    return fit_case({"a": a, "b": b, "g": 100 + 10 * g, "z": z, "y": gated(g > 0, a, b)})


def test_a_planted_gate_is_found_when_the_model_is_one_leaf(gate: Case) -> None:
    assert len(gate.model.members[0].tree.leaves) == 1
    found = explain_model(gate.model, regions=True).regions
    assert [region.conditions[0].column for region in found.regions] == ["g", "g"]
    below, above = found.regions
    for region, operator, column in ((below, "at most", "b"), (above, "above", "a")):
        (condition,) = region.conditions
        assert condition.operator == operator
        assert condition.value == pytest.approx(100, abs=1.0)  # a tenth of a deviation
        assert region.columns[0].column == column
        assert region.columns[0].share > 0.9
        assert region.columns[0].change is not None
        assert region.columns[0].change > 4
    assert below.rows + above.rows == N
    assert found.explained > 0.7


def test_targets_give_each_region_its_mean_and_score(gate: Case) -> None:
    found = explain_model(gate.model, table=gate.table, regions=True).regions
    g = gate.table.data["g"].to_numpy()
    y = gate.table.data["y"].to_numpy()
    for region in found.regions:
        (condition,) = region.conditions
        rows = (g > condition.value) == (condition.operator == "above")
        assert region.rows == rows.sum()
        assert region.mean_target == pytest.approx(y[rows].mean(), abs=1e-6)
        assert region.score is not None
        assert 0 < region.score < y[rows].std()


def test_a_level_is_a_region(gate: Case) -> None:
    a, b = noise(N, 2, seed=23)
    city = np.random.default_rng(24).choice(["graz", "linz", "wien"], N)
    case = fit_case({"a": a, "b": b, "city": city, "y": gated(city == "graz", a, b)})
    found = explain_model(case.model, regions=True).regions
    assert {rule_words(region.conditions) for region in found.regions} == {"city is graz", "city is not graz"}


def test_a_sum_has_no_regions() -> None:
    a, b, c = noise(500, 3, seed=25)
    case = fit_case({"a": a, "b": b, "c": c, "y": a + np.sin(2 * b) + 0.2 * noise(500, 1, seed=26)[0]})
    assert explain_model(case.model, regions=True).regions.regions == ()


def test_missing_numbers_are_on_a_side_that_the_rule_names() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, np.nan, np.nan] * 10)
    feature = Feature(column="x", part="", kind="numeric", level=None, values=x)
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_depth=1).fit(as_matrix([feature]), np.where(x > 2, 0.0, 1.0))
    low, high = divided(every_row([feature]), tree, [feature])
    assert [rule_words(rule.conditions) for rule in (low, high)] == ["x at most 2 or missing", "x above 2"]
    np.testing.assert_array_equal(low.rows, ~(x > 2))
    np.testing.assert_array_equal(high.rows, x > 2)


def test_leaves_on_one_side_of_a_split_are_one_rule() -> None:
    from sklearn.tree import DecisionTreeClassifier

    x = np.arange(300.0)
    feature = Feature(column="x", part="", kind="numeric", level=None, values=x)
    high = (x <= 200) & ~((x > 50) & (x <= 100) & (x % 3 == 0))  # purer up to 50, mostly high up to 200
    tree = DecisionTreeClassifier(max_leaf_nodes=4, random_state=0).fit(as_matrix([feature]), high)
    rules = _mostly_high(tree, [feature], high)
    assert [rule_words(rule.conditions) for rule in rules] == ["x at most 200"]


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_thresholds_of_any_size_are_short_and_divide_the_rows(scale: float) -> None:
    from sklearn.tree import DecisionTreeRegressor

    x = scale * np.linspace(0.1234, 7.8912, 300)
    feature = Feature(column="x", part="", kind="numeric", level=None, values=x)
    tree = DecisionTreeRegressor(max_depth=1).fit(as_matrix([feature]), (x > 3 * scale).astype(float))
    _, high = divided(every_row([feature]), tree, [feature])
    value = high.conditions[0].value
    assert isinstance(value, float)
    assert value == pytest.approx(3 * scale, rel=0.03)
    np.testing.assert_array_equal(high.rows, x > value)


def test_the_shortest_number_is_between() -> None:
    assert shortest_between(-0.31, -0.28) == -0.3
    assert shortest_between(5.0, 5.0) == 5.0


def test_splits_have_short_rules_that_agree_with_them(leaves: Case) -> None:
    model = leaves.model
    member = model.members[0]
    sample = sample_table(model, leaves.table)
    rules = split_rules(model, sample, member)
    assert rules
    x = sample.matrices[id(member.encoder)].astype(np.float64)
    rule, split = rules[0], member.tree.splits[0]
    high = x @ split.direction.double().numpy() > split.threshold
    said = np.zeros(len(high), dtype=bool)
    for conditions in rule.alternatives:
        own = np.ones(len(high), dtype=bool)
        for condition in conditions:
            above = leaves.table.data[condition.column].to_numpy() > condition.value
            own &= above if condition.operator == "above" else ~above
        said |= own
    assert (said == high).mean() == pytest.approx(rule.agreement, abs=0.01)
    splits = explain_model(model, table=leaves.table, regions=True).splits
    assert splits[0].rule is not None
    assert splits[0].agreement == rule.agreement
