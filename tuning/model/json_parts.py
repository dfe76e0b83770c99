"""Parts of a model's manifest that need no encoders: decision, profile and hashes of the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xrfm_cli.datasets import TableSchema
from xrfm_cli.tuning.model.profile import ColumnProfile
from xrfm_cli.tuning.model.trained_rows import TrainedRows
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold


def decision_from_json(manifest: Mapping[str, Any]) -> DecisionThreshold:
    """Return the decision threshold or class weights; older files have no class weights."""
    threshold, weights = manifest["threshold"], manifest.get("class_weights", [])
    return DecisionThreshold(
        threshold=None if threshold is None else float(threshold),
        class_weights=tuple(float(weight) for weight in weights),
    )


def profile_from_json(facts: Any, schema: TableSchema) -> tuple[ColumnProfile, ...] | None:
    """Return the profile of the training rows; None for older files without one."""
    columns = {column.name: column for column in schema.columns}
    return None if facts is None else tuple(ColumnProfile.from_json(column, columns) for column in facts)


def trained_to_json(trained: TrainedRows | None, tensors: dict[str, Tensor]) -> Any:
    """Return the facts of the training rows' hashes, which go to ``tensors`` as whole floats."""
    if trained is None:
        return None
    tensors["trained.hashes"] = torch.from_numpy(trained.hashes.astype(np.float64))
    return {"is_whole": trained.is_whole, "repeated": trained.repeated}


def trained_from_json(facts: Any, tensors: Mapping[str, Tensor]) -> TrainedRows | None:
    """Return the hashes of the training rows; None for older files without them."""
    if set(tensors) != (set() if facts is None else {"hashes"}):
        raise ValueError("hashes of training rows without their facts, or the reverse")
    if facts is None:
        return None
    hashes = tensors["hashes"]
    if hashes.dtype != torch.float64 or hashes.dim() != 1 or ((hashes < 0) | (hashes >= 2**52)).any():
        raise ValueError("hashes of training rows of another type")
    return TrainedRows(
        hashes=hashes.numpy().astype(np.uint64), is_whole=facts["is_whole"], repeated=float(facts["repeated"])
    )
