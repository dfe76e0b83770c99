"""The Optuna study of a search, private to this process or shared through a storage."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from numpy.random import SeedSequence
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from xrfm_cli.datasets.seeds import small_seed
from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.mentions import option
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.space import SearchSpace
from xrfm_cli.tuning.search.storage.shared_storage import (
    FAULTS,
    BusyStorageError,
    open_storage,
    wait_for_others_s,
)

STARTUP_TRIALS = 12  # random configurations before the sampler trusts its model


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlace:
    """Where a study is shared."""

    storage: str  # the URL of a database, or the path of a journal file
    facts: str  # equal for fits that may learn from each other

    @property
    def shown(self) -> str:
        """Return the storage without its password.

        >>> StudyPlace(storage="postgresql://ann:secret@host/db", facts="").shown
        'postgresql://ann:***@host/db'
        """
        scheme, mark, rest = self.storage.partition("://")
        login, at, host = rest.rpartition("@")
        user, colon, _ = login.partition(":")
        return scheme + mark + user + (":***" if colon else "") + at + host


@dataclass(slots=True, kw_only=True, eq=False)
class TrialStudy:
    """Ask-and-tell wrapper around an Optuna study.

    In a shared study the trials of other processes inform the sampler. A trial elsewhere that beats all
    trials here can be evaluated here too, so a model's quality does not depend on which process found its
    best configuration. If the storage becomes unreachable, the search continues with a private study.
    """

    study: optuna.Study
    space: SearchSpace
    seed: int
    place: StudyPlace | None  # None: the study is private
    on_event: OnEvent
    first: Sequence[dict[str, Any]] = ()  # parameters of a shared study's first trials, by trial number
    own: dict[int, optuna.Trial] = field(default_factory=dict)  # started here, without a result yet
    here: set[int] = field(default_factory=set)  # numbers of all trials that were started or evaluated here
    known: Sequence[FrozenTrial] = ()  # trials of a shared study at the last refresh

    def ask(self) -> tuple[int, Candidate]:
        """Return the number of a new trial and its configuration."""
        try:
            trial, candidate = self._draw()
        except FAULTS as fault:
            self._go_alone(fault)
            trial, candidate = self._draw()
        self.own[trial.number] = trial
        self.here.add(trial.number)
        return trial.number, candidate

    def report(self, number: int, loss: float, *, rungs: int) -> None:
        """Report the loss of a trial of this process after some rungs to other processes."""
        if self.place is not None and number in self.own:
            try:
                self.own[number].report(loss, step=rungs)
            except FAULTS as fault:
                self._go_alone(fault)

    def tell(self, number: int, loss: float | None, *, is_pruned: bool = False) -> None:
        """Tell the end of a trial: its loss if it was evaluated, or that it was pruned or has failed."""
        trial = self.own.pop(number, None)
        if trial is None:
            return  # another process has reported it, or the storage was left
        state = TrialState.PRUNED if is_pruned else TrialState.FAIL
        try:
            self.study.tell(trial, loss, state=state if loss is None else None)
        except FAULTS as fault:
            self._go_alone(fault)

    def refresh(self) -> None:
        """Read the trials of other processes."""
        if self.place is not None:
            try:
                self.known = self.study.get_trials(deepcopy=False)
            except FAULTS as fault:
                self._go_alone(fault)

    def better_elsewhere(self, loss: float) -> tuple[int, Candidate] | None:
        """Return the best trial of another process with a loss below the given one, if any."""
        others = [trial for trial in self._elsewhere() if trial.state == TrialState.COMPLETE]
        best = min(others, key=lambda trial: (trial.value, trial.number), default=None)
        if best is None or best.value is None or best.value >= loss:
            return None
        self.here.add(best.number)
        fixed = FixedTrial(best.params, number=best.number)
        for name, value in best.user_attrs.items():
            fixed.set_user_attr(name, value)
        return best.number, self.space.suggest(fixed)

    def losses_elsewhere(self, rungs: int) -> list[float]:
        """Return the losses of other processes' trials after this number of rungs."""
        found = [trial.intermediate_values.get(rungs) for trial in self._elsewhere()]
        return [loss for loss in found if loss is not None]

    def _elsewhere(self) -> list[FrozenTrial]:
        return [trial for trial in self.known if trial.number not in self.here]

    def _draw(self) -> tuple[optuna.Trial, Candidate]:
        trial = self.study.ask()
        if self.place is not None:  # the draw depends on the trial number, not on the process
            seed = int(SeedSequence([self.seed, trial.number]).generate_state(1)[0])
            self.study.sampler = make_sampler(seed)
            if trial.number < len(self.first):
                # The study's own queue could give two processes the same trial.
                fixed = self.first[trial.number]
                for name, value in fixed.items():
                    trial.set_user_attr(name, value)
                self.study.sampler = _FirstSampler(fixed, self.study.sampler)
        return trial, self.space.suggest(trial)

    def _go_alone(self, fault: Exception) -> None:
        """Continue without the storage, with the trials read from it; their numbers are not used again."""
        if self.place is None:
            raise fault
        message = f"{self.place.shown} can no longer be reached ({_first_line(fault)}): continuing without it"
        self.on_event(Event(kind="fallback", message=message, count=1))
        study = optuna.create_study(sampler=self.study.sampler, pruner=optuna.pruners.NopPruner())
        validated = {t.number: t for t in self.known if t.state == TrialState.COMPLETE}
        for number in range(max([*self.here, *validated], default=-1) + 1):
            study.add_trial(validated.get(number) or create_trial(state=TrialState.FAIL))
        self.study, self.place, self.known = study, None, ()
        self.own.clear()


