"""The fitted model: encoders, trees, ensemble weights, calibration and decision threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Encoder, Repair, Table, TableSchema, TargetSchema, read_offset
from xrfm_cli.datasets.encoders.numeric import NumericEncoder
from xrfm_cli.datasets.encoders.table_encoder import EncodedColumns
from xrfm_cli.datasets.encoders.typed_rows import type_rows
from xrfm_cli.errors import ModelFileError, OptionError
from xrfm_cli.leaf_models.transfers import device_blocks
from xrfm_cli.mentions import option
from xrfm_cli.trees import TreeModel
from xrfm_cli.trees.stored_leaves import StoredLeaves, outlines
from xrfm_cli.tuning.model.compression import Compression
from xrfm_cli.tuning.model.intervals import Intervals
from xrfm_cli.tuning.model.profile import ColumnProfile
from xrfm_cli.tuning.model.report import FitReport
from xrfm_cli.tuning.model.trained_rows import TrainedRows
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator, outcomes
from xrfm_cli.tuning.scoring.target_transforms import TargetTransform
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold
from xrfm_cli.tuning.transfer.base import Base
from xrfm_cli.tuning.transfer.translation import Translation

Array = NDArray[np.float64]
BLOCK_ROWS = 8_192  # rows predicted at once; bounds the memory of a prediction
# A block reads every leaf once, so blocks grow with the leaves: each leaf should serve this many rows.
ROWS_PER_LEAF, MOST_BLOCK_ROWS = 16, 65_536
MOST_BLOCK_NUMBERS = 1 << 24  # of one encoded block: 64 MiB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One tree of the ensemble."""

    trial: int
    weight: float
    encoder: Encoder
    tree: TreeModel
    target_transform: TargetTransform
    calibrator: MemberCalibrator | None  # of its class predictions; None for regression
    params: dict[str, Any]
    score: float  # its own out-of-fold score
    source: str = "the model"  # the file it was read from, for messages
    translation: Translation | None = None  # is added to the tree's outputs
    base_columns: tuple[str, ...] = ()  # columns of the base's predictions that the translation reads

    def outputs(self, x: Tensor) -> Array:  # (n, d) on the tree's device
        """Return raw predictions ``(n, outputs)`` of encoded rows: the tree's, plus the translation."""
        codes: Array = self.tree.predict(x).cpu().double().numpy()
        return codes if self.translation is None else codes + self.translated(x)

    def translated(self, x: Tensor) -> Array:  # (n, d)
        """Return the translation's part ``(n, outputs)`` of the raw predictions."""
        assert self.translation is not None
        base = np.tile(np.array(self.translation.centers), (len(x), 1))
        for column, group in zip(self.encoder.columns, self.encoder.groups, strict=True):
            if group.column in self.base_columns:
                assert isinstance(column, NumericEncoder)
                if column.scaling is not None:
                    values = x[:, group.start].cpu().double().numpy()
                    base[:, self.base_columns.index(group.column)] = column.scaling.undo(values)
        return self.translation.codes(base, self.target_transform)

    def scores(self, x: Tensor) -> Array:  # (n, d) on the tree's device
        """Return decoded predictions ``(n, 1)`` or ``(n, classes)`` of encoded rows."""
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is refused below
            codes = self.outputs(x)
            scores = self.target_transform.decode(codes)
        self.require_finite(codes, scores)
        return scores

    def require_finite(self, *values: Array) -> None:
        """Raise ModelFileError for values that are not finite, which no fitted model gives."""
        if not all(np.isfinite(part).all() for part in values):
            raise ModelFileError(
                f"{self.source}: its tensors give values that are not finite. "
                "Copy the file again or fit again."
            )

    def prediction(self, x: Tensor) -> Array:  # (n, d) on the tree's device
        """Return values ``(n,)`` or probabilities ``(n, classes)``."""
        return outcomes(self.scores(x), self.calibrator)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """Predictions of a table's rows."""

    values: Array | None  # (n,) for regression
    probabilities: Array | None  # (n, classes)
    lower: Array | None
    upper: Array | None
    repairs: tuple[Repair, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedModel:
    """A self-contained model that predicts and explains."""

    schema: TableSchema
    target: TargetSchema
    members: tuple[Member, ...]
    calibration: MemberCalibrator | None  # of the ensemble's probabilities
    decision: DecisionThreshold  # how classes follow from probabilities
    intervals: Intervals | None
    report: FitReport
    versions: dict[str, str]
    created: str
    device: str = "cpu"
    profile: tuple[ColumnProfile, ...] | None = None  # of the training rows; None for older files without one
    trained: TrainedRows | None = None  # their fingerprints; None for older files without them
    compression: Compression | None = None  # None for numbers of 32 bits
    base: Base | None = None  # of transfer learning: its predictions are columns

    def predict(
        self, table: Table, *, interval: float | None = None, before: int = 0, per_unit: bool = False
    ) -> Prediction:
        """Predict the rows of a table that has the needed columns.

        A row's prediction does not depend on the rows around it. ``interval`` asks for an interval of that
        coverage, for regression only; it is wider where larger errors are expected. A model with an offset
        predicts rates times the exposure of each row, or rates alone if ``per_unit``. ``before`` rows of the
        source precede the table; messages about a row without exposure need them.
        """
        exposure = None if per_unit else read_offset(table, self.schema, before=before)
        if interval is not None and self.intervals is None:
            raise OptionError(
                f"{option('interval')}: is for regression models; for classes ask for {option('proba')}."
            )
        encoded, repairs = self.encode(table)
        total = self.predict_encoded(encoded)
        if exposure is not None:
            total = total * exposure
        if self.calibration is not None:
            return Prediction(
                values=None,
                probabilities=total,
                lower=None,
                upper=None,
                repairs=repairs,
            )
        lower = upper = None
        if interval is not None and self.intervals is not None:
            half: float | Array = self.intervals.half_width(interval)
            if self.intervals.error_scale is not None:
                half = half * self.intervals.error_scale.sizes_of(table, encoded, self.device)
            lower, upper = total - half, total + half
        return Prediction(values=total, probabilities=None, lower=lower, upper=upper, repairs=repairs)

    def predict_encoded(self, encoded: Mapping[int, NDArray[np.float32]]) -> Array:
        """Return values ``(n,)``, per unit of exposure, or calibrated probabilities ``(n, classes)``."""
        total = self._combined(encoded)
        return total if self.calibration is None else self.calibration.probabilities(total)

    def encode(self, table: Table) -> tuple[dict[int, NDArray[np.float32]], tuple[Repair, ...]]:
        """Return the encoded rows by the identity of each encoder, and the values repaired meanwhile."""
        encoded: dict[int, NDArray[np.float32]] = {}
        repairs: tuple[Repair, ...] = ()
        of_base: dict[int, NDArray[np.float32]] = {}
        if self.base is not None:
            of_base, _ = self.base.encode(table)
            table = self.base.extended(table, self.base.outputs(of_base))
        typed = type_rows(table, self.schema, only=self._parsed_once)
        columns: EncodedColumns = {}
        for member in self.members:
            if id(member.encoder) not in encoded:
                encoded[id(member.encoder)], mended = member.encoder.encode(typed.table, encoded=columns)
                repairs = repairs or mended  # every encoder reads the same columns
        return encoded | of_base, typed.with_unreadable(repairs)

    def refreshed(self, encoded: dict[int, NDArray[np.float32]]) -> dict[int, NDArray[np.float32]]:
        """Return encoded rows with changed cells, and with the base's predictions for them."""
        if self.base is None:
            return encoded
        of_base = self.base.model.refreshed(encoded)
        outputs = self.base.outputs(of_base)
        own = {id(member.encoder): member.encoder for member in self.members}
        return of_base | {
            key: self.base.filled(encoder, encoded[key], outputs) for key, encoder in own.items()
        }

    @property
    def encoders(self) -> tuple[Encoder, ...]:
        """Return each encoder of the members once, then those of the base."""
        own = {id(member.encoder): member.encoder for member in self.members}
        return (*own.values(), *(self.base.model.encoders if self.base is not None else ()))

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Return the names of the columns that predictions need, in the order of the schema."""
        encoders = [member.encoder for member in self.members]
        if self.intervals is not None and self.intervals.error_scale is not None:
            encoders.append(self.intervals.error_scale.encoder)
        read = {column.column for encoder in encoders for column in encoder.columns}
        if self.base is not None:
            read |= set(self.base.shared)
        read |= {column.name for column in self.schema.with_role("offset")}
        return tuple(column.name for column in self.schema.columns if column.name in read)

    @property
    def _parsed_once(self) -> set[str]:
        """Return the columns that several encoders read and whose cells can be parsed one by one."""
        encoders = {id(column): column for member in self.members for column in member.encoder.columns}
        readers = Counter(column.column for column in encoders.values())
        return {
            column.name
            for column in self.schema.features
            if column.kind in ("numeric", "datetime", "text") and readers[column.name] > 1
        }

    def labels(self, probabilities: Array) -> NDArray[np.int64]:
        """Return class codes ``(n,)`` of probabilities ``(n, classes)``."""
        return self.decision.codes(probabilities)

    @property
    def n_centers(self) -> int:
        """Return the number of training rows kept as centers by all leaves, the intervals' included."""
        leaves = [leaf for member in self.members for leaf in outlines(member.tree.leaves)]
        if self.intervals is not None and self.intervals.error_scale is not None:
            leaves.append(self.intervals.error_scale.leaf)
        return sum(len(leaf.centers) for leaf in leaves)

    @property
    def stored_bytes(self) -> int:
        """Return the bytes of the leaves that stay in the model file, if all were in memory."""
        leaves = [member.tree.leaves for member in self.members]
        own = sum(part.nbytes for part in leaves if isinstance(part, StoredLeaves))
        return own + (0 if self.base is None else self.base.model.stored_bytes)

    @property
    def block_rows(self) -> int:
        """Return how many rows to predict at once; predictions do not depend on it."""
        leaves = max(len(member.tree.leaves) for member in self.members)
        width = max(member.tree.n_features for member in self.members)
        return max(
            BLOCK_ROWS, min(ROWS_PER_LEAF * leaves, MOST_BLOCK_ROWS, MOST_BLOCK_NUMBERS // max(width, 1))
        )

    def to(self, device: str) -> FittedModel:
        """Return the same model on another device."""
        members = tuple(replace(member, tree=member.tree.to(device)) for member in self.members)
        intervals = None if self.intervals is None else self.intervals.to(device)
        base = None if self.base is None else self.base.to(device)
        return replace(self, members=members, intervals=intervals, base=base, device=device)

    def ready(self) -> FittedModel:
        """Return the same model, prepared for many predictions of a few rows; it takes more memory."""
        members = tuple(replace(member, tree=member.tree.ready()) for member in self.members)
        base = None if self.base is None else replace(self.base, model=self.base.model.ready())
        return replace(self, members=members, base=base)

    def _combined(self, encoded: Mapping[int, NDArray[np.float32]]) -> Array:
        """Return the weighted average of the members' predictions, block by block."""
        n = len(next(iter(encoded.values())))
        shape = (n,) if self.calibration is None else (n, len(self.target.classes))
        total = np.zeros(shape)
        step = self.block_rows
        coming = {key: device_blocks(x, step, self.device) for key, x in encoded.items()}
        for start in range(0, n, step):
            blocks = {key: next(own) for key, own in coming.items()}  # members may share an encoder
            for member in self.members:
                values = member.prediction(blocks[id(member.encoder)])
                total[start : start + step] += member.weight * values
        return total
