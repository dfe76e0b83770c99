"""Refit a model on new rows with its own hyperparameters, without a search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets import (
    EncodingConfig,
    Table,
    UnreadColumns,
    check_columns,
    drop_rows_without_target,
    encode_target,
    read_weights,
)
from xrfm_cli.errors import TargetError
from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.leaf_models.rfm import DEFAULT_MEMORY_BYTES
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.tuning.ensemble.final_tree import REFIT_FOLD, align_feature_matrix, refit_tree
from xrfm_cli.tuning.fit import library_versions, peak_memory_bytes
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.model.profile import profile_table
from xrfm_cli.tuning.model.report import repairs_to_json
from xrfm_cli.tuning.model.trained_rows import TrainedRows, hash_rows
from xrfm_cli.tuning.problem.learning_data import EncodedRows, find_encoded
from xrfm_cli.tuning.scoring.target_transforms import (
    LogTransform,
    TargetTransform,
    TransformName,
    fit_target_transform,
)
from xrfm_cli.tuning.search.run_step import mean_feature_matrix, trial_generator
from xrfm_cli.tuning.search.space import Candidate

CARRIED_SCORE = "the score and the intervals are those of the model it was refitted from"


def refit_model(
    model: FittedModel,
    table: Table,
    *,
    seed: int = 0,
    device: str = "cpu",
    memory_bytes: int | None = None,
    on_event: OnEvent = ignore_event,
    clock: Callable[[], float] = time.monotonic,
) -> FittedModel:
    """Fit a model's ensemble again on other rows of the same schema.

    The schema, hyperparameters, learned feature matrices, weights, calibration and threshold are kept;
    encoders, centers and coefficients are new. The out-of-fold score and the intervals, with the centers of
    their error scale, are carried over, and the report says so.
    Raises InputError if a needed column is missing, a class is new, or a target is negative and the model
    learned logarithms.
    """
    with compute_threads(rows=table.n_rows):
        return _refit_model(
            model,
            table,
            seed=seed,
            device=device,
            memory_bytes=memory_bytes or DEFAULT_MEMORY_BYTES,
            on_event=on_event,
            clock=clock,
        )


def _refit_model(
    model: FittedModel,
    table: Table,
    *,
    seed: int,
    device: str,
    memory_bytes: int,
    on_event: OnEvent,
    clock: Callable[[], float],
) -> FittedModel:
    """Fit the encoders and members on the new rows and update the report."""
    began = clock()
    check_columns(table, model.schema, needed=("feature", "target", "weight"))
    table, dropped = drop_rows_without_target(table, model.target)
    if table.n_rows == 0:
        raise TargetError(f"{table.source}: no row has a '{model.target.name}'. Give rows with a target.")
    y_true, n_classes = _learnable_target(model, table), len(model.target.classes)
    weights = read_weights(table, model.schema)
    encoded: dict[tuple[EncodingConfig, TransformName], EncodedRows] = {}
    members: list[Member] = []
    for number, member in enumerate(model.members):
        on_event(Event(kind="progress", message=f"fitting model {number + 1} of {len(model.members)}"))
        candidate, config = Candidate.from_dict(member.params), member.encoder.config
        target_transform = _coded_anew(
            member.target_transform, candidate.transform, y_true, n_classes, weights
        )
        coded = target_transform.encode(y_true)
        found = find_encoded(encoded, config, candidate.transform)
        if found is None:
            target = np.eye(n_classes)[y_true] if n_classes else coded
            found = EncodedRows.fit(
                table, model.schema, config, target=target, weights=weights, seed=seed, device=device
            )
        encoded[config, candidate.transform], encoder = found, found.encoder
        metric = align_feature_matrix(
            mean_feature_matrix(member.tree).to(device), member.encoder.feature_names, encoder.feature_names
        )
        tree = refit_tree(
            found,
            torch.from_numpy(coded).float().to(device),
            None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device),
            candidate,
            metric,
            iterations=min(1, int(member.params["iterations"])),
            generator=trial_generator(seed, member.trial, REFIT_FOLD, 0),
            memory_bytes=memory_bytes,
            on_event=on_event,
        ).with_temperature(float(member.params["temperature"]))
        members.append(replace(member, encoder=encoder, tree=tree, target_transform=target_transform))
    repairs = members[0].encoder.encode(table)[1]
    unread = UnreadColumns(model.schema)
    unread.look(table, repairs)
    for line in unread.lines():
        on_event(Event(kind="warning", message=line))
    report = replace(
        model.report,
        rows=table.n_rows,
        dropped_rows=dropped,
        stopped_by="refit",
        oof_summary=None,  # its rows are those of the earlier table
        test=None,
        seconds={"refit": round(clock() - began, 3), "total": round(clock() - began, 3)},
        trials=[],
        hyperparameter_importances=[],
        leaves=[
            {"member": number, "leaf": place, "rows": leaf.n_rows}
            for number, member in enumerate(members)
            for place, leaf in enumerate(member.tree.leaves)
        ],
        repairs=repairs_to_json((*table.repairs, *repairs)),
        notes=[*(note for note in model.report.notes if note != CARRIED_SCORE), CARRIED_SCORE],
        peak_memory_bytes=peak_memory_bytes(),
    )
    return replace(
        model,
        members=tuple(members),
        intervals=None if model.intervals is None else model.intervals.to(device),
        report=report,
        versions=library_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device=device,
        profile=profile_table(_counting_rows(table, weights), model.schema),
        trained=TrainedRows.of(hash_rows(table, model.schema, y_true)),
    )


def _counting_rows(table: Table, weights: NDArray[np.float64] | None) -> Table:
    """Return the rows with a weight above 0."""
    return table if weights is None or (weights > 0).all() else table.take(np.flatnonzero(weights > 0))


def _learnable_target(model: FittedModel, table: Table) -> NDArray[Any]:
    """Return target values or class codes ``(n,)``; refuse a row that the model cannot learn from."""
    y_true, name = encode_target(table, model.target), model.target.name
    if model.target.classes and (y_true == -2).any():
        row = int(np.flatnonzero(y_true == -2)[0])
        label = table.column(name)[row].as_py()
        raise TargetError(
            f"{table.source}: '{name}' has the class {label!r}, which the model does not know. "
            "Fit it anew without --from."
        )
    if (
        any(isinstance(member.target_transform, LogTransform) for member in model.members)
        and (y_true < 0).any()
    ):
        row = int(np.flatnonzero(y_true < 0)[0])
        raise TargetError(
            f"{table.source}: '{name}' is {y_true[row]:g} in the {row + 1:,}. row with a target, but the "
            "model learned logarithms, which need 0 or more. Fit it anew without --from."
        )
    return y_true


def _coded_anew(
    old: TargetTransform,
    transform: TransformName,
    y_true: NDArray[Any],
    n_classes: int,
    weights: NDArray[np.float64] | None,
) -> TargetTransform:
    """Fit the target transform to the new rows; the factor is kept, as it needs out-of-fold predictions."""
    factor = old.factor if isinstance(old, LogTransform) else 1.0
    return fit_target_transform(y_true, n_classes, weights, transform, factor)
