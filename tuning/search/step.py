"""Steps of a search as values: everything that each depends on, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.errors import NumericalError
from xrfm_cli.events import Event
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.kernel_refinement import MOST_TRIES, Refined

Array = NDArray[np.float64]
USUAL_UPDATES, WARM_START_USUAL_UPDATES = 5, 1  # few fits with early stopping make more
REFINEMENT = 1_000_000  # the "rung" of a refinement, and of its random generator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """Everything that the result of a step depends on, besides the problem."""

    trial: int
    fold: int
    rung: int  # its number, or REFINEMENT for a kernel refinement after a rung
    candidate: Candidate
    rows: int | None  # the first rows of the fold's training rows; None: all of them
    start: Tensor | None  # the initial feature matrix
    iterations: int = 0  # maximum number of AGOP updates
    is_rung: bool = False  # validated on the rung validation rows, a part of the validation rows
    stop_early: bool = False  # stop AGOP updates that gain too little
    remaining: int = 1  # number of such steps, this one included, until the trial is complete
    # Called between updates; True ends them, because the time limit is near.
    is_late: Callable[[], bool] | None = None

    @property
    def is_refinement(self) -> bool:
        """Return whether the step is a kernel refinement."""
        return self.rung == REFINEMENT

    @property
    def solves(self) -> int:
        """Return the expected number of solves: the usual number with early stopping, otherwise all."""
        if self.is_refinement:
            return MOST_TRIES
        usual = WARM_START_USUAL_UPDATES if self.start is not None else USUAL_UPDATES
        return 1 + (min(self.iterations, usual) if self.stop_early else self.iterations)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Iterate:
    """A model after some AGOP updates, and its raw predictions for the validation rows."""

    feature_matrix: Tensor
    codes: Array  # (validation rows, outputs)
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The outcome of a step."""

    path: tuple[Iterate, ...] = ()  # models after 0, 1, ... AGOP updates
    refined: Refined | None = None

    @property
    def solves(self) -> int:
        """Return the number of solves made."""
        return len(self.path) if self.refined is None else self.refined.tries


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepResult:
    """The result of a step: its outcome, the events it emitted and its seconds."""

    fitted: Fitted | None  # None if it failed
    failure: str = ""
    events: tuple[Event, ...] = ()
    seconds: float

    def result(self) -> Fitted:
        """Return the outcome; raise NumericalError if the step failed."""
        if self.fitted is None:
            raise NumericalError(self.failure)
        return self.fitted


StepRunner = Callable[[Step], StepResult]
