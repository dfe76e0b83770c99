"""Which trials go on: the better half of all, the best of each family, the best transforms on few rows."""

from __future__ import annotations

import numpy as np
import pytest

from xrfm_cli.tuning.halving import Halving, Kind

L2 = Kind("l2", "standard")


def halving_of_l2(stages_on_few_rows: int = 0) -> Halving:
    """Halving where the family that the tests take has been judged to the end."""
    return Halving(stages_on_few_rows=stages_on_few_rows, judged_families={"l2"})


@pytest.mark.parametrize("stages_on_few_rows", [0, 2])
def test_the_better_half_goes_on_and_never_none(stages_on_few_rows: int) -> None:
    halving = halving_of_l2(stages_on_few_rows)
    losses = np.random.default_rng(0).permutation(20) / 20
    for count, loss in enumerate(losses.tolist(), start=1):
        halving.add(1, loss, L2)
        seen = losses[:count]
        going = [halving.goes_on(1, other, L2) for other in seen.tolist()]
        assert sum(going) == max(1, round(count / 2))
        assert seen[going].max() < min(seen[np.logical_not(going)], default=np.inf)


def test_the_best_of_a_transform_goes_on_while_rows_are_few() -> None:
    halving, pieces = halving_of_l2(2), Kind("l2", "piecewise")
    for stages in (1, 2, 3):
        for loss in (0.1, 0.2, 0.3, 0.4):
            halving.add(stages, loss, L2)
        for loss in (0.6, 0.5):
            halving.add(stages, loss, pieces)
    assert [halving.goes_on(stages, 0.5, pieces) for stages in (1, 2, 3)] == [True, True, False]
    assert not any(halving.goes_on(stages, 0.6, pieces) for stages in (1, 2, 3))
    assert not halving.goes_on(1, 0.4, L2)


def test_the_best_of_a_family_goes_on_until_one_of_it_was_judged_to_the_end() -> None:
    halving, powers = halving_of_l2(), Kind("sum_power", "standard")
    for stages in (1, 2):
        for loss in (0.1, 0.2, 0.3, 0.4):
            halving.add(stages, loss, L2)
        for loss in (0.6, 0.5):
            halving.add(stages, loss, powers)
    assert all(halving.goes_on(stages, 0.5, powers) for stages in (1, 2))
    assert not any(halving.goes_on(stages, 0.6, powers) for stages in (1, 2))
    halving.judged_families.add("sum_power")
    assert not any(halving.goes_on(stages, 0.5, powers) for stages in (1, 2))


def test_losses_of_other_processes_count() -> None:
    halving = halving_of_l2()
    halving.add(1, 0.5, L2)
    assert halving.goes_on(1, 0.5, L2)
    assert not halving.goes_on(1, 0.5, L2, elsewhere=[0.1, 0.2])


def test_stages_are_compared_with_their_own() -> None:
    halving = halving_of_l2()
    for loss in (0.1, 0.2):
        halving.add(1, loss, L2)
    halving.add(2, 0.9, L2)
    assert halving.goes_on(2, 0.9, L2)
    assert not halving.goes_on(1, 0.2, L2)
