"""One step of evaluating a candidate: a fit on some rows of a fold, or a kernel refinement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Encoder
from xrfm_cli.errors import NumericalError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.fixed_feature_matrix import FixedFeatureMatrix
from xrfm_cli.trees import TreeModel, iterate_tree
from xrfm_cli.tuning.feature_matrices import mean_feature_matrix, starting_matrix
from xrfm_cli.tuning.problem.fold_cache import FoldMatrices
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.scorer import ValidationScore
from xrfm_cli.tuning.problem.validation_plan import Fold, Rows
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import REFINED, CostModel, FitSize, fit_size
from xrfm_cli.tuning.search.kernel_refinement import Refined, refine
from xrfm_cli.tuning.search.step import REFINEMENT, Fitted, Iterate, Step, StepResult
from xrfm_cli.tuning.squares import SQUARES, squares_matrix

Array = NDArray[np.float64]
WORSE_BY = 1.1  # an AGOP update with a loss this many times the best ends the iterations
# So does a run of PATIENCE updates whose losses are not below GAIN times the best loss before; of
# WARM_START_PATIENCE updates if the fit starts from a given feature matrix.
GAIN, PATIENCE, WARM_START_PATIENCE = 0.998, 3, 1
TEMPERATURES = (0.0, 0.05, 0.1, 0.2, 0.4)


def trial_generator(seed: int, trial: int, fold: int, rung: int) -> torch.Generator:
    """Return a generator that depends on these numbers alone."""
    state = np.random.SeedSequence([seed, trial, fold, rung]).generate_state(2, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(2)))


def run_step(problem: Problem, step: Step, on_event: OnEvent) -> Fitted:
    """Run a step. Equal steps of equal problems have equal results."""
    if step.is_refinement:
        return Fitted(refined=_refined(problem, step))
    return Fitted(path=tuple(_path(problem, step, on_event)))


def run_and_collect(
    problem: Problem, step: Step, *, on_event: OnEvent, clock: Callable[[], float]
) -> StepResult:
    """Run a step and collect the result and the events that a checkpoint must replay."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        on_event(event)

    fitted, failure, since = None, "", clock()
    try:
        fitted = run_step(problem, step, listen)
    except NumericalError as fault:
        failure = fault.message
    return StepResult(fitted=fitted, failure=failure, events=tuple(events), seconds=clock() - since)


def rows_of_rung(fold: Fold, *, is_rung: bool) -> Rows:
    """Return the numbers of a rung's validation rows."""
    return fold.valid[fold.rung_valid] if is_rung else fold.valid


def path_score(problem: Problem, step: Step, iterate: Iterate) -> ValidationScore:
    """Return the validation score of one model of a step's path."""
    rows = rows_of_rung(problem.plan.folds[step.fold], is_rung=step.is_rung)
    return problem.scorer.validation_score_of(
        step.fold, iterate.codes, rows, step.candidate.transform
    ).rounded()


def size_of(problem: Problem, step: Step) -> FitSize:
    """Return the size of a step, on which its cost depends."""
    size = rung_size(problem, step.candidate, step.rows or problem.plan.rung_sizes[-1])
    return replace(size, family=size.family + REFINED) if step.is_refinement else size


def rung_size(problem: Problem, candidate: Candidate, rows: int) -> FitSize:
    """Return the size of a fit on this number of a fold's rows, with validation."""
    fold = problem.plan.folds[0]
    last = rows == problem.plan.rung_sizes[-1]
    return fit_size(candidate, rows, validated=len(fold.valid) if last else len(fold.rung_valid))


def fold_matrices(problem: Problem, fold: int, candidate: Candidate) -> FoldMatrices:
    """Return a fold's matrices in the encoding of a candidate."""
    return problem.folds.matrices(
        fold, candidate.encoding, candidate.transform, is_translated=candidate.is_translated
    )


def candidate_start(problem: Problem, candidate: Candidate, encoder: Encoder) -> Tensor | None:
    """Return the feature matrix that a candidate's first fit begins with; None for the identity."""
    return starting_matrix(
        encoder,
        problem.data.base,
        hides_base=candidate.transfer == "translation",
        from_base=candidate.start_matrix == "base",
        device=problem.data.device,
    )


