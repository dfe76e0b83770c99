"""The same data, options and seed give the same bytes, whatever else draws numbers in this process."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tuning.tables import answers, fit, law, same_bits, table_of, task_table
from xrfm_cli.events import Event
from xrfm_cli.tuning import save_model

PROBE = table_of(law(30, seed=8))


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes(task: str) -> None:
    table = task_table(task, 60)
    models = [fit(table, trials=3, seed=5, folds=2) for _ in range(2)]
    assert same_bits(*(answers(model, PROBE) for model in models))
    assert models[0].report.timeless() == models[1].report.timeless()


def test_a_tree_of_leaves_is_reproducible_too() -> None:
    columns, pinned = law(150), {"leaf_size": 50, "min_leaf_size": 10, "overlap": 0.1}
    models = [fit(columns, pinned=pinned, folds=2, seed=1) for _ in range(2)]
    assert len(models[0].members[0].tree.leaves) > 2
    assert same_bits(*(answers(model, PROBE) for model in models))


def states() -> tuple[bytes, str, str]:
    """The states of the process's own generators."""
    return torch.get_rng_state().numpy().tobytes(), repr(np.random.get_state()), repr(random.getstate())


def test_other_draws_in_the_process_change_nothing_and_nothing_is_drawn_from_them() -> None:
    def draw(event: Event) -> None:
        torch.rand(3)
        np.random.rand(3)
        random.random()

    columns = law(60)
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    before = states()
    quiet = fit(columns, trials=4, folds=2)
    assert states() == before
    torch.manual_seed(99)
    np.random.seed(99)
    disturbed = fit(columns, trials=4, folds=2, on_event=draw)
    assert same_bits(answers(quiet, PROBE), answers(disturbed, PROBE))


def test_a_prediction_draws_nothing() -> None:
    model = fit(law(60), folds=2)
    before = torch.get_rng_state()
    first = answers(model, PROBE)
    torch.rand(7)
    assert same_bits(first, answers(model, PROBE))
    torch.set_rng_state(before)


def test_another_seed_gives_another_model() -> None:
    first, second = (fit(law(60), folds=3, seed=seed) for seed in (0, 1))
    assert not same_bits(answers(first, PROBE), answers(second, PROBE))
    assert first.report.score != second.report.score
    assert abs(first.report.score - second.report.score) < 0.5 * first.report.score  # but not by much


def test_a_trial_does_not_depend_on_how_many_follow() -> None:
    few, many = fit(law(60), trials=2, folds=2), fit(law(60), trials=5, folds=2)
    # How far a trial goes is decided among those beside it; what it tries and finds there is its own.
    left, right = few.report.trials, many.report.trials[:2]
    assert [(t["number"], t["params"]) for t in left] == [(t["number"], t["params"]) for t in right]
    for one, other in zip(left, right, strict=True):
        if one["stages"] == other["stages"]:
            assert (one["score"], one["iterations"]) == (other["score"], other["iterations"])


def test_listening_changes_nothing(tmp_path: Path) -> None:
    heard: list[Event] = []
    left, right = fit(law(60), trials=2, folds=2), fit(law(60), trials=2, folds=2, on_event=heard.append)
    assert heard
    assert same_bits(answers(left, PROBE), answers(right, PROBE))
    for model, name in ((left, "left.xrfm"), (right, "right.xrfm")):
        save_model(model, tmp_path / name)
    assert (tmp_path / "left.xrfm").stat().st_size > 1_000


def test_the_torch_thread_count_and_default_type_are_left_alone() -> None:
    before = torch.get_num_threads(), torch.get_default_dtype()
    fit(law(40), folds=2)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before


@pytest.mark.parametrize(("rows", "expected"), [(60, 1), (700, 2)])
def test_a_small_table_is_fitted_by_one_thread(rows: int, expected: int) -> None:
    before, seen = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:
        fit(law(rows), trials=0, folds=2, on_event=lambda event: seen.add(torch.get_num_threads()))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == {expected}
