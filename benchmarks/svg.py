"""SVG charts of the results: plain text without a plotting library, so that equal results give equal bytes.

Each chart brings its own background and follows the reader's light or dark colour scheme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks.measurements import OURS, Measurement
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

STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .small { font-size: 12px }
.background { fill: #ffffff; stroke: #d0d7de } .grid { stroke: #d8dee4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .background { fill: #0d1117; stroke: #30363d } .grid { stroke: #30363d }
}
</style>"""
COLORS = {  # readable on white and on near-black
    OURS: "#e8590c",
    "catboost": "#3b82f6",
    "lightgbm": "#2f9e44",
    "xgboost": "#c05fd8",
    "autogluon_best": "#868e96",
    "realmlp": "#0ca5a5",
    "xrfm_ref": "#b08900",
}
SHAPES = {  # corners of a mark around its centre, for readers who do not tell the colours apart
    "catboost": ((-5, -5), (5, -5), (5, 5), (-5, 5)),
    "lightgbm": ((0, -6), (6, 5), (-6, 5)),
    "xgboost": ((0, -7), (6, 0), (0, 7), (-6, 0)),
    "autogluon_best": ((-6, -5), (6, -5), (0, 6)),
}
WIDTH_PX = 760


def accuracy_chart() -> str:
    """Draw the error of five methods on every table over the smallest of the five."""
    errors = core_errors()
    tables = common_tables(errors, FRONT_PAGE)
    left, right, top, step = 150, WIDTH_PX - 30, 92, 24
    bottom = top + step * len(tables)
    values = {t: {m: float(errors[m][t].value or 0) for m in FRONT_PAGE} for t in tables}
    ratios = {t: {m: v / min(row.values()) for m, v in row.items()} for t, row in values.items()}
    largest = max(max(row.values()) for row in ratios.values())
    place = _scale(1.0, largest * 1.02, left, right, logarithmic=True)
    parts = [_text(20, 28, "Error of each method over the smallest of the five, table by table", "title")]
    for x, method in zip(range(24, WIDTH_PX, 148), FRONT_PAGE, strict=False):
        parts += [_mark(method, x, 52), _text(x + 12, 56, NAMES[method].split()[0])]
    for tick in (tick for tick in (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0) if tick <= largest * 1.02):
        parts += [_line(place(tick), top - 8, place(tick), bottom - 8)]
        parts += [_text(place(tick), bottom + 12, f"{tick:g}", "small", "middle")]
    for y, table in zip(range(top, bottom, step), tables, strict=True):
        parts += [_text(left - 16, y + 4, table, "small", "end"), _line(left, y, right, y)]
        order = sorted(FRONT_PAGE, key=lambda method: -ratios[table][method])  # the best mark lies on top
        parts += [_mark(method, place(ratios[table][method]), y) for method in order]
    parts.append(
        _text(
            (left + right) / 2, bottom + 32, "times the smallest error (lower is better)", "small", "middle"
        )
    )
    return _document("Error of five methods, table by table", bottom + 46, parts)


def rank_chart() -> str:
    """Draw the mean rank of the methods as bars."""
    standings, tables = compare(COMPARED)
    left, right, top, step = 200, WIDTH_PX - 70, 52, 30
    place = _scale(0.0, float(len(COMPARED)), left, right)
    parts = [_text(20, 28, f"Mean rank over {len(tables)} tables (lower is better)", "title")]
    for number, standing in enumerate(standings):
        y = top + step * number
        width = place(standing.mean_rank) - left
        parts.append(_text(left - 12, y + 15, NAMES[standing.method], "small", "end"))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="20" fill="{COLORS[standing.method]}"/>'
        )
        parts.append(_text(left + width + 8, y + 15, f"{standing.mean_rank:.2f}", "small"))
    return _document("Mean rank of the methods", top + step * len(standings) + 12, parts)


def time_chart() -> str:
    """Draw the error over CatBoost's against the seconds that a fit takes or may take."""
    errors = core_errors()
    tables = common_tables(errors, FRONT_PAGE)
    base = [float(errors["catboost"][table].value or 0) for table in tables]

    def over_catboost(method_errors: dict[str, dict[str, Measurement]], method: str) -> float:
        return mean_ratio([float(method_errors[method][table].value or 0) for table in tables], base)

    points = [
        (method, float(np.median([errors[method][t].seconds for t in tables])), over_catboost(errors, method))
        for method in FRONT_PAGE[1:]
    ]
    ours = [(limit_s, over_catboost(core_errors(limit_s, setting), OURS)) for limit_s, setting in EFFORTS]
    ratios = [ratio for *_, ratio in points] + [ratio for _, ratio in ours]
    times = [seconds for _, seconds, _ in points] + [limit_s for limit_s, _ in ours]
    left, right, top, bottom = 70, WIDTH_PX - 40, 56, 330
    across = _scale(min(times) / 1.3, max(times) * 1.3, left, right, logarithmic=True)
    up = _scale(min(ratios) - 0.05, max(ratios) + 0.05, bottom, top)
    parts = [
        _text(20, 28, f"Error over CatBoost's against time, geometric mean of {len(tables)} tables", "title")
    ]
    for tick in _ticks(min(ratios) - 0.05, max(ratios) + 0.05, 0.1):
        parts += [
            _line(left, up(tick), right, up(tick)),
            _text(left - 8, up(tick) + 4, f"{tick:.1f}", "small", "end"),
        ]
    for tick in (
        tick for tick in (1, 2, 5, 10, 30, 60, 120, 600) if min(times) / 1.3 <= tick <= max(times) * 1.3
    ):
        parts += [_line(across(tick), top, across(tick), bottom)]
        parts += [_text(across(tick), bottom + 18, f"{tick} s", "small", "middle")]
    path = " ".join(f"{across(limit_s):.1f},{up(ratio):.1f}" for limit_s, ratio in ours)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{COLORS[OURS]}" stroke-width="2"/>')
    for limit_s, ratio in ours:
        label = f"{NAMES[OURS]}, " * (limit_s == LIMIT_S) + f"{limit_s:g} s"
        parts += [
            _mark(OURS, across(limit_s), up(ratio)),
            _text(across(limit_s), up(ratio) + 22, label, "small", "middle"),
        ]
    for method, seconds, ratio in points:
        parts += [_mark(method, across(seconds), up(ratio))]
        parts += [_text(across(seconds), up(ratio) - 12, NAMES[method].split()[0], "small", "middle")]
    caption = "a fit on two cores: the limit of xrfm-cli (600 s on one core), the median of the others"
    parts.append(_text((left + right) / 2, bottom + 40, caption, "small", "middle"))
    return _document("Error against time", bottom + 54, parts)


