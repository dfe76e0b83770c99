"""What a fit is expected to take."""

from __future__ import annotations

import pytest

from xrfm_cli.tuning.cost import GROWTH, SAFETY, CostModel

LEAF = 10_000


def test_nothing_known_costs_nothing() -> None:
    assert CostModel(LEAF).estimate("l2", 1_000, solves=3) == 0.0


def test_an_estimate_is_what_a_solve_took_and_a_margin() -> None:
    model = CostModel(LEAF)
    model.record("l2", 1_000, seconds=2.0, solves=4)
    assert model.estimate("l2", 1_000, solves=1) == pytest.approx(0.5 * SAFETY)
    assert model.estimate("l2", 1_000, solves=4) == pytest.approx(2.0 * SAFETY)


def test_more_rows_cost_more_than_in_proportion_and_fewer_are_not_trusted_to() -> None:
    model = CostModel(LEAF)
    model.record("l2", 1_000, seconds=2.0, solves=1)
    assert model.estimate("l2", 3_000, solves=1) == pytest.approx(2.0 * SAFETY * 3**GROWTH)
    assert model.estimate("l2", 500, solves=1) == pytest.approx(2.0 * SAFETY / 2)
    estimates = [model.estimate("l2", n, solves=1) for n in (100, 500, 999, 1_000, 1_001, 5_000)]
    assert estimates == sorted(estimates)


def test_beyond_a_leaf_time_grows_with_the_number_of_leaves() -> None:
    model = CostModel(leaf_size=1_000)
    model.record("l2", 1_000, seconds=2.0, solves=1)
    assert model.estimate("l2", 8_000, solves=1) == pytest.approx(16.0 * SAFETY)


def test_the_slowest_of_equal_fits_counts() -> None:
    model = CostModel(LEAF)
    for seconds in (1.0, 3.0, 2.0):
        model.record("l1", 1_000, seconds=seconds, solves=1)
    assert model.estimate("l1", 1_000, solves=1) == pytest.approx(3.0 * SAFETY)


def test_the_nearest_size_speaks() -> None:
    model = CostModel(LEAF)
    model.record("l2", 1_000, seconds=1.0, solves=1)
    model.record("l2", 4_000, seconds=60.0, solves=1)
    assert model.estimate("l2", 1_100, solves=1) < 2.0
    assert model.estimate("l2", 4_100, solves=1) > 60.0


def test_a_family_not_seen_yet_is_as_slow_as_the_slowest() -> None:
    model = CostModel(LEAF)
    model.record("l2", 1_000, seconds=1.0, solves=1)
    model.record("sum_power", 1_000, seconds=5.0, solves=1)
    assert model.estimate("lp", 1_000, solves=1) == pytest.approx(5.0 * SAFETY)
    assert model.estimate("l2", 1_000, solves=1) == pytest.approx(1.0 * SAFETY)


def test_linear_leaves_take_time_in_proportion_to_their_rows() -> None:
    model = CostModel(LEAF)
    model.record("linear", 1_000, seconds=1.0, solves=1)
    for rows in (500, 2_000, 10 * LEAF):
        assert model.estimate("linear", rows, solves=1) == pytest.approx(rows / 1_000 * SAFETY)


def test_a_fit_without_a_solve_is_no_division_by_zero() -> None:
    model = CostModel(LEAF)
    model.record("l2", 1_000, seconds=1.0, solves=0)
    assert model.estimate("l2", 1_000, solves=1) == pytest.approx(SAFETY)
