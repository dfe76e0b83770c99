"""The typed rows of a fit's report, as they stand in JSON documents and model files.

Each is the one list of its fields. :mod:`xrfm_cli.tuning.model.manifest_report` makes the record that checks
a model file from it, with the ranges that are annotated here. Files of earlier versions may lack a field that
is ``NotRequired``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from xrfm_cli.repairs import RepairKind

MOST_COUNT = 2**53  # the largest integer that every JSON reader represents exactly

Count = Annotated[int, Meta(ge=0, le=MOST_COUNT)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Scalar = bool | int | float | str | None
OptionValue = Scalar | dict[str, Scalar] | list[Scalar]
Params = Annotated[dict[str, Any], "hyperparameters"]
TrialStatus = Literal["running", "complete", "pruned", "failed", "out of time", "interrupted"]
StoppedBy = Literal["time", "trials", "interrupt", "converged", "refit"]


class ValidationRow(TypedDict):
    """How the models were validated."""

    scheme: str
    folds: Count
    judged_rows: Annotated[int, Meta(ge=1, le=MOST_COUNT)]
    reason: str


class BaselineRow(TypedDict):
    """A simple model's out-of-fold score."""

    name: str
    score: float  # value of the metric
    description: NotRequired[str]
    seconds: NotRequired[NotNegative]


class TrialRow(TypedDict):
    """A trial of the search; a model file keeps no times."""

    number: Count
    state: TrialStatus
    score: float | None
    stages: Count  # completed rungs
    iterations: Count | None  # AGOP updates
    params: Params
    tries: NotRequired[Count]  # kernels tried in the refinement after its first rung
    seconds: NotRequired[NotNegative]
    ended_s: NotRequired[NotNegative]  # from the start of the search to the end of its last rung


class MemberRow(TypedDict):
    """A member of the ensemble."""

    trial: Count
    weight: Share
    score: float
    params: Params


class LeafRow(TypedDict):
    """The training rows of a leaf."""

    member: Count
    leaf: Count
    rows: Count


class FallbackRow(TypedDict):
    """A second choice that was taken instead of the requested one, and how often."""

    message: str
    count: Count | None


class RepairRow(TypedDict):
    """Repaired values of a column."""

    column: str
    what: RepairKind
    count: Count


class ImportanceRow(TypedDict):
    """The importance of a hyperparameter, and the largest by chance."""

    name: str
    share: Share
    by_chance: NotNegative


class PlottedRows(TypedDict):
    """Targets and out-of-fold predictions of a sample of rows."""

    row: list[Count]
    target: list[float]
    prediction: list[float | list[Share]]


class CurveRows(TypedDict):
    """False and true positives at thresholds of the positive class's probability, from high to low."""

    threshold: list[Share]
    false_positives: list[Count]
    true_positives: list[Count]


class ReliabilityBin(TypedDict):
    """Rows with similar probabilities, and how often the event happened."""

    predicted: Share
    observed: Share
    rows: Count


class ResidualBand(TypedDict):
    """Quartiles of the residuals of rows with similar predictions or dates."""

    at: float
    low: float
    middle: float
    high: float


class ResidualsOverTime(TypedDict):
    """Residuals along a column of dates or times."""

    column: str
    is_date: bool
    bands: list[ResidualBand]


class ErrorDecile(TypedDict):
    """Errors of rows with similar targets."""

    low: float
    high: float
    rows: Count
    mean_error: float
    mean_absolute_error: NotNegative


class WorstRow(TypedDict):
    """A row with a large error: its number in the table, from 1, and the error over the median error."""

    row: Count
    times_typical: NotNegative


class OofSummaryRow(TypedDict, total=False):
    """Summaries of the out-of-fold predictions; those of another task are absent."""

    class_rows: list[Count]
    confusion: list[tuple[Count, Count, Count]]  # class, predicted class, rows; no zeros
    curve: CurveRows  # for two classes
    class_auc: list[Share | None]  # for several classes, one against the others
    reliability: list[ReliabilityBin]
    histogram: list[Count]  # of the probabilities, over equal parts of 0 to 1
    bands: list[ResidualBand]
    deciles: list[ErrorDecile]
    typical_error: NotNegative  # the median
    worst: list[WorstRow]
    over_time: ResidualsOverTime


class HoldoutRow(TypedDict):
    """Metrics on rows that ``fit --holdout`` set aside."""

    rows: Annotated[int, Meta(ge=1, le=MOST_COUNT)]
    share: Share
    how: str
    metrics: dict[str, float]


class HeldOutColumnRow(TypedDict):
    """A column on held-out rows."""

    column: str
    confirmed: float
    by_chance: NotNegative
    deviation: NotNegative | None
    drop: float | None
    low: float | None
    high: float | None


class HeldOutPairRow(TypedDict):
    """A pair of columns on held-out rows."""

    columns: tuple[str, str]
    confirmed: float
    by_chance: NotNegative


class HeldOutTripleRow(TypedDict):
    """Three columns on held-out rows."""

    columns: tuple[str, str, str]
    confirmed: float
    by_chance: NotNegative


class HeldOutRows(TypedDict):
    """The columns on held-out rows, as explanations need them."""

    metric: str
    rows: Count
    folds: Count
    columns: list[HeldOutColumnRow]
    pairs: list[HeldOutPairRow]
    triples: NotRequired[list[HeldOutTripleRow]]