TRANSFER_COLORS = {"rows alone": "#3b82f6", "base alone": "#868e96", "transfer": "#e8590c"}


def transfer_chart(rows: Iterable[Measurement]) -> str:
    """Draw the error against the number of rows, with and without a base model, a panel for each table.

    Both axes are logarithmic, so that a power law is a line. The slopes are those of least squares.
    """
    found: dict[str, dict[str, dict[int, dict[int, float]]]] = {}  # table, way, rows, seed
    for row in rows:
        of_method = found.setdefault(row.table, {}).setdefault(str(row.setting), {})
        of_method.setdefault(int(row.extra["rows"]), {})[int(row.seed or 0)] = float(row.value or 0)
    left, right, height, top = 70, WIDTH_PX - 170, 170, 60
    parts = [
        _text(
            20, 28, "Error on unseen rows against the number of rows, with a base model and without", "title"
        )
    ]
    for number, (method, color) in enumerate(TRANSFER_COLORS.items()):
        parts.append(f'<circle cx="{24 + 140 * number}" cy="46" r="5" fill="{color}"/>')
        parts.append(_text(34 + 140 * number, 50, method, "small"))
    for number, (table, methods) in enumerate(found.items()):
        low_y, high_y = top + height * (number + 1) - 34, top + height * number + 22
        means = {
            method: {size: float(np.mean(list(own.values()))) for size, own in sizes.items()}
            for method, sizes in methods.items()
        }
        values = [value for own in means.values() for value in own.values()]
        sizes = sorted(next(iter(means.values())))
        across = _scale(min(sizes) / 1.2, max(sizes) * 1.2, left, right, logarithmic=True)
        up = _scale(min(values) / 1.08, max(values) * 1.08, low_y, high_y, logarithmic=True)
        parts.append(_text(left, high_y - 6, table, "small"))
        for size in sizes:
            parts += [_line(across(size), high_y, across(size), low_y)]
            parts += [_text(across(size), low_y + 16, f"{size:,} rows", "small", "middle")]
        for value in (min(values), max(values)):
            parts += [_line(left, up(value), right, up(value))]
            parts += [_text(left - 8, up(value) + 4, f"{value:.3f}", "small", "end")]
        slope_y = high_y + 4.0
        for method, color in TRANSFER_COLORS.items():
            own = means.get(method, {})
            path = " ".join(f"{across(size):.1f},{up(own[size]):.1f}" for size in sorted(own))
            parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
            parts += [
                f'<circle cx="{across(size):.1f}" cy="{up(own[size]):.1f}" r="4" fill="{color}"/>'
                for size in own
            ]
            if method != "base alone" and len(own) > 1:
                logs = np.log([[size, own[size]] for size in sorted(own)])
                slope = np.polyfit(logs[:, 0], logs[:, 1], 1)[0]
                parts.append(_text(right + 12, slope_y + 12, f"{method}: slope {slope:.2f}", "small"))
                slope_y += 18
    return _document("Transfer learning: error against rows", top + height * len(found) + 6, parts)


def _document(label: str, height: float, parts: Iterable[str]) -> str:
    size = f'width="{WIDTH_PX}" height="{height:g}" viewBox="0 0 {WIDTH_PX} {height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">'
    frame = (
        f'<rect class="background" x="0.5" y="0.5" width="{WIDTH_PX - 1}" height="{height - 1:g}" rx="6"/>'
    )
    return "\n".join([head, f"<title>{label}</title>", STYLE, frame, *parts, "</svg>"]) + "\n"


def _scale(
    low: float, high: float, start: float, end: float, *, logarithmic: bool = False
) -> Callable[[float], float]:
    """Return the function from values to pixels."""
    turn: Callable[[float], float] = math.log if logarithmic else float

    def place(value: float) -> float:
        return start + (turn(value) - turn(low)) / (turn(high) - turn(low)) * (end - start)

    return place


def _ticks(low: float, high: float, step: float) -> list[float]:
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _mark(method: str, x: float, y: float) -> str:
    """Draw the mark of a method: a circle for this project, a polygon for the others."""
    if method not in SHAPES:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{COLORS[method]}"/>'
    corners: Sequence[tuple[int, int]] = SHAPES[method]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{COLORS[method]}"/>'


CHARTS = {"accuracy.svg": accuracy_chart, "mean_rank.svg": rank_chart, "error_time.svg": time_chart}
