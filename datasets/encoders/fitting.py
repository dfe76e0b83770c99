"""Fit the encoders of all columns on the training rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xrfm_cli.datasets.encoders.categorical import LevelCounts, fit_boolean, fit_one_hot, level_counts
from xrfm_cli.datasets.encoders.datetimes import fit_datetime
from xrfm_cli.datasets.encoders.free_text import fit_text
from xrfm_cli.datasets.encoders.numeric import fit_numeric
from xrfm_cli.datasets.encoders.piecewise_linear import fit_pieces
from xrfm_cli.datasets.encoders.table_encoder import ColumnEncoder, Encoder, EncodingConfig, needed_column
from xrfm_cli.datasets.encoders.target_encoding import fit_target_encoder
from xrfm_cli.datasets.schema.columns import ColumnSchema, TableSchema
from xrfm_cli.datasets.scratch import Scratch, forget_mapped
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError

# With more date columns, months, weekdays and hours have no columns beside their sine and cosine: 2,000 dates
# would give 52,000 columns.
_MOST_DATES = 100


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

    >>> import pyarrow as pa
    >>> from xrfm_cli.datasets import infer_schema
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
        cells = needed_column(training, column.name)
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
    for (_, _, crossed), group in zip(fitted, encoder.groups, strict=True):
        if crossed is not None:
            _write_columns(x, used, slice(group.start, group.stop), crossed, table.scratch)
    return encoder, x, seen


def _write_columns(
    x: np.ndarray, rows: np.ndarray | None, columns: slice, values: np.ndarray, scratch: Scratch | None
) -> None:
    """Write columns of some rows of a matrix, or of all, a block at a time if it is in a file."""
    step = max(len(values), 1) if scratch is None else scratch.block_rows(x.shape[1])
    for start in range(0, len(values), step):
        part = slice(start, start + step)
        x[part if rows is None else rows[part], columns] = values[part]
        forget_mapped()


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
    cells = needed_column(fit.table, name)
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
