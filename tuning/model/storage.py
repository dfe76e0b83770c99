"""Save a fitted model as a file and load it, bit for bit."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from xrfm_cli.datasets import Encoder, TableSchema, TargetSchema
from xrfm_cli.datasets.dotted_names import by_first_part, numbered
from xrfm_cli.datasets.encoders.table_encoder import ColumnEncoder
from xrfm_cli.errors import InputError, ModelFileError
from xrfm_cli.leaf_models.packing import packed
from xrfm_cli.printable import printable
from xrfm_cli.remote import fetch, local_path
from xrfm_cli.trees import TreeModel, open_model_file, read_model_file, write_model_file
from xrfm_cli.tuning.model.checks import check_model
from xrfm_cli.tuning.model.compression import Compression
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.model.intervals import ErrorScale, Intervals
from xrfm_cli.tuning.model.json_parts import (
    decision_from_json,
    profile_from_json,
    trained_from_json,
    trained_to_json,
)
from xrfm_cli.tuning.model.manifest import check_manifest
from xrfm_cli.tuning.model.model_facts import date_of, misfit
from xrfm_cli.tuning.model.report import FitReport
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator
from xrfm_cli.tuning.scoring.target_transforms import target_transform_from_json
from xrfm_cli.tuning.transfer.base import Base, SharedColumns
from xrfm_cli.tuning.transfer.translation import Translation

# A model that is larger than this share of the memory stays in its file, because reading it into memory would
# take twice its size. Its cache may take the same share.
HELD_SHARE = 1 / 2
LEAVES = re.compile(r"(base\.)*member\.\d+\.leaf\.")  # names of tensors that may stay in the file
STORED = "the stored model"  # used in messages about bytes that are not from a file
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


def save_model(model: FittedModel, path: str | Path) -> None:
    """Write one self-contained file, or upload it to a URL: all of it or nothing.

    Nothing in it depends on the clock or on memory use, so equal fits give equal bytes. Those facts are in
    the report beside it, and the date of the fit is the date of the file.
    """
    manifest, tensors = _to_document(model)
    write_model_file(Path(local_path(path)), manifest, tensors)


def _to_document(model: FittedModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the manifest and the tensors of a model; those of its base are a part of both."""
    tensors: dict[str, Tensor] = {}
    numbers, encoders = _encoders_to_json(model, tensors)
    members = []
    for number, member in enumerate(model.members):
        facts, tree_tensors = member.tree.state()
        if model.compression is not None:
            tree_tensors = packed(tree_tensors, model.compression.names(member.tree))
        tensors |= {f"member.{number}.{name}": value for name, value in tree_tensors.items()}
        members.append(
            {
                "trial": member.trial,
                "weight": member.weight,
                "encoder": numbers[id(member.encoder)],
                "tree": facts,
                "coding": member.target_transform.to_json(),
                "calibrator": None if member.calibrator is None else member.calibrator.to_json(),
                "params": member.params,
                "score": member.score,
            }
            | ({} if member.translation is None else {"translation": member.translation.to_json()})
        )
    manifest = {
        "schema": model.schema.to_json(),
        "target": model.target.to_json(),
        "encoders": encoders,
        "members": members,
        "calibration": None if model.calibration is None else model.calibration.to_json(),
        "threshold": model.decision.threshold,
        "class_weights": list(model.decision.class_weights),
        "intervals": _intervals_to_json(model.intervals, numbers, tensors),
        "profile": None if model.profile is None else [profile.to_json() for profile in model.profile],
        "trained": trained_to_json(model.trained, tensors),
        "report": model.report.timeless().to_json(),
        "versions": model.versions,
    }
    if model.compression is not None:
        manifest["compression"] = model.compression.to_json()
    if model.base is not None:
        of_base, base_tensors = _to_document(model.base.model)
        manifest["base"] = model.base.to_json() | {"model": of_base}
        tensors |= {f"base.{name}": value for name, value in base_tensors.items()}
    return manifest, tensors


def model_to_bytes(model: FittedModel) -> bytes:
    """Return the contents of the file that ``save_model`` writes."""
    with TemporaryDirectory(prefix="xrfm-") as folder:
        path = Path(folder) / "model.xrfm"
        save_model(model, path)
        return path.read_bytes()


def model_from_bytes(content: bytes, *, device: str = "cpu") -> FittedModel:
    """Load a model from a file's contents, checked as a file is; ModelFileError for anything else."""
    with TemporaryDirectory(prefix="xrfm-") as folder:
        path = Path(folder) / "model.xrfm"
        path.write_bytes(content)
        try:
            return load_model(path, device=device, source=STORED)
        except ModelFileError as fault:
            raise ModelFileError(str(fault).replace(str(path), STORED)) from fault


def _encoders_to_json(
    model: FittedModel, tensors: dict[str, Tensor]
) -> tuple[dict[int, int], list[dict[str, Any]]]:
    """Return each encoder once: its number by its identity, and its facts. Arrays go to ``tensors``."""
    error_scale = None if model.intervals is None else model.intervals.error_scale
    used = [member.encoder for member in model.members] + (
        [] if error_scale is None else [error_scale.encoder]
    )
    numbers: dict[int, int] = {}
    encoders: list[dict[str, Any]] = []
    for encoder in used:
        if id(encoder) not in numbers:
            number = numbers[id(encoder)] = len(encoders)
            facts, arrays = encoder.state()
            tensors |= {f"encoder.{number}.{name}": torch.from_numpy(array) for name, array in arrays.items()}
            encoders.append(facts)
    return numbers, encoders


