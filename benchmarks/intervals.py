"""Coverage and width of prediction intervals on held-out rows, adapting to the row and of one width.

    python -m benchmarks.intervals ../shared/bench --seeds 20

Each seed draws up to 2,500 rows of a table and holds a fifth of them out. One fit gives both kinds of
interval: those of one width take the quantile of the same out-of-fold errors as they are. ``easy`` and
``hard`` are the coverages of the halves of the test rows with the narrower and the wider adaptive intervals.
``width / one`` and ``score / one`` are means of the adaptive intervals over those of one width; the score is
the interval score (the width, and 2 / (1 - level) times the distance of each miss): below 1 they are better.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from benchmarks.measurements import Recorder
from benchmarks.suite import read_entries, suite_parser
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.intervals import Intervals

Array = NDArray[np.float64]
TABLES = (
    "concrete",
    "cpu_act",
    "ames_housing",
    "california_housing",
    "kin8nm",
    "wine_quality",
    "power_plant",
    "autos_imports85",
    "king_county_houses",
    "diamonds",
)
ROWS, TEST_SHARE, LEVEL = 2_500, 0.2, 0.9
COLUMNS = (
    "cover",
    "one width",
    "easy",
    "hard",
    "easy, one",
    "hard, one",
    "width / one",
    "score / one",
    "adapts",
)
FIGURES = (  # metric and setting of the columns but the last
    ("coverage", "adaptive"),
    ("coverage", "constant"),
    ("coverage_easy", "adaptive"),
    ("coverage_hard", "adaptive"),
    ("coverage_easy", "constant"),
    ("coverage_hard", "constant"),
    ("width_ratio", "adaptive"),
    ("score_ratio", "adaptive"),
)


def main() -> None:
    """Measure table by table and print the means over seeds."""
    parser = suite_parser(__doc__, "intervals", TABLES)
    parser.add_argument("--seeds", type=int, default=20, help="draws, from --seed on")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    entries = read_entries(args.suite)
    print("| table | " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---|" * len(COLUMNS))
    recorder = Recorder("intervals", args.results)
    rows = []
    for name in args.tables:
        data = pq.read_table(args.suite / "data" / f"{name}.parquet")
        seeds = range(args.seed, args.seed + args.seeds)
        rows.append(np.mean(list(measure(data, entries[name]["target"], seeds, args.trials)), axis=0))
        extra = {"level": LEVEL, "seeds": args.seeds, "trials": args.trials}
        for (metric, setting), value in zip(FIGURES, rows[-1][: len(FIGURES)], strict=True):
            recorder.add(name, metric, float(value), setting=setting, extra=extra)
        show(name, rows[-1])
    show("mean", np.mean(rows, axis=0))


def measure(data: pa.Table, target: str, seeds: range, trials: int) -> Iterator[list[float]]:
    """The figures of :data:`COLUMNS` for each seed."""
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(data.num_rows)[:ROWS]
        cut = round(TEST_SHARE * len(order))
        train, test = (Table(data.take(pa.array(part)), source="rows") for part in (order[cut:], order[:cut]))
        schema = infer_schema(train, SchemaOverrides(target=target))
        task = infer_target(train, target, task="regression")
        model = fit_model(train, schema, task, FitConfig(trials=trials, seed=seed))
        yield compare(model, test, np.array(test.column(target).to_pylist(), dtype=float))


def one_width(model: FittedModel) -> Intervals:
    """Return intervals of one width from the same out-of-fold errors."""
    oof = model.report.oof  # all validation rows, as a table of ROWS has few enough
    errors = np.abs(np.array(oof["target"]) - np.array(oof["prediction"]))
    return Intervals(scores=tuple(np.sort(errors).tolist()))


def compare(model: FittedModel, test: Table, y_true: Array) -> list[float]:
    """The figures of one fit on its test rows."""
    found = model.predict(test, interval=LEVEL)
    assert found.values is not None
    assert found.upper is not None
    assert model.intervals is not None
    errors, half = np.abs(y_true - found.values), found.upper - found.values
    constant = np.full(len(half), one_width(model).half_width(LEVEL))
    hit, hit_constant = errors <= half, errors <= constant
    order = np.argsort(half, kind="stable")
    halves = np.array_split(order, 2)
    return [
        hit.mean(),
        hit_constant.mean(),
        *(hit[part].mean() for part in halves),
        *(hit_constant[part].mean() for part in halves),
        half.mean() / constant.mean(),
        interval_score(errors, half) / interval_score(errors, constant),
        float(model.intervals.error_scale is not None),
    ]


def interval_score(errors: Array, half: Array) -> float:
    """Gneiting and Raftery, Strictly proper scoring rules (2007), equation 43."""
    return float(np.mean(2 * half + 2 / (1 - LEVEL) * np.maximum(errors - half, 0)))


def show(name: str, figures: Array) -> None:
    """One line of the table."""
    print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
