"""The typed rows of a fit's report, as they stand in JSON documents and model files."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

TrialStatus = Literal["running", "complete", "pruned", "failed", "out of time", "interrupted"]
StoppedBy = Literal["time", "trials", "interrupt", "converged", "refit"]


class TrialRow(TypedDict):
    """A trial of the search; a model file keeps no times."""

    number: int
    state: TrialStatus
    score: float | None  # value of the metric
    seconds: NotRequired[float]
    ended_s: NotRequired[float]  # from the start of the search to the end of its last rung
    stages: int  # completed rungs
    iterations: int | None  # AGOP updates
    tries: int  # kernels tried in the refinement after its first rung
    params: dict[str, Any]


class MemberRow(TypedDict):
    """A member of the ensemble."""

    trial: int
    weight: float
    score: float
    params: dict[str, Any]


class LeafRow(TypedDict):
    """The training rows of a leaf."""

    member: int
    leaf: int
    rows: int


class FallbackRow(TypedDict):
    """Something that was done otherwise than asked, and how often."""

    message: str
    count: int


class RepairRow(TypedDict):
    """Repaired values of a column."""

    column: str
    what: str
    count: int


class BaselineRow(TypedDict):
    """A simple model's out-of-fold score."""

    name: str
    score: float
    description: str
    seconds: NotRequired[float]


class ValidationRow(TypedDict, total=False):
    """How the models were validated; earlier versions say less."""

    scheme: str
    folds: int
    judged_rows: int
    reason: str


class ImportanceRow(TypedDict):
    """The importance of a hyperparameter, and the largest by chance."""

    name: str
    share: float
    by_chance: float


class PlottedRows(TypedDict):
    """Targets and out-of-fold predictions of a sample of rows."""

    row: list[int]
    target: list[Any]
    prediction: list[Any]
