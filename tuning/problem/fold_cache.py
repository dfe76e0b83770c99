"""The encoded matrices of the validation folds, kept in memory up to a number of bytes."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Encoder, EncodingConfig
from xrfm_cli.errors import SchemaError
from xrfm_cli.tuning.problem.learning_data import LearningData, find_encoded
from xrfm_cli.tuning.problem.validation_plan import ValidationPlan
from xrfm_cli.tuning.scoring.target_transforms import TargetTransform, TransformName
from xrfm_cli.tuning.transfer.translation import Translation

# Share of the memory for kernel matrices that encoded folds may take besides. At 4 GiB it holds ten folds of
# 10,000 rows and 300 columns in all their encodings.
CACHE_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldMatrices:
    """One fold under one encoding, on the device."""

    encoder: Encoder
    x_train: Tensor  # (n_train, d) float32, in the fold's shuffled order
    routed_train: Tensor | None  # (n_train, d) float32, encoded as for prediction; None if x_train is that
    y_train: Tensor  # (n_train, outputs) float32
    x_valid: Tensor  # (n_valid, d)
    weights: Tensor | None  # (n_train,)
    translation: Translation | None = None
    base_part: NDArray[np.float64] | None = None  # (n_valid, outputs): of predictions, by the translation

    def with_base(
        self, codes: NDArray[np.float64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return raw predictions of some validation rows, or of all, with the translation's part."""
        if self.base_part is None:
            return codes
        return codes + (self.base_part if rows is None else self.base_part[rows])

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors that take memory."""
        held = (self.x_train, self.routed_train, self.y_train, self.x_valid, self.weights)
        return tuple(tensor for tensor in held if tensor is not None)


@dataclass(slots=True, kw_only=True, eq=False)
class FoldCache:
    """Matrices and target transforms by fold; encoders are fitted on the fold's training rows only.

    The matrices used least recently are dropped once all take more than ``max_bytes``, and encoded again
    when they are needed: results do not depend on the bound.
    """

    data: LearningData
    plan: ValidationPlan
    max_bytes: int
    encoding_s: float = 0.0  # longest time that encoding a fold took
    _matrices: OrderedDict[tuple[tuple[int, EncodingConfig], TransformName], FoldMatrices] = field(
        default_factory=OrderedDict
    )
    _target_transforms: dict[tuple[int, TransformName], TargetTransform] = field(default_factory=dict)
    _translations: dict[tuple[int, TransformName], Translation] = field(default_factory=dict)

    def target_transform(self, fold: int, transform: TransformName = "none") -> TargetTransform:
        """Return the target transform fitted on a fold's training rows."""
        key = (fold, transform)
        if key not in self._target_transforms:
            rows = self.plan.folds[fold].train
            self._target_transforms[key] = self.data.target_transform(rows, transform)
        return self._target_transforms[key]

    def matrices(
        self,
        fold: int,
        encoding: EncodingConfig,
        transform: TransformName = "none",
        *,
        is_translated: bool = False,
    ) -> FoldMatrices:
        """Return the encoded matrices of a fold; a translation is subtracted from the targets."""
        cache, key = self._matrices, (fold, encoding)
        if (key, transform) not in cache:
            rows = self.plan.folds[fold].train
            y_train = self.data.transformed(rows, self.target_transform(fold, transform))
            shared = find_encoded(cache, key, transform)
            if shared is None:
                since = time.monotonic()
                shared = self._encode(fold, encoding, transform, y_train)
                self.encoding_s = max(self.encoding_s, time.monotonic() - since)
            cache[key, transform] = replace(shared, y_train=y_train)
        cache.move_to_end((key, transform))
        found = cache[key, transform]
        while len(cache) > 1 and self.bytes_held() > self.max_bytes:
            cache.popitem(last=False)
        return self._translated(fold, transform, found) if is_translated else found

    def _translated(self, fold: int, transform: TransformName, found: FoldMatrices) -> FoldMatrices:
        rows, target_transform = self.plan.folds[fold], self.target_transform(fold, transform)
        key = (fold, transform)
        if key not in self._translations:
            self._translations[key] = self.data.fit_translation(rows.train, target_transform)
        translation = self._translations[key]
        assert self.data.base_outputs is not None
        explained = self.data.part_of_base(rows.train, translation, target_transform)
        return replace(
            found,
            y_train=found.y_train - explained,
            translation=translation,
            base_part=translation.codes(self.data.base_outputs[rows.valid], target_transform),
        )

    def bytes_held(self) -> int:
        """Return the bytes of all matrices; encodings that differ only in the target share theirs."""
        held = {id(tensor): tensor for found in self._matrices.values() for tensor in found.tensors}
        return sum(tensor.nbytes for tensor in held.values())

    def _encode(
        self, fold: int, encoding: EncodingConfig, transform: TransformName, y_train: Tensor
    ) -> FoldMatrices:
        data, rows, target_transform = (
            self.data,
            self.plan.folds[fold],
            self.target_transform(fold, transform),
        )
        try:
            encoded = data.encode(rows.train, encoding, target_transform)
        except SchemaError:
            # No column varies in this fold: columns that vary elsewhere are constants, and so is the model.
            encoded = data.encode(np.arange(data.table.n_rows), encoding, target_transform)
            routed = None if encoded.routed is None else encoded.routed[rows.train]
            encoded = replace(encoded, x=encoded.x[rows.train], routed=routed)
        x_valid, _ = encoded.encoder.encode(data.typed.table.take(rows.valid))
        return FoldMatrices(
            encoder=encoded.encoder,
            x_train=encoded.x,
            routed_train=encoded.routed,
            y_train=y_train,
            x_valid=torch.from_numpy(x_valid).to(data.device),
            weights=data.weight_tensor(rows.train),
        )
