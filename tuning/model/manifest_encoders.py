"""The encoders' records of a model file's manifest, one for each kind of column.

See :mod:`xrfm_cli.tuning.model.manifest`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from xrfm_cli.datasets.cells.dates import DateFormat
from xrfm_cli.datasets.schema.kinds import Kind
from xrfm_cli.repairs import RepairKind
from xrfm_cli.tuning.model.manifest_report import Document
from xrfm_cli.tuning.rows import Count, Positive

Scaling = tuple[Positive, float, Positive]  # unit, center, spread
Part = Literal["month", "day", "weekday", "hour", "minute"]


class Encoded(Document, tag_field="type"):
    """The encoding of a column of any kind; the field ``type`` selects the record."""

    column: str
    kind: Kind
    has_missing: bool


class Numeric(Encoded, tag="numeric"):
    """A number, standardised or as its normal score."""

    scaling: Scaling | None
    unit: str = ""


class Piecewise(Encoded, tag="piecewise"):
    """A number with a piecewise-linear encoding."""

    unit: str


class Boolean(Encoded, tag="boolean"):
    """A boolean column."""

    varies: bool


class OneHot(Encoded, tag="one_hot"):
    """A category with one feature per level."""

    levels: list[str]
    rare: list[str]


class MeanTarget(Encoded, tag="target"):
    """A category as the mean target of its level."""

    levels: list[str]


class Datetime(Encoded, tag="datetime"):
    """A date."""

    date_format: DateFormat
    scaling: Scaling | None
    parts: list[tuple[Part, list[Annotated[int, Meta(ge=0, le=59)]]]]


class Text(Encoded, tag="text"):
    """Free text."""

    characters: Scaling | None
    words: Scaling | None


class EncodingFacts(Document):
    """The options of an encoder."""

    numeric: Literal["standard", "quantile", "piecewise"]
    category: Literal["one_hot", "target"]
    max_one_hot: Annotated[int, Meta(ge=2)]
    min_level_count: Annotated[int, Meta(ge=1)]
    with_base: bool = False


class EncoderFacts(Document):
    """An encoder; its arrays are tensors."""

    config: EncodingFacts
    columns: Annotated[
        list[Numeric | Piecewise | Boolean | OneHot | MeanTarget | Datetime | Text], Meta(min_length=1)
    ]
    repairs: list[tuple[str, RepairKind, Count]]
