"""A fitted model as a file, and back bit for bit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from xrfm_cli.datasets import Encoder, Table, TableSchema, TargetSchema
from xrfm_cli.datasets.errors import InputError, ModelFileError
from xrfm_cli.trees import TreeModel, read_model_file, write_model_file
from xrfm_cli.tuning.calibration import Calibrator
from xrfm_cli.tuning.coding import coding_from_json
from xrfm_cli.tuning.model import FittedModel, Intervals, Member
from xrfm_cli.tuning.report import FitReport

_MISFITS = (
    ArithmeticError,
    AttributeError,
    InputError,
    LookupError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)


def save_model(model: FittedModel, path: Path) -> None:
    """Write one self-contained file, atomically.

    Nothing in it depends on the clock or on the memory used: equal fits are equal bytes. Those facts stand
    in the report beside it, and the date of the fit is that of the file.
    """
    tensors: dict[str, Tensor] = {}
    encoders: list[dict[str, Any]] = []
    numbers: dict[int, int] = {}
    members = []
    for number, member in enumerate(model.members):
        if id(member.encoder) not in numbers:
            numbers[id(member.encoder)] = len(encoders)
            facts, arrays = member.encoder.state()
            tensors |= {
                f"encoder.{len(encoders)}.{name}": torch.from_numpy(array) for name, array in arrays.items()
            }
            encoders.append(facts)
        facts, tree_tensors = member.tree.state()
        tensors |= {f"member.{number}.{name}": value for name, value in tree_tensors.items()}
        members.append(
            {
                "trial": member.trial,
                "weight": member.weight,
                "encoder": numbers[id(member.encoder)],
                "tree": facts,
                "coding": member.coding.to_json(),
                "calibrator": None if member.calibrator is None else member.calibrator.to_json(),
                "params": member.params,
                "score": member.score,
            }
        )
    manifest = {
        "schema": model.schema.to_json(),
        "target": model.target.to_json(),
        "encoders": encoders,
        "members": members,
        "calibration": None if model.calibration is None else model.calibration.to_json(),
        "threshold": model.threshold,
        "intervals": None if model.intervals is None else list(model.intervals.residuals),
        "report": model.report.timeless().to_json(),
        "versions": model.versions,
    }
    write_model_file(path, manifest, tensors)


def load_model(path: Path, *, device: str = "cpu") -> FittedModel:
    """Read a model file; raises ModelFileError in one line for anything that is not one."""
    manifest, tensors = read_model_file(path)
    created = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    try:
        model = _build(manifest, tensors, created)
        _check_parts(model)
    except _MISFITS as fault:
        raise ModelFileError(
            f"{path}: its contents do not fit together ({type(fault).__name__}: {fault}). "
            "Fit the model again."
        ) from fault
    return model.to(device)


def _build(manifest: dict[str, Any], tensors: dict[str, Tensor], created: str) -> FittedModel:
    encoders = [
        Encoder.from_state(facts, {k: v.numpy() for k, v in _under(tensors, f"encoder.{number}.").items()})
        for number, facts in enumerate(manifest["encoders"])
    ]
    members = tuple(
        Member(
            trial=int(facts["trial"]),
            weight=float(facts["weight"]),
            encoder=encoders[_place(facts["encoder"], len(encoders))],
            tree=TreeModel.from_state(facts["tree"], _under(tensors, f"member.{number}.")),
            coding=coding_from_json(facts["coding"]),
            calibrator=None if facts["calibrator"] is None else Calibrator.from_json(facts["calibrator"]),
            params=dict(facts["params"]),
            score=float(facts["score"]),
        )
        for number, facts in enumerate(manifest["members"])
    )
    calibration, intervals = manifest["calibration"], manifest["intervals"]
    return FittedModel(
        schema=TableSchema.from_json(manifest["schema"]),
        target=TargetSchema.from_json(manifest["target"]),
        members=members,
        calibration=None if calibration is None else Calibrator.from_json(calibration),
        threshold=None if manifest["threshold"] is None else float(manifest["threshold"]),
        intervals=None if intervals is None else Intervals(residuals=tuple(float(r) for r in intervals)),
        report=FitReport.from_json(manifest["report"]),
        versions=dict(manifest["versions"]),
        created=created,
    )


def _check_parts(model: FittedModel) -> None:
    """Refuse parts that each can be read but do not fit together."""
    if not model.members:
        raise ValueError("no members")
    classes = len(model.target.classes)
    calibrators = [model.calibration, *(member.calibrator for member in model.members)]
    if any((calibrator is None) != (classes == 0) for calibrator in calibrators):
        raise ValueError("calibration does not fit the task")
    if any(c is not None and len(c.offsets) not in (0, classes) for c in calibrators):
        raise ValueError("calibration does not fit the classes")
    for member in model.members:
        decoded, coded = member.coding.sizes
        shape = (member.encoder.n_features, coded, decoded)
        if shape != (member.tree.n_features, member.tree.n_outputs, classes or 1):
            raise ValueError("encoder, tree and target have other sizes")
    for cell in (None, "0"):  # encoders that cannot work are found on a row of each
        cells = pa.array([cell], pa.string())
        model.encode(Table(pa.table({column.name: cells for column in model.schema.columns})))


def _place(value: Any, count: int) -> int:
    if not isinstance(value, int) or not 0 <= value < count:
        raise ValueError(f"no encoder {value!r}")
    return value


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
