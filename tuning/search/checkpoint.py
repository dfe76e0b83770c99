"""The checkpoint of a fit that may be killed: a folder with the result of every completed step.

    model.run/
    ├── fit.json               what identifies the fit: hashes of its tables, options, versions
    ├── lock                   held by the process that writes here, as long as it lives
    └── 7-0-1-<hash>.step      trial 7, fold 0, rung 1: its SHA-256, a line of JSON, then safetensors

The search is deterministic: given the same results it runs the same steps in the same order. A fit is
resumed by searching again from the beginning and loading the step results found here. A step's file name
hashes everything that its result depends on, so a different step never matches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from xrfm_cli.errors import NumericalError, OptionError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.files import write_whole
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Fold
from xrfm_cli.tuning.search.kernel_refinement import Refined
from xrfm_cli.tuning.search.run_step import Fitted, Iterate, Step, run_step
from xrfm_cli.tuning.search.space import Candidate

FORMAT = 2
FACTS, LOCK, ENDING, UNFINISHED = "fit.json", "lock", ".step", ".tmp"


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


def run_and_tell(
    problem: Problem, step: Step, *, on_event: OnEvent, clock: Callable[[], float]
) -> StepResult:
    """Run a step and collect what must be replayed if it is read from a checkpoint."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        on_event(event)

    fitted, failure, since = None, "", clock()
    try:
        fitted = run_step(problem, step, listen)
    except NumericalError as fault:
        failure = str(fault)
    return StepResult(fitted=fitted, failure=failure, events=tuple(events), seconds=clock() - since)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """The checkpoint folder of one fit, held by this process."""

    folder: Path
    steps_before: int  # number of steps present when it was opened
    damaged: list[str] = field(default_factory=list)  # names of files that could not be read

    def find(self, step: Step, problem: Problem) -> StepResult | None:
        """Return the stored result of a step, or None if there is none that can be read."""
        path = self.folder / step_name(step, problem.plan.folds[step.fold])
        try:
            return from_bytes(path.read_bytes(), problem.device)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self.damaged.append(path.name)
            return None

    def keep(self, step: Step, problem: Problem, taken: StepResult) -> None:
        """Write the result of a step."""
        path = self.folder / step_name(step, problem.plan.folds[step.fold])
        _write(path, to_bytes(taken))

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
        count = sum(name.endswith(ENDING) for name in _own_files(folder))
        yield Checkpoint(folder=folder, steps_before=count)


def step_name(step: Step, fold: Fold) -> str:
    """Return the name of a step's file: its place in the trial and a hash of what its result depends on."""
    facts = {
        "candidate": step.candidate.to_dict(),
        "rows": step.rows,
        "iterations": step.iterations,
        "early": step.is_rung,
        "stop_early": step.stop_early,
        "start": None if step.start is None else list(step.start.shape),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for rows in (fold.train, fold.valid):
        digest.update(repr(len(rows)).encode() + rows.tobytes())
    if step.start is not None:
        digest.update(step.start.cpu().contiguous().numpy().tobytes())
    rung = "refined" if step.is_refinement else str(step.rung)
    return f"{step.trial}-{step.fold}-{rung}-{digest.hexdigest()[:16]}{ENDING}"


def to_bytes(taken: StepResult) -> bytes:
    """Serialise a step result."""
    path = taken.fitted.path if taken.fitted else ()
    refined = taken.fitted.refined if taken.fitted else None
    tensors: dict[str, Tensor] = {}
    for t, iterate in enumerate(path):
        tensors |= {f"metric.{t}": iterate.feature_matrix, f"codes.{t}": torch.from_numpy(iterate.codes)}
    facts = {
        "failure": taken.failure if taken.fitted is None else None,
        "events": [asdict(event) for event in taken.events],
        "seconds": taken.seconds,
        "temperatures": [iterate.temperature for iterate in path],
        "refined": refined and asdict(refined) | {"candidate": refined.candidate.to_dict()},
    }
    rest = json.dumps(facts).encode() + b"\n" + save_tensors(tensors)
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def from_bytes(data: bytes, device: str) -> StepResult:
    """Deserialise the bytes written by :func:`to_bytes`; raise ValueError for any others."""
    digest, _, rest = data.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise ValueError("its hash does not match")
    text, _, blob = rest.partition(b"\n")
    facts, tensors = json.loads(text), load_tensors(blob)
    # Clone for the memory alignment of computed tensors: linear algebra libraries choose their loops, and
    # so the last bits, by alignment.
    path = tuple(
        Iterate(
            feature_matrix=tensors[f"metric.{t}"].clone().to(device),
            codes=tensors[f"codes.{t}"].clone().numpy(),
            temperature=temperature,
        )
        for t, temperature in enumerate(facts["temperatures"])
    )
    refined = facts["refined"]
    if refined is not None:
        refined = Refined(**refined | {"candidate": Candidate.from_dict(refined["candidate"])})
    return StepResult(
        fitted=Fitted(path=path, refined=refined) if facts["failure"] is None else None,
        failure=facts["failure"] or "",
        events=tuple(Event(**event) for event in facts["events"]),
        seconds=facts["seconds"],
    )


def _own_files(folder: Path) -> set[str]:
    """Return the names of the files in a folder that may belong to a checkpoint."""
    names = {path.name for path in folder.iterdir()}
    return {n for n in names if n in (FACTS, LOCK) or n.endswith(ENDING) or _is_unfinished(n)}


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") and name.endswith(UNFINISHED)


def _check_is_record(folder: Path) -> None:
    """Refuse a file, or a folder with other contents."""
    if not folder.is_dir():
        raise OptionError(
            f"{folder}: is a file, but --resume needs a folder of that name. Rename one of them."
        )
    names = {path.name for path in folder.iterdir()}
    if FACTS not in names and names - {LOCK} - {name for name in names if _is_unfinished(name)}:
        raise OptionError(
            f"{folder}: holds files that do not belong to --resume. Move it, or give --model another name."
        )


def _check_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Refuse the checkpoint of another fit and name the differences."""
    way_out = f"delete {folder} to start anew, or leave out --resume."
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
            f"{folder}: another fit is writing there. Wait for its end, or give --model another name."
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
