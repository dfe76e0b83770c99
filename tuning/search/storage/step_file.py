"""The file of a step result in a checkpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import torch
from torch import Tensor

from xrfm_cli.events import Event
from xrfm_cli.tuning.problem.validation_plan import Fold
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.kernel_refinement import Refined
from xrfm_cli.tuning.search.step import Fitted, Iterate, Step, StepResult
from xrfm_cli.tuning.search.storage.sealed import seal, unseal

ENDING = ".step"


def step_name(step: Step, fold: Fold) -> str:
    """Return the name of a step's file: its place in the trial, and a hash of its inputs."""
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
    return seal(facts, tensors)


def from_bytes(data: bytes, device: str) -> StepResult:
    """Deserialise the bytes written by :func:`to_bytes`; raise ValueError for any others."""
    facts, tensors = unseal(data)
    path = tuple(
        Iterate(
            feature_matrix=tensors[f"metric.{t}"].to(device),
            codes=tensors[f"codes.{t}"].numpy(),
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
