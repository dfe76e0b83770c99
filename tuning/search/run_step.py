"""One step of judging a candidate: a fit on some rows of a fold, or kernels tried under its metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.events import OnEvent
from xrfm_cli.leaf_models.fixed_feature_matrix import FixedFeatureMatrix
from xrfm_cli.trees import TreeModel, iterate_tree
from xrfm_cli.tuning.problem.learning_problem import FoldMatrices, Problem, ValidationScore
from xrfm_cli.tuning.problem.validation_plan import Fold, Rows
from xrfm_cli.tuning.search.cost import CostModel, FitSize, fit_size
from xrfm_cli.tuning.search.kernel_refinement import MOST_TRIES, Refined, refine
from xrfm_cli.tuning.search.space import Candidate

Array = NDArray[np.float64]
WORSE_BY = 1.1  # a metric update whose loss is so many times the best ends the iterations
GAIN = 0.998  # and so do those in a row whose loss is not below so many times the best before:
PATIENCE, WARM_START_PATIENCE = 3, 1  # so many, and so many where a metric is given to begin with
USUAL_UPDATES, WARM_START_USUAL_UPDATES = 5, 1  # few fits that may stop early make more
REFINEMENT = 1_000_000  # the "stage" of a refinement, and of the generator that it draws from
TEMPERATURES = (0.0, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """All that the result of a step depends on, besides the problem."""

    trial: int
    fold: int
    rung: int  # its number, or REFINEMENT for kernels that are tried under the metric of a stage
    candidate: Candidate
    rows: int | None  # the first so many training rows of the fold; None: all of them
    start: Tensor | None  # the metric to begin with
    iterations: int = 0  # metric updates, at most
    is_rung: bool = False  # judged by some of the rows that judge the last stage
    stop_early: bool = False  # no more updates where they are not worth their time
    is_late: Callable[[], bool] | None = None  # asked between updates: no more where the time limit is near

    @property
    def is_refinement(self) -> bool:
        """Whether kernels are tried under one metric."""
        return self.rung == REFINEMENT

    @property
    def solves(self) -> int:
        """Solves to expect: all, or as many as are usual where updates end when they gain nothing."""
        if self.is_refinement:
            return MOST_TRIES
        usual = WARM_START_USUAL_UPDATES if self.start is not None else USUAL_UPDATES
        return 1 + (min(self.iterations, usual) if self.stop_early else self.iterations)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Iterate:
    """A model after some metric updates, and its codes for the rows that judge it."""

    feature_matrix: Tensor
    codes: Array  # (rows that judge, outputs)
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What a step came to."""

    path: tuple[Iterate, ...] = ()  # models after 0, 1, ... metric updates
    refined: Refined | None = None

    @property
    def solves(self) -> int:
        """Solves that were made."""
        return len(self.path) if self.refined is None else self.refined.tries


def trial_generator(seed: int, trial: int, fold: int, rung: int) -> torch.Generator:
    """A generator that depends on these numbers alone."""
    state = np.random.SeedSequence([seed, trial, fold, rung]).generate_state(2, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(2)))


def run_step(problem: Problem, step: Step, on_event: OnEvent) -> Fitted:
    """Do the work of a step. Equal steps of equal problems have equal results."""
    if step.is_refinement:
        return Fitted(refined=_refined(problem, step))
    return Fitted(path=tuple(_path(problem, step, on_event)))


def rows_of_rung(fold: Fold, *, is_rung: bool) -> Rows:
    """Row numbers of those that judge a stage."""
    return fold.valid[fold.rung_valid] if is_rung else fold.valid


def path_score(problem: Problem, step: Step, iterate: Iterate) -> ValidationScore:
    """What one model of a step's path is worth."""
    rows = rows_of_rung(problem.plan.folds[step.fold], is_rung=step.is_rung)
    return problem.validation_score_of(step.fold, iterate.codes, rows, step.candidate.transform).rounded()


def size_of(problem: Problem, step: Step) -> FitSize:
    """What the cost of a step depends on."""
    size = rung_size(problem, step.candidate, step.rows or problem.plan.rung_sizes[-1])
    return replace(size, family=f"{size.family}, refined") if step.is_refinement else size


def rung_size(problem: Problem, candidate: Candidate, rows: int) -> FitSize:
    """What the cost of fitting so many rows of a fold, and of judging that, depends on."""
    fold = problem.plan.folds[0]
    last = rows == problem.plan.rung_sizes[-1]
    return fit_size(candidate, rows, validated=len(fold.valid) if last else len(fold.rung_valid))


