"""Compare fits that complete missing cells from the other columns with fits that take the mean.

    python -m benchmarks.missing_cells ../shared/bench --seeds 0 1

From the repository's root. `benchmarks.completion` completes encoded cells outside the product, fitted inside
each validation fold; the indicators of missing cells stay. Each line is one search with a fixed number of
trials, scored on test rows. "TABLE at random" has cells of its numbers removed by chance, in training and
test rows; "TABLE large values" loses large numbers more often. Lines that the file has already are not
measured again. At the end, the geometric means of errors over those without completion, also of the setting
that validation prefers.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from benchmarks.completion import KINDS, complete_cells
from benchmarks.feature_generation import score_split
from benchmarks.measurements import Measurement, Recorder, read
from benchmarks.suite import Split, read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model

TABLES = (
    "hepatitis", "autos_imports85", "arrhythmia", "soybean", "mice_protein", "ames_housing", "sick",
    "communities_crime_unnorm", "concrete at random", "concrete large values", "cpu_act at random",
    "cpu_act large values", "kddcup99_10pct at random", "kddcup99_10pct large values",
)  # fmt: skip
MOST_TRAIN, MOST_TEST = 2_000, 5_000  # rows: a fit takes seconds
REMOVED = 0.25  # of the cells of numbers, by mean
FAITHFUL = {"mice_protein": ("MouseID",)}  # a mouse has one class, so its name would be all that a fit needs
SMALLEST = 1e-3  # errors below count as this: their ratios are chance
SETTINGS = ("none", *KINDS)


def main() -> None:
    """Measure table by table and setting by setting."""
    parser = suite_parser(__doc__, "missing_cells", TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--trials", type=int, default=12)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recorder = Recorder("missing_cells", args.results)
    known = read("missing_cells", args.results.parent)
    done = {(row.table, row.seed, row.setting, row.extra["trials"]) for row in known}
    for name in args.tables:
        for seed in args.seeds:
            wanted = [how for how in args.settings if (name, seed, how, args.trials) not in done]
            if wanted:
                split = read_with_gaps(args.suite, name, seed)
                for how in wanted:
                    row = measure(recorder, name, split, how, seed=seed, trials=args.trials)
                    print(f"| {name} | {seed} | {how} | {row.value} | {row.seconds} |", flush=True)
    print("\n".join(summary(read("missing_cells", args.results.parent))))


REMOVALS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64] | float]] = {
    "at random": lambda ranks: REMOVED,
    "large values": lambda ranks: 2 * REMOVED * ranks,
}


def read_with_gaps(suite: object, name: str, seed: int) -> Split:
    """Read a split, and remove cells where the name says so."""
    removal = next((words for words in REMOVALS if name.endswith(f" {words}")), "")
    table = name.removesuffix(removal).strip()
    split = read_split(suite, table, seed=seed, most_train=MOST_TRAIN)  # type: ignore[arg-type]
    split = split._replace(test=split.test.slice(0, min(MOST_TEST, split.test.n_rows)))
    parts = [part.data.drop_columns(list(FAITHFUL.get(table, ()))) for part in (split.train, split.test)]
    if removal:
        schema = infer_schema(split.train, SchemaOverrides(target=split.target))
        numbers = [column.name for column in schema.features if column.kind == "numeric"]
        draws = np.random.default_rng([seed, 5])
        for number in numbers:
            of_train = np.sort(parts[0].column(number).to_numpy().astype(float))
            for place, part in enumerate(parts):
                values = part.column(number).to_numpy().astype(float)
                ranks = np.searchsorted(of_train, values) / len(of_train)
                kept = pd.Series(values).where(draws.random(len(values)) >= REMOVALS[removal](ranks))
                at = part.column_names.index(number)
                parts[place] = part.set_column(at, number, pa.array(kept, from_pandas=True))
    train, test = (Table(part, source="rows") for part in parts)
    return split._replace(train=train, test=test)


def measure(recorder: Recorder, name: str, split: Split, how: str, *, seed: int, trials: int) -> Measurement:
    """Fit with one setting, score the test rows and record the error."""
    complete_cells(how)
    schema = infer_schema(split.train, SchemaOverrides(target=split.target))
    target = infer_target(split.train, split.target, task=split.task)
    since = time.process_time()
    model = fit_model(split.train, schema, target, FitConfig(trials=trials, seed=seed, threads=1, workers=1))
    seconds = round(time.process_time() - since, 1)
    metric, error = score_split(model, split.test)
    extra = {"trials": trials, "validation": round(model.report.score, 6), "gaps": gaps(split, schema)}
    return recorder.add(name, metric, round(error, 6), setting=how, seed=seed, seconds=seconds, extra=extra)


def gaps(split: Split, schema: object) -> float:
    """Return the share of training cells that are missing, of all features."""
    features = [column.name for column in schema.features]  # type: ignore[attr-defined]
    nulls = sum(split.train.column(name).null_count for name in features)
    return round(nulls / (len(features) * split.train.n_rows), 4)


def summary(rows: list[Measurement]) -> list[str]:
    """Return one line for each setting: its errors over those without completion, over tables."""
    found = {(row.extra["trials"], row.setting, row.table, row.seed): row for row in rows}
    lines = ["| setting | trials | tables | splits | errors over those without | twice the standard error |"]
    settings = [(row.extra["trials"], row.setting) for row in rows if row.setting != "none"]
    chosen = [(trials, f"{how}, if validation prefers it") for trials, how in settings]
    for trials, how in dict.fromkeys(settings + chosen):
        plain_how = str(how).removesuffix(", if validation prefers it")
        by_table: dict[str, list[float]] = {}
        for (tried, setting, table, seed), row in found.items():
            plain = found.get((trials, "none", table, seed))
            if (tried, setting) != (trials, plain_how) or plain is None:
                continue
            taken = row if plain_how == how or prefers(row, plain) else plain
            ratio = max(taken.value or 0, SMALLEST) / max(plain.value or 0, SMALLEST)
            by_table.setdefault(table, []).append(float(np.log(ratio)))
        logs = np.array([np.mean(of_table) for of_table in by_table.values()])
        if len(logs) > 1:
            twice, splits = 2 * logs.std(ddof=1) / len(logs) ** 0.5, sum(map(len, by_table.values()))
            lines.append(
                f"| {how} | {trials} | {len(logs)} | {splits} | {np.expm1(logs.mean()):+.2%} | {twice:.2%} |"
            )
    return lines


def prefers(row: Measurement, plain: Measurement) -> bool:
    """Return whether the out-of-fold score of a fit is better."""
    higher_is_better = row.metric == "1 - auc"
    difference = row.extra["validation"] - plain.extra["validation"]
    return bool(difference > 0 if higher_is_better else difference < 0)


if __name__ == "__main__":
    main()
