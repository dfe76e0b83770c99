"""The validation plan: training and validation rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfm_cli.datasets import TargetSchema
from xrfm_cli.tuning.limits import (
    CELLS_PER_SECOND,
    CLASSES_PER_WORK,
    CROSS_VALIDATION_ROWS,
    LEAST_ROWS,
    RUNG_ROWS,
    SHORT_CROSS_VALIDATION_ROWS,
    SHORT_LIMIT_S,
    SHORT_RUNG_ROWS,
    Limits,
    find_limits,
    find_row_room,
)
from xrfm_cli.tuning.problem.setup import ROWS_OF_A_CLASS, draw_training_rows
from xrfm_cli.tuning.problem.validation_plan import (
    HOLDOUT_SHARE,
    MAX_HOLDOUT_ROWS,
    RARE_FOLDS,
    RARE_FOLDS_ROWS,
    RARE_ROWS,
    ValidationPlan,
    make_validation_plan,
)

LARGE = CROSS_VALIDATION_ROWS + 1


def limit(seconds: float | None, columns: int = 1) -> Limits:
    """Return the limits of a table of the given size."""
    return find_limits(LARGE, columns, 0, seconds)


def check(plan: ValidationPlan, n: int) -> None:
    """Assert properties of every plan."""
    for fold in plan.folds:
        assert len(fold.train) >= 1
        assert len(fold.valid) >= 1
        assert not set(fold.train.tolist()) & set(fold.valid.tolist())
        assert len(np.unique(fold.train)) == len(fold.train)
        assert fold.train.min() >= 0
        assert fold.train.max() < n
    validated = plan.validation_rows
    assert len(np.unique(validated)) == len(validated)
    smallest = min(len(fold.train) for fold in plan.folds)
    assert plan.rung_sizes[-1] == smallest
    assert list(plan.rung_sizes) == sorted(set(plan.rung_sizes))


@settings(max_examples=40)
@given(n=st.integers(4, 400), folds=st.one_of(st.none(), st.integers(2, 12)), seed=st.integers(0, 99))
def test_every_row_is_validated_once(n: int, folds: int | None, seed: int) -> None:
    strata = np.random.default_rng(seed).integers(0, 3, n)
    for given_strata in (None, strata):
        plan = make_validation_plan(n, seed=seed, folds=folds, strata=given_strata)
        check(plan, n)
        assert plan.scheme == "cross-validation"
        assert sorted(plan.validation_rows.tolist()) == list(range(n))
        assert plan.refit_rows.tolist() == list(range(n))
        assert all(len(f.train) + len(f.valid) == n for f in plan.folds)
        assert len(plan.folds) <= (folds or 10)


def test_the_seed_alone_decides() -> None:
    first, again, other = (make_validation_plan(90, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.folds, again.folds, strict=True):
        assert a.train.tolist() == b.train.tolist()
        assert a.valid.tolist() == b.valid.tolist()
    assert first.folds[0].train.tolist() != other.folds[0].train.tolist()


def test_small_tables_get_more_folds() -> None:
    assert len(make_validation_plan(299, seed=0).folds) == 10
    assert len(make_validation_plan(300, seed=0).folds) == 5
    assert len(make_validation_plan(CROSS_VALIDATION_ROWS, seed=0).folds) == 5
    assert len(make_validation_plan(300, seed=0, folds=3).folds) == 3


@pytest.mark.parametrize("n", [LARGE, 200_000])
def test_large_tables_hold_rows_out(n: int) -> None:
    plan = make_validation_plan(n, seed=0)
    check(plan, n)
    assert plan.scheme == "hold-out"
    assert len(plan.validation_rows) == min(round(0.2 * n), MAX_HOLDOUT_ROWS)
    assert len(plan.refit_rows) == n
    assert "held out" in plan.reason


def test_folds_that_were_asked_for_win_over_the_size() -> None:
    plan = make_validation_plan(LARGE, seed=0, folds=4)
    assert plan.scheme == "cross-validation"
    assert len(plan.validation_rows) == LARGE


@pytest.mark.parametrize("n", [LARGE, RARE_FOLDS_ROWS])
def test_every_row_validates_where_a_holdout_would_have_few_rows_of_rare_classes(n: int) -> None:
    strata = np.zeros(n, dtype=np.int64)
    strata[:30], strata[30:60] = 1, 2
    plan = make_validation_plan(n, seed=0, strata=strata, limits=limit(60.0))
    check(plan, n)
    assert len(plan.folds) == RARE_FOLDS
    assert sorted(plan.validation_rows.tolist()) == list(range(n))
    assert plan.reason == "3 folds, as only 60 rows are of rare classes"
    for fold in plan.folds:
        assert np.bincount(strata[fold.valid]).tolist()[1:] == [10, 10]


def test_a_holdout_stays_where_it_has_enough_rows_of_rare_classes() -> None:
    n = 10_000
    rare = int(RARE_ROWS / HOLDOUT_SHARE)
    enough, too_few = (np.repeat([0, 1], [n - count, count]) for count in (rare, rare - 1))
    assert make_validation_plan(n, seed=0, strata=enough).scheme == "hold-out"
    assert make_validation_plan(n, seed=0, strata=too_few).scheme == "cross-validation"
    many_classes = np.arange(n) % 50  # each of them small, none of them rare among the others
    assert make_validation_plan(n, seed=0, strata=many_classes).scheme == "hold-out"


def test_rare_classes_get_no_folds_where_there_is_no_time_or_an_order_for_them() -> None:
    n = RARE_FOLDS_ROWS + 1
    assert make_validation_plan(n, seed=0, strata=np.repeat([0, 1], [n - 50, 50])).scheme == "hold-out"
    strata = np.repeat([0, 1], [LARGE - 50, 50])
    assert (
        make_validation_plan(LARGE, seed=0, strata=strata, limits=limit(SHORT_LIMIT_S - 1)).scheme
        == "hold-out"
    )
    assert make_validation_plan(LARGE, seed=0, strata=strata, time=np.arange(LARGE)).scheme == "hold-out"
    assert make_validation_plan(LARGE, seed=0, strata=strata, given=np.arange(9)).scheme == "given rows"
    assert len(make_validation_plan(LARGE, seed=0, strata=strata, folds=4).folds) == 4


@pytest.mark.parametrize("n", [3, 5, 11])
def test_tiny_tables_are_validated_row_by_row(n: int) -> None:
    plan = make_validation_plan(n, seed=0)
    check(plan, n)
    assert sorted(plan.validation_rows.tolist()) == list(range(n))


def test_strata_keep_their_shares() -> None:
    strata = np.repeat([0, 1, 2], [200, 40, 10])
    for fold in make_validation_plan(250, seed=0, folds=5, strata=strata).folds:
        assert np.bincount(strata[fold.valid], minlength=3).tolist() == [40, 8, 2]


def test_a_class_of_two_rows_fails_nothing() -> None:
    strata = np.repeat([0, 1], [28, 2])
    plan = make_validation_plan(30, seed=0, strata=strata)
    check(plan, 30)
    assert sorted(plan.validation_rows.tolist()) == list(range(30))


@pytest.mark.parametrize("n", [60, LARGE])
def test_groups_never_straddle(n: int) -> None:
    groups = np.random.default_rng(0).integers(0, 12, n)
    plan = make_validation_plan(n, seed=0, groups=groups)
    check(plan, n)
    for fold in plan.folds:
        assert not set(groups[fold.train].tolist()) & set(groups[fold.valid].tolist())
    assert plan.reason.endswith("groups kept together")


@pytest.mark.parametrize("classes", [None, 2, 5])
@pytest.mark.parametrize("shares", [(0.25, 0.25, 0.25, 0.25), (0.7, 0.2, 0.06, 0.04)])
def test_as_many_folds_as_groups_are_the_groups(shares: tuple[float, ...], classes: int | None) -> None:
    """So a column of fold numbers is folds of one's own, whatever their sizes and classes."""
    generator = np.random.default_rng(3)
    own = generator.choice(len(shares), LARGE, p=shares)
    strata = None if classes is None else np.minimum(own, generator.integers(0, classes, LARGE))
    for seed in range(3):
        plan = make_validation_plan(LARGE, seed=seed, folds=len(shares), strata=strata, groups=own)
        check(plan, LARGE)
        validated = [np.flatnonzero(own == number).tolist() for number in range(len(shares))]
        assert sorted(fold.valid.tolist() for fold in plan.folds) == sorted(validated)


