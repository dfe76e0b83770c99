"""The checkpoint of a fit that may be killed: a folder with the result of every completed step and leaf.

    model.run/
    ├── fit.json               what identifies the fit: hashes of its tables, options, versions
    ├── lock                   held by the process that writes here, as long as it lives
    ├── 7-0-1-<hash>.step      trial 7, fold 0, rung 1: its SHA-256, a line of JSON, then safetensors
    └── <hash>.leaf            a leaf of a final model, likewise

The search is deterministic: given the same results it runs the same steps in the same order. A fit is
resumed by searching again from the beginning and loading the step results found here. A file's name hashes
everything that the result depends on, so a different step or leaf never matches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from xrfm_cli.errors import OptionError
from xrfm_cli.files import write_whole
from xrfm_cli.mentions import option
from xrfm_cli.trees.tasks import FittedLeaf
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.step import Step, StepResult, StepRunner
from xrfm_cli.tuning.search.storage.leaf_file import LEAF_ENDING, leaf_from_bytes, leaf_to_bytes
from xrfm_cli.tuning.search.storage.step_file import ENDING, from_bytes, step_name, to_bytes

Result = TypeVar("Result")
FORMAT = 3
FACTS, LOCK, UNFINISHED = "fit.json", "lock", ".tmp"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """The checkpoint folder of one fit, held by this process."""

    folder: Path
    steps_before: int  # number of steps present when it was opened
    leaves_before: int  # number of leaves of final models
    damaged: list[str] = field(default_factory=list)  # names of files that could not be read

    def wrap(
        self, run: StepRunner, problem: Problem, *, on_found: Callable[[StepResult], None]
    ) -> StepRunner:
        """Return a function that runs only steps whose results are not stored here, and stores theirs."""

        def find_or_run(step: Step) -> StepResult:
            stored = self.find(step, problem)
            if stored is not None:
                on_found(stored)
                return stored
            result = run(step)
            self.keep(step, problem, result)
            return result

        return find_or_run

    def find(self, step: Step, problem: Problem) -> StepResult | None:
        """Return the stored result of a step, or None if there is none that can be read."""
        path = self.folder / step_name(step, problem.plan.folds[step.fold])
        return self._read(path, lambda data: from_bytes(data, problem.data.device))

    def has(self, step: Step, problem: Problem) -> bool:
        """Return whether there is a stored result of a step."""
        return (self.folder / step_name(step, problem.plan.folds[step.fold])).exists()

    def keep(self, step: Step, problem: Problem, taken: StepResult) -> None:
        """Write the result of a step."""
        path = self.folder / step_name(step, problem.plan.folds[step.fold])
        _write(path, to_bytes(taken))

    def find_leaf(self, key: str) -> FittedLeaf | None:
        """Return a stored leaf and the events of its fit, or None if there is none that can be read."""
        return self._read(self.folder / (key + LEAF_ENDING), leaf_from_bytes)

    def keep_leaf(self, key: str, fitted: FittedLeaf) -> None:
        """Write a fitted leaf and the events of its fit."""
        _write(self.folder / (key + LEAF_ENDING), leaf_to_bytes(fitted))

    def _read(self, path: Path, parse: Callable[[bytes], Result]) -> Result | None:
        """Return the result in a file, or None if there is none that can be read."""
        try:
            return parse(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self.damaged.append(path.name)
            return None

    def remove(self) -> None:
        """Delete the files of the checkpoint; the folder is removed when its lock is released."""
        for name in sorted(_own_files(self.folder) - {LOCK}, key=lambda name: (name == FACTS, name)):
            (self.folder / name).unlink()


@contextmanager
def open_checkpoint(folder: Path, facts: Mapping[str, Any]) -> Iterator[Checkpoint]:
    """Open the checkpoint of a fit in a folder, which is created if needed.

    Args:
        folder: where the checkpoint is, or will be.
        facts: what identifies the fit, under names that users know, ready for JSON.

    Raises a one-line OptionError if another fit is writing there, if the checkpoint belongs to a fit with
    other facts, or if the folder holds anything else.
    """
    if folder.exists():
        _check_is_record(folder)
    folder.mkdir(exist_ok=True)
    with _locked(folder):
        known = {"format of the record": FORMAT, **facts}
        if (folder / FACTS).exists():
            _check_facts(folder, known)
        else:
            _write(folder / FACTS, json.dumps(known, indent=1).encode())
        names = _own_files(folder)
        steps, leaves = (sum(name.endswith(end) for name in names) for end in (ENDING, LEAF_ENDING))
        yield Checkpoint(folder=folder, steps_before=steps, leaves_before=leaves)


def _own_files(folder: Path) -> set[str]:
    """Return the names of the files in a folder that may belong to a checkpoint."""
    names = {path.name for path in folder.iterdir()}
    return {n for n in names if n in (FACTS, LOCK) or n.endswith((ENDING, LEAF_ENDING)) or _is_unfinished(n)}


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") and name.endswith(UNFINISHED)


def _check_is_record(folder: Path) -> None:
    """Refuse a file, or a folder with other contents."""
    if not folder.is_dir():
        raise OptionError(
            f"{folder}: is a file, but {option('resume')} needs a folder of that name. Rename one of them."
        )
    names = {path.name for path in folder.iterdir()}
    if FACTS not in names and names - {LOCK} - {name for name in names if _is_unfinished(name)}:
        raise OptionError(
            f"{folder}: holds files that do not belong to {option('resume')}. Move it, or give "
            f"{option('model')} another name."
        )


def _check_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Refuse the checkpoint of another fit and name the differences."""
    way_out = f"delete {folder} to start anew, or leave out {option('resume')}."
    try:
        before = dict(json.loads((folder / FACTS).read_bytes()))
    except (TypeError, ValueError) as fault:
        raise OptionError(f"{folder / FACTS}: is damaged; {way_out}") from fault
    now = json.loads(json.dumps(facts))
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    if names:
        listed = " and ".join(", ".join(f"another {name}" for name in names).rsplit(", ", 1))
        raise OptionError(f"{folder}: was begun with {listed}. Repeat that fit unchanged, {way_out}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; at the end, delete the folder if only the lock is left in it.

    The system releases the lock of a process that dies.
    """
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise OptionError(
            f"{folder}: another fit is writing there. Wait for its end, or give {option('model')} another "
            "name."
        ) from None
    try:
        yield
    finally:
        is_done = _own_files(folder) == {LOCK}
        # Delete while the lock is held, where the system allows it, so that no other process takes it.
        is_gone = is_done and _delete(folder / LOCK)
        lock.release()
        if (
            is_done and not is_gone
        ):  # Windows does not delete open files, and so none that another process has locked
            _delete(folder / LOCK)
        if is_done:
            with suppress(OSError):  # other files are present
                folder.rmdir()


def _delete(path: Path) -> bool:
    """Delete a file if the system allows it; return whether it did."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return False
    return True


def _write(path: Path, data: bytes) -> None:
    """Write a checkpoint file; one damaged by a power cut fails its hash check, and the step is run again."""
    write_whole(path, data, is_durable=False)
