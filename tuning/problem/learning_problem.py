"""The learning problem of one fit: rows, targets, weights, encoded fold by fold and scored by one metric."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import (
    Encoder,
    EncodingConfig,
    Table,
    TableSchema,
    TargetSchema,
    TypedRows,
    fit_encoder,
)
from xrfm_cli.errors import SchemaError
from xrfm_cli.tuning.limits import Limits
from xrfm_cli.tuning.problem.validation_plan import Rows, ValidationPlan
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator, fit_calibrator, outcomes
from xrfm_cli.tuning.scoring.log_target import mean_factor
from xrfm_cli.tuning.scoring.metrics import METRICS, Metric, compute_metric, decide_by
from xrfm_cli.tuning.scoring.rounding import rounded
from xrfm_cli.tuning.scoring.target_transforms import (
    LogTransform,
    TargetTransform,
    TransformName,
    fit_target_transform,
)
from xrfm_cli.tuning.scoring.thresholds import MOST_PROBABLE, DecisionThreshold

Array = NDArray[np.float64]


class Encoded(Protocol):
    """Anything that holds encoded rows and their encoder."""

    @property
    def encoder(self) -> Encoder:
        """Return the encoder of the rows."""


class ValidationScore(NamedTuple):
    """The loss and score of predictions for validation rows."""

    loss: float  # compares trials, kernels and ensembles
    score: float  # the metric's own value

    def rounded(self) -> ValidationScore:
        """Return the same with the loss rounded for comparisons."""
        return self._replace(loss=rounded(self.loss))


Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found", bound=Encoded)


def find_encoded(
    cache: Mapping[tuple[Key, TransformName], Found], key: Key, transform: TransformName
) -> Found | None:
    """Return cached rows, also of another target transform if the encoder does not read the target."""
    for (known, other), found in cache.items():
        if known == key and (other == transform or not found.encoder.reads_target):
            return found
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedRows:
    """Rows under one encoding, on the device."""

    encoder: Encoder
    x: Tensor  # (n, d) float32
    routed: (
        Tensor | None
    )  # (n, d) float32, encoded as for prediction; None if x is that, without cross-fitting

    @classmethod
    def fit(
        cls,
        table: Table,
        schema: TableSchema,
        encoding: EncodingConfig,
        *,
        target: Array,  # (n, c)
        weights: Array | None,
        seed: int,
        device: str,
    ) -> Self:
        """Fit an encoder on the rows of a table."""
        encoder, x, seen = fit_encoder(table, schema, encoding, target=target, weights=weights, seed=seed)
        routed = None if seen is None else torch.from_numpy(seen).to(device)
        return cls(encoder=encoder, x=torch.from_numpy(x).to(device), routed=routed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldMatrices:
    """One fold under one encoding, on the device."""

    encoder: Encoder
    x_train: Tensor  # (n_train, d) float32, in the fold's shuffled order
    routed_train: Tensor | None  # (n_train, d) float32, encoded as for prediction; None if x_train is that
    y_train: Tensor  # (n_train, outputs) float32
    x_valid: Tensor  # (n_valid, d)
    weights: Tensor | None  # (n_train,)
    encoding_s: float  # seconds spent encoding the rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Everything that candidates share."""

    table: Table
    typed: TypedRows  # the same rows with their text parsed once, as they are encoded many times
    schema: TableSchema
    target: TargetSchema
    y_true: NDArray[Any]  # (n,) float64 values or int64 class codes
    weights: Array | None
    metric: Metric
    plan: ValidationPlan
    limits: Limits
    seed: int
    device: str
    memory_bytes: int
    pinned: Mapping[str, Any]
    _matrices: dict[tuple[tuple[int, EncodingConfig], TransformName], FoldMatrices] = field(
        default_factory=dict
    )
    _target_transforms: dict[tuple[int, TransformName], TargetTransform] = field(default_factory=dict)

    @property
    def compared_by(self) -> str:
        """Return the name of what trials, kernels and ensembles are compared by."""
        counts_hits = self.metric.needs == "labels"
        return f"{self.metric.name} and log loss together" if counts_hits else self.metric.name

    @property
    def n_classes(self) -> int:
        """Return the number of classes, 0 for regression."""
        return len(self.target.classes)

    @property
    def y_valid(self) -> NDArray[Any]:
        """Return the targets of the validation rows, in the plan's order."""
        return self.y_true[self.plan.validation_rows]

    @property
    def valid_weights(self) -> Array | None:
        """Return the weights of the validation rows."""
        return None if self.weights is None else self.weights[self.plan.validation_rows]

    def target_transform(self, fold: int, transform: TransformName = "none") -> TargetTransform:
        """Return the target transform fitted on a fold's training rows."""
        key = (fold, transform)
        if key not in self._target_transforms:
            self._target_transforms[key] = self.target_transform_of(self.plan.folds[fold].train, transform)
        return self._target_transforms[key]

    def target_transform_of(
        self, rows: Rows, transform: TransformName, factor: float = 1.0
    ) -> TargetTransform:
        """Return a target transform fitted on some training rows."""
        return fit_target_transform(
            self.y_true[rows], self.n_classes, self._weights_of(rows), transform, factor
        )

    def fold(self, fold: int, encoding: EncodingConfig, transform: TransformName = "none") -> FoldMatrices:
        """Return the encoded matrices of a fold; the encoder is fitted on its training rows only."""
        cache, key = self._matrices, (fold, encoding)
        if (key, transform) not in cache:
            y_train = self.coded(self.plan.folds[fold].train, self.target_transform(fold, transform))
            shared = find_encoded(cache, key, transform)
            if shared is None:
                shared = self._encode_fold(fold, encoding, transform, y_train)
            cache[key, transform] = replace(shared, y_train=y_train)
        return cache[key, transform]

    def _encode_fold(
        self, fold: int, encoding: EncodingConfig, transform: TransformName, y_train: Tensor
    ) -> FoldMatrices:
        rows, target_transform, began = (
            self.plan.folds[fold],
            self.target_transform(fold, transform),
            time.monotonic(),
        )
        try:
            encoded = self.encode(rows.train, encoding, target_transform)
        except SchemaError:
            # No column varies in this fold: columns that vary elsewhere are constants, and so is the model.
            encoded = self.encode(np.arange(self.table.n_rows), encoding, target_transform)
            routed = None if encoded.routed is None else encoded.routed[rows.train]
            encoded = replace(encoded, x=encoded.x[rows.train], routed=routed)
        x_valid, _ = encoded.encoder.encode(self.typed.table.take(rows.valid))
        return FoldMatrices(
            encoder=encoded.encoder,
            x_train=encoded.x,
            routed_train=encoded.routed,
            y_train=y_train,
            x_valid=torch.from_numpy(x_valid).to(self.device),
            weights=self.weight_tensor(rows.train),
            encoding_s=time.monotonic() - began,
        )

    @property
    def encoding_s(self) -> float:
        """Return the longest time that encoding a fold took, 0 before the first."""
        return max((matrices.encoding_s for matrices in self._matrices.values()), default=0.0)

    def encode(self, rows: Rows, encoding: EncodingConfig, target_transform: TargetTransform) -> EncodedRows:
        """Fit an encoder on some rows of the table."""
        y_true, typed = self.y_true[rows], self.typed.take(rows)
        encoded = EncodedRows.fit(
            typed.table,
            self.schema,
            encoding,
            target=np.eye(self.n_classes)[y_true] if self.n_classes else target_transform.encode(y_true),
            weights=self._weights_of(rows),
            seed=self.seed,
            device=self.device,
        )
        encoder = encoded.encoder
        repairs = typed.with_unreadable(encoder.training_repairs)
        return replace(encoded, encoder=replace(encoder, training_repairs=repairs))

    def coded(self, rows: Rows, target_transform: TargetTransform) -> Tensor:
        """Return transformed targets of some rows ``(n, outputs)`` float32, on the device."""
        return torch.from_numpy(target_transform.encode(self.y_true[rows])).float().to(self.device)

    def decode(
        self, folds: Sequence[int], codes: Sequence[Array], rows: Rows, transform: TransformName = "none"
    ) -> tuple[Array, float]:
        """Decode raw predictions of the folds' models for ``rows``, fold after fold.

        Returns decoded predictions ``(n, 1)`` or ``(n, classes)`` and the correction factor. The log target
        transform is corrected by one factor fitted to these rows, so that a trial is validated as its final
        model will predict; the factor is 1 for other transforms.
        """
        target_transforms, factor = [self.target_transform(fold, transform) for fold in folds], 1.0
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
            y_true = self.y_true[rows] + offsets
            factor = mean_factor(self.metric.name, y_true, predicted, self._weights_of(rows))
            pairs = [(replace(target_transform, factor=factor), own) for target_transform, own in logs]
        return np.concatenate([target_transform.decode(own) for target_transform, own in pairs]), factor

    def validation_score_of(
        self, fold: int, codes: Array, rows: Rows, transform: TransformName = "none"
    ) -> ValidationScore:
        """Return the validation score of a fold model's raw predictions for some rows."""
        return self._validation_score(self.decode([fold], [codes], rows, transform)[0], rows, transform)

    def validation_score(self, scores: Array, transform: TransformName = "none") -> ValidationScore:
        """Return the validation score of decoded out-of-fold predictions over all validation rows."""
        return self._validation_score(scores, self.plan.validation_rows, transform)

    def loss_of_predictions(self, predictions: Array) -> float:
        """Return the loss of final predictions, values ``(n,)`` or probabilities, on all validation rows."""
        score = self.score_of_predictions(predictions, self.decide(predictions))
        return self._loss(score, predictions, self.y_valid, self.valid_weights)

    def score_of_predictions(self, predictions: Array, decision: DecisionThreshold = MOST_PROBABLE) -> float:
        """Return the metric's value for final predictions over all validation rows."""
        return compute_metric(self.metric, self.y_valid, predictions, self.valid_weights, decision)

    def decide(self, predictions: Array) -> DecisionThreshold:
        """Choose the decision threshold for the metric from predictions of all validation rows."""
        return decide_by(self.metric, self.y_valid, predictions, self.valid_weights)

    def weight_tensor(self, rows: Rows) -> Tensor | None:
        """Return the weights of some rows, on the device."""
        weights = self._weights_of(rows)
        return None if weights is None else torch.tensor(weights, dtype=torch.float32, device=self.device)

    def calibrator(self, scores: Array, rows: Rows, transform: TransformName) -> MemberCalibrator | None:
        """Fit the two slopes that turn decoded predictions into probabilities; None for regression."""
        if not self.n_classes:
            return None
        return fit_calibrator(scores, self.y_true[rows], self._weights_of(rows), odds=transform == "logit")

    def _validation_score(self, scores: Array, rows: Rows, transform: TransformName) -> ValidationScore:
        if not np.isfinite(scores).all():
            return ValidationScore(float("inf"), self.metric.value_of(float("inf")))
        y_true, weights = self.y_true[rows], self._weights_of(rows)
        ranks = self.metric.is_ranking and self.n_classes == 2  # calibration would not change the ranking
        calibrator = None if ranks else self.calibrator(scores, rows, transform)
        prediction = outcomes(scores, calibrator)
        decision = decide_by(self.metric, y_true, prediction, weights)
        score = compute_metric(self.metric, y_true, prediction, weights, decision)
        return ValidationScore(self._loss(score, prediction, y_true, weights), score)

    def _loss(
        self, score: float, prediction: Array, y_true: NDArray[np.generic], weights: Array | None
    ) -> float:
        """Return the metric oriented so that less is better, plus the log loss if it needs labels.

        A count of hits carries little information per row, so by itself it cannot separate good trials on a
        few thousand rows. Chosen together with the log loss of the same rows, trials have more hits on new
        ones.
        """
        loss = self.metric.loss(score)
        if self.metric.needs != "labels":
            return loss
        return loss + compute_metric(METRICS["log_loss"], y_true, prediction, weights)

    def _weights_of(self, rows: Rows) -> Array | None:
        return None if self.weights is None else self.weights[rows]
