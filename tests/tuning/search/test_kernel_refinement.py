"""Refining a kernel under a learned feature matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from tests.tuning.tables import fit, noise_table
from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.errors import NumericalError
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.trees import TreeConfig
from xrfm_cli.tuning import limits
from xrfm_cli.tuning.problem.scorer import ValidationScore
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.kernel_refinement import LIMITS, MOST_TRIES, can_refine, refine


def candidate(**leaf: Any) -> Candidate:
    return Candidate(tree=TreeConfig(leaf=LeafConfig(**leaf)), encoding=EncodingConfig())


@dataclass
class Bowl:
    """Stands for rows under a metric: what it predicts is the configuration, seen by a loss as a bowl."""

    unsolvable: float = 0.0  # ridges up to this
    asked: list[tuple[LeafConfig, float]] = field(default_factory=list)

    def predict(self, config: LeafConfig, ridges: list[float]) -> Iterator[torch.Tensor]:
        for ridge in ridges:
            self.asked.append((config, ridge))
            if ridge <= self.unsolvable:
                raise NumericalError("not positive definite")
            values = [np.log2(config.bandwidth), np.log10(ridge), 5 * config.kernel_q, float(config.power)]
            yield torch.tensor([values], dtype=torch.float64)


def toward(*best: float) -> Any:
    def validate(codes: np.ndarray) -> ValidationScore:
        loss = float(((codes[0] - np.array(best)) ** 2).sum())
        return ValidationScore(loss, score=-loss)

    return validate


def test_every_step_goes_where_the_loss_is_less() -> None:
    bowl = Bowl()
    validate = toward(4.0, -3.0, 4.0, 2.0)
    start = candidate(bandwidth=4.0, ridge=0.1, kernel_q=1.2)
    found = refine(start, bowl, validate, {})  # type: ignore[arg-type]
    leaf = found.candidate.tree.leaf
    assert found.tries == len(bowl.asked) <= MOST_TRIES
    best = validate(next(Bowl().predict(leaf, [leaf.ridge])).numpy())
    assert (found.loss, found.score) == pytest.approx(best)
    assert found.loss == pytest.approx(
        min(validate(next(Bowl().predict(config, [ridge])).numpy()).loss for config, ridge in bowl.asked)
    )
    assert found.loss < 0.5 * validate(next(Bowl().predict(start.tree.leaf, [0.1])).numpy()).loss
    assert leaf.ridge == pytest.approx(10**-2.5)
    assert leaf.bandwidth > 8
    assert leaf.kernel_q < 1.0


def test_the_best_to_begin_with_stays() -> None:
    start = candidate(bandwidth=4.0, ridge=0.1, kernel_q=1.0)
    found = refine(start, Bowl(), toward(2.0, -1.0, 5.0, 2.0), {})  # type: ignore[arg-type]
    assert found.candidate == start
    assert found.loss == 0


@pytest.mark.parametrize("name", ["bandwidth", "ridge", "kernel_q"])
def test_a_pinned_hyperparameter_stays(name: str) -> None:
    bowl = Bowl()
    start = candidate(bandwidth=4.0, ridge=0.1, kernel_q=1.2)
    refine(start, bowl, toward(4.0, -3.0, 4.0, 2.0), {name: 1.0})  # type: ignore[arg-type]
    seen = {ridge if name == "ridge" else getattr(config, name) for config, ridge in bowl.asked}
    assert seen == {getattr(start.tree.leaf, name)}
    assert len(bowl.asked) < MOST_TRIES


def test_of_a_sum_power_kernel_the_power_is_tried_and_not_the_bandwidth() -> None:
    bowl = Bowl()
    start = candidate(kernel="sum_power", power=7, bandwidth=4.0)
    found = refine(start, bowl, lambda codes: ValidationScore(-float(codes[0, 3]), 0.0), {})  # type: ignore[arg-type]
    assert found.candidate.tree.leaf.power == 8
    assert {config.bandwidth for config, _ in bowl.asked} == {4.0}
    assert {config.power for config, _ in bowl.asked} <= {6, 7, 8}


def test_limits_are_kept() -> None:
    for side in (0, 1):
        start = candidate(**{name: LIMITS[name][side] for name in ("bandwidth", "ridge", "kernel_q")})
        bowl = Bowl()
        away = toward(*([(-99.0, 99.0)[side]] * 4))
        refine(start, bowl, away, {})  # type: ignore[arg-type]
        for config, ridge in bowl.asked:
            for name, (low, high) in LIMITS.items():
                assert low <= (ridge if name == "ridge" else getattr(config, name)) <= high


def test_an_exponent_never_exceeds_that_of_the_norm() -> None:
    bowl = Bowl()
    refine(candidate(kernel_p=1.0, kernel_q=0.95), bowl, toward(0, 0, 99, 0), {})  # type: ignore[arg-type]
    assert max(config.kernel_q for config, _ in bowl.asked) == 1.0


def test_what_cannot_be_solved_is_passed_over() -> None:
    found = refine(candidate(ridge=0.1), Bowl(unsolvable=0.05), toward(0, -4, 0, 0), {})  # type: ignore[arg-type]
    assert found.candidate.tree.leaf.ridge == 0.1
    assert np.isfinite(found.loss)


def test_only_one_kernel_matrix_is_refined() -> None:
    assert can_refine(candidate(), 1_000)
    assert not can_refine(candidate(kernel="linear"), 1_000)
    assert not can_refine(candidate(max_centers=100), 1_000)
    small = dataclasses.replace(candidate(), tree=TreeConfig(leaf_size=500))
    assert not can_refine(small, 1_000)


def test_a_search_refines_and_tells_how_many_it_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RUNG_ROWS", (300, 900))  # as tables of thousands of rows have
    columns = noise_table(520, d=2)
    columns["y"] = np.sin(2 * columns["x0"]) + 0.05 * columns["y"]
    pinned = {"kernel_p": 2.0, "metric_shape": "diagonal", "kernel_q": 1.0, "bandwidth": 20.0, "ridge": 0.1}
    model = fit(columns, trials=1, folds=2, pinned=pinned, time_limit_s=None)
    assert model.report.trials[0]["tries"] == 0  # with 260 rows the first rung is the last
    freed = {name: value for name, value in pinned.items() if name in ("kernel_p", "metric_shape")}
    model = fit(noise_like(columns), trials=2, folds=5, pinned=freed, seed=1)
    tried = [trial for trial in model.report.trials if trial["tries"]]
    assert tried
    assert all(0 < trial["tries"] <= MOST_TRIES for trial in tried)
    assert model.members[0].params["kernel_p"] == 2.0


def noise_like(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: np.concatenate([value, value[:140]]) for name, value in columns.items()}
