"""The learning problem of one fit: rows, targets, weights, encoded fold by fold and judged by one metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Encoder, EncodingConfig, Table, TableSchema, TargetSchema, fit_encoder
from xrfm_cli.datasets.errors import SchemaError
from xrfm_cli.tuning.calibration import fit_calibrator
from xrfm_cli.tuning.coding import TargetCoding, fit_coding
from xrfm_cli.tuning.metrics import METRICS, Metric, compute_metric, predicted_codes
from xrfm_cli.tuning.plan import Plan, Rows

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldMatrices:
    """One fold under one encoding, on the device."""

    encoder: Encoder
    x_train: Tensor  # (n_train, d) float32, in the fold's shuffled order
    y_train: Tensor  # (n_train, outputs) float32
    x_valid: Tensor  # (n_valid, d)
    weights: Tensor | None  # (n_train,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Everything that candidates share."""

    table: Table
    schema: TableSchema
    target: TargetSchema
    truth: NDArray[Any]  # (n,) float64 values or int64 class codes
    weights: Array | None
    metric: Metric
    plan: Plan
    seed: int
    device: str
    memory_bytes: int
    pinned: Mapping[str, Any]
    _matrices: dict[tuple[int, EncodingConfig], FoldMatrices] = field(default_factory=dict)
    _codings: dict[int, TargetCoding] = field(default_factory=dict)

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 for regression."""
        return len(self.target.classes)

    @property
    def judged_truth(self) -> NDArray[Any]:
        """Targets of the judged rows, in the order of the plan."""
        return self.truth[self.plan.judged_rows]

    @property
    def judged_weights(self) -> Array | None:
        """Weights of the judged rows."""
        return None if self.weights is None else self.weights[self.plan.judged_rows]

    def coding(self, fold: int) -> TargetCoding:
        """How targets are coded on a fold's training rows."""
        if fold not in self._codings:
            rows = self.plan.folds[fold].train
            self._codings[fold] = fit_coding(self.truth[rows], self.n_classes, self._weights_of(rows))
        return self._codings[fold]

    def fold(self, fold: int, encoding: EncodingConfig) -> FoldMatrices:
        """The encoded matrices of a fold; the encoder has seen its training rows alone."""
        key = (fold, encoding)
        if key not in self._matrices:
            rows = self.plan.folds[fold]
            try:
                encoder, x_train, y_train = self.encode(rows.train, encoding, self.coding(fold))
            except SchemaError:
                # No column varies here: those that vary elsewhere are constants, and so is the model.
                coding = self.coding(fold)
                encoder, x_all, _ = self.encode(np.arange(self.table.n_rows), encoding, coding)
                x_train = x_all[rows.train]
                y_train = torch.from_numpy(coding.encode(self.truth[rows.train])).float().to(self.device)
            x_valid, _ = encoder.encode(self.table.take(rows.valid))
            self._matrices[key] = FoldMatrices(
                encoder=encoder,
                x_train=x_train,
                y_train=y_train,
                x_valid=torch.from_numpy(x_valid).to(self.device),
                weights=self.weight_tensor(rows.train),
            )
        return self._matrices[key]

    def encode(
        self, rows: Rows, encoding: EncodingConfig, coding: TargetCoding
    ) -> tuple[Encoder, Tensor, Tensor]:
        """Fit an encoder on some rows; the encoder, their matrix and their coded targets."""
        truth = self.truth[rows]
        coded = coding.encode(truth)
        indicators = np.eye(self.n_classes)[truth] if self.n_classes else coded
        encoder, x = fit_encoder(
            self.table.take(rows),
            self.schema,
            encoding,
            target=indicators,
            weights=self._weights_of(rows),
            seed=self.seed,
        )
        return encoder, torch.from_numpy(x).to(self.device), torch.from_numpy(coded).float().to(self.device)

    def decode(self, fold: int, codes: Array) -> Array:
        """Codes of a fold's model to scores ``(n, 1)`` or ``(n, classes)``."""
        return self.coding(fold).decode(codes)

    def loss_of(self, fold: int, codes: Array, rows: Rows) -> float:
        """Loss of the codes that a fold's model has for some rows."""
        return self._loss(self.decode(fold, codes), rows)

    def loss(self, scores: Array) -> float:
        """Loss of decoded out-of-fold scores over all judged rows."""
        return self._loss(scores, self.plan.judged_rows)

    def loss_of_predictions(self, predictions: Array) -> float:
        """Loss of final predictions, values ``(n,)`` or probabilities, over all judged rows."""
        return self.metric.loss(self.score_of_predictions(predictions))

    def score_of_predictions(self, predictions: Array, threshold: float | None = None) -> float:
        """The metric's own value of final predictions over all judged rows."""
        return compute_metric(self.metric, self.judged_truth, predictions, self.judged_weights, threshold)

    def loss_of_log(self, probabilities: Array) -> float:
        """Log loss of probabilities over all judged rows."""
        return compute_metric(METRICS["log_loss"], self.judged_truth, probabilities, self.judged_weights)

    def weight_tensor(self, rows: Rows) -> Tensor | None:
        """Weights of some rows, on the device."""
        weights = self._weights_of(rows)
        return None if weights is None else torch.tensor(weights, dtype=torch.float32, device=self.device)

    def predictions(self, scores: Array, rows: Rows) -> Array:
        """Scores as values ``(n,)``, or as probabilities calibrated on the same rows by two slopes."""
        if not self.n_classes:
            return scores[:, 0]
        return fit_calibrator(scores, self.truth[rows], self._weights_of(rows)).probabilities(scores)

    def _loss(self, scores: Array, rows: Rows) -> float:
        if not np.isfinite(scores).all():
            return float("inf")
        truth, weights = self.truth[rows], self._weights_of(rows)
        if self.n_classes and self.metric.needs == "labels":
            prediction: Array = predicted_codes(scores).astype(float)
            return self.metric.loss(self.metric.compute(truth, prediction, weights))
        if self.n_classes and self.metric.name == "auc" and self.n_classes == 2:
            prediction = scores  # ranking alone counts: calibration would not change it
        else:
            prediction = self.predictions(scores, rows)
        return self.metric.loss(compute_metric(self.metric, truth, prediction, weights))

    def _weights_of(self, rows: Rows) -> Array | None:
        return None if self.weights is None else self.weights[rows]
