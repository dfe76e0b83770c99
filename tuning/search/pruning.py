"""Asynchronous successive halving: which trials are promoted to their next rung."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from xrfm_cli.tuning.search.candidate import Candidate

REDUCTION = 2  # one in this many trials at a rung is promoted to the next


@dataclass(frozen=True, slots=True)
class Similarity:
    """Groups of similar candidates; successive halving keeps the best of each."""

    family: str  # of kernels
    transform: str  # of numeric columns


def similarity_of(candidate: Candidate) -> Similarity:
    """Return the group of a candidate."""
    return Similarity(candidate.family, candidate.encoding.numeric)


@dataclass(slots=True, kw_only=True, eq=False)
class Halving:
    """The losses of trials after each rung, and the promotion rule.

    Two kinds of trials are always promoted. After a rung on few rows it is the best of each numeric
    transform, because piecewise-linear encodings show their value only with more rows. With
    ``keeps_families`` it is also the best of a kernel family, until one of that family has been fully
    evaluated: a single hold-out cannot separate families that are nearly as good, and an ensemble gains
    more from kernels with different errors than from one more of the same. Several folds separate the
    families better, and promotion would cost as many fits.

    >>> halving, similarity = Halving(rungs_on_few_rows=0, keeps_families=False), Similarity("l2", "standard")
    >>> for loss in (0.3, 0.1, 0.2):
    ...     halving.add(1, loss, similarity)
    >>> [halving.goes_on(1, loss, similarity) for loss in (0.1, 0.2, 0.3)]
    [True, True, False]

    Li et al.: A system for massively parallel hyperparameter tuning, MLSys 2020.
    """

    rungs_on_few_rows: int
    keeps_families: bool
    validated_families: set[str] = field(default_factory=set)  # families with a fully evaluated trial
    _losses: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # by rungs passed
    _best_of_family: dict[tuple[int, str], float] = field(default_factory=dict)  # by rungs passed and family
    _best_of_transform: dict[tuple[int, str], float] = field(
        default_factory=dict
    )  # by rungs passed and transform

    def add(self, rungs: int, loss: float, similarity: Similarity) -> None:
        """Record a trial's loss after this number of rungs."""
        self._losses[rungs].append(loss)
        named = ((self._best_of_family, similarity.family), (self._best_of_transform, similarity.transform))
        for best, name in named:
            best[rungs, name] = min(loss, best.get((rungs, name), loss))

    def goes_on(
        self, rungs: int, loss: float, similarity: Similarity, *, elsewhere: Sequence[float] = ()
    ) -> bool:
        """Return whether a trial is in the better share of all, including the losses ``elsewhere``."""
        is_first_of_family = self.keeps_families and similarity.family not in self.validated_families
        if is_first_of_family and loss == self._best_of_family[rungs, similarity.family]:
            return True
        if rungs <= self.rungs_on_few_rows and loss == self._best_of_transform[rungs, similarity.transform]:
            return True
        losses = [*self._losses[rungs], *elsewhere]
        return sum(other < loss for other in losses) < max(1, round(len(losses) / REDUCTION))
