"""Asynchronous successive halving: which trials are worth their next stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

REDUCTION = 2  # of the trials that reach a stage, one in so many goes on to the next


@dataclass(frozen=True, slots=True)
class Similarity:
    """What successive halving keeps the best of, each by itself."""

    family: str  # of kernels
    transform: str  # of numbers


@dataclass(slots=True, kw_only=True, eq=False)
class Halving:
    """The losses that trials had after each of their stages.

    Two sorts of trials go on in any case. After a stage on few rows the best of each transform of numbers:
    numbers cut into pieces show only with more rows what they are worth. And where ``keeps_families``, the
    best of a kernel family, until one of that family has been judged to the end: the rows of one hold-out
    cannot tell families apart that are nearly as good, and an ensemble gains more from kernels that err
    differently than from the next of the same. With several folds that would cost as many fits, and the folds
    tell more.

    >>> halving, similarity = Halving(rungs_on_few_rows=0, keeps_families=False), Similarity("l2", "standard")
    >>> for loss in (0.3, 0.1, 0.2):
    ...     halving.add(1, loss, similarity)
    >>> [halving.goes_on(1, loss, similarity) for loss in (0.1, 0.2, 0.3)]
    [True, True, False]

    Li et al.: A system for massively parallel hyperparameter tuning, MLSys 2020.
    """

    rungs_on_few_rows: int
    keeps_families: bool
    validated_families: set[str] = field(default_factory=set)  # of which a trial has been judged to the end
    _losses: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # by stages passed
    _best_of_family: dict[tuple[int, str], float] = field(default_factory=dict)  # by stages passed and name
    _best_of_transform: dict[tuple[int, str], float] = field(default_factory=dict)  # likewise, of numbers

    def add(self, stages: int, loss: float, similarity: Similarity) -> None:
        """Keep the loss that a trial has after so many stages."""
        self._losses[stages].append(loss)
        named = ((self._best_of_family, similarity.family), (self._best_of_transform, similarity.transform))
        for best, name in named:
            best[stages, name] = min(loss, best.get((stages, name), loss))

    def goes_on(
        self, stages: int, loss: float, similarity: Similarity, *, elsewhere: Sequence[float] = ()
    ) -> bool:
        """Whether a trial is among the better share of all, other processes' ``elsewhere`` included."""
        is_first_of_family = self.keeps_families and similarity.family not in self.validated_families
        if is_first_of_family and loss == self._best_of_family[stages, similarity.family]:
            return True
        if stages <= self.rungs_on_few_rows and loss == self._best_of_transform[stages, similarity.transform]:
            return True
        losses = [*self._losses[stages], *elsewhere]
        return sum(other < loss for other in losses) < max(1, round(len(losses) / REDUCTION))