def _refined(problem: Problem, step: Step) -> Refined:
    """Return the candidate with the best kernel near its own, under the feature matrix it has learned."""
    candidate, rows, matrix = step.candidate, step.rows, step.start
    assert matrix is not None
    matrices = fold_matrices(problem, step.fold, candidate)
    fold = problem.plan.folds[step.fold]
    fixed = FixedFeatureMatrix.prepare(
        matrices.x_train[:rows],
        matrices.y_train[:rows],
        matrices.x_valid[torch.from_numpy(fold.rung_valid)],
        candidate.tree.leaf,
        matrix,
        generator=trial_generator(problem.data.seed, step.trial, step.fold, REFINEMENT),
        weights=None if matrices.weights is None else matrices.weights[:rows],
    )
    validated = rows_of_rung(fold, is_rung=True)
    transform = candidate.transform
    return refine(
        candidate,
        fixed,
        lambda codes: problem.scorer.validation_score_of(
            step.fold, matrices.with_base(codes, fold.rung_valid), validated, transform
        ),
        problem.pins,
    )


def _path(problem: Problem, step: Step, on_event: OnEvent) -> list[Iterate]:
    """Return the models after ``0 .. iterations`` AGOP updates; early rungs use fewer validation rows."""
    candidate, rows = step.candidate, step.rows
    matrices = fold_matrices(problem, step.fold, candidate)
    path: list[Iterate] = []
    losses: list[float] = []
    x, y = matrices.x_train[:rows], matrices.y_train[:rows]
    weights = None if matrices.weights is None else matrices.weights[:rows]
    start = step.start
    if start is None and candidate.starts_from_squares:
        generator = trial_generator(problem.data.seed, step.trial, step.fold, SQUARES)
        start = squares_matrix(x, y, weights, candidate.tree.leaf, generator=generator)
    elif start is None:
        start = candidate_start(problem, candidate, matrices.encoder)
    models = iterate_tree(
        x,
        y,
        candidate.with_iterations(step.iterations).tree,
        generator=trial_generator(problem.data.seed, step.trial, step.fold, step.rung),
        weights=weights,
        routed=None if matrices.routed_train is None else matrices.routed_train[:rows],
        initial_feature_matrix=start,
        memory_bytes=problem.memory_bytes,
        on_event=on_event,
    )
    for model in models:
        path.append(_iterate(problem, step, matrices, model))
        if step.stop_early:
            losses.append(path_score(problem, step, path[-1]).loss)
            if _is_settled(losses, WARM_START_PATIENCE if step.start is not None else PATIENCE):
                break
        if step.is_late is not None and len(path) <= step.iterations and step.is_late():
            break
    return path


def _is_settled(losses: list[float], patience: int) -> bool:
    """Return whether to stop AGOP updates: several in a row gained little, or one lost much."""
    if losses[-1] > WORSE_BY * min(losses):
        return True
    return len(losses) > patience and min(losses[-patience:]) > GAIN * min(losses[:-patience])


def _iterate(problem: Problem, step: Step, matrices: FoldMatrices, model: TreeModel) -> Iterate:
    validating, x = problem.plan.folds[step.fold], matrices.x_valid
    few_rows = rows_of_rung(validating, is_rung=True)
    few = None if len(few_rows) == len(x) else validating.rung_valid
    few_x = x if few is None else x[torch.from_numpy(few)]
    codes = None
    if model.splits and not problem.pins.fix_temperature:
        # The softness is chosen on rows unseen by the leaves; the leaves are unchanged.
        predicted = model.predict_at(few_x, TEMPERATURES)
        options = [matrices.with_base(option.cpu().double().numpy(), few) for option in predicted]
        transform = step.candidate.transform
        validation_scores = [
            problem.scorer.validation_score_of(step.fold, option, few_rows, transform) for option in options
        ]
        best = int(np.argmin([validation_score.rounded().loss for validation_score in validation_scores]))
        model = model.with_temperature(TEMPERATURES[best])
        codes = options[best]
    if step.is_rung:
        x = few_x
    if codes is None or len(codes) < len(x):
        codes = model.predict(x).cpu().double().numpy()
        codes = matrices.with_base(codes, few if step.is_rung else None)
    # Row-major, as when read from a checkpoint: the layout decides the order of sums, and so the last bits.
    return Iterate(
        feature_matrix=mean_feature_matrix(model).contiguous(),
        codes=np.ascontiguousarray(codes),
        temperature=model.temperature,
    )


def estimate_refit(
    problem: Problem,
    costs: CostModel,
    candidate: Candidate,
    *,
    last_iterations: int,
    rows: int | None = None,
) -> float:
    """Return the expected seconds of a fit on ``rows``, by default those of the final fits.

    ``last_iterations`` are the AGOP updates of the last rung.
    """
    rows = len(problem.final.rows) if rows is None else rows
    alone = rows <= candidate.tree.leaf_size
    solves = 1 if alone else last_iterations + 1
    encoding_s = problem.folds.encoding_s * max(1.0, rows / len(problem.plan.refit_rows))
    return encoding_s + costs.estimate(fit_size(candidate, rows, validated=0), solves=solves)
