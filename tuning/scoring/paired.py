"""Compare two models on the same rows by a paired bootstrap of their metric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.scoring.metrics import Metric, compute_metric
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold

# Rows in all resamples together, about ten seconds for the slowest metric; and limits of their number.
RESAMPLED_ROWS, LEAST_RESAMPLES, MOST_RESAMPLES = 3_000_000, 100, 1_000
TAILS = (0.025, 0.975)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """The difference of two models' scores on the same rows, new minus old, with its 95 % interval."""

    metric: str
    new: float
    old: float
    difference: float
    low: float
    high: float
    p_value: float  # two-sided, that the difference is chance
    lower_is_better: bool

    @property
    def is_worse(self) -> bool:
        """Return whether the new model is worse by more than chance."""
        return self.low > 0 if self.lower_is_better else self.high < 0

    @property
    def words(self) -> str:
        """Return the verdict in one sentence."""
        is_better = self.high < 0 if self.lower_is_better else self.low > 0
        if self.is_worse:
            return "the new model is worse by more than chance"
        return "the new model is better by more than chance" if is_better else "the difference may be chance"


def compare_paired(
    metric: Metric,
    y_true: NDArray[np.generic],
    predictions: tuple[Array, Array],
    decisions: tuple[DecisionThreshold, DecisionThreshold],
    weights: Array | None = None,
    *,
    seed: int = 0,
) -> PairedTest:
    """Compare the predictions of a new and an old model for the same rows ``(n,)``.

    Rows are resampled with replacement, together for both models, so that the difficulty of a row cancels.
    Efron, Tibshirani: An Introduction to the Bootstrap (1993).
    """
    n = len(y_true)
    generator = np.random.default_rng(seed)

    def score(which: int, counts: Array | None) -> float:
        mass = weights if counts is None else counts if weights is None else counts * weights
        if counts is None:
            return compute_metric(metric, y_true, predictions[which], mass, decisions[which])
        kept = counts > 0
        own = None if mass is None else mass[kept]
        return compute_metric(metric, y_true[kept], predictions[which][kept], own, decisions[which])

    new, old = score(0, None), score(1, None)
    resamples = int(np.clip(RESAMPLED_ROWS // max(n, 1), LEAST_RESAMPLES, MOST_RESAMPLES))
    found = []
    for _ in range(resamples):
        counts = np.bincount(generator.integers(0, n, n), minlength=n).astype(np.float64)
        if weights is not None and not (counts * weights).any():
            continue
        found.append(score(0, counts) - score(1, counts))
    differences = np.array(found or [new - old])
    low, high = np.quantile(differences, TAILS).tolist()
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    return PairedTest(
        metric=metric.name,
        new=new,
        old=old,
        difference=new - old,
        low=low,
        high=high,
        p_value=float(min(1.0, 2 * (tail + 1) / (len(differences) + 1))),
        lower_is_better=metric.lower_is_better,
    )
