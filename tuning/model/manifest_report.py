"""The fit report's records of a model file's manifest, and the types shared by all records.

See :mod:`xrfm_cli.tuning.model.manifest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_type_hints

from msgspec import Meta, Struct, defstruct, field

from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.repairs import RepairKind
from xrfm_cli.trees.config import TreeConfig

MOST_COUNT = 2**53  # the largest integer that every JSON reader represents exactly

Count = Annotated[int, Meta(ge=0, le=MOST_COUNT)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Scalar = bool | int | float | str | None


class Document(Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object with exactly these fields."""


def _options(name: str, *, known: Mapping[str, Any], needed: tuple[str, ...]) -> type[Struct]:
    """Return a record type of hyperparameters, typed as their dataclasses; only some are required."""
    listed: list[Any] = [(item, known[item]) for item in needed]
    listed += [(item, kind, None) for item, kind in known.items() if item not in needed]
    return defstruct(name, listed, bases=(Document,))


_LEAF_OPTIONS = get_type_hints(LeafConfig)
_TREE_OPTIONS = _LEAF_OPTIONS | {
    name: kind for name, kind in get_type_hints(TreeConfig).items() if name != "leaf"
}
_TRANSFORM_OPTIONS = {
    "numeric_transform": Literal["standard", "quantile", "piecewise"],
    "category_encoding": Literal["one_hot", "target"],
    "target_transform": Literal["none", "log"],
    "transfer": Literal["none", "projection", "translation", "both"],
    "start_matrix": Literal["identity", "base"],
}
LeafOptions: Any = _options("LeafOptions", known=_LEAF_OPTIONS, needed=("kernel",))
TreeOptions: Any = _options("TreeOptions", known=_TREE_OPTIONS, needed=("kernel",))
Params: Any = _options("Params", known=_TREE_OPTIONS | _TRANSFORM_OPTIONS, needed=("kernel", "kernel_p"))


class Validation(Document):
    """How the models were validated."""

    scheme: str
    folds: Count
    judged_rows: Annotated[int, Meta(ge=1, le=MOST_COUNT)]
    reason: str


class BaselineFacts(Document):
    """A simple model's score."""

    name: str
    score: float
    description: str = ""
    seconds: NotNegative = 0.0


class Trial(Document):
    """A trial of the search; a model file keeps no times."""

    number: Count
    state: str
    score: float | None
    stages: Count
    iterations: Count | None
    params: Params
    tries: Count = 0
    seconds: NotNegative = 0.0
    ended_s: NotNegative = 0.0


class Chosen(Document):
    """A member as the report shows it."""

    trial: Count
    weight: Share
    score: float
    params: Params


class LeafRows(Document):
    """The training rows of a leaf."""

    member: Count
    leaf: Count
    rows: Count


class Fallback(Document):
    """A fallback."""

    message: str
    count: Count | None


class Mended(Document):
    """Repaired values."""

    column: str
    what: RepairKind
    count: Count


class Importance(Document):
    """The importance of a hyperparameter."""

    name: str
    share: Share
    by_chance: NotNegative


class OutOfFold(Document):
    """Targets and predictions of a sample of rows."""

    row: list[Count]
    target: list[float]
    prediction: list[float | list[Share]]


class Curve(Document):
    """False and true positives at thresholds of the positive class's probability, from high to low."""

    threshold: list[Share]
    false_positives: list[Count]
    true_positives: list[Count]


class Bin(Document):
    """Rows with similar probabilities, and how often the event happened."""

    predicted: Share
    observed: Share
    rows: Count


class Band(Document):
    """Quartiles of the residuals of rows with similar predictions or dates."""

    at: float
    low: float
    middle: float
    high: float


class OverTime(Document):
    """Residuals along a column of dates or times."""

    column: str
    is_date: bool
    bands: list[Band]


class Decile(Document):
    """Errors of rows with similar targets."""

    low: float
    high: float
    rows: Count
    mean_error: float
    mean_absolute_error: NotNegative


class WorstRow(Document):
    """A row with a large error: its number in the table, from 1, and the error over the median error."""

    row: Count
    times_typical: NotNegative


class OofSummary(Document):
    """Summaries of the out-of-fold predictions; those of another task are absent."""

    class_rows: list[Count] | None = None
    confusion: list[tuple[Count, Count, Count]] | None = None  # class, predicted class, rows; no zeros
    curve: Curve | None = None  # for two classes
    class_auc: list[Share | None] | None = None  # for several classes, one against the others
    reliability: list[Bin] | None = None
    histogram: list[Count] | None = None  # of the probabilities, over equal parts of 0 to 1
    bands: list[Band] | None = None
    deciles: list[Decile] | None = None
    typical_error: NotNegative | None = None  # the median
    worst: list[WorstRow] | None = None
    over_time: OverTime | None = None


class HoldoutTest(Document):
    """Metrics on rows that ``fit --holdout`` set aside."""

    rows: Annotated[int, Meta(ge=1, le=MOST_COUNT)]
    share: Share
    how: str
    metrics: dict[str, float]


class HeldOutColumnFacts(Document):
    """A column on held-out rows."""

    column: str
    confirmed: float
    by_chance: NotNegative
    deviation: NotNegative | None
    drop: float | None
    low: float | None
    high: float | None


class HeldOutPairFacts(Document):
    """A pair of columns on held-out rows."""

    columns: tuple[str, str]
    confirmed: float
    by_chance: NotNegative


class HeldOutFacts(Document):
    """The columns on held-out rows, as explanations need them."""

    metric: str
    rows: Count
    folds: Count
    columns: list[HeldOutColumnFacts]
    pairs: list[HeldOutPairFacts]


class Report(Document):
    """The report of the fit."""

    rows: Count
    dropped_rows: Count
    metric: str
    score: float
    score_low: float
    score_high: float
    lower_is_better: bool
    stopped_by: str
    validation: Validation
    metrics: dict[str, float]
    baselines: list[BaselineFacts]
    seconds: dict[str, NotNegative]
    trials: list[Trial]
    ensemble: list[Chosen]
    leaves: list[LeafRows]
    fallbacks: list[Fallback]
    repairs: list[Mended]
    notes: list[str]
    oof: OutOfFold
    peak_memory_bytes: Count
    options: dict[str, Scalar | dict[str, Scalar] | list[Scalar]]
    fold_metrics: dict[str, Annotated[list[float], Meta(min_length=1)]] = field(default_factory=dict)
    hyperparameter_importances: tuple[Importance, ...] = ()
    oof_summary: OofSummary | None = None
    test: HoldoutTest | None = None
    held_out: HeldOutFacts | None = None
