"""What a fit is expected to take."""

from __future__ import annotations

import pytest

from xrfm_cli.tuning.cost import GROWTH, SAFETY, CostModel


def test_nothing_known_costs_nothing() -> None:
    model = CostModel()
    assert model.estimate("l2", 1_000) == 0.0
    assert model.estimate_solve("l2", 1_000) == 0.0


def test_an_estimate_is_what_was_measured_and_a_margin() -> None:
    model = CostModel()
    model.record("l2", 1_000, seconds=2.0, solves=4)
    assert model.estimate("l2", 1_000) == pytest.approx(2.0 * SAFETY)
    assert model.estimate_solve("l2", 1_000) == pytest.approx(0.5 * SAFETY)


def test_more_rows_cost_more_than_in_proportion_and_fewer_are_not_trusted_to() -> None:
    model = CostModel()
    model.record("l2", 1_000, seconds=2.0, solves=1)
    assert model.estimate("l2", 3_000) == pytest.approx(2.0 * SAFETY * 3**GROWTH)
    assert model.estimate("l2", 500) == pytest.approx(2.0 * SAFETY / 2)
    sizes = [100, 500, 999, 1_000, 1_001, 5_000]
    estimates = [model.estimate("l2", n) for n in sizes]
    assert estimates == sorted(estimates)


def test_the_slowest_of_equal_fits_counts() -> None:
    model = CostModel()
    for seconds in (1.0, 3.0, 2.0):
        model.record("l1", 1_000, seconds=seconds, solves=1)
    assert model.estimate("l1", 1_000) == pytest.approx(3.0 * SAFETY)


def test_the_nearest_size_speaks() -> None:
    model = CostModel()
    model.record("l2", 1_000, seconds=1.0, solves=1)
    model.record("l2", 4_000, seconds=60.0, solves=1)
    assert model.estimate("l2", 1_100) < 2.0
    assert model.estimate("l2", 4_100) > 60.0


def test_a_family_not_seen_yet_is_as_slow_as_the_slowest() -> None:
    model = CostModel()
    model.record("l2", 1_000, seconds=1.0, solves=1)
    model.record("sum_power", 1_000, seconds=5.0, solves=1)
    assert model.estimate("lp", 1_000) == pytest.approx(5.0 * SAFETY)
    assert model.estimate("l2", 1_000) == pytest.approx(1.0 * SAFETY)


def test_a_fit_without_a_solve_is_no_division_by_zero() -> None:
    model = CostModel()
    model.record("l2", 1_000, seconds=1.0, solves=0)
    assert model.estimate_solve("l2", 1_000) == pytest.approx(SAFETY)
