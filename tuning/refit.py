"""Refit a model on new rows with its own hyperparameters, without a search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets import (
    Repair,
    Table,
    TypedRows,
    UnreadColumns,
    check_columns,
    drop_rows_without_target,
    encode_target,
    read_offset,
    read_weights,
)
from xrfm_cli.errors import TargetError
from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.leaf_models.rfm import default_memory_bytes
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.mentions import option
from xrfm_cli.trees.tasks import TreeWorkers
from xrfm_cli.tuning.ensemble.final_tree import Refitter
from xrfm_cli.tuning.environment import library_versions, peak_memory_bytes
from xrfm_cli.tuning.feature_matrices import align_feature_matrix, mean_feature_matrix
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.model.profile import profile_table
from xrfm_cli.tuning.model.report import FitReport, repairs_to_json
from xrfm_cli.tuning.model.trained_rows import TrainedRows, hash_rows
from xrfm_cli.tuning.problem.learning_data import LearningData, weighs_exposure
from xrfm_cli.tuning.scoring.target_transforms import LogMeanTransform, LogTransform
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.pools.forks import worker_count
from xrfm_cli.tuning.search.pools.tree_pool import tree_pool

CARRIED_SCORE = "the score and the intervals are those of the model it was refitted from"


def refit_model(
    model: FittedModel,
    table: Table,
    *,
    seed: int = 0,
    device: str = "cpu",
    memory_bytes: int | None = None,
    workers: int | None = None,
    on_event: OnEvent = ignore_event,
    clock: Callable[[], float] = time.monotonic,
) -> FittedModel:
    """Fit a model's ensemble again on other rows of the same schema.

    The schema, hyperparameters, learned feature matrices, weights, calibration and threshold are kept;
    encoders, centers and coefficients are new. The out-of-fold score and the intervals, with the centers of
    their error scale, are carried over, and the report says so.
    ``workers`` processes compute splits and leaves side by side (None: one for each thread); the model is the
    same for any number.

    Raises InputError if a needed column is missing, a class is new, or a target is negative and the model
    learned logarithms.
    """
    count = worker_count(workers, threads=torch.get_num_threads(), device=device)
    with compute_threads(rows=table.n_rows), tree_pool(count, on_event) as final_workers:
        return _refit_model(
            model,
            table,
            seed=seed,
            device=device,
            memory_bytes=memory_bytes or default_memory_bytes(device),
            workers=final_workers,
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
    workers: TreeWorkers | None,
    on_event: OnEvent,
    clock: Callable[[], float],
) -> FittedModel:
    """Fit the encoders and members on the new rows and update the report."""
    began = clock()
    check_columns(table, model.schema, needed=("feature", "target", "weight", "offset"))
    read_offset(table, model.schema)  # names the row as it was read
    table, dropped = drop_rows_without_target(table, model.target)
    if table.n_rows == 0:
        raise TargetError(f"{table.source}: no row has a '{model.target.name}'. Give rows with a target.")
    y_true = _learnable_target(model, table)
    exposure, pinned = read_offset(table, model.schema), model.report.options.get("pinned")
    weights, base, base_outputs = read_weights(table, model.schema), model.base, None
    if base is not None:
        base = base.to(device)
        base_outputs = base.outputs_of(table)
        table = base.extended(table, base_outputs)
    data = LearningData(
        table=table,
        typed=TypedRows(table=table),
        schema=model.schema,
        target=model.target,
        y_true=y_true,
        weights=weights,
        seed=seed,
        device=device,
        base=base,
        base_outputs=base_outputs,
        exposure=exposure,
        weighs_exposure=weighs_exposure(model.report.metric, pinned if isinstance(pinned, dict) else {}),
    )
    rows = np.arange(table.n_rows)
    refitter = Refitter(data=data, rows=rows, memory_bytes=memory_bytes, on_event=on_event, workers=workers)
    members: list[Member] = []
    for number, member in enumerate(model.members):
        on_event(Event(kind="progress", message=f"fitting model {number + 1} of {len(model.members)}"))
        members.append(_refit_member(member, refitter))
    repairs = members[0].encoder.encode(table)[1]
    unread = UnreadColumns(model.schema)
    unread.look(table, repairs)
    for line in unread.lines():
        on_event(Event(kind="warning", message=line))
    seconds = round(clock() - began, 3)
    report = replace(
        _refit_report(model, table, members, repairs),
        dropped_rows=dropped,
        seconds={"refit": seconds, "total": seconds},
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
        compression=None,
        base=base,
    )


def _refit_member(member: Member, refitter: Refitter) -> Member:
    """Fit the encoder and the tree of a member on the rows of a refitter, from its learned feature matrix."""
    data, rows = refitter.data, refitter.rows
    candidate = Candidate.from_dict(member.params)
    # The factor of a log transform is kept, as it needs out-of-fold predictions.
    old = member.target_transform
    factor = old.factor if isinstance(old, LogTransform) else 1.0
    target_transform = data.target_transform(rows, candidate.transform, factor)
    found = refitter.encode(member.encoder.config, candidate.transform, target_transform)
    encoder, translation = found.encoder, None
    if candidate.is_translated:
        translation = data.fit_translation(rows, target_transform)
    start = align_feature_matrix(
        mean_feature_matrix(member.tree).to(data.device), member.encoder.feature_names, encoder.feature_names
    )
    tree = refitter.fit(
        found,
        candidate,
        target_transform,
        start,
        trial=member.trial,
        iterations=min(1, int(member.params["iterations"])),
        translation=translation,
    ).with_temperature(float(member.params["temperature"]))
    return replace(
        member, encoder=encoder, tree=tree, target_transform=target_transform, translation=translation
    )


def _refit_report(
    model: FittedModel, table: Table, members: Sequence[Member], repairs: Sequence[Repair]
) -> FitReport:
    """Return the report of the earlier fit with the rows, leaves and repairs of the new one."""
    return replace(
        model.report,
        rows=table.n_rows,
        left_out_rows=0,
        search_rows=0,
        stopped_by="refit",
        oof_summary=None,  # its rows are those of the earlier table
        test=None,
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
            f"Fit a new model without {option('from')}."
        )
    is_log = any(isinstance(m.target_transform, LogTransform | LogMeanTransform) for m in model.members)
    is_gamma = any(member.params.get("loss") == "gamma" for member in model.members)
    wrong = y_true <= 0 if is_gamma else y_true < 0
    if is_log and wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        needed = "more than 0" if is_gamma else "0 or more"
        raise TargetError(
            f"{table.source}: '{name}' is {y_true[row]:g} in row {row + 1:,} of those with a target, but the "
            f"model learned logarithms, which need {needed}. Fit a new model without {option('from')}."
        )
    return y_true
