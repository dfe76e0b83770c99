"""A fit that goes on from its record ends as if it had never been stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tuning.tables import Ticks, fit, law, same_bits, task_table
from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.errors import NumericalError, OptionError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.trees import TreeConfig
from xrfm_cli.tuning import FittedModel, limits, save_model
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Fold
from xrfm_cli.tuning.search import run_step as steps
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.kernel_refinement import Refined
from xrfm_cli.tuning.search.run_step import run_step
from xrfm_cli.tuning.search.step import REFINEMENT, Fitted, Iterate, Step, StepResult
from xrfm_cli.tuning.search.storage.checkpoint import Checkpoint, open_checkpoint
from xrfm_cli.tuning.search.storage.step_file import from_bytes, step_name, to_bytes

FACTS = {"--seed": 0, "content of DATA": "abc"}
CANDIDATE = Candidate(tree=TreeConfig(leaf=LeafConfig(bandwidth=1 / 3)), encoding=EncodingConfig())
STEP = Step(trial=7, fold=0, rung=1, candidate=CANDIDATE, rows=100, start=torch.ones(3), iterations=2)
FOLD = Fold(train=np.arange(100), valid=np.arange(100, 120))


class Killed(BaseException):
    """The process is no more."""


CASES: dict[str, Callable[..., FittedModel]] = {
    "folds": lambda **more: fit(law(60), trials=4, folds=2, **more),
    "classes": lambda **more: fit(task_table("multiclass", 60), trials=2, folds=2, **more),
    "given rows": lambda **more: fit(law(60), valid=law(30, seed=1), trials=4, **more),
    "rungs": lambda **more: fit(law(300), trials=2, folds=2, pinned={"kernel_p": 2.0}, **more),
    "a tree": lambda **more: fit(
        law(150), trials=2, folds=2, pinned={"leaf_size": 50, "min_leaf_size": 10, "overlap": 0.1}, **more
    ),
}


def bytes_of(model: FittedModel, folder: Path) -> bytes:
    save_model(model, folder / "some.xrfm")
    return (folder / "some.xrfm").read_bytes()


def taken_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.step")}


def kill(fitting: Callable[..., FittedModel], folder: Path, *, after: int) -> None:
    """Fit with a checkpoint, and stop the fit after this many more steps have been stored."""
    keep, before = Checkpoint.keep, len(taken_in(folder)) if folder.exists() else 0

    def keep_and_die(held: Checkpoint, step: Step, problem: Problem, taken: StepResult) -> None:
        keep(held, step, problem, taken)
        if len(taken_in(folder)) == before + after:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, open_checkpoint(folder, FACTS) as held:
        patch.setattr(Checkpoint, "keep", keep_and_die)
        with pytest.raises(Killed):
            fitting(checkpoint=held)


@pytest.mark.parametrize("name", CASES)
def test_a_killed_fit_goes_on_and_ends_as_an_uninterrupted_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitting, folder = CASES[name], tmp_path / "model.run"
    if name == "rungs":
        monkeypatch.setattr(limits, "RUNG_ROWS", (40, 90))  # with which tables of thousands of rows begin
    whole = fitting()
    kill(fitting, folder, after=1)
    kill(fitting, folder, after=2)
    with open_checkpoint(folder, FACTS) as held:
        assert held.steps_before == 3
        resumed = fitting(checkpoint=held)
        assert not held.damaged
        assert bytes_of(resumed, tmp_path) == bytes_of(whole, tmp_path)
        assert resumed.report.timeless() == whole.report.timeless()
        assert any("-refined-" in step for step in taken_in(folder)) == (name == "rungs")
        held.remove()
    assert not folder.exists()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The record of a fit with all its steps, and the bytes of its model."""
    place = tmp_path_factory.mktemp("recorded")
    with open_checkpoint(place / "full.run", FACTS) as held:
        return place / "full.run", bytes_of(CASES["folds"](checkpoint=held), place)


@pytest.fixture
def full(recorded: tuple[Path, bytes], tmp_path: Path) -> tuple[Path, bytes]:
    """A copy of that record, which a test may change."""
    folder, whole = recorded
    return Path(shutil.copytree(folder, tmp_path / "full.run")), whole


