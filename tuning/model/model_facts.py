"""The facts of a model file that need no tensors, read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xrfm_cli.datasets.schema.columns import TableSchema
from xrfm_cli.errors import InputError, ModelFileError
from xrfm_cli.printable import printable
from xrfm_cli.trees.model_file import read_manifest
from xrfm_cli.tuning.model.manifest import check_manifest

LAST_MOMENT_S = 253_402_300_799  # the end of the year 9999: file dates can be later, calendar dates cannot


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The manifest of a model file, its schema, and what else `xrfm info` shows."""

    manifest: dict[str, Any]
    schema: TableSchema
    n_centers: int  # training rows kept by all leaves, the intervals' included
    created: str


def read_model_facts(path: Path) -> ModelFacts:
    """Read the facts of a model file; raise a one-line ModelFileError for anything else.

    Hashes, fields and their types are checked as when a model is loaded, but not whether its tensors fit
    together.
    """
    manifest, shapes = read_manifest(path)
    try:
        check_manifest(manifest)
        schema = TableSchema.from_json(manifest["schema"])
    except (InputError, LookupError, TypeError, ValueError) as fault:
        raise misfit(path, printable(str(fault))) from fault
    centers = (shape[0] for name, shape in shapes.items() if name.endswith(".centers") and shape)
    return ModelFacts(manifest=manifest, schema=schema, n_centers=sum(centers), created=date_of(path))


def date_of(path: Path) -> str:
    """Return the date of a file, which is that of its fit."""
    moment = min(max(path.stat().st_mtime, 0), LAST_MOMENT_S)
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def misfit(path: Path, reason: str) -> ModelFileError:
    """Return the refusal of a file whose parts do not fit together."""
    return ModelFileError(
        f"{path}: is not a model written by xrfm ({reason}). Copy the file again, use the version of xrfm "
        "that wrote it, or fit again."
    )
