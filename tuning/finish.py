"""After the search: the ensemble, its final fits, calibration, decision and intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets import EncodingConfig, Repair
from xrfm_cli.datasets.events import Event, OnEvent
from xrfm_cli.tuning.calibration import Calibrator, fit_temperature, outcomes
from xrfm_cli.tuning.coding import CodingName
from xrfm_cli.tuning.cost import CostModel, fit_size
from xrfm_cli.tuning.decision import Decision
from xrfm_cli.tuning.ensemble import choose_pool, greedy_weights
from xrfm_cli.tuning.evaluation import Judgement
from xrfm_cli.tuning.intervals import Intervals
from xrfm_cli.tuning.model import Member
from xrfm_cli.tuning.problem import EncodedRows, Problem, find_encoded
from xrfm_cli.tuning.refit import REFIT_FOLD, align_metric, average_metrics, refit_tree
from xrfm_cli.tuning.space import Candidate
from xrfm_cli.tuning.spread import fit_intervals
from xrfm_cli.tuning.steps import trial_generator
from xrfm_cli.tuning.trials import SearchResult

Array = NDArray[np.float64]
EncodedCache = dict[tuple[EncodingConfig, CodingName], EncodedRows]
CANDIDATES = 20  # the best finished trials, from which the ensemble is chosen,
OF_EACH_KIND = 2  # and of each kind the best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """What the search came to."""

    members: tuple[Member, ...]
    predictions: Array  # out-of-fold predictions of the ensemble: values or calibrated probabilities
    calibration: Calibrator | None
    decision: Decision
    intervals: Intervals | None
    repairs: tuple[Repair, ...]  # values mended in the training rows
    interrupted: bool


def estimate_refit(
    problem: Problem, costs: CostModel, candidate: Candidate, *, last_iterations: int
) -> float:
    """Expected seconds of a final fit, where the last stage of judging made so many metric updates."""
    rows = len(problem.plan.refit_rows)
    alone = rows <= candidate.tree.leaf_size
    solves = 1 if alone else last_iterations + 1
    return costs.estimate(fit_size(candidate, rows, judged=0), solves=solves)


def finish_ensemble(
    problem: Problem,
    result: SearchResult,
    *,
    max_members: int,
    seconds_left: Callable[[], float],
    on_event: OnEvent,
) -> Finished:
    """Choose the ensemble by out-of-fold predictions and fit its members on all rows."""
    ranked = _ranked(problem, result)
    calibrators = [_calibrator(problem, judgement) for _, judgement in ranked]
    outputs = _outputs(ranked, calibrators)
    weights = _affordable_weights(problem, result, ranked, outputs, max_members, seconds_left(), on_event)
    chosen = [k for k in np.argsort(-np.array(weights), kind="stable").tolist() if weights[k] > 0]
    fitted: dict[int, Member] = {}
    interrupted = False
    encoded: EncodedCache = {}
    for place, k in enumerate(chosen):
        number, judgement = ranked[k]
        message = f"fitting model {place + 1} of {len(chosen)}"
        try:
            on_event(Event(kind="progress", message=message, done=place / len(chosen)))
            fitted[k] = _refit(problem, number, judgement, weights[k], calibrators[k], encoded, on_event)
        except KeyboardInterrupt:
            # What is fitted is kept; if nothing is yet, the best one is worth the wait, unless asked again.
            interrupted = True
            if not fitted:
                fitted[k] = _refit(problem, number, judgement, weights[k], calibrators[k], encoded, on_event)
            break
    total = sum(weights[k] for k in fitted)
    members = [replace(member, weight=weights[k] / total) for k, member in fitted.items()]
    combined = sum((weights[k] / total * outputs[k] for k in fitted), np.zeros_like(outputs[0]))
    calibration, predictions = None, combined
    if problem.n_classes:
        calibration = fit_temperature(combined, problem.judged_truth, problem.judged_weights)
        predictions = calibration.probabilities(combined)
    return Finished(
        members=tuple(members),
        predictions=predictions,
        calibration=calibration,
        decision=problem.decide(predictions),
        intervals=_fit_intervals(problem, predictions, members, encoded, on_event),
        repairs=members[0].encoder.encode(problem.table.take(problem.plan.refit_rows))[1],
        interrupted=interrupted,
    )


def estimate_finish(problem: Problem, result: SearchResult, *, max_members: int) -> float:
    """Expected seconds of the final fits of the ensemble that would be chosen now."""
    ranked = _ranked(problem, result)
    outputs = _outputs(ranked, [_calibrator(problem, judgement) for _, judgement in ranked])
    weights = greedy_weights(outputs, problem.loss_of_predictions, max_members=max_members)
    return _refit_seconds(problem, result, ranked, weights)


def _ranked(problem: Problem, result: SearchResult) -> list[tuple[int, Judgement]]:
    """The finished trials from which the ensemble is chosen, best first.

    Where only the order of the rows counts, a constant is among them if nothing is better. Averaged with
    others it changes no order: it would take weight for nothing, and their probabilities lose what they say.
    """
    ranked = sorted(result.judgements, key=lambda item: (item[1].loss, item[0]))
    if problem.metric.is_ranking:
        ranked = ranked[:1] + [item for item in ranked[1:] if item[1].candidate.family != "constant"]
    kinds = [_kind(judgement.candidate) for _, judgement in ranked]
    return [ranked[place] for place in choose_pool(kinds, best=CANDIDATES, of_each_kind=OF_EACH_KIND)]


def _kind(candidate: Candidate) -> tuple[str, ...]:
    """What members that err differently differ in."""
    return candidate.family, candidate.tree.leaf.metric_shape, candidate.encoding.numeric, candidate.coding


def _outputs(ranked: list[tuple[int, Judgement]], calibrators: Sequence[Calibrator | None]) -> list[Array]:
    return [
        outcomes(judgement.scores, calibrator)
        for (_, judgement), calibrator in zip(ranked, calibrators, strict=True)
    ]


def _refit_seconds(
    problem: Problem, result: SearchResult, ranked: list[tuple[int, Judgement]], weights: Sequence[float]
) -> float:
    """Expected seconds of the final fits of those that have a weight."""
    chosen = [judgement for (_, judgement), weight in zip(ranked, weights, strict=True) if weight > 0]
    return sum(
        estimate_refit(problem, result.costs, j.candidate, last_iterations=j.last_iterations) for j in chosen
    )


def _affordable_weights(
    problem: Problem,
    result: SearchResult,
    ranked: list[tuple[int, Judgement]],
    outputs: list[Array],
    max_members: int,
    seconds: float,
    on_event: OnEvent,
) -> list[float]:
    """Greedy weights of the largest ensemble whose final fits end in time."""
    for members in range(min(max_members, len(ranked)), 0, -1):
        weights = greedy_weights(outputs, problem.loss_of_predictions, max_members=members)
        if members == 1 or _refit_seconds(problem, result, ranked, weights) <= seconds:
            break
    if members < min(max_members, len(ranked)):
        on_event(
            Event(
                kind="fallback",
                message=f"the time limit left room for {members} models in the ensemble",
                count=members,
            )
        )
    return weights


def _calibrator(problem: Problem, judgement: Judgement) -> Calibrator | None:
    return problem.calibrator(judgement.scores, problem.plan.judged_rows, judgement.candidate.coding)


def _refit(
    problem: Problem,
    number: int,
    judgement: Judgement,
    weight: float,
    calibrator: Calibrator | None,
    encoded: EncodedCache,
    on_event: OnEvent,
) -> Member:
    candidate, rows = judgement.candidate, problem.plan.refit_rows
    encoding, transform = candidate.encoding, candidate.coding
    coding = problem.coding_of(rows, transform, judgement.factor)
    found = find_encoded(encoded, encoding, transform) or problem.encode(rows, encoding, coding)
    encoded[encoding, transform], encoder = found, found.encoder
    fresh = "iterations" in problem.pinned  # so many updates from the start, as the user asked
    learned = [
        align_metric(
            metric, problem.fold(fold, encoding, transform).encoder.feature_names, encoder.feature_names
        )
        for fold, metric in enumerate(judgement.metrics)
    ]
    tree = refit_tree(
        found,
        problem.coded(rows, coding),
        problem.weight_tensor(rows),
        candidate,
        None if fresh else average_metrics(learned),
        iterations=judgement.last_iterations,
        generator=trial_generator(problem.seed, number, REFIT_FOLD, 0),
        memory_bytes=problem.memory_bytes,
        on_event=on_event,
    )
    temperature = judgement.temperature if tree.splits else 0.0
    params: dict[str, Any] = candidate.to_dict() | {
        "iterations": judgement.iterations,
        "temperature": temperature,
    }
    return Member(
        trial=number,
        weight=weight,
        encoder=encoder,
        tree=tree.with_temperature(temperature),
        coding=coding,
        calibrator=calibrator,
        params=params,
        score=judgement.score,
    )


def _fit_intervals(
    problem: Problem,
    predictions: Array,
    members: list[Member],
    encoded: EncodedCache,
    on_event: OnEvent,
) -> Intervals | None:
    if problem.n_classes:
        return None
    plan, encoder = problem.plan, members[0].encoder
    if plan.scheme == "given rows":
        matrix, _ = encoder.encode(problem.table.take(plan.judged_rows))
        x = torch.from_numpy(matrix).to(problem.device)
    else:  # the training rows' own matrix, in which no row's target has encoded its own categories
        x = next(rows.x for rows in encoded.values() if rows.encoder is encoder)
        x = x[torch.from_numpy(plan.judged_rows).to(problem.device)]
    return fit_intervals(problem, predictions, members, x, on_event)
