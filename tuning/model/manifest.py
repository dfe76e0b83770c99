"""The manifest of a model file as typed records: every field, its type and its range.

This is the format. :func:`check_manifest` refuses a manifest that differs from it in any field, so that the
code that builds a model can trust the types. :mod:`xrfm_cli.tuning.model.checks` checks that the parts fit
together.

Numbers are finite and within 64 bits, as the container's reader ensures. A field with a default may be
absent: files of earlier versions lack it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, convert

from xrfm_cli.datasets.cells.dates import DateFormat
from xrfm_cli.datasets.schema.columns import Role
from xrfm_cli.datasets.schema.kinds import Kind
from xrfm_cli.datasets.schema.target import Label, Task
from xrfm_cli.printable import printable
from xrfm_cli.tuning.model.manifest_encoders import EncoderFacts
from xrfm_cli.tuning.model.manifest_report import Document, LeafOptions, Member, Report, TreeOptions
from xrfm_cli.tuning.rows import Count, NotNegative, Positive, Share

LARGEST_SLOPE = (
    1e4  # of a calibration, far above what a fit allows: products with raw predictions stay finite
)

Slope = Annotated[float, Meta(ge=-LARGEST_SLOPE, le=LARGEST_SLOPE)]


class Column(Document):
    """A column of the schema."""

    name: str
    kind: Kind
    role: Role
    reason: str
    datetime_format: DateFormat | None = None
    levels_count: Count = 0
    unit: str = ""


class Schema(Document):
    """All columns."""

    columns: Annotated[list[Column], Meta(min_length=1)]


class Target(Document):
    """The target column."""

    name: str
    task: Task
    reason: str
    classes: list[Label]
    positive: Label | None = None
    unit: str = ""


class Leaf(Document):
    """A leaf; kernel machines have a bandwidth, linear leaves a number of rows."""

    config: LeafOptions
    jitter: NotNegative
    bandwidth: Positive | None = None
    intercept: float = 0.0
    n_rows: Count = 0


class Split(Document):
    """A split; a child below 0 is a leaf."""

    threshold: float
    iqr: NotNegative
    left: int
    right: int


class Tree(Document):
    """A tree."""

    config: TreeOptions
    splits: list[Split]
    leaves: Annotated[list[Leaf], Meta(min_length=1)]


class Values(Document, tag_field="kind", tag="values"):
    """The target transform of a regression."""

    mean: float
    deviation: Positive


class Logs(Document, tag_field="kind", tag="logs"):
    """The log target transform of a regression."""

    mean: float
    deviation: Positive
    offset: NotNegative
    low: float
    high: float
    factor: Positive


class LogMeans(Document, tag_field="kind", tag="log_means"):
    """The target transform of a regression whose loss has a log link."""

    mean: Positive
    low: float
    high: float


class Classes(Document, tag_field="kind", tag="classes"):
    """The target transform of classes around their shares."""

    prior: list[Share]


class Logits(Document, tag_field="kind", tag="logits"):
    """The target transform of two classes as log odds."""


class Calibration(Document):
    """A calibrator; format 1 has one logarithmic slope and no floor."""

    linear: Slope
    logarithmic: Slope | list[Slope]
    offsets: list[Slope]
    floor: Annotated[float, Meta(gt=0, le=1)] = 1.0


class TranslationFacts(Document):
    """The part of the target that a base's predictions explain."""

    is_start: bool
    centers: list[float]
    deviations: list[Positive]
    rates: list[list[float]]
    offset: list[float]


class MemberFacts(Member):
    """A member of the ensemble."""

    encoder: Count
    tree: Tree
    coding: Values | Logs | LogMeans | Classes | Logits
    calibrator: Calibration | None
    translation: TranslationFacts | None = None


class ErrorScaleFacts(Document):
    """The error scale of adaptive intervals."""

    leaf: Leaf
    encoder: Count
    centre: float
    low: Positive
    high: Positive
    exponent: Annotated[float, Meta(gt=0, le=10)]
    scale: Positive


class Adapting(Document):
    """Intervals that adapt to the row."""

    scores: list[NotNegative]
    spread: ErrorScaleFacts


class Profile(Document):
    """The training rows of one column."""

    column: str
    edges: list[float]
    levels: list[str]
    counts: list[Count]
    low: float | None
    high: float | None


class Trained(Document):
    """Facts about the hashes of the training rows, which are a tensor."""

    is_whole: bool
    repeated: Share


class SharedColumnsFacts(Document):
    """Columns that a base and the table of the model share, and those that they do not."""

    shared: list[str]
    absent: list[str]
    of_other_kind: list[str]
    extra: list[str]


class BaseFacts(Document):
    """The base model of transfer learning."""

    name: str
    found: SharedColumnsFacts
    columns: Annotated[list[str], Meta(min_length=1)]
    predicts_target: bool
    model: ModelDocument


class CompressionFacts(Document):
    """The tensors stored in 16 bits, and by how many standard deviations predictions of some rows differ."""

    parts: list[Literal["centers", "coefficients"]]
    difference: NotNegative
    largest: NotNegative
    rows: Count


class ModelDocument(Document):
    """A model, or the base inside one."""

    schema: Schema
    target: Target
    encoders: Annotated[list[EncoderFacts], Meta(min_length=1)]
    members: Annotated[list[MemberFacts], Meta(min_length=1)]
    calibration: Calibration | None
    threshold: Share | None
    intervals: Annotated[list[NotNegative], Meta(min_length=1)] | Adapting | None
    report: Report
    versions: dict[str, str]
    class_weights: tuple[Positive, ...] = ()
    profile: list[Profile] | None = None
    trained: Trained | None = None
    base: BaseFacts | None = None
    compression: CompressionFacts | None = None


class Manifest(ModelDocument, kw_only=True):
    """The whole manifest."""

    format_version: int
    sha256: dict[str, str]


def check_manifest(document: Mapping[str, Any]) -> None:
    """Raise a one-line ValueError for a manifest with a field of another type, range or name.

    >>> check_manifest({"format_version": 1, "sha256": {}, "schema": {"columns": 7}})
    Traceback (most recent call last):
    ValueError: schema.columns: expected `array`, got `int`
    """
    try:
        convert(document, Manifest)
    except msgspec.ValidationError as fault:
        fact, _, place = str(fault).partition(" - at ")
        where = printable(place.strip("`").removeprefix("$").removeprefix(".")) or "manifest.json"
        raise ValueError(f"{where}: {printable(fact[:1].lower() + fact[1:])}") from None
