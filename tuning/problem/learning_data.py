"""The rows of a fit: table, targets and weights, and their encoding as matrices."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

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
from xrfm_cli.datasets.scratch import Scratch
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.scoring.target_transforms import TargetTransform, TransformName, fit_target_transform
from xrfm_cli.tuning.transfer.base import Base
from xrfm_cli.tuning.transfer.translation import Translation

Array = NDArray[np.float64]
LEAST_SHARE = 1e-12  # of the mean exposure, as a weight; float32 sums have seven digits


class Encoded(Protocol):
    """Anything that holds encoded rows and their encoder."""

    @property
    def encoder(self) -> Encoder:
        """Return the encoder of the rows."""


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


def weighs_exposure(metric: str | None, pinned: Mapping[str, Any]) -> bool:
    """Return whether rows count by their exposure: always, except in the gamma likelihood."""
    return metric != "gamma_deviance" and pinned.get("loss") != "gamma"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedRows:
    """Rows under one encoding, on the device."""

    encoder: Encoder
    x: Tensor  # (n, d) float32
    # (n, d) float32, encoded as for prediction; None if x is that, without cross-fitting
    routed: Tensor | None

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
        base: Base | None = None,
    ) -> Self:
        """Fit an encoder on the rows of a table; the predictions of a base are further columns."""
        encoder, x, seen = fit_encoder(
            table,
            schema,
            encoding,
            target=target,
            weights=weights,
            seed=seed,
            standardised=() if base is None else base.features,
        )
        routed = None if seen is None else torch.from_numpy(seen).to(device)
        return cls(encoder=encoder, x=torch.from_numpy(x).to(device), routed=routed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearningData:
    """All rows of a fit, training and validation rows, with their targets and weights."""

    table: Table
    typed: TypedRows  # the same rows with their text parsed once, as they are encoded many times
    schema: TableSchema
    target: TargetSchema
    y_true: NDArray[Any]  # (n,) float64 values or int64 class codes
    weights: Array | None
    seed: int
    device: str
    base: Base | None = None  # of transfer learning; its predictions are columns of both tables
    base_outputs: Array | None = None  # (n, k) its predictions
    exposure: Array | None = None  # (n,) of the offset column: the model learns targets per unit of it
    weighs_exposure: bool = True  # whether a rate counts as much as its exposure

    @property
    def scratch(self) -> Scratch | None:
        """Return where the rows are kept, if not in memory."""
        return self.typed.table.scratch

    @property
    def n_classes(self) -> int:
        """Return the number of classes, 0 for regression."""
        return len(self.target.classes)

    def weights_of(self, rows: Rows) -> Array | None:
        """Return the weights of some rows."""
        return None if self.weights is None else self.weights[rows]

    def rates_of(self, rows: Rows) -> NDArray[Any]:
        """Return the targets that the model learns for some rows, per unit of exposure if there is one."""
        return self.y_true[rows] if self.exposure is None else self.y_true[rows] / self.exposure[rows]

    def learning_weights_of(self, rows: Rows) -> Array | None:
        """Return the weights of some rows in a fit.

        The Poisson loss of counts equals that of rates if each row is weighted by its exposure. So a row's
        weight is multiplied by its exposure over the mean exposure of all rows. The gamma loss needs no such
        weights.
        """
        if self.exposure is None or not self.weighs_exposure:
            return self.weights_of(rows)
        shares = np.maximum(self.exposure / self.exposure.mean(), LEAST_SHARE)
        return shares[rows] if self.weights is None else self.weights[rows] * shares[rows]

    def outcomes_of(self, rows: Rows, rates: Array) -> Array:  # (n, c)
        """Turn predictions of the learned targets into predictions of the target of the table."""
        return rates if self.exposure is None else rates * self.exposure[rows, None]

    def weight_tensor(self, rows: Rows) -> Tensor | None:
        """Return the weights of some rows in fits, on the device."""
        weights = self.learning_weights_of(rows)
        return None if weights is None else torch.tensor(weights, dtype=torch.float32, device=self.device)

    def target_transform(
        self, rows: Rows, transform: TransformName = "none", factor: float = 1.0
    ) -> TargetTransform:
        """Return a target transform fitted on some training rows."""
        return fit_target_transform(
            self.rates_of(rows), self.n_classes, self.learning_weights_of(rows), transform, factor
        )

    def transformed(self, rows: Rows, target_transform: TargetTransform) -> Tensor:
        """Return transformed targets of some rows ``(n, outputs)`` float32, on the device."""
        return torch.from_numpy(target_transform.encode(self.rates_of(rows))).float().to(self.device)

    def fit_translation(self, rows: Rows, target_transform: TargetTransform) -> Translation:
        """Return the part of the targets that the base's predictions explain, fitted on some rows."""
        assert self.base is not None
        assert self.base_outputs is not None
        return Translation.fit(
            self.base_outputs[rows],
            target_transform.encode(self.y_true[rows]),
            self.weights_of(rows),
            target_transform,
            is_start=self.base.predicts_target,
        )

    def part_of_base(self, rows: Rows, translation: Translation, target_transform: TargetTransform) -> Tensor:
        """Return the explained part ``(n, outputs)`` of the targets of some rows, on the device."""
        assert self.base_outputs is not None
        codes = translation.codes(self.base_outputs[rows], target_transform)
        return torch.from_numpy(codes).float().to(self.device)

    def encode(self, rows: Rows, encoding: EncodingConfig, target_transform: TargetTransform) -> EncodedRows:
        """Fit an encoder on some rows of the table."""
        every = np.arange(self.typed.table.n_rows)
        typed = self.typed if np.array_equal(rows, every) else self.typed.take(rows)
        y_true = self.rates_of(rows)
        encoded = EncodedRows.fit(
            typed.table,
            self.schema,
            encoding,
            target=np.eye(self.n_classes)[y_true] if self.n_classes else target_transform.encode(y_true),
            weights=self.learning_weights_of(rows),
            seed=self.seed,
            device=self.device,
            base=self.base if encoding.with_base else None,
        )
        encoder = encoded.encoder
        repairs = typed.with_unreadable(encoder.training_repairs)
        return replace(encoded, encoder=replace(encoder, training_repairs=repairs))
