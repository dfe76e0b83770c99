"""The data overview and the leaderboard of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from xrfm_cli.printable import counted
from xrfm_cli.reports.fit.marks import sparkline
from xrfm_cli.reports.formats import percent
from xrfm_cli.reports.labels import short_label
from xrfm_cli.reports.search import rank_order
from xrfm_cli.reports.story import FAMILIES
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.profile import ColumnProfile
from xrfm_cli.tuning.search.candidate import kernel_family

LISTED_COLUMNS = 1_000  # columns on the page: each takes about a kilobyte
NAMED_LEVELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRow:
    """One column of the data overview."""

    name: str
    role: str
    used: str  # its kind if it is a feature, else its role
    share: float | None  # of the importances
    missing: float | None  # share of the training rows
    picture: Markup
    values: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One line of the leaderboard."""

    name: str
    score: float | None
    weight: float | None
    trials: int | None
    seconds: float | None
    what: str
    is_model: bool = False
    is_kept: bool = False  # it is the model, or one of the models in it


def column_rows(model: FittedModel, shares: Mapping[str, float]) -> list[ColumnRow]:
    """Return the columns in table order; of very wide tables only the most important ones."""
    profiles = {profile.column: profile for profile in model.profile or ()}
    columns = list(model.schema.columns)
    if len(columns) > LISTED_COLUMNS:
        largest = sorted(columns, key=lambda column: -shares.get(column.name, 0.0))[:LISTED_COLUMNS]
        listed = {column.name for column in largest}
        columns = [column for column in columns if column.name in listed]
    out = []
    for column in columns:
        profile = profiles.get(column.name)
        total = sum(profile.counts) if profile is not None else 0
        out.append(
            ColumnRow(
                name=column.name,
                role=column.role,
                used=str(column.kind if column.role == "feature" else column.role),
                share=shares.get(column.name),
                missing=profile.counts[-1] / total if profile is not None and total else None,
                picture=Markup("") if profile is None else _picture(profile),
                values="" if profile is None else _values(profile),
                reason=column.reason,
            )
        )
    return out


def data_words(document: Mapping[str, Any], rows: Sequence[ColumnRow]) -> str:
    """Summarise rows, kinds of columns and missing cells in a sentence each."""
    kinds: dict[str, int] = {}
    for row in rows:
        kinds[row.used] = kinds.get(row.used, 0) + 1
    listed = ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1])
    )
    text = f"{document['rows']:,} training rows; columns: {listed}."
    holes = [row for row in rows if row.missing]
    if holes:
        worst = max(holes, key=lambda row: row.missing or 0.0)
        text += (
            f" Cells are missing in {counted(len(holes), 'column')}, most in "
            f"{short_label(worst.name)} ({percent(worst.missing)}); the model treats them as a value."
        )
    elif any(row.missing is not None for row in rows):
        text += " No cell is missing."
    if document["left_out_rows"]:
        text += f" {document['left_out_rows']:,} more rows were left out; --fit-rows all uses them."
    if document["dropped_rows"]:
        text += f" {counted(document['dropped_rows'], 'row')} left out, without a target or of weight 0."
    return text


def leaderboard(document: Mapping[str, Any]) -> list[Ranked]:
    """Return the model, the models kept in it, the kernel families and the baselines, best first."""
    lower, kept = document["lower_is_better"], {item["trial"] for item in document["ensemble"]}
    trials = {trial["number"]: trial for trial in document["trials"]}
    count = len(document["ensemble"])
    rows = [
        Ranked(
            name="this model",
            score=document["score"],
            weight=1.0,
            trials=len(trials) or None,
            seconds=document["seconds"].get("total"),
            what=f"the ensemble of {count} models" if count > 1 else "the model kept, calibrated",
            is_model=True,
            is_kept=True,
        )
    ]
    for item in document["ensemble"] if count > 1 else ():
        trial = trials.get(item["trial"], {})
        rows.append(
            Ranked(
                name=f"trial {item['trial']}",
                score=item["score"],
                weight=item["weight"],
                trials=None,
                seconds=trial.get("seconds"),
                what=f"in the ensemble: {_family_words(item['params'])}",
                is_kept=True,
            )
        )
    families: dict[str, list[Mapping[str, Any]]] = {}
    for trial in trials.values():
        families.setdefault(_family(trial["params"]), []).append(trial)
    for family, own in families.items():
        done = [trial for trial in own if trial["state"] == "complete" and trial["score"] is not None]
        best = (min if lower else max)(done, key=lambda trial: trial["score"], default=None)
        words = "no trial was completed" if best is None else f"the best is trial {best['number']}"
        rows.append(
            Ranked(
                name=FAMILIES.get(family, family),
                score=None if best is None else best["score"],
                weight=None,
                trials=len(own),
                seconds=sum(trial.get("seconds") or 0.0 for trial in own) or None,
                what=words
                + (
                    ", which is kept; before calibration"
                    if best is not None and best["number"] in kept
                    else ""
                ),
            )
        )
    for item in document["baselines"]:
        rows.append(
            Ranked(
                name=item["name"],
                score=item["score"],
                weight=None,
                trials=None,
                seconds=item.get("seconds"),
                what=f"baseline: {item.get('description') or 'a simple model'}",
            )
        )
    return sorted(rows, key=lambda row: rank_order(row.score, lower_is_better=lower))


def _family(params: Mapping[str, Any]) -> str:
    return kernel_family(params["kernel"], params["kernel_p"])


def _family_words(params: Mapping[str, Any]) -> str:
    return FAMILIES.get(_family(params), _family(params))


def _picture(profile: ColumnProfile) -> Markup:
    """Draw a column's distribution: a bar for each level, or densities between the deciles."""
    counts = profile.counts[:-1]
    words = f"distribution of {profile.column}: {_values(profile)}"
    if profile.has_levels:
        order = sorted(counts[:-1], reverse=True)
        return sparkline([*order, counts[-1]] if counts[-1] else order, label=words)
    if profile.low is None or profile.high is None or not profile.high > profile.low:
        return Markup("")
    ends = [profile.low, *profile.edges, profile.high]
    widths = [high - low for low, high in pairwise(ends)]
    if len(profile.edges) < 9 or min(widths) <= 0:  # few distinct values: a bar for each
        return sparkline(counts, label=words)
    least = 0.01 * sum(widths)  # of the drawn width, so that a narrow decile stays visible
    shown = [max(width, least) for width in widths]
    return sparkline([count / width for count, width in zip(counts, shown, strict=True)], shown, words)


def _values(profile: ColumnProfile) -> str:
    """Describe the values: a range with its median, or the most frequent levels."""
    counts, total = profile.counts[:-1], sum(profile.counts[:-1])
    if not total:
        return "no values"
    if profile.has_levels:
        found = sorted(zip(counts, profile.bin_names, strict=False), key=lambda item: -item[0])[:NAMED_LEVELS]
        return ", ".join(
            f"{short_label(name, 20)} {percent(count / total)}" for count, name in found if count
        )
    if profile.low is None or profile.high is None:
        return ""
    text = f"{profile.spell(profile.low)} to {profile.spell(profile.high)}"
    if len(profile.edges) == 9:
        text += f", median {profile.spell(profile.edges[4])}"
    return text