def mean_feature_matrix(model: TreeModel) -> Tensor:
    """The leaves' metrics averaged by their numbers of rows."""
    if len(model.leaves) == 1:
        return model.leaves[0].feature_matrix
    sizes = [leaf.n_rows for leaf in model.leaves]
    return sum((leaf.feature_matrix * size for leaf, size in zip(model.leaves, sizes, strict=True))) / sum(
        sizes
    )  # type: ignore[return-value]


def _refined(problem: Problem, step: Step) -> Refined:
    """The candidate with the best kernel near its own, under the metric learned from so many rows."""
    candidate, rows, metric = step.candidate, step.rows, step.start
    assert metric is not None
    matrices = problem.fold(step.fold, candidate.encoding, candidate.transform)
    fold = problem.plan.folds[step.fold]
    fixed = FixedFeatureMatrix.prepare(
        matrices.x_train[:rows],
        matrices.y_train[:rows],
        matrices.x_valid[torch.from_numpy(fold.rung_valid)],
        candidate.tree.leaf,
        metric,
        generator=trial_generator(problem.seed, step.trial, step.fold, REFINEMENT),
        weights=None if matrices.weights is None else matrices.weights[:rows],
    )
    validated = rows_of_rung(fold, is_rung=True)
    transform = candidate.transform
    return refine(
        candidate,
        fixed,
        lambda codes: problem.validation_score_of(step.fold, codes, validated, transform),
        problem.pinned,
    )


def _path(problem: Problem, step: Step, on_event: OnEvent) -> list[Iterate]:
    """Models after ``0 .. iterations`` metric updates; fewer rows judge an early stage."""
    candidate, rows = step.candidate, step.rows
    matrices = problem.fold(step.fold, candidate.encoding, candidate.transform)
    path: list[Iterate] = []
    losses: list[float] = []
    models = iterate_tree(
        matrices.x_train[:rows],
        matrices.y_train[:rows],
        candidate.with_iterations(step.iterations).tree,
        generator=trial_generator(problem.seed, step.trial, step.fold, step.rung),
        weights=None if matrices.weights is None else matrices.weights[:rows],
        routed=None if matrices.routed_train is None else matrices.routed_train[:rows],
        initial_feature_matrix=step.start,
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
    """Whether more metric updates are not worth their time: some in a row gained little, or one lost much."""
    if losses[-1] > WORSE_BY * min(losses):
        return True
    return len(losses) > patience and min(losses[-patience:]) > GAIN * min(losses[:-patience])


def _iterate(problem: Problem, step: Step, matrices: FoldMatrices, model: TreeModel) -> Iterate:
    validating, x = problem.plan.folds[step.fold], matrices.x_valid
    few_rows = rows_of_rung(validating, is_rung=True)
    few_x = x if len(few_rows) == len(x) else x[torch.from_numpy(validating.rung_valid)]
    codes = None
    if model.splits and "temperature" not in problem.pinned:
        # Softness is chosen on rows the leaves have not seen; the leaves stay as they are.
        options = [option.cpu().double().numpy() for option in model.predict_at(few_x, TEMPERATURES)]
        transform = step.candidate.transform
        validation_scores = [
            problem.validation_score_of(step.fold, option, few_rows, transform) for option in options
        ]
        best = int(np.argmin([validation_score.rounded().loss for validation_score in validation_scores]))
        model = model.with_temperature(TEMPERATURES[best])
        codes = options[best]
    if step.is_rung:
        x = few_x
    if codes is None or len(codes) < len(x):
        codes = model.predict(x).cpu().double().numpy()
    # In rows, as they are read from a record: the order of sums, and so the last bits, follow the layout.
    return Iterate(
        feature_matrix=mean_feature_matrix(model).contiguous(),
        codes=np.ascontiguousarray(codes),
        temperature=model.temperature,
    )


def estimate_refit(
    problem: Problem, costs: CostModel, candidate: Candidate, *, last_iterations: int
) -> float:
    """Expected seconds of a final fit, where the last stage of judging made so many metric updates."""
    rows = len(problem.plan.refit_rows)
    alone = rows <= candidate.tree.leaf_size
    solves = 1 if alone else last_iterations + 1
    return problem.encoding_s + costs.estimate(fit_size(candidate, rows, validated=0), solves=solves)
