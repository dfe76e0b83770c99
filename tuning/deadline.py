"""The end of a fit, and the seconds that its caller needs after the search, on this machine as it is now."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Seconds that follow the search, besides the final fits."""

    fixed_s: float
    trial_s: float = 0.0  # per trial of the search
    column_s: float = 0.0  # per column of the table
    class_s: float = 0.0  # per class of the target

    def within(self, limit_s: float) -> Reserve:
        """Return the reserve under a time limit: with a short one, the report explains fewer rows.

        >>> [Reserve(fixed_s=2.2).within(limit_s).fixed_s for limit_s in (5.0, 15.0, 60.0)]
        [1.0, 1.5, 2.2]
        """
        return replace(self, fixed_s=min(self.fixed_s, max(LEAST_RESERVE_S, RESERVE_SHARE * limit_s)))


# Of a short limit: saving takes 0.05 s, the report 0.15 s and an explanation of few rows 0.3 to 0.8 s.
RESERVE_SHARE, LEAST_RESERVE_S = 0.1, 1.0
# For saving the model and writing the report, measured on 413 to 5,968 trials and up to 5,000 columns. Per
# trial, importances of the hyperparameters take most of it; per column, encoders and importances do; per
# class, ranking metrics over all rows and over each fold.
REPORT_RESERVE = Reserve(fixed_s=2.2, trial_s=0.0012, column_s=0.0006, class_s=0.004)
# Without a file and a report, only scores by fold and importances of hyperparameters remain: 0.2 s for 40
# trials of three classes.
MODEL_RESERVE = Reserve(fixed_s=0.3, trial_s=0.0012, class_s=0.004)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The end of a fit on its clock, and the time that the caller needs before it.

    The reserve is in seconds of a quiet machine. Beside other processes, ``slowdown`` tells how many times as
    long everything takes now.

    >>> deadline = Deadline(end=60.0, reserve=Reserve(fixed_s=2.0, trial_s=0.01))
    >>> deadline.left(10.0), deadline.left_for_models(10.0, trials=100)
    (50.0, 47.0)
    >>> replace(deadline, slowdown=lambda: 2.0).left_for_models(10.0, trials=100)
    44.0
    >>> Deadline(end=math.inf, reserve=REPORT_RESERVE).is_set
    False
    """

    end: float  # seconds on the clock; infinite without a time limit
    reserve: Reserve
    columns: int = 0
    classes: int = 0
    slowdown: Callable[[], float] = lambda: 1.0

    @property
    def is_set(self) -> bool:
        """Return whether there is a time limit at all."""
        return math.isfinite(self.end)

    def left(self, now: float) -> float:
        """Return the seconds until the end."""
        return self.end - now

    def left_for_models(self, now: float, *, trials: int) -> float:
        """Return the seconds left for the search and the final fits; the reserve depends on the trials."""
        reserve = self.reserve
        sizes = reserve.trial_s * trials + reserve.column_s * self.columns + reserve.class_s * self.classes
        return self.end - now - self.slowdown() * (reserve.fixed_s + sizes)
