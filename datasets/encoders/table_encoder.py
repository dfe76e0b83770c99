"""Encode a table as a float32 matrix, with one encoder per column.

The encoding of a row depends on that row only, bit for bit, so neither chunks nor the order of rows matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.dotted_names import numbered
from xrfm_cli.datasets.encoders.categorical import (
    BooleanEncoder,
    OneHotEncoder,
)
from xrfm_cli.datasets.encoders.datetimes import DatetimeEncoder
from xrfm_cli.datasets.encoders.free_text import TextEncoder
from xrfm_cli.datasets.encoders.numeric import NumericEncoder
from xrfm_cli.datasets.encoders.piecewise_linear import PiecewiseEncoder
from xrfm_cli.datasets.encoders.target_encoding import TargetEncoder
from xrfm_cli.datasets.schema.kinds import Kind
from xrfm_cli.datasets.scratch import Scratch, forget_mapped
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import OptionError, SchemaError, did_you_mean
from xrfm_cli.repairs import Repair, merge_repairs


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingConfig:
    """Options for encoding columns as numbers."""

    numeric: Literal["standard", "quantile", "piecewise"] = "standard"  # z-scores, normal scores, pieces
    category: Literal["one_hot", "target"] = "one_hot"  # "target": target encoding for more than two levels
    max_one_hot: int = 32  # more levels use target encoding: a wide matrix is slow and sparse
    min_level_count: int = 3  # rarer levels share one column, also used for unseen levels
    with_base: bool = False  # the predictions of a base model are further columns

    def __post_init__(self) -> None:
        for name, value, known in (
            ("numeric", self.numeric, ("standard", "quantile", "piecewise")),
            ("category", self.category, ("one_hot", "target")),
        ):
            if value not in known:
                raise OptionError(
                    f"encoding {name}='{value}' is none of {', '.join(known)}.{did_you_mean(value, known)}"
                )
        if self.max_one_hot < 2 or self.min_level_count < 1:
            raise OptionError(
                f"max_one_hot={self.max_one_hot} must be at least 2, "
                f"min_level_count={self.min_level_count} at least 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnGroup:
    """The matrix columns ``start`` to ``stop`` (exclusive) that encode one column of the table."""

    column: str
    kind: Kind
    start: int
    stop: int
    names: tuple[str, ...]


class ColumnEncoder(Protocol):
    """The encoder of one column."""

    @property
    def column(self) -> str:
        """Return the name of the column."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns."""

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write the output columns into ``out`` (n, k) float32 and return the repairs."""

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return plain values and arrays that describe the encoder."""


# The matrix columns and repairs of one table, by the identity of the column encoder.
EncodedColumns = dict[int, tuple[np.ndarray, tuple[Repair, ...]]]

