"""What a fit is expected to take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xrfm_cli.tuning.search.cost import (
    FACTORISATION_SHARE,
    GRADIENT_PAIRS,
    ON_PIECES,
    PRECONDITIONER_SHARE,
    REFINED,
    SAFETY,
    VOTING_LEAVES,
    CostModel,
    FitSize,
    product_rate,
)

RATE = 1e10
SMALL = FitSize(family="l2", rows=1_000, leaf_size=10_000, validated=500, agop_rows=2_000)


def seconds_of_products(size: FitSize, solves: int) -> float:
    return size.products(solves) / (FACTORISATION_SHARE * RATE)


def test_nothing_known_costs_nothing() -> None:
    assert CostModel(product_rate=RATE).estimate(SMALL, solves=3) == 0.0


def test_pairs_are_those_of_kernel_predictions_and_gradients() -> None:
    assert SMALL.pairs(1) == 1_000**2 + 500 * 1_000
    assert SMALL.pairs(3) == 3 * (1_000**2 + 500 * 1_000) + 2 * GRADIENT_PAIRS * 1_000**2
    few = replace(SMALL, agop_rows=100)
    assert few.pairs(2) == 2 * (1_000**2 + 500 * 1_000) + GRADIENT_PAIRS * 1_000 * 100


def test_beyond_a_leaf_there_are_leaves() -> None:
    tree = replace(SMALL, rows=8_000, leaf_size=1_000, validated=0)
    assert tree.pairs(1) == 8 * 1_000**2
    assert tree.products(1) == pytest.approx(8 * 1_000**3 / 6)
    assert replace(tree, validated=10).pairs(1) == 8 * 1_000**2 + 10 * 1_000 * VOTING_LEAVES
    assert replace(tree, rows=9_000).products(1) == pytest.approx(16 * (9_000 / 16) ** 3 / 6)


def test_splits_cost_the_machines_that_find_them() -> None:
    tree = replace(SMALL, rows=8_000, leaf_size=1_000, validated=0)
    split = replace(tree, split_rows=500)
    for solves in (1, 3):
        assert split.pairs(solves) - tree.pairs(solves) == 7 * (1 + GRADIENT_PAIRS) * 500**2
        assert split.products(solves) - tree.products(solves) == pytest.approx(7 * 500**3 / 6)
    most = replace(tree, split_rows=100_000)  # nodes have no more rows than two leaves
    assert most.pairs(1) - tree.pairs(1) == 7 * (1 + GRADIENT_PAIRS) * 2_000**2
    assert replace(SMALL, split_rows=500).pairs(2) == SMALL.pairs(2)


def test_an_estimate_is_what_a_fit_took_and_a_margin() -> None:
    model = CostModel(product_rate=RATE)
    model.record(SMALL, seconds=2.0, solves=4)
    assert model.estimate(SMALL, solves=4) == pytest.approx(2.0 * SAFETY)


def test_more_rows_cost_by_pairs_and_products() -> None:
    model = CostModel(product_rate=RATE)
    model.record(SMALL, seconds=2.0, solves=1)
    large = replace(SMALL, rows=4_000)
    pairs = (2.0 - seconds_of_products(SMALL, 1)) * large.pairs(1) / SMALL.pairs(1)
    expected = SAFETY * (pairs + seconds_of_products(large, 1))
    assert model.estimate(large, solves=1) == pytest.approx(expected)
    sizes = [replace(SMALL, rows=n) for n in (10, 500, 999, 1_000, 1_001, 5_000)]
    estimates = [model.estimate(size, solves=1) for size in sizes]
    assert estimates == sorted(estimates)


def test_pairs_take_some_time_even_where_the_factorisation_explains_all() -> None:
    model = CostModel(product_rate=RATE)
    model.record(SMALL, seconds=1e-3, solves=1)
    assert model.estimate(replace(SMALL, validated=10**6), solves=1) > 0.1


def test_what_came_last_counts_as_much_as_all_before() -> None:
    model = CostModel(product_rate=1e15)
    for seconds in (1.0, 3.0, 2.0):
        model.record(SMALL, seconds=seconds, solves=1)
    assert model.estimate(SMALL, solves=1) == pytest.approx(2.0 * SAFETY)


def test_a_family_not_seen_yet_is_as_slow_as_the_slowest_of_its_kind() -> None:
    model = CostModel(product_rate=1e15)
    model.record(SMALL, seconds=1.0, solves=1)
    model.record(replace(SMALL, family="sum_power"), seconds=5.0, solves=1)
    model.record(replace(SMALL, family="linear"), seconds=100.0, solves=1)
    assert model.estimate(replace(SMALL, family="lp"), solves=1) == pytest.approx(5.0 * SAFETY)
    assert model.estimate(SMALL, solves=1) == pytest.approx(1.0 * SAFETY)


def test_linear_leaves_take_time_in_proportion_to_their_rows() -> None:
    model = CostModel(product_rate=RATE)
    linear = replace(SMALL, family="linear")
    model.record(linear, seconds=1.0, solves=1)
    for rows in (500, 2_000, 10**6):
        estimate = model.estimate(replace(linear, rows=rows), solves=1)
        assert estimate == pytest.approx(rows / 1_000 * SAFETY)


def test_a_fit_without_a_solve_is_no_division_by_zero() -> None:
    model = CostModel(product_rate=RATE)
    model.record(SMALL, seconds=1.0, solves=0)
    assert model.estimate(SMALL, solves=1) == pytest.approx(SAFETY)


def test_the_machine_multiplies() -> None:
    assert product_rate("cpu") > 1e7


def test_leaves_of_many_rows_are_no_factorisations() -> None:
    large, direct = replace(SMALL, rows=8_000, validated=0), replace(SMALL, rows=5_000)
    assert large.products(1) == 8_000**3 / PRECONDITIONER_SHARE
    assert replace(large, steps=2).numbers(3) == 6 * 8_000**2
    assert large.products(1, directly=True) == pytest.approx(8_000**3 / 6)
    assert large.numbers(1, directly=True) == direct.numbers(1) == 0.0
    assert replace(large, ridge=1e-4).numbers(1) == 0.0
    model = CostModel(product_rate=RATE)
    model.record(SMALL, seconds=2.0, solves=1)
    before = model.estimate(large, solves=1), model.estimate(direct, solves=1)
    model.record(large, seconds=1.0, solves=1)  # fewer steps than usual
    after = model.estimate(large, solves=1), model.estimate(direct, solves=1)
    assert after[0] < before[0]
    assert after[1] > SAFETY * seconds_of_products(direct, 1)  # nothing was learned about factorisations


def test_an_unknown_refinement_costs_as_much_as_fits_of_its_own_family() -> None:
    model = CostModel(product_rate=RATE)
    model.record(SMALL, seconds=1.0, solves=2)
    model.record(replace(SMALL, family="slow"), seconds=50.0, solves=2)
    refined = replace(SMALL, family=SMALL.family + REFINED)
    assert model.estimate(refined, solves=2) == model.estimate(SMALL, solves=2)
    model.record(refined, seconds=0.5, solves=2)
    assert model.estimate(refined, solves=2) < model.estimate(SMALL, solves=2)


def test_an_unknown_kernel_on_pieces_is_as_many_times_slower_as_the_others_are() -> None:
    model = CostModel(product_rate=1e15)
    for family, seconds in (("l2", 1.0), ("lp", 5.0), (f"l2{ON_PIECES}", 3.0)):
        model.record(replace(SMALL, family=family), seconds=seconds, solves=2)
    found = model.estimate(replace(SMALL, family=f"lp{ON_PIECES}"), solves=2)
    assert found == pytest.approx(5.0 * 3.0 * SAFETY, rel=1e-3)
    unknown = model.estimate(replace(SMALL, family=f"l1{ON_PIECES}"), solves=2)
    assert unknown == pytest.approx(5.0 * SAFETY, rel=1e-3)  # as the slowest of all
