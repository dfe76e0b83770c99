"""Which trials go on: the better half of all, and the best of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tuning.tables import fit, law
from xrfm_cli.tuning import limits
from xrfm_cli.tuning.search.candidate import kernel_family
from xrfm_cli.tuning.search.pruning import Halving, Similarity

L2 = Similarity("l2", "standard")


def halving_of(rungs_on_few_rows: int = 0, *, keeps_families: bool = False) -> Halving:
    return Halving(rungs_on_few_rows=rungs_on_few_rows, keeps_families=keeps_families)


@pytest.mark.parametrize("rungs_on_few_rows", [0, 2])
def test_the_better_half_goes_on_and_never_none(rungs_on_few_rows: int) -> None:
    halving = halving_of(rungs_on_few_rows)
    losses = np.random.default_rng(0).permutation(20) / 20
    for count, loss in enumerate(losses.tolist(), start=1):
        halving.add(1, loss, L2)
        seen = losses[:count]
        going = [halving.goes_on(1, other, L2) for other in seen.tolist()]
        assert sum(going) == max(1, round(count / 2))
        assert seen[going].max() < min(seen[np.logical_not(going)], default=np.inf)


def test_the_best_of_a_transform_goes_on_while_rows_are_few() -> None:
    halving, pieces = halving_of(2), Similarity("l2", "piecewise")
    for rungs in (1, 2, 3):
        for loss in (0.1, 0.2, 0.3, 0.4):
            halving.add(rungs, loss, L2)
        for loss in (0.6, 0.5):
            halving.add(rungs, loss, pieces)
    assert [halving.goes_on(rungs, 0.5, pieces) for rungs in (1, 2, 3)] == [True, True, False]
    assert not any(halving.goes_on(rungs, 0.6, pieces) for rungs in (1, 2, 3))
    assert not halving.goes_on(1, 0.4, L2)


@pytest.mark.parametrize("keeps_families", [True, False])
def test_where_families_are_kept_the_best_goes_on_until_one_was_validated_to_the_end(
    keeps_families: bool,
) -> None:
    halving, powers = halving_of(keeps_families=keeps_families), Similarity("sum_power", "standard")
    for rungs in (1, 2):
        for loss in (0.1, 0.2, 0.3, 0.4):
            halving.add(rungs, loss, L2)
        for loss in (0.6, 0.5):
            halving.add(rungs, loss, powers)
    assert all(halving.goes_on(rungs, 0.5, powers) == keeps_families for rungs in (1, 2))
    assert not any(halving.goes_on(rungs, 0.6, powers) for rungs in (1, 2))
    halving.validated_families.add("sum_power")
    assert not any(halving.goes_on(rungs, 0.5, powers) for rungs in (1, 2))


def test_losses_of_other_processes_count() -> None:
    halving = halving_of()
    halving.add(1, 0.5, L2)
    assert halving.goes_on(1, 0.5, L2)
    assert not halving.goes_on(1, 0.5, L2, elsewhere=[0.1, 0.2])


def test_rungs_are_compared_with_their_own() -> None:
    halving = halving_of()
    for loss in (0.1, 0.2):
        halving.add(1, loss, L2)
    halving.add(2, 0.9, L2)
    assert halving.goes_on(2, 0.9, L2)
    assert not halving.goes_on(1, 0.2, L2)


def test_one_of_each_kernel_family_is_validated_to_the_end_where_a_hold_out_validates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "RUNG_ROWS", (150,))  # with which tables of thousands of rows begin
    model = fit(law(241), valid=law(200, seed=1), trials=13)
    assert any(trial["state"] == "pruned" for trial in model.report.trials)
    validated = {
        kernel_family(trial["params"]["kernel"], trial["params"]["kernel_p"])
        for trial in model.report.trials
        if trial["state"] == "complete"
    }
    assert validated >= {"l2", "l1", "lp", "sum_power", "linear"}