def nothing_is_taken(problem: Problem, step: Step, on_event: OnEvent) -> Fitted:
    pytest.fail(f"{step} should have been found")


def test_what_is_recorded_is_not_computed(
    full: tuple[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = full
    monkeypatch.setattr(steps, "run_step", nothing_is_taken)
    with open_checkpoint(folder, FACTS) as held:
        model = CASES["folds"](checkpoint=held)
    assert bytes_of(model, tmp_path) == whole
    assert all(trial["seconds"] > 0 for trial in model.report.trials)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "foreign"])
def test_a_damaged_step_is_named_and_computed_again(
    damage: str, full: tuple[Path, bytes], tmp_path: Path
) -> None:
    folder, whole = full
    victim = sorted(folder.glob("*.step"))[3]
    good = victim.read_bytes()
    changed = bytearray(good)
    changed[-5] ^= 1
    contents = {"cut": good[:-9], "changed": bytes(changed), "empty": b"", "foreign": b"hello\nworld\n"}
    victim.write_bytes(contents[damage])
    with open_checkpoint(folder, FACTS) as held:
        assert bytes_of(CASES["folds"](checkpoint=held), tmp_path) == whole
        assert held.damaged == [victim.name]
    with open_checkpoint(folder, FACTS) as held:
        CASES["folds"](checkpoint=held)
        assert not held.damaged


def test_more_trials_go_on(full: tuple[Path, bytes], tmp_path: Path) -> None:
    folder, _ = full
    before = taken_in(folder)
    with open_checkpoint(folder, FACTS) as held:
        more = fit(law(60), trials=5, folds=2, checkpoint=held)
    assert before < taken_in(folder)
    assert bytes_of(more, tmp_path) == bytes_of(fit(law(60), trials=5, folds=2), tmp_path)


def fragile(problem: Problem, step: Step, on_event: OnEvent) -> Fitted:
    """A step as it is, but that one trial fails and that something is told."""
    on_event(Event(kind="fallback", message=f"jitter in fold {step.fold}", count=2))
    if step.trial == 1:
        raise NumericalError("not positive definite")
    return run_step(problem, step, on_event)


def test_failures_and_what_was_told_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, fitting = tmp_path / "model.run", CASES["folds"]
    monkeypatch.setattr(steps, "run_step", fragile)
    whole = fitting()
    assert "trial 1 failed: not positive definite" in {f["message"] for f in whole.report.fallbacks}
    with open_checkpoint(folder, FACTS) as held:
        fitting(checkpoint=held)
    monkeypatch.setattr(steps, "run_step", nothing_is_taken)
    heard: list[Event] = []
    with open_checkpoint(folder, FACTS) as held:
        resumed = fitting(checkpoint=held, on_event=heard.append)
    assert resumed.report.timeless() == whole.report.timeless()
    assert bytes_of(resumed, tmp_path) == bytes_of(whole, tmp_path)
    assert "jitter in fold 1" in {event.message for event in heard}


def test_a_time_limit_counts_from_the_start_of_the_run_that_goes_on(tmp_path: Path) -> None:
    def limited(**more: Any) -> FittedModel:
        return fit(law(60), time_limit_s=30.0, folds=2, clock=Ticks(0.5), pinned={"iterations": 0}, **more)

    with open_checkpoint(tmp_path / "model.run", FACTS) as held:
        first = limited(checkpoint=held)
    with open_checkpoint(tmp_path / "model.run", FACTS) as held:
        second = limited(checkpoint=held)
    assert first.report.stopped_by == second.report.stopped_by == "time"
    assert len(second.report.trials) > len(first.report.trials)
    assert second.report.seconds["total"] <= 30.0 + 5.0  # the contract, under a clock of half seconds


