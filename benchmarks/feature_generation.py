"""Compare fits with and without generated columns, one family of columns at a time.

    python -m benchmarks.feature_generation ../shared/bench --seeds 0 1

From the repository's root. `benchmarks.generated_columns` makes the columns outside the product, from
training rows alone, and they are appended to the table. Levels that are to be target encoded become
categories, so that the product's own encoder cross-fits them inside each validation fold. Each line is one
search with a fixed number of trials, scored on test rows; 0 trials fit the default configuration. Lines that
the file has already are not measured again. At the end, the geometric means of errors with generated columns
over errors without.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from benchmarks.generated_columns import FAMILIES, TARGET_ENCODED, Columns
from benchmarks.measurements import Measurement, Recorder, read
from benchmarks.suite import Split, read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, Table, encode_target, infer_schema, infer_target
from xrfm_cli.datasets.encoders import fitting
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric

TABLES = (
    "credit_g", "bank_churn", "adult", "credit_default_taiwan", "vehicle_coupon", "online_shoppers",
    "ames_housing", "autos_imports85", "bank_marketing", "telco_churn", "hepatitis", "kr_vs_kp",
)  # fmt: skip
MOST_TRAIN, MOST_TEST = 3_000, 5_000  # rows: a fit takes seconds


def main() -> None:
    """Measure table by table and family by family."""
    parser = suite_parser(__doc__, "feature_generation", TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--trials", type=int, default=12)
    args = parser.parse_args()
    torch.set_num_threads(1)
    encode_levels_by_target()
    recorder = Recorder("feature_generation", args.results)
    known = read("feature_generation", args.results.parent)
    done = {(row.table, row.seed, row.setting, row.extra["trials"]) for row in known}
    for name in args.tables:
        for seed in args.seeds:
            split = read_split(args.suite, name, seed=seed)
            split = split._replace(train=_first(split.train, MOST_TRAIN), test=_first(split.test, MOST_TEST))
            fits = Fits(recorder, name, split, seed=seed, trials=args.trials)
            for family in args.families:
                if (name, seed, family, args.trials) not in done:
                    row = fits.measure(family)
                    print(f"| {name} | {seed} | {family} | {row.value} | {row.seconds} |", flush=True)
    print("\n".join(summary(read("feature_generation", args.results.parent))))


def summary(rows: list[Measurement]) -> list[str]:
    """Return one line for each family: its errors over those without, with twice the standard error."""
    value = {(row.extra["trials"], row.setting, row.table, row.seed): row.value for row in rows}
    lines = ["| columns | trials | tables | splits | errors over those without | twice the standard error |"]
    for trials, family in dict.fromkeys((row.extra["trials"], row.setting) for row in rows):
        by_table: dict[str, list[float]] = {}
        for (tried, setting, table, seed), error in value.items():
            plain = value.get((trials, "none", table, seed))
            if (tried, setting) == (trials, family) and family != "none" and error and plain:
                by_table.setdefault(table, []).append(float(np.log(error / plain)))
        logs = np.array([np.mean(found) for found in by_table.values()])
        if len(logs) > 1:
            twice, splits = 2 * logs.std(ddof=1) / len(logs) ** 0.5, sum(map(len, by_table.values()))
            mean = np.expm1(logs.mean())
            lines.append(f"| {family} | {trials} | {len(logs)} | {splits} | {mean:+.2%} | {twice:.2%} |")
    return lines


def _first(table: Table, rows: int) -> Table:
    return table.slice(0, min(rows, table.n_rows))


def encode_levels_by_target() -> None:
    """Have the product's encoder target encode generated levels, cross-fitted, whatever the candidate."""
    original = fitting._fit_column

    def fit_column(fit: Any, column: Any, place: int) -> Any:
        if column.name.startswith(TARGET_ENCODED):
            fit = replace(fit, config=replace(fit.config, category="target"))
        return original(fit, column, place)

    fitting._fit_column = fit_column


class Fits:
    """The fits of one split; the same generated columns give the same model, which is fitted once."""

    def __init__(self, recorder: Recorder, name: str, split: Split, *, seed: int, trials: int) -> None:
        self.recorder, self.name, self.split, self.seed, self.trials = recorder, name, split, seed, trials
        self.columns = Columns(split)
        self.alike: dict[tuple[str, ...], Measurement] = {}

    def measure(self, family: str) -> Measurement:
        """Fit the training rows with generated columns, score the test rows and record the error."""
        made = FAMILIES[family](self.columns)
        facts: dict[str, Any] = {"setting": family, "seed": self.seed}
        if same := self.alike.get(tuple(made)):
            facts |= {"seconds": same.seconds, "extra": same.extra}
            return self.recorder.add(self.name, same.metric, same.value, **facts)
        train, test = self.split.train.data, self.split.test.data
        for label, (of_train, of_test) in made.items():
            train = train.append_column(label, pa.array(of_train, from_pandas=True))
            test = test.append_column(label, pa.array(of_test, from_pandas=True))
        since = time.process_time()
        model = self._fit(Table(train, source="rows"), list(made))
        facts["seconds"] = round(time.process_time() - since, 1)
        metric, error = score_split(model, Table(test, source="rows"))
        score = round(model.report.score, 6)
        facts["extra"] = {"trials": self.trials, "columns": len(made), "validation": score}
        self.alike[tuple(made)] = self.recorder.add(self.name, metric, round(error, 6), **facts)
        return self.alike[tuple(made)]

    def _fit(self, table: Table, made: list[str]) -> FittedModel:
        levels = tuple(label for label in made if label.startswith(TARGET_ENCODED))
        numbers = tuple(label for label in made if label not in levels)
        roles = SchemaOverrides(target=self.split.target, categorical=levels, numeric=numbers)
        target = infer_target(table, self.split.target, task=self.split.task)
        config = FitConfig(trials=self.trials, seed=self.seed)
        return fit_model(table, infer_schema(table, roles), target, config)


def score_split(model: FittedModel, test: Table) -> tuple[str, float]:
    """Return what the error is, and the error of predictions, as the benchmark folder ranks by."""
    found, y = model.predict(test), encode_target(test, model.target)
    if found.values is not None:
        return "rmse over deviation", float(np.sqrt(np.mean((found.values - y) ** 2)) / np.std(y))
    if model.target.task == "binary":
        return "1 - auc", 1 - compute_metric(METRICS["auc"], y, found.probabilities, None)
    return "log_loss", compute_metric(METRICS["log_loss"], y, found.probabilities, None)


if __name__ == "__main__":
    main()