def _intervals_to_json(
    intervals: Intervals | None, numbers: dict[int, int], tensors: dict[str, Tensor]
) -> Any:
    """Return only the scores if all intervals have one width, as in older files."""
    if intervals is None or intervals.error_scale is None:
        return None if intervals is None else list(intervals.scores)
    facts, leaf_tensors = intervals.error_scale.state()
    tensors |= {f"spread.{name}": value for name, value in leaf_tensors.items()}
    return {
        "scores": list(intervals.scores),
        "spread": facts | {"encoder": numbers[id(intervals.error_scale.encoder)]},
    }


def load_model(
    path: str | Path, *, device: str = "cpu", source: str | None = None, memory_bytes: int | None = None
) -> FittedModel:
    """Read a model file, or one at a URL; raise a one-line ModelFileError for anything else.

    ``source`` is the name of the file in later messages, its path by default. The leaves of a model that is
    too large for ``memory_bytes`` stay in the file until rows need them; predictions are the same.
    """
    path = Path(local_path(path))
    fetch(path, again=True)
    manifest, tensors = _read(path, memory_bytes)
    created = date_of(path)
    try:
        check_manifest(manifest)
        model = _build(manifest, tensors, created, source or str(path))
        check_model(model)
    except _MISFITS as fault:
        raise misfit(path, _reason(fault)) from fault
    return model.to(device)


def _read(path: Path, memory_bytes: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the manifest and the tensors: those of leaves stay in the file if there is no room for them."""
    if memory_bytes is None or not path.is_file() or path.stat().st_size <= HELD_SHARE * memory_bytes:
        return read_model_file(path)
    manifest, stored = open_model_file(path, cache_bytes=int(HELD_SHARE * memory_bytes))
    return manifest, {
        name: tensor if LEAVES.match(name) else tensor.read() for name, tensor in stored.items()
    }


def _build(manifest: dict[str, Any], tensors: dict[str, Any], created: str, source: str) -> FittedModel:
    parts = by_first_part(tensors)
    base = _base_from_json(manifest.get("base"), parts.pop("base", {}), created, source)
    if not set(parts) <= {"encoder", "member", "spread", "trained"}:
        raise ValueError("tensors that belong to no part of the model")
    of_encoders, of_members = (
        numbered(parts.get(part, {}), len(manifest[f"{part}s"])) for part in ("encoder", "member")
    )
    columns: dict[ColumnEncoder, ColumnEncoder] = {}
    encoders = [
        Encoder.from_state(facts, {name: tensor.numpy() for name, tensor in own.items()}).sharing(columns)
        for own, facts in zip(of_encoders, manifest["encoders"], strict=True)
    ]
    members = tuple(
        Member(
            trial=int(facts["trial"]),
            weight=float(facts["weight"]),
            encoder=encoders[_place(facts["encoder"], len(encoders))],
            tree=TreeModel.from_state(facts["tree"], own),
            target_transform=target_transform_from_json(facts["coding"]),
            calibrator=None
            if facts["calibrator"] is None
            else MemberCalibrator.from_json(facts["calibrator"]),
            params=dict(facts["params"]),
            score=float(facts["score"]),
            source=source,
            translation=_translation_from_json(facts.get("translation"), base),
            base_columns=() if facts.get("translation") is None or base is None else base.columns,
        )
        for own, facts in zip(of_members, manifest["members"], strict=True)
    )
    calibration, schema = manifest["calibration"], TableSchema.from_json(manifest["schema"])
    return FittedModel(
        schema=schema,
        target=TargetSchema.from_json(manifest["target"]),
        members=members,
        calibration=None if calibration is None else MemberCalibrator.from_json(calibration),
        decision=decision_from_json(manifest),
        intervals=_intervals_from_json(manifest["intervals"], encoders, parts.get("spread", {})),
        report=FitReport.from_json(manifest["report"]),
        versions=dict(manifest["versions"]),
        created=created,
        profile=profile_from_json(manifest.get("profile"), schema),
        trained=trained_from_json(manifest.get("trained"), parts.get("trained", {})),
        base=base,
        compression=Compression.from_json(manifest.get("compression")),
    )


def _base_from_json(facts: Any, tensors: dict[str, Any], created: str, source: str) -> Base | None:
    """Return the base of a model; None without one."""
    if facts is None:
        if tensors:
            raise ValueError("tensors of a base that the model does not have")
        return None
    return Base(
        model=_build(facts["model"], tensors, created, source),
        name=facts["name"],
        found=SharedColumns(**{name: tuple(columns) for name, columns in facts["found"].items()}),
        columns=tuple(facts["columns"]),
        predicts_target=facts["predicts_target"],
    )


def _translation_from_json(facts: Any, base: Base | None) -> Translation | None:
    if facts is not None and base is None:
        raise ValueError("a translation without a base")
    return None if facts is None else Translation.from_json(facts)


def _intervals_from_json(facts: Any, encoders: list[Encoder], tensors: dict[str, Tensor]) -> Intervals | None:
    adapts = isinstance(facts, dict)
    if tensors and not adapts:
        raise ValueError("tensors of intervals that do not adapt")
    if facts is None:
        return None
    if not adapts:
        return Intervals(scores=tuple(float(score) for score in facts))
    encoder = encoders[_place(facts["spread"]["encoder"], len(encoders))]
    error_scale = ErrorScale.from_state(facts["spread"], tensors, encoder)
    return Intervals(scores=tuple(float(score) for score in facts["scores"]), error_scale=error_scale)


def _reason(fault: Exception) -> str:
    """Return the fault's message, with the exception's name if the message alone would be unclear."""
    text = str(fault) if isinstance(fault, ValueError | InputError) else f"{type(fault).__name__}: {fault}"
    return printable(text)


def _place(value: Any, count: int) -> int:
    if not isinstance(value, int) or not 0 <= value < count:
        raise ValueError(f"no encoder {value!r}")
    return value
