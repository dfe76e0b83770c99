"""The work after the search: the ensemble, its final fits, calibration, decision threshold and intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets import Encoder, Repair
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.trees.tasks import LeafRecords, TreeWorkers
from xrfm_cli.tuning.ensemble.candidates import IDLE_SHARE, CandidatePool, Entry
from xrfm_cli.tuning.ensemble.error_scale import fit_intervals
from xrfm_cli.tuning.ensemble.final_tree import Refitter, encode_in_time
from xrfm_cli.tuning.ensemble.softness import HeldBack, choose_temperature
from xrfm_cli.tuning.feature_matrices import align_feature_matrix, average_feature_matrices
from xrfm_cli.tuning.model.fitted_model import Member
from xrfm_cli.tuning.model.intervals import Intervals
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator, fit_temperature
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold
from xrfm_cli.tuning.search.candidate import within_size
from xrfm_cli.tuning.search.cost import shrink_leaves
from xrfm_cli.tuning.search.trial import ValidationResult
from xrfm_cli.tuning.search.trial_records import SearchResult

Array = NDArray[np.float64]

MOST_UNPRUNED = 6  # members of an ensemble that predicts quickly enough as it is


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinalEnsemble:
    """The fitted ensemble with calibration, decision threshold and intervals."""

    members: tuple[Member, ...]
    predictions: Array  # out-of-fold predictions of the ensemble: values or calibrated probabilities
    calibration: MemberCalibrator | None
    decision: DecisionThreshold
    intervals: Intervals | None
    repairs: tuple[Repair, ...]  # values repaired in the training rows
    interrupted: bool


def fit_final_ensemble(
    problem: Problem,
    result: SearchResult,
    *,
    max_members: int,
    seconds_left: Callable[[], float],
    on_event: OnEvent,
    records: LeafRecords | None = None,
    workers: TreeWorkers | None = None,
) -> FinalEnsemble:
    """Choose the ensemble by out-of-fold predictions and fit its members on all rows.

    ``records`` keep fitted leaves, so that a killed fit can be resumed; ``workers`` fit some of the leaves.
    """
    pool = CandidatePool.of(problem, result)
    left, grace_s = seconds_left(), problem.limits.final_fit_grace_s
    weights = _affordable_weights(pool, max_members, left, on_event)
    if max_members > MOST_UNPRUNED:
        weights = _fewest_weights(pool, weights, on_event)
    chosen = [k for k in np.argsort(-np.array(weights), kind="stable").tolist() if weights[k] > 0]
    fitted: dict[int, Member] = {}
    interrupted = False
    refitter = Refitter(
        data=problem.final.data,
        rows=problem.final.rows,
        memory_bytes=problem.memory_bytes,
        on_event=on_event,
        records=records,
        workers=workers,
    )
    held_back = HeldBack(problem=problem, on_event=on_event)
    for place, k in enumerate(chosen):
        entry, name = pool.entries[k], f"model {place + 1} of {len(chosen)}"
        left = seconds_left() if place else left
        if not fitted:
            entry = _with_affordable_leaves(pool, entry, max(left, 0.0) + grace_s, on_event)
        elif pool.entry_seconds(entry) > left + grace_s:
            message = f"the time limit left no room for {name} in the ensemble"
            on_event(Event(kind="fallback", message=message, count=1))
            continue
        try:
            on_event(Event(kind="progress", message=f"fitting {name}", done=place / len(chosen)))
            over = 0.0 if fitted else pool.entry_seconds(entry) - left  # later members have the time
            fitted[k] = _refit(problem, entry, weights[k], refitter, held_back, seconds_over=over)
        except KeyboardInterrupt:
            # Keep the fitted models. If there is none yet, fit the best one, unless interrupted again.
            interrupted = True
            if not fitted:
                fitted[k] = _refit(problem, entry, weights[k], refitter, held_back)
            break
    total = sum(weights[k] for k in fitted)
    shares = {k: weights[k] / total for k in fitted}
    members = [replace(member, weight=shares[k]) for k, member in fitted.items()]
    calibration, predictions = None, pool.combined(shares)
    if problem.data.n_classes:
        calibration = fit_temperature(predictions, problem.scorer.y_valid, problem.scorer.valid_weights)
        predictions = calibration.probabilities(predictions)
    if problem.size is not None:
        _tell_centers(members, on_event)
    return FinalEnsemble(
        members=tuple(members),
        predictions=predictions,
        calibration=calibration,
        decision=problem.scorer.decide(predictions),
        intervals=_fit_intervals(problem, predictions, members, refitter, on_event),
        repairs=members[0].encoder.training_repairs,
        interrupted=interrupted,
    )


def _tell_centers(members: list[Member], on_event: OnEvent) -> None:
    """Report how the limit on the size of the file is kept."""
    kept = []
    for member in members:
        count = sum(len(leaf.centers) for leaf in member.tree.leaves)
        chosen = member.params.get("center_choice", "drawn")
        kept.append(f"{count:,} centers ({chosen})" if count else f"none ({member.params['kernel']})")
    message = f"to keep the file small, the models have {', '.join(kept)}"
    on_event(Event(kind="note", message=message))


def estimate_final_fits(problem: Problem, result: SearchResult, *, max_members: int) -> float:
    """Return the expected seconds of the final fits of the ensemble that would be chosen now."""
    pool = CandidatePool.of(problem, result)
    return pool.refit_seconds(pool.weights(max_members))


def _affordable_weights(
    pool: CandidatePool, max_members: int, seconds: float, on_event: OnEvent
) -> list[float]:
    """Return greedy weights of the largest ensemble whose final fits end in time; report if it is smaller."""
    weights, members = pool.affordable_weights(max_members, seconds)
    if members < min(max_members, len(pool.entries)):
        models = "one model" if members == 1 else f"{members} models"
        message = f"the time limit left room for {models} in the ensemble"
        on_event(Event(kind="fallback", message=message, count=1))
    return weights


def _fewest_weights(pool: CandidatePool, weights: list[float], on_event: OnEvent) -> list[float]:
    """Return the weights of a smaller ensemble that is as good; report how much smaller it is."""
    fewer = pool.fewest_weights(weights)
    members, before = np.count_nonzero(fewer), np.count_nonzero(weights)
    if members < before:
        message = (
            f"{before} models lower the loss by at most {IDLE_SHARE:.1%} compared with the {members} kept"
        )
        on_event(Event(kind="note", message=message))
    return fewer


def _with_affordable_leaves(pool: CandidatePool, entry: Entry, seconds: float, on_event: OnEvent) -> Entry:
    """Return the first member, with smaller leaves if it could not finish in time otherwise."""
    validation_result = entry.validation_result
    candidate = validation_result.candidate
    if not pool.problem.pins.fix_leaf_size:
        candidate = shrink_leaves(candidate, partial(pool.entry_seconds, entry), seconds)
    if candidate is validation_result.candidate:
        return entry
    size = candidate.tree.leaf_size
    if pool.problem.size is not None:
        validated = validation_result.candidate.tree.leaf_size
        candidate = within_size(pool.problem.size, candidate, validated_size=validated)
    message = f"the time limit left room for leaves of at most {size:,} rows in the final fit"
    on_event(Event(kind="fallback", message=message, count=1))
    return replace(entry, validation_result=replace(validation_result, candidate=candidate))


def _refit(
    problem: Problem,
    entry: Entry,
    weight: float,
    refitter: Refitter,
    held_back: HeldBack,
    *,
    seconds_over: float = 0.0,
) -> Member:
    """Fit one member on all rows; choose its temperature on held-back rows, if there are any."""
    validation_result, final = entry.validation_result, problem.final
    candidate = validation_result.candidate
    transform = candidate.transform
    target_transform = final.data.target_transform(final.rows, transform, validation_result.factor)
    found = encode_in_time(problem, candidate, target_transform, refitter, seconds_over=seconds_over)
    if problem.size is not None:
        candidate = within_size(problem.size, candidate, columns=found.x.shape[1])
    translation = None
    if candidate.is_translated:
        translation = final.data.fit_translation(final.rows, target_transform)
    held = held_back.places_for(candidate, validation_result.candidate)
    tree = refitter.fit(
        found,
        candidate,
        target_transform,
        _start_matrix(problem, validation_result, found.encoder),
        trial=entry.number,
        iterations=validation_result.last_iterations,
        translation=translation,
        held=None if held is None else torch.from_numpy(held).to(found.x.device),
    )
    temperature, calibrator = validation_result.temperature if tree.splits else 0.0, entry.calibrator
    if held is not None:
        rows = final.rows[held]

        def decode(raw: torch.Tensor) -> Array:
            if translation is not None:
                raw = raw + final.data.part_of_base(rows, translation, target_transform)
            return target_transform.decode(raw.cpu().double().numpy())

        x = found.x if found.routed is None else found.routed
        temperature, own = choose_temperature(problem, tree, x[held], rows, transform, decode)
        calibrator = own or calibrator
    params: dict[str, Any] = candidate.to_dict() | {
        "iterations": validation_result.iterations,
        "temperature": temperature,
    }
    return Member(
        trial=entry.number,
        weight=weight,
        encoder=found.encoder,
        tree=tree.with_temperature(temperature),
        target_transform=target_transform,
        calibrator=calibrator,
        params=params,
        score=validation_result.score,
        translation=translation,
        base_columns=() if problem.data.base is None or translation is None else problem.data.base.columns,
    )


def _start_matrix(problem: Problem, validated: ValidationResult, encoder: Encoder) -> torch.Tensor | None:
    """Return the average of the folds' feature matrices, in the coordinates of an encoder.

    None means the identity, from which a number of updates that the user fixed is counted.
    """
    if problem.pins.fix_iterations:
        return None
    encoding, transform = validated.candidate.encoding, validated.candidate.transform
    learned = [
        align_feature_matrix(
            feature_matrix,
            problem.folds.matrices(fold, encoding, transform).encoder.feature_names,
            encoder.feature_names,
        )
        for fold, feature_matrix in enumerate(validated.feature_matrices)
    ]
    return average_feature_matrices(learned)


def _fit_intervals(
    problem: Problem,
    predictions: Array,
    members: list[Member],
    refitter: Refitter,
    on_event: OnEvent,
) -> Intervals | None:
    if problem.data.n_classes:
        return None
    plan, encoder = problem.plan, members[0].encoder
    if plan.scheme == "given rows":
        matrix, _ = encoder.encode(problem.data.table.take(plan.validation_rows))
        x = torch.from_numpy(matrix).to(problem.data.device)
    else:  # the training rows' own matrix, in which no row's target has encoded its own categories
        x = next(rows.x for rows in refitter.encoded.values() if rows.encoder is encoder)
        places = problem.final.places_of(plan.validation_rows)
        x = x[torch.from_numpy(places).to(problem.data.device)]
    return fit_intervals(problem, predictions, members, x, on_event)