class _FirstSampler(optuna.samplers.BaseSampler):
    """Return preset parameters; another sampler draws the rest."""

    def __init__(self, chosen: Mapping[str, Any], other: optuna.samplers.BaseSampler) -> None:
        self._chosen, self._other = chosen, other

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return no space: parameters are drawn one by one."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: parameters are drawn one by one."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a preset value, or draw one."""
        if param_name in self._chosen:
            return self._chosen[param_name]
        return self._other.sample_independent(study, trial, param_name, param_distribution)


def make_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler, which avoids configurations that are running."""
    with warnings.catch_warnings():  # Optuna 4 calls constant_liar experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=small_seed(seed), n_startup_trials=STARTUP_TRIALS, constant_liar=True
        )


def open_study(
    space: SearchSpace,
    first: list[dict[str, Any]],
    *,
    seed: int,
    place: StudyPlace | None,
    setting: str,
    on_event: OnEvent,
    seconds_left: float = float("inf"),
) -> TrialStudy:
    """Open a study whose first trials are those given.

    Args:
        space: the configurations to draw from.
        first: parameters of the first configurations; a shared study runs each once.
        seed: of the sampler.
        place: where the study is shared; None for a private one.
        setting: the meaning of the losses. Only fits of the same facts, space and setting share a study.
        on_event: receives notes on joining a study, and on an unfinished line that was left out.
        seconds_left: of the time limit; waits for other processes take a small share of it.

    Raises OptionError if the storage cannot be opened.
    """
    pruner = optuna.pruners.NopPruner()  # trials are paused between rungs, so pruning is done by the search
    sampler = make_sampler(seed)
    if place is None:
        study = optuna.create_study(sampler=sampler, pruner=pruner)
    else:
        digest = hashlib.sha256(f"{place.facts}\n{space}\n{setting}".encode()).hexdigest()
        name = f"xrfm-{digest[:16]}"
        storage = _storage_of(place, seconds_left, on_event)
        try:
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                load_if_exists=True,
                sampler=sampler,
                pruner=pruner,
            )
            joined = len(study.get_trials(deepcopy=False))
        except FAULTS as fault:
            raise _cannot_open(place, fault) from fault
        begun = f"joined it at {joined:,} trials" if joined else "began it"
        on_event(Event(kind="note", message=f"study {name} in {place.shown}: {begun}"))
    if place is None:
        for params in first:
            study.enqueue_trial(params, user_attrs=params)
        first = []
    return TrialStudy(study=study, space=space, seed=seed, place=place, on_event=on_event, first=first)


def _storage_of(place: StudyPlace, seconds_left: float, on_event: OnEvent) -> BaseStorage:
    def tell(message: str) -> None:
        on_event(Event(kind="fallback", message=message, count=1))

    try:
        return open_storage(place.storage, wait_s=wait_for_others_s(seconds_left), on_repair=tell)
    except OptionError:
        raise
    except Exception as fault:  # drivers and SQLAlchemy raise many classes of their own
        raise _cannot_open(place, fault) from fault


def _cannot_open(place: StudyPlace, fault: BaseException) -> OptionError:
    if isinstance(fault, BusyStorageError):
        return OptionError(f"{option('storage', place.shown)}: {fault}")
    way_out = "Give the URL of a database that Optuna can open, or the path of a journal file."
    return OptionError(
        f"{option('storage', place.shown)}: cannot be opened ({_first_line(fault)}). {way_out}"
    )


def _first_line(fault: BaseException) -> str:
    cause = fault.__cause__ or fault
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0].rstrip(".")