@pytest.mark.parametrize(
    "change",
    [
        {"trial": 8},
        {"fold": 1},
        {"rung": 2},
        {"rung": REFINEMENT},
        {"candidate": CANDIDATE.with_leaf_size(77)},
        {"rows": None},
        {"start": torch.tensor([1.0, 1.0, 2.0])},
        {"start": torch.ones(3, 1)},
        {"start": None},
        {"iterations": 3},
        {"is_rung": True},
        {"stop_early": True},
    ],
)
def test_the_name_of_a_step_tells_all_that_its_result_depends_on(change: dict[str, Any]) -> None:
    assert step_name(replace(STEP), FOLD) == step_name(STEP, FOLD)
    assert step_name(replace(STEP, **change), FOLD) != step_name(STEP, FOLD)


def test_other_rows_are_another_step() -> None:
    for other in (replace(FOLD, train=FOLD.train[::-1].copy()), replace(FOLD, valid=FOLD.valid + 1)):
        assert step_name(STEP, other) != step_name(STEP, FOLD)
    moved = Fold(train=np.arange(101), valid=np.arange(101, 120))
    assert step_name(STEP, moved) != step_name(STEP, FOLD)


def test_a_step_reads_back_bit_for_bit() -> None:
    generator = np.random.default_rng(0)
    path = tuple(
        Iterate(feature_matrix=torch.rand(shape), codes=generator.normal(size=(5, 2)), temperature=0.1 * t)
        for t, shape in enumerate([(3,), (3, 3)])
    )
    events = (Event(kind="fallback", message="zwei\nZeilen – ½", count=3),)
    taken = StepResult(fitted=Fitted(path=path), events=events, seconds=1 / 3)
    back = from_bytes(to_bytes(taken), "cpu")
    assert (back.events, back.seconds, back.failure) == (events, 1 / 3, "")
    for one, other in zip(path, back.result().path, strict=True):
        assert torch.equal(one.feature_matrix, other.feature_matrix)
        assert same_bits(one.codes, other.codes)
        assert one.temperature == other.temperature


@pytest.mark.parametrize("loss", [0.1 + 0.2, float("inf")])
def test_a_refinement_reads_back_equal(loss: float) -> None:
    refined = Refined(candidate=CANDIDATE, loss=loss, score=-loss, tries=9)
    back = from_bytes(to_bytes(StepResult(fitted=Fitted(refined=refined), seconds=0.0)), "cpu")
    assert back.result().refined == refined
    assert back.result().solves == 9


def test_a_failure_reads_back() -> None:
    back = from_bytes(to_bytes(StepResult(fitted=None, failure="no digits left", seconds=0.0)), "cpu")
    with pytest.raises(NumericalError, match="no digits left"):
        back.result()


def refusal(folder: Path, facts: dict[str, Any] | None = None) -> str:
    with pytest.raises(OptionError) as caught, open_checkpoint(folder, facts or FACTS):
        pass
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_the_record_of_another_fit_is_refused_by_what_differs(tmp_path: Path) -> None:
    folder = tmp_path / "model.run"
    with open_checkpoint(folder, FACTS):
        pass
    assert "another --seed." in refusal(folder, FACTS | {"--seed": 1})
    both = refusal(folder, {"--seed": 1, "content of DATA": "abd"})
    assert "another --seed and another content of DATA." in both
    assert "another --metric" in refusal(folder, FACTS | {"--metric": "mae"})
    assert "delete" in both
    assert "leave out --resume" in both
    with open_checkpoint(folder, dict(FACTS)):
        pass


def test_two_fits_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with open_checkpoint(tmp_path / "model.run", FACTS):
        assert "another fit is writing there" in refusal(tmp_path / "model.run")
    with open_checkpoint(tmp_path / "model.run", FACTS):
        pass


def test_what_is_no_record_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "model.run"
    folder.write_text("mine")
    assert "is a file" in refusal(folder)
    folder.unlink()
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert "files that do not belong to --resume" in refusal(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_damaged_facts_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model.run"
    folder.mkdir()
    for text in ("", "[1, 2]", "{", '"a"'):
        (folder / "fit.json").write_text(text)
        assert "is damaged" in refusal(folder)


def test_removing_a_record_leaves_what_was_put_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "model.run"
    with open_checkpoint(folder, FACTS) as held:
        (folder / "notes.txt").write_text("mine")
        (folder / ".7-0-1-abc.step.99.tmp").write_bytes(b"half")
        held.remove()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
