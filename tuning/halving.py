"""Asynchronous successive halving: which trials are worth their next stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

REDUCTION = 2  # of the trials that reach a stage, one in so many goes on to the next


@dataclass(slots=True, kw_only=True, eq=False)
class Halving:
    """The losses that trials had after each of their stages.

    After a stage on few rows the best trial of each transform of numbers goes on in any case: numbers cut
    into pieces show only with more rows what they are worth.

    >>> halving = Halving(stages_on_few_rows=0)
    >>> for loss in (0.3, 0.1, 0.2):
    ...     halving.add(1, "standard", loss)
    >>> [halving.goes_on(1, "standard", loss) for loss in (0.1, 0.2, 0.3)]
    [True, True, False]

    Li et al.: A system for massively parallel hyperparameter tuning, MLSys 2020.
    """

    stages_on_few_rows: int
    _losses: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # by stages passed
    _best: dict[tuple[int, str], float] = field(default_factory=dict)  # by stages and transform of numbers

    def add(self, stages: int, transform: str, loss: float) -> None:
        """Keep the loss that a trial has after so many stages."""
        self._losses[stages].append(loss)
        self._best[stages, transform] = min(loss, self._best.get((stages, transform), loss))

    def goes_on(self, stages: int, transform: str, loss: float, *, elsewhere: Sequence[float] = ()) -> bool:
        """Whether a trial is among the better share of all, other processes' ``elsewhere`` included."""
        if stages <= self.stages_on_few_rows and loss == self._best[stages, transform]:
            return True
        losses = [*self._losses[stages], *elsewhere]
        return sum(other < loss for other in losses) < max(1, round(len(losses) / REDUCTION))