_ENCODERS: dict[str, Any] = {
    "numeric": NumericEncoder,
    "piecewise": PiecewiseEncoder,
    "boolean": BooleanEncoder,
    "one_hot": OneHotEncoder,
    "target": TargetEncoder,
    "datetime": DatetimeEncoder,
    "text": TextEncoder,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """The encoders of all features, in the order of the schema."""

    config: EncodingConfig
    columns: tuple[ColumnEncoder, ...]
    kinds: tuple[Kind, ...]
    training_repairs: tuple[Repair, ...] = ()  # repairs in the training rows

    @property
    def groups(self) -> tuple[ColumnGroup, ...]:
        """Return which matrix columns encode which column of the table."""
        groups, start = [], 0
        for encoder, kind in zip(self.columns, self.kinds, strict=True):
            names = encoder.names
            stop = start + len(names)
            groups.append(ColumnGroup(column=encoder.column, kind=kind, start=start, stop=stop, names=names))
            start = stop
        return tuple(groups)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of the matrix columns, (d,)."""
        return tuple(name for encoder in self.columns for name in encoder.names)

    @property
    def reads_target(self) -> bool:
        """Return whether any column is target encoded; if not, other targets give the same encoder."""
        return any(isinstance(column, TargetEncoder) for column in self.columns)

    @property
    def n_features(self) -> int:
        """Return the number of matrix columns, d."""
        return len(self.feature_names)

    def encode(
        self, table: Table, *, encoded: EncodedColumns | None = None
    ) -> tuple[np.ndarray, tuple[Repair, ...]]:
        """Return the rows as a matrix, float32 (n, d) in C order, and the repairs.

        ``encoded`` collects the columns of this table for other encoders that share column encoders with this
        one, and has those that they have encoded.
        """
        if table.scratch is not None:
            return self._encode_in_blocks(table, table.scratch)
        x = np.empty((table.n_rows, self.n_features), dtype=np.float32)
        return x, self._encode_into(table, x, encoded)

    def _encode_in_blocks(self, table: Table, scratch: Scratch) -> tuple[np.ndarray, tuple[Repair, ...]]:
        """Encode a table that does not fit into memory to a matrix that does not either."""
        x = scratch.matrix(table.n_rows, self.n_features)
        step, repairs = scratch.block_rows(self.n_features), tuple[Repair, ...]()
        for start in range(0, table.n_rows, step):
            part = x[start : start + step]
            repairs = merge_repairs((*repairs, *self._encode_into(table.slice(start, start + step), part)))
        forget_mapped()
        return x, repairs

    def _encode_into(
        self, table: Table, x: np.ndarray, encoded: EncodedColumns | None = None
    ) -> tuple[Repair, ...]:
        """Encode a table into a matrix and return the repairs."""
        repairs: list[Repair] = []
        for encoder, group in zip(self.columns, self.groups, strict=True):
            out = x[:, group.start : group.stop]
            known = None if encoded is None else encoded.get(id(encoder))
            if known is None:
                cells = needed_column(table, encoder.column)
                own = encoder.encode(cells, table.decimal, out)
                if encoded is not None:
                    encoded[id(encoder)] = out, own
            else:
                out[:], own = known
            repairs += own
        return merge_repairs(repairs)

    def sharing(self, known: dict[ColumnEncoder, ColumnEncoder]) -> Encoder:
        """Return this encoder with those column encoders of ``known`` that are equal to its own.

        Column encoders with arrays cannot be compared, and stay its own.
        """

        def shared(column: ColumnEncoder) -> ColumnEncoder:
            try:
                return known.setdefault(column, column)
            except TypeError:
                return column

        return replace(self, columns=tuple(shared(column) for column in self.columns))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON document and arrays from which `from_state` restores the encoder, bit for bit."""
        documents: list[dict[str, Any]] = []
        arrays: dict[str, np.ndarray] = {}
        types = {kind: name for name, kind in _ENCODERS.items()}
        for place, (encoder, kind) in enumerate(zip(self.columns, self.kinds, strict=True)):
            plain, own = encoder.state()
            documents.append({"type": types[type(encoder)], "kind": kind, **plain})
            arrays |= {f"{place}.{name}": array for name, array in own.items()}
        repairs = [[repair.column, repair.what, repair.count] for repair in self.training_repairs]
        config = asdict(self.config)
        if not self.config.with_base:
            del config["with_base"]  # models without a base keep the bytes that earlier versions wrote
        return {"config": config, "columns": documents, "repairs": repairs}, arrays

    @classmethod
    def from_state(cls, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Encoder:
        """Restore the encoder that `state` described."""
        columns: list[ColumnEncoder] = []
        of_columns = numbered(arrays, len(document["columns"]))
        for own, described in zip(of_columns, document["columns"], strict=True):
            plain = {name: value for name, value in described.items() if name not in ("type", "kind")}
            columns.append(_ENCODERS[described["type"]].from_state(plain, own))
        return cls(
            config=EncodingConfig(**document["config"]),
            columns=tuple(columns),
            kinds=tuple(described["kind"] for described in document["columns"]),
            training_repairs=tuple(Repair(*repair) for repair in document["repairs"]),
        )


def needed_column(table: Table, name: str) -> pa.ChunkedArray:
    """Return a column, or raise SchemaError if the table lacks it."""
    if not table.has_column(name):
        hint = did_you_mean(name, table.column_names)
        raise SchemaError(f"{table.source}: no column '{name}', which the model needs.{hint}")
    return table.column(name)
