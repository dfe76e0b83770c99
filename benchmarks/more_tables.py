"""Tables of the benchmarks other than accuracy: speed, memory, calibration, decisions and limits."""

from __future__ import annotations

import numpy as np

from benchmarks.measurements import OURS, read, select
from benchmarks.tables import latest, markdown, names_in, number, value_of

REFERENCE = "xrfm_ref"
CALIBRATION_LIMIT_S, DECISIONS_LIMIT_S = 30.0, 10.0  # of the fits that the pages show


def leaf_table() -> str:
    """Return one large leaf beside the reference package: seconds and memory."""
    rows = [row for row in read("leaf_speed") if row.table.startswith(("10,000", "20,000"))]
    lines = []
    for table in names_in(select(rows, metric="peak_mb")):
        for setting in names_in(select(rows, metric="peak_mb", table=table), "setting"):
            cells = []
            for metric in ("fit_s", "peak_mb"):
                pair = [
                    latest(rows, table=table, setting=setting, metric=metric, method=m)
                    for m in (OURS, REFERENCE)
                ]
                ours, reference = (value_of(row) for row in pair)
                times = reference / ours if ours and reference else None
                digits = 1 if metric == "fit_s" else 0
                cells += [number(ours, digits), number(reference, digits), number(times, 1)]
                commit = pair[0].commit if pair[0] else None
            lines.append((table, str(setting).split(",")[0], *cells, commit or "-"))
    head = ("leaf", "kernel", "fit s", "reference s", "ratio", "MB", "reference MB", "ratio", "commit")
    return markdown(head, lines)


def leaf_grid_table() -> str:
    """Return leaves of 2,000 rows: our seconds, the reference's, and how many times faster."""
    rows = [row for row in select(read("leaf_speed"), metric="fit_s") if row.table.startswith("2,000")]
    tables = names_in(rows)
    lines = []
    for setting in names_in(rows, "setting"):
        cells = []
        for table in tables:
            ours = latest(rows, table=table, setting=setting, method=OURS)
            reference = latest(rows, table=table, setting=setting, method=REFERENCE)
            if ours is None or reference is None or ours.value is None:
                cells.append("-")
            elif reference.value is None:
                cells.append(f"{ours.value:.2f} / {reference.extra.get('failed', 'failed')}")
            else:
                faster = reference.value / ours.value
                cells.append(f"{ours.value:.2f} / {reference.value:.2f} / {faster:.1f}")
        lines.append((str(setting), *cells))
    return markdown(("kernel, feature matrix, outputs", *(table.split(", ")[1] for table in tables)), lines)


def stage_table() -> str:
    """Return the time of each stage of a leaf, divided by the time of its matrix products."""
    rows = [row for row in read("leaf_speed") if "floor_s" in row.extra]
    lines = [
        (
            str(row.setting),
            row.metric.removesuffix("_s").replace("_", " "),
            number(row.value, 3),
            number(row.extra["floor_s"], 3),
            number((row.value or 0) / row.extra["floor_s"], 1),
            row.commit or "-",
        )
        for row in rows
    ]
    return markdown(("kernel", "stage", "s", "floor s", "ratio", "commit"), lines)


def predict_table() -> str:
    """Return rows a second of predictions."""
    rows = read("predict_speed")
    names = {OURS: "xrfm-cli", REFERENCE: "xRFM reference 0.4.5", "catboost": "CatBoost"}
    keys = dict.fromkeys((row.method, row.setting) for row in rows)
    found = [latest(rows, method=method, setting=setting) for method, setting in keys]
    lines = [
        (
            f"{names[row.method]}, {row.setting}",
            number(row.seconds, 2),
            number(row.value, 0),
            row.commit or "-",
        )
        for row in found
        if row
    ]
    return markdown(("200,000 rows, 10,000 centers", "s", "rows a second", "commit"), lines)


def memory_table() -> str:
    """Return the largest resident memory of predictions by the rows of the file."""
    rows = read("predict_memory")
    tables = names_in(rows)
    lines = []
    for setting in names_in(rows, "setting"):
        found = [latest(rows, table=table, setting=setting) for table in tables]
        peaks = [row.value for row in found if row and row.value]
        commit = found[-1].commit if found[-1] else None
        cells = [number(value_of(row), 0) for row in found]
        lines.append((str(setting), *cells, number(max(peaks) / min(peaks), 2), commit or "-"))
    return markdown(("peak MiB of predicting from", *tables, "most to least", "commit"), lines)


