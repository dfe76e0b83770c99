"""Transfer learning on real tables: few rows of one part of a table, and a base model of another part.

    python -m benchmarks.transfer FOLDER --tables california_housing

From the repository's root. FOLDER has ``data/`` with the Parquet files. For each size and seed, the error on
unseen rows of the same part: of a fit on the few rows alone, of the base model alone, and of a fit with
``--transfer-from``. Fits are limited by trials, not by time. Splits that the file has already are not
measured again. `python -m benchmarks.page` draws the chart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from benchmarks.measurements import Measurement, Recorder, benchmark_parser, read
from benchmarks.tables import markdown, number
from xrfm_cli.datasets import SchemaOverrides, Table, encode_target, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric
from xrfm_cli.tuning.transfer.matching import match_base
from xrfm_cli.tuning.transfer.words import uses_base

SIZES = (50, 200, 1000)
BASE_ROWS, TEST_ROWS = 3_000, 3_000
BASE_TRIALS = 12


@dataclass(frozen=True, kw_only=True)
class Case:
    """The division of a table into rows of the base and rows of the new table."""

    target: str
    words: str  # describes both parts
    is_target_part: Callable[[pd.DataFrame, np.random.Generator], pd.Series]
    drop: tuple[str, ...] = ()
    drop_from_base: tuple[str, ...] = ()
    drop_from_target: tuple[str, ...] = ()


def _some_zips(frame: pd.DataFrame, draws: np.random.Generator) -> pd.Series:
    zips = np.unique(frame["zipcode"])
    return frame["zipcode"].isin(draws.permutation(zips)[: len(zips) // 3])


CASES = {
    "california_housing": Case(
        target="median_house_value",
        words="from north to south of the median latitude",
        is_target_part=lambda frame, draws: frame["latitude"] < frame["latitude"].median(),
    ),
    "king_county_houses": Case(
        target="price",
        words="from two thirds of the zip codes to the others",
        is_target_part=_some_zips,
    ),
    "bike_sharing_hour": Case(
        target="cnt",
        words="from the first year to the second",
        is_target_part=lambda frame, draws: frame["yr"].astype(int) == 1,
        drop=("dteday",),
    ),
    "adult": Case(
        target="income",
        words="from employees of companies to all others",
        is_target_part=lambda frame, draws: frame["workclass"].astype(str) != "Private",
    ),
    "medical_insurance": Case(
        target="charges",
        words="to itself, from a table without smoker to one without bmi",
        is_target_part=lambda frame, draws: pd.Series(draws.random(len(frame)) < 0.6, index=frame.index),
        drop_from_base=("smoker",),
        drop_from_target=("bmi",),
    ),
}


def main() -> None:
    """Measure table by table and seed by seed."""
    parser = benchmark_parser(__doc__, "transfer")
    parser.add_argument("folder", type=Path, help="the folder with data/")
    parser.add_argument("--tables", nargs="*", default=list(CASES))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recorder = Recorder("transfer", arguments.results)
    known = read("transfer", arguments.results.parent)
    done = {(row.table, row.seed, row.extra["rows"]) for row in known if row.setting == "transfer"}
    for name in arguments.tables:
        for seed in arguments.seeds:
            if all((name, seed, size) in done for size in arguments.sizes):
                continue
            for row in measure(recorder, arguments.folder, name, seed, arguments.sizes, arguments.trials):
                print(row.table, row.seed, row.setting, row.value, row.extra, flush=True)


def measure(
    recorder: Recorder, folder: Path, name: str, seed: int, sizes: list[int], trials: int
) -> Iterator[Measurement]:
    """Measure a table with one split."""
    case = CASES[name]
    frame = pd.read_parquet(folder / "data" / f"{name}.parquet").drop(columns=list(case.drop))
    draws = np.random.default_rng([seed, 7])
    part = case.is_target_part(frame, draws)
    of_base = frame[~part].drop(columns=list(case.drop_from_base))
    of_target = frame[part].drop(columns=list(case.drop_from_target))
    of_base = of_base.sample(min(BASE_ROWS, len(of_base)), random_state=seed)
    of_target = of_target.sample(len(of_target), random_state=seed)
    many = [size for size in sizes if size <= len(of_target) // 2]
    test = table_of(of_target.iloc[max(many) :][:TEST_ROWS], case)
    base = fit(table_of(of_base, case), case, trials=BASE_TRIALS, seed=seed)

    def record(method: str, size: int, value: float, seconds: float, **extra: object) -> Measurement:
        task = base.target.task
        return recorder.add(
            name,
            "rmse over deviation" if task == "regression" else "1 - auc",
            round(value, 5),
            setting=method,
            seed=seed,
            seconds=round(seconds, 1),
            extra={"rows": size, **extra},
        )

    alone = error_of_base(base, test, case)
    for size in many:
        few = table_of(of_target.iloc[:size], case)
        yield record("base alone", size, alone, 0.0)
        for method in ("rows alone", "transfer"):
            since = time.process_time()
            found = fit(few, case, trials=trials, seed=seed, base=base if method == "transfer" else None)
            seconds = time.process_time() - since
            extra = {} if method == "rows alone" else taken(found)
            yield record(method, size, error(found, test, case), seconds, **extra)


def transfer_table() -> str:
    """Return the mean errors over the seeds, by table and number of rows."""
    found: dict[tuple[str, int, str], dict[int | None, float]] = {}
    for row in read("transfer"):
        of_seed = found.setdefault((row.table, row.extra["rows"], str(row.setting)), {})
        of_seed[row.seed] = float(row.value or 0)  # the last measurement counts
    ways = ("rows alone", "base alone", "transfer")
    lines = []
    for table, size in dict.fromkeys((table, size) for table, size, _ in found):
        means = (number(float(np.mean(list(found[table, size, way].values()))), 3) for way in ways)
        lines.append((f"`{table}`", f"{size:,}", *means, str(len(found[table, size, "transfer"]))))
    return markdown(("table", "rows", "rows alone", "base alone", "with the base", "splits"), lines)


def taken(model: FittedModel) -> dict[str, float]:
    """Return what the ensemble took from its base: weights of members by how."""
    shares: dict[str, float] = {}
    for member in model.members:
        how = str(member.params.get("transfer", "none")) if uses_base(member) else "none"
        shares[how] = round(shares.get(how, 0.0) + member.weight, 3)
    return shares


def table_of(frame: pd.DataFrame, case: Case) -> Table:
    """Return a data frame as a table."""
    frame = frame.reset_index(drop=True)
    return Table(pa.Table.from_pandas(frame, preserve_index=False), source=case.words)


def fit(table: Table, case: Case, *, trials: int, seed: int, base: FittedModel | None = None) -> FittedModel:
    """Fit a table, with a base model or without."""
    schema = infer_schema(table, SchemaOverrides(target=case.target))
    target = infer_target(table, case.target)
    matched = None
    if base is not None:
        matched = match_base(base, name="base", table=table, schema=schema, target=target)
    return fit_model(table, schema, target, FitConfig(trials=trials, seed=seed), base=matched)


def error_of_base(base: FittedModel, test: Table, case: Case) -> float:
    """Return the error of the base alone; columns that the test rows lack are missing for it."""
    absent = [name for name in base.columns_read if not test.has_column(name)]
    data = test.data
    for name in absent:
        data = data.append_column(name, pa.nulls(test.n_rows, pa.string()))
    return error(base, Table(data), case)


def error(model: FittedModel, test: Table, case: Case) -> float:
    """Return the root mean square error over the deviation of the test targets, or one minus the AUC."""
    y, prediction = encode_target(test, model.target), model.predict(test)
    if prediction.values is not None:
        return float(np.sqrt(np.mean((prediction.values - y) ** 2)) / np.std(y))
    assert prediction.probabilities is not None
    return 1 - compute_metric(METRICS["auc"], y, prediction.probabilities, None)


if __name__ == "__main__":
    main()
