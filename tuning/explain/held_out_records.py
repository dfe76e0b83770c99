"""Records of the columns on held-out rows, as a model file keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from xrfm_cli.tuning.rows import HeldOutRows


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutColumn:
    """One column on held-out rows.

    ``confirmed`` is the part of the column's share of the variance that held-out targets confirm. For a
    column that has nothing to do with the target, it is at most ``by_chance`` in 39 of 40 cases.
    ``deviation`` is the standard deviation of the column's share between models of different samples.
    ``drop`` is how much worse the metric becomes when the column is permuted, with a 90 % range.
    """

    column: str
    confirmed: float
    by_chance: float
    deviation: float | None  # None with a single fold and a single member
    drop: float | None  # None if the metric is not defined on these rows
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPair:
    """A pair of columns on held-out rows, in shares of the predictions' variance."""

    columns: tuple[str, str]
    confirmed: float
    by_chance: float  # the largest of all compared pairs reaches it by chance in one case in 400


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutTriple:
    """Three columns on held-out rows, in shares of the predictions' variance."""

    columns: tuple[str, str, str]
    confirmed: float
    by_chance: float  # the largest of all compared triples reaches it by chance in one case in 400


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The measures of all columns, and of pairs and triples of strong columns."""

    metric: str
    rows: int
    folds: int
    columns: tuple[HeldOutColumn, ...]
    pairs: tuple[HeldOutPair, ...]
    triples: tuple[HeldOutTriple, ...]  # none in files of versions before 0.3

    def to_json(self) -> HeldOutRows:
        """Return the values by name, ready for JSON."""
        facts = asdict(self)
        facts["columns"] = list(facts["columns"])
        for name in ("pairs", "triples"):
            facts[name] = [{**item, "columns": list(item["columns"])} for item in facts[name]]
        return cast(HeldOutRows, facts)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> HeldOut:
        """Rebuild from the output of :meth:`to_json`."""
        return cls(
            metric=facts["metric"],
            rows=facts["rows"],
            folds=facts["folds"],
            columns=tuple(HeldOutColumn(**column) for column in facts["columns"]),
            pairs=tuple(
                HeldOutPair(**{**pair, "columns": (pair["columns"][0], pair["columns"][1])})
                for pair in facts["pairs"]
            ),
            triples=tuple(
                HeldOutTriple(**{**triple, "columns": tuple(triple["columns"])})
                for triple in facts.get("triples", ())
            ),
        )
