"""Markdown tables and sentences made from the results: the parts of the pages that hold figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.measurements import OURS, Measurement, read, select
from benchmarks.ranking import (
    COMPARED,
    EFFORTS,
    FRONT_PAGE,
    LIMIT_S,
    NAMES,
    common_tables,
    compare,
    core_errors,
    mean_ratio,
)

MISSING = "-"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def number(value: float | None, digits: int = 4) -> str:
    """Format a figure with this many decimals, a tiny one with two digits, a missing one as a dash."""
    if value is None or np.isnan(value):
        return MISSING
    if value and abs(value) < 0.5 * 10**-digits:
        return f"{value:.1e}"
    return f"{value:,.{digits}f}"


def latest(rows: Iterable[Measurement], **wanted: object) -> Measurement | None:
    """Return the last measurement whose fields have the wanted values."""
    found = select(list(rows), **wanted)
    return found[-1] if found else None


def value_of(row: Measurement | None) -> float | None:
    """Return the value of a measurement that may be missing."""
    return row.value if row else None


def names_in(rows: Iterable[Measurement], attribute: str = "table") -> list:
    """Return the values of a field, each once, in their order."""
    return list(dict.fromkeys(getattr(row, attribute) for row in rows))


def front_page() -> str:
    """Return five methods in a table of five rows, and the sentence above it."""
    standings, tables = compare(FRONT_PAGE)
    rows = [
        (
            f"**{NAMES[s.method]}**" if s.method == OURS else NAMES[s.method],
            f"{s.mean_rank:.2f}",
            str(s.best_on),
            f"{s.mean_gap_percent:.1f} %",
            f"{number(s.median_seconds, 0)} s",
        )
        for s in standings
    ]
    text = (
        f"Test errors on {len(tables)} public tables of 800 to 10,000 training rows: "
        "the same rows for every method, on two cores.\n"
        f"xrfm-cli and AutoGluon have {LIMIT_S:.0f} seconds each; "
        "the boosting libraries run with fixed settings.\n"
    )
    head = ("method", "mean rank", "lowest error on", "mean error above the lowest", "median time to fit")
    return text + "\n" + markdown(head, rows)


def standings_text() -> str:
    """Return the sentences under the charts of the benchmark page."""
    standings, tables = compare(COMPARED)
    ours = next(s for s in standings if s.method == OURS)
    errors = core_errors()
    all_methods = (
        f"xrfm-cli is best on {ours.best_on} of the {len(tables)} tables of all {len(COMPARED)} methods; "
        f"mean rank {ours.mean_rank:.2f}, mean error {ours.mean_gap_percent:.1f} % above the best.\n"
    )
    pairs = []
    for other in ("catboost", "lightgbm", "xrfm_ref_hpo"):
        common = common_tables(errors, (OURS, other))
        wins = sum(float(errors[OURS][t].value or 0) < float(errors[other][t].value or 0) for t in common)
        pairs.append(f"{wins} of {len(common)} ({NAMES[other]})")
    return all_methods + f"It is lower than one other method on {', '.join(pairs)}."


def core_table() -> str:
    """Return the current error of every core table beside the other methods."""
    others = [*FRONT_PAGE[1:], "realmlp", "xrfm_ref"]
    errors = core_errors()
    efforts = [core_errors(*EFFORTS[k])[OURS] for k in (0, 2, 3)]
    rows = []
    for table in dict.fromkeys(row.table for row in select(read("core"), method=OURS)):
        current = errors[OURS][table]
        compared = [current, *(errors[method].get(table) for method in others)]
        smallest = min(row.value for row in compared if row and row.value is not None)
        shown = [
            f"**{number(value_of(row))}**" if row and row.value == smallest else number(value_of(row))
            for row in compared
        ]
        ten, _, long = (value_of(effort.get(table)) for effort in efforts)
        facts = (
            number(current.seconds, 0),
            number(current.extra.get("predict_s"), 1),
            number(current.extra.get("peak_mb"), 0).replace(",", ""),
        )
        rows.append(
            (table, number(ten), shown[0], number(long), *shown[1:], *facts, current.commit or MISSING)
        )
    names = [NAMES[method].split(" best")[0].replace(" reference, defaults", "") for method in others]
    head = ("table", "10 s", "60 s", "10 min", *names, "fit s", "predict s", "peak MB", "commit")
    return markdown(head, rows)


def effort_text() -> str:
    """Return how the errors of the other limits compare with those of a minute."""
    minute = core_errors()[OURS]
    tables = list(minute)
    base = [float(minute[table].value or 0) for table in tables]
    parts = []
    for (limit_s, setting), name in zip(
        EFFORTS, ("10 s", "`--preset quick`", "", "`--preset best`"), strict=True
    ):
        if name:
            errors = core_errors(limit_s, setting)[OURS]
            ratio = mean_ratio([float(errors[table].value or 0) for table in tables], base)
            parts.append(f"{name} {100 * (ratio - 1):+.1f} %")
    return f"Error against that of 60 s (geometric mean, {len(tables)} tables): {', '.join(parts)}."


def big_table() -> str:
    """Return the large tables with all their training rows."""
    rows = select(read("big"), metric="error", setting="--max-train 1000000")
    lines = []
    for table in names_in(rows):
        ten, minute = (latest(rows, table=table, method=OURS, time_limit_s=limit) for limit in (10.0, 60.0))
        other = latest(rows, table=table, method="lightgbm")
        cells = [table, f"{other.extra['rows']:,}" if other else MISSING]
        for row in (ten, minute):
            seconds, commit = (row.seconds, row.commit) if row else (None, None)
            cells += [number(value_of(row)), number(seconds, 1), commit or MISSING]
        lines.append((*cells, number(value_of(other))))
    return markdown(
        ("large table", "all rows", "10 s", "fit s", "commit", "60 s", "fit s", "commit", "LightGBM"), lines
    )


def published_ranks() -> list[tuple[str, str, list[Measurement], dict[str, float]]]:
    """Return table, metric, our measurements and the published means for each published table."""
    rows = read("published")
    found = []
    for table in names_in(select(rows, method=OURS)):
        ours = select(rows, table=table, method=OURS)
        by_seed = {row.seed: row for row in ours}
        means = {row.method: float(row.value or 0) for row in select(rows, table=table) if row.method != OURS}
        found.append((table, ours[0].metric, list(by_seed.values()), means))
    return found


def rank_among(metric: str, value: float, means: dict[str, float]) -> int:
    """Return our place among published means; RMSE is better when lower, accuracy when higher."""
    return 1 + sum(mean < value if metric == "rmse" else mean > value for mean in means.values())


def published_text() -> str:
    """Return our mean rank among published methods, for each metric."""
    parts = []
    for metric, kind in (("rmse", "regression"), ("accuracy", "classification")):
        entries = [entry for entry in published_ranks() if entry[1] == metric]
        ranks = [rank_among(metric, _mean(ours), means) for _, _, ours, means in entries]
        most = 1 + max(len(means) for *_, means in entries)
        first = sum(rank == 1 for rank in ranks)
        parts.append(f"{kind} {np.mean(ranks):.2f} of {most} (first on {first} of {len(ranks)})")
    return f"Mean rank in TALENT's results: {', '.join(parts)}."


def published_table() -> str:
    """Return every published table: our splits, our rank, the best method and CatBoost."""
    rows = []
    for table, metric, ours, means in published_ranks():
        best = (min if metric == "rmse" else max)(means, key=lambda name: means[name])
        values = {row.seed: row.value for row in ours}
        seconds = [row.seconds for row in ours if row.seconds is not None]
        rank = f"{rank_among(metric, _mean(ours), means)} of {len(means) + 1}"
        commits = ", ".join(dict.fromkeys(row.commit or row.extra.get("commits", MISSING) for row in ours))
        figures = [
            f"{value:.6g}" if value is not None else MISSING for value in (values.get(0), values.get(1))
        ]
        catboost = f"{means['catboost']:.6g}" if "catboost" in means else MISSING
        best_text = f"{best} {means[best]:.6g}"
        shown_seconds = number(seconds[-1] if seconds else None, 0)
        rows.append((table, metric, *figures, rank, best_text, catboost, shown_seconds, commits))
    head = ("table", "metric", "split 0", "split 1", "rank", "best published", "CatBoost", "fit s", "commits")
    return markdown(head, rows)


def _mean(rows: Sequence[Measurement]) -> float:
    return float(np.mean([row.value for row in rows]))
