"""Points at which a column, or a part of a date, is set: encoded for every member."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.datasets import Encoder
from xrfm_cli.datasets.encoders.categorical import BooleanEncoder, OneHotEncoder
from xrfm_cli.datasets.encoders.datetimes import DatetimeEncoder
from xrfm_cli.datasets.encoders.numeric import NumericEncoder
from xrfm_cli.datasets.encoders.piecewise_linear import PiecewiseEncoder
from xrfm_cli.datasets.encoders.table_encoder import ColumnEncoder
from xrfm_cli.datasets.encoders.target_encoding import TargetEncoder
from xrfm_cli.tuning.explain.decoding import decode_numbers, encode_cells, nearest
from xrfm_cli.tuning.explain.sample import Matrices, Sample
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.profile import BOOLEANS, MISSING

Array = NDArray[np.float64]
Kind = Literal["numeric", "levels", "datetime"]
MICROSECONDS = 1e6  # per second: moments are microseconds since 1970
MOST_LEVELS = 20
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """A column, or a part of a date, with the points it can be set to.

    ``points`` and ``encoded`` are those of levels. Numbers and moments are set to any value with :meth:`at`.
    """

    column: str
    part: str  # elapsed, month, weekday and so on for a date; empty otherwise
    kind: Kind
    values: Array  # (n,) of the sample's rows, NaN where missing; the codes of points for levels
    points: tuple[str, ...]  # of levels
    encoded: dict[int, NDArray[np.float32]]  # of levels, by the identity of the encoder: (points, k)
    coordinates: dict[int, NDArray[np.int64]]
    encoders: dict[int, ColumnEncoder]

    def at(self, points: Array) -> dict[int, NDArray[np.float32]]:
        """Return the encoding of numbers, or of microseconds since 1970, by encoder."""
        out = {}
        for key, encoder in self.encoders.items():
            if isinstance(encoder, DatetimeEncoder):
                assert encoder.scaling is not None
                out[key] = encoder.scaling.apply(points / MICROSECONDS)[:, None].astype(np.float32)
            else:
                out[key] = encode_cells(encoder, pa.array(points))
        return out

    def apply(
        self, matrices: Matrices, encoded: dict[int, NDArray[np.float32]], codes: NDArray[np.int64]
    ) -> Matrices:
        """Return rows in which the column has the encoded points ``codes`` (n,)."""
        out = {}
        for key, x in matrices.items():
            out[key] = x.copy()
            if key in encoded:
                out[key][:, self.coordinates[key]] = encoded[key][codes]
        return out


def settings_of(model: FittedModel, sample: Sample, column: str) -> Iterator[Setting]:
    """Yield the settings of a column: one, or one for each part of a date; none for text and constants."""
    found = {}
    for table_encoder in model.encoders:
        own = _column_encoder(table_encoder, column)
        if own is not None and own.names:
            found[id(table_encoder)] = own
    if not found:
        return
    number = sample.columns.index(column)
    coordinates = {key: sample.coordinates[key][number] for key in found}
    first = next(iter(found))
    shown = found[first]
    if isinstance(shown, NumericEncoder | PiecewiseEncoder):
        values = decode_numbers(shown, sample.matrices[first][:, coordinates[first]])
        if values is not None:
            yield Setting(
                column=column,
                part="",
                kind="numeric",
                values=values,
                points=(),
                encoded={},
                coordinates=coordinates,
                encoders=found,
            )
    elif isinstance(shown, DatetimeEncoder):
        yield from _date_settings(column, found, coordinates, sample)
    elif isinstance(shown, OneHotEncoder | TargetEncoder | BooleanEncoder):
        yield _levels(model, column, found, coordinates, sample)


def _levels(
    model: FittedModel,
    column: str,
    found: dict[int, ColumnEncoder],
    coordinates: dict[int, NDArray[np.int64]],
    sample: Sample,
) -> Setting:
    encoder = next(iter(found.values()))
    if isinstance(encoder, BooleanEncoder):
        words: list[str] = list(BOOLEANS) if encoder.varies else []
    else:
        assert isinstance(encoder, OneHotEncoder | TargetEncoder)
        frequent = {p.column: p.levels for p in model.profile or ()}.get(column, ())
        words = [*frequent, *(level for level in encoder.levels if level not in frequent)][:MOST_LEVELS]
    cells: list[str | None] = [*words, *([None] if encoder.has_missing else [])]
    encoded = {key: encode_cells(own, pa.array(cells, pa.string())) for key, own in found.items()}
    key = next(iter(found))
    x = sample.matrices[key][:, coordinates[key]]
    return Setting(
        column=column,
        part="",
        kind="levels",
        values=nearest(x, encoded[key]).astype(np.float64),
        points=(*words, *([MISSING] if encoder.has_missing else [])),
        encoded=encoded,
        coordinates=coordinates,
        encoders=found,
    )


def _date_settings(
    column: str,
    found: dict[int, ColumnEncoder],
    coordinates: dict[int, NDArray[np.int64]],
    sample: Sample,
) -> Iterator[Setting]:
    key, encoder = next(iter(found.items()))
    assert isinstance(encoder, DatetimeEncoder)
    x = sample.matrices[key]
    if encoder.scaling is not None:
        seconds = encoder.scaling.undo(x[:, coordinates[key][0]].astype(float))
        yield Setting(
            column=column,
            part="elapsed",
            kind="datetime",
            values=seconds * MICROSECONDS,
            points=(),
            encoded={},
            coordinates={own: places[:1] for own, places in coordinates.items()},
            encoders=found,
        )
    for part, (place, known) in encoder.part_columns().items():
        table = np.stack(list(known.values()))
        own = x[:, coordinates[key][place]]
        yield Setting(
            column=column,
            part=part,
            kind="levels",
            values=nearest(own, table).astype(np.float64),
            points=tuple(WEEKDAYS[v] if part == "weekday" else str(v) for v in known),
            encoded=dict.fromkeys(found, table),
            coordinates={name: places[place] for name, places in coordinates.items()},
            encoders=found,
        )


def _column_encoder(encoder: Encoder, column: str) -> ColumnEncoder | None:
    return next((own for own in encoder.columns if own.column == column), None)
