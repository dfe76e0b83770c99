"""Encode a table as a float32 matrix, with one encoder per column, fitted on the training rows.

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
    LevelCounts,
    OneHotEncoder,
    fit_boolean,
    fit_one_hot,
    level_counts,
)
from xrfm_cli.datasets.encoders.datetimes import DatetimeEncoder, fit_datetime
from xrfm_cli.datasets.encoders.free_text import TextEncoder, fit_text
from xrfm_cli.datasets.encoders.numeric import NumericEncoder, fit_numeric
from xrfm_cli.datasets.encoders.piecewise_linear import PiecewiseEncoder, fit_pieces
from xrfm_cli.datasets.encoders.target_encoding import TargetEncoder, fit_target_encoder
from xrfm_cli.datasets.schema.columns import ColumnSchema, TableSchema
from xrfm_cli.datasets.schema.kinds import Kind
from xrfm_cli.datasets.scratch import Scratch, forget_mapped
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import OptionError, SchemaError, did_you_mean
from xrfm_cli.repairs import Repair, merge_repairs

# With more date columns, months, weekdays and hours have no columns beside their sine and cosine: 2,000 dates
# would give 52,000 columns.
_MOST_DATES = 100


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

    def encode(self, table: Table) -> tuple[np.ndarray, tuple[Repair, ...]]:
        """Return the rows as a matrix, float32 (n, d) in C order, and the repairs."""
        if table.scratch is not None:
            return self._encode_in_blocks(table, table.scratch)
        x = np.empty((table.n_rows, self.n_features), dtype=np.float32)
        return x, self._encode_into(table, x)

    def _encode_in_blocks(self, table: Table, scratch: Scratch) -> tuple[np.ndarray, tuple[Repair, ...]]:
        """Encode a table that does not fit into memory to a matrix that does not either."""
        x = scratch.matrix(table.n_rows, self.n_features)
        step, repairs = scratch.block_rows(self.n_features), tuple[Repair, ...]()
        for start in range(0, table.n_rows, step):
            part = x[start : start + step]
            repairs = merge_repairs((*repairs, *self._encode_into(table.slice(start, start + step), part)))
        forget_mapped()
        return x, repairs

    def _encode_into(self, table: Table, x: np.ndarray) -> tuple[Repair, ...]:
        """Encode a table into a matrix and return the repairs."""
        repairs: list[Repair] = []
        for encoder, group in zip(self.columns, self.groups, strict=True):
            cells = _needed_column(table, encoder.column)
            repairs += encoder.encode(cells, table.decimal, x[:, group.start : group.stop])
        return merge_repairs(repairs)

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


def _needed_column(table: Table, name: str) -> pa.ChunkedArray:
    if not table.has_column(name):
        hint = did_you_mean(name, table.column_names)
        raise SchemaError(f"{table.source}: no column '{name}', which the model needs.{hint}")
    return table.column(name)


def fit_encoder(
    table: Table,
    schema: TableSchema,
    config: EncodingConfig | None = None,
    *,
    target: np.ndarray,  # float64 (n, c)
    weights: np.ndarray | None = None,  # float64 (n,)
    seed: int = 0,
    standardised: tuple[ColumnSchema, ...] = (),
) -> tuple[Encoder, np.ndarray, np.ndarray | None]:
    """Fit the encoders of all features and encode the training rows.

    ``target`` holds standardised values or class indicators. Only target encoding uses it, with
    cross-fitting, so train on the first matrix (n, d). If any column is cross-fitted, the second matrix is
    ``encoder.encode(table)``: the same rows as encoded at prediction time. Rows of weight 0 are not used.
    ``standardised`` are further columns of numbers, which are standardised whatever the config says.
    Raises `SchemaError` if no feature varies.

    >>> from xrfm_cli.datasets.schema.columns import infer_schema
    >>> table = Table(pa.table({"age": ["41", "29", ""], "city": ["Graz", "Linz", "Graz"]}))
    >>> config = EncodingConfig(min_level_count=1)
    >>> encoder, x, seen = fit_encoder(table, infer_schema(table), config, target=np.zeros((3, 1)))
    >>> encoder.feature_names, seen
    (('age', 'age missing', 'city=Linz'), None)
    >>> x.tolist()
    [[1.0, 0.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    config = config or EncodingConfig()
    used = np.flatnonzero(weights > 0) if weights is not None else None
    if used is not None and len(used) == table.n_rows:
        used = None
    training = table if used is None else table.take(used)
    fit = _Fit(
        table=training,
        config=config,
        target=target if used is None else target[used],
        weights=weights if used is None or weights is None else weights[used],
        seed=seed,
        has_few_dates=sum(column.kind == "datetime" for column in schema.features) <= _MOST_DATES,
    )
    fitted = [(column, *_fit_column(fit, column, place)) for place, column in enumerate(schema.features)]
    for column in standardised:
        cells = _needed_column(training, column.name)
        plain = fit_numeric(column.name, cells, training.decimal, fit.weights, normal_scores=False)
        fitted.append((column, plain, None))
    fitted = [item for item in fitted if item[1].names]
    if not fitted:
        raise SchemaError(f"{table.source}: no column varies in the {table.n_rows:,} training rows")
    encoder = Encoder(
        config=config,
        columns=tuple(item[1] for item in fitted),
        kinds=tuple(item[0].kind for item in fitted),
    )
    x, repairs = encoder.encode(table)
    encoder = replace(encoder, training_repairs=repairs)
    seen = _copied(x, table.scratch) if encoder.reads_target else None
    rows: Any = slice(None) if used is None else used
    for (_, _, crossed), group in zip(fitted, encoder.groups, strict=True):
        if crossed is not None:
            x[rows, group.start : group.stop] = crossed
            forget_mapped()
    return encoder, x, seen


def _copied(x: np.ndarray, scratch: Scratch | None) -> np.ndarray:
    """Return a copy of a matrix, in memory or in a file."""
    if scratch is None:
        return x.copy()
    copy = scratch.matrix(*x.shape)
    step = scratch.block_rows(x.shape[1])
    for start in range(0, len(x), step):
        copy[start : start + step] = x[start : start + step]
        forget_mapped()
    return copy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """The inputs shared by the fits of all columns."""

    table: Table
    config: EncodingConfig
    target: np.ndarray
    weights: np.ndarray | None
    seed: int
    has_few_dates: bool


def _fit_column(fit: _Fit, column: ColumnSchema, place: int) -> tuple[ColumnEncoder, np.ndarray | None]:
    """Fit the encoder of one column and, if it is cross-fitted, return its part of the training matrix."""
    name, decimal = column.name, fit.table.decimal
    cells = _needed_column(fit.table, name)
    if column.kind == "numeric":
        if fit.config.numeric == "piecewise":
            pieces = fit_pieces(name, cells, decimal, fit.weights, unit=column.unit)
            if pieces is not None:
                return pieces, None
        normal = fit.config.numeric == "quantile"
        return fit_numeric(name, cells, decimal, fit.weights, normal_scores=normal, unit=column.unit), None
    if column.kind == "boolean":
        return fit_boolean(name, cells, decimal), None
    if column.kind == "datetime":
        elapsed = column.role != "time"  # later rows lie outside the training range
        date_format = column.datetime_format or "iso"
        own = fit.has_few_dates
        fitted = fit_datetime(name, cells, date_format, fit.weights, with_elapsed=elapsed, with_values=own)
        return fitted, None
    if column.kind == "text":
        return fit_text(name, cells, fit.weights), None
    levels = level_counts(fit.table, name)
    if _wants_target_encoding(levels, fit.config):
        generator = np.random.default_rng([fit.seed, place])
        return fit_target_encoder(fit.table, name, levels, fit.target, fit.weights, generator)
    return fit_one_hot(name, levels, fit.config.min_level_count), None


def _wants_target_encoding(levels: LevelCounts, config: EncodingConfig) -> bool:
    """Return whether a category needs target encoding: too many levels, or required by the config."""
    texts, counts, _ = levels
    if config.category == "target":
        return len(texts) > 2
    kept = int((counts >= config.min_level_count).sum())
    return kept > config.max_one_hot or (kept == 0 and len(texts) > 2)