def leaves_table() -> str:
    """Return the CPU time of predicting a row, and the seconds of a model file, by the number of leaves."""
    rows = read("many_leaves")
    tables = names_in(rows)
    shown = (
        ("us_a_row", "µs a row, {}"),
        ("voting_leaves", "voting leaves, {}"),
        ("read_s", "s to read the file"),
        ("write_s", "s to write the file"),
    )
    lines = []
    for metric, words in shown:
        for setting in names_in(select(rows, metric=metric), "setting"):
            found = [latest(rows, table=table, setting=setting, metric=metric) for table in tables]
            values = [value_of(row) for row in found]
            ratio = values[-1] / values[0] if values and values[0] and values[-1] else None
            commit = found[-1].commit if found[-1] else None
            cells = [number(value, 2) for value in values]
            lines.append((words.format(setting), *cells, number(ratio, 2), commit or "-"))
    return markdown(("CPU, 1,000 centers a leaf", *tables, "last to first", "commit"), lines)


def calibration_summary() -> str:
    """Return one line for each split: log loss before and after, and the excess of the calibration error."""
    rows = select(read("calibration"), time_limit_s=CALIBRATION_LIMIT_S)
    lines = []
    for seed in names_in(rows, "seed"):
        of_split = select(rows, seed=seed)
        tables = names_in(of_split)
        before = [_value(of_split, table, "log_loss", "not calibrated") for table in tables]
        after = [_value(of_split, table, "log_loss") for table in tables]
        excess = [_value(of_split, table, "calibration_excess") for table in tables]
        no_higher = sum(b <= a for a, b in zip(before, after, strict=True))
        lines.append(
            (
                str(seed),
                str(len(tables)),
                number(float(np.mean(before))),
                number(float(np.mean(after))),
                f"{no_higher} of {len(tables)}",
                number(float(np.mean(excess))),
                f"{max(excess):.4f} ({tables[int(np.argmax(excess))]})",
                ", ".join(names_in(of_split, "commit")),
            )
        )
    head = (
        "split",
        "tables",
        "log loss before",
        "after",
        "no higher on",
        "mean excess",
        "largest excess",
        "commit",
    )
    return markdown(head, lines)


def calibration_table() -> str:
    """Return the calibration of every table on split 0, with the excess of all splits."""
    rows = select(read("calibration"), time_limit_s=CALIBRATION_LIMIT_S)
    seeds = names_in(rows, "seed")
    lines = []
    for table in names_in(rows):
        first = select(rows, table=table, seed=0)
        metrics = (("log_loss", "not calibrated"), ("log_loss", None))
        cells = [number(_value(first, table, metric, setting)) for metric, setting in metrics]
        for metric in ("calibration_error", "calibration_error_by_chance"):
            cells.append(number(_value(first, table, metric)))
        for seed in seeds:
            found = latest(rows, table=table, seed=seed, metric="calibration_excess")
            cells.append(number(value_of(found)))
        lines.append((table, f"{first[0].extra['test_rows']:,}", *cells))
    excess = [f"excess, split {seed}" for seed in seeds]
    head = ("table", "test rows", "log loss before", "after", "calibration error", "by chance", *excess)
    return markdown(head, lines)


def intervals_text() -> str:
    """Return the means over the tables of the interval benchmark."""
    rows = read("intervals")
    means = {}
    for metric, setting in dict.fromkeys((row.metric, row.setting) for row in rows):
        found = [latest(rows, table=table, metric=metric, setting=setting) for table in names_in(rows)]
        means[metric, setting] = float(np.mean([row.value for row in found if row]))
    adaptive, constant = (
        f"{means['coverage', kind]:.3f} ({means['coverage_easy', kind]:.3f} if narrow, "
        f"{means['coverage_hard', kind]:.3f} if wide)"
        for kind in ("adaptive", "constant")
    )
    return (
        f"`--interval 0.9` covers {adaptive}, a constant width {constant}.\n"
        f"Its interval score is {means['score_ratio', 'adaptive']:.3f} of that of a constant width "
        f"(means over {len(names_in(rows))} tables; lower is better)."
    )


