"""Which trials go on: the better half of all, and on few rows the best of each transform of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from xrfm_cli.tuning.halving import Halving


@pytest.mark.parametrize("stages_on_few_rows", [0, 2])
def test_the_better_half_goes_on_and_never_none(stages_on_few_rows: int) -> None:
    halving = Halving(stages_on_few_rows=stages_on_few_rows)
    losses = np.random.default_rng(0).permutation(20) / 20
    for count, loss in enumerate(losses.tolist(), start=1):
        halving.add(1, "standard", loss)
        seen = losses[:count]
        going = [halving.goes_on(1, "standard", other) for other in seen.tolist()]
        assert sum(going) == max(1, round(count / 2))
        assert seen[going].max() < min(seen[np.logical_not(going)], default=np.inf)


def test_the_best_of_a_transform_goes_on_while_rows_are_few() -> None:
    halving = Halving(stages_on_few_rows=2)
    for stages in (1, 2, 3):
        for loss in (0.1, 0.2, 0.3, 0.4):
            halving.add(stages, "standard", loss)
        for loss in (0.6, 0.5):
            halving.add(stages, "piecewise", loss)
    assert [halving.goes_on(stages, "piecewise", 0.5) for stages in (1, 2, 3)] == [True, True, False]
    assert not any(halving.goes_on(stages, "piecewise", 0.6) for stages in (1, 2, 3))
    assert not halving.goes_on(1, "standard", 0.4)


def test_losses_of_other_processes_count() -> None:
    halving = Halving(stages_on_few_rows=0)
    halving.add(1, "standard", 0.5)
    assert halving.goes_on(1, "standard", 0.5)
    assert not halving.goes_on(1, "standard", 0.5, elsewhere=[0.1, 0.2])


def test_stages_are_compared_with_their_own() -> None:
    halving = Halving(stages_on_few_rows=0)
    for loss in (0.1, 0.2):
        halving.add(1, "standard", loss)
    halving.add(2, "standard", 0.9)
    assert halving.goes_on(2, "standard", 0.9)
    assert not halving.goes_on(1, "standard", 0.2)
