"""Scores of predictions for validation rows, by one metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.problem.fold_cache import FoldCache
from xrfm_cli.tuning.problem.learning_data import LearningData
from xrfm_cli.tuning.problem.validation_plan import Rows, ValidationPlan
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator, fit_calibrator, outcomes
from xrfm_cli.tuning.scoring.log_target import mean_factor
from xrfm_cli.tuning.scoring.metrics import METRICS, Metric, compute_metric, decide_by
from xrfm_cli.tuning.scoring.rounding import rounded
from xrfm_cli.tuning.scoring.target_transforms import LogTransform, TransformName
from xrfm_cli.tuning.scoring.thresholds import MOST_PROBABLE, DecisionThreshold

Array = NDArray[np.float64]


class ValidationScore(NamedTuple):
    """The loss and score of predictions for validation rows."""

    loss: float  # compares trials, kernels and ensembles
    score: float  # the metric's own value

    def rounded(self) -> ValidationScore:
        """Return the same with the loss rounded for comparisons."""
        return self._replace(loss=rounded(self.loss))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scorer:
    """Decodes raw predictions of the folds' models and scores them."""

    data: LearningData
    plan: ValidationPlan
    folds: FoldCache  # holds the folds' target transforms
    metric: Metric

    @property
    def compared_by(self) -> str:
        """Return the name of the criterion that compares trials, kernels and ensembles."""
        counts_hits = self.metric.needs == "labels"
        return f"{self.metric.name} and log loss together" if counts_hits else self.metric.name

    @property
    def y_valid(self) -> NDArray[Any]:
        """Return the targets of the validation rows, in the plan's order."""
        return self.data.y_true[self.plan.validation_rows]

    @property
    def valid_weights(self) -> Array | None:
        """Return the weights of the validation rows."""
        return self.data.weights_of(self.plan.validation_rows)

    def decode(
        self, folds: Sequence[int], codes: Sequence[Array], rows: Rows, transform: TransformName = "none"
    ) -> tuple[Array, float]:
        """Decode raw predictions of the folds' models for ``rows``, fold after fold.

        Returns decoded predictions ``(n, 1)`` or ``(n, classes)`` and the correction factor. The log target
        transform is corrected by one factor fitted to these rows, so that a trial is validated as its final
        model will predict; the factor is 1 for other transforms.
        """
        target_transforms, factor = [self.folds.target_transform(fold, transform) for fold in folds], 1.0
        pairs = list(zip(target_transforms, codes, strict=True))
        logs = [
            (target_transform, own)
            for target_transform, own in pairs
            if isinstance(target_transform, LogTransform)
        ]
        if logs:
            offsets = np.concatenate(
                [np.full(len(own), target_transform.offset) for target_transform, own in logs]
            )
            predicted = (
                np.concatenate([target_transform.decode(own)[:, 0] for target_transform, own in logs])
                + offsets
            )
            y_true, weights = self.data.rates_of(rows) + offsets, self.data.learning_weights_of(rows)
            factor = mean_factor(self.metric.name, y_true, predicted, weights)
            pairs = [(replace(target_transform, factor=factor), own) for target_transform, own in logs]
        decoded = np.concatenate([target_transform.decode(own) for target_transform, own in pairs])
        return self.data.outcomes_of(rows, decoded), factor

    def validation_score_of(
        self, fold: int, codes: Array, rows: Rows, transform: TransformName = "none"
    ) -> ValidationScore:
        """Return the validation score of a fold model's raw predictions for some rows."""
        return self.score_decoded(self.decode([fold], [codes], rows, transform)[0], rows, transform)

    def validation_score(self, scores: Array, transform: TransformName = "none") -> ValidationScore:
        """Return the validation score of decoded out-of-fold predictions over all validation rows."""
        return self.score_decoded(scores, self.plan.validation_rows, transform)

    def loss_of_predictions(self, predictions: Array, part: Rows | None = None) -> float:
        """Return the loss of final predictions, values ``(n,)`` or probabilities, on all validation rows.

        With ``part``, only these positions of the validation rows count.
        """
        y_true, weights = self.y_valid, self.valid_weights
        if part is not None:
            y_true, predictions = y_true[part], predictions[part]
            weights = None if weights is None else weights[part]
        decision = decide_by(self.metric, y_true, predictions, weights)
        score = compute_metric(self.metric, y_true, predictions, weights, decision)
        return self._loss(score, predictions, y_true, weights)

    def score_of_predictions(self, predictions: Array, decision: DecisionThreshold = MOST_PROBABLE) -> float:
        """Return the metric's value for final predictions over all validation rows."""
        return compute_metric(self.metric, self.y_valid, predictions, self.valid_weights, decision)

    def decide(self, predictions: Array) -> DecisionThreshold:
        """Choose the decision threshold for the metric from predictions of all validation rows."""
        return decide_by(self.metric, self.y_valid, predictions, self.valid_weights)

    def calibrator(self, scores: Array, rows: Rows, transform: TransformName) -> MemberCalibrator | None:
        """Fit the two slopes that turn decoded predictions into probabilities; None for regression."""
        if not self.data.n_classes:
            return None
        return fit_calibrator(
            scores, self.data.y_true[rows], self.data.weights_of(rows), odds=transform == "logit"
        )

    def score_decoded(self, scores: Array, rows: Rows, transform: TransformName) -> ValidationScore:
        """Return the validation score of decoded predictions of some rows of the data."""
        if not np.isfinite(scores).all():
            return ValidationScore(float("inf"), self.metric.value_of(float("inf")))
        y_true, weights = self.data.y_true[rows], self.data.weights_of(rows)
        ranks = (
            self.metric.is_ranking and self.data.n_classes == 2
        )  # calibration would not change the ranking
        calibrator = None if ranks else self.calibrator(scores, rows, transform)
        prediction = outcomes(scores, calibrator)
        decision = decide_by(self.metric, y_true, prediction, weights)
        score = compute_metric(self.metric, y_true, prediction, weights, decision)
        return ValidationScore(self._loss(score, prediction, y_true, weights), score)

    def _loss(
        self, score: float, prediction: Array, y_true: NDArray[np.generic], weights: Array | None
    ) -> float:
        """Return the metric oriented so that less is better, plus the log loss if it needs labels.

        A count of hits carries little information per row, so alone it cannot separate good trials on a few
        thousand rows. Trials chosen by the metric and the log loss together have more hits on new rows.
        """
        loss = self.metric.loss(score)
        if self.metric.needs != "labels":
            return loss
        return loss + compute_metric(METRICS["log_loss"], y_true, prediction, weights)