@pytest.mark.parametrize("n", [60, LARGE])
def test_later_rows_validate_under_time(n: int) -> None:
    time = np.random.default_rng(0).integers(0, n // 2, n)  # with ties
    plan = make_validation_plan(n, seed=0, time=time)
    check(plan, n)
    for fold in plan.folds:
        assert time[fold.train].max() < time[fold.valid].min()
    assert plan.reason.endswith("validated on later rows")
    assert sorted(plan.refit_rows.tolist()) == list(range(n))  # the final models use every row


def test_time_and_groups_hold_together() -> None:
    time, groups = np.arange(80), np.random.default_rng(0).integers(0, 30, 80)
    plan = make_validation_plan(80, seed=0, time=time, groups=groups)
    check(plan, 80)
    for fold in plan.folds:
        assert time[fold.train].max() < time[fold.valid].min()
        assert not set(groups[fold.train].tolist()) & set(groups[fold.valid].tolist())


@pytest.mark.parametrize("n", [40, LARGE])
def test_given_rows_validate_and_are_never_trained_on(n: int) -> None:
    given_rows = np.array([3, 17, 29])
    plan = make_validation_plan(n, seed=0, given=given_rows, folds=5)
    check(plan, n)
    assert plan.scheme == "given rows"
    assert plan.validation_rows.tolist() == [3, 17, 29]
    assert not set(plan.refit_rows.tolist()) & {3, 17, 29}
    assert len(plan.folds) == 1
    assert len(plan.refit_rows) == n - 3


def test_rungs_grow_to_all_rows_of_the_smallest_fold() -> None:
    sizes = [make_validation_plan(n, seed=0).rung_sizes for n in (100, 3_500, 60_000)]
    assert sizes[0] == (90,)
    assert sizes[1] == (RUNG_ROWS[0], 2_800)
    assert sizes[2] == (*RUNG_ROWS, 50_000)


def test_training_rows_are_shuffled_for_the_rungs() -> None:
    time = np.arange(10_000)
    train = make_validation_plan(10_000, seed=0, time=time).folds[0].train
    first_rung = train[: RUNG_ROWS[0]]
    assert first_rung.min() < 1_000
    assert first_rung.max() > len(train) - 1_000


def test_a_short_limit_validates_larger_tables_by_fewer_rows_and_says_so() -> None:
    n = SHORT_CROSS_VALIDATION_ROWS
    for seconds in (None, SHORT_LIMIT_S):
        assert make_validation_plan(n + 1, seed=0, limits=limit(seconds)).scheme == "cross-validation"
    short = make_validation_plan(n + 1, seed=0, limits=limit(SHORT_LIMIT_S - 1))
    check(short, n + 1)
    assert short.scheme == "hold-out"
    assert "the time limit is short" in short.reason
    assert short.rung_sizes == (*SHORT_RUNG_ROWS, len(short.folds[0].train))
    assert make_validation_plan(n, seed=0, limits=limit(1.0)).scheme == "cross-validation"
    assert make_validation_plan(n + 1, seed=0, folds=3, limits=limit(1.0)).scheme == "cross-validation"


REGRESSION = TargetSchema(name="y", task="regression", reason="")


def test_a_limit_leaves_room_for_more_rows_the_longer_it_is_and_for_fewer_the_wider_they_are() -> None:
    assert limit(None).max_rows is None
    assert find_row_room(1.0, 3, 0) == LEAST_ROWS
    assert find_row_room(10.0, 300, 0) == LEAST_ROWS
    assert find_row_room(10.0, 10_000, 0) == 300
    assert find_row_room(60.0, 10_000, 0) == 1_800
    assert find_row_room(10.0, 10, 600) == LEAST_ROWS // 4
    rooms = [find_row_room(seconds, 80, 0) for seconds in (10.0, 60.0, 600.0)]
    assert rooms == [int(s * CELLS_PER_SECOND / 80) for s in (10, 60, 600)]
    assert find_row_room(60.0, 3, 0) == find_row_room(60.0, 40, 0) == 120_000
    of_classes = find_row_room(600.0, 80, 2 * CLASSES_PER_WORK)
    assert of_classes == int(600 * CELLS_PER_SECOND / 80 / 3)


@pytest.mark.parametrize("most", [None, 20_000, 30_000])
def test_rows_that_there_is_room_for_are_all_taken(most: int | None) -> None:
    assert draw_training_rows(np.zeros(20_000), REGRESSION, most=most, seed=0) is None


def test_rows_are_drawn_from_the_whole_table_by_the_seed() -> None:
    y_true = np.random.default_rng(0).normal(size=300_000)
    drawn = [draw_training_rows(y_true, REGRESSION, most=40_000, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] is not None
    assert drawn[2] is not None
    assert len(drawn[0]) == 40_000
    assert (np.diff(drawn[0]) > 0).all()
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert abs(drawn[0].mean() - 150_000) < 2_000


def test_rare_classes_are_drawn_in_any_case() -> None:
    y_true = np.zeros(300_000)
    y_true[:40], y_true[1_000:1_200] = 1, 2
    target = TargetSchema(name="y", task="multiclass", reason="", classes=("a", "b", "c"))
    drawn = draw_training_rows(y_true, target, most=40_000, seed=0)
    assert drawn is not None
    counts = np.bincount(y_true[drawn].astype(int))
    assert counts[1] == 40
    assert counts[2] >= ROWS_OF_A_CLASS


@pytest.mark.parametrize(
    ("columns", "seconds", "folds"),
    [(10, 10.0, 10), (1_000, 10.0, 6), (5_000, 10.0, 1), (5_000, 60.0, 7), (5_000, None, 10)],
)
def test_a_limit_leaves_room_for_fewer_folds_of_more_columns(
    columns: int, seconds: float | None, folds: int
) -> None:
    limits = limit(seconds, columns)
    plan = make_validation_plan(100, seed=0, limits=limits, columns=columns)
    assert len(plan.folds) == folds
    assert (f"short for {columns:,} columns" in plan.reason) == (folds < 10)
    assert len(make_validation_plan(100, seed=0, folds=5, limits=limits, columns=columns).folds) == 5


def test_many_classes_share_the_rows_that_a_limit_leaves_room_for() -> None:
    y_true = np.arange(100_000.0) % 1_000
    target = TargetSchema(name="y", task="multiclass", classes=tuple(map(str, range(1_000))), reason="")
    drawn = draw_training_rows(y_true, target, most=3_000, seed=0)
    assert drawn is not None
    assert len(drawn) <= 2 * 3_000
    assert np.bincount(y_true[drawn].astype(int), minlength=1_000).min() >= 3
