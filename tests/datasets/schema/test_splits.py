"""Folds and holdouts: each row once, strata even, groups whole, time in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfm_cli.datasets import make_folds, make_holdout
from xrfm_cli.errors import OptionError, SchemaError


@st.composite
def problems(draw: st.DrawFn) -> tuple[int, int, np.ndarray | None, np.ndarray | None]:
    n = draw(st.integers(2, 60))
    folds = draw(st.integers(2, 8))
    labels = st.lists(st.integers(0, 5), min_size=n, max_size=n).map(np.array)
    strata = draw(st.none() | labels)
    groups = draw(st.none() | labels.filter(lambda groups: len(set(groups.tolist())) > 1))
    return n, folds, strata, groups


@settings(max_examples=60, derandomize=True)
@given(problems(), st.integers(0, 3))
def test_every_row_validates_in_exactly_one_fold(
    problem: tuple[int, int, np.ndarray | None, np.ndarray | None], seed: int
) -> None:
    n, folds, strata, groups = problem
    pairs = make_folds(n, folds=folds, seed=seed, strata=strata, groups=groups)
    assert 2 <= len(pairs) <= folds
    assert sorted(np.concatenate([valid for _, valid in pairs]).tolist()) == list(range(n))
    for train, valid in pairs:
        assert sorted([*train.tolist(), *valid.tolist()]) == list(range(n))
        assert len(train)
        assert len(valid)
        if groups is not None:
            assert not set(groups[train].tolist()) & set(groups[valid].tolist())
    again = make_folds(n, folds=folds, seed=seed, strata=strata, groups=groups)
    assert all((a[1] == b[1]).all() for a, b in zip(pairs, again, strict=True))


@settings(max_examples=60, derandomize=True)
@given(problems(), st.floats(0.05, 0.9) | st.integers(1, 30))
def test_a_holdout_cuts_rows_in_two(
    problem: tuple[int, int, np.ndarray | None, np.ndarray | None], share: float
) -> None:
    n, _, strata, groups = problem
    train, valid = make_holdout(n, share=share, seed=0, strata=strata, groups=groups)
    assert sorted([*train.tolist(), *valid.tolist()]) == list(range(n))
    assert len(train)
    assert len(valid)
    if groups is not None:
        assert not set(groups[train].tolist()) & set(groups[valid].tolist())
    else:
        assert len(valid) == min(max(round(share * n) if share < 1 else int(share), 1), n - 1)


@settings(max_examples=60, derandomize=True)
@given(
    st.lists(st.integers(0, 8), min_size=2, max_size=40).filter(lambda t: len(set(t)) > 1), st.integers(2, 6)
)
def test_later_rows_validate(times: list[int], folds: int) -> None:
    time = np.array(times, dtype=float)
    for train, valid in [
        *make_folds(len(time), folds=folds, seed=0, time=time),
        make_holdout(len(time), share=0.3, seed=0, time=time),
    ]:
        assert time[train].max() < time[valid].min()


def test_strata_are_spread_evenly() -> None:
    strata = np.array([0] * 90 + [1] * 10)
    for _, valid in make_folds(100, folds=5, seed=1, strata=strata):
        assert np.bincount(strata[valid]).tolist() == [18, 2]
    _, valid = make_holdout(100, share=0.2, seed=1, strata=strata)
    assert np.bincount(strata[valid]).tolist() == [18, 2]


@pytest.mark.parametrize(
    "strata",
    [
        ["a"] * 20 + ["b"],
        ["a"] * 10 + ["b"] * 2 + ["c"] * 2,
        [str(place) for place in range(10)],
        ["a"] * 12,
    ],
)
def test_tiny_strata_never_fail(strata: list[str]) -> None:
    assert len(make_folds(len(strata), folds=5, seed=0, strata=np.array(strata))) == 5
    train, valid = make_holdout(len(strata), share=0.25, seed=0, strata=np.array(strata))
    assert len(train) > len(valid) > 0


def test_seeds_matter() -> None:
    first, second = (make_folds(50, folds=5, seed=seed)[0][1].tolist() for seed in (0, 1))
    assert first != second
    groups = np.arange(50) // 2
    first, second = (make_folds(50, folds=5, seed=seed, groups=groups)[0][1].tolist() for seed in (0, 1))
    assert first != second


def test_groups_that_span_times_do_not_straddle() -> None:
    time, groups = np.arange(12), np.array([0, 1, 2, 3] * 3)
    with pytest.raises(SchemaError, match="every group of the earlier rows"):
        make_holdout(12, share=0.4, seed=0, time=time, groups=groups)
    groups = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    train, valid = make_holdout(12, share=0.5, seed=0, time=time, groups=groups)
    assert set(groups[train].tolist()) == {0}
    assert valid.tolist() == [6, 7, 8, 9, 10, 11]


def test_missing_times_are_the_earliest() -> None:
    train, valid = make_holdout(3, share=1, seed=0, time=np.array([np.nan, 2.0, 1.0]))
    assert (train.tolist(), valid.tolist()) == ([0, 2], [1])
    stamps = np.array(["NaT", "2014-01-02", "2014-01-01"], dtype="datetime64[D]")
    assert make_holdout(3, share=1, seed=0, time=stamps)[1].tolist() == [1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"folds": 1}, OptionError),
        ({"groups": np.zeros(5)}, SchemaError),
        ({"time": np.zeros(5)}, SchemaError),
    ],
)
def test_impossible_folds(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        make_folds(5, **({"folds": 3, "seed": 0} | options))  # type: ignore[arg-type]
    with pytest.raises(SchemaError):
        make_folds(1, folds=2, seed=0)


@pytest.mark.parametrize("options", [{"share": 0.0}, {"groups": np.zeros(5)}, {"time": np.zeros(5)}])
def test_impossible_holdouts(options: dict[str, object]) -> None:
    with pytest.raises((OptionError, SchemaError)):
        make_holdout(5, **({"share": 0.2, "seed": 0} | options))  # type: ignore[arg-type]
