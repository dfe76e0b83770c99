"""The table of :mod:`benchmarks.any_size` on the page."""

from __future__ import annotations

import math

from benchmarks.measurements import Measurement, read, select

METRICS = ("error", "cpu_s", "peak_mib", "disk_mib", "model_mib")
REAL = "real"  # the setting of real tables
LEAST_ROWS = 100_000  # smaller fits are mostly their start


def any_size_table() -> str:
    """Return the table of the page."""
    every = read("any_size")
    rows = [row for row in every if row.setting != REAL]
    lines = [
        "| rows | method | rmse over deviation | CPU s | peak MiB | files MiB | model MiB | commit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for table, method, setting in dict.fromkeys((row.table, row.method, row.setting) for row in rows):
        own = select(rows, table=table, method=method, setting=setting)
        last = {row.metric: row for row in own}
        values = [_number(last.get(metric)) for metric in METRICS]
        name = method if setting is None else f"{method}, {setting}"
        lines.append(f"| {table} | {name} | {' | '.join(values)} | {last['error'].commit or ''} |")
    growth = growth_exponent(rows)
    growth_words = "" if growth is None else f"\n\nCPU seconds of {growth}."
    return "\n".join(lines) + growth_words + real_tables(every)


def real_tables(every: list[Measurement]) -> str:
    """Return the table of the real tables; empty if none was measured."""
    rows = select(every, setting=REAL)
    lines = [
        "| table | rows fitted | error | CPU s | peak MiB | files MiB | model MiB | commit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for table in dict.fromkeys(row.table for row in rows):
        last = {row.metric: row for row in select(rows, table=table)}
        values = [_number(last.get(metric)) for metric in METRICS]
        fitted = f"{last['error'].extra['rows']:,}"
        lines.append(f"| {table} | {fitted} | {' | '.join(values)} | {last['error'].commit or ''} |")
    return "\n\n" + "\n".join(lines) if rows else ""


def growth_exponent(rows: list[Measurement]) -> str | None:
    """Return the exponent by which CPU seconds grow with rows, from the smallest to the largest table."""
    found = {int(row.table.split()[0].replace(",", "")): row.value for row in rows
             if row.method == "xrfm" and row.metric == "cpu_s" and row.setting is None
             and row.table.endswith(" rows")}  # fmt: skip
    sizes = [size for size in sorted(found) if size >= LEAST_ROWS]
    if len(sizes) < 2:
        return None
    few, many = sizes[0], sizes[-1]
    exponent = math.log((found[many] or 1) / (found[few] or 1)) / math.log(many / few)
    return f"fits grow with the power {exponent:.2f} of the rows, from {few:,} to {many:,}"


def _number(row: Measurement | None) -> str:
    if row is None or row.value is None:
        return ""
    return f"{row.value:.4f}" if row.metric == "error" else f"{row.value:,.0f}"