def intervals_table() -> str:
    """Return coverage and width of intervals for every table."""
    rows = read("intervals")
    columns = (
        ("coverage", "adaptive"),
        ("coverage", "constant"),
        ("coverage_easy", "adaptive"),
        ("coverage_hard", "adaptive"),
        ("coverage_easy", "constant"),
        ("coverage_hard", "constant"),
        ("width_ratio", "adaptive"),
        ("score_ratio", "adaptive"),
    )
    lines = [
        (table, *(number(_value(rows, table, metric, setting), 3) for metric, setting in columns))
        for table in names_in(rows)
    ]
    head = ["adaptive", "constant", "easy, adaptive", "hard, adaptive", "easy, constant", "hard, constant"]
    return markdown(("table", *head, "width ratio", "score ratio"), lines)


def decisions_table() -> str:
    """Return the gain of a tuned threshold over the most probable class."""
    rows = select(read("decisions"), time_limit_s=DECISIONS_LIMIT_S)
    settings = ("most probable class", "tuned decision", "out of fold")
    lines = [
        (table, metric, *(number(_value(rows, table, metric, setting)) for setting in settings))
        for table in names_in(rows)
        for metric in names_in(select(rows, table=table), "metric")
    ]
    return markdown(("table", "metric", *settings), lines)


def many_rows_table() -> str:
    """Return leaves of many rows: fewer centers beside a direct solve."""
    lines = [
        (
            row.table,
            str(row.setting),
            number(row.value),
            number(row.seconds, 1),
            number(row.extra["peak_so_far_gib"], 1),
            row.commit or "-",
        )
        for row in {(row.table, row.setting): row for row in read("many_rows")}.values()
    ]
    return markdown(("rows", "centers", "error", "s", "peak so far, GiB", "commit"), lines)


def log_odds_table() -> str:
    """Return least squares beside log odds with the same kernels."""
    rows = read("log_odds")
    lines = []
    for table in names_in(rows):
        kernels = dict.fromkeys(
            str(s).rsplit(", ", 1)[0] for s in names_in(select(rows, table=table), "setting")
        )
        for kernel in kernels:
            cells = [
                number(_value(rows, table, metric, f"{kernel}, {loss}"))
                for metric in ("error", "log_loss")
                for loss in ("squared", "logistic")
            ]
            lines.append((table, kernel, *cells))
    head = (
        "table",
        "kernel",
        "1 - AUC, squared",
        "1 - AUC, logistic",
        "log loss, squared",
        "log loss, logistic",
    )
    return markdown(head, lines)


def raw_csv_table() -> str:
    """Return the commands on raw CSV files."""
    lines = [
        (
            row.table,
            f"{row.extra['rows']:,}",
            number(row.seconds, 1),
            *(number(row.extra.get(f"{name}_s"), 1) for name in ("predict", "explain", "evaluate", "info")),
            f"{row.metric} {row.value:g}",
            row.commit or "-",
        )
        for row in read("raw_csv")
    ]
    head = ("table", "rows", "fit s", "predict s", "explain s", "evaluate s", "info s", "score", "commit")
    return markdown(head, lines)


def limit_table() -> str:
    """Return whether a time limit holds on tables of odd shapes."""
    rows = read("limit_grid")
    lines = []
    last = {(row.table, row.setting, row.time_limit_s or 0.0): row for row in rows}
    for (table, setting, limit_s), row in last.items():
        holds = "holds" if limit_holds(row.value, limit_s, row.extra["status"]) else "late"
        cells = (table, setting or "-", f"{limit_s:g}", number(row.seconds, 1), holds, row.commit or "-")
        lines.append(cells)
    return markdown(("table", "beside", "limit s", "command s", "", "commit"), lines)


def limit_holds(overrun_s: float | None, limit_s: float, status: int | None) -> bool:
    """Say whether a fit ended well and within 5 s or 5 % of its limit."""
    return status == 0 and overrun_s is not None and overrun_s <= max(5.0, 0.05 * limit_s)


def _value(rows: list, table: str, metric: str, setting: str | None = None) -> float:
    row = latest(rows, table=table, metric=metric, setting=setting)
    if row is None or row.value is None:
        return float("nan")
    return row.value
